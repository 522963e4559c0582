//! The key exchange.

use std::sync::Arc;

use bytes::BytesMut;

use super::{Closed, Connection, Handled};
use crate::server::answers::Answers;
use tdl_core::mtproto::handshake::KeyKind;
use tdl_core::mtproto::handshake::server::{ServerHandshake, Step};

impl<A: Answers> Connection<A> {
    /// One step of a key exchange, on a thread of its own: it is arithmetic with large numbers.
    pub(super) async fn handle_handshake(&mut self, frame: BytesMut) -> Result<Handled<A>, Closed> {
        let handshake = self.handshake.take();
        let (shared, dc, tracer, ip) = (Arc::clone(&self.shared), self.dc, self.tracer.clone(), self.peer.ip().to_string());
        let step = tokio::task::spawn_blocking(move || -> Result<Step, Closed> {
            let handshake = handshake.unwrap_or_else(|| ServerHandshake::new(&shared.handshake(dc, tracer)));
            let now = shared.now();
            let mut failed = None;
            let mut is_taken = |id| match shared.state.auth_key(dc, id, now.unix()) {
                Ok(found) => found.is_some(),
                Err(error) => {
                    failed = Some(error);
                    true
                }
            };
            let step = handshake.handle_frame(frame.freeze(), now, &mut rand::rng(), &mut is_taken)?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            if let Step::Done(established, _) = &step {
                // Kept before the client hears of it: a key that it has is a key that we have.
                let expires = match established.kind {
                    KeyKind::Permanent => None,
                    KeyKind::Temporary { expires_at } => Some(expires_at),
                };
                shared.state.add_auth_key(dc, &established.auth_key, established.salt, expires, now.unix(), &ip)?;
                shared.key_log.key(&established.auth_key, dc, expires);
            }
            Ok(step)
        })
        .await
        .map_err(|_| Closed::Lost)??;
        let (next, answer, failed) = match step {
            Step::Send(next, frame) => (Some(next), Some(frame), None),
            Step::Wait(next) => (Some(next), None, None),
            Step::Done(_, frame) => (None, Some(frame), None),
            Step::Failed(error, frame) => (None, Some(frame), Some(error)),
        };
        self.handshake = next;
        Ok(Handled::Plain { answer, failed })
    }
}
