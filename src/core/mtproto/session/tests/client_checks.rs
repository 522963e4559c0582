//! Every check of a received message in the client's role, each failing in its own way.

use std::{sync::Arc, sync::Mutex, time::Duration};

use bytes::Bytes;

use super::peer::*;
use crate::{
    ids::{MsgId, SeqNo, SessionId},
    mtproto::{
        container::ContainerError,
        envelope::{EnvelopeError, Side},
        gzip::{self, GzipError},
        session::{
            Event, Limits, PeerMisbehaved, Reaction, RequestOptions, SessionError,
            service::{self, ids},
        },
    },
    tl::wire,
    trace::{self, Observer, Record, Tracer},
};

fn fresh() -> (crate::mtproto::session::Session, Peer) {
    (client(), Peer::new(Side::Server))
}

#[test]
fn frames_that_do_not_open_are_refused() {
    let (mut client, _) = fresh();
    let error = client.handle_input(START, (&[0; 7][..]).into()).unwrap_err();
    assert_eq!(error, SessionError::Envelope(EnvelopeError::TooShort { len: 7 }));
    assert_eq!(error.reaction(), Reaction::Reconnect);
}

/// Row: A.4 "session_id"
#[test]
fn another_session() {
    let (mut client, mut peer) = fresh();
    peer.session = SessionId(1);
    let (_, result) = peer.try_say(&mut client, START, true, body(1));
    assert_eq!(peer_error(result), PeerMisbehaved::WrongSession { found: SessionId(1), expected: SESSION });
    assert_eq!(events(&mut client), []);
}

/// Row: A.4 "odd msg_id parity"
/// Row: A.4 "ids of inner container messages"
#[test]
fn identifiers_of_a_client() {
    let (mut client, mut peer) = fresh();
    let (msg_id, seq_no) = peer.next(START, true);
    let msg_id = MsgId(msg_id.0 & !3);
    assert_eq!(
        peer_error(client.handle_opened(START, peer.opened(msg_id, seq_no, body(1)))),
        PeerMisbehaved::WrongParity { msg_id }
    );
    // Within a container too, and then nothing of it is taken.
    let good = peer.next(START, true);
    let (outer, outer_seq, packed) = peer.pack(START, &[(good.0, good.1, body(1)), (msg_id, seq_no, body(2))]);
    assert_eq!(
        peer_error(client.handle_opened(START, peer.opened(outer, outer_seq, packed))),
        PeerMisbehaved::WrongParity { msg_id }
    );
    assert_eq!(events(&mut client), []);
}

/// Row: A.4 "duplicate filter"
#[test]
fn the_same_message_twice_is_acknowledged_twice_and_seen_once() {
    let (mut client, mut peer) = fresh();
    let (msg_id, seq_no) = peer.next(START, true);
    client.handle_opened(START, peer.opened(msg_id, seq_no, body(1))).unwrap();
    client.flush_acks();
    let acks = output(&mut client, START, Side::Client);
    assert_eq!(acks[0].ids(), [msg_id]);
    let error = client.handle_opened(START, peer.opened(msg_id, seq_no, body(1))).unwrap_err();
    assert_eq!(error, PeerMisbehaved::Duplicate { msg_id }.into());
    assert_eq!(error.reaction(), Reaction::Ignore);
    client.flush_acks();
    assert_eq!(output(&mut client, START, Side::Client)[0].ids(), [msg_id]);
    assert_eq!(events(&mut client), [Event::Update(body(1))]);
}

/// Row: A.4 "ids of inner container messages"
#[test]
fn a_duplicate_within_a_container_does_not_spoil_the_rest() {
    let (mut client, mut peer) = fresh();
    let first = peer.next(START, true);
    client.handle_opened(START, peer.opened(first.0, first.1, body(1))).unwrap();
    let second = peer.next(START, true);
    let (outer, seq_no, packed) = peer.pack(START, &[(first.0, first.1, body(1)), (second.0, second.1, body(2))]);
    client.handle_opened(START, peer.opened(outer, seq_no, packed)).unwrap();
    assert_eq!(events(&mut client), [Event::Update(body(1)), Event::Update(body(2))]);
}

/// Row: A.4 "duplicate filter"
#[test]
fn older_than_all_that_is_remembered() {
    let mut client = client_with(Limits { seen: 2, ..Limits::default() });
    let mut peer = Peer::new(Side::Server);
    let old = peer.next(START, true);
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(peer.say(&mut client, START, true, body(number)));
    }
    assert_eq!(
        peer_error(client.handle_opened(START, peer.opened(old.0, old.1, body(9)))),
        PeerMisbehaved::BelowMemory { msg_id: old.0, oldest: ids[1] }
    );
}

/// Row: A.4 "-300/+30 s window"
#[test]
fn over_300_seconds_old_or_30_early() {
    let (mut client, mut peer) = fresh();
    peer.say(&mut client, START, true, body(0));
    let (old, seq_no) = Peer::new(Side::Server).next(START, true);
    let later = START.later(Duration::from_secs(301));
    let old = MsgId(old.0 + 8);
    assert_eq!(
        peer_error(client.handle_opened(later, peer.opened(old, seq_no, body(1)))),
        PeerMisbehaved::TooOld { msg_id: old, age: 301 }
    );
    let (early, seq_no) = peer.next(later.later(Duration::from_secs(31)), true);
    assert_eq!(
        peer_error(client.handle_opened(later, peer.opened(early, seq_no, body(1)))),
        PeerMisbehaved::TooEarly { msg_id: early, lead: 31 }
    );
    // What was refused is not remembered: in its time the same message is taken.
    client.handle_opened(later.later(Duration::from_secs(30)), peer.opened(early, seq_no, body(1))).unwrap();
}

/// Row: A.5 "time sync"
#[test]
fn the_first_message_of_a_connection_sets_the_clock() {
    let (mut client, mut peer) = fresh();
    let ahead = START.later(Duration::from_secs(3600));
    peer.say(&mut client, START, true, body(1));
    let (msg_id, seq_no) = peer.next(ahead, true);
    // The connection is confirmed by now: an hour early is too early.
    assert!(matches!(
        peer_error(client.handle_opened(START, peer.opened(msg_id, seq_no, body(2)))),
        PeerMisbehaved::TooEarly { .. }
    ));
    client.connection_lost(START);
    client.connection_opened(START);
    client.handle_opened(START, peer.opened(msg_id, seq_no, body(2))).unwrap();
    assert_eq!(client.time_offset(START), 3600);
    assert!(events(&mut client).contains(&Event::TimeOffsetChanged));
}

#[test]
fn notices_about_our_time_are_heard_at_any_time() {
    let (mut client, mut peer, id, msg_id) = asked();
    peer.say(&mut client, START, true, body(1));
    let ahead = START.later(Duration::from_secs(3600));
    let (notice, seq_no) = peer.next(ahead, false);
    let body = service::bad_msg_notification(msg_id, SeqNo(1), 16);
    client.handle_opened(START, peer.opened(notice, seq_no, body)).unwrap();
    assert_eq!(client.time_offset(START), 3600);
    let again = output(&mut client, START, Side::Client);
    let again = again.iter().find(|got| got.is(0x0bad_cafe)).unwrap();
    assert_eq!(again.msg_id.unix() - START.unix(), 3600);
    let (answer, seq_no) = peer.next(ahead, true);
    client.handle_opened(START, peer.opened(answer, seq_no, rpc_result(again.msg_id, b"done"))).unwrap();
    assert!(events(&mut client).contains(&Event::Response { id, result: Ok(Bytes::from_static(b"done")) }));
}

#[test]
fn containers_and_acknowledgements_are_not_content_related() {
    let (mut client, mut peer) = fresh();
    let (outer, _, packed) = peer.pack(START, &[]);
    assert_eq!(
        peer_error(client.handle_opened(START, peer.opened(outer, SeqNo(1), packed))),
        PeerMisbehaved::SeqNoNotEven { msg_id: outer, constructor: crate::mtproto::container::ID }
    );
    let (msg_id, result) = peer.try_say(&mut client, START, true, service::msgs_ack(&[]));
    assert_eq!(peer_error(result), PeerMisbehaved::SeqNoNotEven { msg_id, constructor: ids::MSGS_ACK });
}

/// An odd sequence number is what asks for an acknowledgement: of a bare message, of one in a container, of any constructor. The
/// container itself never is acknowledged.
///
/// Row: A.4 "seq_no parity used for ack"
#[test]
fn what_is_content_related_is_acknowledged_and_nothing_else() {
    let (mut client, mut peer) = fresh();
    let acknowledged = |client: &mut crate::mtproto::session::Session| -> Vec<MsgId> {
        client.flush_acks();
        let sent = output(client, START, Side::Client);
        sent.iter().filter(|got| got.is(ids::MSGS_ACK)).flat_map(Got::ids).collect()
    };
    let (asks, asks_not) = (peer.say(&mut client, START, true, body(1)), peer.say(&mut client, START, false, body(2)));
    assert_eq!(acknowledged(&mut client), [asks], "and not {asks_not}");
    let (inner, silent) = (peer.next(START, true), peer.next(START, false));
    let pong = service::pong(MsgId(4), 1);
    let (outer, seq_no, packed) = peer.pack(START, &[(silent.0, silent.1, body(3)), (inner.0, inner.1, pong)]);
    client.handle_opened(START, peer.opened(outer, seq_no, packed)).unwrap();
    assert_eq!(acknowledged(&mut client), [inner.0]);
    assert_eq!(acknowledged(&mut client), []);
    assert_eq!(events(&mut client), [Event::Update(body(1)), Event::Update(body(2)), Event::Update(body(3))]);
}

/// Row: A.4 "ids of inner container messages"
#[test]
fn containers_that_break_their_rules() {
    let (mut client, mut peer) = fresh();
    let inner = peer.next(START, true);
    let nested = container_of(&[]);
    let (outer, seq_no, packed) = peer.pack(START, &[(inner.0, inner.1, nested)]);
    assert_eq!(
        peer_error(client.handle_opened(START, peer.opened(outer, seq_no, packed))),
        PeerMisbehaved::Container { msg_id: outer, error: ContainerError::Nested { index: 0 } }
    );
    let (outer, seq_no) = peer.next(START, false);
    let later = peer.next(START, true);
    let packed = container_of(&[(later.0, later.1, body(1))]);
    assert_eq!(
        peer_error(client.handle_opened(START, peer.opened(outer, seq_no, packed))),
        PeerMisbehaved::Container {
            msg_id: outer,
            error: ContainerError::InnerIdNotLower { inner: later.0, container: outer }
        }
    );
    assert_eq!(events(&mut client), []);
}

/// Row: A.4 "gzip in, bomb cap"
#[test]
fn packed_bombs_and_rubbish() {
    let limits = Limits { unpacked: 1000, ..Limits::default() };
    let mut client = client_with(limits);
    let mut peer = Peer::new(Side::Server);
    let bomb = gzipped(&[0; 1004]);
    let data = bomb.len();
    let (msg_id, result) = peer.try_say(&mut client, START, true, bomb.clone());
    let PeerMisbehaved::Gzip { msg_id: blamed, error: GzipError::TooLarge { packed, cap: 1000 } } = peer_error(result) else {
        panic!()
    };
    assert!(blamed == msg_id && packed < data);
    // An update that is packed within the cap is taken.
    peer.say(&mut client, START, true, gzipped(&body(5)));
    assert_eq!(events(&mut client), [Event::Update(body(5))]);
    // As a result, the request ends: the answer will not come again.
    let id = client.request(START, body(1), RequestOptions::default()).unwrap();
    let sent = output(&mut client, START, Side::Client);
    let request = sent.iter().find(|got| got.is(0x0bad_cafe)).unwrap().msg_id;
    let (_, result) = peer.try_say(&mut client, START, true, rpc_result(request, &bomb));
    assert!(matches!(peer_error(result), PeerMisbehaved::Gzip { error: GzipError::TooLarge { .. }, .. }));
    assert_eq!(events(&mut client), [Event::Failed { id, error: crate::mtproto::session::Failure::UnreadableAnswer }]);
    // The checksum, before the length that ends it.
    let mut damaged = gzipped(&body(6));
    let end = 5 + usize::from(damaged[4]);
    damaged[end - 8] ^= 0xff;
    let (_, result) = peer.try_say(&mut client, START, true, damaged);
    assert!(matches!(peer_error(result), PeerMisbehaved::Gzip { error: GzipError::Damaged { .. }, .. }));
}

#[test]
fn what_must_not_be_packed() {
    let (mut client, mut peer) = fresh();
    for (object, constructor) in [(gzipped(&body(1)), gzip::ID), (container_of(&[]).to_vec(), crate::mtproto::container::ID)] {
        let (msg_id, result) = peer.try_say(&mut client, START, false, gzipped(&object));
        assert_eq!(peer_error(result), PeerMisbehaved::PackedWrongly { msg_id, constructor });
    }
}

#[test]
fn service_messages_cut_short_or_too_long() {
    let (mut client, mut peer) = fresh();
    let pong = service::pong(MsgId(4), 1);
    let (msg_id, result) = peer.try_say(&mut client, START, false, pong.slice(..16));
    let error = wire::Error::UnexpectedEnd { needed: 8, left: 4 };
    assert_eq!(peer_error(result), PeerMisbehaved::Malformed { msg_id, constructor: ids::PONG, error });
    let (msg_id, result) = peer.try_say(&mut client, START, false, [&pong[..], &[0; 4]].concat());
    let error = wire::Error::TrailingBytes { left: 4 };
    assert_eq!(peer_error(result), PeerMisbehaved::Malformed { msg_id, constructor: ids::PONG, error });
}

#[test]
fn lists_of_too_many_identifiers() {
    let (mut client, mut peer) = fresh();
    let (msg_id, result) = peer.try_say(&mut client, START, false, service::msgs_ack(&vec![MsgId(4); 8193]));
    assert_eq!(peer_error(result), PeerMisbehaved::TooManyIds { msg_id, found: 8193 });
    peer.say(&mut client, START, false, service::msgs_ack(&vec![MsgId(4); 8192]));
}

#[test]
fn notices_about_what_we_never_sent() {
    let (mut client, mut peer) = fresh();
    let about = MsgId(START.unix() << 32);
    for notice in [
        service::bad_msg_notification(about, SeqNo(1), 17),
        service::bad_server_salt(about, SeqNo(1), crate::ids::Salt(1)),
        service::msgs_state_info(about, &[4]),
        service::future_salts_answer(about, 0, &[]),
    ] {
        let (msg_id, result) = peer.try_say(&mut client, START, false, notice);
        assert_eq!(peer_error(result), PeerMisbehaved::AboutUnknown { msg_id, about });
    }
    assert_eq!(client.time_offset(START), 0, "nobody's word but the server's about our own messages sets the clock");
    assert_eq!(client.salts()[0].salt, SALT);
}

#[test]
fn states_in_another_number_than_asked_for() {
    let (mut client, mut peer, _, msg_id) = asked();
    client.connection_lost(START);
    client.connection_opened(START);
    let question = output(&mut client, START, Side::Client);
    assert!(question[0].is(ids::MSGS_STATE_REQ) && question[0].ids() == [msg_id]);
    let (notice, result) = peer.try_say(&mut client, START, false, service::msgs_state_info(question[0].msg_id, &[4, 4]));
    assert_eq!(peer_error(result), PeerMisbehaved::StateCount { msg_id: notice, found: 2, expected: 1 });
}

#[test]
fn codes_that_nobody_knows() {
    let (mut client, mut peer, id, request) = asked();
    let (msg_id, result) = peer.try_say(&mut client, START, false, service::bad_msg_notification(request, SeqNo(1), 99));
    assert_eq!(peer_error(result), PeerMisbehaved::UnknownErrorCode { msg_id, code: 99 });
    let error = crate::mtproto::session::Failure::Refused { code: 99 };
    assert_eq!(events(&mut client), [Event::Failed { id, error }]);
}

#[test]
fn what_only_clients_say() {
    let (mut client, mut peer) = fresh();
    for (said, constructor) in [
        (service::rpc_drop_answer(MsgId(4)), ids::RPC_DROP_ANSWER),
        (service::get_future_salts(1), ids::GET_FUTURE_SALTS),
        (service::destroy_session(SESSION), ids::DESTROY_SESSION),
    ] {
        let (msg_id, result) = peer.try_say(&mut client, START, true, said);
        assert_eq!(peer_error(result), PeerMisbehaved::WrongRole { msg_id, constructor });
    }
}

#[test]
fn every_refusal_is_counted_in_the_trace_by_its_rule() {
    #[derive(Default)]
    struct Rules(Mutex<Vec<trace::Word>>);
    impl Observer for Rules {
        fn record(&self, record: &Record) {
            if let trace::Event::CheckFailed { rule, .. } = &record.event {
                self.0.lock().unwrap().push(rule.clone());
            }
        }
    }
    let rules = Arc::new(Rules::default());
    let (mut client, mut peer) = fresh();
    client.set_tracer(Tracer::new(rules.clone()));
    peer.session = SessionId(1);
    let _ = peer.try_say(&mut client, START, true, body(1));
    let _ = client.handle_input(START, (&[0; 7][..]).into());
    assert_eq!(*rules.0.lock().unwrap(), ["WrongSession", "TooShort"]);
}
