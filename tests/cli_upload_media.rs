//! What `tdl up` says of pictures, videos and sound, and which of them stand together: through the binary, against a cluster.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Sandbox, TestCommand, TestDir, logged_in};

/// A run without anything called ffmpeg, whatever the machine has.
fn tdl(sandbox: &Sandbox, dir: &TestDir, args: &str) -> TestCommand {
    let mut command = sandbox.tdl(dir);
    command.env("PATH", dir.join("bin")).args(args);
    command
}

/// A file that ffmpeg made.
fn sample(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/media_file").join(name)).unwrap()
}

/// The messages of Saved Messages, the oldest first.
fn messages(sandbox: &Sandbox, dir: &TestDir) -> Vec<Value> {
    let history = tdl(sandbox, dir, "call messages.getHistory peer=me limit=100 --fill --compact --int64 number").ok().json();
    let mut list = history["messages"].as_array().unwrap().clone();
    list.reverse();
    list
}

/// The attributes of a message's document, by their kind.
fn attributes(message: &Value) -> BTreeMap<String, Value> {
    let list = message["media"]["document"]["attributes"].as_array().unwrap_or_else(|| panic!("{message}"));
    list.iter().map(|a| (a["_"].as_str().unwrap().trim_start_matches("documentAttribute").to_owned(), a.clone())).collect()
}

fn send(sandbox: &Sandbox, dir: &TestDir, name: &str, args: &str) -> Value {
    dir.write(name, sample(Path::new(name).file_name().unwrap().to_str().unwrap()));
    tdl(sandbox, dir, &format!("up -p {name} {args}")).ok();
    messages(sandbox, dir).pop().unwrap()
}

#[test]
fn videos_sound_and_pictures_say_what_they_are() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    for (name, streams, silent) in
        [("start.mp4", true, false), ("end.mp4", false, false), ("silent.mp4", false, true), ("film.mkv", false, false)]
    {
        let message = send(&sandbox, &dir, name, "");
        let video = &attributes(&message)["Video"];
        assert_eq!((&video["w"], &video["h"]), (&64.into(), &48.into()), "{name} {video}");
        assert!((1.9..2.3).contains(&video["duration"].as_f64().unwrap()), "{name} {video}");
        let flag = |name: &str| video[name].as_bool().unwrap_or(false);
        assert_eq!((flag("supports_streaming"), flag("nosound")), (streams, silent), "{name} {video}");
    }
    for name in ["song.mp3", "song.flac", "song.ogg", "song.m4a"] {
        let audio = attributes(&send(&sandbox, &dir, name, ""))["Audio"].clone();
        let told = (&audio["title"], &audio["performer"], &audio["duration"]);
        assert_eq!(told, (&"A title".into(), &"Somebody".into(), &2.into()), "{name}");
    }
    let voice = attributes(&send(&sandbox, &dir, "voice.ogg", "--voice"))["Audio"].clone();
    assert_eq!(voice["voice"], true, "{voice}");
    let picture = attributes(&send(&sandbox, &dir, "picture.jpg", ""));
    assert_eq!((&picture["ImageSize"]["w"], &picture["Filename"]["file_name"]), (&64.into(), &"picture.jpg".into()));
    let plain = attributes(&send(&sandbox, &dir, "start.mp4", "--as-file --name plain.mp4"));
    assert!(plain.contains_key("Video"), "still described, and forced to be a file: {plain:?}");

    let caption = tdl(&sandbox, &dir, "up -p start.mp4 --caption")
        .arg("Index == 1 && Size > 5000 && Width == 64 && Height == 48 && Duration > 1.9 && Piece == 0 ? MIME : 'wrong'")
        .clone();
    caption.ok();
    assert_eq!(messages(&sandbox, &dir).pop().unwrap()["message"], "video/mp4");
}

#[test]
fn photos_are_what_the_server_takes_as_one_and_the_rest_goes_as_files() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    dir.write("p/a.jpg", sample("picture.jpg"));
    // Nothing but a head: how wide and high it would be.
    let png = |w: u32, h: u32| [&b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"[..], &w.to_be_bytes(), &h.to_be_bytes(), &[8; 40]].concat();
    dir.write("p/b.png", png(1, 21));
    dir.write("p/c.png", png(9000, 1001));
    dir.write("p/d.webp", b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\0\0\x2f\0\0 and so on");
    let up = tdl(&sandbox, &dir, "up --photo --spoiler -l 1 -p p").ok();
    up.stderr_has("b.png: sent as file, for it is more than 20 times").stderr_has("c.png: sent as file, for its sides");
    up.stderr_has("d.webp: sent as file");
    let kinds: Vec<Value> = messages(&sandbox, &dir).iter().map(|m| m["media"]["_"].clone()).collect();
    assert_eq!(kinds, ["messageMediaPhoto", "messageMediaDocument", "messageMediaDocument", "messageMediaDocument"]);
    assert_eq!(messages(&sandbox, &dir)[0]["media"]["spoiler"], true);
    // The server has the last word.
    tdl(&sandbox, &dir, "sandbox fault set IMAGE_PROCESS_FAILED --method messages.sendMedia --times 1 --quiet").ok();
    tdl(&sandbox, &dir, "up --photo -p p/a.jpg").ok().stderr_has("the server does not take it as a photo");
    assert_eq!(messages(&sandbox, &dir).pop().unwrap()["media"]["_"], "messageMediaDocument");
}

#[test]
fn thumbnails_come_from_beside_the_file_or_from_ffmpeg() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    let thumbs = |message: &Value| message["media"]["document"]["thumbs"].as_array().map_or(0, Vec::len);
    dir.write("v/pop.thumb", sample("picture.jpg"));
    assert_eq!(thumbs(&send(&sandbox, &dir, "v/start.mp4", "")), 0, "there is none, and no ffmpeg");
    std::fs::rename(dir.join("v/start.mp4"), dir.join("v/pop.mp4")).unwrap();
    // The directory has one file to send: thumbnails are not sent themselves.
    tdl(&sandbox, &dir, "up -p v").ok().stderr_has("1 file uploaded");
    let message = messages(&sandbox, &dir).pop().unwrap();
    assert_eq!(message["media"]["document"]["thumbs"][0]["w"], 64, "{message}");
    tdl(&sandbox, &dir, "up -p v --thumb none").ok();
    assert_eq!(thumbs(&messages(&sandbox, &dir).pop().unwrap()), 0);

    std::fs::rename(dir.join("v/pop.thumb"), dir.join("v/pop.jpg")).unwrap();
    tdl(&sandbox, &dir, "up -p v --thumb jpg").ok().stderr_has("1 file uploaded");
    assert_eq!(thumbs(&messages(&sandbox, &dir).pop().unwrap()), 1);
    dir.write("v/pop.jpg", [sample("picture.jpg"), vec![0; 300 * 1024]].concat());
    tdl(&sandbox, &dir, "up -p v/pop.mp4 --thumb jpg")
        .ok()
        .stderr_has("no thumbnail: v/pop.jpg is larger than 320 pixels or 200 KiB");
    tdl(&sandbox, &dir, "up -p v/pop.mp4 --thumb v/pop.jpg").code(2).error("--thumb: v/pop.jpg is larger", "JPEG");

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        dir.write("made.jpg", sample("picture.jpg"));
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >{0}/asked\n/bin/cat {0}/made.jpg\n", dir.path().display());
        let ffmpeg = dir.write("bin/ffmpeg", script);
        std::fs::set_permissions(&ffmpeg, std::fs::Permissions::from_mode(0o755)).unwrap();
        tdl(&sandbox, &dir, "up -p v/pop.mp4").ok();
        assert_eq!(thumbs(&messages(&sandbox, &dir).pop().unwrap()), 1);
        let asked = std::fs::read_to_string(dir.join("asked")).unwrap();
        assert!(asked.contains("file:v/pop.mp4\n") && asked.contains("file,pipe\n"), "{asked}");
    }
}

#[test]
fn albums_hold_what_belongs_together_and_nothing_is_posted_twice() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    for n in 10..22 {
        dir.write(&format!("a/{n}.jpg"), sample("picture.jpg"));
    }
    dir.write("a/film.mp4", sample("start.mp4"));
    dir.write("a/one.txt", "one");
    dir.write("a/two.txt", "two");
    dir.write("a/empty.txt", "");
    dir.write("a/song.mp3", sample("song.mp3"));
    dir.write("b/30.jpg", sample("picture.jpg"));
    dir.write("b/31.jpg", sample("picture.jpg"));
    let dry = tdl(&sandbox, &dir, "up --dry-run --photo --album -p a -p b").code(3);
    dry.stdout_has("album of 10:").stdout_has("album of 3:").stdout_has("video  a/film.mp4").stdout_has("not    a/empty.txt");
    assert_eq!(messages(&sandbox, &dir), [] as [Value; 0], "nothing was sent");

    // The first album's answer is lost, and one of its files has expired by the second.
    tdl(&sandbox, &dir, "sandbox fault set drop --method messages.sendMultiMedia --times 1 --quiet").ok();
    let up = tdl(&sandbox, &dir, "up -l 1 --photo --album -p a -p b --caption FileName").code(3);
    up.stderr_has("18 files uploaded").stderr_has("failed: a/empty.txt");
    let all = messages(&sandbox, &dir);
    let mut albums: BTreeMap<i64, Vec<&Value>> = BTreeMap::new();
    for message in &all {
        albums.entry(message["grouped_id"].as_i64().unwrap_or(0)).or_default().push(message);
    }
    let mut sizes: Vec<usize> = albums.values().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!((all.len(), sizes), (18, vec![1, 2, 2, 3, 10]), "{all:?}");
    let ten = albums.values().find(|album| album.len() == 10).unwrap();
    let texts: Vec<&str> = ten.iter().map(|m| m["message"].as_str().unwrap()).collect();
    assert_eq!(texts, ["10", "11", "12", "13", "14", "15", "16", "17", "18", "19"], "in order, each with its own text");
    let three = albums.values().find(|album| album.len() == 3).unwrap();
    assert_eq!(three[2]["media"]["_"], "messageMediaDocument", "the video stands with the photos");
}

#[test]
fn an_album_that_was_cut_off_is_gone_on_with() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    for n in 1..=4 {
        dir.write(&format!("a/{n}.txt"), format!("number {n}"));
    }
    // They are given to the server, and the album is not posted.
    tdl(&sandbox, &dir, "sandbox fault set silence --method messages.sendMultiMedia --quiet").ok();
    tdl(&sandbox, &dir, "sandbox fault set delay:1ms --method messages.uploadMedia --quiet").ok();
    let up = tdl(&sandbox, &dir, "up --album --rm -p a");
    let mut child = up.command().stderr(std::process::Stdio::null()).spawn().unwrap();
    let met = || {
        let rules = tdl(&sandbox, &dir, "sandbox fault ls --json").ok().stdout();
        let count = |line: &str| serde_json::from_str::<Value>(line).unwrap()["met"].as_u64().unwrap();
        rules.lines().map(count).collect::<Vec<_>>()
    };
    while met()[0] == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the album was posted");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    tdl(&sandbox, &dir, "sandbox fault clear 1").ok();
    up.ok().stderr_has("4 files uploaded");
    assert_eq!(met(), [4], "each is given to the server once");
    let all = messages(&sandbox, &dir);
    assert!(all.len() == 4 && all.iter().all(|m| m["grouped_id"] == all[0]["grouped_id"]), "{all:?}");
    assert_eq!(std::fs::read_dir(dir.join("a")).unwrap().count(), 0, "each has its message");
}
