//! Programs that others wrote, run against ours: one module a subject, one program for all, as with `cli.rs`.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

#[path = "interop/chat.rs"]
mod chat;
#[path = "interop/support.rs"]
mod peers;
#[path = "support/proxies.rs"]
#[allow(dead_code, reason = "the parts of it that another test uses")]
mod proxy_servers;
mod support;

#[path = "interop_album.rs"]
mod album;
#[path = "capture.rs"]
mod capture;
#[path = "interop_isolation.rs"]
mod isolation;
#[path = "interop_layers.rs"]
mod layers;
#[path = "interop_mtproto.rs"]
mod mtproto;
#[path = "interop_others.rs"]
mod others;
#[path = "interop_proxies.rs"]
mod proxies;
#[path = "interop_sessions.rs"]
mod sessions;
#[path = "interop_telethon.rs"]
mod telethon;
