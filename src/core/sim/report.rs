//! What a run reports: promises that were broken, and figures.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::fault::Fault;
use crate::mtproto::session::Failure;

/// A promise that was broken. A run without any is a good run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A request ended a second time.
    #[error("client {client}: request {number} ended twice")]
    EndedTwice {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
    },
    /// A request had not ended when everything had been well for long.
    #[error("client {client}: request {number} never ended")]
    NeverEnded {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
    },
    /// A request ended with the answer to something else.
    #[error("client {client}: request {number} got an answer that is not its own")]
    WrongAnswer {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
    },
    /// A request ended with an error that nobody had reason to give.
    #[error("client {client}: request {number} ended with an error of nobody's: {error}")]
    WrongError {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
        /// The error.
        error: String,
    },
    /// A request that was made when everything had been well for minutes, or in a run in which nothing goes wrong, was not answered.
    #[error("client {client}: request {number} failed though nothing was wrong: {error}")]
    FailedInPeace {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
        /// The error.
        error: String,
    },
    /// The server was made to execute a request again that it had executed and not forgotten.
    #[error("client {client}: request {number} was executed {times} times")]
    ExecutedAgain {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
        /// How often.
        times: usize,
    },
    /// A request failed with an error that says that it was not executed, and it was.
    #[error("client {client}: request {number} was executed, though it failed with an error that says it was not: {error}")]
    ExecutedAfterAll {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
        /// The error.
        error: String,
    },
    /// A request was executed before another one that it was to come after.
    #[error("client {client}: request {number} was executed before request {before} was done")]
    OutOfTurn {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
        /// The other one.
        before: u64,
    },
    /// The server was handed a request that nobody made.
    #[error("the host was given a request that nobody made")]
    ExecutedUnasked,
    /// The server's session did not take the host's answer.
    #[error("client {client}: the answer to request {number} was refused: {error}")]
    AnswerRefused {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
        /// Why.
        error: String,
    },
    /// An update was delivered a second time.
    #[error("client {client}: update {number} was delivered twice")]
    UpdateTwice {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
    },
    /// An update was delivered after a later one, though no frame had been lost or had overtaken another.
    #[error("client {client}: update {number} was delivered after update {after}")]
    UpdateOutOfOrder {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
        /// The later one.
        after: u64,
    },
    /// Something was delivered as an update that is none, or not this client's.
    #[error("client {client}: an update was delivered that nobody sent")]
    UpdateUnknown {
        /// Whose.
        client: usize,
    },
    /// An update was never delivered, though the session lives and everything had been well for long.
    #[error("client {client}: update {number} never came")]
    UpdateLost {
        /// Whose.
        client: usize,
        /// Which.
        number: u64,
    },
    /// Something has grown beyond its bound.
    #[error("{what} has grown to {found}, the bound is {limit}")]
    Grown {
        /// What.
        what: &'static str,
        /// To how much.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// Time does not pass: a deadline is not moved by what is done about it.
    #[error("time stands still at {at:?}")]
    Stuck {
        /// The world's time.
        at: Duration,
    },
    /// Two sides keep each other busy for ever.
    #[error("more than {limit} steps")]
    Storm {
        /// How many there may be.
        limit: u64,
    },
    /// The program under test panicked.
    #[error("panic: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
}

impl Violation {
    /// The kind of promise, for figures and for comparing two runs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EndedTwice { .. } => "EndedTwice",
            Self::NeverEnded { .. } => "NeverEnded",
            Self::WrongAnswer { .. } => "WrongAnswer",
            Self::WrongError { .. } => "WrongError",
            Self::FailedInPeace { .. } => "FailedInPeace",
            Self::ExecutedAgain { .. } => "ExecutedAgain",
            Self::ExecutedAfterAll { .. } => "ExecutedAfterAll",
            Self::OutOfTurn { .. } => "OutOfTurn",
            Self::ExecutedUnasked => "ExecutedUnasked",
            Self::AnswerRefused { .. } => "AnswerRefused",
            Self::UpdateTwice { .. } => "UpdateTwice",
            Self::UpdateOutOfOrder { .. } => "UpdateOutOfOrder",
            Self::UpdateUnknown { .. } => "UpdateUnknown",
            Self::UpdateLost { .. } => "UpdateLost",
            Self::Grown { .. } => "Grown",
            Self::Stuck { .. } => "Stuck",
            Self::Storm { .. } => "Storm",
            Self::Panicked { .. } => "Panicked",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// With its answer.
    Answered,
    /// With an error that the server's host gave.
    RpcError,
    /// Cancelled by its maker.
    Cancelled,
    /// Refused by the server for a reason that does not go away.
    Refused,
    /// Refused too often.
    TooManyResends,
    /// The session was begun anew.
    SessionReset,
    /// The server cannot say whether it has received it.
    Uncertain,
    /// The server has lost the answer.
    AnswerLost,
    /// The answer could not be read.
    UnreadableAnswer,
    /// Another failure of the session's.
    OtherFailure,
    /// Too many were pending: it never was.
    Backlog,
    /// The key was forgotten by the server.
    KeyLost,
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled => Self::Cancelled,
            Failure::Refused { .. } => Self::Refused,
            Failure::TooManyResends { .. } => Self::TooManyResends,
            Failure::SessionReset => Self::SessionReset,
            Failure::Uncertain => Self::Uncertain,
            Failure::AnswerLost => Self::AnswerLost,
            Failure::UnreadableAnswer => Self::UnreadableAnswer,
            Failure::IdentifierRefused => Self::OtherFailure,
        }
    }
}

/// What happened in one run, or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Worlds run.
    pub runs: u64,
    /// Clients' sessions in them.
    pub sessions: u64,
    /// Time that passed in them, for each session on its own.
    pub simulated: Duration,
    /// Key exchanges completed.
    pub exchanges: u64,
    /// Connections made.
    pub connections: u64,
    /// Frames written.
    pub frames: u64,
    /// Requests made.
    pub requests: u64,
    /// Requests executed by the host.
    pub executed: u64,
    /// How requests ended.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Updates sent by the host.
    pub pushed: u64,
    /// Updates delivered.
    pub delivered: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Rules that a side found broken, by name.
    pub rules: BTreeMap<&'static str, u64>,
    /// The slowest end of a request after the faults had stopped.
    pub slowest: Duration,
}

impl Figures {
    /// Adds those of other runs.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.sessions += other.sessions;
        self.simulated += other.simulated;
        self.exchanges += other.exchanges;
        self.connections += other.connections;
        self.frames += other.frames;
        self.requests += other.requests;
        self.executed += other.executed;
        self.pushed += other.pushed;
        self.delivered += other.delivered;
        self.slowest = self.slowest.max(other.slowest);
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(*outcome).or_default() += count;
        }
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (rule, count) in &other.rules {
            *self.rules.entry(rule).or_default() += count;
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated.as_secs_f64() / 3600.0;
        writeln!(f, "worlds {}, sessions {}, simulated hours {hours:.1}", self.runs, self.sessions)?;
        writeln!(f, "connections {}, key exchanges {}, frames {}", self.connections, self.exchanges, self.frames)?;
        writeln!(f, "requests {}, executed {}", self.requests, self.executed)?;
        writeln!(f, "updates sent {}, delivered {}", self.pushed, self.delivered)?;
        writeln!(f, "slowest end after the faults stopped: {:.1} s", self.slowest.as_secs_f64())?;
        writeln!(f, "outcomes:")?;
        self.outcomes.iter().try_for_each(|(outcome, count)| writeln!(f, "  {:<18} {count}", format!("{outcome:?}")))?;
        writeln!(f, "faults:")?;
        self.faults.iter().try_for_each(|(fault, count)| writeln!(f, "  {:<18} {count}", fault.name()))?;
        writeln!(f, "rules found broken:")?;
        self.rules.iter().try_for_each(|(rule, count)| writeln!(f, "  {rule:<24} {count}"))
    }
}

/// The report of one run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run's seed.
    pub seed: u64,
    /// Promises that were broken, in the order in which that was noticed.
    pub violations: Vec<Violation>,
    /// Figures.
    pub figures: Figures,
    /// What happened, if it was asked for.
    pub log: Vec<String>,
}
