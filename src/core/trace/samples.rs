//! One of each event, and of each shape that an event has: for the tests of everything that writes them.

use std::time::Duration;

use bytes::Bytes;

use super::call::{Call, SessionName};
use super::{ConnId, Counters, Event, Inner, Record, Role, Verdict};
use crate::clock::Now;
use crate::ids::{DcId, MsgId, Salt, SeqNo, SessionId};

/// `help.getConfig`.
pub const GET_CONFIG: u32 = 0xc4f9_186b;

/// An event on connection 1 to DC 2.
pub fn record(event: Event) -> Record {
    Record { at: Duration::from_micros(1_700_000_000_123_456), conn: ConnId(1), dc: DcId(2), role: Role::Client, event }
}

/// The events.
pub fn all() -> Vec<Event> {
    let (msg_id, ids) = (MsgId(0x6553_f100_8000_0004), vec![MsgId(1), MsgId(5), MsgId(9), MsgId(13)]);
    let error = Some((400, "PEER_ID_INVALID".to_owned()));
    let salt = Salt(0x1122_3344_5566_7788);
    let inner = Inner { salt, session_id: SessionId(-2), msg_id, seq_no: SeqNo(3), len: 84, padding: 28 };
    let session = SessionName { server: true, auth_key_id: 5, session_id: SessionId(-6) };
    let now = Now::new(Duration::from_nanos(1), Duration::new(1_700_000_000, 987_654_321));
    let call = Box::new(Call::Input { frame: Bytes::from_static(&[1, 2, 3, 4]) });
    let counters = Counters { pts: Some(12), pts_count: Some(2), channel_id: Some(77), ..Counters::default() };
    vec![
        Event::Dialing { addr: "127.0.0.1:443".into() },
        Event::Connected { addr: "127.0.0.1:443".into(), took: Duration::from_millis(20) },
        Event::Disconnected { reason: "closed by the peer".into() },
        Event::FrameSent { len: 84, wire: 91, padding: 3, framing: "obfuscated padded".into(), quick_ack: true },
        Event::FrameReceived { len: 2000, wire: 2004, padding: 0, framing: "intermediate".into(), quick_ack: false },
        Event::QuickAck { token: 0x8000_0001 },
        Event::TransportError { code: 404 },
        Event::Computed { what: "DH group checked".into(), detail: "known prime".into() },
        Event::Envelope {
            sent: true,
            auth_key_id: 0xc0ffee,
            len: 168,
            msg_key: Verdict::Ok,
            inner: Some(inner),
            token: Some(0x8000_0001),
        },
        Event::Envelope { sent: false, auth_key_id: -5, len: 168, msg_key: Verdict::Mismatch, inner: None, token: None },
        Event::HandshakeStep { name: "req_pq_multi".into(), detail: String::new() },
        Event::AuthKeyReady { id: 0xc0ffee, fresh: true },
        Event::TempKeyBound { id: 0xc0ffee, perm: 0xdecaf, expires_at: 1_700_086_400 },
        Event::KeyInUse { id: 0xc0ffee, expires_at: Some(1_700_086_400) },
        Event::KeyInUse { id: 0xc0ffee, expires_at: None },
        Event::CheckFailed { rule: "WrongSession".into(), detail: "found 1, expected 2".into() },
        Event::MessageSent { msg_id, seq_no: SeqNo(1), constructor: GET_CONFIG, len: 84, container: None },
        Event::MessageReceived { msg_id, seq_no: SeqNo(1), constructor: GET_CONFIG, len: 84, container: Some(MsgId(7)) },
        Event::MessageIgnored { msg_id, reason: "seen before".into() },
        Event::Gzip { sent: false, msg_id, packed: 300, unpacked: 1200 },
        Event::Acked { ids: ids.clone() },
        Event::AcksSent { ids },
        Event::SaltChanged { old: salt, new: Salt(0x1122_3344_5566_99aa) },
        Event::FutureSalts { count: 64 },
        Event::SessionCreated { first_msg_id: msg_id, unique_id: 5, salt },
        Event::BadMsg { code: 48, msg_id },
        Event::Resent { old: msg_id, new: msg_id },
        Event::Resent { old: msg_id, new: MsgId(8) },
        Event::TimeOffset { seconds: -3 },
        Event::Ping { ping_id: 1 },
        Event::Pong { ping_id: 1, rtt: Duration::from_micros(23_400) },
        Event::RpcSent { msg_id, method: GET_CONFIG, len: 84, packed: None },
        Event::RpcSent { msg_id, method: 0x1234_5678, len: 8400, packed: Some(600) },
        Event::RpcResult {
            msg_id,
            method: GET_CONFIG,
            latency: Duration::from_millis(9),
            len: 500,
            packed: Some(200),
            sends: 1,
            error: None,
        },
        Event::RpcResult {
            msg_id,
            method: GET_CONFIG,
            latency: Duration::from_millis(9),
            len: 20,
            packed: None,
            sends: 3,
            error: error.clone(),
        },
        Event::RpcFailed { msg_id: Some(msg_id), method: GET_CONFIG, sends: 9, reason: "refused 9 times".into() },
        Event::RpcFailed { msg_id: None, method: GET_CONFIG, sends: 0, reason: "cancelled".into() },
        Event::RpcCancelled { msg_id },
        Event::RpcReceived { msg_id, method: GET_CONFIG, len: 4 },
        Event::RpcAnswered { msg_id, method: GET_CONFIG, len: 500, packed: None, error: None },
        Event::RpcAnswered { msg_id, method: GET_CONFIG, len: 500, packed: Some(100), error },
        Event::FloodWait { method: GET_CONFIG, seconds: 30 },
        Event::Retry { method: GET_CONFIG, attempt: 2, delay: Duration::from_millis(800), reason: "500 INTERNAL".into() },
        Event::RuleApplied {
            rule: "slow files".into(),
            action: "delay".into(),
            method: GET_CONFIG,
            msg_id: Some(MsgId(0x6553_f100_8000_0004)),
        },
        Event::Migrate { from: DcId(1), to: DcId(2), reason: "PHONE_MIGRATE_2".into() },
        Event::Negotiated { layer: 230, device: "desktop".into() },
        Event::Body { sent: true, msg_id, method: 0, len: 4, bytes: Bytes::from_static(b"\x6b\x18\xf9\xc4") },
        Event::Body {
            sent: false,
            msg_id,
            method: GET_CONFIG,
            len: 20,
            bytes: Bytes::from_static(b"\x6b\x18\xf9\xc4+99966 12345 secret"),
        },
        Event::Body { sent: false, msg_id, method: 0, len: 0, bytes: Bytes::new() },
        Event::Update { constructor: 0x1234_5678, counters: Counters::default() },
        Event::Update { constructor: GET_CONFIG, counters },
        Event::Update {
            constructor: GET_CONFIG,
            counters: Counters { qts: Some(4), seq: Some(5), date: Some(1_700_000_000), ..Counters::default() },
        },
        Event::CoreCall { session, number: 3, now, call },
        Event::CoreDone { session, number: 3, outcome: "taken".to_owned(), events: vec![Event::Ping { ping_id: 1 }] },
    ]
}
