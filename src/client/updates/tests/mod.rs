//! The engine in stories of a few steps, and in a world where pushes are lost, doubled and overtaken.

mod stories;
mod world;

use std::time::Duration;

use crate::tl::api::enums::{self, Update, Updates};
use crate::tl::api::types;

use super::engine::{Engine, Request, UpdateEvent};
use super::state::UpdateState;

/// A channel that the tests know.
const CHANNEL: i64 = 77;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn message(id: i32) -> enums::Message {
    let peer_id = types::PeerUser { user_id: 5 }.into();
    types::Message { id, peer_id, message: "x".into(), ..types::Message::default() }.into()
}

fn post(id: i32) -> enums::Message {
    let peer_id = types::PeerChannel { channel_id: CHANNEL }.into();
    types::Message { id, peer_id, post: true, message: "y".into(), ..types::Message::default() }.into()
}

fn new_message(id: i32, pts: i32) -> Update {
    types::UpdateNewMessage { message: message(id), pts, pts_count: 1 }.into()
}

fn new_post(id: i32, pts: i32) -> Update {
    types::UpdateNewChannelMessage { message: post(id), pts, pts_count: 1 }.into()
}

fn short(update: Update) -> Updates {
    types::UpdateShort { update, date: 100 }.into()
}

fn envelope(updates: Vec<Update>, seq: i32) -> Updates {
    types::Updates { updates, date: 100, seq, ..types::Updates::default() }.into()
}

fn state(pts: i32) -> types::updates::State {
    types::updates::State { pts, qts: 0, date: 100, seq: 0, unread_count: 0 }
}

fn id_of(message: &enums::Message) -> i32 {
    match message {
        enums::Message::Message(m) => m.id,
        enums::Message::Service(m) => m.id,
        enums::Message::Empty(m) => m.id,
    }
}

/// What an event tells, in a word: a message's id, a post's id with 1000 added, deletions as negative ids.
fn words(event: &UpdateEvent) -> Vec<i32> {
    match event {
        UpdateEvent::Update(Update::NewMessage(u)) => vec![id_of(&u.message)],
        UpdateEvent::Update(Update::NewChannelMessage(u)) => vec![1000 + id_of(&u.message)],
        UpdateEvent::Update(Update::DeleteMessages(u)) => u.messages.iter().map(|id| -id).collect(),
        UpdateEvent::Update(other) => panic!("unexpected: {other:?}"),
        UpdateEvent::Peers { .. } => Vec::new(),
        UpdateEvent::Missed { .. } => vec![i32::MIN],
    }
}

fn told(engine: &mut Engine) -> Vec<i32> {
    std::iter::from_fn(|| engine.poll_event()).flat_map(|event| words(&event)).collect()
}

fn push(engine: &mut Engine, now: Duration, updates: Updates) {
    engine.handle_updates(now, updates, &|_| true);
}

/// An engine that has asked for everything up to 10, and follows.
fn following() -> Engine {
    let state = UpdateState { pts: 10, date: 90, channels: [(CHANNEL, 20)].into(), ..UpdateState::default() };
    let mut engine = Engine::new(Duration::ZERO, 1, Some(state));
    assert_eq!(engine.poll_request(Duration::ZERO), Some(Request::Difference { pts: 10, qts: 0, date: 90 }));
    engine.handle_difference(Duration::ZERO, types::updates::DifferenceEmpty { date: 100, seq: 0 }.into()).unwrap();
    assert!(engine.is_caught_up());
    engine
}
