//! What came of a call, as a line that can be compared and read. Bytes are given by their length and hash.

use std::fmt::Write as _;

use bytes::BytesMut;

use crate::{
    crypto::hash::sha256,
    ids::MsgId,
    mtproto::session::{ApiMisuse, DropOutcome, Event, HttpWait, KeyDestruction, RequestId, Reserved, SessionError},
};

/// What a refusal begins with.
pub(in super::super) const REFUSED: &str = "refused: ";

pub(in super::super) fn done(_: &()) -> String {
    "done".to_owned()
}

pub(in super::super) fn answer(answer: &bool) -> String {
    answer.to_string()
}

pub(in super::super) fn taken(result: &Result<(), SessionError>) -> String {
    match result {
        Ok(()) => "taken".to_owned(),
        Err(error) => format!("{REFUSED}{}", error.rule()),
    }
}

pub(in super::super) fn obeyed(result: &Result<(), ApiMisuse>) -> String {
    result.as_ref().map_or_else(misused, done)
}

pub(in super::super) fn request(result: &Result<RequestId, ApiMisuse>) -> String {
    result.as_ref().map_or_else(misused, |id| format!("request {}", id.0))
}

pub(in super::super) fn message(result: &Result<MsgId, ApiMisuse>) -> String {
    result.as_ref().map_or_else(misused, |id| format!("message {:016x}", id.0))
}

pub(in super::super) fn reserved(result: &Result<Reserved, ApiMisuse>) -> String {
    result.as_ref().map_or_else(misused, |reserved| format!("message {:016x}", reserved.msg_id().0))
}

pub(in super::super) fn frame(frame: &Option<BytesMut>) -> String {
    frame.as_ref().map_or_else(|| "nothing".to_owned(), |frame| format!("frame of {}", bytes(frame)))
}

pub(in super::super) fn http_wait(wait: &Option<HttpWait>) -> String {
    match wait {
        Some(HttpWait { max_delay, wait_after, max_wait }) => {
            format!("{} {} {} ms", max_delay.as_millis(), wait_after.as_millis(), max_wait.as_millis())
        }
        None => "nothing".to_owned(),
    }
}

pub(in super::super) fn event(event: &Option<Event>) -> String {
    let Some(event) = event else { return "nothing".to_owned() };
    match event {
        Event::Response { id, result: Ok(body) } => format!("response {}: {}", id.0, bytes(body)),
        Event::Response { id, result: Err(error) } => format!("response {}: {} {}", id.0, error.code, error.message),
        Event::Failed { id, error } => format!("failed {}: {error}", id.0),
        Event::QuickAck { id } => format!("quick ack {}", id.0),
        Event::AnswerDropped { id, outcome } => format!("answer dropped {}: {}", id.0, dropped(*outcome)),
        Event::Update(body) => format!("update: {}", bytes(body)),
        Event::NewSession { first_msg_id, unique_id } => format!("new session {unique_id:016x} from {:016x}", first_msg_id.0),
        Event::SessionReset { old, new } => format!("session {:016x} is now {:016x}", old.0, new.0),
        Event::SaltsChanged => "salts changed".to_owned(),
        Event::TimeOffsetChanged => "time offset changed".to_owned(),
        Event::SessionDestroyed { session_id, existed } => format!("session destroyed {:016x}: {existed}", session_id.0),
        Event::AuthKeyDestroyed { outcome } => format!("auth key destroyed: {}", destruction(*outcome)),
        Event::ConnectionDead(cause) => format!("connection dead: {cause}"),
        Event::Request { msg_id, body } => format!("request {:016x}: {}", msg_id.0, bytes(body)),
        Event::RequestCancelled { msg_id } => format!("request cancelled {:016x}", msg_id.0),
        Event::Acknowledged { msg_id } => format!("acknowledged {:016x}", msg_id.0),
        Event::UpdateLost { msg_id } => format!("update lost {:016x}", msg_id.0),
        Event::DestroySession { session_id } => format!("destroy session {:016x}", session_id.0),
        Event::DestroyAuthKey { msg_id } => format!("destroy auth key {:016x}", msg_id.0),
    }
}

/// The names that recordings have for what becomes of a key.
pub(in super::super) fn destruction(outcome: KeyDestruction) -> &'static str {
    match outcome {
        KeyDestruction::Destroyed => "destroyed",
        KeyDestruction::Unknown => "unknown",
        KeyDestruction::Failed => "failed",
    }
}

fn dropped(outcome: DropOutcome) -> String {
    match outcome {
        DropOutcome::Unknown => "unknown".to_owned(),
        DropOutcome::Running => "running".to_owned(),
        DropOutcome::Dropped { bytes } => format!("{bytes} bytes"),
    }
}

fn misused(error: &ApiMisuse) -> String {
    format!("misuse: {error}")
}

/// Enough of a hash that no accident goes unnoticed.
fn bytes(bytes: &[u8]) -> String {
    let mut text = format!("{} bytes, sha256 ", bytes.len());
    for byte in &sha256(&[bytes])[..16] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
