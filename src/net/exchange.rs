//! The key exchange over a fresh connection.

use std::time::Duration;

use rand::Rng;

use tdl_core::mtproto::handshake::client::{ClientHandshake, Config, Established, Step};
use tdl_core::transport::{Frame, TransportError};

use super::clock::Clock;
use super::error::ProtocolError;
use super::io::Readiness;
use super::wire::Wire;

/// How long a key exchange may take: three round trips and some arithmetic.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no key.
pub(super) enum ExchangeError {
    /// The connection ended, or was too slow.
    Lost(String),
    /// The server refused below the protocol.
    Refused(TransportError),
    /// The server broke a rule.
    Protocol(ProtocolError),
}

/// Makes an auth key over a connection that has not been used yet. The connection can go on with the key.
pub(super) async fn exchange(
    io: &mut Wire,
    config: &Config<'_>,
    clock: Clock,
    rng: &mut (dyn Rng + Send),
) -> Result<Established, ExchangeError> {
    let too_slow = |_| Err(ExchangeError::Lost(format!("the key exchange took more than {} s", EXCHANGE_TIMEOUT.as_secs())));
    tokio::time::timeout(EXCHANGE_TIMEOUT, run(io, config, clock, rng)).await.unwrap_or_else(too_slow)
}

async fn run(
    io: &mut Wire,
    config: &Config<'_>,
    clock: Clock,
    rng: &mut (dyn Rng + Send),
) -> Result<Established, ExchangeError> {
    let (mut handshake, mut frame) = ClientHandshake::new(config, clock.now(), rng);
    loop {
        io.queue(&frame, false, rng).map_err(ExchangeError::Protocol)?;
        let answer = receive(io).await?;
        match handshake.handle_frame(answer.freeze(), clock.now(), rng) {
            Ok(Step::Send(next, bytes)) => (handshake, frame) = (next, bytes),
            Ok(Step::Done(established)) => return Ok(established),
            Err(error) => return Err(ExchangeError::Protocol(error.into())),
        }
    }
}

/// Writes what is queued and waits for one payload.
pub(super) async fn receive(io: &mut Wire) -> Result<bytes::BytesMut, ExchangeError> {
    loop {
        match io.next_frame() {
            Ok(Some(Frame::Payload(payload))) => return Ok(payload),
            Ok(Some(Frame::QuickAck(_))) => {}
            Ok(Some(Frame::Error(error))) => return Err(ExchangeError::Refused(error)),
            Ok(None) => match io.ready().await {
                Ok(Readiness::Read(0)) => {
                    return Err(ExchangeError::Lost("closed by the server during the key exchange".to_owned()));
                }
                Ok(_) => {}
                Err(error) => return Err(ExchangeError::Lost(error.to_string())),
            },
            Err(error) => return Err(ExchangeError::Protocol(error)),
        }
    }
}
