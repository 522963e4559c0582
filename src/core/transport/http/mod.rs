//! The HTTP transport ("Transports", HTTP): each payload is the body of a `POST`, or of the answer to one.
//!
//! ```text
//! POST /api HTTP/1.1            HTTP/1.1 200 OK                 HTTP/1.1 404 Not Found
//! Host: …                       Content-Type: …                 Content-Type: …
//! Connection: keep-alive        Content-Length: 72              Content-Length: 0
//! Content-Length: 104
//!
//! <payload>                     <payload>                       in place of transport error 404
//! ```
//!
//! A server speaks only when it was asked: it answers requests in the order in which they came, each once, and holds an answer back
//! until it has something to say (long poll; how long, the client says in `http_wait`, which is the session's business). There is
//! neither obfuscation nor quick acknowledgement here.
//!
//! * [`Client`], [`Server`]: the two ends of one connection.
//! * [`error`]: [`Error`], one variant for each rule.
//! * `head`: the lines in front of a body. WebSocket's upgrade begins with the same.
//!
//! What is read is the part of HTTP/1.1 (RFC 9112) that these messages need. Chunked bodies are refused: the page demands
//! `Content-Length`.

mod client;
pub mod error;
pub(super) mod head;
mod server;
#[cfg(test)]
mod tests;

pub use client::{Answer, Client};
pub use error::Error;
pub(super) use server::reason;
pub use server::{Request, Server};

/// The longest head that is read, in bytes: first line, fields and the empty line.
pub const MAX_HEAD: usize = 8 << 10;

/// The most fields that a head may have.
pub const MAX_FIELDS: usize = 64;

/// Where clients post, at the production servers and at a local cluster.
pub const PATH: &str = "/api";

/// The same at the public test servers.
pub const TEST_PATH: &str = "/api_test";

/// Where clients post inside TLS: at the names of the web, which are there for browsers.
pub const TLS_PATH: &str = "/apiw1";

/// The same at the public test servers.
pub const TLS_TEST_PATH: &str = "/apiw_test1";

/// Paths that a server takes: with `w` for browsers, `1` for what they call it today, `_test` for the test servers.
const SERVED: [&str; 6] = [PATH, TEST_PATH, "/apiw", "/apiw_test", TLS_PATH, TLS_TEST_PATH];

/// The body of a message that is coming in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Body {
    len: usize,
    /// No further message follows on this connection.
    last: bool,
}
