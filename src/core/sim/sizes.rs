//! Whether memory stays bounded: what sessions hold, against what their limits allow.

use super::world::World;
use crate::mtproto::session::{Footprint, Limits};

/// Messages about messages that one received frame may add before they are polled, and a few more.
const SLACK: usize = 64;

impl World {
    /// After a client's session has been polled.
    pub(super) fn check_client_sizes(&mut self, client: usize) {
        let found = &self.clients[client];
        let Some(session) = &found.session else { return };
        let (limits, connected) = (found.limits, session.is_connected());
        let Footprint { requests, message_ids, queued, questions, drafts, events, .. } = session.footprint();
        let bytes = session.held_bytes();
        let oracle = &mut self.oracle;
        oracle.measured("a client's bytes", bytes, limits.most_held_bytes());
        oracle.measured("a client's pending requests", requests, limits.requests);
        oracle.measured("a client's message identifiers", message_ids, ids_of(&limits));
        oracle.measured("a client's queue", queued, limits.requests * 2 + SLACK);
        oracle.measured("a client's questions", questions, ids_of(&limits) + 4096 + SLACK);
        oracle.measured("a client's messages about messages", drafts, limits.service_queue);
        oracle.measured("a client's events after polling", events, 0);
        if connected {
            oracle.measured("a client's messages about messages after polling", drafts, 0);
        }
    }

    /// After a server's session has been polled.
    pub(super) fn check_slot_sizes(&mut self, number: u64) {
        let Some(found) = self.server.slots.iter().find(|slot| slot.number == number) else { return };
        let limits = found.limits;
        let Footprint { requests, queued, kept, kept_bytes, remembered, drafts, events, .. } = found.session.footprint();
        let bytes = found.session.held_bytes();
        let oracle = &mut self.oracle;
        oracle.measured("a server's bytes", bytes, limits.most_held_bytes());
        oracle.measured("a server's running requests", requests, limits.requests);
        oracle.measured("a server's kept messages", kept, limits.kept * 2 + 1);
        oracle.measured("a server's kept bytes", kept_bytes, limits.kept_bytes + limits.body);
        oracle.measured("a server's queue", queued, limits.kept * 2 + limits.requests + SLACK);
        oracle.measured(
            "a server's memory of requests",
            remembered,
            limits.remembered + limits.requests + limits.kept * 2 + SLACK,
        );
        oracle.measured("a server's messages about messages", drafts, limits.service_queue);
        oracle.measured("a server's events after polling", events, 0);
    }

    /// When everything has been well for long, little is held.
    pub(super) fn check_sizes_at_rest(&mut self) {
        for client in &self.clients {
            let Some(session) = &client.session else { continue };
            let Footprint { requests, message_ids, queued, drafts, .. } = session.footprint();
            self.oracle.measured("a resting client's holdings", requests + message_ids + queued + drafts, 0);
        }
        let living = self.living_slots();
        for slot in self.server.slots.iter().filter(|slot| living.contains(&slot.number)) {
            let Footprint { requests, queued, kept, drafts, .. } = slot.session.footprint();
            self.oracle.measured("a resting server's running requests", requests, 0);
            // What came last is acknowledged within half a minute.
            self.oracle.measured("a resting server's kept messages", kept + queued + drafts, 2);
        }
    }
}

/// Under how many identifiers requests may have been sent.
fn ids_of(limits: &Limits) -> usize {
    limits.requests * (usize::try_from(limits.resends).unwrap_or(0) + 64)
}
