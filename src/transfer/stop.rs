//! Asking a running transfer to end in good order: what is done gets recorded, nothing new is begun.

use tokio::sync::watch;

/// The side that asks.
pub struct Stopper {
    flag: watch::Sender<bool>,
}

/// The side that is asked. Cheap to clone.
#[derive(Clone)]
pub struct Stop {
    flag: watch::Receiver<bool>,
}

/// A stopper and what it stops.
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper { flag: sender }, Stop { flag: receiver })
}

impl Stopper {
    /// Asks every holder of the [`Stop`] to end.
    pub fn stop(&self) {
        self.flag.send_replace(true);
    }
}

impl Stop {
    /// Whether the request has been made.
    pub fn is_requested(&self) -> bool {
        *self.flag.borrow()
    }

    /// Returns when the request has been made; never, when the stopper is gone without having made it.
    pub async fn requested(&self) {
        let mut flag = self.flag.clone();
        if flag.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
