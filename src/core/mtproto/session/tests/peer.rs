//! A hand-made peer: it says what a test makes it say, and takes apart what a session sends.

use std::time::Duration;

use bytes::Bytes;
use rand::{SeedableRng, rngs::StdRng};

use crate::{
    clock::Now,
    crypto::AuthKey,
    ids::{MsgId, Salt, SeqNo, SessionId},
    mtproto::{
        container::{self, constructor},
        envelope::{self, Opened, Side},
        msg_id::{Generator, Origin},
        session::{
            ClientParams, Event, FutureSalt, Limits, PeerMisbehaved, RequestId, RequestOptions, ServerParams, Session,
            SessionError,
        },
    },
    tl::wire,
};

pub(super) const SESSION: SessionId = SessionId(0x5e55);
pub(super) const SALT: Salt = Salt(0x5a17);
pub(super) const START: Now = Now::new(Duration::from_secs(1000), Duration::from_secs(1_700_000_000));

pub(super) fn key() -> AuthKey {
    let mut bytes = [0; 256];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = (at as u8).wrapping_mul(37) ^ 0x5c;
    }
    AuthKey::from_bytes(&bytes)
}

pub(super) fn client_with(limits: Limits) -> Session {
    let mut params = ClientParams::new(key(), SESSION, [7; 32]);
    params.salts = vec![FutureSalt::unlimited(SALT)];
    // What is asked is written at once: tests that want company wait for it.
    params.limits = Limits { coalesce: Duration::ZERO, ..limits };
    Session::client(params, START)
}

pub(super) fn client() -> Session {
    client_with(Limits::default())
}

pub(super) fn server_with(limits: Limits) -> Session {
    let mut params = ServerParams::new(key(), SESSION, vec![FutureSalt::unlimited(SALT)], [9; 32]);
    params.limits = Limits { coalesce: Duration::ZERO, ..limits };
    Session::server(params, START)
}

pub(super) fn server() -> Session {
    server_with(Limits::default())
}

/// A body that is no service message: a constructor of its own, and a number.
pub(super) fn body(number: u32) -> Bytes {
    [0x0bad_cafe_u32.to_le_bytes(), number.to_le_bytes()].concat().into()
}

/// A message as the hand-made peer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) msg_id: MsgId,
    pub(super) seq_no: SeqNo,
    pub(super) body: Bytes,
    pub(super) container: Option<MsgId>,
}

impl Got {
    pub(super) fn is(&self, id: u32) -> bool {
        constructor(&self.body) == id
    }

    /// The identifiers that `msgs_ack`, `msgs_state_req` or `msg_resend_req` lists.
    pub(super) fn ids(&self) -> Vec<MsgId> {
        self.body[12..].chunks(8).map(|id| MsgId(i64::from_le_bytes(id.try_into().unwrap()))).collect()
    }
}

/// Everything that a session has to send, taken apart.
pub(super) fn output(session: &mut Session, now: Now, writer: Side) -> Vec<Got> {
    let mut got = Vec::new();
    while let Some(frame) = session.poll_output(now) {
        let opened = envelope::open(&key(), writer, frame).unwrap();
        if constructor(&opened.body) != container::ID {
            got.push(Got { msg_id: opened.msg_id, seq_no: opened.seq_no, body: opened.body, container: None });
            continue;
        }
        for message in container::parse(&opened.body, opened.msg_id).unwrap() {
            let container::Message { msg_id, seq_no, body } = message;
            got.push(Got { msg_id, seq_no, body, container: Some(opened.msg_id) });
        }
    }
    got
}

pub(super) fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

pub(super) fn peer_error(result: Result<(), SessionError>) -> PeerMisbehaved {
    match result.unwrap_err() {
        SessionError::PeerMisbehaved(error) | SessionError::Notified(error) => error,
        other => panic!("{other}"),
    }
}

/// The other side, by hand.
pub(super) struct Peer {
    pub(super) side: Side,
    pub(super) salt: Salt,
    pub(super) session: SessionId,
    ids: Generator,
    content: i32,
    rng: StdRng,
}

impl Peer {
    pub(super) fn new(side: Side) -> Self {
        let rng = StdRng::from_seed([3; 32]);
        Self { side, salt: SALT, session: SESSION, ids: Generator::default(), content: 0, rng }
    }

    pub(super) fn next(&mut self, now: Now, content: bool) -> (MsgId, SeqNo) {
        let origin = if self.side == Side::Client { Origin::Client } else { Origin::Answer };
        let msg_id = self.ids.next(now.wall, origin, &mut self.rng);
        let even = self.content * 2;
        self.content += i32::from(content);
        (msg_id, SeqNo(even + i32::from(content)))
    }

    /// Its clock may be set back from here on.
    pub(super) fn forget_ids(&mut self) {
        self.ids = Generator::default();
    }

    pub(super) fn opened(&self, msg_id: MsgId, seq_no: SeqNo, body: impl Into<Bytes>) -> Opened {
        Opened { salt: self.salt, session_id: self.session, msg_id, seq_no, body: body.into() }
    }

    /// Says something, as the rules want it. Returns the message's identifier.
    pub(super) fn say(&mut self, session: &mut Session, now: Now, content: bool, body: impl Into<Bytes>) -> MsgId {
        let (msg_id, result) = self.try_say(session, now, content, body);
        result.unwrap();
        msg_id
    }

    pub(super) fn try_say(
        &mut self,
        session: &mut Session,
        now: Now,
        content: bool,
        body: impl Into<Bytes>,
    ) -> (MsgId, Result<(), SessionError>) {
        let (msg_id, seq_no) = self.next(now, content);
        (msg_id, session.handle_opened(now, self.opened(msg_id, seq_no, body)))
    }

    /// A container of the given messages, as its identifier and body.
    pub(super) fn pack(&mut self, now: Now, messages: &[(MsgId, SeqNo, Bytes)]) -> (MsgId, SeqNo, Bytes) {
        let (msg_id, seq_no) = self.next(now, false);
        (msg_id, seq_no, container_of(messages))
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, session: &mut Session, now: Now, req: MsgId, result: &[u8]) -> MsgId {
        self.say(session, now, true, rpc_result(req, result))
    }
}

pub(super) fn container_of(messages: &[(MsgId, SeqNo, Bytes)]) -> Bytes {
    let mut out = container::header(messages.len()).to_vec();
    for (msg_id, seq_no, body) in messages {
        out.extend(container::message_header(*msg_id, *seq_no, body.len()));
        out.extend(body);
    }
    out.into()
}

pub(super) fn rpc_result(req: MsgId, result: &[u8]) -> Vec<u8> {
    [&crate::mtproto::session::service::rpc_result_header(req)[..], result].concat()
}

/// `gzip_packed` of anything, shorter or not.
pub(super) fn gzipped(object: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(object).unwrap();
    let mut out = crate::mtproto::gzip::ID.to_le_bytes().to_vec();
    wire::write_bytes(&mut out, &encoder.finish().unwrap());
    out
}

/// A client with one request under way, its peer, the request, and the message that carries it.
pub(super) fn asked() -> (Session, Peer, RequestId, MsgId) {
    let mut session = client();
    let id = session.request(START, body(1), RequestOptions::default()).unwrap();
    let sent = output(&mut session, START, Side::Client);
    assert_eq!(sent.len(), 1);
    (session, Peer::new(Side::Server), id, sent[0].msg_id)
}
