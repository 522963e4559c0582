//! Capture files: their blocks, the packets in them, the connections of those, and what is said there. Input: the file.

use bytes::BytesMut;
use tdl::ids::{DcId, MsgId, Salt, SeqNo, SessionId};
use tdl::mtproto::envelope::{self, Header, Side};
use tdl::transport::{Codec, Detector, Kind, Obfuscated, Options, http};

use super::capture::{self, Capture, secret};
use super::envelope::KEY;
use super::{Seed, input};

pub fn run(data: &[u8]) {
    capture::run(data);
}

/// A message of either side: a ping, and a pong.
fn sealed(who: usize) -> BytesMut {
    let (writer, msg_id) = [(Side::Client, 4), (Side::Server, 1)][who];
    let msg_id = MsgId(0x6553_f100_0000_0000 + msg_id);
    let header = Header { salt: Salt(1), session_id: SessionId(2), msg_id, seq_no: SeqNo(0) };
    let mut body = [0x7abe_77ec_u32, 0x3477_73c5][who].to_le_bytes().to_vec();
    if who == 1 {
        body.extend(0x6553_f100_0000_0004_u64.to_le_bytes());
    }
    body.extend([7; 8]);
    envelope::seal(&KEY, writer, &header, &[&body], &mut input::rng())
}

pub fn seeds() -> Vec<Seed> {
    let mut rng = input::rng();
    let mut seeds = Vec::new();
    for kind in Kind::ALL {
        for obfuscated in [false, true] {
            let options = Options { kind, obfuscated, dc: DcId(2) };
            let mut client = Codec::client(&options, &mut rng);
            let (mut question, mut answer) = (BytesMut::new(), BytesMut::new());
            client.encode(&sealed(0), &mut rng, &mut question).expect("ours");
            let mut server = Detector::new().detect(&mut question.clone()).expect("ours").expect("whole");
            server.encode(&sealed(1), &mut rng, &mut answer).expect("ours");
            let mut file = Capture::new();
            file.send(0, &question);
            file.send(1, &answer);
            seeds.push((options.to_string().replace(' ', "-"), file.close()));
        }
    }
    let (mut client, mut server) = (http::Client::new("a", http::PATH), http::Server::new());
    let (mut question, mut answer) = (BytesMut::new(), BytesMut::new());
    client.encode(&sealed(0), &mut question).expect("ours");
    server.decode(&mut question.clone()).expect("ours");
    server.encode(&sealed(1), &mut answer).expect("asked");
    let mut file = Capture::new();
    file.send(0, &question);
    file.send(1, &answer);
    seeds.push(("http".to_owned(), file.close()));
    let (init, mut stream) = Obfuscated::client(Kind::Abridged, DcId(2), &secret(), &mut rng).expect("it has a tag");
    let mut codec = Codec::client(&Options { kind: Kind::Abridged, obfuscated: false, dc: DcId(0) }, &mut rng);
    let mut question = BytesMut::new();
    codec.encode(&sealed(0), &mut rng, &mut question).expect("ours");
    let mut question = question.split_off(1);
    stream.encipher(&mut question);
    let mut file = Capture::new();
    file.send(0, &init);
    file.send(0, &question);
    seeds.push(("proxied".to_owned(), file.close()));
    seeds.push(("pcapng".to_owned(), pcapng()));
    seeds
}

/// A section, an interface with options, a packet of each kind.
fn pcapng() -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let body = [body, &vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
        let len = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &len, &body, &len].concat()
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let packet = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6];
    [
        block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX])),
        block(1, &words(&[101, 0, 9 | 1 << 16, 0x80 | 10, 14 | 8 << 16, 5, 0])),
        block(6, &[words(&[0, 1, 2, 10, 10]), packet.to_vec()].concat()),
        block(3, &[words(&[10]), packet.to_vec()].concat()),
        block(2, &[words(&[0, 1, 2, 10, 10]), packet.to_vec()].concat()),
    ]
    .concat()
}
