//! The protocol core, sans-IO, for both roles.
//!
//! Bytes, clock readings and random bytes come in as arguments; bytes, deadlines and events go out.
//!
//! * [`plain`]: unencrypted messages, which carry the key exchange.
//! * [`handshake`]: the key exchange itself, a state machine for each role.
//! * [`binding`]: the message that binds a temporary key to the permanent one.
//! * [`envelope`]: encrypted messages: sealing, and opening with every check that needs no memory of earlier messages.
//! * [`session`]: what has memory: requests and answers, acknowledgements, salts, time, whatever happens to the connections.
//! * [`msg_id`], [`time`]: message identifiers, the filter against duplicates, the server's clock.
//! * [`container`], [`gzip`], [`rpc_error`]: what they are called on the wire. [`wrappers`]: generic methods around a method.

pub mod binding;
pub mod container;
pub mod envelope;
pub mod gzip;
pub mod handshake;
pub mod msg_id;
pub mod plain;
pub mod rpc_error;
pub mod session;
pub mod time;
pub mod wrappers;
