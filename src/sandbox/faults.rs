//! What goes wrong on purpose while a cluster runs: rules that are set and taken back at run time.
//!
//! A rule says which calls it is about (methods by a pattern, an account, a DC), how many of them, and what happens to them. Several may
//! match: all of them happen, in the order in which they were set, and the first that answers the call ends it.
//!
//! A rule that is about some of its calls only counts them: the first few pass, then each n-th is met, or each with a chance. Chance follows
//! from the rule's seed and the call's number among those of the rule, so the same calls in the same order meet the same rules again.

mod chance;
mod effect;
#[cfg(test)]
mod tests;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use chance::Chance;
pub use effect::{FaultEffect, MAX_DELAY};

use effect::EFFECTS;

use super::fault::Fault;
use super::policy::{CallInfo, Disturbance, Policy};

/// The most rules at a time.
const MAX_RULES: usize = 256;
/// Bytes of an error's text, or of a pattern.
const MAX_TEXT: usize = 128;

/// Why the text of an effect, or a rule, is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// Not the name of an error and none of the other words.
    #[error("{0:?} is neither an error's name, such as FLOOD_WAIT_30, nor one of: {EFFECTS}")]
    Effect(String),
    /// A span of time that is none, or too long.
    #[error("a call is delayed by up to {} seconds, written 500ms, 2s or 1m; not by {given:?}", MAX_DELAY.as_secs())]
    Delay {
        /// What was written.
        given: String,
    },
    /// A pattern with characters that no method's name has.
    #[error("{0:?} is no pattern for the names of methods: upload.*, *.getState")]
    Pattern(String),
    /// A chance that is none.
    #[error("{0:?} is no chance: more than 0% and up to 100%, such as 1% or 0.05%")]
    Chance(String),
    /// Every how many, if not none.
    #[error("a rule meets every first call or every second, but not every zeroth")]
    Every,
    /// There is no room for more.
    #[error("there are {MAX_RULES} rules already")]
    TooMany,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// Its number, by which it is taken back; given when it is set.
    #[serde(default)]
    pub id: u32,
    /// What happens.
    pub effect: FaultEffect,
    /// To calls of which methods: a name in which `*` stands for anything.
    pub method: String,
    /// Of which account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<i64>,
    /// In which DC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dc: Option<i32>,
    /// How many calls it is still good for; all of them if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u32>,
    /// How many calls it has met.
    #[serde(default)]
    pub met: u64,
    /// How many calls it lets pass at first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skip: u64,
    /// Of those after that, it meets each with this number or a multiple of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u32>,
    /// Of those, it meets each with this chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<Chance>,
    /// What chance follows from.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seed: u64,
    /// How many calls it was about, whether it met them or not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seen: u64,
}

impl FaultRule {
    /// A rule for all calls of all methods.
    pub fn new(effect: FaultEffect) -> Self {
        let (user, dc, left, every, chance) = (None, None, None, None, None);
        Self { id: 0, effect, method: "*".to_owned(), user, dc, left, met: 0, skip: 0, every, chance, seed: 0, seen: 0 }
    }

    /// Counts a call that the rule is about, and says whether the rule meets it.
    fn meets(&mut self) -> bool {
        self.seen = self.seen.saturating_add(1);
        let Some(n) = self.seen.checked_sub(self.skip).filter(|n| *n > 0) else { return false };
        let met = self.every.is_none_or(|every| n % u64::from(every.max(1)) == 0)
            && self.chance.is_none_or(|chance| chance.happens(self.seed, n));
        if met {
            self.met = self.met.saturating_add(1);
            self.left = self.left.map(|left| left.saturating_sub(1));
        }
        met
    }

    fn matches(&self, call: &CallInfo) -> bool {
        self.left != Some(0)
            && self.user.is_none_or(|user| call.user == Some(user))
            && self.dc.is_none_or(|dc| dc == call.dc)
            && matches(&self.method, call.name)
    }
}

/// Whether a name matches a pattern in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at.saturating_add(part.len())..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[derive(Debug, Default)]
struct Inner {
    rules: Vec<FaultRule>,
    last_id: u32,
    /// Counts what ends delays: rules that are taken back.
    changes: u64,
    /// Nothing is delayed any more.
    stopped: bool,
}

/// The rules of a running cluster.
#[derive(Debug, Default)]
pub struct Faults {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a rule, and says which number it has.
    ///
    /// # Errors
    /// The pattern is none, or there are too many rules.
    pub fn set(&self, rule: FaultRule) -> Result<u32, FaultError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '*');
        if rule.method.is_empty() || rule.method.len() > MAX_TEXT || !rule.method.chars().all(legal) {
            return Err(FaultError::Pattern(rule.method));
        }
        if rule.every == Some(0) {
            return Err(FaultError::Every);
        }
        let mut inner = self.lock();
        if inner.rules.len() >= MAX_RULES {
            return Err(FaultError::TooMany);
        }
        inner.last_id = inner.last_id.saturating_add(1);
        let id = inner.last_id;
        inner.rules.push(FaultRule { id, met: 0, seen: 0, ..rule });
        Ok(id)
    }

    /// Takes rules back: those with these numbers, or all if there are none. Calls that are being delayed go on. How many rules they were.
    pub fn clear(&self, ids: &[u32]) -> usize {
        let mut inner = self.lock();
        let before = inner.rules.len();
        inner.rules.retain(|rule| !ids.is_empty() && !ids.contains(&rule.id));
        inner.changes = inner.changes.wrapping_add(1);
        self.changed.notify_all();
        before.saturating_sub(inner.rules.len())
    }

    /// The rules, oldest first; those that are used up as well.
    pub fn list(&self) -> Vec<FaultRule> {
        self.lock().rules.clone()
    }

    /// The cluster stops: what is being delayed goes on, and nothing is delayed from now on.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Holds the calling thread for a time, or until rules are taken back.
    pub(crate) fn pause(&self, span: Duration) {
        let started = Instant::now();
        let mut inner = self.lock();
        let changes = inner.changes;
        while inner.changes == changes && !inner.stopped {
            let Some(left) = span.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) else { break };
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Policy for Faults {
    fn disturb(&self, call: &CallInfo) -> Vec<Disturbance> {
        let mut out = Vec::new();
        for rule in self.lock().rules.iter_mut().filter(|rule| rule.matches(call)) {
            if !rule.meets() {
                continue;
            }
            let (disturbance, last) = match &rule.effect {
                FaultEffect::Error { code, text } => {
                    (Disturbance::Refuse(Fault::Provoked { code: *code, text: text.clone() }), true)
                }
                FaultEffect::Delay(span) => (Disturbance::Delay(*span), false),
                FaultEffect::Drop => (Disturbance::Close, false),
                FaultEffect::Silence => (Disturbance::Silence, true),
                FaultEffect::WrongSalt => (Disturbance::WrongSalt, false),
                FaultEffect::KeyLoss => (Disturbance::LoseKey, true),
                FaultEffect::Cut => (Disturbance::Cut, false),
                FaultEffect::Corrupt => (Disturbance::Corrupt, false),
                FaultEffect::Short => (Disturbance::Shorten, false),
                FaultEffect::Forget => (Disturbance::Forget, false),
                FaultEffect::Expire => (Disturbance::Expire, false),
                FaultEffect::Migrate(dc) => (Disturbance::Relocate(*dc), false),
            };
            out.push(disturbance);
            if last {
                break;
            }
        }
        out
    }
}
