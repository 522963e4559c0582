//! Asking for hashes: each block's once, and those of the blocks behind it where one is read after the other.
//!
//! A server gives the hashes of a block of a file in one answer. Asked for one by one they would be half of all calls that a download makes;
//! so when those that are known come to their end, the next blocks' are asked for together, in one packet, while parts are on their way.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::hashes::Expected;
use super::range::{Ask, BLOCK};
use super::{Inner, MAX_DETOURS, Place, lock};
use crate::client::{InvokeError, Media};
use crate::tl::api::{enums, functions};
use crate::transfer::TransferError;
use crate::transfer::flow::Direction;

/// Blocks behind the one that is read whose hashes are asked for together.
const AHEAD: u64 = 8;

/// How often the hashes of one range are asked for that a server gives piece by piece; what is left then counts as having none. A block is
/// eight pieces as servers cut them.
pub(super) const MAX_QUESTIONS: u32 = 16;

/// The blocks whose hashes somebody is asking for, by number: whoever needs them waits.
#[derive(Default)]
pub(super) struct Asking {
    blocks: Mutex<Vec<Range<u64>>>,
    /// The first block that may be asked for ahead: some of those before it were, and did not come.
    ahead_from: AtomicU64,
    /// Hashes have come, or somebody has stopped asking.
    news: Notify,
}

/// Somebody is asking for the hashes of these blocks, until this is dropped.
struct Claim {
    asking: Arc<Asking>,
    blocks: Range<u64>,
}

impl Asking {
    /// The blocks from the first of `blocks` on for which nobody asks yet; none if somebody asks for the first.
    fn claim(self: &Arc<Self>, blocks: Range<u64>) -> Option<Claim> {
        let mut asked = lock(&self.blocks);
        let is_asked = |block| asked.iter().any(|others: &Range<u64>| others.contains(&block));
        let end = blocks.clone().find(|block| is_asked(*block)).unwrap_or(blocks.end);
        let blocks = blocks.start..end;
        if blocks.is_empty() {
            return None;
        }
        asked.push(blocks.clone());
        Some(Claim { asking: Arc::clone(self), blocks })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut asked = lock(&self.asking.blocks);
        if let Some(at) = asked.iter().position(|blocks| *blocks == self.blocks) {
            asked.swap_remove(at);
        }
        drop(asked);
        self.asking.news.notify_waiters();
    }
}

impl Inner {
    /// The hashes of a range, all that the server has; fewer if it is not asked any more, or gives less at a time than it could.
    pub(super) async fn cover(&self, place: &Place, asked: Ask) -> Result<Expected, TransferError> {
        let (mut place, mut detours, mut questions) = (place.clone(), 0, 0);
        loop {
            let mut news = std::pin::pin!(self.asking.news.notified());
            news.as_mut().enable();
            let gap = {
                // Together, so that nobody forgets in between what was just there.
                let mut hashes = lock(&self.hashes);
                match hashes.gap(asked.offset, asked.end()) {
                    Some(gap) if questions < MAX_QUESTIONS && self.hashed.load(Ordering::Relaxed) => gap,
                    Some(_) if questions == MAX_QUESTIONS => {
                        hashes.close(asked);
                        return Ok(hashes.within(asked));
                    }
                    _ => return Ok(hashes.within(asked)),
                }
            };
            let block = gap / BLOCK;
            let Some(_claim) = self.asking.claim(block..block + 1) else {
                news.await;
                continue;
            };
            questions += 1;
            match self.ask(&place, 0, |place| hashes_at(place, gap)).await {
                Ok(Ok((hashes, _))) => self.learn(gap, &hashes),
                Ok(Err(dc)) => {
                    detours += 1;
                    if detours > MAX_DETOURS {
                        return Err(TransferError::RedirectLoop { dc });
                    }
                    place = lock(&self.place).clone();
                }
                // Without them, then: whoever asks for the file's bytes has to know that nobody checked them.
                Err(TransferError::Invoke(InvokeError::Rpc(_) | InvokeError::Timeout { .. } | InvokeError::Failed { .. })) => {
                    self.hashed.store(false, Ordering::Relaxed);
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Sees to it that the hashes behind a range are asked for, if those before it are known and the next ones are not: so much is read from
    /// here on. Nobody waits for that, and it ends with whoever may read.
    pub(super) fn cover_ahead(self: &Arc<Self>, place: &Place, asked: Ask) {
        let Some(claim) = self.claim_ahead(asked) else { return };
        let (file, place, mut readers) = (Arc::clone(self), place.clone(), self.readers.clone());
        tokio::spawn(async move {
            let blocks = async {
                // One connection for all.
                let media = place.media.together();
                let asking = claim.blocks.clone().map(|block| file.ask_block(&place, media.clone(), block));
                join_all(asking).await.into_iter().collect::<Result<(), _>>()
            };
            tokio::select! {
                done = file.lane.aside(place.media.dc(), Direction::Down, blocks) => {
                    if done.is_err() || !claim.blocks.clone().all(|block| file.is_known(block)) {
                        // Whoever needs them asks for them, and nobody ahead before he is past them: it would be the same again.
                        file.asking.ahead_from.fetch_max(claim.blocks.end, Ordering::Relaxed);
                    }
                },
                _ = readers.changed() => {}
            }
        });
    }

    fn claim_ahead(&self, asked: Ask) -> Option<Claim> {
        let block = asked.offset / BLOCK;
        let is_sequel = self.is_known(block) || block.checked_sub(1).is_some_and(|before| self.is_known(before));
        let next = block + 1..(block + 1 + AHEAD).min(self.size.div_ceil(BLOCK));
        let is_too_soon = next.start < self.asking.ahead_from.load(Ordering::Relaxed);
        if !self.hashed.load(Ordering::Relaxed) || is_too_soon || !is_sequel || next.is_empty() || self.is_known(next.start) {
            return None;
        }
        self.asking.claim(next)
    }

    /// Whether it is known of each byte of a block which hash it has, or that it has none.
    fn is_known(&self, block: u64) -> bool {
        lock(&self.hashes).gap(block * BLOCK, self.end_of(block)).is_none()
    }

    async fn ask_block(&self, place: &Place, media: Media, block: u64) -> Result<(), TransferError> {
        let gap = lock(&self.hashes).gap(block * BLOCK, self.end_of(block));
        if let Some(gap) = gap {
            self.learn(gap, &self.once(&media, &hashes_at(place, gap)).await?);
        }
        Ok(())
    }

    /// Where a block ends.
    fn end_of(&self, block: u64) -> u64 {
        (block + 1).saturating_mul(BLOCK).min(self.size)
    }

    /// Takes over the answer to a question for the hashes from an offset on.
    fn learn(&self, at: u64, hashes: &[enums::FileHash]) {
        lock(&self.hashes).answer(at, hashes, self.size);
        self.asking.news.notify_waiters();
    }
}

fn hashes_at(place: &Place, offset: u64) -> functions::upload::GetFileHashes {
    functions::upload::GetFileHashes { location: place.location.clone(), offset: i64::try_from(offset).unwrap_or(i64::MAX) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::client::tests::server::{Call, Reply, TestServer};
    use crate::tl::api::types;
    use crate::tl::{Identifiable as _, Serialize as _};
    use crate::transfer::source::Verified;
    use crate::transfer::source::tests::{all, content, hashes, request, serve, source, until};
    use functions::upload::{GetFile, GetFileHashes};

    const MIB: usize = 1 << 20;

    /// A server of `content`, whose answers to questions for hashes `amend` may replace.
    fn server(content: &[u8], amend: impl Fn(&Call, Bytes) -> Reply + Send + 'static) -> Arc<TestServer> {
        let content = content.to_vec();
        TestServer::new(move |call| match call.method {
            GetFile::ID => serve(call, &content),
            _ => amend(call, hashes(&content, request::<GetFileHashes>(call).offset).to_bytes()),
        })
    }

    fn asked(server: &TestServer) -> Vec<i64> {
        let calls = server.calls();
        let of_hashes = calls.iter().filter(|call| call.method == GetFileHashes::ID);
        of_hashes.map(|call| request::<GetFileHashes>(call).offset / BLOCK.cast_signed()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_in_order_has_its_hashes_asked_for_by_eights_in_one_packet() {
        let content = content(19 * MIB + 5);
        let server = server(&content, |_, hashes| Reply::Body(hashes));
        let (source, _) = source(&server, content.len()).await;
        assert!(all(&source).await.unwrap() == content);
        assert!(source.verified().is_whole());
        let mut blocks = asked(&server);
        blocks.sort_unstable();
        assert_eq!(blocks, (0..20).collect::<Vec<_>>(), "each once, and none behind the end");
        let packets: HashSet<_> = server
            .calls()
            .iter()
            .filter(|call| call.method == GetFileHashes::ID)
            .map(|call| (call.session, call.frames))
            .collect();
        assert!(packets.len() <= 5, "{packets:?}: those of 0, of 1, of 2 to 9, of 10 to 17, and the last two");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_here_and_there_has_its_own_asked_for() {
        let content = content(12 * MIB);
        let server = server(&content, |_, hashes| Reply::Body(hashes));
        let (source, _) = source(&server, content.len()).await;
        for block in [9, 4, 11, 1] {
            assert_eq!(source.read(block * BLOCK + 77, 1000).await.unwrap().len(), 1000);
        }
        assert_eq!(asked(&server), [9, 4, 11, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_answer_serves_all_that_read_a_block() {
        let content = content(MIB);
        let server = server(&content, |_, hashes| Reply::Later(Duration::from_millis(100), hashes));
        let (source, _) = source(&server, content.len()).await;
        let pieces = join_all((0..8).map(|piece| source.read(piece << 17, 1 << 17))).await;
        assert!(pieces.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat() == content);
        assert_eq!(asked(&server), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_one_that_is_gone_asks_himself() {
        let content = content(MIB);
        let silent_once = |call: &Call, hashes| if call.nth == 0 { Reply::Silence } else { Reply::Body(hashes) };
        let server = server(&content, silent_once);
        let (source, _) = source(&server, content.len()).await;
        let mut first = Box::pin(source.read(0, 1000));
        tokio::select! {
            biased;
            _ = &mut first => panic!("nobody answers"),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        let second = source.read(1000, 1000);
        let gone = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(first);
        };
        let (second, ()) =
            tokio::time::timeout(Duration::from_secs(3), futures_util::future::join(second, gone)).await.unwrap();
        assert_eq!(second.unwrap(), content[1000..2000]);
        assert_eq!(asked(&server), [0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_ahead_is_asked_for_again_when_it_is_needed() {
        for refused in [Reply::Error(400, "OFFSET_INVALID"), Reply::Error(420, "FLOOD_WAIT_1"), Reply::Silence] {
            let content = content(11 * MIB);
            let refused = Mutex::new(Some(refused));
            let once = move |call: &Call, hashes| match call.nth {
                4 => lock(&refused).take().unwrap_or(Reply::Body(hashes)),
                _ => Reply::Body(hashes),
            };
            let server = server(&content, once);
            let (source, _) = source(&server, content.len()).await;
            assert!(all(&source).await.unwrap() == content);
            assert_eq!(source.verified(), Verified { checked: content.len() as u64, unchecked: 0 });
            let asked = asked(&server);
            assert_eq!(asked.iter().collect::<HashSet<_>>().len(), 11, "{asked:?}");
            assert_eq!(asked.len(), 12, "once more by its reader, and not ahead: {asked:?}");
        }
    }

    /// Where what is asked for ahead fails, whatever the reason, nobody insists on it.
    #[tokio::test(start_paused = true)]
    async fn what_fails_ahead_is_not_tried_at_every_step() {
        let content = content(12 * MIB);
        let (known, read) = (content.clone(), Mutex::new(HashSet::new()));
        let server = TestServer::new(move |call| {
            if call.method == GetFile::ID {
                lock(&read).insert(request::<GetFile>(call).offset);
                return serve(call, &known);
            }
            let offset = request::<GetFileHashes>(call).offset;
            if !lock(&read).contains(&offset) {
                return Reply::Error(500, "TIMEDOUT");
            }
            Reply::of(&hashes(&known, offset))
        });
        let (source, _) = source(&server, content.len()).await;
        assert!(all(&source).await.unwrap() == content && source.verified().is_whole());
        let mut blocks = asked(&server);
        assert_eq!(blocks.len(), 12 + 8 + 2, "each by its reader, and those behind the first and the ninth: {blocks:?}");
        blocks.sort_unstable();
        blocks.dedup();
        assert_eq!(blocks.len(), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_without_hashes_is_asked_for_once() {
        let content = content(MIB);
        let server = server(&content, |_, _| Reply::of(&Vec::<enums::FileHash>::new()));
        let (source, _) = source(&server, content.len()).await;
        for _ in 0..2 {
            let pieces = join_all((0..8).map(|piece| source.read(piece << 17, 1 << 17))).await;
            assert!(pieces.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat() == content);
        }
        assert_eq!(asked(&server), [0]);
        assert_eq!(source.verified(), Verified { checked: 0, unchecked: 2 * MIB as u64 });
    }

    #[tokio::test(start_paused = true)]
    async fn where_hashes_end_each_block_is_asked_for_once() {
        let content = content(14 * MIB);
        // Those of the first four blocks, and of half the fifth.
        let known = content.clone();
        let server = TestServer::new(move |call| match call.method {
            GetFile::ID => serve(call, &known),
            _ => {
                let mut hashes = hashes(&known, request::<GetFileHashes>(call).offset);
                hashes.retain(|enums::FileHash::Hash(hash)| hash.offset < (9 * MIB / 2) as i64);
                Reply::of(&hashes)
            }
        });
        let (source, _) = source(&server, content.len()).await;
        assert!(all(&source).await.unwrap() == content);
        let checked = (9 * MIB / 2) as u64;
        assert_eq!(source.verified(), Verified { checked, unchecked: content.len() as u64 - checked });
        let mut blocks = asked(&server);
        blocks.sort_unstable();
        // The fifth block's, and then those of its second half.
        assert_eq!(blocks, [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    }

    /// A server that gives its hashes in crumbs is asked for some of them, and not for as many as there are bytes.
    #[tokio::test(start_paused = true)]
    async fn hashes_that_come_piece_by_piece_are_asked_for_so_many_times() {
        // Pieces of the size that servers give, one by one; the same of another file, whose hashes are of four bytes each.
        for (piece, questions) in [(1 << 17, 8), (4, u64::from(MAX_QUESTIONS))] {
            let content = content(12 * MIB);
            let known = content.clone();
            let server = TestServer::new(move |call| match call.method {
                GetFile::ID => serve(call, &known),
                _ => {
                    let offset = request::<GetFileHashes>(call).offset;
                    let from = usize::try_from(offset).unwrap();
                    let hash = Bytes::copy_from_slice(&crate::crypto::hash::sha256(&[&known[from..from + piece]]));
                    let limit = i32::try_from(piece).unwrap();
                    Reply::of(&vec![enums::FileHash::from(types::FileHash { offset, limit, hash })])
                }
            });
            let (source, _) = source(&server, content.len()).await;
            assert!(all(&source).await.unwrap() == content);
            let checked = 12 * questions * piece as u64;
            assert!(source.verified().checked >= checked, "{:?}", source.verified());
            assert_eq!(source.verified().checked == content.len() as u64, piece == 1 << 17);
            // One of each that is asked for ahead, at most.
            let times = asked(&server).len() as u64;
            assert!((12 * questions..=12 * questions + 12).contains(&times), "{times}");
            assert!(all(&source).await.unwrap() == content);
            assert_eq!(asked(&server).len() as u64, times, "what was given up is not asked for again");
        }
    }

    /// One reader finds a wrong byte, and has the hash forgotten, while another one's bytes are on their way.
    #[tokio::test(start_paused = true)]
    async fn what_is_forgotten_meanwhile_is_checked_all_the_same() {
        let content = content(MIB);
        let mut wrong = content.clone();
        wrong[70_000] ^= 1;
        let known = content.clone();
        let server = TestServer::new(move |call| {
            let body = |reply| if let Reply::Body(body) = reply { body } else { panic!("a body") };
            match (call.method, call.nth) {
                (GetFile::ID, 0) => Reply::Later(Duration::from_millis(10), body(serve(call, &wrong))),
                (GetFile::ID, 1) => Reply::Later(Duration::from_millis(100), body(serve(call, &wrong))),
                (GetFile::ID, _) => serve(call, &known),
                (_, 0) => Reply::of(&hashes(&known, 0)),
                _ => Reply::Later(Duration::from_millis(300), hashes(&known, 0).to_bytes()),
            }
        });
        let (source, _) = source(&server, content.len()).await;
        let (one, other) = tokio::join!(source.read(0, 1 << 17), source.read(0, 1 << 17));
        assert!(one.unwrap() == content[..1 << 17] && other.unwrap() == content[..1 << 17]);
        assert!(source.verified().is_whole());
        assert_eq!(
            (server.count::<GetFile>(), asked(&server).len()),
            (4, 2),
            "both twice, and the second time both with the same hashes"
        );
    }

    /// What is asked for ahead holds the file no longer than anybody may read it.
    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_ahead_ends_with_the_last_reader() {
        let content = content(12 * MIB);
        let silent = |call: &Call, hashes| if call.nth < 2 { Reply::Body(hashes) } else { Reply::Silence };
        let server = server(&content, silent);
        let (source, _) = source(&server, content.len()).await;
        for block in 0..2 {
            source.read(block * BLOCK, 1000).await.unwrap();
        }
        until(|| asked(&server).len() == 10).await;
        let inner = Arc::downgrade(&source.inner);
        let other = source.clone();
        drop(source);
        tokio::task::yield_now().await;
        assert!(inner.upgrade().is_some(), "somebody may still read");
        drop(other);
        until(|| inner.upgrade().is_none()).await;
    }

    #[test]
    fn a_block_is_asked_for_once_at_a_time() {
        let asking = Arc::<Asking>::default();
        let claim = |blocks: Range<u64>| asking.claim(blocks);
        let first = claim(4..6).expect("nobody asks");
        assert_eq!(first.blocks, 4..6);
        assert!(claim(5..9).is_none() && claim(4..5).is_none());
        let before = claim(1..9).expect("up to the others");
        assert_eq!(before.blocks, 1..4);
        drop(first);
        assert_eq!(claim(4..9).expect("free again").blocks, 4..9);
        assert!(claim(3..9).is_none(), "those before still ask");
        assert!(claim(7..7).is_none());
        drop(before);
        assert!(lock(&asking.blocks).is_empty());
    }
}
