//! The server over real sockets, with files in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::body::PART;
use super::file::FileInfo;
use super::path::FilePath;
use super::shelf::{FindError, Item, Listed, Shelf};
use super::source::{BoxFuture, MemorySource, RangeSource, SourceError};
use super::{Answered, Config, Limits, Server};
use crate::serve::access::Token;

/// Messages of chat 7, each with one file.
struct Files(HashMap<i32, Item>);

impl Shelf for Files {
    fn find<'a>(&'a self, path: &'a FilePath) -> BoxFuture<'a, Result<Item, FindError>> {
        Box::pin(async move {
            match (path.link.message, path.file) {
                (503, _) => Err(SourceError::Wait { seconds: 17 }.into()),
                (id, 1) => self.0.get(&id).cloned().ok_or(FindError::NoMessage),
                (_, asked) => Err(FindError::NoFile { asked, count: 1 }),
            }
        })
    }

    fn pages(&self) -> u32 {
        1
    }

    fn page(&self, _: u32) -> BoxFuture<'_, Result<Vec<Listed>, FindError>> {
        let listed = |(id, item): (&i32, &Item)| Listed { chat: 7, message: *id, file: 1, info: item.info.clone() };
        let mut files: Vec<Listed> = self.0.iter().map(listed).collect();
        files.sort_by_key(|f| f.message);
        Box::pin(async move { Ok(files) })
    }
}

fn info(size: u64) -> FileInfo {
    FileInfo { id: 255, kind: String::new(), name: "a b.mp4".into(), size, mime: "video/mp4".into(), date: 1_700_000_000 }
}

fn item(source: impl RangeSource) -> Item {
    Item { info: info(source.size()), source: Arc::new(source) }
}

fn content(size: usize) -> Bytes {
    (0..size).map(|i| (i * 31 % 251) as u8).collect()
}

/// A server that runs, and what was told of its requests.
struct Running {
    address: std::net::SocketAddr,
    url: String,
    log: Arc<Mutex<Vec<Answered>>>,
    /// Told with every entry of the log.
    logged: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

async fn serve(files: Vec<(i32, Item)>, limits: Limits, token: Option<Token>) -> Running {
    let log: Arc<Mutex<Vec<Answered>>> = Arc::default();
    let logged = Arc::new(Notify::new());
    let (observed, tell) = (Arc::clone(&log), Arc::clone(&logged));
    let config = Config {
        address: "127.0.0.1:0".parse().unwrap(),
        token,
        names: Vec::new(),
        limits,
        observer: Some(Arc::new(move |answered| {
            observed.lock().unwrap().push(answered.clone());
            tell.notify_one();
        })),
    };
    let server = Server::bind(config, Arc::new(Files(files.into_iter().collect()))).await.unwrap();
    let (address, url) = (server.address(), server.url());
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    Running { address, url, log, logged, stop: Some(stop), task }
}

struct Reply {
    status: u16,
    fields: HashMap<String, String>,
    body: Vec<u8>,
}

impl Reply {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields = lines.map(|l| l.split_once(": ").unwrap()).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        Self { status, fields, body: bytes[end + 4..].to_vec() }
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Running {
    /// Sends a request with these lines, and takes everything until the connection is closed.
    async fn raw(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    async fn ask(&self, line: &str, fields: &str) -> Reply {
        Reply::of(&self.raw(&format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")).await)
    }

    async fn get(&self, path: &str, fields: &str) -> Reply {
        self.ask(&format!("GET {path}"), fields).await
    }

    async fn end(mut self) -> Vec<Answered> {
        drop(self.stop.take());
        self.task.await.unwrap();
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

#[tokio::test]
async fn a_file_comes_whole_in_ranges_and_as_its_head_only() {
    let bytes = content(2 * PART as usize + 7);
    let running = serve(vec![(1, item(MemorySource(bytes.clone())))], Limits::default(), None).await;
    let size = bytes.len();

    let whole = running.get("/7/1", "").await;
    assert_eq!((whole.status, whole.body.len()), (200, size));
    assert!(whole.body == bytes);
    assert_eq!(whole.field("content-type"), "video/mp4");
    assert_eq!(whole.field("content-length"), size.to_string());
    assert_eq!(whole.field("accept-ranges"), "bytes");
    assert_eq!(whole.field("etag"), format!("\"ff-{size:x}\""));
    assert_eq!(whole.field("last-modified"), "Tue, 14 Nov 2023 22:13:20 GMT");
    assert_eq!(whole.field("content-disposition"), "inline; filename=\"a b.mp4\"");
    assert_eq!(whole.field("x-content-type-options"), "nosniff");
    let saved = running.get("/7/1/1/x?download=1", "").await;
    assert_eq!(saved.field("content-disposition"), "attachment; filename=\"a b.mp4\"");

    let head = running.ask("HEAD /7/1", "Range: bytes=0-1\r\n").await;
    assert_eq!((head.status, head.body.len(), head.field("content-length")), (200, 0, &*size.to_string()));

    for (range, start, end) in [("0-0", 0, 1), ("5-", 5, size), ("-5", size - 5, size), ("524287-524288", 524_287, 524_289)] {
        let part = running.get("/7/1", &format!("Range: bytes={range}\r\n")).await;
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.field("content-range"), format!("bytes {start}-{}/{size}", end - 1));
        assert!(part.body == bytes[start..end], "{range}");
    }
    let log = running.end().await;
    assert_eq!(log.len(), 7);
    assert!(log.iter().all(|l| l.whole && l.error.is_none()));
    assert_eq!((log[0].sent, log[0].status, &*log[0].path), (size as u64, 200, "/7/1"));
}

#[tokio::test]
async fn several_ranges_come_in_one_body() {
    let bytes = content(1000);
    let running = serve(vec![(1, item(MemorySource(bytes.clone())))], Limits::default(), None).await;
    let reply = running.get("/7/1", "Range: bytes=900-, 0-9,5-19\r\n").await;
    assert_eq!(reply.status, 206);
    let boundary = reply.field("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap().to_owned();
    let part = |start: usize, end: usize| {
        let head = format!("--{boundary}\r\nContent-Type: video/mp4\r\nContent-Range: bytes {start}-{}/1000\r\n\r\n", end - 1);
        [head.as_bytes(), &bytes[start..end], b"\r\n"].concat()
    };
    let want = [part(900, 1000), part(0, 20), format!("--{boundary}--\r\n").into_bytes()].concat();
    assert!(reply.body == want, "{}", reply.text());
    assert_eq!(reply.field("content-length"), want.len().to_string());
}

#[tokio::test]
async fn what_cannot_be_had_has_its_status() {
    let running = serve(vec![(1, item(MemorySource(content(1000))))], Limits::default(), None).await;
    for (line, fields, status) in [
        ("GET /7/1", "Range: bytes=1000-\r\n", 416),
        ("GET /7/1", "Range: bytes=x\r\n", 200),
        ("GET /7/1", "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n", 200),
        ("GET /7/1", "Range: bytes=0-1\r\nIf-Range: \"ff-3e8\"\r\n", 206),
        ("GET /7/1", "If-None-Match: \"a\"\r\nIf-None-Match: \"ff-3e8\"\r\n", 304),
        ("HEAD /7/1", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT\r\n", 304),
        ("GET /7/1", "If-Match: \"other\"\r\n", 412),
        ("GET /7/2", "", 404),
        ("GET /7/1/2", "", 404),
        ("GET /7/503", "", 503),
        ("GET /favicon.ico", "", 404),
        ("GET /%zz/1", "", 400),
        ("POST /7/1", "Content-Length: 0\r\n", 405),
        ("GET /7/1", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("GET /7/1", "Host: other\r\n", 400),
        ("GET http://evil.example/7/1", "", 403),
    ] {
        let reply = running.ask(line, fields).await;
        assert_eq!(reply.status, status, "{line} {fields}{}", reply.text());
        match status {
            416 => assert_eq!(reply.field("content-range"), "bytes */1000"),
            503 => assert_eq!(reply.field("retry-after"), "17"),
            304 => assert_eq!((reply.field("etag"), reply.body.len()), ("\"ff-3e8\"", 0)),
            405 => assert_eq!(reply.field("allow"), "GET, HEAD"),
            _ => {}
        }
    }
    let foreign = Reply::of(&running.raw("GET /7/1 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await);
    assert_eq!(foreign.status, 403);
    let nameless = Reply::of(&running.raw("GET /7/1 HTTP/1.0\r\n\r\n").await);
    assert_eq!(nameless.status, 400);
}

#[tokio::test]
async fn the_token_opens_the_list_and_its_links() {
    let token = Token::random().unwrap();
    let running = serve(vec![(1, item(MemorySource(content(10))))], Limits::default(), Some(token)).await;
    let path = running.url.split_once("//").unwrap().1.split_once('/').unwrap().1.to_owned();
    let text = path.trim_end_matches('/').to_owned();
    assert_eq!(running.get("/", "").await.status, 401);
    assert_eq!(running.get("/", "").await.field("www-authenticate"), "Bearer realm=\"tdl\"");
    assert_eq!(running.get("/?token=x", "").await.status, 403);
    assert_eq!(running.get(&format!("/{}x/", text), "").await.status, 401);
    let page = running.get(&format!("/{text}/"), "").await;
    assert_eq!(page.status, 200);
    let link = page.text().split("<li><a href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(link, format!("/{text}/7/1/1/a%20b.mp4"));
    assert_eq!(running.get(&link, "").await.body, content(10));
    assert_eq!(running.get(&format!("/7/1?token={text}"), "").await.status, 200);
    assert_eq!(running.get("/7/1", &format!("Authorization: Bearer {text}\r\n")).await.status, 200);
    let list = running.get(&format!("/{text}/playlist.m3u8"), "").await.text();
    assert_eq!(list.lines().last().unwrap(), format!("http://localhost/{text}/7/1/1/a%20b.mp4"));
    let json: serde_json::Value =
        serde_json::from_slice(&running.get(&format!("/index.json?token={text}"), "").await.body).unwrap();
    assert_eq!(json["files"][0]["size"], 10);
    assert!(running.end().await.iter().all(|l| !l.path.contains(&text)), "a token is in no log");
}

/// A file whose reads after the first parts wait until they are let go, or fail; it counts those that are under way.
struct Gate {
    size: u64,
    free: u64,
    fail: bool,
    waiting: Arc<AtomicUsize>,
    asked: Arc<Notify>,
    ended: Arc<Notify>,
}

struct Waits(Arc<AtomicUsize>, Arc<Notify>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        self.1.notify_one();
    }
}

impl Gate {
    fn new(parts: u64, free: u64, fail: bool) -> Self {
        let size = parts * u64::from(PART);
        Self { size, free: free * u64::from(PART), fail, waiting: Arc::default(), asked: Arc::default(), ended: Arc::default() }
    }
}

impl RangeSource for Gate {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, len: u32) -> BoxFuture<'static, Result<Bytes, SourceError>> {
        let blocked = offset >= self.free;
        let (fail, asked) = (self.fail, Arc::clone(&self.asked));
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waits = Waits(Arc::clone(&self.waiting), Arc::clone(&self.ended));
        Box::pin(async move {
            let _waits = waits;
            asked.notify_one();
            match (blocked, fail) {
                (true, true) => Err(SourceError::Failed("the disk is on fire".into())),
                (true, false) => std::future::pending().await,
                (false, _) => Ok(Bytes::from(vec![7; len as usize])),
            }
        })
    }
}

async fn connect(running: &Running, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_reads_before_and_after_the_first_byte() {
    for free in [0, 1] {
        let gate = Gate::new(8, free, false);
        let (waiting, asked, ended) = (Arc::clone(&gate.waiting), Arc::clone(&gate.asked), Arc::clone(&gate.ended));
        let running = serve(vec![(1, item(gate))], Limits::default(), None).await;
        let mut stream = connect(&running, "/7/1").await;
        if free == 1 {
            let mut head = [0; 1000];
            stream.read_exact(&mut head).await.unwrap();
        } else {
            asked.notified().await;
        }
        assert!(waiting.load(Ordering::SeqCst) > 0);
        drop(stream);
        while waiting.load(Ordering::SeqCst) > 0 {
            ended.notified().await;
        }
        let log = running.end().await;
        assert!(log.iter().all(|l| !l.whole), "{log:?}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_on_is_cut_off_and_not_filled_up() {
    let running =
        serve(vec![(1, item(Gate::new(4, 2, true))), (2, item(Gate::new(4, 0, true)))], Limits::default(), None).await;
    let reply = running.get("/7/1", "").await;
    assert_eq!((reply.status, reply.field("content-length")), (200, &*(4 * PART).to_string()));
    assert!(reply.body.len() <= 2 * PART as usize && reply.body.iter().all(|b| *b == 7), "{}", reply.body.len());
    let reply = running.get("/7/2", "").await;
    assert_eq!((reply.status, &*reply.text()), (502, "the disk is on fire\n"));
    let log = running.end().await;
    assert_eq!((log[0].whole, log[0].error.as_deref()), (false, Some("the disk is on fire")));
}

#[tokio::test]
async fn clients_that_take_nothing_keep_nobody_waiting() {
    let size = 64 * PART as usize;
    let running =
        serve(vec![(1, item(MemorySource(content(size))))], Limits { parts_in_pool: 2, ..Limits::default() }, None).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut stream = connect(&running, "/7/1").await;
        stream.read_exact(&mut [0; 64]).await.unwrap();
        idle.push(stream);
    }
    let reply = running.get("/7/1", "").await;
    assert!(reply.body == content(size));
    drop(idle);
    running.end().await;
}

#[tokio::test]
async fn connections_have_a_limit() {
    let files = vec![(1, item(Gate::new(4, 0, false))), (2, item(MemorySource(content(10))))];
    let running = serve(files, Limits { connections: 2, ..Limits::default() }, None).await;
    let busy = [connect(&running, "/7/1").await, connect(&running, "/7/1").await];
    // Connections are accepted in the order in which they were made.
    let third = running.get("/7/2", "").await;
    assert_eq!((third.status, third.field("retry-after")), (503, "5"));
    drop(busy);
    while running.get("/7/2", "").await.status == 503 {}
    running.end().await;
}

#[tokio::test]
async fn connections_that_ask_for_nothing_end() {
    let limits = Limits { head: Duration::from_millis(100), ..Limits::default() };
    let running = serve(vec![(1, item(MemorySource(content(10))))], limits, None).await;
    // The first sends no second request, the second half of one, the third nothing.
    let answered = connect(&running, "/7/1").await;
    let mut half = TcpStream::connect(running.address).await.unwrap();
    half.write_all(b"GET /7/1 HTTP/1.1\r\nHost: loc").await.unwrap();
    let silent = TcpStream::connect(running.address).await.unwrap();
    for mut stream in [answered, half, silent] {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        ended.expect("it is closed").unwrap();
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_for_too_long_is_given_up() {
    let limits = Limits { stall: Duration::from_millis(100), ..Limits::default() };
    let running = serve(vec![(1, item(MemorySource(content(64 * PART as usize))))], limits, None).await;
    let mut stream = connect(&running, "/7/1").await;
    stream.read_exact(&mut [0; 64]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), running.logged.notified()).await.expect("it is given up");
    assert!(!running.log.lock().unwrap()[0].whole);
    drop(stream);
}

#[tokio::test]
async fn stopping_closes_what_is_under_way() {
    let running = serve(vec![(1, item(Gate::new(4, 1, false)))], Limits::default(), None).await;
    let mut stream = connect(&running, "/7/1").await;
    stream.read_exact(&mut [0; 1000]).await.unwrap();
    let log = running.end().await;
    assert_eq!(log.len(), 1);
    assert!(!log[0].whole);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 4 * PART as usize);
}
