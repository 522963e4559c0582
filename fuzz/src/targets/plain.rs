//! Unencrypted messages. Input: the frame.

use bytes::Bytes;
use tdl::ids::MsgId;
use tdl::mtproto::plain;

use super::Seed;

pub fn run(data: &[u8]) {
    if let Ok((msg_id, body)) = plain::decode(Bytes::copy_from_slice(data)) {
        assert_eq!(plain::encode(msg_id, &body), data, "one frame means one message");
    }
}

pub fn seeds() -> Vec<Seed> {
    let frame = plain::encode(MsgId(0x6553_f100_0000_0004), &[7; 40]).to_vec();
    vec![
        ("message".into(), frame),
        ("empty-body".into(), plain::encode(MsgId(4), &[]).to_vec()),
        ("too-short".into(), vec![0; 12]),
    ]
}
