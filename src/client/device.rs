//! What a connection says about the device and about the API layer: explicit values, stored with the login they were used for.

use serde::{Deserialize, Serialize};

use super::system;
use crate::tl::api;

/// The newest API layer that the generated types speak.
pub const COMPILED_LAYER: i32 = api::LAYER;

/// What `initConnection` tells the server about the device ("Invoking API Methods").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceProfile {
    /// The profile's own name, for `--device` and for people; never sent.
    pub name: String,
    /// Device model, as the account's list of sessions shows it.
    pub device_model: String,
    /// Operating system and its version.
    pub system_version: String,
    /// Application version.
    pub app_version: String,
    /// The system's language, like `en-US`.
    pub system_lang_code: String,
    /// Language pack; empty for applications that have none.
    pub lang_pack: String,
    /// The interface's language, like `en`.
    pub lang_code: String,
    /// Further parameters (`params`), as the server's `JSONValue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<serde_json::Value>,
}

/// Why a device profile cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceProfileError {
    /// The name is that of a built-in profile, or none that could be typed.
    #[error("'{name}' cannot name a profile: {rule}")]
    Name {
        /// The name, made safe for a terminal.
        name: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A field that the server wants is empty.
    #[error("the {field} is empty")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A field is longer than [`DeviceProfile::MAX_FIELD`], or holds control characters.
    #[error("the {field} is longer than {} bytes or holds control characters", DeviceProfile::MAX_FIELD)]
    Field {
        /// The field.
        field: &'static str,
    },
    /// The parameters are too many or nested too deeply.
    #[error(
        "the parameters are larger than {} bytes or nested more than {} deep",
        DeviceProfile::MAX_PARAMS,
        DeviceProfile::MAX_DEPTH
    )]
    Params,
}

impl DeviceProfile {
    /// Names of the built-in profiles. There is one, and it tells the truth: what other programs say of themselves is theirs to say.
    pub const BUILT_IN: [&'static str; 1] = ["tdl"];

    /// The longest field, in bytes.
    pub const MAX_FIELD: usize = 128;

    /// The most parameters, in bytes of JSON.
    pub const MAX_PARAMS: usize = 4096;

    /// How deep parameters may be nested.
    pub const MAX_DEPTH: usize = 8;

    /// A built-in profile by name: `tdl` says what this program is and where it runs.
    pub fn built_in(name: &str) -> Option<Self> {
        (name == "tdl").then(|| Self {
            name: name.to_owned(),
            device_model: format!("{} computer", std::env::consts::ARCH),
            system_version: system::version(),
            app_version: concat!("tdl ", env!("CARGO_PKG_VERSION")).to_owned(),
            system_lang_code: system::language(),
            lang_pack: String::new(),
            lang_code: "en".to_owned(),
            params: None,
        })
    }

    /// Whether it is one of the built-in ones, by its name.
    pub fn is_built_in(&self) -> bool {
        Self::BUILT_IN.contains(&self.name.as_str())
    }

    /// Whether a profile that somebody made can be stored and sent.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks: see [`DeviceProfileError`].
    pub fn check(&self) -> Result<(), DeviceProfileError> {
        let broken = |rule| Err(DeviceProfileError::Name { name: self.name.escape_debug().take(80).collect(), rule });
        if self.is_built_in() {
            return broken("it is that of a built-in profile");
        }
        let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.chars().count() > 32 || !self.name.chars().all(is_plain) {
            return broken("use 1 to 32 letters, digits, '-', '_' and '.'");
        }
        for (field, text, wanted) in [
            ("device model", &self.device_model, true),
            ("system version", &self.system_version, true),
            ("app version", &self.app_version, true),
            ("system language", &self.system_lang_code, true),
            ("language", &self.lang_code, true),
            ("language pack", &self.lang_pack, false),
        ] {
            if wanted && text.is_empty() {
                return Err(DeviceProfileError::Empty { field });
            }
            if text.len() > Self::MAX_FIELD || text.chars().any(char::is_control) {
                return Err(DeviceProfileError::Field { field });
            }
        }
        match &self.params {
            Some(params) if depth(params) > Self::MAX_DEPTH || params.to_string().len() > Self::MAX_PARAMS => {
                Err(DeviceProfileError::Params)
            }
            _ => Ok(()),
        }
    }

    /// The parameters as the server's type.
    pub(super) fn tl_params(&self) -> Option<api::enums::Jsonvalue> {
        self.params.as_ref().map(|params| tl_json(params, Self::MAX_DEPTH))
    }
}

/// For the trace and for people: the name, and what is said under it.
impl std::fmt::Display for DeviceProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}, {}, {}", self.name, self.device_model, self.system_version, self.app_version)
    }
}

impl Default for DeviceProfile {
    fn default() -> Self {
        Self::built_in("tdl").expect("`tdl` is a built-in profile")
    }
}

/// How deep a value is nested: 0 for a plain one. Stops counting where it is too deep anyway.
fn depth(value: &serde_json::Value) -> usize {
    fn below<'a>(values: impl Iterator<Item = &'a serde_json::Value>, left: usize) -> usize {
        values.map(|value| at(value, left)).max().unwrap_or(0)
    }
    fn at(value: &serde_json::Value, left: usize) -> usize {
        match (value, left.checked_sub(1)) {
            (serde_json::Value::Array(values), Some(left)) => 1 + below(values.iter(), left),
            (serde_json::Value::Object(fields), Some(left)) => 1 + below(fields.values(), left),
            (serde_json::Value::Array(_) | serde_json::Value::Object(_), None) => 1,
            _ => 0,
        }
    }
    at(value, DeviceProfile::MAX_DEPTH + 1)
}

/// JSON as the schema's `JSONValue`. What is nested deeper than `left` is left out: a stored profile may be damaged.
fn tl_json(value: &serde_json::Value, left: usize) -> api::enums::Jsonvalue {
    use api::enums::Jsonvalue as J;
    use api::types as t;
    let Some(below) = left.checked_sub(1) else { return J::JsonNull };
    match value {
        serde_json::Value::Null => J::JsonNull,
        serde_json::Value::Bool(value) => J::JsonBool(t::JsonBool { value: *value }),
        serde_json::Value::Number(value) => J::JsonNumber(t::JsonNumber { value: value.as_f64().unwrap_or(0.0) }),
        serde_json::Value::String(value) => J::JsonString(t::JsonString { value: value.as_str().into() }),
        serde_json::Value::Array(values) => {
            J::JsonArray(t::JsonArray { value: values.iter().map(|value| tl_json(value, below)).collect() })
        }
        serde_json::Value::Object(fields) => {
            let field = |(key, value): (&String, &serde_json::Value)| {
                t::JsonObjectValue { key: key.as_str().into(), value: tl_json(value, below) }.into()
            };
            J::JsonObject(t::JsonObject { value: fields.iter().map(field).collect() })
        }
    }
}

/// Which API layer a connection negotiates with `invokeWithLayer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerPlan {
    /// The layer named to the server: one of [`bundled`](crate::tl::layers::bundled). Typed calls are translated into it and back; raw ones are
    /// made in it.
    pub layer: i32,
}

impl LayerPlan {
    /// The layer that the generated types speak.
    pub const COMPILED: Self = Self { layer: COMPILED_LAYER };

    /// A layer chosen by hand. What one of both layers cannot say fails with a typed error when it comes up.
    pub const fn fixed(layer: i32) -> Self {
        Self { layer }
    }
}

/// Whether connections say what the device is, and which layer they speak ("Invoking API Methods", `initConnection`).
///
/// The server keeps one device record and one layer for each key, and the last introduction wins. Whoever uses a key that belongs to another
/// program changes both under that program's feet by introducing itself as something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Introduction {
    /// With the first request of each session.
    #[default]
    Full,
    /// Never: the key has been introduced, and what was said then stays. Answers come in the layer that was named then, which
    /// [`ClientConfig::layer`](super::ClientConfig::layer) should be.
    Silent,
}

impl Default for LayerPlan {
    fn default() -> Self {
        Self::COMPILED
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn own() -> DeviceProfile {
        DeviceProfile { name: "lab".into(), ..DeviceProfile::default() }
    }

    #[test]
    fn the_built_in_profile_tells_the_truth_and_there_is_no_other() {
        for name in DeviceProfile::BUILT_IN {
            let profile = DeviceProfile::built_in(name).unwrap();
            assert_eq!(profile.name, name);
            assert_eq!(profile.app_version, concat!("tdl ", env!("CARGO_PKG_VERSION")));
            assert!(profile.device_model.contains(std::env::consts::ARCH) && !profile.system_version.is_empty());
            assert_eq!(DeviceProfile { name: "x".into(), ..profile }.check(), Ok(()));
        }
        for other in ["desktop", "android", "ios", "toaster", "TDL"] {
            assert_eq!(DeviceProfile::built_in(other), None, "{other}");
        }
    }

    #[test]
    fn each_rule_of_a_profile_is_checked() {
        assert_eq!(own().check(), Ok(()));
        for name in ["tdl", "", "a b", "a/b", "\u{1b}[2J", &"x".repeat(33)] {
            let profile = DeviceProfile { name: name.into(), ..own() };
            assert!(matches!(profile.check(), Err(DeviceProfileError::Name { .. })), "{name:?}");
        }
        let empty = DeviceProfile { device_model: String::new(), ..own() };
        assert_eq!(empty.check(), Err(DeviceProfileError::Empty { field: "device model" }));
        let control = DeviceProfile { app_version: "1\n2".into(), ..own() };
        assert_eq!(control.check(), Err(DeviceProfileError::Field { field: "app version" }));
        let long = DeviceProfile { lang_pack: "x".repeat(129), ..own() };
        assert_eq!(long.check(), Err(DeviceProfileError::Field { field: "language pack" }));
        let params = |params| DeviceProfile { params: Some(params), ..own() }.check();
        assert_eq!(params(json!({"tz_offset": 3600})), Ok(()));
        assert_eq!(params(json!([[[[[[[[1]]]]]]]])), Ok(()));
        assert_eq!(params(json!([[[[[[[[[1]]]]]]]]])), Err(DeviceProfileError::Params));
        assert_eq!(params(json!("x".repeat(4096))), Err(DeviceProfileError::Params));
    }

    #[test]
    fn parameters_become_the_servers_json() {
        use api::enums::Jsonvalue as J;
        let profile = DeviceProfile { params: Some(json!({"tz_offset": 3600, "flags": [true, null, "x"]})), ..own() };
        let Some(J::JsonObject(object)) = profile.tl_params() else { panic!("an object") };
        let field = |name: &str| {
            let mut fields = object.value.iter().map(|api::enums::JsonobjectValue::JsonObjectValue(field)| field);
            fields.find(|field| field.key == name).map(|field| &field.value)
        };
        assert_eq!(object.value.len(), 2);
        assert!(matches!(field("tz_offset"), Some(J::JsonNumber(number)) if number.value == 3600.0));
        let Some(J::JsonArray(flags)) = field("flags") else { panic!("an array") };
        assert!(
            matches!(&flags.value[..], [J::JsonBool(yes), J::JsonNull, J::JsonString(text)] if yes.value && text.value == "x")
        );
        assert!(own().tl_params().is_none());
    }
}
