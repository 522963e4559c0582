//! What a policy does to calls on their way.

use std::sync::Arc;

use super::connection::SALTS_AHEAD;
use super::sessions::{Dismissal, Inner, Slot};
use super::work::Services;
use crate::fault::Fault;
use crate::policy::{CallInfo, Disturbance, Mishaps, Policy as _};
use tdl_core::ids::{DcId, Salt};
use tdl_core::mtproto::session::FutureSalt;

/// For how many seconds a client's salts stay wrong.
const WRONG_FOR: i64 = 60;

/// What follows once a call has been answered: before the client can say anything more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aftermath {
    wrong_salt: bool,
    /// The connection ends in the middle of the answer.
    cut: bool,
}

impl Aftermath {
    /// Nothing.
    pub(super) const NONE: Self = Self { wrong_salt: false, cut: false };
}

/// What becomes of a call.
pub(super) enum Course {
    /// It goes on.
    Run(Mishaps, Aftermath),
    /// It is refused.
    Refuse(Fault, Aftermath),
    /// It is not done and not answered.
    Swallow,
}

/// Lets happen what is to happen to a call before it is done.
pub(super) fn before(shared: &super::Shared<Services>, slot: &Arc<Slot<Services>>, call: &CallInfo) -> Course {
    let services = &shared.answers;
    let (mut mishaps, mut aftermath) = (Mishaps::default(), Aftermath::NONE);
    for disturbance in services.faults.disturb(call).into_iter().chain(services.policy.disturb(call)) {
        tracing::info!(dc = call.dc, method = call.name, ?disturbance, "call disturbed");
        match disturbance {
            Disturbance::Refuse(fault) => return Course::Refuse(fault, aftermath),
            Disturbance::Delay(span) => services.faults.pause(span),
            Disturbance::Close => slot.lock().dismiss(Dismissal::Wanted),
            Disturbance::Silence => return Course::Swallow,
            Disturbance::Cut => aftermath.cut = true,
            Disturbance::Corrupt => mishaps.corrupt = true,
            Disturbance::Shorten => mishaps.shorten = true,
            Disturbance::Forget => mishaps.forget = true,
            Disturbance::Expire => mishaps.expire = true,
            Disturbance::Relocate(dc) => mishaps.relocate = Some(dc),
            Disturbance::WrongSalt => aftermath.wrong_salt = true,
            Disturbance::LoseKey => {
                if let Err(error) = shared.state.remove_auth_key(DcId(slot.key.dc), slot.key.key_id) {
                    return Course::Refuse(error.into(), aftermath);
                }
                slot.lock().dismiss(Dismissal::KeyUnknown);
                return Course::Swallow;
            }
        }
    }
    Course::Run(mishaps, aftermath)
}

/// Lets happen what is to happen after it has been answered.
pub(super) fn after(now: i64, inner: &mut Inner<Services>, aftermath: Aftermath) {
    if aftermath.cut {
        inner.dismiss(Dismissal::Midway);
    }
    if aftermath.wrong_salt {
        let salt = FutureSalt { since: now.saturating_sub(1), until: now.saturating_add(3600), salt: Salt(rand::random()) };
        if let Err(error) = inner.session.set_salts(vec![salt]) {
            tracing::debug!(%error, "salts not set");
        }
        // Then the connection sees to it that the real ones come back.
        inner.salts_until = now.saturating_add(SALTS_AHEAD).saturating_add(WRONG_FOR);
    }
}
