//! Media made of documents and photos, as somebody sees them now: what is kept of those is as old as the message, access hashes, references and
//! homes are not.

use bytes::Bytes;

use super::stored;
use super::view::View;
use crate::fault::Fault;
use crate::state::{self, composed, files};
use tdl_core::tl::api::enums;
use tdl_core::tl::dynamic::{self, Value};
use tdl_core::tl::{self, Serialize as _};

fn damaged() -> Fault {
    Fault::Internal(state::Error::Damaged("composed media"))
}

impl View<'_> {
    /// Composed media, of which the viewer sees what they may.
    pub(super) fn composed(&self, id: i64) -> Result<enums::MessageMedia, Fault> {
        let body = composed::seen_by(self.db, id, self.viewer)?.ok_or_else(damaged)?;
        self.renewed(&body)
    }

    /// A serialized `MessageMedia` with its documents and photos as they are now.
    pub(super) fn renewed(&self, body: &[u8]) -> Result<enums::MessageMedia, Fault> {
        let schema = tl::compiled_schema();
        let mut value = dynamic::decode(schema, Bytes::copy_from_slice(body)).map_err(|_| damaged())?;
        self.renew(&mut value)?;
        let mut out = Vec::with_capacity(body.len());
        dynamic::encode(schema, &value, &mut out).map_err(|_| damaged())?;
        stored(&out, "composed media")
    }

    fn renew(&self, value: &mut Value<'static>) -> Result<(), Fault> {
        let object = match value {
            Value::Vector(values) => return values.iter_mut().try_for_each(|value| self.renew(value)),
            Value::Object(object) => object,
            _ => return Ok(()),
        };
        let id = match object.field("id") {
            Some(Value::Long(id)) => *id,
            _ => 0,
        };
        let now = match object.definition.name.as_str() {
            "document" => {
                let document = files::document(self.db, id)?.ok_or_else(damaged)?;
                self.document(&document)?.to_bytes()
            }
            "photo" => {
                let photo = files::photo(self.db, id)?.ok_or_else(damaged)?;
                self.photo(&photo)?.to_bytes()
            }
            _ => return object.values.iter_mut().try_for_each(|value| self.renew(value)),
        };
        *value = dynamic::decode(tl::compiled_schema(), now).map_err(|_| damaged())?;
        Ok(())
    }
}
