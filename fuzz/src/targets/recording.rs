//! Traces and recordings, as somebody hands them over. Input: lines of JSON. What can be read is written and read again, redacted, shown
//! and played.

use std::time::Duration;

use bytes::Bytes;
use tdl::clock::Now;
use tdl::crypto::AuthKey;
use tdl::debug::jsonl::{self, Header, Line, read::Lines};
use tdl::debug::replay::Replay;
use tdl::debug::{Shown, Style, human, redact};
use tdl::ids::{DcId, MsgId, SessionId};
use tdl::mtproto::session::{ClientParams, RequestOptions, Session};
use tdl::trace::{Collector, ConnId, Event, Layer, LayerSet, Record, Role};

use super::Seed;

/// The longest line that is looked at.
const MAX_LINE: usize = 64 << 10;

/// Times below this have microseconds in a double.
const EXACT: Duration = Duration::from_secs(1 << 31);

pub fn run(data: &[u8]) {
    let mut replay = Some(Replay::default());
    for next in Lines::with_max(data, MAX_LINE) {
        let Ok(Line::Record(record)) = next.expect("memory can be read").line else { continue };
        let mut line = Vec::new();
        jsonl::put_record(&record, &mut line);
        if record.at < EXACT {
            assert_eq!(jsonl::parse(&line), Ok(Line::Record(record.clone())));
        }
        let redacted = redact::record(&record, Shown::Public).into_owned();
        assert_eq!(redact::record(&redacted, Shown::Public).into_owned(), redacted, "once is enough");
        for width in [None, Some(0), Some(30), Some(100)] {
            let style = Style { layers: LayerSet::ALL, acks: true, width, ..Style::default() };
            let text = human::line(&redacted, &style).expect("acknowledgements are shown");
            assert!(width.is_none_or(|width| text.lines().all(|line| line.chars().count() <= width.max(1))));
        }
        // After an error or a difference there is nothing to compare any more.
        replay = replay.and_then(|mut replay| matches!(replay.event(&record.event), Ok(None)).then_some(replay));
    }
}

pub fn seeds() -> Vec<Seed> {
    let record =
        |event| Record { at: Duration::from_secs(1_700_000_000), conn: ConnId(1), dc: DcId(2), role: Role::Client, event };
    let lines = |events: Vec<Event>| {
        let mut out = Vec::new();
        jsonl::put_header(&Header::new(Duration::from_secs(1), LayerSet::ALL, Shown::Public), &mut out);
        events.into_iter().for_each(|event| jsonl::put_record(&record(event), &mut out));
        out
    };
    // `auth.sendCode`, as far as it matters: what is inside is for the fuzzer to find.
    let body = Bytes::from_static(b"\x4f\x24\x77\xa6\x0b+99966212340\0\0\0\x01\0\0\0\0\0\0\0\x94\x82\x13\xad\0\0\0\0");
    let events = vec![
        Event::Ping { ping_id: 7 },
        Event::Acked { ids: vec![MsgId(4), MsgId(8)] },
        Event::Body { sent: true, msg_id: MsgId(4), method: 0, len: body.len(), bytes: body },
    ];
    vec![("records".to_owned(), lines(events)), ("recording".to_owned(), lines(story()))]
}

/// A session that begins, asks something and loses its connection.
fn story() -> Vec<Event> {
    let collector = Collector::of(LayerSet::NONE.with(Layer::Core));
    let now = Now::new(Duration::from_secs(1), Duration::from_secs(1_700_000_000));
    let key = AuthKey::from_bytes(&[7; 256]);
    let params = ClientParams { tracer: collector.tracer(), ..ClientParams::new(key, SessionId(9), [1; 32]) };
    let mut session = Session::client(params, now);
    let _ = session.request(now, Bytes::from_static(&[1, 2, 3, 4]), RequestOptions::default());
    let _ = session.poll_output(now.later(Duration::from_secs(1)));
    session.connection_lost(now.later(Duration::from_secs(2)));
    collector.events()
}
