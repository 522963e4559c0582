//! One connection to the server: key exchanges, sessions, and requests on their way to whoever answers them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::Rng;
use rand::rngs::StdRng;

use super::keys::{FIRST_CDN, cdn_key, private_key};
use super::{Call, Reply, Temp, TestServer};
use crate::clock::Now;
use crate::ids::{DcId, MsgId, SessionId};
use crate::mtproto::envelope::{self, Side};
use crate::mtproto::handshake::KeyKind;
use crate::mtproto::handshake::server::{Config, ServerHandshake, Step};
use crate::mtproto::plain;
use crate::mtproto::session::{Event, FutureSalt, ServerParams, Session};
use crate::tl::{Deserialize, Identifiable, RawObject, Serialize, api};
use crate::transport::{Codec, Frame};

#[derive(PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    /// Write what there is, then close.
    End,
    /// Close at once.
    Cut,
}

pub(super) struct Connection {
    dc: i32,
    codec: Codec,
    handshake: Option<ServerHandshake>,
    /// The sessions whose messages came over it; the last one at the end.
    sessions: Vec<(i64, i64)>,
    frames: usize,
}

impl Connection {
    pub(super) fn new(dc: i32, codec: Codec) -> Self {
        Self { dc, codec, handshake: None, sessions: Vec::new(), frames: 0 }
    }

    pub(super) fn due(&self, server: &TestServer) -> Option<Duration> {
        let state = server.state.lock().unwrap();
        let sessions = self.sessions.iter().filter_map(|id| state.sessions.get(id)).filter_map(Session::poll_timeout);
        sessions.chain(state.later.iter().map(|(due, ..)| *due)).min()
    }

    pub(super) fn advance(&mut self, server: &TestServer, input: &mut BytesMut, output: &mut BytesMut) -> Verdict {
        let now = server.clock.now();
        let mut rng = server.rng.lock().unwrap();
        while let Some(frame) = self.codec.decode(input).unwrap() {
            let Frame::Payload(frame) = frame else { panic!("a client sends payloads") };
            self.frames += 1;
            if plain::is_plain(&frame) {
                self.exchange(server, frame.freeze(), &mut rng, output);
                continue;
            }
            let key_id = envelope::key_id_of(&frame).unwrap();
            if let Some(code) = server.state.lock().unwrap().refuse_with {
                self.codec.encode_error(code, &mut *rng, output).unwrap();
                return Verdict::End;
            }
            let Some(key) = server.key(self.dc, key_id) else {
                self.codec.encode_error(404, &mut *rng, output).unwrap();
                return Verdict::End;
            };
            let opened = envelope::open(&key, Side::Client, frame).unwrap();
            server.state.lock().unwrap().heard.push((key_id, opened.body.clone()));
            let id = (key_id, opened.session_id.0);
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            let mut state = server.state.lock().unwrap();
            let session = state.sessions.entry(id).or_insert_with(|| {
                let salts = vec![FutureSalt { since: 0, until: i64::MAX, salt: opened.salt }];
                Session::server(ServerParams::new(key, SessionId(id.1), salts, seed), now)
            });
            if !self.sessions.contains(&id) {
                self.sessions.push(id);
                session.connection_opened(now);
            }
            session.handle_opened(now, opened).unwrap();
            drop(state);
            if server.state.lock().unwrap().cuts_before_answers {
                return Verdict::Cut;
            }
            if self.answer(server, id) == Verdict::Cut {
                return Verdict::Cut;
            }
        }
        let mut state = server.state.lock().unwrap();
        let talks_garbage = state.talks_garbage;
        let due: Vec<_> = state.later.extract_if(.., |(due, id, ..)| *due <= now.mono && self.sessions.contains(id)).collect();
        for (_, id, msg_id, body) in due {
            state.outstanding -= 1;
            if let Some(session) = state.sessions.get_mut(&id) {
                session.respond(now, msg_id, body, true).unwrap();
            }
        }
        for id in &self.sessions {
            let Some(session) = state.sessions.get_mut(id) else { continue };
            session.handle_timeout(now);
            while let Some(mut frame) = session.poll_output(now) {
                if talks_garbage {
                    frame[30..].fill(7);
                }
                self.codec.encode(&frame, &mut *rng, output).unwrap();
            }
        }
        Verdict::GoOn
    }

    fn exchange(&mut self, server: &TestServer, frame: Bytes, rng: &mut StdRng, output: &mut BytesMut) {
        let now = server.clock.now();
        let key = if self.dc < FIRST_CDN { private_key() } else { cdn_key() };
        let config = || Config::new(vec![key.clone()], DcId(self.dc));
        let handshake = self.handshake.take().unwrap_or_else(|| ServerHandshake::new(&config()));
        let answer = match handshake.handle_frame(frame, now, rng, &mut |_| false).unwrap() {
            Step::Send(next, answer) => {
                self.handshake = Some(next);
                answer
            }
            Step::Wait(next) => {
                self.handshake = Some(next);
                return;
            }
            Step::Done(established, answer) => {
                let mut state = server.state.lock().unwrap();
                match established.kind {
                    KeyKind::Permanent => state.handshakes += 1,
                    KeyKind::Temporary { expires_at } => {
                        state.temp_dcs.push(established.dc);
                        state.temps.insert(established.auth_key.id(), Temp { expires_at, bound_to: None });
                    }
                }
                state.keys.insert((self.dc, established.auth_key.id()), established.auth_key);
                answer
            }
            Step::Failed(error, _) => panic!("{error}"),
        };
        self.codec.encode(&answer, rng, output).unwrap();
    }

    /// Executes the requests that the session reports.
    fn answer(&mut self, server: &TestServer, id: (i64, i64)) -> Verdict {
        let now = server.clock.now();
        loop {
            let mut state = server.state.lock().unwrap();
            let Some(event) = state.sessions.get_mut(&id).and_then(Session::poll_event) else { return Verdict::GoOn };
            let (msg_id, body) = match event {
                Event::Request { msg_id, body } => (msg_id, body),
                Event::RequestCancelled { .. } => {
                    state.cancelled += 1;
                    state.outstanding -= 1;
                    continue;
                }
                _ => continue,
            };
            if let Some(reply) = state.about_keys(self.dc, id, msg_id, &body, now) {
                state.outstanding += 1;
                drop(state);
                self.reply(server, id, msg_id, reply, now);
                continue;
            }
            state.outstanding += 1;
            state.most_outstanding = state.most_outstanding.max(state.outstanding);
            let mut call = self.unwrap(id, body);
            call.perm = state.temps.get(&id.0).and_then(|temp| temp.bound_to).unwrap_or(id.0);
            call.nth = state.calls.iter().filter(|old| (old.dc, old.method) == (call.dc, call.method)).count();
            state.calls.push(call.clone());
            drop(state);
            let reply = (server.handler.lock().unwrap())(&call);
            if self.reply(server, id, msg_id, reply, now) == Verdict::Cut {
                return Verdict::Cut;
            }
        }
    }

    fn reply(&self, server: &TestServer, id: (i64, i64), msg_id: MsgId, reply: Reply, now: Now) -> Verdict {
        let mut state = server.state.lock().unwrap();
        let (body, verdict) = match reply {
            Reply::Silence => return Verdict::GoOn,
            Reply::Later(delay, body) => {
                state.later.push((now.mono + delay, id, msg_id, body));
                return Verdict::GoOn;
            }
            Reply::Body(body) => (body, Verdict::GoOn),
            Reply::AnswerAndCut(body) => (body, Verdict::Cut),
            Reply::Error(code, message) => {
                let error = crate::tl::mtproto::types::RpcError { error_code: code, error_message: message.into() };
                (crate::tl::mtproto::enums::RpcError::from(error).to_bytes(), Verdict::GoOn)
            }
        };
        state.outstanding -= 1;
        if let Some(session) = state.sessions.get_mut(&id) {
            session.respond(now, msg_id, body, true).unwrap();
            if verdict == Verdict::Cut {
                session.connection_lost(now);
            }
        }
        verdict
    }

    /// Takes the generic calls off.
    fn unwrap(&self, (key_id, session): (i64, i64), mut body: Bytes) -> Call {
        let (mut introduced, mut without_updates, mut layer) = (None, false, 0);
        loop {
            let method = u32::from_le_bytes(*body.first_chunk().unwrap());
            match method {
                api::functions::InvokeWithLayer::<RawObject>::ID => {
                    let call = api::functions::InvokeWithLayer::<RawObject>::from_bytes(body).unwrap();
                    (layer, body) = (call.layer, call.query.0);
                }
                api::functions::InitConnection::<RawObject>::ID => {
                    let call = api::functions::InitConnection::<RawObject>::from_bytes(body).unwrap();
                    introduced = Some((layer, call.device_model.to_string()));
                    body = call.query.0;
                }
                api::functions::InvokeWithoutUpdates::<RawObject>::ID => {
                    without_updates = true;
                    body = api::functions::InvokeWithoutUpdates::<RawObject>::from_bytes(body).unwrap().query.0;
                }
                _ => {
                    let (dc, frames) = (self.dc, self.frames);
                    return Call {
                        dc,
                        key_id,
                        perm: key_id,
                        session,
                        introduced,
                        without_updates,
                        method,
                        nth: 0,
                        frames,
                        body,
                    };
                }
            }
        }
    }
}
