//! `tdl dc handshake`: a key exchange, step by step.

use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use tdl::{
    debug::{
        handshake::{Entry, Recorder},
        units::span,
    },
    mtproto::{
        handshake::{Mode, watch::Watch},
        session::KeyDestruction,
    },
};

use crate::cli::{
    context::Context,
    exit::{CliError, ExitCode},
    output::printable,
};

/// How long a temporary key lasts that is thrown away in a moment, in seconds.
const TEMPORARY: i32 = 3600;

/// The arguments of `tdl dc handshake`.
#[derive(Debug, Args)]
pub(crate) struct HandshakeArgs {
    /// The data centre, by its number [default: the account's home, or 2]
    #[arg(value_name = "N")]
    dc: Option<i32>,

    /// Make a temporary key, as forward secrecy does
    #[arg(long)]
    temporary: bool,

    /// Show the secret values too: the new nonce, the exponent, the keys and the salt. The key is thrown away in any case
    #[arg(long)]
    secrets: bool,
}

pub(super) async fn run(context: &Context, args: &HandshakeArgs) -> Result<ExitCode, CliError> {
    let (table, _) = context.cluster()?;
    let dc = match args.dc {
        Some(id) => super::known(&table, id)?,
        None => super::home_or_first(context, &table)?,
    };
    let client = context.outsider(None).await?;
    let addr = super::winner(&client, dc).await?;
    let mut probe = client.probe(dc, addr).await.map_err(|error| super::probe_error(dc, addr, &error))?;
    let (route, connected) = (probe.route().to_owned(), probe.connected());

    let (output, json, full) = (context.output.clone(), context.output.json, context.output.verbose);
    if !json {
        output.line(&format!("{dc} at {route}, connected in {}", span(connected)))?;
    }
    if args.secrets {
        output.note("secret values are shown: this key is thrown away");
    }
    let as_it_happens = output.clone();
    let print = move |entry: &Entry| {
        if !json {
            // If nobody reads any more, the end of the command will notice.
            let _ = as_it_happens.raw(printable_lines(&entry.text(full)).as_bytes());
        }
    };
    let recorder = Arc::new(Recorder::new(args.secrets, Some(Box::new(print))));
    let mode = if args.temporary { Mode::Temporary { expires_in: TEMPORARY } } else { Mode::Permanent };
    let result = probe.exchange(mode, Watch::new(Arc::clone(&recorder) as _)).await;
    let times = recorder.times();
    let (key_id, destroyed, error) = match result {
        Ok(key) => (Some(key.auth_key.id()), Some(probe.destroy(&key).await), None),
        Err(error) => (None, None, Some(error)),
    };
    client.close().await;

    if json {
        let rule = error.as_ref().and_then(|error| error.handshake()).map(tdl::mtproto::handshake::Error::rule);
        output.document(&json!({
            "dc": dc.0,
            "address": addr.to_string(),
            "route": route,
            "connect_us": connected.as_nanos() as f64 / 1e3,
            "steps": recorder.entries().iter().map(Entry::json).collect::<Vec<Value>>(),
            "times": times.json(),
            "key_id": key_id.map(|id| format!("{id:016x}")),
            "stored": false,
            "forgotten_by_server": destroyed.as_ref().map(|it| matches!(it, Ok(KeyDestruction::Destroyed))),
            "error": error.as_ref().map(|error| json!({ "rule": rule, "what": error.to_string() })),
        }))?;
    } else {
        output.line(&format!(
            "{} in all: {} waiting for the server, {} computing",
            span(times.total),
            span(times.waiting),
            span(times.computing)
        ))?;
    }
    if let Some(error) = error {
        return Err(super::probe_error(dc, addr, &error));
    }
    match destroyed {
        Some(Ok(KeyDestruction::Destroyed)) => output.note("the key was not stored, and the server has forgotten it"),
        Some(Ok(_)) => output.note("the key was not stored; the server would not forget it at once"),
        Some(Err(error)) => output.note(&format!("the key was not stored; the server was not asked to forget it: {error}")),
        None => {}
    }
    Ok(ExitCode::Done)
}

/// Text from a server, safe for a terminal, line by line.
fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}
