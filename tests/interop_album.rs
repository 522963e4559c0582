//! A client that others wrote, Telethon, reads the album that `tdl up` sent: see `interop/album_telethon.py`.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::peers as interop;
use crate::support;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{Sandbox, TestDir};

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/media_file").join(name)).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    tdl::crypto::hash::sha256(&[bytes]).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn telethon_sees_the_album_with_its_attributes_bytes_and_thumbnail() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let phone = "9996621234";
    sandbox.tdl(&dir).args(&format!("login --phone {phone} --code 22222 --first-name Ada --last-name Lovelace")).ok();
    for (name, from) in [
        ("a.jpg", "picture.jpg"),
        ("film.mp4", "start.mp4"),
        ("film.thumb", "picture.jpg"),
        ("song one.mp3", "song.mp3"),
        ("song two.flac", "song.flac"),
    ] {
        dir.write(&format!("album/{name}"), sample(from));
    }
    let mut up = sandbox.tdl(&dir);
    up.args("up -l 1 --photo --album -p album --caption").arg("'<b>' + FileName + '</b>'").ok();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/album_telethon.py");
    let mut command = Command::new(interop::python());
    command.arg("-u").arg(script).arg(dir.join("box/cluster.json")).arg(phone);
    let read = interop::json_lines(&mut command);
    let told = |n: usize, key: &str| read[n][key].clone();
    assert_eq!(read.len(), 4, "{read:?}");
    assert!(told(0, "grouped") == told(1, "grouped") && told(2, "grouped") == told(3, "grouped"), "{read:?}");
    assert_ne!(told(0, "grouped"), told(2, "grouped"), "{read:?}");

    let photo = &read[0];
    assert_eq!((&photo["photo"], &photo["text"], &photo["width"]), (&true.into(), &"a".into(), &64.into()), "{photo}");
    let video = &read[1];
    assert_eq!((&video["video"], &video["name"], &video["mime"]), (&true.into(), &"film.mp4".into(), &"video/mp4".into()));
    assert_eq!((&video["width"], &video["height"]), (&64.into(), &48.into()), "{video}");
    assert!((1.9..2.3).contains(&video["duration"].as_f64().unwrap()), "{video}");
    assert_eq!(video["thumb"], sha256(&sample("picture.jpg")), "{video}");
    for (n, from) in [(0, "picture.jpg"), (1, "start.mp4"), (2, "song.mp3"), (3, "song.flac")] {
        assert_eq!(told(n, "sha256"), Value::from(sha256(&sample(from))), "{from}");
    }
    for song in &read[2..] {
        assert_eq!((&song["audio"], &song["title"]), (&true.into(), &"A title".into()), "{song}");
        assert_eq!((&song["performer"], &song["duration"]), (&"Somebody".into(), &2.into()), "{song}");
    }
}
