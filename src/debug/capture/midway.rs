//! Where to enter a plain connection whose beginning was not captured.
//!
//! A frame of a plain transport names the key that its payload is encrypted with, and what is in front of that tells the transport:
//!
//! ```text
//! abridged       [len/4]   or [7f][len/4: 3]   key id …
//! intermediate   [len: 4]                      key id …      padded or not
//! full           [len: 4][seq: 4]              key id …
//! ```
//!
//! So the identifiers of known keys are looked for. What is found is believed if the key opens it; that also tells who wrote it.

use bytes::BytesMut;

use tdl_core::crypto::AuthKey;
use tdl_core::mtproto::envelope::{self, Side};
use tdl_core::transport::{Kind, MAX_FRAME};

/// Bytes in front of a payload that tell the transport, at most.
const HEAD: usize = 8;
/// The shortest encrypted packet.
const LEAST: usize = 72;

/// What was found in the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// Nothing. So many bytes can be forgotten.
    Nothing {
        /// How many.
        skip: usize,
    },
    /// A frame, perhaps; more bytes are needed. So many in front of it can be forgotten.
    Perhaps {
        /// How many.
        skip: usize,
    },
    /// A frame.
    Found {
        /// Bytes in front of it.
        skip: usize,
        /// The transport. A padded one is reported for intermediate too: it reads both.
        kind: Kind,
        /// The frame's number, where frames are counted.
        seq: u32,
        /// Who wrote it.
        writer: Side,
    },
}

/// A frame that may begin at `start`.
struct Candidate {
    start: usize,
    kind: Kind,
    seq: u32,
    payload: usize,
}

/// Looks for the first frame under a known key.
pub(super) fn search<'k>(bytes: &[u8], key: impl Fn(i64) -> Option<&'k AuthKey>) -> Search {
    for (at, id) in bytes.windows(8).enumerate() {
        let id = id.first_chunk().map_or(0, |id| i64::from_le_bytes(*id));
        // Zero stands in front of what is not encrypted, and everywhere else.
        let Some(key) = Some(id).filter(|id| *id != 0).and_then(&key) else { continue };
        let mut incomplete = None;
        for candidate in candidates(bytes, at) {
            let Candidate { start, kind, seq, payload } = candidate;
            match bytes.get(at..at + payload) {
                None => incomplete = Some(start.min(incomplete.unwrap_or(start))),
                Some(frame) => {
                    if let Some(writer) = writer(key, frame) {
                        return Search::Found { skip: start, kind, seq, writer };
                    }
                }
            }
        }
        if let Some(skip) = incomplete {
            return Search::Perhaps { skip };
        }
    }
    Search::Nothing { skip: bytes.len().saturating_sub(HEAD + 7) }
}

/// What the bytes in front of a key's identifier can be.
fn candidates(bytes: &[u8], at: usize) -> impl Iterator<Item = Candidate> {
    let word = |back: usize| {
        let start = at.checked_sub(back)?;
        bytes.get(start..).and_then(|bytes| bytes.first_chunk::<4>()).map(|word| (start, u32::from_le_bytes(*word)))
    };
    let full = word(8).zip(word(4)).and_then(|((start, len), (_, seq))| {
        let payload = usize::try_from(len).ok()?.checked_sub(12)?;
        Some(Candidate { start, kind: Kind::Full, seq, payload })
    });
    // The top bit asks for a quick acknowledgement.
    let intermediate = word(4).and_then(|(start, len)| {
        let payload = usize::try_from(len & 0x7fff_ffff).ok()?;
        Some(Candidate { start, kind: Kind::PaddedIntermediate, seq: 0, payload: blocks(payload)? })
    });
    let long = word(4).filter(|(_, word)| word & 0x7f == 0x7f).and_then(|(start, word)| {
        let payload = usize::try_from(word >> 8).ok()? * 4;
        Some(Candidate { start, kind: Kind::Abridged, seq: 0, payload })
    });
    let short = at.checked_sub(1).and_then(|start| {
        let words = usize::from(bytes.get(start)? & 0x7f);
        (words < 0x7f).then_some(Candidate { start, kind: Kind::Abridged, seq: 0, payload: words * 4 })
    });
    let fits = |candidate: &Candidate| {
        (LEAST..=MAX_FRAME).contains(&candidate.payload) && blocks(candidate.payload) == Some(candidate.payload)
    };
    [full, intermediate, long, short].into_iter().flatten().filter(fits)
}

/// As much of a payload as whole blocks of the cipher make up.
fn blocks(payload: usize) -> Option<usize> {
    payload.checked_sub(envelope::OUTER_HEADER_LEN).map(|inside| envelope::OUTER_HEADER_LEN + (inside & !15))
}

/// Who wrote a frame, if the key opens it.
fn writer(key: &AuthKey, frame: &[u8]) -> Option<Side> {
    let opens = |side: &Side| envelope::look_into(key, *side, BytesMut::from(frame)).is_ok();
    [Side::Client, Side::Server].into_iter().find(opens)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use tdl_core::ids::{DcId, MsgId, Salt, SeqNo, SessionId};
    use tdl_core::mtproto::envelope::Header;
    use tdl_core::transport::{Codec, Options};

    /// Its parts differ, as those of real ones do: from which of them the ciphers are derived depends on who writes.
    fn key() -> AuthKey {
        AuthKey::from_bytes(&std::array::from_fn(|at| (at as u8).wrapping_mul(31)))
    }

    fn rng() -> StdRng {
        StdRng::from_seed([3; 32])
    }

    fn sealed(writer: Side, len: usize) -> BytesMut {
        let header = Header { salt: Salt(1), session_id: SessionId(2), msg_id: MsgId(4), seq_no: SeqNo(1) };
        envelope::seal(&key(), writer, &header, &[&vec![0x5a; len]], &mut rng())
    }

    /// What a client writes of three messages, and where its frames begin.
    fn stream(kind: Kind, lens: [usize; 3]) -> (BytesMut, [usize; 3]) {
        let mut codec = Codec::client(&Options { kind, obfuscated: false, dc: DcId(2) }, &mut rng());
        let mut out = BytesMut::new();
        let starts = lens.map(|len| {
            let start = out.len();
            codec.encode_with_quick_ack(&sealed(Side::Client, len), &mut rng(), &mut out).unwrap_or_else(|_| {
                codec.encode(&sealed(Side::Client, len), &mut rng(), &mut out).unwrap();
            });
            start
        });
        (out, [kind.announcement().len(), starts[1], starts[2]])
    }

    fn known(id: i64, key: &AuthKey) -> Option<&AuthKey> {
        (id == key.id()).then_some(key)
    }

    #[test]
    fn the_next_whole_frame_is_found_wherever_the_capture_begins() {
        let key = key();
        for kind in Kind::ALL {
            let shown = if kind == Kind::Intermediate { Kind::PaddedIntermediate } else { kind };
            for lens in [[40, 400, 40], [400, 40, 1200]] {
                let (bytes, starts) = stream(kind, lens);
                for begin in 1..starts[2] {
                    let Search::Found { skip, kind, seq, writer } = search(&bytes[begin..], |id| known(id, &key)) else {
                        panic!("{shown} from {begin}");
                    };
                    let found = starts.iter().position(|start| *start == begin + skip).expect("a frame begins there");
                    assert_eq!((kind, writer), (shown, Side::Client));
                    assert_eq!(seq, if shown == Kind::Full { found as u32 } else { 0 });
                    assert!(begin + skip >= begin && (found == 0 || starts[found - 1] < begin), "none was left out");
                }
            }
        }
    }

    #[test]
    fn who_wrote_it_is_told() {
        let key = key();
        let frame = sealed(Side::Server, 40);
        let mut bytes = vec![0x99; 100];
        bytes.extend((frame.len() as u32).to_le_bytes());
        bytes.extend(&frame[..]);
        let found = search(&bytes, |id| known(id, &key));
        assert_eq!(found, Search::Found { skip: 100, kind: Kind::PaddedIntermediate, seq: 0, writer: Side::Server });
        // Of a frame that is not whole yet, what is in front can go.
        assert_eq!(search(&bytes[..bytes.len() - 1], |id| known(id, &key)), Search::Perhaps { skip: 100 });
    }

    #[test]
    fn what_no_key_opens_is_passed_over() {
        let key = key();
        assert_eq!(search(&[], |id| known(id, &key)), Search::Nothing { skip: 0 });
        assert_eq!(search(&[0; 100], |id| known(id, &key)), Search::Nothing { skip: 85 });
        // The identifier alone is not enough.
        let mut bytes = vec![18; 4];
        bytes.extend(key.id().to_le_bytes());
        bytes.extend([1; 200]);
        assert!(matches!(search(&bytes, |id| known(id, &key)), Search::Nothing { .. }));
    }
}
