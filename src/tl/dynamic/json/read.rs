//! JSON to tree.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value as Json};

use super::{ByteText, JsonError, JsonErrorKind as E, JsonOptions};
use crate::dynamic::{MAX_DEPTH, MAX_VALUES, Object, Value, bare_definition, flags_of};
use crate::mtproto::SPECIAL;
use crate::schema::{Definition, Kind, Schema, Type};

/// How many candidates an error names.
const CANDIDATES: usize = 6;

/// Reads an object of the schema, a constructor or a method, by its `"_"`.
///
/// # Errors
/// See [`JsonErrorKind`](super::JsonErrorKind).
pub fn from_json<'s>(schema: &'s Schema, json: &Json, options: &JsonOptions) -> Result<Value<'s>, JsonError> {
    Reader::new(schema, options).run(|reader| reader.object(json, Expect::Any))
}

/// Reads a value of a type, such as the result of a method: `from_json_as(schema, &definition.result, …)`.
///
/// # Errors
/// See [`JsonErrorKind`](super::JsonErrorKind).
pub fn from_json_as<'s>(schema: &'s Schema, ty: &Type, json: &Json, options: &JsonOptions) -> Result<Value<'s>, JsonError> {
    Reader::new(schema, options).run(|reader| reader.value(ty, json))
}

/// Reads an object of which it is known what it is: the arguments of a method, or the fields of a constructor. `"_"` may be missing.
///
/// # Errors
/// See [`JsonErrorKind`](super::JsonErrorKind).
pub fn from_json_of<'s>(
    schema: &'s Schema,
    definition: &'s Definition,
    json: &Json,
    options: &JsonOptions,
) -> Result<Value<'s>, JsonError> {
    Reader::new(schema, options).run(|reader| reader.object(json, Expect::Definition(definition)))
}

/// What may stand in a place.
#[derive(Clone, Copy)]
enum Expect<'a, 's> {
    /// A constructor or a method.
    Any,
    /// A method.
    Method,
    /// A constructor of this type.
    Type(&'a str),
    /// This and nothing else.
    Definition(&'s Definition),
}

/// A step of the path to a value.
enum Step<'s> {
    Root(&'s str),
    Field(String),
    Index(usize),
}

struct Reader<'s, 'o> {
    schema: &'s Schema,
    options: &'o JsonOptions,
    path: Vec<Step<'s>>,
    values: usize,
    depth: usize,
}

impl<'s, 'o> Reader<'s, 'o> {
    fn new(schema: &'s Schema, options: &'o JsonOptions) -> Self {
        Self { schema, options, path: Vec::new(), values: 0, depth: 0 }
    }

    /// Reads, and gives an error the path that was walked until it happened.
    fn run<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, JsonError> {
        read(self).map_err(|kind| JsonError { path: self.path_text(), kind })
    }

    fn path_text(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Root(name) => text.push_str(name),
                Step::Field(name) if text.is_empty() => text.push_str(name),
                Step::Field(name) => text.extend([".", name]),
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        if text.is_empty() { "value".to_owned() } else { text }
    }

    /// Reads something one step further in. After an error the step stays, for the path.
    fn within<T>(&mut self, step: Step<'s>, read: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        self.path.push(step);
        let value = read(self)?;
        self.path.pop();
        Ok(value)
    }

    fn count(&mut self) -> Result<(), E> {
        self.values += 1;
        if self.values > MAX_VALUES { Err(E::TooLarge { limit: MAX_VALUES }) } else { Ok(()) }
    }

    fn object(&mut self, json: &Json, expect: Expect<'_, 's>) -> Result<Value<'s>, E> {
        self.count()?;
        let map = match json {
            Json::Object(map) => map,
            Json::Bool(value) if matches!(expect, Expect::Any) => return Ok(Value::Bool(*value)),
            other => return Err(expected("an object", other)),
        };
        let definition = match map.get("_") {
            Some(Json::String(name)) => match (expect, SPECIAL.iter().find(|(_, special)| special == name)) {
                (Expect::Any | Expect::Type("Object"), Some((id, name))) => return self.raw(*id, name, map),
                _ => self.named(name, expect)?,
            },
            Some(other) => return self.within(Step::Field("_".to_owned()), |_| Err(expected("a name", other))),
            None => self.implied(expect)?,
        };
        if definition.kind == Kind::Constructor && definition.result == Type::Bool {
            return Ok(Value::Bool(definition.name == "boolTrue"));
        }
        if self.path.is_empty() {
            self.path.push(Step::Root(&definition.name));
        }
        self.fields(definition, map).map(Value::Object)
    }

    fn raw(&mut self, id: u32, name: &'static str, map: &Map<String, Json>) -> Result<Value<'s>, E> {
        let body = match map.get("body") {
            Some(body) => self.within(Step::Field("body".to_owned()), |reader| reader.bytes(body))?,
            None => return self.within(Step::Field("body".to_owned()), |_| Err(E::MissingField { ty: "bytes".to_owned() })),
        };
        Ok(Value::Raw { id, name, body })
    }

    /// The definition with this name that may stand here.
    fn named(&self, text: &str, expect: Expect<'_, 's>) -> Result<&'s Definition, E> {
        let (name, id) = match text.split_once('#') {
            Some((name, id)) => (name, Some(u32::from_str_radix(id, 16).ok())),
            None => (text, None),
        };
        let (constructor, method) = (self.schema.constructor(name), self.schema.function(name));
        let found = match (id, expect) {
            (Some(id), _) => [constructor, method].into_iter().flatten().find(|d| Some(d.id) == id),
            (None, Expect::Definition(definition)) if definition.name == name => Some(definition),
            (None, Expect::Method) => method.or(constructor),
            (None, _) => constructor.or(method),
        };
        let Some(found) = found else {
            let candidates = self.schema.definitions().iter().filter(|d| fits(d, expect)).map(|d| d.name.as_str());
            return Err(E::UnknownName { name: text.to_owned(), nearest: nearest(text, candidates) });
        };
        if fits(found, expect) {
            return Ok(found);
        }
        let expected = match expect {
            Expect::Any => "object".to_owned(),
            Expect::Method => "method".to_owned(),
            Expect::Type(name) => name.to_owned(),
            Expect::Definition(definition) => definition.name.clone(),
        };
        Err(E::WrongType { name: text.to_owned(), expected, candidates: self.candidates(expect) })
    }

    /// The only definition that may stand here.
    fn implied(&self, expect: Expect<'_, 's>) -> Result<&'s Definition, E> {
        let only = match expect {
            Expect::Definition(definition) => Some(definition),
            Expect::Type(name) => {
                let mut all = self.schema.constructors_of(name);
                all.next().filter(|_| all.next().is_none())
            }
            Expect::Any | Expect::Method => None,
        };
        only.ok_or_else(|| E::NoName { candidates: self.candidates(expect) })
    }

    fn candidates(&self, expect: Expect<'_, 's>) -> Vec<String> {
        match expect {
            Expect::Type(name) => self.schema.constructors_of(name).take(CANDIDATES).map(|d| d.name.clone()).collect(),
            _ => Vec::new(),
        }
    }

    fn fields(&mut self, definition: &'s Definition, map: &Map<String, Json>) -> Result<Object<'s>, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::TooDeep { limit: MAX_DEPTH });
        }
        for key in map.keys() {
            if key != "_" && !definition.params.iter().any(|p| p.name == *key) {
                let names = definition.params.iter().filter(|p| p.ty != Type::Flags).map(|p| p.name.as_str());
                let (definition, nearest) = (definition.name.clone(), nearest(key, names));
                return self.within(Step::Field(key.clone()), |_| Err(E::UnknownField { definition, nearest }));
            }
        }
        self.depth += 1;
        let mut values = Vec::with_capacity(definition.params.len());
        for param in &definition.params {
            let json = map.get(&param.name).filter(|json| !json.is_null());
            values.push(match (json, &param.ty) {
                (None, Type::Flags) => Value::Flags(0),
                (None, _) if param.flag.is_some() => Value::Absent,
                (Some(Json::Bool(false)), Type::True) if param.flag.is_some() => Value::Absent,
                (json, ty) => self.within(Step::Field(param.name.clone()), |reader| match json {
                    Some(json) => reader.value(ty, json),
                    None => Err(E::MissingField { ty: ty.to_string() }),
                })?,
            });
        }
        self.depth -= 1;
        let mut object = Object { definition, values };
        self.complete_shared_bits(&mut object)?;
        for (index, param) in definition.params.iter().enumerate() {
            if param.ty == Type::Flags {
                let bits = object.values.get(index).map_or(0, |stored| flags_of(&object, &param.name, stored));
                object.values[index] = Value::Flags(bits);
            }
        }
        Ok(object)
    }

    /// Fields that share a bit are there together. A `true` among them follows by itself; another one that is missing is an error.
    fn complete_shared_bits(&mut self, object: &mut Object<'s>) -> Result<(), E> {
        let definition = object.definition;
        for (index, param) in definition.params.iter().enumerate() {
            if param.flag.is_none() || object.values[index] == Value::Absent {
                continue;
            }
            for (other, twin) in definition.params.iter().enumerate() {
                if twin.flag != param.flag || object.values[other] != Value::Absent {
                    continue;
                }
                if twin.ty != Type::True {
                    let other = twin.name.clone();
                    return self.within(Step::Field(param.name.clone()), |_| Err(E::SharedBit { other }));
                }
                object.values[other] = Value::True;
            }
        }
        Ok(())
    }

    fn value(&mut self, ty: &Type, json: &Json) -> Result<Value<'s>, E> {
        self.count()?;
        Ok(match ty {
            Type::Flags => {
                let bits = json.as_u64().ok_or_else(|| expected("a number of 32 bits", json))?;
                Value::Flags(u32::try_from(bits).map_err(|_| E::OutOfRange { value: json.to_string(), ty: "#" })?)
            }
            Type::Int => Value::Int(int(json)?),
            Type::Long => Value::Long(long(json)?),
            Type::Double => Value::Double(double(json)?),
            Type::Int128 => Value::Int128(array(json)?),
            Type::Int256 => Value::Int256(array(json)?),
            Type::String => Value::String(json.as_str().ok_or_else(|| expected("a string", json))?.into()),
            Type::Bytes => Value::Bytes(self.bytes(json)?),
            Type::True => match json {
                Json::Bool(true) => Value::True,
                other => return Err(expected("true or false", other)),
            },
            Type::Bool => match json {
                Json::Bool(value) => Value::Bool(*value),
                Json::Object(_) => self.object(json, Expect::Type("Bool"))?,
                other => return Err(expected("true or false", other)),
            },
            Type::Vector { item, .. } => {
                let items = json.as_array().ok_or_else(|| expected("an array", json))?;
                let mut values = Vec::new();
                for (index, json) in items.iter().enumerate() {
                    values.push(self.within(Step::Index(index), |reader| reader.value(item, json))?);
                }
                Value::Vector(values)
            }
            Type::Variable(_) => self.object(json, Expect::Any)?,
            Type::Call(_) => self.object(json, Expect::Method)?,
            Type::Boxed(name) => self.object(json, Expect::Type(name))?,
            Type::Bare(_) | Type::BareBoxed(_) => {
                let definition = bare_definition(self.schema, ty).map_err(|_| E::UndefinedType(ty.to_string()))?;
                self.object(json, Expect::Definition(definition))?
            }
        })
    }

    fn bytes(&self, json: &Json) -> Result<Bytes, E> {
        let text = json.as_str().ok_or_else(|| expected("a string", json))?;
        let (form, text) = match (text.strip_prefix("hex:"), text.strip_prefix("base64:")) {
            (Some(text), _) => (ByteText::Hex, text),
            (_, Some(text)) => (ByteText::Base64, text),
            (None, None) => (self.options.bytes, text),
        };
        match form {
            ByteText::Hex => unhex(text).map(Bytes::from).ok_or(E::BadBytes { form: "hexadecimal" }),
            ByteText::Base64 => STANDARD.decode(text).map(Bytes::from).map_err(|_| E::BadBytes { form: "base64" }),
        }
    }
}

/// Whether a definition may stand in a place.
fn fits(definition: &Definition, expect: Expect<'_, '_>) -> bool {
    match expect {
        Expect::Any | Expect::Type("Object") => true,
        Expect::Method => definition.kind == Kind::Function,
        Expect::Type("Bool") => definition.kind == Kind::Constructor && definition.result == Type::Bool,
        Expect::Type(name) => {
            definition.kind == Kind::Constructor && matches!(&definition.result, Type::Boxed(result) if result == name)
        }
        Expect::Definition(wanted) => *wanted == *definition,
    }
}

fn int(json: &Json) -> Result<i32, E> {
    let number = json.as_number().ok_or_else(|| expected("a whole number", json))?;
    match number.as_i64() {
        Some(value) => i32::try_from(value).map_err(|_| E::OutOfRange { value: number.to_string(), ty: "int" }),
        None if number.is_f64() => Err(expected("a whole number", json)),
        None => Err(E::OutOfRange { value: number.to_string(), ty: "int" }),
    }
}

fn long(json: &Json) -> Result<i64, E> {
    let what = "a whole number, or a string of one";
    match json {
        Json::Number(number) if !number.is_f64() => {
            number.as_i64().ok_or_else(|| E::OutOfRange { value: number.to_string(), ty: "long" })
        }
        Json::String(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(expected(what, json));
            }
            text.parse().map_err(|_| E::OutOfRange { value: excerpt(text), ty: "long" })
        }
        other => Err(expected(what, other)),
    }
}

fn double(json: &Json) -> Result<f64, E> {
    let what = || expected("a number, \"NaN\", \"Infinity\", \"-Infinity\", or \"0x\" and the 16 digits of its bits", json);
    match json {
        Json::Number(number) => number.as_f64().ok_or_else(what),
        Json::String(text) => match text.as_str() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            text => {
                let bits = text.strip_prefix("0x").and_then(unhex).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
                bits.map(|bits| f64::from_bits(u64::from_be_bytes(bits))).ok_or_else(what)
            }
        },
        _ => Err(what()),
    }
}

fn array<const N: usize>(json: &Json) -> Result<[u8; N], E> {
    let text = json.as_str().ok_or_else(|| expected("a string of hexadecimal digits", json))?;
    let text = text.strip_prefix("hex:").unwrap_or(text);
    let bytes = unhex(text).ok_or(E::BadBytes { form: "hexadecimal" })?;
    bytes.as_slice().try_into().map_err(|_| E::BadLength { expected: N, found: bytes.len() })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

fn expected(what: &str, json: &Json) -> E {
    let found = match json {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => format!("the number {number}"),
        Json::String(text) => format!("the string {:?}", excerpt(text)),
        Json::Array(_) => "an array".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    };
    E::Expected { expected: what.to_owned(), found }
}

/// The beginning of a text, for an error.
fn excerpt(text: &str) -> String {
    let mut out: String = text.chars().take(40).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

/// The name nearest to a mistyped one, if any is near. A name of half a kilobyte is no typing error.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_lowercase();
    // Without its namespace counts as near: `sendMessage` for `messages.sendMessage`.
    let distance = |candidate: &str| {
        let full = 2 * strsim::osa_distance(&lower, &candidate.to_lowercase());
        let tail = candidate.rsplit_once('.').map(|(_, tail)| 2 * strsim::osa_distance(&lower, &tail.to_lowercase()) + 1);
        tail.map_or(full, |tail| full.min(tail))
    };
    let best = candidates.map(|candidate| (distance(candidate), candidate)).min()?;
    (best.0 / 2 <= 1 + name.len() / 4).then(|| best.1.to_owned())
}
