//! Containers of messages. Input: the body of `msg_container`.

use bytes::Bytes;
use tdl::ids::{MsgId, SeqNo};
use tdl::mtproto::container;

use super::Seed;

const OUTER: MsgId = MsgId(0x6553_f100_0000_1000);

pub fn run(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let _ = container::constructor(&body);
    let Ok(messages) = container::parse(&body, OUTER) else { return };
    let mut again = body.get(..4).unwrap_or_default().to_vec();
    again.extend_from_slice(&container::header(messages.len())[4..]);
    for message in messages {
        again.extend_from_slice(&container::message_header(message.msg_id, message.seq_no, message.body.len()));
        again.extend_from_slice(&message.body);
    }
    assert_eq!(again, data, "one body means one list of messages");
}

pub fn seeds() -> Vec<Seed> {
    let of = |messages: &[(i64, i32, &[u8])]| {
        let mut body = container::header(messages.len()).to_vec();
        for (msg_id, seq_no, inner) in messages {
            body.extend_from_slice(&container::message_header(MsgId(*msg_id), SeqNo(*seq_no), inner.len()));
            body.extend_from_slice(inner);
        }
        body
    };
    let nested = of(&[]);
    vec![
        ("empty".into(), of(&[])),
        ("two".into(), of(&[(0x100, 1, &[7; 12]), (0x104, 2, &[8; 20])])),
        ("repeated".into(), of(&[(0x100, 1, &[7; 12]), (0x100, 3, &[8; 12])])),
        ("nested".into(), of(&[(0x100, 1, &nested)])),
        ("later-than-its-container".into(), of(&[(OUTER.0 + 4, 1, &[7; 12])])),
    ]
}
