//! What goes out.
//!
//! Large frames are encrypted together with those of other connections: see [`Sealer`](crate::Sealer). Nothing of the session goes out
//! before one that is being encrypted.

use bytes::BytesMut;
use rand::rngs::StdRng;
use tokio::sync::oneshot;

use tdl_core::clock::Now;
use tdl_core::crypto::message::is_side_by_side;
use tdl_core::mtproto::session::Output;

use super::sessions::Active;
use super::{Driver, End};
use crate::wire::{Turn, Wire};

/// From so many bytes on a frame is worth being encrypted with others: most of the time that it takes to send it goes into that.
const LARGE: usize = 32 << 10;

/// A frame that is being encrypted.
pub(super) struct Sealing {
    /// The number of the session that it is of.
    pub(super) serial: u64,
    frame: oneshot::Receiver<BytesMut>,
}

/// What comes of a frame that is being encrypted; nothing while there is none.
pub(super) async fn sealed(sealing: &mut Option<Sealing>) -> Option<BytesMut> {
    match sealing {
        Some(sealing) => (&mut sealing.frame).await.ok(),
        None => std::future::pending().await,
    }
}

impl Driver {
    /// Writes what the session in use has to say. `listening`: somebody waits for what the server has to say in it.
    pub(super) fn write_current(&mut self, io: &mut Wire, listening: bool, now: Now) -> Result<(), End> {
        let Some(active) = &mut self.session else { return Ok(()) };
        while self.sealing.is_none()
            && let Some(turn) = io.turn(listening, active.key_id)
        {
            let output = match &turn {
                Turn::Any if is_side_by_side() => active.session.poll_output_large(now, LARGE),
                Turn::Any | Turn::Request { .. } => turn.poll(&mut active.session, now).map(Output::Sealed),
            };
            match output {
                Some(Output::Sealed(frame)) => {
                    io.queue(&frame, active.session.wants_quick_ack(), &mut self.rng).map_err(End::Violation)?;
                }
                Some(Output::Unsealed(frame)) => {
                    self.sealing = Some(Sealing { serial: active.serial, frame: self.config.sealer.bring(frame) });
                }
                None => break,
            }
        }
        Ok(())
    }

    /// Writes a frame that has been encrypted.
    pub(super) fn write_sealed(&mut self, io: &mut Wire, frame: Option<BytesMut>) -> Result<(), End> {
        self.sealing = None;
        let frame = frame.ok_or_else(|| End::Lost("what was to go out was not encrypted".to_owned()))?;
        io.queue(&frame, false, &mut self.rng).map_err(End::Violation)
    }

    /// Writes what a session has to say that waits for its last answers. `listening`: as above.
    pub(super) fn write(io: &mut Wire, active: &mut Active, listening: bool, now: Now, rng: &mut StdRng) -> Result<(), End> {
        while let Some(turn) = io.turn(listening, active.key_id) {
            let Some(frame) = turn.poll(&mut active.session, now) else { break };
            io.queue(&frame, active.session.wants_quick_ack(), rng).map_err(End::Violation)?;
        }
        Ok(())
    }
}
