//! The network: connections that carry bytes in order, late, and sometimes not at all.
//!
//! Two kinds of trouble. As bytes: connections end at any byte, fall silent, and bits turn over. As frames: somebody who carries them
//! without being able to read them, a proxy, loses them, doubles them, swaps them, shortens them, plays old ones again.

use std::{collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};
use rand::Rng;

use super::{
    fault::Fault,
    world::{Event, World},
};
use crate::mtproto::envelope::Side;

/// Frames remembered for playing them again, for each client and direction.
const RECORDED: usize = 12;

/// One connection, as the network sees it.
pub(super) struct Conn {
    pub(super) client: usize,
    /// Whether each end is open, by [`place`].
    open: [bool; 2],
    /// It carries nothing any more.
    silent: bool,
    /// What was under way is lost.
    severed: bool,
    latency: Duration,
    /// When the last bytes written by each end arrive.
    last: [Duration; 2],
    /// A frame of each end's that the next one overtakes.
    held: [Option<BytesMut>; 2],
}

/// The frames that a client has written and was written to, and on which connections, for [`Fault::Replay`].
#[derive(Default)]
pub(super) struct Recorded([VecDeque<(u32, BytesMut)>; 2]);

impl Recorded {
    fn add(&mut self, conn: u32, from: Side, frame: &BytesMut) {
        let list = &mut self.0[place(from)];
        list.push_back((conn, frame.clone()));
        if list.len() > RECORDED {
            list.pop_front();
        }
    }
}

/// Where a side's things are in a pair.
pub(super) const fn place(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}

pub(super) const fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

impl World {
    /// Begins a connection. Its fate is known after a while.
    pub(super) fn connect(&mut self, client: usize) -> u32 {
        self.conn_count += 1;
        let conn = self.conn_count;
        let latency = self.dice.spread(Duration::from_millis(2), Duration::from_millis(400));
        let made = Conn {
            client,
            open: [true, true],
            silent: false,
            severed: false,
            latency,
            last: [self.time; 2],
            held: [None, None],
        };
        self.conns.insert(conn, made);
        if self.faults.strikes(Fault::Refused) {
            let late = self.faults.dice().pick([1, 10_000]);
            self.at(self.time + latency + Duration::from_millis(late), Event::DialFailed { conn });
        } else {
            self.at(self.time + latency * 2, Event::Dialled { conn });
        }
        conn
    }

    /// An end closes the connection. The other learns of it behind the last bytes.
    pub(super) fn hang_up(&mut self, conn: u32, by: Side) {
        let Some(found) = self.conns.get_mut(&conn) else { return };
        if !std::mem::replace(&mut found.open[place(by)], false) {
            return;
        }
        let at = found.last[place(by)].max(self.time + found.latency);
        if !found.silent {
            self.at(at, Event::Hangup { conn, to: other(by) });
        }
        self.bury(conn);
    }

    /// An end was told that the connection is over.
    pub(super) fn close_end(&mut self, conn: u32, side: Side) -> bool {
        let was_open = self.conns.get_mut(&conn).is_some_and(|conn| std::mem::replace(&mut conn.open[place(side)], false));
        self.bury(conn);
        was_open
    }

    /// Forgets a connection that neither end has.
    fn bury(&mut self, conn: u32) {
        if self.conns.get(&conn).is_some_and(|conn| conn.open == [false, false]) {
            self.conns.remove(&conn);
        }
    }

    /// The connection of a client, if it has one.
    fn any_conn_of(&self, client: usize) -> Option<u32> {
        self.conns.iter().rev().find(|(_, conn)| conn.client == client && conn.open[0]).map(|(number, _)| *number)
    }

    /// A connection ends in the middle of whatever it does.
    pub(super) fn cut(&mut self, client: usize) {
        let Some(number) = self.any_conn_of(client) else { return };
        let tell_server = self.faults.dice().chance(7000);
        let Some(conn) = self.conns.get_mut(&number) else { return };
        (conn.silent, conn.severed) = (true, true);
        let latency = conn.latency;
        self.at(self.time + latency, Event::Hangup { conn: number, to: Side::Client });
        if tell_server {
            self.at(self.time + latency, Event::Hangup { conn: number, to: Side::Server });
        }
    }

    /// A connection falls silent. Nobody is told.
    pub(super) fn fall_silent(&mut self, client: usize) {
        if let Some(conn) = self.any_conn_of(client).and_then(|conn| self.conns.get_mut(&conn)) {
            conn.silent = true;
        }
    }

    /// An old frame comes again, on whatever connection there is now.
    pub(super) fn replay(&mut self, client: usize) {
        let from = self.faults.dice().pick([Side::Client, Side::Server]);
        let Some(recorded) = self.recorded.get(client).map(|recorded| &recorded.0[place(from)]) else { return };
        let at = self.faults.dice().index(recorded.len());
        let (Some((of, frame)), Some(conn)) = (recorded.get(at).cloned(), self.any_conn_of(client)) else { return };
        if of != conn {
            // It may have been lost with its connection, and come only now. On its own it is a copy of what came, or was lost there.
            self.tampered(client, from);
        }
        self.put(conn, from, &frame);
    }

    /// Random bytes come as a frame.
    pub(super) fn inject(&mut self, client: usize) {
        let Some(conn) = self.any_conn_of(client) else { return };
        let dice = self.faults.dice();
        let (from, words) = (dice.pick([Side::Client, Side::Server]), dice.within(1, 60));
        let mut frame = BytesMut::zeroed(usize::try_from(words * 4).unwrap_or(4));
        dice.rng().fill_bytes(&mut frame);
        self.put(conn, from, &frame);
    }

    /// A side writes a frame, which goes through the hands of whoever carries it.
    pub(super) fn carry(&mut self, conn: u32, from: Side, mut frame: BytesMut) {
        let Some(client) = self.conns.get(&conn).map(|conn| conn.client) else { return };
        self.figures.frames += 1;
        if self.faults.has(Fault::Replay)
            && let Some(recorded) = self.recorded.get_mut(client)
        {
            recorded.add(conn, from, &frame);
        }
        if self.faults.strikes(Fault::Swallow) {
            self.note(|| format!("conn {conn}: a frame of {} bytes from the {from:?} is lost", frame.len()));
            return self.tampered(client, from);
        }
        if self.faults.strikes(Fault::Truncate) {
            let words = self.faults.dice().below((frame.len() / 4) as u64);
            frame.truncate(usize::try_from(words * 4).unwrap_or(0).max(4));
        }
        let held = self.conns.get_mut(&conn).and_then(|conn| conn.held[place(from)].take());
        if held.is_none() && self.faults.strikes(Fault::Reorder) {
            self.tampered(client, from);
            if let Some(found) = self.conns.get_mut(&conn) {
                found.held[place(from)] = Some(frame);
                self.at(self.time + Duration::from_secs(2), Event::Release { conn, from });
            }
            return;
        }
        self.put(conn, from, &frame);
        if let Some(held) = held {
            self.put(conn, from, &held);
        }
        if self.faults.strikes(Fault::Duplicate) {
            self.put(conn, from, &frame);
        }
    }

    /// No frame has come to overtake the one that was held.
    pub(super) fn release(&mut self, conn: u32, from: Side) {
        if let Some(held) = self.conns.get_mut(&conn).and_then(|conn| conn.held[place(from)].take()) {
            self.put(conn, from, &held);
        }
    }

    fn tampered(&mut self, client: usize, from: Side) {
        if from == Side::Server {
            self.oracle.tampered(client);
        }
    }

    /// Frames for the transport, as the writer's codec does it, and sends the bytes.
    fn put(&mut self, conn: u32, from: Side, frame: &[u8]) {
        if let Some(bytes) = self.encode(conn, from, frame) {
            self.send(conn, from, bytes);
        }
    }

    /// Sends bytes.
    pub(super) fn send(&mut self, conn: u32, from: Side, mut bytes: BytesMut) {
        let Some(found) = self.conns.get(&conn).filter(|conn| conn.open[place(from)] && !conn.silent) else { return };
        let (latency, last) = (found.latency, found.last[place(from)]);
        if bytes.is_empty() {
            return;
        }
        if self.faults.strikes(Fault::Corrupt) {
            let dice = self.faults.dice();
            let (at, bit) = (dice.index(bytes.len()), dice.below(8));
            bytes[at] ^= 1 << bit;
        }
        if self.faults.strikes(Fault::LengthLie) {
            let at = self.faults.dice().index(bytes.len().min(8));
            bytes[at] = bytes[at].wrapping_add(1 + self.faults.dice().below(255) as u8);
        }
        let mut end = None;
        if self.faults.strikes(Fault::CutInside) {
            bytes.truncate(self.faults.dice().index(bytes.len()));
            end = Some(self.faults.dice().chance(7000));
        }
        let jitter = self.dice.between(Duration::ZERO, latency / 2);
        let stall = match self.faults.strikes(Fault::Stall) {
            true => self.faults.dice().spread(Duration::from_secs(1), Duration::from_secs(30)),
            false => Duration::ZERO,
        };
        let mut arrival = (self.time + latency + jitter + stall).max(last + Duration::from_nanos(1));
        let to = other(from);
        // Streams know no frames: what was written at once may come in pieces.
        if bytes.len() > 1 && self.dice.chance(1500) {
            let first = bytes.split_to(1 + self.dice.index(bytes.len() - 1)).freeze();
            self.at(arrival, Event::Arrived { conn, to, bytes: first });
            arrival += self.dice.between(Duration::from_nanos(1), Duration::from_millis(30));
        }
        if !bytes.is_empty() {
            self.at(arrival, Event::Arrived { conn, to, bytes: bytes.freeze() });
        }
        let Some(found) = self.conns.get_mut(&conn) else { return };
        found.last[place(from)] = arrival;
        if let Some(tell_server) = end {
            found.silent = true;
            self.at(arrival + latency, Event::Hangup { conn, to: Side::Client });
            if tell_server {
                self.at(arrival + latency, Event::Hangup { conn, to: Side::Server });
            }
        }
    }

    /// Bytes have arrived at an end.
    pub(super) fn arrived(&mut self, conn: u32, to: Side, bytes: &Bytes) {
        let Some(found) = self.conns.get(&conn).filter(|conn| conn.open[place(to)] && !conn.severed) else { return };
        let client = found.client;
        match to {
            Side::Client => self.client_bytes(client, conn, bytes),
            Side::Server => self.server_bytes(conn, bytes),
        }
    }
}
