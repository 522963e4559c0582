//! The client's side of CONNECT, with the proxy as attacker. Input: one byte for the size of the pieces, what the proxy says. What comes
//! out must not depend on the pieces.

use bytes::BytesMut;
use tdl::transport::http_connect::{Error, HttpConnect, MAX_HEAD};
use tdl::transport::{Host, Target};

use super::Seed;

pub fn run(data: &[u8]) {
    let [piece, wire @ ..] = data else { return };
    let at_once = ask(wire, wire.len().max(1));
    let in_pieces = ask(wire, usize::from(*piece).max(1));
    match (&at_once, &in_pieces) {
        // How much of what should not be there has come depends on the pieces, and whether it has come yet too.
        (Err(Error::EarlyData { .. }), Err(Error::EarlyData { .. }) | Ok(true)) => {}
        _ => assert_eq!(at_once, in_pieces),
    }
}

pub fn seeds() -> Vec<Seed> {
    let seed = |name: &str, text: &str| (name.to_owned(), format!("\u{7}{text}").into_bytes());
    vec![
        seed("open", "HTTP/1.1 200 Connection established\r\nVia: 1.1 x\r\n\r\n"),
        seed("interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200\r\n\r\n"),
        seed("refused", "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"),
        seed("early", "HTTP/1.1 200 OK\r\n\r\nhi"),
        seed("socks", "\u{5}\u{0}"),
        seed("version", "HTTP/2 200 OK\r\n\r\n"),
    ]
}

fn ask(wire: &[u8], piece: usize) -> Result<bool, Error> {
    let (mut client, _) = HttpConnect::new(&Target::new(Host::Name("dc.example".into()), 443), None);
    let mut input = BytesMut::new();
    for part in wire.chunks(piece) {
        input.extend_from_slice(part);
        match client.handle_input(&mut input) {
            Ok(true) => return Ok(true),
            Ok(false) => assert!(input.len() < MAX_HEAD, "what is waited for is bounded"),
            Err(Error::Refused(refusal)) => {
                assert!(refusal.reason().len() <= 80 && !refusal.reason().contains(|c: char| c.is_control()));
                return Err(Error::Refused(refusal));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
