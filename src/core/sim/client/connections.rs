//! Connections: dialled, with a key made over them when there is none, fed to the session, and given up.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Link, Material, Stream, draw::draw_transport};
use crate::{
    ids::{DcId, SessionId},
    mtproto::{
        envelope::Side,
        handshake::{
            ClientHandshake, Mode,
            client::{Config, Step},
        },
        session::{ClientParams, FutureSalt, Reaction, Session},
    },
    sim::{
        Sabotage,
        oracle::End,
        server,
        world::{Event, World},
    },
    transport::{Codec, Frame, TransportError},
};

/// The pause before a new connection: it doubles from the first to the longest.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The least pause after transport error 429.
const FLOOD_PAUSE: Duration = Duration::from_secs(5);

/// How long a key exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// How many times in a row the server has to say that it does not know the key: anybody can say it once.
const BELIEVE_404: u32 = 3;

impl World {
    pub(in super::super) fn redial(&mut self, client: usize, token: u64) {
        let found = &mut self.clients[client];
        if token != found.token || !matches!(found.link, Link::Down) {
            return;
        }
        if found.restless {
            found.transport = draw_transport(&mut self.dice);
        }
        let conn = self.connect(client);
        self.clients[client].link = Link::Dialling(conn);
    }

    pub(in super::super) fn dial_failed(&mut self, conn: u32) {
        let Some(client) = self.conns.remove(&conn).map(|conn| conn.client) else { return };
        self.note(|| format!("client {client}: conn {conn} was not accepted"));
        self.client_lost(client, conn, "not accepted");
    }

    pub(in super::super) fn dialled(&mut self, conn: u32) {
        let Some(client) = self.conns.get(&conn).map(|conn| conn.client) else { return };
        let Link::Dialling(dialling) = self.clients[client].link else { return };
        if dialling != conn {
            return;
        }
        self.figures.connections += 1;
        self.server.accept(conn, client);
        let now = self.clients[client].now(self.time);
        let found = &mut self.clients[client];
        let codec = Codec::client(&found.transport, &mut found.rng);
        let stream = Stream { conn, codec, input: BytesMut::new() };
        if let Some(session) = &mut found.session {
            session.connection_opened(now);
            found.link = Link::Up(stream);
        } else if found.key.is_some() {
            found.link = Link::Up(stream);
            self.begin_session(client);
        } else {
            let config = Config::new(server::public_keys(), DcId(server::DC), Mode::Permanent);
            let (handshake, frame) = ClientHandshake::new(&config, now, &mut found.rng);
            found.link = Link::Exchanging(stream, Some(handshake));
            self.at(self.time + EXCHANGE_TIMEOUT, Event::ExchangeTimeout { client, conn });
            self.carry(conn, Side::Client, BytesMut::from(&frame[..]));
        }
        let transport = self.clients[client].transport;
        self.note(|| format!("client {client}: conn {conn} is open, {transport}"));
        self.pump_client(client);
    }

    /// Begins a session under the key that there is.
    fn begin_session(&mut self, client: usize) {
        let tracer = self.tracer(|| format!("client {client}"));
        let hoards = self.sabotages(Sabotage::Hoard);
        let found = &mut self.clients[client];
        let Some(material) = found.key.clone() else { return };
        let id = loop {
            // Zero is no session.
            let id = self.dice.long();
            if id != 0 {
                break id;
            }
        };
        let mut params = ClientParams::new(material.auth_key, SessionId(id), self.dice.seed());
        (params.salts, params.time_offset, params.tracer) = (material.salts, material.time_offset, tracer);
        (params.ping, params.limits) = (found.ping, found.limits);
        if hoards {
            params.limits.requests = 1 << 16;
        }
        found.session = Some(Session::client(params, found.now(self.time)));
        self.submit_waiting(client);
    }

    pub(in super::super) fn exchange_timeout(&mut self, client: usize, conn: u32) {
        if matches!(&self.clients[client].link, Link::Exchanging(stream, _) if stream.conn == conn) {
            self.drop_link(client, "the key exchange takes too long", Duration::ZERO);
        }
    }

    /// The network says that a connection is over.
    pub(in super::super) fn client_lost(&mut self, client: usize, conn: u32, why: &str) {
        if self.clients[client].conn() == Some(conn) {
            self.drop_link(client, why, Duration::ZERO);
        }
    }

    /// Ends the connection, tells the session, and plans the next one.
    pub(super) fn drop_link(&mut self, client: usize, why: &str, least: Duration) {
        self.note(|| format!("client {client}: connection over: {why}"));
        let now = self.clients[client].now(self.time);
        let found = &mut self.clients[client];
        let conn = found.conn();
        found.link = Link::Down;
        if let Some(session) = &mut found.session
            && session.is_connected()
        {
            session.connection_lost(now);
        }
        found.token += 1;
        let (token, pause) = (found.token, found.pause.max(least));
        found.pause = (found.pause * 2).min(LONGEST_PAUSE);
        if let Some(conn) = conn {
            self.hang_up(conn, Side::Client);
        }
        let jitter = self.dice.between(Duration::ZERO, pause / 4);
        self.at(self.time + pause + jitter, Event::Redial { client, token });
    }

    // Bytes.

    pub(in super::super) fn client_bytes(&mut self, client: usize, conn: u32, bytes: &Bytes) {
        match &mut self.clients[client].link {
            Link::Up(stream) | Link::Exchanging(stream, _) if stream.conn == conn => stream.input.extend_from_slice(bytes),
            _ => return,
        }
        loop {
            let decoded = match &mut self.clients[client].link {
                Link::Up(stream) | Link::Exchanging(stream, _) if stream.conn == conn => stream.codec.decode(&mut stream.input),
                _ => break,
            };
            match decoded {
                Ok(None) => break,
                Ok(Some(Frame::Payload(frame))) => self.client_frame(client, frame),
                Ok(Some(Frame::QuickAck(_))) => {}
                Ok(Some(Frame::Error(error))) => self.client_refused(client, error),
                Err(error) => {
                    self.count("Transport");
                    self.drop_link(client, &error.to_string(), Duration::ZERO);
                }
            }
        }
        self.pump_client(client);
    }

    fn client_frame(&mut self, client: usize, frame: BytesMut) {
        let now = self.clients[client].now(self.time);
        let found = &mut self.clients[client];
        if let Link::Exchanging(stream, handshake) = &mut found.link {
            let conn = stream.conn;
            let Some(taken) = handshake.take() else { return };
            match taken.handle_frame(frame.freeze(), now, &mut found.rng) {
                Ok(Step::Send(next, frame)) => {
                    *handshake = Some(next);
                    self.carry(conn, Side::Client, BytesMut::from(&frame[..]));
                }
                Ok(Step::Done(made)) => {
                    self.figures.exchanges += 1;
                    let salts = vec![FutureSalt::unlimited(made.salt)];
                    found.key = Some(Material { auth_key: made.auth_key, salts, time_offset: made.time_offset });
                    found.pause = FIRST_PAUSE;
                    if let Link::Exchanging(stream, _) = std::mem::replace(&mut found.link, Link::Down) {
                        found.link = Link::Up(stream);
                    }
                    self.begin_session(client);
                }
                Err(error) => {
                    self.count(error.rule());
                    self.drop_link(client, &error.to_string(), Duration::ZERO);
                }
            }
            return;
        }
        let Some(session) = &mut found.session else { return };
        match session.handle_input(now, frame) {
            Ok(()) => {
                found.unknown_key = 0;
                found.pause = FIRST_PAUSE;
            }
            Err(error) => {
                self.count(error.rule());
                self.note(|| format!("client {client}: refused: {error}"));
                if error.reaction() == Reaction::Reconnect {
                    self.pump_events(client);
                    self.drop_link(client, &error.to_string(), Duration::ZERO);
                }
            }
        }
        self.pump_events(client);
    }

    /// The server refuses below the protocol. Nobody signs that, so the key is given up only when it has been said several times.
    fn client_refused(&mut self, client: usize, error: TransportError) {
        self.count("TransportError");
        let found = &mut self.clients[client];
        let least = if error == TransportError::Flood { FLOOD_PAUSE } else { Duration::ZERO };
        if error == TransportError::AuthKeyNotFound && found.session.is_some() {
            found.unknown_key += 1;
            if found.unknown_key >= BELIEVE_404 {
                found.unknown_key = 0;
                self.lose_key(client);
            }
        }
        self.drop_link(client, &error.to_string(), least);
    }

    /// The key is of no use any more: everything under it ends, and another one is made.
    fn lose_key(&mut self, client: usize) {
        self.note(|| format!("client {client} gives its key up"));
        self.pump_events(client);
        let found = &mut self.clients[client];
        found.session = None;
        let lost = found.pending_numbers();
        found.by_request.clear();
        found.open.clear();
        for number in lost {
            self.end(client, number, &End::KeyLost);
        }
        let fresh = match self.dice.chance(self.options.exchanges) {
            true => None,
            false => Some(self.server.fresh_key(&mut self.dice)),
        };
        self.clients[client].key = fresh;
    }
}
