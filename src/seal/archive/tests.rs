//! Backups as bytes: what goes in comes out, and whatever is wrong has its name.

use std::io::Write as _;

use rand::{SeedableRng, rngs::StdRng};

use super::super::{ArchiveWriter, Record as R};
use super::*;
use crate::{KdfParams, Protection, SealError, SealedWriter};

fn word() -> Passphrase {
    Passphrase::new("open".to_owned()).unwrap()
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(11)
}

fn bytes(fill: u8, length: usize) -> Cell {
    Cell::Bytes(Zeroizing::new(vec![fill; length]))
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn sample() -> Vec<Record> {
    let row = |table, cells| R::Row { table, cells };
    vec![
        R::Manifest { made_at: -7, by: "tdl 0.1.0".into(), namespaces: 2 },
        R::Begin { name: "default".into(), schema: 3 },
        row(Table::Meta, vec![text("home_dc"), text("2")]),
        row(Table::Seal, vec![bytes(1, 133)]),
        row(
            Table::DcAuth,
            vec![Cell::Int(2), bytes(9, 256), Cell::Int(i64::MIN), bytes(0, 24), Cell::Int(-3), Cell::Int(1), Cell::Int(5)],
        ),
        row(Table::Peer, vec![Cell::Int(0), Cell::Int(5), Cell::Int(-1), Cell::Null, text("Ada")]),
        row(Table::Peer, vec![Cell::Int(0), Cell::Int(6), Cell::Int(-1), text("bob"), text("")]),
        row(Table::Job, vec![text("upload"), bytes(3, 32), text("{}"), bytes(0, 200_000), Cell::Int(1), Cell::Int(2)]),
        R::EndOf { rows: 6 },
        R::Begin { name: "empty".into(), schema: 3 },
        R::EndOf { rows: 0 },
        R::End { namespaces: 2 },
    ]
}

fn written(records: &[Record], protection: &Protection) -> Result<Vec<u8>, ArchiveError> {
    let mut writer = ArchiveWriter::new(Vec::new(), protection, &mut rng())?;
    records.iter().try_for_each(|record| writer.write(record))?;
    writer.finish()
}

fn read(bytes: &[u8]) -> Result<Vec<Record>, ArchiveError> {
    let mut reader = ArchiveReader::open(ArchiveReader::head(bytes)?, Some(&word()), KdfLimits::default())?;
    let mut records = Vec::new();
    while let Some(record) = reader.read()? {
        records.push(record);
    }
    Ok(records)
}

/// A stream that is sound, around content that need not be.
fn stream(content: &[u8]) -> Vec<u8> {
    let mut writer = SealedWriter::new(Vec::new(), MAGIC, &Protection::None, &mut rng()).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    for protection in [Protection::None, Protection::Passphrase { passphrase: word(), params: KdfParams::LEAST }] {
        let bytes = written(&sample(), &protection).unwrap();
        assert_eq!(read(&bytes).unwrap(), sample());
        assert_eq!(bytes.windows(3).any(|w| w == b"Ada"), matches!(protection, Protection::None));
    }
}

#[test]
fn a_backup_that_stops_anywhere_is_not_whole() {
    let bytes = written(&sample(), &Protection::None).unwrap();
    for at in (0..600).chain(bytes.len() - 200..bytes.len()) {
        assert!(read(&bytes[..at]).is_err(), "{at}");
    }
    // The same where the stream is sound and its content is not.
    let content = {
        let mut reader = Unopened::read(&bytes[..], MAGIC, WHAT).unwrap().open(None, KdfLimits::default()).unwrap();
        let mut content = vec![0; bytes.len()];
        let length = reader.fill(&mut content).unwrap();
        content.truncate(length);
        content
    };
    for at in (0..900).chain(content.len() - 100..content.len()) {
        assert!(matches!(read(&stream(&content[..at])), Err(ArchiveError::Incomplete)), "{at}");
    }
    assert!(matches!(read(&stream(&[&content[..], &[0]].concat())), Err(ArchiveError::TrailingData)));
}

#[test]
fn the_order_and_the_counts_are_kept_by_both_sides() {
    let manifest = |namespaces| R::Manifest { made_at: 0, by: String::new(), namespaces };
    let begin = |name: &str| R::Begin { name: name.into(), schema: 1 };
    let row = || R::Row { table: Table::Meta, cells: vec![text("a"), text("b")] };
    let refused = |records: &[Record]| written(records, &Protection::None).unwrap_err();
    assert!(matches!(refused(&[begin("a")]), ArchiveError::OutOfOrder { after: "nothing", .. }));
    assert!(matches!(refused(&[manifest(0), manifest(0)]), ArchiveError::OutOfOrder { .. }));
    assert!(matches!(refused(&[manifest(1), row()]), ArchiveError::OutOfOrder { found: "a row", after: "the manifest" }));
    assert!(matches!(refused(&[manifest(2), begin("a"), begin("b")]), ArchiveError::OutOfOrder { .. }));
    assert!(matches!(refused(&[manifest(1), begin("a"), R::End { namespaces: 1 }]), ArchiveError::OutOfOrder { .. }));
    assert!(matches!(
        refused(&[manifest(1), begin("a"), row(), R::EndOf { rows: 2 }]),
        ArchiveError::WrongCount { what: "rows", stated: 2, found: 1 }
    ));
    assert!(matches!(
        refused(&[manifest(2), begin("a"), R::EndOf { rows: 0 }, R::End { namespaces: 1 }]),
        ArchiveError::WrongCount { what: "namespaces", stated: 2, found: 1 }
    ));
    assert!(matches!(
        refused(&[manifest(0), begin("a")]),
        ArchiveError::WrongCount { what: "namespaces", stated: 0, found: 1 }
    ));
    assert!(matches!(
        refused(&[manifest(2), begin("a"), R::EndOf { rows: 0 }, begin("a")]),
        ArchiveError::TwiceTheName { name } if name == "a"
    ));
    assert!(matches!(refused(&[manifest(0), R::End { namespaces: 0 }, manifest(0)]), ArchiveError::OutOfOrder { .. }));
    assert!(matches!(refused(&[manifest(0)]), ArchiveError::Incomplete));
    let short = R::Row { table: Table::Meta, cells: vec![text("a")] };
    assert!(matches!(refused(&[manifest(1), begin("a"), short]), ArchiveError::BadRow { table: "meta" }));
    let number = R::Row { table: Table::Meta, cells: vec![text("a"), Cell::Int(1)] };
    assert!(matches!(refused(&[manifest(1), begin("a"), number]), ArchiveError::BadRow { table: "meta" }));
    let long = begin(&"x".repeat(MAX_NAME + 1));
    assert!(matches!(refused(&[manifest(1), long]), ArchiveError::TooLong { found: 201, limit: 200 }));
}

#[test]
fn content_that_makes_no_sense_is_named() {
    let start = {
        // A manifest of one namespace, and its beginning.
        let mut bytes = vec![1];
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(&[1, 0, 0, 0, 2, 1, 0, 0, 0, b'a', 3, 0, 0, 0]);
        bytes
    };
    let refused = |rest: &[u8]| read(&stream(&[&start[..], rest].concat())).unwrap_err();
    assert!(matches!(refused(&[9]), ArchiveError::UnknownRecord { found: 9 }));
    assert!(matches!(refused(&[3, 77]), ArchiveError::UnknownTable { found: 77 }));
    assert!(matches!(refused(&[3, 1, 1, 0, 0, 0, 0xff, 0, 0, 0, 0]), ArchiveError::NotText));
    let huge = refused(&[3, 2, 0xff, 0xff, 0xff, 0x7f]);
    assert!(matches!(huge, ArchiveError::TooLong { found: 0x7fff_ffff, limit: MAX_CELL }), "{huge}");
    // The longest that may be claimed, without being there: it is not made room for.
    assert!(matches!(refused(&[3, 2, 0, 0, 0, 1, 5]), ArchiveError::Incomplete));
    let presence = [&[3, 4][..], &[0; 24], &[2]].concat();
    assert!(matches!(refused(&presence), ArchiveError::BadPresence { found: 2 }));
    assert!(matches!(refused(&[4, 1, 0, 0, 0, 0, 0, 0, 0]), ArchiveError::WrongCount { what: "rows", stated: 1, found: 0 }));
    let other = read(b"SQLite format 3\0").unwrap_err();
    assert!(matches!(other, ArchiveError::Seal(SealError::NotOurs { .. })));
}

#[test]
fn nothing_of_a_cell_is_printed() {
    let shown = format!("{:?}", sample());
    assert!(!shown.contains("Ada") && !shown.contains("9, 9"), "{shown}");
}
