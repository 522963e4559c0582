//! Trace sinks: where the records of [`tdl_core::trace`] go.
//!
//! * [`handshake`]: one key exchange, value by value and check by check, with its times.
//! * [`human`]: one aligned line an event, for people.
//! * [`jsonl`]: one JSON object an event, for programs; and back.
//! * [`pcapng`]: packets, for Wireshark.
//! * [`background`]: any of them on a thread of its own, into a file.
//! * [`redact`]: what of it may be shown. [`body`]: the bodies of messages as trees.
//! * [`report`]: a recording as one page.
//! * [`keylog`]: the file with which a capture of the traffic can be opened. `capture`: opening it.
//! * [`units`]: how spans, sizes and times are written in it.
//! * [`collect`]: keeps them, for tests (it lives with the trace, so that the core's tests can use it without this floor).
//! * [`replay`]: recordings, played again.
//! * [`hex`], `json`: how bytes and values are written.
//! * here: [`Tee`], several sinks at once.

pub mod background;
pub mod body;
#[cfg(feature = "capture")]
pub mod capture;
pub mod handshake;
pub mod hex;
pub mod human;
mod json;
pub mod jsonl;
pub mod keylog;
pub mod pcapng;
pub mod redact;
pub mod replay;
pub mod report;
pub mod units;

use std::sync::Arc;

pub use background::{Background, Plan, WhenFull};
pub use human::{Human, Style};
pub use keylog::KeylogFile;
pub use pcapng::Pcapng;
pub use redact::Shown;
pub use tdl_core::trace::collect;

use tdl_core::trace::{Layer, Observer, Record};

/// Passes each record to every sink that wants it.
pub struct Tee(pub Vec<Arc<dyn Observer>>);

impl Observer for Tee {
    fn record(&self, record: &Record) {
        let layer = record.event.layer();
        for sink in self.0.iter().filter(|sink| sink.wants(layer)) {
            sink.record(record);
        }
    }

    fn wants(&self, layer: Layer) -> bool {
        self.0.iter().any(|sink| sink.wants(layer))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::collect::Collector;
    use super::*;
    use tdl_core::clock::Now;
    use tdl_core::trace::{Event, LayerSet, Tracer};

    #[test]
    fn tee_asks_each_sink() {
        let transport = Collector::of(LayerSet::NONE.with(Layer::Transport));
        let rpc = Collector::of(LayerSet::NONE.with(Layer::Rpc));
        let tracer = Tracer::new(Arc::new(Tee(vec![transport.clone(), rpc.clone()])));
        assert!(tracer.wants(Layer::Rpc) && tracer.wants(Layer::Transport) && !tracer.wants(Layer::Tl));
        tracer.emit(Now::new(Duration::ZERO, Duration::ZERO), || Event::TransportError { code: 404 });
        assert_eq!((transport.events().len(), rpc.events().len()), (1, 0));
    }
}
