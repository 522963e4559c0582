//! Is anything in conflict? What can be seen of an authorization from here, and what follows from it.
//!
//! | module | subject |
//! |---|---|
//! | `evidence` | what was seen, as plain values |
//! | `witness` | an observer of the protocol that counts what matters here |
//! | `gather` | sees: asks the server, pings under each key, listens for a while |
//! | `diagnose` | what follows: a pure function of the evidence |
//! | `finding` | each thing that may follow: its numbers, what it means, what to do |
//! | `fix` | what the tool can do about it itself |
//!
//! Two rules of the servers stand behind most of it. They keep *one* device record and *one* layer for each auth key: the last
//! introduction wins. And they push updates to one session of each key, the one that called last. So another program on our key shows in
//! three places: in a record that is not what we said, in updates that are in the difference and were never pushed, and in sessions
//! and sequence numbers that are not ours. Whoever looks must not cover the traces: the client that gathers evidence does not introduce
//! itself ([`Introduction::Silent`](crate::client::Introduction)), and asks for updates only where it is to listen.

mod diagnose;
mod evidence;
mod finding;
mod fix;
mod gather;
mod witness;

pub use diagnose::{CLOCK_LIMIT, STALE_DAYS, diagnose};
pub use evidence::{Evidence, KeyEvidence, KeyState, Protocol, Sample, TempEvidence, WatchEvidence};
pub use finding::{Difference, Finding, Severity};
pub use fix::{Fix, FixError};
pub use gather::{Plan, gather, own_address};
pub use witness::Witness;

#[cfg(test)]
mod tests;

/// A number of things, as people write it: "1 key", "2 keys".
fn counted(n: impl std::fmt::Display, what: &str) -> String {
    let n = n.to_string();
    let plural = if n == "1" { "" } else { "s" };
    format!("{n} {what}{plural}")
}
