//! `bad_msg_notification` and `bad_server_salt` in the client's role: a test for each code, and that none of them makes a loop.

use std::time::Duration;

use super::peer::*;
use crate::{
    clock::Now,
    ids::{MsgId, Salt, SeqNo},
    mtproto::{
        envelope::{self, Side},
        session::{
            DeathCause, Event, Failure, Limits, RequestId, RequestOptions, Session,
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

/// The same, after the request was written a second time on a second connection.
fn refuse_copy(code: i32) -> (Session, Peer, RequestId, MsgId) {
    let (mut client, mut peer, id, msg_id) = asked();
    client.connection_lost(START);
    client.connection_opened(START);
    let question = find(&output(&mut client, START, Side::Client), ids::MSGS_STATE_REQ).unwrap().msg_id;
    peer.say(&mut client, START, true, service::msgs_state_info(question, &[2]));
    let again = output(&mut client, START, Side::Client);
    assert_eq!(request_in(&again).msg_id, msg_id);
    peer.say(&mut client, START, false, service::bad_msg_notification(msg_id, SeqNo(1), code));
    (client, peer, id, msg_id)
}

fn find(sent: &[Got], constructor: u32) -> Option<&Got> {
    sent.iter().find(|got| got.is(constructor))
}

fn request_in(sent: &[Got]) -> &Got {
    find(sent, 0x0bad_cafe).unwrap()
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

/// Row: A.5 "bad_msg 16/17"
#[test]
fn code_17_does_not_go_back_behind_what_the_server_has_taken() {
    let (mut client, mut peer, _, taken) = asked();
    peer.say(&mut client, START, false, service::msgs_ack(&[taken]));
    // From here on our clock is ahead: an update with a wrong time has made it so.
    let ahead = START.later(Duration::from_secs(20));
    let (update, seq_no) = peer.next(ahead, true);
    client.handle_opened(START, peer.opened(update, seq_no, body(7))).unwrap();
    client.request(START, body(2), RequestOptions::default()).unwrap();
    let refused = request_in(&output(&mut client, START, Side::Client)).msg_id;
    // A peer that never was ahead, and has said something before.
    let mut peer = Peer::new(Side::Server);
    for _ in 0..4 {
        peer.next(START, true);
    }
    let (notice, seq_no) = peer.next(START, false);
    client.handle_opened(START, peer.opened(notice, seq_no, service::bad_msg_notification(refused, SeqNo(3), 17))).unwrap();
    let again = request_in(&output(&mut client, START, Side::Client)).clone();
    assert!(again.msg_id < refused, "the server would not take it");
    assert!(again.msg_id > taken, "its sequence number is higher than that of what the server has");
}

/// Row: A.5 "bad_msg 16/17"
#[test]
fn a_copy_refused_for_its_time_may_have_a_twin_that_was_taken() {
    for (code, verdict) in [(16, 4), (17, 2), (16, 1)] {
        let (mut client, mut peer, id, msg_id) = refuse_copy(code);
        let sent = output(&mut client, START, Side::Client);
        assert!(find(&sent, 0x0bad_cafe).is_none(), "it may have been executed");
        let question = find(&sent, ids::MSGS_STATE_REQ).unwrap();
        assert_eq!(question.ids(), [msg_id]);
        peer.say(&mut client, START, true, service::msgs_state_info(question.msg_id, &[verdict]));
        match verdict {
            // The server has it: the answer is waited for.
            4 => {
                assert!(find(&output(&mut client, START, Side::Client), 0x0bad_cafe).is_none());
                peer.answer(&mut client, START, msg_id, b"okay");
                assert!(events(&mut client).iter().any(|event| matches!(event, Event::Response { .. })));
            }
            // It has not, but the other copy may come yet, as long as its identifier lives. Then a new message does no harm.
            2 => {
                assert!(find(&output(&mut client, START, Side::Client), 0x0bad_cafe).is_none());
                let later = START.later(Duration::from_secs(331));
                client.handle_timeout(later);
                let question = find(&output(&mut client, later, Side::Client), ids::MSGS_STATE_REQ).unwrap().msg_id;
                peer.say(&mut client, later, true, service::msgs_state_info(question, &[2]));
                assert_ne!(request_in(&output(&mut client, later, Side::Client)).msg_id, msg_id);
            }
            // It does not know.
            _ => assert_eq!(events(&mut client).last(), Some(&Event::Failed { id, error: Failure::Uncertain })),
        }
    }
}

/// A late answer to an older question does not count for a copy that was refused as one either.
#[test]
fn an_outdated_state_does_not_send_a_doubtful_copy_again() {
    let (mut client, mut peer, _, msg_id) = asked();
    client.connection_lost(START);
    client.connection_opened(START);
    let first = find(&output(&mut client, START, Side::Client), ids::MSGS_STATE_REQ).unwrap().msg_id;
    peer.say(&mut client, START, false, service::msg_resend_req(&[msg_id]));
    output(&mut client, START, Side::Client);
    peer.say(&mut client, START, false, service::bad_msg_notification(msg_id, SeqNo(1), 20));
    peer.say(&mut client, START, true, service::msgs_state_info(first, &[2]));
    let sent = output(&mut client, START, Side::Client);
    assert!(find(&sent, 0x0bad_cafe).is_none());
    assert!(find(&sent, ids::MSGS_STATE_REQ).is_some());
}

/// The server's clock was set back: a copy of what it refuses now it may take when that time comes. Nobody waits for that.
#[test]
fn a_copy_whose_time_is_to_come_ends_as_uncertain() {
    let (mut client, mut peer, id, msg_id) = asked();
    peer.say(&mut client, START, false, service::msg_resend_req(&[msg_id]));
    assert_eq!(request_in(&output(&mut client, START, Side::Client)).msg_id, msg_id);
    let back = |secs: u64| Now { wall: START.wall - Duration::from_secs(secs), ..START };
    let mut refused_at = |client: &mut Session, secs| {
        peer.forget_ids();
        let (notice, seq_no) = peer.next(back(secs), false);
        client.handle_opened(START, peer.opened(notice, seq_no, service::bad_msg_notification(msg_id, SeqNo(1), 17))).unwrap();
        let question = find(&output(client, START, Side::Client), ids::MSGS_STATE_REQ).unwrap().msg_id;
        let (answer, seq_no) = peer.next(back(secs), true);
        client.handle_opened(START, peer.opened(answer, seq_no, service::msgs_state_info(question, &[3]))).unwrap();
    };
    // So little ahead it may come any moment, and is asked about.
    refused_at(&mut client, 20);
    assert!(!events(&mut client).iter().any(|event| matches!(event, Event::Failed { .. })));
    refused_at(&mut client, 1000);
    let failed = |event: &Event| *event == Event::Failed { id, error: Failure::Uncertain };
    assert!(events(&mut client).iter().any(failed));
}

/// An answer that the server gave before it refused the message says nothing about it.
#[test]
fn an_outdated_state_does_not_make_a_new_message() {
    let (mut client, mut peer, _, msg_id) = asked();
    client.connection_lost(START);
    client.connection_opened(START);
    let first = find(&output(&mut client, START, Side::Client), ids::MSGS_STATE_REQ).unwrap().msg_id;
    // In the meantime the server asks for the request itself, and takes it; then a copy is refused.
    peer.say(&mut client, START, false, service::msg_resend_req(&[msg_id]));
    assert_eq!(request_in(&output(&mut client, START, Side::Client)).msg_id, msg_id);
    peer.say(&mut client, START, false, service::bad_msg_notification(msg_id, SeqNo(1), 16));
    peer.say(&mut client, START, true, service::msgs_state_info(first, &[2]));
    let sent = output(&mut client, START, Side::Client);
    assert!(find(&sent, 0x0bad_cafe).is_none());
    let second = find(&sent, ids::MSGS_STATE_REQ).unwrap().msg_id;
    peer.say(&mut client, START, true, service::msgs_state_info(second, &[4]));
    assert!(find(&output(&mut client, START, Side::Client), 0x0bad_cafe).is_none());
}

/// A refusal of the salt that is long under way: by now a copy with the right salt was sent, and executed.
#[test]
fn a_late_refusal_of_the_salt_does_not_make_a_new_message() {
    let (mut client, mut peer, id, msg_id) = refuse_copy(48);
    let again = output(&mut client, START, Side::Client);
    assert_eq!(request_in(&again).msg_id, msg_id, "the server can tell that it has it");
    peer.answer(&mut client, START, msg_id, b"okay");
    assert!(events(&mut client).iter().any(|event| matches!(event, Event::Response { id: answered, .. } if *answered == id)));
}

/// Row: A.5 "18,19,34,35,64"
#[test]
fn code_18_fails_the_request() {
    gives_up(18);
}

/// Row: A.5 "18,19,34,35,64"
#[test]
fn code_34_fails_the_request() {
    gives_up(34);
}

/// Row: A.5 "18,19,34,35,64"
#[test]
fn code_35_fails_the_request() {
    gives_up(35);
}

fn gives_up(code: i32) {
    let (mut client, _, id, _) = refuse(code, 0);
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Refused { code } }]);
    assert!(!Failure::Refused { code }.may_have_been_executed());
    assert_eq!(output(&mut client, START, Side::Client), []);
    assert_eq!(client.pending(), 0);
    // Of two copies the other one may have been taken.
    let (mut client, _, id, _) = refuse_copy(code);
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Uncertain }]);
    assert!(Failure::Uncertain.may_have_been_executed());
}

/// Row: A.5 "18,19,34,35,64"
#[test]
fn code_19_asks_what_the_earlier_container_brought() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    let both = [1, 2].map(|number| client.request(START, body(number), RequestOptions::default()).unwrap());
    let sent = output(&mut client, START, Side::Client);
    let container = sent[0].container.unwrap();
    peer.say(&mut client, START, false, service::bad_msg_notification(container, SeqNo(4), 19));
    let asked = output(&mut client, START, Side::Client);
    assert!(find(&asked, 0x0bad_cafe).is_none());
    let question = find(&asked, ids::MSGS_STATE_REQ).unwrap();
    assert_eq!(question.ids(), [sent[0].msg_id, sent[1].msg_id]);
    peer.say(&mut client, START, true, service::msgs_state_info(question.msg_id, &[4, 2]));
    let again = output(&mut client, START, Side::Client);
    assert_eq!(again.iter().filter(|got| got.is(0x0bad_cafe)).map(|got| got.body.clone()).collect::<Vec<_>>(), [body(2)]);
    // It is the container that was refused, so the message keeps its identifier.
    assert_eq!(request_in(&again).msg_id, sent[1].msg_id);
    assert_ne!(again[0].container, Some(container));
    peer.answer(&mut client, START, sent[0].msg_id, b"okay");
    peer.answer(&mut client, START, request_in(&again).msg_id, b"okay");
    let answered: Vec<_> = events(&mut client)
        .into_iter()
        .filter_map(|event| if let Event::Response { id, .. } = event { Some(id) } else { None })
        .collect();
    assert_eq!(answered, both);
}

/// Row: A.5 "18,19,34,35,64"
#[test]
fn code_64_breaks_the_container_up() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    let ids = [1, 2].map(|number| client.request(START, body(number), RequestOptions::default()).unwrap());
    let container = output(&mut client, START, Side::Client)[0].container.unwrap();
    peer.say(&mut client, START, false, service::bad_msg_notification(container, SeqNo(4), 64));
    let again = output(&mut client, START, Side::Client);
    let bare: Vec<_> = again.iter().filter(|got| got.is(0x0bad_cafe)).collect();
    assert_eq!(
        bare.iter().map(|got| (got.container, got.body.clone())).collect::<Vec<_>>(),
        [(None, body(1)), (None, body(2))]
    );
    // What is not in a container cannot be taken out of it.
    for (got, id) in bare.iter().zip(ids) {
        peer.say(&mut client, START, false, service::bad_msg_notification(got.msg_id, got.seq_no, 64));
        assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Refused { code: 64 } }]);
    }
}

/// Row: A.5 "20"
#[test]
fn code_20_asks_and_sends_again_what_was_not_received() {
    let (mut client, mut peer, _, before) = refuse(20, 0);
    assert_eq!(client.time_offset(START), 0);
    let sent = output(&mut client, START, Side::Client);
    assert!(find(&sent, 0x0bad_cafe).is_none());
    let question = find(&sent, ids::MSGS_STATE_REQ).unwrap().msg_id;
    peer.say(&mut client, START, true, service::msgs_state_info(question, &[2]));
    // Under the same identifier: should a copy come that the network kept back, the server can tell.
    assert_eq!(request_in(&output(&mut client, START, Side::Client)).msg_id, before);
    assert_eq!(events(&mut client), []);
}

/// Row: A.5 "20"
#[test]
fn code_20_ends_in_a_typed_failure_where_nobody_knows() {
    let (mut client, mut peer, id, _) = refuse(20, 0);
    let question = find(&output(&mut client, START, Side::Client), ids::MSGS_STATE_REQ).unwrap().msg_id;
    peer.say(&mut client, START, true, service::msgs_state_info(question, &[1]));
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Uncertain }]);
}

/// Row: A.5 "32/33"
#[test]
fn code_32_begins_a_new_session() {
    begins_a_new_session(32);
}

/// Row: A.5 "32/33"
#[test]
fn code_33_begins_a_new_session() {
    begins_a_new_session(33);
}

fn begins_a_new_session(code: i32) {
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

/// Row: A.5 "32/33"
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

/// Three new sessions are no more for a connection than they are for ever: a server may need a fourth a day later.
#[test]
fn another_connection_may_begin_new_sessions_again() {
    let (mut client, mut peer, id, mut msg_id) = asked();
    for round in 0..6 {
        if round == 3 {
            client.connection_lost(START);
            client.connection_opened(START);
            let question = find(&output(&mut client, START, Side::Client), ids::MSGS_STATE_REQ).unwrap().msg_id;
            peer.session = client.session_id();
            peer.say(&mut client, START, true, service::msgs_state_info(question, &[3]));
            assert_eq!(request_in(&output(&mut client, START, Side::Client)).msg_id, msg_id);
        }
        let before = client.session_id();
        peer.session = before;
        peer.say(&mut client, START, false, service::bad_msg_notification(msg_id, SeqNo(1), 33));
        assert_ne!(client.session_id(), before, "{round}");
        match output(&mut client, START, Side::Client).iter().find(|got| got.is(0x0bad_cafe)) {
            Some(again) => msg_id = again.msg_id,
            // Of the message that was written twice, one copy may have been taken in the session that is gone.
            None => {
                assert_eq!(round, 3);
                assert!(events(&mut client).contains(&Event::Failed { id, error: Failure::SessionReset }));
                return;
            }
        }
    }
    panic!("a message that was written twice was sent again under another identifier");
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

/// Row: A.5 "48 / bad_server_salt"
#[test]
fn code_48_without_a_salt_sends_again_and_gives_up_in_the_end() {
    // A notice may be about any of the copies, of which the others may have been taken.
    let limits = Limits { resends: 2, ..Limits::default() };
    let mut client = client_with(limits);
    let mut peer = Peer::new(Side::Server);
    let id = client.request(START, body(1), RequestOptions::default()).unwrap();
    for _ in 0..3 {
        let sent = output(&mut client, START, Side::Client);
        peer.say(&mut client, START, false, service::bad_msg_notification(request_in(&sent).msg_id, SeqNo(1), 48));
    }
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Uncertain }]);
}

#[test]
fn what_was_refused_under_every_identifier_was_not_executed() {
    let limits = Limits { resends: 2, ..Limits::default() };
    let mut client = client_with(limits);
    let mut peer = Peer::new(Side::Server);
    let id = client.request(START, body(1), RequestOptions::default()).unwrap();
    for _ in 0..3 {
        let sent = output(&mut client, START, Side::Client);
        peer.say(&mut client, START, false, service::bad_msg_notification(request_in(&sent).msg_id, SeqNo(1), 16));
    }
    let events = events(&mut client);
    assert!(events.contains(&Event::Failed { id, error: Failure::TooManyResends { times: 3 } }), "{events:?}");
    assert!(!Failure::TooManyResends { times: 3 }.may_have_been_executed());
}

#[test]
fn what_is_refused_after_it_was_acknowledged_may_have_been_executed() {
    let (mut client, mut peer, id, msg_id) = asked();
    peer.say(&mut client, START, false, service::msgs_ack(&[msg_id]));
    peer.say(&mut client, START, false, service::bad_msg_notification(msg_id, SeqNo(1), 64));
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Uncertain }]);
}

#[test]
fn what_is_refused_after_it_was_acknowledged_is_asked_about_before_it_gets_another_identifier() {
    let (mut client, mut peer, _, msg_id) = asked();
    peer.say(&mut client, START, false, service::msgs_ack(&[msg_id]));
    peer.say(&mut client, START, false, service::bad_msg_notification(msg_id, SeqNo(1), 16));
    let sent = output(&mut client, START, Side::Client);
    assert!(find(&sent, 0x0bad_cafe).is_none(), "{sent:?}");
    assert_eq!(find(&sent, ids::MSGS_STATE_REQ).unwrap().ids(), [msg_id]);
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

/// Row: A.5 "48 / bad_server_salt"
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
    let (mut client, mut peer, id, before) = refuse(16, 0);
    assert_ne!(request_in(&output(&mut client, START, Side::Client)).msg_id, before);
    peer.answer(&mut client, START, before, b"okay");
    assert!(matches!(&events(&mut client)[..], [Event::Response { id: answered, .. }] if *answered == id));
    assert_eq!(client.pending(), 0);
}

/// Whatever code a server repeats for whatever it is sent: a request ends, and so does the talk.
#[test]
fn no_code_makes_a_loop() {
    for code in [16, 17, 18, 19, 20, 32, 33, 34, 35, 48, 64, 99] {
        let (mut client, mut peer, id, _) = asked();
        let mut frames = 0;
        let mut ended = Vec::new();
        // A question and a request, of which every message is refused.
        client.connection_lost(START);
        client.connection_opened(START);
        for round in 0.. {
            assert!(round < 1000, "code {code} makes a loop");
            let sent = output(&mut client, START, Side::Client);
            ended.extend(events(&mut client));
            if sent.is_empty() || ended.iter().any(|event| matches!(event, Event::ConnectionDead(_))) {
                break;
            }
            frames += 1;
            peer.session = client.session_id();
            for got in sent {
                let notice = service::bad_msg_notification(got.container.unwrap_or(got.msg_id), got.seq_no, code);
                let _ = peer.try_say(&mut client, START, false, notice);
            }
        }
        let failed = ended.iter().any(|event| matches!(event, Event::Failed { id: failed, .. } if *failed == id));
        let dead = ended.iter().any(|event| matches!(event, Event::ConnectionDead(DeathCause::Refused { .. })));
        // Of a request whose state cannot be asked for, nothing is known: the next connection goes on with it.
        assert!(failed || dead || client.pending() == 1, "code {code}: {ended:?}");
        assert!(frames <= 40, "code {code}: {frames} frames");
    }
}

/// Found by the simulation: what follows in the same container belongs to the session that has ended, and its filter is gone.
#[test]
fn nothing_of_the_old_session_comes_in_behind_the_notice_that_ended_it() {
    let (mut client, mut peer, _, msg_id) = asked();
    let (update, seq_no) = peer.next(START, true);
    let known = (update, seq_no, body(77));
    client.handle_opened(START, peer.opened(known.0, known.1, known.2.clone())).unwrap();
    assert_eq!(events(&mut client), [Event::Update(body(77))]);
    let (notice, even) = peer.next(START, false);
    let refusal = service::bad_msg_notification(msg_id, SeqNo(1), 32);
    let (outer, seq_no, both) = peer.pack(START, &[(notice, even, refusal), known]);
    client.handle_opened(START, peer.opened(outer, seq_no, both)).unwrap();
    let events = events(&mut client);
    assert!(events.iter().any(|event| matches!(event, Event::SessionReset { .. })), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Update(_))), "{events:?}");
}

/// Found by the simulation: a client whose clock was ahead goes on with lower identifiers, and its questions count even so.
#[test]
fn an_answer_counts_after_the_clock_was_set_back() {
    let (mut client, _, _, before) = refuse(20, 0);
    let question = find(&output(&mut client, START, Side::Client), ids::MSGS_STATE_REQ).unwrap().msg_id;
    // The question is refused, too: it comes from the future.
    let mut now = START;
    now.wall -= Duration::from_secs(1000);
    let mut peer = Peer::new(Side::Server);
    let (notice, seq_no) = peer.next(now, false);
    let refusal = service::bad_msg_notification(question, SeqNo(3), 17);
    client.handle_opened(START, peer.opened(notice, seq_no, refusal)).unwrap();
    let question = find(&output(&mut client, START, Side::Client), ids::MSGS_STATE_REQ).unwrap().msg_id;
    assert!(question < before);
    let (info, seq_no) = peer.next(now, true);
    let state = service::msgs_state_info(question, &[3]);
    client.handle_opened(START, peer.opened(info, seq_no, state)).unwrap();
    assert!(find(&output(&mut client, START, Side::Client), 0x0bad_cafe).is_some(), "it is sent again");
}
