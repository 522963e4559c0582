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
