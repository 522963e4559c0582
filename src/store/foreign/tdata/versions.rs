//! What the number of Telegram Desktop's version tells about how it introduces itself.

use super::super::Owner;

/// From which version on Telegram Desktop negotiates which layer, as its `api.tl` says: version 6.1.4 is 6001004. What is older than the
/// first line is not told by this table.
const LAYERS: [(i32, i32); 15] = [
    (6_000_000, 211),
    (6_001_000, 214),
    (6_002_000, 216),
    (6_003_000, 218),
    (6_003_006, 220),
    (6_004_000, 221),
    (6_005_000, 222),
    (6_006_000, 223),
    (6_007_000, 224),
    (6_008_000, 225),
    (6_009_000, 227),
    (7_000_001, 228),
    (7_001_000, 229),
    // The first version of which the layer is not known here.
    (7_003_000, 0),
    (i32::MAX, 0),
];

/// How a Telegram Desktop of this version introduces itself. What it takes from the machine (device and system) is not in `tdata`.
pub(super) fn owner(version: i32) -> Owner {
    let known = version > 0;
    let (major, minor, patch) = (version / 1_000_000, version / 1000 % 1000, version % 1000);
    // As Desktop writes it: the last number is left out where it is zero.
    let name = if patch == 0 { format!("{major}.{minor}") } else { format!("{major}.{minor}.{patch}") };
    let layer = LAYERS.iter().rev().find(|(from, _)| *from <= version).map(|(_, layer)| *layer).filter(|layer| *layer != 0);
    Owner { app_version: known.then_some(name), lang_pack: Some("tdesktop".to_owned()), layer, ..Owner::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_their_layers() {
        let of = |version| {
            let owner = owner(version);
            (owner.app_version, owner.layer)
        };
        assert_eq!(of(6_001_004), (Some("6.1.4".into()), Some(214)));
        assert_eq!(of(6_003_004), (Some("6.3.4".into()), Some(218)));
        assert_eq!(of(6_003_009), (Some("6.3.9".into()), Some(220)));
        assert_eq!(of(7_002_009), (Some("7.2.9".into()), Some(229)));
        assert_eq!(of(7_001_000), (Some("7.1".into()), Some(229)));
        assert_eq!(of(5_008_003), (Some("5.8.3".into()), None));
        assert_eq!(of(8_000_000), (Some("8.0".into()), None));
        assert_eq!(of(0), (None, None));
        assert_eq!(of(i32::MIN), (None, None));
    }

    #[test]
    fn the_table_ascends() {
        assert!(LAYERS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
