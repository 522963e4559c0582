//! A client made of the core and a blocking socket: what the tests of the cluster speak with.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::texts_of;
use crate::Dc;
use tdl_core::clock::Now;
use tdl_core::crypto::AuthKey;
use tdl_core::crypto::rsa::PublicKey;
use tdl_core::ids::{DcId, SessionId};
use tdl_core::mtproto::binding::{self, Binding};
use tdl_core::mtproto::handshake::Mode;
use tdl_core::mtproto::handshake::client::{ClientHandshake, Config as HandshakeConfig, Step};
use tdl_core::mtproto::rpc_error::RpcError;
use tdl_core::mtproto::session::{ClientParams, Event, FutureSalt, RequestId, RequestOptions, Session};
use tdl_core::tl::api::{enums, functions as f, types};
use tdl_core::tl::{Deserialize as _, RemoteCall, Serialize as _};
use tdl_core::transport::{Codec, Frame, Options, TransportError};

/// A client made of the core and a blocking socket.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) codec: Codec,
    pub(super) input: BytesMut,
    pub(super) rng: StdRng,
    pub(super) start: Instant,
    pub(super) key: AuthKey,
    pub(super) salt: FutureSalt,
    pub(super) session: Session,
    pub(super) heard: VecDeque<Bytes>,
    /// The server's names for the sessions that it said it made.
    pub(super) created: Vec<i64>,
}

pub(super) fn now(start: Instant) -> Now {
    Now::new(start.elapsed(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

pub(super) fn dial(dc: &Dc, options: &Options, rng: &mut StdRng) -> (TcpStream, Codec) {
    dial_from(Ipv4Addr::LOCALHOST, dc, options, rng)
}

/// From one of the many addresses of this machine. On a thread for blocking code.
pub(super) fn dial_from(from: Ipv4Addr, dc: &Dc, options: &Options, rng: &mut StdRng) -> (TcpStream, Codec) {
    let stream = tokio::runtime::Handle::current().block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        socket.connect(dc.addr()).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let codec = Codec::client(options, rng);
    (stream, codec)
}

pub(super) fn receive(stream: &mut TcpStream, codec: &mut Codec, input: &mut BytesMut) -> Frame {
    loop {
        if let Some(frame) = codec.decode(input).unwrap() {
            return frame;
        }
        let mut buffer = [0; 65_536];
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the server closed the connection");
        input.extend_from_slice(&buffer[..read]);
    }
}

impl Client {
    /// Exchanges keys with a DC.
    pub(super) fn new(dc: &Dc, public_key: &str, options: &Options, seed: u8) -> Self {
        Self::with_mode(dc, public_key, options, seed, Mode::Permanent)
    }

    pub(super) fn with_mode(dc: &Dc, public_key: &str, options: &Options, seed: u8, mode: Mode) -> Self {
        let start = Instant::now();
        let mut rng = StdRng::from_seed([seed; 32]);
        let (mut stream, mut codec) = dial(dc, options, &mut rng);
        let keys = [PublicKey::from_pem(public_key).unwrap()];
        let config = HandshakeConfig::new(&keys, DcId(dc.id), mode);
        let (mut handshake, mut frame) = ClientHandshake::new(&config, now(start), &mut rng);
        let mut input = BytesMut::new();
        let established = loop {
            let mut out = BytesMut::new();
            codec.encode(&frame, &mut rng, &mut out).unwrap();
            stream.write_all(&out).unwrap();
            let Frame::Payload(answer) = receive(&mut stream, &mut codec, &mut input) else { panic!("a message") };
            match handshake.handle_frame(answer.freeze(), now(start), &mut rng).unwrap() {
                Step::Send(next, answer) => (handshake, frame) = (next, answer),
                Step::Done(established) => break established,
            }
        };
        let salt = FutureSalt::unlimited(established.salt);
        let session = Self::session(&established.auth_key, salt, start, &mut rng);
        let (key, heard, created) = (established.auth_key, VecDeque::new(), Vec::new());
        Self { stream, codec, input, rng, start, key, salt, session, heard, created }
    }

    pub(super) fn session(key: &AuthKey, salt: FutureSalt, start: Instant, rng: &mut StdRng) -> Session {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let mut params = ClientParams::new(key.clone(), SessionId(rng.next_u64().cast_signed()), seed);
        params.salts = vec![salt];
        // This client knows no deadlines: it writes what there is, and waits for an answer.
        params.limits.coalesce = Duration::ZERO;
        Session::client(params, now(start))
    }

    /// Another session of the same key, beside this one.
    pub(super) fn sibling(&self, dc: &Dc, options: &Options, seed: u8) -> Self {
        self.sibling_from(Ipv4Addr::LOCALHOST, dc, options, seed)
    }

    /// The same, from another address.
    pub(super) fn sibling_from(&self, from: Ipv4Addr, dc: &Dc, options: &Options, seed: u8) -> Self {
        let start = Instant::now();
        let mut rng = StdRng::from_seed([seed; 32]);
        let (stream, codec) = dial_from(from, dc, options, &mut rng);
        let session = Self::session(&self.key, self.salt, start, &mut rng);
        let (key, salt, heard, created) = (self.key.clone(), self.salt, VecDeque::new(), Vec::new());
        Self { stream, codec, input: BytesMut::new(), rng, start, key, salt, session, heard, created }
    }

    /// Binds this client's temporary key to a permanent one: "Perfect Forward Secrecy".
    pub(super) fn bind(&mut self, perm: &AuthKey) {
        let at = now(self.start);
        let reserved = self.session.reserve(at).unwrap();
        let binding = Binding {
            msg_id: reserved.msg_id(),
            nonce: 5,
            temp_auth_key_id: self.key.id(),
            perm_auth_key_id: perm.id(),
            session_id: self.session.session_id(),
            expires_at: i32::try_from(at.unix() + 3000).unwrap(),
        };
        let request = f::auth::BindTempAuthKey {
            perm_auth_key_id: binding.perm_auth_key_id,
            nonce: binding.nonce,
            expires_at: binding.expires_at,
            encrypted_message: binding::seal(perm, &binding, &mut self.rng),
        };
        let options = RequestOptions { compress: false, ..RequestOptions::default() };
        let id = self.session.request_reserved(at, &reserved, request.to_bytes(), options).unwrap();
        assert!(bool::from_bytes(self.answer(id).unwrap()).unwrap());
    }

    /// Another connection for the same session.
    pub(super) fn reconnect(&mut self, dc: &Dc, options: &Options) {
        self.reconnect_from(Ipv4Addr::LOCALHOST, dc, options);
    }

    /// The same, from another address.
    pub(super) fn reconnect_from(&mut self, from: Ipv4Addr, dc: &Dc, options: &Options) {
        self.session.connection_lost(now(self.start));
        (self.stream, self.codec) = dial_from(from, dc, options, &mut self.rng);
        self.input.clear();
        self.session.connection_opened(now(self.start));
    }

    /// Another session of the same key, on another connection.
    pub(super) fn new_session(&mut self, dc: &Dc, options: &Options) {
        (self.stream, self.codec) = dial(dc, options, &mut self.rng);
        self.input.clear();
        self.session = Self::session(&self.key, self.salt, self.start, &mut self.rng);
    }

    pub(super) fn flush(&mut self) {
        let mut out = BytesMut::new();
        while let Some(frame) = self.session.poll_output(now(self.start)) {
            self.codec.encode(&frame, &mut self.rng, &mut out).unwrap();
        }
        self.stream.write_all(&out).unwrap();
    }

    /// Waits for one frame.
    pub(super) fn step(&mut self) -> Option<TransportError> {
        self.flush();
        match receive(&mut self.stream, &mut self.codec, &mut self.input) {
            Frame::Payload(frame) => {
                // A wrong salt is answered by sending again.
                let _ = self.session.handle_input(now(self.start), frame);
                None
            }
            Frame::Error(error) => Some(error),
            Frame::QuickAck(_) => None,
        }
    }

    pub(super) fn call<R: RemoteCall>(&mut self, request: R) -> Result<R::Return, RpcError> {
        self.call_raw(request.to_bytes()).map(|bytes| R::Return::from_bytes(bytes).unwrap())
    }

    /// Calls with bytes, and is answered with bytes.
    pub(super) fn call_raw(&mut self, body: Bytes) -> Result<Bytes, RpcError> {
        let id = self.session.request(now(self.start), body, RequestOptions::default()).unwrap();
        self.answer(id)
    }

    /// The answer to a call.
    pub(super) fn answer(&mut self, id: RequestId) -> Result<Bytes, RpcError> {
        loop {
            while let Some(event) = self.session.poll_event() {
                match event {
                    Event::Response { id: found, result } if found == id => return result,
                    Event::Update(update) => self.heard.push_back(update),
                    Event::NewSession { unique_id, .. } => self.created.push(unique_id),
                    Event::Failed { error, .. } => panic!("{error:?}"),
                    _ => {}
                }
            }
            if let Some(error) = self.step() {
                panic!("{error:?}");
            }
        }
    }

    /// What was pushed until now, without asking for more: an answer comes after whatever was pushed before it.
    pub(super) fn told(&mut self) -> Vec<Bytes> {
        let _ = self.call(quiet());
        self.heard.drain(..).collect()
    }

    /// The texts of the messages among it.
    pub(super) fn texts(&mut self) -> Vec<String> {
        self.told().into_iter().flat_map(|update| texts_of(&enums::Updates::from_bytes(update).unwrap())).collect()
    }

    /// The next update, as it came.
    pub(super) fn next_update(&mut self) -> Bytes {
        loop {
            while let Some(event) = self.session.poll_event() {
                if let Event::Update(update) = event {
                    self.heard.push_back(update);
                }
            }
            match self.heard.pop_front() {
                Some(update) => return update,
                None => assert!(self.step().is_none()),
            }
        }
    }

    /// The next update.
    pub(super) fn update(&mut self) -> enums::Updates {
        enums::Updates::from_bytes(self.next_update()).unwrap()
    }

    pub(super) fn login(&mut self, phone: &str) -> i64 {
        let settings = types::CodeSettings::default().into();
        let send = f::auth::SendCode { phone_number: phone.into(), api_id: 1, api_hash: "".into(), settings };
        let enums::auth::SentCode::Code(sent) = self.call(introduced(send)).unwrap() else { panic!("a code") };
        let sign_in = f::auth::SignIn {
            phone_number: phone.into(),
            phone_code_hash: sent.phone_code_hash.clone(),
            phone_code: Some(phone[5..6].repeat(5).into()),
            email_verification: None,
        };
        let mut answer = self.call(sign_in).unwrap();
        if matches!(answer, enums::auth::Authorization::SignUpRequired(_)) {
            let sign_up = f::auth::SignUp {
                no_joined_notifications: false,
                phone_number: phone.into(),
                phone_code_hash: sent.phone_code_hash.clone(),
                first_name: "Test".into(),
                last_name: "".into(),
            };
            answer = self.call(sign_up).unwrap();
        }
        let enums::auth::Authorization::Authorization(a) = answer else { panic!("an authorization") };
        let enums::User::User(user) = a.user else { panic!("a user") };
        user.id
    }
}

pub(super) fn introduced<X>(query: X) -> f::InvokeWithLayer<f::InitConnection<X>> {
    let query = f::InitConnection {
        api_id: 1,
        device_model: "Test".into(),
        system_version: "1".into(),
        app_version: "1".into(),
        system_lang_code: "en".into(),
        lang_pack: "".into(),
        lang_code: "en".into(),
        proxy: None,
        params: None,
        query,
    };
    f::InvokeWithLayer { layer: 230, query }
}

/// A call that does not subscribe to anything.
pub(super) fn quiet() -> f::InvokeWithoutUpdates<f::updates::GetState> {
    f::InvokeWithoutUpdates { query: f::updates::GetState }
}
