//! The RPC errors that the cluster answers with, each a variant, each with the code and text that the real servers send.

use std::fmt;

use super::state;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => $code:literal $text:literal,)*) => {
        /// Why a method was refused.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $name,)*
            /// The phone number's home is another DC.
            PhoneMigrate(i32),
            /// The account's home is another DC.
            UserMigrate(i32),
            /// The file is kept in another DC.
            FileMigrate(i32),
            /// A new address is yet to be confirmed, by a code of so many digits; nothing is refused, but nothing holds yet.
            EmailUnconfirmed(i32),
            /// A part of an upload never arrived.
            FilePartMissing(i32),
            /// The file reference of one of several media was good once; which, from 0.
            FileReferenceExpiredAt(usize),
            /// The file reference of one of several media was never given out; which, from 0.
            FileReferenceInvalidAt(usize),
            /// No method has this constructor id (or none that this cluster knows); the length is the request's, without the id.
            InputMethodInvalid {
                /// The constructor id.
                id: u32,
                /// Bytes after it.
                len: usize,
            },
            /// A policy asks the caller to come back later.
            FloodWait(i32),
            /// What somebody who provokes errors wants to be said.
            Provoked {
                /// The code of `rpc_error`.
                code: i32,
                /// Its text.
                text: String,
            },
            /// The cluster's own fault: its state could not be read or written. Logged, never shown in detail.
            Internal(state::Error),
        }

        impl Fault {
            /// The code of `rpc_error`.
            pub const fn code(&self) -> i32 {
                match self {
                    $(Self::$name => $code,)*
                    Self::PhoneMigrate(_) | Self::UserMigrate(_) | Self::FileMigrate(_) => 303,
                    Self::EmailUnconfirmed(_)
                    | Self::FilePartMissing(_)
                    | Self::FileReferenceExpiredAt(_)
                    | Self::FileReferenceInvalidAt(_)
                    | Self::InputMethodInvalid { .. } => 400,
                    Self::FloodWait(_) => 420,
                    Self::Provoked { code, .. } => *code,
                    Self::Internal(_) => 500,
                }
            }

            /// The code of an error without a parameter, by its text.
            pub(crate) fn code_of(text: &str) -> Option<i32> {
                $(if text == $text {
                    return Some($code);
                })*
                None
            }

            /// The variants without a parameter.
            pub fn plain() -> Vec<Self> {
                vec![$(Self::$name,)*]
            }
        }

        impl fmt::Display for Fault {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str($text),)*
                    Self::PhoneMigrate(dc) => write!(f, "PHONE_MIGRATE_{dc}"),
                    Self::UserMigrate(dc) => write!(f, "USER_MIGRATE_{dc}"),
                    Self::FileMigrate(dc) => write!(f, "FILE_MIGRATE_{dc}"),
                    Self::EmailUnconfirmed(length) => write!(f, "EMAIL_UNCONFIRMED_{length}"),
                    Self::FilePartMissing(part) => write!(f, "FILE_PART_{part}_MISSING"),
                    Self::FileReferenceExpiredAt(n) => write!(f, "FILE_REFERENCE_{n}_EXPIRED"),
                    Self::FileReferenceInvalidAt(n) => write!(f, "FILE_REFERENCE_{n}_INVALID"),
                    Self::InputMethodInvalid { id, len } => write!(f, "INPUT_METHOD_INVALID_{id}_{len}"),
                    Self::FloodWait(seconds) => write!(f, "FLOOD_WAIT_{seconds}"),
                    Self::Provoked { text, .. } => f.write_str(text),
                    Self::Internal(_) => f.write_str("RPC_CALL_FAIL"),
                }
            }
        }
    };
}

faults! {
    /// A bot's token that was replaced by another one.
    AccessTokenExpired => 400 "ACCESS_TOKEN_EXPIRED",
    /// No bot has this token.
    AccessTokenInvalid => 400 "ACCESS_TOKEN_INVALID",
    /// A login token that was accepted before.
    AuthTokenAlreadyAccepted => 400 "AUTH_TOKEN_ALREADY_ACCEPTED",
    /// A login token that this account is excepted from.
    AuthTokenException => 400 "AUTH_TOKEN_EXCEPTION",
    /// A login token whose time is over.
    AuthTokenExpired => 400 "AUTH_TOKEN_EXPIRED",
    /// A login token that nobody has accepted.
    AuthTokenInvalid => 400 "AUTH_TOKEN_INVALID",
    /// A login token that the cluster does not know.
    AuthTokenInvalidx => 400 "AUTH_TOKEN_INVALIDX",
    /// A method that bots may not call.
    BotMethodInvalid => 400 "BOT_METHOD_INVALID",
    /// No code of an email.
    CodeEmpty => 400 "CODE_EMPTY",
    /// A wrong code of an email.
    CodeInvalid => 400 "CODE_INVALID",
    /// No address waits to be confirmed.
    EmailHashExpired => 400 "EMAIL_HASH_EXPIRED",
    /// A login address is to be forgotten where there is none.
    EmailInstallMissing => 400 "EMAIL_INSTALL_MISSING",
    /// Not an email address.
    EmailInvalid => 400 "EMAIL_INVALID",
    /// No address is wanted for this.
    EmailNotAllowed => 400 "EMAIL_NOT_ALLOWED",
    /// A login address is to be changed where there is none.
    EmailNotSetup => 400 "EMAIL_NOT_SETUP",
    /// An address is to be confirmed that was not named.
    EmailVerifyExpired => 400 "EMAIL_VERIFY_EXPIRED",
    /// The salts of a new password are not those that were offered, continued.
    NewSaltInvalid => 400 "NEW_SALT_INVALID",
    /// Settings of a password without a password.
    NewSettingsEmpty => 400 "NEW_SETTINGS_EMPTY",
    /// Settings that no password can have.
    NewSettingsInvalid => 400 "NEW_SETTINGS_INVALID",
    /// The account has no password.
    PasswordEmpty => 400 "PASSWORD_EMPTY",
    /// No recovery code was asked for, or too long ago.
    PasswordRecoveryExpired => 400 "PASSWORD_RECOVERY_EXPIRED",
    /// The password cannot be recovered: it has no address.
    PasswordRecoveryNa => 400 "PASSWORD_RECOVERY_NA",
    /// A login code that is too old, or was never sent from here; where an address is set up.
    PhoneHashExpired => 400 "PHONE_HASH_EXPIRED",
    /// Nobody logs in with this number.
    PhoneNumberBanned => 400 "PHONE_NUMBER_BANNED",
    /// Codes were asked for too often.
    PhoneNumberFlood => 400 "PHONE_NUMBER_FLOOD",
    /// No password is to be removed.
    ResetRequestMissing => 400 "RESET_REQUEST_MISSING",
    /// The number's deliveries are used up.
    SendCodeUnavailable => 406 "SEND_CODE_UNAVAILABLE",
    /// The login is half done: the account's password is missing.
    SessionPasswordNeeded => 401 "SESSION_PASSWORD_NEEDED",
    /// A public value that is out of range.
    SrpAInvalid => 400 "SRP_A_INVALID",
    /// A challenge that this key was not given, or that it has answered.
    SrpIdInvalid => 400 "SRP_ID_INVALID",
    /// The password is another since the challenge was given.
    SrpPasswordChanged => 400 "SRP_PASSWORD_CHANGED",
    /// A method that only bots may call.
    UserBotRequired => 400 "USER_BOT_REQUIRED",
    /// The access hash or the token does not belong to the account.
    AuthBytesInvalid => 400 "AUTH_BYTES_INVALID",
    /// The method is not for temporary keys that are bound to no permanent one.
    AuthKeyPermEmpty => 401 "AUTH_KEY_PERM_EMPTY",
    /// The key was seen from two addresses at once; its authorization is ended.
    AuthKeyDuplicated => 406 "AUTH_KEY_DUPLICATED",
    /// Not logged in.
    AuthKeyUnregistered => 401 "AUTH_KEY_UNREGISTERED",
    /// The authorization was ended from elsewhere.
    SessionRevoked => 401 "SESSION_REVOKED",
    /// The authorization was not used for longer than its account allows.
    SessionExpired => 401 "SESSION_EXPIRED",
    /// The account was deleted.
    UserDeactivated => 401 "USER_DEACTIVATED",
    /// The account was banned.
    UserDeactivatedBan => 401 "USER_DEACTIVATED_BAN",
    /// An authorization that is younger than a day cannot end others.
    FreshResetAuthorisationForbidden => 406 "FRESH_RESET_AUTHORISATION_FORBIDDEN",
    /// Authorizations cannot last as long as this.
    TtlDaysInvalid => 400 "TTL_DAYS_INVALID",
    /// An object in the call has a constructor that the layer does not have.
    InputConstructorInvalid => 400 "INPUT_CONSTRUCTOR_INVALID",
    /// The cluster's own fault: what it has to say has no form in the client's layer. Logged.
    LayerLacksAnswer => 500 "RPC_CALL_FAIL",
    /// `initConnection` without an app version.
    ConnectionAppVersionEmpty => 400 "CONNECTION_APP_VERSION_EMPTY",
    /// `initConnection` without a device model.
    ConnectionDeviceModelEmpty => 400 "CONNECTION_DEVICE_MODEL_EMPTY",
    /// A layer that the cluster does not speak.
    ConnectionLayerInvalid => 400 "CONNECTION_LAYER_INVALID",
    /// A method before `initConnection`.
    ConnectionNotInited => 400 "CONNECTION_NOT_INITED",
    /// `initConnection` without a system version.
    ConnectionSystemEmpty => 400 "CONNECTION_SYSTEM_EMPTY",
    /// A method that a CDN DC does not have.
    CdnMethodInvalid => 400 "CDN_METHOD_INVALID",
    /// A method that only a CDN DC has.
    MethodInvalid => 404 "METHOD_INVALID",
    /// A file token that the cluster never gave out, or too long ago.
    FileTokenInvalid => 400 "FILE_TOKEN_INVALID",
    /// A request token that the CDN DC never gave out for this file.
    RequestTokenInvalid => 400 "REQUEST_TOKEN_INVALID",
    /// The name of a contact is empty.
    ContactNameEmpty => 400 "CONTACT_NAME_EMPTY",
    /// No such DC, or the one the request was sent to.
    DcIdInvalid => 400 "DC_ID_INVALID",
    /// The document in an `inputMediaDocument` does not exist.
    DocumentInvalid => 400 "DOCUMENT_INVALID",
    /// The message that binds a temporary key breaks a rule, or the permanent key is not known.
    EncryptedMessageInvalid => 400 "ENCRYPTED_MESSAGE_INVALID",
    /// A temporary key is to end before it is bound.
    ExpiresAtInvalid => 400 "EXPIRES_AT_INVALID",
    /// The file in a location does not exist, or its access hash is wrong.
    FileIdInvalid => 400 "FILE_ID_INVALID",
    /// The number of parts is out of range, zero, or too small for the kind of upload.
    FilePartsInvalid => 400 "FILE_PARTS_INVALID",
    /// A part without bytes.
    FilePartEmpty => 400 "FILE_PART_EMPTY",
    /// The part's number is out of range.
    FilePartInvalid => 400 "FILE_PART_INVALID",
    /// A part of another size than the ones before.
    FilePartSizeChanged => 400 "FILE_PART_SIZE_CHANGED",
    /// A part size that does not divide 512 KiB, or is not a multiple of 1 KiB.
    FilePartSizeInvalid => 400 "FILE_PART_SIZE_INVALID",
    /// A part over 512 KiB.
    FilePartTooBig => 400 "FILE_PART_TOO_BIG",
    /// No file reference.
    FileReferenceEmpty => 400 "FILE_REFERENCE_EMPTY",
    /// A file reference that was good once.
    FileReferenceExpired => 400 "FILE_REFERENCE_EXPIRED",
    /// A file reference that the cluster never gave out for this file.
    FileReferenceInvalid => 400 "FILE_REFERENCE_INVALID",
    /// Sign-up without a first name.
    FirstNameInvalid => 400 "FIRSTNAME_INVALID",
    /// The uploaded photo is no image the cluster can read.
    ImageProcessFailed => 400 "IMAGE_PROCESS_FAILED",
    /// The method's arguments could not be read.
    InputFetchError => 400 "INPUT_FETCH_ERROR",
    /// No such language pack.
    LangPackInvalid => 400 "LANG_PACK_INVALID",
    /// The language code is not one the cluster has.
    LangCodeNotSupported => 400 "LANG_CODE_NOT_SUPPORTED",
    /// A range whose length breaks the rules of `upload.getFile`.
    LimitInvalid => 400 "LIMIT_INVALID",
    /// A kind of file location that the cluster has no files for.
    LocationInvalid => 400 "LOCATION_INVALID",
    /// A checksum that does not match the uploaded bytes.
    Md5ChecksumInvalid => 400 "MD5_CHECKSUM_INVALID",
    /// A caption over the limit.
    MediaCaptionTooLong => 400 "MEDIA_CAPTION_TOO_LONG",
    /// `inputMediaEmpty`.
    MediaEmpty => 400 "MEDIA_EMPTY",
    /// A kind of media that the cluster does not keep.
    MediaInvalid => 400 "MEDIA_INVALID",
    /// A message without text.
    MessageEmpty => 400 "MESSAGE_EMPTY",
    /// No such message.
    MessageIdInvalid => 400 "MESSAGE_ID_INVALID",
    /// `messages.forwardMessages` without messages.
    MessageIdsEmpty => 400 "MESSAGE_IDS_EMPTY",
    /// A text over the limit.
    MessageTooLong => 400 "MESSAGE_TOO_LONG",
    /// A call that was to run after another one, which failed.
    MsgWaitFailed => 400 "MSG_WAIT_FAILED",
    /// A call that was to run after another one, which never came.
    MsgWaitTimeout => 500 "MSG_WAIT_TIMEOUT",
    /// An album without items or with more than ten.
    MultiMediaTooLong => 400 "MULTI_MEDIA_TOO_LONG",
    /// A range whose start breaks the rules of `upload.getFile`.
    OffsetInvalid => 400 "OFFSET_INVALID",
    /// A wrong password; or one for an account that has none.
    PasswordHashInvalid => 400 "PASSWORD_HASH_INVALID",
    /// No such peer, or its access hash is wrong.
    PeerIdInvalid => 400 "PEER_ID_INVALID",
    /// A pts that is not the account's.
    PersistentTimestampInvalid => 400 "PERSISTENT_TIMESTAMP_INVALID",
    /// No login code.
    PhoneCodeEmpty => 400 "PHONE_CODE_EMPTY",
    /// A login code that is too old, or was never sent from here.
    PhoneCodeExpired => 400 "PHONE_CODE_EXPIRED",
    /// No hash with a login code.
    PhoneCodeHashEmpty => 400 "PHONE_CODE_HASH_EMPTY",
    /// A wrong login code.
    PhoneCodeInvalid => 400 "PHONE_CODE_INVALID",
    /// Not a phone number of this cluster.
    PhoneNumberInvalid => 400 "PHONE_NUMBER_INVALID",
    /// Sign-up with a number that has an account.
    PhoneNumberOccupied => 400 "PHONE_NUMBER_OCCUPIED",
    /// Nobody has this phone number.
    PhoneNotOccupied => 400 "PHONE_NOT_OCCUPIED",
    /// The photo's sides are out of range.
    PhotoInvalidDimensions => 400 "PHOTO_INVALID_DIMENSIONS",
    /// The photo in an `inputMediaPhoto` does not exist.
    PhotoInvalid => 400 "PHOTO_INVALID",
    /// A photo over 10 MB.
    PhotoSaveFileInvalid => 400 "PHOTO_SAVE_FILE_INVALID",
    /// A random id that was used before.
    RandomIdDuplicate => 500 "RANDOM_ID_DUPLICATE",
    /// Lists whose lengths must agree and do not.
    RandomIdInvalid => 400 "RANDOM_ID_INVALID",
    /// A message to answer that does not exist.
    ReplyMessageIdInvalid => 400 "REPLY_MESSAGE_ID_INVALID",
    /// Scheduled messages are not kept here.
    ScheduleDateInvalid => 400 "SCHEDULE_DATE_INVALID",
    /// A search without a query and without a filter.
    SearchQueryEmpty => 400 "SEARCH_QUERY_EMPTY",
    /// No numbers of stories, or too many.
    StoryIdInvalid => 400 "STORY_ID_INVALID",
    /// The takeout is not the account's, or it has ended.
    TakeoutInvalid => 400 "TAKEOUT_INVALID",
    /// The method has to be called in a takeout.
    TakeoutRequired => 403 "TAKEOUT_REQUIRED",
    /// The temporary key is bound to another permanent one.
    TempAuthKeyAlreadyBound => 400 "TEMP_AUTH_KEY_ALREADY_BOUND",
    /// A permanent key is to be bound.
    TempAuthKeyEmpty => 400 "TEMP_AUTH_KEY_EMPTY",
    /// No such user, or the access hash is wrong.
    UserIdInvalid => 400 "USER_ID_INVALID",
    /// The username breaks the rules.
    UsernameInvalid => 400 "USERNAME_INVALID",
    /// Nobody has this username.
    UsernameNotOccupied => 400 "USERNAME_NOT_OCCUPIED",
    /// Somebody else has this username.
    UsernameOccupied => 400 "USERNAME_OCCUPIED",
    /// No such authorization.
    HashInvalid => 400 "HASH_INVALID",
}

impl From<state::Error> for Fault {
    fn from(e: state::Error) -> Self {
        Self::Internal(e)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(e: rusqlite::Error) -> Self {
        Self::Internal(e.into())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_a_code_of_the_protocol_and_a_text_of_its_own() {
        let all = Fault::plain();
        let mut texts: Vec<String> = all.iter().map(ToString::to_string).collect();
        for fault in &all {
            assert!([303, 400, 401, 403, 404, 406, 420, 500].contains(&fault.code()), "{fault}");
            let text = fault.to_string();
            assert!(text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'), "{text}");
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), all.len());
    }

    #[test]
    fn parameters_stand_where_clients_look_for_them() {
        assert_eq!(Fault::PhoneMigrate(2).to_string(), "PHONE_MIGRATE_2");
        assert_eq!(Fault::UserMigrate(3).to_string(), "USER_MIGRATE_3");
        assert_eq!(Fault::FileMigrate(1).code(), 303);
        assert_eq!(Fault::EmailUnconfirmed(6).to_string(), "EMAIL_UNCONFIRMED_6");
        assert_eq!(Fault::FileReferenceExpiredAt(0).to_string(), "FILE_REFERENCE_0_EXPIRED");
        assert_eq!(Fault::FileReferenceInvalidAt(9).to_string(), "FILE_REFERENCE_9_INVALID");
        assert_eq!(Fault::FilePartMissing(7).to_string(), "FILE_PART_7_MISSING");
        assert_eq!(Fault::InputMethodInvalid { id: 0xffff_ffff, len: 12 }.to_string(), "INPUT_METHOD_INVALID_4294967295_12");
        assert_eq!((Fault::FloodWait(5).code(), Fault::FloodWait(5).to_string()), (420, "FLOOD_WAIT_5".to_owned()));
    }
}
