//! Frames whose envelopes are opened before their turn: several side by side, of one session or of several, which is faster than one by one.
//! What is in them is looked at in turn, as if they had been opened then.

use bytes::{Bytes, BytesMut};

use super::recording::outcome;
use super::{Session, SessionError};
use crate::{
    clock::Now,
    crypto::AuthKey,
    mtproto::envelope::{self, EnvelopeError, Opened, Side},
    trace::call::Call,
};

/// A frame whose envelope was opened before its turn: see [`Session::open_ahead`].
#[derive(Debug)]
pub struct OpenedAhead {
    /// The frame as it came in, for a recording.
    sealed: Option<Bytes>,
    len: usize,
    key_id: i64,
    outcome: Result<(Opened, u32), EnvelopeError>,
}

/// Frames of one session that are to be opened together with those of others: see [`Session::opening`].
#[derive(Debug)]
pub struct Opening {
    auth_key: AuthKey,
    writer: Side,
    /// Whether a recording wants them as they came in.
    kept: bool,
    frames: Vec<BytesMut>,
}

impl Opening {
    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Opens all frames of all of them, side by side. Of each what came of its frames, in their order.
    pub fn open_all(openings: Vec<Self>) -> Vec<Vec<OpenedAhead>> {
        let (mut about, mut messages, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for (whose, Self { auth_key, writer, kept, frames }) in openings.into_iter().enumerate() {
            keys.push(auth_key);
            for frame in frames {
                let sealed = kept.then(|| Bytes::copy_from_slice(&frame));
                about.push((whose, sealed, frame.len(), envelope::key_id_of(&frame).unwrap_or(0)));
                messages.push((whose, writer, frame));
            }
        }
        let mut opened: Vec<_> = keys.iter().map(|_| Vec::new()).collect();
        let messages = messages.into_iter().map(|(whose, writer, frame)| (&keys[whose], writer, frame)).collect();
        for ((whose, sealed, len, key_id), outcome) in about.into_iter().zip(envelope::open_each(messages)) {
            opened[whose].push(OpenedAhead { sealed, len, key_id, outcome });
        }
        opened
    }
}

impl Session {
    /// Frames that have come in for this session, to be opened together with those of others. Nothing else happens: give what comes of each
    /// to [`handle_opened_ahead`](Self::handle_opened_ahead) in its turn.
    pub fn opening(&self, frames: Vec<BytesMut>) -> Opening {
        let (auth_key, writer) = (self.core.auth_key.clone(), self.core.side.peer());
        Opening { auth_key, writer, kept: self.recorder.is_some(), frames }
    }

    /// Opens the envelopes of frames that have come in together: see [`opening`](Self::opening).
    pub fn open_ahead(&self, frames: Vec<BytesMut>) -> Vec<OpenedAhead> {
        Opening::open_all(vec![self.opening(frames)]).pop().unwrap_or_default()
    }

    /// Takes one encrypted message whose envelope this session has opened already. All is as if
    /// [`handle_input`](Self::handle_input) were given the frame now, in the trace and in recordings as well.
    ///
    /// # Errors
    ///
    /// As [`handle_input`](Self::handle_input).
    pub fn handle_opened_ahead(&mut self, now: Now, ahead: OpenedAhead) -> Result<(), SessionError> {
        let OpenedAhead { sealed, len, key_id, outcome } = ahead;
        let call = self.recorder.is_some().then(|| Call::Input { frame: sealed.unwrap_or_default() });
        self.recorded(now, call, |session| session.take_in(now, len, key_id, outcome), outcome::taken)
    }
}
