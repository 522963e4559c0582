//! Tree to bytes.

use super::decode::bare_definition;
use super::{Error, Object, Value};
use crate::schema::{Definition, Schema, Type};
use crate::wire::{Serialize, write_u32, write_vector_header};

/// Writes an object with its id.
///
/// # Errors
/// [`Error::Mismatch`] for a value that does not fit its parameter.
pub fn encode(schema: &Schema, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    Encoder { schema, out }.object(value, || ("object".to_owned(), "an object".to_owned()))
}

/// Writes a value as one of a type.
///
/// # Errors
/// As [`encode`].
pub fn encode_as(schema: &Schema, ty: &Type, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    Encoder { schema, out }.value(ty, value, &|| "value".to_owned())
}

struct Encoder<'s, 'o> {
    schema: &'s Schema,
    out: &'o mut Vec<u8>,
}

impl Encoder<'_, '_> {
    fn object(&mut self, value: &Value<'_>, mismatch: impl Fn() -> (String, String)) -> Result<(), Error> {
        match value {
            Value::Object(object) => {
                write_u32(self.out, object.definition.id);
                self.fields(object)
            }
            Value::Bool(value) => {
                value.serialize(self.out);
                Ok(())
            }
            Value::Raw { id, body, .. } => {
                write_u32(self.out, *id);
                self.out.extend_from_slice(body);
                Ok(())
            }
            _ => {
                let (parameter, expected) = mismatch();
                Err(Error::Mismatch { parameter, expected })
            }
        }
    }

    fn fields(&mut self, object: &Object<'_>) -> Result<(), Error> {
        let definition = object.definition;
        for (index, param) in definition.params.iter().enumerate() {
            let parameter = || format!("{}.{}", definition.name, param.name);
            let missing = || Error::Mismatch { parameter: parameter(), expected: param.ty.to_string() };
            let value = object.values.get(index).ok_or_else(missing)?;
            if param.ty == Type::Flags {
                write_u32(self.out, flags_of(object, &param.name, value));
                continue;
            }
            match (&param.flag, value) {
                (Some(_), Value::Absent) => {}
                (_, value) => self.value(&param.ty, value, &parameter)?,
            }
        }
        Ok(())
    }

    fn value(&mut self, ty: &Type, value: &Value<'_>, parameter: &dyn Fn() -> String) -> Result<(), Error> {
        let mismatch = || Error::Mismatch { parameter: parameter(), expected: ty.to_string() };
        match (ty, value) {
            (Type::Flags, Value::Flags(value)) => write_u32(self.out, *value),
            (Type::True, Value::True) => {}
            (Type::Int, Value::Int(value)) => value.serialize(self.out),
            (Type::Long, Value::Long(value)) => value.serialize(self.out),
            (Type::Double, Value::Double(value)) => value.serialize(self.out),
            (Type::Int128, Value::Int128(value)) => value.serialize(self.out),
            (Type::Int256, Value::Int256(value)) => value.serialize(self.out),
            (Type::Bool, Value::Bool(value)) => value.serialize(self.out),
            (Type::String, Value::String(value)) => value.serialize(self.out),
            (Type::Bytes, Value::Bytes(value)) => value.serialize(self.out),
            (Type::Vector { bare, item }, Value::Vector(items)) => {
                write_vector_header(self.out, items.len());
                if *bare {
                    // The count alone: take the id out again.
                    let at = self.out.len() - 8;
                    self.out.drain(at..at + 4);
                }
                items.iter().try_for_each(|value| self.value(item, value, parameter))?;
            }
            (Type::Bare(_) | Type::BareBoxed(_), Value::Object(object)) => {
                if bare_definition(self.schema, ty)? != object.definition {
                    return Err(mismatch());
                }
                self.fields(object)?;
            }
            (Type::Boxed(name), Value::Object(object)) => {
                let fits = name == "Object" || matches!(&object.definition.result, Type::Boxed(result) if result == name);
                if !fits {
                    return Err(mismatch());
                }
                self.object(value, || (parameter(), ty.to_string()))?;
            }
            (Type::Boxed(_) | Type::Variable(_) | Type::Call(_), _) => self.object(value, || (parameter(), ty.to_string()))?,
            _ => return Err(mismatch()),
        }
        Ok(())
    }
}

/// The bits of a flags field: those of the parameters that are there, and those that came in and mean nothing to this schema.
pub(super) fn flags_of(object: &Object<'_>, field: &str, stored: &Value<'_>) -> u32 {
    let mut set = 0u32;
    for (param, value) in object.definition.params.iter().zip(&object.values) {
        if let Some(flag) = param.flag.as_ref().filter(|f| f.field == field)
            && *value != Value::Absent
        {
            set |= 1 << flag.bit;
        }
    }
    let unnamed = match stored {
        Value::Flags(bits) => unnamed_bits(object.definition, field, *bits),
        _ => 0,
    };
    set | unnamed
}

/// The bits of a flags field that no parameter stands for.
pub(super) fn unnamed_bits(definition: &Definition, field: &str, bits: u32) -> u32 {
    let of_field = definition.params.iter().filter_map(|p| p.flag.as_ref()).filter(|f| f.field == field);
    of_field.fold(bits, |bits, flag| bits & !(1 << flag.bit))
}
