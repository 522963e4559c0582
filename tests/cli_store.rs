//! `tdl ns encrypt`, `backup`, `recover`, `migrate`, `device` and `session info` through the binary, on namespaces made through the library.

#![cfg(feature = "cli")]

use crate::support;

use std::fs;

use support::{TestCommand, TestDir};
use tdl::{
    client::{
        AccountRecord, AuthKey, DcAuth, DeviceProfile, EndedRecord, Identity, KeyUse, Persistence, SaltRecord, TempAuth,
        Unauthorized,
    },
    ids::{DcId, Salt},
    store::{Home, Namespace},
};

const NOW: i64 = 1_700_000_000;

fn namespace(dir: &TestDir, name: &str) -> Namespace {
    Home::at(dir.join("home")).open(&name.parse().expect("valid"), NOW).expect("made")
}

fn log_in(ns: &Namespace) {
    let key = AuthKey::from_bytes(&[0xab; 256]);
    let perm_key_id = key.id();
    let salts = vec![SaltRecord { salt: Salt(1), since: NOW, until: NOW + 9 }];
    ns.save_dc_auth(&DcAuth {
        dc: DcId(2),
        auth_key: key,
        salts: salts.clone(),
        time_offset: -2,
        authorized: true,
        created_at: NOW,
    })
    .expect("saved");
    let auth_key = AuthKey::from_bytes(&[0xcd; 256]);
    let (created_at, expires_at) = (NOW, NOW + 5);
    let temp =
        TempAuth { dc: DcId(2), key_use: KeyUse::Main, perm_key_id, auth_key, salts, time_offset: 0, created_at, expires_at };
    ns.save_temp_auth(&temp).expect("saved");
    let account =
        AccountRecord { user_id: 77, is_bot: false, name: "Ada".into(), username: None, phone: None, logged_in_at: NOW };
    ns.save_account(&account).expect("saved");
    ns.save_identity(&Identity { device: DeviceProfile::default(), layer: 230, api_id: 5 }).expect("saved");
    ns.set_home_dc(DcId(2)).expect("saved");
    ns.bind_cluster("production").expect("bound");
}

/// Whether a file of the home, or the file itself, holds a part of the key.
fn holds_key(path: &std::path::Path) -> bool {
    if path.is_dir() {
        return fs::read_dir(path).expect("listed").any(|entry| holds_key(&entry.expect("entry").path()));
    }
    fs::read(path).expect("read").windows(32).any(|w| w == [0xab; 32] || w == [0xcd; 32])
}

fn tdl(dir: &TestDir, args: &str) -> TestCommand {
    let mut command = dir.tdl();
    command.args(args);
    command
}

fn with(dir: &TestDir, passphrase: &str, args: &str) -> TestCommand {
    let mut command = tdl(dir, args);
    command.env("TDL_PASSPHRASE", passphrase);
    command
}

#[test]
fn a_namespace_is_encrypted_unlocked_changed_and_decrypted() {
    let dir = TestDir::new();
    log_in(&namespace(&dir, "default"));
    tdl(&dir, "ns encrypt").code(2).error("no terminal to ask at", "TDL_PASSPHRASE");
    tdl(&dir, "ns decrypt").code(1).error("is not encrypted", "tdl ns encrypt");
    tdl(&dir, "ns passwd").code(1).error("is not encrypted", "tdl ns encrypt");
    with(&dir, "open sesame", "ns encrypt").ok().no_stdout().stderr_has("is encrypted now");
    assert!(!holds_key(&dir.join("home")));
    with(&dir, "x", "ns encrypt").code(1).error("encrypted already", "tdl ns passwd");

    // What needs no key needs no passphrase.
    let list = tdl(&dir, "ns ls --json").ok().json();
    assert_eq!((&list[0]["encrypted"], &list[0]["logged_in"], &list[0]["user_id"]), (&true.into(), &true.into(), &77.into()));
    let info = tdl(&dir, "session info --json").ok().json();
    assert_eq!(
        (&info["encrypted"], &info["locked"], &info["dcs"][0]["salts"]),
        (&true.into(), &true.into(), &serde_json::Value::Null)
    );
    assert!(info["temporary_keys"].is_null() && info["dcs"][0]["key_id"].is_string());
    tdl(&dir, "session info").ok().stdout_has("locked: no passphrase was given").stdout_has("sealed");

    tdl(&dir, "whoami --app-id 1").code(2).error("no terminal to ask at", "TDL_PASSPHRASE");
    with(&dir, "wrong", "whoami --app-id 1").code(1).error("not the passphrase of namespace 'default'", "nothing was changed");
    let info = with(&dir, "open sesame", "session info --json").ok().json();
    assert_eq!(
        (&info["locked"], &info["dcs"][0]["salts"], &info["temporary_keys"][0]["use"]),
        (&false.into(), &1.into(), &"main".into())
    );

    // From a file, from a command, from config.toml.
    dir.write("word", "open sesame\n");
    let opened = |command: &mut TestCommand| assert_eq!(command.ok().json()["locked"], false);
    opened(tdl(&dir, "session info --json").arg("--passphrase-file").arg(dir.join("word")));
    if cfg!(unix) {
        opened(tdl(&dir, "session info --json").arg("--passphrase-command").arg("cat word"));
        dir.write("home/config.toml", "[namespace.default]\npassphrase-command = 'cat word'\n");
        opened(&mut tdl(&dir, "session info --json"));
        fs::remove_file(dir.join("home/config.toml")).expect("removed");
        let mut failing = tdl(&dir, "session info");
        failing.arg("--passphrase-command").arg("exit 3").code(1).error("it failed", "run the command by itself");
    }
    tdl(&dir, "session info --passphrase-file nothing").code(2).error("nothing", "first line is the passphrase");

    let mut change = with(&dir, "open sesame", "ns passwd");
    change.env("TDL_NEW_PASSPHRASE", "new").ok().stderr_has("new passphrase");
    with(&dir, "open sesame", "ns decrypt").code(1).error("not the passphrase", "try again");
    with(&dir, "new", "ns decrypt").ok().stderr_has("not encrypted any more");
    assert!(holds_key(&dir.join("home")));
    tdl(&dir, "session info").ok().stdout_has("encrypted");

    // What needs no key is done all the same.
    with(&dir, "x", "ns encrypt").ok();
    tdl(&dir, "device set lab --model Bench").ok();
    tdl(&dir, "device rm lab").ok();
    with(&dir, "x", "ns decrypt").ok();

    // Whoever has lost it can still let go of what is there.
    with(&dir, "lost", "ns encrypt").ok();
    tdl(&dir, "logout --local-only").ok();
    assert_eq!(tdl(&dir, "ns ls --json").ok().json()[0]["logged_in"], false);
}

#[test]
fn namespaces_are_saved_and_brought_back() {
    let dir = TestDir::new();
    tdl(&dir, "backup").code(1).error("there are no namespaces", "tdl login");
    log_in(&namespace(&dir, "default"));
    log_in(&namespace(&dir, "work"));
    let run = tdl(&dir, "backup -d plain.tdl").ok();
    run.no_stdout().stderr_has("WARNING").stderr_has("default, work unencrypted");
    assert!(holds_key(&dir.join("plain.tdl")));
    tdl(&dir, "backup -d plain.tdl").code(1).error("exists already", "--force");
    let done = with(&dir, "open", "backup work -d sealed.tdl --json").ok();
    assert!(!done.stderr().contains("WARNING"));
    assert_eq!((&done.json()["encrypted"], &done.json()["namespaces"][0]["name"]), (&true.into(), &"work".into()));
    assert!(!holds_key(&dir.join("sealed.tdl")));
    with(&dir, "open", "backup work --plain -d sealed.tdl --force").ok().stderr_has("WARNING");
    with(&dir, "open", "backup work -d sealed.tdl --force").ok();
    tdl(&dir, "backup").ok();
    let named = fs::read_dir(dir.path())
        .expect("listed")
        .filter(|e| e.as_ref().expect("entry").file_name().to_string_lossy().ends_with(".backup.tdl"));
    assert_eq!(named.count(), 1);

    tdl(&dir, "recover -f plain.tdl").code(1).error("a namespace 'default' exists already", "tdl ns rm default");
    tdl(&dir, "recover -f sealed.tdl").code(2).error("no terminal", "TDL_PASSPHRASE");
    with(&dir, "shut", "recover -f sealed.tdl --overwrite").code(1).error("the passphrase is wrong", "it was made with");
    tdl(&dir, "recover -f nothing.tdl").code(1).error("nothing.tdl", "tdl backup");
    tdl(&dir, "recover -f home/ns/work.sqlite --overwrite")
        .code(1)
        .error("does not begin like a backup of tdl", "another copy");
    let mut bytes = fs::read(dir.join("sealed.tdl")).expect("read");
    bytes.truncate(bytes.len() - 5);
    dir.write("cut.tdl", &bytes);
    with(&dir, "open", "recover -f cut.tdl --overwrite")
        .code(1)
        .error("cut.tdl cannot be recovered from", "nothing was changed");
    assert_eq!(tdl(&dir, "ns ls --json").ok().json().as_array().map(Vec::len), Some(2));

    let run = with(&dir, "open", "recover -f sealed.tdl --overwrite").ok();
    run.stderr_has("is called 'work.before-1' now").stderr_has("two places").stderr_has("tdl logout --local-only");
    tdl(&dir, "--home other recover -f plain.tdl default").ok();
    let info = tdl(&dir, "--home other session info --json").ok().json();
    assert_eq!((&info["account"]["user_id"], &info["dcs"][0]["authorized"]), (&77.into(), &true.into()));
    assert_eq!(info["temporary_keys"], serde_json::json!([]), "they are not in backups");
}

#[test]
fn namespaces_move_to_another_home() {
    let dir = TestDir::new();
    log_in(&namespace(&dir, "default"));
    dir.write("home/config.toml", "threads = 3\n");
    tdl(&dir, "migrate --to home").code(2).error("is the home that they are in", "another directory");
    tdl(&dir, "migrate --to type=bolt,path=x").code(2).error("no storage of the type 'bolt'", "--to DIR");
    tdl(&dir, "migrate --to copy").ok().stderr_has("two places").stderr_has("config.toml was copied");
    tdl(&dir, "migrate --to copy").code(1).error("exists already", "");
    tdl(&dir, "migrate --to there --move").code(2).error("no terminal", "--yes");
    let run = tdl(&dir, "migrate --to type=sqlite,path=there --move --yes").ok();
    assert!(!run.stderr().contains("two places"), "{run}");
    assert_eq!(tdl(&dir, "ns ls --json").ok().json(), serde_json::json!([]));
    let info = tdl(&dir, "--home there session info --json").ok().json();
    assert_eq!(info["account"]["user_id"], 77);
    assert!(!holds_key(&dir.join("home")));
}

#[test]
fn device_profiles_are_made_chosen_and_shown() {
    let dir = TestDir::new();
    let list = tdl(&dir, "device ls --json").ok().json();
    assert_eq!(
        (list.as_array().map(Vec::len), &list[0]["profile"], &list[0]["in_use"]),
        (Some(1), &"tdl".into(), &true.into())
    );
    let own = tdl(&dir, "device show --json").ok().json();
    assert_eq!(own["app_version"], format!("tdl {}", env!("CARGO_PKG_VERSION")));
    assert!(own["model"].as_str().is_some_and(|model| model.contains(std::env::consts::ARCH)));
    tdl(&dir, "device show desktop").code(2).error("there is no device profile 'desktop'", "tdl device ls");
    tdl(&dir, "--device toaster whoami --app-id 1").code(4);

    log_in(&namespace(&dir, "default"));
    tdl(&dir, "device set lab").code(2).error("there is no device profile 'lab'", "tdl device set");
    tdl(&dir, "device set tdl --model x").code(2).error("built-in profile", "tdl device set --help");
    tdl(&dir, "device set lab --model=").code(2).error("the device model is empty", "--help");
    let mut broken = tdl(&dir, "device set lab --params");
    broken.arg("{").code(2).error("--params is not JSON", "tz_offset");
    let mut set = tdl(&dir, "device set lab --app Bench --model");
    set.arg("Test bench").arg("--params").arg("{\"tz_offset\": 3600}");
    set.ok().stderr_has("introduces itself as 'lab' from now on").stderr_has("Settings, Devices");
    let lab = tdl(&dir, "device show --json").ok().json();
    assert_eq!(
        (&lab["profile"], &lab["model"], &lab["system"], &lab["params"]["tz_offset"]),
        (&"lab".into(), &"Test bench".into(), &own["system"], &3600.into())
    );
    let info = tdl(&dir, "session info --json").ok().json();
    assert_eq!((&info["identity"]["device"]["profile"], &info["next_device"]["profile"]), (&"tdl".into(), &"lab".into()));
    tdl(&dir, "session info").ok().stdout_has("device, next").stdout_has("Test bench");
    // For one command; and only a profile that there is.
    assert_eq!(tdl(&dir, "--device tdl device show --json").ok().json()["profile"], "tdl");
    tdl(&dir, "--device toaster --app-id 1 whoami").code(2).error("no device profile 'toaster'", "tdl device ls");
    tdl(&dir, "device set lab --lang de").ok();
    assert_eq!(tdl(&dir, "device show --json").ok().json()["model"], "Test bench", "what is not given stays");
    tdl(&dir, "device rm tdl").code(2).error("built in", "tdl device ls");
    tdl(&dir, "device rm lab").ok();
    tdl(&dir, "device rm lab").code(1).error("no device profile", "tdl device ls");
    assert_eq!(tdl(&dir, "device show --json").ok().json()["profile"], "tdl");
    dir.write("home/config.toml", "[namespace.default]\ndevice = 'gone'\n");
    tdl(&dir, "--app-id 1 whoami").code(2).error("no device profile 'gone'", "tdl device ls");
}

#[test]
fn a_login_that_has_ended_is_explained_by_every_command_and_nothing_is_asked() {
    let dir = TestDir::new();
    for (reason, what, advice) in [
        (Unauthorized::KeyDuplicated, "AUTH_KEY_DUPLICATED", "stop it there"),
        (Unauthorized::KeyUnregistered, "AUTH_KEY_UNREGISTERED", "tdl login"),
        (Unauthorized::KeyInvalid, "AUTH_KEY_INVALID", "tdl login"),
        (Unauthorized::SessionRevoked, "SESSION_REVOKED", "tdl login"),
        (Unauthorized::SessionExpired, "SESSION_EXPIRED", "tdl login"),
        (Unauthorized::UserDeactivated, "USER_DEACTIVATED", "official app"),
        (Unauthorized::KeyLost, "has forgotten the key", "tdl login"),
    ] {
        let ns = namespace(&dir, "default");
        log_in(&ns);
        ns.save_ended(&EndedRecord { reason, at: NOW }).expect("saved");
        drop(ns);
        // An application would be asked for, and a server, if anything were.
        for command in ["whoami", "logout", "chat ls", "watch", "up -p .", "call help.getConfig"] {
            let run = tdl(&dir, command).code(4);
            run.error("since 2023-11-1", advice).error(what, advice);
        }
        let info = tdl(&dir, "session info --json").ok().json();
        assert_eq!((&info["ended"]["reason"], &info["ended"]["at"]), (&reason.code().into(), &NOW.into()));
        assert_eq!(info["dcs"].as_array().map(Vec::len), Some(1), "nothing was removed");
        assert_eq!(tdl(&dir, "ns ls --json").ok().json()[0]["ended"], reason.code());
        tdl(&dir, "logout --local-only").ok().stderr_has("had ended the authorization before");
        tdl(&dir, "whoami").code(4).error("is not logged in", "tdl login");
    }
}

#[test]
fn two_do_not_follow_the_updates_of_one_namespace() {
    let dir = TestDir::new();
    let ns = namespace(&dir, "default");
    log_in(&ns);
    let _lease = ns.follow_updates(4711, NOW).expect("the first");
    tdl(&dir, "--app-id 1 watch").code(1).error("another tdl (process 4711) follows the updates", "stop the other");
    assert_eq!(tdl(&dir, "session info --json").ok().json()["updates_followed_by"]["pid"], 4711);
}

#[cfg(unix)]
mod disks {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    fn lines(output: &std::process::Output) -> String {
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// As somebody whom modes stop: root is not.
    fn as_somebody(command: &TestCommand) -> Option<Command> {
        let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
        let mut command = command.command();
        if root {
            command.uid(65534).gid(65534);
            // Where the binary lies in a directory of root's own, nobody else can start it.
            let mut probe = Command::new(command.get_program());
            probe.arg("--version").uid(65534).gid(65534).output().ok().filter(|output| output.status.success())?;
        }
        Some(command)
    }

    #[test]
    fn a_read_only_store_is_said_plainly() {
        let dir = TestDir::new();
        log_in(&namespace(&dir, "default"));
        let modes = |dir_mode, file_mode| {
            for path in [dir.path().to_path_buf(), dir.join("home"), dir.join("home/ns")] {
                fs::set_permissions(path, fs::Permissions::from_mode(dir_mode)).expect("chmod");
            }
            for entry in fs::read_dir(dir.join("home/ns")).expect("listed") {
                fs::set_permissions(entry.expect("entry").path(), fs::Permissions::from_mode(file_mode)).expect("chmod");
            }
        };
        modes(0o555, 0o444);
        let Some(mut command) = as_somebody(&tdl(&dir, "--app-id 1 whoami")) else {
            eprintln!("the binary cannot be run as another user here");
            modes(0o755, 0o600);
            return;
        };
        let output = command.output().expect("started");
        modes(0o755, 0o600);
        assert_eq!(output.status.code(), Some(1), "{}", lines(&output));
        let text = lines(&output);
        assert!(text.contains("error: ") && text.contains(" help: ") && text.contains("home/ns"), "{text}");
        assert!(text.contains("cannot be written") || text.contains("could not be changed"), "{text}");
        assert_eq!(tdl(&dir, "session info --json").ok().json()["account"]["user_id"], 77, "nothing is lost");
    }

    #[test]
    fn a_full_disk_is_said_plainly_and_nothing_is_lost() {
        let dir = TestDir::new();
        log_in(&namespace(&dir, "default"));
        dir.write("word", "open\n");
        // A file can grow to 4 KiB, and no further: that is what writing on a full disk looks like from here.
        let command = tdl(&dir, "ns encrypt --passphrase-file word").command();
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
        shell.current_dir(dir.path()).env("TDL_HOME", dir.join("home"));
        let output = shell.output().expect("started");
        assert_eq!(output.status.code(), Some(1), "{}", lines(&output));
        let text = lines(&output);
        assert!(text.contains("error: ") && text.contains(" help: ") && text.contains("default.sqlite"), "{text}");
        let info = tdl(&dir, "session info --json").ok().json();
        assert_eq!(
            (&info["account"]["user_id"], &info["dcs"][0]["salts"]),
            (&77.into(), &1.into()),
            "nothing is lost, nothing half made"
        );
        assert_eq!(info["encrypted"], false);
        // And a backup onto it: no half file.
        let command = tdl(&dir, "backup -d x.tdl").command();
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
        let output = shell.current_dir(dir.path()).env("TDL_HOME", dir.join("home")).output().expect("started");
        assert_ne!(output.status.code(), Some(0), "{}", lines(&output));
        assert!(lines(&output).contains("error: "), "{}", lines(&output));
        let left: Vec<_> = fs::read_dir(dir.path()).expect("listed").map(|e| e.expect("entry").file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_damaged_store_is_said_plainly() {
        let dir = TestDir::new();
        log_in(&namespace(&dir, "default"));
        let path = dir.join("home/ns/default.sqlite");
        let whole = fs::read(&path).expect("read");
        let mut damaged = whole.clone();
        let at = 4096;
        damaged[at..].fill(0x5a);
        fs::write(&path, &damaged).expect("written");
        let run = tdl(&dir, "--app-id 1 whoami").code(1);
        run.error("default.sqlite is damaged", "backup");
        assert_eq!(fs::read(&path).expect("read").len(), damaged.len(), "it is left as it is");
        fs::write(&path, &whole).expect("restored");
        tdl(&dir, "session info").ok();
    }
}
