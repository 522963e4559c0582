//! Whole captures, made by hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::testing::{Made, Tcp, V4, V6, pcap};
use super::*;
use crate::keylog::LoggedKey;
use tdl_core::crypto::AuthKey;
use tdl_core::ids::{DcId, MsgId, Salt, SeqNo, SessionId};
use tdl_core::mtproto::envelope::{self, Header, Side};
use tdl_core::mtproto::{container, gzip, plain};
use tdl_core::tl::api::{functions as f, types};
use tdl_core::tl::mtproto::RPC_RESULT_ID;
use tdl_core::tl::{Identifiable as _, Serialize as _};
use tdl_core::trace::{Collector, Event, Verdict};
use tdl_core::transport::{Codec, Detector, Kind, Obfuscated, Options};

const SESSION: SessionId = SessionId(0x5e55_1011);
const SALT: Salt = Salt(0x5a17);
/// Identifiers of this second.
const AT: i64 = 1_700_000_000 << 32;

fn rng() -> StdRng {
    StdRng::from_seed([5; 32])
}

/// A key whose parts differ, as those of real ones do: from which of them the ciphers are derived depends on who writes.
fn key(byte: u8) -> AuthKey {
    AuthKey::from_bytes(&std::array::from_fn(|at| (at as u8).wrapping_mul(31) ^ byte))
}

fn logged(byte: u8) -> LoggedKey {
    LoggedKey { key: key(byte), dc: Some(DcId(2)), expires_at: None }
}

/// A message to be said.
#[derive(Clone)]
struct Say {
    who: Side,
    msg_id: i64,
    seq_no: i32,
    body: Bytes,
}

fn client(n: i64, seq_no: i32, body: impl Into<Bytes>) -> Say {
    Say { who: Side::Client, msg_id: AT + 4 * n, seq_no, body: body.into() }
}

fn server(n: i64, seq_no: i32, body: impl Into<Bytes>) -> Say {
    Say { who: Side::Server, msg_id: AT + 4 * n + 1, seq_no, body: body.into() }
}

impl Say {
    fn sealed(&self, key: &AuthKey) -> BytesMut {
        let header = Header { salt: SALT, session_id: SESSION, msg_id: MsgId(self.msg_id), seq_no: SeqNo(self.seq_no) };
        envelope::seal(key, self.who, &header, &[&self.body], &mut rng())
    }

    fn index(&self) -> usize {
        usize::from(self.who == Side::Server)
    }
}

/// Several messages in one, with the identifier and sequence number of `outer`.
fn in_container(outer: Say, inner: &[Say]) -> Say {
    let mut body = container::header(inner.len()).to_vec();
    for say in inner {
        body.extend(container::message_header(MsgId(say.msg_id), SeqNo(say.seq_no), say.body.len()));
        body.extend(&say.body[..]);
    }
    Say { body: body.into(), ..outer }
}

fn words(id: u32, longs: &[i64]) -> Vec<u8> {
    let mut out = id.to_le_bytes().to_vec();
    longs.iter().for_each(|long| out.extend(long.to_le_bytes()));
    out
}

fn result(req: i64, body: &[u8]) -> Vec<u8> {
    let mut out = words(RPC_RESULT_ID, &[AT + 4 * req]);
    out.extend(body);
    out
}

fn msgs_ack(n: i64) -> Vec<u8> {
    let mut out = 0x62d6_b459_u32.to_le_bytes().to_vec();
    out.extend([0x15, 0xc4, 0xb5, 0x1c, 1, 0, 0, 0]);
    out.extend((AT + 4 * n).to_le_bytes());
    out
}

fn rpc_error(code: i32, text: &str) -> Vec<u8> {
    let mut out = 0x2144_ca19_u32.to_le_bytes().to_vec();
    out.extend(code.to_le_bytes());
    tdl_core::tl::wire::write_bytes(&mut out, text.as_bytes());
    out
}

/// A dialogue: a greeting, two requests, a long answer that is packed, an error.
fn dialogue() -> Vec<Say> {
    let wrapped = f::InvokeWithLayer {
        layer: 230,
        query: f::InitConnection {
            api_id: 1,
            device_model: "Desk".into(),
            system_version: "1".into(),
            app_version: "2".into(),
            system_lang_code: "en".into(),
            lang_pack: "".into(),
            lang_code: "en".into(),
            proxy: None,
            params: None,
            query: f::help::GetConfig,
        },
    };
    let long = gzip::pack(&"{ }".repeat(2000).into_bytes().repeat(2)).expect("long enough");
    let longer = gzip::pack(&types::DataJson { data: "{ }".repeat(3000).into() }.to_bytes_boxed()).unwrap_or(long);
    let ping = words(0x7abe_77ec, &[77]);
    let pong = words(0x3477_73c5, &[AT + 4 * 3, 77]);
    let news = words(0x9ec2_0908, &[AT + 4, 9, SALT.0 + 1]);
    vec![
        client(1, 1, wrapped.to_bytes()),
        in_container(server(3, 2, Bytes::new()), &[server(1, 1, news), server(2, 3, result(1, &longer))]),
        in_container(
            client(6, 4, Bytes::new()),
            &[client(3, 2, ping), client(4, 3, f::users::GetUsers { id: Vec::new() }.to_bytes()), client(5, 4, msgs_ack(1))],
        ),
        server(7, 4, pong),
        server(8, 5, result(4, &rpc_error(420, "FLOOD_WAIT_7"))),
        server(9, 7, types::UpdatesTooLong {}.to_bytes_boxed()),
    ]
}

/// The boxed form of a constructor.
trait Boxed {
    fn to_bytes_boxed(&self) -> Bytes;
}

impl<T: tdl_core::tl::Serialize + tdl_core::tl::Identifiable> Boxed for T {
    fn to_bytes_boxed(&self) -> Bytes {
        let mut out = T::ID.to_le_bytes().to_vec();
        self.serialize(&mut out);
        out.into()
    }
}

/// What the ends write, one after the other: 0 the client, 1 the server.
type Writes = Vec<(usize, BytesMut)>;

fn over(options: &Options, key: &AuthKey, says: &[Say]) -> Writes {
    let mut rng = rng();
    let mut client = Codec::client(options, &mut rng);
    let mut seen = BytesMut::new();
    let mut server = None;
    let mut writes = Writes::new();
    for say in says {
        let mut out = BytesMut::new();
        if say.who == Side::Client {
            client.encode(&say.sealed(key), &mut rng, &mut out).unwrap();
            if server.is_none() {
                seen.extend_from_slice(&out);
                server = Detector::new().detect(&mut seen).unwrap();
            }
        } else {
            let server = server.as_mut().expect("the client speaks first");
            server.encode(&say.sealed(key), &mut rng, &mut out).unwrap();
        }
        writes.push((say.index(), out));
    }
    writes
}

/// The packets of a connection.
fn packets(ends: [&str; 2], writes: &Writes) -> Vec<Vec<u8>> {
    let mut tcp = Tcp::open(ends);
    for (who, bytes) in writes.iter() {
        tcp.send(*who, bytes);
    }
    tcp.close();
    tcp.packets
}

struct Decoded {
    report: Report,
    events: Vec<Event>,
    ends: Vec<Ends>,
    end: Option<FileError>,
}

fn run(packets: &[Vec<u8>], keys: &[LoggedKey], secrets: &[ProxyKey]) -> Decoded {
    run_file(&pcap(packets), keys, secrets)
}

fn run_file(file: &[u8], keys: &[LoggedKey], secrets: &[ProxyKey]) -> Decoded {
    let collector = Collector::new();
    let ends = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&ends);
    let decoder = Decoder::new(keys.to_vec(), secrets.to_vec(), collector.clone())
        .on_connection(Box::new(move |_, ends| told.lock().unwrap().push(ends)));
    let (report, end) = decode(file, decoder).unwrap();
    let ends = std::mem::take(&mut *ends.lock().unwrap());
    Decoded { report, events: collector.events(), ends, end }
}

impl Decoded {
    fn count(&self, test: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| test(event)).count()
    }

    fn find<T>(&self, pick: impl FnMut(&Event) -> Option<T>) -> Option<T> {
        self.events.iter().find_map(pick)
    }

    fn rules(&self) -> Vec<&str> {
        self.report.checks.keys().map(AsRef::as_ref).collect()
    }

    /// Everything of [`dialogue`] is there.
    fn is_whole(&self, about: &str) {
        let report = &self.report;
        assert!(report.is_complete() && report.checks.is_empty(), "{about}: {report:?}");
        assert_eq!((report.connections, report.mtproto, report.decoded, report.opened), (1, 1, 6, 6), "{about}");
        assert_eq!((report.messages, report.requests, report.answered), (11, 2, 2), "{about}");
        let methods: Vec<u32> = self
            .events
            .iter()
            .filter_map(|e| if let Event::RpcSent { method, .. } = e { Some(*method) } else { None })
            .collect();
        assert_eq!(methods, [f::help::GetConfig::ID, f::users::GetUsers::ID], "{about}");
        let negotiated =
            self.find(|e| if let Event::Negotiated { layer, device } = e { Some((*layer, device.clone())) } else { None });
        assert_eq!(negotiated, Some((230, "Desk, 2".to_owned())), "{about}");
        let results: Vec<_> = self
            .events
            .iter()
            .filter_map(|e| match e {
                Event::RpcResult { method, latency, packed, sends, error, .. } => {
                    Some((*method, !latency.is_zero(), packed.is_some(), *sends, error.clone()))
                }
                _ => None,
            })
            .collect();
        let expected = [
            (f::help::GetConfig::ID, true, true, 1, None),
            (f::users::GetUsers::ID, true, false, 1, Some((420, "FLOOD_WAIT_7".to_owned()))),
        ];
        assert_eq!(results, expected, "{about}");
        assert_eq!(self.count(|e| matches!(e, Event::Pong { ping_id: 77, rtt } if !rtt.is_zero())), 1, "{about}");
        assert_eq!(self.count(|e| matches!(e, Event::AcksSent { ids } if *ids == [MsgId(AT + 4)])), 1, "{about}");
        assert_eq!(self.count(|e| matches!(e, Event::SaltChanged { old: SALT, .. })), 1, "{about}");
        assert_eq!(self.count(|e| matches!(e, Event::SessionCreated { .. })), 1, "{about}");
        assert_eq!(self.count(|e| matches!(e, Event::Update { constructor: types::UpdatesTooLong::ID, .. })), 1, "{about}");
        assert_eq!(self.count(|e| matches!(e, Event::Body { .. })), 9, "{about}: all but the containers");
        assert_eq!(self.count(|e| matches!(e, Event::KeyInUse { .. })), 1, "{about}");
        assert_eq!(self.count(|e| matches!(e, Event::Disconnected { .. })), 1, "{about}");
    }
}

#[test]
fn every_transport_in_both_versions_of_ip() {
    for kind in Kind::ALL {
        for obfuscated in [false, true] {
            for ends in [V4, V6] {
                let options = Options { kind, obfuscated, dc: DcId(0) };
                let decoded = run(&packets(ends, &over(&options, &key(7), &dialogue())), &[logged(7)], &[]);
                decoded.is_whole(options.name());
                let [client, server] = ends.map(|end| end.parse().unwrap());
                assert_eq!(decoded.ends, [Ends { client, server }]);
                let framing =
                    decoded.find(|e| if let Event::FrameSent { framing, .. } = e { Some(framing.clone()) } else { None });
                assert_eq!(framing.as_deref(), Some(options.name()));
            }
        }
    }
}

#[test]
fn through_an_mtproxy_with_its_secret() {
    let mut rng = rng();
    let secret = ProxyKey::new([0x5e; 16]);
    let kind = Kind::PaddedIntermediate;
    let (init, mut stream) = Obfuscated::client(kind, DcId(2), &secret, &mut rng).unwrap();
    let mut inside = over(&Options { kind, obfuscated: false, dc: DcId(0) }, &key(7), &dialogue());
    let first = &mut inside[0].1;
    *first = first.split_off(kind.announcement().len());
    let mut server = Detector::proxy(secret.clone()).detect(&mut BytesMut::from(&init[..])).unwrap().unwrap();
    for (say, (who, bytes)) in dialogue().iter().zip(&mut inside) {
        if *who == 0 {
            stream.encipher(bytes);
        } else {
            bytes.clear();
            server.encode(&say.sealed(&key(7)), &mut rng, bytes).unwrap();
        }
    }
    inside[0].1 = [&init[..], &inside[0].1].concat().as_slice().into();
    let packets = packets(V4, &inside);
    run(&packets, &[logged(7)], &[ProxyKey::new([1; 16]), secret]).is_whole("MTProxy");
    let without = run(&packets, &[logged(7)], &[]).report;
    assert!(without.is_empty() && !without.is_complete());
    assert!(without.troubles[0].what.contains("proxy secret"), "{:?}", without.troubles);
}

#[test]
fn segments_in_any_order_and_twice() {
    let options = Options { kind: Kind::Abridged, obfuscated: true, dc: DcId(2) };
    let mut packets = packets(V4, &over(&options, &key(7), &dialogue()));
    let len = packets.len();
    // Neighbours change places, which puts the answer to a connection's opening before its beginning too; every third comes twice.
    for at in (3..len - 4).step_by(2) {
        packets.swap(at, at + 1);
    }
    for at in (0..len).step_by(3).collect::<Vec<_>>().into_iter().rev() {
        packets.insert(at, packets[at].clone());
    }
    let decoded = run(&packets, &[logged(7)], &[]);
    assert!(decoded.report.is_complete(), "{:?}", decoded.report);
    assert_eq!((decoded.report.decoded, decoded.report.requests), (6, 2));
}

#[test]
fn what_is_missing_is_told_and_the_rest_is_read() {
    let options = Options { kind: Kind::Intermediate, obfuscated: true, dc: DcId(2) };
    let all = packets(V4, &over(&options, &key(7), &dialogue()));
    // The client's second write.
    let lost = all.iter().rposition(|packet| packet.len() > 60 && packet[12..16] == [192, 0, 2, 1]).unwrap();
    let mut some = all.clone();
    some.remove(lost);
    let decoded = run(&some, &[logged(7)], &[]);
    assert!(!decoded.report.is_complete());
    let what = &decoded.report.troubles[0].what;
    assert!(what.starts_with("client to server: ") && what.contains("missing from the capture"), "{what}");
    assert_eq!(decoded.report.decoded, 5, "all but one");
    assert_eq!(decoded.report.unasked, 1, "an answer whose request is missing");
    assert!(decoded.find(|e| if let Event::RpcResult { method: 0, sends: 0, .. } = e { Some(()) } else { None }).is_some());
    // Without its beginning nothing of an obfuscated connection can be read.
    let decoded = run(&all[4..], &[logged(7)], &[]);
    assert!(decoded.report.is_empty());
    assert!(decoded.report.troubles[0].what.contains("its beginning was not captured"), "{:?}", decoded.report.troubles);
}

#[test]
fn a_plain_connection_is_entered_midway_whoever_has_the_higher_port() {
    for kind in Kind::ALL {
        let options = Options { kind, obfuscated: false, dc: DcId(0) };
        for ends in [V4, ["192.0.2.1:443", "192.0.2.2:50000"]] {
            // Behind the handshake and the first request.
            let packets = packets(ends, &over(&options, &key(7), &dialogue()))[4..].to_vec();
            let decoded = run(&packets, &[logged(7)], &[]);
            assert!(decoded.report.is_complete(), "{kind}: {:?}", decoded.report);
            assert_eq!((decoded.report.decoded, decoded.report.unasked), (5, 1), "{kind}");
            let [client, server] = ends.map(|end| end.parse().unwrap());
            assert_eq!(decoded.ends, [Ends { client, server }], "{kind}");
            assert_eq!(decoded.count(|e| matches!(e, Event::Disconnected { .. })), 1, "{kind}: its end is told");
        }
        // Under no known key there is nothing to enter at.
        let packets = packets(V4, &over(&options, &key(7), &dialogue()))[4..].to_vec();
        assert!(run(&packets, &[logged(8)], &[]).report.is_empty());
    }
}

#[test]
fn keys_that_are_not_known_are_listed() {
    let options = Options { kind: Kind::Abridged, obfuscated: true, dc: DcId(2) };
    let decoded = run(&packets(V4, &over(&options, &key(7), &dialogue())), &[logged(8)], &[]);
    assert_eq!(decoded.report.unknown_keys, [(key(7).id(), 6)].into());
    assert_eq!((decoded.report.undecoded, decoded.report.decoded), (6, 0));
    assert!(decoded.report.is_empty() && !decoded.report.is_complete());
    let told = |e: &Event| matches!(e, Event::Envelope { msg_key: Verdict::Unchecked, inner: None, .. });
    assert_eq!(decoded.count(told), 6);
}

#[test]
fn the_key_exchange_is_told_and_a_binding_with_it() {
    let (perm, temp) = (key(7), key(9));
    let req = f::auth::BindTempAuthKey {
        perm_auth_key_id: perm.id(),
        nonce: 5,
        expires_at: 1_700_086_400,
        encrypted_message: vec![1; 40].into(),
    };
    let mut rng = rng();
    let options = Options { kind: Kind::Intermediate, obfuscated: false, dc: DcId(0) };
    let mut codec = Codec::client(&options, &mut rng);
    let mut first = BytesMut::new();
    // req_pq_multi, then under the key that comes of the exchange.
    codec.encode(&plain::encode(MsgId(AT), &words(0xbe7e_8ef1, &[1, 2])), &mut rng, &mut first).unwrap();
    codec.encode(&client(1, 1, req.to_bytes()).sealed(&temp), &mut rng, &mut first).unwrap();
    let mut seen = first.clone();
    let mut answer = BytesMut::new();
    let mut server_codec = Detector::new().detect(&mut seen).unwrap().unwrap();
    server_codec.encode(&server(2, 1, result(1, &true.to_bytes())).sealed(&temp), &mut rng, &mut answer).unwrap();
    let mut key = logged(9);
    key.expires_at = Some(1_700_086_400);
    let decoded = run(&packets(V4, &vec![(0, first), (1, answer)]), &[key], &[]);
    assert!(decoded.report.is_complete(), "{:?}", decoded.report);
    let step = decoded.find(|e| if let Event::HandshakeStep { name, .. } = e { Some(name.clone()) } else { None });
    assert_eq!(step.as_deref(), Some("req_pq_multi"));
    let bound = Event::TempKeyBound { id: temp.id(), perm: perm.id(), expires_at: 1_700_086_400 };
    assert!(decoded.events.contains(&bound), "{:?}", decoded.events);
    assert!(decoded.events.contains(&Event::KeyInUse { id: temp.id(), expires_at: Some(1_700_086_400) }));
}

#[test]
fn what_breaks_rules_is_told_and_shown() {
    let config = f::help::GetConfig.to_bytes();
    let odd_ack = client(1, 1, msgs_ack(9));
    let wrong_parity = Say { msg_id: AT + 9, ..client(0, 1, config.clone()) };
    let unordered = in_container(client(3, 2, Bytes::new()), &[client(9, 3, config.clone())]);
    let mut cut = in_container(client(10, 4, Bytes::new()), &[client(5, 5, config.clone())]);
    // It claims two messages and has one.
    let mut body = cut.body.to_vec();
    body[4] = 2;
    cut.body = body.into();
    let malformed = client(11, 6, words(0x62d6_b459, &[1]));
    let bomb = client(12, 7, {
        let mut out = gzip::ID.to_le_bytes().to_vec();
        tdl_core::tl::wire::write_bytes(&mut out, b"no gzip");
        out
    });
    let says = [odd_ack, wrong_parity, unordered, cut, malformed, bomb];
    let options = Options { kind: Kind::Full, obfuscated: false, dc: DcId(0) };
    let decoded = run(&packets(V4, &over(&options, &key(7), &says)), &[logged(7)], &[]);
    assert_eq!(decoded.rules(), ["Container", "Gzip", "Malformed", "SeqNoNotEven", "WrongParity"]);
    assert!(decoded.report.is_complete(), "all of it was decoded");
    assert_eq!(decoded.report.requests, 3, "and shown");
    assert_eq!(decoded.report.checks["Container"], 2);
}

#[test]
fn an_altered_packet_is_not_decoded_and_the_next_one_is() {
    let options = Options { kind: Kind::Intermediate, obfuscated: false, dc: DcId(0) };
    let mut writes = over(&options, &key(7), &dialogue());
    let at = writes[0].1.len() - 1;
    writes[0].1[at] ^= 1;
    let decoded = run(&packets(V4, &writes), &[logged(7)], &[]);
    assert_eq!((decoded.report.undecoded, decoded.report.decoded), (1, 5));
    assert_eq!(decoded.rules(), ["MsgKeyMismatch"]);
}

#[test]
fn what_is_sent_again_is_told_once() {
    let says = dialogue();
    // The client repeats a request and the server an answer, each under its identifier.
    let twice = [&says[..1], &says[..1], &says[1..5], &says[4..]].concat();
    let options = Options { kind: Kind::Abridged, obfuscated: true, dc: DcId(0) };
    let decoded = run(&packets(V4, &over(&options, &key(7), &twice)), &[logged(7)], &[]);
    let resent = MsgId(AT + 4);
    assert_eq!(decoded.count(|e| *e == Event::Resent { old: resent, new: resent }), 1);
    assert_eq!(decoded.count(|e| matches!(e, Event::MessageIgnored { .. })), 1);
    assert_eq!((decoded.report.requests, decoded.report.answered, decoded.report.unasked), (2, 2, 0));
    let sends = decoded.find(|e| if let Event::RpcResult { sends, .. } = e { Some(*sends) } else { None });
    assert_eq!(sends, Some(2));
}

#[test]
fn an_answer_may_come_over_another_connection() {
    let options = Options { kind: Kind::Abridged, obfuscated: false, dc: DcId(0) };
    let config = f::help::GetConfig.to_bytes();
    let first = packets(V4, &over(&options, &key(7), &[client(1, 1, config)]));
    let second = [client(2, 2, msgs_ack(9)), server(3, 1, result(1, &true.to_bytes()))];
    let second = packets(["192.0.2.1:50001", V4[1]], &over(&options, &key(7), &second));
    let decoded = run(&[first, second].concat(), &[logged(7)], &[]);
    assert_eq!((decoded.report.connections, decoded.report.answered), (2, 1));
}

#[test]
fn other_traffic_is_told_from_what_could_not_be_read() {
    let web = packets(["192.0.2.1:1", "192.0.2.2:80"], &vec![(0, BytesMut::from(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..]))]);
    let noise = packets(["192.0.2.1:2", "192.0.2.2:22"], &vec![(0, BytesMut::from(&[0x77; 200][..]))]);
    let silent = packets(["192.0.2.1:3", "192.0.2.2:9"], &Writes::new());
    let options = Options { kind: Kind::Abridged, obfuscated: true, dc: DcId(0) };
    let ours = packets(V4, &over(&options, &key(7), &dialogue()));
    let with_web = run(&[web.clone(), silent, ours.clone()].concat(), &[logged(7)], &[]);
    assert!(with_web.report.is_complete());
    assert_eq!((with_web.report.connections, with_web.report.mtproto, with_web.report.other), (2, 1, 1));
    let all = [web, noise, ours].concat();
    let with_noise = run(&all, &[logged(7)], &[]);
    assert!(!with_noise.report.is_complete() && !with_noise.report.is_empty());
    assert!(with_noise.report.troubles[0].what.contains("no transport of MTProto"));
    let decoder = Decoder::new([logged(7)], Vec::new(), Collector::new()).only_ports(vec![443]);
    let (report, _) = decode(&pcap(&all)[..], decoder).unwrap();
    assert!(report.is_complete());
    assert_eq!((report.connections, report.decoded), (1, 6));
}

#[test]
fn ports_may_be_used_again_and_connections_torn_down() {
    let options = Options { kind: Kind::Abridged, obfuscated: true, dc: DcId(0) };
    let whole = packets(V4, &over(&options, &key(7), &dialogue()));
    let [client, server] = V4;
    let reset = Made { seq: 9999, rst: true, ..Made::between([server, client]) }.ip();
    // Its second use has numbers of its own.
    let mut tcp = Tcp::open(V4);
    let writes = over(&options, &key(7), &dialogue());
    for (who, bytes) in writes.iter() {
        tcp.send(*who, bytes);
    }
    let mut second = tcp.packets;
    for packet in &mut second {
        // Sequence number and acknowledgement of each, a million further on.
        for at in [24, 28] {
            let number = u32::from_be_bytes(packet[at..at + 4].try_into().unwrap()).wrapping_add(1_000_000);
            packet[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
    }
    let cut = whole.len() - 3;
    for first in [whole[..cut].to_vec(), [&whole[..cut], &[reset]].concat()] {
        // What comes late of the first belongs to nobody.
        let late = whole[5].clone();
        let decoded = run(&[first, second.clone(), vec![late]].concat(), &[logged(7)], &[]);
        assert_eq!((decoded.report.connections, decoded.report.decoded), (2, 12), "{:?}", decoded.report);
        assert!(decoded.report.is_complete(), "{:?}", decoded.report);
    }
}

#[test]
fn a_file_that_was_cut_off_is_read_up_to_there() {
    let options = Options { kind: Kind::Abridged, obfuscated: true, dc: DcId(0) };
    let file = pcap(&packets(V4, &over(&options, &key(7), &dialogue())));
    let decoded = run_file(&file[..file.len() - 10], &[logged(7)], &[]);
    assert!(matches!(decoded.end, Some(FileError::Truncated)));
    assert_eq!(decoded.report.decoded, 6);
    let decoder = || Decoder::new([logged(7)], Vec::new(), Collector::new());
    assert!(matches!(decode(&b"no capture"[..], decoder()), Err(FileError::UnknownFormat { .. })));
    // Packets cut by the snap length leave holes.
    let mut cut = packets(V4, &over(&options, &key(7), &dialogue()));
    let longest = cut.iter_mut().max_by_key(|packet| packet.len()).unwrap();
    longest.truncate(60);
    assert!(!run(&cut, &[logged(7)], &[]).report.is_complete());
}

#[test]
fn memory_is_bounded() {
    use super::flow::{Closed, Flows, Watcher};

    /// Keeps all that passes.
    #[derive(Default)]
    struct Hoarder(Vec<Closed>);

    impl Watcher for Hoarder {
        type Conn = Vec<u8>;

        fn opened(&mut self, _: Ends, _: bool) -> Vec<u8> {
            Vec::new()
        }

        fn passed(&mut self, conn: &mut Vec<u8>, _: tdl_core::transport::tap::Way, bytes: &[u8]) {
            conn.extend(bytes);
        }

        fn settled(&mut self, _: &mut Vec<u8>, _: tdl_core::transport::tap::Way) {}

        fn take_reversal(&mut self, _: &mut Vec<u8>) -> bool {
            false
        }

        fn held(&self, conn: &Vec<u8>) -> usize {
            conn.len()
        }

        fn closed(&mut self, _: Vec<u8>, how: Closed, _: [Option<stream::Gap>; 2]) {
            self.0.push(how);
        }
    }

    let mut flows = Flows::new(10_000);
    let mut hoarder = Hoarder::default();
    let bytes = [1; 1000];
    for port in 0..4_u16 {
        let client = format!("192.0.2.1:{}", 50_000 + port);
        for n in 0..3 {
            let made = Made { seq: 1000 * n, payload: &bytes, ..Made::between([&client, V4[1]]) };
            let ip = made.ip();
            let packet = Packet { at: Duration::ZERO, link: file::LinkType(101), data: &ip, cut: false };
            flows.segment(&packet::segment(&packet).unwrap(), &mut hoarder);
        }
    }
    assert_eq!(hoarder.0, [Closed::TooMuch], "the one that went too far");
    flows.finish(&mut hoarder);
    assert_eq!(hoarder.0, [Closed::TooMuch, Closed::CaptureEnds, Closed::CaptureEnds, Closed::CaptureEnds]);
}
