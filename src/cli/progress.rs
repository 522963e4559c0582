//! What a person sees of a running transfer: bars on a terminal, plain lines elsewhere, JSON for programs. Always on stderr.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use humansize::{BINARY, format_size};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::json;
use tdl::transfer::Progress;

use super::args::ProgressMode;
use super::context::Context;
use super::output::{Output, printable};
use super::settings::Settings;

/// What is shown: the answer to `--progress`, once it is known where stderr leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Bar,
    Plain,
    Json,
    None,
}

impl Mode {
    fn of(settings: &Settings) -> Self {
        match settings.progress {
            _ if settings.quiet => Self::None,
            ProgressMode::Auto if std::io::stderr().is_terminal() => Self::Bar,
            ProgressMode::Auto | ProgressMode::Plain => Self::Plain,
            ProgressMode::Bar => Self::Bar,
            ProgressMode::Json => Self::Json,
            ProgressMode::None => Self::None,
        }
    }
}

/// How often a plain or JSON line reports a file that takes long.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How one item ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// There was nothing to do.
    Skipped(String),
    /// It failed, for this reason.
    Failed(String),
}

/// The progress of a whole run.
pub(crate) struct Reporter {
    inner: Arc<Inner>,
    output: Option<Output>,
}

struct Inner {
    mode: Mode,
    bars: MultiProgress,
    overall: Option<ProgressBar>,
    started: Instant,
    files_total: AtomicU64,
    state: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    done: u64,
    skipped: u64,
    failed: Vec<(String, String)>,
    bytes: u64,
}

impl Reporter {
    /// Begins to report a run of `files` items.
    /// Until it ends, what other parts of the program have to say goes above its bars.
    pub(crate) fn new(context: &Context, files: u64) -> Self {
        let reporter = Self { output: Some(context.output.clone()), ..Self::with_mode(Mode::of(&context.settings), files) };
        let inner = Arc::clone(&reporter.inner);
        context.output.print_through(Some(Box::new(move |text| inner.line(text))));
        reporter
    }

    fn with_mode(mode: Mode, files: u64) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let overall = (mode == Mode::Bar && files > 1).then(|| {
            let bar = bars.add(ProgressBar::new(0));
            bar.set_style(style(
                "{msg:<24!} {bar:24.green/dim} {percent:>3}%  {done_bytes:>10} of {all_bytes:>10}  {speed:>12}  {left}",
            ));
            bar.set_message(format!("total, 0 of {files} files"));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let inner =
            Inner { mode, bars, overall, started: Instant::now(), files_total: AtomicU64::new(files), state: Mutex::default() };
        Self { inner: Arc::new(inner), output: None }
    }

    /// Begins a file. `already` of its `size` bytes are there from an earlier run.
    pub(crate) fn file(&self, name: &str, size: u64, already: u64) -> FileProgress {
        let inner = Arc::clone(&self.inner);
        let bar = (inner.mode == Mode::Bar).then(|| {
            let bar = ProgressBar::new(size);
            let bar = match &inner.overall {
                Some(overall) => inner.bars.insert_before(overall, bar),
                None => inner.bars.add(bar),
            };
            bar.set_style(style(
                "{msg:<24!} {bar:24.cyan/dim} {percent:>3}%  {done_bytes:>10} of {all_bytes:>10}  {speed:>12}  {left}",
            ));
            bar.set_message(printable(label(name)));
            bar.set_position(already);
            bar.reset_eta();
            bar
        });
        if let Some(overall) = &inner.overall {
            overall.inc_length(size);
            overall.inc(already);
        }
        match inner.mode {
            Mode::Plain if already > 0 => inner.line(&format!(
                "{}: {}, going on after {}",
                printable(name),
                format_size(size, BINARY),
                format_size(already, BINARY)
            )),
            Mode::Plain => inner.line(&format!("{}: {}", printable(name), format_size(size, BINARY))),
            Mode::Json => inner.json(&json!({"event": "start", "name": name, "size": size, "done": already})),
            _ => {}
        }
        FileProgress {
            inner,
            name: name.to_owned(),
            size,
            done: AtomicU64::new(already),
            started: Instant::now(),
            last_line: Mutex::new(Instant::now()),
            bar,
        }
    }

    /// An item that ended before its transfer could begin.
    pub(crate) fn item(&self, name: &str, outcome: &Outcome) {
        self.inner.count(name, outcome, 0, None);
    }

    /// A transfer is done of which nothing could be shown while it ran: nobody knew how much would come.
    pub(crate) fn streamed(&self, name: &str, bytes: u64, took: Duration) {
        self.inner.count(name, &Outcome::Done, bytes, Some(took));
    }

    /// Ends the report with a summary. Returns the items that failed, with their reasons.
    pub(crate) fn finish(self, verb: &str) -> Vec<(String, String)> {
        if let Some(output) = &self.output {
            output.print_through(None);
        }
        let inner = self.inner;
        if let Some(overall) = &inner.overall {
            overall.finish_and_clear();
        }
        let mut state = inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = std::mem::take(&mut state.failed);
        let seconds = inner.started.elapsed().as_secs_f64();
        match inner.mode {
            Mode::Json => inner.json(&json!({
                "event": "summary", "done": state.done, "skipped": state.skipped, "failed": failed.len(),
                "bytes": state.bytes, "seconds": (seconds * 1000.0).round() / 1000.0,
            })),
            Mode::None => {}
            _ => {
                let mut text = format!("{} {verb}", count(state.done, "file"));
                if state.bytes > 0 {
                    text.push_str(&format!(" ({}, {})", format_size(state.bytes, BINARY), rate(state.bytes, seconds)));
                }
                if state.skipped > 0 {
                    text.push_str(&format!(", {} skipped", state.skipped));
                }
                if !failed.is_empty() {
                    text.push_str(&format!(", {} failed", failed.len()));
                }
                inner.line(&text);
            }
        }
        failed
    }
}

impl Inner {
    fn line(&self, text: &str) {
        self.bars.suspend(|| {
            // Nobody reads a stderr that cannot be written to.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        });
    }

    fn json(&self, event: &serde_json::Value) {
        self.line(&event.to_string());
    }

    fn count(&self, name: &str, outcome: &Outcome, bytes: u64, took: Option<Duration>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Done => state.done += 1,
            Outcome::Skipped(_) => state.skipped += 1,
            Outcome::Failed(reason) => state.failed.push((name.to_owned(), reason.clone())),
        }
        state.bytes += bytes;
        let ended = state.done + state.skipped + state.failed.len() as u64;
        drop(state);
        if let Some(overall) = &self.overall {
            overall.set_message(format!("total, {ended} of {} files", self.files_total.load(Ordering::Relaxed)));
        }
        let shown = printable(name);
        match (self.mode, outcome) {
            (Mode::Json, Outcome::Done) => self.json(&json!({"event": "done", "name": name, "bytes": bytes})),
            (Mode::Json, Outcome::Skipped(why)) => self.json(&json!({"event": "skipped", "name": name, "reason": why})),
            (Mode::Json, Outcome::Failed(why)) => self.json(&json!({"event": "failed", "name": name, "reason": why})),
            (_, Outcome::Failed(why)) => self.line(&format!("failed: {shown}: {why}")),
            (Mode::None, _) => {}
            (_, Outcome::Skipped(why)) => self.line(&format!("skipped: {shown}: {why}")),
            (Mode::Bar | Mode::Plain, Outcome::Done) => {
                let speed = took.map(|t| format!(", {}", rate(bytes, t.as_secs_f64()))).unwrap_or_default();
                self.line(&format!("done: {shown} ({}{speed})", format_size(bytes, BINARY)));
            }
        }
    }
}

/// The progress of one file.
pub(crate) struct FileProgress {
    inner: Arc<Inner>,
    name: String,
    size: u64,
    done: AtomicU64,
    started: Instant,
    last_line: Mutex<Instant>,
    bar: Option<ProgressBar>,
}

impl FileProgress {
    /// Ends the file.
    pub(crate) fn end(self, outcome: &Outcome) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let bytes = if *outcome == Outcome::Done { self.size } else { 0 };
        self.inner.count(&self.name, outcome, bytes, Some(self.started.elapsed()));
    }
}

impl FileProgress {
    /// The whole run ends here: this file is neither done nor failed.
    pub(crate) fn abandon(self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

impl Progress for FileProgress {
    fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
        if let Some(overall) = &self.inner.overall {
            overall.inc(bytes);
        }
        if matches!(self.inner.mode, Mode::Plain | Mode::Json) && done < self.size {
            let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= LINE_EVERY {
                *last = Instant::now();
                drop(last);
                if self.inner.mode == Mode::Json {
                    self.inner.json(&json!({"event": "progress", "name": self.name, "size": self.size, "done": done}));
                } else {
                    let percent = done.saturating_mul(100) / self.size.max(1);
                    let speed = rate(done, self.started.elapsed().as_secs_f64());
                    self.inner.line(&format!("{}: {percent} %, {speed}", printable(&self.name)));
                }
            }
        }
    }
}

/// Bytes a second, for people.
fn rate(bytes: u64, seconds: f64) -> String {
    // A rate over no time at all says nothing; a millisecond is the least that the clock tells reliably.
    let per_second = bytes as f64 / seconds.max(0.001);
    format!("{}/s", format_size(per_second as u64, BINARY))
}

fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// What a bar has room for: the name of a file without the directories that lead to it.
fn label(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().filter(|last| !last.is_empty()).unwrap_or(name)
}

/// The time that is left at a speed in bytes a second; nothing where nothing moves.
fn left(speed: f64, eta: Duration) -> String {
    let seconds = eta.as_secs();
    match seconds {
        _ if speed < 1.0 => String::new(),
        0..60 => format!("{seconds} s left"),
        60..3600 => format!("{}:{:02} min left", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h left", seconds / 3600, seconds / 60 % 60),
    }
}

fn style(template: &str) -> ProgressStyle {
    let bytes = |n: u64| format_size(n, BINARY);
    // A bar that cannot be written to has nobody who reads it.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("done_bytes", move |s: &ProgressState, w: &mut dyn std::fmt::Write| {
            let _ = w.write_str(&bytes(s.pos()));
        })
        .with_key("all_bytes", move |s: &ProgressState, w: &mut dyn std::fmt::Write| {
            let _ = w.write_str(&bytes(s.len().unwrap_or(0)));
        })
        .with_key("speed", move |s: &ProgressState, w: &mut dyn std::fmt::Write| {
            let _ = write!(w, "{}/s", bytes(s.per_sec() as u64));
        })
        .with_key("left", |s: &ProgressState, w: &mut dyn std::fmt::Write| {
            let _ = w.write_str(&left(s.per_sec(), s.eta()));
        })
        .progress_chars("━━─")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_the_file_and_promises_no_time_where_nothing_moves() {
        for (name, shown) in [("/tmp/a b/c.bin", "c.bin"), ("c.bin", "c.bin"), ("dir/", "dir/"), ("", "")] {
            assert_eq!(label(name), shown);
        }
        for (speed, seconds, shown) in
            [(0.0, 0, ""), (1e6, 59, "59 s left"), (1e6, 61, "1:01 min left"), (10.0, 7260, "2:01 h left")]
        {
            assert_eq!(left(speed, Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn a_summary_counts_every_outcome_once() {
        let reporter = Reporter::with_mode(Mode::None, 3);
        let file = reporter.file("a", 10, 4);
        file.advance(6);
        file.end(&Outcome::Done);
        reporter.item("b", &Outcome::Skipped("there already".into()));
        let failing = reporter.file("c", 10, 0);
        failing.end(&Outcome::Failed("no".into()));
        {
            let state = reporter.inner.state.lock().unwrap();
            assert_eq!((state.done, state.skipped, state.bytes), (1, 1, 10));
        }
        assert_eq!(reporter.finish("sent"), vec![("c".to_owned(), "no".to_owned())]);
    }
}
