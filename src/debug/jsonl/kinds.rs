//! Every kind of record: its name in the format, and its fields.

use super::LineError;
use super::calls::{Clocks, Events, Made, Number, Session};
use super::fields::*;
use super::table::table;
use crate::body::Body;
use crate::json;
use tdl_core::trace::Event;

table! { Event;
    "dialing" Dialing { addr: Text = "addr" }
    "connected" Connected { addr: Text = "addr", took: Micros = "took_us" }
    "disconnected" Disconnected { reason: Text = "reason" }
    "frame_sent" FrameSent {
        len: Size = "len", wire: Size = "wire", padding: Size = "padding", framing: Name = "framing", quick_ack: Flag = "quick_ack",
    }
    "frame_received" FrameReceived {
        len: Size = "len", wire: Size = "wire", padding: Size = "padding", framing: Name = "framing", quick_ack: Flag = "quick_ack",
    }
    "quick_ack" QuickAck { token: Hex32 = "token" }
    "transport_error" TransportError { code: Int = "code" }
    "computed" Computed { what: Name = "what", detail: Text = "detail" }
    "envelope" Envelope {
        sent: Flag = "sent", auth_key_id: Hex64 = "auth_key_id", len: Size = "len", msg_key: Checked = "msg_key",
        inner: Maybe<Inside> = "inner", token: Maybe<Hex32> = "token",
    }
    "handshake_step" HandshakeStep { name: Name = "step", detail: Text = "detail" }
    "auth_key_ready" AuthKeyReady { id: Hex64 = "auth_key_id", fresh: Flag = "fresh" }
    "temp_key_bound" TempKeyBound { id: Hex64 = "auth_key_id", perm: Hex64 = "perm_auth_key_id", expires_at: Seconds = "expires_at" }
    "key_in_use" KeyInUse { id: Hex64 = "auth_key_id", expires_at: Maybe<Seconds> = "expires_at" }
    "check_failed" CheckFailed { rule: Name = "rule", detail: Text = "detail" }
    "message_sent" MessageSent {
        msg_id: TimedId = "msg_id", seq_no: Seq = "seq_no", constructor: Constructor = "constructor", len: Size = "len",
        container: Maybe<Id> = "container",
    }
    "message_received" MessageReceived {
        msg_id: TimedId = "msg_id", seq_no: Seq = "seq_no", constructor: Constructor = "constructor", len: Size = "len",
        container: Maybe<Id> = "container",
    }
    "message_ignored" MessageIgnored { msg_id: TimedId = "msg_id", reason: Name = "reason" }
    "gzip" Gzip { sent: Flag = "sent", msg_id: Id = "msg_id", packed: Size = "packed", unpacked: Size = "unpacked" }
    "acked" Acked { ids: Ids = "ids" }
    "acks_sent" AcksSent { ids: Ids = "ids" }
    "salt_changed" SaltChanged { old: SaltHex = "old", new: SaltHex = "new" }
    "future_salts" FutureSalts { count: Size = "count" }
    "session_created" SessionCreated { first_msg_id: Id = "first_msg_id", unique_id: Hex64 = "unique_id", salt: SaltHex = "salt" }
    "bad_msg" BadMsg { code: Int = "code", msg_id: Id = "msg_id" }
    "resent" Resent { old: Id = "old", new: Id = "new" }
    "time_offset" TimeOffset { seconds: Seconds = "seconds" }
    "ping" Ping { ping_id: Hex64 = "ping_id" }
    "pong" Pong { ping_id: Hex64 = "ping_id", rtt: Micros = "rtt_us" }
    "rpc_sent" RpcSent { msg_id: Id = "msg_id", method: Method = "method_id", len: Size = "len", packed: Maybe<Size> = "packed" }
    "rpc_result" RpcResult {
        msg_id: Id = "msg_id", method: Method = "method_id", latency: Micros = "latency_us", len: Size = "len",
        packed: Maybe<Size> = "packed", sends: Count = "sends", error: Maybe<RpcError> = "error",
    }
    "rpc_failed" RpcFailed { msg_id: Maybe<Id> = "msg_id", method: Method = "method_id", sends: Count = "sends", reason: Text = "reason" }
    "rpc_cancelled" RpcCancelled { msg_id: Id = "msg_id" }
    "rpc_received" RpcReceived { msg_id: Id = "msg_id", method: Method = "method_id", len: Size = "len" }
    "rpc_answered" RpcAnswered {
        msg_id: Id = "msg_id", method: Method = "method_id", len: Size = "len", packed: Maybe<Size> = "packed",
        error: Maybe<RpcError> = "error",
    }
    "flood_wait" FloodWait { method: Method = "method_id", seconds: Seconds = "seconds" }
    "retry" Retry { method: Method = "method_id", attempt: Count = "attempt", delay: Micros = "delay_us", reason: Text = "reason" }
    "migrate" Migrate { from: Dc = "from", to: Dc = "to", reason: Text = "reason" }
    "rule_applied" RuleApplied { rule: Text = "rule", action: Text = "action", method: Method = "method_id", msg_id: Maybe<Id> = "msg_id" }
    "negotiated" Negotiated { layer: Int = "api_layer", device: Text = "device" }
    "body" Body { sent: Flag = "sent", msg_id: Id = "msg_id", method: MaybeMethod = "method_id", len: Size = "len", bytes: Hex = "bytes" }
    "update" Update { constructor: Constructor = "constructor", counters: Counted = "counters" }
    "core_call" CoreCall { session: Session = "session", number: Number = "number", now: Clocks = "now", call: Made = "call" }
    "core_done" CoreDone { session: Session = "session", number: Number = "number", outcome: Text = "outcome", events: Events = "events" }
}

/// An event alone, as one JSON object.
pub fn to_text(event: &Event) -> String {
    let mut out = b"{\"kind\":".to_vec();
    json::string(kind_of(event), &mut out);
    put(event, &mut out);
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends what is said of an event for the sake of readers: the tree of a body.
pub(super) fn put_derived(event: &Event, out: &mut Vec<u8>) {
    if let Event::Body { method, bytes, .. } = event {
        json::key("tl", out);
        Body::read(bytes, *method).put_json(out);
    }
}
