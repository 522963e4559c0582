use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::ids::{DcId, SeqNo};
use crate::trace::{ConnId, Role};

const GET_CONFIG: u32 = 0xc4f9_186b;

fn record(event: Event) -> Record {
    Record { at: Duration::from_millis(1_700_000_000_123), conn: ConnId(1), dc: DcId(2), role: Role::Client, event }
}

fn told(event: Event) -> String {
    line(&record(event), &Style { acks: true, ..Style::default() }).expect("shown")
}

/// One of each event.
fn all() -> Vec<Event> {
    let (msg_id, ids) = (MsgId(0x6553_f100_0000_0004), vec![MsgId(1), MsgId(5), MsgId(9), MsgId(13)]);
    let error = Some((400, "PEER_ID_INVALID".to_owned()));
    vec![
        Event::Dialing { addr: "127.0.0.1:443".into() },
        Event::Connected { addr: "127.0.0.1:443".into(), took: Duration::from_millis(20) },
        Event::Disconnected { reason: "closed by the peer".into() },
        Event::FrameSent { len: 84 },
        Event::FrameReceived { len: 2000 },
        Event::QuickAck { token: 0x8000_0001 },
        Event::TransportError { code: 404 },
        Event::Computed { what: "DH group checked", detail: "known prime".into() },
        Event::HandshakeStep { name: "req_pq_multi", detail: String::new() },
        Event::AuthKeyReady { id: 0xc0ffee, fresh: true },
        Event::TempKeyBound { id: 0xc0ffee, perm: 0xdecaf, expires_at: 1_700_086_400 },
        Event::KeyInUse { id: 0xc0ffee, expires_at: Some(1_700_086_400) },
        Event::CheckFailed { rule: "WrongSession", detail: "found 1, expected 2".into() },
        Event::MessageSent { msg_id, seq_no: SeqNo(1), constructor: GET_CONFIG, len: 84, container: None },
        Event::MessageReceived { msg_id, seq_no: SeqNo(1), constructor: GET_CONFIG, len: 84, container: Some(MsgId(7)) },
        Event::MessageIgnored { msg_id, reason: "seen before" },
        Event::Acked { ids: ids.clone() },
        Event::AcksSent { ids },
        Event::SaltChanged { old: Salt(0x1122_3344_5566_7788), new: Salt(0x1122_3344_5566_99aa) },
        Event::FutureSalts { count: 64 },
        Event::SessionCreated { first_msg_id: msg_id, unique_id: 5, salt: Salt(0x1122_3344_5566_7788) },
        Event::BadMsg { code: 48, msg_id },
        Event::Resent { old: msg_id, new: msg_id },
        Event::Resent { old: msg_id, new: MsgId(8) },
        Event::TimeOffset { seconds: -3 },
        Event::Ping { ping_id: 1 },
        Event::Pong { ping_id: 1, rtt: Duration::from_micros(23_400) },
        Event::RpcSent { msg_id, method: GET_CONFIG, len: 84 },
        Event::RpcResult {
            msg_id,
            method: GET_CONFIG,
            latency: Duration::from_millis(9),
            len: 500,
            compressed: true,
            error: None,
        },
        Event::RpcResult {
            msg_id,
            method: GET_CONFIG,
            latency: Duration::from_millis(9),
            len: 20,
            compressed: false,
            error: error.clone(),
        },
        Event::RpcCancelled { msg_id },
        Event::RpcReceived { msg_id, method: GET_CONFIG, len: 4 },
        Event::RpcAnswered { msg_id, method: GET_CONFIG, len: 500, error: None },
        Event::RpcAnswered { msg_id, method: GET_CONFIG, len: 500, error },
        Event::FloodWait { method: GET_CONFIG, seconds: 30 },
        Event::Migrate { from: DcId(1), to: DcId(2), reason: "PHONE_MIGRATE_2".into() },
        Event::Negotiated { layer: 230, device: "desktop".into() },
        Event::Body { sent: true, msg_id, bytes: Bytes::from_static(b"\x6b\x18\xf9\xc4+99966 12345") },
        Event::Body { sent: false, msg_id, bytes: Bytes::new() },
        Event::Update { constructor: 0x1234_5678 },
    ]
}

#[test]
fn lines_are_aligned() {
    assert_eq!(
        told(all().swap_remove(9)),
        "22:13:20.123 #1 DC2  mtproto   · auth key ready                   0x0000000000c0ffee, fresh\n"
    );
    assert_eq!(
        told(Event::RpcSent { msg_id: MsgId(4), method: GET_CONFIG, len: 84 }),
        "22:13:20.123 #1 DC2  rpc       → help.getConfig                   84 B  msg 0000000000000004\n"
    );
    assert_eq!(
        told(Event::TransportError { code: 404 }),
        "22:13:20.123 #1 DC2  transport ! transport error 404: auth key not found\n"
    );
    for event in all() {
        let line = told(event);
        let sign = line.chars().nth(31).unwrap();
        assert!("→←·!".contains(sign), "{line}");
    }
}

#[test]
fn constructors_inside_a_container_are_indented_and_unknown_ones_are_numbers() {
    let line = told(Event::MessageSent {
        msg_id: MsgId(4),
        seq_no: SeqNo(1),
        constructor: GET_CONFIG,
        len: 84,
        container: Some(MsgId(8)),
    });
    assert!(line.contains("→   help.getConfig "), "{line}");
    assert!(told(Event::Update { constructor: 0x1234_5678 }).ends_with("0x12345678\n"));
}

#[test]
fn acks_are_quiet_unless_asked_for() {
    let ids = vec![MsgId(1)];
    let message =
        Event::MessageReceived { msg_id: MsgId(1), seq_no: SeqNo(2), constructor: MSGS_ACK, len: 20, container: None };
    for event in [Event::Acked { ids: ids.clone() }, Event::AcksSent { ids }, message] {
        assert_eq!(line(&record(event.clone()), &Style::default()), None);
        assert!(line(&record(event), &Style { acks: true, ..Style::default() }).is_some());
    }
}

#[test]
fn every_line_fits_every_width() {
    for event in all() {
        for width in 0..120 {
            for colour in [false, true] {
                let style = Style { width: Some(width), colour, acks: true, ..Style::default() };
                let text = line(&record(event.clone()), &style).unwrap();
                let text = without_colours(text.trim_end_matches('\n'));
                assert!(text.chars().count() <= width.max(1), "{width}: {text}");
            }
        }
    }
}

#[test]
fn colours_change_nothing_else_and_end_where_they_begin() {
    for event in all() {
        let style = Style { colour: true, acks: true, ..Style::default() };
        let coloured = line(&record(event.clone()), &style).unwrap();
        assert_eq!(without_colours(&coloured), told(event));
        assert!(coloured.contains("\x1b[") && coloured.matches(RESET).count() * 2 == coloured.matches("\x1b[").count());
    }
}

fn without_colours(text: &str) -> String {
    [BOLD, DIM, RED, GREEN, CYAN, RESET].iter().fold(text.to_owned(), |text, colour| text.replace(colour, ""))
}

#[test]
fn nothing_secret_is_shown() {
    for event in all() {
        let line = told(event);
        assert!(!line.contains("99966"), "{line}");
        assert!(!line.contains("112233"), "{line}");
    }
}

#[test]
fn a_peer_cannot_write_to_the_terminal() {
    let text = "\x1b]0;title\x07\r\nFLOOD".to_owned();
    let line = told(Event::RpcAnswered { msg_id: MsgId(1), method: 1, len: 0, error: Some((420, text)) });
    assert!(line.trim_end_matches('\n').chars().all(|c| !c.is_control()), "{line:?}");
}

#[test]
fn the_sink_shows_its_layers() {
    let style = Style { layers: "rpc".parse().unwrap(), ..Style::default() };
    let human = std::sync::Arc::new(Human::new(Vec::new(), style));
    let tracer = crate::trace::Tracer::new(human.clone());
    let now = crate::clock::Now::new(Duration::ZERO, Duration::ZERO);
    for event in all() {
        tracer.emit(now, || event);
    }
    drop(tracer);
    let text = String::from_utf8(std::sync::Arc::into_inner(human).expect("the last one").into_inner()).unwrap();
    assert!(text.lines().count() > 5);
    assert!(text.lines().all(|line| line.contains(" rpc ")), "{text}");
}
