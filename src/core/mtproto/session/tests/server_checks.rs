//! Every check of a received message in the server's role, and the notice that it is answered with.

use std::time::Duration;

use super::peer::*;
use crate::{
    ids::{MsgId, Salt, SeqNo, SessionId},
    mtproto::{
        container::{self, ContainerError},
        envelope::Side,
        session::{
            ApiMisuse, Event, FutureSalt, Limits, PeerMisbehaved, Reaction, ServerParams, Session, SessionError,
            service::{self, ids},
        },
    },
};

fn fresh() -> (Session, Peer) {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    peer.say(&mut server, START, true, body(0));
    output(&mut server, START, Side::Server);
    events(&mut server);
    (server, peer)
}

/// The one notice that the server has to send, beside acknowledgements.
fn notice(server: &mut Session) -> bytes::Bytes {
    let sent = output(server, START, Side::Server);
    let notices: Vec<_> = sent.into_iter().filter(|got| !got.is(ids::MSGS_ACK)).collect();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(!notices[0].seq_no.is_content_related());
    assert_eq!(notices[0].msg_id.0 & 3, 1);
    notices[0].body.clone()
}

/// Row: A.4 "session_id"
#[test]
fn another_session_is_the_hosts_mistake() {
    let (mut server, mut peer) = fresh();
    peer.session = SessionId(4);
    let (_, result) = peer.try_say(&mut server, START, true, body(1));
    assert_eq!(peer_error(result), PeerMisbehaved::WrongSession { found: SessionId(4), expected: SESSION });
}

/// Row: A.4 "-300/+30 s window"
#[test]
fn code_16_and_17_for_identifiers_out_of_their_time() {
    let (mut server, mut peer) = fresh();
    let (old, seq_no) = (MsgId((START.unix() - 301) << 32), SeqNo(3));
    assert_eq!(
        peer_error(server.handle_opened(START, peer.opened(old, seq_no, body(1)))),
        PeerMisbehaved::TooOld { msg_id: old, age: 301 }
    );
    assert_eq!(notice(&mut server), service::bad_msg_notification(old, seq_no, 16));
    let (early, seq_no) = peer.next(START.later(Duration::from_secs(31)), true);
    assert_eq!(
        peer_error(server.handle_opened(START, peer.opened(early, seq_no, body(1)))),
        PeerMisbehaved::TooEarly { msg_id: early, lead: 31 }
    );
    assert_eq!(notice(&mut server), service::bad_msg_notification(early, seq_no, 17));
    assert_eq!(events(&mut server), []);
}

/// Row: A.4 "odd msg_id parity"
#[test]
fn code_18_for_identifiers_of_a_server() {
    let (mut server, mut peer) = fresh();
    let (msg_id, seq_no) = peer.next(START, true);
    let odd = MsgId(msg_id.0 | 1);
    assert_eq!(
        peer_error(server.handle_opened(START, peer.opened(odd, seq_no, body(1)))),
        PeerMisbehaved::WrongParity { msg_id: odd }
    );
    assert_eq!(notice(&mut server), service::bad_msg_notification(odd, seq_no, 18));
    let (outer, outer_seq, packed) = peer.pack(START, &[(odd, seq_no, body(1))]);
    let error = server.handle_opened(START, peer.opened(outer, outer_seq, packed)).unwrap_err();
    assert_eq!(error, SessionError::Notified(PeerMisbehaved::WrongParity { msg_id: odd }));
    assert_eq!(error.reaction(), Reaction::Ignore);
    assert_eq!(notice(&mut server), service::bad_msg_notification(odd, seq_no, 18));
}

#[test]
fn code_19_for_a_container_with_the_identifier_of_a_message() {
    let (mut server, mut peer) = fresh();
    let msg_id = peer.say(&mut server, START, true, body(1));
    output(&mut server, START, Side::Server);
    let seq_no = SeqNo(4);
    assert_eq!(
        peer_error(server.handle_opened(START, peer.opened(msg_id, seq_no, container_of(&[])))),
        PeerMisbehaved::ContainerIdCollision { msg_id }
    );
    assert_eq!(notice(&mut server), service::bad_msg_notification(msg_id, seq_no, 19));
}

#[test]
fn a_container_that_the_network_has_doubled_is_no_collision() {
    let (mut server, mut peer) = fresh();
    let inner = peer.next(START, true);
    let (outer, seq_no, packed) = peer.pack(START, &[(inner.0, inner.1, body(1))]);
    server.handle_opened(START, peer.opened(outer, seq_no, packed.clone())).unwrap();
    output(&mut server, START, Side::Server);
    let error = server.handle_opened(START, peer.opened(outer, seq_no, packed)).unwrap_err();
    assert_eq!(error, PeerMisbehaved::Duplicate { msg_id: outer }.into());
    assert_eq!(error.reaction(), Reaction::Ignore);
    assert!(output(&mut server, START, Side::Server).is_empty());
    assert_eq!(events(&mut server), [Event::Request { msg_id: inner.0, body: body(1) }]);
}

#[test]
fn code_20_for_what_is_older_than_the_memory() {
    let mut server = server_with(Limits { seen: 2, ..Limits::default() });
    let mut peer = Peer::new(Side::Client);
    let old = peer.next(START, true);
    for number in 0..3 {
        peer.say(&mut server, START, true, body(number));
    }
    output(&mut server, START, Side::Server);
    assert!(matches!(
        peer_error(server.handle_opened(START, peer.opened(old.0, old.1, body(9)))),
        PeerMisbehaved::BelowMemory { msg_id, .. } if msg_id == old.0
    ));
    assert_eq!(notice(&mut server), service::bad_msg_notification(old.0, old.1, 20));
}

#[test]
fn code_32_and_33_for_sequence_numbers_out_of_order() {
    let (mut server, mut peer) = fresh();
    let skipped = peer.next(START, true);
    peer.say(&mut server, START, true, body(1));
    output(&mut server, START, Side::Server);
    let (msg_id, _) = peer.next(START, true);
    for found in [SeqNo(1), SeqNo(5)] {
        assert_eq!(
            peer_error(server.handle_opened(START, peer.opened(msg_id, found, body(1)))),
            PeerMisbehaved::SeqNoTooLow { msg_id, found, before: SeqNo(5) }
        );
        assert_eq!(notice(&mut server), service::bad_msg_notification(msg_id, found, 32));
    }
    for found in [SeqNo(5), SeqNo(7)] {
        assert_eq!(
            peer_error(server.handle_opened(START, peer.opened(skipped.0, found, body(1)))),
            PeerMisbehaved::SeqNoTooHigh { msg_id: skipped.0, found, after: SeqNo(5) }
        );
        assert_eq!(notice(&mut server), service::bad_msg_notification(skipped.0, found, 33));
    }
    // In its place it is taken.
    server.handle_opened(START, peer.opened(skipped.0, skipped.1, body(1))).unwrap();
    // Within one container the same holds.
    let (a, b) = (peer.next(START, true), peer.next(START, true));
    let (outer, seq_no, packed) = peer.pack(START, &[(a.0, b.1, body(1)), (b.0, a.1, body(2))]);
    assert!(matches!(
        peer_error(server.handle_opened(START, peer.opened(outer, seq_no, packed))),
        PeerMisbehaved::SeqNoTooLow { msg_id, .. } if msg_id == b.0
    ));
}

#[test]
fn code_34_and_35_for_numbers_of_the_wrong_kind() {
    let (mut server, mut peer) = fresh();
    // An acknowledgement that demands one is let through: clients of others write such.
    let (_, result) = peer.try_say(&mut server, START, true, service::msgs_ack(&[]));
    assert_eq!(result, Ok(()));
    let (msg_id, result) = peer.try_say(&mut server, START, false, body(1));
    assert_eq!(peer_error(result), PeerMisbehaved::SeqNoNotOdd { msg_id, constructor: 0x0bad_cafe });
    assert_eq!(notice(&mut server), service::bad_msg_notification(msg_id, SeqNo(4), 35));
    let (outer, _, packed) = peer.pack(START, &[]);
    assert_eq!(
        peer_error(server.handle_opened(START, peer.opened(outer, SeqNo(5), packed))),
        PeerMisbehaved::SeqNoNotEven { msg_id: outer, constructor: container::ID }
    );
    assert_eq!(notice(&mut server), service::bad_msg_notification(outer, SeqNo(5), 34));
}

#[test]
fn code_48_for_a_salt_that_is_not_valid_now() {
    let unix = START.unix();
    let salt = |from, until, salt| FutureSalt { since: unix + from, until: unix + until, salt: Salt(salt) };
    let salts = vec![salt(-3600, -1, 1), salt(-100, 100, 2), salt(50, 3600, 3)];
    let mut server = Session::server(ServerParams::new(key(), SESSION, salts, [9; 32]), START);
    let mut peer = Peer::new(Side::Client);
    for wrong in [1, 3, 99] {
        peer.salt = Salt(wrong);
        let (msg_id, seq_no) = peer.next(START, true);
        assert_eq!(
            peer_error(server.handle_opened(START, peer.opened(msg_id, seq_no, body(1)))),
            PeerMisbehaved::WrongSalt { msg_id }
        );
        assert_eq!(notice(&mut server), service::bad_server_salt(msg_id, seq_no, Salt(2)));
    }
    peer.salt = Salt(2);
    peer.say(&mut server, START, true, body(1));
    // At the change both are accepted.
    let later = START.later(Duration::from_secs(60));
    peer.say(&mut server, later, true, body(2));
    peer.salt = Salt(3);
    peer.say(&mut server, later, true, body(3));
    assert_eq!(server.pending(), 3);
}

#[test]
fn a_host_without_salts_is_told() {
    let mut server = Session::server(ServerParams::new(key(), SESSION, Vec::new(), [9; 32]), START);
    let (_, result) = Peer::new(Side::Client).try_say(&mut server, START, true, body(1));
    assert_eq!(result, Err(SessionError::ApiMisuse(ApiMisuse::NoValidSalt { unix: START.unix() })));
    server.set_salts(vec![FutureSalt::unlimited(SALT)]).unwrap();
    Peer::new(Side::Client).say(&mut server, START, true, body(1));
}

#[test]
fn code_64_for_containers_that_break_their_rules() {
    let (mut server, mut peer) = fresh();
    let inner = peer.next(START, true);
    let (outer, seq_no, packed) = peer.pack(START, &[(inner.0, inner.1, container_of(&[]))]);
    assert_eq!(
        peer_error(server.handle_opened(START, peer.opened(outer, seq_no, packed))),
        PeerMisbehaved::Container { msg_id: outer, error: ContainerError::Nested { index: 0 } }
    );
    assert_eq!(notice(&mut server), service::bad_msg_notification(outer, seq_no, 64));
    let (outer, seq_no) = peer.next(START, false);
    let packed = bytes::Bytes::from(container::header(1025).to_vec());
    assert_eq!(
        peer_error(server.handle_opened(START, peer.opened(outer, seq_no, packed))),
        PeerMisbehaved::Container { msg_id: outer, error: ContainerError::TooManyMessages { count: 1025 } }
    );
    assert_eq!(notice(&mut server), service::bad_msg_notification(outer, seq_no, 64));
}

#[test]
fn more_requests_than_may_run() {
    let mut server = server_with(Limits { requests: 2, ..Limits::default() });
    let mut peer = Peer::new(Side::Client);
    let first = peer.say(&mut server, START, true, body(0));
    peer.say(&mut server, START, true, body(1));
    let (msg_id, seq_no) = peer.next(START, true);
    let flood = |server: &mut Session, peer: &Peer| server.handle_opened(START, peer.opened(msg_id, seq_no, body(2)));
    assert_eq!(peer_error(flood(&mut server, &peer)), PeerMisbehaved::Flood { limit: 2 });
    // It is not remembered, so that it can be sent again when there is room.
    server.respond(START, first, body(0), false).unwrap();
    flood(&mut server, &peer).unwrap();
}

#[test]
fn more_questions_than_are_answered_at_once() {
    let mut server = server_with(Limits { service_queue: 2, ..Limits::default() });
    let mut peer = Peer::new(Side::Client);
    let ping = |number: i64| [&ids::PING.to_le_bytes()[..], &number.to_le_bytes()].concat();
    peer.say(&mut server, START, false, ping(1));
    peer.say(&mut server, START, false, ping(2));
    let (_, result) = peer.try_say(&mut server, START, false, ping(3));
    assert_eq!(peer_error(result), PeerMisbehaved::Flood { limit: 2 });
}

#[test]
fn what_only_servers_say() {
    let (mut server, mut peer) = fresh();
    for (said, constructor) in [
        (service::bad_msg_notification(MsgId(1), SeqNo(1), 16), ids::BAD_MSG_NOTIFICATION),
        (service::new_session_created(MsgId(4), 1, SALT), ids::NEW_SESSION_CREATED),
        (rpc_result(MsgId(1), b"okay").into(), ids::RPC_RESULT),
    ] {
        let (msg_id, result) = peer.try_say(&mut server, START, true, said);
        assert_eq!(peer_error(result), PeerMisbehaved::WrongRole { msg_id, constructor });
    }
}
