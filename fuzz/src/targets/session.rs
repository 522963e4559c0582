//! A session after decryption: the peer has the key, so everything behind the envelope is in its hands.
//!
//! Input: operations, each a byte and its operands.
//!
//! | byte mod 8 | operation | operands |
//! |---|---|---|
//! | 0 to 2 | a message from the peer | flags, length of the body in words, body |
//! | 3 | time passes | a byte, squared, in tenths of a second |
//! | 4 | a request (client); an answer to the oldest request (server) | length in words |
//! | 5 | cancel the newest request (client); an update (server) | length in words |
//! | 6 | the connection is lost and opened again | |
//! | 7 | a frame that is no message | length, frame |

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use tdl::clock::Now;
use tdl::ids::{MsgId, Salt, SeqNo, SessionId};
use tdl::mtproto::container;
use tdl::mtproto::envelope::{self, Header, Side};
use tdl::mtproto::session::{ClientParams, Event, FutureSalt, Limits, RequestId, RequestOptions, ServerParams, Session};
use tdl::tl::Serialize;
use tdl::tl::mtproto::{enums, functions, types};

use super::Seed;
use super::envelope::KEY;
use super::input::{self, Input, START};

const SESSION: SessionId = SessionId(0x1122_3344_5566_7788);
const SALT: Salt = Salt(0x0102_0304_0506_0708);

/// What to do to a message, as bits of its flags.
mod flag {
    pub(super) const SERVICE: u8 = 1;
    pub(super) const UNASKED: u8 = 2;
    pub(super) const WRONG_SALT: u8 = 4;
    pub(super) const RAW_ID: u8 = 8;
    pub(super) const WRONG_SESSION: u8 = 16;
    pub(super) const IN_CONTAINER: u8 = 32;
    pub(super) const ABOUT_THEIRS: u8 = 64;
    pub(super) const RAW_SEQ: u8 = 128;
}

pub(super) fn run(data: &[u8], role: Side) {
    let mut input = Input::new(data);
    let mut world = World::new(role);
    world.poll();
    // Enough to reach every limit, few enough to be quick.
    for _ in 0..2000 {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
        world.poll();
    }
}

struct World {
    session: Session,
    role: Side,
    now: Now,
    rng: StdRng,
    /// The low word of the peer's next message identifier.
    counter: i64,
    /// Content-related messages that the peer has written.
    content: i32,
    /// Messages that the session has sent.
    theirs: Vec<MsgId>,
    requests: Vec<RequestId>,
    running: Vec<MsgId>,
}

impl World {
    fn new(role: Side) -> Self {
        let limits = Limits {
            requests: 16,
            body: 4096,
            unpacked: 1 << 16,
            seen: 32,
            remembered: 32,
            kept: 8,
            kept_bytes: 4096,
            service_queue: 32,
            resends: 3,
            ..Limits::default()
        };
        let salts = vec![FutureSalt::unlimited(SALT)];
        let session = match role {
            Side::Client => {
                let mut params = ClientParams::new(KEY.clone(), SESSION, [1; 32]);
                params.salts = salts;
                params.limits = limits;
                Session::client(params, START)
            }
            Side::Server => {
                let mut params = ServerParams::new(KEY.clone(), SESSION, salts, [1; 32]);
                params.limits = limits;
                Session::server(params, START)
            }
        };
        Self {
            session,
            role,
            now: START,
            rng: input::rng(),
            counter: 0,
            content: 0,
            theirs: Vec::new(),
            requests: Vec::new(),
            running: Vec::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0..=2 => self.message(input),
            3 => {
                let tenths = u64::from(input.byte()).pow(2);
                self.now = self.now.later(Duration::from_millis(tenths * 100));
                self.session.handle_timeout(self.now);
            }
            4 => {
                let body = body(input.byte());
                if self.role == Side::Client {
                    if let Ok(id) = self.session.request(self.now, body, RequestOptions::default()) {
                        self.requests.push(id);
                    }
                } else if !self.running.is_empty() {
                    let _ = self.session.respond(self.now, self.running.remove(0), body, true);
                }
            }
            5 => {
                let len = input.byte();
                if self.role == Side::Server {
                    let _ = self.session.push(self.now, body(len));
                } else if let Some(id) = self.requests.pop() {
                    self.session.cancel(self.now, id);
                }
            }
            6 => {
                self.session.connection_lost(self.now);
                self.session.connection_opened(self.now);
            }
            _ => {
                let len = usize::from(input.byte());
                self.receive(BytesMut::from(input.take(len)));
            }
        }
    }

    fn message(&mut self, input: &mut Input<'_>) {
        let flags = input.byte();
        let len = usize::from(input.byte()) * 4;
        let mut body = input.take(len).to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        if let (true, Some(about), Some(place)) = (flags & flag::ABOUT_THEIRS != 0, self.theirs.last(), body.get_mut(4..12)) {
            place.copy_from_slice(&about.0.to_le_bytes());
        }
        if flags & flag::IN_CONTAINER != 0 {
            let (msg_id, seq_no) = (self.next_id(flags), self.next_seq(flags));
            let mut outer = container::header(1).to_vec();
            outer.extend_from_slice(&container::message_header(msg_id, seq_no, body.len()));
            outer.extend_from_slice(&body);
            body = outer;
        }
        let mut msg_id = self.next_id(flags);
        if flags & flag::RAW_ID != 0 {
            msg_id = MsgId(i64::from_le_bytes(input.array()));
        }
        let mut seq_no = self.next_seq(flags | if flags & flag::IN_CONTAINER != 0 { flag::SERVICE } else { 0 });
        if flags & flag::RAW_SEQ != 0 {
            seq_no = SeqNo(i32::from_le_bytes(input.array()));
        }
        let header = Header {
            salt: if flags & flag::WRONG_SALT != 0 { Salt(1) } else { SALT },
            session_id: if flags & flag::WRONG_SESSION != 0 { SessionId(1) } else { self.session.session_id() },
            msg_id,
            seq_no,
        };
        let frame = envelope::seal(&KEY, self.role.peer(), &header, &[&body], &mut self.rng);
        self.receive(frame);
    }

    /// An identifier of the peer's that is in order.
    fn next_id(&mut self, flags: u8) -> MsgId {
        self.counter += 4;
        let residue = match self.role {
            Side::Server => 0,
            Side::Client if flags & flag::UNASKED != 0 => 3,
            Side::Client => 1,
        };
        MsgId(self.now.unix() << 32 | self.counter | residue)
    }

    fn next_seq(&mut self, flags: u8) -> SeqNo {
        if flags & flag::SERVICE != 0 {
            return SeqNo(self.content * 2);
        }
        self.content += 1;
        SeqNo(self.content * 2 - 1)
    }

    fn receive(&mut self, frame: BytesMut) {
        // What is refused leaves the session as it was: it goes on.
        let _ = self.session.handle_input(self.now, frame);
    }

    /// Takes all that comes out. It must come to an end, and every frame must be sound.
    fn poll(&mut self) {
        for _ in 0..10_000 {
            match self.session.poll_event() {
                None => break,
                Some(Event::Request { msg_id, .. }) => self.running.push(msg_id),
                Some(Event::DestroySession { session_id }) => {
                    self.session.session_destroyed(session_id, true).expect("a server");
                }
                Some(_) => {}
            }
        }
        assert!(self.session.poll_event().is_none(), "events without an end");
        for _ in 0..1000 {
            let Some(frame) = self.session.poll_output(self.now) else { break };
            let opened = envelope::open(&KEY, self.role, frame).expect("a sound frame");
            self.theirs.push(opened.msg_id);
            if container::constructor(&opened.body) == container::ID {
                let parts = container::parse(&opened.body, opened.msg_id).expect("a sound container");
                self.theirs.extend(parts.map(|part| part.msg_id));
            }
        }
        assert!(self.session.poll_output(self.now).is_none(), "frames without an end");
        let _ = self.session.poll_timeout();
    }
}

/// A method that no schema knows, of the given number of words.
fn body(words: u8) -> Bytes {
    let mut body = 0x0bad_c0de_u32.to_le_bytes().to_vec();
    body.resize(4 + usize::from(words) * 4, 0x61);
    Bytes::from(body)
}

pub(super) fn seeds(role: Side) -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    let op = |flags: u8, object: &[u8]| [&[0, flags, (object.len() / 4) as u8][..], object].concat();
    let mut add = |name: &str, ops: &[&[u8]]| seeds.push((name.to_owned(), ops.concat()));
    const REQUEST: &[u8] = &[4, 3];
    const LATER: &[u8] = &[3, 20];
    const RECONNECT: &[u8] = &[6];
    let about = flag::ABOUT_THEIRS;

    let result = |of: &[u8]| [&0xf35c_6d01_u32.to_le_bytes()[..], &[0; 8], of].concat();
    let error = types::RpcError { error_code: 420, error_message: "FLOOD_WAIT_3".into() };
    let packed = tdl::mtproto::gzip::pack(&[0x61; 2000]).expect("repeats itself");
    let bad = |code| {
        enums::BadMsgNotification::from(types::BadMsgNotification { bad_msg_id: 0, bad_msg_seqno: 1, error_code: code })
            .to_bytes()
    };
    let salt = types::BadServerSalt { bad_msg_id: 0, bad_msg_seqno: 1, error_code: 48, new_server_salt: 9 };
    let acks = types::MsgsAck { msg_ids: vec![1, 5] };

    add("acks", &[&op(flag::SERVICE | flag::UNASKED, &enums::MsgsAck::from(acks).to_bytes())]);
    add("ping", &[&op(0, &functions::Ping { ping_id: 7 }.to_bytes())]);
    add("reconnect", &[REQUEST, REQUEST, RECONNECT, LATER, RECONNECT, &[5, 0]]);
    add("not-a-message", &[&[7, 40], &[0x42; 40], REQUEST]);
    for (name, flags) in [
        ("wrong-salt", flag::WRONG_SALT),
        ("wrong-session", flag::WRONG_SESSION),
        ("in-container", flag::IN_CONTAINER),
        ("odd-service", flag::SERVICE),
    ] {
        add(name, &[REQUEST, &op(flags, &functions::Ping { ping_id: 7 }.to_bytes()), LATER]);
    }
    add("old-id", &[&op(flag::RAW_ID, &functions::Ping { ping_id: 7 }.to_bytes()), &[1, 0, 0, 0, 0, 0, 0, 0]]);
    match role {
        Side::Client => {
            add("result", &[REQUEST, &op(about, &result(&[7; 8]))]);
            add("result-twice", &[REQUEST, &op(about, &result(&[7; 8])), &op(about, &result(&[7; 8]))]);
            add("error", &[REQUEST, &op(about, &result(&enums::RpcError::from(error).to_bytes()))]);
            add("packed-result", &[REQUEST, &op(about, &result(&packed))]);
            for code in [16, 17, 18, 19, 20, 32, 33, 34, 35, 48, 64, 99] {
                add(&format!("bad-msg-{code}"), &[REQUEST, &op(about | flag::SERVICE, &bad(code)), LATER]);
            }
            let salt = enums::BadMsgNotification::from(salt).to_bytes();
            add("bad-salt", &[REQUEST, &op(about | flag::SERVICE, &salt), LATER]);
            add("update", &[&op(flag::UNASKED, &0xe317_af7e_u32.to_le_bytes())]);
            let new = types::NewSessionCreated { first_msg_id: 0, unique_id: 3, server_salt: 4 };
            add("new-session", &[REQUEST, &op(about | flag::UNASKED, &enums::NewSession::from(new).to_bytes())]);
        }
        Side::Server => {
            let call = &body(2);
            add("request", &[&op(0, call), REQUEST, LATER]);
            add("packed-request", &[&op(0, &packed), REQUEST]);
            add("update", &[&op(0, call), &[5, 9], LATER, RECONNECT]);
            add("drop-answer", &[&op(0, call), &op(0, &functions::RpcDropAnswer { req_msg_id: 4 }.to_bytes())]);
            add("salts", &[&op(0, &functions::GetFutureSalts { num: 5 }.to_bytes())]);
            add("destroy", &[&op(0, &functions::DestroySession { session_id: 3 }.to_bytes())]);
            let ping = functions::PingDelayDisconnect { ping_id: 1, disconnect_delay: 5 };
            add("ping-delay", &[&op(0, &ping.to_bytes()), LATER, LATER]);
            add("many", &[&op(0, call).repeat(40), REQUEST]);
        }
    }
    seeds
}
