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
