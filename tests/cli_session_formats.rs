//! `tdl session export` and `import` through the binary, against a cluster that `tdl sandbox up` runs.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::path::Path;

use support::{Sandbox, TestCommand, TestDir};
use tdl::client::Persistence as _;
use tdl::crypto::AuthKey;
use tdl::store::Home;
use tdl::store::foreign::{Format, detect_path, read_path, read_text, read_text_as};

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

    /// The key that a namespace is logged in with.
    fn key(&self, ns: &str) -> AuthKey {
        let namespace = Home::at(self.dir.join("box/home")).open_existing(&ns.parse().unwrap(), 1).unwrap();
        let auths = namespace.dc_auths().unwrap();
        auths.iter().find(|auth| auth.authorized).expect("a login").auth_key.clone()
    }

    fn id(&self, ns: &str) -> i64 {
        self.tdl("whoami --json -n").arg(ns).ok().json()["id"].as_i64().expect("an id")
    }

    /// How many authorizations the account has.
    fn authorizations(&self, ns: &str) -> usize {
        let list = self.tdl("session ls --json -n").arg(ns).ok().json();
        list["authorizations"].as_array().expect("a list").len()
    }
}

/// A path that only its owner can get at.
fn assert_private(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
    let _ = (path, mode);
}

#[test]
fn a_key_is_handed_out_only_where_somebody_says_so() {
    let setup = Setup::new();
    for args in ["", "-o out", "--file -o out", "--json"] {
        let refused = setup.tdl("session export --format telethon").args(args).code(2);
        refused.error("the key of this login would be handed out", "--reveal-key");
    }
    assert!(!setup.dir.join("out").exists());
    setup.tdl("session export --format tdl --reveal-key -n nobody").code(4).no_stdout();
    for (args, what) in [
        ("--format tdata", "tdata is a directory"),
        ("--format telethon --with other", "--with goes with tdata only"),
        ("--format gramjs --file -o out", "has no session file"),
    ] {
        setup.tdl("session export --reveal-key").args(args).code(2).error(what, "");
    }
    // In the way.
    let there = setup.dir.write("there", "mine");
    for args in ["--format telethon --file", "--format telethon", "--format tdata"] {
        setup.tdl("session export --reveal-key -o there").args(args).code(2).error("there", "free");
    }
    assert_eq!(std::fs::read(there).unwrap(), b"mine");
}

#[test]
fn what_is_handed_out_is_the_login_and_nobody_else_can_read_the_files() {
    let setup = Setup::new();
    let (key, id) = (setup.key("default"), setup.id("default"));
    for (name, format) in [
        ("tdl", Format::Tdl),
        ("telethon", Format::TelethonString),
        ("pyrogram", Format::PyrogramString),
        ("mtcute", Format::MtcuteString),
    ] {
        let run = setup.tdl("session export --reveal-key --format").arg(name).ok();
        run.stderr_has("the key is in two places now");
        let read = read_text(&run.stdout()).unwrap();
        assert_eq!(read.format, format);
        assert!(read.home_key().unwrap() == &key, "{name}: the key is another one");
        assert!(!run.stderr().contains(run.stdout().trim()), "{run}");
        let document = setup.tdl("session export --reveal-key --json --format").arg(name).ok().json();
        assert_eq!((&document["session"], &document["user_id"]), (&run.stdout().trim().into(), &id.into()));

        setup.tdl("session export --reveal-key --format").arg(name).arg("-o").arg(format!("{name}.txt")).ok().no_stdout();
        let path = setup.dir.join(format!("{name}.txt"));
        assert_private(&path, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), run.stdout());
    }
    for (name, format) in
        [("telethon", Format::TelethonFile), ("pyrogram", Format::PyrogramFile), ("mtcute", Format::MtcuteFile)]
    {
        let path = setup.dir.join(format!("{name}.session"));
        setup.tdl("session export --reveal-key --file --format").arg(name).arg("-o").arg(&path).ok().no_stdout();
        assert_private(&path, 0o600);
        assert_eq!(detect_path(&path).unwrap(), format);
        let read = read_path(&path, b"").unwrap().sessions.pop().unwrap();
        assert!(read.home_key().unwrap() == &key, "{name}: the key is another one");
    }
    // GramJS takes ports above 32767 for negative ones.
    let run = setup.tdl("session export --reveal-key --format gramjs").run();
    match read_text_as(&run.stdout(), Format::Gramjs) {
        Ok(read) => assert!(read.home_key().unwrap() == &key && read.address.unwrap().port() <= 32767),
        Err(_) => {
            run.error("a port above 32767", "another format");
        }
    }

    setup.tdl(LOGIN).args("-n second").ok();
    setup.tdl("session export --reveal-key --format tdata -o tdata --with second --passcode door").ok().no_stdout();
    let path = setup.dir.join("tdata");
    assert_private(&path, 0o700);
    assert_private(&path.join("key_datas"), 0o600);
    assert!(read_path(&path, b"").is_err() && read_path(&path, b"window").is_err());
    let read = read_path(&path, b"door").unwrap().sessions;
    let keys: Vec<_> = read.iter().map(|session| session.home_key().unwrap().clone()).collect();
    assert!(keys == [key, setup.key("second")], "the keys are others");
}

#[test]
fn an_imported_session_lets_a_key_of_our_own_in() {
    let setup = Setup::new();
    let key = setup.key("default");
    for (index, args) in ["--format tdl", "--format telethon", "--format pyrogram --file", "--format tdata --passcode door"]
        .into_iter()
        .enumerate()
    {
        let path = setup.dir.join(format!("session{index}"));
        setup.tdl("session export --reveal-key").args(args).arg("-o").arg(&path).ok();
        let ns = format!("own{index}");
        let mut import = setup.tdl("session import -n");
        import.arg(&ns).arg(&path);
        if args.contains("passcode") {
            import.code(2).error("--passcode is needed", "TDL_PASSCODE");
            import.args("--passcode door");
        }
        import.ok().stderr_has("logged in as Ada");
        assert!(setup.key(&ns) != key, "{args}: a key of our own");
        setup.tdl("whoami -n").arg(&ns).ok().stdout_has("Ada");
        assert_eq!(setup.authorizations(&ns), index + 2);
    }
    // The one that it came from stays.
    setup.tdl("whoami").ok().stdout_has("Ada");
    assert!(setup.key("default") == key);
}

#[test]
fn an_imported_session_is_lived_on_where_somebody_says_so() {
    let setup = Setup::new();
    let key = setup.key("default");
    let text = setup.tdl("session export --reveal-key --format telethon").ok().stdout();
    let mut import = setup.tdl("session import - --borrow --format telethon -n lodger").command();
    let mut child = import.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.contains("will live on the key of Telethon"), "{stderr}");
    assert!(!stderr.contains(text.trim()), "{stderr}");
    assert!(setup.key("lodger") == key, "the very key");
    assert_eq!(setup.authorizations("lodger"), 1);
    setup.tdl("logout -n lodger").code(1).error("would end it there", "--local-only");

    // What cannot be read leaves nothing behind.
    let damaged = setup.dir.write("damaged", &text.trim()[..200]);
    setup.tdl("session import -n none").arg(&damaged).code(2).error("no session in a known format", "");
    setup.tdl("session import -n none --format telethon").arg(&damaged).code(1).error("Telethon session string", "");
    setup.tdl("session import -n none nowhere").code(2).error("nowhere", "");
    assert!(!setup.dir.join("box/home/ns/none.sqlite").exists());
}
