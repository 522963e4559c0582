//! The demonstrations of one key and of two, through the binary: what they promise holds, measured.

#![cfg(feature = "cli")]

use crate::support;

use serde_json::Value;
use support::TestDir;

fn days(document: &Value) -> Vec<&Value> {
    document["days"].as_array().expect("days").iter().collect()
}

fn program<'a>(day: &'a Value, name: &str) -> &'a Value {
    let programs = day["programs"].as_array().expect("programs");
    programs.iter().find(|program| program["program"] == name).unwrap_or_else(|| panic!("no {name}: {day}"))
}

#[test]
fn on_one_key_each_program_misses_messages_and_the_record_changes() {
    let document = TestDir::new().tdl().args("demo conflict --messages 16 --json --quiet").ok().json();
    let [same, older] = days(&document)[..] else { panic!("two days: {document}") };
    for day in [same, older] {
        let (desktop, ours) = (program(day, "desktop"), program(day, "tdl"));
        let number = |program: &Value, field: &str| program[field].as_u64().expect("a number");
        for program in [desktop, ours] {
            assert_eq!(program["sent"], 16);
            assert!(number(program, "missed") > 0, "{program}");
            assert_eq!(program["late"], program["missed"], "{program}");
            assert!(number(program, "late_by_ms") > 0, "{program}");
        }
        let pushes = |program: &Value| number(program, "pushed") + number(program, "unreadable");
        assert_eq!(pushes(desktop) + pushes(ours), 16, "{day}");
        assert_ne!(day["key_before"]["device"], day["key_after"]["device"]);
        assert!(day["own_key"].is_null());
    }
    assert_eq!(program(same, "desktop")["unreadable"], 0);
    // What is pushed in our layer cannot be read in the older one: of the eight that it was pushed, those with files.
    assert_eq!((&older["desktop_layer"], &program(older, "desktop")["pushed"]), (&201.into(), &4.into()));
    assert_eq!(program(older, "desktop")["unreadable"], 4);
}

#[test]
fn with_a_key_for_each_every_message_is_pushed_to_both_and_the_record_stays() {
    let document = TestDir::new().tdl().args("demo isolation --messages 16 --json --quiet").ok().json();
    for day in days(&document) {
        for name in ["desktop", "tdl"] {
            let program = program(day, name);
            let counts = ["sent", "pushed", "missed", "unreadable", "late"].map(|field| program[field].clone());
            assert_eq!(counts, [16, 16, 0, 0, 0].map(Value::from), "{program}");
        }
        assert_eq!(day["key_before"], day["key_after"]);
        assert_ne!(day["own_key"]["device"], day["key_after"]["device"]);
    }
    assert_eq!(days(&document)[1]["desktop_layer"], 201);
}

#[test]
fn the_tables_are_for_people() {
    let finished = TestDir::new().tdl().args("demo isolation --messages 4").ok();
    finished.stdout_has("4 (100 %)").stdout_has("PROGRAM").stdout_has("Desktop-like").stdout_has("tdl's own");
    finished.stderr_has("pushed to both");
}
