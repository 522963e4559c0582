//! Addresses of data centres in what a server says (`help.getConfig`, `updateDcOptions`), replaced by those of the bridge: a client that
//! learnt the real ones would leave. They are looked for in the layer that the client speaks.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::tl::dynamic::{self, Object, Value};
use crate::tl::schema::Schema;

/// Where the bridge listens for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listening {
    /// The data centre.
    pub(super) dc: i32,
    /// Only for uploads and downloads.
    pub(super) media_only: bool,
    /// The bridge's address for it.
    pub(super) addr: SocketAddr,
}

const DC_OPTION: &str = "dcOption";

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Addresses(pub(super) Vec<Listening>);

impl Addresses {
    /// An object with the bridge's addresses in place of others, if there are any in it. Options of data centres that the bridge does not
    /// lead to are left out, and so are further ones that would come to the same address. `None`: there is nothing to replace.
    ///
    /// # Errors
    /// There may be addresses in it, and it is no object of the schema.
    pub(super) fn rewrite(&self, schema: &Schema, body: &Bytes) -> Result<Option<Bytes>, dynamic::Error> {
        let Some(id) = schema.by_name(DC_OPTION).map(|definition| definition.id) else { return Ok(None) };
        if !body.chunks_exact(4).any(|word| word == id.to_le_bytes()) {
            return Ok(None);
        }
        let mut value = dynamic::decode(schema, body.clone())?;
        self.visit(&mut value);
        let mut out = Vec::with_capacity(body.len());
        dynamic::encode(schema, &value, &mut out)?;
        Ok(Some(out.into()))
    }

    /// The tree is as deep as decoding allows, and no deeper.
    fn visit(&self, value: &mut Value<'_>) {
        match value {
            Value::Vector(items) => {
                let mut seen = Vec::new();
                items.retain_mut(|item| match item {
                    Value::Object(option) if option.definition.name == DC_OPTION => match self.replace(option) {
                        Some(listening) if !seen.contains(&listening) => {
                            seen.push(listening);
                            true
                        }
                        _ => false,
                    },
                    other => {
                        self.visit(other);
                        true
                    }
                });
            }
            Value::Object(object) => object.values.iter_mut().for_each(|value| self.visit(value)),
            _ => {}
        }
    }

    /// Puts the bridge's address into an option. `None` if it leads nowhere.
    fn replace(&self, option: &mut Object<'_>) -> Option<Listening> {
        let has = |name| option.field(name).is_some();
        // What demands a secret or is a CDN is not listened for.
        if has("cdn") || has("secret") {
            return None;
        }
        let Some(Value::Int(dc)) = option.field("id") else { return None };
        let (dc, media_only) = (*dc, has("media_only"));
        let of_it = |listening: &&Listening| listening.dc == dc && listening.media_only == media_only;
        let listening = *self.0.iter().find(of_it).or_else(|| self.0.iter().find(|listening| listening.dc == dc))?;
        let params = option.definition.params.iter();
        for (param, value) in params.zip(&mut option.values) {
            match param.name.as_str() {
                "ip_address" => *value = Value::String(listening.addr.ip().to_string().as_str().into()),
                "port" => *value = Value::Int(listening.addr.port().into()),
                "ipv6" => *value = if listening.addr.is_ipv6() { Value::True } else { Value::Absent },
                "media_only" => *value = if listening.media_only { Value::True } else { Value::Absent },
                _ => {}
            }
        }
        Some(listening)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tl::api::{enums, types};
    use crate::tl::{Deserialize as _, Serialize as _, compiled_schema};

    fn addresses() -> Addresses {
        let at = |dc, media_only, port| Listening { dc, media_only, addr: SocketAddr::from(([127, 0, 0, 1], port)) };
        Addresses(vec![at(1, false, 9001), at(2, false, 9002), at(2, true, 9003)])
    }

    fn option(id: i32) -> types::DcOption {
        types::DcOption { id, ip_address: "149.154.167.51".into(), port: 443, ..types::DcOption::default() }
    }

    fn updates(options: Vec<types::DcOption>) -> Bytes {
        let update = types::UpdateDcOptions { dc_options: options.into_iter().map(Into::into).collect() };
        enums::Updates::from(types::UpdateShort { update: update.into(), date: 7 }).to_bytes()
    }

    #[test]
    fn no_address_leads_past_the_bridge() {
        let body = updates(vec![
            option(1),
            types::DcOption { ipv6: true, ip_address: "2001:b28::a".into(), ..option(1) },
            option(2),
            types::DcOption { media_only: true, ..option(2) },
            types::DcOption { cdn: true, ..option(2) },
            types::DcOption { tcpo_only: true, secret: Some(vec![1; 16].into()), ..option(2) },
            types::DcOption { tcpo_only: true, ..option(2) },
            option(5),
        ]);
        let here = |id, media_only, port| types::DcOption { media_only, ip_address: "127.0.0.1".into(), port, ..option(id) };
        let expected = updates(vec![here(1, false, 9001), here(2, false, 9002), here(2, true, 9003)]);
        assert_eq!(addresses().rewrite(compiled_schema(), &body).unwrap().unwrap(), expected);
    }

    #[test]
    fn a_client_of_an_older_layer_stays_as_well() {
        use crate::tl::dynamic::json::{JsonOptions, from_json, to_json};
        for &layer in crate::tl::layers::bundled() {
            let schema = crate::tl::layers::schema(layer).unwrap();
            let option = serde_json::json!({"_": "dcOption", "id": 2, "ip_address": "149.154.167.51", "port": 443});
            let update = serde_json::json!({"_": "updateDcOptions", "dc_options": [option]});
            let json = serde_json::json!({"_": "updateShort", "update": update, "date": 7});
            let value = from_json(schema, &json, &JsonOptions::default()).unwrap();
            let mut body = Vec::new();
            dynamic::encode(schema, &value, &mut body).unwrap();
            let changed = addresses().rewrite(schema, &body.into()).unwrap().unwrap();
            let told = to_json(&dynamic::decode(schema, changed).unwrap(), &JsonOptions::default()).to_string();
            assert!(told.contains("127.0.0.1") && told.contains("9002") && !told.contains("149.154"), "{layer}: {told}");
        }
    }

    #[test]
    fn what_holds_no_address_is_not_touched() {
        assert_eq!(addresses().rewrite(compiled_schema(), &enums::Updates::TooLong.to_bytes()), Ok(None));
        let damaged = updates(vec![option(1)]);
        assert!(addresses().rewrite(compiled_schema(), &damaged.slice(..damaged.len() - 4)).is_err());
        assert!(enums::Updates::from_bytes(damaged).is_ok());
    }
}
