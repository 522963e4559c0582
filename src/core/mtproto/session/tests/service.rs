//! Service messages in the client's role: a test for each.

use std::time::Duration;

use bytes::Bytes;

use super::peer::*;
use crate::{
    ids::{MsgId, Salt, SeqNo, SessionId},
    mtproto::{
        container,
        envelope::Side,
        rpc_error::RpcError,
        session::{
            DropOutcome, Event, Failure, FutureSalt, RequestOptions,
            service::{self, ids},
        },
    },
    tl::Identifiable,
    tl::mtproto::{functions, types},
};

#[test]
fn constructors_are_those_of_the_schema() {
    let pairs = [
        (ids::RPC_ERROR, types::RpcError::ID),
        (ids::RPC_DROP_ANSWER, functions::RpcDropAnswer::ID),
        (ids::RPC_ANSWER_UNKNOWN, types::RpcAnswerUnknown::ID),
        (ids::RPC_ANSWER_DROPPED_RUNNING, types::RpcAnswerDroppedRunning::ID),
        (ids::RPC_ANSWER_DROPPED, types::RpcAnswerDropped::ID),
        (ids::GET_FUTURE_SALTS, functions::GetFutureSalts::ID),
        (ids::FUTURE_SALTS, types::FutureSalts::ID),
        (ids::PING, functions::Ping::ID),
        (ids::PING_DELAY_DISCONNECT, functions::PingDelayDisconnect::ID),
        (ids::PONG, types::Pong::ID),
        (ids::DESTROY_SESSION, functions::DestroySession::ID),
        (ids::DESTROY_SESSION_OK, types::DestroySessionOk::ID),
        (ids::DESTROY_SESSION_NONE, types::DestroySessionNone::ID),
        (ids::NEW_SESSION_CREATED, types::NewSessionCreated::ID),
        (ids::MSGS_ACK, types::MsgsAck::ID),
        (ids::BAD_MSG_NOTIFICATION, types::BadMsgNotification::ID),
        (ids::BAD_SERVER_SALT, types::BadServerSalt::ID),
        (ids::MSGS_STATE_REQ, types::MsgsStateReq::ID),
        (ids::MSGS_STATE_INFO, types::MsgsStateInfo::ID),
        (ids::MSGS_ALL_INFO, types::MsgsAllInfo::ID),
        (ids::MSG_DETAILED_INFO, types::MsgDetailedInfo::ID),
        (ids::MSG_NEW_DETAILED_INFO, types::MsgNewDetailedInfo::ID),
        (ids::MSG_RESEND_REQ, types::MsgResendReq::ID),
        (ids::MSG_RESEND_ANS_REQ, types::MsgResendAnsReq::ID),
        (ids::HTTP_WAIT, types::HttpWait::ID),
        (crate::mtproto::gzip::ID, types::GzipPacked::ID),
    ];
    for (ours, schema) in pairs {
        assert_eq!(ours, schema, "{ours:#010x}");
    }
}

#[test]
fn a_ping_can_be_had_at_any_time() {
    let mut client = client();
    assert!(output(&mut client, START, Side::Client).is_empty(), "by itself, a quiet session pings later");
    client.ping().unwrap();
    let sent = output(&mut client, START, Side::Client);
    assert!(matches!(&sent[..], [ping] if ping.is(ids::PING_DELAY_DISCONNECT)), "at once, and alone");
    client.ping().unwrap();
    assert!(output(&mut client, START, Side::Client).is_empty(), "not while one is under way");
    let mut peer = Peer::new(Side::Server);
    peer.say(&mut client, START.later(Duration::from_millis(30)), false, service::pong(sent[0].msg_id, 1));
    assert_eq!(client.rtt(), Some(Duration::from_millis(30)));
    assert!(server().ping().is_err(), "servers are pinged");
}

#[test]
fn a_result_is_a_slice_of_the_received_frame() {
    let (mut client, mut peer, id, msg_id) = asked();
    let frame = Bytes::from(rpc_result(msg_id, &vec![5; 512 << 10]));
    let at = frame[12..].as_ptr();
    peer.say(&mut client, START, true, frame);
    let Some(Event::Response { id: answered, result: Ok(result) }) = client.poll_event() else { panic!() };
    assert_eq!((answered, result.len()), (id, 512 << 10));
    assert_eq!(result.as_ptr(), at);
}

#[test]
fn a_packed_result_is_unpacked_and_an_error_is_told() {
    let (mut client, mut peer, id, msg_id) = asked();
    let object = b"abcd".repeat(300);
    peer.answer(&mut client, START, msg_id, &gzipped(&object));
    assert_eq!(events(&mut client), [Event::Response { id, result: Ok(object.into()) }]);

    for packed in [false, true] {
        let (mut client, mut peer, id, msg_id) = asked();
        let error = service::rpc_error(420, "FLOOD_WAIT_30");
        let result = if packed { gzipped(&error) } else { error.to_vec() };
        peer.answer(&mut client, START, msg_id, &result);
        assert_eq!(events(&mut client), [Event::Response { id, result: Err(RpcError::new(420, "FLOOD_WAIT_30")) }]);
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_acknowledged_and_ignored() {
    let (mut client, mut peer, _, msg_id) = asked();
    peer.answer(&mut client, START, msg_id, b"okay");
    events(&mut client);
    let again = peer.answer(&mut client, START, msg_id, b"okay");
    let unknown = peer.answer(&mut client, START, MsgId(4 << 32), b"okay");
    assert_eq!(events(&mut client), []);
    client.flush_acks();
    let acks = output(&mut client, START, Side::Client);
    assert!(acks[0].ids().ends_with(&[again, unknown]));
}

#[test]
fn pings_of_the_servers_are_answered() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    let ping = [&ids::PING.to_le_bytes()[..], &7i64.to_le_bytes()].concat();
    let msg_id = peer.say(&mut client, START, false, ping);
    let sent = output(&mut client, START, Side::Client);
    assert_eq!(sent[0].body, service::pong(msg_id, 7));
    assert!(!sent[0].seq_no.is_content_related());
}

/// Row: A.5 "new_session_created"
#[test]
fn a_new_session_makes_older_requests_be_sent_again_and_not_newer_ones() {
    let (mut client, mut peer, _, first) = asked();
    client.request(START, body(2), RequestOptions::default()).unwrap();
    let second = output(&mut client, START, Side::Client)[0].msg_id;
    peer.say(&mut client, START, true, service::new_session_created(second, 11, Salt(8)));
    assert_eq!(events(&mut client), [Event::SaltsChanged, Event::NewSession { first_msg_id: second, unique_id: 11 }]);
    assert_eq!(client.salts()[0].salt, Salt(8));
    let again = output(&mut client, START, Side::Client);
    let requests: Vec<_> = again.iter().filter(|got| got.is(0x0bad_cafe)).collect();
    assert_eq!(requests.len(), 1);
    // Under its own identifier, within a container: should the first one arrive after all, the server can tell.
    assert_eq!((requests[0].msg_id, &requests[0].body), (first, &body(1)));
    assert!(requests[0].container.is_some());
    // The same news once more is none.
    peer.say(&mut client, START, true, service::new_session_created(second, 11, Salt(8)));
    assert_eq!(events(&mut client), []);
}

/// Row: A.5 "new_session_created"
#[test]
fn a_new_session_that_begins_with_a_container_knows_what_is_in_it() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    for number in [1, 2] {
        client.request(START, body(number), RequestOptions::default()).unwrap();
    }
    let container = output(&mut client, START, Side::Client)[0].container.unwrap();
    peer.say(&mut client, START, true, service::new_session_created(container, 11, SALT));
    client.flush_acks();
    let sent = output(&mut client, START, Side::Client);
    assert!(!sent.iter().any(|got| got.is(0x0bad_cafe)));
}

/// Row: A.5 "msg_detailed_info / new_detailed"
/// Row: A.5 "msg_resend_req out"
#[test]
fn an_answer_that_went_astray_is_asked_for() {
    let (mut client, mut peer, id, msg_id) = asked();
    let (answer, seq_no) = peer.next(START, true);
    peer.say(&mut client, START, false, service::msg_detailed_info(msg_id, answer, 500));
    let sent = output(&mut client, START, Side::Client);
    assert!(sent[0].is(ids::MSG_RESEND_REQ));
    assert_eq!(sent[0].ids(), [answer]);
    client.handle_opened(START, peer.opened(answer, seq_no, rpc_result(msg_id, b"okay"))).unwrap();
    assert!(matches!(events(&mut client)[..], [Event::Response { id: answered, .. }] if answered == id));
    // Told of it again, the client has it already.
    client.flush_acks();
    output(&mut client, START, Side::Client);
    peer.say(&mut client, START, false, service::msg_detailed_info(msg_id, answer, 500));
    client.flush_acks();
    let sent = output(&mut client, START, Side::Client);
    assert!(sent[0].is(ids::MSGS_ACK));
    assert_eq!(sent[0].ids(), [answer]);
}

/// Row: A.5 "msg_detailed_info / new_detailed"
/// Row: A.5 "msg_resend_req out"
#[test]
fn an_update_that_went_astray_is_asked_for() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    let (update, seq_no) = peer.next(START, true);
    peer.say(&mut client, START, false, service::msg_new_detailed_info(update, 500));
    assert_eq!(output(&mut client, START, Side::Client)[0].ids(), [update]);
    client.handle_opened(START, peer.opened(update, seq_no, body(4))).unwrap();
    assert_eq!(events(&mut client), [Event::Update(body(4))]);
}

/// Row: A.5 "msgs_state_req / info / all_info"
#[test]
fn questions_about_received_messages_are_answered_truthfully() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    let skipped = peer.next(START, true).0;
    let acked = peer.say(&mut client, START, true, body(1));
    client.flush_acks();
    output(&mut client, START, Side::Client);
    let skipped_too = peer.next(START, true).0;
    let owed = peer.say(&mut client, START, true, body(2));
    let plain = peer.say(&mut client, START, false, service::pong(MsgId(4), 1));
    let asked = [skipped, acked, skipped_too, owed, plain, MsgId(i64::MAX)];
    let question = peer.say(&mut client, START, true, service::msgs_state_req(&asked));
    let sent = output(&mut client, START, Side::Client);
    let info = sent.iter().find(|got| got.is(ids::MSGS_STATE_INFO)).unwrap();
    assert_eq!(info.body, service::msgs_state_info(question, &[1, 4 | 8, 2, 4, 4 | 16, 3]));
}

/// Row: A.5 "msgs_state_req / info / all_info"
#[test]
fn states_told_unasked_are_heard() {
    let (mut client, mut peer, _, msg_id) = asked();
    let info = [&service::msgs_ack(&[msg_id])[4..], &[1, 1, 0, 0]].concat();
    peer.say(&mut client, START, false, [&ids::MSGS_ALL_INFO.to_le_bytes()[..], &info].concat());
    let sent = output(&mut client, START, Side::Client);
    assert_eq!(sent[0].msg_id, msg_id, "it was not received: it is sent again");
}

#[test]
fn the_server_may_ask_for_a_request_again() {
    let (mut client, mut peer, _, msg_id) = asked();
    peer.say(&mut client, START, false, service::msg_resend_req(&[msg_id]));
    let sent = output(&mut client, START, Side::Client);
    assert_eq!((sent[0].msg_id, &sent[0].body), (msg_id, &body(1)));
    // Of what is unknown it is told the state.
    let question = peer.say(&mut client, START, false, service::msg_resend_req(&[MsgId(4 << 32)]));
    let sent = output(&mut client, START, Side::Client);
    assert_eq!(sent[0].body, service::msgs_state_info(question, &[1]));
}

/// Row: A.5 "future_salts"
#[test]
fn salts_are_fetched_ahead_and_used_in_time() {
    let (mut client, mut peer, _, msg_id) = asked();
    peer.answer(&mut client, START, msg_id, b"okay");
    client.request(START, body(2), RequestOptions::default()).unwrap();
    let sent = output(&mut client, START, Side::Client);
    let question = sent.iter().find(|got| got.is(ids::GET_FUTURE_SALTS)).unwrap();
    events(&mut client);
    let unix = START.unix();
    let salt = |from: i64, salt| FutureSalt { since: unix + from, until: unix + from + 3600, salt: Salt(salt) };
    let salts = [salt(1800, 21), salt(3600, 22)];
    peer.say(&mut client, START, false, service::future_salts_answer(question.msg_id, unix, &salts));
    assert_eq!(events(&mut client), [Event::SaltsChanged]);
    let salt_at = |client: &mut crate::mtproto::session::Session, secs| {
        let now = START.later(Duration::from_secs(secs));
        client.request(now, body(3), RequestOptions::default()).unwrap();
        crate::mtproto::envelope::open(&key(), Side::Client, client.poll_output(now).unwrap()).unwrap().salt
    };
    assert_eq!(salt_at(&mut client, 1), SALT);
    assert_eq!(salt_at(&mut client, 1801), Salt(21));
    assert_eq!(salt_at(&mut client, 3601), Salt(22));
}

/// Row: A.5 "rpc_drop_answer"
#[test]
fn a_cancelled_request_ends_at_once_and_the_server_is_told() {
    for (answer, outcome) in [
        (service::rpc_answer_unknown(), DropOutcome::Unknown),
        (service::rpc_answer_dropped_running(), DropOutcome::Running),
        (service::rpc_answer_dropped(MsgId(5), SeqNo(1), 500), DropOutcome::Dropped { bytes: 500 }),
    ] {
        let (mut client, mut peer, id, msg_id) = asked();
        assert!(client.cancel(START, id));
        assert!(!client.cancel(START, id));
        assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Cancelled }]);
        let sent = output(&mut client, START, Side::Client);
        assert_eq!(sent[0].body, service::rpc_drop_answer(msg_id));
        // The answer was on its way already.
        peer.answer(&mut client, START, msg_id, b"okay");
        assert_eq!(events(&mut client), []);
        peer.answer(&mut client, START, sent[0].msg_id, &answer);
        assert_eq!(events(&mut client), [Event::AnswerDropped { id, outcome }]);
    }
}

#[test]
fn a_request_cancelled_before_it_was_sent_leaves_no_trace() {
    let mut client = client();
    let id = client.request(START, body(1), RequestOptions::default()).unwrap();
    assert!(client.cancel(START, id));
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Cancelled }]);
    assert_eq!(output(&mut client, START, Side::Client), []);
}

/// Row: A.3 "destroy_session"
#[test]
fn another_session_is_destroyed() {
    for (wrapped, existed) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut client = client();
        let mut peer = Peer::new(Side::Server);
        client.destroy_session(SessionId(9)).unwrap();
        let sent = output(&mut client, START, Side::Client);
        assert_eq!(sent[0].body, service::destroy_session(SessionId(9)));
        let answer = service::destroy_session_answer(SessionId(9), existed);
        if wrapped {
            peer.answer(&mut client, START, sent[0].msg_id, &answer);
        } else {
            peer.say(&mut client, START, false, answer);
        }
        assert_eq!(events(&mut client), [Event::SessionDestroyed { session_id: SessionId(9), existed }]);
    }
}

#[test]
fn a_copy_is_taken_as_what_it_is_a_copy_of() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    let (orig, seq_no) = peer.next(START, true);
    let copied = body(6);
    let copy = [&ids::MSG_COPY.to_le_bytes()[..], &container::message_header(orig, seq_no, copied.len()), &copied].concat();
    peer.say(&mut client, START, true, copy.clone());
    assert_eq!(events(&mut client), [Event::Update(body(6))]);
    peer.say(&mut client, START, true, copy);
    assert_eq!(events(&mut client), []);
}

/// Row: A.5 "acks"
#[test]
fn acknowledgements_ride_along_or_go_alone_when_late_or_many() {
    let (mut client, mut peer, _, msg_id) = asked();
    let answer = peer.answer(&mut client, START, msg_id, b"okay");
    assert_eq!(output(&mut client, START, Side::Client), [], "it waits for company");
    client.request(START, body(2), RequestOptions::default()).unwrap();
    let sent = output(&mut client, START, Side::Client);
    assert_eq!(sent.iter().find(|got| got.is(ids::MSGS_ACK)).unwrap().ids(), [answer]);
    let second = sent.iter().find(|got| got.is(0x0bad_cafe)).unwrap().msg_id;
    let answer = peer.answer(&mut client, START, second, b"okay");

    let update = peer.say(&mut client, START, true, body(3));
    let late = START.later(Duration::from_secs(30));
    client.handle_timeout(START.later(Duration::from_secs(29)));
    assert!(!output(&mut client, START, Side::Client).iter().any(|got| got.is(ids::MSGS_ACK)));
    client.handle_timeout(late);
    let sent = output(&mut client, late, Side::Client);
    assert_eq!(sent.iter().find(|got| got.is(ids::MSGS_ACK)).unwrap().ids(), [answer, update]);

    for number in 0..100 {
        assert_eq!(output(&mut client, late, Side::Client), []);
        peer.say(&mut client, late, true, body(number));
    }
    assert_eq!(output(&mut client, late, Side::Client)[0].ids().len(), 100);
}
