//! Bytes to tree.

use bytes::Bytes;

use super::{Error, Object, Value};
use crate::mtproto::SPECIAL;
use crate::schema::{Definition, Kind, Param, Schema, Type};
use crate::wire::{self, Reader, VECTOR_ID};

/// How deep objects may nest. More than in typed decoding, where only recursive types count.
pub const MAX_DEPTH: usize = 96;
/// How many values one tree may have. A frame of 16 MiB could hold four times as many numbers, at ten times its own size in memory.
pub const MAX_VALUES: usize = 1 << 20;

/// Reads a buffer that holds one object of the schema, with its id.
///
/// # Errors
/// See [`Error`].
pub fn decode(schema: &Schema, bytes: Bytes) -> Result<Value<'_>, Error> {
    let mut reader = Reader::new(bytes);
    let value = decode_object(schema, &mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// Reads a buffer that holds one value of a type, such as the result of a method: `decode_as(schema, &definition.result, bytes)`.
///
/// # Errors
/// See [`Error`].
pub fn decode_as<'s>(schema: &'s Schema, ty: &Type, bytes: Bytes) -> Result<Value<'s>, Error> {
    let mut decoder = Decoder { schema, reader: &mut Reader::new(bytes), values: 0, depth: 0 };
    let value = decoder.value(ty)?;
    decoder.reader.finish()?;
    Ok(value)
}

/// Reads one object, with its id, and leaves the reader behind it. Objects that no schema describes take all the rest.
///
/// # Errors
/// See [`Error`].
pub fn decode_object<'s>(schema: &'s Schema, reader: &mut Reader) -> Result<Value<'s>, Error> {
    Decoder { schema, reader, values: 0, depth: 0 }.object(|_| None)
}

/// Reads a call of a generic method such as `invokeWithLayer`, whose last parameter is the call that it wraps: its own parameters as values, the
/// last one [`Absent`](Value::Absent), and the bytes of what it wraps.
///
/// # Errors
/// See [`Error`].
pub fn decode_wrapper<'s>(schema: &'s Schema, method: &'s Definition, bytes: Bytes) -> Result<(Object<'s>, Bytes), Error> {
    let mut reader = Reader::new(bytes);
    let id = reader.u32()?;
    if id != method.id {
        return Err(Error::UnknownId { id, position: 0 });
    }
    let mut decoder = Decoder { schema, reader: &mut reader, values: 0, depth: 0 };
    let object = decoder.fields_until(method, |param| matches!(param.ty, Type::Call(_)))?;
    Ok((object, reader.rest()))
}

struct Decoder<'s, 'r> {
    schema: &'s Schema,
    reader: &'r mut Reader,
    values: usize,
    depth: usize,
}

impl<'s> Decoder<'s, '_> {
    /// An object with its id. `mismatch` says which type was expected, if this definition is not of it.
    fn object(&mut self, mismatch: impl Fn(&Definition) -> Option<String>) -> Result<Value<'s>, Error> {
        let position = self.reader.position();
        let id = self.reader.u32()?;
        if let Some(definition) = self.schema.by_id(id) {
            if let Some(expected) = mismatch(definition) {
                return Err(Error::WrongType { found: definition.name.clone(), expected, position });
            }
            return match (&definition.result, definition.kind) {
                (Type::Bool, Kind::Constructor) => Ok(Value::Bool(id == wire::BOOL_TRUE_ID)),
                _ => self.fields(definition).map(Value::Object),
            };
        }
        match SPECIAL.iter().find(|(special, _)| *special == id) {
            Some((_, name)) => Ok(Value::Raw { id, name, body: self.reader.rest() }),
            None => Err(Error::UnknownId { id, position }),
        }
    }

    fn fields(&mut self, definition: &'s Definition) -> Result<Object<'s>, Error> {
        self.fields_until(definition, |_| false)
    }

    /// The fields up to one that the caller reads by itself; from there on they are absent.
    fn fields_until(&mut self, definition: &'s Definition, end: impl Fn(&Param) -> bool) -> Result<Object<'s>, Error> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::TooDeep { limit: MAX_DEPTH });
        }
        self.depth += 1;
        let mut values: Vec<Value<'s>> = Vec::with_capacity(definition.params.len());
        let count = definition.params.iter().position(end).unwrap_or(definition.params.len());
        for (index, param) in definition.params.iter().enumerate() {
            let is_there = index < count && is_present(definition, &values, param);
            let value = if is_there { self.value(&param.ty)? } else { Value::Absent };
            values.push(value);
        }
        self.depth -= 1;
        Ok(Object { definition, values })
    }

    fn value(&mut self, ty: &Type) -> Result<Value<'s>, Error> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Error::TooLarge { limit: MAX_VALUES });
        }
        let reader = &mut *self.reader;
        Ok(match ty {
            Type::Flags => Value::Flags(reader.u32()?),
            Type::Int => Value::Int(reader.i32()?),
            Type::Long => Value::Long(reader.i64()?),
            Type::Double => Value::Double(reader.f64()?),
            Type::Int128 => Value::Int128(reader.int128()?),
            Type::Int256 => Value::Int256(reader.int256()?),
            Type::String => Value::String(reader.string()?),
            Type::Bytes => Value::Bytes(reader.bytes()?),
            Type::True => Value::True,
            Type::Bool => Value::Bool(reader.bool()?),
            Type::Vector { bare, item } => {
                if !bare {
                    match reader.u32()? {
                        VECTOR_ID => {}
                        id => return Err(wire::Error::BadVector { id }.into()),
                    }
                }
                // The count is bounded by the bytes at hand; the memory grows with what is really there.
                let count = reader.vector_count()?;
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(self.value(item)?);
                }
                Value::Vector(items)
            }
            // `Object` is any object, and so is what a generic method wraps.
            Type::Variable(_) | Type::Call(_) => self.object(|_| None)?,
            Type::Boxed(name) if name == "Object" => self.object(|_| None)?,
            Type::Boxed(name) => self.object(|d| {
                let fits = d.kind == Kind::Constructor && matches!(&d.result, Type::Boxed(result) if result == name);
                (!fits).then(|| name.clone())
            })?,
            Type::Bare(_) | Type::BareBoxed(_) => Value::Object(self.fields(bare_definition(self.schema, ty)?)?),
        })
    }
}

/// The definition behind `constructor` or `%Type`.
pub(super) fn bare_definition<'s>(schema: &'s Schema, ty: &Type) -> Result<&'s Definition, Error> {
    let found = match ty {
        Type::Bare(name) => schema.constructor(name),
        Type::BareBoxed(name) => {
            let mut all = schema.constructors_of(name);
            all.next().filter(|_| all.next().is_none())
        }
        _ => None,
    };
    found.ok_or_else(|| Error::UndefinedType(ty.to_string()))
}

/// Whether a parameter is there, by the flags read before it.
fn is_present(definition: &Definition, values: &[Value<'_>], param: &Param) -> bool {
    let Some(flag) = &param.flag else { return true };
    let fields = definition.params.iter().zip(values);
    let bits = fields.filter(|(p, _)| p.name == flag.field).find_map(|(_, v)| match v {
        Value::Flags(bits) => Some(*bits),
        _ => None,
    });
    bits.is_some_and(|bits| bits >> flag.bit & 1 != 0)
}
