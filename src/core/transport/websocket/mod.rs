//! WebSocket (RFC 6455), as far as it carries an obfuscated transport ("Transports", WebSocket).
//!
//! "All data received and sent through WebSocket messages is to be treated as a single duplex stream of bytes": the borders of messages
//! mean nothing, and what is inside is one of the transports of [`super::Codec`], obfuscated.
//!
//! ```text
//!  0               1               2               3
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| code  |M| len: 7      | len: 16 or 64, if 7 say so    |   client to server: M, and the payload is
//! +-+-+-+-+-------+-+-------------+-------------------------------+   XORed with the mask, over and over
//! | mask: 32, if M                | payload                       |   server to client: no mask
//! +-------------------------------+-------------------------------+
//! ```
//!
//! * [`ClientHandshake`], [`ServerHandshake`]: the upgrade, which yields a [`Codec`].
//! * [`Codec`]: one end of a connection after it.
//! * [`error`]: [`Error`], one variant for each rule.
//!
//! A library of the kind would sit on a blocking stream of its own, or bring a runtime: this is bytes in and bytes out, as all of this
//! floor, and holds no more than a control frame back.

mod codec;
pub mod error;
mod handshake;
#[cfg(test)]
mod tests;

pub use codec::{CloseCode, Codec, Event};
pub use error::Error;
pub use handshake::{ClientHandshake, ServerHandshake};
pub(super) use handshake::{Listener, Upgrade};

use super::MAX_FRAME;

/// Where clients connect, at the production servers and at a local cluster.
pub const PATH: &str = "/apiws";

/// The same at the public test servers.
pub const TEST_PATH: &str = "/apiws_test";

/// Paths that a server takes.
const SERVED: [&str; 4] = [PATH, TEST_PATH, "/apiws_premium", "/apiws_test_premium"];

/// The subprotocol that both sides name.
const SUBPROTOCOL: &str = "binary";

/// The longest payload of one message that is taken, in bytes. It is passed on as it comes, so this bounds no memory, only nonsense.
pub const MAX_MESSAGE: u64 = MAX_FRAME as u64 * 2;
