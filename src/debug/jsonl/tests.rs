use std::collections::BTreeSet;
use std::io::{BufReader, Read};

use super::kinds::{documented, kind_of};
use super::read::{Lines, Numbered};
use super::*;
use tdl_core::trace::Event;
use tdl_core::trace::samples::{all, record};

fn line(record: &Record) -> String {
    let mut out = Vec::new();
    put_record(record, &mut out);
    String::from_utf8(out).unwrap()
}

fn parsed(text: &str) -> Result<Line, LineError> {
    parse(text.trim_end().as_bytes())
}

#[test]
fn every_event_is_written_read_back_and_documented() {
    let known = documented();
    let document = include_str!("../../../docs/trace.md");
    let mut seen = BTreeSet::new();
    for event in all() {
        let record = record(event);
        let text = line(&record);
        assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
        assert_eq!(parsed(&text), Ok(Line::Record(record.clone())), "{text}");

        let kind = kind_of(&record.event);
        seen.insert(kind);
        let (_, fields) = known.iter().find(|(known, _)| *known == kind).expect("every kind is in the table");
        let row = format!("| `{kind}` | {} | {fields} |", record.event.layer());
        assert!(document.contains(&row), "docs/trace.md lacks this row, with a meaning at its end:\n{row}");

        // Nothing is written that is not documented.
        let written: Value = serde_json::from_str(&text).unwrap();
        let common = ["t", "conn", "dc", "role", "layer", "kind", "tl"];
        for name in written.as_object().unwrap().keys().filter(|name| !common.contains(&name.as_str())) {
            assert!(fields.contains(&format!("`{name}`")), "{kind}: {name}");
        }
    }
    let all: BTreeSet<&str> = known.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(seen, all, "an event has no sample");
    let rows = document.lines().filter(|line| line.starts_with("| `") && line.split('|').count() == 6).count();
    assert_eq!(rows, all.len(), "docs/trace.md describes what there is not");
}

#[test]
fn every_call_is_written_read_back_and_documented() {
    let known = calls::documented();
    let document = include_str!("../../../docs/trace.md");
    let mut seen = BTreeSet::new();
    let Some(Event::CoreCall { session, number, now, .. }) = all().into_iter().find(|e| matches!(e, Event::CoreCall { .. }))
    else {
        panic!("no sample")
    };
    for call in calls::samples() {
        let kind = calls::kind_of(&call);
        seen.insert(kind);
        let record = record(Event::CoreCall { session, number, now, call: Box::new(call) });
        let text = line(&record);
        assert_eq!(parsed(&text), Ok(Line::Record(record)), "{text}");
        let (_, fields) = known.iter().find(|(known, _)| *known == kind).expect("every call is in the table");
        let row = format!("| `{kind}` | {fields} |");
        assert!(document.contains(&row), "docs/trace.md lacks this row:\n{row}");
    }
    assert_eq!(seen, known.iter().map(|(kind, _)| *kind).collect(), "a call has no sample");
    let rows = document.lines().filter(|line| line.starts_with("| `") && line.split('|').count() == 4).count();
    assert_eq!(rows, known.len(), "docs/trace.md describes what there is not");
}

#[test]
fn a_line_as_the_documentation_shows_it() {
    let event = all().into_iter().find(|event| matches!(event, Event::MessageReceived { .. })).unwrap();
    let text = line(&record(event));
    let expected = r#"{"t":1700000000.123456,"conn":1,"dc":2,"layer":"mtproto","kind":"message_received","msg_id":"6553f10080000004","msg_time":1700000000.500000,"seq_no":1,"name":"help.getConfig","constructor":"c4f9186b","len":84,"container":"0000000000000007"}"#;
    assert_eq!(text.trim_end(), expected);
    assert!(include_str!("../../../docs/trace.md").contains(expected));
}

#[test]
fn the_side_of_a_server_is_told() {
    let record = Record { role: Role::Server, ..record(Event::Ping { ping_id: 1 }) };
    let text = line(&record);
    assert!(text.contains(r#""role":"server""#), "{text}");
    assert_eq!(parsed(&text), Ok(Line::Record(record)));
    let wrong = LineError::FieldWrong { field: "role", expected: "client or server" };
    assert_eq!(parsed(&text.replace("server", "judge")), Err(wrong));
}

#[test]
fn headers_and_losses() {
    let header = Header::new(Duration::from_micros(1_700_000_000_000_001), LayerSet::default(), Shown::Texts);
    let mut out = Vec::new();
    put_header(&header, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(parsed(&text), Ok(Line::Header(header)));
    assert!(text.starts_with(r#"{"v":1,"t":1700000000.000001,"tool":"tdl","#), "{text}");

    let mut out = Vec::new();
    put_lost(Duration::from_secs(1), 12, &mut out);
    assert_eq!(out, b"{\"t\":1.000000,\"kind\":\"lost\",\"count\":12}\n");
    assert_eq!(parse(out.trim_ascii_end()), Ok(Line::Lost { count: 12 }));
}

#[test]
fn what_later_versions_add_is_passed_over() {
    let text = r#"{"t":1,"conn":1,"dc":2,"layer":"mtproto","kind":"ping","ping_id":"0000000000000001","mood":"good"}"#;
    assert!(matches!(parsed(text), Ok(Line::Record(Record { event: Event::Ping { ping_id: 1 }, .. }))));
    let header = r#"{"v":1,"t":1,"tool":"tdl","version":"9","layer":999,"layers":"rpc,tomorrow","shown":"public"}"#;
    assert!(matches!(parsed(header), Ok(Line::Header(Header { layer: 999, .. }))));
}

#[test]
fn each_way_to_be_wrong_has_its_error() {
    let missing = |field| Err(LineError::FieldMissing { field });
    let wrong = |field, expected| Err(LineError::FieldWrong { field, expected });
    let head = r#""t":1,"conn":1,"dc":2"#;
    for (text, expected) in [
        ("[1]".to_owned(), Err(LineError::NotAnObject)),
        (r#"{"v":2}"#.to_owned(), Err(LineError::Version { found: "2".to_owned() })),
        (r#"{"v":"1"}"#.to_owned(), Err(LineError::Version { found: "\"1\"".to_owned() })),
        ("{}".to_owned(), missing("kind")),
        (r#"{"kind":7}"#.to_owned(), wrong("kind", "a string")),
        (format!(r#"{{{head},"kind":"dreamt"}}"#), Err(LineError::UnknownKind { kind: "dreamt".to_owned() })),
        (format!(r#"{{{head},"kind":"ping"}}"#), missing("ping_id")),
        (format!(r#"{{{head},"kind":"ping","ping_id":"1"}}"#), wrong("ping_id", "16 hexadecimal digits")),
        (format!(r#"{{{head},"kind":"quick_ack","token":"zzzzzzzz"}}"#), wrong("token", "8 hexadecimal digits")),
        (format!(r#"{{{head},"kind":"transport_error","code":2147483648}}"#), wrong("code", "a whole number in its range")),
        (format!(r#"{{{head},"kind":"disconnected","reason":1}}"#), wrong("reason", "a string")),
        (format!(r#"{{{head},"kind":"acked","ids":1}}"#), wrong("ids", "a list")),
        (r#"{"t":-1,"conn":1,"dc":2,"kind":"ping","ping_id":"0000000000000001"}"#.to_owned(), wrong("t", "a Unix time")),
        (
            r#"{"t":1,"conn":-1,"dc":2,"kind":"ping","ping_id":"0000000000000001"}"#.to_owned(),
            wrong("conn", "a whole number in its range"),
        ),
        (r#"{"conn":1,"dc":2,"kind":"ping","ping_id":"0000000000000001"}"#.to_owned(), missing("t")),
        (r#"{"kind":"lost","count":-1}"#.to_owned(), wrong("count", "a whole number")),
    ] {
        assert_eq!(parsed(&text), expected, "{text}");
    }
    assert!(matches!(parsed("{\"t\":"), Err(LineError::NotJson { .. })));
    assert!(matches!(parse(b"{\"kind\":\"\xff\"}"), Err(LineError::NotJson { .. })));
}

#[test]
fn every_prefix_of_every_line_is_an_error_and_none_panics() {
    for event in all() {
        let text = line(&record(event));
        for end in 0..text.trim_end().len() {
            if text.is_char_boundary(end) {
                assert!(parse(&text.as_bytes()[..end]).is_err(), "{}", &text[..end]);
            }
        }
    }
}

fn read_all(input: &[u8], max: usize, chunk: usize) -> Vec<Numbered> {
    // Whatever the size of what comes at once, lines are the same.
    Lines::with_max(BufReader::with_capacity(chunk, input.take(u64::MAX)), max).map(Result::unwrap).collect()
}

#[test]
fn damaged_and_endless_lines_are_reported_and_reading_goes_on() {
    let good = line(&record(Event::Ping { ping_id: 1 }));
    let long = format!("{{\"x\":\"{}\"}}\n", "y".repeat(1000));
    let input = format!("{good}\n  \nnonsense\n{long}{good}{}", good.trim_end());
    for chunk in [1, 7, 64, 4096] {
        let lines = read_all(input.as_bytes(), 300, chunk);
        let numbers: Vec<u64> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 4, 5, 6, 7], "blank lines count, but say nothing");
        assert!(lines[0].line.is_ok() && lines[3].line.is_ok() && lines[4].line.is_ok(), "the last needs no line feed");
        assert!(matches!(lines[1].line, Err(LineError::NotJson { .. })));
        assert_eq!(lines[2].line, Err(LineError::TooLong { max: 300 }));
    }
}
