//! Rules: what is changed on its way through the bridge.
//!
//! * [`parse`](mod@parse): the file that they are written in;
//! * [`edit`](mod@edit): setting a field of an object;
//! * here: which rules are about something, and what becomes of it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use self::edit::Edit;
use crate::crypto::hash::sha256;
use crate::mtproto::container::constructor;
use crate::tl;
use crate::tl::dynamic::{self, Value};
use crate::tl::schema::Schema;

pub mod edit;
pub mod parse;

pub use parse::{RuleError, RuleErrorKind, RuleSet};

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// A client's call, on its way to the data centre.
    Request,
    /// The answer to a call, or the error, on its way back.
    Answer,
    /// What the data centre sends of its own accord.
    Update,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What the trace calls it.
    pub name: String,
    /// What it is about: the direction…
    pub on: Direction,
    /// …the method, where `*` stands for anything; of an answer, that of the call…
    pub method: Option<String>,
    /// …the constructor of the answer or the update, or of an update in a bundle; `rpc_error` for an error…
    pub constructor: Option<String>,
    /// …and the data centre.
    pub dc: Option<i32>,
    /// Only the nth time that all of this holds, from 1.
    pub nth: Option<u64>,
    /// Only every so many times.
    pub every: Option<u64>,
    /// No more than so many times.
    pub times: Option<u64>,
    /// With this probability, 0 to 1.
    pub probability: Option<f64>,
    /// What is done.
    pub action: Action,
}

/// What a rule does.
#[derive(Clone, Debug)]
pub enum Action {
    /// It goes on later. Other rules may see to it as well.
    Delay(Duration),
    /// It goes no further: a call is never answered, an update never seen.
    Drop,
    /// Fields are set. Other rules may see to it as well.
    Edit(Vec<Edit>),
    /// The caller is answered with an error.
    Error {
        /// Its code.
        code: i32,
        /// Its text.
        text: String,
    },
    /// The caller is answered with this object, in the caller's layer.
    Answer(serde_json::Value),
    /// The client's connection is closed; what was on its way goes on, and waits for the client to come back. Other rules may see to it
    /// as well.
    Close,
}

/// Something on its way.
pub(super) struct Subject {
    pub(super) on: Direction,
    pub(super) dc: i32,
    /// The layer that the client speaks.
    pub(super) schema: &'static Schema,
    /// The method of the call; 0 for updates.
    pub(super) method: u32,
    pub(super) what: What,
}

/// A call, an answer or an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An object.
    Object(Bytes),
    /// An error.
    Error { code: i32, text: String },
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on, perhaps changed.
    Pass(What),
    /// It is the end of it.
    Drop,
    /// The caller is answered with this.
    Answer(What),
}

/// The rules' decision.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// After this long…
    pub(super) delay: Duration,
    /// …the client's connection is closed…
    pub(super) close: bool,
    /// …and this happens.
    pub(super) fate: Fate,
    /// The rules that were applied and what they did, in order.
    pub(super) applied: Vec<(String, String)>,
}

/// The rules of a bridge that runs: what they have counted so far.
pub(super) struct Rules(Vec<(Rule, Mutex<Count>)>);

struct Count {
    /// How often the rule was about something.
    seen: u64,
    /// How often it was applied.
    applied: u64,
    rng: StdRng,
}

impl Rules {
    /// Rules that have counted nothing. The same seed makes the same decisions about the same things.
    pub(super) fn new(rules: Vec<Rule>, seed: u64) -> Self {
        let arm = |(index, rule): (u64, Rule)| {
            let rng = StdRng::from_seed(sha256(&[&seed.to_le_bytes(), &index.to_le_bytes()]));
            (rule, Mutex::new(Count { seen: 0, applied: 0, rng }))
        };
        Self((0..).zip(rules).map(arm).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks every rule, in order. The first that ends something is the last that is asked.
    pub(super) fn judge(&self, subject: Subject) -> Verdict {
        let Subject { on, dc, schema, method, mut what } = subject;
        let (mut delay, mut close, mut applied) = (Duration::ZERO, false, Vec::new());
        for (rule, count) in &self.0 {
            if !rule.is_about(schema, on, dc, method, &what) || !rule.is_due(count) {
                continue;
            }
            let mut note = |action: String| applied.push((rule.name.clone(), action));
            let fate = match &rule.action {
                Action::Delay(by) => {
                    delay = delay.saturating_add(*by);
                    note(format!("delayed by {} ms", by.as_millis()));
                    continue;
                }
                Action::Edit(edits) => {
                    match edit::apply(edits, schema, on, method, &what) {
                        Ok(changed) => {
                            let fields: Vec<_> = edits.iter().map(|edit| edit.path.to_string()).collect();
                            note(format!("edited {}", fields.join(", ")));
                            what = What::Object(changed);
                        }
                        Err(error) => note(format!("not edited: {error}")),
                    }
                    continue;
                }
                Action::Close => {
                    close = true;
                    note("connection closed".to_owned());
                    continue;
                }
                Action::Drop => Fate::Drop,
                Action::Answer(json) => match parse::object(schema, json) {
                    Ok(object) => Fate::Answer(What::Object(object)),
                    // It was read in the layer of this build.
                    Err(error) => {
                        note(format!("not answered: {error}"));
                        continue;
                    }
                },
                Action::Error { code, text } => Fate::Answer(What::Error { code: *code, text: text.clone() }),
            };
            note(match &fate {
                Fate::Drop => "dropped".to_owned(),
                Fate::Answer(What::Error { code, text }) => format!("answered {code} {text}"),
                _ => "answered".to_owned(),
            });
            return Verdict { delay, close, fate, applied };
        }
        Verdict { delay, close, fate: Fate::Pass(what), applied }
    }
}

impl Rule {
    fn is_about(&self, schema: &Schema, on: Direction, dc: i32, method: u32, what: &What) -> bool {
        let matches = |pattern: &str, id: u32| {
            let name = schema.by_id(id).map(|definition| definition.name.as_str()).or_else(|| tl::name_of(id));
            tl::glob(&pattern.to_ascii_lowercase(), &name.unwrap_or_default().to_ascii_lowercase())
        };
        self.on == on
            && self.dc.is_none_or(|wanted| wanted == dc)
            && self.method.as_ref().is_none_or(|pattern| matches(pattern, method))
            && self.constructor.as_ref().is_none_or(|pattern| match what {
                What::Error { .. } => matches(pattern, RPC_ERROR),
                What::Object(body) if on == Direction::Update => in_bundle(schema, body).any(|id| matches(pattern, id)),
                What::Object(body) => matches(pattern, constructor(body)),
            })
    }

    /// Whether this is one of the times that the rule is for.
    fn is_due(&self, count: &Mutex<Count>) -> bool {
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        count.seen += 1;
        let due = self.nth.is_none_or(|nth| count.seen == nth)
            && self.every.is_none_or(|every| count.seen.is_multiple_of(every))
            && self.times.is_none_or(|times| count.applied < times)
            && self.probability.is_none_or(|probability| count.rng.random::<f64>() < probability);
        count.applied += u64::from(due);
        due
    }
}

const RPC_ERROR: u32 = 0x2144_ca19;

/// The constructors of an `Updates` object and of the updates in it.
fn in_bundle(schema: &Schema, body: &Bytes) -> impl Iterator<Item = u32> + use<> {
    let mut ids = vec![constructor(body)];
    if let Ok(Value::Object(bundle)) = dynamic::decode(schema, body.clone()) {
        let id_of = |value: &Value<'_>| match value {
            Value::Object(object) => Some(object.definition.id),
            _ => None,
        };
        match (bundle.field("updates"), bundle.field("update")) {
            (Some(Value::Vector(updates)), _) => ids.extend(updates.iter().filter_map(id_of)),
            (_, Some(update)) => ids.extend(id_of(update)),
            _ => {}
        }
    }
    ids.into_iter()
}

#[cfg(test)]
mod tests;
