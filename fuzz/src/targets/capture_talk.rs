//! What is said under a key that is known, whatever it is: everything opens, nothing need make sense.
//!
//! Input, over and over: a byte whose lowest bit says who speaks and whose others make the message's identifier, a byte for its sequence
//! number, two for the length of its body, the body.

use bytes::BytesMut;
use tdl::ids::{DcId, MsgId, Salt, SeqNo, SessionId};
use tdl::mtproto::envelope::{self, Header, Side};
use tdl::transport::{Codec, Detector, Kind, Options};

use super::capture::{self, Capture};
use super::envelope::KEY;
use super::input::{self, Input};
use super::{Seed, container};

/// Messages of one run, at most.
const MESSAGES: usize = 64;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut rng = input::rng();
    let options = Options { kind: Kind::Intermediate, obfuscated: false, dc: DcId(0) };
    let mut client = Codec::client(&options, &mut rng);
    let mut file = Capture::new();
    let mut server: Option<Codec> = None;
    let mut said = 0;
    while !input.is_empty() && said < MESSAGES {
        let (who, seq_no, len) = (input.byte(), input.byte(), usize::from(input.u16()));
        let body = input.take(len);
        let body = &body[..body.len() & !3];
        // A server speaks when it is spoken to.
        let writer = if who & 1 == 0 || server.is_none() { Side::Client } else { Side::Server };
        let msg_id = MsgId(0x6553_f100_0000_0000 | i64::from(who >> 1));
        let header = Header { salt: Salt(1), session_id: SessionId(2), msg_id, seq_no: SeqNo(seq_no.into()) };
        let frame = envelope::seal(&KEY, writer, &header, &[body], &mut rng);
        let mut out = BytesMut::new();
        match (&mut server, writer) {
            (Some(server), Side::Server) => server.encode(&frame, &mut rng, &mut out).expect("ours"),
            _ => client.encode(&frame, &mut rng, &mut out).expect("ours"),
        }
        if server.is_none() {
            server = Detector::new().detect(&mut out.clone()).expect("ours");
        }
        file.send(usize::from(writer == Side::Server), &out);
        said += 1;
    }
    let report = capture::run(&file.close()).expect("it is a capture");
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.opened, said as u64);
}

pub fn seeds() -> Vec<Seed> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let say = |who: u8, seq_no: u8, body: &[u8]| {
        let mut out = vec![who, seq_no];
        out.extend((body.len() as u16).to_le_bytes());
        out.extend(body);
        out
    };
    let get_config = words(&[0xc4f9_186b]);
    let answer = |id: u32| words(&[0xf35c_6d01, 8 >> 1, 0x6553_f100, id]);
    let mut wrapped = words(&[0xda9b_0d0d, 230, 0xbf94_59b7]);
    wrapped.extend(&get_config);
    let mut error = answer(0x2144_ca19);
    error.extend(words(&[420]));
    error.extend(b"\x0cFLOOD_WAIT_7\0\0\0");
    let mut copy = words(&[0xe060_46b2, 4, 0x6553_f100, 1, 4]);
    copy.extend(words(&[0x9972_75b5]));
    let mut seeds: Vec<Seed> = vec![
        ("request-and-answer".to_owned(), [say(8, 1, &wrapped), say(3, 1, &answer(0x9972_75b5))].concat()),
        ("error".to_owned(), [say(8, 1, &get_config), say(3, 1, &error)].concat()),
        (
            "sent-again".to_owned(),
            [say(8, 1, &get_config), say(8, 1, &get_config), say(3, 1, &error), say(3, 1, &error)].concat(),
        ),
        ("copy".to_owned(), [say(8, 1, &get_config), say(11, 1, &copy)].concat()),
        ("service".to_owned(), {
            let bodies = [
                words(&[0x7abe_77ec, 1, 2]),
                words(&[0x62d6_b459, 0x1cb5_c415, 1, 4, 5]),
                words(&[0x9ec2_0908, 1, 2, 3, 4, 5, 6]),
                words(&[0xedab_447b, 4, 0x6553_f100, 1, 48, 7, 8]),
                words(&[0xa7ef_f811, 4, 0x6553_f100, 1, 32]),
                words(&[0x3477_73c5, 4, 5, 1, 2]),
                words(&[0x58e4_a740, 4, 5]),
                words(&[0xd143_5160]),
                words(&[0xe317_af7e]),
            ];
            bodies.iter().enumerate().flat_map(|(n, body)| say(n as u8 * 5 + 3, 1, body)).collect()
        }),
    ];
    // Containers, in order and not, nested, cut.
    seeds.extend(container::seeds().into_iter().map(|(name, body)| (format!("container-{name}"), say(0xfe, 0, &body))));
    seeds
}
