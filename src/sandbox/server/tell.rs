//! What is told without a call that caused it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::routing;
use super::work::Services;
use crate::state;

type Shared = super::Shared<Services>;

/// How often a cluster looks for what operators in other processes have left.
const LOOK: Duration = Duration::from_millis(50);

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
            routing::push(shared, shared.now(), user, &updates.into(), None);
        }
    }
    Ok(changes)
}
