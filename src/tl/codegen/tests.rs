//! Tests of names, boxes, defaults and of what the generator refuses. That its text compiles and works is what the rest of the crate shows.

use super::super::schema::{Schema, parse};
use super::layout::Layout;
use super::*;

fn schema(text: &str) -> Schema {
    parse(text).expect(text)
}

#[test]
fn names_follow_one_rule() {
    for (tl, rust) in [
        ("ns.some_OK_name", "SomeOkName"),
        ("p_q_inner_data_dc", "PQInnerDataDc"),
        ("resPQ", "ResPq"),
        ("server_DH_params_ok", "ServerDhParamsOk"),
        ("inputBotInlineMessageID64", "InputBotInlineMessageId64"),
        ("channelAdminLogEventsFilter", "ChannelAdminLogEventsFilter"),
    ] {
        assert_eq!(names::camel(tl), rust);
    }
    assert_eq!(names::path("auth.sendCode"), "auth::SendCode");
    assert_eq!(names::module("static"), "r#static");
    for (tl, rust) in [("type", "r#type"), ("self", "is_self"), ("M1", "m1"), ("super", "super_"), ("peer_id", "peer_id")] {
        assert_eq!(names::field(tl), rust);
    }
}

#[test]
fn variants_lose_the_name_of_their_type() {
    for (line, variant) in [
        ("userEmpty = User;", "Empty"),
        ("message = Message;", "Message"),
        ("inputPeerSelf = InputPeer;", "PeerSelf"),
        ("inputBotInlineMessageID64 = InputBotInlineMessageID;", "Id64"),
        ("new_session_created = NewSession;", "Created"),
        ("updates.state = updates.State;", "State"),
        ("dh_gen_ok = Set_client_DH_params_answer;", "DhGenOk"),
    ] {
        assert_eq!(names::variant(&schema(line).definitions()[0]), variant, "{line}");
    }
}

#[test]
fn large_and_recursive_variants_are_boxed() {
    let schema = schema(
        "small a:long b:string = T; large a:string b:string = T; \
         leaf = Tree; node left:Tree = Tree; list items:Vector<Tree> = Tree; \
         ping pong:Pong = Ping; pong ping:flags.0?Ping = Pong;"
            .replace("ping:flags", "flags:# ping:flags")
            .as_str(),
    );
    let layout = Layout::new(&schema);
    let boxed: Vec<_> = schema.definitions().iter().filter(|d| layout.is_boxed(d)).map(|d| d.name.as_str()).collect();
    assert_eq!(boxed, ["large", "node", "ping", "pong"]);
    let recursive: Vec<_> = schema.type_names().into_iter().filter(|t| layout.is_recursive(t)).collect();
    assert_eq!(recursive, ["Ping", "Pong", "Tree"]);
}

#[test]
fn defaults_are_empty_where_there_is_such_a_thing() {
    let schema = schema("b = T; aEmpty = T; c = T; d x:T = U; e x:E = E; f = E; call {X:Type} q:!X = X;");
    let layout = Layout::new(&schema);
    let default = |ty: &str| layout.default_variant(ty).and_then(|id| schema.by_id(id)).map(|d| d.name.as_str());
    assert_eq!((default("T"), default("U"), default("E")), (Some("aEmpty"), Some("d"), Some("f")));
    assert!(!layout.has_default(schema.by_name("call").unwrap()));
}

#[test]
fn what_has_no_rust_form_is_refused() {
    let s = str::to_owned;
    for (text, expected) in [
        ("a b:B = A;", CodegenError::UnknownType { definition: s("a"), ty: s("B") }),
        ("a b:b = A;", CodegenError::UnknownType { definition: s("a"), ty: s("b") }),
        ("b = B; c = B; a b:%B = A;", CodegenError::UnknownType { definition: s("a"), ty: s("%B") }),
        ("a b:true = A;", CodegenError::Unsupported { definition: s("a"), ty: s("true") }),
        ("a b:Vector<vector<int>> = A;", CodegenError::Unsupported { definition: s("a"), ty: s("Vector<vector<int>>") }),
        ("a = int;", CodegenError::Unsupported { definition: s("a"), ty: s("int") }),
        ("some_thing = A; someThing = B;", CodegenError::NameClash { definition: s("someThing"), name: s("SomeThing") }),
        ("a B:int b:int = A;", CodegenError::NameClash { definition: s("a"), name: s("b") }),
        ("a b:B = A; b a:A = B;", CodegenError::NoFiniteValue { ty: s("A") }),
    ] {
        assert_eq!(generate(&schema(text), "crate"), Err(expected), "{text}");
    }
}

#[test]
fn values_that_share_a_bit_are_written_together() {
    let text = generate(&schema("a f:# t:f.0?true x:f.0?int y:f.0?int z:f.1?true = A;"), "crate").unwrap();
    assert!(text.contains("((self.x.is_some() & self.y.is_some()) as u32) << 0 | ((self.z) as u32) << 1"), "{text}");
    assert!(text.contains("if b0 & 0x1 != 0 { if let Some(x) = &self.x { w::i32(o, *x) } }"), "{text}");
}

#[test]
fn flags_after_fields_are_read_in_their_place() {
    let text = generate(&schema("a f:# x:f.0?int g:# y:int z:g.0?true h:# = A;"), "crate").unwrap();
    let read = "{ let b0 = r.next_u32(); let b1; let b2; let x = Self { x: if b0 & 0x1 != 0 { Some(r.next_i32()) } else { None }, \
                y: { b1 = r.next_u32(); r.next_i32() }, z: b1 & 0x1 != 0, }; b2 = r.next_u32(); x }";
    assert!(text.contains(read), "{text}");
}

#[test]
fn the_table_of_round_trips_knows_every_definition() {
    let schema = schema("boolTrue#1 = Bool; a#2 = ns.A;\n---functions---\nf#3 = ns.A; g#4 {X:Type} q:!X = X;");
    let expected = "0x00000001 => round_trip::<bool>,\n0x00000002 => round_trip::<r::enums::ns::A>,\n\
                    0x00000003 => round_trip::<r::functions::F>,\n\
                    0x00000004 => round_trip::<r::functions::G::<tdl_tl::RawObject>>,\n";
    assert_eq!(generate_dispatch(&schema, "r"), expected);
}
