//! Translation between two API layers: a request made in one layer becomes the same request in another, an answer is lifted back.
//!
//! By constructor name, field by field. What both layers describe in the same words is passed through; where the shape changed,
//! the rules of `tl-schema/translation.rules` say what becomes of it; what the other layer has no words for is a typed error that
//! names it ([`TranslateError::Inexpressible`]).
//!
//! Requests and answers are treated differently. A request must not lose what its caller asked for: a field that is set and that
//! the other layer lacks is an error. An answer may lose what the older layer could never say: fields that are gone are left out, a
//! conditional field whose value cannot be expressed is absent, and the rules drop or replace kinds of updates, entities, media and so on.
//! [`Translator::differences`] lists all that can get lost or fail.
//!
//! Numbers: `int` becomes `long` and `double`, `long` becomes `int` if it fits and is an error otherwise, `double` is rounded.
//!
//! ```
//! use tdl_tl::translate::Translator;
//! use tdl_tl::{Serialize, api};
//!
//! let call = api::functions::help::GetConfig.to_bytes();
//! let older = Translator::between(230, 201)?.request(call.clone()).expect("both layers have it");
//! assert_eq!(older, call);
//! # Ok::<(), tdl_tl::layers::UnknownLayer>(())
//! ```

mod difference;
mod error;
mod pair;
mod pattern;
mod rules;
mod walk;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::dynamic::{self, Object, Value};
use crate::layers::UnknownLayer;
use crate::schema::{Definition, Kind, Type};

pub use difference::{Change, Difference};
pub use error::{Inexpressible, Lack, TranslateError};
use pair::Pair;
use walk::{Mode, Walk};

/// How many calls may be around each other; clients wrap three or four times.
const MAX_WRAPPERS: usize = 16;

/// Translates from one layer to another. Cheap to clone; what it knows of the two layers is computed once for each pair and kept.
#[derive(Clone)]
pub struct Translator {
    pair: Arc<Pair>,
}

impl fmt::Debug for Translator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Translator({} to {})", self.pair.from, self.pair.to)
    }
}

impl Translator {
    /// The translator from one bundled layer to another. The first call for a pair loads both schemas and compares them.
    ///
    /// # Errors
    /// [`UnknownLayer`] for a layer that is not [bundled](crate::layers::bundled).
    pub fn between(from: i32, to: i32) -> Result<Self, UnknownLayer> {
        Ok(Self { pair: Pair::of(from, to)? })
    }

    /// The layer that is translated from.
    pub fn source_layer(&self) -> i32 {
        self.pair.from
    }

    /// The layer that is translated to.
    pub fn target_layer(&self) -> i32 {
        self.pair.to
    }

    /// All that gets lost, changes its shape or fails on the way, without regard to any particular value.
    pub fn differences(&self) -> Vec<Difference> {
        difference::differences(&self.pair)
    }

    /// Whether a request of this method passes as it is, without being looked into: because its definition and all that can be in it are
    /// the same in both layers. So it is for parts of files. False for methods that wrap others, and for what is no method.
    pub fn passes_request(&self, method_id: u32) -> bool {
        let known = self.pair.source.by_id(method_id).filter(|d| d.kind == Kind::Function);
        self.is_identity() || known.is_some_and(|method| self.pair.plan(method).is_some_and(|plan| plan.same))
    }

    /// Whether an answer of this method, given by its id in either layer, passes as it is.
    pub fn passes_result(&self, method_id: u32) -> bool {
        let same = |(here, there): (&Definition, &Definition)| here.result == there.result && self.pair.is_same(&here.result);
        self.is_identity() || self.pair.method(method_id).is_some_and(same)
    }

    /// A method call of layer `from`, as the same call in layer `to`. Wrappers (`invokeWithLayer`, `initConnection`,
    /// `invokeWithoutUpdates`, `invokeAfterMsg`, …) are translated with the call inside; an `invokeWithLayer` that names layer `from` names
    /// layer `to` afterwards.
    ///
    /// # Errors
    /// See [`TranslateError`].
    pub fn request(&self, body: Bytes) -> Result<Bytes, TranslateError> {
        if self.is_identity() { Ok(body) } else { self.call(body, 0) }
    }

    /// An answer of a method in layer `from`, as the same answer in layer `to`: an object, or a bare vector, Bool or number.
    ///
    /// The method is given by its id in layer `from`; an id that only layer `to` knows is looked up there, and stands for the method of
    /// the same name. So a client may use the id that it made the request with, or that which went over the wire. Errors
    /// (`rpc_error`) are not answers of a method: the session has taken them out.
    ///
    /// # Errors
    /// See [`TranslateError`].
    pub fn result(&self, method_id: u32, body: Bytes) -> Result<Bytes, TranslateError> {
        if self.is_identity() {
            return Ok(body);
        }
        let (from, to) = (self.pair.from, self.pair.to);
        let unknown = TranslateError::UnknownMethod { id: method_id, from, to };
        let (here, there) = self.pair.method(method_id).ok_or(unknown)?;
        if here.result == there.result && self.pair.is_same(&here.result) {
            return Ok(body);
        }
        if !here.generics.is_empty() {
            return self.object(body);
        }
        let value = dynamic::decode_as(self.pair.source, &here.result, body)
            .map_err(|error| TranslateError::Decode { layer: from, error })?;
        let root = match &value {
            Value::Object(object) => object.definition.name.as_str(),
            _ => here.name.as_str(),
        };
        let walk = Walk { pair: &self.pair, mode: Mode::Answer };
        let value = walk.value(&here.result, &there.result, value).map_err(|fail| fail.finish(from, to, root))?;
        let mut out = Vec::new();
        dynamic::encode_as(self.pair.target, &there.result, &value, &mut out)
            .map_err(|error| TranslateError::Encode { layer: to, error })?;
        Ok(out.into())
    }

    /// An object of layer `from` that answers no method, such as `Updates`, in layer `to`. The rules are those of answers.
    ///
    /// # Errors
    /// See [`TranslateError`].
    pub fn object(&self, body: Bytes) -> Result<Bytes, TranslateError> {
        if self.is_identity() {
            return Ok(body);
        }
        let from = self.pair.from;
        let id = body.first_chunk().map(|id| u32::from_le_bytes(*id));
        let known = id.and_then(|id| self.pair.source.by_id(id));
        if known.is_some_and(|definition| self.pair.plan(definition).is_some_and(|plan| plan.same)) {
            return Ok(body);
        }
        let value = dynamic::decode(self.pair.source, body).map_err(|error| TranslateError::Decode { layer: from, error })?;
        self.whole(value, Mode::Answer)
    }

    fn is_identity(&self) -> bool {
        self.pair.from == self.pair.to
    }

    /// Translates and writes an object of any type.
    fn whole(&self, value: Value<'static>, mode: Mode) -> Result<Bytes, TranslateError> {
        let (from, to) = (self.pair.from, self.pair.to);
        let Value::Object(object) = value else { return self.write(&value) };
        let root = object.definition;
        let walk = Walk { pair: &self.pair, mode };
        let value = walk.object(object, None, None).map_err(|fail| fail.finish(from, to, &root.name))?;
        self.write(&value)
    }

    fn write(&self, value: &Value<'_>) -> Result<Bytes, TranslateError> {
        let mut out = Vec::new();
        dynamic::encode(self.pair.target, value, &mut out)
            .map_err(|error| TranslateError::Encode { layer: self.pair.to, error })?;
        Ok(out.into())
    }

    /// A call, and what it wraps.
    fn call(&self, body: Bytes, depth: usize) -> Result<Bytes, TranslateError> {
        let (from, to) = (self.pair.from, self.pair.to);
        if depth > MAX_WRAPPERS {
            return Err(TranslateError::TooManyWrappers { limit: MAX_WRAPPERS });
        }
        let id = body.first_chunk().map(|id| u32::from_le_bytes(*id));
        let method = id.and_then(|id| self.pair.source.by_id(id)).filter(|d| d.kind == Kind::Function);
        let Some(method) = method else {
            return Err(TranslateError::UnknownMethod { id: id.unwrap_or_default(), from, to });
        };
        if method.params.last().is_none_or(|p| !matches!(p.ty, Type::Call(_))) {
            if self.pair.plan(method).is_some_and(|plan| plan.same) {
                return Ok(body);
            }
            let value =
                dynamic::decode(self.pair.source, body).map_err(|error| TranslateError::Decode { layer: from, error })?;
            return self.whole(value, Mode::Request);
        }
        let (mut wrapper, inner) = dynamic::decode_wrapper(self.pair.source, method, body.clone())
            .map_err(|error| TranslateError::Decode { layer: from, error })?;
        let translated = self.call(inner.clone(), depth + 1)?;
        let announces = announce(&mut wrapper, from, to);
        let unchanged = translated.as_ptr() == inner.as_ptr() && translated.len() == inner.len();
        if unchanged && !announces && self.pair.plan(method).is_some_and(|plan| plan.target.is_some_and(|t| t.id == method.id))
        {
            return Ok(body);
        }
        let Some((inner_id, rest)) = translated.split_first_chunk() else {
            return Err(TranslateError::UnknownMethod { id: 0, from, to });
        };
        let inner = Value::Raw { id: u32::from_le_bytes(*inner_id), name: "call", body: translated.slice_ref(rest) };
        if let Some(last) = wrapper.values.last_mut() {
            *last = inner;
        }
        self.whole(Value::Object(wrapper), Mode::Request)
    }
}

/// Lets `invokeWithLayer` name the layer that is spoken now; says whether it did.
fn announce(wrapper: &mut Object<'_>, from: i32, to: i32) -> bool {
    let mut changed = false;
    if wrapper.definition.name == "invokeWithLayer" {
        for value in wrapper.values.iter_mut().filter(|value| **value == Value::Int(from)) {
            *value = Value::Int(to);
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests;
