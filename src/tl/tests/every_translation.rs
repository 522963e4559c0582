//! Everything of the newest layer into each older one and back: it loses what the table of differences says, and nothing else.

mod samples;

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use samples::{Presence, Samples};
use tdl_tl::dynamic::{self, Object, Value};
use tdl_tl::layers;
use tdl_tl::schema::{Definition, Kind, Schema, Type};
use tdl_tl::translate::{Change, Difference, TranslateError, Translator};

/// The table of differences, both ways.
struct Table {
    by_definition: HashMap<String, Vec<Difference>>,
    /// Constructors that stand for others.
    replacements: HashSet<String>,
}

impl Table {
    fn new(there: &Translator, back: &Translator) -> Self {
        let mut by_definition: HashMap<String, Vec<Difference>> = HashMap::new();
        let mut replacements = HashSet::new();
        for difference in there.differences().into_iter().chain(back.differences()) {
            if let Change::Replaced { by } = &difference.change {
                replacements.insert(by.split(' ').next().unwrap_or_default().to_owned());
            }
            by_definition.entry(difference.definition.clone()).or_default().push(difference);
        }
        Self { by_definition, replacements }
    }

    fn of(&self, definition: &Definition) -> &[Difference] {
        self.by_definition.get(&definition.name).map_or(&[], Vec::as_slice)
    }

    /// Whether the table says anything about an object or what is in it.
    fn mentions(&self, value: &Value<'_>) -> bool {
        self.any(value, &|_| true)
    }

    /// Whether the table says of an object, or of what is in it, that it may fail.
    fn may_fail(&self, value: &Value<'_>) -> bool {
        self.any(value, &|difference| {
            matches!(difference.change, Change::Refused | Change::Dropped | Change::Replaced { .. } | Change::Converted { .. })
                || difference.change == Change::Reshaped
        })
    }

    fn any(&self, value: &Value<'_>, wanted: &dyn Fn(&Difference) -> bool) -> bool {
        match value {
            Value::Vector(items) => items.iter().any(|item| self.any(item, wanted)),
            Value::Object(object) => {
                self.of(object.definition).iter().any(wanted) || object.values.iter().any(|value| self.any(value, wanted))
            }
            _ => false,
        }
    }

    /// Whether what came back is what went, but for what the table says.
    fn allows(&self, before: &Value<'_>, after: &Value<'_>) -> Result<(), String> {
        if before == after {
            return Ok(());
        }
        if !self.mentions(before) {
            return Err(format!("the table does not mention anything in {before:?}, which came back as {after:?}"));
        }
        match (before, after) {
            (Value::Object(was), Value::Object(now)) if was.definition.name == now.definition.name => self.fields(was, now),
            (Value::Object(was), Value::Object(now)) => {
                if let Some(inner) = self.stands_for(was) {
                    return self.allows(inner, after);
                }
                let name = &now.definition.name;
                let replaced = self.replacements.contains(name) || self.of(now.definition).iter().any(|d| d.field.is_none());
                if self.may_fail(before) && replaced { Ok(()) } else { Err(format!("became {name}: {before:?}")) }
            }
            (Value::Vector(before), Value::Vector(after)) => {
                let mut left = after.iter();
                let mut next = left.next();
                for item in before {
                    match next {
                        Some(now) if self.allows(item, now).is_ok() => next = left.next(),
                        _ if self.may_fail(item) => {}
                        other => return Err(format!("{item:?} came back as {other:?}")),
                    }
                }
                next.map_or(Ok(()), |extra| Err(format!("{extra:?} was not there before")))
            }
            _ => Err(format!("{before:?} came back as {after:?}")),
        }
    }

    /// The field that is all that an older layer can say of an object: the text in a piece of a page.
    fn stands_for<'v, 's>(&self, object: &'v Object<'s>) -> Option<&'v Value<'s>> {
        let field = self.of(object.definition).iter().find_map(|difference| match &difference.change {
            Change::Replaced { by } => by.strip_prefix('$'),
            _ => None,
        });
        object.field(field?)
    }

    fn fields(&self, before: &Object<'_>, after: &Object<'_>) -> Result<(), String> {
        let definition = before.definition;
        let listed = self.of(definition);
        for (index, param) in definition.params.iter().enumerate() {
            let (was, is) = (&before.values[index], &after.values[index]);
            if was == is || param.ty == Type::Flags {
                continue;
            }
            // The whole shape is said in other words, or just this field.
            if listed.iter().any(|d| d.field.as_ref().is_none_or(|field| *field == param.name)) {
                continue;
            }
            let twin_lost = || {
                let mut twins = definition.params.iter().zip(&before.values).filter(|(p, _)| p.flag == param.flag);
                twins.any(|(p, v)| self.may_fail(v) || listed.iter().any(|d| d.field.as_ref() == Some(&p.name)))
            };
            if param.flag.is_some() && *is == Value::Absent && twin_lost() {
                continue;
            }
            self.allows(was, is).map_err(|e| format!("{}.{}: {e}", definition.name, param.name))?;
        }
        Ok(())
    }
}

fn bytes_of(schema: &Schema, value: &Value<'_>) -> Bytes {
    let mut bytes = Vec::new();
    dynamic::encode(schema, value, &mut bytes).expect("a sample fits its own definition");
    bytes.into()
}

/// There and back, with the samples of all definitions of the newest layer.
fn there_and_back(layer: i32, presences: &[Presence]) {
    let newest = *layers::bundled().last().expect("not empty");
    let there = Translator::between(newest, layer).expect("bundled");
    let back = Translator::between(layer, newest).expect("bundled");
    let table = Table::new(&there, &back);
    let schema = layers::schema(newest).expect("bundled");
    let samples = Samples::new(schema);
    let (mut whole, mut changed, mut failed) = (0, 0, 0);
    for (index, definition) in schema.definitions().iter().enumerate() {
        for (turn, presence) in presences.iter().enumerate() {
            let mut rng = StdRng::seed_from_u64((turn << 16 | index) as u64);
            let value = samples.object(definition, *presence, &mut rng);
            let body = bytes_of(schema, &value);
            let is_call = definition.kind == Kind::Function;
            let step = |translator: &Translator, body: Bytes| match is_call {
                true => translator.request(body),
                false => translator.object(body),
            };
            let returned = match step(&there, body.clone()).and_then(|older| step(&back, older)) {
                Ok(returned) => returned,
                Err(TranslateError::Inexpressible(error)) => {
                    assert!(table.mentions(&value) && (is_call || table.may_fail(&value)), "{layer}: {error}\n{value:#?}");
                    failed += 1;
                    continue;
                }
                Err(error) => panic!("{layer}: {error}\n{value:#?}"),
            };
            let after = dynamic::decode(schema, returned).unwrap_or_else(|e| panic!("{layer}: {e}\n{value:#?}"));
            match after == value {
                true => whole += 1,
                false => changed += 1,
            }
            if let Err(why) = table.allows(&value, &after) {
                panic!("{layer}: {definition}: {why}\n{value:#?}\n{after:#?}");
            }
        }
    }
    println!("layer {layer}: {whole} as before, {changed} changed as the table says, {failed} not to be said");
    assert!(whole > schema.definitions().len() / 3, "{layer}: only {whole} came back as they went");
}

#[test]
fn layer_201_and_back_loses_what_the_table_says() {
    there_and_back(201, &[Presence::All, Presence::None, Presence::Random, Presence::Random]);
}

#[test]
fn every_other_layer_and_back_loses_what_the_table_says() {
    for layer in layers::bundled().iter().filter(|layer| **layer != 201) {
        there_and_back(*layer, &[Presence::Random]);
    }
}

#[test]
fn what_an_older_layer_says_can_be_read_in_the_newest() {
    let newest = *layers::bundled().last().expect("not empty");
    for layer in layers::bundled() {
        let up = Translator::between(*layer, newest).expect("bundled");
        let (older, newer) = (layers::schema(*layer).expect("bundled"), layers::schema(newest).expect("bundled"));
        let samples = Samples::new(older);
        for (index, definition) in older.definitions().iter().enumerate() {
            let mut rng = StdRng::seed_from_u64(index as u64);
            let value = samples.object(definition, Presence::Random, &mut rng);
            let body = bytes_of(older, &value);
            let outcome = if definition.kind == Kind::Function { up.request(body) } else { up.object(body) };
            match outcome {
                Ok(bytes) => drop(dynamic::decode(newer, bytes).unwrap_or_else(|e| panic!("{layer}: {e}\n{value:#?}"))),
                Err(TranslateError::Inexpressible(_)) => {}
                Err(error) => panic!("{layer}: {error}\n{value:#?}"),
            }
        }
    }
}
