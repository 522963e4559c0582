//! What has come in.
//!
//! Frames are taken off the stream several at a time, as far as they are there, and those of one session are opened together: the cipher
//! works on messages side by side in the time that it takes for one. From then on each has its turn, and all is as if it had been taken
//! off only then: what the trace says and in which order, and that nothing is looked at after a frame that ends the connection.
//!
//! Large ones may be held for a moment, until those of other connections are there to be opened with them: see [`Opener`](crate::Opener).
//! Nothing that comes behind them is looked at before.

use std::time::Duration;

use bytes::BytesMut;

use crate::io::{Arrival, Note};
use crate::opener::{Awaited, Brought, PATIENCE, TOGETHER};
use crate::wire::Wire;
use tdl_core::clock::Now;
use tdl_core::mtproto::envelope;
use tdl_core::mtproto::session::{ApiMisuse, OpenedAhead, Reaction, SessionError};
use tdl_core::transport::Frame;

use super::sessions::Active;
use super::{Driver, End};

/// After a frame of so many bytes it is worth a look whether the next one is there too: decrypting it takes longer than the look.
const LARGE: usize = 32 << 10;
/// Bytes of frames that are taken together and then some more. They are in memory at the same time.
const MOST_BYTES: usize = 3 << 20;

/// What becomes of a frame in its turn.
enum Taken {
    /// It is opened then.
    Sealed(Frame),
    /// The session with this number has opened it already.
    Ahead(u64, OpenedAhead),
}

/// Frames that were taken off, some of which wait to be opened with those of other connections.
pub(super) struct Held {
    taken: Vec<(Note, Taken)>,
    /// Those that wait, and the number of the session that they are for.
    places: Vec<usize>,
    serial: u64,
    awaited: Awaited,
    /// Then it has been long enough, on the monotonic clock.
    pub(super) until: Duration,
}

/// What comes of frames that are held; nothing while there are none.
pub(super) async fn opened(held: &mut Option<Held>) -> Option<Vec<OpenedAhead>> {
    match held {
        Some(held) => (&mut held.awaited.opened).await.ok(),
        None => std::future::pending().await,
    }
}

/// What is behind the frames that were taken off together.
enum Rest {
    /// Perhaps more of them.
    Some,
    /// No whole frame.
    None,
    /// What is no frame.
    Broken(End),
}

impl Driver {
    /// Takes the frames that have come in whole.
    pub(super) fn receive(&mut self, io: &mut Wire) -> Result<(), End> {
        while self.held.is_none() {
            let (arrivals, rest) = take_off(io);
            if !arrivals.is_empty() {
                self.arriving = None;
            }
            let may_wait = !matches!(rest, Rest::Broken(_)) && self.may_hold(io) && self.awaits_parts();
            if let Some(taken) = self.open_ahead(arrivals, may_wait) {
                self.handle_all(io, taken)?;
            }
            match rest {
                Rest::Some => {}
                Rest::None => break,
                Rest::Broken(end) => return Err(end),
            }
        }
        self.note_arriving(io);
        Ok(())
    }

    /// Whether frames may be held here. Over HTTP each is an answer of its own, and a session that ends when it has its last answers is not
    /// kept waiting.
    fn may_hold(&self, io: &Wire) -> bool {
        io.most_at_once() > 1 && self.draining.is_empty()
    }

    /// Whether parts of files were asked for here: nothing else is held, and nothing else is worth waiting for.
    fn awaits_parts(&self) -> bool {
        self.pending.values().any(|pending| pending.has_long_answer && pending.id.is_some())
    }

    /// Tells the other connections whether a large frame is to be expected here. What is held comes first, and they need not wait for what
    /// is behind it.
    pub(super) fn note_arriving(&mut self, io: &Wire) {
        let arrives = self.held.is_none() && self.may_hold(io) && self.awaits_parts();
        if arrives != self.arriving.is_some() {
            self.arriving = arrives.then(|| self.config.opener.arriving());
        }
    }

    /// Goes on with frames that were held, and with those behind them.
    pub(super) fn go_on(&mut self, io: &mut Wire, opened: Option<Vec<OpenedAhead>>) -> Result<(), End> {
        let Some(Held { mut taken, places, serial, .. }) = self.held.take() else { return Ok(()) };
        let opened = opened.ok_or_else(|| End::Lost("what came in was not opened".to_owned()))?;
        put(&mut taken, places, serial, opened);
        self.handle_all(io, taken)?;
        self.receive(io)
    }

    /// Deals with what is held now, before anything else is decided: what has come in counts, whatever the time is.
    pub(super) async fn settle(&mut self, io: &mut Wire) -> Result<(), End> {
        while let Some(held) = &self.held {
            held.awaited.hurry(held.until <= self.config.clock.now().mono);
            let opened = opened(&mut self.held).await;
            self.go_on(io, opened)?;
            self.handle_events()?;
        }
        Ok(())
    }

    /// Opens frames of one session together where there are several, and large ones with those of other connections. `None`: some are held
    /// for that.
    fn open_ahead(&mut self, arrivals: Vec<Arrival>, may_wait: bool) -> Option<Vec<(Note, Taken)>> {
        let is_large = |arrival: &Arrival| matches!(&arrival.frame, Frame::Payload(payload) if payload.len() >= LARGE);
        let any_large = may_wait && arrivals.iter().any(is_large);
        let mut taken: Vec<_> = arrivals.into_iter().map(|Arrival { frame, note }| (note, Taken::Sealed(frame))).collect();
        if taken.len() < 2 && !any_large {
            return Some(taken);
        }
        for active in &self.draining {
            let (places, frames) = of_session(&mut taken, active.key_id);
            put(&mut taken, places, active.serial, active.session.open_ahead(frames));
        }
        if let Some(active) = &self.session {
            let (places, frames) = of_session(&mut taken, active.key_id);
            let large = frames.iter().filter(|frame| frame.len() >= LARGE).count();
            if !any_large || large == 0 {
                put(&mut taken, places, active.serial, active.session.open_ahead(frames));
                return Some(taken);
            }
            match self.config.opener.bring(active.session.opening(frames), large) {
                Brought::Open(opened) => put(&mut taken, places, active.serial, opened),
                Brought::Waits(awaited) => {
                    let (serial, until) = (active.serial, self.config.clock.now().mono.saturating_add(PATIENCE));
                    self.held = Some(Held { taken, places, serial, awaited, until });
                    return None;
                }
            }
        }
        Some(taken)
    }

    fn handle_all(&mut self, io: &mut Wire, all: Vec<(Note, Taken)>) -> Result<(), End> {
        for (note, taken) in all {
            io.note(note);
            self.handle(io, taken)?;
        }
        Ok(())
    }

    /// Deals with a frame in its turn.
    fn handle(&mut self, io: &mut Wire, taken: Taken) -> Result<(), End> {
        match taken {
            Taken::Sealed(Frame::Payload(payload)) => self.handle_payload(io, payload),
            // Of a session that an earlier frame has ended, it is late.
            Taken::Ahead(serial, _) if self.active(serial).is_none() => Ok(()),
            Taken::Ahead(serial, ahead) => {
                self.hand_over_to(io, serial, |active, now| active.session.handle_opened_ahead(now, ahead))
            }
            Taken::Sealed(Frame::QuickAck(token)) => {
                let mut sessions = self.session.iter_mut().chain(&mut self.draining);
                let about = sessions.find_map(|active| active.session.handle_quick_ack(token).then_some(active));
                tracing::trace!(token, known = about.is_some(), "quick acknowledgement");
                if let Some(active) = about {
                    active.heard = true;
                }
                Ok(())
            }
            Taken::Sealed(Frame::Error(error)) => Err(End::Refused(error)),
        }
    }

    fn handle_payload(&mut self, io: &mut Wire, payload: BytesMut) -> Result<(), End> {
        let key_id = envelope::key_id_of(&payload);
        let serial = match self.serial_of(key_id) {
            Some(serial) => serial,
            None if key_id.is_some_and(|id| self.retired.contains(&id)) => return Ok(()),
            // It says what is wrong.
            None => match &self.session {
                Some(active) => active.serial,
                None => return Ok(()),
            },
        };
        self.hand_over_to(io, serial, |active, now| active.session.handle_input(now, payload))
    }

    /// Gives something that came in to a session.
    fn hand_over_to(
        &mut self,
        io: &mut Wire,
        serial: u64,
        give: impl FnOnce(&mut Active, Now) -> Result<(), SessionError>,
    ) -> Result<(), End> {
        let now = self.config.clock.now();
        if self.active(serial).is_some_and(|active| !active.session.is_ready_for_input()) {
            // Events are taken out and acknowledgements written; if those find no room, the server sends and does not read. Or they wait
            // behind a frame that is being encrypted, and it has sent some thousand messages in that moment.
            self.advance(io)?;
        }
        let Some(active) = self.active(serial) else { return Ok(()) };
        match give(active, now) {
            Ok(()) => {
                active.heard = true;
                if self.pending.is_empty() {
                    self.recovered();
                }
                Ok(())
            }
            Err(SessionError::ApiMisuse(ApiMisuse::NotReady)) => {
                Err(End::Lost("the server sends faster than it reads".to_owned()))
            }
            // A duplicate, for instance: dropped, and reported by the session.
            Err(error) if error.reaction() == Reaction::Ignore => {
                active.heard = true;
                Ok(())
            }
            Err(error) => Err(End::Violation(error.into())),
        }
    }
}

/// Takes out the frames under a key, and says where they were.
fn of_session(taken: &mut [(Note, Taken)], key_id: i64) -> (Vec<usize>, Vec<BytesMut>) {
    let (mut places, mut frames) = (Vec::new(), Vec::new());
    for (place, (_, taken)) in taken.iter_mut().enumerate() {
        if let Taken::Sealed(Frame::Payload(payload)) = taken
            && envelope::key_id_of(payload) == Some(key_id)
        {
            places.push(place);
            frames.push(std::mem::take(payload));
        }
    }
    (places, frames)
}

/// Puts back what came of frames that were taken out.
fn put(taken: &mut [(Note, Taken)], places: Vec<usize>, serial: u64, opened: Vec<OpenedAhead>) {
    for (place, ahead) in places.into_iter().zip(opened) {
        taken[place].1 = Taken::Ahead(serial, ahead);
    }
}

/// Takes frames off the stream, as many as are looked at together. After a large one, what the system has of the next is read at once, and
/// nothing is waited for.
fn take_off(io: &mut Wire) -> (Vec<Arrival>, Rest) {
    let (mut arrivals, mut large, mut bytes) = (Vec::new(), 0, 0);
    while arrivals.len() < io.most_at_once() {
        match io.next_arrival() {
            Ok(Some(arrival)) => {
                if let Frame::Payload(payload) = &arrival.frame {
                    large += usize::from(payload.len() >= LARGE);
                    bytes += payload.len();
                }
                arrivals.push(arrival);
                if large >= TOGETHER || bytes >= MOST_BYTES {
                    return (arrivals, Rest::Some);
                }
            }
            Ok(None) if large > 0 && io.read_more() => {}
            Ok(None) => return (arrivals, Rest::None),
            Err(error) => return (arrivals, Rest::Broken(End::Violation(error))),
        }
    }
    (arrivals, Rest::Some)
}
