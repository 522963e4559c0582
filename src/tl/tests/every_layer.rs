//! Every constructor and method of every bundled layer: a generated value to bytes, to JSON text, and back.

mod samples;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use samples::{Presence, Samples};
use tdl_tl::dynamic::json::{ByteText, JsonOptions, Longs, from_json, to_json};
use tdl_tl::{dynamic, layers};

#[test]
fn every_definition_of_every_layer_goes_through_json_and_comes_back() {
    let plain = JsonOptions::default();
    let other = JsonOptions { longs: Longs::Number, bytes: ByteText::Hex };
    for (number, layer) in layers::bundled().iter().enumerate() {
        let schema = layers::schema(*layer).expect("bundled");
        let samples = Samples::new(schema);
        for (index, definition) in schema.definitions().iter().enumerate() {
            // All conditional fields at the top, which covers each of them; what is further in is left to chance.
            let mut rng = StdRng::seed_from_u64((number << 16 | index) as u64);
            let value = samples.object(definition, Presence::All, &mut rng);
            let mut bytes = Vec::new();
            dynamic::encode(schema, &value, &mut bytes).expect("a sample fits its own definition");
            let bytes = Bytes::from(bytes);
            let decoded = dynamic::decode(schema, bytes.clone()).expect("what was encoded decodes");
            assert!(decoded == value, "{layer}: {definition}\n{value:#?}\n{decoded:#?}");

            let options = if index % 2 == 0 { &plain } else { &other };
            let text = to_json(&decoded, options).to_string();
            let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let read = from_json(schema, &json, options).unwrap_or_else(|e| panic!("{layer}: {e}\n{json:#}"));
            let mut again = Vec::new();
            dynamic::encode(schema, &read, &mut again).expect("what was read has bytes");
            assert!(again == bytes, "{layer}: {definition}\n{json:#}");
        }
    }
}
