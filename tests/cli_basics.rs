//! Help, exit codes, streams, configuration: what every command has in common.

#![cfg(feature = "cli")]

use crate::support;

use std::{fs, process::Stdio};

use support::TestDir;

/// A cluster at a port where nobody listens.
const DEAD_CLUSTER: &str = r#"{"dcs":[{"id":1,"ip":"127.0.0.1","port":9}],"rsa_public_keys":["-----BEGIN RSA PUBLIC KEY-----\nMIIBCgKCAQEAyMEdY1aR+sCR3ZSJrtztKTKqigvO/vBfqACJLZtS7QMgCGXJ6XIR\nyy7mx66W0/sOFa7/1mAZtEoIokDP3ShoqF4fVNb6XeqgQfaUHd8wJpDWHcR2OFwv\nplUUI1PLTktZ9uW2WE23b+ixNwJjJGwBDJPQEQFBE+vfmH0JP503wr5INS1poWg/\nj25sIWeYPHYeOrFp/eXaqhISP6G+q2IeTaWTXpwZj4LzXq5YOpk4bYEQ6mvRq7D1\naHWfYmlEGepfaYR8Q0YqvvhYtMte3ITnuSJs171+GDqpdKcSwHnd6FudwGO4pcCO\nj4WcDuXc2CTHgH8gFTNhp/Y8/SpDOhvn9QIDAQAB\n-----END RSA PUBLIC KEY-----"]}"#;

#[test]
fn help_and_version_are_data() {
    let dir = TestDir::new();
    let help = dir.tdl().args("--help").ok();
    help.stdout_has("Usage: tdl").stdout_has("Exit codes:").stdout_has("130  interrupted").stdout_has("First steps:");
    dir.tdl().args("--version").ok().stdout_has("tdl ");
    dir.tdl().args("login --help").ok().stdout_has("Examples:");
    assert!(!dir.join("home").exists(), "help makes no files");
}

/// A command that waits for what nobody sends sees nothing else; what listens to signals is not on its thread.
#[cfg(target_os = "linux")]
#[test]
fn a_command_that_waits_for_its_input_ends_when_it_is_told_twice() {
    let dir = TestDir::new();
    let mut tdl = dir.tdl();
    let mut command = tdl.args("tl decode -").command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let listens = |id: u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
        caught.is_some_and(|caught| u64::from_str_radix(caught, 16).unwrap() & (1 << 1) != 0)
    };
    while !listens(child.id()) {
        assert_eq!(child.try_wait().unwrap(), None);
    }
    // Two that come at the same time are one to it.
    let ended = (0..5000).find_map(|_| {
        let id = child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        child.try_wait().unwrap()
    });
    let _ = child.kill();
    assert_eq!(ended.and_then(|ended| ended.code()), Some(130));
}

#[test]
fn wrong_usage_is_code_2_on_stderr() {
    let dir = TestDir::new();
    dir.tdl().code(2).no_stdout();
    for args in [
        "frobnicate",
        "whoami --frobnicate",
        "whoami extra",
        "login -T telepathy",
        "-t 0 whoami",
        "--app-id x whoami",
        "--delay soon whoami",
    ] {
        dir.tdl().args(args).code(2).no_stdout();
    }
    dir.tdl().args("-n ../x whoami").code(2).stderr_has("cannot name a namespace");
    dir.tdl().args("whoami --sandbox a --test-dc").code(2).error("exclude each other", "only one");
    dir.tdl().args("whoami --trace=noise").code(2).stderr_has("no layer");
    dir.tdl().env("TDL_PROXY", "pigeon://loft").args("whoami").code(2).error("no kind of proxy", "socks5://");
}

#[test]
fn a_command_that_needs_a_login_says_so_with_code_4() {
    let dir = TestDir::new();
    for args in ["whoami", "logout", "session info", "whoami -n other"] {
        dir.tdl().args(args).code(4).error("is not logged in", "tdl login");
    }
    assert!(!dir.join("home").exists(), "asking makes no files");
}

#[test]
fn a_login_at_telegram_needs_an_application() {
    let dir = TestDir::new();
    dir.tdl().args("login --phone 123456").code(2).error("--app-id and --app-hash are missing", "my.telegram.org");
}

#[test]
fn a_sandbox_that_never_ran_is_named() {
    let dir = TestDir::new();
    dir.tdl()
        .env_remove("TDL_HOME")
        .args("--sandbox box login --phone 9996621234")
        .code(2)
        .error("cluster.json", "tdl sandbox up --dir box");
    assert!(dir.join("box/home/ns/default.sqlite").is_file(), "the home is inside the sandbox");
}

#[test]
fn a_bad_cluster_file_is_named() {
    let dir = TestDir::new();
    dir.write("c.json", "{");
    dir.tdl().args("--dc-config c.json login --phone 9996621234").code(2).error("c.json", "--dc-config");
}

#[test]
fn a_dead_network_is_code_5() {
    let dir = TestDir::new();
    dir.write("c.json", DEAD_CLUSTER);
    let run = dir.tdl().args("--dc-config c.json --reconnect-timeout 10ms login --phone 9996610000 --code 1").code(5);
    run.error("cannot be reached", "check the connection");
    dir.tdl().args("ns ls --json").ok().stdout_has("\"logged_in\": false");
}

#[test]
fn a_question_without_a_terminal_names_the_flag() {
    let dir = TestDir::new();
    dir.write("c.json", DEAD_CLUSTER);
    dir.tdl().args("--dc-config c.json login").code(2).error("--phone is needed", "TDL_PHONE");
}

#[test]
fn the_trace_file_is_private_and_other_formats_are_refused() {
    let dir = TestDir::new();
    dir.write("c.json", DEAD_CLUSTER);
    let flags = "--dc-config c.json --reconnect-timeout 10ms --trace=all login --phone 9996610000 --trace-file";
    dir.tdl().args(flags).arg("t.log").code(5);
    let text = fs::read_to_string(dir.join("t.log")).expect("written");
    assert!(text.contains("127.0.0.1:9") && !text.contains("9996610000"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(dir.join("t.log")).expect("there").permissions().mode() & 0o777, 0o600);
    }
    dir.tdl().args(flags).arg("t.pcap").code(2).error("cannot write .pcap", ".pcapng");
}

#[test]
fn the_configuration_file_is_read_and_checked() {
    let dir = TestDir::new();
    dir.write("home/config.toml", "ns = 'work'\n[namespace.work]\nthreads = 9\n");
    dir.tdl().args("whoami").code(4).stderr_has("namespace 'work'");
    dir.tdl().args("whoami -n default").code(4).stderr_has("namespace 'default'");
    dir.tdl().env("TDL_NS", "env").args("whoami").code(4).stderr_has("namespace 'env'");
    dir.write("home/config.toml", "thread = 9\n");
    dir.tdl().args("whoami").code(2).error("config.toml", "long names of the flags");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = TestDir::new();
    let mut child = dir.tdl().args("tl ls").command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_waiting_command_with_130() {
    for signal in ["INT", "TERM", "HUP"] {
        let dir = TestDir::new();
        dir.write("c.json", DEAD_CLUSTER);
        let mut child = dir
            .tdl()
            .args("--dc-config c.json --reconnect-timeout 0 login --phone 9996610000")
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        // It says that it tries again: by then it listens for signals.
        let mut lines = std::io::BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        std::io::BufRead::read_line(&mut lines, &mut line).expect("read");
        assert!(line.contains("attempt"), "{line}");
        let status =
            std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().expect("kill");
        assert!(status.success());
        assert_eq!(child.wait().expect("ended").code(), Some(130), "SIG{signal}");
    }
}

#[test]
fn completions_are_printed_for_each_shell() {
    let dir = TestDir::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        dir.tdl().args("completion").arg(shell).ok().stdout_has("TDL_COMPLETE");
    }
    dir.tdl().args("completion tcsh").code(2);
}
