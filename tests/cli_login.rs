//! `tdl login`, `whoami` and `logout` against a cluster that `tdl sandbox up` runs: all of it through the binary.

#![cfg(feature = "cli")]

mod support;

use support::{Sandbox, TestDir};

const SIGN_UP: &str = "login --phone 9996621234 --code 22222 --first-name Ada --last-name Lovelace";

#[test]
fn an_account_is_made_used_and_left() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let tdl = |args: &str| {
        let mut command = sandbox.tdl(&dir);
        command.args(args);
        command
    };
    assert_eq!(sandbox.ready["dcs"].as_array().map(Vec::len), Some(3));

    tdl("whoami").code(4).error("is not logged in", "tdl login");
    tdl("login --phone 9996621234 --code 11111").code(1).error("code is wrong", "latest code");
    tdl("login --phone 9996621234 --code 22222").code(2).error("--first-name is needed", "TDL_FIRST_NAME");

    let run = tdl(SIGN_UP).ok();
    run.no_stdout().stderr_has("signed up and logged in as Ada Lovelace");

    let whoami = tdl("whoami").ok();
    whoami.stdout_has("Ada Lovelace").stdout_has("+9996621234");
    let json = tdl("whoami --json").ok().json();
    assert_eq!((&json["first_name"], &json["phone"], &json["home_dc"]), (&"Ada".into(), &"9996621234".into(), &2.into()));
    let id = json["id"].clone();

    // The account lives on DC 2, and the home is not DC 1 any more: no key exchange, no migration on the next run.
    let traced = tdl("whoami --trace=all -v").ok();
    assert!(!traced.stderr().contains("MIGRATE"), "{traced}");
    assert!(
        !traced.stderr().contains("9996621234") && !traced.stderr().contains("Lovelace"),
        "the trace is redacted\n{traced}"
    );

    let again = tdl("login --phone 9996621234 --json").ok().json();
    assert_eq!((&again["outcome"], &again["id"]), (&"already_logged_in".into(), &id));
    tdl("login --phone 9996610000").code(1).error("another account is logged in here", "--force");

    let info = tdl("session info --json").ok().json();
    assert_eq!((&info["account"]["user_id"], &info["home_dc"]), (&id, &2.into()));
    let list = tdl("ns ls --json").ok().json();
    assert_eq!((&list[0]["logged_in"], &list[0]["user_id"]), (&true.into(), &id));
    tdl("ns rm default").code(1).error("is logged in", "tdl logout");

    let out = tdl("logout --json").ok().json();
    assert_eq!(out["server"], "ended");
    tdl("whoami").code(4).error("is not logged in", "tdl login");
    tdl("logout").code(4);

    let back = tdl("login --phone 9996621234 --code 22222 --json").ok().json();
    assert_eq!((&back["outcome"], &back["id"]), (&"logged_in".into(), &id), "the same account");
    tdl("login --force --phone 9996621234 --code 22222").ok().stderr_has("logged in as Ada Lovelace");
}

#[test]
fn every_transport_logs_in() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    sandbox.tdl(&dir).args(SIGN_UP).ok();
    for kind in [
        "auto",
        "abridged",
        "intermediate",
        "padded",
        "full",
        "obfuscated",
        "obfuscated-abridged",
        "obfuscated-intermediate",
        "obfuscated-full",
        "http",
        "ws",
        "wss",
        "https",
    ] {
        sandbox.tdl(&dir).args("whoami --transport").arg(kind).ok().stdout_has("Ada Lovelace");
    }
}

#[test]
fn accounts_of_two_namespaces_are_two() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    sandbox.tdl(&dir).args("-n one").args(SIGN_UP).ok();
    sandbox.tdl(&dir).args("-n two login --phone 9996619999 --code 11111 --first-name Bob").ok();
    let id = |ns: &str| sandbox.tdl(&dir).args("whoami --json -n").arg(ns).ok().json()["id"].clone();
    assert_ne!(id("one"), id("two"));
    sandbox.tdl(&dir).args("logout -n one").ok();
    sandbox.tdl(&dir).args("whoami -n two").ok().stdout_has("Bob");
}

#[cfg(unix)]
#[test]
fn a_login_outlives_the_cluster_and_the_interrupt_is_a_good_end() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    sandbox.tdl(&dir).args(SIGN_UP).ok();
    assert_eq!(sandbox.interrupt(), Some(0));
    let sandbox = Sandbox::start(&dir);
    let run = sandbox.tdl(&dir).args("whoami --trace=all").ok();
    run.stdout_has("Ada Lovelace");
    assert!(!run.stderr().contains("req_pq"), "no key exchange again\n{run}");
}
