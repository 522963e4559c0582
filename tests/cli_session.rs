//! `tdl session ls`, `end` and `doctor` through the binary.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use support::{Sandbox, TestCommand, TestDir};

const LOGIN: &str = "login -T code --phone 9996621234 --code 22222 --first-name Ada";

struct Setup {
    dir: TestDir,
    sandbox: Sandbox,
}

impl Setup {
    fn new() -> Self {
        let dir = TestDir::new();
        let sandbox = Sandbox::start(&dir);
        let setup = Self { dir, sandbox };
        setup.tdl(LOGIN).ok();
        setup
    }

    fn tdl(&self, args: &str) -> TestCommand {
        let mut command = self.sandbox.tdl(&self.dir);
        command.args(args);
        command
    }
}

#[test]
fn the_servers_list_marks_this_one_and_those_of_other_namespaces() {
    let setup = Setup::new();
    setup.tdl(LOGIN).args("-n second").ok();
    let list = setup.tdl("session ls --json").ok().json();
    let list = list["authorizations"].as_array().unwrap();
    assert_eq!(list.len(), 2, "{list:?}");
    assert_eq!((list[0]["current"].clone(), list[0]["hash"].clone()), (true.into(), serde_json::Value::Null));
    assert_eq!((list[1]["namespace"].clone(), list[1]["device"].clone()), ("second".into(), list[0]["device"].clone()));
    assert_eq!((list[0]["idle"].clone(), list[1]["idle"].clone()), (false.into(), false.into()));
    let text = setup.tdl("session ls").ok();
    text.stdout_has("this one").stdout_has("ns second").stdout_has("127.0.0.1").stdout_has(list[1]["hash"].as_str().unwrap());
    assert!(!text.stdout().contains('\x1b'), "no colours where nobody sees them");
    // From the other side.
    setup.tdl("session ls -n second").ok().stdout_has("ns default");
}

#[test]
fn what_would_be_ended_is_shown_and_a_young_login_is_told_how_long_to_wait() {
    let setup = Setup::new();
    setup.tdl(LOGIN).args("-n second").ok();
    setup.tdl("session end --others --dry-run").ok().stdout_has("would end").stdout_has("last used");
    setup.tdl("session end --others").code(1).error("when it is a day old", "wait 2");
    let list = setup.tdl("session ls --json").ok().json();
    let hash = list["authorizations"][1]["hash"].as_str().unwrap().to_owned();
    setup.tdl("session end").arg(&hash[..8]).code(1).error("FRESH_RESET_AUTHORISATION_FORBIDDEN", "wait 2");
    setup.tdl("session end --inactive 90d").ok().no_stdout().stderr_has("nothing to end");
    setup.tdl("session end 0000000000000000").code(1).error("no authorization has a hash", "tdl session ls");
    setup.tdl("session end").code(2);
    setup.tdl("session end --others --inactive 1d").code(2);
    // Both are still there.
    setup.tdl("whoami -n second").ok();
}

#[test]
fn the_doctor_finds_nothing_where_nothing_is() {
    let setup = Setup::new();
    setup.tdl("session doctor").ok().stdout_has("nothing found");
    let document = setup.tdl("session doctor --json --watch 1s").ok().json();
    assert_eq!((document["findings"].clone(), document["problems"].clone()), (serde_json::json!([]), 0.into()));
    assert_eq!(document["seen"]["watch"], serde_json::json!({ "seconds": 1, "happened": 0, "pushed": 0 }));
    setup.tdl("session doctor -n nobody").code(4);
}

#[test]
fn the_doctor_sees_a_second_process_and_a_device_that_is_not_ours() {
    let setup = Setup::new();
    // Somebody has the namespace open.
    let home = tdl::store::Home::at(setup.dir.join("box/home"));
    let open = home.open_existing(&"default".parse().unwrap(), 1).unwrap();
    let document = setup.tdl("session doctor --json").code(1).json();
    assert_eq!(document["findings"][0]["kind"], "second_process", "{document}");
    drop(open);
    setup.tdl("session doctor").ok();

    // A copy of the home, used as another device.
    let copy = setup.dir.join("copy");
    std::fs::create_dir_all(copy.join("ns")).unwrap();
    std::fs::copy(setup.dir.join("box/home/ns/default.sqlite"), copy.join("ns/default.sqlite")).unwrap();
    setup.tdl("device set bench --model Bench --home").arg(&copy).ok();
    setup.tdl("whoami --home").arg(&copy).ok();
    let found = setup.tdl("session doctor").code(1);
    found.stdout_has("problem: another program has introduced itself").stdout_has("\"Bench\"").stdout_has("to do");
    let document = setup.tdl("session doctor --json").code(1).json();
    assert_eq!(
        (document["findings"][0]["kind"].clone(), document["findings"][0]["can_fix"].clone()),
        ("device_replaced".into(), true.into())
    );
    setup.tdl("session doctor --fix").ok().stdout_has("done");
    setup.tdl("session doctor").ok().stdout_has("nothing found");

    // A profile of our own that nobody has been told yet is none of this; nor is it when it has been told.
    setup.tdl("device set lab --model Lab").ok();
    for _ in 0..2 {
        setup.tdl("session doctor").ok().stdout_has("nothing found");
    }
    setup.tdl("whoami").ok();
    setup.tdl("session doctor").ok().stdout_has("nothing found");
}

#[test]
fn the_doctor_and_the_list_know_a_borrowed_key() {
    let setup = Setup::new();
    let home = tdl::store::Home::at(setup.dir.join("box/home"));
    let namespace = home.open_existing(&"default".parse().unwrap(), 1).unwrap();
    let borrowed = tdl::store::Borrowed { program: "Telegram Desktop".into(), path: None, introduces: true, since: 1 };
    namespace.set_borrowed(&borrowed).unwrap();
    drop(namespace);
    setup.tdl("session ls").ok().stdout_has("borrowed from Telegram Desktop");
    let found = setup.tdl("session doctor --watch 1s").code(1);
    found.stdout_has("lives on another program's key").stdout_has("session isolate").stderr_has("not listening");
}
