//! Typed calls: negotiation, data centres, migration, flood waits.
//!
//! | module | subject |
//! |---|---|
//! | `cdn` | content-delivery DCs: where they are, their keys, connections without a login |
//! | `config` | what a client is told |
//! | `dcs` | addresses and RSA keys: built in, or a `cluster.json` |
//! | `device` | device profile and layer plan |
//! | `error` | why a call failed |
//! | `handle` | [`Client`] and [`Media`], as their users see them |
//! | `inner` | data centres, their connections, the loop around a request |
//! | `interpreter` | between the layer of the generated types and the negotiated one |
//! | `notice` | what a person should hear of meanwhile |
//! | `persistence` | what is remembered between runs |
//! | `policy` | what follows from an error answer |
//! | `probe` | looking at a DC: connections that serve nothing else |
//! | `rpc_errors` | what errors mean, for people |
//! | `shared` | state that outlives any connection |
//! | `system` | what can be said truthfully of the machine |
//! | `updates` | updates: as they come in, and in order |
//! | `way` | how connections get to the DCs: directly, or through a proxy |

mod cdn;
mod config;
mod dcs;
mod device;
mod error;
mod handle;
mod inner;
mod interpreter;
mod notice;
mod ordered;
mod part;
mod persistence;
mod policy;
mod probe;
mod rpc_errors;
mod shared;
mod system;
#[cfg(test)]
pub(crate) mod tests;
mod updates;
mod way;

pub use config::ClientConfig;
pub use dcs::{DcAddress, DcTable, DcTableError};
pub use device::{COMPILED_LAYER, DeviceProfile, DeviceProfileError, Introduction, LayerPlan};
pub use error::{InvokeError, Unauthorized};
#[cfg(all(test, feature = "sandbox"))]
pub(crate) use handle::Surroundings;
pub use handle::{Client, Media};
pub use notice::Notice;
pub use ordered::Ordered;
pub use persistence::{
    AccountRecord, AuthKey, DcAuth, EndedRecord, Identity, MemoryPersistence, PeerKind, PeerRecord, Persistence,
    PersistenceError, SaltRecord, TempAuth,
};
pub use probe::ping_key;
pub use rpc_errors::{Explanation, explain};
pub use updates::{Batch, Engine, Feed, FeedError, NoProgress, Request, Start, UpdateEvent, UpdateItem, UpdateState, Updates};

pub use crate::mtproto::rpc_error::RpcError;
pub use crate::net::{KeyMaterial, KeyUse, NetError, PfsPolicy, Probe, ProbeError, ProtocolError, TlsRootError, TlsTrust};
