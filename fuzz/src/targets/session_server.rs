//! The server's side of a session, whose peer has the key and writes what it likes. See `session.rs` for the input.

use tdl::mtproto::envelope::Side;

use super::Seed;
use super::session;

pub fn run(data: &[u8]) {
    session::run(data, Side::Server);
}

pub fn seeds() -> Vec<Seed> {
    session::seeds(Side::Server)
}
