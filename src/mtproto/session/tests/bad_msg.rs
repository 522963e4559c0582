//! `bad_msg_notification` and `bad_server_salt` in the client's role: a test for each code.

use std::time::Duration;

use super::peer::*;
use crate::{
    ids::{MsgId, Salt, SeqNo},
    mtproto::{
        envelope::{self, Side},
        session::{
            Event, Failure, Limits, RequestId, RequestOptions, Session,
            service::{self, ids},
        },
    },
};

/// The server refuses the request with `code`, at its own time `ahead` seconds from ours.
fn refuse(code: i32, ahead: i64) -> (Session, Peer, RequestId, MsgId) {
    let (mut client, mut peer, id, msg_id) = asked();
    let mut now = START;
    now.wall = Duration::from_secs((now.unix() + ahead) as u64);
    let (notice, seq_no) = peer.next(now, false);
    let body = service::bad_msg_notification(msg_id, SeqNo(1), code);
    client.handle_opened(START, peer.opened(notice, seq_no, body)).unwrap();
    (client, peer, id, msg_id)
}

fn request_in(sent: &[Got]) -> &Got {
    sent.iter().find(|got| got.is(0x0bad_cafe)).unwrap()
}

/// Row: A.5 "bad_msg 16/17"
#[test]
fn code_16_sets_the_clock_forward_and_sends_again() {
    let (mut client, mut peer, id, before) = refuse(16, 1000);
    assert_eq!(client.time_offset(START), 1000);
    assert_eq!(events(&mut client), [Event::TimeOffsetChanged]);
    let sent = output(&mut client, START, Side::Client);
    let again = request_in(&sent);
    assert!(again.msg_id > before && again.msg_id.unix() == START.unix() + 1000);
    assert_eq!((again.seq_no, &again.body), (SeqNo(3), &body(1)));
    let (answer, seq_no) = peer.next(START.later(Duration::from_secs(1000)), true);
    client.handle_opened(START, peer.opened(answer, seq_no, rpc_result(again.msg_id, b"okay"))).unwrap();
    assert!(matches!(&events(&mut client)[..], [Event::Response { id: answered, .. }] if *answered == id));
}

/// Row: A.5 "bad_msg 16/17"
#[test]
fn code_17_sets_the_clock_back_and_begins_identifiers_anew() {
    let (mut client, _, _, before) = refuse(17, -1000);
    assert_eq!(client.time_offset(START), -1000);
    let sent = output(&mut client, START, Side::Client);
    let again = request_in(&sent);
    assert!(again.msg_id < before && again.msg_id.unix() == START.unix() - 1000);
}

/// Row: A.5 "18,19,34,35,64"
#[test]
fn codes_18_19_34_35_and_64_fail_the_request() {
    for code in [18, 19, 34, 35, 64] {
        let (mut client, _, id, _) = refuse(code, 0);
        assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Refused { code } }]);
        assert_eq!(output(&mut client, START, Side::Client), []);
        assert_eq!(client.pending(), 0);
    }
}

/// Row: A.5 "20"
#[test]
fn code_20_sends_again_as_a_new_message() {
    let (mut client, _, _, before) = refuse(20, 0);
    assert_eq!(client.time_offset(START), 0);
    let sent = output(&mut client, START, Side::Client);
    assert!(request_in(&sent).msg_id > before);
    assert_eq!(events(&mut client), []);
}

/// Row: A.5 "32/33"
#[test]
fn codes_32_and_33_begin_a_new_session() {
    for code in [32, 33] {
        let (mut client, mut peer, id, _) = asked();
        // Another request is under way, and may be executed already: it is not sent twice.
        let other = client.request(START, body(2), RequestOptions::default()).unwrap();
        let refused = request_in(&output(&mut client, START, Side::Client)).msg_id;
        peer.say(&mut client, START, false, service::bad_msg_notification(refused, SeqNo(3), code));
        let new = client.session_id();
        assert_ne!(new, SESSION);
        assert_eq!(
            events(&mut client),
            [Event::Failed { id, error: Failure::SessionReset }, Event::SessionReset { old: SESSION, new }]
        );
        let frame = client.poll_output(START).unwrap();
        let opened = envelope::open(&key(), Side::Client, frame).unwrap();
        assert_eq!(opened.session_id, new);
        let messages = crate::mtproto::container::parse(&opened.body, opened.msg_id).unwrap().collect::<Vec<_>>();
        assert_eq!((&messages[0].body, messages[0].seq_no), (&body(2), SeqNo(1)));
        assert_eq!(messages[1].body, service::destroy_session(SESSION));
        // Late messages of the old session do no harm, and the old session's end is told.
        peer.say(&mut client, START, true, body(9));
        peer.session = new;
        peer.answer(&mut client, START, messages[0].msg_id, b"okay");
        peer.say(&mut client, START, false, service::destroy_session_answer(SESSION, true));
        let told = events(&mut client);
        assert!(matches!(told[0], Event::Response { id, .. } if id == other));
        assert_eq!(told[1], Event::SessionDestroyed { session_id: SESSION, existed: true });
    }
}

#[test]
fn a_server_that_refuses_every_session_does_not_make_a_loop() {
    let (mut client, mut peer, id, mut msg_id) = asked();
    for _ in 0..3 {
        peer.session = client.session_id();
        peer.say(&mut client, START, false, service::bad_msg_notification(msg_id, SeqNo(1), 32));
        msg_id = request_in(&output(&mut client, START, Side::Client)).msg_id;
    }
    peer.session = client.session_id();
    events(&mut client);
    peer.say(&mut client, START, false, service::bad_msg_notification(msg_id, SeqNo(1), 32));
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Refused { code: 32 } }]);
}

/// Row: A.5 "48 / bad_server_salt"
#[test]
fn code_48_brings_the_salt_and_sends_again() {
    let (mut client, mut peer, _, before) = asked();
    peer.say(&mut client, START, false, service::bad_server_salt(before, SeqNo(1), Salt(77)));
    assert_eq!(events(&mut client), [Event::SaltsChanged]);
    let opened = envelope::open(&key(), Side::Client, client.poll_output(START).unwrap()).unwrap();
    assert_eq!(opened.salt, Salt(77));
    assert!(opened.msg_id > before);
}

#[test]
fn code_48_without_a_salt_sends_again_and_gives_up_in_the_end() {
    let limits = Limits { resends: 2, ..Limits::default() };
    let mut client = client_with(limits);
    let mut peer = Peer::new(Side::Server);
    let id = client.request(START, body(1), RequestOptions::default()).unwrap();
    for _ in 0..3 {
        let sent = output(&mut client, START, Side::Client);
        peer.say(&mut client, START, false, service::bad_msg_notification(request_in(&sent).msg_id, SeqNo(1), 48));
    }
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::TooManyResends { times: 3 } }]);
}

#[test]
fn a_code_for_a_container_is_for_all_that_is_in_it() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    let ids = [1, 2].map(|number| client.request(START, body(number), RequestOptions::default()).unwrap());
    let container = output(&mut client, START, Side::Client)[0].container.unwrap();
    peer.say(&mut client, START, false, service::bad_msg_notification(container, SeqNo(4), 64));
    assert_eq!(events(&mut client), ids.map(|id| Event::Failed { id, error: Failure::Refused { code: 64 } }));
}

/// Row: A.5 "48 / bad_server_salt"
#[test]
fn a_wrong_salt_is_the_whole_frames_even_if_one_message_is_named() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    for number in [1, 2] {
        client.request(START, body(number), RequestOptions::default()).unwrap();
    }
    let sent = output(&mut client, START, Side::Client);
    peer.say(&mut client, START, false, service::bad_server_salt(sent[1].msg_id, SeqNo(3), Salt(5)));
    let again = output(&mut client, START, Side::Client);
    let bodies: Vec<_> = again.iter().filter(|got| got.is(0x0bad_cafe)).map(|got| got.body.clone()).collect();
    assert_eq!(bodies, [body(1), body(2)]);
}

#[test]
fn refused_service_messages_are_said_again() {
    let (mut client, mut peer, _, msg_id) = asked();
    peer.say(&mut client, START, true, body(3));
    client.connection_lost(START);
    client.connection_opened(START);
    client.flush_acks();
    let sent = output(&mut client, START, Side::Client);
    assert!(sent.iter().any(|got| got.is(ids::MSGS_STATE_REQ)) && sent.iter().any(|got| got.is(ids::MSGS_ACK)));
    let refused = sent[0].container.unwrap();
    peer.say(&mut client, START, false, service::bad_server_salt(refused, SeqNo(4), Salt(6)));
    let again = output(&mut client, START, Side::Client);
    assert_eq!(again.iter().find(|got| got.is(ids::MSGS_STATE_REQ)).unwrap().ids(), [msg_id]);
    assert_eq!(again.iter().filter(|got| got.is(ids::MSGS_ACK)).count(), 1);
}

#[test]
fn an_answer_to_a_former_message_still_counts() {
    let (mut client, mut peer, id, before) = refuse(20, 0);
    output(&mut client, START, Side::Client);
    peer.answer(&mut client, START, before, b"okay");
    assert!(matches!(&events(&mut client)[..], [Event::Response { id: answered, .. }] if *answered == id));
    assert_eq!(client.pending(), 0);
}
