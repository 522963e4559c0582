//! The binary, as a person or a script meets it: one module a subject. They are one program because each would be linked with the whole
//! of `tdl` again; `cargo test --test cli basics::` runs one of them.

#![cfg(feature = "cli")]

mod support;

#[path = "cli_basics.rs"]
mod basics;
#[path = "cli_bridge.rs"]
mod bridge;
#[path = "cli_call.rs"]
mod call;
#[path = "cli_dc.rs"]
mod dc;
#[path = "cli_demo.rs"]
mod demo;
#[path = "documents.rs"]
mod documents;
#[path = "cli_download.rs"]
mod download;
#[path = "cli_download_which.rs"]
mod download_which;
#[path = "cli_isolation.rs"]
mod isolation;
#[path = "cli_layers.rs"]
mod layers;
#[path = "cli_login.rs"]
mod login;
#[path = "cli_login_killed.rs"]
mod login_killed;
#[path = "cli_ns.rs"]
mod ns;
#[path = "cli_pfs.rs"]
mod pfs;
#[path = "cli_sandbox_accounts.rs"]
mod sandbox_accounts;
#[path = "cli_serve.rs"]
mod serve;
#[path = "cli_session.rs"]
mod session;
#[path = "cli_session_formats.rs"]
mod session_formats;
#[path = "cli_store.rs"]
mod store;
#[path = "cli_tl.rs"]
mod tl;
#[path = "cli_trace.rs"]
mod trace;
#[path = "cli_transfer.rs"]
mod transfer;
#[path = "transfer_faults.rs"]
mod transfer_faults;
#[path = "cli_two.rs"]
mod two;
#[path = "cli_upload.rs"]
mod upload;
#[path = "cli_upload_media.rs"]
mod upload_media;
#[path = "cli_watch.rs"]
mod watch;
