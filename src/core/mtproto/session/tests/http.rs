//! Sessions that speak over HTTP.

use std::time::Duration;

use bytes::BytesMut;

use super::peer::*;
use crate::{
    clock::Now,
    mtproto::{
        container,
        envelope::{self, Side},
        session::{FutureSalt, HttpWait, PeerMisbehaved, RequestOptions, ServerParams, Session, service, service::ids},
    },
};

const WAIT: HttpWait = HttpWait {
    max_delay: Duration::from_millis(30),
    wait_after: Duration::from_millis(10),
    max_wait: Duration::from_millis(25_000),
};

/// The messages of one frame, which is a container.
fn contents(frame: BytesMut, writer: Side) -> Vec<container::Message> {
    let opened = envelope::open(&key(), writer, frame).unwrap();
    assert_eq!(container::constructor(&opened.body), container::ID);
    container::parse(&opened.body, opened.msg_id).unwrap().collect()
}

/// Row: A.5 "http_wait"
#[test]
fn a_request_travels_with_the_time_that_its_answer_may_take() {
    let mut client = client();
    assert_eq!(client.poll_http_request(START, &WAIT, false), None, "nothing to say, and nobody listens");
    client.request(START, body(1), RequestOptions::default()).unwrap();
    let messages = contents(client.poll_http_request(START, &WAIT, false).unwrap(), Side::Client);
    assert_eq!(messages[0].body, body(1));
    assert_eq!(messages[1].body, service::http_wait(&WAIT));
    assert_eq!(messages[1].body[4..], [30_i32, 10, 25_000].map(i32::to_le_bytes).concat());
    assert!(!messages[1].seq_no.is_content_related(), "it wants no acknowledgement");
    assert_eq!(client.poll_http_request(START, &WAIT, false), None);
}

#[test]
fn a_client_that_listens_asks_though_it_has_nothing_to_say() {
    let mut client = client();
    let frame = client.poll_http_request(START, &WAIT, true).unwrap();
    let opened = envelope::open(&key(), Side::Client, frame).unwrap();
    assert_eq!(opened.body, service::http_wait(&WAIT), "bare: there is no company");
    client.connection_lost(START);
    assert_eq!(client.poll_http_request(START, &WAIT, true), None);
    assert_eq!(client.poll_http_response(START), None, "clients do not answer");
}

#[test]
fn acknowledgements_that_are_due_go_without_company() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    let update = peer.say(&mut client, START, true, body(9));
    assert_eq!(client.poll_http_request(START, &WAIT, false), None);
    client.flush_acks();
    let messages = contents(client.poll_http_request(START, &WAIT, false).unwrap(), Side::Client);
    assert_eq!(
        messages.iter().map(|message| &message.body).collect::<Vec<_>>(),
        [&service::http_wait(&WAIT), &service::msgs_ack(&[update])]
    );
}

/// Row: A.5 "http_wait"
#[test]
fn a_server_learns_how_long_it_may_wait_and_the_last_word_counts() {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    assert_eq!(server.take_http_wait(), None);
    let messages: Vec<_> = [HttpWait::NONE, WAIT]
        .iter()
        .map(|wait| {
            let (msg_id, seq_no) = peer.next(START, false);
            (msg_id, seq_no, service::http_wait(wait))
        })
        .collect();
    let (msg_id, seq_no, packed) = peer.pack(START, &messages);
    server.handle_opened(START, peer.opened(msg_id, seq_no, packed)).unwrap();
    assert_eq!(server.take_http_wait(), Some(WAIT));
    assert_eq!(server.take_http_wait(), None, "it was about one request");
    let default = HttpWait::default();
    assert_eq!((default.max_delay, default.wait_after), (Duration::ZERO, Duration::ZERO));
    assert_eq!(default.max_wait, Duration::from_secs(25));
}

#[test]
fn negative_times_are_none() {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    peer.say(&mut server, START, false, [&ids::HTTP_WAIT.to_le_bytes()[..], &[0xff; 12]].concat());
    assert_eq!(server.take_http_wait(), Some(HttpWait::NONE));
    let (_, result) = peer.try_say(&mut server, START, false, [&ids::HTTP_WAIT.to_le_bytes()[..], &[0; 8]].concat());
    assert!(matches!(peer_error(result), PeerMisbehaved::Malformed { constructor: ids::HTTP_WAIT, .. }));
}

#[test]
fn a_server_always_has_an_answer_and_knows_whether_it_says_anything() {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    assert_eq!(server.outbox(), 0);
    let empty = contents(server.poll_http_response(START).unwrap(), Side::Server);
    assert!(empty.is_empty());

    let request = peer.say(&mut server, START, true, body(1));
    events(&mut server);
    assert_eq!(server.outbox(), 1, "the session's beginning");
    let messages = contents(server.poll_http_response(START).unwrap(), Side::Server);
    let created = messages.iter().find(|message| container::constructor(&message.body) == ids::NEW_SESSION_CREATED).unwrap();
    assert!(messages.iter().any(|message| message.body == service::msgs_ack(&[request])), "acknowledgements ride along");
    peer.say(&mut server, START, false, service::msgs_ack(&[created.msg_id]));
    assert_eq!(server.outbox(), 0);

    server.respond(START, request, body(2), false).unwrap();
    assert_eq!(server.outbox(), 1);
    let frame = server.poll_http_response(START).unwrap();
    let opened = envelope::open(&key(), Side::Server, frame).unwrap();
    assert_eq!(opened.body[..], rpc_result(request, &body(2)));
    assert_eq!(server.outbox(), 0);
}

#[test]
fn an_acknowledgement_that_has_waited_long_is_something_to_say() {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    let request = peer.say(&mut server, START, true, body(1));
    output(&mut server, START, Side::Server);
    let another = peer.say(&mut server, START, true, body(2));
    assert_eq!(server.outbox(), 0);
    let later = Now::new(START.mono + Duration::from_secs(31), START.wall + Duration::from_secs(31));
    server.handle_timeout(later);
    assert_eq!(server.outbox(), 1);
    let opened = envelope::open(&key(), Side::Server, server.poll_http_response(later).unwrap()).unwrap();
    assert_eq!(opened.body, service::msgs_ack(&[another]));
    assert!(request < another);
}

#[test]
fn an_empty_container_is_understood_and_changes_nothing() {
    let (mut client, mut server) = (client(), server());
    let id = client.request(START, body(1), RequestOptions::default()).unwrap();
    client.poll_http_request(START, &WAIT, false).unwrap();
    let empty = server.poll_http_response(START).unwrap();
    client.handle_input(START, empty).unwrap();
    assert_eq!((events(&mut client).len(), client.pending()), (0, 1), "{id:?}");
}

/// Who may not speak yet is not woken for it again and again: the next request may be long in coming.
#[test]
fn a_session_that_cannot_write_is_not_woken_twice_for_the_same_words() {
    let moment = Duration::from_millis(1);
    let mut params = ServerParams::new(key(), SESSION, vec![FutureSalt::unlimited(SALT)], [9; 32]);
    params.limits.coalesce = moment;
    let mut server = Session::server(params, START);
    let mut peer = Peer::new(Side::Client);
    let requests = [1, 2].map(|number| peer.say(&mut server, START, true, body(number)));
    events(&mut server);
    server.poll_http_response(START).unwrap();

    server.respond(START, requests[0], body(3), false).unwrap();
    let due = START.later(moment);
    assert_eq!(server.poll_timeout(), Some(due.mono), "there is something to say");
    server.handle_timeout(due);
    assert!(server.poll_timeout().is_none_or(|at| at > due.mono), "nobody has asked");
    server.poll_http_response(due).unwrap();

    server.respond(due, requests[1], body(4), false).unwrap();
    server.poll_http_response(due).unwrap();
    assert_eq!(server.outbox(), 0);
    assert!(server.poll_timeout().is_none_or(|at| at > due.mono + moment), "everything is said");
}
