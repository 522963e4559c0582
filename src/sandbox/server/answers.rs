//! Who answers: what a protocol server needs from whoever knows what the methods mean. The cluster's services are one; the bridge
//! (`src/bridge/`), which asks another data centre, is the other.

use std::sync::Arc;

use bytes::Bytes;

use super::Shared;
use super::sessions::{Inner, SessionKey, Slot};
use crate::state;
use tdl_core::ids::{DcId, MsgId};
use tdl_core::mtproto::session::KeyDestruction;

/// Answers the calls of all sessions of one server.
///
/// Its functions are called from the tasks that serve sockets, some of them under the session's lock: they must be short.
pub trait Answers: Sized + Send + Sync + 'static {
    /// What is kept beside each session.
    type Calls: Send;

    /// Bytes of answers and updates that a session keeps until the client says that it has them: what is not sent yet must fit, with
    /// room to spare for what may have to be sent again.
    const KEPT_BYTES: usize;

    /// What is kept beside a new session.
    fn calls(key: SessionKey) -> Self::Calls;

    /// A call came in. It ends with an answer of the session's ([`Inner::answer`], [`Inner::refuse`]), now or later.
    fn submit(shared: &Arc<Shared<Self>>, slot: &Arc<Slot<Self>>, msg_id: MsgId, body: Bytes);

    /// The client does not want the answer to a call any more.
    fn cancel(shared: &Arc<Shared<Self>>, slot: &Arc<Slot<Self>>, msg_id: MsgId) {
        let _ = (shared, slot, msg_id);
    }

    /// The client has taken answers: what waited for that may go on.
    fn resume(shared: &Arc<Shared<Self>>, slot: &Arc<Slot<Self>>, inner: &mut Inner<Self>);

    /// Whether so much waits that nothing more should be read.
    fn is_full(inner: &Inner<Self>) -> bool;

    /// Whether something is under way that the session has to be kept for.
    fn is_busy(calls: &Self::Calls) -> bool;

    /// The session has a connection.
    fn attached(calls: &mut Self::Calls) {
        let _ = calls;
    }

    /// The session has a connection no more.
    fn detached(calls: &mut Self::Calls) {
        let _ = calls;
    }

    /// Forgets a key, with everything that hangs on it; of a temporary key that is bound, the permanent one. What its connection still
    /// has to say under it is said; from then on nobody knows it.
    ///
    /// # Errors
    /// The state could not be read or written.
    fn destroy_key(shared: &Arc<Shared<Self>>, dc: DcId, key_id: i64) -> Result<KeyDestruction, state::Error>;
}
