//! What came of a day, for people and for programs.

use serde_json::{Value, json};

use super::day::{Day, OnRecord, Tally};
use crate::cli::context::Context;
use crate::cli::exit::CliError;

/// The days' tables.
pub(super) fn print(context: &Context, demo: &str, days: &[Day]) -> Result<(), CliError> {
    if context.output.json {
        return context.output.document(&json!({ "demo": demo, "days": days.iter().map(day_json).collect::<Vec<_>>() }));
    }
    for day in days {
        context.output.line(&format!("The desktop-like client speaks layer {}:", day.layer))?;
        context.output.line("")?;
        let rows: Vec<Vec<String>> = day.tallies.iter().map(row).collect();
        context.output.table(&["PROGRAM", "SENT", "PUSHED", "UNREADABLE", "MISSED", "LATE", "BY"], &rows)?;
        context.output.line("")?;
        let mut records = vec![
            record("desktop's, before", &day.before),
            record(if day.own.is_some() { "desktop's, after" } else { "the one key, after" }, &day.after),
        ];
        records.extend(day.own.as_ref().map(|own| record("tdl's own", own)));
        context.output.table(&["KEY", "DEVICE ON RECORD", "LAYER ON RECORD"], &records)?;
        context.output.line("")?;
    }
    Ok(())
}

fn row(tally: &Tally) -> Vec<String> {
    vec![
        tally.program.to_owned(),
        tally.sent.to_string(),
        format!("{} ({} %)", tally.pushed, tally.pushed * 100 / tally.sent.max(1)),
        tally.unreadable.to_string(),
        tally.missed.to_string(),
        tally.late.to_string(),
        tally.late_by.map_or_else(|| "-".to_owned(), |by| format!("up to {:.1} s", by.as_secs_f64())),
    ]
}

fn record(key: &str, found: &OnRecord) -> Vec<String> {
    let layers = match found.layers.as_slice() {
        [] => "?".to_owned(),
        [one] => one.to_string(),
        [least, .., most] => format!("{least} to {most}"),
    };
    vec![key.to_owned(), found.device.clone(), layers]
}

fn day_json(day: &Day) -> Value {
    json!({
        "desktop_layer": day.layer,
        "programs": day.tallies.iter().map(tally_json).collect::<Vec<_>>(),
        "key_before": record_json(&day.before),
        "key_after": record_json(&day.after),
        "own_key": day.own.as_ref().map(record_json),
    })
}

fn tally_json(tally: &Tally) -> Value {
    json!({
        "program": tally.program,
        "sent": tally.sent,
        "pushed": tally.pushed,
        "unreadable": tally.unreadable,
        "missed": tally.missed,
        "late": tally.late,
        "late_by_ms": tally.late_by.map(|by| by.as_millis()),
    })
}

fn record_json(found: &OnRecord) -> Value {
    json!({ "device": found.device, "layers": found.layers })
}
