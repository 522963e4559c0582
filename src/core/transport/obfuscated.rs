//! The obfuscated stream of an MTProxy's client, below the envelopes.

use std::fmt;

use rand::Rng;

use super::Kind;
use super::error::Error;
use super::mtproxy::Key;
use super::obfuscation::{self, INIT, Streams};
use crate::ids::DcId;

/// A byte stream on its way through an MTProxy.
///
/// The envelopes inside are plain ones: those of a [`Codec`](super::Codec) without obfuscation, whose
/// [announcement](Kind::announcement) is left out, because the initial bytes here have it in them. So the codec need not know of the
/// proxy, and what knows of the proxy need not know of frames.
pub struct Obfuscated(Streams);

impl Obfuscated {
    /// A stream of envelopes of `kind`, for `dc`: plus 10,000 for test DCs, negative where only files are served. Returns what goes in
    /// front.
    ///
    /// # Errors
    /// [`Error::DcOutOfRange`]; [`Error::NoTag`] for the full transport, which a proxy could not recognise.
    pub fn client(kind: Kind, dc: DcId, key: &Key, rng: &mut dyn Rng) -> Result<([u8; INIT], Self), Error> {
        if kind.announcement().is_empty() {
            return Err(Error::NoTag);
        }
        let (init, streams) = obfuscation::start(kind, dc, Some(key), rng)?;
        Ok((init, Self(streams)))
    }

    /// Enciphers the next bytes to send.
    pub fn encipher(&mut self, data: &mut [u8]) {
        self.0.outgoing.apply(data);
    }

    /// Deciphers the next bytes received.
    pub fn decipher(&mut self, data: &mut [u8]) {
        self.0.incoming.apply(data);
    }
}

impl fmt::Debug for Obfuscated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Obfuscated")
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::transport::{Codec, Detector, Frame, Options};

    fn rng() -> StdRng {
        StdRng::from_seed([3; 32])
    }

    fn key() -> Key {
        Key::new([0x5e; 16])
    }

    /// What a client of the proxy sends that writes one frame.
    fn wire(kind: Kind, dc: i32) -> (Obfuscated, Codec, BytesMut) {
        let (init, mut stream) = Obfuscated::client(kind, DcId(dc), &key(), &mut rng()).unwrap();
        let mut codec = Codec::client(&Options { kind, obfuscated: false, dc: DcId(dc) }, &mut rng());
        let mut frame = BytesMut::new();
        codec.encode(&[7; 40], &mut rng(), &mut frame).unwrap();
        let mut inside = frame.split_off(kind.announcement().len());
        assert_eq!(frame, kind.announcement());
        stream.encipher(&mut inside);
        let mut wire = BytesMut::from(&init[..]);
        wire.unsplit(inside);
        (stream, codec, wire)
    }

    #[test]
    fn a_proxy_reads_kind_and_dc_and_frames_go_both_ways() {
        for kind in [Kind::Abridged, Kind::Intermediate, Kind::PaddedIntermediate] {
            for dc in [2, -4, 10_001, -10_003] {
                let (mut stream, mut codec, mut input) = wire(kind, dc);
                let mut server = Detector::proxy(key()).detect(&mut input).unwrap().unwrap();
                assert_eq!(server.options(), Options { kind, obfuscated: true, dc: DcId(dc) });
                assert_eq!(server.decode(&mut input), Ok(Some(Frame::Payload(BytesMut::from(&[7; 40][..])))));
                let mut answer = BytesMut::new();
                server.encode(&[9; 40], &mut rng(), &mut answer).unwrap();
                stream.decipher(&mut answer);
                assert_eq!(codec.decode(&mut answer), Ok(Some(Frame::Payload(BytesMut::from(&[9; 40][..])))));
            }
        }
    }

    #[test]
    fn a_proxy_waits_for_all_initial_bytes_and_refuses_other_secrets() {
        let (.., whole) = wire(Kind::Intermediate, 2);
        for len in 0..INIT {
            assert!(Detector::proxy(key()).detect(&mut BytesMut::from(&whole[..len])).unwrap().is_none());
        }
        let mut other = Detector::proxy(Key::new([1; 16]));
        assert_eq!(other.detect(&mut whole.clone()).err(), Some(Error::WrongSecret));
        assert_eq!(other.detect(&mut whole.clone()).err(), Some(Error::WrongSecret), "an error is final");
        // Nothing goes without the secret: neither plain streams nor obfuscated ones.
        for obfuscated in [false, true] {
            let mut plain = BytesMut::new();
            let options = Options { kind: Kind::Intermediate, obfuscated, dc: DcId(2) };
            Codec::client(&options, &mut rng()).encode(&[7; 80], &mut rng(), &mut plain).unwrap();
            assert_eq!(Detector::proxy(key()).detect(&mut plain).err(), Some(Error::WrongSecret));
        }
    }

    #[test]
    fn what_a_proxy_cannot_be_told_is_refused() {
        let start = |kind, dc| Obfuscated::client(kind, DcId(dc), &key(), &mut rng()).err();
        assert_eq!(start(Kind::Full, 2), Some(Error::NoTag));
        assert_eq!(start(Kind::Abridged, 40_000), Some(Error::DcOutOfRange { dc: 40_000 }));
    }
}
