//! A remote file that can be read by ranges, wherever the server keeps it.
//!
//! [`Source::read`] asks for a range at the file's DC, follows `FILE_MIGRATE`, has expired file references renewed, goes to a CDN where the
//! server redirects there (`cdn`), and checks what came against the hashes that the server gives (`hashes`, asked for by `cover`) before
//! anybody sees it. Where it is to be written, a `sink` checks and writes in one piece of work. Waits and stumbles are the [`Lane`]'s. See "Uploading and Downloading Files", "File references" and "Encrypted CDNs for Speed and Security".

mod cdn;
mod cover;
mod hashes;
mod range;
mod sink;
#[cfg(test)]
pub(super) mod tests;

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::sync::watch;

use super::TransferError;
use super::flow::{Direction, Flow, Hold, Lane};
use super::takeout::Takeout;
use crate::client::{Client, InvokeError, Media};
use crate::ids::DcId;
use crate::tl::RemoteCall;
use crate::tl::api::{enums, functions};
use cdn::{CdnFile, FromCdn};
use cover::Asking;
use hashes::{Checked, Hashes, Unchecked};
pub use range::BLOCK;
use range::{Ask, ask, pieces};
pub(super) use sink::Sink;

/// How often in a row a file reference may be renewed without a part arriving in between.
const MAX_REFRESHES: u32 = 3;
/// How often one range may be sent elsewhere: to another DC, to a CDN, back from there.
const MAX_DETOURS: u32 = 6;
/// How often a range is asked for whose hash or length is wrong.
const MAX_SPOILT: u32 = 3;
/// Pieces in which a stream reads.
const PIECE: u64 = 512 << 10;

/// A file on the server.
#[derive(Clone)]
pub struct Remote {
    /// The DC that keeps it.
    pub dc: DcId,
    /// What to ask for.
    pub location: enums::InputFileLocation,
    /// Its length in bytes, as the message says.
    pub size: u64,
}

/// Fetches the message again for a fresh file reference.
pub type Refresh = dyn Fn() -> Refreshed + Send + Sync;
/// The location with a fresh file reference.
pub type Refreshed = Pin<Box<dyn Future<Output = Result<enums::InputFileLocation, TransferError>> + Send>>;

/// How many of the bytes that were read had a hash of the server's, which agreed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Bytes that were checked.
    pub checked: u64,
    /// Bytes for which the server offered no hash.
    pub unchecked: u64,
}

impl Verified {
    /// Whether everything that was read was checked.
    pub fn is_whole(self) -> bool {
        self.unchecked == 0
    }
}

/// A remote file. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Source {
    inner: Arc<Inner>,
    /// What is asked for ahead ends with the last clone.
    _reader: Arc<watch::Sender<()>>,
}

struct Inner {
    client: Client,
    lane: Lane,
    size: u64,
    refresh: Arc<Refresh>,
    place: Mutex<Place>,
    /// Renewals in a row. Locked while one runs: one asks for all.
    refreshing: tokio::sync::Mutex<()>,
    refreshes: AtomicU32,
    hashes: Mutex<Hashes>,
    /// The blocks whose hashes somebody is asking for.
    asking: Arc<Asking>,
    /// Whether anybody is left who may want to read.
    readers: watch::Receiver<()>,
    /// Whether hashes are still asked for.
    hashed: AtomicBool,
    /// The takeout that calls are made in.
    takeout: OnceLock<i64>,
    checked: AtomicU64,
    unchecked: AtomicU64,
}

/// Where the file is, as far as is known.
#[derive(Clone)]
struct Place {
    media: Media,
    location: enums::InputFileLocation,
    /// Counts renewals of the file reference.
    generation: u32,
    cdn: Option<Arc<CdnFile>>,
    /// Whether the server may redirect to a CDN: not after one could not be reached.
    cdn_allowed: bool,
}

/// Changes are single assignments.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source {
    /// A file that is read over `client`'s transfer connections in turn with the other files of `flow`. `refresh` fetches whatever refers
    /// to the file again when the server says that the file reference has expired.
    pub fn new(client: &Client, flow: &Flow, remote: &Remote, refresh: Arc<Refresh>) -> Self {
        let place = Place {
            media: client.media(remote.dc),
            location: remote.location.clone(),
            generation: 0,
            cdn: None,
            cdn_allowed: true,
        };
        let (reader, readers) = watch::channel(());
        let inner = Inner {
            client: client.clone(),
            lane: flow.lane(),
            size: remote.size,
            refresh,
            place: Mutex::new(place),
            refreshing: tokio::sync::Mutex::default(),
            refreshes: AtomicU32::new(0),
            hashes: Mutex::default(),
            asking: Arc::default(),
            readers,
            hashed: AtomicBool::new(true),
            takeout: OnceLock::new(),
            checked: AtomicU64::new(0),
            unchecked: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner), _reader: Arc::new(reader) }
    }

    /// Asks for no hashes but those without which a CDN cannot be trusted.
    #[must_use]
    pub fn without_hashes(self) -> Self {
        self.inner.hashed.store(false, Ordering::Relaxed);
        self
    }

    /// Asks the file's DC in a takeout; the first that is named counts. A CDN knows no accounts, and so no takeouts.
    #[must_use]
    pub fn in_takeout(self, takeout: &Takeout) -> Self {
        self.inner.takeout.get_or_init(|| takeout.id());
        self
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// How much of what was read so far was checked.
    pub fn verified(&self) -> Verified {
        let inner = &self.inner;
        Verified { checked: inner.checked.load(Ordering::Relaxed), unchecked: inner.unchecked.load(Ordering::Relaxed) }
    }

    /// Reads `len` bytes at `offset`, which must lie in one [`BLOCK`]: a part of the file. They are slices of the buffer that was
    /// received, and count against the flow's memory until they are dropped. May be dropped at any time.
    ///
    /// # Errors
    ///
    /// [`TransferError::Range`] for what cannot be asked for at once; otherwise whatever stands in the way in the end.
    pub async fn read(&self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let (asked, within) = self.ask(offset, len)?;
        let check = |came: Unchecked| async move { came.check() };
        Ok(self.inner.fetch(asked, check).await?.slice(within))
    }

    /// Reads as [`Self::read`] does, and has `then` do something with the bytes on one of the disk's threads.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], and what `then` fails with.
    pub(super) async fn bring<T: Send + 'static>(
        &self,
        (offset, len): (u64, u32),
        sink: &Sink,
        then: impl Fn(&[u8]) -> Result<T, TransferError> + Clone + Send + 'static,
    ) -> Result<T, TransferError> {
        let (asked, within) = self.ask(offset, len)?;
        let take = |came: Unchecked| {
            let (then, within) = (then.clone(), within.clone());
            sink.take(came, move |bytes: &[u8]| {
                // As long as was asked for, or it would not have come so far.
                let wrong = TransferError::PartLength { offset: asked.offset, expected: asked.len, got: bytes.len() };
                then(bytes.get(within).ok_or(wrong)?)
            })
        };
        self.inner.fetch(asked, take).await
    }

    /// What has to be asked for to get a range, and where in that it is.
    fn ask(&self, offset: u64, len: u32) -> Result<(Ask, Range<usize>), TransferError> {
        let asked = ask(offset, len, self.inner.size).ok_or(TransferError::Range { offset, len: len.into() })?;
        let from = usize::try_from(offset - asked.offset).unwrap_or(usize::MAX);
        Ok((asked, from..from.saturating_add(len as usize)))
    }

    /// Whether `bytes`, from an earlier run, are what the file has at `offset`: only the hashes that the server gives can say so. Without
    /// them nobody knows, and the answer is no.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub async fn agrees(&self, offset: u64, bytes: &[u8]) -> Result<bool, TransferError> {
        let range = TransferError::Range { offset, len: bytes.len() as u64 };
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let asked = ask(offset, len, self.inner.size).ok_or(range)?;
        if (asked.offset, asked.len) != (offset, len) {
            return Ok(false);
        }
        let place = lock(&self.inner.place).clone();
        let expected = self.inner.cover(&place, asked).await?;
        Ok(expected.check(bytes) == Checked::Good(len.into()))
    }

    /// Reads any range in order, a few pieces ahead of whoever takes them (at least one). The range is cut off at the end of the file.
    pub fn stream(&self, range: Range<u64>, ahead: usize) -> impl Stream<Item = Result<Bytes, TransferError>> + Send + 'static {
        let range = range.start..range.end.min(self.inner.size);
        let source = self.clone();
        let read = move |(offset, len)| -> Pin<Box<dyn Future<Output = Result<Bytes, TransferError>> + Send>> {
            let source = source.clone();
            Box::pin(async move { source.read(offset, len).await })
        };
        stream::iter(pieces(range, PIECE)).map(read).buffered(ahead.max(1))
    }
}

/// What an answer means for where to go on.
enum Detour {
    /// Elsewhere: ask again.
    Taken(DcId),
    /// It is no detour.
    None(TransferError),
}

impl Inner {
    /// A range, wherever it is, given to `take`, which has to check it and says how many of its bytes have a hash.
    async fn fetch<T, F>(self: &Arc<Self>, asked: Ask, take: impl Fn(Unchecked) -> F) -> Result<T, TransferError>
    where
        F: Future<Output = Result<(T, u64), TransferError>>,
    {
        let (mut spoilt, mut detours) = (0, 0);
        loop {
            let place = lock(&self.place).clone();
            let came = match &place.cdn {
                Some(file) => match self.by_cdn(file, &place.media, asked).await? {
                    FromCdn::Came(came) => Ok(came),
                    FromCdn::Back { allowed } => {
                        let mut now = lock(&self.place);
                        // Another range may have found a new way meanwhile.
                        if now.cdn.as_ref().is_some_and(|cdn| Arc::ptr_eq(cdn, file)) {
                            now.cdn = None;
                            now.cdn_allowed = allowed;
                        }
                        Err(place.media.dc())
                    }
                },
                None => self.by_origin(&place, asked).await?,
            };
            let came = match came {
                Ok(came) => came,
                Err(dc) => {
                    detours += 1;
                    if detours > MAX_DETOURS {
                        return Err(TransferError::RedirectLoop { dc });
                    }
                    continue;
                }
            };
            match take(came).await {
                Ok((taken, checked)) => {
                    self.arrived(asked, checked);
                    return Ok(taken);
                }
                Err(error @ (TransferError::HashMismatch { .. } | TransferError::PartLength { .. })) => {
                    if matches!(error, TransferError::HashMismatch { .. }) {
                        // Nobody knows whether it is the bytes or a hash: both have to be asked for again.
                        match &place.cdn {
                            Some(file) => lock(&file.hashes).forget(asked),
                            None => lock(&self.hashes).forget(asked),
                        }
                    }
                    spoilt += 1;
                    if spoilt >= MAX_SPOILT {
                        return Err(error);
                    }
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Notes that a range has come, `checked` bytes of it with a hash.
    fn arrived(&self, asked: Ask, checked: u64) {
        let len = u64::from(asked.len);
        self.checked.fetch_add(checked.min(len), Ordering::Relaxed);
        self.unchecked.fetch_add(len.saturating_sub(checked), Ordering::Relaxed);
        self.refreshes.store(0, Ordering::Relaxed);
    }

    /// A range and its hashes, from the DC that keeps the file. `Err` in the result: the range is to be had there.
    async fn by_origin(self: &Arc<Self>, place: &Place, asked: Ask) -> Result<Result<Unchecked, DcId>, TransferError> {
        let fetched = async {
            let request = |place: &Place| functions::upload::GetFile {
                precise: asked.precise,
                cdn_supported: place.cdn_allowed,
                location: place.location.clone(),
                offset: i64::try_from(asked.offset).unwrap_or(i64::MAX),
                limit: asked.limit.cast_signed(),
            };
            self.ask(place, asked.len.into(), request).await
        };
        let hashed = async {
            self.cover_ahead(place, asked);
            self.cover(place, asked).await
        };
        let (fetched, hashed) = futures_util::join!(fetched, hashed);
        let expected = hashed?;
        let (answer, hold) = match fetched? {
            Ok(answer) => answer,
            Err(dc) => return Ok(Err(dc)),
        };
        match answer {
            enums::upload::File::File(file) => {
                Ok(Ok(Unchecked { bytes: hold.with(file.bytes), asked, expected, wholly: false }))
            }
            enums::upload::File::CdnRedirect(redirect) => {
                let file = CdnFile::new(&redirect, self.size)?;
                let dc = file.dc();
                let mut now = lock(&self.place);
                // Not allowed any more means that one could not be used: then this is a loop, which the caller counts.
                if now.cdn.is_none() && now.cdn_allowed {
                    now.cdn = Some(Arc::new(file));
                }
                Ok(Err(dc))
            }
        }
    }

    /// One question about the file in its lane. `Err` in the result: it has to be asked elsewhere, or with another reference.
    async fn ask<R: RemoteCall>(
        &self,
        place: &Place,
        bytes: u64,
        request: impl Fn(&Place) -> R,
    ) -> Result<Result<(R::Return, Hold), DcId>, TransferError> {
        let (request, media) = (&request(place), &place.media);
        match self.lane.part(media.dc(), Direction::Down, bytes, || self.once(media, request)).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => match self.detour(place, error).await? {
                Detour::Taken(dc) => Ok(Err(dc)),
                Detour::None(error) => Err(error),
            },
        }
    }

    /// One call, in the takeout if there is one.
    async fn once<R: RemoteCall>(&self, media: &Media, request: &R) -> Result<R::Return, TransferError> {
        let answer = match self.takeout.get() {
            Some(takeout) => media.once_in_takeout(*takeout, request).await,
            None => media.once(request).await,
        };
        Ok(answer?)
    }

    /// What an error means for where the file is.
    async fn detour(&self, place: &Place, error: TransferError) -> Result<Detour, TransferError> {
        let TransferError::Invoke(error) = error else { return Ok(Detour::None(error)) };
        if let Some(media) = place.media.follow(&error)? {
            let dc = media.dc();
            let mut now = lock(&self.place);
            if now.media.dc() == place.media.dc() {
                now.media = media;
            }
            return Ok(Detour::Taken(dc));
        }
        let InvokeError::Rpc(rpc) = &error else { return Ok(Detour::None(error.into())) };
        // "File references": expired, invalid, or missing.
        if !rpc.name.starts_with("FILE_REFERENCE") {
            return Ok(Detour::None(error.into()));
        }
        let reason = rpc.message.clone();
        let _one = self.refreshing.lock().await;
        if lock(&self.place).generation == place.generation {
            let times = self.refreshes.fetch_add(1, Ordering::Relaxed);
            if times >= MAX_REFRESHES {
                return Err(TransferError::ReferenceLoop { times, reason });
            }
            let fresh = (self.refresh)().await?;
            let mut now = lock(&self.place);
            now.location = fresh;
            now.generation += 1;
        }
        Ok(Detour::Taken(place.media.dc()))
    }
}
