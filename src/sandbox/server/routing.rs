//! Who is told of an update, and in which layer.
//!
//! As on the real servers, an update goes to at most [`MOST_SESSIONS`] of an account's sessions: those that were active last, and of
//! each authorization (the permanent key, where temporary ones are bound to it) the one that was active last. A call moves a session's
//! mark; methods for file contents, the binding of a key and whatever is wrapped in `invokeWithoutUpdates` do not. Who is left out finds the update with
//! `updates.getDifference`.
//!
//! It is said in the layer of the authorization as it is at that moment, whoever named it: a session that shares its key with a
//! client of another layer gets what it did not ask for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::sessions::{self, SessionKey};
use super::work::Services;
use crate::layers;
use tdl_core::clock::Now;

/// Sessions of an account that are told of an update.
pub(super) const MOST_SESSIONS: usize = 10;

/// A session that could be told.
struct Candidate<T> {
    /// The DC and permanent key of its authorization.
    authorization: (i32, i64),
    /// When it was active last, as a count.
    mark: u64,
    session: T,
}

/// Of each authorization the session that was active last, and of those the ones that were active last.
fn choose<T>(mut candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    candidates.sort_unstable_by_key(|candidate| std::cmp::Reverse(candidate.mark));
    let mut seen = HashSet::new();
    candidates.retain(|candidate| seen.insert(candidate.authorization));
    candidates.truncate(MOST_SESSIONS);
    candidates
}

/// Sends an update to an account's sessions. The one that caused it takes its place among them, but has its answer instead.
pub(super) fn push(shared: &super::Shared<Services>, now: Now, user: i64, updates: &Bytes, cause: Option<SessionKey>) {
    let candidates = shared.sessions.all().into_iter().filter_map(|slot| {
        let (mark, behind) = {
            let inner = slot.lock();
            let wants = inner.calls.mark > 0 && inner.calls.user == Some(user);
            wants.then_some((inner.calls.mark, inner.calls.behind))?
        };
        Some(Candidate { authorization: (slot.key.dc, behind), mark, session: slot })
    });
    let mut said: HashMap<i32, Option<Bytes>> = HashMap::new();
    for Candidate { authorization: (dc, key_id), session, .. } in choose(candidates.collect()) {
        if Some(session.key) == cause {
            continue;
        }
        let auth = match shared.state.auth(dc, key_id) {
            Ok(Some(auth)) if auth.user == Some(user) => auth,
            // It has ended in the meantime.
            Ok(_) => continue,
            Err(error) => {
                tracing::error!(%error, "update not pushed");
                continue;
            }
        };
        let layer = auth.layer.filter(|layer| layers::is_spoken(*layer)).unwrap_or(layers::OWN_LAYER);
        if let Some(body) = said.entry(layer).or_insert_with(|| layers::update(layer, updates.clone())) {
            tell(&session, now, body.clone());
        }
    }
}

/// Sends an update to that session of a key that was active last, whoever is logged in with it: what comes of a login token is told to a
/// key that stands for nobody.
pub(super) fn push_to_key(shared: &super::Shared<Services>, now: Now, (dc, key_id): (i32, i64), updates: &Bytes) {
    let of_key = |slot: Arc<sessions::Slot<Services>>| {
        let mark = {
            let inner = slot.lock();
            (slot.key.dc == dc && inner.calls.behind == key_id && inner.calls.mark > 0).then_some(inner.calls.mark)?
        };
        Some((mark, slot))
    };
    let Some((_, session)) = shared.sessions.all().into_iter().filter_map(of_key).max_by_key(|found| found.0) else { return };
    match shared.state.auth(dc, key_id) {
        Ok(auth) => {
            let layer = auth.and_then(|auth| auth.layer).filter(|layer| layers::is_spoken(*layer)).unwrap_or(layers::OWN_LAYER);
            if let Some(body) = layers::update(layer, updates.clone()) {
                tell(&session, now, body);
            }
        }
        Err(error) => tracing::error!(%error, "update not pushed"),
    }
}

fn tell(session: &Arc<sessions::Slot<Services>>, now: Now, body: Bytes) {
    session.lock().push(now, body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(key: i64, mark: u64) -> Candidate<u64> {
        Candidate { authorization: (1, key), mark, session: mark }
    }

    #[test]
    fn of_each_authorization_the_session_that_was_active_last() {
        let chosen = choose(vec![candidate(1, 3), candidate(2, 1), candidate(1, 5), candidate(2, 4), candidate(1, 2)]);
        assert_eq!(chosen.iter().map(|c| c.session).collect::<Vec<_>>(), [5, 4]);
        // The same number in another DC is another key.
        let other = Candidate { authorization: (2, 1), ..candidate(1, 1) };
        assert_eq!(choose(vec![candidate(1, 3), other]).len(), 2);
    }

    #[test]
    fn not_more_than_ten() {
        let chosen = choose((1..=30).map(|n| candidate(i64::try_from(n).unwrap() % 15, n)).collect());
        assert_eq!(chosen.iter().map(|c| c.session).collect::<Vec<_>>(), (21..=30).rev().collect::<Vec<_>>());
    }
}
