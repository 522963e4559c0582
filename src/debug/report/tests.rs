//! What the page holds, read back from the page.

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use flate2::read::ZlibDecoder;

use tdl_core::ids::{DcId, MsgId, SeqNo};
use tdl_core::trace::{ConnId, Event, Record, Role};

use super::*;

fn record(ms: u64, event: Event) -> Record {
    Record {
        at: Duration::from_secs(1_700_000_000) + Duration::from_millis(ms),
        conn: ConnId(1),
        dc: DcId(2),
        role: Role::Client,
        event,
    }
}

fn frame(sent: bool, len: usize) -> Event {
    let (wire, padding, framing, quick_ack) = (len + 4, 0, "intermediate".into(), false);
    if sent {
        Event::FrameSent { len, wire, padding, framing, quick_ack }
    } else {
        Event::FrameReceived { len, wire, padding, framing, quick_ack }
    }
}

fn page(records: &[Record], title: &str) -> String {
    let mut report = Report::new();
    records.iter().for_each(|record| report.add(record.clone()));
    let mut out = Vec::new();
    report.write(title, "tdl test", &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The recording in a page.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").unwrap();
    let (packed, _) = rest.split_once('<').unwrap();
    let mut text = String::new();
    ZlibDecoder::new(&STANDARD.decode(packed).unwrap()[..]).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn rows_frames_and_connections_are_in_it() {
    let data = data(&page(
        &[
            record(0, Event::Dialing { addr: "127.0.0.1:1".into() }),
            record(5, frame(true, 100)),
            record(9, frame(false, 60)),
            record(9, Event::MessageReceived { msg_id: MsgId(5), seq_no: SeqNo(1), constructor: 1, len: 8, container: None }),
        ],
        "a",
    ));
    assert_eq!(data["rows"]["t"], serde_json::json!([0, 5000, 4000, 0]));
    assert_eq!(data["rows"]["mark"], serde_json::json!([2, 0, 1, 1]));
    assert_eq!(data["frames"], serde_json::json!({"row": [1, 2], "len": [100, 60]}));
    assert_eq!(data["conns"], serde_json::json!([{"id": 1, "dc": 2, "addr": "127.0.0.1:1"}]));
    assert_eq!(data["sums"], serde_json::json!([{"conn": 0, "records": 4, "sent": 100, "received": 60}]));
    for raw in data["raw"].as_array().unwrap() {
        assert!(serde_json::from_str::<Value>(raw.as_str().unwrap()).unwrap().is_object());
    }
}

#[test]
fn the_connections_of_another_run_are_others() {
    let mut report = Report::new();
    for addr in ["127.0.0.1:1", "127.0.0.1:2"] {
        report.begin_run();
        report.add(record(0, Event::Dialing { addr: addr.into() }));
    }
    let mut out = Vec::new();
    report.write("a", "tdl test", &mut out).unwrap();
    let data = data(&String::from_utf8(out).unwrap());
    let expected =
        [(1, "127.0.0.1:1"), (2, "127.0.0.1:2")].map(|(id, addr)| serde_json::json!({"id": id, "dc": 2, "addr": addr}));
    assert_eq!(data["conns"], serde_json::json!(expected));
}

#[test]
fn a_clock_that_is_set_back_does_not_turn_the_page_back() {
    let data = data(&page(&[record(5, Event::Ping { ping_id: 1 }), record(0, Event::Ping { ping_id: 2 })], "a"));
    assert_eq!(data["rows"]["t"], serde_json::json!([0, 0]));
}

#[test]
fn an_empty_recording_makes_a_page_too() {
    assert_eq!(data(&page(&[], "a"))["rows"]["t"], serde_json::json!([]));
}

#[test]
fn nothing_of_a_recording_becomes_markup() {
    let evil = "</script><script>alert(1)</script>";
    let page = page(&[record(0, Event::Disconnected { reason: evil.into() })], evil);
    assert!(!page.contains(evil));
    assert!(page.contains("<title>&lt;/script&gt;"));
    assert_eq!(data(&page)["rows"]["details"][0], evil);
    // Nor does the page set any: text goes through `textContent`.
    for script in SCRIPT {
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!script.contains(way), "{way}");
        }
    }
}

#[test]
fn the_page_asks_the_network_for_nothing() {
    let page = page(&[], "a");
    assert!(page.contains("default-src 'none'"));
    for way in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(way), "{way}");
    }
}
