//! gzip both ways. Input: two bytes for the cap, the packed bytes, which are also packed in their turn.

use bytes::Bytes;
use tdl::mtproto::gzip;
use tdl::tl::{Deserialize, mtproto::types};

use super::Seed;
use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let cap = usize::from(input.u16()) * 16;
    let bytes = input.rest();
    if let Ok(unpacked) = gzip::unpack(bytes, cap) {
        assert!(unpacked.len() <= cap);
    }
    if let Some(packed) = gzip::pack(bytes) {
        assert!(packed.len() < bytes.len(), "packing that makes longer is not done");
        assert_eq!(gzip::unpack(&packed_data(packed), bytes.len()).expect("ours"), bytes);
    }
}

pub fn seeds() -> Vec<Seed> {
    let with_cap = |cap: u16, data: &[u8]| [&cap.to_le_bytes()[..], data].concat();
    let packed = packed_data(gzip::pack(&[0x5a; 4096]).expect("repeats itself"));
    vec![
        ("fits".into(), with_cap(256, &packed)),
        ("over-the-cap".into(), with_cap(255, &packed)),
        ("cut-off".into(), with_cap(256, &packed[..packed.len() - 6])),
        ("to-pack".into(), with_cap(0, &b"abcdefgh".repeat(100))),
    ]
}

/// The data inside a `gzip_packed`.
fn packed_data(object: Bytes) -> Bytes {
    let id = object.slice(..4);
    assert_eq!(id, 0x3072_cfa1_u32.to_le_bytes()[..]);
    types::GzipPacked::from_bytes(object.slice(4..)).expect("ours").packed_data
}
