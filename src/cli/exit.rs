//! How the process ends: the exit codes, the error that a person sees, and the one mapping from errors to codes.

use std::{fmt, io};

use tdl::{
    account,
    chat::ChatError,
    client::{EndedRecord, FeedError, InvokeError, NetError, PersistenceError, ProtocolError, RpcError, Unauthorized, explain},
    store,
    transport::TransportError,
};

use super::output::printable;

/// The exit codes, as the help shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ExitCode {
    /// Everything that was asked for is done.
    Done = 0,
    /// It could not be done.
    Failed = 1,
    /// The command line, the environment or the configuration is wrong.
    Usage = 2,
    /// Some items failed, others are done.
    SomeFailed = 3,
    /// Nobody is logged in, or the authorization was ended.
    NotLoggedIn = 4,
    /// The network, or whoever is on the other side of it, cannot be reached.
    Network = 5,
    /// The server demands a longer pause than allowed.
    FloodWait = 6,
    /// The peer broke the protocol.
    Protocol = 7,
    /// Interrupted by a signal; state is saved.
    Interrupted = 130,
}

impl ExitCode {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 9] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::SomeFailed,
        Self::NotLoggedIn,
        Self::Network,
        Self::FloodWait,
        Self::Protocol,
        Self::Interrupted,
    ];

    /// What it means, in a few words.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "wrong usage",
            Self::SomeFailed => "some items failed (each is listed)",
            Self::NotLoggedIn => "not logged in, or the authorization was ended",
            Self::Network => "network",
            Self::FloodWait => "the server demands a longer pause than --max-flood-wait allows",
            Self::Protocol => "the peer broke the protocol",
            Self::Interrupted => "interrupted; state is saved",
        }
    }

    /// The list for the end of the help page.
    pub(crate) fn help() -> String {
        let mut text = String::from("Exit codes:\n");
        for code in Self::ALL {
            text.push_str(&format!("  {:>3}  {}\n", code as u8, code.meaning()));
        }
        text
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// What a command can end with. Printed as one line that says what happened and one that says what to do.
#[derive(Debug)]
pub(crate) struct CliError {
    /// How the process will end.
    pub(crate) code: ExitCode,
    /// What happened. Empty when there is nothing to say: whoever read the output has gone away.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

impl CliError {
    pub(crate) fn new(code: ExitCode, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), advice: None }
    }

    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::new(ExitCode::Failed, what)
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, what)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(ExitCode::Interrupted, "interrupted")
    }

    pub(crate) fn not_logged_in(namespace: impl fmt::Display) -> Self {
        Self::new(ExitCode::NotLoggedIn, format!("namespace '{namespace}' is not logged in"))
            .advise("log in with `tdl login`, or choose another namespace with -n (`tdl ns ls` lists them)")
    }

    /// The authorization of a namespace has ended: what the server said, when, and what can be done.
    pub(crate) fn ended(namespace: impl fmt::Display, ended: &EndedRecord) -> Self {
        let when = chrono::DateTime::from_timestamp(ended.at, 0)
            .map_or_else(String::new, |at| format!(" since {}", at.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M")));
        Self::new(ExitCode::NotLoggedIn, format!("namespace '{namespace}' is not logged in any more{when}: {}", ended.reason))
            .advise(after_the_end(ended.reason))
    }

    /// Writing to standard output failed. A reader that went away (`| head`) is no failure.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(ExitCode::Done, ""),
            _ => Self::failed(format!("standard output: {error}")),
        }
    }

    /// An error that a method answered with, in words.
    pub(crate) fn rpc(error: &RpcError) -> Self {
        let what = format!("the server answered {}", explained(error));
        Self { code: ExitCode::Failed, what, advice: explain(error).and_then(|it| it.advice) }
    }

    /// A store's error that came through the client. The store's own knows what to do about it.
    fn persistence(error: &PersistenceError) -> Self {
        match error {
            PersistenceError::Unavailable(source) => match source.downcast_ref::<store::Error>() {
                Some(own) => Self::failed(own.to_string()).advise(own.advice()),
                None => Self::failed(chain(error)),
            },
            PersistenceError::Corrupt { .. } => Self::failed(error.to_string())
                .advise("restore the namespace from a backup, or drop it (`tdl ns rm --force`) and log in again"),
        }
    }

    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl From<store::Error> for CliError {
    fn from(error: store::Error) -> Self {
        let code = match error {
            store::Error::InvalidName { .. } => ExitCode::Usage,
            _ => ExitCode::Failed,
        };
        Self::new(code, error.to_string()).advise(error.advice())
    }
}

impl From<InvokeError> for CliError {
    fn from(error: InvokeError) -> Self {
        let (code, advice) = match &error {
            InvokeError::Rpc(error) => return Self::rpc(error),
            InvokeError::FloodWait { .. } => {
                (ExitCode::FloodWait, Some("wait that long and run the command again, or allow it with --max-flood-wait"))
            }
            InvokeError::Unauthorized(reason) => (ExitCode::NotLoggedIn, Some(after_the_end(*reason))),
            InvokeError::Net(NetError::Barred { .. }) => {
                (ExitCode::Network, Some("check the URL in --proxy or TDL_PROXY, with its user and password or its secret"))
            }
            InvokeError::Net(NetError::Untrusted { .. }) => (
                ExitCode::Network,
                Some(
                    "check the date of this machine; if it is right, something between here and the server answers in its place",
                ),
            ),
            InvokeError::Protocol(ProtocolError::Refused(TransportError::InvalidDc)) => {
                (ExitCode::Protocol, Some("check --dc-config and --test-dc, and where the proxy leads, if there is one"))
            }
            InvokeError::Net(_) | InvokeError::Timeout { .. } => (
                ExitCode::Network,
                Some("check the connection, and run the command again; --reconnect-timeout says how long to keep trying"),
            ),
            InvokeError::Protocol(_) | InvokeError::Failed { .. } | InvokeError::Decode { .. } => {
                (ExitCode::Protocol, Some("run the command again with --trace=all to see what the peer sent"))
            }
            InvokeError::UnknownLayer(_) => (ExitCode::Usage, Some("choose one of those with --layer, or leave it out")),
            InvokeError::Layer { .. } => (ExitCode::Failed, Some("run the command without --layer, or with a newer one")),
            InvokeError::Config(_) => (ExitCode::Usage, Some("correct the file that --dc-config names")),
            InvokeError::Store(store) => return Self::persistence(store),
            InvokeError::Closed => (ExitCode::Interrupted, None),
            // The enum may grow; until someone chooses a code, it is a failure like any other.
            _ => (ExitCode::Failed, None),
        };
        Self { code, what: chain(&error), advice: advice.map(str::to_owned) }
    }
}

impl From<PersistenceError> for CliError {
    fn from(error: PersistenceError) -> Self {
        Self::persistence(&error)
    }
}

impl From<ChatError> for CliError {
    fn from(error: ChatError) -> Self {
        let advice = match &error {
            ChatError::Invoke(_) | ChatError::Store(_) => None,
            ChatError::Link(_) => return Self::usage(error.to_string()),
            ChatError::UnknownId { .. } => Some("run `tdl chat ls` first: it makes every chat of yours known here by its id"),
            ChatError::NotFound(_) => Some("check the name or the number; `tdl chat ls` shows the chats that you have"),
            ChatError::NoMessage { .. } => Some("it was deleted, or is in another chat"),
            ChatError::UnexpectedAnswer { .. } => Some("`--trace=all` shows what came"),
        };
        match error {
            ChatError::Invoke(error) => error.into(),
            ChatError::Store(error) => error.into(),
            other => {
                let failed = Self::failed(other.to_string());
                match advice {
                    Some(advice) => failed.advise(advice),
                    None => failed,
                }
            }
        }
    }
}

impl From<FeedError> for CliError {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Invoke(error) => error.into(),
            FeedError::Store(error) => error.into(),
            FeedError::GaveUp { .. } => Self::new(ExitCode::Network, error.to_string()).advise(
                "run the command again when the network is back: it goes on where it stopped; --reconnect-timeout 0 never gives up",
            ),
            FeedError::NoProgress(_) => {
                Self::new(ExitCode::Protocol, error.to_string()).advise("run the command again with --trace=all to see what the peer sent")
            }
            // The enum may grow; until someone chooses a code, it is a failure like any other.
            other => Self::failed(other.to_string()),
        }
    }
}

impl From<account::Error> for CliError {
    fn from(error: account::Error) -> Self {
        let advice = error.advice();
        let code = match error {
            account::Error::Invoke(error) => return error.into(),
            account::Error::Prompt(error) => {
                return match error.downcast::<Self>() {
                    Ok(own) => *own,
                    Err(other) => Self::failed(other.to_string()),
                };
            }
            account::Error::NotLoggedIn => ExitCode::NotLoggedIn,
            account::Error::PhoneInvalid { .. }
            | account::Error::ApplicationRefused { .. }
            | account::Error::BotTokenInvalid => ExitCode::Usage,
            account::Error::Cancelled => ExitCode::Interrupted,
            account::Error::Nonsense { .. } | account::Error::PasswordUntrusted(_) => ExitCode::Protocol,
            _ => ExitCode::Failed,
        };
        Self { code, what: error.to_string(), advice }
    }
}

/// What somebody can do whose authorization has ended.
fn after_the_end(reason: Unauthorized) -> &'static str {
    match reason {
        Unauthorized::KeyDuplicated => {
            "another program or a copy of this namespace used the same key: stop it there, then log in anew with `tdl login`, which makes a key of its own"
        }
        Unauthorized::UserDeactivated => {
            "Telegram says why in an official app; `tdl logout --local-only` empties the namespace, `tdl login` takes another account"
        }
        Unauthorized::KeyUnregistered
        | Unauthorized::KeyInvalid
        | Unauthorized::SessionRevoked
        | Unauthorized::SessionExpired
        | Unauthorized::KeyLost => {
            "log in anew with `tdl login`: chats and unfinished transfers are kept; `tdl logout --local-only` empties the namespace"
        }
    }
}

/// An error that a method answered with, and what it means. The server's words are made safe for a terminal.
pub(crate) fn explained(error: &RpcError) -> String {
    let said = printable(&error.to_string());
    match explain(error) {
        Some(explanation) => format!("{said}: {}", explanation.meaning),
        None => said,
    }
}

impl std::error::Error for CliError {}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// The error and everything that caused it, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors show their cause themselves.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tdl::{ids::DcId, tl};

    use super::*;

    fn code_of(error: impl Into<CliError>) -> ExitCode {
        error.into().code
    }

    fn rpc(name: &str) -> InvokeError {
        InvokeError::Rpc(RpcError { code: 400, name: name.into(), parameter: None, message: name.into() })
    }

    #[test]
    fn the_numbers_are_those_of_the_manual() {
        let numbers: Vec<u8> = ExitCode::ALL.iter().map(|code| *code as u8).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 130]);
        let help = ExitCode::help();
        assert!(ExitCode::ALL.iter().all(|code| help.contains(&format!("{:>3}  {}", *code as u8, code.meaning()))));
    }

    #[test]
    fn each_kind_of_failure_has_its_code() {
        let unreachable =
            NetError::Unreachable { dc: DcId(2), attempts: 3, after: Duration::from_secs(9), last: "refused".into() };
        assert_eq!(code_of(rpc("PEER_ID_INVALID")), ExitCode::Failed);
        assert_eq!(code_of(InvokeError::FloodWait { seconds: 9, method: "m" }), ExitCode::FloodWait);
        assert_eq!(code_of(InvokeError::Unauthorized(Unauthorized::SessionRevoked)), ExitCode::NotLoggedIn);
        assert_eq!(code_of(InvokeError::Net(unreachable)), ExitCode::Network);
        let barred = InvokeError::from(NetError::Barred { proxy: "socks5://a:1080".into(), reason: "no".into() });
        let barred = CliError::from(barred);
        assert_eq!((barred.code, barred.advice.is_some_and(|advice| advice.contains("--proxy"))), (ExitCode::Network, true));
        let elsewhere = InvokeError::Protocol(ProtocolError::Refused(TransportError::InvalidDc));
        assert_eq!(code_of(elsewhere), ExitCode::Protocol);
        assert_eq!(code_of(InvokeError::Timeout { method: "m", after: Duration::ZERO }), ExitCode::Network);
        assert_eq!(
            code_of(InvokeError::Decode { method: "m", error: tl::Error::TrailingBytes { left: 1 } }),
            ExitCode::Protocol
        );
        assert_eq!(code_of(InvokeError::Closed), ExitCode::Interrupted);
        assert_eq!(code_of(account::Error::NotLoggedIn), ExitCode::NotLoggedIn);
        assert_eq!(code_of(account::Error::PhoneBanned), ExitCode::Failed);
        assert_eq!(code_of(account::Error::Prompt(Box::new(CliError::interrupted()))), ExitCode::Interrupted);
        assert_eq!(code_of("../x".parse::<store::NamespaceName>().expect_err("invalid")), ExitCode::Usage);
        assert_eq!(code_of(CliError::stdout(&io::Error::from(io::ErrorKind::BrokenPipe))), ExitCode::Done);
        assert_eq!(code_of(CliError::stdout(&io::Error::from(io::ErrorKind::StorageFull))), ExitCode::Failed);
    }

    #[test]
    fn an_error_of_a_method_is_explained() {
        let error = CliError::from(rpc("PEER_ID_INVALID"));
        assert!(error.what.starts_with("the server answered 400 PEER_ID_INVALID: the peer does not exist"), "{}", error.what);
        assert!(error.advice.is_some_and(|advice| advice.contains("tdl chat ls")));
        let error = CliError::from(rpc("\u{1b}[2J"));
        assert!(error.what.starts_with("the server answered 400 \\u{1b}[2J: "), "{}", error.what);
    }

    #[test]
    fn a_store_error_keeps_its_advice_on_its_way_through_the_client() {
        let inner = store::Error::DiskFull { path: "x".into() };
        let error = CliError::from(InvokeError::Store(inner.into()));
        assert_eq!((error.code, error.advice.is_some()), (ExitCode::Failed, true));
    }
}
