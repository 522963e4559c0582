//! `tdl`: a from-scratch MTProto client, as a library.
//!
//! The modules are floors: each may use those above it in this list and none below. Up to `mtproto` (and `sim`) nothing opens a socket,
//! reads a clock or draws a random number by itself: bytes, clock readings and random sources are arguments. The floors up to `sandbox` are
//! packages of their own, shown here under one name.

#[doc(inline)]
pub use tdl_core::{check, clock, crypto, ids, mtproto, trace, transport};
#[doc(inline)]
pub use tdl_tl as tl;

#[cfg(feature = "archive")]
#[doc(inline)]
pub use tdl_seal as seal;

#[cfg(feature = "sim")]
#[doc(inline)]
pub use tdl_core::sim;

#[cfg(feature = "net")]
#[doc(inline)]
pub use tdl_net as net;

#[cfg(feature = "net")]
pub mod client;

#[cfg(feature = "sandbox")]
#[doc(inline)]
pub use tdl_sandbox as sandbox;

#[cfg(feature = "store")]
pub mod store;

#[cfg(feature = "store")]
pub mod account;
#[cfg(feature = "store")]
pub mod chat;
#[cfg(feature = "store")]
pub mod transfer;

#[cfg(feature = "serve")]
pub mod serve;

#[cfg(feature = "debug")]
#[doc(inline)]
pub use tdl_debug as debug;

#[cfg(feature = "bridge")]
pub mod bridge;
