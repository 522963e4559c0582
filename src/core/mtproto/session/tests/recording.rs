//! Sessions whose calls are written down, and that do again what they did.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use super::{
    pair::{Link, Pair},
    peer::{START, body, key},
};
use crate::{
    ids::{MsgId, SessionId},
    mtproto::session::{
        ClientParams, Limits, RequestId, Session,
        recording::{PlayError, Player, begin_client},
    },
    trace::{
        Collector, Event, Layer, LayerSet, Tracer,
        call::{Call, SessionName},
    },
};

fn recorded(seed: u64) -> Vec<Event> {
    let collector = Collector::of(LayerSet::NONE.with(Layer::Core));
    let mut pair = Pair::with(seed, Limits::default(), |params| params.tracer = collector.tracer());
    pair.link = Link { delay: Duration::from_millis(50), jitter: Duration::from_millis(200), loss: 100, doubling: 100 };
    for round in 0..6 {
        let ids: Vec<RequestId> = (0..3).map(|number| pair.request(body(round * 100 + number))).collect();
        pair.run_random(400);
        pair.client.cancel(pair.now, ids[0]);
        if round == 2 {
            pair.cut();
            pair.reconnect();
        }
    }
    pair.settle(Duration::from_secs(1200));
    collector.take().into_iter().map(|record| record.event).collect()
}

/// Plays a recording, and says in which call a session did something else.
fn played(events: &[Event]) -> Result<usize, (SessionName, u64)> {
    let mut players: BTreeMap<SessionName, Player> = BTreeMap::new();
    let mut calls = 0;
    let mut last = None;
    for event in events {
        match event {
            Event::CoreCall { session, number, now, call } => {
                last = Some(match players.get_mut(session) {
                    Some(player) => player.play(*now, call).unwrap(),
                    None => {
                        let (player, played) = Player::begin(*session, *now, call).unwrap();
                        players.insert(*session, player);
                        played
                    }
                });
                assert!(*number < events.len() as u64);
            }
            Event::CoreDone { session, number, outcome, events } => {
                let played = last.take().expect("each call is followed by its end");
                if played.outcome != *outcome || played.events != *events {
                    return Err((*session, *number));
                }
                calls += 1;
            }
            other => panic!("not asked for: {other:?}"),
        }
    }
    Ok(calls)
}

#[test]
fn both_sides_do_again_what_they_did() {
    for seed in 0..20 {
        let events = recorded(seed);
        let calls = played(&events).unwrap();
        assert!(calls > 200, "{calls}");
        let reports = events.iter().filter(|event| matches!(event, Event::CoreDone { events, .. } if !events.is_empty()));
        assert!(reports.count() > 20);
    }
}

#[test]
fn whatever_is_changed_is_noticed() {
    let events = recorded(1);
    let mut tried = 0;
    for at in (0..events.len()).step_by(7) {
        let mut tampered = events.clone();
        match &mut tampered[at] {
            Event::CoreCall { call, .. } => match &mut **call {
                Call::Input { frame } => {
                    let mut bytes = frame.to_vec();
                    bytes[30] ^= 1;
                    *frame = bytes.into();
                }
                Call::Request { body, .. } => *body = Bytes::from_static(&[1, 2, 3, 4]),
                _ => continue,
            },
            Event::CoreDone { outcome, .. } => outcome.push('!'),
            _ => continue,
        }
        tried += 1;
        assert!(played(&tampered).is_err(), "{:?}", tampered[at]);
    }
    assert!(tried > 10, "{tried}");
}

#[test]
fn nobody_who_does_not_ask_is_told_of_calls() {
    let collector = Collector::new();
    let mut pair = Pair::with(1, Limits::default(), |params| params.tracer = collector.tracer());
    pair.request(body(1));
    pair.settle(Duration::from_secs(1));
    assert!(collector.count(|event| event.layer() == Layer::Mtproto) > 0);
    assert_eq!(collector.count(|event| event.layer() == Layer::Core), 0);
}

#[test]
fn another_tracer_gets_the_rest() {
    let (first, second) = (Collector::of(LayerSet::NONE.with(Layer::Core)), Collector::of(LayerSet::NONE.with(Layer::Core)));
    let mut session = Session::client(ClientParams { tracer: first.tracer(), ..client() }, START);
    session.set_tracer(second.tracer());
    session.handle_timeout(START);
    let both: Vec<Event> = first.events().into_iter().chain(second.events()).collect();
    assert_eq!((first.events().len(), second.events().len()), (2, 2));
    assert_eq!(played(&both), Ok(2));
    session.set_tracer(Tracer::off());
    session.handle_timeout(START);
    session.set_tracer(second.tracer());
    session.handle_timeout(START);
    assert_eq!(second.events().len(), 2, "what has a gap cannot be played");
}

fn client() -> ClientParams {
    ClientParams::new(key(), SessionId(7), [3; 32])
}

#[test]
fn each_mistake_of_a_recording_has_its_error() {
    let name = SessionName { server: false, auth_key_id: key().id(), session_id: SessionId(7) };
    let begin = |change: &dyn Fn(&mut Call)| {
        let mut call = begin_client(&client());
        change(&mut call);
        Player::begin(name, START, &call).map(|_| ()).unwrap_err()
    };
    let with_key = |bytes: &'static [u8]| {
        move |call: &mut Call| {
            if let Call::BeginClient { auth_key, .. } = call {
                *auth_key = Bytes::from_static(bytes);
            }
        }
    };
    assert_eq!(begin(&|call| *call = Call::Timeout {}), PlayError::NoBeginning);
    assert_eq!(begin(&with_key(&[1; 255])), PlayError::KeyLength(crate::crypto::WrongKeyLength { found: 255 }));
    assert!(matches!(begin(&with_key(&[1; 256])), PlayError::OtherKey { .. }));
    let seedless = |call: &mut Call| {
        if let Call::BeginClient { rng_seed, .. } = call {
            *rng_seed = Bytes::new();
        }
    };
    assert_eq!(begin(&seedless), PlayError::SeedLength { found: 0 });
    let server = SessionName { server: true, ..name };
    assert_eq!(Player::begin(server, START, &begin_client(&client())).map(|_| ()), Err(PlayError::NoBeginning));

    let (mut player, played) = Player::begin(name, START, &begin_client(&client())).unwrap();
    assert_eq!(played.outcome, "begun");
    let mut wrong = |call: Call| player.play(START, &call).unwrap_err();
    assert_eq!(wrong(begin_client(&client())), PlayError::BegunBefore);
    let msg_id = MsgId(4);
    let request =
        Call::RequestReserved { msg_id, body: Bytes::from_static(&[0; 4]), method: 0, alone: false, quick_ack: false };
    assert_eq!(wrong(request), PlayError::NotReserved { msg_id });
    let opened = Call::Opened {
        salt: crate::ids::Salt(1),
        session_id: SessionId(7),
        msg_id,
        seq_no: crate::ids::SeqNo(0),
        body: Bytes::from_static(&[1]),
    };
    assert!(matches!(wrong(opened), PlayError::NotOpened { .. }));
    let word = "eaten".to_owned();
    let destroyed = Call::AuthKeyDestroyed { msg_id, outcome: word.clone().into() };
    assert_eq!(wrong(destroyed), PlayError::UnknownOutcome { word });
    let refused = player.play(START, &Call::Input { frame: Bytes::from_static(&[0; 8]) }).unwrap();
    assert!(refused.is_refusal() && refused.outcome == "refused: TooShort");
}
