//! `tdl sandbox user|message|seed`: an operator beside a running cluster, and without one.

#![cfg(all(feature = "cli", unix))]

use crate::support;

use support::{Sandbox, TestCommand, TestDir};

fn operator(dir: &TestDir, args: &str) -> TestCommand {
    let mut command = dir.tdl();
    command.args(args).arg("--dir").arg(dir.join("box"));
    command
}

#[test]
fn accounts_are_made_changed_and_listed_beside_a_running_cluster() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let ada = operator(&dir, "sandbox user add --phone 9996621234 --name Ada --username ada_test --json").ok().json();
    assert_eq!((&ada["phone"], &ada["dc"], &ada["code"]), (&"9996621234".into(), &2.into(), &"22222".into()));
    // The account is there for whoever logs in.
    sandbox.tdl(&dir).args("login -T code --phone 9996621234 --code 22222").ok();
    let me = sandbox.tdl(&dir).args("whoami --json").ok().json();
    assert_eq!((&me["id"], &me["first_name"]), (&ada["id"], &"Ada".into()));

    let by_call = operator(&dir, "sandbox user set --phone 9996621234 --delivery flash-call,sms --json").ok().json();
    assert_eq!((&by_call["delivery"], &by_call["code"]), (&"flash-call,sms".into(), &"9996622222".into()));
    operator(&dir, "sandbox user set --phone 9996621234 --delivery sms,app").code(2);
    operator(&dir, "sandbox user set --phone 9996631234 --delivery email-setup").ok().no_stdout().stderr_has("no account yet");
    operator(&dir, "sandbox user set --phone 9996621234").code(2);
    let secret = operator(&dir, "sandbox user set --phone 9996621234 --password secret --json").ok().json();
    assert_eq!(secret["has_password"], true);
    let open = operator(&dir, "sandbox user set --phone 9996621234 --no-password --json").ok().json();
    assert_eq!(open["has_password"], false);

    let bot = operator(&dir, "sandbox user add --bot --name Helper --username helper_bot --json").ok().json();
    let token = bot["token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with(&format!("{}:", bot["id"])), "{token}");
    let renewed = operator(&dir, "sandbox user token @helper_bot").ok().stdout();
    assert_ne!(renewed.trim(), token);
    operator(&dir, "sandbox user token @ada_test").code(1);

    operator(&dir, "sandbox user add --phone 9996621234").code(1).error("has an account already", "another number");
    operator(&dir, "sandbox user add --phone 123").code(1);
    operator(&dir, "sandbox user add").code(2);
    let list = operator(&dir, "sandbox user ls").ok();
    list.stdout_has("9996621234").stdout_has("helper_bot").stdout_has("flash-call,sms");
    // By the global flag as well.
    let list = sandbox.tdl(&dir).args("sandbox user ls --json").ok().json();
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    assert_eq!(list[0]["authorizations"], 1);
}

#[test]
fn a_message_in_somebodys_name_arrives() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let people = operator(&dir, "sandbox seed demo --json").ok().json();
    assert_eq!(operator(&dir, "sandbox seed demo --json").ok().json(), people);
    let (phone, code) = (people[0]["phone"].as_str().expect("a number"), people[0]["code"].as_str().expect("a code"));
    sandbox.tdl(&dir).args(&format!("login -T code --phone {phone} --code {code}")).ok();
    operator(&dir, "sandbox message send --from @bob_demo --to @ada_demo").arg("Are you there?").ok().stdout_has("message ");
    sandbox.tdl(&dir).args("chat export -c @bob_demo --all --with-content -o out.json").ok();
    let text = std::fs::read_to_string(dir.join("out.json")).expect("it was written");
    assert!(text.contains("Are you there?") && text.contains("Then we need more cards."), "{text}");
    operator(&dir, "sandbox message send --from @bob_demo --to @nobody").arg("x").code(1).error("nobody here is", "user ls");
}

#[test]
fn without_a_cluster_there_is_nothing_to_operate() {
    let dir = TestDir::new();
    operator(&dir, "sandbox user ls").code(1).error("opening", "tdl sandbox up");
    dir.tdl().args("sandbox user ls").code(2).error("which cluster", "--dir");
    let sandbox = Sandbox::start(&dir);
    sandbox.interrupt();
    // It has run once: that is enough.
    operator(&dir, "sandbox user add --phone 9996611111").ok();
    operator(&dir, "sandbox user ls").ok().stdout_has("9996611111");
}

#[test]
fn what_an_operator_makes_is_logged_in_with() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    operator(&dir, "sandbox user add --phone 9996621234 --name Ada --password secret --delivery flash-call,sms-word").ok();
    let login = |arguments: &str| {
        let mut command = sandbox.tdl(&dir);
        command.args("login --phone 9996621234").args(arguments);
        command
    };
    login("-n wrong -T code --code 9996622222 --password other").code(1);
    login("-n right -T code --code 9996622222 --password secret").ok();
    let me = sandbox.tdl(&dir).args("whoami -n right --json").ok().json();
    assert_eq!((&me["first_name"], &me["bot"]), (&"Ada".into(), &false.into()));

    operator(&dir, "sandbox user set --phone 9996621234 --no-password --delivery banned").ok();
    login("-n banned -T code --code 22222").code(1).stderr_has("is banned");

    let bot = operator(&dir, "sandbox user add --bot --name Helper --home-dc 3 --json").ok().json();
    let mut by_token = sandbox.tdl(&dir);
    by_token.args("login -n bot -T bot --token").arg(bot["token"].as_str().expect("a token"));
    by_token.ok();
    let me = sandbox.tdl(&dir).args("whoami -n bot --json").ok().json();
    assert_eq!((&me["id"], &me["bot"], &me["home_dc"]), (&bot["id"], &true.into(), &3.into()));
}
