use std::sync::mpsc;

use super::*;
use tdl_core::trace::samples::{all, record};

/// A file whose writes can be held up, seen, and made to fail.
#[derive(Clone, Default)]
struct File(Arc<(Mutex<Inside>, Condvar)>);

#[derive(Default)]
struct Inside {
    bytes: Vec<u8>,
    stuck: bool,
    full: bool,
}

impl File {
    fn set(&self, change: impl FnOnce(&mut Inside)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().bytes.clone()).unwrap()
    }

    /// Waits until what is in the file is as wanted.
    fn wait(&self, wanted: impl Fn(&str) -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !wanted(&self.text()) {
            assert!(std::time::Instant::now() < deadline, "{}", self.text());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inside = self.0.0.lock().unwrap();
        while inside.stuck {
            inside = self.0.1.wait(inside).unwrap();
        }
        if inside.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        inside.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sink(file: &File, when_full: WhenFull, shown: Shown) -> Arc<Background> {
    let layers = LayerSet::ALL.with(Layer::Core);
    let header = Header::new(Duration::ZERO, layers, shown);
    Background::spawn(file.clone(), Jsonl { header }, Plan { layers, shown, when_full }).unwrap()
}

fn ping(number: i64) -> Record {
    record(Event::Ping { ping_id: number })
}

#[test]
fn everything_is_written_in_order_and_closing_waits_for_it() {
    let file = File::default();
    let sink = sink(&file, WhenFull::Drop, Shown::Public);
    assert_eq!(file.text().lines().count(), 1, "the header is there from the beginning");
    for number in 0..1000 {
        sink.record(&ping(number));
    }
    let summary = sink.close();
    assert!(summary.lost == 0 && summary.error.is_none());
    let numbers: Vec<i64> = file
        .text()
        .lines()
        .skip(1)
        .map(|line| match jsonl::parse(line.as_bytes()) {
            Ok(jsonl::Line::Record(Record { event: Event::Ping { ping_id }, .. })) => ping_id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    sink.record(&ping(1000));
    assert_eq!(sink.close().lost, 0, "what comes after the end is nobody's loss");
    assert_eq!(file.text().lines().count(), 1001);
}

#[test]
fn what_is_there_is_written_although_nobody_closes() {
    let file = File::default();
    let sink = sink(&file, WhenFull::Drop, Shown::Public);
    sink.record(&ping(1));
    file.wait(|text| text.lines().count() == 2);
    sink.record(&ping(2));
    sink.record(&record(Event::CheckFailed { rule: "MsgKeyMismatch".into(), detail: String::new() }));
    file.wait(|text| text.contains("MsgKeyMismatch"));
    assert_eq!(file.text().lines().count(), 4);
}

#[test]
fn a_stuck_disk_stops_nobody_and_the_losses_are_told() {
    let file = File::default();
    let sink = sink(&file, WhenFull::Drop, Shown::Public);
    file.set(|inside| inside.stuck = true);
    let count = 3 * MOST_RECORDS as i64;
    for number in 0..count {
        sink.record(&ping(number));
    }
    file.set(|inside| inside.stuck = false);
    let lost = sink.close().lost;
    assert!(lost as usize >= MOST_RECORDS, "{lost}");
    let lines: Vec<String> = file.text().lines().map(str::to_owned).collect();
    let told: u64 = lines
        .iter()
        .filter_map(|line| match jsonl::parse(line.as_bytes()) {
            Ok(jsonl::Line::Lost { count }) => Some(count),
            _ => None,
        })
        .sum();
    assert_eq!(told, lost);
    let written = lines.iter().filter(|line| line.contains("\"ping\"")).count();
    assert_eq!(written as u64 + lost, count as u64);
}

#[test]
fn a_recording_waits_and_loses_nothing() {
    let file = File::default();
    let sink = sink(&file, WhenFull::Wait, Shown::Everything);
    file.set(|inside| inside.stuck = true);
    let (done, told) = mpsc::channel();
    let count = 2 * MOST_RECORDS as i64 + 10;
    let reporter = {
        let sink = Arc::clone(&sink);
        std::thread::spawn(move || {
            for number in 0..count {
                sink.record(&ping(number));
            }
            done.send(()).unwrap();
        })
    };
    assert!(told.recv_timeout(Duration::from_millis(50)).is_err(), "it waits");
    file.set(|inside| inside.stuck = false);
    told.recv_timeout(Duration::from_secs(20)).unwrap();
    reporter.join().unwrap();
    assert_eq!(sink.close().lost, 0);
    assert_eq!(file.text().lines().count() as i64, count + 1);
}

#[test]
fn a_full_disk_is_told_at_the_end() {
    let file = File::default();
    let sink = sink(&file, WhenFull::Wait, Shown::Public);
    file.set(|inside| inside.full = true);
    for number in 0..10 {
        sink.record(&ping(number));
    }
    let error = sink.close().error.expect("nothing could be written");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn bodies_are_redacted_on_the_way_and_calls_only_wanted_where_all_is_shown() {
    let file = File::default();
    let redacting = sink(&file, WhenFull::Drop, Shown::Public);
    assert!(!redacting.wants(Layer::Core) && redacting.wants(Layer::Tl));
    for event in all().into_iter().filter(|event| event.layer() != Layer::Core) {
        redacting.record(&record(event));
    }
    redacting.close();
    assert!(!file.text().contains("99966") && !file.text().contains(&crate::hex::of(b"99966")));

    let file = File::default();
    let showing = sink(&file, WhenFull::Wait, Shown::Everything);
    assert!(showing.wants(Layer::Core));
    for event in all() {
        showing.record(&record(event));
    }
    showing.close();
    assert!(file.text().contains(&crate::hex::of(b"99966")));
}
