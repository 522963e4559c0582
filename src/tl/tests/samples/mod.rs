//! Random values of a schema's definitions, made from the schema alone.

use std::collections::HashMap;

use rand::Rng;
use rand::rngs::StdRng;
use tdl_tl::dynamic::{Object, Value};
use tdl_tl::schema::{Definition, Kind, Param, Schema, Type};

/// Which conditional parameters a sample has, at its top level; further in it is left to chance.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "each test that includes this file uses a part of it")]
pub(crate) enum Presence {
    All,
    None,
    Random,
}

/// Deeper than this, samples are as small as the schema allows.
const DEPTH: usize = 5;

pub(crate) struct Samples<'s> {
    schema: &'s Schema,
    /// For each type, the constructor that leads to an end in the fewest steps.
    shortest: HashMap<String, &'s Definition>,
}

impl<'s> Samples<'s> {
    pub(crate) fn new(schema: &'s Schema) -> Self {
        let mut shortest: HashMap<String, &'s Definition> = HashMap::new();
        // A type gets its shortest constructor in the first round in which all that this one needs has one.
        loop {
            let mut found = Vec::new();
            for definition in schema.definitions().iter().filter(|d| d.kind == Kind::Constructor) {
                let ends = |p: &Param| match &p.ty {
                    Type::Boxed(name) if p.flag.is_none() => shortest.contains_key(name),
                    _ => true,
                };
                let ty = definition.result.to_string();
                if !shortest.contains_key(&ty) && definition.params.iter().all(ends) {
                    found.push((ty, definition));
                }
            }
            if found.is_empty() {
                return Self { schema, shortest };
            }
            for (ty, definition) in found {
                shortest.entry(ty).or_insert(definition);
            }
        }
    }

    pub(crate) fn object(&self, definition: &'s Definition, presence: Presence, rng: &mut StdRng) -> Value<'s> {
        if definition.kind == Kind::Constructor && definition.result == Type::Bool {
            return Value::Bool(definition.name == "boolTrue");
        }
        Value::Object(self.fields(definition, presence, 0, rng))
    }

    fn fields(&self, definition: &'s Definition, presence: Presence, depth: usize, rng: &mut StdRng) -> Object<'s> {
        // Bits are drawn first, because several parameters may share one.
        let mut bits: HashMap<&str, u32> = HashMap::new();
        for param in &definition.params {
            let Some(flag) = &param.flag else { continue };
            let mask = 1 << flag.bit;
            let set = match presence {
                _ if depth > DEPTH => false,
                Presence::All => true,
                Presence::None => false,
                Presence::Random => rng.next_u32().is_multiple_of(3),
            };
            *bits.entry(&flag.field).or_default() |= if set { mask } else { 0 };
        }
        let mut values = Vec::new();
        for param in &definition.params {
            let there = param.flag.as_ref().is_none_or(|f| bits.get(f.field.as_str()).is_some_and(|b| b >> f.bit & 1 != 0));
            values.push(match &param.ty {
                Type::Flags => Value::Flags(bits.get(param.name.as_str()).copied().unwrap_or_default()),
                _ if !there => Value::Absent,
                ty => self.value(ty, depth + 1, rng),
            });
        }
        Object { definition, values }
    }

    pub(crate) fn value(&self, ty: &Type, depth: usize, rng: &mut StdRng) -> Value<'s> {
        match ty {
            Type::Flags => Value::Flags(0),
            Type::True => Value::True,
            Type::Int => Value::Int(rng.next_u32() as i32),
            Type::Long => Value::Long(rng.next_u64() as i64),
            Type::Double => Value::Double(f64::from(rng.next_u32()) / 7.0),
            Type::Int128 => Value::Int128(filled(rng)),
            Type::Int256 => Value::Int256(filled(rng)),
            Type::Bool => Value::Bool(rng.next_u32().is_multiple_of(2)),
            Type::String => {
                let length = length(depth, rng);
                Value::String((0..length).map(|_| ['a', 'ß', '漢', '🦀'][below(rng, 4)]).collect::<String>().into())
            }
            Type::Bytes => {
                let mut bytes = vec![0; length(depth, rng)];
                rng.fill_bytes(&mut bytes);
                Value::Bytes(bytes.into())
            }
            Type::Vector { item, .. } => {
                let count = if depth > DEPTH { 0 } else { below(rng, 3) };
                Value::Vector((0..count).map(|_| self.value(item, depth + 1, rng)).collect())
            }
            Type::Boxed(name) => {
                let all: Vec<_> = self.schema.constructors_of(name).collect();
                let definition = if depth > DEPTH { self.shortest[name] } else { all[below(rng, all.len())] };
                Value::Object(self.fields(definition, Presence::Random, depth, rng))
            }
            Type::Bare(name) => {
                let definition = self.schema.constructor(name).expect("the schema is complete");
                Value::Object(self.fields(definition, Presence::Random, depth, rng))
            }
            Type::BareBoxed(name) => {
                let definition = self.schema.constructors_of(name).next().expect("the schema is complete");
                Value::Object(self.fields(definition, Presence::Random, depth, rng))
            }
            Type::Variable(_) | Type::Call(_) => {
                let definition = self.schema.function("help.getConfig").expect("the schema is complete");
                Value::Object(Object { definition, values: Vec::new() })
            }
        }
    }
}

/// Mostly short; at times beyond what one length byte can say.
fn length(depth: usize, rng: &mut StdRng) -> usize {
    if depth <= 1 && rng.next_u32().is_multiple_of(16) { 254 + below(rng, 10) } else { below(rng, 20) }
}

pub(crate) fn below(rng: &mut StdRng, bound: usize) -> usize {
    rng.next_u32() as usize % bound
}

fn filled<const N: usize>(rng: &mut StdRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
