//! The client's side of SOCKS5, with the proxy as attacker.
//!
//! Input: one byte for the size of the pieces, one for the target (lowest two bits) and whether there is a user (the third), what the
//! proxy says. What comes out must not depend on the pieces.

use bytes::BytesMut;
use tdl::transport::proxy::Credentials;
use tdl::transport::socks5::{Error, Socks5, Step};
use tdl::transport::{Host, Target};

use super::Seed;

pub fn run(data: &[u8]) {
    let [piece, options, wire @ ..] = data else { return };
    let at_once = ask(*options, wire, wire.len().max(1));
    let in_pieces = ask(*options, wire, usize::from(*piece).max(1));
    match (&at_once, &in_pieces) {
        // How much of what should not be there has come depends on the pieces, and whether it has come yet too.
        (Err(Error::EarlyData { .. }), Err(Error::EarlyData { .. }) | Ok((_, true))) => {}
        _ => assert_eq!(at_once, in_pieces),
    }
}

pub fn seeds() -> Vec<Seed> {
    let seed = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    vec![
        seed("ipv4", b"\x01\x00\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90"),
        seed("ipv6", b"\x02\x01\x05\x00\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1f\x90"),
        seed("name", b"\x03\x06\x05\x02\x01\x00\x05\x00\x00\x03\x03a.b\x1f\x90"),
        seed("refused", b"\x04\x02\x05\x00\x05\x05\x00\x01\0\0\0\0\0\0"),
        seed("password-refused", b"\x04\x04\x05\x02\x01\x01"),
        seed("no-method", b"\x01\x00\x05\xff"),
        seed("http", b"\x01\x00HTTP/1.1 400 Bad Request\r\n\r\n"),
    ]
}

/// What was sent, and whether the tunnel is open.
fn ask(options: u8, wire: &[u8], piece: usize) -> Result<(Vec<u8>, bool), Error> {
    let host = match options & 3 {
        0 => Host::Ip([149, 154, 167, 51].into()),
        1 => Host::Ip([0, 0, 0, 0, 0, 0, 0, 1].into()),
        2 => Host::Name("dc.example".into()),
        _ => Host::Name("a".repeat(255)),
    };
    let credentials = (options & 4 != 0).then(|| Credentials::new("user", "word").expect("short"));
    let (mut client, mut sent) = Socks5::new(Target::new(host, 443), credentials).expect("short");
    let mut input = BytesMut::new();
    for part in wire.chunks(piece) {
        input.extend_from_slice(part);
        loop {
            match client.handle_input(&mut input)? {
                Step::Wait => break,
                Step::Send(bytes) => sent.extend(&*bytes),
                Step::Done(bound) => {
                    let _ = bound.to_string();
                    return Ok((sent, true));
                }
            }
        }
        assert!(input.len() < 262, "what is waited for is bounded");
    }
    Ok((sent, false))
}
