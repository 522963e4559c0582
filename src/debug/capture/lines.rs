//! Records as lines of JSON, each written before the next one is made: a capture can wait, so nothing is lost.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::jsonl::{self, Header};
use crate::redact::{self, Shown};
use tdl_core::trace::{Layer, LayerSet, Observer, Record};

/// The sink. `docs/trace.md` describes what it writes.
pub struct JsonLines<W> {
    layers: LayerSet,
    shown: Shown,
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    line: Vec<u8>,
    error: Option<io::Error>,
}

impl<W: Write> JsonLines<W> {
    /// A sink that writes to `out`, beginning with a header: `at` is when it was made.
    pub fn new(out: W, at: Duration, layers: LayerSet, shown: Shown) -> Self {
        let mut line = Vec::with_capacity(1024);
        jsonl::put_header(&Header::new(at, layers, shown), &mut line);
        let mut state = State { out, line, error: None };
        state.write();
        Self { layers, shown, state: Mutex::new(state) }
    }

    /// Writes what is held back, and tells of the first error that there was.
    ///
    /// # Errors
    ///
    /// Something could not be written.
    pub fn finish(&self) -> io::Result<()> {
        // A line is put together and written in one go, whatever happens elsewhere.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.error.take() {
            Some(error) => Err(error),
            None => state.out.flush(),
        }
    }
}

impl<W: Write> State<W> {
    /// After an error nothing more is written: a file with a hole would look whole.
    fn write(&mut self) {
        if self.error.is_none()
            && let Err(error) = self.out.write_all(&self.line)
        {
            self.error = Some(error);
        }
        self.line.clear();
    }
}

impl<W: Write + Send> Observer for JsonLines<W> {
    fn record(&self, record: &Record) {
        let record = redact::record(record, self.shown);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        jsonl::put_record(&record, &mut state.line);
        state.write();
    }

    fn wants(&self, layer: Layer) -> bool {
        self.layers.contains(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonl::Line;
    use tdl_core::ids::{DcId, MsgId};
    use tdl_core::tl::Serialize as _;
    use tdl_core::tl::api::functions::contacts;
    use tdl_core::trace::{ConnId, Event};

    fn record(event: Event) -> Record {
        Record {
            at: Duration::from_secs(1_700_000_000),
            conn: ConnId(1),
            dc: DcId(2),
            role: tdl_core::trace::Role::Client,
            event,
        }
    }

    #[test]
    fn lines_are_read_back_and_bodies_redacted() {
        let mut out = Vec::new();
        let body = contacts::ResolvePhone { phone: "9996621234".into() }.to_bytes();
        let events =
            [Event::Ping { ping_id: 5 }, Event::Body { sent: true, msg_id: MsgId(4), method: 0, len: body.len(), bytes: body }];
        let sink = JsonLines::new(&mut out, Duration::ZERO, LayerSet::ALL, Shown::Public);
        events.iter().for_each(|event| sink.record(&record(event.clone())));
        sink.finish().unwrap();
        drop(sink);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("contacts.resolvePhone") && !text.contains("9996621234"), "{text}");
        let lines: Vec<Line> = text.lines().map(|line| jsonl::parse(line.as_bytes()).unwrap()).collect();
        assert!(matches!(lines[0], Line::Header(_)));
        assert_eq!(lines[1], Line::Record(record(events[0].clone())));
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn the_first_error_is_told() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = JsonLines::new(Full, Duration::ZERO, LayerSet::ALL, Shown::Public);
        sink.record(&record(Event::Ping { ping_id: 5 }));
        assert_eq!(sink.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
