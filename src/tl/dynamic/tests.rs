//! Tests of dynamic objects.

use bytes::Bytes;

use super::*;
use crate::schema::{Schema, Type, parse};
use crate::wire::{self, Serialize};
use crate::{api, compiled_schema, mtproto};

fn schema() -> Schema {
    parse(
        "boolTrue = Bool; boolFalse = Bool; leaf#1 = Tree; node#2 left:Tree right:Tree = Tree; \
         all#3 flags:# t:flags.0?true i:int l:long d:double s:string b:bytes q:Bool x:int128 y:int256 v:Vector<int> w:vector<pair> \
         o:flags.1?Tree p:%Pair = All; pair#4 a:int b:int = Pair; missing#6 a:nothing = All;\n---functions---\ncall#5 {X:Type} query:!X = X;",
    )
    .unwrap()
}

fn words(words: &[u32]) -> Bytes {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

#[test]
fn every_kind_of_value_comes_back_and_prints() {
    let schema = schema();
    let object = |name, values| Value::Object(Object { definition: schema.by_name(name).unwrap(), values });
    let pair = || object("pair", vec![Value::Int(1), Value::Int(-2)]);
    let all = object(
        "all",
        vec![
            Value::Flags(0b11),
            Value::True,
            Value::Int(-1),
            Value::Long(1 << 40),
            Value::Double(0.5),
            Value::String("a\"b".into()),
            Value::Bytes(Bytes::from(vec![0xab; 40])),
            Value::Bool(true),
            Value::Int128([1; 16]),
            Value::Int256([2; 32]),
            Value::Vector(vec![Value::Int(7), Value::Int(8)]),
            Value::Vector(vec![pair()]),
            object("leaf", vec![]),
            pair(),
        ],
    );
    let call = object("call", vec![all.clone()]);
    let mut bytes = Vec::new();
    encode(&schema, &call, &mut bytes).unwrap();
    let decoded = decode(&schema, bytes.clone().into()).unwrap();
    assert!(decoded == call);
    let text = format!("{decoded:?}");
    let expected = format!(
        "call {{ query: all {{ t: true, i: -1, l: 1099511627776, d: 0.5, s: \"a\\\"b\", b: 0x{}… (40 bytes), q: true, x: 0x{}, y: 0x{}, \
         v: [7, 8], w: [pair {{ a: 1, b: -2 }}], o: leaf, p: pair {{ a: 1, b: -2 }} }} }}",
        "ab".repeat(32),
        "01".repeat(16),
        "02".repeat(32),
    );
    assert_eq!(text, expected);
    let redacted = decoded.print(Style { lines: true, redact: true }).to_string();
    assert!(
        redacted.starts_with("call {\n    query: all {\n        t: true,\n") && redacted.contains("s: <3 bytes of text>"),
        "{redacted}"
    );
    assert!(redacted.contains("x: <16 bytes>") && !redacted.contains("ab"), "{redacted}");

    let Value::Object(object) = &decoded else { panic!("{decoded:?}") };
    assert!(object.field("query").is_some() && object.field("none").is_none());

    for end in 0..bytes.len() {
        assert!(decode(&schema, Bytes::copy_from_slice(&bytes[..end])).is_err(), "{end}");
    }
}

#[test]
fn absent_values_are_left_out_and_unknown_bits_kept() {
    let schema = parse("a#1 flags:# x:flags.0?int y:flags.1?true = A;").unwrap();
    let bytes = words(&[1, 0b100]);
    let value = decode(&schema, bytes.clone()).unwrap();
    assert_eq!(format!("{value:?}"), "a");
    let mut out = Vec::new();
    encode(&schema, &value, &mut out).unwrap();
    assert_eq!(out, bytes);
}

#[test]
fn every_error_has_its_cause() {
    let schema = schema();
    let error = |ids: &[u32]| decode(&schema, words(ids)).map(|_| ()).unwrap_err();
    assert_eq!(error(&[]), Error::Wire(wire::Error::UnexpectedEnd { needed: 4, left: 0 }));
    assert_eq!(error(&[1, 1]), Error::Wire(wire::Error::TrailingBytes { left: 4 }));
    assert_eq!(error(&[5, 99]), Error::UnknownId { id: 99, position: 4 });
    assert_eq!(error(&[2, 1, 4]), Error::WrongType { found: "pair".to_owned(), expected: "Tree".to_owned(), position: 8 });
    assert_eq!(error(&[2, 5]), Error::WrongType { found: "call".to_owned(), expected: "Tree".to_owned(), position: 4 });
    assert_eq!(error(&[6]), Error::UndefinedType("nothing".to_owned()));
    assert_eq!(error(&vec![2; 10_000]), Error::TooDeep { limit: MAX_DEPTH });

    let ints = Type::Vector { bare: true, item: Box::new(Type::Int) };
    let as_ints = |bytes| decode_as(&schema, &ints, bytes).map(|_| ());
    let many: Bytes = words(&[vec![MAX_VALUES as u32 + 1], vec![0; MAX_VALUES + 1]].concat());
    assert_eq!(as_ints(many).unwrap_err(), Error::TooLarge { limit: MAX_VALUES });
    assert_eq!(as_ints(words(&[2, 1])).unwrap_err(), Error::Wire(wire::Error::VectorTooLong { count: 2, left: 4 }));
    let boxed = Type::Vector { bare: false, item: Box::new(Type::Int) };
    assert_eq!(decode_as(&schema, &boxed, words(&[2])).map(|_| ()).unwrap_err(), wire::Error::BadVector { id: 2 }.into());

    let node = Object { definition: schema.by_name("node").unwrap(), values: vec![Value::Int(1)] };
    let expected = Error::Mismatch { parameter: "node.left".to_owned(), expected: "Tree".to_owned() };
    assert_eq!(encode(&schema, &Value::Object(node), &mut Vec::new()), Err(expected));
    let expected = Error::Mismatch { parameter: "value".to_owned(), expected: "int".to_owned() };
    assert_eq!(encode_as(&schema, &Type::Int, &Value::Long(1), &mut Vec::new()), Err(expected));
}

#[test]
fn messages_without_a_schema_line_stay_raw() {
    let bytes = words(&[mtproto::RPC_RESULT_ID, 1, 0, 7]);
    let value = decode(compiled_schema(), bytes.clone()).unwrap();
    assert_eq!(format!("{value:?}"), "rpc_result { 0x010000000000000007000000 }");
    let mut out = Vec::new();
    encode(compiled_schema(), &value, &mut out).unwrap();
    assert_eq!(out, bytes);
    assert_eq!(crate::name_of(mtproto::MSG_CONTAINER_ID), Some("msg_container"));
    assert_eq!(crate::name_of(0x7600_b9d3), Some("message"));
    assert_eq!(crate::name_of(1), None);
}

#[test]
fn generated_types_print_by_the_schema() {
    let peer = api::types::PeerUser { user_id: 7 };
    assert_eq!(format!("{peer:?}"), "peerUser { user_id: 7 }");
    assert_eq!(format!("{:?}", api::enums::Peer::from(peer)), "peerUser { user_id: 7 }");
    assert_eq!(format!("{:?}", api::functions::help::GetConfig), "help.getConfig");
    let wrapped = api::functions::InvokeWithLayer { layer: 230, query: api::functions::help::GetConfig };
    assert_eq!(format!("{wrapped:?}"), "invokeWithLayer { layer: 230, query: help.getConfig }");
    let unknown = api::functions::InvokeWithLayer { layer: 1, query: crate::RawObject(Bytes::from_static(&[1; 8])) };
    assert!(format!("{unknown:?}").starts_with("invokeWithLayer { 16 bytes: unknown constructor 0x01010101"), "{unknown:?}");
    let pong = mtproto::types::Pong { msg_id: 1, ping_id: 2 };
    assert_eq!(format!("{pong:#?}"), "pong {\n    msg_id: 1,\n    ping_id: 2,\n}");
}

#[test]
fn a_result_decodes_by_the_type_of_its_method() {
    let schema = compiled_schema();
    let method = schema.function("contacts.getContactIDs").unwrap();
    let bytes = vec![1i32, 2].to_bytes();
    assert_eq!(format!("{:?}", decode_as(schema, &method.result, bytes).unwrap()), "[1, 2]");
}
