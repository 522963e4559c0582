//! Server salts: which one to use now, and which ones are known for later.
//!
//! `future_salt#0949d9dc valid_since:int valid_until:int salt:long = FutureSalt`. See "Service Messages", Request for several future
//! salts. Salts belong to the authorization key, not to the session.

use rand::Rng;

use crate::ids::Salt;

/// A salt and the time for which it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FutureSalt {
    /// From when on, in the server's Unix time.
    pub since: i64,
    /// Until when.
    pub until: i64,
    /// The salt.
    pub salt: Salt,
}

impl FutureSalt {
    /// A salt of which only the value is known, as from the key exchange: good until the server says otherwise.
    pub const fn unlimited(salt: Salt) -> Self {
        Self { since: 0, until: i64::MAX, salt }
    }
}

/// How long a salt lasts, in seconds, when a server makes one or names one without saying how long: half an hour, and as much again
/// in which it is still accepted. See "Mobile Protocol: Detailed Description", Server Salt.
pub const SALT_LIFETIME_SECS: i64 = 3600;

/// The most salts that are kept: as many as may be asked for at once.
pub const MAX_SALTS: usize = 64;

/// The salts of one key, ordered by the time from which they are valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salts {
    list: Vec<FutureSalt>,
}

impl Salts {
    /// Takes salts in any order.
    pub fn new(salts: impl IntoIterator<Item = FutureSalt>) -> Self {
        let mut new = Self::default();
        new.replace(salts);
        new
    }

    /// All that are known.
    pub fn list(&self) -> &[FutureSalt] {
        &self.list
    }

    /// The salt to send with at `unix`: of those valid, the one that became valid last. If none is, the one that ended last.
    pub fn current(&self, unix: i64) -> Option<FutureSalt> {
        let valid = self.list.iter().rev().find(|salt| salt.since <= unix && unix < salt.until);
        valid.or_else(|| self.list.iter().max_by_key(|salt| salt.until)).copied()
    }

    /// Whether a message that carries `salt` is acceptable at `unix`.
    pub fn accepts(&self, salt: Salt, unix: i64) -> bool {
        self.list.iter().any(|known| known.salt == salt && known.since <= unix && unix < known.until)
    }

    /// How many become valid after `unix`.
    pub fn ahead(&self, unix: i64) -> usize {
        self.list.iter().filter(|salt| salt.since > unix).count()
    }

    /// Those still of use at `unix`, at most `count`.
    pub fn upcoming(&self, unix: i64, count: usize) -> Vec<FutureSalt> {
        self.list.iter().filter(|salt| salt.until > unix).take(count).copied().collect()
    }

    /// The server has named the salt to use from `unix` on. Those that should have been valid are forgotten.
    pub fn set_current(&mut self, salt: Salt, unix: i64) {
        if self.current(unix).is_some_and(|current| current.salt == salt && current.until > unix) {
            return;
        }
        self.list.retain(|known| known.since > unix);
        let until = unix.saturating_add(SALT_LIFETIME_SECS);
        self.list.insert(0, FutureSalt { since: unix.min(self.list.first().map_or(unix, |next| next.since)), until, salt });
        self.list.truncate(MAX_SALTS);
    }

    /// The server has announced its salts. The one in use stays as long as it is valid.
    pub fn announce(&mut self, salts: impl IntoIterator<Item = FutureSalt>, unix: i64) {
        let current = self.current(unix);
        let mut list: Vec<FutureSalt> = salts.into_iter().take(MAX_SALTS).filter(|salt| salt.until > unix).collect();
        if let Some(current) = current
            && !list.iter().any(|salt| salt.salt == current.salt)
        {
            // The announced list takes over where it begins.
            list.push(current);
        }
        self.replace(list);
    }

    /// Forgets what ended before `unix`, and draws new ones so that at least `count` are valid after it (for servers).
    pub fn extend(&mut self, unix: i64, count: usize, rng: &mut dyn Rng) {
        self.list.retain(|salt| salt.until > unix);
        while self.list.len() < count.clamp(1, MAX_SALTS) {
            // Each overlaps the next by half, so that a message under way at the change is still accepted.
            let since = self.list.last().map_or(unix, |last| last.until.saturating_sub(SALT_LIFETIME_SECS / 2));
            let salt = Salt(rng.next_u64().cast_signed());
            self.list.push(FutureSalt { since, until: since.saturating_add(SALT_LIFETIME_SECS), salt });
        }
    }

    fn replace(&mut self, salts: impl IntoIterator<Item = FutureSalt>) {
        self.list = salts.into_iter().take(MAX_SALTS + 1).collect();
        self.list.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn salt(since: i64, until: i64, salt: i64) -> FutureSalt {
        FutureSalt { since, until, salt: Salt(salt) }
    }

    #[test]
    fn the_one_that_became_valid_last_is_used() {
        let salts = Salts::new([salt(50, 150, 2), salt(0, 100, 1)]);
        let at = |unix| salts.current(unix).unwrap().salt.0;
        assert_eq!([at(0), at(49), at(50), at(120)], [1, 1, 2, 2]);
        assert_eq!(at(1000), 2, "an ended one is better than none");
        assert!(salts.accepts(Salt(1), 99) && !salts.accepts(Salt(1), 100) && !salts.accepts(Salt(2), 49));
        assert_eq!(Salts::default().current(0), None);
    }

    #[test]
    fn the_server_names_another() {
        let mut salts = Salts::new([FutureSalt::unlimited(Salt(1)), salt(500, 600, 2)]);
        salts.set_current(Salt(9), 100);
        assert_eq!(salts.current(100).unwrap().salt, Salt(9));
        assert_eq!(salts.current(500).unwrap().salt, Salt(2));
        let before = salts.clone();
        salts.set_current(Salt(9), 101);
        assert_eq!(salts, before);
    }

    #[test]
    fn announced_ones_take_over_in_time() {
        let mut salts = Salts::new([FutureSalt::unlimited(Salt(1))]);
        salts.announce([salt(200, 300, 3), salt(100, 200, 2)], 90);
        let at = |unix| salts.current(unix).unwrap().salt.0;
        assert_eq!([at(90), at(100), at(200)], [1, 2, 3]);
        assert_eq!((salts.ahead(90), salts.ahead(150)), (2, 1));
        assert_eq!(salts.upcoming(250, 8).len(), 2);
    }

    #[test]
    fn a_server_never_runs_out() {
        let mut rng = StdRng::from_seed([4; 32]);
        let mut salts = Salts::default();
        salts.extend(1000, 4, &mut rng);
        assert_eq!(salts.list().len(), 4);
        for unix in (1000..100_000).step_by(500) {
            salts.extend(unix, 4, &mut rng);
            let current = salts.current(unix).unwrap();
            assert!(salts.accepts(current.salt, unix), "{unix}");
        }
    }

    #[test]
    fn peers_cannot_fill_memory() {
        let mut salts = Salts::default();
        salts.announce((0..100_000).map(|n| salt(n, i64::MAX, n)), 0);
        assert!(salts.list().len() <= MAX_SALTS + 1);
    }
}
