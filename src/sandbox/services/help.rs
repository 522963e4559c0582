//! `help.*`: what a client asks the cluster about itself.

use super::Call;
use crate::fault::Fault;
use tdl_core::tl::api::functions::help as f;
use tdl_core::tl::api::{enums, types};

/// Seconds for which the configuration may be kept.
const CONFIG_LIFETIME: i32 = 3600;
/// Characters of a message.
pub(crate) const MESSAGE_LENGTH_MAX: i32 = 4096;
/// Characters of a caption: what a Premium account has, and one without it.
pub(crate) const CAPTION_LENGTH_PREMIUM: i32 = 4096;
pub(crate) const CAPTION_LENGTH: i32 = 1024;
/// Parts of a file: what a Premium account has, and one without it.
pub(crate) const PARTS_MAX_PREMIUM: i32 = 8000;
pub(crate) const PARTS_MAX: i32 = 4000;
/// The version of `help.getAppConfig`'s answer.
const APP_CONFIG_HASH: i32 = 1;

pub(crate) fn config(call: &mut Call<'_>, _: f::GetConfig) -> Result<enums::Config, Fault> {
    let dc_options = call
        .settings
        .dcs
        .iter()
        .map(|dc| {
            types::DcOption {
                id: dc.id,
                ip_address: dc.ip.as_str().into(),
                port: dc.port.into(),
                media_only: dc.media_only,
                cdn: dc.cdn,
                ..types::DcOption::default()
            }
            .into()
        })
        .collect();
    Ok(types::Config {
        revoke_pm_inbox: true,
        date: call.date(),
        expires: call.date().saturating_add(CONFIG_LIFETIME),
        test_mode: true,
        this_dc: call.dc,
        dc_options,
        dc_txt_domain_name: "localhost".into(),
        chat_size_max: 200,
        megagroup_size_max: 200_000,
        forwarded_count_max: 100,
        online_update_period_ms: 210_000,
        offline_blur_timeout_ms: 5000,
        offline_idle_timeout_ms: 30_000,
        online_cloud_timeout_ms: 300_000,
        notify_cloud_delay_ms: 30_000,
        notify_default_delay_ms: 1500,
        push_chat_period_ms: 60_000,
        push_chat_limit: 2,
        edit_time_limit: 172_800,
        revoke_time_limit: i32::MAX,
        revoke_pm_time_limit: i32::MAX,
        rating_e_decay: 2_419_200,
        stickers_recent_limit: 200,
        channels_read_media_period: 604_800,
        call_receive_timeout_ms: 20_000,
        call_ring_timeout_ms: 90_000,
        call_connect_timeout_ms: 30_000,
        call_packet_timeout_ms: 10_000,
        me_url_prefix: "https://t.me/".into(),
        caption_length_max: CAPTION_LENGTH,
        message_length_max: MESSAGE_LENGTH_MAX,
        webfile_dc_id: call.dc,
        ..types::Config::default()
    }
    .into())
}

pub(crate) fn nearest_dc(call: &mut Call<'_>, _: f::GetNearestDc) -> Result<enums::NearestDc, Fault> {
    Ok(types::NearestDc { country: "XT".into(), this_dc: call.dc, nearest_dc: call.dc }.into())
}

/// The limits that clients read from here rather than from `help.getConfig`.
pub(crate) fn app_config(_: &mut Call<'_>, req: f::GetAppConfig) -> Result<enums::help::AppConfig, Fault> {
    if req.hash == APP_CONFIG_HASH {
        return Ok(enums::help::AppConfig::NotModified);
    }
    let numbers = [
        ("upload_max_fileparts_default", PARTS_MAX),
        ("upload_max_fileparts_premium", PARTS_MAX_PREMIUM),
        ("caption_length_limit_default", CAPTION_LENGTH),
        ("caption_length_limit_premium", CAPTION_LENGTH_PREMIUM),
    ];
    let value = numbers
        .iter()
        .map(|&(key, value)| {
            types::JsonObjectValue { key: key.into(), value: types::JsonNumber { value: f64::from(value) }.into() }.into()
        })
        .collect();
    Ok(types::help::AppConfig { hash: APP_CONFIG_HASH, config: types::JsonObject { value }.into() }.into())
}

/// The RSA key of the CDN DC, if there is one.
pub(crate) fn cdn_config(call: &mut Call<'_>, _: f::GetCdnConfig) -> Result<enums::CdnConfig, Fault> {
    let public_keys = call
        .settings
        .cdn
        .iter()
        .map(|cdn| types::CdnPublicKey { dc_id: cdn.dc, public_key: cdn.public_key.as_str().into() }.into())
        .collect();
    Ok(types::CdnConfig { public_keys }.into())
}

pub(crate) fn promo_data(call: &mut Call<'_>, _: f::GetPromoData) -> Result<enums::help::PromoData, Fault> {
    Ok(types::help::PromoDataEmpty { expires: call.date().saturating_add(CONFIG_LIFETIME) }.into())
}

/// The one country that numbers of a test cluster come from.
pub(crate) fn countries_list(_: &mut Call<'_>, _: f::GetCountriesList) -> Result<enums::help::CountriesList, Fault> {
    let code = types::help::CountryCode {
        country_code: "999".into(),
        prefixes: Some(vec!["66".into()]),
        patterns: Some(vec!["66 X XXXX".into()]),
    };
    let country = types::help::Country {
        iso2: "XT".into(),
        default_name: "Test numbers".into(),
        country_codes: vec![code.into()],
        ..types::help::Country::default()
    };
    Ok(types::help::CountriesList { countries: vec![country.into()], hash: 1 }.into())
}
