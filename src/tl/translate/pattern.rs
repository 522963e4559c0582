//! The language of the rules: shapes that match a value on one side and make one on the other.

use std::fmt;

use crate::schema::{Definition, ParseErrorKind, Schema, Type};

/// A shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pattern {
    /// `$x`, `$x!` or `$x:Type`: any value, under a name.
    Variable {
        /// The name, without `$`.
        name: String,
        /// It must not be absent.
        certain: bool,
        /// The type that the value must have.
        ty: Option<Type>,
    },
    /// `$x*N`: an `int` that is N times what the name stands for.
    Scaled {
        /// The name, without `$`.
        name: String,
        /// N, above zero.
        times: i32,
    },
    /// `7`.
    Number(i32),
    /// `"text"`.
    Text(String),
    /// `true` and `false`: of `Bool` and of `flags.N?true`.
    Bool(bool),
    /// `[]`: a vector without elements.
    Empty,
    /// `[P]`: a vector of one element. In an answer it matches longer ones too, by their first.
    One(Box<Self>),
    /// `~P`: matches anything, makes `P`.
    Loose(Box<Self>),
    /// `name { field: P, … }`; `name` alone has no fields to look at.
    Object {
        /// Constructor or method.
        name: String,
        /// Fields that are looked at.
        fields: Vec<(String, Self)>,
    },
}

impl Pattern {
    /// The constructor or method that it stands for, if it is an object.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Object { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whether there is a variable in it.
    pub(super) fn has_variable(&self) -> bool {
        match self {
            Self::Variable { .. } | Self::Scaled { .. } => true,
            Self::One(inner) | Self::Loose(inner) => inner.has_variable(),
            Self::Object { fields, .. } => fields.iter().any(|(_, p)| p.has_variable()),
            Self::Number(_) | Self::Text(_) | Self::Bool(_) | Self::Empty => false,
        }
    }

    /// Whether it describes a conditional field that is not there, too: all in it is variable, and none of it certain.
    pub(super) fn may_be_absent(&self) -> bool {
        let mut certain = false;
        let mut open = vec![self];
        while let Some(pattern) = open.pop() {
            match pattern {
                Self::Variable { certain: true, .. } => certain = true,
                Self::One(inner) | Self::Loose(inner) => open.push(inner),
                Self::Object { fields, .. } => open.extend(fields.iter().map(|(_, inner)| inner)),
                _ => {}
            }
        }
        self.has_variable() && !certain
    }

    /// Whether a schema has all constructors, methods and fields that it mentions.
    pub(super) fn is_known_to(&self, schema: &Schema) -> bool {
        match self {
            Self::One(inner) | Self::Loose(inner) => inner.is_known_to(schema),
            Self::Object { name, fields } => definition(schema, name).is_some_and(|definition| {
                fields.iter().all(|(field, p)| definition.params.iter().any(|q| q.name == *field) && p.is_known_to(schema))
            }),
            Self::Variable { ty: Some(ty), .. } => type_is_known(schema, ty),
            _ => true,
        }
    }

    /// Whether a value that it makes can stand where this type is expected; `None` is any object.
    pub(super) fn fits(&self, schema: &Schema, ty: Option<&Type>) -> bool {
        let Some(ty) = ty else { return matches!(self, Self::Object { .. } | Self::Variable { .. }) };
        match self {
            Self::Variable { ty: own, .. } => own.as_ref().is_none_or(|own| own == ty),
            Self::Scaled { .. } => *ty == Type::Int,
            Self::Number(_) => matches!(ty, Type::Int | Type::Long | Type::Double),
            Self::Text(_) => matches!(ty, Type::String | Type::Bytes),
            Self::Bool(_) => matches!(ty, Type::Bool | Type::True),
            Self::Empty => matches!(ty, Type::Vector { .. }),
            Self::One(inner) => matches!(ty, Type::Vector { item, .. } if inner.fits(schema, Some(item))),
            Self::Loose(inner) => inner.fits(schema, Some(ty)),
            Self::Object { name, .. } => definition(schema, name).is_some_and(|definition| match ty {
                Type::Call(_) | Type::Variable(_) => true,
                ty => definition.result == *ty,
            }),
        }
    }
}

/// The constructor or, failing that, the method with this name. No schema of the API gives one name to both.
pub(super) fn definition<'s>(schema: &'s Schema, name: &str) -> Option<&'s Definition> {
    schema.by_name(name)
}

fn type_is_known(schema: &Schema, ty: &Type) -> bool {
    match ty {
        Type::Vector { item, .. } => type_is_known(schema, item),
        Type::Boxed(name) => schema.constructors_of(name).next().is_some(),
        _ => true,
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { name, certain, ty } => {
                write!(f, "${name}{}", if *certain { "!" } else { "" })?;
                ty.as_ref().map_or(Ok(()), |ty| write!(f, ":{ty}"))
            }
            Self::Scaled { name, times } => write!(f, "${name}*{times}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Empty => f.write_str("[]"),
            Self::One(inner) => write!(f, "[{inner}]"),
            Self::Loose(inner) => write!(f, "~{inner}"),
            Self::Object { name, fields } => {
                f.write_str(name)?;
                for (index, (field, inner)) in fields.iter().enumerate() {
                    write!(f, "{} {field}: {inner}", if index == 0 { " {" } else { "," })?;
                }
                if fields.is_empty() { Ok(()) } else { f.write_str(" }") }
            }
        }
    }
}

/// What can be wrong with a pattern: text for the error of the line.
pub(super) type Wrong = String;

/// A cursor over one line of the rules.
pub(super) struct Line<'t> {
    rest: &'t str,
}

impl<'t> Line<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text.trim() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, for an error.
    pub(super) fn rest(&self) -> &'t str {
        self.rest
    }

    /// Takes a token if it comes next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    pub(super) fn expect(&mut self, token: &str) -> Result<(), Wrong> {
        if self.take(token) { Ok(()) } else { Err(format!("expected {token:?} before {:?}", self.rest)) }
    }

    /// The next run of characters that names and types have.
    pub(super) fn word(&mut self) -> Result<&'t str, Wrong> {
        let ends = |c: char| !(c.is_ascii_alphanumeric() || "_.<>".contains(c));
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err(format!("expected a name before {:?}", self.rest));
        }
        self.rest = rest.trim_start();
        Ok(word)
    }

    pub(super) fn pattern(&mut self) -> Result<Pattern, Wrong> {
        if self.take("~") {
            return Ok(Pattern::Loose(Box::new(self.pattern()?)));
        }
        if self.take("[") {
            if self.take("]") {
                return Ok(Pattern::Empty);
            }
            let inner = self.pattern()?;
            self.expect("]")?;
            return Ok(Pattern::One(Box::new(inner)));
        }
        if let Some(rest) = self.rest.strip_prefix('"') {
            let (text, rest) = rest.split_once('"').ok_or("a text without its end")?;
            self.rest = rest.trim_start();
            return Ok(Pattern::Text(text.to_owned()));
        }
        if self.take("$") {
            let name = self.word()?.to_owned();
            if self.take("*") {
                let times = self.word()?;
                let times = times.parse().ok().filter(|times| *times > 0).ok_or_else(|| format!("bad number {times:?}"))?;
                return Ok(Pattern::Scaled { name, times });
            }
            let certain = self.take("!");
            let ty = match self.take(":") {
                true => Some(self.word()?.parse().map_err(|e: ParseErrorKind| e.to_string())?),
                false => None,
            };
            return Ok(Pattern::Variable { name, certain, ty });
        }
        let word = self.word()?;
        if let Ok(number) = word.parse() {
            return Ok(Pattern::Number(number));
        }
        if let Ok(value) = word.parse() {
            return Ok(Pattern::Bool(value));
        }
        let mut fields = Vec::new();
        if self.take("{") {
            while !self.take("}") {
                let field = self.word()?.to_owned();
                self.expect(":")?;
                fields.push((field, self.pattern()?));
                if !self.take(",") {
                    self.expect("}")?;
                    break;
                }
            }
        }
        Ok(Pattern::Object { name: word.to_owned(), fields })
    }
}
