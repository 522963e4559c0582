//! Calls into sessions: what a recording needs to be played again.

use std::time::Duration;

use serde_json::Value;

use super::LineError;
use super::fields::*;
use super::kinds;
use super::table::table;
use crate::json;
use tdl_core::clock::Now;
use tdl_core::ids::{Salt, SessionId};
use tdl_core::trace::call::{Call, SaltSpan, SessionName, Settings};
use tdl_core::trace::{Event, Word};

table! { Call;
    "begin_client" BeginClient {
        auth_key: Hex = "auth_key", salts: Salts = "salts", time_offset: Seconds = "time_offset", rng_seed: Hex = "rng_seed",
        ping: Named = "ping", limits: Named = "limits",
    }
    "begin_server" BeginServer { auth_key: Hex = "auth_key", salts: Salts = "salts", rng_seed: Hex = "rng_seed", limits: Named = "limits" }
    "input" Input { frame: Hex = "frame" }
    "opened" Opened {
        salt: SaltHex = "salt", session_id: SessionHex = "session_id", msg_id: Id = "msg_id", seq_no: Seq = "seq_no", body: Hex = "body",
    }
    "timeout" Timeout {}
    "quick_ack" QuickAck { token: Hex32 = "token" }
    "connection_lost" ConnectionLost {}
    "connection_opened" ConnectionOpened {}
    "flush_acks" FlushAcks {}
    "request" Request {
        body: Hex = "body", method: Method = "method_id", compress: Flag = "compress", alone: Flag = "alone",
        quick_ack: Flag = "quick_ack", after: Numbers = "after",
    }
    "reserve" Reserve {}
    "request_reserved" RequestReserved {
        msg_id: Id = "msg_id", body: Hex = "body", method: Method = "method_id", alone: Flag = "alone", quick_ack: Flag = "quick_ack",
    }
    "cancel" Cancel { request: Number = "request" }
    "destroy_session" DestroySession { session_id: SessionHex = "session_id" }
    "destroy_auth_key" DestroyAuthKey {}
    "ping_now" Ping {}
    "respond" Respond { req: Id = "req_msg_id", result: Hex = "result", compress: Flag = "compress" }
    "push" Push { body: Hex = "body" }
    "session_destroyed" SessionDestroyed { session_id: SessionHex = "session_id", existed: Flag = "existed" }
    "auth_key_destroyed" AuthKeyDestroyed { msg_id: Id = "msg_id", outcome: Name = "outcome" }
    "set_salts" SetSalts { salts: Salts = "salts" }
    "poll_output" PollOutput {}
    "poll_http_request" PollHttpRequest {
        max_delay: Nanos = "max_delay_ns", wait_after: Nanos = "wait_after_ns", max_wait: Nanos = "max_wait_ns", listen: Flag = "listen",
    }
    "poll_http_response" PollHttpResponse {}
    "take_http_wait" TakeHttpWait {}
    "poll_event" PollEvent {}
}

/// A field that must be there, as an object.
fn object<'a>(name: &'static str, from: &'a Fields) -> Result<&'a Fields, LineError> {
    let found = from.get(name).ok_or(LineError::FieldMissing { field: name })?;
    found.as_object().ok_or(LineError::FieldWrong { field: name, expected: "an object" })
}

/// A field that must be there, as a list.
fn list<'a>(name: &'static str, from: &'a Fields) -> Result<&'a Vec<Value>, LineError> {
    let found = from.get(name).ok_or(LineError::FieldMissing { field: name })?;
    found.as_array().ok_or(LineError::FieldWrong { field: name, expected: "a list" })
}

/// Items with commas, between brackets.
fn put_list<T>(name: &str, items: &[T], out: &mut Vec<u8>, put: impl Fn(&T, &mut Vec<u8>)) {
    json::key(name, out);
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(item, out);
    }
    out.push(b']');
}

/// A call: its name under the field's, its arguments in an object behind.
pub(super) struct Made;

impl Field for Made {
    type Value = Box<Call>;

    fn put(name: &'static str, value: &Box<Call>, out: &mut Vec<u8>) {
        json::key(name, out);
        json::string(kind_of(value), out);
        json::key("args", out);
        let start = out.len();
        put(value, out);
        // The first comma becomes the bracket.
        match out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => out.push(b'{'),
        }
        out.push(b'}');
    }

    fn take(name: &'static str, from: &Fields) -> Result<Box<Call>, LineError> {
        let called = Text::take(name, from)?;
        take(&called, object("args", from)?).map(Box::new)
    }

    fn shape(name: &'static str) -> String {
        format!("`{name}` word, `args` {{…}}")
    }
}

/// What a session reported: kinds with their fields.
pub(super) struct Events;

impl Field for Events {
    type Value = Vec<Event>;

    fn put(name: &'static str, value: &Vec<Event>, out: &mut Vec<u8>) {
        put_list(name, value, out, |event, out| {
            out.extend_from_slice(kinds::to_text(event).as_bytes());
        });
    }

    fn take(name: &'static str, from: &Fields) -> Result<Vec<Event>, LineError> {
        let read = |event: &Value| {
            let fields = event.as_object().ok_or(LineError::FieldWrong { field: name, expected: "a list of objects" })?;
            kinds::take(&Text::take("kind", fields)?, fields)
        };
        list(name, from)?.iter().map(read).collect()
    }

    fn shape(name: &'static str) -> String {
        format!("`{name}` {{`kind` word, …}}[]")
    }
}

/// The name of a session.
pub(super) struct Session;

impl Field for Session {
    type Value = SessionName;

    fn put(name: &'static str, value: &SessionName, out: &mut Vec<u8>) {
        json::key(name, out);
        out.extend_from_slice(if value.server { b"{\"role\":\"server\"" } else { b"{\"role\":\"client\"" });
        Hex64::put("auth_key_id", &value.auth_key_id, out);
        SessionHex::put("session_id", &value.session_id, out);
        out.push(b'}');
    }

    fn take(name: &'static str, from: &Fields) -> Result<SessionName, LineError> {
        let fields = object(name, from)?;
        let server = match &*Text::take("role", fields)? {
            "server" => true,
            "client" => false,
            _ => return Err(LineError::FieldWrong { field: "role", expected: "client or server" }),
        };
        let (auth_key_id, session_id) = (Hex64::take("auth_key_id", fields)?, SessionHex::take("session_id", fields)?);
        Ok(SessionName { server, auth_key_id, session_id })
    }

    fn shape(name: &'static str) -> String {
        format!("`{name}` {{`role` word, `auth_key_id` hex64, `session_id` hex64}}")
    }
}

/// Both clocks, in nanoseconds.
pub(super) struct Clocks;

impl Field for Clocks {
    type Value = Now;

    fn put(name: &'static str, value: &Now, out: &mut Vec<u8>) {
        json::key(name, out);
        out.extend_from_slice(b"{\"mono_ns\":");
        json::number(value.mono.as_nanos(), out);
        Nanos::put("wall_ns", &value.wall, out);
        out.push(b'}');
    }

    fn take(name: &'static str, from: &Fields) -> Result<Now, LineError> {
        let fields = object(name, from)?;
        Ok(Now::new(Nanos::take("mono_ns", fields)?, Nanos::take("wall_ns", fields)?))
    }

    fn shape(name: &'static str) -> String {
        format!("`{name}` {{`mono_ns` number, `wall_ns` number}}")
    }
}

/// A session, by the identifier that it has now.
pub(super) struct SessionHex;

impl Field for SessionHex {
    type Value = SessionId;

    fn put(name: &'static str, value: &SessionId, out: &mut Vec<u8>) {
        Hex64::put(name, &value.0, out);
    }

    fn take(name: &'static str, from: &Fields) -> Result<SessionId, LineError> {
        Hex64::take(name, from).map(SessionId)
    }

    fn shape(name: &'static str) -> String {
        Hex64::shape(name)
    }
}

/// A number that counts up from 0.
pub(super) struct Number;

impl Field for Number {
    type Value = u64;

    fn put(name: &'static str, value: &u64, out: &mut Vec<u8>) {
        json::key(name, out);
        json::number(value, out);
    }

    fn take(name: &'static str, from: &Fields) -> Result<u64, LineError> {
        let found = from.get(name).ok_or(LineError::FieldMissing { field: name })?;
        found.as_u64().ok_or(LineError::FieldWrong { field: name, expected: "a whole number" })
    }

    fn shape(name: &'static str) -> String {
        format!("`{name}` number")
    }
}

/// Numbers that count up from 0.
pub(super) struct Numbers;

impl Field for Numbers {
    type Value = Vec<u64>;

    fn put(name: &'static str, value: &Vec<u64>, out: &mut Vec<u8>) {
        put_list(name, value, out, |number, out| json::number(number, out));
    }

    fn take(name: &'static str, from: &Fields) -> Result<Vec<u64>, LineError> {
        let wrong = LineError::FieldWrong { field: name, expected: "a list of whole numbers" };
        list(name, from)?.iter().map(|number| number.as_u64().ok_or_else(|| wrong.clone())).collect()
    }

    fn shape(name: &'static str) -> String {
        format!("`{name}` number[]")
    }
}

/// A span in nanoseconds.
pub(super) struct Nanos;

impl Field for Nanos {
    type Value = Duration;

    fn put(name: &'static str, value: &Duration, out: &mut Vec<u8>) {
        json::key(name, out);
        json::number(value.as_nanos(), out);
    }

    fn take(name: &'static str, from: &Fields) -> Result<Duration, LineError> {
        Number::take(name, from).map(Duration::from_nanos)
    }

    fn shape(name: &'static str) -> String {
        format!("`{name}` number")
    }
}

/// Salts: `[since, until, salt]` each.
pub(super) struct Salts;

impl Field for Salts {
    type Value = Vec<SaltSpan>;

    fn put(name: &'static str, value: &Vec<SaltSpan>, out: &mut Vec<u8>) {
        put_list(name, value, out, |SaltSpan { since, until, salt }, out| {
            out.extend_from_slice(b"{\"since\":");
            json::number(since, out);
            Seconds::put("until", until, out);
            SaltHex::put("salt", salt, out);
            out.push(b'}');
        });
    }

    fn take(name: &'static str, from: &Fields) -> Result<Vec<SaltSpan>, LineError> {
        let read = |span: &Value| {
            let fields = span.as_object().ok_or(LineError::FieldWrong { field: name, expected: "a list of objects" })?;
            let salt: Salt = SaltHex::take("salt", fields)?;
            Ok(SaltSpan { since: Seconds::take("since", fields)?, until: Seconds::take("until", fields)?, salt })
        };
        list(name, from)?.iter().map(read).collect()
    }

    fn shape(name: &'static str) -> String {
        format!("`{name}` {{`since` number, `until` number, `salt` hex64}}[]")
    }
}

/// Numbers by name.
pub(super) struct Named;

impl Field for Named {
    type Value = Settings;

    fn put(name: &'static str, value: &Settings, out: &mut Vec<u8>) {
        json::key(name, out);
        out.push(b'{');
        for (index, (setting, number)) in value.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::string(setting, out);
            out.push(b':');
            json::number(number, out);
        }
        out.push(b'}');
    }

    fn take(name: &'static str, from: &Fields) -> Result<Settings, LineError> {
        let wrong = LineError::FieldWrong { field: name, expected: "an object of whole numbers" };
        let fields = object(name, from)?;
        let read = |(setting, number): (&String, &Value)| {
            Ok((Word::Owned(setting.clone()), number.as_u64().ok_or_else(|| wrong.clone())?))
        };
        fields.iter().map(read).collect()
    }

    fn shape(name: &'static str) -> String {
        format!("`{name}` {{…}}")
    }
}

/// One of each call, for tests.
#[cfg(test)]
pub(crate) fn samples() -> Vec<Call> {
    use bytes::Bytes;
    use tdl_core::ids::MsgId;

    let bytes = Bytes::from_static(&[1, 2, 3, 4]);
    let salts = vec![SaltSpan { since: 0, until: i64::MAX, salt: Salt(-1) }];
    let settings: Settings = vec![("interval".into(), 60_000_000_000)];
    let (msg_id, session_id) = (MsgId(4), SessionId(-7));
    let second = Duration::from_secs(1);
    vec![
        Call::BeginClient {
            auth_key: bytes.clone(),
            salts: salts.clone(),
            time_offset: -3,
            rng_seed: bytes.clone(),
            ping: settings.clone(),
            limits: settings.clone(),
        },
        Call::BeginServer { auth_key: bytes.clone(), salts: salts.clone(), rng_seed: bytes.clone(), limits: settings },
        Call::Input { frame: bytes.clone() },
        Call::Opened { salt: Salt(1), session_id, msg_id, seq_no: tdl_core::ids::SeqNo(2), body: bytes.clone() },
        Call::Timeout {},
        Call::QuickAck { token: 1 << 31 },
        Call::ConnectionLost {},
        Call::ConnectionOpened {},
        Call::FlushAcks {},
        Call::Request {
            body: bytes.clone(),
            method: 5,
            compress: true,
            alone: false,
            quick_ack: true,
            after: vec![1, u64::MAX],
        },
        Call::Reserve {},
        Call::RequestReserved { msg_id, body: bytes.clone(), method: 5, alone: true, quick_ack: false },
        Call::Cancel { request: 9 },
        Call::DestroySession { session_id },
        Call::DestroyAuthKey {},
        Call::Ping {},
        Call::Respond { req: msg_id, result: bytes.clone(), compress: true },
        Call::Push { body: bytes },
        Call::SessionDestroyed { session_id, existed: true },
        Call::AuthKeyDestroyed { msg_id, outcome: "destroyed".into() },
        Call::SetSalts { salts },
        Call::PollOutput {},
        Call::PollHttpRequest { max_delay: second, wait_after: second, max_wait: second, listen: true },
        Call::PollHttpResponse {},
        Call::TakeHttpWait {},
        Call::PollEvent {},
    ]
}
