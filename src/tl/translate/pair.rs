//! What is known about two layers before anything is translated: computed once for each pair and kept.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::pattern::{Pattern, definition};
use super::rules::{Map, Rules};
use crate::layers::{self, UnknownLayer};
use crate::schema::{Definition, Kind, Schema, Type};

/// Two layers, one way.
pub(super) struct Pair {
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) source: &'static Schema,
    pub(super) target: &'static Schema,
    pub(super) rules: &'static Rules,
    /// Types whose constructors, and all that can be in them, are the same in both.
    same: HashSet<&'static str>,
    plans: HashMap<u32, Plan>,
    /// Rules whose left side is no object: for values whose type changed.
    pub(super) coercions: Vec<&'static Map>,
}

/// What becomes of one definition.
pub(super) struct Plan {
    /// The definition of the same name.
    pub(super) target: Option<&'static Definition>,
    /// Nothing in it changes.
    pub(super) same: bool,
    /// One for each parameter of the target: the index of the source's parameter with the same name.
    pub(super) sources: Vec<Option<usize>>,
    /// Parameters of the source that the target does not have, flags fields left out.
    pub(super) gone: Vec<usize>,
    /// Rules that begin with this definition, in the order of the file.
    pub(super) rules: Vec<Candidate>,
    /// What stands for an object of this kind that cannot be expressed.
    pub(super) replacement: Option<&'static Pattern>,
    /// Two parameters of the target share a bit.
    pub(super) shares_bits: bool,
}

/// A rule that may apply to an object.
pub(super) struct Candidate {
    pub(super) map: &'static Map,
    /// One of the layers lacks what one side mentions, so the rule is needed. The others are for values whose type changed.
    pub(super) needed: bool,
}

impl Pair {
    /// The pair of two bundled layers.
    pub(super) fn of(from: i32, to: i32) -> Result<Arc<Self>, UnknownLayer> {
        type Known = HashMap<(i32, i32), Arc<Pair>>;
        static KNOWN: OnceLock<Mutex<Known>> = OnceLock::new();
        let known = KNOWN.get_or_init(Mutex::default);
        let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = lock().get(&(from, to)) {
            return Ok(Arc::clone(pair));
        }
        // Outside the lock: whoever comes meanwhile computes the same.
        let pair = Arc::new(Self::new(from, to, layers::schema(from)?, layers::schema(to)?, Rules::bundled()));
        Ok(Arc::clone(lock().entry((from, to)).or_insert(pair)))
    }

    pub(super) fn new(from: i32, to: i32, source: &'static Schema, target: &'static Schema, rules: &'static Rules) -> Self {
        let mut pair = Self {
            from,
            to,
            source,
            target,
            rules,
            same: same_types(source, target),
            plans: HashMap::new(),
            coercions: rules.maps.iter().filter(|map| map.left.name().is_none()).collect(),
        };
        let mut by_name: HashMap<&str, Vec<Candidate>> = HashMap::new();
        for map in &rules.maps {
            let Some(name) = map.left.name() else { continue };
            if map.left.is_known_to(source) && map.right.is_known_to(target) {
                let needed = !map.left.is_known_to(target) || !map.right.is_known_to(source);
                by_name.entry(name).or_default().push(Candidate { map, needed });
            }
        }
        for definition in source.definitions() {
            let candidates = by_name.remove(definition.name.as_str()).unwrap_or_default();
            pair.plans.insert(definition.id, pair.plan_for(definition, candidates));
        }
        pair
    }

    fn plan_for(&self, definition: &'static Definition, rules: Vec<Candidate>) -> Plan {
        let target = match definition.kind {
            Kind::Constructor => self.target.constructor(&definition.name),
            Kind::Function => self.target.function(&definition.name),
        };
        let position = |params: &[crate::schema::Param], name: &str| params.iter().position(|p| p.name == name);
        let params = target.map_or(&[][..], |target| &target.params);
        let gone = |(index, param): (usize, &crate::schema::Param)| {
            (param.ty != Type::Flags && position(params, &param.name).is_none()).then_some(index)
        };
        Plan {
            target,
            same: target.is_some_and(|target| same_text(definition, target))
                && definition.params.iter().all(|p| self.is_same(&p.ty)),
            sources: params.iter().map(|p| position(&definition.params, &p.name)).collect(),
            gone: definition.params.iter().enumerate().filter_map(gone).collect(),
            rules,
            replacement: self
                .rules
                .replacement(&definition.name, &definition.result.to_string())
                .filter(|p| p.is_known_to(self.target)),
            shares_bits: params.iter().enumerate().any(|(index, p)| {
                p.flag.is_some() && params.get(index + 1..).is_some_and(|rest| rest.iter().any(|q| q.flag == p.flag))
            }),
        }
    }

    /// What becomes of a definition of the source.
    pub(super) fn plan(&self, definition: &Definition) -> Option<&Plan> {
        self.plans.get(&definition.id)
    }

    /// Whether values of a type have the same bytes in both layers.
    pub(super) fn is_same(&self, ty: &Type) -> bool {
        match ty {
            Type::Vector { item, .. } => self.is_same(item),
            Type::Boxed(name) => self.same.contains(name.as_str()),
            Type::Bare(_) | Type::BareBoxed(_) | Type::Variable(_) | Type::Call(_) => false,
            _ => true,
        }
    }

    /// The method of the target that answers to one of the source: of the same name, or what a rule makes of it.
    pub(super) fn counterpart(&self, method: &Definition) -> Option<&'static Definition> {
        let plan = self.plan(method)?;
        let mapped =
            plan.rules.iter().filter(|rule| rule.needed).find_map(|rule| definition(self.target, rule.map.right.name()?));
        plan.target.or(mapped)
    }

    /// The method with this id in the layer that is translated from, or, if only the other layer knows the id, that one's counterpart
    /// there.
    pub(super) fn method(&self, id: u32) -> Option<(&'static Definition, &'static Definition)> {
        let function = |schema: &'static Schema| schema.by_id(id).filter(|d| d.kind == Kind::Function);
        if let Some(method) = function(self.source) {
            return Some((method, self.counterpart(method)?));
        }
        let there = function(self.target)?;
        if let Some(method) = self.source.function(&there.name) {
            return Some((method, there));
        }
        let maps = self.rules.maps.iter().filter(|map| map.right.name() == Some(&there.name));
        let mut known = maps.filter_map(|map| self.source.function(map.left.name()?));
        known.next().map(|method| (method, there))
    }
}

/// Whether two definitions are the same line.
pub(super) fn same_text(a: &Definition, b: &Definition) -> bool {
    (a.kind, a.id) == (b.kind, b.id)
        && a.name == b.name
        && a.result == b.result
        && a.params == b.params
        && a.generics == b.generics
}

/// Types whose constructors, and all that can be in them, are the same in both schemas.
fn same_types(source: &'static Schema, target: &'static Schema) -> HashSet<&'static str> {
    let mut same: HashSet<&str> = source.type_names().into_iter().collect();
    same.retain(|name| {
        let has = |d: &Definition| target.constructors_of(name).any(|other| same_text(d, other));
        source.constructors_of(name).count() == target.constructors_of(name).count() && source.constructors_of(name).all(has)
    });
    // A type that holds a changed one has changed; until there is no more to take out.
    loop {
        let holds_changed = |ty: &Type| match element(ty) {
            Type::Boxed(name) => !same.contains(name.as_str()),
            Type::Bare(_) | Type::BareBoxed(_) | Type::Variable(_) | Type::Call(_) => true,
            _ => false,
        };
        let changed: Vec<&str> = same
            .iter()
            .copied()
            .filter(|name| source.constructors_of(name).any(|d| d.params.iter().any(|p| holds_changed(&p.ty))))
            .collect();
        if changed.is_empty() {
            return same;
        }
        for name in changed {
            same.remove(name);
        }
    }
}

fn element(ty: &Type) -> &Type {
    match ty {
        Type::Vector { item, .. } => element(item),
        other => other,
    }
}
