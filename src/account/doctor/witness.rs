//! An observer of the protocol that counts what matters here, and passes everything on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::trace::{ConnId, Event, Layer, Observer, Record, Tracer};

use super::Protocol;

/// Connections and sessions that are kept apart. A look takes a handful.
const MOST: usize = 1000;

/// Stands between a client and whoever listens to its trace.
pub struct Witness {
    behind: Tracer,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    sessions: HashSet<i64>,
    connections: HashMap<ConnId, Connection>,
    lost: usize,
    bad: BTreeMap<i32, usize>,
    time_offset: Option<i64>,
}

#[derive(Default)]
struct Connection {
    /// Sessions that it carried first.
    carried: usize,
    /// How often the server said that it has begun one.
    begun: usize,
    salts_refused: usize,
}

impl Witness {
    /// A witness in front of a tracer, which may be off.
    pub fn new(behind: Tracer) -> Arc<Self> {
        Arc::new(Self { behind, seen: Mutex::default() })
    }

    /// The tracer for a client.
    pub fn tracer(self: &Arc<Self>) -> Tracer {
        Tracer::new(self.clone())
    }

    /// What it has seen so far.
    pub fn protocol(&self) -> Protocol {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Protocol {
            sessions: seen.sessions.len(),
            begun_anew: seen.connections.values().map(|c| c.begun.saturating_sub(c.carried)).sum(),
            lost_connections: seen.lost,
            salts_refused: seen.connections.values().map(|c| c.salts_refused).max().unwrap_or(0),
            bad_messages: seen.bad.clone(),
            time_offset: seen.time_offset,
        }
    }
}

impl Seen {
    fn take(&mut self, record: &Record) {
        match &record.event {
            // The first message of a session is what the server begins one for.
            Event::Envelope { sent: true, inner: Some(inner), .. }
                if self.sessions.len() < MOST && self.sessions.insert(inner.session_id.0) =>
            {
                self.connection(record.conn).carried += 1;
            }
            Event::SessionCreated { .. } => self.connection(record.conn).begun += 1,
            Event::Disconnected { reason } if !is_ours(reason) => self.lost += 1,
            Event::BadMsg { code, .. } => {
                *self.bad.entry(*code).or_default() += 1;
                if *code == 48 {
                    self.connection(record.conn).salts_refused += 1;
                }
            }
            Event::TimeOffset { seconds } => self.time_offset = Some(*seconds),
            _ => {}
        }
    }

    fn connection(&mut self, conn: ConnId) -> &mut Connection {
        // All beyond the limit are one.
        let conn = if self.connections.len() < MOST { conn } else { ConnId(0) };
        self.connections.entry(conn).or_default()
    }
}

/// Whether it was we who closed a connection.
fn is_ours(reason: &str) -> bool {
    reason.contains("closed by us")
}

impl Observer for Witness {
    fn record(&self, record: &Record) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take(record);
        self.behind.forward(record);
    }

    fn wants(&self, layer: Layer) -> bool {
        matches!(layer, Layer::Transport | Layer::Crypto | Layer::Mtproto) || self.behind.wants(layer)
    }
}
