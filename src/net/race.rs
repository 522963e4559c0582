//! Several addresses of one DC: which to try first, and all of them at once if need be.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::dial::{DialFuture, Dialer, Stream};
use super::error::{DialError, DialFailure};
use tdl_core::transport::Target;

/// The head start of each address before the next one is tried as well. RFC 8305 ("Happy Eyeballs") recommends it: long enough for most
/// round trips, too short for a person to notice.
pub const HEAD_START: Duration = Duration::from_millis(250);

/// Which addresses were good and which were not, for as long as the process lives. Shared by all connections.
#[derive(Debug, Default)]
pub struct DialMemory {
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    /// Counts what is noted, so that the latest can be told.
    clock: u64,
    known: HashMap<SocketAddr, Line>,
}

/// What is known of one address.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// When it last won a race; 0 never.
    won: u64,
    /// When a connection to it last broke before anything came back; 0 when one has answered since.
    broke: u64,
}

impl DialMemory {
    /// Knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The order to try these in: the last winner; then the others as they stand, IPv6 and IPv4 in turn, so that a network without one of
    /// them costs a head start only once; those that broke at the end, the latest last.
    pub fn order(&self, addrs: &[SocketAddr]) -> Vec<SocketAddr> {
        let lines = self.lock();
        let line = |addr: &SocketAddr| lines.known.get(addr).copied().unwrap_or_default();
        let mut order = in_turn(addrs);
        order.sort_by_key(|addr| match line(addr) {
            Line { broke: 0, won } => (0, u64::MAX - won),
            Line { broke, .. } => (broke, 0),
        });
        order
    }

    /// Notes that this one took a connection first.
    pub fn won(&self, addr: SocketAddr) {
        self.note(addr, |line, clock| line.won = clock);
    }

    /// Notes that a connection to this one has answered: what was held against it is forgotten.
    pub fn answered(&self, addr: SocketAddr) {
        self.note(addr, |line, clock| *line = Line { won: clock, broke: 0 });
    }

    /// Notes that a connection to this one broke before anything came back. Something in between may take connections for a server that
    /// it does not let us reach.
    pub fn broke(&self, addr: SocketAddr) {
        self.note(addr, |line, clock| *line = Line { won: 0, broke: clock });
    }

    fn note(&self, addr: SocketAddr, change: impl FnOnce(&mut Line, u64)) {
        let mut lines = self.lock();
        lines.clock += 1;
        let clock = lines.clock;
        change(lines.known.entry(addr).or_default(), clock);
    }

    /// Whole values are put in and taken out, so a panic elsewhere leaves none half-changed.
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A dialer that remembers.
pub struct Remembering<D> {
    under: D,
    memory: DialMemory,
}

impl<D: Dialer> Remembering<D> {
    /// As `under` dials, with a memory of its own.
    pub fn new(under: D) -> Self {
        Self { under, memory: DialMemory::new() }
    }
}

impl<D: Dialer> Dialer for Remembering<D> {
    fn dial(&self, addr: SocketAddr) -> DialFuture<'_> {
        self.under.dial(addr)
    }

    fn dial_target<'a>(&'a self, target: &'a Target) -> Option<DialFuture<'a>> {
        self.under.dial_target(target)
    }

    fn place(&self) -> Option<&Target> {
        self.under.place()
    }

    fn via(&self) -> Option<String> {
        self.under.via()
    }

    fn memory(&self) -> Option<&DialMemory> {
        Some(&self.memory)
    }
}

/// The first one's family, the other, the first again; each family in its own order.
fn in_turn(addrs: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let (mut same, mut other): (VecDeque<_>, VecDeque<_>) = addrs.iter().partition(|addr| addr.is_ipv6() == first);
    let mut order: Vec<SocketAddr> = Vec::with_capacity(addrs.len());
    while !(same.is_empty() && other.is_empty()) {
        for addr in [same.pop_front(), other.pop_front()].into_iter().flatten() {
            // One that is there twice counts once.
            if !order.contains(&addr) {
                order.push(addr);
            }
        }
    }
    order
}

/// Tries the addresses, each for `timeout` at most, the next as soon as one fails and after [`HEAD_START`] at the latest. The first that
/// connects wins; the others are dropped. The dialer's memory, if it has one, decides the order and is told the winner.
///
/// # Errors
/// What happened at each address, in order. Empty when there was none to try.
pub async fn dial(
    dialer: &dyn Dialer,
    addrs: &[SocketAddr],
    timeout: Duration,
) -> Result<(Box<dyn Stream>, SocketAddr), Vec<DialError>> {
    let attempt = |at: usize, addr: SocketAddr| async move {
        let dialled = tokio::time::timeout(timeout, dialer.dial(addr)).await;
        (at, addr, dialled.unwrap_or(Err(DialFailure::Timeout { after: timeout })))
    };
    let memory = dialer.memory();
    let order = memory.map_or_else(|| in_turn(addrs), |memory| memory.order(addrs));
    let mut waiting = order.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut failures = Vec::new();
    let mut next_start = Instant::now();
    loop {
        let may_start = waiting.len() > 0;
        tokio::select! {
            biased;
            Some((at, addr, result)) = running.next(), if !running.is_empty() => match result {
                Ok(stream) => {
                    if let Some(memory) = memory {
                        memory.won(addr);
                    }
                    return Ok((stream, addr));
                }
                Err(failure) => {
                    failures.push((at, DialError { addr, failure }));
                    next_start = Instant::now();
                }
            },
            () = sleep_until(next_start), if may_start => {
                running.extend(waiting.next().map(|(at, addr)| attempt(at, addr)));
                next_start += HEAD_START;
            }
            else => break,
        }
    }
    failures.sort_by_key(|(at, _)| *at);
    Err(failures.into_iter().map(|(_, failure)| failure).collect())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Port 1 refuses at once, port 2 never answers, port 1000 + n connects after n ms.
    #[derive(Default)]
    struct Ports {
        dialled: Mutex<Vec<(u16, Duration)>>,
        running: Arc<AtomicUsize>,
        began: Mutex<Option<Instant>>,
    }

    struct Running(Arc<AtomicUsize>);

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    impl Dialer for Ports {
        fn dial(&self, addr: SocketAddr) -> DialFuture<'_> {
            let began = *self.began.lock().unwrap().get_or_insert_with(Instant::now);
            self.dialled.lock().unwrap().push((addr.port(), began.elapsed()));
            self.running.fetch_add(1, Ordering::Relaxed);
            let running = Running(Arc::clone(&self.running));
            Box::pin(async move {
                let _running = running;
                match addr.port() {
                    1 => Err(io::ErrorKind::ConnectionRefused.into()),
                    2 => std::future::pending().await,
                    port => {
                        tokio::time::sleep(Duration::from_millis(u64::from(port) - 1000)).await;
                        Ok(Box::new(tokio::io::duplex(16).0) as Box<dyn Stream>)
                    }
                }
            })
        }
    }

    fn v4(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn v6(port: u16) -> SocketAddr {
        format!("[::1]:{port}").parse().unwrap()
    }

    async fn run(ports: &dyn Dialer, addrs: &[SocketAddr]) -> (Result<SocketAddr, Vec<DialError>>, Duration) {
        let began = Instant::now();
        let result = dial(ports, addrs, Duration::from_secs(10)).await;
        (result.map(|(_, addr)| addr), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_connects_wins_and_the_others_are_dropped() {
        let ports = Ports::default();
        let (result, took) = run(&ports, &[v4(2), v4(1900), v4(1100), v4(1001)]).await;
        assert_eq!((result.unwrap(), took), (v4(1100), Duration::from_millis(600)));
        let ms = Duration::from_millis;
        assert_eq!(*ports.dialled.lock().unwrap(), [(2, ms(0)), (1900, ms(250)), (1100, ms(500))], "the last was not needed");
        assert_eq!(ports.running.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_one_can_still_win() {
        let (result, took) = run(&Ports::default(), &[v4(1400), v4(1900)]).await;
        assert_eq!((result.unwrap(), took), (v4(1400), Duration::from_millis(400)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_at_once() {
        let (result, took) = run(&Ports::default(), &[v4(1), v6(1), v4(1005)]).await;
        assert_eq!((result.unwrap(), took), (v4(1005), Duration::from_millis(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_happened_at_each_address_is_told_in_order() {
        let (result, took) = run(&Ports::default(), &[v4(2), v4(1), v6(2)]).await;
        let failures = result.unwrap_err();
        let addrs: Vec<_> = failures.iter().map(|failure| failure.addr).collect();
        assert_eq!(addrs, [v4(2), v6(2), v4(1)]);
        assert!(matches!(failures[0].failure, DialFailure::Timeout { after } if after == Duration::from_secs(10)));
        assert!(matches!(failures[2].failure, DialFailure::Io(_)));
        assert_eq!(took, Duration::from_millis(10_250), "all had their time, side by side");
        let (result, took) = run(&Ports::default(), &[]).await;
        assert!(result.unwrap_err().is_empty() && took.is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn the_winner_is_remembered() {
        let ports = Remembering::new(Ports::default());
        let addrs = [v4(2), v4(1400), v4(1500)];
        let (result, took) = run(&ports, &addrs).await;
        assert_eq!((result.unwrap(), took), (v4(1400), Duration::from_millis(650)));
        let (result, took) = run(&ports, &addrs).await;
        assert_eq!((result.unwrap(), took), (v4(1400), Duration::from_millis(400)));
        ports.memory().unwrap().broke(v4(1400));
        let (result, took) = run(&ports, &addrs).await;
        assert_eq!((result.unwrap(), took), (v4(1500), Duration::from_millis(750)), "it had no chance to start");
    }

    #[test]
    fn families_take_turns_and_each_address_counts_once() {
        assert_eq!(in_turn(&[v4(1), v4(2), v4(3), v6(1), v4(1), v6(2)]), [v4(1), v6(1), v4(2), v6(2), v4(3)]);
        assert_eq!(in_turn(&[v6(1), v6(2), v4(1)]), [v6(1), v4(1), v6(2)]);
        assert_eq!(in_turn(&[]), []);
    }

    #[test]
    fn winners_come_first_and_the_broken_last() {
        let memory = DialMemory::new();
        let order = || memory.order(&[v4(1), v4(2), v6(1)]);
        assert_eq!(order(), [v4(1), v6(1), v4(2)]);
        memory.won(v4(2));
        assert_eq!(order(), [v4(2), v4(1), v6(1)]);
        memory.broke(v4(2));
        assert_eq!(order(), [v4(1), v6(1), v4(2)]);
        memory.won(v4(1));
        memory.broke(v4(1));
        assert_eq!(order(), [v6(1), v4(2), v4(1)], "the latest is the last");
        memory.won(v4(1));
        assert_eq!(order(), [v6(1), v4(2), v4(1)], "to connect is not enough");
        memory.answered(v4(1));
        assert_eq!(order(), [v4(1), v6(1), v4(2)]);
        memory.won(v6(1));
        assert_eq!(order(), [v6(1), v4(1), v4(2)], "the latest winner is the first");
    }
}
