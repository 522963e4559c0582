//! Strings that occur often, each kept once.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

/// A list of different strings, and where each is.
#[derive(Debug, Default)]
pub(super) struct Strings {
    all: Vec<String>,
    places: HashMap<String, u32>,
}

impl Strings {
    /// The string's number; it is added if it is new.
    pub(super) fn of(&mut self, text: String) -> u32 {
        if let Some(place) = self.places.get(&text) {
            return *place;
        }
        // A recording of four thousand million different strings does not fit into a page.
        let place = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(text.clone());
        self.places.insert(text, place);
        place
    }
}

impl Serialize for Strings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all.serialize(serializer)
    }
}
