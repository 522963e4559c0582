//! Ctrl-C, SIGTERM and SIGHUP: save state, end with code 130.
//!
//! By default a signal drops the command where it stands: what it has reported is committed already. A command that has more to save calls
//! [`Interrupt::take_over`] and watches [`Interrupt::wait`] itself; it then has [`GRACE`] to return. A second signal ends the process at
//! once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::exit::ExitCode;

/// How long a command that took over may take to save its state.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// Tells whether the process was asked to end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    asked: watch::Receiver<bool>,
    taken_over: Arc<AtomicBool>,
}

impl Interrupt {
    /// Starts to listen. Needs a runtime.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let (sender, asked) = watch::channel(false);
        let mut signals = platform::Signals::new()?;
        tokio::spawn(async move {
            signals.next().await;
            let _ = sender.send(true);
            signals.next().await;
            // Twice is an order. What was reported is on the disk.
            std::process::exit(ExitCode::Interrupted as i32);
        });
        Ok(Self { asked, taken_over: Arc::new(AtomicBool::new(false)) })
    }

    /// Returns once the process was asked to end.
    pub(crate) async fn wait(&self) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            // The listener is gone: no signal can come any more.
            std::future::pending::<()>().await;
        }
    }

    /// From now on the command itself ends upon a signal.
    pub(crate) fn take_over(&self) {
        self.taken_over.store(true, Ordering::Relaxed);
    }

    /// Whether the command ends itself.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.taken_over.load(Ordering::Relaxed)
    }
}

#[cfg(unix)]
mod platform {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(super) struct Signals {
        all: [Signal; 3],
    }

    impl Signals {
        pub(super) fn new() -> std::io::Result<Self> {
            Ok(Self {
                all: [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?],
            })
        }

        pub(super) async fn next(&mut self) {
            let [interrupt, terminate, hangup] = &mut self.all;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }
    }
}

#[cfg(windows)]
mod platform {
    use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

    pub(super) struct Signals {
        c: CtrlC,
        stop: CtrlBreak,
        close: CtrlClose,
    }

    impl Signals {
        pub(super) fn new() -> std::io::Result<Self> {
            Ok(Self { c: ctrl_c()?, stop: ctrl_break()?, close: ctrl_close()? })
        }

        pub(super) async fn next(&mut self) {
            tokio::select! {
                _ = self.c.recv() => {}
                _ = self.stop.recv() => {}
                _ = self.close.recv() => {}
            }
        }
    }
}
