//! What may happen to a call before a service sees it. The cluster's own policy lets everything through; tests bring theirs.

use std::fmt;

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
}

/// Lets everything pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Policy for Open {}
