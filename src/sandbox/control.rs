//! Telling a running cluster what to do: a connection on loopback, for whoever can read `control.json` in the cluster's directory.
//!
//! One line of JSON there, one back: `{"token": …, "command": …}`, then `{"ok": …}` or `{"error": …}`. The file is its owner's alone (mode
//! 0600), names the address and holds a token that is made anew with each start; nobody is listened to who does not know it. Whoever runs
//! the cluster in the same process calls [`Cluster::command`](super::Cluster::command) instead.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::faults::{FaultError, FaultRule};
use super::server::work::{self, Services};
use super::server::{self, Shared};
use super::state::authorizations::{self, Standing};
use super::state::users::{self, Phone};
use super::state::{self, State, keys};
use super::tally::CallCount;
use tdl_core::crypto::hash;

/// The name of the file that says where a running cluster is told what to do.
pub const CONTROL_FILE: &str = "control.json";

/// Bytes of a command or of what comes back.
const MAX_LINE: u64 = 1 << 20;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections at a time.
const MAX_CONNECTIONS: usize = 32;
/// Bytes of a token.
const TOKEN: usize = 32;

/// What a running cluster can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Sets a rule about what goes wrong; its id does not matter. Answered with [`Reply::Rule`].
    FaultSet {
        /// What it is about.
        rule: FaultRule,
        /// Calls of this account only, by its phone number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phone: Option<String>,
    },
    /// Takes such rules back: those with these numbers, or all if there are none. Answered with [`Reply::Count`].
    FaultClear {
        /// Their numbers.
        ids: Vec<u32>,
    },
    /// Lists them. Answered with [`Reply::Rules`].
    FaultList,
    /// Says what was asked and answered since the cluster started. Answered with [`Reply::Calls`].
    Calls,
    /// Makes authorizations older, by their dates of creation and of last use: what depends on their age can be tried without waiting for
    /// it. Those whose time is over then are ended. Answered with [`Reply::Count`].
    Age {
        /// Those of this account, by its phone number; all of them if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phone: Option<String>,
        /// By how many seconds, 0 or more.
        seconds: i64,
    },
    /// Deletes or bans an account, or takes that back. Answered with [`Reply::Count`].
    SetStanding {
        /// Its phone number.
        phone: String,
        /// What is to become of it.
        standing: Standing,
    },
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// So many were concerned.
    Count(usize),
    /// The number of a new rule.
    Rule(u32),
    /// All rules.
    Rules(Vec<FaultRule>),
    /// Calls, by method and answer.
    Calls(Vec<CallCount>),
}

/// Why a cluster did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The rule is none.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// No account has this phone number.
    #[error("no account has the phone number {0}")]
    NoAccount(String),
    /// Authorizations cannot be made younger, nor older than time itself.
    #[error("authorizations are made older by 0 to {MAX_AGE} seconds, not by {0}")]
    Age(i64),
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The cluster has stopped.
    #[error("the cluster has stopped")]
    Stopped,
}

impl From<rusqlite::Error> for CommandError {
    fn from(error: rusqlite::Error) -> Self {
        Self::State(error.into())
    }
}

/// The most seconds by which authorizations are made older at a time: ten years.
const MAX_AGE: i64 = 10 * 366 * authorizations::DAY;

/// Why a running cluster could not be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no cluster here, or none that runs.
    #[error("no cluster runs in {}: {source}", dir.display())]
    NotRunning {
        /// Where one was looked for.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what a cluster writes.
    #[error("{} is damaged", .0.display())]
    File(PathBuf),
    /// The connection broke.
    #[error("talking to the cluster: {0}")]
    Io(#[from] std::io::Error),
    /// What came back is not what a cluster says.
    #[error("the cluster's answer cannot be read")]
    Answer,
    /// The cluster refused.
    #[error("{0}")]
    Refused(String),
}

#[derive(Serialize, Deserialize)]
struct ControlFile {
    addr: SocketAddr,
    token: String,
}

#[derive(Serialize, Deserialize)]
struct Request {
    token: String,
    command: Command,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok(Reply),
    Error(String),
}

/// The id of the account with a phone number.
fn account(state: &State, dcs: i32, phone: &str) -> Result<i64, CommandError> {
    let missing = || CommandError::NoAccount(phone.to_owned());
    let digits = Phone::parse(phone, dcs).ok_or_else(missing)?.digits;
    state.read(|db| users::by_phone(db, &digits))?.map(|user| user.id).ok_or_else(missing)
}

/// Does what the cluster is told.
pub(crate) fn execute(shared: &Shared<Services>, command: Command) -> Result<Reply, CommandError> {
    let (state, faults, settings) = (&shared.state, &shared.answers.faults, &shared.answers.settings);
    let named = |phone: Option<String>| phone.map(|phone| account(state, settings.dc_count(), &phone)).transpose();
    Ok(match command {
        Command::FaultSet { rule, phone } => {
            let user = named(phone)?.or(rule.user);
            Reply::Rule(faults.set(FaultRule { user, ..rule })?)
        }
        Command::FaultClear { ids } => Reply::Count(faults.clear(&ids)),
        Command::FaultList => Reply::Rules(faults.list()),
        Command::Calls => Reply::Calls(shared.answers.tally.list()),
        Command::Age { phone, seconds } => {
            if !(0..=MAX_AGE).contains(&seconds) {
                return Err(CommandError::Age(seconds));
            }
            let user = named(phone)?;
            let aged = state.age_authorizations(user, seconds)?;
            let now = shared.now().unix();
            let ended = state.write(|tx| {
                let mut ended = Vec::new();
                for user in keys::logged_in_accounts(tx)? {
                    ended.extend(authorizations::expire_due(tx, user, None, now)?);
                }
                Ok::<_, rusqlite::Error>(ended)
            })?;
            for (dc, key_id) in ended {
                work::logged_out(shared, dc, key_id);
            }
            Reply::Count(aged)
        }
        Command::SetStanding { phone, standing } => {
            let user = account(state, settings.dc_count(), &phone)?;
            state.write(|tx| authorizations::set_standing(tx, user, standing))?;
            Reply::Count(1)
        }
    })
}

/// Where commands are waited for.
pub(crate) struct Listener {
    listener: TcpListener,
    token: String,
    path: PathBuf,
}

impl Listener {
    /// Begins to listen, and writes the file that says where.
    pub(crate) async fn open(dir: &Path) -> Result<Self, state::Error> {
        let path = dir.join(CONTROL_FILE);
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(state::Error::io("listening for commands by", &path))?;
        let addr = listener.local_addr().map_err(state::Error::io("listening for commands by", &path))?;
        let token: String = rand::random::<[u8; TOKEN]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let file = ControlFile { addr, token: token.clone() };
        let text = serde_json::to_string(&file).map_err(std::io::Error::from).map_err(state::Error::io("writing", &path))?;
        state::replace_private(dir, CONTROL_FILE, &text)?;
        Ok(Self { listener, token, path })
    }

    /// Does what comes, until `stop` says so.
    pub(crate) async fn serve(self, shared: Arc<Shared<Services>>, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let token: Arc<str> = self.token.into();
        loop {
            tokio::select! {
                () = server::told(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        let (shared, token) = (Arc::clone(&shared), Arc::clone(&token));
                        connections.spawn(async move {
                            match tokio::time::timeout(PATIENCE, answer(stream, &shared, &token)).await {
                                Ok(Ok(())) => {}
                                Ok(Err(error)) => tracing::debug!(%error, "control connection ended"),
                                Err(_) => tracing::debug!("control connection was silent"),
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "control connection not accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
        connections.shutdown().await;
        // The next start makes another one; until then nobody is to knock on a door that is somebody else's by now.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "control file not removed");
        }
    }
}

/// Reads a request. Nothing of it counts unless its token is right.
fn read_request(line: &[u8], token: &str) -> Result<Command, String> {
    let request: Request = serde_json::from_slice(line).map_err(|error| format!("the command cannot be read: {error}"))?;
    // Of one length, whatever came, so that time tells nothing about it.
    let (given, right) = (hash::sha256(&[request.token.as_bytes()]), hash::sha256(&[token.as_bytes()]));
    if bool::from(given.ct_eq(&right)) { Ok(request.command) } else { Err("the token is wrong".to_owned()) }
}

async fn answer(mut stream: TcpStream, shared: &Arc<Shared<Services>>, token: &str) -> std::io::Result<()> {
    let mut line = Vec::new();
    BufReader::new(&mut stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
    let answer = match read_request(&line, token) {
        Ok(command) => {
            let shared = Arc::clone(shared);
            let done = tokio::task::spawn_blocking(move || execute(&shared, command)).await.map_err(std::io::Error::other)?;
            done.map_or_else(|error| Answer::Error(error.to_string()), Answer::Ok)
        }
        Err(error) => Answer::Error(error),
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// Tells the cluster that runs in a directory.
///
/// # Errors
///
/// See [`ControlError`].
pub async fn send(dir: &Path, command: &Command) -> Result<Reply, ControlError> {
    let not_running = |source| ControlError::NotRunning { dir: dir.to_owned(), source };
    let path = dir.join(CONTROL_FILE);
    let text = std::fs::read(&path).map_err(not_running)?;
    let file: ControlFile = serde_json::from_slice(&text).map_err(|_| ControlError::File(path.clone()))?;
    if !file.addr.ip().is_loopback() {
        return Err(ControlError::File(path));
    }
    let exchange = async {
        let mut stream = TcpStream::connect(file.addr).await.map_err(not_running)?;
        let request = Request { token: file.token, command: command.clone() };
        let mut text = serde_json::to_string(&request).map_err(std::io::Error::from)?;
        text.push('\n');
        stream.write_all(text.as_bytes()).await?;
        let mut line = Vec::new();
        BufReader::new(&mut stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        match serde_json::from_slice(&line).map_err(|_| ControlError::Answer)? {
            Answer::Ok(reply) => Ok(reply),
            Answer::Error(error) => Err(ControlError::Refused(error)),
        }
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .unwrap_or_else(|_| Err(ControlError::Io(std::io::ErrorKind::TimedOut.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_done_without_the_token() {
        let request =
            |token: &str| serde_json::to_vec(&Request { token: token.to_owned(), command: Command::FaultList }).unwrap();
        assert_eq!(read_request(&request("secret"), "secret"), Ok(Command::FaultList));
        for wrong in ["", "secre", "secret ", "Secret"] {
            assert_eq!(read_request(&request(wrong), "secret").unwrap_err(), "the token is wrong");
        }
        let good = request("secret");
        for len in 0..good.len() {
            assert!(read_request(&good[..len], "secret").is_err(), "{len}");
        }
        for wrong in
            ["{}", "[]", r#"{"token":"secret"}"#, r#"{"token":"secret","command":{"fault_set":{"rule":{"effect":"x"}}}}"#]
        {
            assert!(read_request(wrong.as_bytes(), "secret").unwrap_err().starts_with("the command cannot be read"), "{wrong}");
        }
    }

    #[test]
    fn commands_have_the_form_that_they_have_on_the_wire() {
        let rule =
            FaultRule { method: "upload.*".to_owned(), left: Some(2), ..FaultRule::new("FLOOD_WAIT_3".parse().unwrap()) };
        let command = Command::FaultSet { rule, phone: Some("9996611111".to_owned()) };
        let text = serde_json::to_string(&command).unwrap();
        assert_eq!(
            text,
            r#"{"fault_set":{"rule":{"id":0,"effect":"FLOOD_WAIT_3","method":"upload.*","left":2,"met":0},"phone":"9996611111"}}"#
        );
        assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), command);
        assert_eq!(
            serde_json::from_str::<Command>(r#"{"age":{"seconds":5}}"#).unwrap(),
            Command::Age { phone: None, seconds: 5 }
        );
    }
}
