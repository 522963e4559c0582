//! Checks of what hardly any peer sends: copies, answers to questions about answers, states that nobody asked for.

use bytes::Bytes;

use super::peer::*;
use crate::{
    ids::{MsgId, SeqNo},
    mtproto::{
        container::{self, ContainerError},
        envelope::Side,
        session::{
            Event, Limits, PeerMisbehaved, Session,
            service::{self, ids},
        },
    },
    tl::wire,
};

/// `msg_copy` of a message.
fn copy_of(msg_id: MsgId, seq_no: SeqNo, body: &[u8]) -> Bytes {
    [&ids::MSG_COPY.to_le_bytes()[..], &container::message_header(msg_id, seq_no, body.len()), body].concat().into()
}

/// What the client says to a copy.
fn copied(copy: impl FnOnce(MsgId, SeqNo) -> Bytes) -> (MsgId, PeerMisbehaved) {
    let (mut client, mut peer) = (client(), Peer::new(Side::Server));
    let (msg_id, seq_no) = peer.next(START, true);
    let (outer, result) = peer.try_say(&mut client, START, true, copy(msg_id, seq_no));
    let error = peer_error(result);
    assert_eq!(events(&mut client), []);
    (outer, error)
}

#[test]
fn a_copy_of_a_clients_message() {
    let mut blamed = MsgId(0);
    let (_, error) = copied(|msg_id, seq_no| {
        blamed = MsgId(msg_id.0 & !3);
        copy_of(blamed, seq_no, &body(1))
    });
    assert_eq!(error, PeerMisbehaved::WrongParity { msg_id: blamed });
}

#[test]
fn a_copy_of_a_later_message() {
    let mut inner = MsgId(0);
    let (outer, error) = copied(|msg_id, seq_no| {
        inner = MsgId(msg_id.0 + (1 << 32));
        copy_of(inner, seq_no, &body(1))
    });
    let expected = ContainerError::InnerIdNotLower { inner, container: outer };
    assert_eq!(error, PeerMisbehaved::Container { msg_id: outer, error: expected });
}

#[test]
fn a_copy_of_a_copy_or_of_a_container() {
    for inner in [container_of(&[]), copy_of(MsgId(1), SeqNo(1), &body(1))] {
        let (outer, error) = copied(|msg_id, _| copy_of(msg_id, SeqNo(0), &inner));
        assert_eq!(error, PeerMisbehaved::Container { msg_id: outer, error: ContainerError::Nested { index: 0 } });
    }
}

#[test]
fn a_list_that_is_no_vector() {
    let (mut client, mut peer) = (client(), Peer::new(Side::Server));
    let mut acks = service::msgs_ack(&[MsgId(4)]).to_vec();
    acks[4] ^= 1;
    let id = ids::VECTOR ^ 1;
    let (msg_id, result) = peer.try_say(&mut client, START, false, acks);
    let error = wire::Error::UnknownConstructor { id, expected: "Vector" };
    assert_eq!(peer_error(result), PeerMisbehaved::Malformed { msg_id, constructor: ids::MSGS_ACK, error });
}

/// The number alone is enough: nobody waits for what does not follow.
#[test]
fn more_salts_than_a_list_may_have() {
    let (mut client, mut peer) = (client(), Peer::new(Side::Server));
    let mut salts = service::future_salts_answer(MsgId(4), 0, &[]).to_vec();
    let count = salts.len() - 4;
    salts[count..].copy_from_slice(&8193_u32.to_le_bytes());
    let (msg_id, result) = peer.try_say(&mut client, START, false, salts);
    assert_eq!(peer_error(result), PeerMisbehaved::TooManyIds { msg_id, found: 8193 });
}

#[test]
fn states_of_answers_in_another_number_than_asked_for() {
    let (mut client, mut peer, _, request) = asked();
    let (answer, _) = peer.next(START, true);
    peer.say(&mut client, START, false, service::msg_detailed_info(request, answer, 100));
    let sent = output(&mut client, START, Side::Client);
    let question = sent.iter().find(|got| got.is(ids::MSG_RESEND_REQ)).unwrap();
    assert_eq!(question.ids(), [answer]);
    let (msg_id, result) = peer.try_say(&mut client, START, false, service::msgs_state_info(question.msg_id, &[1, 1]));
    assert_eq!(peer_error(result), PeerMisbehaved::StateCount { msg_id, found: 2, expected: 1 });
}

#[test]
fn more_answers_on_offer_than_are_asked_for() {
    let limit = 3;
    let mut client = client_with(Limits { service_queue: limit, ..Limits::default() });
    let mut peer = Peer::new(Side::Server);
    for number in 0..=limit {
        let (answer, _) = peer.next(START, true);
        let (_, result) = peer.try_say(&mut client, START, false, service::msg_new_detailed_info(answer, 100));
        if number < limit {
            result.unwrap();
        } else {
            assert_eq!(peer_error(result), PeerMisbehaved::Flood { limit });
        }
    }
}

fn begun_server() -> (Session, Peer, MsgId, SeqNo) {
    let (mut server, mut peer) = (server(), Peer::new(Side::Client));
    let (msg_id, seq_no) = peer.next(START, true);
    server.handle_opened(START, peer.opened(msg_id, seq_no, body(1))).unwrap();
    assert_eq!(events(&mut server), [Event::Request { msg_id, body: body(1) }]);
    (server, peer, msg_id, seq_no)
}

/// Row: A.4 "ids of inner container messages"
#[test]
fn a_request_that_comes_again_in_a_container_is_not_executed_again() {
    let (mut server, mut peer, first, seq_no) = begun_server();
    let second = peer.next(START, true);
    let (outer, outer_seq, packed) = peer.pack(START, &[(first, seq_no, body(1)), (second.0, second.1, body(2))]);
    server.handle_opened(START, peer.opened(outer, outer_seq, packed)).unwrap();
    assert_eq!(events(&mut server), [Event::Request { msg_id: second.0, body: body(2) }]);
}

#[test]
fn states_that_a_client_tells_in_another_number() {
    let (mut server, mut peer, ..) = begun_server();
    let mut all_info = service::msgs_ack(&[MsgId(1)]).to_vec();
    all_info[..4].copy_from_slice(&ids::MSGS_ALL_INFO.to_le_bytes());
    wire::write_bytes(&mut all_info, &[4, 4]);
    let (msg_id, result) = peer.try_say(&mut server, START, false, all_info);
    assert_eq!(peer_error(result), PeerMisbehaved::StateCount { msg_id, found: 2, expected: 1 });
}

#[test]
fn states_that_a_server_did_not_ask_for() {
    let (mut server, mut peer, about, _) = begun_server();
    let (msg_id, result) = peer.try_say(&mut server, START, false, service::msgs_state_info(about, &[4]));
    assert_eq!(peer_error(result), PeerMisbehaved::AboutUnknown { msg_id, about });
}
