//! Recordings, played again: every call into every session is made once more, and what comes of it compared with what is recorded.
//!
//! See [`mtproto::session::recording`](tdl_core::mtproto::session::recording) for how they come about.

use std::collections::HashMap;
use std::fmt;

use tdl_core::mtproto::session::recording::{PlayError, Played, Player};
use tdl_core::trace::Event;
use tdl_core::trace::call::{Call, SessionName};

/// Sessions that are played at once, at most. Those that began first are given up.
const MOST_SESSIONS: usize = 4096;

/// Why a recording cannot be played on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A session is called that has not begun in this recording.
    #[error("{} is called before it begins: the recording lacks its beginning", Name(session))]
    NotBegun {
        /// The session.
        session: SessionName,
    },
    /// Calls are missing.
    #[error("call {found} of {} follows call {expected} at once: what is between them is missing", Name(session))]
    Gap {
        /// The session.
        session: SessionName,
        /// The number of the call that should have come.
        expected: u64,
        /// The number of the one that came.
        found: u64,
    },
    /// A call ends that has not begun.
    #[error("call {number} of {} ends, and it has not begun", Name(session))]
    NotCalled {
        /// The session.
        session: SessionName,
        /// The number.
        number: u64,
    },
    /// A call cannot be made.
    #[error("call {number} of {} cannot be made: {error}", Name(session))]
    Play {
        /// The session.
        session: SessionName,
        /// The number of the call.
        number: u64,
        /// Why.
        error: PlayError,
    },
    /// Records were lost when the recording was made.
    #[error("{count} records were lost here when this was recorded")]
    Lost {
        /// How many.
        count: u64,
    },
}

/// Prints a session's name.
struct Name<'a>(&'a SessionName);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.0.server { "server" } else { "client" };
        write!(f, "{role} session {:016x} under key {:016x}", self.0.session_id.0, self.0.auth_key_id)
    }
}

/// A call after which a session is not what it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The session.
    pub session: SessionName,
    /// The number of the call.
    pub number: u64,
    /// The call.
    pub call: Box<Call>,
    /// What differs.
    pub difference: Difference,
    /// Whether the session now finds that its peer broke the protocol, and did not when it was recorded.
    pub refused: bool,
}

/// What differs between a recorded call and the same call made again.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// An event that the session reports meanwhile.
    Event {
        /// Its place among those of the call, counted from 0.
        index: usize,
        /// What is recorded; `None` if nothing is, at this place.
        recorded: Option<Box<Event>>,
        /// What came now.
        played: Option<Box<Event>>,
    },
    /// What the call returns.
    Outcome {
        /// What is recorded.
        recorded: String,
        /// What came now.
        played: String,
    },
}

/// How far a recording has been played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Sessions that began.
    pub sessions: u64,
    /// Calls that were made and compared.
    pub calls: u64,
    /// Events that were compared.
    pub events: u64,
    /// Frames and messages that sessions refused, as recorded.
    pub refusals: u64,
}

/// Plays a recording.
#[derive(Default)]
pub struct Replay {
    sessions: HashMap<SessionName, Part>,
    began: u64,
    progress: Progress,
}

/// A session of the recording.
struct Part {
    player: Player,
    /// The number of the next call.
    next: u64,
    /// When it began, counted in sessions.
    age: u64,
    /// A call that was made, and whose recorded end has not come yet.
    made: Option<(u64, Box<Call>, Played)>,
}

impl Replay {
    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Calls whose end is not recorded: the program ended in the middle of them.
    pub fn unfinished(&self) -> usize {
        self.sessions.values().filter(|part| part.made.is_some()).count()
    }

    /// Plays one event of the recording. All but those of the layer `core` are passed over. Returns where the session differs from what
    /// is recorded, if it does; from there on it is another session, and the comparison is of no use any more.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]: the recording is no whole one.
    pub fn event(&mut self, event: &Event) -> Result<Option<Divergence>, ReplayError> {
        match event {
            Event::CoreCall { session, number, now, call } => {
                if *number == 0 {
                    self.begin(*session, *now, call)?;
                    return Ok(None);
                }
                let part = self.sessions.get_mut(session).ok_or(ReplayError::NotBegun { session: *session })?;
                if part.next != *number {
                    return Err(ReplayError::Gap { session: *session, expected: part.next, found: *number });
                }
                part.next += 1;
                let failed = |error| ReplayError::Play { session: *session, number: *number, error };
                let played = part.player.play(*now, call).map_err(failed)?;
                part.made = Some((*number, call.clone(), played));
                Ok(None)
            }
            Event::CoreDone { session, number, outcome, events } => {
                let part = self.sessions.get_mut(session).ok_or(ReplayError::NotBegun { session: *session })?;
                let made = part.made.take().filter(|(made, ..)| made == number);
                let (_, call, played) = made.ok_or(ReplayError::NotCalled { session: *session, number: *number })?;
                self.progress.calls += 1;
                self.progress.events += events.len() as u64;
                self.progress.refusals += u64::from(played.is_refusal());
                let refused = played.is_refusal() && *outcome != played.outcome;
                let (session, number) = (*session, *number);
                let difference = compare(outcome, events, &played);
                Ok(difference.map(|difference| Divergence { session, number, call, difference, refused }))
            }
            _ => Ok(None),
        }
    }

    fn begin(&mut self, session: SessionName, now: tdl_core::clock::Now, call: &Call) -> Result<(), ReplayError> {
        let failed = |error| ReplayError::Play { session, number: 0, error };
        let (player, played) = Player::begin(session, now, call).map_err(failed)?;
        self.began += 1;
        self.progress.sessions += 1;
        let made = Some((0, Box::new(call.clone()), played));
        self.sessions.insert(session, Part { player, next: 1, age: self.began, made });
        if self.sessions.len() > MOST_SESSIONS
            && let Some(oldest) = self.sessions.iter().min_by_key(|(_, part)| part.age).map(|(name, _)| *name)
        {
            self.sessions.remove(&oldest);
        }
        Ok(())
    }
}

/// Events come first: they say what has happened, and the outcome only that something has.
fn compare(outcome: &str, events: &[Event], played: &Played) -> Option<Difference> {
    let differs = |index: &usize| events.get(*index) != played.events.get(*index);
    if let Some(index) = (0..events.len().max(played.events.len())).find(differs) {
        let boxed = |event: Option<&Event>| event.cloned().map(Box::new);
        let (recorded, played) = (boxed(events.get(index)), boxed(played.events.get(index)));
        return Some(Difference::Event { index, recorded, played });
    }
    (outcome != played.outcome).then(|| Difference::Outcome { recorded: outcome.to_owned(), played: played.outcome.clone() })
}

#[cfg(test)]
mod tests;
