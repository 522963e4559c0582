//! Connections that break.

use std::time::Duration;

use super::{
    pair::{End, Pair},
    peer::body,
};
use crate::mtproto::session::Event;
use rand::Rng;

const SECOND: Duration = Duration::from_secs(1);

/// Row: A.5 "resend until ack"
/// Row: A.5 "content of reconnect"
#[test]
fn a_request_lost_on_its_way_is_sent_on_the_next_connection() {
    let mut pair = Pair::new(1);
    let id = pair.request(body(1));
    pair.poll();
    pair.cut();
    pair.run(SECOND);
    pair.reconnect();
    pair.settle(SECOND);
    assert_eq!(pair.answer(id), &body(1));
    assert_eq!(pair.executed[&body(1)], 1);
}

/// Row: A.5 "content of reconnect"
/// Row: A.5 "msgs_state_req / info / all_info"
#[test]
fn an_answer_lost_on_its_way_comes_again_without_executing_twice() {
    let mut pair = Pair::new(2);
    let id = pair.request(body(1));
    pair.run(Duration::from_millis(70));
    assert_eq!(pair.executed[&body(1)], 1);
    pair.cut();
    pair.reconnect();
    pair.settle(SECOND);
    assert_eq!(pair.answer(id), &body(1));
    assert_eq!(pair.executed[&body(1)], 1);
}

#[test]
fn a_request_under_work_is_answered_on_the_next_connection() {
    let mut pair = Pair::new(3);
    pair.think = Duration::from_secs(5);
    let id = pair.request(body(1));
    pair.run(SECOND);
    pair.cut();
    pair.run(SECOND);
    pair.reconnect();
    pair.settle(Duration::from_secs(10));
    assert_eq!(pair.answer(id), &body(1));
    assert_eq!(pair.executed[&body(1)], 1);
}

#[test]
fn an_answer_that_got_through_is_not_sent_again_for_long() {
    let mut pair = Pair::new(4);
    pair.request(body(1));
    pair.settle(SECOND);
    pair.cut();
    pair.reconnect();
    // The acknowledgement was lost with the connection: the answer comes once more, and is acknowledged once more.
    pair.run(Duration::from_secs(40));
    assert!(pair.server_events.iter().any(|event| matches!(event, Event::Acknowledged { .. })));
    pair.cut();
    let before = pair.arrived[1];
    pair.reconnect();
    pair.run(SECOND);
    assert_eq!(pair.arrived[1], before);
}

#[test]
fn requests_made_while_there_is_no_connection_wait() {
    let mut pair = Pair::new(5);
    pair.cut();
    let id = pair.request(body(1));
    pair.run(Duration::from_secs(1000));
    assert!(pair.ended.is_empty());
    pair.reconnect();
    pair.settle(SECOND);
    assert_eq!(pair.answer(id), &body(1));
}

/// Row: A.5 "content of reconnect"
#[test]
fn after_minutes_without_a_connection_a_new_identifier_is_used() {
    let mut pair = Pair::new(6);
    let early = pair.request(body(0));
    pair.settle(SECOND);
    let id = pair.request(body(1));
    pair.poll();
    pair.cut();
    pair.run(Duration::from_secs(400));
    pair.reconnect();
    pair.settle(Duration::from_secs(5));
    assert_eq!((pair.answer(early), pair.answer(id)), (&body(0), &body(1)));
    assert_eq!(pair.executed[&body(1)], 1);
}

#[test]
fn a_machine_that_slept_finds_its_clock_again() {
    let mut pair = Pair::new(7);
    pair.request(body(0));
    pair.settle(SECOND);
    pair.cut();
    // The monotonic clock stood still meanwhile; the server's did not.
    let mut client_now = pair.now;
    client_now.wall += Duration::from_secs(7200);
    pair.now = client_now;
    pair.reconnect();
    let id = pair.request(body(1));
    pair.settle(Duration::from_secs(5));
    assert_eq!(pair.answer(id), &body(1));
    assert!(pair.client.time_offset(pair.now).abs() <= 1);
}

/// The property that all of this is for. Over many runs with connections cut at random: every request ends exactly once, with its
/// answer, and the host was given it exactly once.
#[test]
fn nothing_is_executed_twice_over_a_thousand_runs_with_cuts() {
    for seed in 0..1000 {
        let mut pair = Pair::new(seed);
        pair.think = Duration::from_millis(u64::from(pair.rng.next_u32() % 300));
        let mut ids = Vec::new();
        for round in 0..4 {
            for number in 0..pair.rng.next_u32() % 4 + 1 {
                ids.push(pair.request(body(round * 100 + number)));
            }
            pair.run_random(200);
            if !pair.rng.next_u32().is_multiple_of(4) {
                pair.cut();
                pair.run_random(500);
                pair.reconnect();
            }
        }
        pair.settle(Duration::from_secs(120));
        for id in &ids {
            assert!(matches!(pair.ended.get(id).map(Vec::as_slice), Some([End::Answered(_)])), "seed {seed}, {id:?}");
        }
        assert!(pair.executed.values().all(|times| *times == 1), "seed {seed}: {:?}", pair.executed);
        assert!(!pair.wants_reconnect, "seed {seed}: {:?}", pair.rules);
    }
}
