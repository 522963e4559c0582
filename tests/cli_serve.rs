//! `tdl dl --serve` through the binary, against a cluster of its own, with the programs that people use: curl and aria2.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use support::{Sandbox, TestDir, bytes};

/// Larger than everything that the server may hold in memory.
const LARGE: usize = 96 << 20;
const SMALL: usize = 3_000_001;
/// What the server's memory may peak at, in KiB, whatever it serves to however many: the program itself takes about half of it.
const PEAK_KIB: u64 = 80 << 10;

/// A cluster with an account, and files in its Saved Messages.
fn with_files(dir: &TestDir, files: &[(&str, &[u8])]) -> Sandbox {
    let sandbox = Sandbox::start(dir);
    let mut login = sandbox.tdl(dir);
    login.args("login --phone 9996621234 --code 22222 --first-name Ada --last-name Lovelace").ok();
    for (name, content) in files {
        dir.write(name, content);
        sandbox.tdl(dir).args("up -p").arg(*name).ok();
    }
    sandbox
}

/// `tdl dl --serve` in the background. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    url: String,
    log: mpsc::Receiver<String>,
}

impl Server {
    pub(crate) fn start(sandbox: &Sandbox, dir: &TestDir, args: &str) -> Self {
        let mut command = sandbox.tdl(dir);
        command.args("-v --json dl --serve --port 0").args(args);
        let mut child = command.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (sender, log) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let ready: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?} {:?}", log.iter().collect::<Vec<_>>()));
        assert_eq!(ready["ready"], true);
        let url = ready["url"].as_str().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:") && url.ends_with('/'), "{url}");
        Self { child, url, log }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// `host:port`, and the path of the list with the token in it.
    fn parts(&self) -> (&str, &str) {
        let rest = self.url.strip_prefix("http://").unwrap();
        rest.split_at(rest.find('/').unwrap())
    }

    /// The most memory that it has had, in KiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Waits for a line of its log, for two minutes of silence at most.
    pub(crate) fn logged(&self, what: &str) -> String {
        let next = || self.log.recv_timeout(Duration::from_secs(120));
        let mut lines = std::iter::from_fn(|| next().ok());
        lines.find(|line| line.contains(what)).unwrap_or_else(|| panic!("it never logged {what:?}"))
    }

    fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn curl(args: &[&str]) -> Vec<u8> {
    let output =
        Command::new("curl").args(["-sS", "--fail", "--max-time", "120"]).args(args).output().expect("curl is installed");
    assert!(output.status.success(), "curl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The status that curl sees.
fn status(args: &[&str]) -> String {
    let output = Command::new("curl").args(["-sS", "-o", "/dev/null", "-w", "%{http_code}"]).args(args).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn curl_fetches_ranges_resumes_and_is_kept_out_without_the_token() {
    let dir = TestDir::new();
    let content = bytes(1, SMALL);
    let sandbox = with_files(&dir, &[("a b.mp4", &content), ("page.html", b"<script>alert(1)</script>")]);
    let id = sandbox.tdl(&dir).args("whoami --json").ok().json()["id"].to_string();
    let link = format!("-u https://t.me/c/{id}/1,https://t.me/c/{id}/2,https://t.me/c/{id}/99");
    let server = Server::start(&sandbox, &dir, &link);

    // The list leads to the files, and names them.
    let list: serde_json::Value = serde_json::from_slice(&curl(&[&server.at("index.json")])).unwrap();
    let files = list["files"].as_array().unwrap();
    assert_eq!(files.len(), 2, "{list}");
    assert_eq!((&files[0]["name"], &files[0]["size"]), (&"a b.mp4".into(), &SMALL.into()));
    let (host, root) = server.parts();
    let path = files[0]["path"].as_str().unwrap();
    assert_eq!(path, format!("{root}{id}/1/1/a%20b.mp4"));
    let url = format!("http://{host}{path}");
    assert!(String::from_utf8(curl(&[&server.url])).unwrap().contains(path));
    assert!(String::from_utf8(curl(&[&server.at("playlist.m3u8")])).unwrap().contains(&url));

    assert!(curl(&[&url]) == content);
    assert!(curl(&[&server.at("me/1")]) == content);
    assert!(curl(&[&server.at(&format!("https://t.me/c/{id}/1"))]) == content);
    for (range, start, end) in
        [("0-0", 0, 1), ("1048575-1048576", 1_048_575, 1_048_577), ("2999999-", 2_999_999, SMALL), ("-7", SMALL - 7, SMALL)]
    {
        assert!(curl(&["-r", range, &url]) == content[start..end], "{range}");
    }
    let head = String::from_utf8(curl(&["-I", &url])).unwrap();
    for line in
        ["HTTP/1.1 200 OK", &format!("content-length: {SMALL}"), "content-type: video/mp4", "accept-ranges: bytes", "etag: \""]
    {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    let page = String::from_utf8(curl(&["-I", &server.at("me/2")])).unwrap();
    assert!(page.contains("content-disposition: attachment") && page.contains("sandbox"), "{page}");

    // Two ranges in one request: each with a head of its own.
    let several = curl(&["-r", "0-9,2000000-2000009", &url]);
    let text = String::from_utf8_lossy(&several);
    assert!(text.contains(&format!("Content-Range: bytes 0-9/{SMALL}")), "{text}");
    assert!(text.contains(&format!("Content-Range: bytes 2000000-2000009/{SMALL}")), "{text}");
    let holds = |part: &[u8]| several.windows(part.len()).any(|w| w == part);
    assert!(holds(&content[..10]) && holds(&content[2_000_000..2_000_010]));
    assert_eq!(status(&["-r", "3000001-", &url]), "416");

    // A download that was cut off goes on, and only what is missing travels.
    let partial = dir.write("partial", &content[..1_000_000]);
    let sent = curl(&["-C", "-", "-o", partial.to_str().unwrap(), "-w", "%{http_code} %{size_download}", &url]);
    assert_eq!(String::from_utf8(sent).unwrap(), format!("206 {}", SMALL - 1_000_000));
    assert!(fs::read(&partial).unwrap() == content);
    let etag = head.lines().find_map(|l| l.strip_prefix("etag: ")).unwrap().trim();
    assert_eq!(status(&["-H", &format!("If-None-Match: {etag}"), &url]), "304");

    // The token.
    let bare = format!("http://{host}/me/1");
    assert_eq!(status(&[&bare]), "401");
    assert_eq!(status(&["-H", "Authorization: Bearer x", &bare]), "403");
    assert_eq!(status(&[&format!("http://{host}/x{root}me/1")]), "401");
    let token = root.trim_matches('/');
    assert_eq!(status(&["-I", "-H", &format!("Authorization: Bearer {token}"), &bare]), "200");
    assert_eq!(status(&["-I", &format!("{bare}?token={token}")]), "200");
    assert_eq!(status(&["-H", "Host: evil.example", &url]), "403");
    for (path, want) in [("me/99", "404"), ("nobody_at_all/1", "404"), ("424242/1", "404"), ("me/1/2", "404"), ("x", "404")] {
        assert_eq!(status(&[&server.at(path)]), want, "{path}");
    }
    assert_eq!(status(&["-X", "DELETE", &url]), "405");

    assert!(server.logged(" 405 ").contains(&format!("DELETE /{id}/1/1/a%20b.mp4 405")), "a line for each request");
    assert_eq!(server.interrupt(), Some(0), "that is how it ends");
}

/// A story that has gone, or that the server does not show, does not take the other messages of its page with it.
#[test]
fn the_list_goes_on_without_a_story_that_has_gone() {
    let dir = TestDir::new();
    let sandbox = with_files(&dir, &[]);
    let run = |args: &str| sandbox.tdl(&dir).args(args).ok();
    dir.tdl().args("sandbox user add --dir box --name Ann --phone 9996621235").ok();
    dir.write("film.mp4", bytes(1, 5_000));
    for args in ["--as story-untold", ""] {
        let mut send = dir.tdl();
        send.args("sandbox message send --dir box --from 9996621234 --to 9996621235 --file film.mp4")
            .args(args)
            .arg("film")
            .ok();
    }
    let chat =
        run("chat ls --json").json().as_array().unwrap().iter().find(|chat| chat["visible_name"] == "Ann").unwrap()["id"]
            .to_string();
    let history = run(&format!("call messages.getHistory peer={chat} limit=2 --fill --compact --quiet")).json();
    let mut links: String =
        history["messages"].as_array().unwrap().iter().map(|message| format!(" -u t.me/c/{chat}/{}", message["id"])).collect();
    let listed = |links: &str| {
        let server = Server::start(&sandbox, &dir, links);
        let list: serde_json::Value = serde_json::from_slice(&curl(&[&server.at("index.json")])).unwrap();
        list["files"].as_array().unwrap().len()
    };
    assert_eq!(listed(&links), 2);
    run("sandbox fault set --dir box 400:PEER_ID_INVALID --method stories.getStoriesByID --times 1");
    assert_eq!(listed(&links), 1, "what is not shown is left out");
    assert_eq!(listed(&links), 2);
    // A story is there by its own link and address as well, and where it is not shown the messages beside it are.
    let own = run("whoami --json").json()["id"].to_string();
    links.push_str(&format!(" -u t.me/c/{chat}/s/9"));
    run("sandbox fault set --dir box 400:PEER_ID_INVALID --method stories.getStoriesByID --times 2");
    assert_eq!(listed(&links), 1);
    let server = Server::start(&sandbox, &dir, &format!("-u t.me/c/{own}/s/1"));
    let list: serde_json::Value = serde_json::from_slice(&curl(&[&server.at("index.json")])).unwrap();
    let file = &list["files"][0];
    assert_eq!((&file["story"], &file["message"]), (&1.into(), &serde_json::Value::Null), "{list}");
    assert_eq!(curl(&[&server.at("me/s/1")]), bytes(1, 5_000));
    let (host, _) = server.parts();
    assert_eq!(curl(&[&format!("http://{host}{}", file["path"].as_str().unwrap())]), bytes(1, 5_000));
    run("call stories.deleteStories peer=me id=[1] --quiet");
    assert_eq!(listed(&links), 1, "so is what has gone");
}

#[test]
fn sixteen_clients_and_aria2_read_a_file_larger_than_the_memory_that_it_takes() {
    let dir = TestDir::new();
    let content = bytes(2, LARGE);
    let sandbox = with_files(&dir, &[("large.bin", &content)]);
    let server = Server::start(&sandbox, &dir, "");
    let url = server.at("me/1/1/large.bin");

    // Somebody who pauses, and takes nothing more.
    let (host, root) = server.parts();
    let mut paused = TcpStream::connect(host).unwrap();
    write!(paused, "GET {root}me/1 HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    paused.read_exact(&mut [0; 1000]).unwrap();

    let aria2 = Command::new("aria2c")
        .args(["-x", "16", "-s", "16", "-k", "1M", "--no-conf", "--allow-overwrite=true", "--file-allocation=none", "-q"])
        .arg("-d")
        .arg(dir.path())
        .args(["-o", "by-aria2.bin", &url])
        .status()
        .expect("aria2 is installed");
    assert!(aria2.success());
    assert!(fs::read(dir.join("by-aria2.bin")).unwrap() == content);

    // Sixteen at once, each a stretch of its own: an open end, as a player asks, and a close in the middle.
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|n| {
                let (url, content) = (&url, &content);
                scope.spawn(move || {
                    let start = n * (LARGE / 16) + 12_345;
                    let end = start + (2 << 20);
                    let range = format!("{start}-{}", end - 1);
                    assert!(curl(&["-r", &range, url]) == content[start..end], "{range}");
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
    });

    // A player: from the beginning, then from the middle, each time without taking what it asked for.
    for start in [0, LARGE / 4, LARGE / 2] {
        let mut player = TcpStream::connect(host).unwrap();
        write!(player, "GET {root}me/1 HTTP/1.1\r\nHost: {host}\r\nRange: bytes={start}-\r\n\r\n").unwrap();
        let mut answer = vec![0; 1 << 20];
        player.read_exact(&mut answer).unwrap();
        let body = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        assert!(answer[body..] == content[start..start + answer.len() - body]);
        drop(player);
        let line = server.logged("GET /me/1 206");
        assert!(line.contains("the client hung up"), "{line}");
    }

    let peak = server.peak();
    println!("peak of the server's memory: {peak} KiB");
    assert!(peak < PEAK_KIB, "{peak} KiB");
    drop(paused);
    assert!(server.logged("GET /me/1 200").contains("the client hung up"));
    assert_eq!(server.interrupt(), Some(0));
}

#[test]
fn only_this_machine_may_ask_unless_it_is_said_otherwise() {
    let dir = TestDir::new();
    let sandbox = with_files(&dir, &[("a.txt", b"hello")]);
    let open = sandbox.tdl(&dir).args("dl --serve --listen 0.0.0.0 --port 0 --no-token").code(2);
    open.error("there it is not served without a token", "--no-token");
    sandbox.tdl(&dir).args("dl --port 1 -u https://t.me/c/1/1").code(2);
    let server = Server::start(&sandbox, &dir, "--no-token");
    assert!(server.parts().1 == "/", "{}", server.url);
    assert_eq!(curl(&[&server.at("me/1")]), b"hello");
    assert_eq!(status(&["-H", "Sec-Fetch-Site: cross-site", &server.at("me/1")]), "403");
    let taken = sandbox.tdl(&dir).args("dl --serve --port").arg(server.parts().0.rsplit(':').next().unwrap()).code(1);
    taken.error("cannot listen on 127.0.0.1:", "--port");
    assert_eq!(server.interrupt(), Some(0));
}
