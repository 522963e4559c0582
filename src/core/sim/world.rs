//! One world: its agenda, its parts, and the loop that lets time pass.
//!
//! A run has three parts. In the first, faults strike while clients ask and the host pushes. In the second nothing goes wrong any more and
//! everything that is pending has to end. In the third each client asks once more, and has to be answered.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};

use super::{
    Options, Sabotage,
    body::Asked,
    client::Client,
    dice::Dice,
    fault::{Fault, Faults},
    network::{Conn, Recorded},
    oracle::{Oracle, SETTLE},
    report::{Figures, Report, Violation},
    server::{Held, Server},
};
use crate::{
    ids::MsgId,
    mtproto::envelope::Side,
    trace::{Layer, Observer, Record, Tracer},
};

/// Steps that a run may take: some hundred times as many as one needs.
const MOST_STEPS: u64 = 100_000;

/// Steps that may be taken without time passing.
const MOST_STEPS_AT_ONCE: u64 = 5_000;

/// How long after the faults have stopped the last requests are made, and how long they may take: nothing is wrong any more.
pub(super) const PEACE: Duration = Duration::from_secs(300);

/// What is on the agenda.
pub(super) enum Event {
    // The network.
    Dialled { conn: u32 },
    DialFailed { conn: u32 },
    Arrived { conn: u32, to: Side, bytes: Bytes },
    Hangup { conn: u32, to: Side },
    Release { conn: u32, from: Side },
    // Clients.
    Redial { client: usize, token: u64 },
    ExchangeTimeout { client: usize, conn: u32 },
    Wake { client: usize },
    Pump { client: usize },
    Ask { client: usize },
    Cancel { client: usize },
    Destroy { client: usize },
    LastRequest { client: usize },
    // The server.
    Push { client: usize },
    Worked { slot: u64, asked: Asked, msg_id: MsgId, error: Option<(i32, &'static str)> },
    AnswerAgain { slot: u64, req: MsgId },
    Held(Held),
    // The run.
    Strike(Fault),
    Calm,
}

/// What is written down when somebody wants to read it.
#[derive(Clone, Default)]
pub(super) struct Log(Option<Arc<Mutex<Vec<String>>>>);

impl Log {
    fn new(wanted: bool) -> Self {
        Self(wanted.then(Arc::default))
    }

    fn write(&self, line: String) {
        if let Some(lines) = &self.0 {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    fn take(&self) -> Vec<String> {
        self.0
            .as_ref()
            .map(|lines| std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner)))
            .unwrap_or_default()
    }
}

/// What a session reports goes into the log, too, and to whoever records the world.
struct Listener {
    who: String,
    log: Log,
    recorder: Tracer,
}

impl Observer for Listener {
    fn record(&self, record: &Record) {
        if self.log.0.is_some() && record.event.layer() != Layer::Core {
            self.log.write(format!("    {}: {:?}", self.who, record.event));
        }
        self.recorder.forward(record);
    }

    fn wants(&self, layer: Layer) -> bool {
        (self.log.0.is_some() && layer != Layer::Core) || self.recorder.wants(layer)
    }
}

pub(super) struct World {
    pub(super) options: Options,
    pub(super) time: Duration,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) clients: Vec<Client>,
    pub(super) server: Server,
    pub(super) conns: BTreeMap<u32, Conn>,
    pub(super) conn_count: u32,
    pub(super) recorded: Vec<Recorded>,
    pub(super) oracle: Oracle,
    pub(super) figures: Figures,
    /// For how long faults strike.
    pub(super) length: Duration,
    /// Nothing goes wrong any more, since then.
    pub(super) calm_since: Option<Duration>,
    agenda: BTreeMap<(Duration, u64), Event>,
    events: u64,
    log: Log,
    seed: u64,
    /// An answer that waits for another one to change places with: [`Sabotage::SwapAnswers`].
    pub(super) swap: Option<(u64, MsgId, Bytes)>,
}

impl World {
    pub(super) fn new(seed: u64, options: &Options) -> Self {
        let mut dice = Dice::new(seed, 1);
        let mut faults = Faults::draw(seed, options.without, options.rough);
        let log = Log::new(options.log);
        let count = dice.pick([1, 1, 1, 1, 2, 2, 3]);
        let length = dice.spread(options.shortest, options.longest);
        let mut server = Server::new(&mut dice, &mut faults);
        let clients: Vec<_> =
            (0..count).map(|index| Client::draw(index, &mut dice, &mut faults, &mut server, options)).collect();
        let figures = Figures { runs: 1, ..Figures::default() };
        let mut world = Self {
            options: options.clone(),
            time: Duration::ZERO,
            dice,
            faults,
            clients,
            server,
            conns: BTreeMap::new(),
            conn_count: 0,
            recorded: (0..count).map(|_| Recorded::default()).collect(),
            oracle: Oracle::new(count),
            figures,
            length,
            calm_since: None,
            agenda: BTreeMap::new(),
            events: 0,
            log,
            seed,
            swap: None,
        };
        world.plan();
        world
    }

    /// Puts on the agenda what does not follow from anything.
    fn plan(&mut self) {
        let length = self.length;
        for client in 0..self.clients.len() {
            self.at(Duration::ZERO, Event::Redial { client, token: 0 });
            for _ in 0..self.dice.within(1, self.options.most_asks) {
                let at = self.dice.between(Duration::ZERO, length);
                self.at(at, Event::Ask { client });
            }
            for _ in 0..self.dice.below(4) {
                let at = self.dice.between(Duration::ZERO, length);
                self.at(at, Event::Cancel { client });
            }
            for _ in 0..self.dice.below(self.options.most_asks * 2) {
                let at = self.dice.between(Duration::ZERO, length);
                self.at(at, Event::Push { client });
            }
            if self.dice.chance(500) {
                let at = self.dice.between(Duration::ZERO, length);
                self.at(at, Event::Destroy { client });
            }
            self.at(length + PEACE, Event::LastRequest { client });
        }
        for (at, fault) in self.faults.moments(length) {
            self.at(at, Event::Strike(fault));
        }
        self.at(length, Event::Calm);
    }

    /// Puts something on the agenda.
    pub(super) fn at(&mut self, time: Duration, event: Event) {
        self.events += 1;
        self.agenda.insert((time.max(self.time), self.events), event);
    }

    /// Writes a line into the log, if there is one.
    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        if self.log.0.is_some() {
            self.log.write(format!("{:>12.6} {}", self.time.as_secs_f64(), line()));
        }
    }

    /// A tracer for a session.
    pub(super) fn tracer(&self, who: impl FnOnce() -> String) -> Tracer {
        let recorder = self.options.trace.clone();
        if self.log.0.is_none() && recorder.is_off() {
            return Tracer::off();
        }
        Tracer::new(Arc::new(Listener { who: who(), log: self.log.clone(), recorder }))
    }

    /// Runs the world to its end.
    pub(super) fn run(&mut self) {
        let mut steps = 0;
        let (mut last, mut at_once) = (Duration::ZERO, 0);
        while let Some(next) = self.next_moment() {
            let over = self.calm_since.is_some_and(|since| next > since + PEACE + SETTLE || self.is_done(since));
            if over {
                break;
            }
            steps += 1;
            at_once = if next > last { 0 } else { at_once + 1 };
            last = next;
            if steps > MOST_STEPS {
                return self.oracle.blame(Violation::Storm { limit: MOST_STEPS });
            }
            if at_once > MOST_STEPS_AT_ONCE {
                return self.oracle.blame(Violation::Stuck { at: self.time });
            }
            self.time = next;
            self.step();
        }
        self.check_sizes_at_rest();
        let living = self.living_slots();
        self.oracle.finish(|slot| living.contains(&slot));
    }

    /// Whether everything that is to happen has happened: the last requests have ended, and there was time for late news.
    fn is_done(&self, since: Duration) -> bool {
        self.oracle.open() == 0 && self.time > since + PEACE + Duration::from_secs(130)
    }

    fn next_moment(&self) -> Option<Duration> {
        let agenda = self.agenda.keys().next().map(|(time, _)| *time);
        let clients = self.clients.iter().filter_map(Client::deadline);
        let next = agenda.into_iter().chain(clients).chain(self.server.deadline()).min()?;
        Some(next.max(self.time))
    }

    fn step(&mut self) {
        self.client_timeouts();
        self.server_timeouts();
        while let Some((&(time, number), _)) = self.agenda.first_key_value()
            && time <= self.time
        {
            let Some(event) = self.agenda.remove(&(time, number)) else { return };
            if let Some((client, until)) = self.sleeper(&event) {
                // It hears of it when it wakes.
                self.note(|| format!("client {client} sleeps through something"));
                self.at(until, event);
                continue;
            }
            self.happen(event);
        }
    }

    /// The client that sleeps through an event.
    fn sleeper(&self, event: &Event) -> Option<(usize, Duration)> {
        let client = match event {
            Event::Dialled { conn } | Event::DialFailed { conn } => self.conns.get(conn)?.client,
            Event::Arrived { conn, to: Side::Client, .. } | Event::Hangup { conn, to: Side::Client } => {
                self.conns.get(conn)?.client
            }
            Event::Redial { client, .. }
            | Event::ExchangeTimeout { client, .. }
            | Event::Ask { client }
            | Event::Cancel { client }
            | Event::Pump { client }
            | Event::LastRequest { client }
            | Event::Destroy { client } => *client,
            _ => return None,
        };
        let until = self.clients.get(client)?.asleep?;
        Some((client, until))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Dialled { conn } => self.dialled(conn),
            Event::DialFailed { conn } => self.dial_failed(conn),
            Event::Arrived { conn, to, bytes } => self.arrived(conn, to, &bytes),
            Event::Hangup { conn, to } => {
                let client = self.conns.get(&conn).map(|conn| conn.client);
                if self.close_end(conn, to) {
                    match (to, client) {
                        (Side::Client, Some(client)) => self.client_lost(client, conn, "the other side has closed it"),
                        (Side::Server, _) => self.server_lost(conn),
                        (Side::Client, None) => {}
                    }
                }
            }
            Event::Release { conn, from } => self.release(conn, from),
            Event::Redial { client, token } => self.redial(client, token),
            Event::ExchangeTimeout { client, conn } => self.exchange_timeout(client, conn),
            Event::Wake { client } => self.wake(client),
            Event::Pump { client } => self.pump_client(client),
            Event::Ask { client } => self.ask_some(client),
            Event::Cancel { client } => self.cancel_one(client),
            Event::Destroy { client } => self.destroy_stranger(client),
            Event::LastRequest { client } => self.ask(client, true),
            Event::Push { client } => self.push(client),
            Event::Worked { slot, asked, msg_id, error } => self.worked(slot, asked, msg_id, error),
            Event::AnswerAgain { slot, req } => self.answer_again(slot, req),
            Event::Held(held) => self.begin_when_free(held),
            Event::Strike(fault) => self.strike(fault),
            Event::Calm => {
                self.note(|| "from now on nothing goes wrong".to_owned());
                self.calm_since = Some(self.time);
                self.faults.stop();
            }
        }
    }

    /// A planned fault.
    fn strike(&mut self, fault: Fault) {
        if !self.faults.planned(fault) {
            return;
        }
        let client = self.faults.dice().index(self.clients.len());
        self.note(|| format!("fault: {fault}, client {client}"));
        match fault {
            Fault::Cut => self.cut(client),
            Fault::HalfOpen => self.fall_silent(client),
            Fault::Replay => self.replay(client),
            Fault::Inject => self.inject(client),
            Fault::ClientLeap => {
                let seconds = self.leap();
                self.clients[client].machine.leap(seconds);
            }
            Fault::ServerLeap => {
                let seconds = self.leap();
                if seconds < 0 {
                    self.oracle.set_back();
                }
                self.server.machine.leap(seconds);
            }
            Fault::Sleep => self.fall_asleep(client),
            Fault::SaltChange => self.change_salts(client),
            Fault::KeyForgotten => self.forget_key(client),
            Fault::SessionForgotten => self.forget_session(client),
            Fault::Error404 => self.transport_error(client, 404),
            Fault::Error429 => self.transport_error(client, 429),
            Fault::Error444 => self.transport_error(client, 444),
            other => self.talk_nonsense(client, other),
        }
    }

    fn leap(&mut self) -> i64 {
        let dice = self.faults.dice();
        let seconds = dice.spread(Duration::from_secs(1), Duration::from_secs(20_000)).as_secs().cast_signed();
        if dice.below(2) == 0 { seconds } else { -seconds }
    }

    /// How a side's codec frames bytes, on a connection that it has.
    pub(super) fn encode(&mut self, conn: u32, from: Side, frame: &[u8]) -> Option<BytesMut> {
        let mut out = BytesMut::new();
        let (codec, rng) = match from {
            Side::Client => {
                let client = self.conns.get(&conn)?.client;
                self.clients.get_mut(client)?.codec_of(conn)?
            }
            Side::Server => self.server.codec_of(conn)?,
        };
        codec.encode(frame, rng, &mut out).ok()?;
        Some(out)
    }

    /// What the run has to report.
    pub(super) fn report(mut self) -> Report {
        self.figures.simulated = self.time * u32::try_from(self.clients.len()).unwrap_or(1);
        self.figures.sessions = self.clients.len() as u64;
        for (fault, count) in Fault::ALL.iter().zip(self.faults.struck) {
            if count > 0 {
                self.figures.faults.insert(*fault, count);
            }
        }
        Report { seed: self.seed, violations: self.oracle.violations, figures: self.figures, log: self.log.take() }
    }

    /// Whether somebody breaks something on purpose.
    pub(super) fn sabotages(&self, sabotage: Sabotage) -> bool {
        self.options.sabotage == Some(sabotage)
    }

    /// Requests that a client has pending, oldest first: a list to choose from.
    pub(super) fn pending_of(&self, client: usize) -> VecDeque<u64> {
        self.clients.get(client).map(Client::pending_numbers).unwrap_or_default()
    }
}
