//! The translation itself: one value of the source layer becomes one of the target layer.

use std::mem;

use super::error::{Fail, Lack, Segment};
use super::pair::{Candidate, Pair, Plan};
use super::pattern::{Pattern, definition};
use crate::dynamic::{Object, Value};
use crate::schema::{Definition, Kind, Param, Type};

/// What is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// A call: nothing that is set may get lost.
    Request,
    /// An answer or an update: what the other layer could never say may get lost.
    Answer,
}

/// A value of one of the schemas, which live as long as the program.
type Tree = Value<'static>;
type Outcome<T = Tree> = Result<T, Box<Fail>>;

/// What the variables of a rule stand for: name, type in the source, value.
type Bindings<'p> = Vec<(&'p str, Type, Tree)>;

/// One translation.
pub(super) struct Walk<'p> {
    pub(super) pair: &'p Pair,
    pub(super) mode: Mode,
}

impl<'p> Walk<'p> {
    /// A value of one type as one of another. The types are the same but where they changed between the layers.
    pub(super) fn value(&self, from: &Type, to: &Type, value: Tree) -> Outcome {
        if from == to && self.pair.is_same(from) {
            return Ok(value);
        }
        let mismatch = || Fail::new(Lack::Type { found: from.to_string(), expected: to.to_string() });
        match (from, to, value) {
            (Type::Vector { item: here, .. }, Type::Vector { item: there, .. }, Value::Vector(items)) => {
                self.vector(here, there, items)
            }
            (_, _, Value::Object(object)) => match to {
                Type::Boxed(_) | Type::Bare(_) | Type::BareBoxed(_) => self.object(object, Some(from), Some(to)),
                Type::Variable(_) | Type::Call(_) => self.object(object, None, None),
                _ => self.object_as_scalar(from, to, object),
            },
            (_, _, value @ Value::Raw { .. }) if from == to => Ok(value),
            (Type::Int, Type::Long, Value::Int(number)) => Ok(Value::Long(number.into())),
            (Type::Long, Type::Int, Value::Long(number)) => match i32::try_from(number) {
                Ok(number) => Ok(Value::Int(number)),
                Err(_) => Err(Fail::new(Lack::Range { value: number })),
            },
            (Type::Int, Type::Double, Value::Int(number)) => Ok(Value::Double(number.into())),
            // The cast saturates, and makes zero of what is no number.
            (Type::Double, Type::Int, Value::Double(number)) => Ok(Value::Int(number.round() as i32)),
            (Type::True, Type::Bool, Value::True) => Ok(Value::Bool(true)),
            (Type::Bool, Type::True, Value::Bool(value)) => Ok(if value { Value::True } else { Value::Absent }),
            (_, _, value) if from != to => self.coerce(from, to, &value).unwrap_or_else(|| Err(mismatch())),
            // `Bool` where any object may stand.
            (_, _, value) => Ok(value),
        }
    }

    fn vector(&self, from: &Type, to: &Type, items: Vec<Tree>) -> Outcome {
        let mut out = Vec::with_capacity(items.len());
        let droppable = self.mode == Mode::Answer && matches!(from, Type::Boxed(name) if self.pair.rules.drops.contains(name));
        for (index, item) in items.into_iter().enumerate() {
            match self.value(from, to, item) {
                Ok(item) => out.push(item),
                Err(_) if droppable => {}
                Err(fail) => return Err(fail.within(Segment::Index(index))),
            }
        }
        Ok(Value::Vector(out))
    }

    /// A value whose type changed, by the first rule that matches it.
    fn coerce(&self, from: &Type, to: &Type, value: &Tree) -> Option<Outcome> {
        self.pair.coercions.iter().find_map(|map| {
            if !map.right.is_known_to(self.pair.target) || !map.right.fits(self.pair.target, Some(to)) {
                return None;
            }
            let mut bindings = Vec::new();
            let matches = self.matches(&map.left, value, from, false, &mut bindings);
            matches.then(|| self.build(&map.right, to, &bindings))
        })
    }

    /// An object where the other layer has a number, a text or a vector.
    fn object_as_scalar(&self, from: &Type, to: &Type, object: Object<'static>) -> Outcome {
        let root = object.definition;
        let value = Value::Object(object);
        if let Some(outcome) = self.coerce(from, to, &value) {
            return outcome;
        }
        let candidates = self.pair.plan(root).map_or(&[][..], |plan| &plan.rules);
        let mut failed = None;
        for candidate in candidates.iter().filter(|c| c.map.right.fits(self.pair.target, Some(to))) {
            let mut bindings = Vec::new();
            if self.matches(&candidate.map.left, &value, from, true, &mut bindings) {
                match self.build(&candidate.map.right, to, &bindings) {
                    Ok(value) => return Ok(value),
                    Err(fail) => failed = failed.or(Some(fail)),
                }
            }
        }
        Err(failed.unwrap_or_else(|| Fail::new(Lack::Type { found: root.name.clone(), expected: to.to_string() })))
    }

    /// An object, where both layers expect one. The types are those of the place it stands in; without them any object may stand there.
    pub(super) fn object(&self, object: Object<'static>, from: Option<&Type>, to: Option<&Type>) -> Outcome {
        let Some(plan) = self.pair.plan(object.definition) else {
            return Err(Fail::new(Lack::Constructor(object.definition.name.clone())));
        };
        if plan.same && from == to {
            return Ok(Value::Object(object));
        }
        // Rules that wrap any object of a type: a changed answer of a method.
        if from != to
            && let (Some(from), Some(to)) = (from, to)
            && let Some(outcome) = self.coerce(from, to, &Value::Object(object.clone()))
        {
            return outcome;
        }
        let replacement = plan.replacement.filter(|_| self.mode == Mode::Answer);
        let spare = replacement.map(|pattern| variables(pattern, &object));
        let outcome = self.by_rule_or_name(plan, object, from, to);
        match (outcome, replacement, spare) {
            (Err(fail), Some(pattern), Some(bindings)) => {
                let named = || Some(definition(self.pair.target, pattern.name()?)?.result.clone());
                let Some(ty) = to.cloned().or_else(named) else { return Err(fail) };
                match pattern.fits(self.pair.target, Some(&ty)) {
                    true => self.build(pattern, &ty, &bindings).map_err(|_| fail),
                    false => Err(fail),
                }
            }
            (outcome, ..) => outcome,
        }
    }

    fn by_rule_or_name(&self, plan: &'p Plan, object: Object<'static>, from: Option<&Type>, to: Option<&Type>) -> Outcome {
        let mut failed = None;
        let applies = |c: &&Candidate| (c.needed || from != to) && c.map.right.fits(self.pair.target, to);
        if plan.rules.iter().any(|c| applies(&c)) {
            let declared = object.definition.result.clone();
            let value = Value::Object(object.clone());
            for candidate in plan.rules.iter().filter(applies) {
                let mut bindings = Vec::new();
                if !self.matches(&candidate.map.left, &value, from.unwrap_or(&declared), true, &mut bindings) {
                    continue;
                }
                let Value::Object(object) = &value else { continue };
                match self.rebuild(plan, &candidate.map.left, &candidate.map.right, object, to, &bindings) {
                    Ok(value) => return Ok(value),
                    Err(fail) => failed = failed.or(Some(fail)),
                }
            }
        }
        let root = object.definition;
        let target = match plan.target {
            Some(target) if fits(target, to) => target,
            // The rule that failed says more than that there is no such name.
            other => {
                let lack = || match (other, root.kind, to) {
                    (Some(_), _, Some(to)) => Lack::Type { found: root.name.clone(), expected: to.to_string() },
                    (_, Kind::Function, _) => Lack::Method(root.name.clone()),
                    _ => Lack::Constructor(root.name.clone()),
                };
                return Err(failed.unwrap_or_else(|| Fail::new(lack())));
            }
        };
        // A shape that a rule recognised must not be read as if its words still meant the same.
        match failed {
            Some(fail) => Err(fail),
            None => self.fields(plan, object, target),
        }
    }

    /// An object as one of the same name.
    fn fields(&self, plan: &'p Plan, mut object: Object<'static>, target: &'static Definition) -> Outcome {
        let source = object.definition;
        let mut values = Vec::with_capacity(target.params.len());
        for (param, from) in target.params.iter().zip(&plan.sources) {
            let value = match from.and_then(|index| Some((source.params.get(index)?, object.values.get_mut(index)?))) {
                _ if param.ty == Type::Flags => Value::Flags(0),
                Some((here, value)) => self.field(source, here, target, param, mem::replace(value, Value::Absent))?,
                None => self.missing(source, target, param)?,
            };
            values.push(value);
        }
        self.nothing_lost(source, plan.gone.iter().copied(), &object)?;
        self.finish(plan.shares_bits, target, values)
    }

    /// One field, where both layers have it.
    fn field(&self, source: &Definition, here: &Param, target: &Definition, there: &Param, value: Tree) -> Outcome {
        let conditional = there.flag.is_some();
        if value == Value::Absent {
            return match (&here.ty, &there.ty) {
                (Type::True, Type::Bool) if !conditional => Ok(Value::Bool(false)),
                _ if conditional => Ok(Value::Absent),
                _ => self.missing(source, target, there),
            };
        }
        match self.value(&here.ty, &there.ty, value) {
            Err(_) if conditional && self.mode == Mode::Answer => Ok(Value::Absent),
            outcome => outcome.map_err(|fail| fail.within(Segment::Field(here.name.clone()))),
        }
    }

    /// A field that nothing answers to.
    fn missing(&self, source: &Definition, target: &Definition, there: &Param) -> Outcome {
        if there.flag.is_some() {
            return Ok(Value::Absent);
        }
        match self.pair.rules.default_of(&target.name, &there.name) {
            Some(pattern) => self.build(pattern, &there.ty, &Vec::new()),
            None => Err(Fail::new(Lack::Needs {
                definition: source.name.clone(),
                field: there.name.clone(),
                ty: there.ty.to_string(),
            })),
        }
    }

    /// A request must not lose what is set.
    fn nothing_lost(&self, source: &Definition, gone: impl Iterator<Item = usize>, object: &Object<'_>) -> Outcome<()> {
        if self.mode == Mode::Answer {
            return Ok(());
        }
        for index in gone {
            let (Some(param), Some(value)) = (source.params.get(index), object.values.get(index)) else { continue };
            if !says_nothing(value) && !self.pair.rules.is_ignored(&source.name, &param.name) {
                let (definition, field) = (source.name.clone(), param.name.clone());
                return Err(Fail::new(Lack::Field { definition, field: field.clone() }).within(Segment::Field(field)));
            }
        }
        Ok(())
    }

    /// Fields that share a bit are there together or not at all.
    fn finish(&self, shares_bits: bool, target: &'static Definition, mut values: Vec<Tree>) -> Outcome {
        if shares_bits {
            for (index, param) in target.params.iter().enumerate() {
                let torn = param.flag.is_some() && values.get(index) == Some(&Value::Absent);
                if !torn {
                    continue;
                }
                for (value, twin) in values.iter_mut().zip(&target.params) {
                    if twin.flag != param.flag || *value == Value::Absent {
                        continue;
                    }
                    if self.mode == Mode::Request {
                        let (definition, field) = (target.name.clone(), param.name.clone());
                        return Err(Fail::new(Lack::Needs { definition, field, ty: param.ty.to_string() }));
                    }
                    *value = Value::Absent;
                }
            }
        }
        Ok(Value::Object(Object { definition: target, values }))
    }

    /// Whether a value has a shape; binds the variables.
    fn matches<'v>(&self, pattern: &'v Pattern, value: &Tree, ty: &Type, outermost: bool, out: &mut Bindings<'v>) -> bool {
        match (pattern, value) {
            (Pattern::Loose(_), _) => true,
            (Pattern::Variable { certain, .. }, Value::Absent) => !certain,
            (Pattern::Variable { name, ty: wanted, .. }, value) => {
                let fits = wanted.as_ref().is_none_or(|wanted| wanted == ty);
                if fits {
                    out.push((name, ty.clone(), value.clone()));
                }
                fits
            }
            (Pattern::Scaled { .. }, Value::Absent) => true,
            (Pattern::Scaled { name, times }, Value::Int(value)) => {
                // To the nearest whole one.
                let half = times / 2 * value.signum();
                out.push((name, Type::Int, Value::Int(value.saturating_add(half) / times)));
                true
            }
            (Pattern::Number(number), Value::Int(value)) => number == value,
            (Pattern::Number(number), Value::Long(value)) => i64::from(*number) == *value,
            (Pattern::Text(text), Value::String(value)) => text.as_bytes() == value.as_bytes(),
            (Pattern::Bool(wanted), Value::Bool(value)) => wanted == value,
            (Pattern::Bool(wanted), Value::True) => *wanted,
            (Pattern::Bool(wanted), Value::Absent) => !*wanted,
            (Pattern::Empty, Value::Vector(items)) => items.is_empty(),
            (Pattern::One(inner), Value::Vector(items)) => {
                let Type::Vector { item, .. } = ty else { return false };
                let enough = items.len() == 1 || self.mode == Mode::Answer;
                enough && items.first().is_some_and(|first| self.matches(inner, first, item, false, out))
            }
            // A conditional field that is not there, and neither is anything in it.
            (Pattern::Object { .. } | Pattern::One(_), Value::Absent) => pattern.may_be_absent(),
            (Pattern::Object { name, fields }, Value::Object(object)) if *name == object.definition.name => {
                let named = |param: &Param| fields.iter().find(|(field, _)| *field == param.name);
                object.definition.params.iter().zip(&object.values).all(|(param, value)| match named(param) {
                    Some((_, inner)) => self.matches(inner, value, &param.ty, false, out),
                    // Outside, the other fields go by name. Inside, a request would lose them.
                    None => outermost || self.mode == Mode::Answer || says_nothing(value),
                })
            }
            _ => false,
        }
    }

    /// What a rule makes of an object: the fields that it names are built, the others go by name.
    fn rebuild(
        &self,
        plan: &'p Plan,
        left: &Pattern,
        right: &Pattern,
        object: &Object<'static>,
        to: Option<&Type>,
        bindings: &Bindings<'_>,
    ) -> Outcome {
        let source = object.definition;
        let empty = Vec::new();
        let used = match left {
            Pattern::Object { fields, .. } => fields,
            _ => &empty,
        };
        let is_used = |name: &str| used.iter().any(|(field, _)| field == name);
        let Pattern::Object { name, fields } = right else {
            // The whole object goes into something else: what is left over is lost.
            let left_over = source.params.iter().enumerate().filter(|(_, p)| !is_used(&p.name)).map(|(index, _)| index);
            self.nothing_lost(source, left_over, object)?;
            let ty = to.cloned().unwrap_or_else(|| source.result.clone());
            return self.build(right, &ty, bindings);
        };
        let Some(target) = definition(self.pair.target, name) else {
            return Err(Fail::new(Lack::Constructor(name.clone())));
        };
        let mut values = Vec::with_capacity(target.params.len());
        for param in &target.params {
            let by_name = || source.params.iter().position(|p| p.name == param.name && !is_used(&p.name));
            let value = match fields.iter().find(|(field, _)| *field == param.name) {
                _ if param.ty == Type::Flags => Value::Flags(0),
                Some((_, pattern)) => self.part(pattern, target, param, bindings)?,
                None => match by_name().and_then(|index| Some((source.params.get(index)?, object.values.get(index)?))) {
                    Some((here, value)) => self.field(source, here, target, param, value.clone())?,
                    None => self.missing(source, target, param)?,
                },
            };
            values.push(value);
        }
        let is_gone = |p: &Param| !is_used(&p.name) && p.ty != Type::Flags && !target.params.iter().any(|q| q.name == p.name);
        let gone = source.params.iter().enumerate().filter(|(_, p)| is_gone(p)).map(|(index, _)| index);
        self.nothing_lost(source, gone, object)?;
        let shares_bits = plan.shares_bits || plan.target != Some(target);
        self.finish(shares_bits, target, values)
    }

    /// A field that a rule names. Where its variables stand for nothing, it is absent, or has its default.
    fn part(&self, pattern: &Pattern, target: &Definition, param: &Param, bindings: &Bindings<'_>) -> Outcome {
        if pattern.has_variable() && !any_bound(pattern, bindings) {
            return self.missing(target, target, param);
        }
        match self.build(pattern, &param.ty, bindings) {
            Err(_) if param.flag.is_some() && self.mode == Mode::Answer => Ok(Value::Absent),
            outcome => outcome.map_err(|fail| fail.within(Segment::Field(param.name.clone()))),
        }
    }

    /// A value of a type from a shape.
    fn build(&self, pattern: &Pattern, ty: &Type, bindings: &Bindings<'_>) -> Outcome {
        let mismatch = |found: String| Fail::new(Lack::Type { found, expected: ty.to_string() });
        Ok(match (pattern, ty) {
            (Pattern::Loose(inner), _) => self.build(inner, ty, bindings)?,
            (Pattern::Variable { name, .. }, _) => match bindings.iter().find(|(bound, ..)| bound == name) {
                Some((_, from, value)) => self.value(from, ty, value.clone())?,
                None => return Err(mismatch(format!("field that is absent (${name})"))),
            },
            (Pattern::Scaled { name, times }, Type::Int) => match bindings.iter().find(|(bound, ..)| bound == name) {
                Some((_, _, Value::Int(value))) => Value::Int(value.saturating_mul(*times)),
                _ => return Err(mismatch(format!("field that is absent (${name})"))),
            },
            (Pattern::Number(number), Type::Int) => Value::Int(*number),
            (Pattern::Number(number), Type::Long) => Value::Long((*number).into()),
            (Pattern::Number(number), Type::Double) => Value::Double((*number).into()),
            (Pattern::Text(text), Type::String) => Value::String(text.into()),
            (Pattern::Text(text), Type::Bytes) => Value::Bytes(bytes::Bytes::copy_from_slice(text.as_bytes())),
            (Pattern::Bool(value), Type::Bool) => Value::Bool(*value),
            (Pattern::Bool(true), Type::True) => Value::True,
            (Pattern::Bool(false), Type::True) => Value::Absent,
            (Pattern::Empty, Type::Vector { .. }) => Value::Vector(Vec::new()),
            (Pattern::One(inner), Type::Vector { item, .. }) => Value::Vector(vec![self.build(inner, item, bindings)?]),
            (Pattern::Object { name, fields }, _) => {
                let Some(target) = definition(self.pair.target, name) else {
                    return Err(Fail::new(Lack::Constructor(name.clone())));
                };
                let mut values = Vec::with_capacity(target.params.len());
                for param in &target.params {
                    values.push(match fields.iter().find(|(field, _)| *field == param.name) {
                        _ if param.ty == Type::Flags => Value::Flags(0),
                        Some((_, pattern)) => self.part(pattern, target, param, bindings)?,
                        None => self.missing(target, target, param)?,
                    });
                }
                return self.finish(true, target, values);
            }
            (other, _) => return Err(mismatch(other.to_string())),
        })
    }
}

/// Whether an object of this definition may stand where the type is expected.
fn fits(definition: &Definition, ty: Option<&Type>) -> bool {
    match ty {
        Some(ty @ Type::Boxed(name)) => name == "Object" || definition.result == *ty,
        _ => true,
    }
}

/// The values of an object's fields that a replacement asks for by their names.
fn variables<'v>(pattern: &'v Pattern, object: &Object<'static>) -> Bindings<'v> {
    let mut out = Vec::new();
    let mut open = vec![pattern];
    while let Some(pattern) = open.pop() {
        match pattern {
            Pattern::Variable { name, .. } => {
                let mut fields = object.definition.params.iter().zip(&object.values);
                if let Some((param, value)) = fields.find(|(p, v)| p.name == *name && **v != Value::Absent) {
                    out.push((name.as_str(), param.ty.clone(), value.clone()));
                }
            }
            Pattern::One(inner) | Pattern::Loose(inner) => open.push(inner),
            Pattern::Object { fields, .. } => open.extend(fields.iter().map(|(_, inner)| inner)),
            _ => {}
        }
    }
    out
}

fn any_bound(pattern: &Pattern, bindings: &Bindings<'_>) -> bool {
    match pattern {
        Pattern::Variable { name, .. } | Pattern::Scaled { name, .. } => bindings.iter().any(|(bound, ..)| bound == name),
        Pattern::One(inner) | Pattern::Loose(inner) => any_bound(inner, bindings),
        Pattern::Object { fields, .. } => fields.iter().any(|(_, inner)| any_bound(inner, bindings)),
        _ => false,
    }
}

/// Whether a value is what a field holds that nobody set: absent, zero, empty, false.
pub(super) fn says_nothing(value: &Value<'_>) -> bool {
    match value {
        Value::Absent | Value::Flags(_) | Value::Bool(false) | Value::Int(0) | Value::Long(0) => true,
        Value::Double(number) => *number == 0.0,
        Value::String(text) => text.as_bytes().is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Vector(items) => items.is_empty(),
        _ => false,
    }
}
