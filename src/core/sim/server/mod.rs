//! The server of a simulated world: the real detector, codec, key exchange and session, and a host around them that finds keys and
//! sessions, executes requests and pushes updates.
//!
//! * `connections`: bytes, the key exchange among them. `sessions`: sessions and salts. `host`: requests and updates.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rand::{SeedableRng, rngs::StdRng};

use super::{
    body::Asked,
    client::{Material, draw_limits},
    dice::Dice,
    fault::{Fault, Faults},
    machine::Machine,
};
use crate::{
    crypto::{
        AuthKey,
        rsa::{PrivateKey, PublicKey},
    },
    ids::{MsgId, SessionId},
    mtproto::{
        handshake::server::ServerHandshake,
        msg_id::Generator,
        session::{Limits, Salts, Session},
    },
    transport::{Codec, Detector},
};

mod connections;
mod host;
mod sessions;

/// The only data centre there is.
pub(super) const DC: i32 = 2;

/// Salts that the server keeps for each key.
const SALTS: usize = 8;

static RSA: LazyLock<([PrivateKey; 1], [PublicKey; 1])> = LazyLock::new(|| {
    // Always the same one: it is drawn from a seed, and guards nothing.
    let key = PrivateKey::generate(&mut StdRng::seed_from_u64(0x51a));
    let public = key.public().clone();
    ([key], [public])
});

pub(super) fn public_keys() -> &'static [PublicKey] {
    &RSA.1
}

/// A session of the server's, and what the host keeps beside it.
pub(super) struct Slot {
    /// Its number: a session that was forgotten and begun anew has another one.
    pub(super) number: u64,
    pub(super) key_id: i64,
    pub(super) session_id: SessionId,
    pub(super) session: Session,
    /// The connection that its messages come from and go to.
    pub(super) owner: Option<u32>,
    /// Whose it is.
    pub(super) client: usize,
    /// Identifiers of what the misbehaving server says.
    pub(super) forger: Generator,
    pub(super) limits: Limits,
    /// Requests that it was handed, by their messages.
    pub(super) executed: BTreeMap<MsgId, Asked>,
    /// Updates that were sent in it, by what the session calls them.
    pushed: BTreeMap<MsgId, Asked>,
    /// Requests that its host was given, whether it works on them yet or not.
    pub(super) taken: BTreeSet<MsgId>,
    /// Frames that were refused on purpose.
    pub(super) refused: BTreeSet<MsgId>,
    /// Those that are done, and whether well.
    finished: BTreeMap<MsgId, bool>,
}

/// A request that waits for others to be done.
pub(super) struct Held {
    slot: u64,
    msg_id: MsgId,
    query: Bytes,
    after: Vec<MsgId>,
    until: Duration,
}

struct Key {
    auth_key: AuthKey,
    salts: Salts,
}

/// A connection, as the server sees it.
struct Stream {
    client: usize,
    input: BytesMut,
    detector: Detector,
    codec: Option<Codec>,
    handshake: Option<ServerHandshake>,
}

pub(super) struct Server {
    pub(super) machine: Machine,
    keys: BTreeMap<i64, Key>,
    pub(super) slots: Vec<Slot>,
    slot_count: u64,
    streams: BTreeMap<u32, Stream>,
    cached: BTreeMap<usize, AuthKey>,
    /// Sessions that their clients had destroyed, with their keys. What is still under way for them must not begin them anew: it would be
    /// executed again.
    destroyed: BTreeSet<(i64, SessionId)>,
    rng: StdRng,
    limits: Limits,
}

impl Server {
    pub(super) fn new(dice: &mut Dice, faults: &mut Faults) -> Self {
        let drift = if faults.has(Fault::Drift) { dice.within(0, 40_000).cast_signed() - 20_000 } else { 0 };
        Self {
            machine: Machine::new(drift, 0),
            keys: BTreeMap::new(),
            slots: Vec::new(),
            slot_count: 0,
            streams: BTreeMap::new(),
            cached: BTreeMap::new(),
            destroyed: BTreeSet::new(),
            rng: StdRng::from_seed(dice.seed()),
            limits: draw_limits(dice, Limits::server()),
        }
    }

    /// A key that both sides have from an exchange long ago.
    pub(super) fn cached_key(&mut self, which: usize, dice: &mut Dice) -> Material {
        match self.cached.get(&which) {
            Some(key) => Material { auth_key: key.clone(), salts: Vec::new(), time_offset: 0 },
            None => {
                let material = self.fresh_key(dice);
                self.cached.insert(which, material.auth_key.clone());
                material
            }
        }
    }

    /// A key that both sides have from an exchange that is not played.
    pub(super) fn fresh_key(&mut self, dice: &mut Dice) -> Material {
        let mut bytes = [0; AuthKey::LEN];
        rand::Rng::fill_bytes(dice.rng(), &mut bytes);
        let auth_key = AuthKey::from_bytes(&bytes);
        self.keys.insert(auth_key.id(), Key { auth_key: auth_key.clone(), salts: Salts::default() });
        Material { auth_key, salts: Vec::new(), time_offset: 0 }
    }

    pub(super) fn accept(&mut self, conn: u32, client: usize) {
        let stream = Stream { client, input: BytesMut::new(), detector: Detector::new(), codec: None, handshake: None };
        self.streams.insert(conn, stream);
    }

    pub(super) fn codec_of(&mut self, conn: u32) -> Option<(&mut Codec, &mut StdRng)> {
        let codec = self.streams.get_mut(&conn)?.codec.as_mut()?;
        Some((codec, &mut self.rng))
    }

    pub(super) fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// When a session wants to be woken, in the world's time.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.slots.iter().filter_map(|slot| slot.session.poll_timeout()).min().map(|mono| self.machine.when(mono))
    }

    pub(super) fn position(&self, number: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.number == number)
    }

    /// The session in which a client is now, as far as the server knows it.
    pub(super) fn current_of(&self, client: usize, session_id: SessionId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.client == client && slot.session_id == session_id)
    }

    pub(super) fn key(&self, key_id: i64) -> Option<&AuthKey> {
        self.keys.get(&key_id).map(|key| &key.auth_key)
    }
}
