//! MTProto without sockets, files or clocks: floors 0 to 4 of `tdl`, which shows them under its own name.
//!
//! The modules are floors: each may use those above it in this list and none below. Nothing opens a socket, reads a clock or draws a
//! random number by itself: bytes, clock readings and random sources are arguments.

pub mod check;
pub mod clock;
pub mod ids;

pub mod crypto;
#[doc(inline)]
pub use tdl_tl as tl;

pub mod trace;
pub mod transport;

pub mod mtproto;

#[cfg(any(test, feature = "sim"))]
pub mod sim;
