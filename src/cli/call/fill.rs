//! What the arguments of a call may leave out or say shortly, guided by the schema: peers by name, lists of one, constructors by name,
//! `random_id`, and, if it is wanted, every empty value.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};
use tdl::tl::{
    api::enums::InputPeer,
    schema::{Definition, Schema, Type},
};

/// Objects deeper than this are left as they are: whoever reads them complains.
const DEEPEST: usize = 64;

/// The types that name somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerKind {
    /// `InputPeer`.
    Peer,
    /// `InputUser`.
    User,
    /// `InputChannel`.
    Channel,
}

impl PeerKind {
    /// The kind of peer that a type names, if it names one.
    pub(super) fn of(type_name: &str) -> Option<Self> {
        match type_name {
            "InputPeer" => Some(Self::Peer),
            "InputUser" => Some(Self::User),
            "InputChannel" => Some(Self::Channel),
            _ => None,
        }
    }

    /// What stands for no peer at all.
    pub(super) fn nobody(self) -> Json {
        let name = match self {
            Self::Peer => "inputPeerEmpty",
            Self::User => "inputUserEmpty",
            Self::Channel => "inputChannelEmpty",
        };
        json!({ "_": name })
    }

    /// A peer as this type says it; `None` if it cannot.
    fn json(self, input: &InputPeer) -> Option<Json> {
        let name = |peer: &'static str, other: &'static str| if self == Self::Peer { peer } else { other };
        Some(match (input, self) {
            (InputPeer::PeerSelf, Self::Peer | Self::User) => json!({ "_": name("inputPeerSelf", "inputUserSelf") }),
            (InputPeer::User(it), Self::Peer | Self::User) => json!({
                "_": name("inputPeerUser", "inputUser"),
                "user_id": it.user_id.to_string(),
                "access_hash": it.access_hash.to_string(),
            }),
            (InputPeer::Channel(it), Self::Peer | Self::Channel) => json!({
                "_": name("inputPeerChannel", "inputChannel"),
                "channel_id": it.channel_id.to_string(),
                "access_hash": it.access_hash.to_string(),
            }),
            (InputPeer::Chat(it), Self::Peer) => json!({ "_": "inputPeerChat", "chat_id": it.chat_id.to_string() }),
            _ => return None,
        })
    }
}

/// Peers that were looked up, by what they were called.
#[derive(Default)]
pub(super) struct Shortcuts(HashMap<String, InputPeer>);

impl Shortcuts {
    pub(super) fn new(found: HashMap<String, InputPeer>) -> Self {
        Self(found)
    }

    /// A peer as one of the types says it.
    pub(super) fn get(&self, kind: PeerKind, text: &str) -> Result<Json, String> {
        let input = self.0.get(text).ok_or_else(|| format!("'{text}' was not looked up"))?;
        kind.json(input).ok_or_else(|| {
            let wanted = if kind == PeerKind::User { "a user" } else { "a channel or supergroup" };
            format!("'{text}' is not {wanted}")
        })
    }
}

/// What was put in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    /// Where random numbers were drawn, and the first of each.
    random: Vec<(String, i64)>,
    /// Where empty values were put.
    empty: Vec<String>,
}

impl Filled {
    /// What a person should know of it.
    pub(super) fn notes(&self) -> Vec<String> {
        let random = self.random.iter().map(|(path, number)| format!("{path} was missing and has been drawn: {number}"));
        let empty = (!self.empty.is_empty()).then(|| format!("filled with empty values: {}", self.empty.join(", ")));
        random.chain(empty).collect()
    }
}

/// Completes arguments in place.
pub(super) struct Filler<'a> {
    pub(super) schema: &'a Schema,
    /// Whether fields that are missing get empty values.
    pub(super) empty: bool,
    /// Gives the object for a peer that was named shortly.
    pub(super) shortcut: &'a mut dyn FnMut(PeerKind, &str) -> Result<Json, String>,
    /// Draws numbers.
    pub(super) random: &'a mut dyn FnMut() -> i64,
}

impl Filler<'_> {
    /// Completes the arguments of a method.
    pub(super) fn method(
        &mut self,
        method: &Definition,
        arguments: &mut Map<String, Json>,
        filled: &mut Filled,
    ) -> Result<(), String> {
        self.fields(method, arguments, "", DEEPEST, filled)
    }

    fn fields(
        &mut self,
        definition: &Definition,
        fields: &mut Map<String, Json>,
        path: &str,
        depth: usize,
        filled: &mut Filled,
    ) -> Result<(), String> {
        for param in &definition.params {
            let path = if path.is_empty() { param.name.clone() } else { format!("{path}.{}", param.name) };
            let missing = fields.get(&param.name).is_none_or(Json::is_null);
            if !missing {
                if let Some(value) = fields.get_mut(&param.name) {
                    self.value(&param.ty, value, &path, depth, filled)?;
                }
                continue;
            }
            if param.flag.is_some() {
                continue;
            }
            let value = match self.drawn(&param.name, &param.ty, fields, &path, filled) {
                Some(drawn) => Some(drawn),
                None if self.empty => self.empty_value(&param.ty, depth).inspect(|_| filled.empty.push(path)),
                None => None,
            };
            if let Some(value) = value {
                fields.insert(param.name.clone(), value);
            }
        }
        Ok(())
    }

    /// The random number, or numbers, that a field of that name wants: one for each message of a list.
    fn drawn(&mut self, name: &str, ty: &Type, fields: &Map<String, Json>, path: &str, filled: &mut Filled) -> Option<Json> {
        if !is_drawn(name, ty) {
            return None;
        }
        let (value, first) = match ty {
            Type::Long => {
                let number = (self.random)();
                (json!(number.to_string()), number)
            }
            Type::Int => {
                // The upper half of a random number is one as well.
                let number = (self.random)() >> 32;
                (json!(number), number)
            }
            Type::Vector { .. } => {
                let count = match fields.get("id") {
                    Some(Json::Array(messages)) => messages.len(),
                    Some(_) => 1,
                    None => return None,
                };
                let numbers: Vec<i64> = (0..count).map(|_| (self.random)()).collect();
                (json!(numbers.iter().map(i64::to_string).collect::<Vec<_>>()), *numbers.first()?)
            }
            _ => return None,
        };
        filled.random.push((path.to_owned(), first));
        Some(value)
    }

    fn value(&mut self, ty: &Type, value: &mut Json, path: &str, depth: usize, filled: &mut Filled) -> Result<(), String> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
        match ty {
            Type::Vector { item, .. } => {
                if !value.is_array() {
                    *value = Json::Array(vec![value.take()]);
                }
                for (at, element) in value.as_array_mut().into_iter().flatten().enumerate() {
                    self.value(item, element, &format!("{path}[{at}]"), depth, filled)?;
                }
                Ok(())
            }
            Type::Boxed(name) => {
                if let Some(short) = short_name(value) {
                    let constructor = self.schema.constructor(&short).filter(|it| it.result == *ty);
                    match (constructor, PeerKind::of(name)) {
                        (Some(constructor), _) => *value = json!({ "_": constructor.name }),
                        (None, Some(kind)) => {
                            *value = (self.shortcut)(kind, &short).map_err(|why| format!("{path}: {why}"))?;
                        }
                        // A message of the account's own chats, by its number.
                        (None, None) if name == "InputMessage" && short.parse::<i32>().is_ok() => {
                            *value = json!({ "_": "inputMessageID", "id": short.parse::<i32>().unwrap_or_default() });
                        }
                        (None, None) => {}
                    }
                }
                let schema = self.schema;
                self.object(value, || only(schema.constructors_of(name)), path, depth, filled)
            }
            Type::Bare(name) => {
                let schema = self.schema;
                self.object(value, || schema.constructor(name), path, depth, filled)
            }
            Type::BareBoxed(name) => {
                let schema = self.schema;
                self.object(value, || only(schema.constructors_of(name)), path, depth, filled)
            }
            // A call inside a call says by its name which it is.
            Type::Call(_) => {
                if let Some(short) = short_name(value).filter(|name| self.schema.function(name).is_some()) {
                    *value = json!({ "_": short });
                }
                self.object(value, || None, path, depth, filled)
            }
            _ => Ok(()),
        }
    }

    /// Completes an object, which says by its `"_"` what it is, or is the only one that can stand there.
    fn object<'d>(
        &mut self,
        value: &mut Json,
        only: impl FnOnce() -> Option<&'d Definition>,
        path: &str,
        depth: usize,
        filled: &mut Filled,
    ) -> Result<(), String> {
        let Json::Object(fields) = value else { return Ok(()) };
        let schema = self.schema;
        let definition = match fields.get("_") {
            Some(Json::String(name)) => schema.constructor(name).or_else(|| schema.function(name)).cloned(),
            Some(_) => None,
            None => only().cloned(),
        };
        match definition {
            Some(definition) => self.fields(&definition, fields, path, depth, filled),
            None => Ok(()),
        }
    }

    /// The emptiest value of a type, if it has one that means nothing in particular.
    fn empty_value(&self, ty: &Type, depth: usize) -> Option<Json> {
        empty_value(self.schema, ty, depth.min(4))
    }
}

/// Whether a field is a random number of the caller's own, or a list of them. That of sponsored messages is bytes, and the server's.
pub(super) fn is_drawn(name: &str, ty: &Type) -> bool {
    let number = |ty: &Type| matches!(ty, Type::Long | Type::Int);
    name == "random_id" && (number(ty) || matches!(ty, Type::Vector { item, .. } if **item == Type::Long))
}

/// A name or number that stands for an object.
fn short_name(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn only<'a>(mut all: impl Iterator<Item = &'a Definition>) -> Option<&'a Definition> {
    let first = all.next();
    first.filter(|_| all.next().is_none())
}

fn empty_value(schema: &Schema, ty: &Type, depth: usize) -> Option<Json> {
    Some(match ty {
        Type::Int | Type::Double => json!(0),
        Type::Long => json!("0"),
        Type::String | Type::Bytes => json!(""),
        Type::Int128 => json!("0".repeat(32)),
        Type::Int256 => json!("0".repeat(64)),
        Type::Bool => json!(false),
        Type::Vector { .. } => json!([]),
        Type::Boxed(name) => {
            let mut bare = schema.constructors_of(name).filter(|it| it.params.is_empty());
            let named_empty = bare.find(|it| it.name.ends_with("Empty"));
            match named_empty.or_else(|| only(schema.constructors_of(name))) {
                Some(constructor) => object_of_empty(schema, constructor, depth.checked_sub(1)?)?,
                None => return None,
            }
        }
        Type::Bare(name) => object_of_empty(schema, schema.constructor(name)?, depth.checked_sub(1)?)?,
        Type::BareBoxed(name) => object_of_empty(schema, only(schema.constructors_of(name))?, depth.checked_sub(1)?)?,
        Type::Flags | Type::True | Type::Variable(_) | Type::Call(_) => return None,
    })
}

fn object_of_empty(schema: &Schema, definition: &Definition, depth: usize) -> Option<Json> {
    let mut fields = Map::new();
    fields.insert("_".to_owned(), json!(definition.name));
    for param in definition.params.iter().filter(|param| param.flag.is_none() && param.ty != Type::Flags) {
        fields.insert(param.name.clone(), empty_value(schema, &param.ty, depth)?);
    }
    Some(Json::Object(fields))
}
