use std::sync::{Arc, Mutex};

use super::*;
use tdl_core::ids::{Salt, SessionId};
use tdl_core::tl::api::functions as f;
use tdl_core::tl::{Identifiable as _, Serialize as _};
use tdl_core::trace::Tracer;

/// What was written, to be looked at while the sink lives.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A packet of the file: its tags and its head, and its fields.
struct Read {
    tags: Vec<(u16, Vec<u8>)>,
    head: Vec<u8>,
    fields: Fields,
}

type Fields = Vec<(u16, Vec<u8>)>;

impl Read {
    fn tag(&self, number: u16) -> Option<&[u8]> {
        self.tags.iter().find(|(found, _)| *found == number).map(|(_, value)| &value[..])
    }
}

fn fields(mut bytes: &[u8]) -> Fields {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let number = u16::from_le_bytes(bytes[..2].try_into().unwrap());
        let len = u32::from_le_bytes(bytes[2..6].try_into().unwrap()) as usize;
        out.push((number, bytes[6..6 + len].to_vec()));
        bytes = &bytes[6 + len..];
    }
    out
}

fn one(fields: &Fields, number: u16) -> Option<&[u8]> {
    fields.iter().find(|(found, _)| *found == number).map(|(_, value)| &value[..])
}

fn all(fields: &Fields, number: u16) -> Vec<Fields> {
    fields.iter().filter(|(found, _)| *found == number).map(|(_, value)| self::fields(value)).collect()
}

/// The packets of a file, by way of the same blocks that a capture has.
fn packets(file: &[u8]) -> Vec<Read> {
    let mut at = 0;
    let mut out = Vec::new();
    while at < file.len() {
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let (kind, len) = (word(at), word(at + 4) as usize);
        assert_eq!(word(at + len - 4) as usize, len);
        if kind == 6 {
            let captured = word(at + 20) as usize;
            out.push(packet(&file[at + 28..at + 28 + captured]));
        }
        at += len;
    }
    out
}

fn packet(mut bytes: &[u8]) -> Read {
    let mut tags = Vec::new();
    loop {
        let number = u16::from_be_bytes(bytes[..2].try_into().unwrap());
        let len = usize::from(u16::from_be_bytes(bytes[2..4].try_into().unwrap()));
        tags.push((number, bytes[4..4 + len].to_vec()));
        bytes = &bytes[4 + len..];
        if number == 0 {
            break;
        }
    }
    Read { tags, head: bytes[..12].to_vec(), fields: fields(&bytes[12..]) }
}

struct Bench {
    out: Shared,
    sink: Arc<Pcapng<Shared>>,
}

impl Bench {
    fn new(shown: Shown) -> Self {
        let out = Shared::default();
        let sink = Arc::new(Pcapng::new(out.clone(), shown).unwrap());
        Self { out, sink }
    }

    fn say(&self, conn: u32, events: impl IntoIterator<Item = Event>) -> &Self {
        self.say_by(&Tracer::new(self.sink.clone()).with_connection(ConnId(conn), DcId(2)), events)
    }

    fn say_by(&self, tracer: &Tracer, events: impl IntoIterator<Item = Event>) -> &Self {
        let now = tdl_core::clock::Now::new(Duration::ZERO, Duration::new(1_700_000_000, 123_456_789));
        events.into_iter().for_each(|event| tracer.emit(now, || event));
        self
    }

    fn packets(&self) -> Vec<Read> {
        assert!(self.sink.flush());
        let file = self.out.0.lock().unwrap().clone();
        packets(&file)
    }
}

const OUTER: MsgId = MsgId(0x6553_f100_0000_0010);
const REQUEST: MsgId = MsgId(0x6553_f100_0000_0004);

fn envelope(sent: bool, msg_id: MsgId) -> Event {
    let inner = Inner { salt: Salt(5), session_id: SessionId(6), msg_id, seq_no: SeqNo(3), len: 80, padding: 12 };
    Event::Envelope { sent, auth_key_id: 0xc0ffee, len: 128, msg_key: Verdict::Ok, inner: Some(inner), token: Some(7) }
}

fn frame(sent: bool) -> Event {
    let framing = "obfuscated padded".into();
    let (len, wire, padding, quick_ack) = (128, 140, 8, false);
    if sent {
        Event::FrameSent { len, wire, padding, framing, quick_ack }
    } else {
        Event::FrameReceived { len, wire, padding, framing, quick_ack }
    }
}

/// A request in a container with an acknowledgement, as a client's trace tells of it.
fn sent() -> Vec<Event> {
    let body = f::contacts::ResolvePhone { phone: "9996621234".into() }.to_bytes();
    let (seq_no, len) = (SeqNo(1), body.len());
    vec![
        Event::RpcSent { msg_id: REQUEST, method: f::contacts::ResolvePhone::ID, len, packed: None },
        Event::MessageSent { msg_id: OUTER, seq_no: SeqNo(2), constructor: 0x73f1_f8dc, len: 80, container: None },
        Event::MessageSent { msg_id: REQUEST, seq_no, constructor: f::contacts::ResolvePhone::ID, len, container: Some(OUTER) },
        Event::Body { sent: true, msg_id: REQUEST, method: 0, len, bytes: body },
        envelope(true, OUTER),
        frame(true),
    ]
}

/// Its answer: an error.
fn received() -> Vec<Event> {
    let answer = MsgId(REQUEST.0 + 1);
    let mut body = RPC_RESULT_ID.to_le_bytes().to_vec();
    body.extend(REQUEST.0.to_le_bytes());
    body.extend(0x2144_ca19_u32.to_le_bytes());
    body.extend(400_i32.to_le_bytes());
    tdl_core::tl::wire::write_bytes(&mut body, b"PHONE_NOT_OCCUPIED");
    let (method, len) = (f::contacts::ResolvePhone::ID, body.len());
    vec![
        frame(false),
        envelope(false, answer),
        Event::MessageReceived { msg_id: answer, seq_no: SeqNo(1), constructor: RPC_RESULT_ID, len, container: None },
        Event::Body { sent: false, msg_id: answer, method, len, bytes: body.into() },
        Event::RpcResult {
            msg_id: REQUEST,
            method,
            latency: Duration::from_micros(1500),
            len: 32,
            packed: None,
            sends: 1,
            error: Some((400, "PHONE_NOT_OCCUPIED".to_owned())),
        },
    ]
}

#[test]
fn a_frame_has_its_envelope_and_its_messages() {
    let bench = Bench::new(Shown::Public);
    bench.sink.set_ends(ConnId(1), "192.0.2.1:5000".parse().unwrap(), "192.0.2.2:443".parse().unwrap());
    bench.say(1, sent()).say(1, sent()).say(1, received());
    let packets = bench.packets();
    assert_eq!(packets.len(), 3);
    let second = &packets[1];
    assert_eq!(second.head, [1, 1, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
    assert_eq!(second.tag(12), Some(&b"mtproto\0"[..]));
    assert_eq!((second.tag(20), second.tag(21)), (Some(&[192, 0, 2, 1][..]), Some(&[192, 0, 2, 2][..])));
    assert_eq!((second.tag(25), second.tag(26)), (Some(&[0, 0, 0x13, 0x88][..]), Some(&[0, 0, 1, 0xbb][..])));
    let number =
        |fields: &Fields, which| one(fields, which).map(|value| value.iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b)));
    // What was said of the connection's framing holds for what follows.
    assert_eq!(one(&second.fields, 1), Some(&b"obfuscated padded"[..]));
    let expected = [(2, 0xc0ffee), (3, 128), (4, 1), (5, 5), (6, 6), (7, 12), (8, 7)];
    assert!(expected.iter().all(|(which, value)| number(&second.fields, *which) == Some(*value)));
    let messages = all(&second.fields, 16);
    assert_eq!(messages.len(), 2);
    assert_eq!(number(&messages[0], 17), Some(OUTER.0 as u64));
    assert_eq!((number(&messages[1], 17), number(&messages[1], 21)), (Some(REQUEST.0 as u64), Some(OUTER.0 as u64)));
    let method = u64::from(f::contacts::ResolvePhone::ID);
    assert_eq!((number(&messages[1], 20), number(&messages[1], 24)), (Some(method), Some(method)));
    assert_eq!((one(&messages[0], 22), one(&messages[0], 23)), (None, None), "a container's body is the messages in it");

    let answer = &packets[2];
    assert_eq!(answer.head[2], 2, "to the client");
    assert_eq!(answer.tag(20), Some(&[192, 0, 2, 2][..]), "from the server");
    let messages = all(&answer.fields, 16);
    assert_eq!((number(&messages[0], 24), number(&messages[0], 25)), (Some(method), Some(REQUEST.0 as u64)));
    assert_eq!((number(&messages[0], 26), number(&messages[0], 27)), (Some(1_500_000), Some(400)));
    assert_eq!(one(&messages[0], 28), Some(&b"PHONE_NOT_OCCUPIED"[..]));
}

#[test]
fn bodies_are_redacted_unless_they_are_asked_for() {
    for (shown, visible) in [(Shown::Public, false), (Shown::Texts, false), (Shown::Everything, true)] {
        let bench = Bench::new(shown);
        bench.say(1, sent());
        let packets = bench.packets();
        let messages = all(&packets[0].fields, 16);
        for which in [22, 23] {
            let text = String::from_utf8_lossy(one(&messages[1], which).unwrap()).into_owned();
            assert_eq!(text.contains("9996621234"), visible, "{shown:?} {which}: {text}");
        }
        assert_eq!(packets[0].head[3], shown as u8);
    }
}

#[test]
fn a_server_tells_the_same_the_other_way_round() {
    let bench = Bench::new(Shown::Public);
    let server = Tracer::new(bench.sink.clone()).with_connection(ConnId(1), DcId(2)).as_server();
    bench.say_by(&server, sent()).say_by(&server, received());
    let ways: Vec<u8> = bench.packets().iter().map(|packet| packet.head[2]).collect();
    assert_eq!(ways, [2, 1]);
}

#[test]
fn what_was_concluded_belongs_to_its_frame_and_the_rest_stands_alone() {
    let bench = Bench::new(Shown::Public);
    bench.say(1, [Event::Dialing { addr: "192.0.2.2:443".into() }]);
    bench.say(1, received()).say(1, [Event::CheckFailed { rule: "WrongSession".into(), detail: "1, not 2\u{1b}[2J".into() }]);
    // Another connection's frame comes between.
    bench.say(2, sent());
    bench.say(
        1,
        [Event::Acked { ids: vec![REQUEST] }, Event::TransportError { code: 404 }, Event::Acked { ids: vec![REQUEST] }],
    );
    let packets = bench.packets();
    let kinds: Vec<(u8, u8)> = packets.iter().map(|packet| (packet.head[1], packet.head[4])).collect();
    assert_eq!(kinds, [(2, 1), (1, 2), (1, 1), (2, 1), (2, 1)], "an event; both frames; what has no frame any more");
    assert_eq!(one(&packets[0].fields, 50), Some(&b"dialing"[..]));
    let notes = all(&packets[2].fields, 48);
    assert_eq!(notes.len(), 2);
    assert_eq!(one(&notes[0], 49), Some(&b"mtproto"[..]));
    assert_eq!(one(&notes[0], 50), Some(&b"check failed: WrongSession"[..]));
    let details = String::from_utf8_lossy(one(&notes[0], 51).unwrap()).into_owned();
    assert!(details.starts_with("1, not 2") && !details.contains('\u{1b}'), "{details}");
}

#[test]
fn a_packet_is_never_longer_than_wireshark_takes() {
    let bench = Bench::new(Shown::Everything);
    let body = Bytes::from(vec![0x77; 300_000]);
    let long = |n: i64| {
        let (msg_id, len) = (MsgId(REQUEST.0 + 4 * n), body.len());
        [
            Event::MessageSent { msg_id, seq_no: SeqNo(1), constructor: 0x7777_7777, len, container: Some(OUTER) },
            Event::Body { sent: true, msg_id, method: 0, len, bytes: body.clone() },
        ]
    };
    let detail = "x".repeat(100_000);
    bench.say(1, (0..200).flat_map(long)).say(1, [envelope(true, OUTER)]);
    bench.say(1, received()).say(1, (0..200).map(|_| Event::CheckFailed { rule: "Flood".into(), detail: detail.clone() }));
    assert!(bench.sink.flush());
    let file = bench.out.0.lock().unwrap().clone();
    let packets = packets(&file);
    assert_eq!(packets.len(), 2);
    let messages = all(&packets[0].fields, 16);
    assert_eq!(messages.len(), 200, "each is there, if without its body");
    assert!(one(&messages[0], 22).unwrap().len() == 65_536 && one(&messages[199], 22).unwrap().is_empty());
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 0;
    while at < file.len() {
        assert!(word(at + 4) < 262_144 + 64);
        at += word(at + 4);
    }
}

#[cfg(feature = "capture")]
#[test]
fn the_file_is_a_capture_like_any_other() {
    let bench = Bench::new(Shown::Public);
    bench.say(1, sent());
    bench.sink.flush();
    let file = bench.out.0.lock().unwrap().clone();
    let mut reader = crate::capture::file::Reader::new(&file[..]).unwrap();
    let packet = reader.next_packet().unwrap().unwrap();
    assert_eq!((packet.link.0, packet.at), (252, Duration::new(1_700_000_000, 123_456_789)));
    assert!(reader.next_packet().unwrap().is_none());
}

#[test]
fn connections_that_go_leave_nothing_and_many_are_bounded() {
    let bench = Bench::new(Shown::Public);
    bench.say(1, sent()).say(1, [Event::Disconnected { reason: "closed".into() }]);
    assert!(bench.sink.lock().assembler.lines.is_empty());
    for conn in 0..5000 {
        bench.say(conn, received());
    }
    assert_eq!(bench.sink.lock().assembler.lines.len(), MAX_LINES);
    let packets = bench.packets();
    assert_eq!(packets.len(), 2 + 5000);
}

#[test]
fn what_cannot_be_written_is_told_at_the_end() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert!(Pcapng::new(Full(3), Shown::Public).is_err());
    let sink = Pcapng::new(Full(200), Shown::Public).unwrap();
    assert!(sink.flush());
    for event in sent() {
        sink.record(&Record { at: Duration::ZERO, conn: ConnId(1), dc: DcId(2), role: Role::Client, event });
    }
    assert!(!sink.flush());
}
