//! A remote file against a server that does what each test says, CDN included.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::client::tests::server::{Call, FIRST_CDN, Reply, TestServer, cdn_key_pem};
use crate::client::{ClientConfig, DcAddress};
use crate::crypto::aes::Ctr;
use crate::crypto::hash::sha256;
use crate::tl::api::types;
use crate::tl::{Deserialize, Identifiable};
use crate::transfer::flow::Limits;
use functions::help::GetCdnConfig;
use functions::upload::{GetCdnFile, GetCdnFileHashes, GetFile, GetFileHashes, ReuploadCdnFile};

const CDN: i32 = FIRST_CDN + 3;
const HASHED: usize = 128 << 10;
const KEY: [u8; 32] = [9; 32];
const IV: [u8; 16] = [8; 16];

pub(in crate::transfer) fn content(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 3 + n / 4096) as u8).collect()
}

/// Content that gets no shorter by being packed.
fn unpackable(len: usize) -> Vec<u8> {
    let mut content = vec![0; len];
    StdRng::seed_from_u64(1).fill_bytes(&mut content);
    content
}

pub(in crate::transfer) fn request<R: Deserialize>(call: &Call) -> R {
    R::from_bytes(call.body.clone()).unwrap()
}

/// The range of `content` that a request for `limit` bytes at `offset` gets.
fn cut(content: &[u8], offset: i64, limit: i32) -> Bytes {
    let from = usize::try_from(offset).unwrap().min(content.len());
    let to = (from + usize::try_from(limit).unwrap()).min(content.len());
    Bytes::copy_from_slice(&content[from..to])
}

fn file(bytes: Bytes) -> Reply {
    let file = types::upload::File { r#type: enums::storage::FileType::FilePartial, mtime: 0, bytes };
    Reply::of(&enums::upload::File::from(file))
}

/// What an ordinary server answers to `upload.getFile`.
pub(in crate::transfer) fn serve(call: &Call, content: &[u8]) -> Reply {
    let asked: GetFile = request(call);
    file(cut(content, asked.offset, asked.limit))
}

/// The hashes of one block of `content` from an offset on.
pub(in crate::transfer) fn hashes(content: &[u8], offset: i64) -> Vec<enums::FileHash> {
    let chunks = content.chunks(HASHED).zip((0..).step_by(HASHED)).skip(usize::try_from(offset).unwrap() / HASHED).take(8);
    let hash = |(chunk, offset): (&[u8], i64)| {
        let limit = i32::try_from(chunk.len()).unwrap();
        types::FileHash { offset, limit, hash: sha256(&[chunk]).to_vec().into() }.into()
    };
    chunks.map(hash).collect()
}

pub(in crate::transfer) fn location(reference: &'static [u8]) -> enums::InputFileLocation {
    types::InputDocumentFileLocation {
        id: 1,
        access_hash: 2,
        file_reference: Bytes::from_static(reference),
        thumb_size: "".into(),
    }
    .into()
}

fn reference(location: &enums::InputFileLocation) -> Bytes {
    let enums::InputFileLocation::InputDocumentFileLocation(location) = location else { panic!("a document") };
    location.file_reference.clone()
}

fn config() -> ClientConfig {
    let mut config = TestServer::config();
    let port = 4430 + u16::try_from(CDN).unwrap();
    let at = DcAddress { id: CDN, ip: [127, 0, 0, 1].into(), port, media_only: false, cdn: true, tls_port: None };
    config.dcs.dcs.push(at);
    config
}

/// A source of `size` bytes at DC 2, and how often its reference is renewed.
pub(super) async fn source(server: &Arc<TestServer>, size: usize) -> (Source, Arc<AtomicUsize>) {
    source_with(server, size, config()).await
}

async fn source_with(server: &Arc<TestServer>, size: usize, config: ClientConfig) -> (Source, Arc<AtomicUsize>) {
    let client = server.client(config).await;
    let refreshed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&refreshed);
    let refresh = move || -> Refreshed {
        let counter = Arc::clone(&counter);
        Box::pin(async move {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(location(b"fresh"))
        })
    };
    let remote = Remote { dc: DcId(2), location: location(b"old"), size: size as u64 };
    (Source::new(&client, &Flow::new(Limits::new(4, 2)), &remote, Arc::new(refresh)), refreshed)
}

/// Lets others work until something is so; for threads, half a minute of the real clock.
pub(super) async fn until(mut so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never comes to be so");
        tokio::task::yield_now().await;
    }
}

/// Reads all of it, part by part.
pub(super) async fn all(source: &Source) -> Result<Vec<u8>, TransferError> {
    let mut out = Vec::new();
    for (offset, len) in pieces(0..source.size(), BLOCK) {
        out.extend_from_slice(&source.read(offset, len).await?);
    }
    Ok(out)
}

/// A server of content that gets no shorter by being packed, and a source that has been read from and asks for no hashes.
async fn parts(len: usize, config: ClientConfig) -> (Arc<TestServer>, Source, Vec<u8>) {
    let content = unpackable(len);
    let served = content.clone();
    let server = TestServer::new(move |call| serve(call, &served));
    let (source, _) = source_with(&server, len, config).await;
    let source = source.without_hashes();
    source.read(0, 16).await.unwrap();
    (server, source, content)
}

/// A part comes in while another connection is in the middle of its own: they are opened side by side.
#[tokio::test(start_paused = true)]
async fn parts_of_two_connections_are_opened_together() {
    let (_server, source, content) = parts(2 << 20, config()).await;
    // Both connections are made, and the way is known.
    let (one, other) = tokio::join!(source.read(0, 16), source.read(1 << 20, 16));
    assert!(one.is_ok() && other.is_ok());
    let opener = Arc::clone(source.inner.client.opener());
    let before = opener.together();
    let (one, other) = tokio::join!(source.read(0, 1 << 20), source.read(1 << 20, 1 << 20));
    assert!([one.unwrap(), other.unwrap()].concat() == content);
    assert_eq!(opener.together() - before, 2);
}

/// What is there is not lost if the others do not come, nor if the connection ends while they are waited for.
#[tokio::test(start_paused = true)]
async fn a_part_that_waits_for_others_comes_to_its_owner() {
    let (server, source, content) = parts(1 << 20, config()).await;
    let opener = source.inner.client.opener();
    let _never = opener.arriving();
    let begun = tokio::time::Instant::now();
    assert!(source.read(0, 1 << 20).await.unwrap() == content);
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(10) && waited < Duration::from_millis(30), "{waited:?}");

    let (asked, dials) = (server.count::<GetFile>(), server.dials());
    let cut = async {
        until(|| opener.waiting() > 0).await;
        server.cut();
    };
    let (read, ()) = tokio::join!(source.read(0, 1 << 20), cut);
    assert!(read.unwrap() == content);
    assert_eq!((server.count::<GetFile>(), server.dials()), (asked + 1, dials), "it was there: nobody asked for it again");
}

/// What is there when its time is over was in time.
#[tokio::test(start_paused = true)]
async fn a_part_that_waits_for_others_is_not_late() {
    let hasty = ClientConfig { request_timeout: Duration::from_millis(2), ..config() };
    let (server, source, content) = parts(1 << 20, hasty).await;
    let (asked, _never) = (server.count::<GetFile>(), source.inner.client.opener().arriving());
    let begun = tokio::time::Instant::now();
    assert!(source.read(0, 1 << 20).await.unwrap() == content);
    assert_eq!(server.count::<GetFile>(), asked + 1);
    assert!((2..20).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn any_range_comes_and_is_checked() {
    let content = content(2_500_000);
    let served = content.clone();
    let server = TestServer::new(move |call| match call.method {
        GetFile::ID => serve(call, &served),
        GetFileHashes::ID => Reply::of(&hashes(&served, request::<GetFileHashes>(call).offset)),
        _ => Reply::Error(400, "METHOD_INVALID"),
    });
    let (source, _) = source(&server, content.len()).await;
    assert_eq!(all(&source).await.unwrap(), content);
    assert_eq!(source.verified(), Verified { checked: 2_500_000, unchecked: 0 });
    assert_eq!(server.count::<GetFile>(), 3);
    assert!(server.count::<GetFileHashes>() <= 3);
    for (offset, len) in [(0, 1), (5, 100), (131_071, 2), (1_000_000, 48_576), (2_499_999, 1)] {
        let read = source.read(offset, len).await.unwrap();
        assert_eq!(read, content[offset as usize..][..len as usize]);
    }
    for (offset, len) in [(0, 0), (1_048_575, 2), (2_499_999, 2), (2_500_000, 1), (u64::MAX, 1), (0, u32::MAX)] {
        assert!(matches!(source.read(offset, len).await, Err(TransferError::Range { .. })), "{offset} {len}");
    }
    let mut streamed = Vec::new();
    let mut stream = std::pin::pin!(source.stream(1000..9_000_000, 3));
    while let Some(piece) = stream.next().await {
        streamed.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(streamed, content[1000..]);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_hashes_is_read_unchecked_and_that_is_said() {
    for refuses in [true, false] {
        let content = content(300_000);
        let served = content.clone();
        let server = TestServer::new(move |call| match call.method {
            GetFile::ID => serve(call, &served),
            _ if refuses => Reply::Error(400, "LOCATION_INVALID"),
            _ => Reply::of(&Vec::<enums::FileHash>::new()),
        });
        let (source, _) = source(&server, content.len()).await;
        assert_eq!(all(&source).await.unwrap(), content);
        assert_eq!(source.verified(), Verified { checked: 0, unchecked: 300_000 });
        assert!(!source.verified().is_whole());
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_byte_is_fetched_again_and_given_up_in_the_end() {
    for wrong in [1, 2, usize::MAX] {
        let content = content(300_000);
        let served = content.clone();
        let server = TestServer::new(move |call| match call.method {
            GetFile::ID if call.nth < wrong => {
                let mut bad = served.clone();
                bad[200_000] ^= 1;
                serve(call, &bad)
            }
            GetFile::ID => serve(call, &served),
            _ => Reply::of(&hashes(&served, 0)),
        });
        let (source, _) = source(&server, content.len()).await;
        match all(&source).await {
            Ok(read) => assert_eq!((read == content, server.count::<GetFile>()), (true, wrong + 1)),
            Err(TransferError::HashMismatch { offset: 131_072 }) => assert_eq!(server.count::<GetFile>(), 3),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_hash_is_asked_for_again_as_well() {
    let content = content(300_000);
    let served = content.clone();
    let server = TestServer::new(move |call| match call.method {
        GetFile::ID => serve(call, &served),
        _ if call.nth == 0 => Reply::of(&hashes(&vec![7; served.len()], 0)),
        _ => Reply::of(&hashes(&served, 0)),
    });
    let (source, _) = source(&server, content.len()).await;
    assert_eq!(all(&source).await.unwrap(), content);
    assert_eq!((server.count::<GetFile>(), server.count::<GetFileHashes>()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_part_of_another_length_is_refused() {
    for (by, got) in [(-1_i64, 999), (1, 1001)] {
        let server = TestServer::new(move |call| match call.method {
            GetFile::ID => file(Bytes::from(vec![0; usize::try_from(1000 + by).unwrap()])),
            _ => Reply::Error(400, "LOCATION_INVALID"),
        });
        let (source, _) = source(&server, 1000).await;
        let error = source.read(0, 1000).await.unwrap_err();
        assert!(matches!(error, TransferError::PartLength { offset: 0, expected: 1000, got: g } if g == got), "{error:?}");
        assert_eq!(server.count::<GetFile>(), 3, "it was given a chance");
    }
}

/// What says nothing about the hashes leaves them alone.
#[tokio::test(start_paused = true)]
async fn a_part_of_another_length_costs_no_hash() {
    let content = content(300_000);
    let served = content.clone();
    let server = TestServer::new(move |call| match call.method {
        GetFile::ID if call.nth == 0 => serve(call, &served[..1000]),
        GetFile::ID => serve(call, &served),
        _ => Reply::of(&hashes(&served, 0)),
    });
    let (source, _) = source(&server, content.len()).await;
    assert!(all(&source).await.unwrap() == content && source.verified().is_whole());
    assert_eq!((server.count::<GetFile>(), server.count::<GetFileHashes>()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_file_is_followed_to_its_dc_once() {
    let content = content(3 << 20);
    let served = content.clone();
    let server = TestServer::new(move |call| match call.method {
        _ if call.dc == 2 => Reply::Error(303, "FILE_MIGRATE_3"),
        GetFile::ID => serve(call, &served),
        _ => Reply::Error(400, "LOCATION_INVALID"),
    });
    let (source, _) = source(&server, content.len()).await;
    assert_eq!(all(&source).await.unwrap(), content);
    let astray = server.calls().iter().filter(|call| call.dc == 2).count();
    assert!(astray <= 2, "the range and its hashes, and nothing after: {astray}");
}

#[tokio::test(start_paused = true)]
async fn dcs_that_send_the_file_to_and_fro_are_left() {
    let server = TestServer::new(|call| Reply::Error(303, if call.dc == 2 { "FILE_MIGRATE_3" } else { "FILE_MIGRATE_2" }));
    let (source, _) = source(&server, 1000).await;
    assert!(matches!(source.read(0, 1000).await, Err(TransferError::RedirectLoop { .. })));
}

#[tokio::test(start_paused = true)]
async fn one_renewal_of_the_reference_serves_all_that_wait_for_it() {
    for error in ["FILE_REFERENCE_EXPIRED", "FILE_REFERENCE_INVALID", "FILE_REFERENCE_3_EXPIRED"] {
        let content = content(4 << 20);
        let served = content.clone();
        let server = TestServer::new(move |call| match call.method {
            GetFile::ID if reference(&request::<GetFile>(call).location) != "fresh" => Reply::Error(400, error),
            GetFile::ID => serve(call, &served),
            _ if reference(&request::<GetFileHashes>(call).location) != "fresh" => Reply::Error(400, error),
            _ => Reply::of(&hashes(&served, request::<GetFileHashes>(call).offset)),
        });
        let (source, refreshed) = source(&server, content.len()).await;
        let reads = (0..4).map(|n| source.read(n << 20, 1 << 20));
        let parts = futures_util::future::try_join_all(reads).await.unwrap();
        assert_eq!(parts.concat(), content);
        assert_eq!(refreshed.load(Ordering::Relaxed), 1);
        assert!(source.verified().is_whole(), "hashes are asked for again as well");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reference_that_never_gets_better_is_given_up() {
    let server = TestServer::new(|_| Reply::Error(400, "FILE_REFERENCE_EXPIRED"));
    let (source, refreshed) = source(&server, 1000).await;
    let error = source.read(0, 1000).await.unwrap_err();
    assert!(matches!(error, TransferError::ReferenceLoop { times: 3, .. }), "{error:?}");
    assert_eq!(refreshed.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_waits_are_borne() {
    let content = content(5 << 20);
    let served = content.clone();
    let server = TestServer::new(move |call| match (call.method, call.nth) {
        (GetFile::ID, 0) => Reply::Error(420, "FLOOD_PREMIUM_WAIT_5"),
        (GetFile::ID, 1) => Reply::Error(-503, "Timeout"),
        (GetFile::ID, 3) => Reply::Silence,
        (GetFile::ID, 4) => Reply::Later(Duration::from_secs(3), {
            let Reply::Body(body) = serve(call, &served) else { panic!("a file") };
            body
        }),
        (GetFile::ID, 5) => {
            let Reply::Body(body) = serve(call, &served) else { panic!("a file") };
            Reply::AnswerAndCut(body)
        }
        (GetFile::ID, _) => serve(call, &served),
        _ => Reply::of(&hashes(&served, request::<GetFileHashes>(call).offset)),
    });
    let (source, _) = source(&server, content.len()).await;
    assert_eq!(all(&source).await.unwrap(), content);
    assert!(source.verified().is_whole());
}

/// A file that a CDN serves, and what is to go wrong.
#[derive(Clone, Default)]
struct Cdn {
    content: Vec<u8>,
    /// Reuploads that it needs before it serves anything.
    reuploads: usize,
    /// What it has served: so many of the first answers are spoilt.
    spoilt: usize,
    /// The hashes are not in the redirect.
    hashes_later: bool,
    /// There are none at all.
    no_hashes: bool,
    /// They are of a byte each, one for each question.
    crumbs: bool,
    /// Its token is not accepted for so many of its first calls.
    stale: usize,
    /// It refuses everything.
    refuses: bool,
    /// It wants a pause before each of so many of its first calls.
    floods: usize,
    /// It answers nothing.
    silent: bool,
    /// It does not answer its calls from this one up to that.
    silent_from: usize,
    silent_to: usize,
    /// Its key is somebody else's.
    no_key: bool,
    /// Answers come short.
    short: bool,
    /// The DC of the file redirects even whoever cannot be redirected.
    always: bool,
}

impl Cdn {
    fn server(self) -> Arc<TestServer> {
        let mut encrypted = self.content.clone();
        let mut iv = IV;
        iv[12..].fill(0);
        Ctr::new(&KEY, &iv).apply(&mut encrypted);
        TestServer::new(move |call| self.answer(call, &encrypted))
    }

    fn answer(&self, call: &Call, encrypted: &[u8]) -> Reply {
        if call.dc == CDN {
            assert_eq!(call.method, GetCdnFile::ID);
            assert!(!call.without_updates, "there are none to leave out");
            let asked: GetCdnFile = request(call);
            assert_eq!(asked.file_token, "token");
            assert!(
                asked.offset % i64::from(asked.limit) == 0 && BLOCK.is_multiple_of(asked.limit as u64),
                "{asked:?}",
                asked = (asked.offset, asked.limit)
            );
            let mut bytes = cut(encrypted, asked.offset, asked.limit).to_vec();
            return match call.nth {
                nth if self.silent || (self.silent_from..self.silent_to).contains(&nth) => Reply::Silence,
                _ if self.refuses => Reply::Error(400, "CDN_METHOD_INVALID"),
                nth if nth < self.floods => Reply::Error(420, "FLOOD_WAIT_1"),
                nth if nth < self.stale => Reply::Error(400, "FILE_TOKEN_INVALID"),
                nth if nth < self.reuploads => Reply::of(&enums::upload::CdnFile::from(types::upload::CdnFileReuploadNeeded {
                    request_token: Bytes::from_static(b"please"),
                })),
                nth => {
                    if nth < self.spoilt {
                        bytes[70_000] ^= 0x80;
                    }
                    if self.short {
                        bytes.pop();
                    }
                    Reply::of(&enums::upload::CdnFile::from(types::upload::CdnFile { bytes: bytes.into() }))
                }
            };
        }
        match call.method {
            GetFile::ID => {
                let asked: GetFile = request(call);
                if !asked.cdn_supported && !self.always {
                    return serve(call, &self.content);
                }
                let later = self.hashes_later || self.no_hashes || self.crumbs;
                Reply::of(&enums::upload::File::from(types::upload::FileCdnRedirect {
                    dc_id: CDN,
                    file_token: Bytes::from_static(b"token"),
                    encryption_key: Bytes::from_static(&KEY),
                    encryption_iv: Bytes::from_static(&IV),
                    file_hashes: if later { Vec::new() } else { hashes(&self.content, asked.offset) },
                }))
            }
            GetFileHashes::ID => Reply::of(&hashes(&self.content, request::<GetFileHashes>(call).offset)),
            GetCdnFileHashes::ID if self.no_hashes => Reply::of(&Vec::<enums::FileHash>::new()),
            GetCdnFileHashes::ID if self.crumbs => {
                let offset = request::<GetCdnFileHashes>(call).offset;
                let hash = Bytes::copy_from_slice(&sha256(&[&cut(&self.content, offset, 1)]));
                Reply::of(&vec![enums::FileHash::from(types::FileHash { offset, limit: 1, hash })])
            }
            GetCdnFileHashes::ID => Reply::of(&hashes(&self.content, request::<GetCdnFileHashes>(call).offset)),
            ReuploadCdnFile::ID => {
                let asked: ReuploadCdnFile = request(call);
                assert_eq!((&*asked.file_token, &*asked.request_token), (&b"token"[..], &b"please"[..]));
                Reply::of(&hashes(&self.content, 0))
            }
            GetCdnConfig::ID => {
                let dc_id = if self.no_key { CDN + 1 } else { CDN };
                let key = types::CdnPublicKey { dc_id, public_key: cdn_key_pem().into() };
                Reply::of(&enums::CdnConfig::from(types::CdnConfig { public_keys: vec![key.into()] }))
            }
            functions::help::GetConfig::ID => {
                let port = 4430 + CDN;
                let option = |cdn, port| {
                    types::DcOption { cdn, id: CDN, ip_address: "127.0.0.1".into(), port, ..Default::default() }.into()
                };
                let config = types::Config { dc_options: vec![option(false, 1), option(true, port)], ..Default::default() };
                Reply::of(&enums::Config::from(config))
            }
            _ => Reply::Error(400, "METHOD_INVALID"),
        }
    }
}

fn cdn_calls(server: &TestServer) -> usize {
    server.calls().iter().filter(|call| call.dc == CDN).count()
}

#[tokio::test(start_paused = true)]
async fn a_cdn_serves_what_only_we_can_read() {
    for (cdn, least) in [
        (Cdn::default(), 3),
        (Cdn { hashes_later: true, ..Cdn::default() }, 3),
        (Cdn { reuploads: 2, ..Cdn::default() }, 5),
        (Cdn { stale: 1, ..Cdn::default() }, 4),
        (Cdn { spoilt: 2, ..Cdn::default() }, 5),
        // That is no silence.
        (Cdn { floods: 4, ..Cdn::default() }, 7),
    ] {
        let content = content(2_300_000);
        let server = Cdn { content: content.clone(), ..cdn }.server();
        let (source, _) = source(&server, content.len()).await;
        assert_eq!(all(&source).await.unwrap(), content);
        assert!(source.verified().is_whole());
        assert_eq!(cdn_calls(&server), least);
        assert_eq!(source.read(2_000_000, 3).await.unwrap(), content[2_000_000..2_000_003]);
        let introduced = server.calls().into_iter().filter(|call| call.dc == CDN && call.introduced.is_some()).count();
        assert!(introduced >= 1, "a connection says who it is");
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_cdn_is_can_be_learnt() {
    let content = content(1000);
    let server = Cdn { content: content.clone(), ..Cdn::default() }.server();
    let (source, _) = source_with(&server, 1000, TestServer::config()).await;
    assert_eq!(all(&source).await.unwrap(), content);
    assert_eq!((cdn_calls(&server), server.count::<functions::help::GetConfig>()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_cdn_that_cannot_be_used_is_done_without() {
    let useless = Cdn::default;
    for cdn in [Cdn { refuses: true, ..useless() }, Cdn { no_key: true, ..useless() }, Cdn { silent: true, ..useless() }] {
        let content = content(1_200_000);
        let (begun, silent) = (tokio::time::Instant::now(), cdn.silent);
        let server = Cdn { content: content.clone(), ..cdn }.server();
        let (source, _) = source(&server, content.len()).await;
        assert_eq!(all(&source).await.unwrap(), content);
        assert!(cdn_calls(&server) <= 1 + usize::from(silent), "it is not asked again");
        assert!(begun.elapsed() < Duration::from_secs(100), "{:?}", begun.elapsed());
    }
}

/// One that falls silent is asked three times, and then not for another file of the run either; one answer that is late is no silence.
#[tokio::test(start_paused = true)]
async fn a_cdn_that_falls_silent_is_done_without_for_the_rest_of_the_run() {
    for (silent_from, silent_to, calls) in [(1, usize::MAX, 4), (1, 2, 4)] {
        let content = content(3 << 20);
        let server = Cdn { content: content.clone(), silent_from, silent_to, ..Cdn::default() }.server();
        let client = server.client(config()).await;
        let flow = Flow::new(Limits::new(4, 2));
        let begun = tokio::time::Instant::now();
        for _ in 0..2 {
            let before = cdn_calls(&server);
            let remote = Remote { dc: DcId(2), location: location(b"old"), size: content.len() as u64 };
            let refresh = || -> Refreshed { Box::pin(async { Ok(location(b"fresh")) }) };
            assert!(all(&Source::new(&client, &flow, &remote, Arc::new(refresh))).await.unwrap() == content);
            let asked = cdn_calls(&server) - before;
            let wanted = if before == 0 {
                calls
            } else if silent_to == usize::MAX {
                0
            } else {
                3
            };
            assert_eq!(asked, wanted, "after {before}");
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_cdn_makes_up_is_not_taken() {
    let read = async |cdn: Cdn| {
        let server = Cdn { content: content(1_200_000), ..cdn }.server();
        let (source, _) = source(&server, 1_200_000).await;
        let error = all(&source).await.unwrap_err();
        assert_eq!(source.verified(), Verified::default(), "nothing was handed out");
        (error, cdn_calls(&server))
    };
    let (error, calls) = read(Cdn { spoilt: usize::MAX, ..Cdn::default() }).await;
    assert!(matches!(error, TransferError::HashMismatch { offset: 0 }), "{error:?}");
    assert_eq!(calls, 3);
    let (error, _) = read(Cdn { no_hashes: true, ..Cdn::default() }).await;
    assert!(matches!(error, TransferError::CdnHashMissing { offset: 0 }), "{error:?}");
    let (error, _) = read(Cdn { crumbs: true, ..Cdn::default() }).await;
    assert!(matches!(error, TransferError::CdnHashMissing { offset: 16 }), "sixteen questions and no more: {error:?}");
    let (error, _) = read(Cdn { short: true, ..Cdn::default() }).await;
    assert!(matches!(error, TransferError::PartLength { offset: 0, got: 1_048_575, .. }), "{error:?}");
    let (error, calls) = read(Cdn { reuploads: usize::MAX, ..Cdn::default() }).await;
    assert!(matches!(error, TransferError::ReuploadLoop), "{error:?}");
    assert_eq!(calls, 4);
    let (error, _) = read(Cdn { stale: usize::MAX, ..Cdn::default() }).await;
    assert!(matches!(error, TransferError::RedirectLoop { dc: DcId(_) }), "{error:?}");
    let (error, _) = read(Cdn { refuses: true, always: true, ..Cdn::default() }).await;
    assert!(matches!(error, TransferError::RedirectLoop { dc: DcId(CDN) }), "{error:?}");
}
