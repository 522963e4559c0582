//! What goes wrong on purpose while a cluster runs: rules that are set and taken back at run time.
//!
//! A rule says which calls it is about (methods by a pattern, an account, a DC), how many of them, and what happens to them. Several may
//! match: all of them happen, in the order in which they were set, and the first that answers the call ends it.
//!
//! A rule that is about some of its calls only counts them: the first few pass, then each n-th is met, or each with a chance. Chance follows
//! from the rule's seed and the call's number among those of the rule, so the same calls in the same order meet the same rules again.

use std::fmt;
use std::str::FromStr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::policy::{CallInfo, Disturbance, Policy};

/// The longest that a call is delayed.
pub const MAX_DELAY: Duration = Duration::from_secs(600);
/// The most rules at a time.
const MAX_RULES: usize = 256;
/// The words that effects begin with, but for errors.
const EFFECTS: &str = "delay:2s drop cut silence wrong-salt key-loss corrupt short forget expire migrate:2";
/// Bytes of an error's text, or of a pattern.
const MAX_TEXT: usize = 128;

/// What happens to a call. Written as one word, which [`FromStr`] reads: the name of an error (`FLOOD_WAIT_30`, `SESSION_REVOKED`), or with
/// its code where that does not follow from the name (`500:NO_WORKERS_RUNNING`); `delay:2s`; `drop`, `cut`, `silence`, `wrong-salt`, `key-loss`;
/// of calls about files `corrupt`, `short`, `forget`, `expire`, `migrate` or `migrate:2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum FaultEffect {
    /// It is refused.
    Error {
        /// The code of `rpc_error`.
        code: i32,
        /// Its text.
        text: String,
    },
    /// It is answered later.
    Delay(Duration),
    /// Its connection is closed before the answer is written; the answer waits for the session's next connection.
    Drop,
    /// It is not done, and never answered.
    Silence,
    /// After it, the salts that the session's client knows are not good any more.
    WrongSalt,
    /// The key that it came under is forgotten.
    KeyLoss,
    /// Its connection is closed in the middle of the answer, which waits for the session's next connection.
    Cut,
    /// A bit is wrong in the range of a file that it brings, or in the hashes of one.
    Corrupt,
    /// Half of the range of a file is missing.
    Short,
    /// A part of an upload is not kept, though the answer says so; a CDN DC has lost the file that is asked for.
    Forget,
    /// The references of the file expire, all that were given out until now, those in this call included.
    Expire,
    /// The file is kept by another DC from now on: this one, or the next.
    Migrate(Option<i32>),
}

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

fn parse_delay(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let n: u64 = digits.parse().ok()?;
    let span = match text.get(digits.len()..)? {
        "ms" => Duration::from_millis(n),
        "s" | "" => Duration::from_secs(n),
        "m" => Duration::from_secs(n.checked_mul(60)?),
        _ => return None,
    };
    (span <= MAX_DELAY).then_some(span)
}

/// The code that the real servers send an error with, as far as it follows from the name.
fn code_of(name: &str) -> i32 {
    if let Some(code) = Fault::code_of(name) {
        return code;
    }
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() < name.len() {
        if stem.ends_with("_MIGRATE_") {
            return 303;
        }
        if stem.ends_with("_WAIT_") || stem.starts_with("FLOOD_") {
            return 420;
        }
    }
    400
}

impl FromStr for FaultEffect {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError::Effect(text.to_owned());
        match text {
            "drop" => return Ok(Self::Drop),
            "silence" => return Ok(Self::Silence),
            "wrong-salt" => return Ok(Self::WrongSalt),
            "key-loss" => return Ok(Self::KeyLoss),
            "cut" => return Ok(Self::Cut),
            "corrupt" => return Ok(Self::Corrupt),
            "short" => return Ok(Self::Short),
            "forget" => return Ok(Self::Forget),
            "expire" => return Ok(Self::Expire),
            "migrate" => return Ok(Self::Migrate(None)),
            _ => {}
        }
        if text.len() > MAX_TEXT {
            return Err(wrong());
        }
        if let Some((kind, value)) = text.split_once(':') {
            if kind == "delay" {
                return parse_delay(value).map(Self::Delay).ok_or_else(|| FaultError::Delay { given: value.to_owned() });
            }
            if kind == "migrate" {
                let dc = value.parse().ok().filter(|dc| *dc > 0);
                return dc.map(|dc| Self::Migrate(Some(dc))).ok_or_else(wrong);
            }
            let code: i32 = kind.parse().map_err(|_| wrong())?;
            let good = (-999..=999).contains(&code) && !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic());
            return if good { Ok(Self::Error { code, text: value.to_owned() }) } else { Err(wrong()) };
        }
        let good = text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if good { Ok(Self::Error { code: code_of(text), text: text.to_owned() }) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for FaultEffect {
    type Error = FaultError;

    fn try_from(text: String) -> Result<Self, FaultError> {
        text.parse()
    }
}

impl From<FaultEffect> for String {
    fn from(effect: FaultEffect) -> Self {
        effect.to_string()
    }
}

impl fmt::Display for FaultEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error { code, text } if code_of(text) == *code && text.parse::<Self>().is_ok() => f.write_str(text),
            Self::Error { code, text } => write!(f, "{code}:{text}"),
            Self::Delay(span) => write!(f, "delay:{}ms", span.as_millis()),
            Self::Drop => f.write_str("drop"),
            Self::Silence => f.write_str("silence"),
            Self::WrongSalt => f.write_str("wrong-salt"),
            Self::KeyLoss => f.write_str("key-loss"),
            Self::Cut => f.write_str("cut"),
            Self::Corrupt => f.write_str("corrupt"),
            Self::Short => f.write_str("short"),
            Self::Forget => f.write_str("forget"),
            Self::Expire => f.write_str("expire"),
            Self::Migrate(None) => f.write_str("migrate"),
            Self::Migrate(Some(dc)) => write!(f, "migrate:{dc}"),
        }
    }
}

/// How likely something is, in millionths. Written `1%` or `0.05%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Chance(u32);

impl Chance {
    const CERTAIN: u32 = 1_000_000;

    /// Whether it happens this time: the `n`-th time, of those that follow from `seed`.
    fn happens(self, seed: u64, n: u64) -> bool {
        // SplitMix64, whose every output depends on all bits of its input.
        let mut x = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % u64::from(Self::CERTAIN) < u64::from(self.0)
    }
}

impl FromStr for Chance {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError::Chance(text.to_owned());
        let percent = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || whole.len() > 3 || part.len() > 4 {
            return Err(wrong());
        }
        let (whole, part): (u32, u32) =
            (whole.parse().map_err(|_| wrong())?, format!("{part:0<4}").parse().map_err(|_| wrong())?);
        Some(whole * 10_000 + part).filter(|n| (1..=Self::CERTAIN).contains(n)).map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Chance {
    type Error = FaultError;

    fn try_from(text: String) -> Result<Self, FaultError> {
        text.parse()
    }
}

impl From<Chance> for String {
    fn from(chance: Chance) -> Self {
        chance.to_string()
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:04}", self.0 % 10_000);
        match part.trim_end_matches('0') {
            "" => write!(f, "{}%", self.0 / 10_000),
            part => write!(f, "{}.{part}%", self.0 / 10_000),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &'static str) -> CallInfo {
        CallInfo { dc: 2, user: Some(5), method: 1, name }
    }

    #[test]
    fn effects_are_one_word_and_come_back_from_it() {
        for (text, code) in [
            ("FLOOD_WAIT_30", 420),
            ("SLOWMODE_WAIT_5", 420),
            ("FLOOD_PREMIUM_WAIT_9", 420),
            ("USER_MIGRATE_3", 303),
            ("AUTH_KEY_DUPLICATED", 406),
            ("SESSION_REVOKED", 401),
            ("CHAT_ADMIN_REQUIRED", 400),
        ] {
            let effect: FaultEffect = text.parse().unwrap();
            assert_eq!(effect, FaultEffect::Error { code, text: text.to_owned() });
            assert_eq!(effect.to_string(), text);
        }
        for text in ["500:NO_WORKERS_RUNNING", "-503:Timeout", "drop", "silence", "wrong-salt", "key-loss", "delay:500ms"]
            .into_iter()
            .chain(["cut", "corrupt", "short", "forget", "expire", "migrate", "migrate:2"])
        {
            assert_eq!(text.parse::<FaultEffect>().unwrap().to_string(), text);
        }
        assert_eq!("delay:2s".parse(), Ok(FaultEffect::Delay(Duration::from_secs(2))));
        assert_eq!("delay:10m".parse(), Ok(FaultEffect::Delay(MAX_DELAY)));
        for wrong in ["delay:", "delay:11m", "delay:s", "delay:1h", "delay:-1s", "delay:99999999999999999999s"] {
            assert!(matches!(wrong.parse::<FaultEffect>(), Err(FaultError::Delay { .. })), "{wrong}");
        }
        for wrong in [
            "",
            "flood_wait",
            "1234:X",
            "400:",
            "400:A B",
            "x:Y",
            "_A",
            "É",
            "migrate:",
            "migrate:0",
            "cut:1",
            &"A".repeat(200),
        ] {
            assert!(matches!(wrong.parse::<FaultEffect>(), Err(FaultError::Effect(_))), "{wrong}");
        }
    }

    #[test]
    fn patterns_are_about_whole_names() {
        for (pattern, name, expected) in [
            ("*", "upload.getFile", true),
            ("upload.*", "upload.getFile", true),
            ("upload.*", "messages.getHistory", false),
            ("*.get*", "upload.getFile", true),
            ("*File", "upload.getFile", true),
            ("*File", "upload.getFileHashes", false),
            ("upload.getFile", "upload.getFileHashes", false),
            ("upload.getFile", "upload.getFile", true),
            ("a*a", "a", false),
            ("*a*b*", "xaxbx", true),
            ("*b*a*", "xaxbx", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_rule_is_about_its_calls_and_as_many_as_it_says() {
        let faults = Faults::default();
        let flood: FaultEffect = "FLOOD_WAIT_3".parse().unwrap();
        let rule = FaultRule::new(flood);
        let refused = |call: &CallInfo| match faults.disturb(call).as_slice() {
            [Disturbance::Refuse(fault)] => Some(fault.to_string()),
            [] => None,
            other => panic!("{other:?}"),
        };
        let id = faults.set(FaultRule { method: "upload.*".to_owned(), left: Some(2), ..rule.clone() }).unwrap();
        assert_eq!(refused(&call("messages.getHistory")), None);
        for _ in 0..2 {
            assert_eq!(refused(&call("upload.getFile")).as_deref(), Some("FLOOD_WAIT_3"));
        }
        assert_eq!(refused(&call("upload.getFile")), None, "used up");
        assert_eq!(
            faults.list()[0],
            FaultRule { id, method: "upload.*".to_owned(), left: Some(0), met: 2, seen: 2, ..rule.clone() }
        );
        for (user, dc, expected) in [(Some(6), None, false), (None, Some(1), false), (Some(5), Some(2), true)] {
            assert_eq!(faults.clear(&[]), 1);
            faults.set(FaultRule { user, dc, ..rule.clone() }).unwrap();
            assert_eq!(refused(&call("help.getConfig")).is_some(), expected);
        }
        assert_eq!(faults.clear(&[id]), 0, "it was taken back before");
        for method in ["", "a b", "a\n", &"a".repeat(200)] {
            let wrong = FaultRule { method: method.to_owned(), ..rule.clone() };
            assert!(matches!(faults.set(wrong), Err(FaultError::Pattern(_))));
        }
        while faults.list().len() < MAX_RULES {
            faults.set(rule.clone()).unwrap();
        }
        assert_eq!(faults.set(rule), Err(FaultError::TooMany));
    }

    #[test]
    fn chances_are_percents() {
        for text in ["1%", "100%", "0.5%", "0.0001%", "33.3333%", "12.05%"] {
            assert_eq!(text.parse::<Chance>().unwrap().to_string(), text);
        }
        assert_eq!("007.10%".parse::<Chance>().unwrap().to_string(), "7.1%");
        for wrong in ["", "%", "1", "0%", "0.0%", "100.0001%", "101%", "-1%", "1.%", ".5%", "1.00001%", "1e1%", "1 %", "9999%"]
        {
            assert_eq!(wrong.parse::<Chance>(), Err(FaultError::Chance(wrong.to_owned())), "{wrong}");
        }
    }

    #[test]
    fn a_rule_about_some_of_its_calls_meets_the_same_ones_again() {
        let met = |rule: &FaultRule| -> Vec<usize> {
            let faults = Faults::default();
            faults.set(rule.clone()).unwrap();
            (1..=10_000).filter(|_| !faults.disturb(&call("upload.getFile")).is_empty()).collect()
        };
        let rule = FaultRule::new(FaultEffect::Drop);
        let third = FaultRule { skip: 5, every: Some(3), left: Some(4), ..rule.clone() };
        assert_eq!(met(&third), [8, 11, 14, 17]);
        let chance = |text: &str, seed| FaultRule { chance: Some(text.parse().unwrap()), seed, ..rule.clone() };
        for seed in 0..20 {
            let found = met(&chance("1%", seed));
            assert!((50..=160).contains(&found.len()), "seed {seed}: {}", found.len());
            assert_eq!(found, met(&chance("1%", seed)), "seed {seed}");
            assert_ne!(found, met(&chance("1%", seed + 1)), "seed {seed}");
        }
        assert_eq!(met(&chance("100%", 1)).len(), 10_000);
        assert_eq!(Faults::default().set(FaultRule { every: Some(0), ..rule }), Err(FaultError::Every));
    }

    #[test]
    fn several_rules_happen_in_turn_and_an_answer_is_the_last() {
        let faults = Faults::default();
        for effect in ["delay:1ms", "drop", "SESSION_REVOKED", "wrong-salt"] {
            faults.set(FaultRule::new(effect.parse().unwrap())).unwrap();
        }
        let happens = faults.disturb(&call("help.getConfig"));
        assert!(
            matches!(happens.as_slice(), [Disturbance::Delay(_), Disturbance::Close, Disturbance::Refuse(_)]),
            "{happens:?}"
        );
    }

    #[test]
    fn a_delay_ends_when_the_rules_are_taken_back() {
        let faults = std::sync::Arc::new(Faults::default());
        let held = {
            let faults = std::sync::Arc::clone(&faults);
            std::thread::spawn(move || faults.pause(Duration::from_secs(3600)))
        };
        // Until the thread has begun to wait, it does not see the change: so again and again.
        while !held.is_finished() {
            faults.clear(&[]);
            std::thread::yield_now();
        }
        held.join().unwrap();
        faults.pause(Duration::ZERO);
    }
}
