//! Tests of the bundled layers and of differences.

use super::*;
use crate::schema::{ParseErrorKind, canonical, exceptions, parse};

/// The two figures of a difference's second line.
fn stated(text: &str) -> (usize, u32) {
    let line = text.lines().nth(1).unwrap();
    let (bytes, crc) = line.strip_prefix("// Canonical text: ").unwrap().split_once(" bytes, CRC-32 ").unwrap();
    (bytes.parse().unwrap(), u32::from_str_radix(crc.strip_suffix('.').unwrap(), 16).unwrap())
}

#[test]
fn every_stored_layer_comes_out_as_it_went_in_and_is_stored_as_small_as_can_be() {
    let layers: Vec<Schema> = bundled().iter().map(|layer| api_part(schema(*layer).unwrap()).unwrap()).collect();
    for ((older, newer), (layer, stored)) in layers.iter().zip(&layers[1..]).zip(STORED) {
        assert_eq!(older.layer(), Some(*layer));
        let text = canonical(older);
        assert_eq!(stated(stored), (text.len(), crc32fast::hash(text.as_bytes())), "{layer}");
        assert!(difference(newer, older) == *stored, "{layer}: `tdl tl import --layer-store` writes another difference");
        assert_eq!(exceptions(older), [], "{layer}");
        assert_eq!(canonical(&parse(&text).unwrap()), text);
    }
    assert_eq!(canonical(layers.last().unwrap()), include_str!("../../../tl-schema/api.tl"));
}

#[test]
fn every_layer_is_whole() {
    for layer in bundled() {
        let schema = schema(*layer).unwrap();
        assert_eq!(schema.layer(), Some(*layer));
        for name in ["message", "user", "boolTrue", "rpc_error", "resPQ", "true", "null", "error"] {
            assert!(schema.constructor(name).is_some(), "{layer}: {name}");
        }
        for name in ["invokeWithLayer", "initConnection", "help.getConfig", "ping"] {
            assert!(schema.function(name).is_some(), "{layer}: {name}");
        }
        let undefined = schema.undefined_types();
        assert!(undefined.is_empty(), "{layer}: {undefined:?}");
    }
}

#[test]
fn a_layer_that_is_not_there_is_named_with_those_that_are() {
    let error = schema(200).unwrap_err();
    assert_eq!(error, UnknownLayer { layer: 200 });
    let text = error.to_string();
    assert!(text.starts_with("layer 200 is not bundled: there are 158, 181, ") && text.ends_with("229, 230"), "{text}");
    assert!(bundled().is_sorted());
}

#[test]
fn the_layers_that_clients_speak_are_there() {
    for layer in [158, 181, 198, 199, 201, 214, 216, 224, 227, 229, 230] {
        assert!(bundled().contains(&layer), "{layer}");
    }
}

#[test]
fn a_difference_says_what_went_and_what_came() {
    let newer = parse("// LAYER 3\na#1 x:int = A; b#2 = B; d#4 = B;\n---functions---\nf#5 = A;").unwrap();
    let older = parse("// LAYER 2\na#6 = A; b#2 = B; c#3 = B;\n---functions---\nf#5 = A; g#7 = B;").unwrap();
    let text = difference(&newer, &older);
    let lines: Vec<_> = text.lines().skip(2).filter(|line| !line.is_empty()).collect();
    let expected = ["---types---", "-a#00000001", "+a#00000006 = A;", "+c#00000003 = B;", "-d#00000004", "---functions---"];
    assert_eq!(lines[..6], expected);
    assert_eq!(lines[6..], ["+g#00000007 = B;"]);
    let again = apply(&newer, [text.as_str()]).unwrap();
    assert_eq!(canonical(&again), canonical(&older));
}

#[test]
fn every_rule_of_a_difference_has_its_error() {
    use DeltaErrorKind as E;
    let newer = parse("// LAYER 3\na#1 = A;").unwrap();
    for (text, line, kind) in [
        ("", 1, E::NoLayer),
        ("// LAYER x", 1, E::NoLayer),
        ("// LAYER 2\n-a#00000002", 2, E::NothingToTake("a#00000002".to_owned())),
        ("// LAYER 2\n-b#00000001", 2, E::NothingToTake("b#00000001".to_owned())),
        ("// LAYER 2\n---functions---\n-a#00000001", 3, E::NothingToTake("a#00000001".to_owned())),
        ("// LAYER 2\n-a", 2, E::BadLine("-a".to_owned())),
        ("// LAYER 2\nb = A;", 2, E::BadLine("b = A;".to_owned())),
        ("// LAYER 2\n\n+b#z = A;", 3, E::Definition(ParseErrorKind::BadId("z".to_owned()))),
        ("// LAYER 2\n+a#5 = A;", 2, E::Definition(ParseErrorKind::DuplicateName("a".to_owned()))),
        (
            "// LAYER 2\n+b#1 = A;",
            0,
            E::Definition(ParseErrorKind::DuplicateId { name: "b".to_owned(), other: "a".to_owned(), id: 1 }),
        ),
    ] {
        assert_eq!(apply(&newer, [text]).unwrap_err(), DeltaError { line, kind }, "{text}");
    }
}

#[test]
fn the_list_of_stored_layers_is_the_directory() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tl-schema/layers");
    let mut found: Vec<String> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    let listed: Vec<String> = STORED.iter().map(|(layer, _)| format!("{layer}.delta")).collect();
    assert_eq!(found, listed);
}

#[test]
fn a_store_takes_a_layer_between_others_and_a_newer_one() {
    let api = "// LAYER 5\nboolFalse#bc799737 = Bool; boolTrue#997275b5 = Bool; a#5 = A;";
    let mut store = Store::read(api, [(3, "// LAYER 3\n-a#00000005\n+a#00000003 = A;")]).unwrap();
    let between = parse("// LAYER 4\na#4 = A; pong#347773c5 msg_id:long ping_id:long = Pong;").unwrap();
    let inserted = store.insert(&between).unwrap();
    assert_eq!(
        (inserted.layer, inserted.left_out, inserted.added),
        (4, vec!["pong".to_owned()], vec!["boolFalse".to_owned(), "boolTrue".to_owned()])
    );
    assert_eq!(store.layers().collect::<Vec<_>>(), [3, 4, 5]);
    let files = store.files();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["layers/3.delta", "layers/4.delta", "api.tl"]);
    assert!(files[0].1.contains("to layer 4") && files[0].1.contains("-a#00000004\n+a#00000003 = A;"), "{}", files[0].1);

    store.insert(&parse("// LAYER 6\na#6 = A;").unwrap()).unwrap();
    let files = store.files();
    assert!(files[2].0 == "layers/5.delta" && files[3].1.starts_with("// LAYER 6\n"), "{files:?}");
    let differences = files.iter().take(3).map(|(name, text)| (name[7..8].parse().unwrap(), text.as_str()));
    let again = Store::read(&files[3].1, differences).unwrap();
    assert_eq!(again.files(), files);
}

#[test]
fn a_store_that_does_not_fit_together_says_where() {
    let error = |newest, delta| Store::read(newest, [(3, delta)]).unwrap_err().to_string();
    assert_eq!(error("a", ""), "api.tl: line 1: the definition does not end with ';'");
    assert_eq!(error("a = A;", ""), "the schema does not say which layer it is");
    assert_eq!(
        error("// LAYER 5\na#1 = A;", "// LAYER 3\n-b#00000001"),
        "layers/3.delta: line 2: b#00000001 is to be taken out and is not there"
    );
    let mut store = Store::read("// LAYER 5\nnull#1 = Null;", []).unwrap();
    assert_eq!(store.insert(&parse("a#1 = A;").unwrap()).unwrap_err(), StoreError::NoLayer);
    let clash = store.insert(&parse("// LAYER 4\na#1 = A;").unwrap()).unwrap_err();
    assert!(matches!(clash, StoreError::Schema(_)), "{clash}");
}

/// The real files, through the store: nothing changes.
#[test]
fn the_bundled_files_are_what_a_store_writes() {
    let store = Store::read(include_str!("../../../tl-schema/api.tl"), STORED.iter().copied()).unwrap();
    for ((path, text), (layer, stored)) in store.files().iter().zip(STORED) {
        assert!(*path == format!("layers/{layer}.delta") && text == stored, "{path}");
    }
}
