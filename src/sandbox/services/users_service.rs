//! `users.*`.

use super::view::View;
use super::{Call, input_user};
use crate::fault::Fault;
use tdl_core::tl::api::functions::users as f;
use tdl_core::tl::api::{enums, types};

/// Those that exist and whose access hash is right; the others are left out, as the real servers do.
pub(crate) fn users(call: &mut Call<'_>, req: f::GetUsers) -> Result<Vec<enums::User>, Fault> {
    let viewer = call.user_id()?;
    let (state, now) = (call.state, call.now);
    state.read(|db| {
        let view = View { state, db, viewer, now };
        let mut out = Vec::with_capacity(req.id.len());
        for id in &req.id {
            if let Some(user) = input_user(state, db, viewer, id)? {
                out.push(view.user(&user)?);
            }
        }
        Ok(out)
    })
}

pub(crate) fn full_user(call: &mut Call<'_>, req: f::GetFullUser) -> Result<enums::users::UserFull, Fault> {
    let viewer = call.user_id()?;
    let (state, now) = (call.state, call.now);
    state.read(|db| {
        let user = input_user(state, db, viewer, &req.id)?.ok_or(Fault::UserIdInvalid)?;
        let full_user = types::UserFull {
            can_pin_message: user.id == viewer,
            id: user.id,
            about: (!user.about.is_empty()).then(|| user.about.as_str().into()),
            ..types::UserFull::default()
        };
        let users = View { state, db, viewer, now }.users([user.id])?;
        Ok(types::users::UserFull { full_user: full_user.into(), chats: Vec::new(), users }.into())
    })
}
