//! Framing codecs and wrappers as pure byte transformers.
