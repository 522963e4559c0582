//! Pings: when they are sent, how long their answers are waited for, and what the round trip teaches.
//!
//! See "Service Messages", Deferred Connection Closure + PING. The estimate is that of RFC 6298.

use std::time::Duration;

use super::Client;
use crate::{
    clock::Now,
    mtproto::session::{
        core::Core,
        event::{DeathCause, Event},
        params::PingPolicy,
        timer::Timer,
    },
    trace,
};

/// The least time for which a pong is waited.
const LEAST_PATIENCE: Duration = Duration::from_secs(6);

/// The least silence after which a request under way makes us ping.
const LEAST_SILENCE: Duration = Duration::from_secs(5);

/// The slowest connection that is waited for, in bytes a second: what we have written and heard nothing of may have to pass it before the
/// ping does.
const SLOWEST: u64 = 32 << 10;

/// The most that is waited for the sake of [`SLOWEST`].
const LONGEST_PASSAGE: Duration = Duration::from_secs(60);

/// On slow connections a pong is waited for longer than the policy says, up to this many times as long.
const STRETCH: u32 = 4;

/// The round trip, as measured by pings: its mean and its variation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rtt {
    measured: Option<(Duration, Duration)>,
}

impl Rtt {
    pub(super) fn observe(&mut self, sample: Duration) {
        self.measured = Some(match self.measured {
            None => (sample, sample / 2),
            Some((mean, variation)) => ((mean * 7 + sample) / 8, (variation * 3 + mean.abs_diff(sample)) / 4),
        });
    }

    pub(super) fn mean(&self) -> Option<Duration> {
        self.measured.map(|(mean, _)| mean)
    }

    /// What the next one will hardly exceed.
    fn bound(&self) -> Option<Duration> {
        self.measured.map(|(mean, variation)| mean.saturating_add(variation.saturating_mul(4)))
    }
}

pub(super) struct Ping {
    pub(super) policy: PingPolicy,
    pub(super) last_id: i64,
    pub(super) last_sent: Duration,
    pub(super) due: bool,
    pub(super) rtt: Rtt,
    /// The ping that is under way.
    awaited: Option<(i64, Duration)>,
    /// Pings since the last request that only silence had caused.
    impatience: u32,
    /// Bytes written since something was last heard.
    unheard: u64,
}

impl Ping {
    pub(super) fn new(policy: PingPolicy) -> Self {
        Self {
            policy,
            last_id: 0,
            last_sent: Duration::ZERO,
            due: false,
            rtt: Rtt::default(),
            awaited: None,
            impatience: 0,
            unheard: 0,
        }
    }

    pub(super) fn connection_lost(&mut self) {
        self.due = false;
        self.awaited = None;
        self.impatience = 0;
        self.unheard = 0;
        // The next connection may take another way.
        self.rtt = Rtt::default();
    }

    pub(super) fn sent(&mut self, ping_id: i64, mono: Duration) {
        self.due = false;
        self.last_id = ping_id;
        self.last_sent = mono;
        self.awaited = Some((ping_id, mono));
    }

    /// How long after a ping something has to be heard.
    pub(super) fn patience(&self) -> Duration {
        self.patience_when_idle().saturating_add(self.passage())
    }

    fn patience_when_idle(&self) -> Duration {
        let most = self.policy.patience;
        match self.rtt.bound() {
            Some(bound) => bound.saturating_mul(4).clamp(LEAST_PATIENCE.min(most), most.saturating_mul(STRETCH)),
            None => most,
        }
    }

    /// How long what was written may take to get through: a file part on a slow line is no silence.
    fn passage(&self) -> Duration {
        Duration::from_millis(self.unheard.saturating_mul(1000) / SLOWEST).min(LONGEST_PASSAGE)
    }

    /// After how many seconds without a ping the server is asked to close the connection: the time until the next one, and as long again
    /// as we wait for its answer.
    pub(super) fn disconnect_delay(&self) -> u64 {
        let delay = match self.rtt.bound() {
            Some(_) => self.policy.interval.saturating_add(self.patience_when_idle()),
            None => self.policy.disconnect_delay,
        };
        delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
    }

    /// How long a request under way may go with nothing heard before a ping asks for a sign of life.
    fn silence(&self, most: Duration) -> Duration {
        let first = match self.rtt.bound() {
            Some(bound) => bound.saturating_mul(4).clamp(LEAST_SILENCE.min(most), most),
            None => most,
        };
        // A request that runs long is no reason to ping all the time.
        first.saturating_mul(1 << self.impatience.min(4)).min(self.policy.interval).saturating_add(self.passage())
    }
}

impl Client {
    /// Somebody wants to know at once.
    pub(in super::super) fn ping_now(&mut self, core: &mut Core) {
        self.ping.due |= self.ping.awaited.is_none();
        core.hurry |= self.ping.due;
    }

    /// A request is sent: a sign of life is to be expected.
    pub(super) fn expect_sound(&mut self, core: &mut Core, now: Now) {
        self.ping.impatience = 0;
        core.timers.start(Timer::Silence, now.mono.saturating_add(self.ping.silence(core.limits.state_check)));
    }

    /// So many bytes were written.
    pub(in super::super) fn wrote(&mut self, bytes: usize) {
        self.ping.unheard = self.ping.unheard.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Something was heard of the server. That lets the ping's answer take longer, but not for ever: what answers no ping is dead,
    /// whatever it says.
    pub(in super::super) fn heard(&mut self, core: &mut Core, now: Now) {
        self.heard = true;
        self.ping.unheard = 0;
        if let Some((_, sent)) = self.ping.awaited {
            let patience = self.ping.patience();
            let last = sent.saturating_add(patience.saturating_mul(STRETCH));
            core.timers.set(Timer::PingTimeout, now.mono.saturating_add(patience).min(last));
        }
        core.timers.stop(Timer::Silence);
        if !self.requests.is_empty() {
            core.timers.set(Timer::Silence, now.mono.saturating_add(self.ping.silence(core.limits.state_check)));
        }
    }

    /// `pong#347773c5 msg_id:long ping_id:long`, in a message written at the server's time `unix`.
    pub(super) fn handle_pong(&mut self, core: &mut Core, now: Now, ping_id: i64, unix: i64) {
        let Some((_, sent)) = self.ping.awaited.take_if(|(awaited, _)| *awaited == ping_id) else { return };
        core.timers.stop(Timer::PingTimeout);
        let rtt = now.mono.saturating_sub(sent);
        self.ping.rtt.observe(rtt);
        core.tracer.emit(now, || trace::Event::Pong { ping_id, rtt: trace::micros(rtt) });
        // It was written within this round trip: the only message of which we know when.
        if core.clock.correct(now, unix, rtt) {
            core.report_offset(now);
        }
    }

    /// Nothing has been heard for long, though something should.
    pub(super) fn handle_silence(&mut self, core: &mut Core) {
        if self.requests.values().any(|request| request.phase != super::request::Phase::Queued) {
            self.ping.due |= self.ping.awaited.is_none();
            self.ping.impatience += 1;
        }
        core.hurry |= self.ping.due;
    }

    /// No pong has come.
    pub(super) fn handle_ping_timeout(&mut self, core: &mut Core, now: Now) {
        core.timers.stop(Timer::Ping);
        let sent = self.ping.awaited.map_or(now.mono, |(_, sent)| sent);
        let seconds = now.mono.saturating_sub(sent).as_secs();
        core.events.push(Event::ConnectionDead(DeathCause::PingTimeout { seconds }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(samples: &[u64]) -> Ping {
        let mut ping = Ping::new(PingPolicy::default());
        for sample in samples {
            ping.rtt.observe(Duration::from_millis(*sample));
        }
        ping
    }

    #[test]
    fn the_estimate_follows_the_samples() {
        let ping = after(&[100; 50]);
        assert_eq!(ping.rtt.mean(), Some(Duration::from_millis(100)));
        assert!(ping.rtt.bound().unwrap() < Duration::from_millis(101));
        let jumpy = after(&[50, 150, 50, 150, 50, 150, 50, 150]);
        assert!(jumpy.rtt.bound().unwrap() > Duration::from_millis(200));
    }

    #[test]
    fn patience_and_delay_follow_the_round_trip() {
        let policy = PingPolicy::default();
        assert_eq!((after(&[]).patience(), after(&[]).disconnect_delay()), (policy.patience, 75));
        assert_eq!((after(&[100; 9]).patience(), after(&[100; 9]).disconnect_delay()), (LEAST_PATIENCE, 66));
        let slow = after(&[2000; 90]);
        assert!((8..=9).contains(&slow.patience().as_secs()), "{:?}", slow.patience());
        assert!((68..=69).contains(&slow.disconnect_delay()));
        let awful = after(&[60_000; 9]);
        assert_eq!((awful.patience(), awful.disconnect_delay()), (policy.patience * 4, 120));
    }

    #[test]
    fn what_was_written_is_given_time_to_pass() {
        let mut ping = after(&[100; 9]);
        ping.unheard = 512 << 10;
        assert_eq!(ping.patience(), LEAST_PATIENCE + Duration::from_secs(16));
        ping.unheard = u64::MAX;
        assert_eq!(ping.patience(), LEAST_PATIENCE + LONGEST_PASSAGE);
        assert_eq!(ping.disconnect_delay(), 66);
    }

    #[test]
    fn silence_is_borne_longer_the_longer_a_request_runs() {
        let mut ping = after(&[100; 9]);
        let most = Duration::from_secs(15);
        let borne: Vec<u64> = (0..6)
            .map(|impatience| {
                ping.impatience = impatience;
                ping.silence(most).as_secs()
            })
            .collect();
        assert_eq!(borne, [5, 10, 20, 40, 60, 60]);
    }
}
