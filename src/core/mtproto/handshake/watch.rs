//! Watching one key exchange, value by value and check by check: for whoever wants to see how it is done.
//!
//! The trace says that a step was taken; a [`Watcher`] is told what was computed and compared on the way. It gets a [`Note`] as each
//! piece of work ends, so the time since the note before is what that piece took: no clock is read here. Secrets come as [`Secret`],
//! which shows nothing of itself unless it is told to.

use std::{fmt, sync::Arc};

use crate::{
    check::{self, Check},
    ids::Salt,
};

use super::{Error, KeyKind, Message};

/// Something that happened in a key exchange. Each note marks the end of what it tells of.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// A message of ours is ready to be sent.
    Sent {
        /// Which.
        message: Message,
        /// The serialized object.
        body: &'a [u8],
        /// The length of the unencrypted message around it, in bytes.
        frame: usize,
    },
    /// A message of the peer's has come in. Nothing of it is checked yet.
    Received {
        /// Which one was to come.
        message: Message,
        /// The serialized object, as it came.
        body: &'a [u8],
        /// The length of the unencrypted message around it, in bytes.
        frame: usize,
    },
    /// The object inside an encrypted part: ours before it is encrypted, or the peer's once it has proved to be authentic.
    Inside {
        /// Which.
        message: Message,
        /// The serialized object.
        body: Secret<'a>,
    },
    /// A computation has ended.
    Computed(Computed<'a>),
    /// A rule was looked after.
    Checked {
        /// The check.
        check: Check,
        /// Whether the peer kept the rule.
        holds: bool,
    },
    /// The exchange is over: there is a key.
    Established {
        /// `auth_key_id`.
        key_id: i64,
        /// The key.
        key: Secret<'a>,
        /// The first salt. It gives away eight bytes of the new nonce to whoever knows the server's nonce, which everybody does.
        salt: &'a Salt,
        /// How long the key lasts.
        kind: KeyKind,
    },
    /// The exchange is over: there is none.
    Failed(&'a Error),
}

/// What was computed.
#[derive(Clone, Copy, Debug)]
pub enum Computed<'a> {
    /// `pq` was split into its factors, the smaller first.
    Factors {
        /// The product.
        pq: u64,
        /// The smaller factor.
        p: u64,
        /// The greater factor.
        q: u64,
    },
    /// One of the keys that the server offers is a key that we trust.
    ServerKey {
        /// Its fingerprint.
        fingerprint: i64,
    },
    /// The nonce that only the two sides know was drawn.
    NewNonce(Secret<'a>),
    /// `p_q_inner_data` was encrypted with RSA_PAD.
    RsaPad {
        /// The length of the object, in bytes.
        data: usize,
        /// The length of the result, in bytes.
        encrypted: usize,
    },
    /// The key under which the rest of the exchange is encrypted was derived from both nonces.
    TmpAes {
        /// `tmp_aes_key`.
        key: Secret<'a>,
        /// `tmp_aes_iv`.
        iv: Secret<'a>,
    },
    /// The server's prime was looked up: one that is known has been tested once and for all.
    Prime {
        /// Whether it is the one that Telegram's servers have always sent.
        known: bool,
    },
    /// The clocks were compared.
    Clock {
        /// The server's, in Unix seconds.
        server: i64,
        /// The server's minus ours, in seconds.
        offset: i64,
    },
    /// Our half of the exchange was made: the secret exponent and what is sent of it.
    Exponent {
        /// `b`.
        b: Secret<'a>,
        /// `g_b`, big-endian.
        g_b: &'a [u8],
    },
    /// The key was computed: `g_a` to the power of `b`.
    AuthKey {
        /// The key.
        key: Secret<'a>,
        /// Its identifier.
        id: i64,
    },
    /// The server wants another `g_b`.
    Retry {
        /// 1 for the first.
        count: u8,
    },
}

/// A value that is shown to nobody who did not ask for it.
#[derive(Clone, Copy)]
pub struct Secret<'a>(&'a [u8]);

impl<'a> Secret<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The value: for a person who asked for secrets by name, and never for a log.
    pub const fn reveal(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Who is told of each step.
///
/// It is called between the steps, so what it does counts among what it measures: it should be quick.
pub trait Watcher: Send + Sync {
    /// Takes one note.
    fn note(&self, note: &Note<'_>);
}

/// The handle through which an exchange is watched. Nobody, as a rule: that costs one branch a note.
#[derive(Clone, Default)]
pub struct Watch(Option<Arc<dyn Watcher>>);

impl Watch {
    /// Nobody watches.
    pub const fn off() -> Self {
        Self(None)
    }

    /// `watcher` does.
    pub fn new(watcher: Arc<dyn Watcher>) -> Self {
        Self(Some(watcher))
    }

    /// Passes a note on. When nobody watches, `build` is not called.
    pub(super) fn note<'a>(&self, build: impl FnOnce() -> Note<'a>) {
        if let Some(watcher) = &self.0 {
            watcher.note(&build());
        }
    }

    /// As [`Self::note`], for what was computed.
    pub(super) fn computed<'a>(&self, build: impl FnOnce() -> Computed<'a>) {
        self.note(|| Note::Computed(build()));
    }

    /// Whether a rule is broken and its check in force, and the note that says so.
    pub(super) fn broken(&self, check: Check, broken: bool) -> bool {
        self.note(|| Note::Checked { check, holds: !broken });
        check::broken(check, broken)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watch(on)" } else { "Watch(off)" })
    }
}
