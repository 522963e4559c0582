//! Tests of JSON: what it looks like, what comes back, and an error for each rule.

use serde_json::json;

use super::{JsonErrorKind as E, *};
use crate::dynamic::{Value, decode, encode};
use crate::schema::{Schema, Type, parse};
use crate::{compiled_schema, mtproto};

fn schema() -> Schema {
    parse(
        "boolTrue#997275b5 = Bool; boolFalse#bc799737 = Bool; leaf#1 = Tree; node#2 left:Tree right:Tree = Tree; \
         all#3 flags:# t:flags.0?true i:int l:long d:double s:string b:bytes q:Bool x:int128 y:int256 v:Vector<int> w:vector<pair> \
         o:flags.1?Tree p:%Pair = All; pair#4 a:int b:int = Pair; missing#6 a:nothing = All; \
         shared#7 flags:# mark:flags.0?true a:flags.0?int b:flags.0?string c:flags.1?true = Shared; any#8 o:Object = Any;\n\
         ---functions---\ncall#5 {X:Type} query:!X = X; ask#9 tree:Tree = Vector<Tree>;",
    )
    .unwrap()
}

fn all() -> serde_json::Value {
    json!({
        "_": "all", "t": true, "i": -1, "l": "1099511627776", "d": 0.5, "s": "a\"ß", "b": "AP8=", "q": false,
        "x": "01".repeat(16), "y": "02".repeat(32), "v": [7, 8], "w": [{"_": "pair", "a": 1, "b": -2}], "o": {"_": "leaf"},
        "p": {"_": "pair", "a": 1, "b": -2},
    })
}

#[test]
fn every_kind_of_value_goes_to_json_and_comes_back() {
    let schema = schema();
    let options = JsonOptions::default();
    let call = json!({ "_": "call", "query": { "_": "ask", "tree": { "_": "node", "left": { "_": "leaf" }, "right": { "_": "leaf" } } } });
    for json in [all(), call, json!({ "_": "any", "o": { "_": "pair", "a": 1, "b": 2 } })] {
        let value = from_json(&schema, &json, &options).unwrap();
        let mut bytes = Vec::new();
        encode(&schema, &value, &mut bytes).unwrap();
        let decoded = decode(&schema, bytes.into()).unwrap();
        assert!(decoded == value, "{decoded:?}");
        assert_eq!(to_json(&decoded, &options), json);
    }
}

#[test]
fn options_choose_numbers_for_longs_and_digits_for_bytes() {
    let schema = schema();
    let value = from_json(&schema, &all(), &JsonOptions::default()).unwrap();
    let options = JsonOptions { longs: Longs::Number, bytes: ByteText::Hex };
    let json = to_json(&value, &options);
    assert_eq!((&json["l"], &json["b"]), (&json!(1_099_511_627_776_i64), &json!("00ff")));
    assert!(from_json(&schema, &json, &options).unwrap() == value);
}

#[test]
fn reading_takes_more_than_writing_gives() {
    let schema = schema();
    let base = from_json(&schema, &all(), &JsonOptions::default()).unwrap();
    for (field, same) in [
        ("l", json!(1_099_511_627_776_i64)),
        ("b", json!("hex:00FF")),
        ("b", json!("base64:AP8=")),
        ("x", json!(format!("hex:{}", "01".repeat(16)))),
        ("q", json!({ "_": "boolFalse" })),
        ("p", json!({ "a": 1, "b": -2 })),
        ("w", json!([{ "_": "pair#4", "a": 1, "b": -2 }])),
    ] {
        let mut json = all();
        json[field] = same;
        assert!(from_json(&schema, &json, &JsonOptions::default()).unwrap() == base, "{field}");
    }
    let mut json = all();
    (json["t"], json["o"]) = (json!(false), json!(null));
    let value = from_json(&schema, &json, &JsonOptions::default()).unwrap();
    let Value::Object(object) = &value else { panic!("{value:?}") };
    assert!(object.field("t").is_none() && object.field("o").is_none());
    assert!(object.values[0] == Value::Flags(0));
}

#[test]
fn values_of_a_type_and_of_a_known_definition() {
    let schema = schema();
    let options = JsonOptions::default();
    let trees = &schema.function("ask").unwrap().result;
    let value = from_json_as(&schema, trees, &json!([{ "_": "leaf" }]), &options).unwrap();
    assert_eq!(format!("{value:?}"), "[leaf]");
    assert!(from_json_as(&schema, &Type::Bool, &json!(true), &options).unwrap() == Value::Bool(true));
    assert!(from_json_as(&schema, &Type::Int, &json!(5), &options).unwrap() == Value::Int(5));
    assert!(from_json(&schema, &json!(true), &options).unwrap() == Value::Bool(true));
    let ask = schema.function("ask").unwrap();
    let value = from_json_of(&schema, ask, &json!({ "tree": { "_": "leaf" } }), &options).unwrap();
    assert_eq!(format!("{value:?}"), "ask { tree: leaf }");
    let error = from_json_of(&schema, ask, &json!({ "_": "leaf" }), &options).unwrap_err();
    assert_eq!(error.to_string(), "value: leaf is no ask");
}

#[test]
fn doubles_that_json_lacks_come_back_bit_by_bit() {
    let schema = schema();
    let options = JsonOptions::default();
    for bits in
        [f64::NAN.to_bits(), 0x7ff8_0000_0000_0001, f64::INFINITY.to_bits(), f64::NEG_INFINITY.to_bits(), (-0.0f64).to_bits()]
    {
        let json = to_json(&Value::Double(f64::from_bits(bits)), &options);
        // Through text, as in a file.
        let json: serde_json::Value = serde_json::from_str(&json.to_string()).unwrap();
        let Value::Double(again) = from_json_as(&schema, &Type::Double, &json, &options).unwrap() else { panic!("{json}") };
        assert_eq!(again.to_bits(), bits, "{json}");
    }
}

#[test]
fn bits_without_a_field_are_kept() {
    let schema = schema();
    let options = JsonOptions::default();
    let bytes: Vec<u8> = [7u32, 0b110].iter().flat_map(|word| word.to_le_bytes()).collect();
    let value = decode(&schema, bytes.clone().into()).unwrap();
    let json = to_json(&value, &options);
    assert_eq!(json, json!({ "_": "shared", "flags": 4, "c": true }));
    let mut out = Vec::new();
    encode(&schema, &from_json(&schema, &json, &options).unwrap(), &mut out).unwrap();
    assert_eq!(out, bytes);
}

#[test]
fn fields_that_share_a_bit_go_together() {
    let schema = schema();
    let read = |json| from_json(&schema, &json, &JsonOptions::default());
    let value = read(json!({ "_": "shared", "a": 1, "b": "x" })).unwrap();
    assert_eq!(format!("{value:?}"), "shared { mark: true, a: 1, b: \"x\" }");
    let error = read(json!({ "_": "shared", "a": 1 })).unwrap_err();
    assert_eq!((error.path.as_str(), error.kind), ("shared.a", E::SharedBit { other: "b".to_owned() }));
    let error = read(json!({ "_": "shared", "mark": true })).unwrap_err();
    assert_eq!((error.path.as_str(), error.kind), ("shared.mark", E::SharedBit { other: "a".to_owned() }));
}

#[test]
fn what_no_schema_describes_is_a_name_and_bytes() {
    let schema = compiled_schema();
    let options = JsonOptions::default();
    let value = Value::Raw { id: mtproto::RPC_RESULT_ID, name: "rpc_result", body: vec![1, 2, 3, 4].into() };
    let json = to_json(&value, &options);
    assert_eq!(json, json!({ "_": "rpc_result", "body": "AQIDBA==" }));
    assert!(from_json(schema, &json, &options).unwrap() == value);
    let error = from_json(schema, &json!({ "_": "rpc_result" }), &options).unwrap_err();
    assert_eq!(error.to_string(), "body: is missing: bytes");
}

#[test]
fn every_error_says_where_and_what() {
    let schema = schema();
    let s = str::to_owned;
    let wants = |expected: &str, found: &str| E::Expected { expected: s(expected), found: s(found) };
    let long = "a whole number, or a string of one";
    for (field, wrong, path, kind) in [
        ("i", json!("1"), "all.i", wants("a whole number", "the string \"1\"")),
        ("i", json!(1.5), "all.i", wants("a whole number", "the number 1.5")),
        ("i", json!(1u64 << 31), "all.i", E::OutOfRange { value: s("2147483648"), ty: "int" }),
        ("i", json!(u64::MAX), "all.i", E::OutOfRange { value: s("18446744073709551615"), ty: "int" }),
        ("i", json!(null), "all.i", E::MissingField { ty: s("int") }),
        ("l", json!(u64::MAX), "all.l", E::OutOfRange { value: s("18446744073709551615"), ty: "long" }),
        ("l", json!("9223372036854775808"), "all.l", E::OutOfRange { value: s("9223372036854775808"), ty: "long" }),
        ("l", json!("-"), "all.l", wants(long, "the string \"-\"")),
        ("l", json!("+1"), "all.l", wants(long, "the string \"+1\"")),
        ("s", json!([]), "all.s", wants("a string", "an array")),
        ("b", json!("AP8"), "all.b", E::BadBytes { form: "base64" }),
        ("b", json!("hex:0g"), "all.b", E::BadBytes { form: "hexadecimal" }),
        ("b", json!("hex:0"), "all.b", E::BadBytes { form: "hexadecimal" }),
        ("q", json!(1), "all.q", wants("true or false", "the number 1")),
        ("t", json!({}), "all.t", wants("true or false", "an object")),
        ("x", json!("01"), "all.x", E::BadLength { expected: 16, found: 1 }),
        ("v", json!([1, true]), "all.v[1]", wants("a whole number", "true")),
        ("w", json!([{ "a": 1 }]), "all.w[0].b", E::MissingField { ty: s("int") }),
        (
            "w",
            json!([{ "a": 1, "b": 2, "bb": 3 }]),
            "all.w[0].bb",
            E::UnknownField { definition: s("pair"), nearest: Some(s("b")) },
        ),
        ("o", json!({}), "all.o", E::NoName { candidates: vec![s("leaf"), s("node")] }),
        ("o", json!({ "_": 5 }), "all.o._", wants("a name", "the number 5")),
        ("o", json!({ "_": "laef" }), "all.o", E::UnknownName { name: s("laef"), nearest: Some(s("leaf")) }),
        ("o", json!({ "_": "xyzzy" }), "all.o", E::UnknownName { name: s("xyzzy"), nearest: None }),
        ("o", json!({ "_": "leaf#7" }), "all.o", E::UnknownName { name: s("leaf#7"), nearest: Some(s("leaf")) }),
        (
            "o",
            json!({ "_": "pair", "a": 1, "b": 2 }),
            "all.o",
            E::WrongType { name: s("pair"), expected: s("Tree"), candidates: vec![s("leaf"), s("node")] },
        ),
        ("flags", json!(-1), "all.flags", wants("a number of 32 bits", "the number -1")),
        ("flags", json!(1u64 << 32), "all.flags", E::OutOfRange { value: s("4294967296"), ty: "#" }),
        ("ii", json!(1), "all.ii", E::UnknownField { definition: s("all"), nearest: Some(s("i")) }),
    ] {
        let mut json = all();
        json[field] = wrong;
        let error = from_json(&schema, &json, &JsonOptions::default()).unwrap_err();
        assert_eq!((error.path.as_str(), error.kind), (path, kind), "{json}");
    }
    let error = from_json(&schema, &json!({ "_": "call", "query": { "_": "leaf" } }), &JsonOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "call.query: leaf is no method");
    let error = from_json(&schema, &json!({ "_": "missing", "a": {} }), &JsonOptions::default()).unwrap_err();
    assert_eq!(error.kind, E::UndefinedType(s("nothing")));
    let error = from_json(&schema, &json!([1]), &JsonOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "value: expected an object, found an array");
}

#[test]
fn nesting_and_size_are_bounded() {
    use crate::dynamic::{MAX_DEPTH, MAX_VALUES};
    let schema = schema();
    let mut json = json!({ "_": "leaf" });
    for _ in 0..MAX_DEPTH {
        json = json!({ "_": "node", "left": json, "right": { "_": "leaf" } });
    }
    let error = from_json(&schema, &json, &JsonOptions::default()).unwrap_err();
    assert_eq!(error.kind, E::TooDeep { limit: MAX_DEPTH });
    let ints = Type::Vector { bare: false, item: Box::new(Type::Int) };
    let many = serde_json::Value::Array(vec![json!(0); MAX_VALUES + 1]);
    let error = from_json_as(&schema, &ints, &many, &JsonOptions::default()).unwrap_err();
    assert_eq!(error.kind, E::TooLarge { limit: MAX_VALUES });
}

#[test]
fn a_mistyped_method_is_found_again() {
    let read = |json| from_json(compiled_schema(), &json, &JsonOptions::default()).unwrap_err().to_string();
    assert!(read(json!({ "_": "messages.sendMesage" })).ends_with("did you mean messages.sendMessage?"));
    assert!(read(json!({ "_": "sendMultiMedia" })).ends_with("did you mean messages.sendMultiMedia?"));
    let error = read(json!({ "_": "messageEntityBold", "ofset": 1, "length": 2 }));
    assert_eq!(error, "messageEntityBold.ofset: messageEntityBold has no such field; did you mean offset?");
}
