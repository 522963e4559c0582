//! What the client's role holds.

use super::Client;
use crate::mtproto::session::footprint::Footprint;

impl Client {
    pub(in super::super) fn measure(&self, footprint: &mut Footprint) {
        footprint.requests = self.requests.len();
        footprint.message_ids = self.by_msg.len();
        footprint.quick_acks = self.quick_acks.iter().map(|(_, ids)| ids.len()).sum();
        footprint.queued = self.queue.len() + self.held.len();
        footprint.questions = self.ask.len() + self.fetch.len() + self.fetch_of.len() + self.drops.len() + self.doomed.len();
    }
}
