//! Downloads against a server that does what each test says.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use super::*;
use crate::client::tests::server::{Reply, TestServer};
use crate::ids::DcId;
use crate::store::{Home, NamespaceName};
use crate::tl::Identifiable;
use crate::tl::api::functions::upload::{GetFile, GetFileHashes};
use crate::transfer::flow::Limits;
use crate::transfer::source::tests::{content, hashes, location, request, serve};
use crate::transfer::stop::stop;

const PART: usize = DOWNLOAD_PART as usize;

/// A directory with a namespace, and a place for the file.
struct Here {
    dir: tempfile::TempDir,
    namespace: Arc<Namespace>,
    path: PathBuf,
}

impl Here {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name: NamespaceName = "test".parse().unwrap();
        let namespace = Arc::new(Home::at(dir.path().join("home")).open(&name, 1_700_000_000).unwrap());
        let path = dir.path().join("down/a.bin");
        Self { dir, namespace, path }
    }

    fn target(&self) -> Target<'_> {
        Target { namespace: &self.namespace, identity: [7; 32], path: &self.path, restart: false, modified: 1_700_000_000 }
    }

    fn part(&self) -> PathBuf {
        self.dir.path().join("down/a.bin.part")
    }
}

#[derive(Default)]
struct Counter(AtomicU64);

impl Progress for Counter {
    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A server with this file, and hashes of it if it has `hashed`; it answers no request for parts from number `dies_at` on.
fn server(content: &[u8], hashed: bool, dies_at: usize) -> Arc<TestServer> {
    let content = content.to_vec();
    TestServer::new(move |call| match call.method {
        GetFile::ID if call.nth >= dies_at => Reply::Error(400, "FILE_ID_INVALID"),
        GetFile::ID => serve(call, &content),
        GetFileHashes::ID if hashed => Reply::of(&hashes(&content, request::<GetFileHashes>(call).offset)),
        _ => Reply::Error(400, "LOCATION_INVALID"),
    })
}

async fn source(server: &Arc<TestServer>, size: usize, flow: &Flow) -> Source {
    let client = server.client(TestServer::config()).await;
    let remote = Remote { dc: DcId(2), location: location(b"old"), size: size as u64 };
    let refresh = || -> Refreshed { Box::pin(async { Err(TransferError::Gone) }) };
    Source::new(&client, flow, &remote, Arc::new(refresh))
}

fn flow() -> Flow {
    Flow::new(Limits::new(2, 1))
}

/// One run: what it found, and how it ended.
async fn run(here: &Here, server: &Arc<TestServer>, size: usize) -> (u64, u64, Result<Done, TransferError>) {
    let (_stopper, stop) = stop();
    let flow = flow();
    let prepared = prepare(source(server, size, &flow).await, &flow, &here.target()).await.unwrap();
    let (already, counter, before) = (prepared.already(), Counter::default(), here.path.exists());
    let result = match prepared.fetch(&counter, &stop).await {
        Ok(written) => {
            assert!(before || !here.path.exists(), "it has no name before it is on the disk");
            written.finish().await
        }
        Err(error) => Err(error),
    };
    (already, counter.0.into_inner(), result)
}

#[tokio::test(start_paused = true)]
async fn files_of_every_size_come_whole() {
    for size in [0, 1, 4096, PART - 1, PART, PART + 1, 5 * PART + 77] {
        let (here, content) = (Here::new(), content(size));
        let server = server(&content, true, usize::MAX);
        let (already, progress, done) = run(&here, &server, size).await;
        let done = done.unwrap();
        assert_eq!((already, progress), (0, size as u64));
        assert_eq!((done.path.clone(), done.verified), (here.path.clone(), Verified { checked: size as u64, unchecked: 0 }));
        assert!(std::fs::read(&here.path).unwrap() == content && !here.part().exists());
        let modified = std::fs::metadata(&here.path).unwrap().modified().unwrap();
        assert_eq!(modified, std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert_eq!(server.count::<GetFile>(), size.div_ceil(PART));
        assert_eq!(here.namespace.jobs().unwrap().len(), usize::from(size > PART), "one part has nothing to resume");
        done.forget().unwrap();
        assert!(here.namespace.jobs().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_that_failed_goes_on_with_what_is_missing() {
    let (here, content) = (Here::new(), content(6 * PART));
    let first = server(&content, true, 3);
    let (_, _, failed) = run(&here, &first, content.len()).await;
    assert!(matches!(failed, Err(TransferError::Invoke(_))));
    assert!(here.part().exists() && !here.path.exists());
    let second = server(&content, true, usize::MAX);
    let (already, progress, done) = run(&here, &second, content.len()).await;
    done.unwrap();
    assert_eq!(already, 3 * PART as u64, "what had come, or was on its way, is there");
    assert_eq!(already + progress, content.len() as u64);
    assert_eq!(second.count::<GetFile>(), usize::try_from(progress).unwrap() / PART);
    assert!(std::fs::read(&here.path).unwrap() == content);
}

/// One part fails, and another one does not come.
#[tokio::test(start_paused = true)]
async fn a_failure_waits_for_what_is_on_its_way_and_not_for_what_never_comes() {
    let (here, content) = (Here::new(), content(8 * PART));
    let served = content.clone();
    let server = TestServer::new(move |call| match (call.method, call.nth) {
        (GetFile::ID, 2) => Reply::Error(400, "FILE_ID_INVALID"),
        (GetFile::ID, 3..) => Reply::Silence,
        (GetFile::ID, _) => serve(call, &served),
        _ => Reply::of(&hashes(&served, request::<GetFileHashes>(call).offset)),
    });
    let begun = Instant::now();
    let (_, progress, failed) = run(&here, &server, content.len()).await;
    assert!(matches!(failed, Err(TransferError::Invoke(_))));
    assert_eq!(progress, 2 * PART as u64);
    let took = begun.elapsed();
    assert!(took >= STOP_WITHIN && took < STOP_WITHIN + Duration::from_secs(2), "{took:?}");
}

#[test]
fn what_nobody_keeps_of_a_file_of_one_part_is_discarded() {
    let here = Here::new();
    let fresh = || Fresh(Some(PartFile::open(&here.path, 5, false).unwrap().file));
    drop(fresh());
    assert!(!here.part().exists() && here.dir.path().join("down").exists());
    let kept = fresh().keep();
    assert!(kept.is_some() && here.part().exists());
}

/// As a death of the process leaves it: parts are in the file, and the record does not know.
fn die_with(here: &Here, content: &[u8], written: &[usize], recorded: &[u32]) {
    let parts = u32::try_from(content.len().div_ceil(PART)).unwrap();
    let job = JobRecord::download(&here.namespace, &[7; 32], parts).unwrap();
    let mut set = PartSet::new(parts);
    recorded.iter().for_each(|index| assert!(set.insert(*index)));
    crate::transfer::Checkpoint::save(&job, &set).unwrap();
    let mut file = vec![0; content.len()];
    for index in written {
        let range = index * PART..((index + 1) * PART).min(content.len());
        file[range.clone()].copy_from_slice(&content[range]);
    }
    std::fs::create_dir_all(here.path.parent().unwrap()).unwrap();
    std::fs::write(here.part(), file).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_written_and_not_recorded_is_believed_by_its_hash() {
    for (hashed, fetched) in [(true, 2), (false, 4)] {
        let (here, content) = (Here::new(), content(5 * PART + 1000));
        die_with(&here, &content, &[0, 2, 3, 5], &[0, 3]);
        let server = server(&content, hashed, usize::MAX);
        let (_, _, done) = run(&here, &server, content.len()).await;
        done.unwrap();
        assert_eq!(server.count::<GetFile>(), fetched);
        assert!(std::fs::read(&here.path).unwrap() == content);
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_part_is_not_believed() {
    let (here, content) = (Here::new(), content(3 * PART));
    die_with(&here, &content, &[0, 1, 2], &[0]);
    let mut torn = std::fs::read(here.part()).unwrap();
    torn[PART + PART / 2..2 * PART].fill(0);
    std::fs::write(here.part(), torn).unwrap();
    let server = server(&content, true, usize::MAX);
    run(&here, &server, content.len()).await.2.unwrap();
    assert_eq!(server.count::<GetFile>(), 1);
    assert!(std::fs::read(&here.path).unwrap() == content);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_has_its_name_and_is_not_on_record_is_not_fetched_again() {
    let (here, content) = (Here::new(), content(3 * PART));
    let server = server(&content, true, usize::MAX);
    run(&here, &server, content.len()).await.2.unwrap();
    let before = server.count::<GetFile>();
    let (already, _, done) = run(&here, &server, content.len()).await;
    assert_eq!(already, content.len() as u64);
    done.unwrap().forget().unwrap();
    assert_eq!(server.count::<GetFile>(), before);
    // From here on it is another download.
    run(&here, &server, content.len()).await.2.unwrap();
    assert_eq!(server.count::<GetFile>(), before + 3);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_hash_leaves_no_finished_file() {
    for size in [1000, 3 * PART] {
        let (here, content) = (Here::new(), content(size));
        let (served, mut other) = (content.clone(), content.clone());
        other[900] ^= 1;
        let server = TestServer::new(move |call| match call.method {
            GetFile::ID => serve(call, &other),
            _ => Reply::of(&hashes(&served, request::<GetFileHashes>(call).offset)),
        });
        let (_, _, done) = run(&here, &server, size).await;
        assert!(matches!(done, Err(TransferError::HashMismatch { offset: 0 })));
        assert!(!here.path.exists());
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_to_stop_keeps_what_is_done() {
    let (here, content) = (Here::new(), content(40 * PART));
    let (stopper, stop) = stop();
    let served = content.clone();
    let stops = TestServer::new(move |call| match call.method {
        GetFile::ID => {
            if call.nth == 6 {
                stopper.stop();
            }
            serve(call, &served)
        }
        _ => Reply::of(&hashes(&served, request::<GetFileHashes>(call).offset)),
    });
    let flow = flow();
    let prepared = prepare(source(&stops, content.len(), &flow).await, &flow, &here.target()).await.unwrap();
    let counter = Counter::default();
    let error = prepared.fetch(&counter, &stop).await.err().unwrap();
    assert!(matches!(error, TransferError::Interrupted));
    let before = stops.count::<GetFile>();
    assert!((7..12).contains(&before), "{before}");
    assert_eq!(counter.0.into_inner(), (before * PART) as u64, "what was in flight has come, and is told");
    let goes_on = server(&content, true, usize::MAX);
    run(&here, &goes_on, content.len()).await.2.unwrap();
    assert_eq!(goes_on.count::<GetFile>(), 40 - before, "nothing was fetched twice");
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_does_not_keep_who_is_asked_to_stop() {
    for size in [1000, 5 * PART] {
        let here = Here::new();
        let (stopper, stop) = stop();
        let server = TestServer::new(|_| Reply::Error(420, "FLOOD_WAIT_500"));
        let flow = flow();
        let prepared = prepare(source(&server, size, &flow).await, &flow, &here.target()).await.unwrap();
        let begun = Instant::now();
        let counter = Counter(AtomicU64::new(0));
        let (result, ()) = tokio::join!(prepared.fetch(&counter, &stop), async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            stopper.stop();
        });
        assert!(matches!(result.err(), Some(TransferError::Interrupted)));
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
}

/// Takes little at a time, and fails after so many bytes.
struct Narrow {
    taken: Vec<u8>,
    fails_at: usize,
    most_memory: u64,
    flow: Flow,
}

impl AsyncWrite for Narrow {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        if self.taken.len() >= self.fails_at {
            return Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into()));
        }
        let some = &bytes[..bytes.len().min(10_000)];
        self.taken.extend_from_slice(some);
        self.most_memory = self.most_memory.max(self.flow.memory());
        Poll::Ready(Ok(some.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_gets_every_byte_in_order_and_little_ahead() {
    let content = content(12 * PART + 5);
    let server = server(&content, true, usize::MAX);
    let (_stopper, stop) = stop();
    for fails_at in [usize::MAX, 3 * PART] {
        let flow = flow();
        let source = source(&server, content.len(), &flow).await;
        let mut narrow = Narrow { taken: Vec::new(), fails_at, most_memory: 0, flow: flow.clone() };
        let counter = Counter::default();
        let result = to_writer(&source, &flow, &mut narrow, &counter, &stop).await;
        if fails_at == usize::MAX {
            assert!(result.unwrap().is_whole() && narrow.taken == content);
            assert_eq!(counter.0.into_inner(), content.len() as u64);
            assert!(narrow.most_memory <= 5 << 20, "{}", narrow.most_memory);
        } else {
            assert!(matches!(result, Err(TransferError::Sink(_))));
        }
    }
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_directory_that_cannot_be_written_fails_this_file() {
    let here = Here::new();
    std::fs::write(here.dir.path().join("down"), b"in the way").unwrap();
    let content = content(2 * PART);
    let server = server(&content, true, usize::MAX);
    let flow = flow();
    let error = prepare(source(&server, content.len(), &flow).await, &flow, &here.target()).await.err().unwrap();
    assert!(matches!(error, TransferError::Io { action: "cannot create", .. }), "{error:?}");
    assert_eq!(server.count::<GetFile>(), 0, "nothing was transferred");
}
