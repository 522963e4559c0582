//! Sockets around the core.
//!
//! | module | subject |
//! |---|---|
//! | `backoff` | how long to wait before the next attempt |
//! | `bind` | a temporary key over a fresh connection: made and bound |
//! | `clock` | the clock reading that the core is given |
//! | `dial` | making a connection |
//! | `driver` | the task behind a connection |
//! | `error` | why there is none, or no answer |
//! | `exchange` | the key exchange over a fresh connection |
//! | `http` | HTTP's requests over several connections |
//! | `host` | what a connection needs from the floor above |
//! | `io` | stream, codec and buffers |
//! | `key` | a DC's auth key, as its connections share it |
//! | `link` | a connection, as its users see it |
//! | `opener` | where connections open large messages together |
//! | `order` | requests that the server is to do one after the other |
//! | `probe` | a connection of its own, for looking at a DC |
//! | `sealer` | where connections encrypt large messages together |
//! | `temp` | the temporary key of one kind of connection |
//! | `proxy` | dialling through a proxy |
//! | `tls` | TLS around a stream |
//! | `race` | several addresses at once, and which of them were good |
//! | `websocket` | WebSocket as a byte stream |
//! | `wire` | what carries the frames: a stream, or HTTP |

mod backoff;
mod bind;
mod clock;
mod dial;
mod driver;
mod error;
mod exchange;
mod host;
mod http;
mod io;
mod key;
mod link;
mod opener;
mod order;
mod probe;
mod proxy;
mod race;
mod sealer;
mod temp;
pub mod tls;
pub mod websocket;
mod wire;

pub use backoff::Backoff;
pub use clock::Clock;
pub use dial::{DialFuture, Dialer, Stream, TcpDialer, dial};
pub use driver::next_connection;
pub use error::{DialError, DialFailure, NetError, ProtocolError, RequestError};
pub use host::{Host, HostError, KeyVerdict, Status};
pub use key::{KeyMaterial, KeySlot};
pub use link::{Link, LinkConfig, Outgoing, Pfs, Prelude, Submitted};
pub use opener::{Arriving, Opener};
pub use order::{Order, Place};
pub use probe::{Probe, ProbeError};
pub use proxy::{FakeTls, ProxyDialer, ProxyError};
pub use race::{DialMemory, HEAD_START, Remembering};
pub use sealer::Sealer;
pub use temp::{KeyUse, PfsPolicy, TempMaterial, TempSlot};
pub use tls::{TlsDialer, TlsError, TlsRootError, TlsTrust, is_certifiable};
