//! What follows when the way is barred: by the server below the protocol, by a proxy, or by ourselves.
//!
//! | what comes | what follows |
//! |---|---|
//! | 404 under a session's key | the key's owner decides: see [`Host::key_unknown`](crate::Host::key_unknown) |
//! | 404 during a key exchange, or an unknown code | another attempt, three in all |
//! | 429 | a wait of seconds, which doubles from one to the next up to minutes, and which people are told of |
//! | 444 | requests fail, and nothing is tried again before the next one: no attempt would end otherwise |
//! | a proxy that does not know us, or a certificate that is not to be believed | the same |

use std::time::Duration;

use crate::error::{DialError, DialFailure, NetError, ProtocolError, RequestError};
use crate::host::Status;
use tdl_core::trace::Event;
use tdl_core::transport::TransportError;

use super::connect::VIOLATIONS_TOLERATED;
use super::{Driver, End};

/// The first wait after transport error 429 is half of this at least.
pub(super) const FIRST_FLOOD_DELAY: Duration = Duration::from_secs(10);
/// The longest wait after it.
pub(super) const LONGEST_FLOOD_DELAY: Duration = Duration::from_secs(300);

impl Driver {
    /// No address took a connection. If a proxy or a certificate bars the way for good, this is the end; otherwise it is a line that may come back.
    pub(super) fn nobody_there(&self, failures: &[DialError]) -> End {
        let place = self.config.dialer.place();
        let told = |failure: &DialError| match place {
            Some(place) => format!("{place}: {}", failure.failure),
            None => failure.to_string(),
        };
        let reason = failures.iter().map(told).collect::<Vec<_>>().join("; ");
        self.tracer.emit(self.config.clock.now(), || Event::Disconnected { reason: reason.clone() });
        let last_word = failures.iter().find(|failure| failure.failure.is_final());
        match (last_word.map(|failure| &failure.failure), self.config.dialer.via()) {
            (Some(DialFailure::Tls(error)), _) => {
                End::Barred(NetError::Untrusted { dc: self.config.dc, reason: error.to_string() })
            }
            (Some(failure), Some(proxy)) => End::Barred(NetError::Barred { proxy, reason: failure.to_string() }),
            _ => End::Lost(reason),
        }
    }

    /// The server refused below the protocol. How long to wait at least before the next attempt; `None` if there is to be none.
    pub(super) fn refused(&mut self, error: TransportError) -> Option<Duration> {
        match error {
            TransportError::Flood => {
                let wait = self.flood.next_delay();
                self.host.status(Status::Flooded { wait });
                Some(wait)
            }
            TransportError::InvalidDc => {
                self.give_up(&ProtocolError::Refused(error).into());
                None
            }
            TransportError::AuthKeyNotFound | TransportError::Other(_) => {
                self.tolerates(ProtocolError::Refused(error)).then_some(Duration::ZERO)
            }
        }
    }

    /// Counts a broken rule. Whether another attempt is to be made; if not, everybody who waits has been told.
    pub(super) fn tolerates(&mut self, error: ProtocolError) -> bool {
        self.violations += 1;
        if self.violations < VIOLATIONS_TOLERATED {
            return true;
        }
        self.violations = 0;
        self.fail_all(&error.into());
        // Whoever only listens goes on doing so, at the pace of the other attempts.
        self.keep_alive
    }

    /// Nothing but the next request makes another attempt worth while, not even the wish to stay connected.
    pub(super) fn give_up(&mut self, error: &RequestError) {
        self.gave_up = true;
        self.outage = None;
        if self.keep_alive {
            self.host.status(Status::GaveUp { reason: error.to_string() });
        }
        self.fail_all(error);
    }

    /// A connection is over. If nothing came back over it, its address is not to be trusted so much any more.
    pub(super) fn note_end(&mut self) {
        if let (Some(addr), Some(memory)) = (self.unproven.take(), self.config.dialer.memory()) {
            memory.broke(addr);
        }
    }

    /// Something came back over the connection.
    pub(super) fn note_answer(&mut self) {
        self.flood.reset();
        if let (Some(addr), Some(memory)) = (self.unproven.take(), self.config.dialer.memory()) {
            memory.answered(addr);
        }
    }
}
