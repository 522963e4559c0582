//! `bad_msg_notification#a7eff811` and `bad_server_salt#edab447b`: the server ignored a message of ours.
//!
//! See "Service Messages about Messages", Notice of Ignored Error Message.

use super::{Client, Failure, request::Against};
use crate::{
    check::{Check, broken},
    clock::Now,
    ids::{MsgId, Salt, SessionId},
    mtproto::{
        session::{
            core::Core,
            error::PeerMisbehaved,
            event::{DeathCause, Event},
            ledger::Service as Sent,
        },
        time::MAX_LEAD_SECS,
    },
    trace,
};
use rand::Rng;

/// What to do about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Our clock is behind: set it by the notice, and send again.
    ClockBehind,
    /// Our clock is ahead: set it back by the notice, go back with the identifiers as far as may be, and send again.
    ClockAhead,
    /// Send again, now that the salt is known.
    SendAgain,
    /// Another copy may have been taken: ask, and send again what was not.
    AskFirst,
    /// The server's idea of our sequence numbers differs from ours: begin a new session.
    NewSession,
    /// Send again what was in the container, each message in a frame of its own.
    BreakUp,
    /// A mistake of ours that repeating does not mend.
    GiveUp,
}

/// The codes, what they mean, and what we do.
const CODES: [(i32, &str, Verdict); 11] = [
    (16, "the message's identifier is too low", Verdict::ClockBehind),
    (17, "the message's identifier is too high", Verdict::ClockAhead),
    (18, "the message's identifier is not divisible by 4", Verdict::GiveUp),
    (19, "the container's identifier is that of an earlier message", Verdict::AskFirst),
    (20, "the message is too old to tell whether it was received", Verdict::AskFirst),
    (32, "the sequence number is too low", Verdict::NewSession),
    (33, "the sequence number is too high", Verdict::NewSession),
    (34, "the sequence number should be even", Verdict::GiveUp),
    (35, "the sequence number should be odd", Verdict::GiveUp),
    (48, "the server salt is wrong", Verdict::SendAgain),
    (64, "the container is invalid", Verdict::BreakUp),
];

/// What a code means.
pub(in super::super) fn describe(code: i32) -> &'static str {
    CODES.iter().find(|(known, ..)| *known == code).map_or("an unknown code", |(_, meaning, _)| meaning)
}

/// How many sessions in a row may be refused for their sequence numbers.
const MAX_RESETS: u32 = 3;

/// How often in a row what we say may be refused on one connection.
const MAX_REFUSALS: u32 = 16;

impl Client {
    pub(super) fn handle_bad_msg(
        &mut self,
        core: &mut Core,
        now: Now,
        msg_id: MsgId,
        about: MsgId,
        code: i32,
    ) -> Result<(), PeerMisbehaved> {
        core.tracer.emit(now, || trace::Event::BadMsg { code, msg_id: about });
        self.check_known(core, msg_id, about)?;
        if self.count_refusal(core, about) {
            return Ok(());
        }
        let Some((.., verdict)) = CODES.iter().find(|(known, ..)| *known == code) else {
            self.refused(core, about, |client, core, id| client.give_up(core, id, code));
            return Err(PeerMisbehaved::UnknownErrorCode { msg_id, code });
        };
        match verdict {
            Verdict::ClockBehind => {
                core.clock.set(now, msg_id.unix());
                core.report_offset(now);
                self.send_again(core, now, about, Against::Identifier);
            }
            Verdict::ClockAhead => {
                core.clock.set(now, msg_id.unix());
                if self.accepted.unix().saturating_sub(msg_id.unix()) > MAX_LEAD_SECS {
                    // The server's clock was set back: what it has taken is in its own future by now, and no identifier is both above
                    // that and acceptable.
                    core.report_offset(now);
                    self.reset_session(core, now, about, code);
                    self.refused_until = core.generator.last();
                    return Ok(());
                }
                // What the server has taken has a lower sequence number than what comes, so it must have a lower identifier too.
                core.generator.reset_to(self.accepted);
                // Questions to come have lower identifiers than those before, and count all the same.
                let last = core.generator.last();
                for request in self.requests.values_mut() {
                    request.asked_after = request.asked_after.min(last);
                }
                core.report_offset(now);
                self.send_again(core, now, about, Against::Identifier);
            }
            Verdict::SendAgain => self.send_again(core, now, about, Against::Salt),
            Verdict::AskFirst => self.send_again(core, now, about, Against::Copy),
            Verdict::BreakUp => self.break_up(core, now, about, code),
            Verdict::NewSession => self.reset_session(core, now, about, code),
            Verdict::GiveUp => self.refused(core, about, |client, core, id| client.give_up(core, id, code)),
        }
        self.refused_until = core.generator.last();
        Ok(())
    }

    pub(super) fn handle_bad_salt(
        &mut self,
        core: &mut Core,
        now: Now,
        msg_id: MsgId,
        about: MsgId,
        salt: Salt,
    ) -> Result<(), PeerMisbehaved> {
        core.tracer.emit(now, || trace::Event::BadMsg { code: 48, msg_id: about });
        self.check_known(core, msg_id, about)?;
        if self.count_refusal(core, about) {
            return Ok(());
        }
        core.use_salt(now, salt);
        // The salt is the frame's: if the notice names a message within a container, the whole container was refused.
        self.send_again(core, now, core.ledger.container_of(about).unwrap_or(about), Against::Salt);
        self.refused_until = core.generator.last();
        Ok(())
    }

    /// Whether the server refuses so much that nothing more is to be tried on this connection. Requests have bounds of their own; this is
    /// the one for what we say besides.
    fn count_refusal(&mut self, core: &mut Core, about: MsgId) -> bool {
        // Many messages may have been under way when the first was refused: they say the same thing only once.
        if about > self.refused_until {
            self.refusals += 1;
            if broken(Check::RefusalsEnd, self.refusals == MAX_REFUSALS) {
                let times = self.refusals;
                core.events.push(Event::ConnectionDead(DeathCause::Refused { times }));
            }
        }
        broken(Check::RefusalsEnd, self.refusals >= MAX_REFUSALS)
    }

    /// "The client must check that it has, in fact, recently sent a message with the specified msg_id."
    fn check_known(&self, core: &Core, msg_id: MsgId, about: MsgId) -> Result<(), PeerMisbehaved> {
        let known = self.by_msg.contains_key(&about) || core.ledger.get(about).is_some();
        if broken(Check::RefusalOfOurs, !known) {
            return Err(PeerMisbehaved::AboutUnknown { msg_id, about });
        }
        Ok(())
    }

    /// Sends again what a refused message was about: its requests, and its service messages.
    fn send_again(&mut self, core: &mut Core, now: Now, about: MsgId, against: Against) {
        for msg_id in inside(core, about) {
            if let Some(id) = self.under_way(msg_id) {
                self.resend_refused(core, now, id, against);
            } else if let Some(service) = core.ledger.remove(msg_id) {
                self.redo(core, service);
            }
        }
    }

    /// The server does not like a container: its messages go without one. If it is none, or was one for one message, nothing is left to
    /// be tried.
    fn break_up(&mut self, core: &mut Core, now: Now, about: MsgId, code: i32) {
        let messages = inside(core, about);
        if messages.len() < 2 {
            return self.refused(core, about, |client, core, id| client.give_up(core, id, code));
        }
        for msg_id in &messages {
            if let Some(request) = self.under_way(*msg_id).and_then(|id| self.requests.get_mut(&id)) {
                request.bare = true;
            }
        }
        self.send_again(core, now, about, Against::Identifier);
    }

    fn redo(&mut self, core: &mut Core, service: Sent) {
        match service {
            Sent::Acks(ids) => {
                for id in core.ledger.ids(ids) {
                    // They ride along with what is sent again.
                    core.acks.push(id);
                }
                core.acks_due = true;
            }
            Sent::Ping(_) => self.ping.due = true,
            Sent::StateReq(ids) => self.ask.extend(ids),
            Sent::ResendReq(ids) => self.fetch.extend(ids),
            Sent::ResendAnswersReq(ids) => self.fetch_of.extend(ids),
            Sent::FutureSalts => self.salts_not_before = None,
            Sent::DestroyAuthKey => self.key_doomed = self.key_doomed.map(|_| false),
            Sent::DropAnswer(req) => {
                if let Some(cancelled) = self.drops.get_mut(&req) {
                    cancelled.told = false;
                }
            }
            Sent::DestroySession(session_id) => {
                if let Some(told) = self.doomed.get_mut(&session_id) {
                    *told = false;
                }
            }
            Sent::Container(_) | Sent::Note => {}
        }
        core.hurry = true;
    }

    /// Does something about each request in a refused message, or in the container that it is.
    fn refused(&mut self, core: &mut Core, about: MsgId, mut act: impl FnMut(&mut Self, &mut Core, super::RequestId)) {
        for msg_id in inside(core, about) {
            if let Some(id) = self.under_way(msg_id) {
                act(self, core, id);
            }
        }
    }

    /// Begins a session of another identifier. What was refused is sent there; what else is under way may have been executed, so it is
    /// not.
    fn reset_session(&mut self, core: &mut Core, now: Now, about: MsgId, code: i32) {
        self.resets += 1;
        if broken(Check::ResetsEnd, self.resets > MAX_RESETS) {
            return self.refused(core, about, |client, core, id| client.give_up(core, id, code));
        }
        self.send_again(core, now, about, Against::Identifier);
        let lost: Vec<_> =
            self.requests.iter().filter(|(_, request)| request.phase != super::Phase::Queued).map(|(id, _)| *id).collect();
        for id in lost {
            self.fail(core, id, Failure::SessionReset);
        }
        // Identifiers given out in the old session mean nothing in the new one.
        let bound: Vec<_> = self.requests.iter().filter(|(_, request)| request.pinned).map(|(id, _)| *id).collect();
        for id in bound {
            self.fail(core, id, Failure::IdentifierRefused);
        }
        for request in self.requests.values_mut() {
            request.fresh_id = request.sent.is_some();
        }
        let old = core.session_id;
        let new = SessionId(core.rng.next_u64().cast_signed());
        core.session_id = new;
        core.content_sent = 0;
        core.generator.reset_to(MsgId(0));
        core.seen.clear();
        core.acks.clear();
        core.acks_due = false;
        core.ledger.clear();
        core.drafts.clear();
        self.ask.clear();
        self.fetch.clear();
        self.fetch_of.clear();
        self.drops.clear();
        self.unique_id = None;
        (self.accepted, self.first_accepted) = (MsgId(0), None);
        self.generation += 1;
        self.retired = Some(old);
        self.destroy_session(core, old);
        core.events.push(Event::SessionReset { old, new });
    }

    /// Whether a session was left behind by a reset.
    pub(in super::super) fn is_retired(&self, session_id: SessionId) -> bool {
        self.retired == Some(session_id)
    }
}

/// The messages that a refusal is about: those in the container, or the message itself.
fn inside(core: &mut Core, about: MsgId) -> Vec<MsgId> {
    match core.ledger.get(about) {
        Some(Sent::Container(ids)) => core.ledger.ids(*ids).collect(),
        _ => vec![about],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_page_has_a_meaning() {
        for code in [16, 17, 18, 19, 20, 32, 33, 34, 35, 48, 64] {
            assert_ne!(describe(code), describe(0), "{code}");
        }
    }
}
