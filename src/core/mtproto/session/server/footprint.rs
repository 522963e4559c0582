//! What the server's role holds.

use super::Server;
use crate::mtproto::session::footprint::Footprint;

impl Server {
    pub(in super::super) fn measure(&self, footprint: &mut Footprint) {
        footprint.requests = self.running;
        footprint.queued = self.queue.len();
        footprint.kept = self.kept.len();
        footprint.kept_bytes = self.kept_bytes;
        footprint.remembered = self.requests.len();
    }
}
