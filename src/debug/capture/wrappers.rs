//! Requests without what is wrapped around them: `invokeWithLayer` and its like.

use bytes::Bytes;

use tdl_core::mtproto::container::constructor;
use tdl_core::tl::api::functions as f;
use tdl_core::tl::{Deserialize, Identifiable, RawObject};

/// Wrappers around a request that are taken off; nobody needs more than four.
const MAX_WRAPPERS: usize = 8;

/// A request without its wrappers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unwrapped {
    /// The method's id.
    pub(super) method: u32,
    /// The method with its arguments.
    pub(super) body: Bytes,
    /// What `invokeWithLayer` says.
    pub(super) layer: Option<i32>,
    /// What `initConnection` says: the device and the application.
    pub(super) device: Option<String>,
}

/// Takes the wrappers off, as far as they can be read.
pub(super) fn unwrap(body: &Bytes) -> Unwrapped {
    let mut out = Unwrapped { method: constructor(body), body: body.clone(), ..Unwrapped::default() };
    for _ in 0..MAX_WRAPPERS {
        let Some(inner) = inner(&mut out) else { break };
        out.method = constructor(&inner);
        out.body = inner;
    }
    out
}

/// What is inside of the outermost wrapper, if there is one that can be read.
fn inner(out: &mut Unwrapped) -> Option<Bytes> {
    macro_rules! wrappers {
        ($($name:ident)*) => {
            match out.method {
                f::InvokeWithLayer::<RawObject>::ID => {
                    let wrapper = f::InvokeWithLayer::<RawObject>::from_bytes(out.body.clone()).ok()?;
                    out.layer = Some(wrapper.layer);
                    wrapper.query
                }
                f::InitConnection::<RawObject>::ID => {
                    let wrapper = f::InitConnection::<RawObject>::from_bytes(out.body.clone()).ok()?;
                    out.device = Some(format!("{}, {}", wrapper.device_model, wrapper.app_version));
                    wrapper.query
                }
                $(f::$name::<RawObject>::ID => f::$name::<RawObject>::from_bytes(out.body.clone()).ok()?.query,)*
                _ => return None,
            }
        };
    }
    let query = wrappers! {
        InvokeAfterMsg InvokeAfterMsgs InvokeWithApnsSecret InvokeWithBusinessConnection InvokeWithGooglePlayIntegrity
        InvokeWithMessagesRange InvokeWithReCaptcha InvokeWithTakeout InvokeWithoutUpdates
    };
    Some(query.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tdl_core::tl::schema::{Kind, Type};
    use tdl_core::tl::{Serialize, compiled_schema, dynamic};

    #[test]
    fn every_wrapper_of_the_schema_comes_off() {
        let inner = f::help::GetConfig.to_bytes();
        let mut count = 0;
        for definition in compiled_schema().definitions().iter().filter(|d| d.kind == Kind::Function) {
            let Some((query, rest)) = definition.params.split_last().filter(|(last, _)| matches!(last.ty, Type::Call(_)))
            else {
                continue;
            };
            assert_eq!(query.name, "query");
            // Zeros are empty strings, absent fields and numbers; only what has a constructor needs one.
            let mut body = definition.id.to_le_bytes().to_vec();
            for param in rest.iter().filter(|param| param.flag.is_none()) {
                match &param.ty {
                    Type::Vector { .. } => body.extend([0x15, 0xc4, 0xb5, 0x1c, 0, 0, 0, 0]),
                    Type::Boxed(name) => {
                        let constructor = compiled_schema().constructors_of(name).next().expect("a type has a constructor");
                        body.extend(constructor.id.to_le_bytes());
                        body.extend([0; 4].repeat(constructor.params.len()));
                    }
                    Type::Long => body.extend([0; 8]),
                    _ => body.extend([0; 4]),
                }
            }
            body.extend(&inner[..]);
            let body = Bytes::from(body);
            assert!(dynamic::decode(compiled_schema(), body.clone()).is_ok(), "{}", definition.name);
            assert_eq!(unwrap(&body).body, inner, "{}", definition.name);
            count += 1;
        }
        assert!(count > 10, "the test has lost its wrappers");
    }

    #[test]
    fn layer_and_device_are_read_on_the_way() {
        let query = f::InitConnection {
            api_id: 7,
            device_model: "Desk".into(),
            system_version: "1".into(),
            app_version: "2.5".into(),
            system_lang_code: "en".into(),
            lang_pack: "".into(),
            lang_code: "de".into(),
            proxy: None,
            params: None,
            query: f::InvokeWithoutUpdates { query: f::help::GetConfig },
        };
        let body = f::InvokeWithLayer { layer: 230, query }.to_bytes();
        let found = unwrap(&body);
        assert_eq!(
            (found.layer, found.device.as_deref(), found.method),
            (Some(230), Some("Desk, 2.5"), f::help::GetConfig::ID)
        );
        for end in 0..body.len() {
            let _ = unwrap(&body.slice(..end));
        }
    }

    #[test]
    fn wrappers_without_end_are_left_alone() {
        let mut body = f::help::GetConfig.to_bytes();
        for _ in 0..100 {
            body = f::InvokeWithoutUpdates { query: RawObject(body) }.to_bytes();
        }
        assert_eq!(unwrap(&body).method, f::InvokeWithoutUpdates::<RawObject>::ID);
    }
}
