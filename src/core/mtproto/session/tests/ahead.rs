//! Frames that are opened together, before their turn: all that follows is as if each were opened in it.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::peer::{Peer, SALT, SESSION, START, body, events, key, output, rpc_result};
use crate::{
    crypto::AuthKey,
    ids::MsgId,
    mtproto::{
        envelope::{self, Header, Side},
        session::{ClientParams, FutureSalt, Limits, Opening, RequestId, RequestOptions, Session},
    },
    trace::{Collector, Event, Layer, LayerSet},
};

/// A client with three requests under way, which tells the collector everything.
fn client(collector: &Arc<Collector>) -> (Session, Vec<(RequestId, MsgId)>) {
    let mut params = ClientParams::new(key(), SESSION, [7; 32]);
    params.salts = vec![FutureSalt::unlimited(SALT)];
    params.limits = Limits { coalesce: Duration::ZERO, ..Limits::default() };
    params.tracer = collector.tracer();
    let mut session = Session::client(params, START);
    let mut asked = Vec::new();
    for number in 0..3 {
        let id = session.request(START, body(number), RequestOptions::default()).unwrap();
        asked.push((id, output(&mut session, START, Side::Client).pop().unwrap().msg_id));
    }
    (session, asked)
}

/// What a server might send, and what it must not: answers, updates, duplicates, altered frames, other sessions' frames.
fn frames(seed: u64, asked: &[(RequestId, MsgId)]) -> Vec<BytesMut> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut peer = Peer::new(Side::Server);
    let mut frames: Vec<BytesMut> = Vec::new();
    for at in 0..rng.random_range(1..12) {
        let (msg_id, seq_no) = peer.next(START, true);
        let len = *[4, 40, 5000, 70_000].get(rng.random_range(0..4)).unwrap();
        let body: Bytes = match asked.get(at) {
            Some((_, req)) => rpc_result(*req, &vec![at as u8; len]).into(),
            None => vec![at as u8; len].into(),
        };
        let header = Header { salt: peer.salt, session_id: peer.session, msg_id, seq_no };
        let mut frame = envelope::seal(&key(), Side::Server, &header, &[&body], &mut rng);
        match rng.random_range(0..12) {
            0 => {
                let at = rng.random_range(0..frame.len());
                frame[at] ^= 1;
            }
            1 => frame.truncate(rng.random_range(0..frame.len())),
            2 => frame.clone_from(frames.last().unwrap_or(&frame.clone())),
            _ => {}
        }
        frames.push(frame);
    }
    frames
}

#[test]
fn opened_ahead_is_as_opened_in_turn() {
    let (mut refused, mut taken) = (0, 0);
    for seed in 0..60 {
        let collectors = [(); 2].map(|()| Collector::of(LayerSet::ALL.with(Layer::Core)));
        let [(mut in_turn, asked), (mut ahead, _)] = collectors.each_ref().map(client);
        let frames = frames(seed, &asked);

        let mut together = ahead.open_ahead(frames.clone()).into_iter();
        assert_eq!(together.len(), frames.len());
        for (at, frame) in frames.into_iter().enumerate() {
            let expected = in_turn.handle_input(START, frame);
            let found = ahead.handle_opened_ahead(START, together.next().unwrap());
            assert_eq!(found, expected, "seed {seed}, frame {at}");
            assert_eq!(events(&mut ahead), events(&mut in_turn), "seed {seed}, frame {at}");
            if expected.is_ok() { taken += 1 } else { refused += 1 }
        }
        assert_eq!(ahead.poll_output(START), in_turn.poll_output(START), "seed {seed}");
        let [expected, found] = collectors.map(|collector| collector.events());
        assert_eq!(found, expected, "seed {seed}: the traces");
        assert!(found.iter().any(|event| event.layer() == Layer::Core), "calls are recorded");
        let inputs = found.iter().filter(|event| matches!(event, Event::Envelope { sent: false, .. })).count();
        assert!(inputs > 0, "seed {seed}");
    }
    assert!(taken > 100 && refused > 20, "{taken} taken, {refused} refused");
}

/// Sessions of several keys together: each gets its own frames back, in their order, opened as if it had been alone.
#[test]
fn what_is_opened_with_others_is_each_ones_own() {
    let mut rng = StdRng::seed_from_u64(1);
    let header = Header { salt: SALT, session_id: SESSION, msg_id: MsgId(5), seq_no: crate::ids::SeqNo(1) };
    let sessions: Vec<(Session, Vec<BytesMut>)> = (0..5_u8)
        .map(|number| {
            let key = AuthKey::from_bytes(&[number + 1; 256]);
            let mut frames: Vec<_> = (0..number)
                .map(|at| {
                    // Each says whose it is.
                    let header = Header { msg_id: MsgId(i64::from(number) << 32 | i64::from(at) << 2 | 1), ..header };
                    envelope::seal(&key, Side::Server, &header, &[&vec![at; 4 << (4 * at)]], &mut rng)
                })
                .collect();
            if let Some(first) = frames.first_mut().filter(|_| number == 3) {
                first[30] ^= 1;
            }
            (Session::client(ClientParams::new(key, SESSION, [7; 32]), START), frames)
        })
        .collect();
    let alone: Vec<_> = sessions.iter().map(|(session, frames)| session.open_ahead(frames.clone())).collect();
    let openings: Vec<_> = sessions.iter().map(|(session, frames)| session.opening(frames.clone())).collect();
    assert_eq!(openings.iter().map(Opening::len).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(openings[0].is_empty() && !openings[1].is_empty());
    let together = Opening::open_all(openings);
    assert_eq!(format!("{together:?}"), format!("{alone:?}"));
    assert!(format!("{:?}", together[3]).contains("MsgKeyMismatch"));
}
