//! JSON values as TL ones, by the schema.
//!
//! Objects name their constructor in `_` (which may be left out where the type has only one); optional fields may be left out; numbers
//! are numbers, or strings of digits where 64 bits are too many for whoever writes them; bytes are hexadecimal digits.

use bytes::Bytes;
use serde_json::Value as Json;

use crate::tl;
use crate::tl::dynamic::{self, MAX_DEPTH, Object, Value};
use crate::tl::schema::{Definition, Kind, Type};

/// Why a JSON value is no value of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Something else was expected.
    #[error("{at}: expected {expected}")]
    Expected {
        /// Where.
        at: String,
        /// The type.
        expected: String,
    },
    /// A constructor that the schema does not have, or that is of another type.
    #[error("{at}: '{name}' is no constructor of {expected}")]
    Constructor {
        /// Where.
        at: String,
        /// What `_` says.
        name: String,
        /// The type.
        expected: String,
    },
    /// `_` is left out, and there is more than one constructor.
    #[error("{at}: `_` is to name a constructor of {expected}")]
    Unnamed {
        /// Where.
        at: String,
        /// The type.
        expected: String,
    },
    /// A field that is not optional.
    #[error("{at} is missing")]
    Missing {
        /// The field.
        at: String,
    },
    /// A field that the constructor does not have.
    #[error("{at}: there is no such field")]
    NoSuchField {
        /// The field.
        at: String,
    },
    /// Objects in objects.
    #[error("{at}: nested too deep")]
    TooDeep {
        /// Where.
        at: String,
    },
}

/// An object of any type, serialized; `true` and `false` are one as well.
///
/// # Errors
/// See [`JsonError`].
pub fn object(json: &Json) -> Result<Bytes, JsonError> {
    let any = Type::Boxed("Object".to_owned());
    let value = match json {
        Json::Bool(value) => Value::Bool(*value),
        json => value(&any, json, "the object")?,
    };
    let mut out = Vec::new();
    dynamic::encode(tl::compiled_schema(), &value, &mut out)
        .map_err(|error| JsonError::Expected { at: "the object".to_owned(), expected: error.to_string() })?;
    Ok(out.into())
}

/// A value of a type. `at` says in errors where it is.
///
/// # Errors
/// See [`JsonError`].
pub fn value(ty: &Type, json: &Json, at: &str) -> Result<Value<'static>, JsonError> {
    of_type(ty, json, at, 0)
}

fn of_type(ty: &Type, json: &Json, at: &str, depth: usize) -> Result<Value<'static>, JsonError> {
    let wrong = || JsonError::Expected { at: at.to_owned(), expected: described(ty) };
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep { at: at.to_owned() });
    }
    Ok(match (ty, json) {
        (Type::Int, _) => Value::Int(number(json).ok_or_else(wrong)?),
        (Type::Long, _) => Value::Long(number(json).ok_or_else(wrong)?),
        (Type::Flags, _) => Value::Flags(number(json).ok_or_else(wrong)?),
        (Type::Double, Json::Number(value)) => Value::Double(value.as_f64().ok_or_else(wrong)?),
        (Type::String, Json::String(text)) => Value::String(text.as_str().into()),
        (Type::Bytes, Json::String(text)) => Value::Bytes(unhex(text).ok_or_else(wrong)?.into()),
        (Type::Int128, Json::String(text)) => Value::Int128(fixed(text).ok_or_else(wrong)?),
        (Type::Int256, Json::String(text)) => Value::Int256(fixed(text).ok_or_else(wrong)?),
        (Type::Bool, Json::Bool(value)) => Value::Bool(*value),
        (Type::True, Json::Bool(true)) => Value::True,
        (Type::True, Json::Bool(false)) => Value::Absent,
        (Type::Vector { item, .. }, Json::Array(items)) => {
            let item = |(index, json): (usize, &Json)| of_type(item, json, &format!("{at}.{index}"), depth + 1);
            Value::Vector(items.iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        (Type::Boxed(_) | Type::Bare(_) | Type::BareBoxed(_), Json::Object(fields)) => {
            let definition = definition(ty, fields.get("_"), at)?;
            if matches!(definition.result, Type::Bool) {
                return Ok(Value::Bool(definition.name == "boolTrue"));
            }
            Value::Object(with_fields(definition, fields, at, depth)?)
        }
        _ => return Err(wrong()),
    })
}

fn definition(ty: &Type, name: Option<&Json>, at: &str) -> Result<&'static Definition, JsonError> {
    let schema = tl::compiled_schema();
    let (at, expected) = (at.to_owned(), ty.to_string());
    match (ty, name) {
        (_, Some(Json::String(name))) => {
            let fits = |found: &&Definition| match ty {
                Type::Boxed(ty) => ty == "Object" || found.result.to_string() == *ty,
                Type::BareBoxed(ty) => found.result.to_string() == *ty,
                Type::Bare(ty) => found.name == *ty,
                _ => false,
            };
            let found = schema.constructor(name).filter(fits).filter(|found| found.kind == Kind::Constructor);
            found.ok_or_else(|| JsonError::Constructor { at, name: name.clone(), expected })
        }
        (Type::Bare(name), None) => schema.constructor(name).ok_or(JsonError::Unnamed { at, expected }),
        // Any object at all; that the schema lists one constructor under this name does not make it that one.
        (Type::Boxed(name), None) if name == "Object" => Err(JsonError::Unnamed { at, expected }),
        (Type::Boxed(name) | Type::BareBoxed(name), None) => {
            let mut all = schema.constructors_of(name);
            all.next().filter(|_| all.next().is_none()).ok_or(JsonError::Unnamed { at, expected })
        }
        _ => Err(JsonError::Unnamed { at, expected }),
    }
}

fn with_fields(
    definition: &'static Definition,
    fields: &serde_json::Map<String, Json>,
    at: &str,
    depth: usize,
) -> Result<Object<'static>, JsonError> {
    let is_field = |name: &str| definition.params.iter().any(|param| param.name == name && param.ty != Type::Flags);
    if let Some(name) = fields.keys().find(|name| *name != "_" && !is_field(name)) {
        return Err(JsonError::NoSuchField { at: format!("{at}.{name}") });
    }
    let mut values = Vec::with_capacity(definition.params.len());
    for param in &definition.params {
        let at = || format!("{at}.{}", param.name);
        values.push(match fields.get(&param.name).filter(|json| !json.is_null()) {
            _ if param.ty == Type::Flags => Value::Flags(0),
            Some(json) => of_type(&param.ty, json, &at(), depth + 1)?,
            None if param.flag.is_some() => Value::Absent,
            None => return Err(JsonError::Missing { at: at() }),
        });
    }
    Ok(Object { definition, values })
}

fn number<T: TryFrom<i64> + std::str::FromStr>(json: &Json) -> Option<T> {
    match json {
        Json::Number(number) => number.as_i64().and_then(|number| number.try_into().ok()),
        Json::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex(text)?.try_into().ok()
}

fn described(ty: &Type) -> String {
    match ty {
        Type::Int => "a number of 32 bits".to_owned(),
        Type::Long => "a number of 64 bits, or its digits in a string".to_owned(),
        Type::Flags => "a number of 32 bits without a sign".to_owned(),
        Type::Double => "a number".to_owned(),
        Type::String => "a string".to_owned(),
        Type::Bytes => "a string of hexadecimal digits".to_owned(),
        Type::Int128 => "32 hexadecimal digits".to_owned(),
        Type::Int256 => "64 hexadecimal digits".to_owned(),
        Type::True | Type::Bool => "true or false".to_owned(),
        Type::Vector { .. } => format!("a list, {ty}"),
        _ => format!("an object of the type {ty}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tl::Serialize as _;
    use crate::tl::api::{enums, types};

    #[test]
    fn objects_are_what_the_generated_types_are() {
        assert_eq!(object(&json!(true)), Ok(true.to_bytes()));
        assert_eq!(object(&json!({"_": "boolFalse"})), Ok(false.to_bytes()));
        let short = enums::Updates::from(types::UpdateShort {
            update: types::UpdateUserName {
                user_id: 1 << 40,
                first_name: "Ada".into(),
                last_name: "".into(),
                usernames: vec![
                    types::Username { editable: true, username: "ada".into(), ..types::Username::default() }.into(),
                ],
            }
            .into(),
            date: 5,
        });
        let json = json!({"_": "updateShort", "date": 5, "update": {"_": "updateUserName", "user_id": "1099511627776",
            "first_name": "Ada", "last_name": "", "usernames": [{"editable": true, "active": false, "username": "ada"}]}});
        assert_eq!(object(&json), Ok(short.to_bytes()));
        let file = types::upload::File { r#type: enums::storage::FileType::FilePng, mtime: 0, bytes: vec![0x0a, 0xff].into() };
        let json = json!({"_": "upload.file", "type": {"_": "storage.filePng"}, "mtime": 0, "bytes": "0aFF"});
        assert_eq!(object(&json), Ok(enums::upload::File::from(file).to_bytes()));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |json: Json| object(&json).unwrap_err();
        assert!(matches!(error(json!(5)), JsonError::Expected { .. }));
        assert!(matches!(error(json!({"_": "noSuch"})), JsonError::Constructor { .. }));
        assert!(matches!(error(json!({"_": "help.getConfig"})), JsonError::Constructor { .. }));
        assert!(matches!(error(json!({"x": 1})), JsonError::Unnamed { .. }));
        assert_eq!(error(json!({"_": "peerUser"})), JsonError::Missing { at: "the object.user_id".into() });
        let extra = json!({"_": "peerUser", "user_id": 1, "users_id": 1});
        assert_eq!(error(extra), JsonError::NoSuchField { at: "the object.users_id".into() });
        for wrong in [json!(1.5), json!("x"), json!(true), json!("99999999999999999999")] {
            assert!(matches!(error(json!({"_": "peerUser", "user_id": wrong})), JsonError::Expected { .. }));
        }
        assert!(matches!(error(json!({"_": "updateShort", "date": 1i64 << 40, "update": {}})), JsonError::Unnamed { .. }));
        assert!(unhex("abc").is_none() && unhex("zz").is_none() && fixed::<16>("00").is_none());
        let mut deep = json!({"_": "textEmpty"});
        for _ in 0..200 {
            deep = json!({"_": "textBold", "text": deep});
        }
        assert!(matches!(error(deep), JsonError::TooDeep { .. }));
    }
}
