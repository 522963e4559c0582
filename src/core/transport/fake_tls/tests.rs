//! Both roles against each other, the greeting's looks, and each rule broken.

use std::collections::BTreeSet;

use bytes::BytesMut;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::transport::mtproxy::MAX_DOMAIN;

const NOW: i64 = 1_700_000_000;
const DOMAIN: &str = "www.example.com";

fn key() -> Key {
    Key::new([0x5e; 16])
}

fn rng(seed: u8) -> StdRng {
    StdRng::from_seed([seed; 32])
}

fn greet(shape: Shape, seed: u8) -> (Client, Vec<u8>) {
    Client::new(&key(), DOMAIN, shape, u32::try_from(NOW).unwrap(), &mut rng(seed))
}

fn accept_at(greeting: &[u8], now: i64, replays: &mut Replays) -> Result<Option<Accepted>, Error> {
    let mut input = BytesMut::from(greeting);
    let result = Server::new(key(), Some(DOMAIN.into())).handle_input(&mut input, now, replays, &mut rng(99));
    // Taken when it is accepted, left alone otherwise.
    assert_eq!(input.is_empty(), matches!(result, Ok(Some(_))) || greeting.is_empty());
    result
}

fn accept(greeting: &[u8]) -> Result<Option<Accepted>, Error> {
    accept_at(greeting, NOW, &mut Replays::new())
}

fn refused(greeting: &[u8]) -> Error {
    accept(greeting).unwrap_err()
}

fn finish(mut client: Client, answer: &[u8]) -> Result<Option<Records>, Error> {
    client.handle_input(&mut BytesMut::from(answer))
}

/// Signs a greeting anew after it was changed.
fn sign(greeting: &mut [u8]) {
    let mut digest = digest(&key(), &[], greeting).unwrap();
    mix_time(&mut digest, u32::try_from(NOW).unwrap());
    put_digest(greeting, &digest);
}

/// Signs an answer anew after it was changed.
fn sign_answer(answer: &mut [u8], greeting: &[u8]) {
    let digest = digest(&key(), digest_of(greeting).unwrap(), answer).unwrap();
    put_digest(answer, &digest);
}

fn be16(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

/// The extensions of a greeting in order, each with its content.
fn extensions(greeting: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let ciphers_at = 5 + 4 + 2 + 32 + 1 + 32;
    let mut at = ciphers_at + 2 + be16(greeting, ciphers_at) + 2;
    assert_eq!(at + 2 + be16(greeting, at), greeting.len());
    at += 2;
    let mut found = Vec::new();
    while at < greeting.len() {
        let len = be16(greeting, at + 2);
        found.push((be16(greeting, at) as u16, greeting[at + 4..at + 4 + len].to_vec()));
        at += 4 + len;
    }
    found
}

fn is_reserved(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

#[test]
fn both_roles_agree_and_data_flows_both_ways() {
    for shape in [Shape::Current, Shape::Classic] {
        let (mut client, greeting) = greet(shape, 1);
        let mut accepted = accept(&greeting).unwrap().unwrap();
        assert_eq!(i64::from(accepted.client_time), NOW);
        let mut answer = BytesMut::from(&accepted.answer[..]);
        answer.extend_from_slice(b"\x17\x03\x03\x00\x05early");
        let mut records = client.handle_input(&mut answer).unwrap().unwrap();
        let mut got = BytesMut::new();
        records.decode(&mut answer, &mut got).unwrap();
        assert_eq!((&got[..], answer.len()), (&b"early"[..], 0), "what follows the answer is the records'");

        let mut data = vec![0; 3 * MAX_RECORD + 77];
        rng(5).fill_bytes(&mut data);
        for (from, to) in [(&mut records, &mut accepted.records), (&mut Records::server(), &mut Records::client())] {
            let (mut wire, mut got) = (BytesMut::new(), BytesMut::new());
            from.encode(&data, &mut wire);
            from.encode(&[], &mut wire);
            from.encode(b"!", &mut wire);
            // Byte by byte: pieces must not matter.
            let mut input = BytesMut::new();
            for byte in &wire[..] {
                input.extend_from_slice(&[*byte]);
                to.decode(&mut input, &mut got).unwrap();
                assert!(input.len() < 6);
            }
            assert_eq!(got[..data.len()], data);
            assert_eq!(&got[data.len()..], b"!");
        }
    }
}

#[test]
fn data_is_split_into_records_behind_one_change_of_ciphers() {
    let mut wire = BytesMut::new();
    let mut records = Records::client();
    records.encode(&vec![7; MAX_RECORD + 1], &mut wire);
    assert_eq!(wire[..11], *b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x40\x00");
    assert_eq!(wire[11 + MAX_RECORD..], *b"\x17\x03\x03\x00\x01\x07");
    wire.clear();
    records.encode(b"x", &mut wire);
    assert_eq!(wire[..], *b"\x17\x03\x03\x00\x01x");
    wire.clear();
    Records::server().encode(b"y", &mut wire);
    assert_eq!(wire[..], *b"\x17\x03\x03\x00\x01y", "the server's is in its answer");
}

#[test]
fn the_greeting_is_a_browsers() {
    let mut orders = BTreeSet::new();
    for seed in 0..12 {
        let (_, greeting) = greet(Shape::Current, seed);
        assert_eq!(greeting[..3], [0x16, 3, 1]);
        assert_eq!(be16(&greeting, 3), greeting.len() - 5);
        assert_eq!(greeting[5..6], [1]);
        assert_eq!(be16(&greeting, 7), greeting.len() - 9);
        assert_eq!(greeting[9..11], [3, 3]);
        assert_eq!(greeting[43], 32, "a session id of full length");
        assert!((1700..2000).contains(&greeting.len()), "{}", greeting.len());
        // Ciphers: a reserved one in front, TLS 1.3 first.
        assert_eq!(be16(&greeting, 76), 32);
        assert!(is_reserved(be16(&greeting, 78) as u16));
        assert_eq!(greeting[80..86], [0x13, 1, 0x13, 2, 0x13, 3]);
        assert_eq!(greeting[110..112], [1, 0], "no compression");

        let all = extensions(&greeting);
        let numbers: Vec<u16> = all.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 18, "none twice");
        let (first, last) = (numbers[0], numbers[17]);
        assert!(is_reserved(first) && all[0].1.is_empty());
        assert!(is_reserved(last) && all[17].1 == [0]);
        let mut between = numbers[1..17].to_vec();
        assert!(!between.iter().any(|number| is_reserved(*number)));
        orders.insert(between.clone());
        between.sort_unstable();
        assert_eq!(
            between,
            [
                0x0000, 0x0005, 0x000a, 0x000b, 0x000d, 0x0010, 0x0012, 0x0017, 0x001b, 0x0023, 0x002b, 0x002d, 0x0033, 0x44cd,
                0xfe0d, 0xff01
            ]
        );

        let content = |number| &all.iter().find(|(found, _)| *found == number).unwrap().1;
        assert_eq!(content(0x0000)[..], [&[0, 18, 0, 0, 15], DOMAIN.as_bytes()].concat());
        assert_eq!(content(0x0010)[..], *b"\x00\x0c\x02h2\x08http/1.1");
        let groups = content(0x000a);
        assert_eq!(groups[..2], [0, 10]);
        assert_eq!(groups[4..], [0x11, 0xec, 0, 0x1d, 0, 0x17, 0, 0x18]);
        let versions = content(0x002b);
        assert!(versions[0] == 6 && is_reserved(be16(versions, 1) as u16) && versions[3..] == [3, 4, 3, 3]);
        // Shares: the reserved group of the list, the hybrid one with both its halves, X25519.
        let shares = content(0x0033);
        assert_eq!(be16(shares, 0), shares.len() - 2);
        assert_eq!((shares[2..4].to_vec(), &shares[4..7]), (groups[2..4].to_vec(), &[0, 1, 0][..]));
        assert!(is_reserved(be16(shares, 2) as u16));
        assert_eq!(shares[7..11], [0x11, 0xec, 0x04, 0xc0]);
        assert_eq!(shares[11 + 1216..11 + 1216 + 4], [0, 0x1d, 0, 32]);
        assert_eq!(shares.len(), 11 + 1216 + 4 + 32);
        let ech = content(0xfe0d);
        assert_eq!(ech[..5], [0, 0, 1, 0, 1]);
        assert_eq!(be16(ech, 6), 32);
        assert!([144, 176, 208, 240].contains(&be16(ech, 40)) && ech.len() == 42 + be16(ech, 40));
    }
    assert!(orders.len() > 9, "the order is drawn anew");
}

#[test]
fn the_classic_greeting_has_one_length_whatever_the_name() {
    for len in (1..MAX_DOMAIN).step_by(20).chain([MAX_DOMAIN]) {
        let (_, greeting) = Client::new(&key(), &"a".repeat(len), Shape::Classic, 0, &mut rng(1));
        assert_eq!(greeting.len(), 517, "{len}");
        assert_eq!(greeting[..9], *b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc");
        let all = extensions(&greeting);
        assert_eq!(all.last().unwrap().0, 0x0015, "filled at the end");
        assert!(all.last().unwrap().1.iter().all(|byte| *byte == 0));
        assert!(all.iter().any(|(number, _)| *number == 0x4469) && !all.iter().any(|(number, _)| *number == 0xfe0d));
        let shares = &all.iter().find(|(number, _)| *number == 0x0033).unwrap().1;
        assert_eq!(shares.len(), 2 + 5 + 4 + 32);
    }
}

#[test]
fn a_source_that_yields_one_value_for_ever_still_yields_a_whole_greeting() {
    struct Stuck(u32);
    impl rand::TryRng for Stuck {
        type Error = std::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(self.0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(self.0.into())
        }
        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
            out.fill(self.0 as u8);
            Ok(())
        }
    }
    for value in [0, u32::MAX] {
        let (client, greeting) = Client::new(&key(), DOMAIN, Shape::Current, NOW as u32, &mut Stuck(value));
        let all = extensions(&greeting);
        assert_ne!(all[0].0, all[17].0, "no extension is there twice");
        let accepted = accept(&greeting).unwrap().unwrap();
        assert!(finish(client, &accepted.answer).unwrap().is_some());
    }
}

/// The digest computed by another library (Python's hmac): key 5e × 16, over a greeting with zeros in the digest's place.
#[test]
fn the_digest_is_the_formulas() {
    let greeting: Vec<u8> = (0..=255).collect();
    let digest = digest(&key(), &[], &greeting).unwrap();
    assert_eq!(hex::encode(digest), "5033ce7bec74e51858b2c0b1d65b667f906237e3689e78142ec28ff3f93476f5");
    let mut timed = digest;
    mix_time(&mut timed, 0x0102_0304);
    assert_eq!(timed[..28], digest[..28]);
    assert_eq!(timed[28..], [digest[28] ^ 4, digest[29] ^ 3, digest[30] ^ 2, digest[31] ^ 1]);
    assert_eq!(super::digest(&key(), &[], &greeting[..42]), None);
}

#[test]
fn the_server_refuses_what_breaks_a_rule() {
    let (_, good) = greet(Shape::Current, 1);
    let changed = |at: usize, byte: u8| {
        let mut greeting = good.clone();
        greeting[at] = byte;
        greeting
    };
    assert_eq!(refused(b"G"), Error::NotTls { found: b'G' });
    assert_eq!(refused(&changed(1, 2)), Error::WrongVersion { found: [2, 1] });
    assert_eq!(refused(&changed(2, 4)), Error::WrongVersion { found: [3, 4] });
    assert_eq!(refused(&[0x16, 3, 1, 0, 0]), Error::EmptyRecord);
    assert_eq!(refused(&[0x16, 3, 1, 0xff, 0xff]), Error::RecordTooLong { found: 0xffff, max: MAX_RECORD + 256 });
    assert_eq!(refused(&changed(5, 2)), Error::NotClientHello { found: 2 });
    assert_eq!(refused(&changed(8, good[8] ^ 1)), Error::BadLength { field: "message" });
    assert_eq!(refused(&changed(43, 33)), Error::BadLength { field: "session id" });
    assert_eq!(refused(&changed(77, 33)), Error::BadLength { field: "cipher list" });
    assert_eq!(refused(&changed(110, 0)), Error::BadLength { field: "compression list" });
    assert_eq!(refused(&changed(113, good[113] ^ 1)), Error::BadLength { field: "extension list" });
    assert_eq!(refused(&changed(116, 0xff)), Error::BadLength { field: "extension" });
    for at in [10, 12, 38, 45, 90, good.len() - 1] {
        assert_eq!(refused(&changed(at, good[at] ^ 1)), Error::WrongClientDigest, "{at}");
    }
    let other = Client::new(&Key::new([1; 16]), DOMAIN, Shape::Current, NOW as u32, &mut rng(1)).1;
    assert_eq!(refused(&other), Error::WrongClientDigest);
    let elsewhere = Client::new(&key(), "example.org", Shape::Current, NOW as u32, &mut rng(1)).1;
    assert_eq!(refused(&elsewhere), Error::WrongServerName);

    // The name's extension under another number: there is none.
    let name = [0, 0, 0, 20, 0, 18, 0, 0, 15];
    let at = good.windows(name.len()).position(|window| window == name).unwrap();
    let mut nameless = changed(at, 0x55);
    sign(&mut nameless);
    assert_eq!(refused(&nameless), Error::NoServerName);
    let mut of_another_kind = changed(at + 6, 9);
    sign(&mut of_another_kind);
    assert_eq!(refused(&of_another_kind), Error::NoServerName);
    assert_eq!(refused(&changed(at + 5, 17)), Error::BadLength { field: "name list" });
    assert_eq!(refused(&changed(at + 8, 16)), Error::BadLength { field: "name" });
    // A proxy that does not care for the name takes it.
    let mut input = BytesMut::from(&nameless[..]);
    let taken = Server::new(key(), None).handle_input(&mut input, NOW, &mut Replays::new(), &mut rng(1));
    assert!(taken.unwrap().is_some());
}

#[test]
fn an_error_is_final_in_every_part() {
    let mut server = Server::new(key(), None);
    let mut handle =
        |bytes: &[u8]| server.handle_input(&mut BytesMut::from(bytes), NOW, &mut Replays::new(), &mut rng(1)).unwrap_err();
    assert_eq!(handle(b"G"), Error::NotTls { found: b'G' });
    assert_eq!(handle(&greet(Shape::Current, 1).1), Error::NotTls { found: b'G' });
    let (mut client, _) = greet(Shape::Current, 1);
    for _ in 0..2 {
        let error = client.handle_input(&mut BytesMut::from(&b"HTTP/1.1 400"[..])).unwrap_err();
        assert_eq!(error, Error::WrongVersion { found: *b"TT" });
    }
    let mut records = Records::client();
    for input in [&b"\x15\x03\x03\x00\x02\x01\x00"[..], b"\x17\x03\x03\x00\x01x"] {
        let error = records.decode(&mut BytesMut::from(input), &mut BytesMut::new()).unwrap_err();
        assert_eq!(error, Error::NotDataRecord { found: 0x15 });
    }
}

#[test]
fn a_greeting_is_good_for_a_while_and_once() {
    let (_, greeting) = greet(Shape::Classic, 1);
    for (offset, good) in
        [(0, true), (TIME_BEHIND, true), (TIME_BEHIND + 1, false), (-TIME_AHEAD, true), (-TIME_AHEAD - 1, false)]
    {
        let result = accept_at(&greeting, NOW + offset, &mut Replays::new());
        match good {
            true => assert!(result.unwrap().is_some(), "{offset}"),
            false => assert_eq!(result.unwrap_err(), Error::ClockSkew { behind: offset }),
        }
    }
    let mut replays = Replays::new();
    assert!(accept_at(&greeting, NOW, &mut replays).unwrap().is_some());
    assert_eq!(accept_at(&greeting, NOW + 1, &mut replays).unwrap_err(), Error::Replayed);
    assert_eq!(accept_at(&greeting, NOW + TIME_BEHIND, &mut replays).unwrap_err(), Error::Replayed);
    assert!(accept_at(&greet(Shape::Classic, 2).1, NOW, &mut replays).unwrap().is_some(), "another one is another one");
    // Whoever overheard it can change its time, which is mixed in last, and gains nothing.
    let mut renewed = greeting.clone();
    renewed[DIGEST_AT + DIGEST - 4] ^= 1;
    assert_eq!(accept_at(&renewed, NOW + 1, &mut replays).unwrap_err(), Error::Replayed);
    let later = NOW + TIME_BEHIND + 1;
    let (_, next) = Client::new(&key(), DOMAIN, Shape::Classic, later as u32, &mut rng(3));
    assert!(accept_at(&next, later, &mut replays).unwrap().is_some());
    assert_eq!(accept_at(&next, later, &mut replays).unwrap_err(), Error::Replayed);
    assert_eq!(accept_at(&greeting, later, &mut replays).unwrap_err(), Error::ClockSkew { behind: TIME_BEHIND + 1 });
}

#[test]
fn the_client_refuses_what_breaks_a_rule() {
    let (_, greeting) = greet(Shape::Current, 1);
    let client = || greet(Shape::Current, 1).0;
    let good = accept(&greeting).unwrap().unwrap().answer;
    assert!(finish(client(), &good).unwrap().is_some());
    let hello_len = 5 + be16(&good, 3);
    let changed = |at: usize, byte: u8| {
        let mut answer = good.clone();
        answer[at] = byte;
        answer
    };
    let resigned = |at: usize, byte: u8| {
        let mut answer = changed(at, byte);
        sign_answer(&mut answer, &greeting);
        answer
    };
    let error = |answer: &[u8]| finish(client(), answer).unwrap_err();

    // What a web server says.
    assert_eq!(error(b"\x15\x03\x03\x00\x02\x02\x28"), Error::Alert { level: 2, description: 40 });
    assert_eq!(error(&changed(0, 0x17)), Error::NotHandshake { found: 0x17 });
    assert_eq!(error(&changed(1, 2)), Error::WrongVersion { found: [2, 3] });
    assert_eq!(error(&changed(hello_len, 0x16)), Error::NoChangeCipherSpec { found: 0x16 });
    assert_eq!(error(&changed(hello_len + 5, 2)), Error::BadChangeCipherSpec);
    assert_eq!(error(&changed(hello_len + 6, 0x16)), Error::NoData { found: 0x16 });
    assert_eq!(error(&[0x16, 3, 3, 0xff, 0xff]), Error::RecordTooLong { found: 0xffff, max: MAX_RECORD + 256 });
    assert_eq!(error(&[0x16, 3, 3, 0, 0]), Error::EmptyRecord);
    // Each byte of the answer is under the digest, and the digest is under the secret and our greeting.
    for at in [11, 42, 44, 80, hello_len + 20, good.len() - 1] {
        assert_eq!(error(&changed(at, good[at] ^ 1)), Error::WrongServerDigest, "{at}");
    }
    let (stranger, _) = greet(Shape::Current, 2);
    assert_eq!(finish(stranger, &good).unwrap_err(), Error::WrongServerDigest, "an answer to another greeting");
    // Proven, and wrong all the same.
    assert_eq!(error(&resigned(5, 4)), Error::NotServerHello { what: "its message is another one" });
    assert_eq!(error(&resigned(8, good[8] ^ 1)), Error::NotServerHello { what: "its message does not fill the record" });
    assert_eq!(error(&resigned(44, good[44] ^ 1)), Error::WrongSessionId);
    assert_eq!(error(&resigned(43, 31)), Error::WrongSessionId);
    let short = b"\x16\x03\x03\x00\x01\x02\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x01x";
    assert_eq!(error(short), Error::NotServerHello { what: "it has no room for a digest" });
    for (error, about_the_secret) in [
        (Error::WrongServerDigest, true),
        (Error::NoChangeCipherSpec { found: 0x16 }, true),
        (Error::WrongSessionId, false),
        (Error::EmptyRecord, false),
    ] {
        assert_eq!(error.is_about_the_secret(), about_the_secret, "{error}");
    }
}

#[test]
fn records_refuse_what_breaks_a_rule() {
    let decode = |mut records: Records, input: &[u8]| {
        let mut out = BytesMut::new();
        let result = records.decode(&mut BytesMut::from(input), &mut out);
        (result.err(), out.to_vec())
    };
    let change = CHANGE_CIPHER_SPEC_RECORD;
    let cases: [(&[u8], Error); 4] = [
        (&[0x17, 3, 1, 0, 1, 0], Error::WrongVersion { found: [3, 1] }),
        (&[0x17, 3, 3, 0, 0], Error::EmptyRecord),
        (&[0x17, 3, 3, 0x41, 0x01], Error::RecordTooLong { found: 0x4101, max: 0x4100 }),
        (&[0x16, 3, 3, 0, 1, 0], Error::NotDataRecord { found: 0x16 }),
    ];
    for (input, error) in cases {
        assert_eq!(decode(Records::client(), input).0, Some(error.clone()));
        assert_eq!(decode(Records::server(), input).0, Some(error));
    }
    // One change of ciphers, from the client, in front.
    assert_eq!(decode(Records::client(), &change).0, Some(Error::NotDataRecord { found: 0x14 }));
    assert_eq!(decode(Records::server(), &change).0, None);
    assert_eq!(decode(Records::server(), &[change, change].concat()).0, Some(Error::NotDataRecord { found: 0x14 }));
    assert_eq!(decode(Records::server(), &[0x14, 3, 3, 0, 1, 2]).0, Some(Error::BadChangeCipherSpec));
    assert_eq!(decode(Records::server(), &[0x14, 3, 3, 0, 2, 1]).0, Some(Error::BadChangeCipherSpec));
    let late = [&[0x17, 3, 3, 0, 1, b'x'][..], &change].concat();
    assert_eq!(decode(Records::server(), &late), (Some(Error::NotDataRecord { found: 0x14 }), b"x".to_vec()));
}

#[test]
fn every_prefix_of_either_greeting_waits_for_more() {
    let (_, greeting) = greet(Shape::Current, 1);
    let answer = accept(&greeting).unwrap().unwrap().answer;
    for len in 0..greeting.len() {
        assert!(accept(&greeting[..len]).unwrap().is_none(), "{len}");
    }
    let (mut client, _) = greet(Shape::Current, 1);
    for len in 0..answer.len() {
        assert!(client.handle_input(&mut BytesMut::from(&answer[..len])).unwrap().is_none(), "{len}");
    }
}

#[test]
fn debug_shows_no_key() {
    let (client, _) = greet(Shape::Current, 1);
    for shown in [format!("{client:?}"), format!("{:?}", Server::new(key(), None))] {
        assert!(!shown.contains("94") && !shown.to_lowercase().contains("5e"), "{shown}");
    }
}
