//! A set of [`Layer`]s, as `--trace=WHAT` writes it.

use std::fmt;
use std::str::FromStr;

use super::Layer;

/// Which layers to trace. The default is `mtproto,rpc`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LayerSet(u8);

/// A word in `--trace=WHAT` that names no layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no layer of the trace; known are transport, crypto, mtproto, rpc, tl, updates and all")]
pub struct UnknownLayer {
    /// The word.
    pub found: String,
}

impl LayerSet {
    /// No layer.
    pub const NONE: Self = Self(0);
    /// Every layer that there is something to read in: all but [`Layer::Core`].
    pub const ALL: Self = Self(((1 << Layer::ALL.len()) - 1) & !(1 << Layer::Core as u8));

    /// This set and `layer`.
    #[must_use]
    pub const fn with(self, layer: Layer) -> Self {
        Self(self.0 | 1 << layer as u8)
    }

    /// The layers of both.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether `layer` is in it.
    pub const fn contains(self, layer: Layer) -> bool {
        self.0 & (1 << layer as u8) != 0
    }
}

impl Default for LayerSet {
    fn default() -> Self {
        Self::NONE.with(Layer::Mtproto).with(Layer::Rpc)
    }
}

/// Names separated by commas; `all` for every layer but `core`; the empty string for the default.
impl FromStr for LayerSet {
    type Err = UnknownLayer;

    fn from_str(what: &str) -> Result<Self, UnknownLayer> {
        if what.trim().is_empty() {
            return Ok(Self::default());
        }
        what.split(',').map(str::trim).try_fold(Self::NONE, |set, word| {
            if word == "all" {
                return Ok(set.and(Self::ALL));
            }
            match Layer::ALL.into_iter().find(|layer| layer.name() == word) {
                Some(layer) => Ok(set.with(layer)),
                None => Err(UnknownLayer { found: word.to_owned() }),
            }
        })
    }
}

impl fmt::Display for LayerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for layer in Layer::ALL.into_iter().filter(|layer| self.contains(*layer)) {
            if !first {
                f.write_str(",")?;
            }
            first = false;
            f.write_str(layer.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for LayerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayerSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_selects_its_layer_alone() {
        for layer in Layer::ALL {
            let set: LayerSet = layer.name().parse().unwrap();
            for other in Layer::ALL {
                assert_eq!(set.contains(other), layer == other, "{layer} {other}");
            }
        }
    }

    #[test]
    fn lists_and_all_and_nothing() {
        assert_eq!("".parse(), Ok(LayerSet::default()));
        assert_eq!(LayerSet::default().to_string(), "mtproto,rpc");
        assert_eq!("rpc, transport".parse::<LayerSet>().unwrap().to_string(), "transport,rpc");
        assert_eq!("all".parse(), Ok(LayerSet::ALL));
        assert_eq!("rpc,all".parse(), Ok(LayerSet::ALL));
        assert!(Layer::ALL.into_iter().all(|layer| LayerSet::ALL.contains(layer) == (layer != Layer::Core)));
    }

    #[test]
    fn unknown_word_is_named() {
        assert_eq!("rpc,http".parse::<LayerSet>(), Err(UnknownLayer { found: "http".into() }));
        assert_eq!("rpc,".parse::<LayerSet>(), Err(UnknownLayer { found: String::new() }));
    }
}
