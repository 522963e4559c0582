//! What a client is like, drawn: its clock, its key, its transport, its limits, how much it says.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::{Client, Link, connections::FIRST_PAUSE};
use crate::{
    ids::DcId,
    mtproto::session::{Limits, PingPolicy},
    sim::{
        Options,
        dice::Dice,
        fault::{Fault, Faults},
        machine::Machine,
        server::{self, Server},
    },
    transport::{self, Kind},
};

impl Client {
    pub(in super::super) fn draw(
        index: usize,
        dice: &mut Dice,
        faults: &mut Faults,
        server: &mut Server,
        options: &Options,
    ) -> Self {
        let (drift, offset) = match faults.has(Fault::Drift) {
            true => (dice.within(0, 40_000).cast_signed() - 20_000, dice.within(0, 200_000).cast_signed() - 100_000),
            false => (0, 0),
        };
        if faults.has(Fault::Drift) {
            faults.planned(Fault::Drift);
        }
        let machine = Machine::new(drift, offset);
        let key = match dice.chance(options.exchanges) {
            true => None,
            // Half of the time several sessions share one key.
            false => Some(server.cached_key(if dice.below(2) == 0 { 0 } else { index }, dice)),
        };
        Self {
            machine,
            asleep: None,
            slept_from: Duration::ZERO,
            key,
            session: None,
            link: Link::Down,
            transport: draw_transport(dice),
            restless: dice.chance(3000),
            rng: rand::SeedableRng::from_seed(dice.seed()),
            ping: match dice.below(4) {
                0 => PingPolicy {
                    interval: Duration::from_secs(10),
                    disconnect_delay: Duration::from_secs(25),
                    patience: Duration::from_secs(5),
                },
                _ => PingPolicy::default(),
            },
            limits: Limits { requests: dice.pick([8, 64, 8192]), ..draw_limits(dice, Limits::default()) },
            waiting: VecDeque::new(),
            by_request: BTreeMap::new(),
            open: BTreeSet::new(),
            numbers: 0,
            updates: 0,
            pause: FIRST_PAUSE,
            token: 0,
            unknown_key: 0,
        }
    }
}

pub(super) fn draw_transport(dice: &mut Dice) -> transport::Options {
    let kind = dice.pick(Kind::ALL);
    transport::Options { kind, obfuscated: dice.below(4) == 0, dc: DcId(server::DC) }
}

/// Mostly the defaults; sometimes so small that every bound is reached that can be reached in good faith. What the other side may have
/// under way at once is not among those: a server that admits less than its clients ask can only turn them away.
pub(in super::super) fn draw_limits(dice: &mut Dice, limits: Limits) -> Limits {
    let limits = Limits { unpacked: 256 << 10, ..limits };
    if dice.below(3) > 0 {
        return limits;
    }
    Limits {
        seen: dice.pick([512, 1024]),
        remembered: dice.pick([128, 512]),
        kept: dice.pick([64, 256]),
        service_queue: dice.pick([64, 256]),
        resends: dice.pick([2, 4, 8]),
        ack_batch: dice.pick([1, 8, 100]),
        ..limits
    }
}

/// Most bodies are short. Some are long enough to be packed, few so long that they travel alone.
pub(super) fn draw_len(dice: &mut Dice) -> usize {
    let most = match dice.below(400) {
        0 => 40_000,
        1..16 => 3_000,
        _ => 160,
    };
    dice.index(most)
}
