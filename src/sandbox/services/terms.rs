//! The terms of service: shown with a sign-up, owed until they are accepted.

use tdl_core::tl::api::functions::help as f;
use tdl_core::tl::api::{enums, types};

use super::Call;
use crate::fault::Fault;
use crate::state::codes;

/// By what they are named.
const ID: &str = r#"{"sandbox":1}"#;
const TEXT: &str = "This is a local cluster. Nothing that is written here leaves this machine.";
/// Seconds after which a client asks again.
const ASK_AGAIN: i32 = 3600;

/// The terms, as a sign-up shows them.
pub(super) fn terms() -> enums::help::TermsOfService {
    types::help::TermsOfService {
        popup: false,
        id: types::DataJson { data: ID.into() }.into(),
        text: TEXT.into(),
        entities: Vec::new(),
        min_age_confirm: None,
    }
    .into()
}

pub(crate) fn terms_of_service_update(
    call: &mut Call<'_>,
    _: f::GetTermsOfServiceUpdate,
) -> Result<enums::help::TermsOfServiceUpdate, Fault> {
    let user = call.user_id()?;
    let expires = call.date().saturating_add(ASK_AGAIN);
    Ok(if call.state.read(|db| codes::owes_terms(db, user))? {
        types::help::TermsOfServiceUpdate { expires, terms_of_service: terms() }.into()
    } else {
        types::help::TermsOfServiceUpdateEmpty { expires }.into()
    })
}

/// Accepts the terms; false if they are others than these.
pub(crate) fn accept_terms_of_service(call: &mut Call<'_>, req: f::AcceptTermsOfService) -> Result<bool, Fault> {
    let user = call.user_id()?;
    let enums::DataJson::Json(id) = &req.id;
    if *id.data != *ID {
        return Ok(false);
    }
    call.state.write(|tx| codes::accept_terms(tx, user))?;
    Ok(true)
}
