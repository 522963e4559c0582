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
        "small a:long b:string = T; large a:string b:string c:int = T; message a:string b:string c:int = Message; \
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
    // What is always there and of fixed size is read in one go with its neighbours.
    let text = generate(&schema("a f:# x:f.0?int g:# y:int z:g.0?true h:# = A;"), "crate").unwrap();
    let read = "{ let b0 = r.next_u32(); let f1 = if b0 & 0x1 != 0 { Some(r.next_i32()) } else { None }; \
                let [b1, n2_1, b2] = r.next_words(); Self { x: f1, y: n2_1 as i32, z: b1 & 0x1 != 0, } }";
    assert!(text.contains(read), "{text}");
}

#[test]
fn neighbours_of_fixed_size_go_together() {
    let text = generate(&schema("a f:# i:int l:long s:string d:double j:int = A;"), "crate").unwrap();
    let read = "{ let [b0, n0_1, n0_2, n0_3] = r.next_words(); \
                Self { i: n0_1 as i32, l: w::long(n0_2, n0_3), s: r.next_string(), d: r.next_f64(), j: r.next_i32(), } }";
    assert!(text.contains(read), "{text}");
    let write = "let b0: u32 = 0; w::words(o, [b0, self.i as u32, self.l as u32, (self.l >> 32) as u32]); \
                 w::S::serialize(&self.s, o); w::S::serialize(&self.d, o); w::i32(o, self.j); ";
    assert!(text.contains(write), "{text}");
}

#[test]
fn what_is_large_is_filled_where_it_will_stay() {
    let fields = "k:int p:P f:# t:f.1?true s:f.0?string g:# u:g.0?true m:int l:long w:string v:Vector<int> \
                  a:f.2?int128 b:f.2?int128 c:f.2?int128 d:f.2?int128";
    let before = "let f0 = r.next_i32(); let f1 = w::d(r); let b0 = r.next_u32(); ";
    let literal = "Self { k: f0, p: f1, t: b0 & 0x2 != 0, s: None, m: 0, l: 0, u: false, w: w::Str::new(), v: Vec::new(), \
                   a: None, b: None, c: None, d: None, }";
    let after = "if b0 & 0x1 != 0 { w::put(&mut x.s, Some(r.next_string())); } let [b1, n4_1, n4_2, n4_3] = r.next_words(); \
                 x.m = n4_1 as i32; x.l = w::long(n4_2, n4_3); x.u = b1 & 0x1 != 0; w::put(&mut x.w, r.next_string()); \
                 w::put(&mut x.v, w::d(r)); if b0 & 0x4 != 0 { w::put(&mut x.a, Some(r.next_int128())); } ";
    let types = "p = P; q x:int = P; other = B;";

    let text = generate(&schema(&format!("{types} big {fields} = B;")), "crate").unwrap();
    let boxed = format!("let x = Box::new_uninit(); {before}let mut x = Box::write(x, {literal}); {after}");
    assert!(text.contains(&boxed), "{text}");
    assert!(text.contains("fn read(r: &mut w::R) -> Self { *Self::read_boxed(r) }"), "{text}");

    let schema = schema(&format!("{types} message {fields} = B; page b:Vector<B> = Page;"));
    let text = generate(&schema, "crate").unwrap();
    assert!(text.contains(&format!("{before}if let Some(x) = f({literal}) {{ {after}")), "{text}");
    let id = schema.constructor("message").unwrap().id;
    assert!(text.contains(&format!("if r.next_is({id:#010x}) {{ t::Message::read_into(r, ")), "{text}");
}

#[test]
fn items_of_vectors_are_given_away_at_each_variant() {
    let types = "one a:long b:long = T; two c:int = T; small = U; tiny d:int = U;";
    let text = generate(&schema(&format!("{types} list t:Vector<T> u:Vector<U> = L;")), "crate").unwrap();
    assert!(text.contains("=> f(Self::One(w::d(r))), "), "{text}");
    assert!(text.contains("=> Self::Tiny(w::d(r)), "), "{text}");
    assert!(!generate(&schema(types), "crate").unwrap().contains("f(Self::"));
}

#[test]
fn the_table_of_round_trips_knows_every_definition() {
    let schema = schema("boolTrue#1 = Bool; a#2 = ns.A;\n---functions---\nf#3 = ns.A; g#4 {X:Type} q:!X = X;");
    let expected = "0x00000001 => round_trip::<bool>,\n0x00000002 => round_trip::<r::enums::ns::A>,\n\
                    0x00000003 => round_trip::<r::functions::F>,\n\
                    0x00000004 => round_trip::<r::functions::G::<tdl_tl::RawObject>>,\n";
    assert_eq!(generate_dispatch(&schema, "r"), expected);
}
