//! `tdl tl`: the schema.

#![cfg(feature = "cli")]

mod support;

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
