//! Requests: made, handed to the session, cancelled, ended.

use std::time::Duration;

use super::draw::draw_len;
use crate::{
    ids::SessionId,
    mtproto::session::{RequestId, RequestOptions},
    sim::{
        Sabotage,
        body::{self, Asked},
        oracle::End,
        world::{Event, PEACE, World},
    },
};

impl World {
    /// Makes one request, or several at once.
    pub(in super::super) fn ask_some(&mut self, client: usize) {
        let count = match self.dice.below(20) {
            0 => self.dice.within(10, 40),
            1..=5 => self.dice.within(2, 6),
            _ => 1,
        };
        for _ in 0..count {
            self.ask(client, false);
        }
    }

    pub(in super::super) fn ask(&mut self, client: usize, last: bool) {
        self.figures.requests += 1;
        let found = &mut self.clients[client];
        found.numbers += 1;
        let number = found.numbers;
        let asked = Asked { client, number };
        let (len, answer_len) = (draw_len(&mut self.dice), draw_len(&mut self.dice));
        let body = body::request(asked, len, answer_len, &mut self.dice);
        self.oracle.asked(asked, body, last || self.faults.are_none());
        self.clients[client].waiting.push_back(number);
        if self.clients[client].session.is_some() {
            self.submit_waiting(client);
            // What is asked in the same moment travels together, unless the driver is quicker.
            if last || self.dice.below(2) == 0 {
                self.pump_client(client);
            } else {
                self.at(self.time + Duration::from_micros(10), Event::Pump { client });
            }
        }
    }

    pub(super) fn submit_waiting(&mut self, client: usize) {
        let now = self.clients[client].now(self.time);
        while let Some(number) = self.clients[client].waiting.pop_front() {
            let Some(body) = self.oracle.body_of(Asked { client, number }) else { continue };
            let compress = self.dice.below(2) == 0;
            let pending = self.pending_of(client);
            let mut after = Vec::new();
            if self.dice.below(6) == 0 && !pending.is_empty() {
                let count = self.dice.within(1, 3);
                after.extend((0..count).filter_map(|_| pending.get(self.dice.index(pending.len())).copied()));
            }
            self.oracle.ordered(Asked { client, number }, after.clone());
            let alone = self.dice.below(40) == 0;
            let found = &mut self.clients[client];
            let after: Vec<RequestId> =
                found.by_request.iter().filter(|(_, number)| after.contains(number)).map(|(id, _)| *id).collect();
            let Some(session) = &mut found.session else { return };
            match session.request_after(now, body, RequestOptions { compress, alone, ..RequestOptions::default() }, &after) {
                Ok(id) => {
                    found.by_request.insert(id, number);
                    found.open.insert(id);
                }
                Err(_) => self.end(client, number, &End::Backlog),
            }
        }
    }

    pub(in super::super) fn cancel_one(&mut self, client: usize) {
        let pending = self.pending_of(client);
        let Some(number) = pending.get(self.dice.index(pending.len())).copied() else { return };
        let now = self.clients[client].now(self.time);
        let found = &mut self.clients[client];
        let Some(id) = found.by_request.iter().find(|(_, found)| **found == number).map(|(id, _)| *id) else { return };
        self.oracle.cancelled(Asked { client, number });
        if let Some(session) = &mut found.session {
            session.cancel(now, id);
        }
        self.pump_client(client);
    }

    /// Asks the server to forget a session that it never had.
    pub(in super::super) fn destroy_stranger(&mut self, client: usize) {
        let id = self.dice.long();
        if let Some(session) = &mut self.clients[client].session {
            // In the client's role it cannot be refused.
            let _ = session.destroy_session(SessionId(id));
        }
        self.pump_client(client);
    }

    /// The session says that a request has ended.
    pub(super) fn ended(&mut self, client: usize, id: RequestId, end: &End) {
        let found = &mut self.clients[client];
        found.open.remove(&id);
        // Number 0 is nobody's: the oracle will say so.
        let number = found.by_request.get(&id).copied().unwrap_or(0);
        self.end(client, number, end);
    }

    pub(super) fn end(&mut self, client: usize, number: u64, end: &End) {
        if let Some(since) = self.calm_since {
            self.figures.slowest = self.figures.slowest.max(self.time.saturating_sub(since.max(self.last_asked(since))));
        }
        self.note(|| format!("client {client}: request {number} ends: {}", brief(end)));
        self.oracle.ended(Asked { client, number }, end, &mut self.figures);
        if self.sabotages(Sabotage::EndTwice) {
            self.oracle.ended(Asked { client, number }, end, &mut self.figures);
        }
    }

    /// When the last requests were made, if they were.
    fn last_asked(&self, since: Duration) -> Duration {
        if self.time >= since + PEACE { since + PEACE } else { since }
    }
}

fn brief(end: &End) -> String {
    match end {
        End::Answered(Ok(body)) => format!("answered, {} bytes", body.len()),
        End::Answered(Err(error)) => error.to_string(),
        End::Failed(failure) => failure.to_string(),
        End::Backlog => "too many are pending".to_owned(),
        End::KeyLost => "the key is lost".to_owned(),
    }
}
