//! What a client that speaks HTTP or WebSocket by hand gets from the cluster.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::{Cluster, Config, Dc};
use tdl_core::clock::Now;
use tdl_core::crypto::AuthKey;
use tdl_core::crypto::rsa::PublicKey;
use tdl_core::ids::{DcId, SessionId};
use tdl_core::mtproto::envelope;
use tdl_core::mtproto::handshake::Mode;
use tdl_core::mtproto::handshake::client::{ClientHandshake, Config as HandshakeConfig, Established, Step};
use tdl_core::mtproto::session::{ClientParams, Event, FutureSalt, HttpWait, RequestOptions, Session};
use tdl_core::tl::Serialize as _;
use tdl_core::tl::api::functions as f;
use tdl_core::trace::Tracer;
use tdl_core::transport::http::{Client, PATH};
use tdl_core::transport::{Codec, Frame, Kind, Options, TransportError, websocket};

/// A connection, by hand.
struct Wire {
    stream: TcpStream,
    client: Client,
    input: BytesMut,
}

impl Wire {
    fn dial(dc: &Dc) -> Self {
        let stream = TcpStream::connect(dc.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream, client: Client::new("h", PATH), input: BytesMut::new() }
    }

    fn post(&mut self, payload: &[u8]) {
        let mut out = BytesMut::new();
        self.client.encode(payload, &mut out).unwrap();
        self.stream.write_all(&out).unwrap();
    }

    fn answer(&mut self) -> Frame {
        loop {
            if let Some(answer) = self.client.decode(&mut self.input).unwrap() {
                return answer.frame;
            }
            let mut buffer = [0; 4096];
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0, "closed before the answer");
            self.input.extend_from_slice(&buffer[..read]);
        }
    }

    fn payload(&mut self) -> BytesMut {
        match self.answer() {
            Frame::Payload(payload) => payload,
            other => panic!("{other:?}"),
        }
    }
}

/// Everything that a server says to these bytes, until it closes.
fn said(dc: &Dc, bytes: &[u8]) -> Vec<u8> {
    let mut wire = Wire::dial(dc);
    wire.stream.write_all(bytes).unwrap();
    let mut all = Vec::new();
    wire.stream.read_to_end(&mut all).unwrap();
    all
}

fn now() -> Now {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    Now::new(START.get_or_init(Instant::now).elapsed(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

fn exchange(dc: &Dc, pem: &str) -> Established {
    let mut rng = StdRng::from_seed([1; 32]);
    let keys = [PublicKey::from_pem(pem).unwrap()];
    let config = HandshakeConfig { tracer: Tracer::off(), ..HandshakeConfig::new(&keys, DcId(dc.id), Mode::Permanent) };
    let (mut handshake, mut frame) = ClientHandshake::new(&config, now(), &mut rng);
    let mut wire = Wire::dial(dc);
    loop {
        wire.post(&frame);
        match handshake.handle_frame(wire.payload().freeze(), now(), &mut rng).unwrap() {
            Step::Send(next, answer) => (handshake, frame) = (next, answer),
            Step::Done(established) => return established,
        }
    }
}

fn session(established: &Established) -> Session {
    let mut params = ClientParams::new(established.auth_key.clone(), SessionId(5), [9; 32]);
    params.salts = vec![FutureSalt::unlimited(established.salt)];
    // This client knows no deadlines: it writes what there is, and waits for an answer.
    params.limits.coalesce = Duration::ZERO;
    Session::client(params, now())
}

fn introduced<X>(query: X) -> f::InvokeWithLayer<f::InitConnection<X>> {
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
    f::InvokeWithLayer { layer: tdl_core::tl::api::LAYER, query }
}

/// Runs blocking code beside a cluster.
async fn beside(test: impl FnOnce(Dc, String) + Send + 'static) {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let (dc, pem) = (cluster.dcs()[0].clone(), cluster.rsa_public_key().to_owned());
    tokio::task::spawn_blocking(move || test(dc, pem)).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_of_ours_is_refused_with_a_status() {
    beside(|dc, _| {
        for (bytes, status) in [
            (&b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"[..], "405"),
            (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
            (b"POST /api HTTP/1.1\r\nHost: a\r\n\r\n", "411"),
            (b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", "413"),
            (b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd", "400"),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            (b"GET /apiws HTTP/1.1\r\nHost: a\r\n\r\n", "426"),
        ] {
            let said = String::from_utf8(said(&dc, bytes)).unwrap();
            assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
            assert!(said.ends_with("Content-Length: 0\r\n\r\n") && said.contains("Connection: close"), "{said}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_known_is_status_404() {
    beside(|dc, _| {
        let key = AuthKey::from_bytes(&[7; 256]);
        let mut session = Session::client(ClientParams::new(key, SessionId(1), [1; 32]), now());
        let mut wire = Wire::dial(&dc);
        wire.post(&session.poll_http_request(now(), &HttpWait::NONE, true).unwrap());
        assert_eq!(wire.answer(), Frame::Error(TransportError::AuthKeyNotFound));
        // What is too short for any key is not known either.
        let mut wire = Wire::dial(&dc);
        wire.post(&[1; 12]);
        assert_eq!(wire.answer(), Frame::Error(TransportError::AuthKeyNotFound));
    })
    .await;
}

/// Row: A.1 "HTTP (long poll)"
#[tokio::test(flavor = "multi_thread")]
async fn answers_go_to_the_request_that_has_waited_longest_and_time_is_kept() {
    beside(|dc, pem| {
        let established = exchange(&dc, &pem);
        let mut session = session(&established);
        let (mut first, mut second) = (Wire::dial(&dc), Wire::dial(&dc));
        let long = HttpWait { max_wait: Duration::from_secs(50), ..HttpWait::NONE };
        // The session begins: that is said at once.
        first.post(&session.poll_http_request(now(), &long, true).unwrap());
        session.handle_input(now(), first.payload()).unwrap();
        while session.poll_event().is_some() {}
        // One waits for what there will be to say; a call comes on another connection, and its answer goes to the one that waits.
        first.post(&session.poll_http_request(now(), &long, true).unwrap());
        let id = session.request(now(), introduced(f::help::GetNearestDc).to_bytes(), RequestOptions::default()).unwrap();
        second.post(&session.poll_http_request(now(), &long, false).unwrap());
        let mut answered = false;
        while !answered {
            session.handle_input(now(), first.payload()).unwrap();
            while let Some(event) = session.poll_event() {
                answered |= matches!(event, Event::Response { id: found, result: Ok(_) } if found == id);
            }
            if !answered {
                first.post(&session.poll_http_request(now(), &long, true).unwrap());
            }
        }
        // What was acknowledged is not said again, and an answer to nothing is an empty container, in time.
        let soon = HttpWait { max_wait: Duration::from_millis(40), ..HttpWait::NONE };
        let mut third = Wire::dial(&dc);
        session.flush_acks();
        let asked = Instant::now();
        third.post(&session.poll_http_request(now(), &soon, true).unwrap());
        let empty = third.payload();
        assert!(asked.elapsed() >= Duration::from_millis(40), "it waited");
        let opened = envelope::open(&established.auth_key, envelope::Side::Server, empty).unwrap();
        assert_eq!(opened.body[..], [0xdc, 0xf8, 0xf1, 0x73, 0, 0, 0, 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    beside(|dc, pem| {
        let mut session = session(&exchange(&dc, &pem));
        let mut wire = Wire::dial(&dc);
        let mut ids = Vec::new();
        // Nothing is said about time: each waits for its answer.
        for _ in 0..3 {
            let body = introduced(f::help::GetNearestDc).to_bytes();
            ids.push(session.request(now(), body, RequestOptions::default()).unwrap());
            wire.post(&session.poll_output(now()).unwrap());
        }
        // The last request stays for what comes later, so there is always one.
        let mut answered = Vec::new();
        while answered.len() < ids.len() {
            session.handle_input(now(), wire.payload()).unwrap();
            while let Some(event) = session.poll_event() {
                if let Event::Response { id, result } = event {
                    result.unwrap();
                    answered.push(id);
                }
            }
        }
        assert_eq!(answered, ids);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_obfuscated_inside_a_websocket_is_not_served() {
    beside(|dc, _| {
        let mut rng = StdRng::from_seed([2; 32]);
        for obfuscated in [true, false] {
            let mut wire = Wire::dial(&dc);
            let mut out = BytesMut::new();
            let mut handshake = websocket::ClientHandshake::new("h", websocket::PATH, &mut rng, &mut out);
            wire.stream.write_all(&out).unwrap();
            let mut codec = loop {
                let mut buffer = [0; 1024];
                let read = wire.stream.read(&mut buffer).unwrap();
                wire.input.extend_from_slice(&buffer[..read]);
                if let Some(codec) = handshake.handle_input(&mut wire.input).unwrap() {
                    break codec;
                }
            };
            // A packet under a key that does not exist: whoever reads it says so.
            let mut transport = Codec::client(&Options { kind: Kind::Intermediate, obfuscated, dc: DcId(1) }, &mut rng);
            let (mut inner, mut out) = (BytesMut::new(), BytesMut::new());
            transport.encode(&[1; 120], &mut rng, &mut inner).unwrap();
            codec.encode(&inner, &mut rng, &mut out).unwrap();
            wire.stream.write_all(&out).unwrap();
            let mut rest = Vec::new();
            // The end may come as a reset: the server does not read what it does not serve.
            let _ = wire.stream.read_to_end(&mut rest);
            let (mut input, mut inner) = (BytesMut::from(&rest[..]), BytesMut::new());
            while let Ok(Some(event)) = codec.decode(&mut input) {
                if let websocket::Event::Data(data) = event {
                    inner.extend_from_slice(&data);
                }
            }
            let expected = obfuscated.then_some(Frame::Error(TransportError::AuthKeyNotFound));
            assert_eq!(transport.decode(&mut inner).unwrap(), expected);
        }
    })
    .await;
}
