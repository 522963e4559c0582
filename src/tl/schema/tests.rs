//! Tests of the parser, of the ids and of the canonical form.

use super::*;

const API: &str = include_str!("../../../tl-schema/api.tl");
const PROTOCOL: &str = include_str!("../../../tl-schema/mtproto.tl");

fn kind_of(text: &str) -> ParseErrorKind {
    parse(text).expect_err(text).kind
}

#[test]
fn a_definition_reads_back_as_it_is_written() {
    for line in [
        "user#00000001 flags:# self:flags.10?true flags2:# id:long name:flags2.31?Vector<auth.Thing> = User;",
        "invoke#da9b0d0d {X:Type} layer:int query:!X = X;",
        "t#00000002 a:int128 b:int256 c:double d:string e:bytes f:Bool g:#  = auth.T;",
        "salts#00000003 list:vector<salt> one:%Salt = Salts;",
    ] {
        let schema = parse(line).expect(line);
        assert_eq!(schema.definitions()[0].to_string(), line.replace("  ", " "));
    }
    let schema = parse("// LAYER 7\n---types---\na = A; b\n = B; // c = C;\n---functions---\nd = Vector A;\n").unwrap();
    assert_eq!(schema.layer(), Some(7));
    let lines: Vec<_> = schema.definitions().iter().map(|d| (d.name.as_str(), d.line, d.kind)).collect();
    assert_eq!(lines, [("a", 3, Kind::Constructor), ("b", 3, Kind::Constructor), ("d", 6, Kind::Function)]);
    assert_eq!(schema.function("d").unwrap().result.to_string(), "Vector<A>");
}

#[test]
fn every_rule_of_the_parser_has_its_error() {
    use ParseErrorKind as E;
    let s = str::to_owned;
    for (text, kind) in [
        ("a = A", E::Unterminated),
        ("---things---", E::UnknownSection(s("---things---"))),
        ("// LAYER x", E::BadLayer(s("x"))),
        ("// LAYER -1", E::BadLayer(s("-1"))),
        ("a b:int;", E::NoResult),
        ("a = ;", E::NoResult),
        (";", E::BadName(s(""))),
        ("1a = A;", E::BadName(s("1a"))),
        ("a.b.c = A;", E::BadName(s("a.b.c"))),
        ("a 1:int = A;", E::BadName(s("1"))),
        ("a# = A;", E::BadId(s(""))),
        ("a#123456789 = A;", E::BadId(s("123456789"))),
        ("a#+1 = A;", E::BadId(s("+1"))),
        ("a b = A;", E::NoParamType(s("b"))),
        ("a {X} = A;", E::BadGeneric(s("{X}"))),
        ("a b:List<int> = A;", E::BadType(s("List<int>"))),
        ("a b:Vector<int = A;", E::BadType(s("Vector<int"))),
        ("a b: = A;", E::BadType(s(""))),
        ("a b:%a = A;", E::BadType(s("%a"))),
        ("a = A B;", E::BadType(s("A B"))),
        ("a f:# b:f?int = A;", E::BadFlag(s("b:f?int"))),
        ("a f:# b:f.32?int = A;", E::BadFlag(s("b:f.32?int"))),
        ("a b:f.1?int f:# = A;", E::UnknownFlagField { param: s("b"), field: s("f") }),
        ("a b:!X = A;", E::UnknownVariable(s("X"))),
        ("a b:int b:int = A;", E::DuplicateParam(s("b"))),
        ("a#1 = A; a#2 = A;", E::DuplicateName(s("a"))),
        ("a#1 = A; b#1 = A;", E::DuplicateId { name: s("b"), other: s("a"), id: 1 }),
    ] {
        assert_eq!(kind_of(text), kind, "{text}");
    }
    let deep = format!("a b:{}int{} = A;", "Vector<".repeat(20), ">".repeat(20));
    assert_eq!(kind_of(&deep), E::TooDeep);
    let error = parse("a = A;\n\nb\n :int = B;").unwrap_err();
    assert_eq!((error.line, error.to_string()), (3, "line 3: bad name \"\"".to_owned()));
}

#[test]
fn no_prefix_or_damage_makes_the_parser_panic() {
    let text: String = PROTOCOL.lines().take(60).flat_map(|l| [l, "\n"]).collect();
    for (end, _) in text.char_indices() {
        let _ = parse(&text[..end]);
        for damage in ["<", ">", "{", ":", "#", "?", ";", "=", "é"] {
            let _ = parse(&format!("{}{damage}{}", &text[end.saturating_sub(80)..end], &text[end..text.len().min(end + 80)]));
        }
    }
}

#[test]
fn ids_are_the_crc32_of_the_definition() {
    for (line, id) in [
        ("boolFalse = Bool;", 0xbc79_9737),
        ("resPQ nonce:int128 server_nonce:int128 pq:bytes server_public_key_fingerprints:Vector<long> = ResPQ;", 0x0516_2463),
        ("invokeWithLayer {X:Type} layer:int query:!X = X;", 0xda9b_0d0d),
        ("future_salts req_msg_id:long now:int salts:vector<future_salt> = FutureSalts;", 0xae50_0895),
    ] {
        assert_eq!(parse(line).unwrap().definitions()[0].id, id, "{line}");
    }
}

#[test]
fn exceptions_to_the_rule_are_these_and_no_others() {
    assert_eq!(exceptions(&parse(API).unwrap()), []);
    let found: Vec<String> = exceptions(&parse(PROTOCOL).unwrap()).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "accessPointRule#4679b65f, computed 020634ce",
            "help.configSimple#5a592a6c, computed 066d2808",
            "ipPortSecret#37982646, computed 402d9b47",
        ]
    );
    // The file says the same of itself.
    for exception in found {
        assert!(PROTOCOL.contains(&format!("//   {exception}\n")), "{exception}");
    }
    assert_eq!(exceptions(&parse("vector#1cb5c415 {t:Type} # [ t ] = Vector t;").unwrap()), []);
    assert_eq!(exceptions(&parse("vector#1 {t:Type} # [ t ] = Vector t;").unwrap()).len(), 1);
}

#[test]
fn importing_the_api_schema_gives_it_back_byte_for_byte() {
    assert!(import(API).unwrap() == API, "tl-schema/api.tl is not in canonical form");
}

#[test]
fn importing_sorts_and_is_idempotent() {
    let text = "int ? = Int; b#22 x:flags.0?true = Z;".replace("x:", "flags:# x:");
    let text = format!("// LAYER 3\n---functions---\nz.f = A;\nf = A;\n---types---\n{text}\nz.a = z.A;\na = Z;");
    let once = import(&text).unwrap();
    assert_eq!(import(&once).unwrap(), once);
    let names: Vec<_> = once.lines().filter(|l| l.ends_with(';')).map(|l| l.split(['#', ' ']).next().unwrap()).collect();
    assert_eq!(names, ["int", "a", "b", "z.a", "f", "z.f"]);
    assert!(
        once.starts_with("// LAYER 3\n// Every id is the CRC-32 of its definition, except:\n//   b#00000022, computed "),
        "{once}"
    );
}

#[test]
fn both_schemas_fit_into_one() {
    let (protocol, api) = (parse(PROTOCOL).unwrap(), parse(API).unwrap());
    let count = protocol.definitions().len() + api.definitions().len();
    let both = protocol.merged(api).unwrap();
    assert_eq!((both.definitions().len(), both.layer()), (count, Some(230)));
    assert_eq!(both.by_id(0x7600_b9d3).unwrap().name, "message");
    assert_eq!(both.by_name("auth.sendCode").unwrap().kind, Kind::Function);
    assert_eq!(both.constructors_of("Peer").count(), 3);
    assert_eq!(both.constructors_of("NoSuchType").count(), 0);
}

#[test]
fn every_type_that_is_mentioned_is_defined() {
    for text in [API, PROTOCOL] {
        assert_eq!(parse(text).unwrap().undefined_types(), []);
    }
    let schema = parse("a x:Vector<B> y:c z:%D = A; d = Object;\n---functions---\nf = E;").unwrap();
    let missing = schema.undefined_types();
    let missing: Vec<_> = missing.iter().map(|(ty, by)| (ty.as_str(), by.as_str())).collect();
    assert_eq!(missing, [("B", "a"), ("c", "a"), ("%D", "a"), ("E", "f")]);
}
