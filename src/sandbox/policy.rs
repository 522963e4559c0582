//! What may happen to a call before a service sees it. The cluster's own policy lets everything through; tests bring theirs.

use std::fmt;
use std::time::Duration;

use super::fault::Fault;

/// The call that a policy is asked about.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallInfo {
    /// The DC that was asked.
    pub dc: i32,
    /// The account that is logged in.
    pub user: Option<i64>,
    /// The method's constructor id, without the wrappers around it.
    pub method: u32,
    /// Its name, `upload.getFile`.
    pub name: &'static str,
}

/// What happens to a call besides, or instead of, its being answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Disturbance {
    /// It is refused; nothing that stands behind this happens.
    Refuse(Fault),
    /// Its session's calls wait for so long; those with file contents only for themselves.
    Delay(Duration),
    /// Its connection is closed before the answer is written. The answer waits for the session's next connection.
    Close,
    /// Its connection is closed in the middle of the answer, which waits for the session's next connection.
    Cut,
    /// A bit of what it brings is another: of a range of a file, of the hashes of one.
    Corrupt,
    /// Of the range of a file that it brings, half is missing.
    Shorten,
    /// It is answered as if it had been done, or the CDN DC has the file no more: a part of an upload is not kept.
    Forget,
    /// The references of the file that it is about have expired, those that were given out until now.
    Expire,
    /// The file that it is about is kept by another DC from now on: by this one, or by the next.
    Relocate(Option<i32>),
    /// It is not done, and never answered; nothing that stands behind this happens.
    Silence,
    /// After it, the salts that the session's client knows are not good any more.
    WrongSalt,
    /// The key that it came under is forgotten, and the client is told that nobody knows it; nothing that stands behind this happens.
    LoseKey,
}

/// Decides about calls. Called on the threads that run services, so it must not block for long.
pub trait Policy: Send + Sync + fmt::Debug {
    /// Lets a call pass, or says how it is refused.
    ///
    /// # Errors
    /// What the caller is answered instead.
    fn before(&self, call: &CallInfo) -> Result<(), Fault> {
        let _ = call;
        Ok(())
    }

    /// What happens to a call, in this order. Asked before anything is known about the call but its method, so also for methods that the
    /// cluster does not have.
    fn disturb(&self, call: &CallInfo) -> Vec<Disturbance> {
        let _ = call;
        Vec::new()
    }
}

/// Lets everything pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Policy for Open {}

/// What goes wrong inside a call: its service sees to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mishaps {
    /// [`Disturbance::Corrupt`].
    pub(crate) corrupt: bool,
    /// [`Disturbance::Shorten`].
    pub(crate) shorten: bool,
    /// [`Disturbance::Forget`].
    pub(crate) forget: bool,
    /// [`Disturbance::Expire`].
    pub(crate) expire: bool,
    /// [`Disturbance::Relocate`].
    pub(crate) relocate: Option<Option<i32>>,
}
