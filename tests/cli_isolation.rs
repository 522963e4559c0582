//! A login of our own out of another program's, and life on its key: through the binary, against a cluster that `tdl sandbox up` runs. The other
//! program's part is played by a namespace that goes by Desktop's name and speaks an older layer; its key is handed over in a `tdata` that our
//! own writer makes.

#![cfg(feature = "cli")]

use crate::support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use rand::{SeedableRng, rngs::StdRng};
use rusqlite::{Connection, OpenFlags, types::Value};
use support::{Sandbox, TestDir};
use tdl::client::{DcTable, Persistence};
use tdl::store::foreign::{ForeignSession, tdata};
use tdl::store::{Home, Namespace};

/// The layer of the program that plays Desktop.
const LAYER: i64 = 214;

const ADD: &str = "sandbox user add --name Ada --phone 9996621234";

/// A cluster with an account, and a program that is logged in.
struct Setting {
    sandbox: Sandbox,
    dir: TestDir,
}

impl Setting {
    /// With the password given, if any. `pfs`: how the program uses its key.
    fn new(password: Option<&str>, pfs: &str) -> Self {
        let dir = TestDir::new();
        let sandbox = Sandbox::start(&dir);
        let mut add = sandbox.tdl(&dir);
        let mut login = sandbox.tdl(&dir);
        add.args(ADD);
        sandbox.tdl(&dir).args("-n desk device set desktop --model Desktop").ok();
        login.args("-n desk --layer 214").arg(pfs).args("login --phone 9996621234 --code 22222");
        if let Some(password) = password {
            add.arg("--password").arg(password);
            login.env("TDL_PASSWORD", password);
        }
        add.ok();
        login.ok();
        Self { sandbox, dir }
    }

    fn tdl(&self, args: &str) -> support::TestCommand {
        let mut command = self.sandbox.tdl(&self.dir);
        command.args(args);
        command
    }

    fn namespace(&self, name: &str) -> Namespace {
        Home::at(self.dir.join("box/home")).open_existing(&name.parse().expect("a name"), 0).expect("it opens")
    }

    /// The program's session, as its own files would hold it.
    fn session(&self) -> ForeignSession {
        let table = DcTable::read(&self.dir.join("box/cluster.json")).expect("the cluster wrote it");
        ForeignSession::from_store(&self.namespace("desk"), &table).expect("logged in")
    }

    /// A `tdata` with the program's session in it.
    fn tdata(&self, passcode: &str) -> PathBuf {
        let path = self.dir.join(format!("tdata{passcode}"));
        tdata::write(&path, &[self.session()], passcode.as_bytes(), &mut StdRng::from_seed([5; 32])).expect("written");
        path
    }

    /// What the server has on record about a key, but for when it was used.
    fn record(&self, key_id: i64) -> BTreeMap<String, String> {
        let path = self.dir.join("box/cluster.sqlite");
        let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the cluster's state");
        let mut statement = db.prepare("SELECT * FROM auth_keys WHERE id = ?1").expect("a query");
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let row = statement
            .query_row([key_id], |row| (0..names.len()).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<Value>, _>>());
        let values = row.expect("a known key").into_iter().map(|value| format!("{value:?}"));
        names.into_iter().zip(values).filter(|(name, _)| !name.starts_with("active")).collect()
    }

    fn key_of(&self, ns: &str) -> i64 {
        let auths = self.namespace(ns).dc_auths().expect("keys");
        auths.iter().find(|auth| auth.authorized).expect("a login").auth_key.id()
    }

    /// How many authorizations the account has.
    fn authorizations(&self, ns: &str) -> usize {
        let answer = self.tdl(&format!("call account.getAuthorizations --json -n {ns}")).ok().json();
        let list = answer["authorizations"].as_array().or_else(|| answer["result"]["authorizations"].as_array());
        list.unwrap_or_else(|| panic!("{answer}")).len()
    }
}

#[test]
fn desktop_is_not_disturbed() {
    let setting = Setting::new(None, "--pfs=off");
    let key = setting.key_of("desk");
    let before = setting.record(key);
    assert_eq!(before["layer"], format!("Integer({LAYER})"), "{before:?}");
    let path = setting.tdata("");

    let run = setting.tdl("login -T desktop --trace=all -d").arg(&path).ok();
    run.stderr_has("logged in as Ada");
    assert_eq!(setting.record(key), before, "its layer, its device, its login");
    assert_ne!(setting.key_of("default"), key);
    assert!(setting.namespace("default").borrowed().unwrap().is_none());
    let ours = setting.record(setting.key_of("default"));
    assert_ne!((&ours["layer"], &ours["device_model"]), (&before["layer"], &before["device_model"]));

    // Both are logged in, each for itself.
    setting.tdl("whoami").ok().stdout_has("Ada");
    assert_eq!(setting.authorizations("default"), 2);
    setting.tdl("logout").ok();
    setting.tdl("whoami -n desk").ok().stdout_has("Ada");

    // Updates were asked for under neither key.
    assert!(run.stderr().contains("auth.acceptLoginToken") && !run.stderr().contains("updates.get"), "{run}");
}

#[test]
fn a_password_a_passcode_and_several_accounts() {
    let setting = Setting::new(Some("secret"), "--pfs=off");
    let path = setting.tdata("door");
    let key = setting.key_of("desk");
    let before = setting.record(key);
    let login = |args: &str| {
        let mut command = setting.tdl("login -T desktop -d");
        command.arg(&path).args(args);
        command
    };
    login("").code(2).error("--passcode is needed", "TDL_PASSCODE");
    login("-p window").env("TDL_PASSWORD", "secret").code(2).error("passcode", "passcode");
    login("-p door").code(2).error("--password is needed", "TDL_PASSWORD");
    setting.tdl("whoami").code(4);
    login("-p door").env("TDL_PASSWORD", "wrong").code(1).error("the password is wrong", "two-step");
    login("-p door --account 12345").env("TDL_PASSWORD", "secret").code(2).error("no such account", "--account");
    let run = login("-p door --trace=all").env("TDL_PASSWORD", "secret").ok();
    assert!(!run.stderr().contains("secret") && !run.stderr().contains("door"), "{run}");
    setting.tdl("whoami").ok().stdout_has("Ada");
    assert_eq!(setting.record(key), before);
    assert_eq!(setting.authorizations("default"), 2, "the attempts that failed have left nothing");

    setting.tdl("login -T desktop -n other -d nowhere").code(2).error("nowhere", "");
    let damaged = setting.dir.write("broken/key_datas", "TDF$ nothing of use");
    let run = setting.tdl("login -T desktop -n other -d").arg(damaged.parent().unwrap()).run();
    assert!(run.stderr().contains("error: ") && run.stderr().contains("tdata"), "{run}");
    setting.tdl("whoami -n other").code(4);
}

#[test]
fn a_borrowed_key_is_lived_on_quietly_and_replaced_later() {
    let setting = Setting::new(None, "--pfs=off");
    let key = setting.key_of("desk");
    let before = setting.record(key);
    let path = setting.tdata("");
    let run = setting.tdl("login -T desktop --borrow -d").arg(&path).ok();
    run.stderr_has("will live on the key of Telegram Desktop").stderr_has("logged in as Ada");
    assert_eq!(setting.key_of("default"), key);
    setting.tdl("whoami").ok().stdout_has("Ada");
    assert_eq!(setting.record(key), before, "nothing is said of ourselves");
    assert_eq!(setting.authorizations("default"), 1, "it is one login");
    run.stderr_has("speaks layer 2");
    let info = setting.tdl("session info --json").ok().json();
    assert_eq!(info["identity"]["layer"], 216, "the newest one in which the answer could be read");
    assert_eq!(info["borrowed"]["program"], "Telegram Desktop");
    setting.tdl("session info").ok().stdout_has("Telegram Desktop");

    setting.tdl("watch").code(1).error("would take away its updates", "session isolate");
    setting.tdl("logout").code(1).error("would end it there", "--local-only");
    setting.tdl("whoami --device tdl").code(2).error("are kept", "session isolate");
    setting.tdl("login -T desktop --borrow -d").arg(&path).code(1).error("lives on the key of", "--force");

    let run = setting.tdl("session isolate --json").ok().json();
    assert_eq!((&run["outcome"], &run["borrowed_from"]), (&"isolated".into(), &"Telegram Desktop".into()));
    assert_ne!(setting.key_of("default"), key);
    assert_eq!(setting.record(key), before);
    assert_eq!(setting.authorizations("default"), 2);
    let names = setting.tdl("ns ls --json").ok().json();
    assert_eq!(names.as_array().unwrap().len(), 2, "{names}");
    setting.tdl("session isolate").ok().stderr_has("has a key of its own already");
    setting.tdl("logout").ok();
    setting.tdl("whoami -n desk").ok().stdout_has("Ada");
}

/// What an isolation has left that was cut off is gone on with, or cleared away.
#[test]
fn an_isolation_that_was_cut_off_is_gone_on_with() {
    let setting = Setting::new(Some("secret"), "--pfs=off");
    let path = setting.tdata("");
    setting.tdl("login -T desktop --borrow -d").arg(&path).ok();
    // Accepted, and without the password: the key is kept beside the namespace, which stays as it is.
    setting.tdl("session isolate").code(2).error("--password is needed", "TDL_PASSWORD");
    setting.tdl("whoami").ok();
    let half = setting.namespace("default.isolating").dc_auths().unwrap()[0].auth_key.id();
    setting.tdl("session isolate").env("TDL_PASSWORD", "secret").ok();
    assert_eq!(setting.key_of("default"), half, "the same key, not one more");
    assert_eq!(setting.authorizations("default"), 2);
    // A copy of the key that was left behind is no login of its own.
    let mut home = setting.dir.join("box/home/ns");
    home.push("default.sqlite");
    std::fs::copy(&home, home.with_file_name("default.isolating.sqlite")).unwrap();
    setting.tdl("session isolate").ok();
    assert!(!home.with_file_name("default.isolating.sqlite").exists());
    setting.tdl("whoami").ok();
}

/// A key that has introduced itself under temporary keys only has no record of its own: there is nothing that could be changed.
#[test]
fn a_program_with_forward_secrecy_is_not_disturbed_either() {
    let setting = Setting::new(None, "--pfs=on");
    let path = setting.tdata("");
    setting.tdl("login -T desktop -d").arg(&path).ok();
    setting.tdl("whoami").ok().stdout_has("Ada");
    setting.tdl("whoami -n desk").ok().stdout_has("Ada");
    setting.tdl("login -T desktop --borrow -n lodger -d").arg(&path).ok();
    setting.tdl("whoami -n lodger").ok().stdout_has("Ada");
    setting.tdl("whoami -n desk").ok().stdout_has("Ada");
}

#[test]
fn a_login_that_has_ended_lets_nobody_in() {
    let setting = Setting::new(None, "--pfs=off");
    let path = setting.tdata("");
    setting.tdl("logout -n desk").ok();
    setting.tdl("login -T desktop -d").arg(&path).code(1).error("the login of the other program has ended", "tdl login -T qr");
    setting
        .tdl("login -T desktop --borrow -n lodger -d")
        .arg(&path)
        .code(1)
        .error("the login of the other program has ended", "qr");
    for ns in ["default", "lodger"] {
        setting.tdl("whoami -n").arg(ns).code(4);
    }
    assert!(setting.namespace("lodger").dc_auths().unwrap().is_empty(), "nothing half-made stays");
}
