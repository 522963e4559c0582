//! Work on the runtime's own threads, where the connections are: what comes over them need not be handed from thread to thread to be worked on.

use std::future::Future;

use tokio::task::JoinHandle;

/// Given up with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs `work` there, and returns what comes of it. Dropped, the work is given up as well: it ends a moment later, where it next waits for
/// something. A panic in it goes on here.
///
/// Needs a runtime. Nothing comes of it any more once that is being shut down.
pub(super) async fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut task = Task(tokio::spawn(work));
    match (&mut task.0).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_comes_of_it_is_returned() {
        assert_eq!(tokio::task::try_id(), None);
        assert!(run(async { tokio::task::try_id() }).await.is_some(), "it is a task of its own");
    }

    #[tokio::test]
    async fn whoever_stops_waiting_gives_it_up() {
        let held = Arc::new(());
        let work = {
            let held = Arc::clone(&held);
            async move {
                std::future::pending::<()>().await;
                drop(held);
            }
        };
        let mut waiting = Box::pin(run(work));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
        drop(waiting);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    #[should_panic(expected = "as it was")]
    async fn a_panic_goes_on() {
        run(async { panic!("as it was") }).await
    }
}
