//! A local cluster of data centres: the real protocol through the same floors, in the server's role.
//!
//! Four layers, and a proxy:
//!
//! | where | what |
//! |---|---|
//! | `server/` | the protocol: accepting, one task a connection, sessions that outlive connections, pushing updates |
//! | `dispatch`, [`policy`] | from a call's bytes to a service: wrappers, constructor ids, who may call what where |
//! | [`layers`] | from each client's layer to that of the services, and back |
//! | `services/` | what the methods do, one file per area of the API |
//! | [`cluster`] | several DCs on top of one state |
//! | [`operator`] | accounts, bots and messages made from outside; [`delivery`]: how login codes travel |
//! | [`identity`] | the certificate that the DCs show inside TLS |
//! | [`mtproxy`] | a proxy in front of them, if a test wants one |
//!
//! Underneath, `state/` is what the cluster remembers (SQLite and a directory of files), [`fault`] the errors it answers with.
//!
//! What differs from the real servers, on purpose: nothing but loopback is listened on; no code is sent anywhere, neither to a
//! phone nor to an email address (it follows from the number: [`delivery`]); accounts are Premium unless told otherwise, so that files of more than 2000 MiB can be tried; the CDN DC, if
//! there is one, is given every document of some size; photos are kept
//! as they came, in one size; nothing survives the machine's losing power in the last moments, only the process's death. Groups,
//! channels, secret chats and Telegram Passport are not here: their methods are answered with a typed error and logged.
//!
//! Of the ways in, these differ: nobody is made to wait for having given a wrong code or password too often, nor for asking for the next
//! code too early; an application's id and hash are not looked at; an authorization that is made of a login token is in the account's list
//! when its client has claimed it, not when it was accepted; a login address that was lost is forgotten at once. Bots log in and write, also
//! to people who have not written to them; methods that are for bots only are refused to people and not answered otherwise.

pub mod cluster;
pub mod control;
pub mod delivery;
pub mod dispatch;
pub mod fault;
pub mod faults;
pub mod identity;
mod image;
pub mod layers;
pub mod mtproxy;
pub mod operator;
pub mod policy;
pub mod server;
mod services;
pub mod state;
pub mod tally;

#[cfg(test)]
mod tests;

pub use cluster::{Cluster, Config, Dc};
pub use control::{Command, Reply};
pub use fault::Fault;
pub use faults::{Chance, FaultEffect, FaultRule};
pub use policy::{Disturbance, Policy};
pub use services::{Cdn, Rules};
pub use state::authorizations::Standing;
