//! Updates: as they come in, and put in order ("Working with Updates", <https://core.telegram.org/api/updates>).
//!
//! | module | subject |
//! |---|---|
//! | `incoming` | updates as they come in, for a listener that keeps its own state |
//! | `state` | how far an account has been followed: what is stored |
//! | `place` | where an update belongs: which counter, which stretch of it |
//! | `engine` | the state machine: what comes in, what is to be asked. No clock and no socket of its own |
//! | `counter` | one counter of the engine's: gaps in front of what came, and questions that failed |
//! | `order` | what the engine does with an update: tell it, hold it, drop it |
//! | `long` | the long forms of updates that the server abbreviates |
//! | `difference` | what the engine makes of the server's answers about what was missed |
//! | `feed` | the engine around a client: asks what it wants asked, stores how far it is |

mod counter;
mod difference;
mod engine;
mod feed;
mod incoming;
mod long;
mod order;
mod place;
mod state;
#[cfg(test)]
mod tests;

pub use difference::NoProgress;
pub use engine::{Engine, Request, UpdateEvent};
pub use feed::{Batch, Feed, FeedError, Start};
pub(super) use incoming::UPDATES;
pub use incoming::{UpdateItem, Updates};
pub use state::UpdateState;
