//! `tdl call`: methods by name, JSON in and out, errors in words, and completion in a shell.

#![cfg(feature = "cli")]

use crate::support;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use support::{Sandbox, TestDir};

#[test]
fn methods_are_called_and_their_answers_printed() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let tdl = |args: &str| {
        let mut command = sandbox.tdl(&dir);
        command.args(args);
        command
    };

    // Without an account: what needs none, at any data centre.
    tdl("call help.getNearestDc").code(4).error("is not logged in", "--no-login");
    let nearest = tdl("call help.getNearestDc --no-login --dc 3").ok().json();
    assert_eq!(nearest, json!({ "_": "nearestDc", "country": "XT", "this_dc": 3, "nearest_dc": 3 }));
    tdl("call users.getUsers id=me --no-login").code(4).error("not logged in", "tdl login");
    tdl("call contacts.resolveUsername username=x --no-login --dc 9").code(2).error("no data centre 9", "1, 2, 3");
    assert!(!dir.join("box/home").exists(), "nothing is kept");

    tdl("login --phone 9996621234 --code 22222 --first-name Ada").ok();
    let me = tdl("call users.getUsers id=me").ok().json();
    assert_eq!((&me[0]["_"], &me[0]["first_name"], &me[0]["self"]), (&json!("user"), &json!("Ada"), &json!(true)));
    let id = me[0]["id"].as_str().expect("a long is a string").to_owned();
    let number = tdl("call users.getUsers id=me --int64 number").ok().json();
    assert_eq!(number[0]["id"].to_string(), id);

    // A message: the peer by a short name, the random id drawn.
    let run = sandbox.tdl(&dir).args("call messages.sendMessage peer=me").arg("message=Hello there").ok();
    run.stderr_has("random_id was missing and has been drawn: ");
    assert!(run.json()["_"].as_str().expect("a name").starts_with("update"), "{run}");
    let history = tdl("call messages.getHistory peer=me limit=5 --fill --compact").ok();
    history.stderr_has("filled with empty values: offset_id");
    assert_eq!(history.stdout().lines().count(), 1);
    assert_eq!(history.json()["messages"][0]["message"], "Hello there");
    // The same from a file, from standard input, and by the account's own id.
    dir.write("query.json", json!({ "_": "messages.getHistory", "peer": id, "limit": 5 }).to_string());
    let from_file = tdl("call messages.getHistory @query.json --fill --quiet").ok().json();
    assert_eq!(from_file["messages"], history.json()["messages"]);
    let mut child = tdl("call messages.getHistory - --fill --quiet")
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("piped").write_all(br#"{"peer":"me","limit":1}"#).expect("written");
    let output = child.wait_with_output().expect("ended");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["messages"][0]["message"], "Hello there");

    // Bytes either way, and a call in a call, whose answer is that of the inner one.
    let mut uploaded = sandbox.tdl(&dir);
    uploaded.args("call upload.saveFilePart file_id=1 file_part=0 bytes=aGVsbG8=");
    assert_eq!(uploaded.ok().json(), true);
    assert_eq!(tdl("call upload.saveFilePart file_id=1 file_part=0 bytes=68656c6c6f --bytes hex").ok().json(), true);
    let wrapped = sandbox.tdl(&dir).args("call invokeWithoutUpdates query=help.getNearestDc").ok().json();
    assert_eq!(wrapped["_"], "nearestDc");
    let raw = tdl("call help.getNearestDc --raw").ok().stdout();
    assert!(raw.trim_end().len() == 32 && raw.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()), "{raw}");

    // What the server refuses is explained.
    let peer = r#"peer={"_":"inputPeerUser","user_id":1,"access_hash":2}"#;
    let refused = sandbox.tdl(&dir).args("call messages.sendMessage message=x").arg(peer).code(1);
    refused.error("400 PEER_ID_INVALID (messages.sendMessage): the peer does not exist", "tdl chat ls");
    tdl("call upload.getFile limit=1 --fill").code(2).error("upload.getFile.location: is missing", "--show upload.getFile");
    tdl("call contacts.resolveUsername username=nobody_is_here")
        .code(1)
        .error("400 USERNAME_NOT_OCCUPIED (contacts.resolveUsername): nobody has this username", "how it is written");
    tdl("call messages.getHistory peer=@nobody_is_here --fill").code(1).stderr_has("nobody_is_here");
}

#[test]
fn wrong_arguments_are_told_before_anybody_is_asked() {
    let dir = TestDir::new();
    let call = |args: &str| {
        let mut command = dir.tdl();
        command.args("call").args(args);
        command
    };
    call("messages.sendMesage")
        .code(2)
        .error("no method is called 'messages.sendMesage'", "did you mean messages.sendMessage?");
    call("ping ping_id=1").code(2).error("a message of the protocol itself", "tdl dc ping");
    call("help.getConfig x").code(2).error("'x' is no JSON object", "tdl call --show help.getConfig");
    call("help.getConfig @none.json").code(2).error("none.json: ", "--show");
    call("messages.getHistory peer=me")
        .code(2)
        .error("messages.getHistory.offset_id: is missing", "--show messages.getHistory");
    call("messages.getHistory peer=me limit=many --fill").code(2).error("messages.getHistory.limit", "--show");
    call("messages.getHistory peer=me limt=1 --fill").code(2).error("did you mean limit?", "--show");
    call("help.getConfig --layer 7").code(2).error("layer 7", "--layer");
    call("help.getConfig --dc 99 --no-login").code(2).error("no data centre 99", "`tdl dc ls`");
    call("").code(2);
    assert!(!dir.join("home").exists(), "asking makes no files");

    call("--list messages.sendM").ok().stdout_has("messages.sendMessage\n").stdout_has("messages.sendMedia\n");
    call("--list nothing.").code(1).error("begins with 'nothing.'", "tdl tl ls");
    let all = call("--list").ok().stdout();
    assert!(all.lines().count() > 700 && !all.lines().any(|line| line == "ping"), "{}", all.lines().count());
    let shown = call("--show messages.sendMessage").ok();
    shown.stdout_has("messages.sendMessage#").stdout_has("tdl call messages.sendMessage '{").stdout_has("\"peer\":\"me\"");
    shown.stdout_has("optional:").stdout_has("silent");
    let shown = call("--show messages.sendMessage --json").ok().json();
    assert_eq!(shown["example"], json!({ "peer": "me", "message": "text" }));
    assert_eq!(shown["optional"]["silent"], "true");
}

/// Has a shell complete a line, and says what it offers.
fn completed(dir: &TestDir, line: &str) -> Vec<String> {
    let script = dir.tdl().args("completion bash").ok().stdout();
    // What bash does when somebody presses the key: the words, the cursor at the end of the last one.
    let ask = r#"
        read -ra COMP_WORDS <<<"$1"
        [[ "$1" == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        COMP_TYPE=9
        _clap_complete_tdl tdl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_tdl")).parent().expect("a directory");
    let path = std::env::join_paths(
        std::iter::once(binary.to_path_buf()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let output = Command::new("bash")
        .args(["--norc", "-c", &format!("{script}\n{ask}"), "bash", line])
        .env("PATH", path.expect("a path"))
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{line}: {stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(unix)]
#[test]
fn a_shell_completes_methods_fields_commands_and_values() {
    let dir = TestDir::new();
    assert_eq!(completed(&dir, "tdl call help.getNear"), ["help.getNearestDc"]);
    let send = completed(&dir, "tdl call messages.sendM");
    assert!(send.contains(&"messages.sendMessage".to_owned()) && send.len() < 10, "{send:?}");
    assert_eq!(completed(&dir, "tdl call HELP.getnear"), ["help.getNearestDc"], "whatever the case");
    assert_eq!(completed(&dir, "tdl call getNearestD"), ["help.getNearestDc"], "and from the middle");
    assert_eq!(completed(&dir, "tdl call messages.sendMessage pe"), ["peer="]);
    assert!(completed(&dir, "tdl call messages.sendMessage peer=me ").contains(&"message=".to_owned()));
    assert_eq!(completed(&dir, "tdl --sandbox box call auth.signI"), ["auth.signIn"]);
    assert_eq!(completed(&dir, "tdl dc han"), ["handshake"]);
    assert_eq!(completed(&dir, "tdl call help.getConfig --int64 n"), ["number"]);
    assert!(completed(&dir, "tdl wh").contains(&"whoami".to_owned()));
    assert!(!dir.join("home").exists(), "completing makes no files");
}
