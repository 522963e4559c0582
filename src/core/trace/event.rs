//! The events themselves: plain values, each of one [`Layer`].

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::call::{Call, SessionName};
use crate::clock::Now;
use crate::ids::{DcId, MsgId, Salt, SeqNo, SessionId};

/// A word from a fixed list: borrowed where the program wrote it, owned where it was read from a recording.
pub type Word = Cow<'static, str>;

/// A connection of this process, numbered from 1 in the order of dialling. 0 stands for none in particular.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u32);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What a part of the protocol an event belongs to; `--trace=WHAT` selects by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Sockets and frames.
    Transport,
    /// What was computed: factors, groups, keys (never their values); the envelopes of encrypted messages.
    Crypto,
    /// Key exchange, messages, acknowledgements, salts, time.
    Mtproto,
    /// Requests and their results, as the caller sees them.
    Rpc,
    /// Bodies of messages.
    Tl,
    /// Updates that the server pushed.
    Updates,
    /// Calls into sessions, with keys and all: what a recording needs to be played again. `all` does not include it.
    Core,
}

impl Layer {
    /// Every layer, from the wire up.
    pub const ALL: [Self; 7] = [Self::Transport, Self::Crypto, Self::Mtproto, Self::Rpc, Self::Tl, Self::Updates, Self::Core];

    /// The name used on the command line and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Crypto => "crypto",
            Self::Mtproto => "mtproto",
            Self::Rpc => "rpc",
            Self::Tl => "tl",
            Self::Updates => "updates",
            Self::Core => "core",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which side of a connection is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// We are the client: the connection leads to a data centre.
    #[default]
    Client,
    /// We are the data centre: a client is at the other end.
    Server,
}

impl Role {
    /// The name used in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// One event with its circumstances.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Local Unix time.
    pub at: Duration,
    /// The connection.
    pub conn: ConnId,
    /// The data centre that the connection leads to, or that we are on it; 0 when it is not known.
    pub dc: DcId,
    /// Which side of the connection we are on.
    pub role: Role,
    /// What happened.
    pub event: Event,
}

/// Something that happened in the protocol. Lengths are in bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    // Transport.
    /// A connection is being opened.
    Dialing {
        /// Where to.
        addr: String,
    },
    /// A connection was opened.
    Connected {
        /// Where to, and over which transport.
        addr: String,
        /// How long it took.
        took: Duration,
    },
    /// A connection ended.
    Disconnected {
        /// Why.
        reason: String,
    },
    /// A frame was written.
    FrameSent {
        /// Its payload.
        len: usize,
        /// What it takes on the wire: envelope and padding included, in front of the first also the transport's initial bytes.
        wire: usize,
        /// The transport's own padding in it.
        padding: usize,
        /// The envelope, and what is around it: `obfuscated padded`, `http`.
        framing: Word,
        /// Whether it asks the server for a quick acknowledgement.
        quick_ack: bool,
    },
    /// A frame was read.
    FrameReceived {
        /// Its payload.
        len: usize,
        /// What it took on the wire.
        wire: usize,
        /// The transport's own padding in it.
        padding: usize,
        /// The envelope, and what is around it.
        framing: Word,
        /// Whether it asks for a quick acknowledgement (server role).
        quick_ack: bool,
    },
    /// The server confirmed receipt at the transport's level ("Quick ack").
    QuickAck {
        /// The token that names the payload.
        token: u32,
    },
    /// The server refused at the transport's level ("Transport errors").
    TransportError {
        /// The code, positive: 404, 429, 444 or another.
        code: i32,
    },

    // Crypto.
    /// A computation worth knowing of is done.
    Computed {
        /// Which.
        what: Word,
        /// Public details of it.
        detail: String,
    },
    /// An encrypted frame was sealed or opened.
    Envelope {
        /// Whether we sealed it.
        sent: bool,
        /// The key that it names.
        auth_key_id: i64,
        /// All of it.
        len: usize,
        /// What comparing its `msg_key` with the decrypted bytes gave.
        msg_key: Verdict,
        /// What is inside; `None` if it could not be opened, or breaks a rule.
        inner: Option<Inner>,
        /// The token that a quick acknowledgement of it would carry. Only of what a client wrote, as far as it is known.
        token: Option<u32>,
    },

    // Mtproto.
    /// A step of the key exchange was taken.
    HandshakeStep {
        /// The constructor or method, as the protocol names it.
        name: Word,
        /// Public details of it.
        detail: String,
    },
    /// A connection has a key to work with.
    AuthKeyReady {
        /// `auth_key_id`.
        id: i64,
        /// Whether it was just made, rather than loaded.
        fresh: bool,
    },
    /// A temporary key is bound to the permanent one.
    TempKeyBound {
        /// The temporary key.
        id: i64,
        /// The permanent key.
        perm: i64,
        /// When it ends, in Unix time by the server's clock.
        expires_at: i64,
    },
    /// What a connection's messages are encrypted with from here on.
    KeyInUse {
        /// The key.
        id: i64,
        /// When it ends, in Unix time by the server's clock, if it is a temporary one.
        expires_at: Option<i64>,
    },
    /// A rule was broken, by the peer or by the bytes on their way.
    CheckFailed {
        /// The rule: the name of the error's variant.
        rule: Word,
        /// What was found and what was expected.
        detail: String,
    },
    /// A message was put into a frame. A container comes before what is in it.
    MessageSent {
        /// Its identifier.
        msg_id: MsgId,
        /// Its sequence number.
        seq_no: SeqNo,
        /// The first four bytes of its body.
        constructor: u32,
        /// Its body.
        len: usize,
        /// The container that it travels in.
        container: Option<MsgId>,
    },
    /// A message passed all checks. A container comes before what is in it.
    MessageReceived {
        /// Its identifier.
        msg_id: MsgId,
        /// Its sequence number.
        seq_no: SeqNo,
        /// The first four bytes of its body.
        constructor: u32,
        /// Its body.
        len: usize,
        /// The container that it came in.
        container: Option<MsgId>,
    },
    /// A message was dropped without harm: a duplicate, or an answer nobody waits for.
    MessageIgnored {
        /// Its identifier.
        msg_id: MsgId,
        /// Why.
        reason: Word,
    },
    /// A message holds a packed object, or an answer that is one (`gzip_packed`).
    Gzip {
        /// Whether we packed it.
        sent: bool,
        /// The message.
        msg_id: MsgId,
        /// Packed.
        packed: usize,
        /// Unpacked.
        unpacked: usize,
    },
    /// The peer acknowledged messages of ours.
    Acked {
        /// Which.
        ids: Vec<MsgId>,
    },
    /// We acknowledged messages of the peer's.
    AcksSent {
        /// Which.
        ids: Vec<MsgId>,
    },
    /// Messages are sent under another server salt from now on.
    SaltChanged {
        /// The salt until now.
        old: Salt,
        /// The salt from now on.
        new: Salt,
    },
    /// The server announced salts to come.
    FutureSalts {
        /// How many.
        count: usize,
    },
    /// The server says that it has begun a session for us.
    SessionCreated {
        /// Messages before this one are not known to it.
        first_msg_id: MsgId,
        /// Its name for the session.
        unique_id: i64,
        /// The salt to use.
        salt: Salt,
    },
    /// The peer refused a message.
    BadMsg {
        /// The code of `bad_msg_notification`, or 48 of `bad_server_salt`.
        code: i32,
        /// The message refused.
        msg_id: MsgId,
    },
    /// A message is sent again; `old` and `new` are equal when it keeps its identifier.
    Resent {
        /// Its identifier before.
        old: MsgId,
        /// Its identifier now.
        new: MsgId,
    },
    /// The clocks' difference was learnt anew.
    TimeOffset {
        /// Server minus local.
        seconds: i64,
    },
    /// A ping was sent.
    Ping {
        /// Its identifier.
        ping_id: i64,
    },
    /// A ping was answered.
    Pong {
        /// Its identifier.
        ping_id: i64,
        /// The round trip.
        rtt: Duration,
    },

    // Rpc.
    /// A request was handed to the session.
    RpcSent {
        /// The message that carries it.
        msg_id: MsgId,
        /// The method, without its wrappers (`invokeWithLayer` and the like).
        method: u32,
        /// The request with its wrappers, unpacked.
        len: usize,
        /// The same as `gzip_packed`, if it is sent so.
        packed: Option<usize>,
    },
    /// A request was answered.
    RpcResult {
        /// The message that carried the request.
        msg_id: MsgId,
        /// The method, without its wrappers.
        method: u32,
        /// From handing over to the answer.
        latency: Duration,
        /// The result, unpacked.
        len: usize,
        /// The same as `gzip_packed`, if it came so.
        packed: Option<usize>,
        /// How often the request was written: 1 if nothing went wrong.
        sends: u32,
        /// The code and text of `rpc_error`.
        error: Option<(i32, String)>,
    },
    /// A request will not be answered.
    RpcFailed {
        /// The message that carried it last, if any did.
        msg_id: Option<MsgId>,
        /// The method, without its wrappers.
        method: u32,
        /// How often it was written.
        sends: u32,
        /// Why.
        reason: String,
    },
    /// A request was given up by the caller.
    RpcCancelled {
        /// The message that carried the request.
        msg_id: MsgId,
    },
    /// A request came in (server role).
    RpcReceived {
        /// The message that carries it.
        msg_id: MsgId,
        /// The method, without its wrappers.
        method: u32,
        /// The request with its wrappers.
        len: usize,
    },
    /// A request was answered by us (server role).
    RpcAnswered {
        /// The message that carried the request.
        msg_id: MsgId,
        /// The method, without its wrappers.
        method: u32,
        /// The result, unpacked.
        len: usize,
        /// The same as `gzip_packed`, if it is sent so.
        packed: Option<usize>,
        /// The code and text of `rpc_error`.
        error: Option<(i32, String)>,
    },
    /// The server imposed a wait.
    FloodWait {
        /// On which method.
        method: u32,
        /// How long.
        seconds: i64,
    },
    /// A request is asked once more after a while: the server stumbled, or its answer is lost.
    Retry {
        /// Which method.
        method: u32,
        /// Which repetition this is, counted from 1.
        attempt: u32,
        /// After how long.
        delay: Duration,
        /// What went wrong.
        reason: String,
    },
    /// A request goes to another DC.
    Migrate {
        /// From where.
        from: DcId,
        /// To where.
        to: DcId,
        /// The error that demanded it.
        reason: String,
    },
    /// A rule of the bridge was applied to something on its way through.
    RuleApplied {
        /// The rule's name.
        rule: String,
        /// What it did.
        action: String,
        /// The method, or the constructor of an update.
        method: u32,
        /// The message of the client's that it is about; none for an update.
        msg_id: Option<MsgId>,
    },
    /// The connection told the server what it is.
    Negotiated {
        /// The API layer.
        layer: i32,
        /// The device profile.
        device: String,
    },

    // Tl.
    /// The body of a message that is no container. May hold anything: sinks redact it.
    Body {
        /// Whether we wrote it.
        sent: bool,
        /// The message.
        msg_id: MsgId,
        /// For an `rpc_result`: the method that it answers, where that is known; otherwise 0.
        method: u32,
        /// All of it.
        len: usize,
        /// The serialized object. Shorter than `len` where it was redacted: then only the constructor is left, or nothing.
        bytes: Bytes,
    },

    // Updates.
    /// An update came in, or went out (server role). A box of several (`updates`) is followed by one record for each.
    Update {
        /// Its constructor.
        constructor: u32,
        /// The counters in it.
        counters: Counters,
    },

    // Core.
    /// A session is called.
    CoreCall {
        /// Which.
        session: SessionName,
        /// The number of the call in this session, counted from 0, which is its beginning.
        number: u64,
        /// The clocks' reading that is an argument of the call, or the last one before it.
        now: Now,
        /// The call.
        call: Box<Call>,
    },
    /// The call has returned.
    CoreDone {
        /// Which session.
        session: SessionName,
        /// Which call.
        number: u64,
        /// What came of it, in a form that can be compared: bytes are given by their hash.
        outcome: String,
        /// What the session reported meanwhile. Bodies are left out.
        events: Vec<Self>,
    },
}

/// What comparing the `msg_key` of an encrypted message gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is that of the decrypted bytes.
    Ok,
    /// It is not: the message was altered, or another key made it.
    Mismatch,
    /// It did not come to that: the key is not known, or the length is impossible.
    Unchecked,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Mismatch, Self::Unchecked];

    /// The name used in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Mismatch => "mismatch",
            Self::Unchecked => "unchecked",
        }
    }
}

/// What stands inside an encrypted message, around its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// The server salt.
    pub salt: Salt,
    /// The session.
    pub session_id: SessionId,
    /// The message.
    pub msg_id: MsgId,
    /// Its sequence number.
    pub seq_no: SeqNo,
    /// Its body.
    pub len: usize,
    /// The padding behind it.
    pub padding: usize,
}

/// The counters of an update: each only if the update has it. See "Working with Updates".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The state of the common box, or of the channel's, after the update.
    pub pts: Option<i32>,
    /// How many events it stands for.
    pub pts_count: Option<i32>,
    /// The state of the secondary box.
    pub qts: Option<i32>,
    /// The number of the box of updates.
    pub seq: Option<i32>,
    /// When it was made, in server time.
    pub date: Option<i32>,
    /// The channel whose box `pts` counts.
    pub channel_id: Option<i64>,
}

impl Event {
    /// The layer it belongs to.
    pub const fn layer(&self) -> Layer {
        match self {
            Self::Dialing { .. }
            | Self::Connected { .. }
            | Self::Disconnected { .. }
            | Self::FrameSent { .. }
            | Self::FrameReceived { .. }
            | Self::QuickAck { .. }
            | Self::TransportError { .. } => Layer::Transport,
            Self::Computed { .. } | Self::Envelope { .. } => Layer::Crypto,
            Self::HandshakeStep { .. }
            | Self::AuthKeyReady { .. }
            | Self::TempKeyBound { .. }
            | Self::KeyInUse { .. }
            | Self::CheckFailed { .. }
            | Self::MessageSent { .. }
            | Self::MessageReceived { .. }
            | Self::MessageIgnored { .. }
            | Self::Gzip { .. }
            | Self::Acked { .. }
            | Self::AcksSent { .. }
            | Self::SaltChanged { .. }
            | Self::FutureSalts { .. }
            | Self::SessionCreated { .. }
            | Self::BadMsg { .. }
            | Self::Resent { .. }
            | Self::TimeOffset { .. }
            | Self::Ping { .. }
            | Self::Pong { .. } => Layer::Mtproto,
            Self::RpcSent { .. }
            | Self::RpcResult { .. }
            | Self::RpcFailed { .. }
            | Self::RpcCancelled { .. }
            | Self::RpcReceived { .. }
            | Self::RpcAnswered { .. }
            | Self::FloodWait { .. }
            | Self::Retry { .. }
            | Self::Migrate { .. }
            | Self::RuleApplied { .. }
            | Self::Negotiated { .. } => Layer::Rpc,
            Self::Body { .. } => Layer::Tl,
            Self::Update { .. } => Layer::Updates,
            Self::CoreCall { .. } | Self::CoreDone { .. } => Layer::Core,
        }
    }
}
