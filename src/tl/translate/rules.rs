//! The rules of translation: `tl-schema/translation.rules`, whose head says what each kind of line means.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use thiserror::Error;

use super::pattern::{Line, Pattern, Wrong};

/// A line of the rules that does not read as one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub(super) struct RuleError {
    line: usize,
    what: Wrong,
}

/// `map LEFT -> RIGHT`; what `<->` says is two of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Map {
    /// The shape that is translated.
    pub(super) left: Pattern,
    /// What becomes of it.
    pub(super) right: Pattern,
}

/// All rules.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// `map`.
    pub(super) maps: Vec<Map>,
    /// `drop TYPE`.
    pub(super) drops: HashSet<String>,
    /// `replace NAME with P`, by constructor or type.
    pub(super) replacements: HashMap<String, Pattern>,
    /// `default DEFINITION.FIELD = P`.
    pub(super) defaults: HashMap<(String, String), Pattern>,
    /// `ignore DEFINITION.FIELD`.
    pub(super) ignored: HashSet<(String, String)>,
    /// `refuse NAME` and `refuse DEFINITION.FIELD`: whole texts.
    pub(super) refused: HashSet<String>,
}

impl Rules {
    /// Those of this build.
    pub(super) fn bundled() -> &'static Self {
        static RULES: OnceLock<Rules> = OnceLock::new();
        let text = include_str!("../../../tl-schema/translation.rules");
        RULES.get_or_init(|| Self::parse(text).expect("a test reads this text"))
    }

    pub(super) fn parse(text: &str) -> Result<Self, RuleError> {
        let mut rules = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split_once('#').map_or(line, |(code, _)| code).trim();
            if !line.is_empty() {
                rules.line(line).map_err(|what| RuleError { line: number, what })?;
            }
        }
        Ok(rules)
    }

    fn line(&mut self, text: &str) -> Result<(), Wrong> {
        let mut line = Line::new(text);
        let twice = |what: &str| Err(format!("{what} has such a rule already"));
        match line.word()? {
            "map" => {
                let left = line.pattern()?;
                let both = line.take("<->");
                if !both {
                    line.expect("->")?;
                }
                let right = line.pattern()?;
                if both {
                    self.maps.push(Map { left: right.clone(), right: left.clone() });
                }
                self.maps.push(Map { left, right });
            }
            "drop" => {
                let name = line.word()?;
                if !self.drops.insert(name.to_owned()) {
                    return twice(name);
                }
            }
            "replace" => {
                let name = line.word()?;
                if line.word()? != "with" {
                    return Err("expected \"with\"".to_owned());
                }
                if self.replacements.insert(name.to_owned(), line.pattern()?).is_some() {
                    return twice(name);
                }
            }
            "default" => {
                let field = field(line.word()?)?;
                line.expect("=")?;
                if self.defaults.insert(field.clone(), line.pattern()?).is_some() {
                    return twice(&field.1);
                }
            }
            "ignore" => {
                let field = field(line.word()?)?;
                if !self.ignored.insert(field.clone()) {
                    return twice(&field.1);
                }
            }
            "refuse" => {
                let name = line.word()?;
                if !self.refused.insert(name.to_owned()) {
                    return twice(name);
                }
            }
            other => return Err(format!("no rule is called {other:?}")),
        }
        if line.is_done() { Ok(()) } else { Err(format!("the line goes on: {:?}", line.rest())) }
    }

    /// The default of a field that the other layer does not have.
    pub(super) fn default_of(&self, definition: &str, field: &str) -> Option<&Pattern> {
        self.defaults.get(&(definition.to_owned(), field.to_owned()))
    }

    /// Whether a request may lose this field.
    pub(super) fn is_ignored(&self, definition: &str, field: &str) -> bool {
        self.ignored.contains(&(definition.to_owned(), field.to_owned()))
    }

    /// What stands for an object that cannot be expressed: by its constructor, or by its type.
    pub(super) fn replacement(&self, constructor: &str, ty: &str) -> Option<&Pattern> {
        self.replacements.get(constructor).or_else(|| self.replacements.get(ty))
    }
}

/// `messages.sendMessage.reply_to` in two.
fn field(text: &str) -> Result<(String, String), Wrong> {
    let (definition, field) = text.rsplit_once('.').ok_or_else(|| format!("{text:?} names no field"))?;
    Ok((definition.to_owned(), field.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_back_as_it_is_written() {
        let text = "map a { x: $x, w: $w*30, y: [b { z: ~[] }], t: true } <-> $s:Vector<int>  # why\n\nreplace c with d { n: 7, s: \"x y\" }\n\
                    default m.n.f = []\ndrop T\nignore m.n.g\nrefuse q\n";
        let rules = Rules::parse(text).unwrap();
        assert_eq!(rules.maps.len(), 2);
        assert_eq!(rules.maps[1].left.to_string(), "a { x: $x, w: $w*30, y: [b { z: ~[] }], t: true }");
        assert_eq!(rules.maps[1].right.to_string(), "$s:Vector<int>");
        assert_eq!(rules.maps[0].left, rules.maps[1].right);
        assert_eq!(rules.replacements["c"].to_string(), "d { n: 7, s: \"x y\" }");
        assert_eq!(rules.default_of("m.n", "f"), Some(&Pattern::Empty));
        assert!(rules.drops.contains("T") && rules.is_ignored("m.n", "g") && rules.refused.contains("q"));
        assert_eq!(Rules::parse("map a -> b").unwrap().maps.len(), 1);
    }

    #[test]
    fn every_rule_of_the_rules_has_its_error() {
        for (text, line, what) in [
            ("\nmove a", 2, "no rule is called \"move\""),
            ("map a b", 1, "expected \"->\" before \"b\""),
            ("map a -> b c", 1, "the line goes on: \"c\""),
            ("map a -> ", 1, "expected a name before \"\""),
            ("map a { x } -> b", 1, "expected \":\" before \"} -> b\""),
            ("map a { x: 1 y: 2 } -> b", 1, "expected \"}\" before \"y: 2 } -> b\""),
            ("map a { x: \"b } -> b", 1, "a text without its end"),
            ("map $x:List<int> -> b", 1, "bad type \"List<int>\""),
            ("map $x*0 -> b", 1, "bad number \"0\""),
            ("map [a -> b", 1, "expected \"]\" before \"-> b\""),
            ("drop A\ndrop A", 2, "A has such a rule already"),
            ("refuse A\nrefuse A", 2, "A has such a rule already"),
            ("ignore a.b\nignore a.b", 2, "b has such a rule already"),
            ("default a.b = 1\ndefault a.b = 2", 2, "b has such a rule already"),
            ("replace A with b\nreplace A with c", 2, "A has such a rule already"),
            ("replace A by b", 1, "expected \"with\""),
            ("ignore a", 1, "\"a\" names no field"),
        ] {
            assert_eq!(Rules::parse(text).unwrap_err(), RuleError { line, what: what.to_owned() }, "{text}");
        }
    }
}
