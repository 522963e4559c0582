//! Takeouts: `account.initTakeoutSession` and what is called in one. "Takeout API".

use rand::RngExt as _;

use super::Call;
use crate::fault::Fault;
use tdl_core::tl::api::functions::account as f;
use tdl_core::tl::api::{enums, types};

/// An account has one at a time; a new one takes the place of the old.
pub(crate) fn init_takeout_session(call: &mut Call<'_>, req: f::InitTakeoutSession) -> Result<enums::account::Takeout, Fault> {
    let user = call.user_id()?;
    if req.file_max_size.is_some_and(|size| size < 0) {
        return Err(Fault::LimitInvalid);
    }
    let id = call.rng.random();
    call.memory.begin_takeout(user, id);
    Ok(types::account::Takeout { id }.into())
}

/// Only in the takeout itself.
pub(crate) fn finish_takeout_session(call: &mut Call<'_>, _: f::FinishTakeoutSession) -> Result<bool, Fault> {
    let user = call.user_id()?;
    if call.takeout.is_none() {
        return Err(Fault::TakeoutRequired);
    }
    call.memory.end_takeout(user);
    Ok(true)
}

/// Whether a call may be made in the takeout that it names.
pub(crate) fn check(call: &Call<'_>) -> Result<(), Fault> {
    let Some(id) = call.takeout else { return Ok(()) };
    if call.memory.has_takeout(call.user_id()?, id) { Ok(()) } else { Err(Fault::TakeoutInvalid) }
}
