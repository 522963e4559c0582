//! From the bytes of a call to a service and back: wrappers are taken off, the method is found by its constructor id, who may call
//! it where is checked.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;

use super::fault::Fault;
use super::layers;
use super::policy::{CallInfo, Policy};
use super::services::{self, Call};
use super::state::keys::Device;
use tdl_core::tl::api::{enums, functions as f};
use tdl_core::tl::mtproto::functions::DestroyAuthKey;
use tdl_core::tl::{self, Deserialize, Identifiable, RawObject, RemoteCall, Serialize};

/// Wrappers around a method; nobody needs more than four.
const MAX_WRAPPERS: usize = 8;

/// A call without its wrappers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unwrapped {
    /// The method with its arguments.
    pub(crate) body: Bytes,
    /// What `invokeWithLayer` said.
    pub(crate) layer: Option<i32>,
    /// What `initConnection` said.
    pub(crate) device: Option<Device>,
    /// The session does not want updates for this.
    pub(crate) without_updates: bool,
    /// The takeout that it is made in.
    pub(crate) takeout: Option<i64>,
    /// Calls that have to be done first.
    pub(crate) after: Vec<i64>,
}

/// Takes the wrappers off.
pub(crate) fn unwrap(mut body: Bytes) -> Result<Unwrapped, Fault> {
    let mut out = Unwrapped::default();
    for _ in 0..=MAX_WRAPPERS {
        let id = method_id(&body).ok_or(Fault::InputFetchError)?;
        let inner: RawObject = match id {
            f::InvokeWithLayer::<RawObject>::ID => {
                let wrapper: f::InvokeWithLayer<RawObject> = parse(body)?;
                out.layer = Some(wrapper.layer);
                wrapper.query
            }
            f::InitConnection::<RawObject>::ID => {
                let wrapper: f::InitConnection<RawObject> = parse(body)?;
                out.device = Some(Device {
                    api_id: wrapper.api_id,
                    device_model: wrapper.device_model.to_string(),
                    system_version: wrapper.system_version.to_string(),
                    app_version: wrapper.app_version.to_string(),
                    system_lang_code: wrapper.system_lang_code.to_string(),
                    lang_pack: wrapper.lang_pack.to_string(),
                    lang_code: wrapper.lang_code.to_string(),
                });
                wrapper.query
            }
            f::InvokeWithoutUpdates::<RawObject>::ID => {
                let wrapper: f::InvokeWithoutUpdates<RawObject> = parse(body)?;
                out.without_updates = true;
                wrapper.query
            }
            f::InvokeWithTakeout::<RawObject>::ID => {
                let wrapper: f::InvokeWithTakeout<RawObject> = parse(body)?;
                out.takeout = Some(wrapper.takeout_id);
                wrapper.query
            }
            f::InvokeAfterMsg::<RawObject>::ID => {
                let wrapper: f::InvokeAfterMsg<RawObject> = parse(body)?;
                out.after.push(wrapper.msg_id);
                wrapper.query
            }
            f::InvokeAfterMsgs::<RawObject>::ID => {
                let wrapper: f::InvokeAfterMsgs<RawObject> = parse(body)?;
                out.after.extend(wrapper.msg_ids);
                wrapper.query
            }
            _ => {
                out.body = body;
                return Ok(out);
            }
        };
        body = inner.0;
    }
    Err(Fault::InputFetchError)
}

fn parse<T: Deserialize>(body: Bytes) -> Result<T, Fault> {
    T::from_bytes(body).map_err(|error| {
        tracing::info!(%error, "call could not be read");
        match error {
            tl::Error::UnknownConstructor { .. } => Fault::InputConstructorInvalid,
            _ => Fault::InputFetchError,
        }
    })
}

/// The constructor id that a body begins with.
pub(crate) fn method_id(body: &[u8]) -> Option<u32> {
    body.first_chunk().map(|id| u32::from_le_bytes(*id))
}

/// Who may call a method, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Anybody, anywhere.
    Anyone,
    /// Whoever is logged in, in any DC.
    User,
    /// Whoever is logged in, in the account's home DC.
    Home,
    /// The same, and whoever would be if the password were not missing.
    Known,
}

type Run = for<'c, 'a> fn(&'c mut Call<'a>, Bytes) -> Result<Bytes, Fault>;

struct Route {
    name: &'static str,
    access: Access,
    run: Run,
}

fn run<'a, R>(
    call: &mut Call<'a>,
    body: Bytes,
    service: impl FnOnce(&mut Call<'a>, R) -> Result<R::Return, Fault>,
) -> Result<Bytes, Fault>
where
    R: RemoteCall + Deserialize,
    R::Return: Serialize,
{
    let request: R = parse(body)?;
    Ok(service(call, request)?.to_bytes())
}

macro_rules! routes {
    ($($access:ident { $($request:ty => $service:path,)* })*) => {
        [$($((<$request>::ID, Route {
            name: <$request>::NAME,
            access: Access::$access,
            run: |call, body| run::<$request>(call, body, $service),
        }),)*)*]
    };
}

static ROUTES: LazyLock<HashMap<u32, Route>> = LazyLock::new(|| {
    HashMap::from(routes! {
        Anyone {
            DestroyAuthKey => services::auth::destroy_auth_key,
            f::auth::BindTempAuthKey => services::auth::bind_temp_auth_key,
            f::auth::SendCode => services::codes::send_code,
            f::auth::ResendCode => services::codes::resend_code,
            f::auth::CancelCode => services::codes::cancel_code,
            f::auth::ResetLoginEmail => services::codes::reset_login_email,
            f::auth::LogOut => services::auth::log_out,
            f::auth::ExportLoginToken => services::login_token::export_login_token,
            f::auth::ImportLoginToken => services::login_token::import_login_token,
            f::auth::ImportBotAuthorization => services::bot::import_bot_authorization,
            f::account::SendVerifyEmailCode => services::email::send_verify_email_code,
            f::account::VerifyEmail => services::email::verify_email,
            f::auth::SignIn => services::auth::sign_in,
            f::auth::SignUp => services::auth::sign_up,
            f::auth::ImportAuthorization => services::auth::import_authorization,
            f::help::GetConfig => services::help::config,
            f::help::GetNearestDc => services::help::nearest_dc,
            f::help::GetAppConfig => services::help::app_config,
            f::help::GetCdnConfig => services::help::cdn_config,
            f::upload::GetCdnFile => services::cdn::cdn_file,
            f::help::GetCountriesList => services::help::countries_list,
            f::langpack::GetLangPack => services::langpack::lang_pack,
            f::langpack::GetDifference => services::langpack::difference_since,
            f::langpack::GetStrings => services::langpack::strings,
            f::langpack::GetLanguages => services::langpack::languages,
            f::langpack::GetLanguage => services::langpack::language,
        }
        User {
            f::account::UpdateStatus => services::account::update_status,
            f::help::GetTermsOfServiceUpdate => services::terms::terms_of_service_update,
            f::help::AcceptTermsOfService => services::terms::accept_terms_of_service,
            f::help::GetPromoData => services::help::promo_data,
            f::users::GetUsers => services::users_service::users,
            f::upload::SaveFilePart => services::upload::save_file_part,
            f::upload::SaveBigFilePart => services::upload::save_big_file_part,
            f::upload::GetFile => services::upload::file,
            f::upload::GetFileHashes => services::upload::file_hashes,
            f::upload::ReuploadCdnFile => services::cdn::reupload_cdn_file,
            f::upload::GetCdnFileHashes => services::cdn::cdn_file_hashes,
        }
        Known {
            f::account::GetPassword => services::password::password,
            f::auth::CheckPassword => services::password::check_password,
            f::auth::RequestPasswordRecovery => services::recovery::request_password_recovery,
            f::auth::CheckRecoveryPassword => services::recovery::check_recovery_password,
            f::auth::RecoverPassword => services::recovery::recover_password,
        }
        Home {
            f::auth::AcceptLoginToken => services::login_token::accept_login_token,
            f::account::GetPasswordSettings => services::password::password_settings,
            f::account::UpdatePasswordSettings => services::password::update_password_settings,
            f::account::ConfirmPasswordEmail => services::password::confirm_password_email,
            f::account::ResendPasswordEmail => services::password::resend_password_email,
            f::account::CancelPasswordEmail => services::password::cancel_password_email,
            f::account::ResetPassword => services::recovery::reset_password,
            f::account::DeclinePasswordReset => services::recovery::decline_password_reset,
            f::auth::ExportAuthorization => services::auth::export_authorization,
            f::auth::ResetAuthorizations => services::authorizations::reset_authorizations,
            f::account::GetAuthorizations => services::authorizations::authorizations,
            f::account::ResetAuthorization => services::authorizations::reset_authorization,
            f::account::ChangeAuthorizationSettings => services::authorizations::change_authorization_settings,
            f::account::SetAuthorizationTtl => services::authorizations::set_authorization_ttl,
            f::account::UpdateProfile => services::account::update_profile,
            f::account::UpdateUsername => services::account::update_username,
            f::users::GetFullUser => services::users_service::full_user,
            f::contacts::ResolvePhone => services::contacts::resolve_phone,
            f::contacts::ResolveUsername => services::contacts::resolve_username,
            f::contacts::ImportContacts => services::contacts::import_contacts,
            f::contacts::GetContacts => services::contacts::contacts,
            f::messages::SendMessage => services::send::send_message,
            f::messages::SendMedia => services::send::send_media,
            f::messages::SendMultiMedia => services::send::send_multi_media,
            f::messages::ForwardMessages => services::send::forward_messages,
            f::messages::UploadMedia => services::media::upload_media,
            f::messages::GetHistory => services::history::history,
            f::messages::GetMessages => services::history::messages,
            f::messages::Search => services::history::search,
            f::messages::ReadHistory => services::history::read_history,
            f::messages::DeleteMessages => services::history::delete_messages,
            f::messages::GetDialogs => services::dialogs::dialogs,
            f::messages::GetPinnedDialogs => services::dialogs::pinned_dialogs,
            f::messages::GetPeerDialogs => services::dialogs::peer_dialogs,
            f::messages::GetDialogFilters => services::dialogs::dialog_filters,
            f::messages::SetTyping => services::dialogs::set_typing,
            f::account::InitTakeoutSession => services::takeout::init_takeout_session,
            f::account::FinishTakeoutSession => services::takeout::finish_takeout_session,
            f::stories::DeleteStories => services::stories::delete_stories,
            f::stories::GetStoriesById => services::stories::stories_by_id,
            f::stories::GetPeerStories => services::stories::peer_stories,
            f::updates::GetState => services::updates::state,
            f::updates::GetDifference => services::updates::difference,
        }
    })
});

/// Whether calls of a method may run side by side: those that move file contents, which wait for the disk.
pub fn is_concurrent(method: u32) -> bool {
    [
        f::upload::SaveFilePart::ID,
        f::upload::SaveBigFilePart::ID,
        f::upload::GetFile::ID,
        f::upload::GetFileHashes::ID,
        f::upload::GetCdnFile::ID,
        f::upload::GetCdnFileHashes::ID,
        f::upload::ReuploadCdnFile::ID,
    ]
    .contains(&method)
}

/// Whether a method is about the key that it is called under, and nothing else.
pub(crate) fn is_about_keys(method: u32) -> bool {
    [DestroyAuthKey::ID, f::auth::BindTempAuthKey::ID].contains(&method)
}

/// What may be called under a temporary key that is bound to none: the list of "Perfect Forward Secrecy", and the end of the key itself.
pub const UNBOUND: [u32; 4] =
    [f::auth::BindTempAuthKey::ID, f::help::GetConfig::ID, f::help::GetNearestDc::ID, DestroyAuthKey::ID];

/// Answers a call, in the layer that it came in.
pub(crate) fn answer(call: &mut Call<'_>, policy: &dyn Policy, request: Unwrapped) -> Result<Bytes, Fault> {
    let id = method_id(&request.body).ok_or(Fault::InputFetchError)?;
    let unbound = call.auth.expires.is_some();
    if unbound && !UNBOUND.contains(&id) {
        return Err(Fault::AuthKeyPermEmpty);
    }
    // These are about the key alone; a key that stands for nobody has no device. They are the same in every layer.
    let about_keys = is_about_keys(id);
    let layer = if about_keys {
        layers::OWN_LAYER
    } else if unbound {
        let layer = request.layer.or(call.layer).unwrap_or(layers::OWN_LAYER);
        layers::check(layer)?;
        layer
    } else {
        note_client(call, &request)?
    };
    let body = if about_keys { request.body } else { layers::request(layer, request.body)? };
    let id = method_id(&body).ok_or(Fault::InputFetchError)?;
    let answer = serve(call, policy, id, body)?;
    if about_keys { Ok(answer) } else { layers::result(layer, id, answer) }
}

/// Answers a call in the layer of the services.
fn serve(call: &mut Call<'_>, policy: &dyn Policy, id: u32, body: Bytes) -> Result<Bytes, Fault> {
    match (call.settings.is_cdn(call.dc), id == f::upload::GetCdnFile::ID) {
        (true, false) => return Err(Fault::CdnMethodInvalid),
        (false, true) => return Err(Fault::MethodInvalid),
        _ => {}
    }
    services::bot::check(call, id)?;
    let Some(route) = ROUTES.get(&id) else {
        let name = tl::name_of(id).unwrap_or("not in the schema");
        tracing::warn!(dc = call.dc, id = format_args!("{id:#010x}"), name, "method not known to the cluster");
        return Err(Fault::InputMethodInvalid { id, len: body.len().saturating_sub(4) });
    };
    policy.before(&CallInfo { dc: call.dc, user: call.auth.user, method: id, name: route.name })?;
    if route.access != Access::Anyone {
        services::authorizations::check(call)?;
    }
    match route.access {
        Access::Anyone => {}
        Access::User => {
            call.user_id()?;
        }
        Access::Home | Access::Known => {
            let user = if route.access == Access::Known { call.account()? } else { call.user()? };
            let home = user.dc;
            if home != call.dc {
                return Err(Fault::UserMigrate(home));
            }
        }
    }
    services::takeout::check(call)?;
    let out = (route.run)(call, body);
    if call.auth.user.is_some() {
        call.state.touch_auth(&call.auth, call.now)?;
    }
    out
}

/// Remembers layer and device, and finds out which layer the call is in. Both belong to the auth key: what was said once holds for later calls
/// and connections. A session that has said another layer than the rest keeps to its own.
fn note_client(call: &mut Call<'_>, request: &Unwrapped) -> Result<i32, Fault> {
    if let Some(layer) = request.layer {
        layers::check(layer)?;
    }
    // A cluster of an earlier version may have written down a layer that is not spoken any more: it asks again.
    let of_key = call.auth.layer.filter(|layer| layers::is_spoken(*layer));
    let layer = request.layer.or(call.layer).or(of_key);
    let device = match &request.device {
        Some(device) => {
            if device.device_model.is_empty() {
                return Err(Fault::ConnectionDeviceModelEmpty);
            }
            if device.system_version.is_empty() {
                return Err(Fault::ConnectionSystemEmpty);
            }
            if device.app_version.is_empty() {
                return Err(Fault::ConnectionAppVersionEmpty);
            }
            Some(device)
        }
        // A layer is written down together with a device, so where there is one there was the other.
        None => of_key.is_some().then_some(&call.auth.device),
    };
    let (Some(layer), Some(device)) = (layer, device) else {
        return Err(if request.device.is_some() { Fault::ConnectionLayerInvalid } else { Fault::ConnectionNotInited });
    };
    let negotiated = request.layer.or(of_key).unwrap_or(layer);
    if call.auth.layer != Some(negotiated) || *device != call.auth.device {
        call.state.set_device(call.auth.dc, call.auth.key_id, negotiated, device)?;
        (call.auth.layer, call.auth.device) = (Some(negotiated), device.clone());
    }
    call.layer = Some(layer);
    Ok(layer)
}

/// An update that says only that there are updates, for a session that missed some.
pub fn too_long() -> Bytes {
    enums::Updates::TooLong.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped<X: Serialize>(query: X) -> f::InvokeWithLayer<f::InitConnection<X>> {
        let query = f::InitConnection {
            api_id: 7,
            device_model: "Desk".into(),
            system_version: "1".into(),
            app_version: "2".into(),
            system_lang_code: "en".into(),
            lang_pack: "".into(),
            lang_code: "de".into(),
            proxy: None,
            params: None,
            query,
        };
        f::InvokeWithLayer { layer: 230, query }
    }

    #[test]
    fn wrappers_come_off_in_any_order() {
        let inner = f::help::GetConfig;
        let bytes =
            wrapped(f::InvokeAfterMsg { msg_id: 5, query: f::InvokeWithoutUpdates { query: inner.clone() } }).to_bytes();
        let found = unwrap(bytes).unwrap();
        assert_eq!(found.body, inner.to_bytes());
        assert_eq!((found.layer, found.without_updates, found.after), (Some(230), true, vec![5]));
        let device = found.device.unwrap();
        assert_eq!((device.api_id, &*device.device_model, &*device.lang_code), (7, "Desk", "de"));
        let bytes = f::InvokeAfterMsgs { msg_ids: vec![1, 2], query: wrapped(inner) }.to_bytes();
        assert_eq!(unwrap(bytes).unwrap().after, [1, 2]);
    }

    #[test]
    fn no_prefix_of_a_wrapped_call_is_trouble() {
        let bytes = wrapped(f::InvokeAfterMsgs { msg_ids: vec![1, 2], query: f::help::GetConfig }).to_bytes();
        for len in 0..bytes.len() {
            let _ = unwrap(bytes.slice(..len));
        }
        assert!(matches!(unwrap(Bytes::new()), Err(Fault::InputFetchError)));
    }

    #[test]
    fn too_many_wrappers_are_refused() {
        let mut bytes = f::help::GetConfig.to_bytes();
        for _ in 0..MAX_WRAPPERS {
            bytes = f::InvokeWithoutUpdates { query: RawObject(bytes) }.to_bytes();
        }
        assert!(unwrap(bytes.clone()).is_ok());
        let bytes = f::InvokeWithoutUpdates { query: RawObject(bytes) }.to_bytes();
        assert!(matches!(unwrap(bytes), Err(Fault::InputFetchError)));
    }

    #[test]
    fn every_route_is_a_method_of_the_schema_under_its_own_name() {
        for (id, route) in ROUTES.iter() {
            assert_eq!(tl::name_of(*id), Some(route.name));
        }
        assert!(ROUTES.keys().copied().filter(|id| is_concurrent(*id)).count() == 7);
    }
}
