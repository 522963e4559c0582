//! What may follow from the evidence: for each its numbers, what it means, what to do, and whether the tool can do it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::client::Unauthorized;

use super::{Fix, counted};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something does not work.
    Problem,
    /// Something will not work, or works by luck.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One field of the device record that is not what we said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which.
    pub field: &'static str,
    /// What we say.
    pub said: String,
    /// What the server has.
    pub found: String,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// The authorization is over.
    Ended {
        /// What the server said.
        #[serde(serialize_with = "text")]
        reason: Unauthorized,
    },
    /// The server does not know a key any more.
    KeyForgotten {
        /// The key's DC.
        dc: i32,
        /// Its id.
        #[serde(serialize_with = "hex")]
        key_id: i64,
        /// The login lives there.
        home: bool,
    },
    /// The device record of our key is not what we said.
    DeviceReplaced {
        /// Where they differ.
        differences: Vec<Difference>,
        /// The address in that record.
        ip: String,
        /// The looking took place while we were listening: it was replaced under our eyes.
        meanwhile: bool,
    },
    /// The layer of our key is not the one that we negotiated.
    LayerReplaced {
        /// Ours.
        said: i32,
        /// The oldest that it may be.
        least: i32,
        /// The newest that it may be.
        most: i32,
    },
    /// The server sees our login at an address that is not this machine's.
    AddressDiffers {
        /// This machine's.
        ours: IpAddr,
        /// The one on record.
        found: String,
    },
    /// The server began sessions of ours anew, without our doing.
    SessionsBegunAnew {
        /// How often.
        times: usize,
        /// Connections that were lost meanwhile.
        lost_connections: usize,
    },
    /// Updates are in the difference that were never pushed.
    NotPushed {
        /// Events that happened.
        happened: u32,
        /// Those that were not pushed.
        missing: u32,
        /// While we listened for so long.
        seconds: u64,
    },
    /// The server refuses sequence numbers or identifiers as only a second user of one session can cause.
    CopiedSession {
        /// The codes of `bad_msg_notification`, and how often each came.
        codes: BTreeMap<i32, usize>,
    },
    /// The server refuses one salt after the other.
    SaltsRefused {
        /// How often.
        times: usize,
    },
    /// Another process has this namespace open.
    SecondProcess,
    /// This machine's clock is wrong.
    ClockSkew {
        /// Server time minus local time.
        seconds: i64,
    },
    /// A temporary key has ended, and none has taken its place.
    TemporaryKeyEnded {
        /// Its DC.
        dc: i32,
        /// Its id.
        #[serde(serialize_with = "hex")]
        key_id: i64,
        /// For how long, in seconds; negative: it is about to.
        ended_for: i64,
    },
    /// Authorizations of the account that nobody uses.
    Stale {
        /// Their numbers.
        #[serde(serialize_with = "hexes")]
        hashes: Vec<i64>,
        /// For how long the one that is out of use for the longest has not been used.
        longest_days: i64,
    },
    /// The key is another program's.
    Borrowed {
        /// Whose.
        program: String,
    },
    /// A question was not answered, so less is known than should be.
    Unanswered {
        /// Why, in words.
        reason: String,
    },
}

fn text<S: serde::Serializer>(reason: &Unauthorized, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reason)
}

fn hex<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{id:016x}"))
}

fn hexes<S: serde::Serializer>(ids: &[i64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(|id| format!("{id:016x}")))
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Ended { .. }
            | Self::KeyForgotten { home: true, .. }
            | Self::DeviceReplaced { .. }
            | Self::LayerReplaced { .. }
            | Self::NotPushed { .. }
            | Self::CopiedSession { .. } => Severity::Problem,
            Self::KeyForgotten { home: false, .. }
            | Self::AddressDiffers { .. }
            | Self::SessionsBegunAnew { .. }
            | Self::SaltsRefused { .. }
            | Self::ClockSkew { .. }
            | Self::TemporaryKeyEnded { .. }
            | Self::Borrowed { .. }
            | Self::Unanswered { .. } => Severity::Warning,
            Self::SecondProcess | Self::Stale { .. } => Severity::Note,
        }
    }

    /// What it is, in a line.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Ended { .. } => "this login is over",
            Self::KeyForgotten { home: true, .. } => "the server has forgotten the key of this login",
            Self::KeyForgotten { home: false, .. } => "a data centre has forgotten our key",
            Self::DeviceReplaced { .. } => "another program has introduced itself under our key",
            Self::LayerReplaced { .. } => "another program has negotiated another layer under our key",
            Self::AddressDiffers { .. } => "the server sees this login at another address than this machine's",
            Self::SessionsBegunAnew { .. } => "the server has lost a session of ours",
            Self::NotPushed { .. } => "updates were not pushed",
            Self::CopiedSession { .. } => "somebody else speaks in a session of ours",
            Self::SaltsRefused { .. } => "the server refuses one salt after the other",
            Self::SecondProcess => "another process uses this namespace",
            Self::ClockSkew { .. } => "this machine's clock is wrong",
            Self::TemporaryKeyEnded { .. } => "a temporary key has ended and was not replaced",
            Self::Stale { .. } => "the account has authorizations that nobody uses",
            Self::Borrowed { .. } => "this namespace lives on another program's key",
            Self::Unanswered { .. } => "the server did not answer a question",
        }
    }

    /// The evidence, in numbers.
    pub fn evidence(&self) -> String {
        match self {
            Self::Ended { reason } => reason.to_string(),
            Self::KeyForgotten { dc, key_id, .. } => {
                format!("a ping to DC{dc} under key {key_id:016x} was answered with transport error -404")
            }
            Self::DeviceReplaced { differences, ip, meanwhile } => {
                let fields: Vec<String> =
                    differences.iter().map(|d| format!("{} is {:?}, we say {:?}", d.field, d.found, d.said)).collect();
                let when = if *meanwhile { "after we listened" } else { "before we said anything" };
                format!("on record {when}, last used from {ip}: {}", fields.join("; "))
            }
            Self::LayerReplaced { said, least, most } if least == most => {
                format!("answers came in layer {least}, we negotiated {said}")
            }
            Self::LayerReplaced { said, least, most } => {
                format!("answers came in a layer from {least} to {most}, we negotiated {said}")
            }
            Self::AddressDiffers { ours, found } => format!("the server has {found} on record, this machine calls from {ours}"),
            Self::SessionsBegunAnew { times, lost_connections } => {
                let times = counted(times, "time");
                format!(
                    "new_session_created came {times} for sessions in use; {} lost meanwhile",
                    counted(lost_connections, "connection")
                )
            }
            Self::NotPushed { happened, missing, seconds } => {
                let happened = counted(happened, "event");
                format!("{missing} of {happened} in {seconds} s: in updates.getDifference, and not pushed")
            }
            Self::CopiedSession { codes } => {
                let codes: Vec<String> =
                    codes.iter().map(|(code, times)| format!("code {code} {}", counted(times, "time"))).collect();
                format!("bad_msg_notification: {}", codes.join(", "))
            }
            Self::SaltsRefused { times } => format!("bad_server_salt came {} in one look", counted(times, "time")),
            Self::SecondProcess => "the namespace's lock is held by somebody else".to_owned(),
            Self::ClockSkew { seconds } => format!(
                "the server's clock is {} s {} ours",
                seconds.unsigned_abs(),
                if *seconds > 0 { "ahead of" } else { "behind" }
            ),
            Self::TemporaryKeyEnded { dc, key_id, ended_for } if *ended_for < 0 => {
                format!("key {key_id:016x} of DC{dc} ends in {} s", ended_for.unsigned_abs())
            }
            Self::TemporaryKeyEnded { dc, key_id, ended_for } => {
                format!("key {key_id:016x} of DC{dc} ended {ended_for} s ago, and is still the one on record")
            }
            Self::Stale { hashes, longest_days } => {
                format!("{}, out of use for up to {}", counted(hashes.len(), "authorization"), counted(longest_days, "day"))
            }
            Self::Borrowed { program } => format!("the key was read from {program}"),
            Self::Unanswered { reason } => reason.clone(),
        }
    }

    /// What it means.
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Ended { reason: Unauthorized::KeyDuplicated } => {
                "the key was used from two addresses at once: a copy of it is somewhere else. The server has withdrawn it, for both"
            }
            Self::Ended { .. } => "the server answers nothing under this key any more; nothing here can change that",
            Self::KeyForgotten { home: true, .. } => {
                "without the key there is no login: all that is encrypted with it is refused"
            }
            Self::KeyForgotten { home: false, .. } => {
                "the next transfer with that data centre begins with a key exchange, and the login has to be carried there again"
            }
            Self::DeviceReplaced { .. } => {
                "a copy of this key is in use: the server keeps one device record for each key, and pushes updates to one of its users only"
            }
            Self::LayerReplaced { .. } => {
                "a copy of this key is in use: updates come in the other program's layer, and what we cannot read is lost until it is asked for"
            }
            Self::AddressDiffers { .. } => {
                "something stands in between (a proxy, a VPN, a router), or a copy of this key is used elsewhere; two addresses at once end the login"
            }
            Self::SessionsBegunAnew { .. } => {
                "whatever was pushed to the lost session is gone until it is asked for; servers that restart do this, and so does somebody who destroys our sessions"
            }
            Self::NotPushed { .. } => {
                "the server pushed them to another user of this key: one session of each key is told, the one that called last"
            }
            Self::CopiedSession { .. } => {
                "two programs count the messages of one session: a session file, or a whole home, was copied while it was in use"
            }
            Self::SaltsRefused { .. } => {
                "each refused message is sent twice; salts change once in half an hour, so a second user of the session or a server at fault changes them"
            }
            Self::SecondProcess => "each has a session of its own and nothing is lost, but only one of them is told of updates",
            Self::ClockSkew { .. } => {
                "it is made up for, as long as the server tells the time; ages and dates that are shown here are wrong"
            }
            Self::TemporaryKeyEnded { .. } => "with forward secrecy nothing can be sent without one",
            Self::Stale { .. } => "whoever has such a device, or a copy of its files, can read and write in your name",
            Self::Borrowed { .. } => {
                "whatever is introduced or subscribed to here changes what the other program is sent; used from two addresses, the login ends for both"
            }
            Self::Unanswered { .. } => "what depends on the answer could not be looked at",
        }
    }

    /// What to do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Ended { reason: Unauthorized::UserDeactivated } => "write to recover@telegram.org about the account",
            Self::Ended { .. } | Self::KeyForgotten { home: true, .. } => "log in again: `tdl login`",
            Self::KeyForgotten { home: false, .. } => "nothing: it is made anew when it is needed; `--fix` drops it now",
            Self::DeviceReplaced { .. } | Self::LayerReplaced { .. } => {
                "find the copy of this namespace and remove it, or get a new key (`tdl logout`, then `tdl login`), which makes the copy worthless; `--fix` says once more who we are"
            }
            Self::AddressDiffers { .. } => "if you know of no proxy, get a new key: `tdl logout`, then `tdl login`",
            Self::SessionsBegunAnew { .. } => "if it happens again, get a new key: `tdl logout`, then `tdl login`",
            Self::NotPushed { .. } => "find the other user of this key, or get a new one: `tdl logout`, then `tdl login`",
            Self::CopiedSession { .. } => {
                "stop the other program; copy a namespace with `tdl backup` only, and log in on the other machine anew"
            }
            Self::SaltsRefused { .. } => {
                "run the command again with --trace; if it goes on, get a new key: `tdl logout`, then `tdl login`"
            }
            Self::SecondProcess => "nothing, or wait until the other one has ended",
            Self::ClockSkew { .. } => "set the clock, best by NTP",
            Self::TemporaryKeyEnded { .. } => {
                "run the doctor once more; `--fix` drops the key, so that the next command makes a new one"
            }
            Self::Stale { .. } => "end them: `tdl session end --inactive 90d`, or `--fix`",
            Self::Borrowed { .. } => "get a key of your own, which disturbs nobody: `tdl session isolate`",
            Self::Unanswered { .. } => "run the doctor once more",
        }
    }

    /// What the tool can do about it itself.
    pub fn fix(&self) -> Option<Fix> {
        match self {
            Self::KeyForgotten { dc, key_id, home: false } => Some(Fix::ForgetKey { dc: *dc, key_id: *key_id }),
            Self::TemporaryKeyEnded { dc, key_id, .. } => Some(Fix::ForgetTemporaryKey { dc: *dc, key_id: *key_id }),
            Self::DeviceReplaced { .. } | Self::LayerReplaced { .. } => Some(Fix::Introduce),
            Self::Stale { hashes, .. } => Some(Fix::EndAuthorizations { hashes: hashes.clone() }),
            _ => None,
        }
    }
}
