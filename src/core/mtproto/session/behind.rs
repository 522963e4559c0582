//! Frames that are encrypted behind their turn: several side by side, of one session or of several, which is faster than one by one. What
//! is in them, and what they are called, is settled before: they are as if they had been encrypted then.

use bytes::BytesMut;

use super::{Frame, Role, Session};
use crate::{
    clock::Now,
    crypto::AuthKey,
    mtproto::envelope::{self, Side},
    trace::Layer,
};

/// A frame that is to be encrypted, and then to be written: see [`Session::poll_output_large`].
pub struct Unsealed {
    auth_key: AuthKey,
    writer: Side,
    frame: BytesMut,
}

/// It holds plaintext: only its length is printed.
impl std::fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unsealed").field("len", &self.len()).finish()
    }
}

impl Unsealed {
    /// Bytes of the frame, before as after.
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// Whether there are none: never so.
    pub fn is_empty(&self) -> bool {
        self.frame.is_empty()
    }

    /// Encrypts it.
    pub fn seal(self) -> BytesMut {
        envelope::seal_composed(&self.auth_key, self.writer, self.frame).0
    }

    /// Encrypts all of them, side by side. The frames, in their order.
    pub fn seal_all(all: Vec<Self>) -> Vec<BytesMut> {
        let (keys, frames): (Vec<_>, Vec<_>) = all.into_iter().map(|one| (one.auth_key, (one.writer, one.frame))).unzip();
        let messages = keys.iter().zip(frames).map(|(key, (writer, frame))| (key, writer, frame)).collect();
        envelope::seal_each(messages).into_iter().map(|(frame, _)| frame).collect()
    }
}

/// A frame to write.
#[derive(Debug)]
pub enum Output {
    /// As it is.
    Sealed(BytesMut),
    /// Once it is encrypted.
    Unsealed(Unsealed),
}

impl Session {
    /// As [`poll_output`](Self::poll_output), but a frame of `large` bytes or more comes out before it is encrypted, so that it can be
    /// encrypted together with those of other sessions. Write it before whatever comes out after it.
    ///
    /// Those whose encryption somebody wants to know of come out encrypted all the same: in a trace, in a recording, or because they are to
    /// be acknowledged quickly, by a token that is computed then.
    pub fn poll_output_large(&mut self, now: Now, large: usize) -> Option<Output> {
        if self.recorder.is_some() || self.core.tracer.wants(Layer::Crypto) {
            return self.poll_output(now).map(Output::Sealed);
        }
        let frame = self.collect_next(now)?;
        if frame.len() < large || !frame.quick.is_empty() {
            return Some(Output::Sealed(self.seal(now, frame)));
        }
        Some(Output::Unsealed(self.compose(now, frame)))
    }

    fn compose(&mut self, now: Now, frame: Frame) -> Unsealed {
        self.core.hurry = true;
        self.wants_quick_ack = false;
        let (frame, ..) = self.core.compose(now, frame);
        if let Role::Client(client) = &mut self.role {
            client.wrote(frame.len());
        }
        Unsealed { auth_key: self.core.auth_key.clone(), writer: self.core.side, frame }
    }
}
