//! One module a target, each with `run`, which must neither panic nor hang on any bytes and asserts what must hold for all of them,
//! and `seeds`, small inputs to start from.

pub mod backup;
pub mod binding;
pub mod capture_file;
pub mod capture_talk;
pub mod chat_export;
pub mod container;
pub mod detector;
pub mod dh_group;
pub mod envelope;
pub mod fake_tls_client;
pub mod fake_tls_server;
pub mod foreign_string;
pub mod foreign_tdata;
pub mod gzip;
pub mod handshake_client;
pub mod handshake_server;
pub mod http;
pub mod http_connect;
pub mod keylog;
pub mod media_file;
pub mod plain;
pub mod proxy_url;
pub mod recording;
pub mod rsa_pem;
pub mod serve_request;
pub mod session_client;
pub mod session_server;
pub mod socks5;
pub mod tl_json;
pub mod tl_object;
pub mod tl_schema;
pub mod tl_translate;
pub mod transport_decode;
pub mod websocket;
pub mod wrappers;

mod capture;
mod exchange;
mod foreign;
mod input;
mod session;
mod stream;

/// A target and what to start it with.
pub struct Target {
    /// Its name, and that of its directory in `fuzz/corpus`.
    pub name: &'static str,
    /// Runs one input.
    pub run: fn(&[u8]),
    /// Inputs to start from, by file name.
    pub seeds: fn() -> Vec<Seed>,
    /// How many places of each seed `cargo test` cuts and flips: fewer where one run takes milliseconds.
    pub probes: usize,
}

/// A file of a seed corpus.
pub type Seed = (String, Vec<u8>);

macro_rules! targets {
    ($($name:ident, $probes:literal;)*) => {
        /// Every target.
        pub const ALL: &[Target] =
            &[$(Target { name: stringify!($name), run: $name::run, seeds: $name::seeds, probes: $probes }),*];
    };
}

targets! {
    backup, 64;
    binding, 64;
    capture_file, 64;
    capture_talk, 32;
    chat_export, 64;
    container, 64;
    detector, 64;
    dh_group, 8;
    envelope, 64;
    fake_tls_client, 16;
    fake_tls_server, 16;
    foreign_string, 16;
    foreign_tdata, 32;
    gzip, 64;
    handshake_client, 1;
    handshake_server, 1;
    http, 64;
    http_connect, 64;
    keylog, 64;
    media_file, 64;
    plain, 64;
    proxy_url, 64;
    recording, 16;
    rsa_pem, 64;
    serve_request, 64;
    session_client, 64;
    session_server, 64;
    socks5, 64;
    tl_json, 64;
    tl_object, 64;
    tl_schema, 64;
    tl_translate, 64;
    transport_decode, 64;
    websocket, 64;
    wrappers, 64;
}
