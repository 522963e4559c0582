//! Every constructor and method of the schemas, through the generated types and back.
//!
//! Random values are made from the schema alone, written by the dynamic encoder, read by the generated type, written by it again, and must
//! come out byte for byte.

mod samples;

use std::fmt::Debug;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use samples::{Presence, Samples, below};
use tdl_tl::dynamic;
use tdl_tl::{Deserialize, Error, Serialize, compiled_schema};

type RoundTrip = fn(Bytes) -> Result<Bytes, Error>;

fn round_trip<T: Serialize + Deserialize + Clone + PartialEq + Debug>(bytes: Bytes) -> Result<Bytes, Error> {
    let value = T::from_bytes(bytes)?;
    let copy = value.clone();
    assert!(copy == value, "{value:?}");
    Ok(copy.to_bytes())
}

/// The round trip of the type that this id belongs to.
fn typed(id: u32) -> Option<RoundTrip> {
    Some(include!(concat!(env!("OUT_DIR"), "/tl_dispatch.rs")))
}

#[test]
fn every_definition_survives_the_round_trip() {
    let samples = Samples::new(compiled_schema());
    for (index, definition) in compiled_schema().definitions().iter().enumerate() {
        let typed = typed(definition.id).expect("the table is generated from the same schema");
        for presence in [Presence::All, Presence::None, Presence::Random, Presence::Random, Presence::Random] {
            let mut rng = StdRng::seed_from_u64(index as u64);
            let value = samples.object(definition, presence, &mut rng);
            let mut bytes = Vec::new();
            dynamic::encode(compiled_schema(), &value, &mut bytes).expect("a sample fits its own definition");
            let bytes = Bytes::from(bytes);
            let again = typed(bytes.clone()).unwrap_or_else(|e| panic!("{definition}\n{value:#?}\n{e}"));
            assert_eq!(again, bytes, "{definition}\n{value:#?}");
            let decoded = dynamic::decode(compiled_schema(), bytes).expect("what was encoded decodes");
            assert!(decoded == value, "{definition}\n{value:#?}\n{decoded:#?}");
        }
    }
}

#[test]
fn no_prefix_of_any_definition_is_taken_for_the_whole() {
    let samples = Samples::new(compiled_schema());
    for (index, definition) in compiled_schema().definitions().iter().enumerate() {
        // A generic method takes whatever follows as its inner call.
        if !definition.generics.is_empty() {
            continue;
        }
        let typed = typed(definition.id).expect("the table is generated from the same schema");
        let value = samples.object(definition, Presence::Random, &mut StdRng::seed_from_u64(index as u64));
        let mut bytes = Vec::new();
        dynamic::encode(compiled_schema(), &value, &mut bytes).expect("a sample fits its own definition");
        let bytes = Bytes::from(bytes);
        for end in 0..bytes.len().min(600) {
            assert!(typed(bytes.slice(..end)).is_err(), "{definition}: {end} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn damaged_bytes_are_an_error_or_another_value_but_never_a_panic() {
    let samples = Samples::new(compiled_schema());
    for (index, definition) in compiled_schema().definitions().iter().enumerate() {
        let typed = typed(definition.id).expect("the table is generated from the same schema");
        let mut rng = StdRng::seed_from_u64(index as u64);
        let value = samples.object(definition, Presence::Random, &mut rng);
        let mut bytes = Vec::new();
        dynamic::encode(compiled_schema(), &value, &mut bytes).expect("a sample fits its own definition");
        for _ in 0..16 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + below(&mut rng, 3) {
                let at = below(&mut rng, damaged.len());
                damaged[at] = rng.next_u32() as u8;
            }
            let damaged = Bytes::from(damaged);
            let _ = typed(damaged.clone());
            let _ = dynamic::decode(compiled_schema(), damaged);
        }
    }
}
