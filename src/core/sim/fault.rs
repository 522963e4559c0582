//! What can go wrong in a simulated world, by name.

use std::{fmt, str::FromStr, time::Duration};

use super::dice::Dice;

/// When a kind of fault may strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// At a frame, of either side or of one.
    Frame,
    /// At moments that the plan names.
    Moment,
    /// At an attempt to connect.
    Dial,
    /// At a request that the host works on.
    Request,
    /// Over the whole run.
    Run,
}

macro_rules! faults {
    ($($name:ident $text:literal $when:ident: $doc:literal;)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $(#[doc = $doc] $name,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name that options and figures use.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub(super) const fn when(self) -> When {
                match self { $(Self::$name => When::$when,)* }
            }
        }
    };
}

faults! {
    // The network, as bytes.
    Refused "refused" Dial: "A connection is not accepted, or not in time.";
    Cut "cut" Moment: "A connection ends; what is under way is lost.";
    CutInside "cut-inside" Frame: "A connection ends after any byte of a frame.";
    HalfOpen "half-open" Moment: "A connection carries nothing any more, and nobody is told.";
    Stall "stall" Frame: "Bytes take up to half a minute.";
    Corrupt "corrupt" Frame: "A bit of a frame is turned over.";
    LengthLie "length-lie" Frame: "The first bytes of a frame, where lengths are, are altered.";
    // The network, as frames: what somebody can do who carries them without reading them.
    Swallow "swallow" Frame: "A frame is lost and the connection goes on.";
    Duplicate "duplicate" Frame: "A frame comes twice.";
    Replay "replay" Moment: "A frame of earlier, perhaps of another connection, comes again.";
    Reorder "reorder" Frame: "A frame comes after the next one, or two seconds late.";
    Truncate "truncate" Frame: "A frame is shorter than it was.";
    Inject "inject" Moment: "A frame of random bytes comes, to either side.";
    // Clocks.
    Drift "drift" Run: "Clocks run fast or slow by up to two percent, and are wrong from the start.";
    ClientLeap "client-leap" Moment: "A client's wall clock leaps.";
    ServerLeap "server-leap" Moment: "The server's wall clock leaps.";
    Sleep "sleep" Moment: "A client's machine sleeps: its monotonic clock stands still, its wall clock goes on.";
    // The server, refusing what it should take. It does not act on what it refuses.
    BadMsg16 "bad-msg-16" Frame: "Identifier too low.";
    BadMsg17 "bad-msg-17" Frame: "Identifier too high.";
    BadMsg18 "bad-msg-18" Frame: "Identifier of the wrong side.";
    BadMsg19 "bad-msg-19" Frame: "Container with a known identifier.";
    BadMsg20 "bad-msg-20" Frame: "Message too old.";
    BadMsg32 "bad-msg-32" Frame: "Sequence number too low.";
    BadMsg33 "bad-msg-33" Frame: "Sequence number too high.";
    BadMsg34 "bad-msg-34" Frame: "Sequence number should be even.";
    BadMsg35 "bad-msg-35" Frame: "Sequence number should be odd.";
    BadMsg48 "bad-msg-48" Frame: "Wrong salt, and the salt that it names is wrong, too.";
    BadMsg64 "bad-msg-64" Frame: "Invalid container.";
    BadMsgOther "bad-msg-other" Frame: "A code that is on no page.";
    BadMsgUnknown "bad-msg-unknown" Moment: "A refusal of a message that was never sent.";
    // The server, forgetting.
    SaltChange "salt-change" Moment: "All salts are new.";
    KeyForgotten "key-forgotten" Moment: "The server does not know a key any more.";
    SessionForgotten "session-forgotten" Moment: "The server does not know a session any more.";
    Error404 "error-404" Moment: "Transport error 404 without reason, and the connection ends.";
    Error429 "error-429" Moment: "Transport error 429 without reason, and the connection ends.";
    Error444 "error-444" Moment: "Transport error 444 without reason, and the connection ends.";
    // The server, answering.
    FloodWait "flood-wait" Request: "FLOOD_WAIT instead of an answer.";
    Internal "internal" Request: "An error of the 500s instead of an answer.";
    Slow "slow" Request: "An answer takes up to a minute and a half.";
    LostAnswer "lost-answer" Frame: "An answer is not sent.";
    DuplicateAnswer "duplicate-answer" Frame: "An answer that has come is followed by another one to the same request, with other content.";
    DuplicateUpdate "duplicate-update" Frame: "An update is sent again under the identifier that it had, in a container.";
    DetailedInfo "detailed-info" Frame: "In place of an answer the client is told that there is one.";
    // The server, talking nonsense.
    NewSession "new-session" Moment: "new_session_created out of the blue, true or not.";
    WrongTime "wrong-time" Moment: "A message of another hour.";
    WrongSeqNo "wrong-seq-no" Moment: "An acknowledgement or a container that demands to be acknowledged.";
    WrongParity "wrong-parity" Moment: "A message with a client's identifier.";
    WrongSession "wrong-session" Moment: "A message of another session.";
    WrongRole "wrong-role" Moment: "A service message that only clients send.";
    GzipBomb "gzip-bomb" Moment: "A packed object that unpacks to more than is allowed.";
    GzipDamaged "gzip-damaged" Moment: "A packed object that cannot be unpacked, or holds what must not be packed.";
    NestedContainer "nested-container" Moment: "A container in a container.";
    InnerLength "inner-length" Moment: "A container that lies about lengths and counts.";
    IdListLie "id-list-lie" Moment: "A list of identifiers that is longer than allowed, or than what follows.";
    Malformed "malformed" Moment: "A service message that ends early or too late.";
    StateLie "state-lie" Moment: "States that nobody asked for, or in another number.";
    AckLie "ack-lie" Moment: "Acknowledgements of what was not received.";
    InfoLie "info-lie" Moment: "msg_detailed_info and msg_new_detailed_info about what does not exist.";
    AskBack "ask-back" Moment: "Questions that servers seldom ask: ping, msgs_state_req, msg_resend_req.";
    CopyLie "copy-lie" Moment: "msg_copy of an update, of a container, of the future.";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no kind of fault")]
pub struct UnknownFault {
    /// The word.
    pub found: String,
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name).ok_or_else(|| UnknownFault { found: name.to_owned() })
    }
}

/// Some kinds of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSet(u128);

impl FaultSet {
    /// No kind.
    pub const NONE: Self = Self(0);

    /// The same with one more.
    #[must_use]
    pub const fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u32)
    }

    /// Whether a kind is among them.
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 >> fault as u32 & 1 == 1
    }

    /// Those among them.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.iter().copied().filter(move |fault| self.contains(*fault))
    }
}

impl FromIterator<Fault> for FaultSet {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        faults.into_iter().fold(Self::NONE, Self::with)
    }
}

/// Which kinds a run has, how often they strike, and how often they did.
pub(super) struct Faults {
    /// For each kind, how often it strikes in ten thousand chances; for [`When::Moment`], how often in all.
    rates: [u32; Fault::ALL.len()],
    without: FaultSet,
    /// Faults have stopped.
    over: bool,
    dice: Dice,
    pub(super) struck: [u64; Fault::ALL.len()],
}

impl Faults {
    /// Draws a run's faults. One run in sixteen has none.
    pub(super) fn draw(seed: u64, without: FaultSet, rough: bool) -> Self {
        let mut dice = Dice::new(seed, 0xfa01);
        let mut rates = [0; Fault::ALL.len()];
        let likely = if dice.below(16) == 0 { 0 } else { dice.pick([500, 1500, 3500]) };
        for (rate, fault) in rates.iter_mut().zip(Fault::ALL) {
            if !dice.chance(likely) {
                continue;
            }
            *rate = match fault.when() {
                When::Frame => dice.pick([30, 100, 400]),
                When::Moment => dice.pick([1, 1, 2, 4]) * if rough { 2 } else { 1 },
                When::Dial => dice.pick([500, 2000, 5000]),
                When::Request => dice.pick([300, 1000, 3000]),
                When::Run => 1,
            };
        }
        Self { rates, without, over: false, dice, struck: [0; Fault::ALL.len()] }
    }

    /// Whether the run was meant to have none at all.
    pub(super) fn are_none(&self) -> bool {
        Fault::ALL.iter().zip(self.rates).all(|(fault, rate)| rate == 0 || self.without.contains(*fault))
    }

    /// From now on nothing goes wrong.
    pub(super) fn stop(&mut self) {
        self.over = true;
    }

    /// Whether the run has this kind.
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.rates[fault as usize] > 0 && !self.without.contains(fault)
    }

    /// Whether it strikes now. Counts it.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        let rate = self.rates[fault as usize];
        // The dice are thrown for kinds that were taken out, too: the others are to strike where they did.
        let hit = rate > 0 && !self.over && self.dice.chance(rate) && !self.without.contains(fault);
        self.struck[fault as usize] += u64::from(hit);
        hit
    }

    /// Counts a fault that strikes by plan, unless it was taken out.
    pub(super) fn planned(&mut self, fault: Fault) -> bool {
        let hit = !self.over && !self.without.contains(fault);
        self.struck[fault as usize] += u64::from(hit);
        hit
    }

    /// The moments of the kinds that have moments, within the first `length` of a run.
    pub(super) fn moments(&mut self, length: Duration) -> Vec<(Duration, Fault)> {
        let mut moments = Vec::new();
        for fault in Fault::ALL.iter().filter(|fault| fault.when() == When::Moment) {
            for _ in 0..self.rates[*fault as usize] {
                moments.push((self.dice.between(Duration::ZERO, length), *fault));
            }
        }
        moments
    }

    /// The details of a fault.
    pub(super) fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        assert!(Fault::ALL.len() < 128, "a set has room for 128");
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(*fault));
            assert_eq!(FaultSet::NONE.with(*fault).iter().collect::<Vec<_>>(), [*fault]);
        }
        assert_eq!("rain".parse::<Fault>(), Err(UnknownFault { found: "rain".into() }));
    }

    #[test]
    fn what_is_taken_out_or_over_does_not_strike() {
        let all: FaultSet = Fault::ALL.iter().copied().collect();
        for seed in 0..50 {
            let mut faults = Faults::draw(seed, all, false);
            assert!(faults.are_none());
            assert!(!Fault::ALL.iter().any(|fault| faults.strikes(*fault) || faults.planned(*fault)));
            let mut faults = Faults::draw(seed, FaultSet::NONE, false);
            faults.stop();
            assert!((0..1000).all(|_| !Fault::ALL.iter().any(|fault| faults.strikes(*fault))));
        }
    }
}
