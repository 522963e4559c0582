//! Tests of translation.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::layers::bundled;
use crate::schema::Schema;

/// Constructors that an answer of a method that both layers have, or an update, can hold.
fn reachable(pair: &Pair) -> BTreeSet<&'static str> {
    let mut open: Vec<&Type> = Vec::new();
    let updates = Type::Boxed("Updates".to_owned());
    open.push(&updates);
    for method in pair.source.definitions().iter().filter(|d| d.kind == Kind::Function) {
        if let Some(there) = pair.counterpart(method)
            && difference::is_convertible(pair, &method.result, &there.result)
        {
            open.push(&method.result);
        }
    }
    let mut types = BTreeSet::new();
    let mut out = BTreeSet::new();
    while let Some(ty) = open.pop() {
        match ty {
            Type::Vector { item, .. } => open.push(item),
            Type::Boxed(name) if types.insert(name.clone()) => {
                for definition in pair.source.constructors_of(name) {
                    out.insert(definition.name.as_str());
                    let plan = pair.plan(definition).unwrap();
                    let goes = plan.target.is_some() || plan.rules.iter().any(|rule| rule.needed);
                    let left_out = |index: usize| plan.gone.contains(&index) && !plan.rules.iter().any(|rule| rule.needed);
                    let params = definition.params.iter().enumerate().filter(|(index, _)| goes && !left_out(*index));
                    open.extend(params.map(|(_, p)| &p.ty));
                }
            }
            _ => {}
        }
    }
    out
}

#[test]
#[ignore = "prints"]
fn print_refused() {
    let newest = *bundled().last().unwrap();
    let mut refused: BTreeMap<String, Vec<(i32, i32)>> = BTreeMap::new();
    for layer in bundled() {
        for (from, to) in [(newest, *layer), (*layer, newest)] {
            let translator = Translator::between(from, to).unwrap();
            let reachable = reachable(&translator.pair);
            for difference in translator.differences() {
                let function = translator.pair.source.function(&difference.definition).is_some();
                if difference.change == Change::Refused
                    && (reachable.contains(difference.definition.as_str()) || (function && difference.field.is_some()))
                {
                    refused.entry(difference.to_string()).or_default().push((from, to));
                }
            }
        }
    }
    for (what, pairs) in refused {
        println!("{what} {pairs:?}");
    }
    let _ = Schema::default();
}
