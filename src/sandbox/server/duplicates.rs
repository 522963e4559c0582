//! One key, two addresses: an authorization that is used from both at once is ended.
//!
//! At once means: two sessions of the key have open connections, from different addresses, and both have called something over them. A
//! session that moves to another address takes its one connection along, so it is never in two places. The address is that of the
//! peer, without its port: behind one proxy everybody has the same.

use std::sync::Arc;

use super::sessions::Slot;
use super::work::{self, Services};
use crate::fault::Fault;
use crate::state::keys::{self, Auth};

/// Whether a session may make its call. If its authorization is seen in two places, it is ended, and all of its sessions are told so with
/// the next thing that they ask; afterwards the key is one that nobody is logged in with.
pub(super) fn check(shared: &super::Shared<Services>, slot: &Arc<Slot<Services>>, auth: &Auth) -> Result<(), Fault> {
    let address = {
        let mut inner = slot.lock();
        if std::mem::take(&mut inner.calls.duplicated) {
            return Err(Fault::AuthKeyDuplicated);
        }
        inner.address()
    };
    let (Some(address), Some(_), true) = (address, auth.user, shared.answers.settings.rules.duplicates) else { return Ok(()) };
    let mut siblings = shared.sessions.all();
    siblings.retain(|other| {
        let inner = other.lock();
        !Arc::ptr_eq(other, slot) && other.key.dc == auth.dc && inner.calls.behind == auth.key_id && inner.calls.used
    });
    let elsewhere = |other: &Arc<Slot<Services>>| other.lock().address().is_some_and(|other| other != address);
    if !siblings.iter().any(elsewhere) {
        return Ok(());
    }
    tracing::info!(dc = auth.dc, key = auth.key_id, %address, "one key, two addresses: its authorization ends");
    shared.state.write(|tx| keys::unbind(tx, auth.dc, auth.key_id, false))?;
    work::logged_out(shared, auth.dc, auth.key_id);
    for other in &siblings {
        other.lock().calls.duplicated = true;
    }
    slot.lock().calls.duplicated = false;
    Err(Fault::AuthKeyDuplicated)
}
