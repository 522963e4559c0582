//! The client's side of the key exchange, attacked by its peer or by somebody in between. See `exchange.rs` for the input.

use super::Seed;
use super::exchange::{self, Victim};

pub fn run(data: &[u8]) {
    exchange::run(data, Victim::Client);
}

pub fn seeds() -> Vec<Seed> {
    exchange::seeds()
}
