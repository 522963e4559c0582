//! `tdl dl` where items fail, names collide and files are here already: through the binary, against a cluster.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use support::paste;
use support::{SIGN_UP, Sandbox, TestCommand, TestDir, tdl};

/// A cluster with an account whose Saved Messages hold these files, in this order, and an export of them.
fn with_files(dir: &TestDir, files: &[(&str, &[u8])]) -> Sandbox {
    let sandbox = Sandbox::start(dir);
    tdl(&sandbox, dir, SIGN_UP).ok();
    for (name, content) in files {
        dir.write("one", content);
        tdl(&sandbox, dir, "up -p one --name").arg(*name).ok();
    }
    tdl(&sandbox, dir, "chat export -o export.json").ok();
    sandbox
}

/// A download with the plain names of the senders.
fn dl(sandbox: &Sandbox, dir: &TestDir, args: &str) -> TestCommand {
    let mut command = tdl(sandbox, dir, "dl -f export.json --template");
    command.arg("{{ .FileName }}").args(args);
    command
}

fn own_id(sandbox: &Sandbox, dir: &TestDir) -> String {
    tdl(sandbox, dir, "whoami --json").ok().json()["id"].to_string()
}

/// Names and contents of a directory.
fn listed(dir: PathBuf) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    found.sort();
    found
}

fn pairs(files: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect()
}

/// A deleted message, a name that cannot be made, and a chat that one has been removed from: each fails for itself.
#[cfg(unix)]
#[test]
fn each_item_fails_for_itself_and_the_printed_command_tries_those_again() {
    let dir = TestDir::new();
    let sandbox = with_files(&dir, &[("a.bin", b"a"), ("b.bin", b"b"), ("c.bin", b"c"), ("it's d.bin", b"d")]);
    tdl(&sandbox, &dir, "call messages.deleteMessages id=[2]").ok();
    // Nothing can be made below a file.
    dir.write("down/c.bin", b"in the way");
    let run = |args: &str| {
        let mut command = tdl(&sandbox, &dir, "dl -f export.json --template");
        command.arg("{{ .FileName }}/{{ .FileStem }}").args(args).clone()
    };
    let failed = run("-d down").code(3);
    failed.stderr_has("2 files downloaded").stderr_has("2 failed");
    failed.stderr_has("the message does not exist, or was deleted").stderr_has("cannot create");
    assert_eq!(listed(dir.join("down/a.bin")), pairs(&[("a", b"a")]));
    assert_eq!(listed(dir.join("down/it's d.bin")), pairs(&[("it's d", b"d")]));
    let list = failed.stderr().lines().find_map(|l| l.split("--link-list ").nth(1).map(str::to_owned)).unwrap();
    let links = fs::read_to_string(dir.join(list.split(" -d ").next().unwrap())).unwrap();
    let id = own_id(&sandbox, &dir);
    assert_eq!(links, format!("https://t.me/c/{id}/2\nhttps://t.me/c/{id}/3\n"));

    fs::remove_file(dir.join("down/c.bin")).unwrap();
    let again = paste(&dir, &failed);
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(3), "the deleted one stays deleted: {stderr}");
    assert!(stderr.contains("1 file downloaded") && stderr.contains("1 failed"), "{stderr}");
    assert_eq!(listed(dir.join("down/c.bin")), pairs(&[("c", b"c")]));

    // The chat is closed to us for the first look-up, and open again for the others: what is not of one chat goes in pages of its own.
    tdl(&sandbox, &dir, "sandbox fault set --dir box 400:CHANNEL_PRIVATE --method messages.getMessages --times 1").ok();
    let links = format!("-u t.me/c/{id}/1 -u t.me/c/424242/1 -u t.me/c/{id}/3 -u t.me/c/{id}/4");
    let closed = tdl(&sandbox, &dir, &format!("dl -d closed {links}")).code(3);
    closed
        .stderr_has("CHANNEL_PRIVATE")
        .stderr_has("has not been seen")
        .stderr_has("2 files downloaded")
        .stderr_has("2 failed");
}

/// Whether a directory without permission to write keeps us from writing: it does not keep root.
#[cfg(unix)]
fn permissions_count(dir: &TestDir) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let closed = dir.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    fs::write(closed.join("probe"), b"x").is_err()
}

#[cfg(unix)]
#[test]
fn a_directory_that_may_not_be_written_to_fails_its_files_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TestDir::new();
    if !permissions_count(&dir) {
        eprintln!("not tried: this user may write everywhere");
        return;
    }
    let sandbox = with_files(&dir, &[("a.bin", b"a"), ("b.bin", b"b")]);
    dir.write("down/2/there", b"");
    fs::set_permissions(dir.join("down/2"), fs::Permissions::from_mode(0o500)).unwrap();
    let mut command = tdl(&sandbox, &dir, "dl -f export.json -d down --template");
    let failed = command.arg("{{ .MessageID }}/{{ .FileName }}").code(3);
    failed.stderr_has("1 file downloaded").stderr_has("Permission denied");
    fs::set_permissions(dir.join("down/2"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(paste(&dir, &failed).status.code(), Some(0));
    assert_eq!(fs::read(dir.join("down/2/b.bin")).unwrap(), b"b");
}

/// No file may become larger than so many blocks: what a quota does.
#[cfg(unix)]
#[test]
fn a_file_that_the_disk_does_not_take_fails_alone_and_leaves_no_name() {
    let dir = TestDir::new();
    let big: Vec<u8> = (0..20_000_000_u32).map(|n| (n >> 7) as u8).collect();
    let sandbox = with_files(&dir, &[("small.bin", b"s"), ("big.bin", &big), ("last.bin", b"l")]);
    let command = dl(&sandbox, &dir, "-d down");
    let mut shell = std::process::Command::new("sh");
    // Blocks are of 512 or 1024 bytes, by shell.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 16000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tdl")]);
    let inner = command.command();
    shell.args(inner.get_args()).current_dir(dir.path()).env_remove("TDL_HOME");
    let out = shell.output().unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("2 files downloaded") && stderr.contains("big.bin") && stderr.contains("no room"), "{stderr}");
    let whole = |name: &str| dir.join("down").join(name).exists();
    assert!(whole("small.bin") && whole("last.bin") && !whole("big.bin"), "{stderr}");
    // With room again the same command finishes.
    command.ok().stderr_has("downloaded");
    assert_eq!(fs::read(dir.join("down/big.bin")).unwrap(), big);
}

/// A file system of its own that is full, where the one who tests may make one.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_fails_what_does_not_fit_and_the_rest_comes() {
    struct Mounted(PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(&self.0).status();
        }
    }
    let dir = TestDir::new();
    let down = dir.join("down");
    fs::create_dir(&down).unwrap();
    let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&down).output();
    if !mount.is_ok_and(|out| out.status.success()) {
        eprintln!("not tried: this user may not mount");
        return;
    }
    let mounted = Mounted(down.clone());
    let big: Vec<u8> = (0..5_000_000_u32).map(|n| (n >> 5) as u8).collect();
    let sandbox = with_files(&dir, &[("big.bin", &big), ("small.bin", b"s")]);
    let failed = dl(&sandbox, &dir, "-d down").code(3);
    failed.stderr_has("No space left on device");
    assert!(!down.join("big.bin").exists());
    // Whether the small one found a place depends on what the other left; the retry brings both once there is room.
    drop(mounted);
    let again = paste(&dir, &failed);
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(fs::read(down.join("big.bin")).unwrap(), big);
}

#[test]
fn one_name_for_many_is_numbered_by_message_and_stays_so() {
    let dir = TestDir::new();
    let sandbox = with_files(&dir, &[("n.txt", b"one"), ("N.TXT", b"two"), ("n.txt.part", b"three"), ("n.txt", b"four")]);
    dir.write("down/n.txt", b"mine, not a download");
    let whole: &[(&str, &[u8])] = &[
        ("N.TXT", b"two"),
        ("n (2).txt", b"one"),
        ("n (3).txt", b"four"),
        ("n.txt", b"mine, not a download"),
        ("n.txt (2).part", b"three"),
    ];
    dl(&sandbox, &dir, "-d down").ok().stderr_has("4 files downloaded");
    assert_eq!(listed(dir.join("down")), pairs(whole));
    // In the other order, and one alone, after one of them was lost.
    dl(&sandbox, &dir, "-d down --desc").ok().stderr_has("4 files downloaded");
    fs::remove_file(dir.join("down/N.TXT")).unwrap();
    let link = format!("-u https://t.me/c/{}/2", own_id(&sandbox, &dir));
    let mut one = tdl(&sandbox, &dir, "dl -d down --template");
    one.arg("{{ .FileName }}").args(&link).ok();
    assert_eq!(listed(dir.join("down")), pairs(whole));
}

#[test]
fn what_is_here_already_need_not_come_again() {
    let dir = TestDir::new();
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
    let sandbox = with_files(&dir, &[("picture.bin", png), ("x.bin", b"xxxx")]);
    dl(&sandbox, &dir, "-d down --rewrite-ext").ok();
    assert_eq!(listed(dir.join("down")), pairs(&[("picture.png", png), ("x.bin", b"xxxx")]));
    dl(&sandbox, &dir, "-d down --rewrite-ext --skip-same").ok().stderr_has("2 skipped");
    // The same for files that somebody else has put there, or another home.
    fs::rename(dir.join("down"), dir.join("elsewhere")).unwrap();
    dl(&sandbox, &dir, "-d elsewhere --rewrite-ext --skip-same").ok().stderr_has("2 skipped");
    assert_eq!(listed(dir.join("elsewhere")).len(), 2);

    // The same document in another message: nothing is there under that name, and still it is here.
    let peer = r#"{"_":"inputPeerSelf"}"#;
    let mut forward = tdl(&sandbox, &dir, "call messages.forwardMessages id=[2] random_id=[77]");
    forward.arg(format!("from_peer={peer}")).arg(format!("to_peer={peer}")).ok();
    tdl(&sandbox, &dir, "chat export -o export.json").ok();
    let by_id = |args: &str| {
        let mut command = tdl(&sandbox, &dir, "dl -f export.json -i bin --template");
        command.arg("{{ .MessageID }}{{ .FileExt }}").args(args).ok()
    };
    by_id("-d again").stderr_has("3 files downloaded");
    by_id("-d new --dedupe").stderr_has("0 files downloaded").stderr_has("3 skipped").stderr_has("the same file is");
    assert!(!dir.join("new").exists());
    by_id("-d new --dedupe=link").stderr_has("3 skipped");
    assert_eq!(fs::read(dir.join("new/2.bin")).unwrap(), b"xxxx");
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let inode = |name: &str| fs::metadata(dir.join(name)).unwrap().ino();
        assert_eq!(inode("new/2.bin"), inode("new/3.bin"), "one file with two names");
    }
    by_id("-d new --dedupe").stderr_has("3 skipped");
    // In a run of its own the second waits for the first. What was deleted is not here.
    for gone in ["again", "new", "elsewhere"] {
        fs::remove_dir_all(dir.join(gone)).unwrap();
    }
    by_id("-d new -l 4 --dedupe").stderr_has("2 files downloaded").stderr_has("1 skipped");
}

#[test]
fn a_dry_run_says_what_would_come_and_brings_nothing() {
    let dir = TestDir::new();
    let sandbox = with_files(&dir, &[("a.bin", b"aaa"), ("b.bin", b"bbbbb")]);
    let dry = dl(&sandbox, &dir, "-d down --dry-run").ok();
    assert_eq!(dry.stdout().lines().map(str::trim).collect::<Vec<_>>(), ["3 B  a.bin", "5 B  b.bin"]);
    dry.stderr_has("2 files to download (8 B");
    assert!(!dir.join("down").exists());
    dl(&sandbox, &dir, "-d down -i a.bin,bin -e x").code(2);
    dl(&sandbox, &dir, "-d down").ok();
    fs::remove_file(dir.join("down/b.bin")).unwrap();
    let json = dl(&sandbox, &dir, "-d down --dry-run --skip-same --json").ok();
    let lines: Vec<serde_json::Value> = json.stdout().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let told: Vec<_> = lines.iter().map(|l| (l["message"].as_i64(), l["size"].as_u64(), l.get("skipped").is_some())).collect();
    assert_eq!(told, [(Some(1), Some(3), true), (Some(2), Some(5), false)], "{json}");
    assert!(!dir.join("down/b.bin").exists());
}

#[test]
fn templates_see_the_chat_the_sender_and_the_export() {
    let dir = TestDir::new();
    let sandbox = with_files(&dir, &[("some file.tar.gz", b"x")]);
    tdl(&sandbox, &dir, "chat export -o export.json --with-content").ok();
    let named = |template: &str| {
        let mut command = tdl(&sandbox, &dir, "dl -f export.json -d down --dry-run --json --template");
        let path = command.arg(template).ok().json()["path"].as_str().unwrap().to_owned();
        Path::new(&path).strip_prefix("down").unwrap().to_str().unwrap().to_owned()
    };
    let id = own_id(&sandbox, &dir);
    for (template, want) in [
        ("{{ .ChatTitle }}/{{ .FileStem }}{{ .FileExt }}", "Saved Messages/some file.tar.gz"),
        ("{{ .SenderID }} {{ .SenderName }}", &format!("{id} Ada Lovelace")),
        ("{{ .MediaType }}-{{ .Index }}-{{ .AlbumIndex }}-{{ .TopicID }}-{{ .GroupedID }}", "document-1-0-0-0"),
        ("{{ .Export.file }}-{{ .Export.id }}", "some file.tar.gz-1"),
        ("{{ .FileBytes }}{{ .ChatName }}", "1"),
    ] {
        assert_eq!(named(template), want, "{template}");
    }
    tdl(&sandbox, &dir, "dl --template -").ok().stdout_has("AlbumIndex").stdout_has("formatDate");
    tdl(&sandbox, &dir, "dl -f export.json --template").arg("{{ nosuch }}").code(2).error("--template", "--template -");
}

#[test]
fn events_are_json_whatever_happens_and_waits_are_among_them() {
    let dir = TestDir::new();
    let sandbox = with_files(&dir, &[("a.bin", b"a"), ("b.bin", b"b")]);
    tdl(&sandbox, &dir, "sandbox fault set --dir box FLOOD_WAIT_1 --method upload.getFile --times 1").ok();
    let id = own_id(&sandbox, &dir);
    let run = dl(&sandbox, &dir, &format!("-d down -u https://t.me/c/{id}/99 --progress json")).code(3);
    let stderr = run.stderr();
    // The last word is for people: how to try again.
    let events: Vec<serde_json::Value> = stderr
        .lines()
        .filter(|l| !l.starts_with("to try"))
        .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}")))
        .collect();
    let of = |kind: &str| events.iter().filter(|e| e["event"] == kind).count();
    assert_eq!((of("start"), of("done"), of("failed"), of("summary")), (2, 2, 1, 1), "{run}");
    let wait = events.iter().find(|e| e["event"] == "wait").unwrap_or_else(|| panic!("no wait\n{run}"));
    assert_eq!((&wait["reason"], &wait["method"]), (&"flood".into(), &"upload.getFile".into()));
    let summary = events.last().unwrap();
    assert_eq!((&summary["done"], &summary["failed"], &summary["bytes"]), (&2.into(), &1.into(), &2.into()));
}

#[test]
fn standard_output_gets_the_bytes_of_one_file_and_nothing_else() {
    let dir = TestDir::new();
    let big: Vec<u8> = (0..1_500_000_u32).map(|n| (n >> 6) as u8).collect();
    let sandbox = with_files(&dir, &[("a.bin", &big), ("b.bin", b"b")]);
    let id = own_id(&sandbox, &dir);
    let out = tdl(&sandbox, &dir, &format!("dl -u t.me/c/{id}/1 -o -")).command().output().unwrap();
    assert!(out.status.success() && out.stdout == big, "{}", String::from_utf8_lossy(&out.stderr));
    assert!(!dir.join("downloads").exists());
    tdl(&sandbox, &dir, "dl -f export.json -o -").code(2).error("takes one file, and there are 2", "-u");
    tdl(&sandbox, &dir, &format!("dl -u t.me/c/{id}/9 -o -")).code(1).error("does not exist", "");
    tdl(&sandbox, &dir, &format!("dl -u t.me/c/{id}/1 -o - --json")).code(2).error("cannot take both", "");
    tdl(&sandbox, &dir, &format!("dl -u t.me/c/{id}/1 -o file")).code(2);

    // So many bytes at so many a second take so long.
    let begun = std::time::Instant::now();
    dl(&sandbox, &dir, "-d slow --limit-rate 500K").ok();
    let took = begun.elapsed().as_secs_f64();
    assert!(took > 1.0, "{took} s for 1.5 MB at 500 KiB a second");
    assert_eq!(fs::read(dir.join("slow/a.bin")).unwrap(), big);
}
