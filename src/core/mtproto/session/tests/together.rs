//! What shares a frame with what, and in which order requests are done.

use std::time::Duration;

use bytes::Bytes;

use super::peer::*;
use crate::{
    clock::Now,
    ids::MsgId,
    mtproto::{
        container::{self, ContainerError},
        envelope::{self, Side},
        session::{
            ApiMisuse, ClientParams, Event, Failure, FutureSalt, Limits, PeerMisbehaved, RequestId, RequestOptions,
            ServerParams, Session,
            service::{self, ids},
        },
    },
};

const MS: Duration = Duration::from_millis(1);

/// A client that waits for company.
fn patient() -> Session {
    let mut params = ClientParams::new(key(), SESSION, [7; 32]);
    params.salts = vec![FutureSalt::unlimited(SALT)];
    Session::client(params, START)
}

fn at(micros: u64) -> Now {
    START.later(Duration::from_micros(micros))
}

fn ask(client: &mut Session, now: Now, number: u32) -> RequestId {
    client.request(now, body(number), RequestOptions::default()).unwrap()
}

fn bodies(sent: &[Got]) -> Vec<Bytes> {
    sent.iter().filter(|got| got.is(0x0bad_cafe)).map(|got| got.body.clone()).collect()
}

fn ordinary() -> RequestOptions {
    RequestOptions { compress: false, ..RequestOptions::default() }
}

/// Row: A.5 "outgoing containers"
#[test]
fn messages_written_within_one_millisecond_share_a_container() {
    let mut client = patient();
    ask(&mut client, at(0), 1);
    assert_eq!(client.poll_timeout(), Some(at(0).mono + MS));
    assert!(client.poll_output(at(0)).is_none());
    ask(&mut client, at(400), 2);
    ask(&mut client, at(999), 3);
    assert!(client.poll_output(at(999)).is_none(), "the first has not waited a millisecond yet");
    client.handle_timeout(at(1000));
    let sent = output(&mut client, at(1000), Side::Client);
    assert_eq!(bodies(&sent), [body(1), body(2), body(3)]);
    assert!(sent.iter().all(|got| got.container.is_some() && got.container == sent[0].container));
    // The next millisecond begins with the next message.
    ask(&mut client, at(1500), 4);
    assert!(client.poll_output(at(2400)).is_none());
    assert_eq!(bodies(&output(&mut client, at(2500), Side::Client)), [body(4)]);
    assert!(client.poll_timeout().is_none_or(|at| at > START.mono + MS * 100), "nothing wakes it for nothing");
}

/// Row: A.5 "outgoing containers"
#[test]
fn what_cannot_wait_takes_along_what_can() {
    let mut client = patient();
    let mut peer = Peer::new(Side::Server);
    ask(&mut client, at(0), 1);
    let ping = [&ids::PING.to_le_bytes()[..], &7i64.to_le_bytes()].concat();
    peer.say(&mut client, at(100), false, ping);
    let sent = output(&mut client, at(100), Side::Client);
    assert!(sent.iter().any(|got| got.is(ids::PONG)) && bodies(&sent) == [body(1)]);
    // What fills a container waits for nobody.
    client.request(at(200), vec![1; 40_000].into(), ordinary()).unwrap();
    assert!(client.poll_output(at(200)).is_some());
}

/// Row: A.5 "outgoing containers"
#[test]
fn a_server_waits_for_company_too_if_it_is_told_to() {
    let mut params = ServerParams::new(key(), SESSION, vec![FutureSalt::unlimited(SALT)], [9; 32]);
    params.limits.coalesce = MS;
    let mut server = Session::server(params, START);
    let mut peer = Peer::new(Side::Client);
    let req = peer.say(&mut server, at(0), true, body(1));
    while server.poll_output(at(2000)).is_some() {}
    server.respond(at(3000), req, body(2), false).unwrap();
    assert!(server.poll_output(at(3500)).is_none());
    server.push(at(3900), body(3)).unwrap();
    let sent = output(&mut server, at(4000), Side::Server);
    assert!(sent.len() >= 2 && sent.iter().all(|got| got.container == sent[0].container));
}

/// Row: A.5 "outgoing containers"
#[test]
fn frames_keep_to_their_limits() {
    let mut client = client();
    for number in 0..3000 {
        ask(&mut client, START, number);
    }
    for size in [1000, 30_000, 2000, 40_000, 100, 31_000, 31_000] {
        client.request(START, vec![2; size].into(), ordinary()).unwrap();
    }
    let mut total = 0;
    while let Some(frame) = client.poll_output(START) {
        let opened = envelope::open(&key(), Side::Client, frame).unwrap();
        if container::constructor(&opened.body) != container::ID {
            total += 1;
            continue;
        }
        let messages = container::parse(&opened.body, opened.msg_id).unwrap();
        let messages: Vec<_> = messages.into_iter().collect();
        assert!(messages.len() <= 1024 && opened.body.len() <= 8 + (32 << 10), "{} in {}", messages.len(), opened.body.len());
        total += messages.len();
    }
    assert_eq!(total, 3007);
}

/// Row: A.5 "outgoing containers"
#[test]
fn more_than_1024_messages_are_refused() {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    let messages: Vec<_> = (0..1025)
        .map(|number| {
            let (msg_id, seq_no) = peer.next(START, true);
            (msg_id, seq_no, body(number))
        })
        .collect();
    let (_, _, whole) = peer.pack(START, &messages);
    let error = peer_error(peer.try_say(&mut server, START, false, whole).1);
    assert!(matches!(error, PeerMisbehaved::Container { error: ContainerError::TooManyMessages { count: 1025 }, .. }));
    let (_, _, whole) = peer.pack(START, &messages[..1024]);
    peer.say(&mut server, START, false, whole);
    assert_eq!(events(&mut server).len(), 1024);
}

/// Row: A.5 "outgoing containers"
#[test]
fn file_sized_answers_go_alone() {
    let mut server = server();
    let mut peer = Peer::new(Side::Client);
    let reqs: Vec<MsgId> = (0..4).map(|number| peer.say(&mut server, START, true, body(number))).collect();
    output(&mut server, START, Side::Server);
    for (req, len) in reqs.iter().zip([8, 512 << 10, 8, 512 << 10]) {
        server.respond(START, *req, vec![7; len].into(), false).unwrap();
    }
    let mut frames = Vec::new();
    while let Some(frame) = server.poll_output(START) {
        let opened = envelope::open(&key(), Side::Server, frame).unwrap();
        frames.push((container::constructor(&opened.body) == container::ID, opened.body.len()));
    }
    let long: Vec<_> = frames.iter().filter(|(_, len)| *len > 100_000).collect();
    assert_eq!(long.len(), 2);
    assert!(long.iter().all(|(in_container, len)| !in_container && *len == (512 << 10) + 12), "{frames:?}");
}

/// Row: A.5 "outgoing containers"
#[test]
fn requests_for_file_parts_do_not_share_a_container() {
    let mut client = patient();
    let alone = RequestOptions { alone: true, ..RequestOptions::default() };
    ask(&mut client, START, 1);
    for number in [2, 3] {
        client.request(START, body(number), alone).unwrap();
    }
    ask(&mut client, START, 4);
    let sent = output(&mut client, START, Side::Client);
    assert_eq!(bodies(&sent), [1, 2, 3, 4].map(body));
    let frames: std::collections::BTreeSet<_> = sent.iter().map(|got| got.container.unwrap_or(got.msg_id)).collect();
    assert_eq!(frames.len(), 4);
}

/// A client with a request that comes after others: the messages of all of them.
fn chain(count: u32) -> (Session, Peer, Vec<RequestId>, Vec<Got>) {
    let mut client = client();
    let mut made: Vec<RequestId> = (1..count).map(|number| ask(&mut client, START, number)).collect();
    let before = made.clone();
    made.push(client.request_after(START, body(count), RequestOptions::default(), &before).unwrap());
    let sent = output(&mut client, START, Side::Client);
    (client, Peer::new(Side::Server), made, sent)
}

/// Row: A.5 "invokeAfterMsg(s)"
#[test]
fn a_request_may_come_after_one_or_several() {
    let (.., sent) = chain(2);
    let wrapped = [&service::invoke_after_msg_header(sent[0].msg_id)[..], &body(2)].concat();
    assert_eq!((&sent[0].body, &sent[1].body[..]), (&body(1), &wrapped[..]));
    let (.., sent) = chain(3);
    let wrapped = [&service::invoke_after_msgs_header(&[sent[0].msg_id, sent[1].msg_id])[..], &body(3)].concat();
    assert_eq!(&sent[2].body[..], &wrapped[..]);
}

/// Row: A.5 "invokeAfterMsg(s)"
#[test]
fn what_has_ended_is_no_obstacle_and_what_never_was_is_an_error() {
    let (mut client, mut peer, id, msg_id) = asked();
    peer.answer(&mut client, START, msg_id, b"okay");
    client.request_after(START, body(2), RequestOptions::default(), &[id]).unwrap();
    assert_eq!(bodies(&output(&mut client, START, Side::Client)), [body(2)]);
    let never = RequestId(99);
    let error = client.request_after(START, body(3), RequestOptions::default(), &[never]).unwrap_err();
    assert_eq!(error, ApiMisuse::UnknownPredecessor { id: never });
}

/// Row: A.5 "invokeAfterMsg(s)"
#[test]
fn an_order_survives_the_other_ones_new_identifier() {
    let (mut client, mut peer, made, sent) = chain(2);
    // The time of the first was wrong, as the server says; the second waits for a message that never comes.
    peer.say(&mut client, START, false, service::bad_msg_notification(sent[0].msg_id, sent[0].seq_no, 16));
    let again = output(&mut client, START, Side::Client);
    let first = again.iter().find(|got| got.body == body(1)).unwrap().msg_id;
    assert_ne!(first, sent[0].msg_id);
    peer.answer(&mut client, START, sent[1].msg_id, &service::rpc_error(400, "MSG_WAIT_TIMEOUT"));
    assert!(!events(&mut client).iter().any(|event| matches!(event, Event::Response { .. } | Event::Failed { .. })));
    assert!(bodies(&output(&mut client, START, Side::Client)).is_empty(), "it waits here for the end of the first");
    peer.answer(&mut client, START, first, b"okay");
    let free = output(&mut client, START, Side::Client);
    assert_eq!(bodies(&free), [body(2)]);
    peer.answer(&mut client, START, free[0].msg_id, b"okay");
    let ended: Vec<_> = events(&mut client)
        .into_iter()
        .filter_map(|event| if let Event::Response { id, result: Ok(_) } = event { Some(id) } else { None })
        .collect();
    assert_eq!(ended, made);
}

/// Row: A.5 "invokeAfterMsg(s)"
#[test]
fn a_failure_of_the_first_frees_the_second() {
    let (mut client, mut peer, made, sent) = chain(2);
    peer.answer(&mut client, START, sent[0].msg_id, &service::rpc_error(400, "PEER_ID_INVALID"));
    peer.answer(&mut client, START, sent[1].msg_id, &service::rpc_error(400, "MSG_WAIT_FAILED"));
    let told = events(&mut client);
    assert!(matches!(&told[..], [Event::Response { id, result: Err(_) }] if *id == made[0]), "{told:?}");
    let free = output(&mut client, START, Side::Client);
    assert_eq!(bodies(&free), [body(2)]);
    peer.answer(&mut client, START, free[0].msg_id, b"okay");
    assert!(matches!(&events(&mut client)[..], [Event::Response { id, result: Ok(_) }] if *id == made[1]));
}

/// Row: A.5 "invokeAfterMsg(s)"
#[test]
fn a_server_that_always_waits_in_vain_is_believed_in_the_end() {
    let limits = Limits { resends: 3, ..Limits::default() };
    let mut client = client_with(limits);
    let mut peer = Peer::new(Side::Server);
    let first = ask(&mut client, START, 1);
    let second = client.request_after(START, body(2), RequestOptions::default(), &[first]).unwrap();
    let sent = output(&mut client, START, Side::Client);
    peer.answer(&mut client, START, sent[0].msg_id, b"okay");
    let mut waiting = sent[1].msg_id;
    for _ in 0..3 {
        peer.answer(&mut client, START, waiting, &service::rpc_error(400, "MSG_WAIT_FAILED"));
        waiting = output(&mut client, START, Side::Client).iter().find(|got| got.is(0x0bad_cafe)).unwrap().msg_id;
    }
    events(&mut client);
    peer.answer(&mut client, START, waiting, &service::rpc_error(400, "MSG_WAIT_FAILED"));
    let told = events(&mut client);
    assert!(matches!(&told[..], [Event::Response { id, result: Err(error) }] if *id == second && error.is("MSG_WAIT_FAILED")));
}

/// Row: A.5 "invokeAfterMsg(s)"
#[test]
fn a_cancelled_predecessor_frees_who_waits() {
    let mut client = client();
    client.connection_lost(START);
    let first = ask(&mut client, START, 1);
    client.request_after(START, body(2), RequestOptions::default(), &[first]).unwrap();
    client.cancel(START, first);
    client.connection_opened(START);
    assert_eq!(bodies(&output(&mut client, START, Side::Client)), [body(2)]);
}

/// Row: A.3 "temp keys + `auth.bindTempAuthKey` (MTProto-v1 inner encryption)"
#[test]
fn a_request_may_have_an_identifier_that_it_knows() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    let reserved = client.reserve(START).unwrap();
    ask(&mut client, START, 1);
    let bound: Bytes = [&body(5)[..4], &reserved.msg_id().0.to_le_bytes()].concat().into();
    let id = client.request_reserved(START, &reserved, bound.clone(), RequestOptions::default()).unwrap();
    let sent = output(&mut client, START, Side::Client);
    let got = sent.iter().find(|got| got.body == bound).unwrap();
    assert_eq!((got.msg_id, got.seq_no.0), (reserved.msg_id(), 1));
    assert!(sent.iter().find(|got| got.body == body(1)).unwrap().seq_no.0 > got.seq_no.0, "numbers rise with identifiers");
    // A wrong salt does not make the identifier wrong.
    let container = got.container.unwrap();
    peer.say(&mut client, START, false, service::bad_server_salt(container, got.seq_no, crate::ids::Salt(3)));
    let again = output(&mut client, START, Side::Client);
    assert_eq!(again.iter().find(|got| got.body == bound).unwrap().msg_id, reserved.msg_id());
    peer.answer(&mut client, START, reserved.msg_id(), b"okay");
    assert!(events(&mut client).iter().any(|event| matches!(event, Event::Response { id: answered, .. } if *answered == id)));
}

/// Row: A.3 "temp keys + `auth.bindTempAuthKey` (MTProto-v1 inner encryption)"
#[test]
fn a_refused_identifier_fails_what_is_bound_to_it() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    let reserved = client.reserve(START).unwrap();
    let id = client.request_reserved(START, &reserved, body(1), RequestOptions::default()).unwrap();
    output(&mut client, START, Side::Client);
    peer.say(&mut client, START, false, service::bad_msg_notification(reserved.msg_id(), crate::ids::SeqNo(1), 16));
    assert_eq!(events(&mut client).last(), Some(&Event::Failed { id, error: Failure::IdentifierRefused }));
    // Kept back for too long.
    let reserved = client.reserve(START).unwrap();
    let late = START.later(Duration::from_secs(281));
    let error = client.request_reserved(late, &reserved, body(1), RequestOptions::default()).unwrap_err();
    assert_eq!(error, ApiMisuse::StaleReservation { msg_id: reserved.msg_id() });
    assert_eq!(server().reserve(START).unwrap_err(), ApiMisuse::WrongRole);
}
