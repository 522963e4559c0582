//! An observer that keeps what it sees, for tests and for counting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Event, Layer, LayerSet, Observer, Record, Tracer, Word};

/// Keeps every record of the layers asked for, in order.
pub struct Collector {
    layers: LayerSet,
    records: Mutex<Vec<Record>>,
}

impl Collector {
    /// A collector of every layer.
    pub fn new() -> Arc<Self> {
        Self::of(LayerSet::ALL)
    }

    /// A collector of the given layers.
    pub fn of(layers: LayerSet) -> Arc<Self> {
        Arc::new(Self { layers, records: Mutex::default() })
    }

    /// A tracer that reports to it.
    pub fn tracer(self: &Arc<Self>) -> Tracer {
        Tracer::new(self.clone())
    }

    /// What has come so far. The collector is empty afterwards.
    pub fn take(&self) -> Vec<Record> {
        std::mem::take(&mut *self.lock())
    }

    /// The events that have come so far. They stay.
    pub fn events(&self) -> Vec<Event> {
        self.lock().iter().map(|record| record.event.clone()).collect()
    }

    /// How many of the events so far `test` holds for.
    pub fn count(&self, test: impl Fn(&Event) -> bool) -> usize {
        self.lock().iter().filter(|record| test(&record.event)).count()
    }

    /// How often each rule was broken so far.
    pub fn failed_checks(&self) -> BTreeMap<Word, usize> {
        let mut counts = BTreeMap::new();
        for record in self.lock().iter() {
            if let Event::CheckFailed { rule, .. } = &record.event {
                *counts.entry(rule.clone()).or_default() += 1;
            }
        }
        counts
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        // A list of records is whole after any panic.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Collector {
    fn record(&self, record: &Record) {
        self.lock().push(record.clone());
    }

    fn wants(&self, layer: Layer) -> bool {
        self.layers.contains(layer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Now;

    #[test]
    fn keeps_counts_and_gives_away() {
        let now = Now::new(Duration::ZERO, Duration::ZERO);
        let collector = Collector::new();
        let tracer = collector.tracer();
        for rule in ["MsgKeyMismatch", "WrongSession", "MsgKeyMismatch"] {
            tracer.emit(now, || Event::CheckFailed { rule: rule.into(), detail: String::new() });
        }
        tracer.emit(now, || Event::TransportError { code: 429 });
        assert_eq!(collector.failed_checks(), BTreeMap::from([("MsgKeyMismatch".into(), 2), ("WrongSession".into(), 1)]));
        assert_eq!(collector.count(|event| matches!(event, Event::TransportError { .. })), 1);
        assert_eq!(collector.events().len(), 4);
        assert_eq!(collector.take().len(), 4);
        assert!(collector.take().is_empty());
    }

    #[test]
    fn keeps_the_layers_asked_for() {
        let now = Now::new(Duration::ZERO, Duration::ZERO);
        let collector = Collector::of(LayerSet::NONE.with(Layer::Transport));
        let tracer = collector.tracer();
        tracer.emit(now, || Event::TransportError { code: 429 });
        tracer.emit(now, || Event::Ping { ping_id: 1 });
        assert_eq!(collector.events(), [Event::TransportError { code: 429 }]);
    }
}
