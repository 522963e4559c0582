//! `tdl tl`: the schema.

#![cfg(feature = "cli")]

use crate::support;

use support::TestDir;

#[test]
fn definitions_are_listed_and_shown() {
    let dir = TestDir::new();
    let all = dir.tdl().args("tl ls").ok().stdout();
    assert!(all.lines().count() > 2000 && all.lines().all(|line| line.contains('#') && line.ends_with(';')));
    let some = dir.tdl().args("tl ls --kind method AUTH.send").ok().stdout();
    assert!(
        some.lines().any(|line| line.starts_with("auth.sendCode#")) && some.lines().all(|l| l.starts_with("auth.send")),
        "{some}"
    );
    dir.tdl()
        .args("tl show auth.sendCode")
        .ok()
        .stdout_has("method auth.sendCode")
        .stdout_has("phone_number")
        .stdout_has("= auth.SentCode");
    dir.tdl().args("tl show InputPeer").ok().stdout_has("constructor inputPeerSelf").stdout_has("constructor inputPeerUser");
    dir.tdl().args("tl show 0x1cb5c415 auth.sendcode").run();
    let json = dir.tdl().args("tl show --json inputPeerSelf").ok().json();
    assert_eq!(
        (&json["name"], &json["id"], &json["kind"]),
        (&"inputPeerSelf".into(), &"7da07ec9".into(), &"constructor".into())
    );
    dir.tdl().args("tl show sendCod").code(1).error("nothing called 'sendCod'", "auth.sendCode");
    dir.tdl().args("tl ls xyzzy").code(1);
}

#[test]
fn importing_the_canonical_form_changes_nothing() {
    let dir = TestDir::new();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tl-schema/api.tl");
    let mut import = dir.tdl();
    import.args("tl import").arg(source).args("-o out.tl");
    import.ok().no_stdout().stderr_has("constructors");
    assert!(std::fs::read(source).expect("schema") == std::fs::read(dir.join("out.tl")).expect("written"), "the same bytes");
    dir.write("bad.tl", "foo#zz = Bar;\n");
    dir.tdl().args("tl import bad.tl").code(1).error("bad.tl: line 1", "correct that line");
    dir.tdl().args("tl import missing.tl").code(1).error("missing.tl", "TL schema");
    dir.tdl().args("tl ls --schema bad.tl").code(1);
}

#[test]
fn older_layers_are_listed_and_looked_into() {
    let dir = TestDir::new();
    let layers = dir.tdl().args("tl layers").ok().stdout();
    for layer in ["158", "181", "198", "199", "201", "214", "216", "224", "227", "229", "230"] {
        assert!(layers.lines().any(|line| line.starts_with(layer)), "{layer}: {layers}");
    }
    let json = dir.tdl().args("tl layers --json").ok().stdout();
    assert!(
        json.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["methods"].as_u64() > Some(400))
    );
    dir.tdl().args("tl show --layer 158 messages.sendMessage").ok().stdout_has("reply_to_msg_id").stdout_has("#1cc20387");
    dir.tdl().args("tl show messages.sendMessage").ok().stdout_has("InputReplyTo");
    dir.tdl().args("tl ls --layer 201 channels.createForumTopic").ok().stdout_has("channels.createForumTopic#f40c0224");
    dir.tdl().args("tl ls --layer 200").code(2).error("layer 200 is not bundled: there are 158", "--layer");
}

#[test]
fn json_goes_to_bytes_and_back() {
    let dir = TestDir::new();
    let call = r#"{"_":"users.getUsers","id":[{"_":"inputUserSelf"},{"_":"inputUser","user_id":"7","access_hash":-1}]}"#;
    let mut encode = dir.tdl();
    encode.args("tl encode").arg(call);
    let hex = encode.ok().stdout();
    assert_eq!(hex.trim(), "48a5910d15c4b51c020000003fb1c1f7c65811f20700000000000000ffffffffffffffff");
    let mut decode = dir.tdl();
    decode.args("tl decode --json --numbers").arg(hex.trim());
    let json = decode.ok().json();
    assert_eq!((&json["_"], &json["id"][1]["user_id"]), (&"users.getUsers".into(), &7.into()));
    // Spaces, base64, a file of bytes, standard output of one as the file of the other.
    dir.tdl().args("tl decode 379779 BC").ok().stdout_has("false");
    dir.tdl().args("tl decode tXVymQ==").ok().stdout_has("true");
    let mut raw = dir.tdl();
    let bytes = raw.args("tl encode --raw").arg(call).command().output().expect("runs").stdout;
    dir.write("call.bin", &bytes);
    dir.tdl().args("tl decode @call.bin").ok().stdout_has("users.getUsers {\n    id: [\n        inputUserSelf,");
    dir.write("call.json", call);
    assert_eq!(dir.tdl().args("tl encode @call.json").ok().stdout(), hex);

    // Values that are no objects with an id.
    let mut users = dir.tdl();
    let hex = users.args("tl encode --type users.getUsers").arg(r#"[{"_":"userEmpty","id":5}]"#).ok().stdout();
    dir.tdl().args("tl decode --type Vector<User>").arg(hex.trim()).ok().stdout_has("userEmpty {");
    dir.tdl()
        .args("tl decode --type Vector<Nothing> 00")
        .code(2)
        .error("no type or method called 'Vector<Nothing>'", "users.getUsers");

    // Another layer gives other bytes.
    let message = r#"{"_":"keyboardButtonUrl","text":"t","url":"u"}"#;
    let mut older = dir.tdl();
    let hex = older.args("tl encode --layer 201").arg(message).ok().stdout();
    dir.tdl().args("tl decode --layer 201").arg(hex.trim()).ok().stdout_has("keyboardButtonUrl {");
    let mut newer = dir.tdl();
    newer
        .args("tl decode")
        .arg(hex.trim())
        .code(1)
        .error("unknown constructor 0x258aff05", "keyboardButtonUrl in layers 158 to 216");
}

#[test]
fn what_is_wrong_with_json_or_bytes_is_said_with_the_place() {
    let dir = TestDir::new();
    let error = |json: &str, what: &str, advice: &str| {
        let mut encode = dir.tdl();
        encode.args("tl encode").arg(json).code(1).error(what, advice);
    };
    error(r#"{"_":"messages.sendMesage"}"#, "did you mean messages.sendMessage?", "tdl tl show");
    error(
        r#"{"_":"textWithEntities","text":"x","entities":[{"_":"messageEntityBold","ofset":1}]}"#,
        "textWithEntities.entities[0].ofset: messageEntityBold has no such field; did you mean offset?",
        "tdl tl show",
    );
    error(r#"{"_":"inputPeerUser","user_id":"x"}"#, "inputPeerUser.user_id: expected a whole number", "tdl tl show");
    error("{", "what was typed is not JSON", "single quotes");
    dir.tdl().args("tl decode xyz").code(2).error("neither hexadecimal digits nor base64", "two hexadecimal digits");
    dir.tdl().args("tl decode @missing.bin").code(1).error("missing.bin", "behind @");
    dir.tdl().args("tl decode 01000000").code(1).error("unknown constructor 0x00000001 at byte 0", "no layer");
    dir.tdl().args("tl decode 3fb1c1f700").code(1).error("1 bytes after the end", "--type");
}

#[test]
fn two_layers_are_compared() {
    let dir = TestDir::new();
    let text = dir.tdl().args("tl diff 201 230 channels.").ok().stdout();
    assert!(text.contains("methods: ") && text.contains("  - channels.createForumTopic#f40c0224"), "{text}");
    assert!(text.contains("      = Updates -> messages.ChatInviteJoinResult"), "{text}");
    let json = dir.tdl().args("tl diff 201 230 --json").ok().json();
    let changed = json["constructors"]["changed"].as_array().expect("a list");
    let title = changed.iter().find(|c| c["name"] == "poll").expect("it changed");
    let hash = title["fields"].as_array().expect("a list").iter().find(|f| f["name"] == "hash").expect("it is new");
    assert_eq!((&hash["change"], &hash["is"], &hash["was"]), (&"new".into(), &"long".into(), &serde_json::Value::Null));
    assert!(json["methods"]["new"].as_array().expect("a list").len() > 100);
    // Files as well; and what is the same says so.
    dir.write("a.tl", "// LAYER 1\na#1 x:int y:flags.0?int = A;".replace("x:int", "flags:# x:int"));
    dir.write("b.tl", "// LAYER 2\na#2 flags:# x:long y:flags.1?int z:int = B; b#3 = B;");
    let text = dir.tdl().args("tl diff a.tl b.tl").ok().stdout();
    assert_eq!(
        text,
        "constructors: 1 new, 0 gone, 1 changed\n  + b#00000003 = B;\n  ~ a #00000001 -> #00000002\n      ~ x: int -> long\n      \
         ~ y: flags.0?int -> flags.1?int\n      + z:int\n      = A -> B\n"
    );
    dir.tdl().args("tl diff a.tl a.tl").ok().no_stdout().stderr_has("nothing differs");
    let api = concat!(env!("CARGO_MANIFEST_DIR"), "/tl-schema/api.tl");
    dir.tdl().args("tl diff 230").arg(api).ok().no_stdout().stderr_has("nothing differs");
    dir.tdl().args("tl diff 201 missing.tl").code(1).error("missing.tl", "TL schema");
    dir.tdl().args("tl diff 201 202").code(1).error("layer 202 is not bundled", "--layer");

    let lost = dir.tdl().args("tl diff --translation 230 201 messageMedia").ok().stdout();
    assert!(lost.lines().any(|l| l.starts_with("messageMediaToDo: becomes messageMediaUnsupported")), "{lost}");
    dir.tdl().args("tl diff --translation 230 a.tl").code(2).error("'a.tl' is no layer", "tdl tl layers");
}

#[test]
fn a_layer_goes_into_a_store_of_differences() {
    let dir = TestDir::new();
    dir.write("store/api.tl", "// LAYER 5\nboolFalse#bc799737 = Bool; boolTrue#997275b5 = Bool; a#5 = A; b#2 = A;");
    dir.write("store/layers/README", "");
    dir.write("old.tl", "// LAYER 3\n// Parsed by hand: boolTrue\na#3 x:int = A;\nping#7abe77ec ping_id:long = Pong;\n---functions---\nf#4 = A;");
    let done = dir.tdl().args("tl import old.tl --layer-store store").ok();
    done.stdout_has("3.delta").stderr_has("added, every layer has them: boolFalse, boolTrue");
    let text = std::fs::read_to_string(dir.join("store/layers/3.delta")).expect("written");
    assert!(
        text.contains("-a#00000005\n+a#00000003 x:int = A;")
            && text.contains("-b#00000002")
            && text.contains("+f#00000004 = A;"),
        "{text}"
    );
    // Again, and nothing is written.
    dir.tdl().args("tl import old.tl --layer-store store").ok().no_stdout();
    dir.write("nameless.tl", "a#3 = A;");
    dir.tdl().args("tl import nameless.tl --layer-store store").code(1).error("does not say which layer", "// LAYER n");
    dir.write("store/layers/2.delta", "// LAYER 2\n-c#00000001\n");
    dir.tdl().args("tl import old.tl --layer-store store").code(1).error("layers/2.delta: line 2", "N.delta");
    dir.tdl().args("tl import old.tl --layer-store nowhere").code(1).error("nowhere", "api.tl");
}
