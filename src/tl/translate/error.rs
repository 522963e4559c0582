//! What can go wrong between two layers.

use thiserror::Error;

use crate::dynamic;

/// Why something could not be translated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TranslateError {
    /// The bytes are nothing that the layer they come from describes.
    #[error("the bytes are no layer {layer}: {error}")]
    Decode {
        /// The layer.
        layer: i32,
        /// What is wrong with them.
        error: dynamic::Error,
    },
    /// An id that is a method in neither layer.
    #[error("{id:#010x} is no method of layer {from} or {to}")]
    UnknownMethod {
        /// The id.
        id: u32,
        /// The layer that is translated from.
        from: i32,
        /// The layer that is translated to.
        to: i32,
    },
    /// Generic methods around each other, more than any client wraps.
    #[error("more than {limit} calls around each other")]
    TooManyWrappers {
        /// The limit.
        limit: usize,
    },
    /// Something that the other layer has no words for.
    #[error(transparent)]
    Inexpressible(Box<Inexpressible>),
    /// What the rules made has no bytes: a mistake in the rules.
    #[error("the rules made something that layer {layer} has no bytes for: {error}")]
    Encode {
        /// The layer.
        layer: i32,
        /// What is wrong with it.
        error: dynamic::Error,
    },
}

/// Something that the other layer has no words for: what, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {lack} (layer {from} to layer {to})")]
pub struct Inexpressible {
    /// The layer that is translated from.
    pub from: i32,
    /// The layer that is translated to.
    pub to: i32,
    /// The way from the outermost object: `messages.sendMedia.media.poll`.
    pub path: String,
    /// What is missing.
    pub lack: Lack,
}

/// What the other layer lacks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Lack {
    /// It has no such method.
    #[error("there is no method {0}")]
    Method(String),
    /// It has no such constructor.
    #[error("there is no constructor {0}")]
    Constructor(String),
    /// The definition has no such field there, and the request sets it.
    #[error("{definition} has no field {field} there")]
    Field {
        /// The definition.
        definition: String,
        /// The field.
        field: String,
    },
    /// The definition has a field there that nothing here answers to.
    #[error("{definition} needs the field {field}: {ty} there")]
    Needs {
        /// The definition.
        definition: String,
        /// The field.
        field: String,
        /// Its type.
        ty: String,
    },
    /// The type changed, and this value does not fit the new one.
    #[error("a {found} does not fit {expected}")]
    Type {
        /// The type here, or the constructor.
        found: String,
        /// The type there.
        expected: String,
    },
    /// A number that was 64 bits wide does not fit 32.
    #[error("{value} does not fit int")]
    Range {
        /// The number.
        value: i64,
    },
}

/// A lack on its way out to the root: the path is collected backwards.
#[derive(Debug)]
pub(super) struct Fail {
    pub(super) lack: Lack,
    pub(super) path: Vec<Segment>,
}

/// A step of the path.
#[derive(Debug)]
pub(super) enum Segment {
    Field(String),
    Index(usize),
}

impl Fail {
    pub(super) fn new(lack: Lack) -> Box<Self> {
        Box::new(Self { lack, path: Vec::new() })
    }

    pub(super) fn within(mut self: Box<Self>, segment: Segment) -> Box<Self> {
        self.path.push(segment);
        self
    }

    /// The finished error.
    pub(super) fn finish(self, from: i32, to: i32, root: &str) -> TranslateError {
        let mut path = root.to_owned();
        for segment in self.path.iter().rev() {
            match segment {
                Segment::Field(name) => path.extend([".", name]),
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        TranslateError::Inexpressible(Box::new(Inexpressible { from, to, path, lack: self.lack }))
    }
}
