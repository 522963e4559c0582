//! Back-pressure and bounds: what piles up, and who is refused.

use std::time::Duration;

use bytes::Bytes;

use super::{pair::Pair, peer::*};
use crate::{
    clock::Now,
    ids::{MsgId, SessionId},
    mtproto::{
        envelope::Side,
        gzip::GzipError,
        session::{
            ApiMisuse, DeathCause, Event, KeyDestruction, Limits, PeerMisbehaved, Reaction, RequestOptions, SessionError,
            service::{self, ids},
        },
    },
};

fn small() -> Limits {
    Limits {
        requests: 16,
        request_bytes: 4096,
        events: 8,
        event_bytes: 4096,
        body: 2048,
        unpacked: 8192,
        seen: 64,
        remembered: 64,
        kept: 8,
        kept_bytes: 4096,
        service_queue: 8,
        ..Limits::default()
    }
}

fn plain() -> RequestOptions {
    RequestOptions { compress: false, ..RequestOptions::default() }
}

#[test]
fn requests_are_bounded_in_bytes_as_well() {
    let mut client = client_with(small());
    for _ in 0..2 {
        assert!(client.has_room_for(2000));
        client.request(START, vec![0; 2000].into(), plain()).unwrap();
    }
    assert!(!client.has_room_for(2000));
    let error = client.request(START, vec![0; 2000].into(), plain()).unwrap_err();
    assert_eq!(error, ApiMisuse::BacklogBytes { limit: 4096 });
    // What is answered makes room.
    let sent = output(&mut client, START, Side::Client);
    Peer::new(Side::Server).answer(&mut client, START, sent[0].msg_id, b"okay");
    client.request(START, vec![0; 2000].into(), plain()).unwrap();
}

#[test]
fn updates_are_bounded_and_never_dropped_for_answers() {
    let mut server = server_with(small());
    let mut peer = Peer::new(Side::Client);
    let mut pushed = Vec::new();
    while server.has_room_for(400) {
        pushed.push(server.push(START, vec![1; 400].into()).unwrap());
    }
    assert_eq!(server.push(START, vec![1; 400].into()), Err(ApiMisuse::BacklogBytes { limit: 4096 }));
    for number in 0..10 {
        let req = peer.say(&mut server, START, true, body(number));
        server.respond(START, req, vec![2; 1000].into(), false).unwrap();
        events(&mut server);
        assert!(server.held_bytes() <= small().most_held_bytes());
    }
    let sent = output(&mut server, START, Side::Server);
    assert!(pushed.iter().all(|update| sent.iter().any(|got| got.msg_id == *update)));
    // What is acknowledged makes room.
    peer.say(&mut server, START, false, service::msgs_ack(&pushed));
    server.push(START, vec![1; 400].into()).unwrap();
}

#[test]
fn a_session_whose_events_nobody_takes_takes_no_frames() {
    let mut client = client_with(small());
    let mut peer = Peer::new(Side::Server);
    for number in 0..8 {
        assert!(client.is_ready_for_input());
        peer.say(&mut client, START, true, body(number));
    }
    assert!(!client.is_ready_for_input());
    let (msg_id, seq_no) = peer.next(START, true);
    let error = client.handle_opened(START, peer.opened(msg_id, seq_no, body(9))).unwrap_err();
    assert_eq!(error, SessionError::ApiMisuse(ApiMisuse::NotReady));
    assert_eq!(error.reaction(), Reaction::Ignore);
    // It was as if lost: it comes again, and is new.
    assert_eq!(events(&mut client).len(), 8);
    client.handle_opened(START, peer.opened(msg_id, seq_no, body(9))).unwrap();
    assert_eq!(events(&mut client), [Event::Update(body(9))]);
}

#[test]
fn a_peer_that_does_not_read_cannot_pile_up_acknowledgements() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    for number in 0..8192 {
        peer.say(&mut client, START, true, body(number));
        events(&mut client);
    }
    let (_, result) = peer.try_say(&mut client, START, true, body(0));
    assert_eq!(result, Err(SessionError::ApiMisuse(ApiMisuse::NotReady)));
    output(&mut client, START, Side::Client);
    assert!(client.is_ready_for_input());
}

/// Row: A.4 "gzip in, bomb cap"
#[test]
fn a_container_of_bombs_is_no_worse_than_one() {
    let mut client = client_with(small());
    let mut peer = Peer::new(Side::Server);
    let bomb: Bytes = gzipped(&[0x11; 4096]).into();
    let messages: Vec<_> = (0..4)
        .map(|_| {
            let (msg_id, seq_no) = peer.next(START, true);
            (msg_id, seq_no, bomb.clone())
        })
        .collect();
    let (_, _, whole) = peer.pack(START, &messages);
    let error = peer_error(peer.try_say(&mut client, START, false, whole).1);
    assert!(matches!(error, PeerMisbehaved::Gzip { error: GzipError::TooLarge { cap: 0, .. }, .. }), "{error}");
    assert_eq!(events(&mut client).len(), 2);
    // The next frame has an allowance of its own.
    peer.say(&mut client, START, true, bomb);
}

/// Whatever comes, the bound that the limits promise is kept, in both roles.
#[test]
fn held_bytes_stay_within_the_promised_bound() {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    let limits = small();
    for seed in 0..40 {
        let mut rng = StdRng::seed_from_u64(seed);
        for side in [Side::Client, Side::Server] {
            let mut session = if side == Side::Client { client_with(limits) } else { server_with(limits) };
            let mut peer = Peer::new(if side == Side::Client { Side::Server } else { Side::Client });
            let mut now: Now = START;
            let mut reqs = Vec::new();
            for _ in 0..300 {
                let len = 4 * (1 + rng.next_u32() as usize % 512);
                match rng.next_u32() % 8 {
                    0..=3 => {
                        let body = [&0x0bad_cafe_u32.to_le_bytes()[..], &vec![1; len][..]].concat();
                        reqs.push(peer.try_say(&mut session, now, true, body).0);
                    }
                    4 => {
                        let list = [MsgId(1), MsgId(4)];
                        let _ = peer.try_say(&mut session, now, true, service::msgs_state_req(&list));
                    }
                    5 => {
                        let _ = session.request(now, vec![1; len].into(), plain());
                    }
                    6 => {
                        let _ = session.push(now, vec![1; len].into());
                        if let Some(req) = reqs.pop() {
                            let _ = session.respond(now, req, vec![1; len].into(), false);
                        }
                    }
                    _ => {
                        now = now.later(Duration::from_millis(u64::from(rng.next_u32() % 2000)));
                        session.handle_timeout(now);
                        if rng.next_u32().is_multiple_of(2) {
                            events(&mut session);
                        }
                    }
                }
                assert!(session.held_bytes() <= limits.most_held_bytes(), "seed {seed}: {}", session.held_bytes());
            }
        }
    }
}

/// Row: A.5 "ping_delay_disconnect"
#[test]
fn pings_adapt_to_the_round_trip() {
    let delay = |round_trip: u64| {
        let mut pair = Pair::new(1);
        pair.link.delay = Duration::from_millis(round_trip / 2);
        pair.request(body(1));
        pair.run(Duration::from_secs(400));
        assert_eq!(pair.client.rtt().unwrap().as_millis() as u64, round_trip);
        pair.link.loss = 1000;
        let before = pair.now.mono;
        while !pair.client_events.iter().any(|event| matches!(event, Event::ConnectionDead(_))) {
            assert!(pair.step(before + Duration::from_secs(600)));
            pair.poll();
        }
        pair.client_events
            .iter()
            .find_map(|event| match event {
                Event::ConnectionDead(DeathCause::PingTimeout { seconds }) => Some(*seconds),
                _ => None,
            })
            .unwrap()
    };
    let (fast, slow) = (delay(20), delay(6000));
    assert_eq!(fast, 6);
    assert!((24..40).contains(&slow), "{slow}");
}

/// Row: A.5 "ping_delay_disconnect"
#[test]
fn a_server_that_speaks_but_answers_no_ping_is_dead() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    client.handle_timeout(START.later(Duration::from_secs(60)));
    let mut now = START.later(Duration::from_secs(60));
    assert!(output(&mut client, now, Side::Client).iter().any(|got| got.is(ids::PING_DELAY_DISCONNECT)));
    for number in 0..100 {
        now = now.later(Duration::from_secs(1));
        peer.say(&mut client, now, true, body(number));
        client.handle_timeout(now);
        if events(&mut client).iter().any(|event| matches!(event, Event::ConnectionDead(DeathCause::PingTimeout { .. }))) {
            assert_eq!(number, 59, "four times the patience of fifteen seconds");
            return;
        }
    }
    panic!("it goes on for ever");
}

/// Row: A.5 "time sync"
#[test]
fn a_jump_of_our_own_clock_is_noticed_and_asked_about() {
    let (mut client, mut peer, _, msg_id) = asked();
    peer.answer(&mut client, START, msg_id, b"okay");
    events(&mut client);
    // The machine slept for an hour: its monotonic clock did not run.
    let mut now = START.later(Duration::from_secs(1));
    now.wall += Duration::from_secs(3600);
    client.handle_timeout(now);
    assert_eq!(events(&mut client), [Event::TimeOffsetChanged]);
    assert!(output(&mut client, now, Side::Client).iter().any(|got| got.is(ids::PING_DELAY_DISCONNECT)));
    // The server's next message tells what time it is, although it is an hour early by our reckoning.
    peer.say(&mut client, now, true, body(2));
    assert_eq!(client.time_offset(now), 0);
    assert_eq!(events(&mut client), [Event::TimeOffsetChanged, Event::Update(body(2))]);
}

/// Row: A.5 "time sync"
#[test]
fn every_packet_moves_the_clock_forward_and_a_pong_back() {
    let mut client = client();
    let mut peer = Peer::new(Side::Server);
    peer.say(&mut client, START.later(Duration::from_secs(20)), false, service::msgs_ack(&[]));
    let mut now = START.later(Duration::from_secs(60));
    client.handle_timeout(now);
    output(&mut client, now, Side::Client);
    let ahead = now.later(Duration::from_secs(25));
    let (update, seq_no) = peer.next(ahead, true);
    client.handle_opened(now, peer.opened(update, seq_no, body(1))).unwrap();
    assert_eq!(client.time_offset(now), 25);
    // The pong shows that this was a lie: it is written within the round trip.
    let mut honest = Peer::new(Side::Server);
    now = now.later(Duration::from_millis(100));
    honest.say(&mut client, now, false, service::pong(MsgId(0), 1));
    assert!(client.time_offset(now).abs() <= 1);
}

/// Row: A.3 "destroy_auth_key"
#[test]
fn a_key_is_destroyed_in_both_roles() {
    for outcome in [KeyDestruction::Destroyed, KeyDestruction::Unknown, KeyDestruction::Failed] {
        for wrapped in [false, true] {
            let mut client = client();
            let mut peer = Peer::new(Side::Server);
            client.destroy_auth_key().unwrap();
            let sent = output(&mut client, START, Side::Client);
            assert_eq!(sent[0].body, service::destroy_auth_key());
            // The connection is lost: it is said again.
            client.connection_lost(START);
            client.connection_opened(START);
            let sent = output(&mut client, START, Side::Client);
            assert_eq!(sent[0].body, service::destroy_auth_key());
            let answer = service::destroy_auth_key_answer(outcome);
            if wrapped {
                peer.answer(&mut client, START, sent[0].msg_id, &answer);
            } else {
                peer.say(&mut client, START, false, answer);
            }
            assert_eq!(events(&mut client), [Event::AuthKeyDestroyed { outcome }]);
        }
        let mut server = server();
        let mut peer = Peer::new(Side::Client);
        let msg_id = peer.say(&mut server, START, true, service::destroy_auth_key());
        assert_eq!(events(&mut server), [Event::DestroyAuthKey { msg_id }]);
        server.auth_key_destroyed(msg_id, outcome).unwrap();
        let sent = output(&mut server, START, Side::Server);
        assert!(sent.iter().any(|got| got.body == service::destroy_auth_key_answer(outcome)));
        assert_eq!(server.destroy_auth_key(), Err(ApiMisuse::WrongRole));
    }
}

/// Row: A.3 "destroy_session"
#[test]
fn a_session_that_is_replaced_is_destroyed() {
    let (mut client, mut peer, _, msg_id) = asked();
    peer.say(&mut client, START, false, service::bad_msg_notification(msg_id, crate::ids::SeqNo(1), 32));
    assert_ne!(client.session_id(), SESSION);
    let sent = output(&mut client, START, Side::Client);
    assert!(sent.iter().any(|got| got.body == service::destroy_session(SESSION)));
    peer.session = client.session_id();
    peer.say(&mut client, START, false, service::destroy_session_answer(SESSION, true));
    let told = events(&mut client);
    assert!(told.contains(&Event::SessionDestroyed { session_id: SESSION, existed: true }));
    assert!(!told.contains(&Event::SessionDestroyed { session_id: SessionId(1), existed: true }));
}
