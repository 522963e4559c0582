use std::time::Duration;

use super::*;
use tdl_core::ids::SeqNo;
use tdl_core::trace::samples::{GET_CONFIG, all, record};

fn told(event: Event) -> String {
    line(&record(event), &Style { acks: true, ..Style::default() }).expect("shown")
}

#[test]
fn lines_are_aligned() {
    assert_eq!(
        told(Event::AuthKeyReady { id: 0xc0ffee, fresh: true }),
        "22:13:20.123 #1 DC2  mtproto   · auth key ready                   0x0000000000c0ffee, fresh\n"
    );
    assert_eq!(
        told(Event::RpcSent { msg_id: MsgId(4), method: GET_CONFIG, len: 84, packed: None }),
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
    assert!(told(Event::Update { constructor: 0x1234_5678, counters: Counters::default() }).ends_with("0x12345678\n"));
}

#[test]
fn acks_are_quiet_unless_asked_for() {
    let ids = vec![MsgId(1)];
    let message =
        Event::MessageReceived { msg_id: MsgId(1), seq_no: SeqNo(2), constructor: MSGS_ACK, len: 20, container: None };
    let bytes = tl::mtproto::enums::MsgsAck::Ack(tl::mtproto::types::MsgsAck { msg_ids: vec![1] });
    let bytes = tl::Serialize::to_bytes(&bytes);
    let body = Event::Body { sent: true, msg_id: MsgId(1), method: 0, len: bytes.len(), bytes };
    for event in [Event::Acked { ids: ids.clone() }, Event::AcksSent { ids }, message, body] {
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
                for text in line(&record(event.clone()), &style).unwrap().lines() {
                    let text = without_colours(text);
                    assert!(text.chars().count() <= width.max(1), "{width}: {text}");
                }
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
        let human = Human::new(Vec::new(), Style { layers: LayerSet::ALL, acks: true, ..Style::default() });
        human.record(&record(event));
        let line = String::from_utf8(human.into_inner()).unwrap();
        assert!(!line.contains("99966"), "{line}");
        assert!(!line.contains("112233"), "{line}");
    }
}

#[test]
fn a_body_is_a_tree_below_its_line() {
    use tdl_core::tl::{Serialize, api::functions};
    let request = functions::auth::SendCode { phone_number: "+9996621234".into(), api_id: 7, ..Default::default() };
    let bytes = functions::InvokeWithLayer { layer: 230, query: request }.to_bytes();
    let body = record(Event::Body { sent: true, msg_id: MsgId(4), method: 0, len: bytes.len(), bytes });
    let style = Style { layers: LayerSet::ALL, ..Style::default() };
    let human = Human::new(Vec::new(), style);
    human.record(&body);
    let expected = "\
22:13:20.123 #1 DC2  tl        → invokeWithLayer                  40 B  msg 0000000000000004
                                   layer  230
                                   query  auth.sendCode
                                     phone_number  ‹redacted›
                                     api_id        7
                                     api_hash      ‹redacted›
                                     settings      codeSettings
";
    assert_eq!(String::from_utf8(human.into_inner()).unwrap(), expected);
    let shown = line(&body, &style).unwrap();
    assert!(shown.contains("phone_number  \"+9996621234\""), "{shown}");
    let narrow = line(&body, &Style { width: Some(40), ..style }).unwrap();
    assert!(narrow.contains("\n  layer  230\n") && narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
}

#[test]
fn a_peer_cannot_write_to_the_terminal() {
    let text = "\x1b]0;title\x07\r\nFLOOD".to_owned();
    let line = told(Event::RpcAnswered { msg_id: MsgId(1), method: 1, len: 0, packed: None, error: Some((420, text)) });
    assert!(line.trim_end_matches('\n').chars().all(|c| !c.is_control()), "{line:?}");

    let message = tl::api::functions::messages::SendMessage { message: "\x1b[2J\u{202e}".into(), ..Default::default() };
    let bytes = tl::Serialize::to_bytes(&message);
    let line = told(Event::Body { sent: true, msg_id: MsgId(4), method: 0, len: bytes.len(), bytes });
    assert!(line.lines().count() > 2 && line.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{line:?}");
}

#[test]
fn the_sink_shows_its_layers() {
    let style = Style { layers: "rpc".parse().unwrap(), ..Style::default() };
    let human = std::sync::Arc::new(Human::new(Vec::new(), style));
    let tracer = tdl_core::trace::Tracer::new(human.clone());
    let now = tdl_core::clock::Now::new(Duration::ZERO, Duration::ZERO);
    for event in all() {
        tracer.emit(now, || event);
    }
    drop(tracer);
    let text = String::from_utf8(std::sync::Arc::into_inner(human).expect("the last one").into_inner()).unwrap();
    assert!(text.lines().count() > 5);
    assert!(text.lines().all(|line| line.contains(" rpc ")), "{text}");
}
