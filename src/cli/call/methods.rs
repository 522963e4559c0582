//! The methods of a schema, by name, and their completion in the shell.

use std::ffi::OsStr;

use clap_complete::engine::CompletionCandidate;
use tdl::tl::{
    compiled_schema,
    schema::{Definition, Kind, Schema, Type},
};

use crate::cli::{
    exit::CliError,
    output::{fit, printable},
};

/// Functions that are no methods: messages of the key exchange, and those about the session itself.
pub(super) const SERVICE: [&str; 10] = [
    "req_pq",
    "req_pq_multi",
    "req_DH_params",
    "set_client_DH_params",
    "destroy_auth_key",
    "rpc_drop_answer",
    "get_future_salts",
    "ping",
    "ping_delay_disconnect",
    "destroy_session",
];

/// How alike a name has to be to be meant, from 0 to 1.
const ALIKE: f64 = 0.75;
/// How much less alike than the nearest one others may be.
const LESS: f64 = 0.05;

/// Everything that can be called, by name.
pub(super) fn all(schema: &Schema) -> Vec<&Definition> {
    let mut found: Vec<&Definition> =
        schema.definitions().iter().filter(|it| it.kind == Kind::Function && !SERVICE.contains(&it.name.as_str())).collect();
    found.sort_by_key(|it| it.split_name());
    found
}

/// The method of this name: as it is written, or else in any case.
pub(super) fn find<'s>(schema: &'s Schema, name: &str) -> Result<&'s Definition, CliError> {
    if SERVICE.contains(&name) {
        return Err(CliError::usage(format!("{name} is a message of the protocol itself, not a method"))
            .advise("`tdl dc ping` and `tdl dc handshake` send such messages and show what comes of it"));
    }
    if let Some(method) = schema.function(name) {
        return Ok(method);
    }
    let methods = all(schema);
    if let Some(method) = methods.iter().find(|it| it.name.eq_ignore_ascii_case(name)) {
        return Ok(method);
    }
    let near = near(&methods, name);
    let advice = match near.as_slice() {
        [] => "`tdl call --list` lists them all".to_owned(),
        near => format!("did you mean {}?", near.join(", ")),
    };
    Err(CliError::usage(format!("no method is called '{}'", printable(&fit(name, 80)))).advise(advice))
}

/// The names nearest to one that is none: those that look alike, and before them those whose last part is the same.
fn near<'s>(methods: &[&'s Definition], name: &str) -> Vec<&'s str> {
    const MOST: usize = 3;
    // Nothing that long was mistyped.
    if name.len() > 100 {
        return Vec::new();
    }
    let lower = name.to_lowercase();
    let last = lower.rsplit('.').next().unwrap_or_default().to_owned();
    let mut scored: Vec<(f64, &str)> = methods
        .iter()
        .filter_map(|method| {
            let known = method.name.to_lowercase();
            let (_, known_last) = method.split_name();
            let same_last = known_last.to_lowercase() == last;
            let score = strsim::normalized_damerau_levenshtein(&known, &lower) + f64::from(u8::from(same_last));
            (score >= ALIKE).then_some((score, method.name.as_str()))
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let best = scored.first().map_or(0.0, |(score, _)| *score);
    scored.into_iter().take_while(|(score, _)| *score >= best - LESS).take(MOST).map(|(_, name)| name).collect()
}

/// Method names that begin with what is typed so far; if none does, those that contain it.
pub(super) fn complete_method(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let lower = typed.to_lowercase();
    let methods = all(compiled_schema());
    let matching = |test: &dyn Fn(&str) -> bool| -> Vec<CompletionCandidate> {
        let found = methods.iter().filter(|it| test(&it.name.to_lowercase()));
        found.map(|it| CompletionCandidate::new(&it.name).help(Some(format!("→ {}", it.result).into()))).collect()
    };
    let beginning = matching(&|name| name.starts_with(&lower));
    if beginning.is_empty() { matching(&|name| name.contains(&lower)) } else { beginning }
}

/// The fields of the method that stands further left, as `FIELD=`.
pub(super) fn complete_field(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let words: Vec<String> = std::env::args().collect();
    let method = words.iter().rev().find_map(|word| compiled_schema().function(word));
    method.map(|method| fields(method, typed)).unwrap_or_default()
}

fn fields(method: &Definition, typed: &str) -> Vec<CompletionCandidate> {
    let params = method.params.iter().filter(|param| param.ty != Type::Flags && param.name.starts_with(typed));
    params
        .map(|param| {
            let optional = if param.flag.is_some() { ", optional" } else { "" };
            CompletionCandidate::new(format!("{}=", param.name)).help(Some(format!("{}{optional}", param.ty).into()))
        })
        .collect()
}
