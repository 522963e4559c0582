//! The protocol server of a DC: it accepts connections, and each gets a task.
//!
//! * [`connection`]: one client's socket: transport, key exchange, encrypted messages;
//! * [`http`]: the same over HTTP; [`turns`]: which request gets what a session has to say;
//! * [`sessions`]: sessions, which outlive connections, and the pushing of updates to them;
//! * [`work`]: calls on their way through the services, off the tasks that serve sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::policy::Policy;
use super::services::Settings;
use super::state::State;
use crate::clock::Now;
use crate::crypto::keylog::KeyLogger;
use crate::crypto::rsa::PrivateKey;
use crate::ids::DcId;
use crate::mtproto::handshake::server::Config as HandshakeConfig;
use crate::trace::{ConnId, Tracer};

pub(crate) mod connection;
mod http;
#[cfg(test)]
mod http_tests;
pub(crate) mod sessions;
mod turns;
pub(crate) mod work;

/// How long to wait after the system refused to accept a connection (too many open files, as a rule).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all DCs of a cluster share.
pub(crate) struct Shared {
    pub(crate) state: State,
    pub(crate) settings: Settings,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) keys: Arc<[PrivateKey]>,
    pub(crate) sessions: sessions::Registry,
    pub(crate) tracer: Tracer,
    pub(crate) key_log: KeyLogger,
    /// Goes away with the last user of the state, be it a task or a thread: then the cluster has stopped.
    _alive: mpsc::Sender<()>,
    connections: AtomicU32,
    start: Instant,
}

impl Shared {
    pub(crate) fn new(
        state: State,
        settings: Settings,
        policy: Arc<dyn Policy>,
        keys: Arc<[PrivateKey]>,
        tracer: Tracer,
        key_log: KeyLogger,
        alive: mpsc::Sender<()>,
    ) -> Self {
        let sessions = sessions::Registry::default();
        Self {
            state,
            settings,
            policy,
            keys,
            sessions,
            tracer,
            key_log,
            _alive: alive,
            connections: AtomicU32::new(0),
            start: Instant::now(),
        }
    }

    /// Both clocks, now.
    pub(crate) fn now(&self) -> Now {
        Now::new(self.start.elapsed(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// The same instant for the runtime's timers.
    pub(crate) fn instant(&self, mono: Duration) -> tokio::time::Instant {
        self.start.checked_add(mono).unwrap_or(self.start).into()
    }

    fn handshake(&self, dc: DcId, tracer: Tracer) -> HandshakeConfig {
        // Clients from before 2021, and Telethon to this day, encrypt the first message in the old way.
        HandshakeConfig::new(Arc::clone(&self.keys), dc).with_legacy_rsa(true).with_tracer(tracer)
    }
}

/// Serves one DC until `stop` says so, then waits for its connections to end.
pub(crate) async fn serve(listener: TcpListener, dc: DcId, shared: Arc<Shared>, stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stopped = stop.clone();
    loop {
        tokio::select! {
            () = told(&mut stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(&mut connections, stream, peer, dc, &shared, &stop),
                Err(error) => {
                    tracing::warn!(%dc, %error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Waits for the word to stop; its sender's end is one too.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn accept(
    connections: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
    dc: DcId,
    shared: &Arc<Shared>,
    stop: &watch::Receiver<bool>,
) {
    // Answers are small and somebody waits for each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%dc, %peer, %error, "no-delay not set");
    }
    let id = shared.connections.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    let mut stop = stop.clone();
    let connection = connection::Connection::new(Arc::clone(shared), ConnId(id), dc, peer);
    connections.spawn(async move {
        tokio::select! {
            () = told(&mut stop) => {}
            reason = connection.run(stream) => tracing::debug!(%dc, %peer, conn = id, %reason, "connection closed"),
        }
    });
}
