//! Our own document: JSON with everything that a session can say.
//!
//! ```json
//! {
//!   "format": "tdl-session", "version": 1,
//!   "home_dc": 2, "keys": {"2": "base64 of 256 bytes"}, "address": "149.154.167.51:443",
//!   "user_id": 7, "bot": false, "test": false,
//!   "api_id": 17, "layer": 225,
//!   "device": {"device_model": "…", "system_version": "…", "app_version": "…", "system_lang_code": "…", "lang_pack": "…", "lang_code": "…"}
//! }
//! ```
//!
//! Only the first four are needed. Fields that are not known are passed over.

use std::{borrow::Cow, collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::text::{self, Alphabet};
use super::{Error, ForeignSession, Format, Owner, session};

const FORMAT: Format = Format::Tdl;
/// What tells the document from other JSON.
const MARK: &str = "tdl-session";
const VERSION: i64 = 1;
/// The largest document, in bytes: a thousand keys have less.
pub(super) const MAX_LEN: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: i64,
    home_dc: i64,
    // A key's number is text in JSON; keys are borrowed, so that no copy of one stays behind.
    #[serde(borrow)]
    keys: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bot: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    test: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api_id: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<Device>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Device {
    #[serde(skip_serializing_if = "Option::is_none")]
    device_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_lang_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lang_pack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lang_code: Option<String>,
}

/// Whether a text is meant to be such a document.
pub(super) fn is_own(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        format: Cow<'a, str>,
    }
    text.len() <= MAX_LEN && serde_json::from_str::<Head<'_>>(text).is_ok_and(|head| head.format == MARK)
}

/// Reads a document.
///
/// # Errors
///
/// [`Error::TooLarge`], [`Error::BadJson`], [`Error::UnknownVersion`], [`Error::BadDc`], [`Error::NoHomeKey`], [`Error::NotBase64`],
/// [`Error::BadKeyLength`], [`Error::BadUserId`], [`Error::BadPort`], [`Error::NotLoggedIn`].
pub fn from_string(text: &str) -> Result<ForeignSession, Error> {
    if text.len() > MAX_LEN {
        return Err(Error::TooLarge { what: format!("the {FORMAT}"), limit: MAX_LEN as u64, found: text.len() as u64 });
    }
    let document: Document<'_> = serde_json::from_str(text)
        .map_err(|e| Error::BadJson { what: "a tdl session document", reason: super::json_reason(&e) })?;
    if document.format != MARK {
        return Err(Error::Unrecognised { what: "the text".to_owned() });
    }
    if document.version != VERSION {
        return Err(Error::UnknownVersion { format: FORMAT, found: document.version });
    }
    let mut keys = BTreeMap::new();
    for (number, key) in &document.keys {
        let number = number.parse().map_err(|_| Error::BadDc { found: -1 })?;
        let key = session::key(&text::decode(FORMAT, key, Alphabet::Standard)?)?;
        keys.insert(session::dc(number)?, key);
    }
    let home = session::dc(document.home_dc)?;
    let home_key = keys.get(&home).ok_or(Error::NoHomeKey { dc: home.0 })?;
    let mut read = ForeignSession::new(FORMAT, document.home_dc, home_key)?;
    read.keys.extend(keys);
    read.set_user_id(document.user_id.unwrap_or(0))?;
    if let Some(address) = document.address {
        super::bytes::port(address.port().into())?;
    }
    read.address = document.address;
    read.is_bot = document.bot;
    read.test = document.test;
    read.api_id = document.api_id;
    let Device { device_model, system_version, app_version, system_lang_code, lang_pack, lang_code } =
        document.device.unwrap_or_default();
    read.owner =
        Owner { device_model, system_version, app_version, system_lang_code, lang_pack, lang_code, layer: document.layer };
    Ok(read)
}

/// The document, on one line.
///
/// # Errors
///
/// [`Error::NoHomeKey`].
pub fn to_string(session: &ForeignSession) -> Result<Zeroizing<String>, Error> {
    session.home_key()?;
    let texts: Vec<_> =
        session.keys.iter().map(|(dc, key)| (dc.0.to_string(), text::encode("", key.as_bytes(), &text::PADDED))).collect();
    let Owner { device_model, system_version, app_version, system_lang_code, lang_pack, lang_code, layer } =
        session.owner.clone();
    let device = Device { device_model, system_version, app_version, system_lang_code, lang_pack, lang_code };
    let document = Document {
        format: MARK.into(),
        version: VERSION,
        home_dc: session.home_dc.0.into(),
        keys: texts.iter().map(|(dc, key)| (dc.as_str().into(), key.as_str().into())).collect(),
        address: session.address,
        user_id: session.user_id,
        bot: session.is_bot,
        test: session.test,
        api_id: session.api_id,
        layer,
        device: Some(device),
    };
    // Room for all of it at once: a buffer that grows leaves copies of keys behind.
    let mut out = Zeroizing::new(Vec::with_capacity(4096 + session.keys.len() * 400));
    serde_json::to_writer(&mut *out, &document).expect("a document of plain values has a JSON form");
    let text = std::str::from_utf8(&out).expect("JSON is UTF-8");
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{client::DeviceProfile, crypto::AuthKey, ids::DcId};

    fn example() -> ForeignSession {
        let mut session = ForeignSession::new(Format::Tdl, 4, &AuthKey::from_bytes(&[0xfb; 256])).unwrap();
        session.keys.insert(DcId(2), AuthKey::from_bytes(&[2; 256]));
        session.set_user_id(7_000_000_001).unwrap();
        session.is_bot = Some(false);
        session.test = Some(true);
        session.address = Some("[::1]:443".parse().unwrap());
        session.api_id = Some(17);
        session.owner = Owner::from(DeviceProfile::default());
        session.owner.layer = Some(225);
        session
    }

    fn document(change: impl FnOnce(&mut serde_json::Value)) -> Result<ForeignSession, Error> {
        let mut value = serde_json::from_str(&to_string(&example()).unwrap()).unwrap();
        change(&mut value);
        from_string(&value.to_string())
    }

    #[test]
    fn a_document_says_all_and_every_end_before_the_end_is_seen() {
        let written = to_string(&example()).unwrap();
        assert_eq!(from_string(&written).unwrap(), example());
        for end in 0..written.len() {
            assert!(matches!(from_string(&written[..end]), Err(Error::BadJson { .. })), "end at {end}");
        }
        let mut bare = ForeignSession::new(Format::Tdl, 1, &AuthKey::from_bytes(&[1; 256])).unwrap();
        assert_eq!(from_string(&to_string(&bare).unwrap()).unwrap(), bare);
        bare.keys.clear();
        assert!(matches!(to_string(&bare), Err(Error::NoHomeKey { dc: 1 })));
    }

    #[test]
    fn each_rule_of_a_document() {
        assert!(matches!(document(|d| d["format"] = "x".into()), Err(Error::Unrecognised { .. })));
        assert!(matches!(document(|d| d["version"] = 2.into()), Err(Error::UnknownVersion { found: 2, .. })));
        assert!(matches!(document(|d| d["home_dc"] = 3.into()), Err(Error::NoHomeKey { dc: 3 })));
        assert!(matches!(document(|d| d["home_dc"] = 0.into()), Err(Error::BadDc { found: 0 })));
        assert!(matches!(document(|d| d["keys"]["x"] = "".into()), Err(Error::BadDc { found: -1 })));
        assert!(matches!(document(|d| d["keys"]["2"] = "*".into()), Err(Error::NotBase64(Format::Tdl))));
        assert!(matches!(document(|d| d["keys"]["2"] = "AAAA".into()), Err(Error::BadKeyLength { found: 3 })));
        assert!(matches!(document(|d| d["user_id"] = (-1).into()), Err(Error::BadUserId { found: -1 })));
        assert!(matches!(document(|d| d["address"] = "1.2.3.4:0".into()), Err(Error::BadPort { found: 0 })));
        assert!(matches!(document(|d| d["address"] = "nowhere".into()), Err(Error::BadJson { .. })));
        let empty = text::encode("", &[0; 256], &text::PADDED);
        assert!(matches!(document(|d| d["keys"]["4"] = empty.as_str().into()), Err(Error::NotLoggedIn)));
        assert!(matches!(from_string(&" ".repeat(MAX_LEN + 1)), Err(Error::TooLarge { .. })));
        let deep = format!("{{\"format\":\"tdl-session\",\"x\":{}", "[".repeat(100_000));
        assert!(matches!(from_string(&deep), Err(Error::BadJson { .. })));
        assert!(document(|d| d["news"] = 1.into()).is_ok());
    }

    #[test]
    fn an_error_tells_nothing_of_the_content() {
        let text = to_string(&example()).unwrap().replace("\"home_dc\":4", "\"home_dc\":\"secret\"");
        let error = from_string(&text).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
