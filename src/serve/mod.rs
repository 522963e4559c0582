//! Files of messages over HTTP/1.1, for whatever plays, resumes or fetches in many pieces: floor 8, above [`transfer`](crate::transfer).
//!
//! * [`range`], [`conditional`]: what a request may ask for, as pure functions (RFC 9110).
//! * [`path`]: which file of which message a path names.
//! * [`access`]: the token, the names, and where one may listen.
//! * [`mod@file`]: what the head of an answer says about a file.
//! * [`source`]: where bytes come from; [`shelf`]: where files are found.
//! * [`telegram`]: both of them for a client that is logged in.
//! * [`server`]: the listener and its limits.
//!
//! hyper does the heads and the framing. What is read ahead is bounded for each request and for all of them together (`budget`), and a read
//! ends with the future that waits for it, so a client that hangs up costs nothing any more.

pub mod access;
mod body;
mod budget;
pub mod conditional;
pub mod file;
mod pages;
pub mod path;
mod patient;
pub mod range;
mod respond;
pub mod server;
pub mod shelf;
pub mod source;
pub mod telegram;

pub use respond::{Answered, Observer};
pub use server::{Config, Limits, ServeError, Server};

#[cfg(test)]
mod tests;
