//! The feed of updates: where it begins, what it stores, and when it gives up.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::client::{Feed, FeedError, Start, UpdateEvent};
use api::enums::{self, Update};
use api::functions::updates::{GetDifference, GetState};
use api::types;

fn state(pts: i32) -> enums::updates::State {
    types::updates::State { pts, qts: 0, date: 100, seq: 0, unread_count: 0 }.into()
}

fn message(id: i32) -> enums::Message {
    types::Message { id, peer_id: types::PeerUser { user_id: 5 }.into(), ..types::Message::default() }.into()
}

/// What `updates.getDifference` is answered with, one after the other; then that there is nothing.
type Answers = Arc<Mutex<VecDeque<Reply>>>;

fn server(answers: &Answers) -> Arc<TestServer> {
    let answers = Arc::clone(answers);
    let nothing = enums::updates::Difference::from(types::updates::DifferenceEmpty { date: 100, seq: 0 });
    TestServer::new(move |call| match (call.method, call.nth) {
        (GetState::ID, 0) => Reply::of(&state(5)),
        (GetState::ID, _) => Reply::of(&state(40)),
        (GetDifference::ID, _) => answers.lock().unwrap().pop_front().unwrap_or_else(|| Reply::of(&nothing)),
        _ => Reply::Error(400, "METHOD_INVALID"),
    })
}

fn with_message() -> Reply {
    let found = types::updates::Difference {
        new_messages: vec![message(1)],
        new_encrypted_messages: Vec::new(),
        other_updates: Vec::new(),
        chats: Vec::new(),
        users: Vec::new(),
        state: state(6),
    };
    Reply::of(&enums::updates::Difference::from(found))
}

async fn listening(server: &Arc<TestServer>, store: &Arc<MemoryPersistence>) -> (Client, Feed) {
    let client = client_with(server, store, ClientConfig { updates: true, ..TestServer::config() }).await;
    let feed = Feed::start(&client, Start::Stored).unwrap();
    (client, feed)
}

/// What is told until everything has been.
async fn caught_up(feed: &mut Feed) -> Vec<UpdateEvent> {
    let mut told = Vec::new();
    loop {
        let batch = feed.next().await.unwrap();
        told.extend(batch.events);
        if batch.caught_up {
            return told;
        }
    }
}

fn is_message(event: &UpdateEvent) -> bool {
    matches!(event, UpdateEvent::Update(Update::NewMessage(new)) if matches!(&new.message, enums::Message::Message(m) if m.id == 1))
}

#[tokio::test(start_paused = true)]
async fn what_was_not_confirmed_is_told_again_and_what_was_is_not() {
    let answers = Answers::default();
    let next = |reply: Reply, times: usize| answers.lock().unwrap().extend(std::iter::repeat_n(reply, times));
    let (server, store): (_, Arc<MemoryPersistence>) = (server(&answers), Arc::default());
    let stored = || store.update_state().unwrap().map(|state| state.pts);
    let (client, mut feed) = listening(&server, &store).await;
    assert!(matches!(Feed::start(&client, Start::Now), Err(FeedError::NotSubscribed)), "there is one listener");
    assert_eq!((caught_up(&mut feed).await, stored()), (Vec::new(), None));
    feed.commit().unwrap();
    assert_eq!(stored(), Some(5));

    let new: Update = types::UpdateNewMessage { message: message(1), pts: 6, pts_count: 1 }.into();
    server.push(&enums::Updates::from(types::UpdateShort { update: new, date: 100 }).to_bytes());
    let mut told = Vec::new();
    while told.is_empty() {
        told = caught_up(&mut feed).await;
    }
    assert!(told.len() == 1 && is_message(&told[0]), "{told:?}");
    client.close().await;

    // As after a kill: the message comes again, by the difference.
    next(with_message(), 1);
    drop(feed);
    let (client, mut feed) = listening(&server, &store).await;
    let told = caught_up(&mut feed).await;
    assert!(told.len() == 1 && is_message(&told[0]), "{told:?}");
    feed.commit().unwrap();
    assert_eq!(stored(), Some(6));

    // Something that cannot be read leads to a question; the server has forgotten where we were.
    next(Reply::Error(400, "PERSISTENT_TIMESTAMP_INVALID"), 1);
    server.push(&Bytes::from_static(b"nonsense"));
    let mut told = Vec::new();
    while told.is_empty() {
        told = caught_up(&mut feed).await;
    }
    assert_eq!(told, [UpdateEvent::Missed { channel: None, from: Some(6), to: Some(40) }]);
    feed.commit().unwrap();
    assert_eq!(stored(), Some(40));

    // What fails is asked again a few times, then the listener hears of it.
    next(Reply::Error(400, "NOT_TODAY"), 9);
    server.push(&Bytes::from_static(b"nonsense"));
    let error = loop {
        match feed.next().await {
            Ok(batch) => assert!(batch.events.is_empty()),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, FeedError::Invoke(InvokeError::Rpc(error)) if error.is("NOT_TODAY")), "{error}");
    assert_eq!(answers.lock().unwrap().len(), 3, "six times");
    client.close().await;
}
