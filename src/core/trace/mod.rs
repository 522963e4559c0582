//! What can be observed of the protocol, as plain values, and the observer through which the lower floors report it.
//!
//! * [`event`]: [`Event`], the [`Layer`] each event belongs to, and the [`Record`] that carries one with its time and connection.
//! * [`layers`]: [`LayerSet`], what `--trace=WHAT` selects.
//! * [`call`]: calls into sessions, for recordings.
//! * [`counters`]: the counters of updates, out of their bytes.
//! * [`collect`]: [`Collector`], an observer for tests.
//! * here: [`Tracer`], the handle that the floors hold, and [`Observer`], what stands behind it.
//!
//! A tracer that is off costs one branch: [`Tracer::emit`] takes a closure, and the closure is not called. Events hold no key
//! material by construction, but for those of [`Layer::Core`], which are made only where everything is to be shown; what may be personal
//! (the bodies of messages) is in [`Event::Body`] only, and sinks redact it.

pub mod call;
pub mod collect;
pub mod counters;
pub mod event;
pub mod layers;
#[cfg(any(test, feature = "testing"))]
pub mod samples;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Now;
use crate::ids::DcId;

pub use collect::Collector;
pub use event::{ConnId, Counters, Event, Inner, Layer, Record, Role, Verdict, Word};
pub use layers::{LayerSet, UnknownLayer};

/// A span as records hold it: in whole microseconds, so that what was written and read again is the same.
pub fn micros(span: Duration) -> Duration {
    Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

/// A sink of trace records.
///
/// It is called on the task that drives the connection: it must be quick and must not call back into the protocol.
pub trait Observer: Send + Sync {
    /// Takes one record.
    fn record(&self, record: &Record);

    /// Whether records of `layer` are of interest. Those of other layers are not passed to [`Observer::record`]. Asked once, when a
    /// tracer is made.
    fn wants(&self, layer: Layer) -> bool {
        layer != Layer::Core
    }
}

/// The handle through which a connection reports events. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tracer {
    target: Option<Target>,
}

#[derive(Clone)]
struct Target {
    observer: Arc<dyn Observer>,
    layers: LayerSet,
    conn: ConnId,
    dc: DcId,
    role: Role,
}

impl Tracer {
    /// A tracer that reports nothing and builds no event.
    pub const fn off() -> Self {
        Self { target: None }
    }

    /// A tracer that reports to `observer`, for connection 0 of no DC until [`Tracer::with_connection`] names them.
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        let wanted = Layer::ALL.into_iter().filter(|layer| observer.wants(*layer));
        let layers = wanted.fold(LayerSet::NONE, LayerSet::with);
        Self { target: Some(Target { observer, layers, conn: ConnId(0), dc: DcId(0), role: Role::Client }) }
    }

    /// The same observer, for the given connection to the given DC.
    #[must_use]
    pub fn with_connection(&self, conn: ConnId, dc: DcId) -> Self {
        Self { target: self.target.clone().map(|target| Target { conn, dc, ..target }) }
    }

    /// The same, for a connection on which we are the server.
    #[must_use]
    pub fn as_server(&self) -> Self {
        Self { target: self.target.clone().map(|target| Target { role: Role::Server, ..target }) }
    }

    /// The connection that it reports for, and its DC.
    pub fn connection(&self) -> (ConnId, DcId) {
        self.target.as_ref().map_or((ConnId(0), DcId(0)), |target| (target.conn, target.dc))
    }

    /// Passes on a record that was made for somebody else.
    pub fn forward(&self, record: &Record) {
        if let Some(target) = self.target.as_ref().filter(|target| target.layers.contains(record.event.layer())) {
            target.observer.record(record);
        }
    }

    /// Whether nobody listens.
    pub const fn is_off(&self) -> bool {
        self.target.is_none()
    }

    /// Whether somebody listens to events of `layer`. For callers whose event is costly to build.
    pub fn wants(&self, layer: Layer) -> bool {
        self.target.as_ref().is_some_and(|target| target.layers.contains(layer))
    }

    /// Reports the event that `build` returns. When the tracer is off, `build` is not called.
    #[inline]
    pub fn emit(&self, now: Now, build: impl FnOnce() -> Event) {
        if let Some(target) = &self.target {
            target.report(now, build());
        }
    }
}

impl Target {
    fn report(&self, now: Now, event: Event) {
        if self.layers.contains(event.layer()) {
            self.observer.record(&Record { at: now.wall, conn: self.conn, dc: self.dc, role: self.role, event });
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            None => f.write_str("Tracer(off)"),
            Some(target) => write!(f, "Tracer({}, {})", target.conn, target.dc),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct OnlyRpc(Mutex<Vec<Record>>);

    impl Observer for OnlyRpc {
        fn record(&self, record: &Record) {
            self.0.lock().unwrap().push(record.clone());
        }

        fn wants(&self, layer: Layer) -> bool {
            layer == Layer::Rpc
        }
    }

    const NOW: Now = Now::new(Duration::from_secs(5), Duration::from_secs(1_700_000_000));

    #[test]
    fn off_does_not_build_the_event() {
        let tracer = Tracer::off();
        tracer.emit(NOW, || panic!("built"));
        tracer.with_connection(ConnId(1), DcId(2)).emit(NOW, || panic!("built"));
        assert!(tracer.is_off());
        assert!(!tracer.wants(Layer::Rpc));
    }

    #[test]
    fn reports_what_is_wanted_with_its_connection() {
        let observer = Arc::new(OnlyRpc(Mutex::new(Vec::new())));
        let tracer = Tracer::new(observer.clone()).with_connection(ConnId(3), DcId(2));
        assert!(tracer.wants(Layer::Rpc) && !tracer.wants(Layer::Mtproto));
        tracer.emit(NOW, || Event::TransportError { code: 404 });
        tracer.emit(NOW, || Event::Negotiated { layer: 230, device: "bench".into() });
        let seen = observer.0.lock().unwrap();
        assert_eq!(
            *seen,
            [Record {
                at: NOW.wall,
                conn: ConnId(3),
                dc: DcId(2),
                role: Role::Client,
                event: Event::Negotiated { layer: 230, device: "bench".into() }
            }]
        );
    }
}
