//! The engine around a client: asks what it wants asked, stores how far it is.

use std::future::Future;
use std::pin::Pin;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast::{self, error::RecvError};

use super::difference::NoProgress;
use super::engine::{Engine, Request, UpdateEvent};
use super::incoming::{UpdateItem, Updates};
use crate::client::{Client, InvokeError, Notice, PeerKind, PersistenceError};
use crate::net::Clock;
use crate::tl::Deserialize as _;
use crate::tl::api::{enums, functions, types};

/// Questions under way at once.
const AT_ONCE: usize = 4;
/// Questions in a row that may fail before the listener hears of it.
const FAILURES: u32 = 6;

/// From where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From where the last listener of this store stopped; from now on if there was none.
    Stored,
    /// From now on.
    Now,
}

/// Why there are no more updates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// A question could not be asked, or was refused for good.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// How far the account has been followed could not be read or stored.
    #[error(transparent)]
    Store(#[from] PersistenceError),
    /// [`ClientConfig::updates`](crate::client::ClientConfig::updates) is off, or somebody else has taken the client's updates.
    #[error("this client does not listen for updates, or somebody else does already")]
    NotSubscribed,
    /// The connection was lost and could not be had again within
    /// [`ClientConfig::reconnect_timeout`](crate::client::ClientConfig::reconnect_timeout).
    #[error("no connection, and so no updates: {reason}")]
    GaveUp {
        /// What ended the last attempt.
        reason: String,
    },
    /// The server goes in circles.
    #[error(transparent)]
    NoProgress(#[from] NoProgress),
}

/// What happened, in order, and to be dealt with before [`Feed::commit`].
#[derive(Debug, Default)]
pub struct Batch {
    /// The events. May be none, when only the counters have moved.
    pub events: Vec<UpdateEvent>,
    /// Nothing is missing, as far as is known.
    pub caught_up: bool,
}

type Asked = Pin<Box<dyn Future<Output = Answer> + Send>>;

enum Answer {
    State(Result<enums::updates::State, InvokeError>),
    Difference(Request, Result<enums::updates::Difference, InvokeError>),
    Channel(Request, i64, Result<enums::updates::ChannelDifference, InvokeError>),
}

/// An account's updates, each once, in order, without gaps as far as the server allows.
///
/// What a [`Batch`] holds is to be dealt with, and then confirmed by [`Feed::commit`]: a later run goes on behind it. A process that dies in
/// between is told the batch again. [`Feed::next`] may be dropped at any time; nothing is lost by it.
pub struct Feed {
    client: Client,
    clock: Clock,
    updates: Updates,
    notices: broadcast::Receiver<Notice>,
    engine: Engine,
    asked: FuturesUnordered<Asked>,
    /// The account's user id.
    own: i64,
    /// Questions in a row that failed.
    failures: u32,
    /// How far the engine's state has been handed out, and stored.
    handed: u64,
    stored: u64,
    was_caught_up: bool,
}

impl Feed {
    /// Begins to listen. The client's configuration must ask for updates, and nobody else may have taken them. The peers that events describe
    /// should be remembered in the client's store: short forms about people who are not there are not taken, but asked for in full.
    ///
    /// # Errors
    /// [`FeedError::NotSubscribed`], [`FeedError::Store`].
    pub fn start(client: &Client, start: Start) -> Result<Self, FeedError> {
        let store = client.store();
        let state = match start {
            Start::Stored => store.update_state()?,
            Start::Now => None,
        };
        let own = store.account()?.map_or(0, |account| account.user_id);
        let clock = client.clock();
        let notices = client.notices();
        let updates = client.updates().ok_or(FeedError::NotSubscribed)?;
        let engine = Engine::new(clock.now().mono, own, state);
        Ok(Self {
            client: client.clone(),
            clock,
            updates,
            notices,
            engine,
            asked: FuturesUnordered::new(),
            own,
            failures: 0,
            handed: 0,
            stored: 0,
            was_caught_up: false,
        })
    }

    /// Waits for what happens next.
    ///
    /// # Errors
    /// See [`FeedError`]. Calling it again after an error tries again.
    pub async fn next(&mut self) -> Result<Batch, FeedError> {
        loop {
            let now = self.clock.now().mono;
            self.engine.handle_timeout(now);
            while self.asked.len() < AT_ONCE
                && let Some(request) = self.engine.poll_request(now)
            {
                self.ask(request)?;
            }
            let events: Vec<_> = std::iter::from_fn(|| self.engine.poll_event()).collect();
            let caught_up = self.engine.is_caught_up();
            if !events.is_empty() || self.engine.changes() != self.handed || caught_up != self.was_caught_up {
                (self.handed, self.was_caught_up) = (self.engine.changes(), caught_up);
                return Ok(Batch { events, caught_up });
            }
            let due = self.engine.poll_timeout().filter(|_| self.asked.len() < AT_ONCE);
            let timer = tokio::time::sleep_until(self.clock.instant(due.unwrap_or_default()));
            tokio::select! {
                Some(answer) = self.asked.next(), if !self.asked.is_empty() => self.take_answer(answer)?,
                item = self.updates.next() => self.take_item(item.ok_or(InvokeError::Closed)?),
                notice = self.notices.recv() => self.take_notice(notice)?,
                () = timer, if due.is_some() => {}
            }
        }
    }

    /// Stores that everything handed out so far has been dealt with. Cheap when nothing has moved.
    ///
    /// # Errors
    /// The store's.
    pub fn commit(&mut self) -> Result<(), PersistenceError> {
        // What came in behind the last batch has not been handed out.
        if self.handed != self.stored
            && self.handed == self.engine.changes()
            && let Some(state) = self.engine.state()
        {
            self.client.store().save_update_state(Some(state))?;
            self.stored = self.handed;
        }
        Ok(())
    }

    fn ask(&mut self, request: Request) -> Result<(), FeedError> {
        let client = self.client.clone();
        let asked: Asked = match request {
            Request::State => Box::pin(async move { Answer::State(client.invoke(&functions::updates::GetState).await) }),
            Request::Difference { pts, qts, date } => Box::pin(async move {
                let ask = functions::updates::GetDifference {
                    pts,
                    pts_limit: None,
                    pts_total_limit: None,
                    date,
                    qts,
                    qts_limit: None,
                };
                Answer::Difference(request, client.invoke(&ask).await)
            }),
            Request::Channel { id, pts, limit } => {
                let Some(channel) = client.store().peer(PeerKind::Channel, id)? else {
                    self.engine.handle_channel_refused(id);
                    return Ok(());
                };
                Box::pin(async move {
                    let channel = types::InputChannel { channel_id: id, access_hash: channel.access_hash }.into();
                    let filter = enums::ChannelMessagesFilter::Empty;
                    let ask = functions::updates::GetChannelDifference { force: false, channel, filter, pts, limit };
                    Answer::Channel(request, id, client.invoke(&ask).await)
                })
            }
        };
        self.asked.push(asked);
        Ok(())
    }

    fn take_answer(&mut self, answer: Answer) -> Result<(), FeedError> {
        let now = self.clock.now().mono;
        let progress = match answer {
            Answer::State(Ok(state)) => {
                self.engine.handle_state(now, state);
                Ok(())
            }
            Answer::State(Err(error)) => return self.failed(Request::State, error.into()),
            Answer::Difference(_, Ok(difference)) => self.engine.handle_difference(now, difference),
            // The server has forgotten so much that it does not know where we were.
            Answer::Difference(_, Err(InvokeError::Rpc(error)))
                if matches!(
                    error.name.as_str(),
                    "PERSISTENT_TIMESTAMP_INVALID" | "PERSISTENT_TIMESTAMP_EMPTY" | "DATE_EMPTY"
                ) =>
            {
                self.engine.handle_state_refused(now);
                Ok(())
            }
            Answer::Difference(request, Err(error)) => return self.failed(request, error.into()),
            Answer::Channel(_, id, Ok(difference)) => self.engine.handle_channel_difference(now, id, difference),
            Answer::Channel(_, id, Err(InvokeError::Rpc(error))) if (400..=406).contains(&error.code) => {
                tracing::info!(channel = id, %error, "channel not followed any more");
                self.engine.handle_channel_refused(id);
                Ok(())
            }
            Answer::Channel(request, _, Err(error)) => return self.failed(request, error.into()),
        };
        match progress {
            Ok(()) => {
                self.failures = 0;
                Ok(())
            }
            Err(error) => self.count_failure(error.into()),
        }
    }

    /// A question failed. Most reasons pass; a lost login or a broken protocol does not.
    fn failed(&mut self, request: Request, error: FeedError) -> Result<(), FeedError> {
        self.engine.handle_failure(self.clock.now().mono, request);
        match &error {
            FeedError::Invoke(InvokeError::Rpc(_) | InvokeError::Timeout { .. } | InvokeError::Failed { .. }) => {
                self.count_failure(error)
            }
            _ => Err(error),
        }
    }

    fn count_failure(&mut self, error: FeedError) -> Result<(), FeedError> {
        self.failures += 1;
        if self.failures >= FAILURES {
            self.failures = 0;
            return Err(error);
        }
        tracing::warn!(%error, "updates could not be asked for; once more after a pause");
        Ok(())
    }

    fn take_item(&mut self, item: UpdateItem) {
        let now = self.clock.now().mono;
        let body = match item {
            UpdateItem::Gap => return self.engine.handle_gap(now),
            UpdateItem::Update(body) => body,
        };
        match enums::Updates::from_bytes(body) {
            Ok(updates) => {
                let store = self.client.store();
                let own = self.own;
                let is_known = |peer: &enums::Peer| {
                    let (kind, id) = match peer {
                        enums::Peer::User(user) if user.user_id == own => return true,
                        enums::Peer::User(user) => (PeerKind::User, user.user_id),
                        enums::Peer::Chat(chat) => (PeerKind::Chat, chat.chat_id),
                        enums::Peer::Channel(channel) => (PeerKind::Channel, channel.channel_id),
                    };
                    store.peer(kind, id).is_ok_and(|found| found.is_some())
                };
                self.engine.handle_updates(now, updates, &is_known);
            }
            Err(error) => {
                // The difference will say it in a way that can be read, or fail and say why not.
                tracing::warn!(%error, "an update could not be read");
                self.engine.handle_gap(now);
            }
        }
    }

    fn take_notice(&mut self, notice: Result<Notice, RecvError>) -> Result<(), FeedError> {
        let now = self.clock.now().mono;
        match notice {
            Ok(Notice::GaveUp { dc, reason }) if dc == self.client.home_dc() => {
                self.engine.handle_gap(now);
                return Err(FeedError::GaveUp { reason });
            }
            Ok(Notice::Reconnected { dc, .. }) if dc == self.client.home_dc() => self.engine.handle_gap(now),
            Ok(Notice::Migrate { home: true, .. }) | Err(RecvError::Lagged(_)) => self.engine.handle_gap(now),
            Ok(_) => {}
            Err(RecvError::Closed) => return Err(InvokeError::Closed.into()),
        }
        Ok(())
    }
}
