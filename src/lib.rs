//! `tdl`: a from-scratch MTProto client, as a library.
//!
//! The modules are floors: each may use those above it in this list and none below. Up to `mtproto` (and `sim`) nothing opens a socket,
//! reads a clock or draws a random number by itself: bytes, clock readings and random sources are arguments.

pub mod check;
pub mod clock;
pub mod ids;

pub mod crypto;
#[doc(inline)]
pub use tdl_tl as tl;

#[cfg(feature = "archive")]
pub mod seal;
#[cfg(feature = "archive")]
pub mod archive;

pub mod trace;
pub mod transport;

pub mod mtproto;

#[cfg(any(test, feature = "sim"))]
pub mod sim;

#[cfg(feature = "net")]
pub mod net;

#[cfg(feature = "net")]
pub mod client;

#[cfg(feature = "sandbox")]
pub mod sandbox;

#[cfg(feature = "store")]
pub mod store;

#[cfg(feature = "store")]
pub mod account;
#[cfg(feature = "store")]
pub mod chat;
#[cfg(feature = "store")]
pub mod transfer;

#[cfg(feature = "debug")]
pub mod debug;
