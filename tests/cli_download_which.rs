//! Which files of a message `tdl dl` takes, and how: sizes, qualities, thumbnails, previews, stories, paid media, takeouts. Through the
//! binary, against a cluster in which an operator posts what no client of ours sends.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::fs;

use support::{Finished, Sandbox, TestCommand, TestDir, bytes, logged_in, tdl};

const ANN: &str = "9996611111";

/// Somebody who posts, and an account that it is posted to.
struct Scene {
    dir: TestDir,
    sandbox: Sandbox,
    /// The chat with whoever posts.
    chat: String,
    /// Directories that were downloaded to.
    runs: std::cell::Cell<u32>,
}

impl Scene {
    fn new() -> Self {
        let dir = TestDir::new();
        let sandbox = logged_in(&dir);
        dir.tdl().args("sandbox user add --dir box --name Ann --phone").arg(ANN).ok();
        for (name, w, h) in [("small.png", 90, 60), ("large.png", 800, 600), ("thumb.png", 64, 48)] {
            dir.write(name, png(w, h));
        }
        dir.write("film.mp4", bytes(1, 700_000));
        dir.write("film360.mp4", bytes(2, 300_000));
        let scene = Self { dir, sandbox, chat: String::new(), runs: std::cell::Cell::new(0) };
        scene.send("hello", "");
        let chats = scene.tdl("chat ls --json").ok().json();
        let chat =
            chats.as_array().unwrap().iter().find(|chat| chat["visible_name"] == "Ann").expect("the chat")["id"].to_string();
        Self { chat, ..scene }
    }

    fn tdl(&self, args: &str) -> TestCommand {
        tdl(&self.sandbox, &self.dir, args)
    }

    fn send(&self, text: &str, media: &str) {
        let mut command = self.dir.tdl();
        command.args("sandbox message send --dir box --to 9996621234 --from").arg(ANN).args(media).arg(text).ok();
    }

    /// Posts something, and links to it as the receiver has it.
    fn post(&self, text: &str, media: &str) -> String {
        self.send(text, media);
        let history = self.tdl(&format!("call messages.getHistory peer={} limit=1 --fill --compact --quiet", self.chat)).ok();
        format!("t.me/c/{}/{}", self.chat, history.json()["messages"][0]["id"])
    }

    /// Downloads into a directory of its own, as the senders called the files.
    fn dl(&self, link: &str, args: &str) -> (Finished, Vec<(String, Vec<u8>)>) {
        let run = self.runs.get() + 1;
        self.runs.set(run);
        let mut command = self.tdl(&format!("dl -u {link} -d down{run} --template"));
        let finished = command.arg("{{ .FileName }}").args(args).run();
        let mut files: Vec<_> = fs::read_dir(self.dir.join(format!("down{run}")))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        (finished, files)
    }

    /// The same, with names as they begin and end, and contents.
    #[track_caller]
    fn brings(&self, link: &str, args: &str, want: &[(&str, Vec<u8>)]) {
        let (finished, files) = self.dl(link, args);
        assert!(finished.stderr().contains("downloaded"), "{args}: {}", finished.stderr());
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(files.len(), want.len(), "{args}: {names:?}");
        for ((name, content), (pattern, wanted)) in files.iter().zip(want) {
            let (head, tail) = pattern.split_once('*').unwrap_or((pattern, ""));
            assert!(name.starts_with(head) && name.ends_with(tail), "{args}: {name} is not {pattern}");
            assert!(content == wanted, "{args}: {name} has {} bytes, {} are wanted", content.len(), wanted.len());
        }
    }
}

/// Nothing but a head: how wide and high the picture would be.
fn png(w: u32, h: u32) -> Vec<u8> {
    [&b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"[..], &w.to_be_bytes(), &h.to_be_bytes(), &[8; 40]].concat()
}

#[test]
fn photos_come_in_the_size_that_is_asked_for() {
    let scene = Scene::new();
    let photo = scene.post("two sizes", "--photo small.png --photo large.png");
    scene.brings(&photo, "", &[("*.jpg", png(800, 600))]);
    scene.brings(&photo, "--size smallest", &[("*_s.jpg", png(90, 60))]);
    scene.brings(&photo, "--size s", &[("*_s.jpg", png(90, 60))]);
    scene.brings(&photo, "--size w", &[("*_x.jpg", png(800, 600))]);
    let (wrong, _) = scene.dl(&photo, "--size 9");
    wrong.expect_code(2).stderr_has("is no size").stderr_has("largest, smallest");
}

#[test]
fn videos_come_in_the_height_that_is_asked_for_and_with_their_thumbnails() {
    let scene = Scene::new();
    let (whole, small) = (bytes(1, 700_000), bytes(2, 300_000));
    let film = scene
        .post("a film", "--file film.mp4 --mime video/mp4 --video 1280x720 --quality 640x360:film360.mp4 --thumb thumb.png");
    scene.brings(&film, "", &[("film.mp4", whole.clone())]);
    scene.brings(&film, "--quality 480p", &[("film_360p.mp4", small.clone())]);
    scene.brings(&film, "--quality original --thumb", &[("film.mp4", whole.clone()), ("film_thumb.jpg", png(64, 48))]);
    scene.brings(&film, "--thumb=only", &[("film_thumb.jpg", png(64, 48))]);
    // Thumbnails are of the kind of their files.
    scene.brings(&film, "--kinds video --thumb=only", &[("film_thumb.jpg", png(64, 48))]);
    let (none, files) = scene.dl(&film, "--kinds photo,audio");
    none.expect_code(0).stderr_has("nothing of it was asked for").stderr_has("1 skipped");
    assert!(files.is_empty());

    // What is tried again is what was meant.
    scene.tdl("sandbox fault set --dir box 400:LOCATION_INVALID --method upload.getFile --times 1").ok();
    let (failed, _) = scene.dl(&film, "--quality 480p --kinds video --thumb");
    failed.expect_code(3).stderr_has("--kinds video --quality 480p --thumb");
}

/// An expired reference of a copy is renewed for that copy.
#[test]
fn references_of_all_copies_are_renewed() {
    let scene = Scene::new();
    let film = scene
        .post("a film", "--file film.mp4 --mime video/mp4 --video 1280x720 --quality 640x360:film360.mp4 --thumb thumb.png");
    let untold = scene.post("a story", "--file film.mp4 --as story-untold");
    for (link, args, want) in [
        (&film, "--quality 360", vec![("film_360p.mp4", bytes(2, 300_000))]),
        (&film, "--thumb=only", vec![("film_thumb.jpg", png(64, 48))]),
        (&untold, "", vec![("film.mp4", bytes(1, 700_000))]),
    ] {
        scene.tdl("sandbox fault set --dir box 400:FILE_REFERENCE_EXPIRED --method upload.getFile --times 1").ok();
        scene.brings(link, args, &want);
    }
}

#[test]
fn what_stands_inside_something_else_comes_when_it_is_meant() {
    let scene = Scene::new();
    let whole = bytes(1, 700_000);
    let paid = scene.post("paid", "--photo large.png --file film.mp4 --as paid");
    scene.brings(&paid, "", &[("*.jpg", png(800, 600)), ("film.mp4", whole.clone())]);
    scene.brings(&paid, "--kinds photo", &[("*.jpg", png(800, 600))]);
    let unbought = scene.post("not paid", "--file film.mp4 --as paid-unbought");
    scene.dl(&unbought, "").0.expect_code(3).stderr_has("no file that can be downloaded");

    let link = scene.post("https://example.org/film", "--file film.mp4 --as web-page");
    scene.dl(&link, "").0.expect_code(3).stderr_has("--preview");
    scene.brings(&link, "--preview", &[("film.mp4", whole.clone())]);

    for form in ["story", "story-untold"] {
        let story = scene.post("a story", &format!("--file film.mp4 --as {form}"));
        scene.brings(&story, "", &[("film.mp4", whole.clone())]);
        // What was left out on purpose is no failure.
        for left_out in ["--no-stories", "--kinds photo"] {
            let (skipped, files) = scene.dl(&story, left_out);
            skipped.expect_code(0).stderr_has("nothing of it was asked for");
            assert!(files.is_empty(), "{form} {left_out}");
        }
    }
    // By an export as well, with what is below messages if that was exported.
    for (args, count) in [("", 4), ("--preview", 5)] {
        scene.tdl(&format!("chat export -c {} -o export.json {args}", scene.chat)).ok();
        let run = scene.tdl(&format!("dl -f export.json -d all{count} --dry-run --preview"));
        run.ok().stderr_has(&format!("{count} files to download"));
    }
    let poll = scene.post("a poll", "--photo small.png --file film.mp4 --as poll");
    scene.brings(&poll, "--kinds document", &[("film.mp4", whole)]);
}

/// A story is a link of its own: its number is no message's, and what is not there is said.
#[test]
fn stories_come_by_their_own_links() {
    let scene = Scene::new();
    let whole = bytes(1, 700_000);
    // The first message and the first story have the same number.
    scene.post("a film", "--file film360.mp4 --as story");
    scene.post("a film", "--file film.mp4 --as story");
    let (first, second) = (format!("t.me/c/{}/s/1", scene.chat), format!("t.me/c/{}/s/2", scene.chat));
    scene.brings(&second, "", &[("film.mp4", whole.clone())]);
    scene.brings(&second, "--no-stories", &[("film.mp4", whole.clone())]);
    let both = format!("{first},{second} -u t.me/c/{}/s/3", scene.chat);
    let (some, files) = scene.dl(&both, "");
    some.expect_code(3).stderr_has("the story does not exist").stderr_has(&format!("https://t.me/c/{}/s/3", scene.chat));
    assert_eq!(files.len(), 2);
    scene.tdl("sandbox fault set --dir box 400:FILE_REFERENCE_EXPIRED --method upload.getFile --times 1").ok();
    scene.brings(&second, "", &[("film.mp4", whole)]);
    // The names say the number, and programs are told that it is a story's.
    let run = scene.tdl(&format!("dl -u {first} -d named --json --template")).arg("{{ .DialogID }}_{{ .MessageID }}").ok();
    let line = run.json();
    assert_eq!((&line["story"], &line["message"]), (&1.into(), &serde_json::Value::Null), "{run}");
    assert!(line["path"].as_str().unwrap().ends_with("_1"), "{line}");
}

/// Whoever was cut off and asks for more gets more; and a retry brings what is missing only.
#[test]
fn a_message_with_several_files_is_taken_up_file_by_file() {
    let scene = Scene::new();
    let paid = scene.post("paid", "--photo large.png --file film.mp4 --as paid");
    let fault = |effect: &str| scene.tdl(&format!("sandbox fault set --dir box {effect} --method upload.getFile")).ok();
    // The photo is there, and the film is not.
    scene.brings(&paid, "-i jpg", &[("*.jpg", png(800, 600))]);
    fault("400:LOCATION_INVALID --times 1 --skip 1");
    let (failed, files) = scene.dl(&paid, "-l 1");
    assert_eq!(files.len(), 1, "{}", failed.stderr());
    failed.expect_code(3).stderr_has("--skip-same");
    let before = count_of(&scene, "upload.file");
    #[cfg(unix)]
    {
        let again = support::paste(&scene.dir, &failed);
        let stderr = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(again.status.success() && stderr.contains("1 file downloaded") && stderr.contains("1 skipped"), "{stderr}");
        assert_eq!(count_of(&scene, "upload.file"), before + 1);
    }
    // One file of two goes where only one has room.
    let out = scene.tdl(&format!("dl -u {paid} -o - -i mp4")).ok();
    assert_eq!(out.stdout_bytes(), bytes(1, 700_000));
    scene.tdl(&format!("dl -u {paid} -o -")).code(2).error("there are 2", "--kinds");
    scene.tdl(&format!("dl -u {paid} -o - -i txt")).code(1).error("not one of the wanted extensions", "");
}

/// What the cluster was asked and answered with `what`, counted.
fn count_of(scene: &Scene, what: &str) -> u64 {
    let matching = calls(scene).into_iter().filter(|c| c["answer"] == what || c["method"] == what);
    matching.map(|c| c["calls"].as_u64().unwrap()).sum()
}

/// All that it has counted.
fn calls(scene: &Scene) -> Vec<serde_json::Value> {
    let calls = scene.dir.tdl().args("sandbox calls --dir box --json").ok().stdout();
    calls.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_takeout_is_begun_used_and_ended() {
    let scene = Scene::new();
    let film = scene.post("a film", "--file film.mp4");
    let whole = bytes(1, 700_000);
    scene.brings(&film, "--takeout", &[("film.mp4", whole.clone())]);
    let (finished, _) = scene.dl(&film, "--takeout --trace --trace-file takeout.jsonl");
    finished.expect_code(0);
    let shown = scene.dir.tdl().args("trace show takeout.jsonl").ok();
    shown.stdout_has("account.initTakeoutSession").stdout_has("→ upload.getFile");
    // The cluster's own count of it.
    let shown = scene.dir.tdl().args("sandbox calls --dir box").ok();
    shown.stdout_has("account.initTakeoutSession").stdout_has("account.finishTakeoutSession").stdout_has("upload.file");
    let fetched = calls(&scene).into_iter().find(|c| c["answer"] == "upload.file").expect("files were fetched");
    assert_eq!(fetched["method"], "upload.getFile");
    assert!(fetched["bytes"].as_u64() > Some(700_000), "{fetched}");
    assert_eq!((&fetched["calls"], &fetched["in_takeout"]), (&2.into(), &2.into()));
    // A run that fails ends it as well.
    scene.tdl("sandbox fault set --dir box 400:LOCATION_INVALID --method upload.getFile --times 1").ok();
    scene.dl(&film, "--takeout").0.expect_code(3);
    assert_eq!(count_of(&scene, "account.finishTakeoutSession"), 3);
    // Without the account's consent there is none, and nobody is put off with less.
    scene.tdl("sandbox fault set --dir box 420:TAKEOUT_INIT_DELAY_86400 --method account.initTakeoutSession --times 1").ok();
    let (refused, files) = scene.dl(&film, "--takeout");
    refused.expect_code(6).stderr_has("confirm the takeout in another app");
    assert!(files.is_empty());
    // One that has ended is none.
    let begun = scene.tdl("call account.initTakeoutSession").ok().json();
    let within = |query: &str| {
        let mut command = scene.tdl("call invokeWithTakeout");
        command.arg(format!(r#"{{"takeout_id":{},"query":{{"_":{query}}}}}"#, begun["id"]));
        command
    };
    within(r#""help.getNearestDc""#).ok();
    within(r#""account.finishTakeoutSession","success":true"#).ok();
    within(r#""help.getNearestDc""#).code(1).stderr_has("TAKEOUT_INVALID");
    scene.tdl("call account.initTakeoutSession files=true file_max_size=-1").code(1).stderr_has("LIMIT_INVALID");
    scene.tdl("call account.finishTakeoutSession success=true").code(1).stderr_has("TAKEOUT_REQUIRED");
}
