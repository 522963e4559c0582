//! The body of an answer: stretches of a file, read as fast as the client takes them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::budget::Share;
use super::range::ByteRange;
use super::source::{BoxFuture, RangeSource, SourceError};

/// Reads begin and end at multiples of this, except at the ends of what is asked for.
pub(super) const PART: u32 = 512 * 1024;

/// A piece of an answer.
pub(super) enum Piece {
    /// These bytes: the head of a range among several.
    Bytes(Bytes),
    /// Bytes of the file.
    Range(ByteRange),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Range(range) => range.len(),
        }
    }
}

/// What came of a read: bytes, and whether they are of the file.
type Read = Result<(Bytes, bool), SourceError>;

/// A read that goes on while nobody asks for it: it has its turn among all reads, and a client that takes nothing must not keep that turn
/// from others. Ends when dropped.
struct Reading(JoinHandle<Read>);

impl Reading {
    fn begin(read: impl Future<Output = Read> + Send + 'static) -> Self {
        Self(tokio::spawn(read))
    }
}

impl Future for Reading {
    type Output = Read;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Read> {
        let read = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(read.unwrap_or_else(|ended| Err(SourceError::Failed(ended.to_string()))))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Pieces on their way. Dropping it ends the reads that are under way.
pub(super) struct FileBody {
    source: Arc<dyn RangeSource>,
    share: Share,
    /// What is not asked for yet.
    pieces: VecDeque<Piece>,
    /// What is asked for, in order.
    reads: FuturesOrdered<BoxFuture<'static, Read>>,
    /// What has come before anybody wanted it.
    ahead: VecDeque<Bytes>,
    left: u64,
}

impl FileBody {
    pub(super) fn new(source: Arc<dyn RangeSource>, share: Share, pieces: Vec<Piece>) -> Self {
        let left = pieces.iter().map(Piece::len).sum();
        Self { source, share, pieces: pieces.into(), reads: FuturesOrdered::new(), ahead: VecDeque::new(), left }
    }

    /// How many bytes are still to come.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Waits for the first bytes of the file, so that a file that cannot be read is known before the head of the answer is sent.
    pub(super) async fn begin(&mut self) -> Result<(), SourceError> {
        loop {
            match poll_fn(|cx| self.poll_read(cx)).await {
                None => return Ok(()),
                Some(read) => {
                    let (bytes, of_the_file) = read?;
                    self.ahead.push_back(bytes);
                    if of_the_file {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Asks for as much as there is room for.
    fn fill(&mut self) {
        while let Some(piece) = self.pieces.front_mut() {
            let read: BoxFuture<'static, Read> = match piece {
                Piece::Bytes(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.pieces.pop_front();
                    Box::pin(async move { Ok((bytes, false)) })
                }
                Piece::Range(range) => {
                    let Some(room) = self.share.room() else { return };
                    let part = u64::from(PART);
                    let end = ((range.start / part + 1) * part).min(range.end);
                    let len = u32::try_from(end - range.start).unwrap_or(PART);
                    let reading = self.source.read(range.start, len);
                    range.start = end;
                    if range.is_empty() {
                        self.pieces.pop_front();
                    }
                    Box::pin(Reading::begin(async move {
                        let bytes = reading.await?;
                        // Never padded, never cut: a client that counts bytes must be able to rely on them.
                        if bytes.len() != len as usize {
                            return Err(SourceError::Length { expected: len, got: bytes.len() });
                        }
                        Ok((room.hold(bytes), true))
                    }))
                }
            };
            self.reads.push_back(read);
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Read>> {
        // Before looking for room: what is given back in between must wake us.
        self.share.register(cx.waker());
        self.fill();
        match self.reads.poll_next_unpin(cx) {
            // There is more, but no room for it: what was handed out earlier is not with the client yet.
            Poll::Ready(None) if !self.pieces.is_empty() => Poll::Pending,
            other => other,
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        let bytes = match self.ahead.pop_front() {
            Some(bytes) => bytes,
            None => match ready!(self.poll_read(cx)) {
                None => return Poll::Ready(None),
                Some(Ok((bytes, _))) => bytes,
                Some(Err(error)) => {
                    self.pieces.clear();
                    self.reads = FuturesOrdered::new();
                    return Poll::Ready(Some(Err(error)));
                }
            },
        };
        self.left -= bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::super::source::MemorySource;
    use super::*;

    fn body(size: usize, budget: &Budget, ranges: &[(u64, u64)]) -> (Bytes, FileBody) {
        let bytes: Bytes = (0..size).map(|i| (i * 31 % 251) as u8).collect();
        let pieces = ranges.iter().map(|(start, end)| Piece::Range(ByteRange { start: *start, end: *end })).collect();
        let body = FileBody::new(Arc::new(MemorySource(bytes.clone())), budget.share(), pieces);
        (bytes, body)
    }

    async fn next(body: &mut FileBody) -> Option<Result<Bytes, SourceError>> {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        Some(frame.map(|f| f.into_data().unwrap_or_else(|_| panic!("trailers"))))
    }

    #[tokio::test]
    async fn the_bytes_of_every_range_come_in_order_around_every_boundary() {
        let part = u64::from(PART);
        let size = 3 * part + 5;
        for ranges in [
            vec![(0, size)],
            vec![(part - 1, part + 1)],
            vec![(part, 2 * part)],
            vec![(1, 2)],
            vec![(2 * part, size), (0, 1), (part - 1, part)],
        ] {
            let (bytes, mut body) = body(size as usize, &Budget::new(2, 1), &ranges);
            let mut got = Vec::new();
            body.begin().await.unwrap();
            while let Some(chunk) = next(&mut body).await {
                got.extend_from_slice(&chunk.unwrap());
            }
            let want: Vec<u8> = ranges.iter().flat_map(|(s, e)| bytes[*s as usize..*e as usize].to_vec()).collect();
            assert!(got == want, "{ranges:?}");
            assert!(body.is_end_stream() && body.left() == 0);
        }
    }

    #[tokio::test]
    async fn no_more_is_read_than_there_is_room_for() {
        let budget = Budget::new(2, 1);
        let (_, mut body) = body(5 * PART as usize, &budget, &[(0, 5 * u64::from(PART))]);
        let first = next(&mut body).await.unwrap().unwrap();
        let second = next(&mut body).await.unwrap().unwrap();
        let mut third = Box::pin(next(&mut body));
        assert!(futures_util::poll!(&mut third).is_pending(), "both parts are still held");
        drop(first);
        assert!(third.await.is_some());
        drop(second);
    }

    /// Takes a while for all but the first part, and tells when it has read one.
    struct Telling(MemorySource, Arc<tokio::sync::Notify>);

    impl RangeSource for Telling {
        fn size(&self) -> u64 {
            self.0.size()
        }

        fn read(&self, offset: u64, len: u32) -> BoxFuture<'static, Result<Bytes, SourceError>> {
            let (read, told) = (self.0.read(offset, len), Arc::clone(&self.1));
            Box::pin(async move {
                if offset > 0 {
                    tokio::task::yield_now().await;
                    told.notify_one();
                }
                read.await
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_ahead_comes_to_its_end_while_the_client_takes_nothing() {
        let told = Arc::new(tokio::sync::Notify::new());
        let content = MemorySource(Bytes::from(vec![1; 2 * PART as usize]));
        let pieces = vec![Piece::Range(ByteRange { start: 0, end: 2 * u64::from(PART) })];
        let mut body = FileBody::new(Arc::new(Telling(content, Arc::clone(&told))), Budget::new(2, 1).share(), pieces);
        body.begin().await.unwrap();
        // Nobody asks the body from here on.
        tokio::time::timeout(std::time::Duration::from_secs(60), told.notified()).await.expect("the second part is read");
        drop(body);
    }

    /// Answers with one byte too few.
    struct Short(MemorySource);

    impl RangeSource for Short {
        fn size(&self) -> u64 {
            self.0.size()
        }

        fn read(&self, offset: u64, len: u32) -> BoxFuture<'static, Result<Bytes, SourceError>> {
            self.0.read(offset, len - 1)
        }
    }

    #[tokio::test]
    async fn a_short_answer_is_an_error_and_not_filled_up() {
        let source = Arc::new(Short(MemorySource(Bytes::from(vec![1; 100]))));
        let pieces = vec![Piece::Range(ByteRange { start: 0, end: 100 })];
        let mut body = FileBody::new(source, Budget::new(1, 0).share(), pieces);
        assert!(matches!(body.begin().await, Err(SourceError::Length { expected: 100, got: 99 })));
    }
}
