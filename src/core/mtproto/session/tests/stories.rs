//! Stories of a client and a server.

use std::time::Duration;

use bytes::Bytes;

use super::{
    pair::{End, Pair},
    peer::body,
};
use crate::mtproto::session::{ApiMisuse, DeathCause, Event, Failure, Limits, RequestOptions};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_request_is_answered_in_one_round_trip() {
    let mut pair = Pair::new(1);
    let start = pair.now.mono;
    let id = pair.request(body(1));
    pair.settle(SECOND);
    assert_eq!(pair.answer(id), &body(1));
    // 1 ms for company, 50 ms each way, 10 ms of work.
    assert_eq!(pair.now.mono - start, Duration::from_millis(111));
    // The request out; the new session and the answer back.
    assert_eq!(pair.arrived, [1, 2]);
    assert!(pair.client_events.iter().any(|event| matches!(event, Event::NewSession { .. })));
    assert!(pair.rules.is_empty());
}

/// Row: A.5 "outgoing containers"
#[test]
fn requests_made_together_travel_together() {
    let mut pair = Pair::new(2);
    let ids: Vec<_> = (0..500).map(|number| pair.request(body(number))).collect();
    pair.settle(SECOND);
    for (number, id) in ids.into_iter().enumerate() {
        assert_eq!(pair.answer(id), &body(number as u32));
    }
    assert_eq!(pair.arrived[0], 1);
    assert!(pair.arrived[1] <= 3);
}

/// Row: A.5 "outgoing containers"
#[test]
fn containers_hold_neither_too_many_nor_too_much() {
    let mut pair = Pair::new(3);
    for number in 0..2500 {
        pair.request(body(number));
    }
    pair.settle(SECOND);
    assert_eq!(pair.ended.len(), 2500);
    // 1000 in each, by number.
    assert_eq!(pair.arrived[0], 3);

    let mut pair = Pair::new(4);
    let options = RequestOptions { compress: false, ..RequestOptions::default() };
    for number in 0..8u8 {
        // File parts: each in a frame of its own.
        let part = Bytes::from(vec![number; 128 << 10]);
        pair.client.request(pair.now, part, options).unwrap();
    }
    pair.settle(SECOND);
    assert_eq!(pair.ended.len(), 8);
    assert_eq!(pair.arrived[0], 8);
}

/// Row: A.4 "gzip out"
#[test]
fn long_repetitive_bodies_are_packed_both_ways() {
    let mut pair = Pair::new(5);
    let long = Bytes::from(b"abcdefgh".repeat(4000));
    let id = pair.request(long.clone());
    pair.settle(SECOND);
    assert_eq!(pair.answer(id), &long);
}

/// Row: A.5 "ping_delay_disconnect"
#[test]
fn an_idle_connection_is_kept_by_pings() {
    let mut pair = Pair::new(6);
    let id = pair.request(body(1));
    pair.run(Duration::from_secs(3600));
    assert_eq!(pair.answer(id), &body(1));
    assert!(!pair.client_events.iter().any(|event| matches!(event, Event::ConnectionDead(_))));
    assert!(!pair.server_events.iter().any(|event| matches!(event, Event::ConnectionDead(_))));
    assert!(pair.arrived[0] >= 60 && pair.arrived[0] < 70, "{:?}", pair.arrived);
}

/// Row: A.5 "ping_delay_disconnect"
#[test]
fn silence_is_noticed_on_both_sides() {
    let mut pair = Pair::new(7);
    pair.request(body(1));
    pair.run(Duration::from_secs(70));
    pair.link.loss = 1000;
    pair.run(Duration::from_secs(200));
    // The round trip of 100 ms is known by now: a pong is waited for as long as is sensible for that.
    assert!(pair.client_events.contains(&Event::ConnectionDead(DeathCause::PingTimeout { seconds: 6 })));
    assert!(pair.server_events.contains(&Event::ConnectionDead(DeathCause::NoPing { seconds: 75 })));
}

#[test]
fn a_dead_connection_under_a_request_is_noticed_in_half_a_minute() {
    let mut pair = Pair::new(8);
    pair.link.loss = 1000;
    pair.request(body(1));
    pair.run(Duration::from_secs(29));
    assert!(pair.client_events.is_empty());
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.client_events, [Event::ConnectionDead(DeathCause::PingTimeout { seconds: 15 })]);
}

#[test]
fn updates_arrive_and_are_acknowledged() {
    let mut pair = Pair::new(9);
    let id = pair.server.push(pair.now, body(42)).unwrap();
    pair.run(Duration::from_secs(40));
    assert!(pair.client_events.contains(&Event::Update(body(42))));
    assert!(pair.server_events.contains(&Event::Acknowledged { msg_id: id }));
}

#[test]
fn a_wrong_salt_costs_one_round_trip() {
    let mut pair = Pair::with(10, Limits::default(), |params| params.salts.clear());
    let id = pair.request(body(1));
    pair.settle(SECOND);
    assert_eq!(pair.answer(id), &body(1));
    assert!(pair.client_events.contains(&Event::SaltsChanged));
    assert_eq!(pair.executed[&body(1)], 1);
}

/// Row: A.5 "time sync"
#[test]
fn a_wrong_clock_costs_one_round_trip() {
    for offset in [-100_000, -1000, -301, 31, 1000, 100_000] {
        let mut pair = Pair::with(11, Limits::default(), |params| params.time_offset = offset);
        let id = pair.request(body(1));
        let other = pair.request(body(2));
        pair.settle(SECOND);
        assert_eq!((pair.answer(id), pair.answer(other)), (&body(1), &body(2)), "{offset}");
        assert!(pair.client.time_offset(pair.now).abs() <= 1, "{offset}: {}", pair.client.time_offset(pair.now));
        assert!(pair.client_events.contains(&Event::TimeOffsetChanged));
        assert_eq!(pair.executed.values().sum::<u32>(), 2);
    }
}

/// Row: A.5 "future_salts"
#[test]
fn salts_change_over_a_day_without_anyone_noticing() {
    let mut pair = Pair::new(12);
    let mut salts = crate::mtproto::session::Salts::new(pair.server.salts().to_vec());
    for hour in 0..48 {
        let mut rng: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(hour);
        salts.extend(pair.now.unix(), 8, &mut rng);
        pair.server.set_salts(salts.list().to_vec()).unwrap();
        pair.request(body(hour as u32));
        pair.run(Duration::from_secs(1800));
    }
    assert_eq!(pair.ended.len(), 48);
    assert!(!pair.rules.contains("WrongSalt"), "{:?}", pair.rules);
}

#[test]
fn a_cancelled_request_frees_both_sides() {
    let mut pair = Pair::new(13);
    pair.think = Duration::from_secs(5);
    let id = pair.request(body(1));
    pair.run(SECOND);
    assert!(pair.client.cancel(pair.now, id));
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.ended[&id], [End::Failed(Failure::Cancelled)]);
    assert_eq!((pair.client.pending(), pair.server.pending()), (0, 0));
    assert!(pair.client_events.iter().any(|event| matches!(event, Event::AnswerDropped { .. })));
    assert!(pair.server_events.iter().any(|event| matches!(event, Event::RequestCancelled { .. })));
}

#[test]
fn a_long_running_request_is_acknowledged_meanwhile_and_not_sent_again() {
    let mut pair = Pair::new(14);
    pair.think = Duration::from_secs(600);
    let id = pair.request(body(1));
    pair.settle(Duration::from_secs(700));
    assert_eq!(pair.answer(id), &body(1));
    assert_eq!(pair.executed[&body(1)], 1);
}

#[test]
fn requests_pile_up_to_the_limit_and_no_further() {
    let limits = Limits { requests: 3, body: 64, ..Limits::default() };
    let mut pair = Pair::with(15, limits, |_| {});
    let now = pair.now;
    for number in 0..3 {
        pair.request(body(number));
    }
    let options = RequestOptions::default();
    assert_eq!(pair.client.request(now, body(4), options), Err(ApiMisuse::Backlog { limit: 3 }));
    pair.settle(SECOND);
    assert_eq!(pair.client.request(now, vec![0; 68].into(), options), Err(ApiMisuse::TooLong { len: 68, limit: 64 }));
    assert_eq!(pair.client.request(now, vec![0; 6].into(), options), Err(ApiMisuse::NotTl { len: 6 }));
    assert_eq!(pair.client.request(now, Bytes::new(), options), Err(ApiMisuse::NotTl { len: 0 }));
    pair.request(body(4));
}

#[test]
fn early_and_repeated_timeouts_do_nothing() {
    let mut pair = Pair::new(16);
    pair.request(body(1));
    pair.settle(SECOND);
    pair.run(SECOND);
    let before = pair.client.poll_timeout();
    for _ in 0..10 {
        pair.client.handle_timeout(pair.now);
        assert!(pair.client.poll_output(pair.now).is_none());
    }
    assert_eq!(pair.client.poll_timeout(), before);
}
