//! An entry as text for people, and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Entry, Field, Shown, Times, What};
use crate::units::span;

/// Hexadecimal digits shown of a long value, unless all are asked for.
const DIGITS: usize = 48;

/// What stands in the place of a secret.
const HIDDEN: &str = "‹secret›";

impl Entry {
    /// The entry in lines for people, each with its line feed: how long it took, what it was, and its fields below. `full` shows long
    /// values whole.
    pub fn text(&self, full: bool) -> String {
        let took = format!("{:>8}", span(self.took));
        let mut out = String::new();
        let (head, fields): (String, &[Field]) = match &self.what {
            What::Message { sent, name, bytes, frame, fields } => {
                let arrow = if *sent { '→' } else { '←' };
                (format!("{took}  {arrow} {name}   {bytes} bytes, {frame} with the header"), fields)
            }
            What::Inside { name, bytes, fields } => (format!("{took}  · inside: {name}   {bytes} bytes"), fields),
            What::Computed { what, fields } => (format!("{took}  · {what}"), fields),
            What::Check { meaning, holds, known, .. } => {
                let mark = if *holds { '✓' } else { '✗' };
                let known = if *known { " (known)" } else { "" };
                (format!("{took}  {mark} {meaning}{known}"), &[])
            }
            What::Established { fields } => (format!("{took}  ✓ both sides have the key"), fields),
            What::Failed { rule, error } => (format!("{took}  ✗ {rule}: {error}"), &[]),
        };
        out.push_str(&head);
        out.push('\n');
        let width = fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
        for field in fields {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{:14}{:width$}  {}", "", field.name, field.value.text(full));
        }
        out
    }

    /// The entry as a JSON object: `took_us` and `at_us` in microseconds, and what there is to tell.
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        match &self.what {
            What::Message { sent, name, bytes, frame, fields } => {
                put("kind", json!(if *sent { "sent" } else { "received" }));
                put("name", json!(name));
                put("bytes", json!(bytes));
                put("frame_bytes", json!(frame));
                put("fields", to_object(fields));
            }
            What::Inside { name, bytes, fields } => {
                put("kind", json!("inside"));
                put("name", json!(name));
                put("bytes", json!(bytes));
                put("fields", to_object(fields));
            }
            What::Computed { what, fields } => {
                put("kind", json!("computed"));
                put("what", json!(what));
                put("fields", to_object(fields));
            }
            What::Check { check, meaning, holds, known } => {
                put("kind", json!("check"));
                put("check", json!(format!("{check:?}")));
                put("rule", json!(check.variant()));
                put("meaning", json!(meaning));
                put("holds", json!(holds));
                if *known {
                    put("known", json!(true));
                }
            }
            What::Established { fields } => {
                put("kind", json!("established"));
                put("fields", to_object(fields));
            }
            What::Failed { rule, error } => {
                put("kind", json!("failed"));
                put("rule", json!(rule));
                put("error", json!(error));
            }
        }
        put("at_us", micros(self.at));
        put("took_us", micros(self.took));
        Value::Object(object)
    }
}

impl Times {
    /// As a JSON object, in microseconds.
    pub fn json(&self) -> Value {
        json!({
            "total_us": micros(self.total),
            "waiting_us": micros(self.waiting),
            "computing_us": micros(self.computing),
        })
    }
}

impl Shown {
    fn text(&self, full: bool) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Hex { digits, number: Some(number) } => format!("0x{digits} = {number}"),
            Self::Hex { digits, number: None } => match digits.get(..DIGITS) {
                Some(shown) if !full && digits.len() > DIGITS => format!("0x{shown}… ({} bytes)", digits.len() / 2),
                _ => format!("0x{digits}"),
            },
            Self::Secret => HIDDEN.to_owned(),
        }
    }
}

fn to_object(fields: &[Field]) -> Value {
    let value = |shown: &Shown| match shown {
        Shown::Text(text) => json!(text),
        Shown::Hex { digits, .. } => json!(digits),
        // A secret that is not told is there all the same.
        Shown::Secret => Value::Null,
    };
    Value::Object(fields.iter().map(|field| (field.name.clone(), value(&field.value))).collect())
}

fn micros(span: Duration) -> Value {
    json!(span.as_nanos() as f64 / 1e3)
}
