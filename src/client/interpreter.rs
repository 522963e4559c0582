//! Between the layer of the generated types and the one that was negotiated: requests on their way out, answers and updates on their way in.

use bytes::Bytes;

use super::error::InvokeError;
use crate::tl::translate::{TranslateError, Translator};

use super::device::{COMPILED_LAYER, LayerPlan};
use super::inner::Method;

/// Translates for one client. Of the layer of the generated types nothing is translated.
pub(super) struct Interpreter {
    layer: i32,
    /// None where both layers are the same.
    ways: Option<Ways>,
}

struct Ways {
    out: Translator,
    back: Translator,
}

impl Interpreter {
    /// For a layer. A layer that is not bundled is an error: what comes in it could not be read.
    pub(super) fn new(plan: LayerPlan) -> Result<Self, InvokeError> {
        let layer = plan.layer;
        if layer == COMPILED_LAYER {
            return Ok(Self { layer, ways: None });
        }
        let between = |from, to| Translator::between(from, to).map_err(InvokeError::UnknownLayer);
        Ok(Self { layer, ways: Some(Ways { out: between(COMPILED_LAYER, layer)?, back: between(layer, COMPILED_LAYER)? }) })
    }

    /// A request of the generated types, in the negotiated layer.
    pub(super) fn request(&self, method: Method, body: Bytes) -> Result<Bytes, InvokeError> {
        match &self.ways {
            None => Ok(body),
            Some(ways) => ways.out.request(body).map_err(|error| self.failed(method, error)),
        }
    }

    /// The answer to a request of the generated types, in their layer. `asked` is the method's id in the negotiated one.
    pub(super) fn answer(&self, method: Method, asked: u32, body: Bytes) -> Result<Bytes, InvokeError> {
        match &self.ways {
            None => Ok(body),
            Some(ways) => ways.back.result(asked, body).map_err(|error| self.failed(method, error)),
        }
    }

    /// An update, in the layer of the generated types.
    pub(super) fn update(&self, body: Bytes) -> Result<Bytes, TranslateError> {
        match &self.ways {
            None => Ok(body),
            Some(ways) => ways.back.object(body),
        }
    }

    fn failed(&self, method: Method, error: TranslateError) -> InvokeError {
        InvokeError::Layer { method: method.name, layer: self.layer, error }
    }
}

#[cfg(test)]
mod tests {
    use crate::tl::api::{functions as f, types};
    use crate::tl::layers::{bundled, schema};
    use crate::tl::{Identifiable, Serialize as _};

    use super::*;

    #[test]
    fn what_goes_around_requests_is_the_same_in_every_layer() {
        // The prelude is written once, and what the driver and the server look for by its id must have that id.
        let names = [
            "invokeWithLayer",
            "initConnection",
            "invokeWithoutUpdates",
            "invokeAfterMsg",
            "invokeWithTakeout",
            "updates.getState",
            "auth.bindTempAuthKey",
            "upload.getFile",
            "upload.getCdnFile",
            "upload.getWebFile",
            "upload.saveFilePart",
            "upload.saveBigFilePart",
        ];
        let line = |layer, name| schema(layer).unwrap().function(name).unwrap().to_string();
        for layer in bundled() {
            for name in names {
                assert_eq!(line(*layer, name), line(COMPILED_LAYER, name), "{layer}");
            }
        }
    }

    #[test]
    fn a_request_and_its_answer_are_carried_over_and_what_cannot_be_is_said() {
        let interpreter = Interpreter::new(LayerPlan::fixed(198)).unwrap();
        let send = f::messages::SendMessage { message: "hi".into(), random_id: 7, ..f::messages::SendMessage::default() };
        let method = Method::of::<f::messages::SendMessage>();
        let out = interpreter.request(method, send.to_bytes()).unwrap();
        let older = schema(198).unwrap().function(f::messages::SendMessage::NAME).unwrap();
        assert_eq!(out[..4], older.id.to_le_bytes());
        let update = types::UpdateShortSentMessage { id: 3, pts: 4, pts_count: 1, ..types::UpdateShortSentMessage::default() };
        let answer = crate::tl::api::enums::Updates::from(update).to_bytes();
        assert_eq!(interpreter.answer(method, older.id, answer.clone()).unwrap(), answer);

        // Paying with stars came later.
        let paid = f::messages::SendMessage { allow_paid_stars: Some(5), ..send };
        let error = interpreter.request(method, paid.to_bytes()).unwrap_err();
        assert!(matches!(error, InvokeError::Layer { layer: 198, method: f::messages::SendMessage::NAME, .. }), "{error}");
        assert!(error.to_string().contains("allow_paid_stars"), "{error}");
        let unknown = Interpreter::new(LayerPlan::fixed(200)).err().unwrap();
        assert!(matches!(unknown, InvokeError::UnknownLayer(unknown) if unknown.layer == 200));
    }
}
