//! The queue against simulated links, and its cover for tasks under stopped time.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};

use super::*;
use crate::client::RpcError;

const PART: u64 = 1 << 20;
const ROAD: Road = (DcId(2), Direction::Down);

/// A line to a server, and what goes wrong on it.
#[derive(Clone, Copy)]
struct Link {
    /// Bytes a second.
    bandwidth: f64,
    round_trip: Duration,
    /// Of a thousand parts, so many are lost: noticed after three round trips.
    lost: u32,
    /// Requests a second that the server bears, and what it imposes beyond.
    bears: Option<(u32, Duration)>,
}

impl Link {
    fn new(bandwidth: f64, round_trip: Duration) -> Self {
        Self { bandwidth, round_trip, lost: 0, bears: None }
    }
}

/// Files of so many parts over one link.
struct World {
    queue: Queue,
    link: Link,
    rng: StdRng,
    start: Instant,
    now: Instant,
    /// When the line has delivered what was asked for.
    busy_until: Instant,
    events: BTreeMap<(Instant, Ticket), End>,
    lanes: Vec<LaneId>,
    /// For each lane, its parts to ask for, their size, and those that came.
    files: Vec<(u32, u64, u32)>,
    who: HashMap<Ticket, usize>,
    /// What to write, and when it will be: a slow disk.
    written: BTreeMap<(Instant, Ticket), (LaneId, u64)>,
    disk: Duration,
    /// Grants in order: when, and of which file.
    granted: Vec<(Duration, usize)>,
    second: (u64, u32),
    paused_until: Option<Instant>,
    waits: u32,
    most_memory: u64,
    bytes: u64,
}

impl World {
    fn new(limits: Limits, link: Link, files: &[(u32, u64)], seed: u64) -> Self {
        let mut queue = Queue::new(limits);
        let now = Instant::now();
        Self {
            lanes: files.iter().map(|_| queue.join()).collect(),
            queue,
            link,
            rng: StdRng::seed_from_u64(seed),
            start: now,
            now,
            busy_until: now,
            events: BTreeMap::new(),
            files: files.iter().map(|(parts, bytes)| (*parts, *bytes, 0)).collect(),
            who: HashMap::new(),
            written: BTreeMap::new(),
            disk: Duration::from_millis(1),
            granted: Vec::new(),
            second: (0, 0),
            paused_until: None,
            waits: 0,
            most_memory: 0,
            bytes: 0,
        }
    }

    fn ask(&mut self, file: usize) {
        let ticket = self.queue.ask(self.lanes[file], ROAD, self.files[file].1);
        self.who.insert(ticket, file);
    }

    /// Runs until everything has come, or the time is over. Returns how long it took.
    fn run(&mut self, at_most: Duration) -> Duration {
        for file in 0..self.files.len() {
            for _ in 0..self.files[file].0 {
                self.ask(file);
            }
        }
        while self.now < self.start + at_most {
            self.grant();
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let written = self.written.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = event.into_iter().chain(written).chain(self.queue.wake_at(self.now)).min() else { break };
            self.now = self.now.max(next);
            while let Some(entry) = self.written.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (lane, bytes) = entry.remove();
                self.queue.free(lane, bytes);
            }
            while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let ((_, ticket), end) = entry.remove_entry();
                self.end(ticket, end);
            }
        }
        self.now - self.start
    }

    fn grant(&mut self) {
        while let Some(ticket) = self.queue.poll(self.now) {
            assert!(self.paused_until.is_none_or(|until| until <= self.now), "a request during a wait");
            let file = self.who[&ticket];
            let since = self.now - self.start;
            self.granted.push((since, file));
            self.most_memory = self.most_memory.max(self.queue.memory());
            let second = since.as_secs();
            self.second = if self.second.0 == second { (second, self.second.1 + 1) } else { (second, 1) };
            let half = self.link.round_trip / 2;
            let (at, end) = match self.link.bears {
                Some((most, wait)) if self.second.1 > most => (self.now + self.link.round_trip, End::Flooded(wait)),
                _ if self.rng.random_range(0..1000) < self.link.lost => (self.now + self.link.round_trip * 3, End::Stumbled),
                _ => {
                    let takes = Duration::from_secs_f64(self.files[file].1 as f64 / self.link.bandwidth);
                    self.busy_until = self.busy_until.max(self.now + half) + takes;
                    (self.busy_until + half, End::Done)
                }
            };
            self.events.insert((at, ticket), end);
        }
    }

    fn end(&mut self, ticket: Ticket, end: End) {
        let file = self.who[&ticket];
        let news = self.queue.end(self.now, ticket, end);
        match end {
            End::Done => {
                self.files[file].2 += 1;
                self.bytes += self.files[file].1;
                self.written.insert((self.now + self.disk, ticket), (self.lanes[file], self.files[file].1));
            }
            End::Flooded(wait) => {
                self.waits += u32::from(news.is_some());
                self.paused_until = self.paused_until.max(Some(self.now + wait));
                self.ask(file);
            }
            _ => self.ask(file),
        }
    }

    fn is_done(&self) -> bool {
        self.files.iter().all(|(parts, _, came)| parts == came)
    }

    fn window(&self) -> u64 {
        self.queue.window(ROAD).unwrap().0
    }
}

fn limits() -> Limits {
    Limits::new(16, 4)
}

#[test]
fn a_long_fat_line_is_filled() {
    // 80 MB/s at 200 ms: sixteen parts have to be on their way.
    let link = Link::new(80e6, Duration::from_millis(200));
    let mut world = World::new(limits(), link, &[(1000, PART), (1000, PART)], 1);
    world.run(Duration::from_secs(60));
    let rate = world.bytes as f64 / (world.now - world.start).as_secs_f64();
    assert!(rate > 0.75 * link.bandwidth, "{rate} of {} with a window of {}", link.bandwidth, world.window());
    assert!(world.window() > 14 * PART, "{}", world.window());
}

#[test]
fn a_thin_line_is_not_filled_with_what_only_waits() {
    // 2 MB/s at 50 ms: one part is enough, and more only makes everything late.
    let link = Link::new(2e6, Duration::from_millis(50));
    let mut world = World::new(limits(), link, &[(400, PART), (400, PART)], 1);
    world.run(Duration::from_secs(200));
    let rate = world.bytes as f64 / (world.now - world.start).as_secs_f64();
    assert!(rate > 0.9 * link.bandwidth, "{rate}");
    assert!(world.window() <= 4 * PART, "{}", world.window());
}

#[test]
fn everybody_waits_when_the_server_says_so_and_begins_with_less() {
    let mut link = Link::new(100e6, Duration::from_millis(20));
    link.bears = Some((30, Duration::from_secs(3)));
    let mut world = World::new(limits(), link, &[(150, PART), (150, PART), (20, 5000)], 1);
    let took = world.run(Duration::from_secs(600));
    assert!(world.is_done(), "{:?}", world.files);
    assert!(world.waits > 0 && world.waits < 30, "{} waits", world.waits);
    // What is refused is what was in flight in the moment of the refusal, not more.
    let refused = world.granted.len() - 320;
    assert!(refused <= world.waits as usize * 24, "{refused} in {} waits", world.waits);
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn a_wait_halves_the_window_once_however_many_are_refused() {
    let mut queue = Queue::new(limits());
    let (lane, start) = (queue.join(), Instant::now());
    let tickets: Vec<_> = (0..4).map(|_| queue.ask(lane, ROAD, PART)).collect();
    for ticket in &tickets {
        assert_eq!(queue.poll(start), Some(*ticket));
    }
    let wait = Duration::from_secs(5);
    assert_eq!(queue.end(start, tickets[0], End::Flooded(wait)), Some(wait), "news");
    assert_eq!(queue.end(start, tickets[1], End::Flooded(wait)), None, "no news");
    assert_eq!(queue.window(ROAD), Some((2 * PART, 2 * PART)));
    let next = queue.ask(lane, ROAD, PART);
    assert_eq!(queue.poll(start + wait - Duration::from_millis(1)), None);
    assert_eq!(queue.wake_at(start), Some(start + wait));
    // A longer wait that comes meanwhile holds.
    assert_eq!(queue.end(start, tickets[2], End::Flooded(wait * 2)), None);
    assert_eq!(queue.poll(start + wait), None);
    assert_eq!(queue.poll(start + wait * 2), Some(next));
}

#[test]
fn another_dc_and_the_other_direction_do_not_wait_along() {
    let mut queue = Queue::new(limits());
    let (lane, now) = (queue.join(), Instant::now());
    let first = queue.ask(lane, ROAD, PART);
    assert_eq!(queue.poll(now), Some(first));
    queue.end(now, first, End::Flooded(Duration::from_secs(9)));
    let held = queue.ask(lane, ROAD, PART);
    let up = queue.ask(lane, (DcId(2), Direction::Up), PART);
    let elsewhere = queue.ask(lane, (DcId(4), Direction::Down), PART);
    let granted: Vec<_> = std::iter::from_fn(|| queue.poll(now)).collect();
    assert!(granted.contains(&up) && granted.contains(&elsewhere) && !granted.contains(&held), "{granted:?}");
}

#[test]
fn small_files_come_through_beside_a_large_one() {
    let mut files = vec![(2000, PART)];
    files.extend([(1, 3000); 40]);
    let mut world = World::new(limits(), Link::new(10e6, Duration::from_millis(30)), &files, 1);
    world.run(Duration::from_secs(30));
    assert!(world.files[1..].iter().all(|(parts, _, came)| parts == came));
    let last = world.granted.iter().rposition(|(_, file)| *file > 0).unwrap();
    assert!(last <= 2 * 40, "the last small one had to wait for {last} others");
}

#[test]
fn what_was_received_and_not_written_is_bounded() {
    let limits = Limits { memory: 6 * PART, ..limits() };
    let files = [(200, PART), (200, PART), (200, PART)];
    let mut world = World::new(limits, Link::new(200e6, Duration::from_millis(1)), &files, 1);
    world.disk = Duration::from_millis(400);
    world.run(Duration::from_secs(600));
    assert!(world.is_done());
    assert!(world.most_memory <= 6 * PART, "{}", world.most_memory);
    assert_eq!(world.queue.memory(), 0, "everything was given back");
}

#[test]
fn who_is_slow_to_take_a_part_does_not_stop_the_others() {
    let limits = Limits { memory: 2 * PART, ..limits() };
    let mut queue = Queue::new(limits);
    let (slow, quick, now) = (queue.join(), queue.join(), Instant::now());
    for _ in 0..2 {
        let ticket = queue.ask(slow, ROAD, PART);
        assert_eq!(queue.poll(now), Some(ticket));
        queue.end(now, ticket, End::Done);
    }
    queue.ask(slow, ROAD, PART);
    assert_eq!(queue.poll(now), None, "it has not taken what came");
    let other = queue.ask(quick, ROAD, PART);
    assert_eq!(queue.poll(now), Some(other));
}

#[test]
fn the_rate_is_kept_over_all_files_and_both_directions() {
    for rate in [50_000, 3 << 20, 40 << 20] {
        let limits = Limits { rate: NonZeroU64::new(rate), ..limits() };
        let files = [(1000, PART), (1000, 10_000), (1000, 200_000)];
        let mut world = World::new(limits, Link::new(400e6, Duration::from_millis(5)), &files, 1);
        let took = world.run(Duration::from_secs(20)).as_secs_f64();
        let most = rate as f64 * (took + 0.1) + PART as f64;
        assert!(world.bytes as f64 <= most, "{} bytes at {rate}", world.bytes);
        assert!(world.bytes as f64 >= rate as f64 * took * 0.8 - PART as f64, "{} bytes at {rate}", world.bytes);
    }
}

/// Whatever happens, everything comes in the end, nothing is lost track of, and no bound is broken.
#[test]
fn every_kind_of_line_carries_everything() {
    for seed in 0..60 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut link = Link::new(10f64.powf(rng.random_range(5.0..8.5)), Duration::from_millis(rng.random_range(0..400)));
        link.lost = [0, 10, 100, 400][rng.random_range(0..4)];
        link.bears =
            [None, Some((rng.random_range(1..40), Duration::from_secs(rng.random_range(1..20))))][rng.random_range(0..2)];
        let files: Vec<_> =
            (0..rng.random_range(1..12)).map(|_| (rng.random_range(1..30), rng.random_range(1..=PART))).collect();
        let limits = Limits {
            memory: rng.random_range(1..24) * PART,
            per_file: rng.random_range(1..9),
            window: rng.random_range(1..24) * PART,
            ..limits()
        };
        let mut world = World::new(limits, link, &files, seed);
        world.disk = Duration::from_millis(rng.random_range(0..50));
        world.run(Duration::from_secs(100_000));
        assert!(world.is_done(), "seed {seed}: {:?}", world.files);
        assert!(world.most_memory <= limits.memory + files.len() as u64 * PART, "seed {seed}");
        for lane in world.lanes.clone() {
            world.queue.leave(lane);
        }
        assert!(world.queue.is_empty(), "seed {seed}: something is left behind");
    }
}

/// Parts that have come wait for the answer, and hold their memory until then.
#[test]
fn a_question_waits_for_neither_parts_nor_memory() {
    let (now, mut queue) = (Instant::now(), Queue::new(Limits { memory: PART, per_file: 1, ..limits() }));
    let (lane, other) = (queue.join(), queue.join());
    let parts: Vec<_> = (0..2).map(|_| queue.ask(lane, ROAD, PART)).collect();
    let of_other = queue.ask(other, ROAD, PART);
    let turns: Vec<_> = std::iter::from_fn(|| queue.poll(now)).collect();
    assert_eq!(turns, [parts[0], of_other], "whoever has nothing in memory may have one part there");
    let question = queue.ask(lane, ROAD, 0);
    assert_eq!(queue.poll(now), Some(question), "before the second part, and beyond all that is allowed to parts");
    assert_eq!(queue.poll(now), None);
    queue.end(now, question, End::Done);
    assert_eq!(queue.poll(now), None, "its end makes room for no part");
    queue.end(now, parts[0], End::Done);
    queue.free(lane, PART);
    assert_eq!(queue.poll(now), Some(parts[1]));
    // The window holds back questions as well.
    queue.end(now, parts[1], End::Flooded(Duration::from_secs(1)));
    let question = queue.ask(lane, ROAD, 0);
    assert_eq!(queue.poll(now), None);
    assert_eq!(queue.poll(now + Duration::from_secs(1)), Some(question));
    queue.give_up(question);
}

#[test]
fn questions_go_before_parts_in_the_order_in_which_they_were_asked() {
    let (now, mut queue) = (Instant::now(), Queue::new(limits()));
    let lane = queue.join();
    let tickets: Vec<_> = [PART, 0, 0, PART, 0].into_iter().map(|bytes| queue.ask(lane, ROAD, bytes)).collect();
    let turns: Vec<_> = std::iter::from_fn(|| queue.poll(now)).collect();
    assert_eq!(turns, [1, 2, 4, 0, 3].map(|n: usize| tickets[n]));
}

#[test]
fn parts_that_are_given_up_leave_nothing_behind() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut queue = Queue::new(Limits { memory: 3 * PART, per_file: 2, ..limits() });
        let lanes: Vec<_> = (0..3).map(|_| queue.join()).collect();
        let mut now = Instant::now();
        let (mut waiting, mut running, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..200 {
            now += Duration::from_millis(rng.random_range(0..300));
            match rng.random_range(0..6) {
                0 | 1 => {
                    let (lane, bytes) = (lanes[rng.random_range(0..3)], rng.random_range(0..=PART));
                    waiting.push((queue.ask(lane, (DcId(rng.random_range(1..3)), Direction::Up), bytes), lane, bytes));
                }
                2 if !waiting.is_empty() => queue.give_up(waiting.swap_remove(rng.random_range(0..waiting.len())).0),
                3 if !running.is_empty() => {
                    let (ticket, lane, bytes) = running.swap_remove(rng.random_range(0..running.len()));
                    let ends = [End::Done, End::Failed, End::Stumbled, End::Flooded(Duration::from_secs(1))];
                    let end = ends[rng.random_range(0..4)];
                    queue.end(now, ticket, end);
                    if end == End::Done {
                        held.push((lane, bytes));
                    }
                }
                4 if !held.is_empty() => {
                    let (lane, bytes) = held.swap_remove(rng.random_range(0..held.len()));
                    queue.free(lane, bytes);
                }
                _ => {
                    while let Some(ticket) = queue.poll(now) {
                        let at = waiting.iter().position(|(other, ..)| *other == ticket).expect("it was asked for");
                        running.push(waiting.swap_remove(at));
                    }
                }
            }
        }
        waiting.iter().for_each(|(ticket, ..)| queue.give_up(*ticket));
        running.iter().for_each(|(ticket, ..)| {
            queue.end(now, *ticket, End::Failed);
        });
        held.iter().for_each(|(lane, bytes)| queue.free(*lane, *bytes));
        lanes.iter().for_each(|lane| queue.leave(*lane));
        assert!(queue.is_empty(), "seed {seed}");
    }
}

/// Counts what it is told.
#[derive(Clone, Default)]
struct Counting(Arc<(AtomicU32, AtomicU32)>);

impl Watch for Counting {
    fn waiting(&self, dc: DcId, direction: Direction, wait: Duration, reason: &str) {
        assert_eq!((dc, direction, wait, reason), (DcId(2), Direction::Down, Duration::from_secs(7), "FLOOD_PREMIUM_WAIT"));
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }

    fn retrying(&self, _: DcId, _: Direction, _: &str, _: Duration) {
        self.0.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn rpc(code: i32, text: &str) -> TransferError {
    InvokeError::Rpc(RpcError::new(code, text)).into()
}

#[tokio::test(start_paused = true)]
async fn parts_wait_together_and_a_person_hears_of_it_once() {
    let watch = Counting::default();
    let flow = Flow::watched(limits(), watch.clone());
    let lane = flow.lane();
    let (start, asked) = (tokio::time::Instant::now(), AtomicU32::new(0));
    let part = || {
        lane.part(DcId(2), Direction::Down, PART, || async {
            let before = tokio::time::Instant::now() - start;
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
            if before < Duration::from_secs(7) { Err(rpc(420, "FLOOD_PREMIUM_WAIT_7")) } else { Ok(before) }
        })
    };
    let came = futures_util::future::join_all((0..4).map(|_| part())).await;
    for result in came {
        let before = result.unwrap().0;
        assert!(before >= Duration::from_secs(7) && before < Duration::from_millis(7100), "{before:?}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 8);
    assert_eq!(watch.0.0.load(Ordering::Relaxed), 1);
    assert_eq!(flow.memory(), 0, "all were dropped");
}

#[tokio::test(start_paused = true)]
async fn waits_and_stumbles_have_an_end() {
    let watch = Counting::default();
    let flow = Flow::watched(Limits { max_wait: Duration::from_secs(20), ..limits() }, watch.clone());
    let lane = flow.lane();
    let asked = AtomicU32::new(0);
    let refused = |error: fn() -> TransferError| {
        let asked = &asked;
        lane.part(DcId(2), Direction::Down, PART, move || async move {
            asked.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(error())
        })
    };
    let error = refused(|| rpc(420, "FLOOD_PREMIUM_WAIT_7")).await.err().unwrap();
    assert!(matches!(error, TransferError::Invoke(InvokeError::FloodWait { seconds: 7, .. })), "{error:?}");
    assert_eq!((asked.swap(0, Ordering::Relaxed), watch.0.0.load(Ordering::Relaxed)), (3, 2));

    let error = refused(|| rpc(-503, "Timeout")).await.err().unwrap();
    assert!(matches!(error, TransferError::Invoke(InvokeError::Rpc(error)) if error.code == -503));
    assert_eq!((asked.swap(0, Ordering::Relaxed), watch.0.1.load(Ordering::Relaxed)), (RETRIES + 1, RETRIES));

    let error = refused(|| rpc(400, "FILE_ID_INVALID")).await.err().unwrap();
    assert!(matches!(error, TransferError::Invoke(InvokeError::Rpc(_))));
    assert_eq!(asked.load(Ordering::Relaxed), 1, "what is final is not asked again");
    assert_eq!(flow.memory(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_asked_for_again() {
    let flow = Flow::new(limits());
    let lane = flow.lane();
    let asked = AtomicU32::new(0);
    let part = || {
        lane.part(DcId(2), Direction::Down, PART, || async {
            if asked.fetch_add(1, Ordering::Relaxed) == 1 {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(())
        })
    };
    part().await.unwrap();
    let start = tokio::time::Instant::now();
    part().await.unwrap();
    let took = tokio::time::Instant::now() - start;
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(7), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn bytes_account_for_their_memory_until_the_last_slice_is_dropped() {
    let flow = Flow::new(Limits { memory: PART, ..limits() });
    let lane = flow.lane();
    let part = || lane.part(DcId(2), Direction::Down, PART, || async { Ok(Bytes::from(vec![7; 1 << 20])) });
    let (bytes, hold) = part().await.unwrap();
    let bytes = hold.with(bytes);
    let slice = bytes.slice(5..10);
    drop(bytes);
    assert_eq!((flow.memory(), &slice[..]), (PART, &[7; 5][..]));
    let mut second = Box::pin(part());
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(slice);
    drop(second.await.unwrap());
    // Given up before its turn, and in it.
    let held = part().await.unwrap();
    let mut waiting = Box::pin(part());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(waiting);
    drop(held);
    drop(lane);
    assert!(flow.shared.lock().queue.is_empty());
}

/// A question that nobody waits for does not hold up the parts for longer than a part would bear.
#[tokio::test(start_paused = true)]
async fn a_question_aside_imposes_no_endless_wait() {
    for (seconds, held) in [(5, 5), (86_400, 0)] {
        let flow = Flow::new(limits());
        let lane = flow.lane();
        let name = format!("FLOOD_WAIT_{seconds}");
        let refused = async { Err::<(), _>(InvokeError::Rpc(RpcError::new(420, &name)).into()) };
        assert!(lane.aside(DcId(2), Direction::Down, refused).await.is_err());
        let begun = tokio::time::Instant::now();
        let part = lane.part(DcId(2), Direction::Down, PART, || async { Ok(()) });
        assert!(part.await.is_ok());
        assert_eq!(begun.elapsed().as_secs(), held, "{name}");
    }
}

/// A part that lasts for so long. Returns how long it has waited for its turn.
async fn begins(lane: &Lane, bytes: u64, lasts: Duration) -> Duration {
    let asked = tokio::time::Instant::now();
    let work = || async {
        let waited = asked.elapsed();
        tokio::time::sleep(lasts).await;
        Ok(waited)
    };
    lane.part(DcId(2), Direction::Down, bytes, work).await.unwrap().0
}

/// A question that is answered with a wait of seven seconds, after a while.
async fn floods(lane: &Lane, after: Duration) {
    let work = async {
        tokio::time::sleep(after).await;
        Err::<(), _>(rpc(420, "FLOOD_WAIT_7"))
    };
    assert!(lane.aside(DcId(2), Direction::Down, work).await.is_err());
}

const SHORT: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(20);

/// Whoever waits for room has no time to look again at; he is told of one that another brought about who asks for nothing more.
#[tokio::test(start_paused = true)]
async fn a_wait_ends_for_those_who_waited_for_room() {
    let flow = Flow::new(Limits { window: PART, ..limits() });
    let lane = flow.lane();
    let together = futures_util::future::join(floods(&lane, SHORT), begins(&lane, PART, SHORT));
    let ((), waited) = tokio::time::timeout(LONG, together).await.expect("the wait ends");
    assert_eq!(waited, Duration::from_secs(10));
}

/// He does not rely for ever on one who knew of it and has gone.
#[tokio::test(start_paused = true)]
async fn a_wait_ends_though_who_was_told_of_it_is_gone() {
    let flow = Flow::new(Limits { window: PART, ..limits() });
    let lane = flow.lane();
    let gone = tokio::time::timeout(2 * SHORT, begins(&lane, PART, SHORT));
    let together = futures_util::future::join3(floods(&lane, SHORT), gone, begins(&lane, PART, SHORT));
    let ((), gone, waited) = tokio::time::timeout(LONG, together).await.expect("the wait ends");
    assert!(gone.is_err());
    assert_eq!(waited, Duration::from_secs(10));
}

/// Nor on one whose turn it was, and who is at work when the next one's time has come.
#[tokio::test(start_paused = true)]
async fn who_has_his_turn_leaves_the_time_of_the_next_to_the_others() {
    let flow = Flow::new(Limits { window: 4 * PART, rate: NonZeroU64::new(PART), ..limits() });
    let lane = flow.lane();
    // It takes all of the window, and is paid for by the end: those behind it wait for room, and know no time.
    let first = begins(&lane, 4 * PART, 2 * SHORT);
    let others = async {
        tokio::time::sleep(2 * SHORT - Duration::from_millis(1)).await;
        futures_util::future::join_all((0..4).map(|_| begins(&lane, PART, LONG))).await
    };
    let (_, others) = futures_util::future::join(first, others).await;
    let waited: Vec<_> = others.iter().map(|waited| (waited.as_millis() + 50) / 100).collect();
    assert_eq!(waited, [0, 9, 19, 29], "a second each, but for the first tenth");
}

/// Room that comes with a time to wait is told of like any other.
#[tokio::test(start_paused = true)]
async fn memory_that_is_free_again_serves_all_who_waited_for_it() {
    let flow = Flow::new(Limits { memory: 2 * PART, rate: NonZeroU64::new(PART), ..limits() });
    let lane = flow.lane();
    let work = || async {
        tokio::time::sleep(SHORT).await;
        Ok(())
    };
    let held = lane.part(DcId(2), Direction::Down, 2 * PART, work).await.unwrap();
    let free = async {
        tokio::time::sleep(SHORT).await;
        drop(held);
    };
    let (one, other) = (begins(&lane, PART, LONG), begins(&lane, PART, LONG));
    let (one, other, ()) = tokio::join!(one, other, free);
    assert_eq!((one, other.as_millis()), (SHORT, 3900));
}
