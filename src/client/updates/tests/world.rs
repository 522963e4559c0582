//! A server that counts right and a network that does not care: pushes are lost, doubled and overtaken, answers are slow and come in
//! slices, questions fail, and the listener is started again from what it had stored. Whatever the seed, everything is told once, in order.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

/// Seeds tried.
const SEEDS: u64 = 200;
/// Things that happen in one world.
const HAPPENINGS: usize = 150;

/// What happened, with where its counter stood after it.
struct Happening {
    pts: i32,
    count: i32,
    update: Update,
}

/// The side that counts.
#[derive(Default)]
struct Server {
    account: Vec<Happening>,
    channel: Vec<Happening>,
    seq: i32,
    numbered: bool,
    pts: i32,
    channel_pts: i32,
    /// What has to be told, in the order of each counter.
    expected: [Vec<i32>; 2],
}

impl Server {
    fn new(numbered: bool) -> Self {
        Self { numbered, pts: 1, channel_pts: 1, ..Self::default() }
    }

    fn happen(&mut self, rng: &mut StdRng) -> Updates {
        let number = i32::try_from(self.expected[0].len() + self.expected[1].len()).unwrap() + 1;
        let (update, line) = match rng.random_range(0..10) {
            0..=2 => {
                self.channel_pts += 1;
                let update = new_post(number, self.channel_pts);
                self.channel.push(Happening { pts: self.channel_pts, count: 1, update: update.clone() });
                (update, 1)
            }
            3 => {
                self.pts += 3;
                let ids = vec![number * 3 + 2000, number * 3 + 2001, number * 3 + 2002];
                let update: Update = types::UpdateDeleteMessages { messages: ids, pts: self.pts, pts_count: 3 }.into();
                self.account.push(Happening { pts: self.pts, count: 3, update: update.clone() });
                (update, 0)
            }
            _ => {
                self.pts += 1;
                let update = new_message(number, self.pts);
                self.account.push(Happening { pts: self.pts, count: 1, update: update.clone() });
                (update, 0)
            }
        };
        self.expected[line].extend(words(&UpdateEvent::Update(update.clone())));
        if self.numbered {
            self.seq += 1;
            envelope(vec![update], self.seq)
        } else {
            short(update)
        }
    }

    fn state(&self, pts: i32) -> enums::updates::State {
        types::updates::State { pts, qts: 0, date: 100 + pts, seq: self.seq, unread_count: 0 }.into()
    }

    fn difference(&self, pts: i32) -> enums::updates::Difference {
        let mut missed: Vec<_> = self.account.iter().filter(|h| h.pts > pts).collect();
        assert!(missed.first().is_none_or(|h| h.pts - h.count >= pts), "asked from the middle of a stretch");
        let all = missed.len() <= 6;
        missed.truncate(6);
        let reached = missed.last().map_or(self.pts, |h| h.pts);
        let mut new_messages = Vec::new();
        let too_long = types::UpdateChannelTooLong { channel_id: CHANNEL, pts: Some(self.channel_pts) };
        let mut other_updates: Vec<Update> = vec![too_long.into()];
        for happening in missed {
            match &happening.update {
                Update::NewMessage(u) => new_messages.push(u.message.clone()),
                other => other_updates.push(other.clone()),
            }
        }
        let (state, new_encrypted_messages, chats, users) = (self.state(reached), Vec::new(), Vec::new(), Vec::new());
        if all {
            let all = types::updates::Difference { new_messages, new_encrypted_messages, other_updates, chats, users, state };
            return all.into();
        }
        types::updates::DifferenceSlice {
            new_messages,
            new_encrypted_messages,
            other_updates,
            chats,
            users,
            intermediate_state: state,
        }
        .into()
    }

    fn channel_difference(&self, pts: i32) -> enums::updates::ChannelDifference {
        let missed: Vec<_> = self.channel.iter().filter(|h| h.pts > pts).take(4).collect();
        let reached = missed.last().map_or(self.channel_pts, |h| h.pts);
        let new_messages = missed.iter().map(|h| match &h.update {
            Update::NewChannelMessage(u) => u.message.clone(),
            other => panic!("{other:?}"),
        });
        types::updates::ChannelDifference {
            r#final: reached == self.channel_pts,
            pts: reached,
            timeout: None,
            new_messages: new_messages.collect(),
            other_updates: Vec::new(),
            chats: Vec::new(),
            users: Vec::new(),
        }
        .into()
    }
}

/// Something on its way to the listener.
enum Coming {
    Push(Updates),
    Answer(Request),
    Refusal(Request),
}

struct World {
    rng: StdRng,
    now: Duration,
    server: Server,
    engine: Engine,
    /// With the number of the listener that it is for.
    coming: Vec<(Duration, usize, Coming)>,
    listener: usize,
    stored: UpdateState,
    heard: Vec<i32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let server = Server::new(rng.random_bool(0.5));
        let stored = UpdateState { pts: 1, date: 100, channels: [(CHANNEL, 1)].into(), ..UpdateState::default() };
        let engine = Engine::new(Duration::ZERO, 1, Some(stored.clone()));
        Self { rng, now: Duration::ZERO, server, engine, coming: Vec::new(), listener: 0, stored, heard: Vec::new() }
    }

    fn later(&mut self, most: u64) -> Duration {
        self.now + ms(self.rng.random_range(0..=most))
    }

    fn happen(&mut self) {
        let push = self.server.happen(&mut self.rng);
        let copies = match self.rng.random_range(0..100) {
            0..15 => 0,
            15..25 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let at = self.later(900);
            self.coming.push((at, self.listener, Coming::Push(push.clone())));
        }
    }

    /// Lets the engine do what it wants; deals with what it tells, and stores how far it is.
    fn settle(&mut self) {
        self.engine.handle_timeout(self.now);
        while let Some(request) = self.engine.poll_request(self.now) {
            let at = self.later(400);
            let coming = if self.rng.random_bool(0.1) { Coming::Refusal(request) } else { Coming::Answer(request) };
            self.coming.push((at, self.listener, coming));
        }
        self.heard.extend(told(&mut self.engine));
        if let Some(state) = self.engine.state() {
            self.stored = state.clone();
        }
    }

    fn restart(&mut self) {
        self.listener += 1;
        self.engine = Engine::new(self.now, 1, Some(self.stored.clone()));
    }

    fn arrive(&mut self, coming: Coming) {
        let now = self.now;
        match coming {
            Coming::Push(updates) => push(&mut self.engine, now, updates),
            Coming::Refusal(request) => self.engine.handle_failure(now, request),
            // Answered as things stand when the answer arrives: nothing is lost if they stood otherwise when it was asked.
            Coming::Answer(Request::State) => self.engine.handle_state(now, self.server.state(self.server.pts)),
            Coming::Answer(Request::Difference { pts, .. }) => {
                self.engine.handle_difference(now, self.server.difference(pts)).unwrap();
            }
            Coming::Answer(Request::Channel { id, pts, .. }) => {
                self.engine.handle_channel_difference(now, id, self.server.channel_difference(pts)).unwrap();
            }
        }
    }

    /// Moves to the next moment at which something is due, no later than `until`. Whether there was one.
    fn step(&mut self, until: Duration) -> bool {
        self.settle();
        let arrival = self.coming.iter().map(|(at, ..)| *at).min();
        let next = arrival.into_iter().chain(self.engine.poll_timeout()).min();
        let Some(next) = next.filter(|at| *at <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        if let Some(index) = self.coming.iter().position(|(at, ..)| *at <= self.now) {
            let (_, listener, coming) = self.coming.swap_remove(index);
            if listener == self.listener {
                self.arrive(coming);
            }
        }
        true
    }

    fn run(mut self, seed: u64) {
        for _ in 0..HAPPENINGS {
            self.happen();
            match self.rng.random_range(0..100) {
                0..4 => self.restart(),
                4..8 => self.engine.handle_gap(self.now),
                8..10 => push(&mut self.engine, self.now, Updates::TooLong),
                _ => {}
            }
            let until = self.later(300);
            for _ in 0..10_000 {
                if !self.step(until) {
                    break;
                }
            }
        }
        // Even if the last push of all is lost, silence leads to a question; the end is not near any of those.
        let end = self.now + Duration::from_secs(40 * 60);
        for turn in 0.. {
            assert!(turn < 100_000, "seed {seed}: the engine is busy with nothing");
            if !self.step(end) {
                break;
            }
        }
        assert!(self.engine.is_caught_up(), "seed {seed}");
        let line = |channel: bool| -> Vec<i32> {
            self.heard.iter().copied().filter(|word| (1000..2000).contains(word) == channel).collect()
        };
        let mut account = line(false);
        let mut expected = self.server.expected[0].clone();
        // Within one difference, messages come before the rest; deletions are in order among themselves.
        for (sign, what) in [(1, "messages"), (-1, "deletions")] {
            let of = |words: &[i32]| -> Vec<i32> { words.iter().copied().filter(|w| w.signum() == sign).collect() };
            assert_eq!(of(&account), of(&expected), "seed {seed}: {what}");
        }
        account.sort_unstable();
        expected.sort_unstable();
        assert_eq!(account, expected, "seed {seed}");
        assert_eq!(line(true), self.server.expected[1], "seed {seed}: posts");
        let state = self.engine.state().unwrap();
        assert_eq!((state.pts, state.channels[&CHANNEL]), (self.server.pts, self.server.channel_pts), "seed {seed}");
    }
}

#[test]
fn everything_is_told_once_and_in_order_whatever_the_network_does() {
    for seed in 0..SEEDS {
        World::new(seed).run(seed);
    }
}
