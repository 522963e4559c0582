//! Bytes: from a connection to the key exchange or to a session, and the end of connections.

use bytes::{Bytes, BytesMut};

use super::{DC, Key, RSA};
use crate::{
    ids::DcId,
    mtproto::{
        envelope::{self, Side},
        handshake::server::{Config, ServerHandshake, Step},
        plain,
        session::{PeerMisbehaved, Salts, SessionError},
    },
    sim::world::World,
    transport::Frame,
};

impl World {
    pub(in super::super) fn server_bytes(&mut self, conn: u32, bytes: &Bytes) {
        match self.server.streams.get_mut(&conn) {
            Some(stream) => stream.input.extend_from_slice(bytes),
            None => return,
        }
        loop {
            let Some(stream) = self.server.streams.get_mut(&conn) else { return };
            let decoded = match &mut stream.codec {
                Some(codec) => codec.decode(&mut stream.input),
                None => match stream.detector.detect(&mut stream.input) {
                    Ok(None) => return,
                    Ok(Some(codec)) => {
                        stream.codec = Some(codec);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match decoded {
                Ok(None) => return,
                Ok(Some(Frame::Payload(frame))) => self.server_frame(conn, frame),
                // Only servers send these: a server's codec takes four bytes for a payload.
                Ok(Some(Frame::QuickAck(_) | Frame::Error(_))) => {}
                Err(error) => {
                    self.count("Transport");
                    self.note(|| format!("server: conn {conn}: {error}"));
                    self.server_closes(conn);
                }
            }
        }
    }

    fn server_frame(&mut self, conn: u32, frame: BytesMut) {
        if plain::is_plain(&frame) {
            return self.server_exchange(conn, frame);
        }
        let Some(stream) = self.server.streams.get(&conn) else { return };
        let client = stream.client;
        let key_id = envelope::key_id_of(&frame).unwrap_or(0);
        let Some(key) = self.server.keys.get(&key_id).map(|key| key.auth_key.clone()) else {
            self.count("UnknownKey");
            return self.refuse_below(conn, 404);
        };
        let opened = match envelope::open(&key, Side::Client, frame) {
            Ok(opened) => opened,
            Err(error) => {
                self.count(error.rule());
                return self.server_closes(conn);
            }
        };
        if self.server.destroyed.contains(&(key_id, opened.session_id)) {
            return self.note(|| format!("server: {} was destroyed", opened.session_id));
        }
        let slot = self.slot(client, &key, opened.session_id);
        self.refresh_salts(key_id);
        self.attach(slot, conn);
        if self.refuse_on_purpose(slot, &opened) {
            return self.pump_slot(slot);
        }
        let now = self.server.machine.now(self.time);
        let number = self.server.slots[slot].number;
        match self.server.slots[slot].session.handle_opened(now, opened) {
            Ok(()) => {}
            Err(error) => {
                self.count(error.rule());
                self.note(|| format!("server: slot {number} refused: {error}"));
                if matches!(error, SessionError::PeerMisbehaved(PeerMisbehaved::Flood { .. })) {
                    self.server_closes(conn);
                }
            }
        }
        self.pump_slot(slot);
    }

    /// One step of a key exchange.
    fn server_exchange(&mut self, conn: u32, frame: BytesMut) {
        let now = self.server.machine.now(self.time);
        let server = &mut self.server;
        let Some(stream) = server.streams.get_mut(&conn) else { return };
        let handshake = stream.handshake.take().unwrap_or_else(|| ServerHandshake::new(&Config::new(RSA.0.clone(), DcId(DC))));
        let keys = &server.keys;
        let answer = match handshake.handle_frame(frame.freeze(), now, &mut server.rng, &mut |id| keys.contains_key(&id)) {
            Ok(Step::Send(next, answer)) => {
                stream.handshake = Some(next);
                answer
            }
            Ok(Step::Wait(next)) => {
                stream.handshake = Some(next);
                return;
            }
            Ok(Step::Done(made, answer)) => {
                let mut salts = Salts::default();
                salts.set_current(made.salt, now.unix());
                server.keys.insert(made.auth_key.id(), Key { auth_key: made.auth_key, salts });
                answer
            }
            Ok(Step::Failed(error, answer)) => {
                self.count(error.rule());
                answer
            }
            Err(error) => {
                self.count(error.rule());
                return self.refuse_below(conn, 404);
            }
        };
        self.carry(conn, Side::Server, BytesMut::from(&answer[..]));
    }

    /// A transport error, after which the connection ends.
    pub(in super::super) fn refuse_below(&mut self, conn: u32, code: i32) {
        let mut out = BytesMut::new();
        if let Some((codec, rng)) = self.server.codec_of(conn)
            && codec.encode_error(code, rng, &mut out).is_ok()
        {
            self.send(conn, Side::Server, out);
        }
        self.server_closes(conn);
    }

    pub(super) fn server_closes(&mut self, conn: u32) {
        self.hang_up(conn, Side::Server);
        self.server_lost(conn);
    }

    /// A connection is over.
    pub(in super::super) fn server_lost(&mut self, conn: u32) {
        self.server.streams.remove(&conn);
        let now = self.server.machine.now(self.time);
        for slot in self.server.slots.iter_mut().filter(|slot| slot.owner == Some(conn)) {
            slot.owner = None;
            slot.session.connection_lost(now);
        }
    }
}
