//! Which fields of the schema say what about whom.
//!
//! Only texts and bytes are looked at: `string`, `bytes`, and vectors of them. Numbers stay. What is in none of the lists is personal:
//! a field that a later layer adds is hidden until somebody has looked at it.

/// What a text or some bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It says nothing about anybody.
    Public,
    /// What people write, what they are called, where they are.
    Personal,
    /// Whoever has it can do something with it, or it is a phone number or an address.
    Secret,
    /// The contents of files: of no use in a trace, and long.
    Contents,
}

/// The class of a field, by the names of the schema.
pub fn class_of(definition: &str, field: &str) -> Class {
    let listed = |list: &[(&str, &str)]| list.contains(&(definition, field));
    if listed(CONTENTS_FIELDS) {
        Class::Contents
    } else if SECRET.contains(&field) || listed(SECRET_FIELDS) {
        Class::Secret
    } else if PUBLIC.contains(&field) || listed(PUBLIC_FIELDS) {
        Class::Public
    } else {
        Class::Personal
    }
}

/// Contents of files and thumbnails.
pub(super) const CONTENTS_FIELDS: &[(&str, &str)] = &[
    ("upload.saveFilePart", "bytes"),
    ("upload.saveBigFilePart", "bytes"),
    ("upload.file", "bytes"),
    ("upload.webFile", "bytes"),
    ("upload.cdnFile", "bytes"),
    ("photoCachedSize", "bytes"),
    ("photoStrippedSize", "bytes"),
    ("photoPathSize", "bytes"),
    ("userProfilePhoto", "stripped_thumb"),
    ("chatPhoto", "stripped_thumb"),
    ("botAppSettings", "placeholder_path"),
];

/// Secret wherever they occur.
pub(super) const SECRET: &[&str] = &[
    // Phone numbers, and e-mail addresses that a login can go through.
    "phone",
    "phones",
    "phone_number",
    "email",
    "email_pattern",
    "email_unconfirmed_pattern",
    "login_email_pattern",
    "user_handle",
    // Codes.
    "beginning",
    "code",
    "codes",
    "match_code",
    "match_codes",
    "pattern",
    "phone_code",
    "phone_code_hash",
    "prefix",
    // Passwords, what they are checked with, and what reminds of them.
    "A",
    "M1",
    "hint",
    "new_password_hash",
    "password",
    "salt",
    "salt1",
    "salt2",
    "secret",
    "secure_random",
    "secure_secret",
    "srp_B",
    "tmp_password",
    // What lets somebody in.
    "api_hash",
    "attestation_data",
    "authenticator_data",
    "autologin_token",
    "bot_auth_token",
    "chat_invite_hash",
    "digital_credential_payload",
    "future_auth_token",
    "google_token",
    "invite_hash",
    "ios_push_secret",
    "logout_tokens",
    "play_integrity_nonce",
    "play_integrity_token",
    "receipt",
    "safety_net_token",
    "signature",
    "token",
    "web_auth_token",
    "zoom_token",
    // Keys, and messages about them.
    "anchor_public_key",
    "encrypted_message",
    "encryption_iv",
    "encryption_key",
    "file_token",
    "g_a",
    "g_a_hash",
    "g_a_or_b",
    "g_b",
    "new_public_key",
    "parts",
    "peer_tag",
    "random",
    "request_token",
    "seed",
];

/// Secret in these definitions.
pub(super) const SECRET_FIELDS: &[(&str, &str)] = &[
    ("account.sendConfirmPhoneCode", "hash"),
    ("auth.exportedAuthorization", "bytes"),
    ("auth.firebasePnvIntent", "nonce"),
    ("auth.importAuthorization", "bytes"),
    ("auth.sentCodeTypeFirebaseSms", "nonce"),
    ("dataJSON", "data"),
    ("encryptedMessage", "bytes"),
    ("encryptedMessageService", "bytes"),
    ("exportedContactToken", "url"),
    ("inputPaymentCredentialsSaved", "id"),
    ("inputInvoiceChatInviteSubscription", "hash"),
    ("invokeWithApnsSecret", "nonce"),
    ("invokeWithGooglePlayIntegrity", "nonce"),
    ("messages.checkChatInvite", "hash"),
    ("messages.importChatInvite", "hash"),
    ("messages.sendEncrypted", "data"),
    ("messages.sendEncryptedFile", "data"),
    ("messages.sendEncryptedService", "data"),
    ("payments.getBankCardData", "number"),
    ("phone.groupCallStreamRtmpUrl", "key"),
    ("phone.groupCallStreamRtmpUrl", "url"),
    ("phone.sendSignalingData", "data"),
    ("phoneConnectionWebrtc", "username"),
    ("secureCredentialsEncrypted", "data"),
    ("secureCredentialsEncrypted", "hash"),
    ("secureData", "data"),
    ("secureData", "data_hash"),
    ("updatePhoneCallSignalingData", "data"),
    ("urlAuthResultAccepted", "url"),
    ("wallet.encryptedSecretPhrasePart", "data"),
    ("webViewResultUrl", "url"),
];

/// Harmless wherever they occur: names of languages, countries, currencies and formats, and what the protocol itself is made of.
pub(super) const PUBLIC: &[&str] = &[
    "app_version",
    "base_lang_code",
    "countries_iso2",
    "country_code",
    "country_iso2",
    "currency",
    "dc_txt_domain_name",
    "device_model",
    "dh_prime",
    "embed_type",
    "emoticon",
    "emoticons",
    "error_message",
    "file_hash",
    "format",
    "info",
    "ip_address",
    "iso2",
    "lang_code",
    "lang_codes",
    "lang_pack",
    "library_versions",
    "md5_checksum",
    "mime_type",
    "mnc",
    "next_offset",
    "plural_code",
    "prefixes",
    "sha256",
    "suggested_lang_code",
    "system_lang_code",
    "system_version",
    "thumb_size",
    "to_lang",
    "video_codec",
];

/// Harmless in these definitions.
pub(super) const PUBLIC_FIELDS: &[(&str, &str)] = &[
    ("config", "me_url_prefix"),
    ("config", "autoupdate_url_prefix"),
    ("config", "gif_search_username"),
    ("config", "img_search_username"),
    ("config", "static_maps_provider"),
    ("config", "venue_search_username"),
    ("fileHash", "hash"),
    ("help.country", "default_name"),
    ("help.countryCode", "patterns"),
    ("jsonObjectValue", "key"),
    ("langPackString", "key"),
    ("langPackStringDeleted", "key"),
    ("langPackStringPluralized", "key"),
    ("langpack.getStrings", "keys"),
    ("messages.dhConfig", "p"),
    ("nearestDc", "country"),
    ("photoCachedSize", "type"),
    ("photoPathSize", "type"),
    ("photoSize", "type"),
    ("photoSizeEmpty", "type"),
    ("photoSizeProgressive", "type"),
    ("photoStrippedSize", "type"),
    ("reactionEmoji", "emoticon"),
    ("restrictionReason", "platform"),
    ("restrictionReason", "reason"),
    ("videoSize", "type"),
];
