//! Links that lose, double and reorder frames without breaking: no TCP connection does, but a session has to bear it.

use std::time::Duration;

use super::{
    pair::{End, Link, Pair},
    peer::body,
};
use crate::mtproto::session::Failure;
use rand::Rng;

#[test]
fn every_request_ends_exactly_once_and_is_executed_at_most_once() {
    for seed in 0..300 {
        let mut pair = Pair::new(seed);
        pair.link = Link { delay: Duration::from_millis(50), jitter: Duration::from_millis(200), loss: 150, doubling: 150 };
        let mut ids = Vec::new();
        let mut cancelled = Vec::new();
        for round in 0..6 {
            for number in 0..3 {
                ids.push(pair.request(body(round * 100 + number)));
            }
            pair.run_random(400);
            let victim = ids[pair.rng.next_u32() as usize % ids.len()];
            if pair.rng.next_u32().is_multiple_of(3) && pair.client.cancel(pair.now, victim) {
                cancelled.push(victim);
            }
        }
        pair.settle(Duration::from_secs(1200));
        for id in &ids {
            let expected = cancelled.contains(id);
            match pair.ended.get(id).map(Vec::as_slice) {
                Some([End::Answered(_)]) if !expected => {}
                Some([End::Failed(Failure::Cancelled)]) if expected => {}
                other => panic!("seed {seed}, {id:?}: {other:?}, rules {:?}", pair.rules),
            }
        }
        assert!(pair.executed.values().all(|times| *times == 1), "seed {seed}: {:?}", pair.executed);
    }
}

#[test]
fn updates_get_through_as_well() {
    for seed in 0..50 {
        let mut pair = Pair::new(seed);
        pair.link.loss = 300;
        // The client has to have spoken, or the server has nobody to speak to.
        pair.request(body(0));
        for number in 1..20 {
            pair.server.push(pair.now, body(number)).unwrap();
            pair.run(Duration::from_millis(100));
        }
        pair.run(Duration::from_secs(1800));
        for number in 1..20 {
            let update = crate::mtproto::session::Event::Update(body(number));
            let times = pair.client_events.iter().filter(|event| **event == update).count();
            assert_eq!(times, 1, "seed {seed}, update {number}");
        }
    }
}
