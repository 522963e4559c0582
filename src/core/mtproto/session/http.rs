//! Sessions over HTTP, where a server speaks only when it was asked: the client says with each request how long the answer may be held
//! back, and the server answers with one frame, an empty container if it has nothing to say.
//!
//! See "Service Messages", HTTP Wait/Long Poll, and "Transports", HTTP.

use bytes::BytesMut;

use super::{
    HttpWait, Role, Session,
    ledger::Service,
    recording::{self, outcome},
    service,
    timer::Timer,
};
use crate::{clock::Now, mtproto::msg_id::Origin, trace::call::Call};

impl Session {
    /// The body of the next HTTP request, if there is anything to send (client role); in place of
    /// [`poll_output`](Self::poll_output). With `listen`, there is one in any case: it asks for what the server has to say. `wait` rides
    /// along in the same container.
    pub fn poll_http_request(&mut self, now: Now, wait: &HttpWait, listen: bool) -> Option<BytesMut> {
        let call = self.recorder.is_some().then(|| recording::poll_http_request(wait, listen));
        self.recorded(now, call, |session| session.next_http_request(now, wait, listen), outcome::frame)
    }

    fn next_http_request(&mut self, now: Now, wait: &HttpWait, listen: bool) -> Option<BytesMut> {
        if !self.core.connected || matches!(self.role, Role::Server(_)) {
            return None;
        }
        if self.waits_for_company(now) {
            return None;
        }
        let mut frame = self.collect(now);
        if frame.is_empty() && !listen && !self.core.acks_due {
            self.core.spare = frame.into_spare();
            self.nothing_left();
            return None;
        }
        self.core.add_service(now, &mut frame, Origin::Client, false, service::http_wait(wait), Service::Note);
        self.core.fill_acks(now, &mut frame);
        Some(self.seal(now, frame))
    }

    /// The body of the answer to an HTTP request, whether or not there is anything to say (server role); in place of
    /// [`poll_output`](Self::poll_output). `None` without a connection.
    pub fn poll_http_response(&mut self, now: Now) -> Option<BytesMut> {
        let call = self.recorder.is_some().then_some(Call::PollHttpResponse {});
        self.recorded(now, call, |session| session.next_http_response(now), outcome::frame)
    }

    fn next_http_response(&mut self, now: Now) -> Option<BytesMut> {
        if !self.core.connected || matches!(self.role, Role::Client(_)) {
            return None;
        }
        let mut frame = self.collect(now);
        self.core.acks_due = true;
        self.core.fill_acks(now, &mut frame);
        if frame.is_empty() {
            frame.wrap();
        }
        // What found no room waits for the next request in any case.
        self.core.timers.stop(Timer::Flush);
        Some(self.seal(now, frame))
    }

    /// How many messages wait to be sent (server role); acknowledgements that have waited long enough count as one.
    pub fn outbox(&self) -> usize {
        match &self.role {
            Role::Server(server) => {
                server.queued() + self.core.drafts.len() + usize::from(self.core.acks_due && !self.core.acks.is_empty())
            }
            Role::Client(_) => 0,
        }
    }

    /// What the client said about the answer to the request that came last (server role): once, and `None` if it said nothing, which
    /// means [`HttpWait::default`]. Of several in one container the last counts.
    pub fn take_http_wait(&mut self) -> Option<HttpWait> {
        let call = self.recorder.is_some().then_some(Call::TakeHttpWait {});
        self.recorded(self.core.now, call, |session| session.core.http_wait.take(), outcome::http_wait)
    }
}
