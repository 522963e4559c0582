//! Both roles over a simulated link: a virtual clock, seeded delay, loss, doubling and reordering, and cuts.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::peer::{START, key};
use crate::{
    clock::Now,
    ids::{MsgId, SessionId},
    mtproto::session::{
        ClientParams, Event, Failure, FutureSalt, Limits, Reaction, RequestId, RequestOptions, Salts, ServerParams, Session,
    },
};

/// What a link does to frames. Chances are per thousand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) delay: Duration,
    /// Up to this much more, drawn for each frame: later ones may overtake.
    pub(super) jitter: Duration,
    pub(super) loss: u32,
    pub(super) doubling: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { delay: Duration::from_millis(50), jitter: Duration::ZERO, loss: 0, doubling: 0 }
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Answered(Bytes),
    Failed(Failure),
}

pub(super) struct Pair {
    seed: u64,
    pub(super) client: Session,
    pub(super) server: Session,
    pub(super) now: Now,
    pub(super) link: Link,
    pub(super) rng: StdRng,
    /// How long the host works on a request.
    pub(super) think: Duration,
    /// Frames under way: when they arrive, and whether the client sent them.
    flying: Vec<(Duration, u64, bool, BytesMut)>,
    frames: u64,
    up: bool,
    working: Vec<(Duration, MsgId, Bytes)>,
    /// How often the host was given each request.
    pub(super) executed: BTreeMap<Bytes, u32>,
    pub(super) ended: BTreeMap<RequestId, Vec<End>>,
    pub(super) client_events: VecDeque<Event>,
    pub(super) server_events: VecDeque<Event>,
    /// Frames that arrived, by sender.
    pub(super) arrived: [usize; 2],
    pub(super) wants_reconnect: bool,
    pub(super) rules: BTreeSet<&'static str>,
}

impl Pair {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, Limits::default(), |_| {})
    }

    pub(super) fn with(seed: u64, limits: Limits, change: impl FnOnce(&mut ClientParams)) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut salts = Salts::default();
        salts.extend(START.unix(), 4, &mut rng);
        let mut params = ClientParams::new(key(), SessionId(77), seed_of(&mut rng));
        params.salts = vec![FutureSalt::unlimited(salts.list()[0].salt)];
        params.limits = limits;
        change(&mut params);
        let mut server = ServerParams::new(key(), SessionId(77), salts.list().to_vec(), seed_of(&mut rng));
        server.tracer = params.tracer.clone();
        server.limits = Limits { ack_delay: Limits::server().ack_delay, coalesce: Limits::server().coalesce, ..limits };
        Self {
            seed,
            client: Session::client(params, START),
            server: Session::server(server, START),
            now: START,
            link: Link::default(),
            rng,
            think: Duration::from_millis(10),
            flying: Vec::new(),
            frames: 0,
            up: true,
            working: Vec::new(),
            executed: BTreeMap::new(),
            ended: BTreeMap::new(),
            client_events: VecDeque::new(),
            server_events: VecDeque::new(),
            arrived: [0; 2],
            wants_reconnect: false,
            rules: BTreeSet::new(),
        }
    }

    pub(super) fn request(&mut self, body: impl Into<Bytes>) -> RequestId {
        self.client.request(self.now, body.into(), RequestOptions::default()).unwrap()
    }

    /// Breaks the connection: what is under way is lost.
    pub(super) fn cut(&mut self) {
        self.flying.clear();
        self.up = false;
        self.client.connection_lost(self.now);
        self.server.connection_lost(self.now);
    }

    pub(super) fn reconnect(&mut self) {
        self.up = true;
        self.client.connection_opened(self.now);
        self.server.connection_opened(self.now);
    }

    /// The server's host starts anew: it knows the key, but no session, and answers nothing that it was working on.
    pub(super) fn restart_server(&mut self) {
        let seed = seed_of(&mut self.rng);
        let mut params = ServerParams::new(key(), SessionId(77), self.server.salts().to_vec(), seed);
        params.limits = Limits::server();
        self.server = Session::server(params, self.now);
        self.server.connection_lost(self.now);
        self.working.clear();
    }

    fn chance(&mut self, per_thousand: u32) -> bool {
        self.rng.next_u32() % 1000 < per_thousand
    }

    fn fly(&mut self, from_client: bool, frame: BytesMut) {
        self.frames += 1;
        if !self.up || self.chance(self.link.loss) {
            return;
        }
        let copies = if self.chance(self.link.doubling) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = self.link.jitter.mul_f64(f64::from(self.rng.next_u32() % 1024) / 1024.0);
            let at = self.now.mono + self.link.delay + jitter;
            self.flying.push((at, self.frames, from_client, frame.clone()));
        }
    }

    /// Polls both sides, as a driver does.
    pub(super) fn poll(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Response { id, result } => {
                    self.ended.entry(id).or_default().push(End::Answered(result.unwrap()));
                }
                Event::Failed { id, error } => self.ended.entry(id).or_default().push(End::Failed(error)),
                other => self.client_events.push_back(other),
            }
        }
        while let Some(event) = self.server.poll_event() {
            if let Event::Request { msg_id, body } = event {
                *self.executed.entry(body.clone()).or_default() += 1;
                self.working.push((self.now.mono + self.think, msg_id, body));
            } else {
                self.server_events.push_back(event);
            }
        }
        for _ in 0..1000 {
            let Some(frame) = self.client.poll_output(self.now) else { break };
            self.fly(true, frame);
        }
        for _ in 0..1000 {
            let Some(frame) = self.server.poll_output(self.now) else { break };
            self.fly(false, frame);
        }
    }

    /// When something happens next.
    fn next(&self) -> Option<Duration> {
        let flying = self.flying.iter().map(|(at, ..)| *at).min();
        let working = self.working.iter().map(|(at, ..)| *at).min();
        [flying, working, self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min()
    }

    /// Lets time pass until `limit` or until the next thing happens, and lets it happen. `false` at the limit.
    pub(super) fn step(&mut self, limit: Duration) -> bool {
        self.poll();
        let Some(at) = self.next().filter(|at| *at <= limit) else {
            self.now = self.now.later(limit.saturating_sub(self.now.mono));
            return false;
        };
        self.now = self.now.later(at.saturating_sub(self.now.mono));
        let mono = self.now.mono;
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
        let mut due: Vec<_> = self.flying.extract_if(.., |(at, ..)| *at <= mono).collect();
        due.sort_by_key(|(at, number, ..)| (*at, *number));
        for (_, _, from_client, frame) in due {
            self.arrived[usize::from(!from_client)] += 1;
            let side = if from_client { &mut self.server } else { &mut self.client };
            if let Err(error) = side.handle_input(self.now, frame) {
                self.rules.insert(error.rule());
                self.wants_reconnect |= error.reaction() == Reaction::Reconnect;
            }
            self.poll();
        }
        let done: Vec<_> = self.working.extract_if(.., |(at, ..)| *at <= mono).collect();
        for (_, msg_id, body) in done {
            // A host echoes; what was cancelled meanwhile goes nowhere.
            self.server.respond(self.now, msg_id, body, true).unwrap();
        }
        true
    }

    /// Lets time pass, up to so many milliseconds.
    pub(super) fn run_random(&mut self, below: u32) {
        let millis = self.rng.next_u32() % below;
        self.run(Duration::from_millis(u64::from(millis)));
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let limit = self.now.mono + time;
        while self.step(limit) {}
        self.poll();
    }

    /// Runs until every request has ended, for at most `time`.
    pub(super) fn settle(&mut self, time: Duration) {
        let limit = self.now.mono + time;
        while self.client.pending() > 0 && self.step(limit) {
            self.poll();
        }
        self.poll();
    }

    pub(super) fn answer(&self, id: RequestId) -> &Bytes {
        match &self.ended[&id][..] {
            [End::Answered(body)] => body,
            other => panic!("{other:?}"),
        }
    }
}

/// A failure says which run it was.
impl Drop for Pair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, {:?}, rules broken: {:?}", self.seed, self.now, self.rules);
        }
    }
}

fn seed_of(rng: &mut StdRng) -> [u8; 32] {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}
