//! A power cut during a login: `kill -9` at a hundred moments of it, from before the first packet until after the last. Afterwards somebody is
//! logged in or nobody is; the next login works; and the account has as many authorizations as there are namespaces, so none was left that
//! nobody has the key of.
//!
//! The moments are drawn from a seed, which a failure prints. `TDL_TEST_SEED` sets it.

#![cfg(all(feature = "cli", unix))]

use crate::support;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use support::{Sandbox, TestCommand, TestDir};
use tdl::client::Persistence;
use tdl::store::{Error, Home};

const MOMENTS: usize = 100;

/// Runs at once: most of a run is waiting. Each has an account of its own, because a code that is sent makes an earlier one worthless.
const AT_ONCE: usize = 4;

fn phone(who: usize) -> String {
    format!("999662123{who}")
}

fn login(sandbox: &Sandbox, dir: &TestDir, who: usize, ns: &str) -> TestCommand {
    let mut command = sandbox.tdl(dir);
    command.args("login --json --code 22222 --phone").arg(phone(who)).arg("-n").arg(ns).env("TDL_PASSWORD", "hunter two");
    command
}

/// So that there is much to count.
const TRACED: &str = "--trace=mtproto";

#[test]
fn a_login_that_is_killed_is_made_or_is_not() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    for who in 0..AT_ONCE {
        sandbox.tdl(&dir).args("sandbox user add --name Ada --phone").arg(phone(who)).arg("--password").arg("hunter two").ok();
        // The first one takes longer, as all that starts for the first time.
        login(&sandbox, &dir, who, &format!("witness{who}")).ok();
    }
    // Told by what it does, and not by how long it takes, moments are spread over the login on any machine.
    let whole = login(&sandbox, &dir, 0, "measure").args(TRACED).ok().stderr().lines().count();

    let seed: u64 = std::env::var("TDL_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_130);
    println!("TDL_TEST_SEED={seed}; a login says {whole} lines");
    let mut rng = StdRng::seed_from_u64(seed);
    // The latest come after the end.
    let moments: Vec<usize> = (0..MOMENTS).map(|_| rng.random_range(0..=whole + whole / 8)).collect();

    let next = AtomicUsize::new(0);
    let (made, resumed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for who in 0..AT_ONCE {
            let (sandbox, dir, moments, next, made, resumed) = (&sandbox, &dir, &moments, &next, &made, &resumed);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(moment) = moments.get(at) else { return };
                    let ns = format!("k{at}");
                    let mut child = login(sandbox, dir, who, &ns)
                        .args(TRACED)
                        .command()
                        .stdout(Stdio::null())
                        .stderr(Stdio::piped())
                        .spawn()
                        .expect("starts");
                    let mut said = BufReader::new(child.stderr.take().expect("piped")).lines();
                    said.by_ref().take(*moment).for_each(drop);
                    child.kill().expect("killed");
                    child.wait().expect("ended");

                    let was = is_logged_in(dir, &ns, at);
                    made.fetch_add(usize::from(was), Ordering::Relaxed);
                    let json = login(sandbox, dir, who, &ns).ok().json();
                    let outcome = json["outcome"].as_str().expect("an outcome");
                    match was {
                        true => assert_eq!(outcome, "already_logged_in", "moment {at} of seed {seed}: {moment:?}"),
                        false => assert!(matches!(outcome, "logged_in" | "resumed"), "moment {at} of seed {seed}: {outcome}"),
                    }
                    resumed.fetch_add(usize::from(outcome == "resumed"), Ordering::Relaxed);
                    assert!(is_logged_in(dir, &ns, at), "moment {at} of seed {seed}");
                }
            });
        }
    });
    let made = made.into_inner();
    println!("{made} of {MOMENTS} were logged in when they were killed, and {} were so without knowing", resumed.into_inner());
    assert!((1..MOMENTS).contains(&made), "the moments are not spread over the login: {made} (seed {seed})");

    let count = |who: usize| {
        let answer = sandbox.tdl(&dir).args(&format!("call account.getAuthorizations --json -n witness{who}")).ok().json();
        let list = answer["authorizations"].as_array().or_else(|| answer["result"]["authorizations"].as_array());
        list.unwrap_or_else(|| panic!("{answer}")).len()
    };
    // Namespaces: the moments', the witnesses', and that of the measurement.
    assert_eq!((0..AT_ONCE).map(count).sum::<usize>(), MOMENTS + AT_ONCE + 1, "one for each namespace (seed {seed})");
}

/// Whether the namespace is whole, and logged in.
fn is_logged_in(dir: &TestDir, ns: &str, at: usize) -> bool {
    let home = Home::at(dir.join("box/home"));
    let namespace = match home.open_existing(&ns.parse().expect("a name"), 0) {
        Ok(namespace) => namespace,
        Err(Error::NoSuchNamespace { .. }) => return false,
        Err(error) => panic!("moment {at}: {error}"),
    };
    namespace.check().unwrap_or_else(|error| panic!("moment {at}: {error}"));
    let auths = namespace.dc_auths().unwrap_or_else(|error| panic!("moment {at}: {error}"));
    let account = namespace.account().unwrap_or_else(|error| panic!("moment {at}: {error}"));
    let authorized = auths.iter().any(|auth| auth.authorized);
    // The record of who it is comes after the login itself, and is made up for; never before it.
    assert!(authorized || account.is_none(), "moment {at}: an account without a login");
    authorized
}
