//! Requests that go under an identifier which their bodies name.

use std::time::Duration;

use super::peer::*;
use crate::{
    ids::{MsgId, SeqNo, SessionId},
    mtproto::{
        envelope::Side,
        session::{ApiMisuse, Event, Failure, RequestId, RequestOptions, ServerParams, Session, service},
    },
};

/// A client that has sent a request under an identifier of its choice.
fn reserved() -> (Session, Peer, RequestId, MsgId) {
    let (mut client, peer, ..) = asked();
    let msg_id = client.reserve_msg_id(START).unwrap();
    let id = client.request_reserved(START, msg_id, body(9), RequestOptions::default()).unwrap();
    let sent = output(&mut client, START, Side::Client);
    let got = sent.iter().find(|got| got.body == body(9)).unwrap();
    assert_eq!((got.msg_id, got.seq_no), (msg_id, SeqNo(3)), "what was reserved, and the next sequence number");
    (client, peer, id, msg_id)
}

#[test]
fn the_request_goes_under_the_reserved_identifier_and_later_ones_under_higher() {
    let (mut client, _, _, msg_id) = reserved();
    client.request(START, body(2), RequestOptions::default()).unwrap();
    let sent = output(&mut client, START, Side::Client);
    assert!(sent.iter().all(|got| got.msg_id > msg_id));
}

#[test]
fn a_refusal_that_needs_another_identifier_fails_the_request() {
    for code in [16, 17, 20, 48] {
        let (mut client, mut peer, id, msg_id) = reserved();
        peer.say(&mut client, START, false, service::bad_msg_notification(msg_id, SeqNo(3), code));
        let failed = events(&mut client).into_iter().find(|event| matches!(event, Event::Failed { .. }));
        assert_eq!(failed, Some(Event::Failed { id, error: Failure::ReservedIdLost }), "code {code}");
        assert!(output(&mut client, START, Side::Client).iter().all(|got| got.body != body(9)));
    }
}

#[test]
fn what_a_broken_connection_lost_is_sent_again_under_the_same_identifier_while_that_is_young() {
    for (after, expected) in [(5, true), (290, false)] {
        let (mut client, mut peer, id, msg_id) = reserved();
        client.connection_lost(START);
        let later = START.later(Duration::from_secs(after));
        client.connection_opened(later);
        let sent = output(&mut client, later, Side::Client);
        let question = sent.iter().find(|got| got.is(service::ids::MSGS_STATE_REQ)).unwrap();
        let nothing_came = vec![1; question.ids().len()];
        peer.say(&mut client, later, false, service::msgs_state_info(question.msg_id, &nothing_came));
        let again = output(&mut client, later, Side::Client);
        assert_eq!(again.iter().any(|got| got.msg_id == msg_id && got.body == body(9)), expected, "after {after} s");
        let failed = events(&mut client).contains(&Event::Failed { id, error: Failure::ReservedIdLost });
        assert_eq!(failed, !expected);
    }
}

#[test]
fn servers_reserve_nothing() {
    let mut server = Session::server(ServerParams::new(key(), SessionId(1), Vec::new(), [1; 32]), START);
    assert_eq!(server.reserve_msg_id(START), Err(ApiMisuse::WrongRole));
    let request = server.request_reserved(START, MsgId(4), body(1), RequestOptions::default());
    assert_eq!(request, Err(ApiMisuse::WrongRole));
}
