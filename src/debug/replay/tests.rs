use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::jsonl::{self, calls};
use tdl_core::clock::Now;
use tdl_core::crypto::AuthKey;
use tdl_core::ids::{MsgId, Salt, SessionId};
use tdl_core::mtproto::envelope::{self, Side};
use tdl_core::mtproto::session::{
    ClientParams, Event as SessionEvent, FutureSalt, HttpWait, KeyDestruction, RequestOptions, ServerParams, Session,
};
use tdl_core::trace::{Collector, Layer, LayerSet, Record};

const START: Now = Now::new(Duration::from_secs(7), Duration::from_secs(1_700_000_000));

fn key() -> AuthKey {
    AuthKey::from_bytes(&[7; 256])
}

/// Two sessions that are called in every way that there is.
fn story() -> Vec<Event> {
    let collector = Collector::of(LayerSet::NONE.with(Layer::Core));
    let id = SessionId(77);
    let salts = vec![FutureSalt::unlimited(Salt(5))];
    let params = ClientParams { tracer: collector.tracer(), salts: salts.clone(), ..ClientParams::new(key(), id, [1; 32]) };
    let mut client = Session::client(params, START);
    let params = ServerParams { tracer: collector.tracer(), ..ServerParams::new(key(), id, salts.clone(), [2; 32]) };
    let mut server = Session::server(params, START);

    let options = RequestOptions { quick_ack: true, ..RequestOptions::default() };
    let body = |number: u8| Bytes::from(vec![number; 8]);
    let first = client.request(START, body(1), options).unwrap();
    client.request_after(START, body(2), options, &[first]).unwrap();
    let reserved = client.reserve(START).unwrap();
    client.request_reserved(START, &reserved, body(3), options).unwrap();
    client.destroy_session(SessionId(5)).unwrap();
    client.destroy_auth_key().unwrap();
    client.ping().unwrap();
    let mut now = START.later(Duration::from_millis(2));
    client.handle_timeout(now);
    let mut wait = None;
    for round in 0..6 {
        let sent = match round {
            0 => client.poll_output(now),
            _ => client.poll_http_request(now, &HttpWait::NONE, true),
        };
        if let Some(frame) = sent {
            let (opened, token) = envelope::open_with_token(&key(), Side::Client, frame).unwrap();
            server.handle_opened(now, opened).unwrap();
            client.handle_quick_ack(token);
        }
        wait = wait.or(server.take_http_wait());
        while let Some(event) = server.poll_event() {
            match event {
                SessionEvent::Request { msg_id, body } if body[0] == 1 => {
                    server.respond_error(now, msg_id, 420, "FLOOD_WAIT_3").unwrap();
                }
                SessionEvent::Request { msg_id, body } => server.respond(now, msg_id, body, true).unwrap(),
                SessionEvent::DestroySession { session_id } => server.session_destroyed(session_id, true).unwrap(),
                SessionEvent::DestroyAuthKey { msg_id } => {
                    server.auth_key_destroyed(msg_id, KeyDestruction::Failed).unwrap();
                }
                _ => {}
            }
        }
        if round == 2 {
            server.push(now, body(9)).unwrap();
            server.set_salts(salts.clone()).unwrap();
        }
        now = now.later(Duration::from_secs(1));
        let said = if round == 0 { server.poll_output(now) } else { server.poll_http_response(now) };
        if let Some(mut frame) = said {
            if round == 5 {
                frame[40] ^= 1;
            }
            assert_eq!(client.handle_input(now, frame).is_err(), round == 5);
        }
        while client.poll_event().is_some() {}
    }
    assert_eq!(wait, Some(HttpWait::NONE));
    let late = client.request(now, body(4), options).unwrap();
    client.flush_acks();
    client.connection_lost(now);
    assert!(client.cancel(now, late));
    client.connection_opened(now);
    collector.take().into_iter().map(|record| record.event).collect()
}

fn play(events: &[Event]) -> (Result<Option<Divergence>, ReplayError>, Replay) {
    let mut replay = Replay::default();
    for event in events {
        match replay.event(event) {
            Ok(None) => {}
            other => return (other, replay),
        }
    }
    (Ok(None), replay)
}

#[test]
fn every_kind_of_call_can_be_made_again() {
    let events = story();
    let (result, replay) = play(&events);
    assert_eq!(result, Ok(None));
    let progress = replay.progress();
    assert_eq!((progress.sessions, progress.calls, replay.unfinished()), (2, events.len() as u64 / 2, 0));
    assert_eq!(progress.refusals, 1);
    assert!(progress.events > 40);

    let made: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::CoreCall { call, .. } => Some(calls::kind_of(call)),
            _ => None,
        })
        .collect();
    let all: BTreeSet<&str> = calls::documented().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(made, all);
}

#[test]
fn what_was_written_and_read_plays_as_well() {
    let read: Vec<Event> = story()
        .into_iter()
        .map(|event| {
            let mut line = Vec::new();
            let record = Record {
                at: Duration::ZERO,
                conn: tdl_core::trace::ConnId(1),
                dc: tdl_core::ids::DcId(2),
                role: tdl_core::trace::Role::Client,
                event,
            };
            jsonl::put_record(&record, &mut line);
            match jsonl::parse(&line) {
                Ok(jsonl::Line::Record(record)) => record.event,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    assert_eq!(play(&read).0, Ok(None));
}

/// Changes the first event for which it can be done.
fn tampered(change: impl Fn(&mut Event) -> bool) -> Vec<Event> {
    let mut events = story();
    assert!(events.iter_mut().any(change), "there is nothing to change");
    events
}

#[test]
fn the_first_difference_is_told() {
    let events = tampered(|event| match event {
        Event::CoreDone { number, outcome, .. } if *number > 3 && outcome.starts_with("frame of") => {
            outcome.push('0');
            true
        }
        _ => false,
    });
    let (Ok(Some(found)), _) = play(&events) else { panic!("nothing was noticed") };
    assert!(!found.session.server && !found.refused);
    let Difference::Outcome { recorded, played } = found.difference else { panic!("{found:?}") };
    assert_eq!(recorded, played + "0");

    let events = tampered(|event| match event {
        Event::CoreDone { events, .. } => match events.first_mut() {
            Some(Event::MessageSent { len, .. }) => {
                *len += 4;
                true
            }
            _ => false,
        },
        _ => false,
    });
    let (Ok(Some(found)), _) = play(&events) else { panic!("nothing was noticed") };
    assert!(matches!(found.difference, Difference::Event { index: 0, recorded: Some(_), played: Some(_) }), "{found:?}");

    let events = tampered(|event| match event {
        Event::CoreDone { events, .. } => events.pop().is_some(),
        _ => false,
    });
    let (Ok(Some(found)), _) = play(&events) else { panic!("nothing was noticed") };
    assert!(matches!(found.difference, Difference::Event { recorded: None, played: Some(_), .. }), "{found:?}");
}

#[test]
fn a_frame_that_was_altered_is_refused() {
    let events = tampered(|event| match event {
        Event::CoreCall { call, .. } => match &mut **call {
            Call::Input { frame } => {
                let mut bytes = frame.to_vec();
                bytes[30] ^= 1;
                *frame = bytes.into();
                true
            }
            _ => false,
        },
        _ => false,
    });
    let (Ok(Some(found)), _) = play(&events) else { panic!("nothing was noticed") };
    assert!(found.refused && matches!(*found.call, Call::Input { .. }));
    // The envelope is reported with another verdict before the rule is.
    let Difference::Event { played: Some(played), .. } = &found.difference else { panic!("{found:?}") };
    assert!(matches!(**played, Event::Envelope { msg_key: tdl_core::trace::Verdict::Mismatch, .. }));
}

#[test]
fn each_way_to_be_incomplete_has_its_error() {
    let events = story();
    let Some(Event::CoreCall { session, .. }) = events.first() else { panic!("{events:?}") };
    let session = *session;
    assert_eq!(play(&events[4..]).0, Err(ReplayError::NotBegun { session }));
    let is_call = |event: &Event, wanted| matches!(event, Event::CoreCall { session: s, number, .. } if *s == session && *number == wanted);
    let at = events.iter().position(|event| is_call(event, 3)).unwrap();
    let with_gap = [&events[..at], &events[at + 2..]].concat();
    assert_eq!(play(&with_gap).0, Err(ReplayError::Gap { session, expected: 3, found: 4 }));
    let without_call = [&events[..at], &events[at + 1..]].concat();
    assert_eq!(play(&without_call).0, Err(ReplayError::NotCalled { session, number: 3 }));
    let (ended, replay) = play(&events[..=at]);
    assert_eq!((ended, replay.unfinished()), (Ok(None), 1));
    let mut wrong = events;
    if let Some(Event::CoreCall { call, .. }) = wrong.get_mut(at) {
        **call = Call::RequestReserved { msg_id: MsgId(4), body: Bytes::new(), method: 0, alone: false, quick_ack: false };
    }
    let error = PlayError::NotReserved { msg_id: MsgId(4) };
    assert_eq!(play(&wrong).0, Err(ReplayError::Play { session, number: 3, error }));
}
