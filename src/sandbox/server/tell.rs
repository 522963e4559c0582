//! What is told without a call that caused it, or to keys that stand for nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tdl_core::clock::Now;
use tokio::sync::watch;

use super::work::{self, Services};
use crate::layers;
use crate::state;

type Shared = super::Shared<Services>;

/// How often a cluster looks for what operators in other processes have left.
const LOOK: Duration = Duration::from_millis(50);

/// Sends an update to the sessions of a key that want updates, to each in its own layer. Nobody need be logged in there: what comes of a
/// login token is told so.
pub(super) fn key(shared: &Shared, now: Now, (dc, key_id): (i32, i64), updates: &Bytes) {
    let mut said: HashMap<i32, Option<Bytes>> = HashMap::new();
    for slot in shared.sessions.all().iter().filter(|slot| slot.key.dc == dc) {
        let mut inner = slot.lock();
        if inner.calls.wants_updates && inner.calls.behind == key_id {
            let layer = inner.calls.layer.unwrap_or(layers::OWN_LAYER);
            let body = said.entry(layer).or_insert_with(|| layers::update(layer, updates.clone()));
            if let Some(body) = body {
                inner.push(now, body.clone());
            }
        }
    }
}

/// Tells what operators have left, until the cluster stops.
pub(crate) async fn operators(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut seen = None;
    loop {
        tokio::select! {
            () = super::told(&mut stop) => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        let looked = Arc::clone(&shared);
        // The database is waited for, so not on this thread.
        match tokio::task::spawn_blocking(move || look(&looked, seen)).await {
            Ok(Ok(found)) => seen = Some(found),
            Ok(Err(error)) => tracing::error!(%error, "what operators left could not be read"),
            Err(error) => tracing::error!(%error, "looking for what operators left"),
        }
    }
}

/// Looks whether another process has changed the state since, and tells what it left.
fn look(shared: &Shared, seen: Option<i64>) -> Result<i64, state::Error> {
    let changes = shared.state.foreign_changes()?;
    if seen != Some(changes) {
        for (user, updates) in shared.state.take_outbox()? {
            work::push(shared, shared.now(), user, &updates.into(), None);
        }
    }
    Ok(changes)
}
