//! The protocol server of a DC: it accepts connections, and each gets a task.
//!
//! * [`answers`]: what it needs from whoever answers;
//! * `connection`: one client's socket: transport, key exchange, encrypted messages;
//! * `socket`: what it comes through, bare or inside TLS; `http`: the same over HTTP; `turns`: which request gets what a session has to say;
//! * `sessions`: sessions, which outlive connections, and the pushing of updates to them;
//! * `routing`: who is told of an update; `duplicates`: keys that are in two places at once; `disturb`: what goes wrong on purpose;
//! * `work`: the cluster's own answers: calls on their way through the services, off the tasks that serve sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::answers::Answers;
use super::state::State;
use tdl_core::clock::Now;
use tdl_core::crypto::keylog::KeyLogger;
use tdl_core::crypto::rsa::PrivateKey;
use tdl_core::ids::DcId;
use tdl_core::mtproto::handshake::server::Config as HandshakeConfig;
use tdl_core::trace::Tracer;

pub mod answers;
pub(crate) mod connection;
mod disturb;
mod duplicates;
mod http;
#[cfg(test)]
mod http_tests;
mod routing;
pub mod sessions;
mod socket;
pub(crate) mod tell;
mod turns;
pub(crate) mod work;

/// How long to wait after the system refused to accept a connection (too many open files, as a rule).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all DCs of a cluster share.
pub struct Shared<A: Answers> {
    /// What the cluster remembers.
    pub state: State,
    /// Whoever answers.
    pub answers: A,
    pub(crate) keys: Arc<[PrivateKey]>,
    /// A DC with keys of its own.
    keys_at: Option<(DcId, Arc<[PrivateKey]>)>,
    /// Every session.
    pub sessions: sessions::Registry<A>,
    /// Where events go.
    pub tracer: Tracer,
    pub(crate) key_log: KeyLogger,
    /// Goes away with the last user of the state, be it a task or a thread: then the cluster has stopped.
    _alive: mpsc::Sender<()>,
    start: Instant,
}

impl<A: Answers> Shared<A> {
    /// As its parts say; `alive` is dropped when the last user of the state has gone.
    pub fn new(
        state: State,
        answers: A,
        keys: Arc<[PrivateKey]>,
        tracer: Tracer,
        key_log: KeyLogger,
        alive: mpsc::Sender<()>,
    ) -> Self {
        let sessions = sessions::Registry::default();
        Self { state, answers, keys, keys_at: None, sessions, tracer, key_log, _alive: alive, start: Instant::now() }
    }

    /// One DC proves itself with other keys than the rest: a CDN DC, which is not to be trusted with theirs.
    pub(crate) fn set_keys_at(&mut self, dc: DcId, keys: Arc<[PrivateKey]>) {
        self.keys_at = Some((dc, keys));
    }

    /// Both clocks, now.
    pub fn now(&self) -> Now {
        Now::new(self.start.elapsed(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// The same instant for the runtime's timers.
    pub(crate) fn instant(&self, mono: Duration) -> tokio::time::Instant {
        self.start.checked_add(mono).unwrap_or(self.start).into()
    }

    fn handshake(&self, dc: DcId, tracer: Tracer) -> HandshakeConfig {
        // Clients from before 2021, and Telethon to this day, encrypt the first message in the old way.
        let keys = self.keys_at.as_ref().filter(|(at, _)| *at == dc).map_or(&self.keys, |(_, keys)| keys);
        HandshakeConfig::new(Arc::clone(keys), dc).with_legacy_rsa(true).with_tracer(tracer)
    }
}

/// One port of a DC.
pub struct Port {
    /// Where clients are accepted.
    pub listener: TcpListener,
    /// The DC behind it.
    pub dc: DcId,
    /// What agrees on TLS, at a port that speaks it.
    pub tls: Option<TlsAcceptor>,
}

/// Serves one port until `stop` says so, then waits for its connections to end.
pub async fn serve<A: Answers>(port: Port, shared: Arc<Shared<A>>, stop: watch::Receiver<bool>) {
    let Port { listener, dc, tls } = port;
    let mut connections = JoinSet::new();
    let mut stopped = stop.clone();
    loop {
        tokio::select! {
            () = told(&mut stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(&mut connections, stream, peer, (dc, tls.clone()), &shared, &stop),
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
pub(crate) async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn accept<A: Answers>(
    connections: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
    (dc, tls): (DcId, Option<TlsAcceptor>),
    shared: &Arc<Shared<A>>,
    stop: &watch::Receiver<bool>,
) {
    // Answers are small and somebody waits for each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%dc, %peer, %error, "no-delay not set");
    }
    let id = tdl_net::next_connection();
    let mut stop = stop.clone();
    let connection = connection::Connection::new(Arc::clone(shared), id, dc, peer);
    connections.spawn(async move {
        tokio::select! {
            () = told(&mut stop) => {}
            reason = connection.run_in(stream, tls) => tracing::debug!(%dc, %peer, conn = id.0, %reason, "connection closed"),
        }
    });
}
