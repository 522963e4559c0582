//! Backups. Input: a byte, and then the file (0), or the content of a sound stream around it (anything else): a fuzzer would not guess checksums.

use std::io::Write as _;

use rand::{SeedableRng as _, rngs::StdRng};
use tdl::seal::archive::{ArchiveError, ArchiveReader, ArchiveWriter, Cell, MAGIC, Record, Table};
use tdl::seal::{KdfLimits, KdfParams, Passphrase, Protection, SealedWriter};

use super::Seed;

/// What a file may demand here: runs are to be many.
const LIMITS: KdfLimits = KdfLimits { memory_kib: 64, work_kib: 64 };

fn passphrase() -> Passphrase {
    Passphrase::new("fuzz".to_owned()).expect("not empty")
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, file)) => {
            let _ = read(file);
        }
        Some((_, content)) => {
            let file = stream(content);
            if let Ok(records) = read(&file) {
                // There is one way to write them.
                assert_eq!(write(&records, &Protection::None), file);
            }
        }
        None => {}
    }
}

fn read(file: &[u8]) -> Result<Vec<Record>, ArchiveError> {
    let mut reader = ArchiveReader::open(ArchiveReader::head(file)?, Some(&passphrase()), LIMITS)?;
    let mut records = Vec::new();
    while let Some(record) = reader.read()? {
        records.push(record);
    }
    Ok(records)
}

fn write(records: &[Record], protection: &Protection) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new(), protection, &mut rng()).expect("memory takes all");
    records.iter().for_each(|record| writer.write(record).expect("they were read"));
    writer.finish().expect("they end")
}

fn stream(content: &[u8]) -> Vec<u8> {
    let mut writer = SealedWriter::new(Vec::new(), MAGIC, &Protection::None, &mut rng()).expect("memory takes all");
    writer.write_all(content).expect("memory takes all");
    writer.finish().expect("memory takes all")
}

pub fn seeds() -> Vec<Seed> {
    let text = |text: &str| Cell::Text(text.to_owned());
    let bytes = |length: usize| Cell::Bytes(vec![7; length].into());
    let row = |table, cells| Record::Row { table, cells };
    let records = [
        Record::Manifest { made_at: 5, by: "tdl".into(), namespaces: 1 },
        Record::Begin { name: "a".into(), schema: 3 },
        row(Table::Meta, vec![text("home_dc"), text("2")]),
        row(Table::Seal, vec![bytes(3)]),
        row(Table::DcAuth, vec![Cell::Int(2), bytes(8), Cell::Int(1), bytes(0), Cell::Int(-3), Cell::Int(1), Cell::Int(5)]),
        row(Table::Peer, vec![Cell::Int(0), Cell::Int(5), Cell::Int(-1), Cell::Null, text("Ada")]),
        row(Table::Peer, vec![Cell::Int(0), Cell::Int(6), Cell::Int(-1), text("bob"), text("")]),
        row(Table::Job, vec![text("upload"), bytes(32), text("{}"), bytes(4), Cell::Int(1), Cell::Int(2)]),
        Record::EndOf { rows: 6 },
        Record::End { namespaces: 1 },
    ];
    let plain = write(&records, &Protection::None);
    // Magic, version, protection, checksum; and the tag of the one piece.
    let content = plain.get(18..plain.len() - 16).expect("a head and a tag").to_vec();
    let sealed = write(&records, &Protection::Passphrase { passphrase: passphrase(), params: KdfParams::LEAST });
    let with = |first: u8, rest: Vec<u8>| [vec![first], rest].concat();
    vec![
        ("plain".to_owned(), with(0, plain)),
        ("sealed".to_owned(), with(0, sealed)),
        ("content".to_owned(), with(1, content)),
        ("empty".to_owned(), with(1, Vec::new())),
    ]
}
