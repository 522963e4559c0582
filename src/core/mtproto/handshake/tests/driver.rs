//! Whole exchanges with whole frames.

use std::sync::{Arc, Mutex};

use crate::{
    mtproto::plain,
    tl::mtproto::types,
    trace::{Event, Observer, Record, Tracer, Word},
};

use super::*;

#[derive(Default)]
struct Log(Mutex<Vec<Record>>);

impl Observer for Log {
    fn record(&self, record: &Record) {
        self.0.lock().unwrap().push(record.clone());
    }
}

impl Log {
    fn steps(&self) -> Vec<Word> {
        let steps = self.0.lock().unwrap();
        let name = |record: &Record| match &record.event {
            Event::HandshakeStep { name, .. } => Some(name.clone()),
            Event::AuthKeyReady { fresh: true, .. } => Some("ready".into()),
            Event::CheckFailed { rule, .. } => Some(rule.clone()),
            _ => None,
        };
        steps.iter().filter_map(name).collect()
    }
}

type Ends = (Result<client::Established, Error>, Result<server::Established, Error>);

/// Runs both roles until both are done, each with its own randomness and clock. `taken` says how many keys the server finds taken.
fn run(config: &client::Config<'_>, server_config: &server::Config, seed: u8, mut taken: u32) -> Ends {
    let (ours, theirs) = (&mut rng(seed), &mut rng(seed ^ 0xff));
    let client_now = NOW.later(Duration::from_secs(100));
    let mut is_taken = |_| {
        let answer = taken > 0;
        taken = taken.saturating_sub(1);
        answer
    };
    let (mut client, mut frame) = ClientHandshake::new(config, client_now, ours);
    let mut server = ServerHandshake::new(server_config);
    let (mut client_id, mut server_id) = (0, 0);
    let in_order = |frame: &Bytes, last: &mut i64, residue| {
        let (id, _) = plain::decode(frame.clone()).unwrap();
        assert!(id.0 > *last && id.0 & 3 == residue, "{id}");
        *last = id.0;
    };
    loop {
        in_order(&frame, &mut client_id, 0);
        let (next, answer) = match server.handle_frame(frame, NOW, theirs, &mut is_taken) {
            Ok(server::Step::Send(next, answer)) => (Ok(next), answer),
            Ok(server::Step::Done(established, answer)) => (Err(Ok(established)), answer),
            Ok(server::Step::Failed(error, answer)) => (Err(Err(error)), answer),
            Ok(server::Step::Wait(_)) => panic!("the client acknowledges nothing here"),
            Err(error) => panic!("the client kept the rules: {error}"),
        };
        in_order(&answer, &mut server_id, 1);
        match (client.handle_frame(answer, client_now, ours), next) {
            (Ok(client::Step::Send(next_client, next_frame)), Ok(next_server)) => {
                (client, frame, server) = (next_client, next_frame, next_server);
            }
            (Ok(client::Step::Done(ours)), Err(theirs)) => return (Ok(ours), theirs),
            (Err(ours), Err(theirs)) => return (Err(ours), theirs),
            _ => panic!("one side is done and the other is not"),
        }
    }
}

/// Row: A.2 "inner data"
/// Row: A.2 "both roles (server flow)"
/// Row: A.2 "time offset from server_time"
#[test]
fn permanent_keys_agree() {
    for (seed, dc) in [(1, DC), (2, DcId(-2)), (3, DC)] {
        let keys = keys();
        let config = client::Config::new(&keys, dc, Mode::Permanent);
        let (client, server) = run(&config, &server_config(), seed, 0);
        let (client, server) = (client.unwrap(), server.unwrap());
        assert_eq!(client.auth_key, server.auth_key);
        assert_eq!(client.salt, server.salt);
        assert_eq!((client.kind, server.kind), (KeyKind::Permanent, KeyKind::Permanent));
        assert_eq!(client.time_offset, -100);
        assert_eq!(server.dc, Some(dc));
    }
}

/// Row: A.2 "inner data"
#[test]
fn temporary_keys_agree_and_expire_by_the_servers_clock() {
    let keys = keys();
    let (client, server) = run(&client::Config::new(&keys, DC, TEMPORARY), &server_config(), 4, 0);
    let (client, server) = (client.unwrap(), server.unwrap());
    assert_eq!(client.auth_key, server.auth_key);
    let kind = KeyKind::Temporary { expires_at: NOW.unix() + 86_400 };
    assert_eq!((client.kind, server.kind), (kind, kind));
}

/// Row: A.2 "inner data"
#[test]
fn test_data_centres_have_their_own_numbers() {
    let keys = keys();
    let server = server::Config::new([KEY.clone()], DcId(10_002));
    let (client, server) = run(&client::Config::new(&keys, DcId(10_002), Mode::Permanent), &server, 5, 0);
    assert_eq!(client.unwrap().auth_key, server.unwrap().auth_key);
}

/// The known prime has three generators; the others are refused before anyone sees them.
#[test]
fn every_generator_of_the_known_prime() {
    for g in -1..=8 {
        let config = server_config().with_generator(g);
        assert_eq!(config.is_ok(), [3, 4, 7].contains(&g), "g = {g}");
        if let Ok(config) = config {
            let keys = keys();
            let (client, server) = run(&client::Config::new(&keys, DC, Mode::Permanent), &config, 6, 0);
            assert_eq!(client.unwrap().auth_key, server.unwrap().auth_key);
        }
    }
}

#[test]
fn the_client_picks_the_first_of_its_keys_that_is_offered() {
    let other = PublicKey::from_pem(include_str!("other_key.pem")).unwrap();
    let list = [other, KEY.public().clone()];
    let (client, server) = run(&client::Config::new(&list, DC, Mode::Permanent), &server_config(), 7, 0);
    assert_eq!(client.unwrap().auth_key, server.unwrap().auth_key);
}

/// Row: A.2 "dh_gen_retry"
#[test]
fn a_taken_key_is_made_again() {
    for taken in 1..=u32::from(MAX_RETRIES) {
        let keys = keys();
        let (client, server) = run(&client::Config::new(&keys, DC, Mode::Permanent), &server_config(), 8, taken);
        assert_eq!(client.unwrap().auth_key, server.unwrap().auth_key, "after {taken} retries");
    }
}

/// Row: A.2 "dh_gen_retry"
#[test]
fn retries_come_to_an_end() {
    let keys = keys();
    let (client, server) = run(&client::Config::new(&keys, DC, Mode::Permanent), &server_config(), 9, u32::MAX);
    assert_eq!(client.unwrap_err(), Refused::DhGen.into());
    assert_eq!(server.unwrap_err(), Refused::TooManyRetries.into());
}

#[test]
fn both_sides_tell_each_step() {
    let (ours, theirs) = (Arc::new(Log::default()), Arc::new(Log::default()));
    let keys = keys();
    let mut config = client::Config::new(&keys, DC, Mode::Permanent);
    config.tracer = Tracer::new(ours.clone());
    let server = server_config().with_tracer(Tracer::new(theirs.clone()));
    let (client, _) = run(&config, &server, 10, 1);
    client.unwrap();
    let steps = [
        "req_pq_multi",
        "resPQ",
        "req_DH_params",
        "server_DH_params_ok",
        "set_client_DH_params",
        "dh_gen_retry",
        "set_client_DH_params",
        "dh_gen_ok",
        "ready",
    ];
    assert_eq!(ours.steps(), steps);
    assert_eq!(theirs.steps(), steps);
}

/// Nothing that a trace holds may help to find the key.
#[test]
fn a_trace_holds_no_secret() {
    let log = Arc::new(Log::default());
    let keys = keys();
    let mut config = client::Config::new(&keys, DC, Mode::Permanent);
    config.tracer = Tracer::new(log.clone());
    let (client, _) = run(&config, &server_config(), 11, 0);
    let key = client.unwrap().auth_key;
    let text = format!("{:?}", log.0.lock().unwrap());
    assert!(!text.contains(&hex::encode(&key.as_bytes()[..8])));
    assert!(!text.contains(&hex::encode(key.aux_hash().to_le_bytes())));
}

/// One server driver, fed by hand.
struct Fed(ServerHandshake, StdRng);

impl Fed {
    fn new() -> Self {
        Self(ServerHandshake::new(&server_config()), rng(0x33))
    }

    /// The body of the answer.
    fn send(self, body: &Bytes) -> Result<(Self, Bytes), Error> {
        let Self(server, mut rng) = self;
        match server.handle_frame(plain::encode(MsgId(4), body), NOW, &mut rng, &mut |_| false)? {
            server::Step::Send(next, frame) => Ok((Self(next, rng), plain::decode(frame).unwrap().1)),
            server::Step::Wait(next) => Ok((Self(next, rng), Bytes::new())),
            server::Step::Done(..) | server::Step::Failed(..) => panic!("not so soon"),
        }
    }
}

#[test]
fn a_repeated_request_gets_the_same_answer() {
    let (fed, first) = Fed::new().send(&STAGES.req_pq).unwrap();
    let (fed, second) = fed.send(&STAGES.req_pq).unwrap();
    assert_eq!(first, second);

    let keys = keys();
    let ours = &mut rng(1);
    let (client, req_pq) = client::start(&client::Config::new(&keys, DC, Mode::Permanent), ours);
    assert_eq!(req_pq, STAGES.req_pq);
    let (_, request) = client.handle(first, ours).unwrap();
    let (fed, first) = fed.send(&request).unwrap();
    let (_, second) = fed.send(&request).unwrap();
    assert_eq!(first, second, "not a new g_a for the same question");
}

#[test]
fn a_client_may_begin_anew() {
    let begin = |nonce| functions::ReqPqMulti { nonce: [nonce; 16] }.to_bytes();
    let (mut fed, mut last) = Fed::new().send(&begin(0)).unwrap();
    for nonce in 1..16 {
        let answer;
        (fed, answer) = fed.send(&begin(nonce)).unwrap();
        assert_ne!(answer, last);
        last = answer;
    }
    assert_eq!(fed.send(&begin(16)).err(), Some(PeerMisbehaved::TooManyRestarts { count: 17 }.into()));
}

#[test]
fn old_clients_say_req_pq() {
    let (_, answer) = Fed::new().send(&functions::ReqPq { nonce: [7; 16] }.to_bytes()).unwrap();
    let enums::ResPq::Pq(answer) = read(&answer);
    assert_eq!(answer.nonce, [7; 16]);
    assert_eq!(answer.pq.len(), 8);
    assert_eq!(answer.server_public_key_fingerprints, [KEY.public().fingerprint()]);
}

#[test]
fn acknowledgements_are_let_pass() {
    let acks = enums::MsgsAck::from(types::MsgsAck { msg_ids: vec![1, 5] }).to_bytes();
    let (fed, nothing) = Fed::new().send(&acks).unwrap();
    assert!(nothing.is_empty());
    fed.send(&STAGES.req_pq).unwrap();
}

/// What is no unencrypted message at all reaches no state, in either role.
#[test]
fn frames_are_checked_first_and_failures_are_traced() {
    let encrypted = Bytes::from_static(&[9; 40]);
    let expected = Error::from(InvalidMessage::from(plain::Error::Encrypted { key_id: i64::from_le_bytes([9; 8]) }));
    let log = Arc::new(Log::default());

    let keys = keys();
    let mut config = client::Config::new(&keys, DC, Mode::Permanent);
    config.tracer = Tracer::new(log.clone());
    let (client, _) = ClientHandshake::new(&config, NOW, &mut rng(1));
    assert_eq!(client.handle_frame(encrypted.clone(), NOW, &mut rng(1)).err(), Some(expected.clone()));

    let server = ServerHandshake::new(&server_config().with_tracer(Tracer::new(log.clone())));
    assert_eq!(server.handle_frame(encrypted, NOW, &mut rng(1), &mut |_| false).err(), Some(expected));
    assert_eq!(log.steps(), ["req_pq_multi", "PlainEncrypted", "PlainEncrypted"]);
}
