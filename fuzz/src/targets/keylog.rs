//! Key logs. Input: the file.

use tdl::debug::keylog::read;

use super::Seed;
use super::envelope::KEY;

pub fn run(data: &[u8]) {
    if let Ok(keys) = read(data) {
        assert!(keys.len() <= data.len() / 529 + 1, "each key takes a line");
    }
}

pub fn seeds() -> Vec<Seed> {
    let digits: String = KEY.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let id = format!("{:016x}", KEY.id());
    let mut seeds = vec![
        ("short".to_owned(), format!("{id} {digits}").into_bytes()),
        ("full".to_owned(), format!("# keys\n\n{id} {digits} perm 2 -\n{id} {digits} temp -3 1700086400\n").into_bytes()),
        ("wrong-id".to_owned(), format!("{:016x} {digits}\n", KEY.id() ^ 1).into_bytes()),
    ];
    seeds.push(("long-line".to_owned(), vec![b'#'; 1025]));
    seeds
}
