//! What can get lost, changes or fails between two layers, computed from the schemas and the rules.

use std::fmt;

use super::pair::Pair;
use super::pattern::Pattern;
use crate::schema::{Definition, Kind, Param, Type};

/// One thing that differs between two layers, on the way from one to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The constructor or method in the layer that is translated from.
    pub definition: String,
    /// The field, if it is not the whole definition.
    pub field: Option<String>,
    /// What becomes of it.
    pub change: Change,
}

/// What becomes of something that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Rules make the same of it in other words.
    Reshaped,
    /// The field's type is another one, and the value is converted.
    Converted {
        /// The type here.
        from: String,
        /// The type there.
        to: String,
    },
    /// The field is not there any more, or shares its bit with others that may not be: an answer loses it, a request may not set it.
    LeftOut,
    /// The field is new and gets a value that says nothing.
    Filled {
        /// The value.
        with: String,
    },
    /// The constructor is not there: an answer gets something else instead, a request fails.
    Replaced {
        /// What it gets.
        by: String,
    },
    /// The constructor is not there: vectors of an answer lose it, a request fails.
    Dropped,
    /// There is no way to say it: an error; but a conditional field of an answer is left out instead.
    Refused,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}.{field}: {}", self.definition, self.change),
            None => write!(f, "{}: {}", self.definition, self.change),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reshaped => f.write_str("said in other words"),
            Self::Converted { from, to } => write!(f, "{from} becomes {to}"),
            Self::LeftOut => f.write_str("left out of answers, refused in requests"),
            Self::Filled { with } => write!(f, "filled with {with}"),
            Self::Replaced { by } => write!(f, "becomes {by} in answers, refused in requests"),
            Self::Dropped => f.write_str("dropped from answers, refused in requests"),
            Self::Refused => f.write_str("cannot be said"),
        }
    }
}

/// All differences, in the order of the source's definitions.
pub(super) fn differences(pair: &Pair) -> Vec<Difference> {
    let mut out = Vec::new();
    if pair.from != pair.to {
        pair.source.definitions().iter().for_each(|definition| of_definition(pair, definition, &mut out));
    }
    out
}

fn of_definition(pair: &Pair, definition: &'static Definition, out: &mut Vec<Difference>) {
    let Some(plan) = pair.plan(definition).filter(|plan| !plan.same) else { return };
    let mut push = |field: Option<&str>, change| {
        out.push(Difference { definition: definition.name.clone(), field: field.map(str::to_owned), change });
    };
    let needed: Vec<_> = plan.rules.iter().filter(|rule| rule.needed).map(|rule| rule.map).collect();
    if !needed.is_empty() {
        push(None, Change::Reshaped);
    }
    let missing = || match (plan.replacement, definition.kind) {
        (Some(pattern), _) => Change::Replaced { by: pattern.to_string() },
        (None, Kind::Constructor) if pair.rules.drops.contains(&definition.result.to_string()) => Change::Dropped,
        _ => Change::Refused,
    };
    let Some(target) = plan.target else {
        // A rule for one shape of it leaves the others.
        if needed.is_empty() || plan.replacement.is_some() {
            push(None, missing());
        }
        return;
    };
    // What stands for this one constructor stands for it also where only something in it cannot be said.
    if let Some(pattern) = pair.rules.replacements.get(&definition.name) {
        push(None, Change::Replaced { by: pattern.to_string() });
    }
    match definition.kind {
        Kind::Function if !is_convertible(pair, &definition.result, &target.result) => {
            push(Some("returns"), Change::Refused);
        }
        Kind::Function if definition.result != target.result => {
            let (from, to) = (definition.result.to_string(), target.result.to_string());
            push(Some("returns"), Change::Converted { from, to });
        }
        Kind::Constructor if definition.result != target.result && needed.is_empty() => push(None, missing()),
        _ => {}
    }
    let named = |pattern: &Pattern, field: &str| match pattern {
        Pattern::Object { fields, .. } => fields.iter().any(|(name, _)| name == field),
        _ => false,
    };
    for index in &plan.gone {
        let Some(param) = definition.params.get(*index) else { continue };
        if !needed.iter().any(|map| named(&map.left, &param.name)) {
            push(Some(&param.name), Change::LeftOut);
        }
    }
    for (param, source) in target.params.iter().zip(&plan.sources).filter(|(param, _)| param.ty != Type::Flags) {
        if needed.iter().any(|map| named(&map.right, &param.name)) {
            continue;
        }
        let here = source.and_then(|index| definition.params.get(index));
        let was_certain = here.is_some_and(|here| here.flag.is_none());
        if let Some(here) = here
            && here.ty != param.ty
        {
            let (from, to) = (here.ty.to_string(), param.ty.to_string());
            let can = is_convertible(pair, &here.ty, &param.ty);
            push(Some(&param.name), if can { Change::Converted { from, to } } else { Change::Refused });
        }
        // Fields that share a bit there and do not here are torn apart.
        let is_grouped = |other: &&Param| {
            let twin = definition.params.iter().find(|p| p.name == other.name);
            twin.is_some_and(|twin| here.is_some_and(|here| here.flag.is_some() && twin.flag == here.flag))
        };
        let mut twins = target.params.iter().filter(|other| param.flag.is_some() && other.flag == param.flag);
        if here.is_some() && !twins.all(|other| is_grouped(&other)) {
            push(Some(&param.name), Change::LeftOut);
        }
        let becomes_bool = here.is_some_and(|here| here.ty == Type::True) && param.ty == Type::Bool;
        if param.flag.is_none() && !was_certain && !becomes_bool {
            let default = pair.rules.default_of(&definition.name, &param.name);
            push(Some(&param.name), default.map_or(Change::Refused, |p| Change::Filled { with: p.to_string() }));
        }
    }
}

/// Whether values of one type can become values of the other, at least some of them.
pub(super) fn is_convertible(pair: &Pair, from: &Type, to: &Type) -> bool {
    if from == to {
        return true;
    }
    if let (Type::Vector { item: here, .. }, Type::Vector { item: there, .. }) = (from, to)
        && is_convertible(pair, here, there)
    {
        return true;
    }
    let built_in = matches!(
        (from, to),
        (Type::Int, Type::Long | Type::Double)
            | (Type::Long | Type::Double, Type::Int)
            | (Type::True, Type::Bool)
            | (Type::Bool, Type::True)
    );
    let fits = |right: &Pattern| right.is_known_to(pair.target) && right.fits(pair.target, Some(to));
    let by_coercion = || pair.coercions.iter().any(|map| map.left.fits(pair.source, Some(from)) && fits(&map.right));
    let by_rule = || match from {
        Type::Boxed(name) => pair
            .source
            .constructors_of(name)
            .any(|definition| pair.plan(definition).is_some_and(|plan| plan.rules.iter().any(|rule| fits(&rule.map.right)))),
        _ => false,
    };
    built_in || by_coercion() || by_rule()
}
