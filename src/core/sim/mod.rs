//! A simulated world: clients and a server made of the real floors, a network, clocks, and everything that can go wrong with them.
//!
//! A run is a function of its seed. Nothing in it waits, reads a clock or opens a socket, so hours pass in milliseconds, and a run that
//! goes wrong goes wrong in the same way every time:
//!
//! ```console
//! $ cargo run --release --example soak -- --seed 4711 --verbose
//! ```
//!
//! The real session of either role talks through the real envelope and the real transport codecs, in some runs after the real key
//! exchange. Around them:
//!
//! * `world`: the agenda and the loop. `dice`: chance. `machine`: clocks that drift, leap and stop.
//! * `network`: connections that end, stall, fall silent, lose, double, swap and alter.
//! * `client`, `server`: the least of a driver around each end. `body`: what they tell each other.
//! * `mischief`, `nonsense`: a server that refuses, forgets and lies. [`fault`]: everything that can go wrong, by name.
//! * `oracle`: what is promised, and whether it was kept. `sizes`: whether memory stays bounded.
//! * [`report`]: what a run says at its end.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

mod body;
mod client;
mod dice;
pub mod fault;
mod machine;
mod mischief;
mod network;
mod nonsense;
mod oracle;
pub mod report;
mod server;
mod sizes;
#[cfg(test)]
mod tests;
mod world;

pub use self::{
    fault::{Fault, FaultSet, UnknownFault},
    report::{Figures, Outcome, Report, Violation},
};

use self::world::World;
use crate::trace::Tracer;

/// How worlds are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Faults that do not strike, whatever the seed says.
    pub without: FaultSet,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
    /// Whether to write down what happens.
    pub log: bool,
    /// For how long faults strike, at least.
    pub shortest: Duration,
    /// For how long faults strike, at most.
    pub longest: Duration,
    /// The most occasions at which a client asks something.
    pub most_asks: u64,
    /// How many in ten thousand clients begin with a key exchange. It is what costs most.
    pub exchanges: u32,
    /// Twice as many faults.
    pub rough: bool,
    /// Who hears what the sessions report, and of the calls into them: a world can be recorded.
    pub trace: Tracer,
}

/// Short worlds, for tests.
impl Default for Options {
    fn default() -> Self {
        Self {
            without: FaultSet::NONE,
            sabotage: None,
            log: false,
            shortest: Duration::from_secs(20),
            longest: Duration::from_secs(1200),
            most_asks: 7,
            exchanges: 100,
            rough: false,
            trace: Tracer::off(),
        }
    }
}

impl Options {
    /// Long worlds, in which more goes wrong.
    pub fn long() -> Self {
        Self { longest: Duration::from_secs(6 * 3600), most_asks: 60, exchanges: 500, rough: true, ..Self::default() }
    }
}

/// Something that the simulation breaks on purpose, to show that the oracle notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The host executes each request twice.
    ExecuteTwice,
    /// The host sends each update as two messages.
    UpdateTwice,
    /// The host sends updates in the wrong order.
    UpdateOutOfOrder,
    /// The host never sends one of the updates that it says it has sent.
    LoseUpdate,
    /// The host executes what the server has refused.
    ExecuteRefused,
    /// The host does not mind in which order requests are to be done.
    OutOfTurn,
    /// The host's errors come from nowhere.
    StrangeError,
    /// The host answers a request with the answer to another one.
    SwapAnswers,
    /// The host never answers.
    NeverAnswer,
    /// A client's driver ends each request twice.
    EndTwice,
    /// A client takes more requests than its limits allow.
    Hoard,
    /// The host panics.
    Panic,
}

impl Sabotage {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::ExecuteTwice,
        Self::UpdateTwice,
        Self::UpdateOutOfOrder,
        Self::LoseUpdate,
        Self::ExecuteRefused,
        Self::OutOfTurn,
        Self::StrangeError,
        Self::SwapAnswers,
        Self::NeverAnswer,
        Self::EndTwice,
        Self::Hoard,
        Self::Panic,
    ];
}

/// Runs the world of a seed. A panic inside it is a [`Violation`] like any other.
pub fn run(seed: u64, options: &Options) -> Report {
    let mut world = World::new(seed, options);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let mut report = world.report();
    if let Err(payload) = outcome {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        report.violations.push(Violation::Panicked { message });
    }
    report
}

/// Which faults a failing run needs: takes out one kind after the other, and leaves out those without which the same promise is broken
/// still. The options to replay the run with, and its report; `None` if the run does not fail.
pub fn shrink(seed: u64, options: &Options) -> Option<(Options, Report)> {
    let mut best = run(seed, options);
    let promise = best.violations.first()?.name();
    let mut options = options.clone();
    let kinds: Vec<Fault> = best.figures.faults.keys().copied().collect();
    for kind in kinds {
        let fewer = Options { without: options.without.with(kind), ..options.clone() };
        let report = run(seed, &fewer);
        if report.violations.iter().any(|violation| violation.name() == promise) {
            (options, best) = (fewer, report);
        }
    }
    Some((options, best))
}
