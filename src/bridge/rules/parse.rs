//! The file that rules are written in.
//!
//! ```toml
//! [[rule]]
//! on = "request"                      # or "answer", "update"
//! method = "messages.send*"
//! probability = 0.5
//! delay = "250ms"
//! ```
//!
//! Every rule has exactly one action: `delay`, `drop`, `edit`, `error`, `answer` or `close`.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use toml::Spanned;

use super::edit::{Edit, Path, PathError};
use super::{Action, Direction, Rule};
use crate::tl;
use crate::tl::dynamic::json::{JsonError, JsonOptions, from_json};
use crate::tl::dynamic::{self, Value};
use crate::tl::layers;
use crate::tl::schema::{Kind, Schema};

/// The most rules that a bridge takes: each looks at everything that comes by.
pub const MAX_RULES: usize = 1000;

/// The rules of a file or a flag.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// What the file says decides about probabilities, if it says anything.
    pub seed: Option<u64>,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// What is wrong with a file of rules, and in which line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct RuleError {
    /// The line, from 1. Of a rule, the line where it begins.
    pub line: usize,
    /// What is wrong.
    pub kind: RuleErrorKind,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleErrorKind {
    /// It is no TOML, a key is not known, or a value is of the wrong kind.
    #[error("{0}")]
    Syntax(String),
    /// Too many.
    #[error("more than {MAX_RULES} rules")]
    TooMany,
    /// Nothing to do.
    #[error("the rule does nothing: give it one of {ACTIONS}")]
    NoAction,
    /// More than one thing to do.
    #[error("the rule has {0}, and may have only one of {ACTIONS}: write two rules")]
    SeveralActions(String),
    /// An action that is switched off.
    #[error("`{0} = false` does nothing: leave the rule out")]
    SwitchedOff(&'static str),
    /// An update is nobody's call.
    #[error("nobody waits for an answer to an update: `{0}` is for requests and answers; use `edit` or `drop`")]
    NobodyToAnswer(&'static str),
    /// A method that no update has.
    #[error("an update has no `method`: use `constructor`")]
    MethodOfUpdate,
    /// A constructor that a request does not have.
    #[error("a request has no `constructor`: use `method`")]
    ConstructorOfRequest,
    /// A pattern that matches nothing of the schema.
    #[error("no {what} of the schema matches '{pattern}' (`tdl tl ls` lists them)")]
    MatchesNothing {
        /// A method or a constructor.
        what: &'static str,
        /// The pattern.
        pattern: String,
    },
    /// `nth`, `every` and `times` count from 1.
    #[error("`{0}` counts from 1")]
    CountsFromOne(&'static str),
    /// A probability out of range.
    #[error("the probability {0} is not between 0 and 1")]
    Probability(f64),
    /// A span of time that is none.
    #[error("'{0}' is not a span of time: write 250ms, 2s, 1.5s or 1m, up to an hour")]
    Span(String),
    /// An error's code that `rpc_error` never has.
    #[error("0 is no code of an error")]
    ZeroCode,
    /// Nothing is set.
    #[error("`edit` sets no field")]
    NothingEdited,
    /// A path that is none.
    #[error("{0}")]
    Path(#[from] PathError),
    /// An object that the schema does not have.
    #[error("answer: {0}")]
    Object(#[from] JsonError),
    /// A method, where an object is due.
    #[error("answer: {0} is a method, and an answer is an object")]
    AnswerIsMethod(String),
    /// An object that has no bytes.
    #[error("answer: {0}")]
    Unwritable(#[from] dynamic::Error),
}

const ACTIONS: &str = "delay, drop, edit, error, answer, close";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    seed: Option<u64>,
    #[serde(default)]
    rule: Vec<Spanned<Written>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    on: Direction,
    method: Option<String>,
    constructor: Option<String>,
    dc: Option<i32>,
    nth: Option<u64>,
    every: Option<u64>,
    times: Option<u64>,
    probability: Option<f64>,
    delay: Option<String>,
    drop: Option<bool>,
    edit: Option<toml::Table>,
    error: Option<WrittenError>,
    answer: Option<toml::Value>,
    close: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenError {
    code: i32,
    text: String,
}

impl RuleSet {
    /// Reads a file of rules.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let kind = RuleErrorKind::Syntax(error.message().trim().replace('\n', "; "));
            RuleError { line: line_of(text, error.span().unwrap_or_default()), kind }
        })?;
        if file.rule.len() > MAX_RULES {
            return Err(RuleError { line: 1, kind: RuleErrorKind::TooMany });
        }
        let mut rules = Vec::with_capacity(file.rule.len());
        for (number, written) in (1..).zip(file.rule) {
            let line = line_of(text, written.span());
            let rule = rule(number, written.into_inner()).map_err(|kind| RuleError { line, kind })?;
            rules.push(rule);
        }
        Ok(Self { seed: file.seed, rules })
    }

    /// Reads one rule as a flag has it: what stands in a file's `[[rule]]`, on one line with commas.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_one(text: &str) -> Result<Self, RuleError> {
        Self::parse(&format!("rule = [{{ {text} }}]"))
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    let before = text.get(..span.start.min(text.len())).unwrap_or(text);
    1 + before.bytes().filter(|byte| *byte == b'\n').count()
}

fn rule(number: usize, written: Written) -> Result<Rule, RuleErrorKind> {
    let Written { on, nth, every, times, probability, .. } = written;
    if written.method.is_some() && on == Direction::Update {
        return Err(RuleErrorKind::MethodOfUpdate);
    }
    if written.constructor.is_some() && on == Direction::Request {
        return Err(RuleErrorKind::ConstructorOfRequest);
    }
    known(written.method.as_deref(), Kind::Function, "method")?;
    known(written.constructor.as_deref(), Kind::Constructor, "constructor")?;
    for (name, value) in [("nth", nth), ("every", every), ("times", times)] {
        if value == Some(0) {
            return Err(RuleErrorKind::CountsFromOne(name));
        }
    }
    if let Some(probability) = probability.filter(|probability| !(0.0..=1.0).contains(probability)) {
        return Err(RuleErrorKind::Probability(probability));
    }
    Ok(Rule {
        name: written.name.clone().unwrap_or_else(|| format!("rule {number}")),
        on,
        method: written.method.clone(),
        constructor: written.constructor.clone(),
        dc: written.dc,
        nth,
        every,
        times,
        probability,
        action: action(written)?,
    })
}

/// A pattern that matches nothing in any layer is a misspelt one.
fn known(pattern: Option<&str>, kind: Kind, what: &'static str) -> Result<(), RuleErrorKind> {
    let Some(pattern) = pattern else { return Ok(()) };
    let lower = pattern.to_ascii_lowercase();
    let in_layer = |schema: &Schema| {
        let mut all = schema.definitions().iter().filter(|definition| definition.kind == kind);
        all.any(|definition| tl::glob(&lower, &definition.name.to_ascii_lowercase()))
    };
    // The newest first: it is there already, and nearly always the one that is meant.
    match layers::bundled().iter().rev().filter_map(|layer| layers::schema(*layer).ok()).any(in_layer) {
        true => Ok(()),
        false => Err(RuleErrorKind::MatchesNothing { what, pattern: pattern.to_owned() }),
    }
}

fn action(written: Written) -> Result<Action, RuleErrorKind> {
    let Written { on, delay, drop, edit, error, answer, close, .. } = written;
    let there = [
        ("delay", delay.is_some()),
        ("drop", drop.is_some()),
        ("edit", edit.is_some()),
        ("error", error.is_some()),
        ("answer", answer.is_some()),
        ("close", close.is_some()),
    ];
    let there: Vec<_> = there.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
    if there.len() > 1 {
        return Err(RuleErrorKind::SeveralActions(there.join(" and ")));
    }
    if on == Direction::Update
        && let Some(name) = there.first().copied().filter(|name| ["error", "answer"].contains(name))
    {
        return Err(RuleErrorKind::NobodyToAnswer(name));
    }
    if let Some(text) = delay {
        return Ok(Action::Delay(span(&text).ok_or(RuleErrorKind::Span(text))?));
    }
    if let Some(edit) = edit {
        let mut edits = Vec::new();
        flatten(&edit, &mut Vec::new(), &mut edits)?;
        return if edits.is_empty() { Err(RuleErrorKind::NothingEdited) } else { Ok(Action::Edit(edits)) };
    }
    if let Some(WrittenError { code, text }) = error {
        return if code == 0 { Err(RuleErrorKind::ZeroCode) } else { Ok(Action::Error { code, text }) };
    }
    if let Some(answer) = answer {
        let json = json_of(&answer);
        object(tl::compiled_schema(), &json)?;
        return Ok(Action::Answer(json));
    }
    match (drop, close) {
        (Some(true), _) => Ok(Action::Drop),
        (_, Some(true)) => Ok(Action::Close),
        (Some(false), _) => Err(RuleErrorKind::SwitchedOff("drop")),
        (_, Some(false)) => Err(RuleErrorKind::SwitchedOff("close")),
        (None, None) => Err(RuleErrorKind::NoAction),
    }
}

/// The bytes of an object in a layer.
pub(super) fn object(schema: &Schema, json: &serde_json::Value) -> Result<Bytes, RuleErrorKind> {
    let value = from_json(schema, json, &JsonOptions::default())?;
    if let Value::Object(object) = &value
        && object.definition.kind == Kind::Function
    {
        return Err(RuleErrorKind::AnswerIsMethod(object.definition.name.clone()));
    }
    let mut out = Vec::new();
    dynamic::encode(schema, &value, &mut out)?;
    Ok(out.into())
}

/// `a.b = 1`, `a = { b = 1 }` and `"a.b" = 1` are the same. A table with a `_` is an object.
fn flatten(table: &toml::Table, above: &mut Vec<String>, out: &mut Vec<Edit>) -> Result<(), RuleErrorKind> {
    for (key, value) in table {
        above.push(key.clone());
        match value {
            toml::Value::Table(below) if !below.contains_key("_") => flatten(below, above, out)?,
            value => out.push(Edit { path: Path::parse(&above.join("."))?, value: json_of(value) }),
        }
        above.pop();
    }
    Ok(())
}

fn json_of(value: &toml::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        toml::Value::String(text) => Json::String(text.clone()),
        toml::Value::Integer(number) => Json::from(*number),
        toml::Value::Float(number) => Json::from(*number),
        toml::Value::Boolean(value) => Json::Bool(*value),
        toml::Value::Datetime(time) => Json::String(time.to_string()),
        toml::Value::Array(items) => Json::Array(items.iter().map(json_of).collect()),
        toml::Value::Table(table) => Json::Object(table.iter().map(|(key, value)| (key.clone(), json_of(value))).collect()),
    }
}

/// The longest delay: what waits longer is lost anyway.
const LONGEST: Duration = Duration::from_secs(3600);

fn span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let span = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * factor).ok()?;
    (span <= LONGEST).then_some(span)
}

impl fmt::Display for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules", self.rules.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> RuleErrorKind {
        RuleSet::parse_one(text).unwrap_err().kind
    }

    #[test]
    fn every_key_means_something() {
        let text = r#"
            seed = 7
            [[rule]]
            name = "slow"
            on = "request"
            method = "messages.send*"
            dc = 2
            nth = 3
            delay = "250ms"

            [[rule]]
            on = "answer"
            constructor = "rpc_error"
            every = 2
            times = 5
            probability = 0.5
            error = { code = 420, text = "FLOOD_WAIT_3" }

            [[rule]]
            on = "answer"
            method = "help.getConfig"
            edit = { this_dc = 3, "a.b" = 1, c.d = { _ = "boolTrue" } }
        "#;
        let set = RuleSet::parse(text).unwrap();
        assert_eq!(set.seed, Some(7));
        let [slow, flood, edit] = &set.rules[..] else { panic!("{set}") };
        assert_eq!((slow.name.as_str(), slow.on, slow.dc, slow.nth), ("slow", Direction::Request, Some(2), Some(3)));
        assert!(matches!(slow.action, Action::Delay(by) if by == Duration::from_millis(250)));
        assert_eq!((flood.name.as_str(), flood.every, flood.times, flood.probability), ("rule 2", Some(2), Some(5), Some(0.5)));
        assert!(matches!(&flood.action, Action::Error { code: 420, text } if text == "FLOOD_WAIT_3"));
        let Action::Edit(edits) = &edit.action else { panic!("{edit:?}") };
        let paths: Vec<_> = edits.iter().map(|edit| edit.path.to_string()).collect();
        assert_eq!(paths, ["a.b", "c.d", "this_dc"]);
    }

    #[test]
    fn each_rule_of_the_file_is_an_error_of_its_own() {
        use RuleErrorKind as E;
        assert_eq!(kind(r#"on = "request""#), E::NoAction);
        assert_eq!(kind(r#"on = "request", drop = true, delay = "1s""#), E::SeveralActions("delay and drop".into()));
        assert_eq!(kind(r#"on = "request", drop = false"#), E::SwitchedOff("drop"));
        assert_eq!(kind(r#"on = "request", close = false"#), E::SwitchedOff("close"));
        assert_eq!(kind(r#"on = "update", answer = { _ = "boolTrue" }"#), E::NobodyToAnswer("answer"));
        assert_eq!(kind(r#"on = "update", error = { code = 1, text = "X" }"#), E::NobodyToAnswer("error"));
        assert_eq!(kind(r#"on = "update", method = "*", drop = true"#), E::MethodOfUpdate);
        assert_eq!(kind(r#"on = "request", constructor = "*", drop = true"#), E::ConstructorOfRequest);
        assert_eq!(
            kind(r#"on = "request", method = "mesages.*", drop = true"#),
            E::MatchesNothing { what: "method", pattern: "mesages.*".into() }
        );
        assert_eq!(
            kind(r#"on = "answer", constructor = "help.getConfig", drop = true"#),
            E::MatchesNothing { what: "constructor", pattern: "help.getConfig".into() }
        );
        for name in ["nth", "every", "times"] {
            assert_eq!(kind(&format!(r#"on = "request", {name} = 0, drop = true"#)), E::CountsFromOne(name));
        }
        assert_eq!(kind(r#"on = "request", probability = 1.5, drop = true"#), E::Probability(1.5));
        for span in ["", "5", "soon", "-1s", "61m", "1.2.3s", "1e400s"] {
            assert_eq!(kind(&format!(r#"on = "request", delay = "{span}""#)), E::Span(span.into()));
        }
        assert_eq!(kind(r#"on = "request", error = { code = 0, text = "X" }"#), E::ZeroCode);
        assert_eq!(kind(r#"on = "request", edit = {}"#), E::NothingEdited);
        assert!(matches!(kind(r#"on = "request", edit = { "a..b" = 1 }"#), E::Path(_)));
        assert!(matches!(kind(r#"on = "request", answer = { _ = "noSuch" }"#), E::Object(_)));
        let method = kind(r#"on = "request", answer = { _ = "help.getConfig" }"#);
        assert_eq!(method, E::AnswerIsMethod("help.getConfig".into()));
        assert!(matches!(kind(r#"on = "sideways", drop = true"#), E::Syntax(_)));
        assert!(matches!(kind(r#"on = "request", dorp = true"#), E::Syntax(text) if text.contains("dorp")));
        let many = "[[rule]]\non = \"request\"\ndrop = true\n".repeat(MAX_RULES + 1);
        assert_eq!(RuleSet::parse(&many).unwrap_err().kind, E::TooMany);
    }

    #[test]
    fn an_error_says_in_which_line() {
        let line = |text| RuleSet::parse(text).unwrap_err().line;
        assert_eq!(line("[[rule]]\non = \"request\"\ndrop = true\n\n[[rule]]\non = \"request\"\n"), 5);
        assert_eq!(line("[[rule]]\non = \"request\"\ndrop = maybe\n"), 3);
        assert_eq!(line("[[rule]]\non = \"request\"\ndorp = true\n"), 3);
        assert_eq!(line("seed = 1\nsede = 2\n"), 2);
    }
}
