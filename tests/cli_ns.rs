//! `tdl ns` and `tdl session info`, on namespaces made through the library.

#![cfg(feature = "cli")]

use crate::support;

use support::TestDir;
use tdl::{
    client::{AccountRecord, AuthKey, DcAuth, DeviceProfile, Identity, Persistence, SaltRecord},
    ids::{DcId, Salt},
    store::{Home, Namespace},
};

const NOW: i64 = 1_700_000_000;

fn namespace(dir: &TestDir, name: &str) -> Namespace {
    Home::at(dir.join("home")).open(&name.parse().expect("valid"), NOW).expect("made")
}

fn log_in(ns: &Namespace) {
    let key = AuthKey::from_bytes(&[0xab; 256]);
    let salts = vec![SaltRecord { salt: Salt(1), since: NOW, until: NOW + 9 }];
    ns.save_dc_auth(&DcAuth { dc: DcId(2), auth_key: key, salts, time_offset: -2, authorized: true, created_at: NOW })
        .expect("saved");
    ns.save_account(&AccountRecord {
        user_id: 77,
        is_bot: false,
        name: "Ada\x1b[2J Lovelace".into(),
        username: Some("ada".into()),
        phone: Some("+999*****34".into()),
        logged_in_at: NOW,
    })
    .expect("saved");
    ns.save_identity(&Identity { device: DeviceProfile::default(), layer: 230, api_id: 5 }).expect("saved");
    ns.set_home_dc(DcId(2)).expect("saved");
    ns.bind_cluster("production").expect("bound");
}

#[test]
fn namespaces_are_listed() {
    let dir = TestDir::new();
    dir.tdl().args("ns ls").ok().no_stdout().stderr_has("no namespaces");
    assert_eq!(dir.tdl().args("ns ls --json").ok().json(), serde_json::json!([]));

    log_in(&namespace(&dir, "work"));
    drop(namespace(&dir, "default"));
    let run = dir.tdl().args("ns ls").ok();
    let lines: Vec<String> = run.stdout().lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines[0], "NAME ACCOUNT USER ID DC CLUSTER");
    assert_eq!(lines[1], "* default (not logged in) - - -");
    assert_eq!(lines[2], "work Ada\\u{1b}[2J Lovelace @ada 77 2 production");

    let list = dir.tdl().args("ns ls --json").ok().json();
    assert_eq!((&list[0]["name"], &list[0]["logged_in"]), (&"default".into(), &false.into()));
    assert_eq!((&list[1]["user_id"], &list[1]["logged_in"], &list[1]["home_dc"]), (&77.into(), &true.into(), &2.into()));
}

#[test]
fn a_damaged_namespace_does_not_hide_the_others() {
    let dir = TestDir::new();
    log_in(&namespace(&dir, "work"));
    dir.write("home/ns/broken.sqlite", "certainly not a database, but long enough to be looked at as one");
    let run = dir.tdl().args("ns ls").code(3);
    run.stdout_has("work").stdout_has("broken").stdout_has("is not a database");
    dir.tdl().args("ns rm broken").code(1).error("cannot be read", "--force");
    dir.tdl().args("ns rm broken --force").ok();
    dir.tdl().args("ns ls").ok();
    dir.tdl().args("whoami -n broken").code(4);
}

#[test]
fn namespaces_are_renamed_and_removed() {
    let dir = TestDir::new();
    log_in(&namespace(&dir, "work"));
    drop(namespace(&dir, "spare"));
    dir.tdl().args("ns rename nothing else").code(1).error("there is no namespace", "tdl ns ls");
    dir.tdl().args("ns rename work spare").code(1).error("exists already", "another name");
    dir.tdl().args("ns rename work ../out").code(2);
    dir.tdl().args("ns rename work job").ok().stderr_has("is now 'job'");
    dir.tdl().args("ns rm job").code(1).error("is logged in", "tdl logout -n job");
    dir.tdl().args("ns rm job spare --force").ok();
    dir.tdl().args("ns rm job").code(1).error("there is no namespace", "tdl ns ls");
    assert_eq!(dir.tdl().args("ns ls --json").ok().json(), serde_json::json!([]));
}

#[test]
fn a_namespace_in_use_stays() {
    let dir = TestDir::new();
    let open = namespace(&dir, "work");
    dir.tdl().args("ns rename work job").code(1).error("in use", "other tdl");
    dir.tdl().args("ns rm work").code(1).error("in use", "other tdl");
    dir.tdl().args("ns ls").ok().stdout_has("work");
    drop(open);
    dir.tdl().args("ns rm work").ok();
}

#[test]
fn what_a_namespace_holds_is_shown_without_its_key() {
    let dir = TestDir::new();
    log_in(&namespace(&dir, "work"));
    let run = dir.tdl().args("session info -n work").ok();
    run.stdout_has("77").stdout_has("production").stdout_has("KEY ID").stdout_has("-2 s").stdout_has("+999*****34");
    let text = run.stdout();
    assert!(!text.contains("abab") && !text.contains('\x1b'), "{text}");

    let info = dir.tdl().args("session info -n work --json").ok().json();
    assert_eq!(
        (&info["home_dc"], &info["dcs"][0]["authorized"], &info["dcs"][0]["salts"]),
        (&2.into(), &true.into(), &1.into())
    );
    assert_eq!(info["identity"]["device"]["profile"], "tdl");
    assert!(info["dcs"][0]["key_id"].as_str().is_some_and(|id| id.len() == 16));
}

#[test]
fn a_namespace_is_not_used_with_another_cluster() {
    let dir = TestDir::new();
    log_in(&namespace(&dir, "work"));
    dir.tdl().args("--test-dc --app-id 1 whoami -n work").code(1).error("belongs to production, not to test", "-n");
}

#[test]
fn logging_out_here_alone_asks_nobody() {
    let dir = TestDir::new();
    log_in(&namespace(&dir, "work"));
    let run = dir.tdl().args("logout -n work --local-only --json").ok();
    assert_eq!(run.json(), serde_json::json!({ "namespace": "work", "server": "not_asked" }));
    dir.tdl().args("whoami -n work").code(4);
    dir.tdl().args("logout -n work --local-only").ok().stderr_has("was not logged in");
    dir.tdl().args("ns rm work").ok();
}

#[cfg(unix)]
#[test]
fn wrong_rights_are_repaired_and_reported() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TestDir::new();
    log_in(&namespace(&dir, "work"));
    let path = dir.join("home/ns/work.sqlite");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    dir.tdl().args("session info -n work").ok().stderr_has("yours alone");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
}
