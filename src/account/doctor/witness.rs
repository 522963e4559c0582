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
    /// For each connection, the sessions that it carried first, and how often the server said that it has begun one.
    connections: HashMap<ConnId, (usize, usize)>,
    lost: usize,
    bad: BTreeMap<i32, usize>,
    time_offset: Option<i64>,
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
            begun_anew: seen.connections.values().map(|(carried, begun)| begun.saturating_sub(*carried)).sum(),
            lost_connections: seen.lost,
            bad_messages: seen.bad.clone(),
            time_offset: seen.time_offset,
        }
    }
}

impl Seen {
    fn take(&mut self, record: &Record) {
        match &record.event {
            // The first message of a session is what the server begins one for.
            Event::Envelope { sent: true, inner: Some(inner), .. } if self.sessions.len() < MOST => {
                if self.sessions.insert(inner.session_id.0) {
                    self.connection(record.conn).0 += 1;
                }
            }
            Event::SessionCreated { .. } => self.connection(record.conn).1 += 1,
            Event::Disconnected { reason } if !is_ours(reason) => self.lost += 1,
            Event::BadMsg { code, .. } => *self.bad.entry(*code).or_default() += 1,
            Event::TimeOffset { seconds } => self.time_offset = Some(*seconds),
            _ => {}
        }
    }

    fn connection(&mut self, conn: ConnId) -> &mut (usize, usize) {
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
