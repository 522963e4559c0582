//! Helpers for targets that read a byte stream.

use bytes::BytesMut;
use tdl::transport::{Codec, Error, Frame, MAX_FRAME};

/// All that a codec makes of a stream: its frames and how it ended.
pub(super) type Outcome = (Vec<Frame>, Result<(), Error>);

/// Takes every frame off `input`.
pub(super) fn drain(codec: &mut Codec, input: &mut BytesMut, outcome: &mut Outcome) {
    while outcome.1.is_ok() {
        match codec.decode(input) {
            Ok(None) => return,
            Ok(Some(frame)) => {
                if let Frame::Payload(payload) = &frame {
                    assert!(payload.len() <= MAX_FRAME + 15);
                }
                outcome.0.push(frame);
            }
            Err(error) => {
                assert_eq!(codec.decode(input), Err(error), "an error is final");
                outcome.1 = Err(error);
            }
        }
    }
}

/// Two MTProto packets: a plain one and one that looks encrypted.
pub(super) fn packets() -> [Vec<u8>; 2] {
    let mut plain = vec![0; 20];
    plain[8] = 4;
    plain[16] = 8;
    plain.extend([0x11; 8]);
    [plain, vec![0xa5; 24 + 48]]
}
