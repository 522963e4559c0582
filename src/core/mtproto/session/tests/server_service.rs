//! Requests and service messages in the server's role.

use std::time::Duration;

use super::peer::*;
use crate::{
    ids::{MsgId, Salt, SeqNo, SessionId},
    mtproto::{
        envelope::Side,
        session::{
            ApiMisuse, DeathCause, Event, FutureSalt, Limits, Session,
            service::{self, ids},
        },
    },
};

/// A server that has been sent one request and has said what there was to say.
fn asked() -> (Session, Peer, MsgId) {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    let msg_id = peer.say(&mut server, START, true, body(1));
    assert_eq!(events(&mut server), [Event::Request { msg_id, body: body(1) }]);
    let sent = output(&mut server, START, Side::Server);
    // The session is acknowledged, or the server would say so again.
    let created = sent.iter().find(|got| got.is(ids::NEW_SESSION_CREATED)).unwrap().msg_id;
    peer.say(&mut server, START, false, service::msgs_ack(&[created]));
    (server, peer, msg_id)
}

fn result_in(sent: &[Got], req: MsgId) -> Option<&Got> {
    sent.iter().find(|got| got.is(ids::RPC_RESULT) && got.body[4..12] == req.0.to_le_bytes())
}

#[test]
fn the_first_message_begins_the_session_and_an_older_one_begins_it_earlier() {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    let older = peer.next(START, true);
    let first = peer.say(&mut server, START, true, body(1));
    let sent = output(&mut server, START, Side::Server);
    assert!(sent[0].is(ids::NEW_SESSION_CREATED) && sent[0].seq_no.is_content_related());
    assert_eq!(sent[0].body[4..12], first.0.to_le_bytes());
    server.handle_opened(START, peer.opened(older.0, older.1, body(0))).unwrap();
    let sent = output(&mut server, START, Side::Server);
    let created = sent.iter().find(|got| got.is(ids::NEW_SESSION_CREATED)).unwrap();
    assert_eq!(created.body[4..12], older.0.0.to_le_bytes());
    peer.say(&mut server, START, true, body(2));
    assert!(!output(&mut server, START, Side::Server).iter().any(|got| got.is(ids::NEW_SESSION_CREATED)));
}

#[test]
fn an_answer_is_kept_until_it_is_acknowledged() {
    let (mut server, mut peer, req) = asked();
    server.respond(START, req, body(5), false).unwrap();
    let sent = output(&mut server, START, Side::Server);
    let first = result_in(&sent, req).unwrap().clone();
    assert_eq!(first.body, rpc_result(req, &body(5)));
    assert!(first.seq_no.is_content_related() && first.msg_id.0 & 3 == 1);
    // The connection breaks before the client has seen it: it comes again, the same, in a container.
    server.connection_lost(START);
    assert!(server.poll_output(START).is_none());
    server.connection_opened(START);
    let again = output(&mut server, START, Side::Server);
    let again = result_in(&again, req).unwrap();
    assert_eq!((again.msg_id, again.seq_no, &again.body), (first.msg_id, first.seq_no, &first.body));
    assert!(again.container.is_some());
    peer.say(&mut server, START, false, service::msgs_ack(&[first.msg_id]));
    assert_eq!(events(&mut server), [Event::Acknowledged { msg_id: req }]);
    server.connection_lost(START);
    server.connection_opened(START);
    assert_eq!(output(&mut server, START, Side::Server), []);
}

#[test]
fn an_acknowledgement_that_comes_with_the_new_connection_saves_sending_again() {
    let (mut server, mut peer, req) = asked();
    server.respond(START, req, body(5), false).unwrap();
    let answer = result_in(&output(&mut server, START, Side::Server), req).unwrap().msg_id;
    server.connection_lost(START);
    server.connection_opened(START);
    peer.say(&mut server, START, false, service::msgs_ack(&[answer]));
    assert_eq!(output(&mut server, START, Side::Server), []);
}

#[test]
fn a_repeated_request_is_not_executed_again() {
    let (mut server, peer, req) = asked();
    let again = |server: &mut Session| {
        let result = server.handle_opened(START, peer.opened(req, SeqNo(1), body(1)));
        assert!(result.is_err());
        assert_eq!(events(server), []);
        output(server, START, Side::Server)
    };
    // While it runs it is acknowledged;
    let sent = again(&mut server);
    assert!(sent[0].is(ids::MSGS_ACK));
    assert_eq!(sent[0].ids().last(), Some(&req));
    // when the answer is there, it is sent again;
    server.respond(START, req, body(5), false).unwrap();
    output(&mut server, START, Side::Server);
    assert!(result_in(&again(&mut server), req).is_some());
    // and when that has been acknowledged, no more than that is done.
    let (mut server, mut peer2, req) = asked();
    server.respond(START, req, body(5), false).unwrap();
    let answer = result_in(&output(&mut server, START, Side::Server), req).unwrap().msg_id;
    peer2.say(&mut server, START, false, service::msgs_ack(&[answer]));
    events(&mut server);
    let sent = again(&mut server);
    assert!(sent.len() == 1 && sent[0].is(ids::MSGS_ACK));
}

/// Row: A.5 "msg_detailed_info / new_detailed"
#[test]
fn of_a_long_answer_the_client_is_told_first() {
    let (mut server, mut peer, req) = asked();
    server.respond(START, req, vec![1; 8000].into(), false).unwrap();
    let answer = result_in(&output(&mut server, START, Side::Server), req).unwrap().msg_id;
    let _ = server.handle_opened(START, peer.opened(req, SeqNo(1), body(1)));
    let sent = output(&mut server, START, Side::Server);
    assert_eq!(sent[0].body, service::msg_detailed_info(req, answer, 8012));
    peer.say(&mut server, START, true, service::msg_resend_req(&[answer]));
    assert_eq!(result_in(&output(&mut server, START, Side::Server), req).unwrap().msg_id, answer);
    let by_request = [&ids::MSG_RESEND_ANS_REQ.to_le_bytes()[..], &service::msgs_ack(&[req])[4..]].concat();
    peer.say(&mut server, START, true, by_request);
    assert_eq!(result_in(&output(&mut server, START, Side::Server), req).unwrap().msg_id, answer);
    let question = peer.say(&mut server, START, true, service::msg_resend_req(&[answer, MsgId(1)]));
    let sent = output(&mut server, START, Side::Server);
    // Of what is no message of the client's it knows nothing, unless it is sent again.
    assert!(sent.iter().any(|got| got.body == service::msgs_state_info(question, &[4, 1])), "{sent:?}");
    assert!(result_in(&sent, req).is_some());
}

/// Row: A.4 "gzip out"
#[test]
fn answers_are_packed_when_asked_for() {
    let (mut server, _, req) = asked();
    let long = b"abcdefgh".repeat(500);
    server.respond(START, req, long.clone().into(), true).unwrap();
    let sent = output(&mut server, START, Side::Server);
    let packed = &result_in(&sent, req).unwrap().body;
    assert!(packed.len() < 200 && packed[12..16] == crate::mtproto::gzip::ID.to_le_bytes());
    let (mut server, _, req) = asked();
    server.respond(START, req, long.clone().into(), false).unwrap();
    let sent = output(&mut server, START, Side::Server);
    assert_eq!(result_in(&sent, req).unwrap().body[12..], long);
}

#[test]
fn packed_requests_are_unpacked() {
    let (mut server, mut peer, _) = asked();
    let msg_id = peer.say(&mut server, START, true, gzipped(&body(8)));
    assert_eq!(events(&mut server), [Event::Request { msg_id, body: body(8) }]);
}

#[test]
fn what_the_host_must_not_do() {
    let (mut server, _, req) = asked();
    assert_eq!(server.respond(START, MsgId(4), body(1), false), Err(ApiMisuse::NoSuchRequest { msg_id: MsgId(4) }));
    assert_eq!(server.respond(START, req, vec![1; 3].into(), false), Err(ApiMisuse::NotTl { len: 3 }));
    server.respond(START, req, body(1), false).unwrap();
    assert_eq!(server.respond(START, req, body(1), false), Err(ApiMisuse::NoSuchRequest { msg_id: req }));
    assert_eq!(server.request(START, body(1), Default::default()), Err(ApiMisuse::WrongRole));
    let mut client = client();
    assert_eq!(client.push(START, body(1)), Err(ApiMisuse::WrongRole));
    assert_eq!(client.respond(START, req, body(1), false), Err(ApiMisuse::WrongRole));
    assert_eq!(client.set_salts(Vec::new()), Err(ApiMisuse::WrongRole));
}

#[test]
fn updates_are_kept_until_acknowledged_and_do_not_pile_up() {
    let mut server = server_with(Limits { kept: 2, ..Limits::default() });
    let update = server.push(START, body(1)).unwrap();
    server.push(START, body(2)).unwrap();
    assert_eq!(server.push(START, body(3)), Err(ApiMisuse::Backlog { limit: 2 }));
    let sent = output(&mut server, START, Side::Server);
    assert_eq!((sent[0].msg_id, sent[0].msg_id.0 & 3), (update, 3));
    let mut peer = Peer::new(Side::Client);
    peer.say(&mut server, START, false, service::msgs_ack(&[update]));
    assert_eq!(events(&mut server), [Event::Acknowledged { msg_id: update }]);
    server.push(START, body(3)).unwrap();
}

#[test]
fn pings_are_answered_and_their_absence_is_noticed() {
    let (mut server, mut peer, _) = asked();
    let ping = peer.say(&mut server, START, false, service::ping_delay_disconnect(7, 75));
    assert!(output(&mut server, START, Side::Server).iter().any(|got| got.body == service::pong(ping, 7)));
    let minute = START.later(Duration::from_secs(60));
    peer.say(&mut server, minute, false, service::ping_delay_disconnect(8, 75));
    server.handle_timeout(START.later(Duration::from_secs(76)));
    assert_eq!(events(&mut server), []);
    server.handle_timeout(minute.later(Duration::from_secs(75)));
    assert_eq!(events(&mut server), [Event::ConnectionDead(DeathCause::NoPing { seconds: 75 })]);
}

/// Row: A.5 "future_salts"
#[test]
fn salts_to_come_are_told() {
    let (mut server, mut peer, _) = asked();
    let unix = START.unix();
    let salt = |from: i64, salt| FutureSalt { since: unix + from, until: unix + from + 3600, salt: Salt(salt) };
    server.set_salts(vec![salt(-4000, 1), FutureSalt { salt: SALT, ..salt(-100, 0) }, salt(3000, 3), salt(6000, 4)]).unwrap();
    let question = peer.say(&mut server, START, false, service::get_future_salts(2));
    let sent = output(&mut server, START, Side::Server);
    let salts = [FutureSalt { salt: SALT, ..salt(-100, 0) }, salt(3000, 3)];
    assert!(sent.iter().any(|got| got.body == service::future_salts_answer(question, unix, &salts)));
}

/// Row: A.5 "rpc_drop_answer"
#[test]
fn an_answer_not_wanted_any_more() {
    let results = |server: &mut Session, drop: MsgId| {
        let sent = output(server, START, Side::Server);
        let of_drop = result_in(&sent, drop).unwrap().body.slice(12..);
        (of_drop, sent)
    };
    // Unknown.
    let (mut server, mut peer, req) = asked();
    let drop = peer.say(&mut server, START, true, service::rpc_drop_answer(MsgId(4)));
    assert_eq!(results(&mut server, drop).0, service::rpc_answer_unknown());
    // Running: the original is answered the same, and the host's answer goes nowhere.
    let drop = peer.say(&mut server, START, true, service::rpc_drop_answer(req));
    let (of_drop, sent) = results(&mut server, drop);
    assert_eq!(of_drop, service::rpc_answer_dropped_running());
    assert_eq!(result_in(&sent, req).unwrap().body[12..], service::rpc_answer_dropped_running());
    assert_eq!(events(&mut server), [Event::RequestCancelled { msg_id: req }]);
    server.respond(START, req, body(5), false).unwrap();
    assert_eq!(output(&mut server, START, Side::Server), []);
    assert_eq!(server.pending(), 0);
    // Answered.
    let (mut server, mut peer, req) = asked();
    server.respond(START, req, body(5), false).unwrap();
    let answer = result_in(&output(&mut server, START, Side::Server), req).unwrap().clone();
    let drop = peer.say(&mut server, START, true, service::rpc_drop_answer(req));
    let dropped = service::rpc_answer_dropped(answer.msg_id, answer.seq_no, answer.body.len());
    assert_eq!(results(&mut server, drop).0, dropped);
    server.connection_lost(START);
    server.connection_opened(START);
    assert!(result_in(&output(&mut server, START, Side::Server), req).is_none(), "it is not sent again");
}

/// Row: A.5 "msgs_state_req / info / all_info"
#[test]
fn states_are_told_and_lost_answers_with_them() {
    let (mut server, mut peer, running) = asked();
    let answered = peer.say(&mut server, START, true, body(2));
    server.respond(START, answered, body(5), false).unwrap();
    let answer = result_in(&output(&mut server, START, Side::Server), answered).unwrap().msg_id;
    let now = START.later(Duration::from_secs(1));
    let missing = peer.next(now, true).0;
    let question =
        peer.say(&mut server, now, true, service::msgs_state_req(&[running, answered, missing, MsgId(4), MsgId(i64::MAX - 3)]));
    let sent = output(&mut server, now, Side::Server);
    // The first was acknowledged on its own, the second by its answer; of one never sent, nothing is known or it is yet to come.
    let expected = [4 | 8 | 32, 4 | 8 | 32 | 64, 2, 1, 3];
    assert!(sent.iter().any(|got| got.body == service::msgs_state_info(question, &expected)), "{sent:?}");
    assert!(sent.iter().any(|got| got.body == service::msg_detailed_info(answered, answer, 20)));
}

#[test]
fn unacknowledged_messages_are_mentioned_in_time() {
    let (mut server, _, req) = asked();
    server.respond(START, req, body(5), false).unwrap();
    let update = server.push(START, body(6)).unwrap();
    let answer = result_in(&output(&mut server, START, Side::Server), req).unwrap().msg_id;
    let minute = START.later(Duration::from_secs(60));
    server.handle_timeout(minute);
    let sent = output(&mut server, minute, Side::Server);
    assert_eq!(sent[0].body, service::msg_detailed_info(req, answer, 20));
    assert_eq!(sent[1].body, service::msg_new_detailed_info(update, 8));
}

#[test]
fn kept_answers_do_not_fill_memory() {
    let mut server = server_with(Limits { kept_bytes: 100, ..Limits::default() });
    let mut peer = Peer::new(Side::Client);
    for number in 0..50 {
        let req = peer.say(&mut server, START, true, body(number));
        server.respond(START, req, body(number), false).unwrap();
    }
    let results = output(&mut server, START, Side::Server).into_iter().filter(|got| got.is(ids::RPC_RESULT)).count();
    // Twenty bytes each, beside the 28 of the news of the session, which stay.
    assert_eq!(results, 3);
    events(&mut server);
    assert!(server.held_bytes() <= 100);
}

/// Row: A.3 "destroy_session"
#[test]
fn another_session_is_destroyed_by_the_host() {
    let (mut server, mut peer, _) = asked();
    peer.say(&mut server, START, true, service::destroy_session(SessionId(8)));
    assert_eq!(events(&mut server), [Event::DestroySession { session_id: SessionId(8) }]);
    server.session_destroyed(SessionId(8), true).unwrap();
    let sent = output(&mut server, START, Side::Server);
    assert!(sent.iter().any(|got| got.body == service::destroy_session_answer(SessionId(8), true)));
}
