//! Questions about messages, and what follows from the answers.

use std::time::Duration;

use super::{
    pair::{End, Pair},
    peer::*,
};
use crate::{
    clock::Now,
    ids::{MsgId, Salt, SeqNo},
    mtproto::{
        envelope::Side,
        session::{
            Event, Failure, Limits, PeerMisbehaved, RequestOptions, Session,
            service::{self, ids},
        },
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn find(sent: &[Got], constructor: u32) -> Option<&Got> {
    sent.iter().find(|got| got.is(constructor))
}

fn requests(sent: &[Got]) -> Vec<MsgId> {
    sent.iter().filter(|got| got.is(0x0bad_cafe)).map(|got| got.msg_id).collect()
}

/// A client that has come back: its request, the message of that, and the question about it.
fn come_back(client: &mut Session, now: Now) -> (Vec<Got>, MsgId) {
    client.connection_lost(now);
    client.connection_opened(now);
    let sent = output(client, now, Side::Client);
    let question = find(&sent, ids::MSGS_STATE_REQ).unwrap().msg_id;
    (sent, question)
}

/// Row: A.5 "msgs_state_req / info / all_info"
#[test]
fn after_a_reconnection_it_is_asked_before_anything_is_sent_again() {
    let (mut client, mut peer, _, msg_id) = asked();
    let (sent, question) = come_back(&mut client, START);
    assert!(requests(&sent).is_empty());
    assert_eq!(find(&sent, ids::MSGS_STATE_REQ).unwrap().ids(), [msg_id]);
    // Received: nothing is sent again.
    peer.say(&mut client, START, true, service::msgs_state_info(question, &[4 | 32]));
    assert!(requests(&output(&mut client, START, Side::Client)).is_empty());
    // Not received, as the next connection shows: the same identifier, in a container.
    let (_, question) = come_back(&mut client, START);
    peer.say(&mut client, START, true, service::msgs_state_info(question, &[3]));
    let again = output(&mut client, START, Side::Client);
    assert_eq!(requests(&again), [msg_id]);
    assert!(again[0].container.is_some());
}

/// Row: A.5 "content of reconnect"
#[test]
fn what_the_server_has_forgotten_is_sent_again_only_while_it_can_tell_copies() {
    let (mut client, mut peer, _, msg_id) = asked();
    let (_, question) = come_back(&mut client, START);
    peer.say(&mut client, START, true, service::msgs_state_info(question, &[1]));
    assert_eq!(requests(&output(&mut client, START, Side::Client)), [msg_id]);

    for (state, expected) in [(1, true), (2, false), (3, false)] {
        let (mut client, mut peer, id, msg_id) = asked();
        let late = START.later(Duration::from_secs(340));
        let (_, question) = come_back(&mut client, late);
        peer.say(&mut client, late, true, service::msgs_state_info(question, &[state]));
        let again = requests(&output(&mut client, late, Side::Client));
        if expected {
            assert_eq!(events(&mut client).last(), Some(&Event::Failed { id, error: Failure::Uncertain }));
        } else {
            assert!(again.len() == 1 && again[0] != msg_id, "it was never received, and its identifier is too old");
        }
    }
}

/// Row: A.5 "resend until ack"
#[test]
fn a_request_without_a_sign_is_asked_about_and_sent_until_the_server_has_it() {
    let (mut client, mut peer, _, msg_id) = asked();
    let mut now = START;
    for _ in 0..4 {
        now = now.later(Duration::from_secs(15));
        client.handle_timeout(now);
        let sent = output(&mut client, now, Side::Client);
        let question = find(&sent, ids::MSGS_STATE_REQ).unwrap();
        assert_eq!(question.ids(), [msg_id]);
        peer.say(&mut client, now, true, service::msgs_state_info(question.msg_id, &[3]));
        assert_eq!(requests(&output(&mut client, now, Side::Client)), [msg_id]);
    }
    peer.say(&mut client, now, false, service::msgs_ack(&[msg_id]));
    now = now.later(Duration::from_secs(16));
    client.handle_timeout(now);
    assert!(find(&output(&mut client, now, Side::Client), ids::MSGS_STATE_REQ).is_none(), "it is known to have arrived");
}

#[test]
fn a_server_that_never_receives_does_not_make_a_loop() {
    let (mut client, mut peer, id, _) = asked();
    let mut now = START;
    for _ in 0..20 {
        now = now.later(Duration::from_secs(15));
        client.handle_timeout(now);
        if let Some(question) = find(&output(&mut client, now, Side::Client), ids::MSGS_STATE_REQ) {
            peer.say(&mut client, now, true, service::msgs_state_info(question.msg_id, &[3]));
        }
        output(&mut client, now, Side::Client);
    }
    // That no ping is answered either is another matter.
    let mut told = events(&mut client);
    told.retain(|event| !matches!(event, Event::ConnectionDead(_)));
    assert_eq!(told, [Event::Failed { id, error: Failure::Uncertain }]);
}

/// Row: A.5 "msgs_state_req / info / all_info"
#[test]
fn a_server_whose_memory_has_become_shorter_may_have_forgotten_more() {
    let (mut client, mut peer, _, first) = asked();
    peer.answer(&mut client, START, first, b"okay");
    let id = client.request(START, body(2), RequestOptions::default()).unwrap();
    output(&mut client, START, Side::Client);
    let (_, question) = come_back(&mut client, START);
    events(&mut client);
    peer.say(&mut client, START, true, service::msgs_state_info(question, &[1]));
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::Uncertain }]);
    assert!(requests(&output(&mut client, START, Side::Client)).is_empty());
}

/// Row: A.5 "msgs_state_req / info / all_info"
#[test]
fn as_many_states_as_were_asked_for() {
    let (mut client, mut peer, _, _) = asked();
    let (_, question) = come_back(&mut client, START);
    let error = peer_error(peer.try_say(&mut client, START, true, service::msgs_state_info(question, &[4, 4])).1);
    assert!(matches!(error, PeerMisbehaved::StateCount { found: 2, expected: 1, .. }));
}

/// Row: A.5 "msgs_state_req / info / all_info"
#[test]
fn lists_of_more_than_8192_are_refused_and_never_sent() {
    let many: Vec<MsgId> = (0..8193).map(|n| MsgId(n * 4 + 1)).collect();
    let (mut client, mut peer, ..) = asked();
    let asking = [service::msgs_state_req(&many), service::msg_resend_req(&many), service::msgs_ack(&many)];
    for (body, content) in asking.into_iter().zip([true, true, false]) {
        let error = peer_error(peer.try_say(&mut client, START, content, body).1);
        assert!(matches!(error, PeerMisbehaved::TooManyIds { found: 8193, .. }));
    }
    // 8192 are answered.
    let question = peer.say(&mut client, START, true, service::msgs_state_req(&many[..8192]));
    let sent = output(&mut client, START, Side::Client);
    assert!(sent.iter().any(|got| got.body == service::msgs_state_info(question, &[1; 8192])));

    let limits = Limits { requests: 10_000, ..Limits::default() };
    let mut client = client_with(limits);
    for number in 0..9000 {
        client.request(START, body(number), RequestOptions::default()).unwrap();
    }
    output(&mut client, START, Side::Client);
    client.connection_lost(START);
    client.connection_opened(START);
    let asked: Vec<usize> = output(&mut client, START, Side::Client)
        .iter()
        .filter(|got| got.is(ids::MSGS_STATE_REQ))
        .map(|got| got.ids().len())
        .collect();
    assert_eq!(asked, [8192, 808]);
}

/// Row: A.5 "msg_detailed_info / new_detailed"
/// Row: A.5 "msg_resend_req out"
#[test]
fn an_offered_answer_is_asked_for_unless_it_is_here() {
    let (mut client, mut peer, id, msg_id) = asked();
    let (answer, seq_no) = peer.next(START, true);
    peer.say(&mut client, START, false, service::msg_detailed_info(msg_id, answer, 500));
    assert_eq!(find(&output(&mut client, START, Side::Client), ids::MSG_RESEND_REQ).unwrap().ids(), [answer]);
    client.handle_opened(START, peer.opened(answer, seq_no, rpc_result(msg_id, b"okay"))).unwrap();
    assert!(matches!(&events(&mut client)[..], [Event::Response { id: answered, .. }] if *answered == id));
    // Offered once more, it is acknowledged once more.
    peer.say(&mut client, START, false, service::msg_detailed_info(msg_id, answer, 500));
    client.flush_acks();
    let sent = output(&mut client, START, Side::Client);
    assert!(find(&sent, ids::MSG_RESEND_REQ).is_none());
    assert!(find(&sent, ids::MSGS_ACK).unwrap().ids().contains(&answer));
    // And so is an update.
    let (update, seq_no) = peer.next(START, true);
    peer.say(&mut client, START, false, service::msg_new_detailed_info(update, 500));
    assert_eq!(find(&output(&mut client, START, Side::Client), ids::MSG_RESEND_REQ).unwrap().ids(), [update]);
    client.handle_opened(START, peer.opened(update, seq_no, body(4))).unwrap();
    assert_eq!(events(&mut client), [Event::Update(body(4))]);
}

#[test]
fn offers_without_end_are_refused() {
    let mut client = client_with(Limits { service_queue: 10, ..Limits::default() });
    let mut peer = Peer::new(Side::Server);
    for _ in 0..10 {
        let answer = peer.next(START, true).0;
        peer.say(&mut client, START, false, service::msg_new_detailed_info(answer, 5));
    }
    let answer = peer.next(START, true).0;
    let error = peer_error(peer.try_say(&mut client, START, false, service::msg_new_detailed_info(answer, 5)).1);
    assert_eq!(error, PeerMisbehaved::Flood { limit: 10 });
}

/// Row: A.5 "msg_resend_req out"
#[test]
fn an_answer_that_the_server_has_not_got_any_more_ends_the_request() {
    let (mut client, mut peer, id, msg_id) = asked();
    let answer = peer.next(START, true).0;
    peer.say(&mut client, START, false, service::msg_detailed_info(msg_id, answer, 500));
    let question = find(&output(&mut client, START, Side::Client), ids::MSG_RESEND_REQ).unwrap().msg_id;
    peer.say(&mut client, START, true, service::msgs_state_info(question, &[1]));
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::AnswerLost }]);
    assert!(Failure::AnswerLost.may_have_been_executed());
}

/// Row: A.5 "msgs_state_req / info / all_info"
#[test]
fn an_answer_that_was_given_and_does_not_come_is_asked_for_by_its_question() {
    let (mut client, mut peer, id, msg_id) = asked();
    let mut now = START;
    let mut asked_for = 0;
    for _ in 0..10 {
        let (_, question) = come_back(&mut client, now);
        peer.say(&mut client, now, true, service::msgs_state_info(question, &[4 | 32 | 64]));
        if let Some(again) = find(&output(&mut client, now, Side::Client), ids::MSG_RESEND_ANS_REQ) {
            assert_eq!(again.ids(), [msg_id]);
            asked_for += 1;
        }
        if client.pending() == 0 {
            break;
        }
        now = now.later(SECOND);
    }
    assert_eq!(events(&mut client), [Event::Failed { id, error: Failure::AnswerLost }]);
    assert_eq!(asked_for, 3);
}

/// Row: A.5 "new_session_created"
#[test]
fn a_session_that_the_server_begins_again_may_have_lost_what_was_executed() {
    let (mut client, mut peer, id, _) = asked();
    let (_, question) = come_back(&mut client, START);
    // The first news of a session: what is older than it was not taken.
    peer.say(&mut client, START, true, service::new_session_created(question, 11, SALT));
    let again = requests(&output(&mut client, START, Side::Client));
    assert_eq!(again.len(), 1);
    assert_eq!(events(&mut client), [Event::NewSession { first_msg_id: question, unique_id: 11 }]);
    // The same news again: nothing.
    peer.say(&mut client, START, true, service::new_session_created(question, 11, SALT));
    assert!(requests(&output(&mut client, START, Side::Client)).is_empty());
    // News of another one: the first may have executed what this one does not know.
    let (_, question) = come_back(&mut client, START);
    peer.say(&mut client, START, true, service::new_session_created(question, 12, SALT));
    assert_eq!(
        events(&mut client),
        [Event::Failed { id, error: Failure::Uncertain }, Event::NewSession { first_msg_id: question, unique_id: 12 }]
    );
    assert!(requests(&output(&mut client, START, Side::Client)).is_empty());
}

/// Row: A.5 "new_session_created"
#[test]
fn what_was_written_before_the_new_session_and_is_not_older_is_asked_about() {
    let (mut client, mut peer, id, msg_id) = asked();
    peer.say(&mut client, START, true, service::new_session_created(msg_id, 11, SALT));
    events(&mut client);
    client.connection_lost(START);
    client.connection_opened(START);
    let question = find(&output(&mut client, START, Side::Client), ids::MSGS_STATE_REQ).unwrap().msg_id;
    // The new session begins with what it says is an old message: the request came with it, or did not.
    peer.say(&mut client, START, true, service::new_session_created(msg_id, 12, SALT));
    peer.say(&mut client, START, true, service::msgs_state_info(question, &[2]));
    assert_eq!(events(&mut client).last(), Some(&Event::Failed { id, error: Failure::Uncertain }));
}

/// Row: A.5 "new_session_created"
#[test]
fn a_host_that_restarts_does_not_execute_twice() {
    for seed in 0..200 {
        let mut pair = Pair::new(seed);
        let early = pair.request(body(0));
        pair.settle(SECOND);
        let ids: Vec<_> = (1..4).map(|number| pair.request(body(number))).collect();
        pair.run_random(200);
        pair.cut();
        pair.restart_server();
        pair.reconnect();
        pair.settle(Duration::from_secs(60));
        assert!(matches!(pair.ended[&early][..], [End::Answered(_)]));
        for id in ids {
            assert!(
                matches!(pair.ended[&id][..], [End::Answered(_) | End::Failed(Failure::Uncertain)]),
                "seed {seed}: {:?}",
                pair.ended[&id]
            );
        }
        assert!(pair.executed.values().all(|times| *times == 1), "seed {seed}: {:?}", pair.executed);
    }
}

/// Row: A.5 "rpc_drop_answer"
#[test]
fn a_dropped_answer_is_asked_to_be_dropped_again_on_the_next_connection() {
    let (mut client, mut peer, id, msg_id) = asked();
    assert!(client.cancel(START, id));
    assert_eq!(output(&mut client, START, Side::Client)[0].body, service::rpc_drop_answer(msg_id));
    client.connection_lost(START);
    client.connection_opened(START);
    let again = output(&mut client, START, Side::Client);
    let drop = find(&again, ids::RPC_DROP_ANSWER).unwrap();
    assert_eq!(drop.body, service::rpc_drop_answer(msg_id));
    peer.answer(&mut client, START, drop.msg_id, &service::rpc_answer_dropped(MsgId(5), SeqNo(1), 4));
    client.connection_lost(START);
    client.connection_opened(START);
    assert!(find(&output(&mut client, START, Side::Client), ids::RPC_DROP_ANSWER).is_none(), "the server has heard it");
}

/// Row: A.5 "rpc_drop_answer"
#[test]
fn a_drop_that_got_lost_is_said_again_some_times() {
    let (mut client, _, id, _) = asked();
    client.cancel(START, id);
    let mut said = 0;
    for second in 0..200 {
        let now = START.later(Duration::from_secs(second));
        client.handle_timeout(now);
        said += output(&mut client, now, Side::Client).iter().filter(|got| got.is(ids::RPC_DROP_ANSWER)).count();
    }
    assert_eq!(said, 4);
}

/// Row: A.5 "time sync"
#[test]
fn a_server_whose_clock_was_set_back_gets_a_new_session() {
    let (mut client, mut peer, _, msg_id) = asked();
    peer.answer(&mut client, START, msg_id, b"okay");
    let id = client.request(START, body(2), RequestOptions::default()).unwrap();
    let refused = requests(&output(&mut client, START, Side::Client))[0];
    events(&mut client);
    // Half an hour earlier. Nothing above what it has taken is acceptable to it now.
    let back = Now::new(START.mono, START.wall - Duration::from_secs(1800));
    let mut peer = Peer::new(Side::Server);
    let (notice, seq_no) = peer.next(back, false);
    client.handle_opened(START, peer.opened(notice, seq_no, service::bad_msg_notification(refused, SeqNo(3), 17))).unwrap();
    assert!(matches!(events(&mut client)[..], [Event::TimeOffsetChanged, Event::SessionReset { old: SESSION, .. }]));
    let again = output(&mut client, START, Side::Client);
    let again = find(&again, 0x0bad_cafe).unwrap();
    assert_eq!((again.msg_id.unix(), again.seq_no), (back.unix(), SeqNo(1)));
    peer.session = client.session_id();
    let (answer, seq_no) = peer.next(back, true);
    client.handle_opened(START, peer.opened(answer, seq_no, rpc_result(again.msg_id, b"okay"))).unwrap();
    assert!(events(&mut client).iter().any(|event| matches!(event, Event::Response { id: answered, .. } if *answered == id)));
}

#[test]
fn updates_keep_their_order_though_the_servers_clock_goes_back() {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    peer.say(&mut server, START, true, body(0));
    let back = Now::new(START.mono, START.wall - Duration::from_secs(1800));
    let names: Vec<MsgId> = [START, back, back]
        .into_iter()
        .enumerate()
        .map(|(number, now)| server.push(now, body(number as u32 + 1)).unwrap())
        .collect();
    // None was sent: all get identifiers of the present, in their order.
    let sent = output(&mut server, back, Side::Server);
    let updates: Vec<_> = sent.iter().filter(|got| got.is(0x0bad_cafe)).collect();
    assert_eq!(updates.iter().map(|got| got.body.clone()).collect::<Vec<_>>(), [body(1), body(2), body(3)]);
    assert!(updates.iter().all(|got| got.msg_id.unix() <= back.unix() + 1));
    events(&mut server);
    peer = Peer::new(Side::Client);
    peer.say(&mut server, back, false, service::msgs_ack(&[updates[0].msg_id]));
    assert_eq!(events(&mut server), [Event::Acknowledged { msg_id: names[0] }], "the host knows it by its first name");
}

#[test]
fn an_update_that_the_client_may_have_is_given_up_and_the_client_told_when_the_servers_clock_is_set_back() {
    let mut server = server();
    let mut client_peer = Peer::new(Side::Client);
    let req = client_peer.say(&mut server, START, true, body(0));
    server.respond(START, req, body(9), false).unwrap();
    let update = server.push(START, body(1)).unwrap();
    let sent = output(&mut server, START, Side::Server);
    assert_eq!(sent.len(), 3);
    let first_news = find(&sent, ids::NEW_SESSION_CREATED).unwrap().body.clone();
    events(&mut server);
    let back = Now::new(START.mono + SECOND, START.wall - Duration::from_secs(1800));
    server.connection_lost(back);
    server.connection_opened(back);
    server.push(back, body(2)).unwrap();
    // The answer is known by its request, and gets another identifier; so does the update that nobody has seen yet.
    let sent = output(&mut server, back, Side::Server);
    assert!(sent.iter().all(|got| got.msg_id.unix() <= back.unix() + 1));
    let updates: Vec<_> = sent.iter().filter(|got| got.is(0x0bad_cafe)).map(|got| got.body.clone()).collect();
    assert_eq!(updates, [body(2)]);
    assert_eq!(sent.iter().filter(|got| got.is(ids::RPC_RESULT)).count(), 1);
    assert_eq!(events(&mut server), [Event::UpdateLost { msg_id: update }]);
    // One new session is announced, and first: it begins where the old one did, under another name.
    let news: Vec<_> = sent.iter().filter(|got| got.is(ids::NEW_SESSION_CREATED)).collect();
    assert_eq!((news.len(), &sent[0]), (1, news[0]));
    assert_eq!((&news[0].body[..12], &news[0].body[20..]), (&first_news[..12], &first_news[20..]));
    assert_ne!(news[0].body[12..20], first_news[12..20]);
}

#[test]
fn what_is_acknowledged_in_time_is_not_given_up() {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    peer.say(&mut server, START, true, body(0));
    let update = server.push(START, body(1)).unwrap();
    output(&mut server, START, Side::Server);
    events(&mut server);
    // On the connection on which it was sent: the acknowledgement is under way.
    let back = Now::new(START.mono + SECOND, START.wall - Duration::from_secs(1800));
    server.push(back, body(2)).unwrap();
    let sent = output(&mut server, back, Side::Server);
    assert!(find(&sent, ids::NEW_SESSION_CREATED).is_none());
    peer = Peer::new(Side::Client);
    peer.say(&mut server, back, false, service::msgs_ack(&[update]));
    assert_eq!(events(&mut server), [Event::Acknowledged { msg_id: update }]);
}

/// A copy of a message that is nearly too old may be under way still, and be taken: not before none can be is there another identifier.
#[test]
fn a_message_too_old_to_repeat_gets_no_other_identifier_while_a_copy_may_be_taken() {
    let (mut client, mut peer, _, msg_id) = asked();
    peer.say(&mut client, START, false, service::pong(msg_id, 1));
    let mut fresh = None;
    for second in (290..420).step_by(5) {
        let now = START.later(Duration::from_secs(second));
        if second == 290 {
            client.connection_lost(now);
            client.connection_opened(now);
        }
        client.handle_timeout(now);
        let sent = output(&mut client, now, Side::Client);
        if find(&sent, 0x0bad_cafe).is_some() {
            fresh = Some(second);
            break;
        }
        for question in sent.iter().filter(|got| got.is(ids::MSGS_STATE_REQ)) {
            peer.say(&mut client, now, false, service::msgs_state_info(question.msg_id, &[3]));
        }
    }
    assert!(fresh.is_some_and(|second| (330..380).contains(&second)), "{fresh:?}");
}

/// Row: A.5 "future_salts"
#[test]
fn salts_are_asked_for_before_the_last_one_is_in_use_up_but_not_too_often() {
    let (mut client, mut peer, _, msg_id) = asked();
    peer.answer(&mut client, START, msg_id, b"okay");
    let mut now = START;
    let mut asked = Vec::new();
    for second in 0..4000 {
        now = START.later(Duration::from_secs(second));
        client.request(now, body(2), RequestOptions::default()).unwrap();
        let sent = output(&mut client, now, Side::Client);
        if let Some(question) = find(&sent, ids::GET_FUTURE_SALTS) {
            asked.push(second);
            // The first three are lost, with the connection too; the fourth brings nothing new.
            if asked.len() == 2 {
                client.connection_lost(now);
                client.connection_opened(now);
            }
            if asked.len() == 4 {
                peer.say(&mut client, now, false, service::future_salts_answer(question.msg_id, now.unix(), &[]));
            }
        }
        for got in sent.iter().filter(|got| got.is(0x0bad_cafe)) {
            peer.answer(&mut client, now, got.msg_id, b"okay");
        }
        events(&mut client);
    }
    assert_eq!(asked[..5], [0, 60, 120, 180, 1980]);
    assert_eq!(client.salts()[0].salt, Salt(SALT.0));
    let _ = now;
}
