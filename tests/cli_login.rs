//! `tdl login`, `whoami` and `logout` against a cluster that `tdl sandbox up` runs: all of it through the binary.

#![cfg(feature = "cli")]

use crate::support;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Output, Stdio};

use support::{SIGN_UP, Sandbox, TestCommand, TestDir};

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

/// Runs a command with answers on standard input, a line for each question.
fn answering(command: &TestCommand, lines: &str) -> Output {
    let mut child = command
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    // Whoever has ended reads no more: that is for the exit code to say.
    let _ = stdin.write_all(lines.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("ended")
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_password_is_asked_for_and_nobody_sees_it() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let mut add = sandbox.tdl(&dir);
    add.args("sandbox user add --phone 9996621240 --name Ada --hint usual --password").arg("hunter two").ok();
    let login = |ns: &str| {
        let mut command = sandbox.tdl(&dir);
        command.args("login --phone 9996621240 -n").arg(ns);
        command
    };

    login("a").args("--code 22222").code(2).error("--password is needed", "TDL_PASSWORD");
    sandbox.tdl(&dir).args("whoami -n a").code(4);
    login("a").args("--code 22222").env("TDL_PASSWORD", "hunter one").code(1).error("the password is wrong", "two-step");
    sandbox.tdl(&dir).args("whoami -n a").code(4);
    let run = login("a").args("--code 22222 --trace=all").env("TDL_PASSWORD", "hunter two").ok();
    run.stderr_has("logged in as Ada");
    assert!(!run.stderr().contains("hunter"), "{run}");
    sandbox.tdl(&dir).args("whoami -n a").ok().stdout_has("Ada");

    // The same from standard input: the code, a mistake, the password.
    let run = answering(&login("b"), "22222\nhunter one\nhunter two\n");
    let all = text(&run);
    assert!(run.status.success() && all.contains("2 more tries") && !all.contains("hunter"), "{all}");
    // It is over after three mistakes, and nothing is left of it.
    let run = answering(&login("c"), "22222\nx\ny\nz\nhunter two\n");
    let all = text(&run);
    assert!(run.status.code() == Some(1) && all.contains("the password is wrong") && all.contains("takes a week"), "{all}");
    sandbox.tdl(&dir).args("whoami -n c").code(4);
}

/// Each way of a code, by the number's own: what the person is told, and that the code is taken as it comes.
#[test]
fn codes_come_in_every_way() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let ways = [
        ("app", "as a message in Telegram"),
        ("sms", "by SMS"),
        ("call", "by a phone call"),
        ("flash-call", "by a call that hangs up"),
        ("missed-call", "by a missed call"),
        ("fragment", "on Fragment: https://fragment.com/"),
        ("sms-word", "as a word that begins with"),
        ("sms-phrase", "as a phrase that begins with"),
        ("email", "by email to"),
        ("firebase,sms", "by SMS"),
    ];
    for (at, (way, told)) in ways.iter().enumerate() {
        let phone = format!("99966213{at:02}");
        let add = format!("sandbox user add --json --name Ada --phone {phone} --delivery {way}");
        let account = sandbox.tdl(&dir).args(&add).ok().json();
        let code = match *way {
            "firebase,sms" => "22222",
            _ => account["code"].as_str().unwrap_or_else(|| panic!("{way}: {account}")),
        };
        let mut login = sandbox.tdl(&dir);
        login.args(&format!("login --phone {phone} -n way{at}"));
        let run = answering(&login, &format!("{code}\n"));
        let all = text(&run);
        assert!(run.status.success() && all.contains(told), "{way}\n{all}");
    }
    let refused = [
        ("firebase", "through the maker of your phone", "official app"),
        ("banned", "banned", "recover@telegram.org"),
        ("flood", "too many logins", "wait a day"),
    ];
    for (at, (way, what, advice)) in refused.iter().enumerate() {
        let phone = format!("99966214{at:02}");
        sandbox.tdl(&dir).args(&format!("sandbox user add --name Ada --phone {phone} --delivery {way}")).ok();
        sandbox.tdl(&dir).args(&format!("login --phone {phone} --code 22222 -n no{at}")).code(1).error(what, advice);
    }
}

#[test]
fn an_account_that_needs_an_email_address_gets_one() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    sandbox.tdl(&dir).args("sandbox user add --name Ada --phone 9996621250 --delivery email-setup").ok();
    let login = || {
        let mut command = sandbox.tdl(&dir);
        command.args("login --phone 9996621250");
        command
    };
    login().args("--code 222222").code(2).error("--email is needed", "TDL_EMAIL");
    // A bad address, a good one, a wrong code, and the code; then the one for the login.
    let run = answering(&login(), "nonsense\nada@example.org\n111111\n222222\n222222\n");
    let all = text(&run);
    assert!(run.status.success() && all.contains("does not accept that address"), "{all}");
    sandbox.tdl(&dir).args("whoami").ok().stdout_has("Ada");
}

/// A `tdl login -T qr --json` under way.
struct Scanning {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Scanning {
    fn start(command: &TestCommand) -> Self {
        let mut child = command.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The token of the next link that is shown.
    fn token(&mut self) -> String {
        let line = self.lines.next().expect("a line").expect("text");
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let link = value["link"].as_str().unwrap_or_else(|| panic!("no link: {line}"));
        link.strip_prefix("tg://login?token=").expect("a login link").to_owned()
    }

    /// What it says in the end, and how it ends.
    fn end(mut self) -> (Option<i32>, String) {
        let rest: Vec<String> = self.lines.map(|line| line.expect("text")).collect();
        let mut errors = String::new();
        let _ = self.child.stderr.take().expect("piped").read_to_string(&mut errors);
        (self.child.wait().expect("ended").code(), format!("{}\n{errors}", rest.join("\n")))
    }
}

fn accept(sandbox: &Sandbox, dir: &TestDir, ns: &str, token: &str) {
    // Login links have the alphabet of URLs; the call takes the other one.
    let token = token.replace('-', "+").replace('_', "/");
    let padded = format!("{token}{}", "=".repeat((4 - token.len() % 4) % 4));
    let arguments = serde_json::json!({ "token": format!("base64:{padded}") }).to_string();
    sandbox.tdl(dir).args("-n").arg(ns).args("call auth.acceptLoginToken").arg(arguments).ok();
}

#[test]
fn a_link_is_opened_by_a_device_that_is_logged_in() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    // One account lives where the new client begins, one elsewhere, with a password.
    sandbox.tdl(&dir).args("sandbox user add --phone 9996621260 --name Ada").ok();
    sandbox.tdl(&dir).args("sandbox user add --phone 9996611260 --name Bob --password secret").ok();
    sandbox.tdl(&dir).args("login -n ada --phone 9996621260 --code 22222").ok();
    sandbox.tdl(&dir).args("login -n bob --phone 9996611260 --code 11111 --password secret").ok();
    let scan = |ns: &str| {
        let mut command = sandbox.tdl(&dir);
        // In a home of its own: what is logged in beside it is not to be let in twice.
        command.arg("--home").arg(dir.join("elsewhere")).args("login -T qr --json -n").arg(ns);
        command
    };
    let elsewhere = |args: &str| {
        let mut command = sandbox.tdl(&dir);
        command.arg("--home").arg(dir.join("elsewhere")).args(args);
        command
    };

    let mut scanning = Scanning::start(&scan("ada2"));
    let token = scanning.token();
    accept(&sandbox, &dir, "ada", &token);
    let (code, said) = scanning.end();
    assert!(code == Some(0) && said.contains("\"logged_in\"") && said.contains("Ada"), "{said}");
    elsewhere("whoami -n ada2").ok().stdout_has("Ada");

    let mut scanning = Scanning::start(&scan("bob2"));
    let token = scanning.token();
    accept(&sandbox, &dir, "bob", &token);
    let (code, said) = scanning.end();
    assert!(code == Some(2) && said.contains("--password is needed"), "{said}");
    elsewhere("whoami -n bob2").code(4);
    // What the first attempt left half done is gone on with: nobody has to scan anything again.
    let run = scan("bob2").env("TDL_PASSWORD", "secret").code(0);
    assert!(!run.stdout().contains("login_link"), "{run}");
    let json = elsewhere("whoami --json -n bob2").ok().json();
    assert_eq!((&json["first_name"], &json["home_dc"]), (&"Bob".into(), &1.into()));
    sandbox.tdl(&dir).args("whoami -n bob").ok();
}

/// Takes half a minute, which is how long a link lasts.
#[test]
fn a_link_whose_time_is_up_is_replaced() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    sandbox.tdl(&dir).args("sandbox user add --phone 9996621261 --name Ada").ok();
    sandbox.tdl(&dir).args("login -n ada --phone 9996621261 --code 22222").ok();
    let mut scan = sandbox.tdl(&dir);
    scan.arg("--home").arg(dir.join("elsewhere")).args("login -T qr --json -n ada2");
    let mut scanning = Scanning::start(&scan);
    let first = scanning.token();
    let second = scanning.token();
    assert_ne!(first, second);
    let old = serde_json::json!({ "token": format!("base64:{}", first.replace('-', "+").replace('_', "/") + "=") }).to_string();
    let refused = sandbox.tdl(&dir).args("-n ada call auth.acceptLoginToken").arg(old).run();
    assert!(refused.stderr().contains("AUTH_TOKEN_"), "{refused}");
    accept(&sandbox, &dir, "ada", &second);
    let (code, said) = scanning.end();
    assert!(code == Some(0) && said.contains("\"logged_in\""), "{said}");
}

#[test]
fn a_bot_logs_in_with_its_token() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let added = sandbox.tdl(&dir).args("sandbox user add --json --bot --name Helper --username helper_bot").ok().json();
    let token = added["token"].as_str().expect("a token").to_owned();
    let login = |token: &str| {
        let mut command = sandbox.tdl(&dir);
        command.args("login -T bot").env("TDL_TOKEN", token);
        command
    };
    login("nonsense").code(2).error("no bot token", "@BotFather");
    let wrong = format!("{}x", &token);
    login(&wrong).code(2).error("no bot token", "@BotFather");
    let run = login(&token).args("--trace=all").ok();
    run.stderr_has("logged in as Helper");
    let secret = token.split_once(':').expect("ID:SECRET").1;
    assert!(!run.stderr().contains(secret), "{run}");
    let json = sandbox.tdl(&dir).args("whoami --json").ok().json();
    assert_eq!((&json["bot"], &json["username"]), (&true.into(), &"helper_bot".into()));

    sandbox.tdl(&dir).args("logout").ok();
    let fresh = sandbox.tdl(&dir).args("sandbox user token --json @helper_bot").ok().json()["token"].clone();
    login(&token).code(1).error("was withdrawn", "@BotFather");
    let mut from_input = sandbox.tdl(&dir);
    from_input.args("login -T bot");
    let run = answering(&from_input, &format!("{}\n", fresh.as_str().expect("a token")));
    assert!(run.status.success(), "{}", text(&run));
}
