//! What a person sees of a running transfer: bars on a terminal, plain lines elsewhere, JSON for programs. Always on stderr.
//!
//! * `layout`: one line, as wide as the terminal.
//! * `speed`: how fast, over the last seconds.
//! * `pace`: how many lines are too many.
//! * `waits`: why nothing moves.

mod layout;
mod pace;
mod speed;
mod waits;

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::json;
use tdl::transfer::Progress;

use super::args::ProgressMode;
use super::context::Context;
use super::output::{self, Output, counted, printable};
use super::settings::Settings;
use layout::{Line, bytes, rate, remaining, time_for};
use pace::Pace;
use speed::Speed;
use waits::Waits;

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

/// A file that is done before this has passed gets no bar: nobody could read it.
const BAR_AFTER: Duration = Duration::from_millis(300);

/// A file of at least this length gets its bar, or the line that it has begun, at once.
const WORTH_A_LINE: u64 = 1 << 20;

/// The columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

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
    /// Nothing is left out.
    verbose: bool,
    bars: MultiProgress,
    overall: Option<ProgressBar>,
    /// How many files have a bar of their own: no more than the terminal has rows for.
    shown: AtomicUsize,
    started: Instant,
    run: Arc<Mutex<Totals>>,
    waits: Arc<Waits>,
    failed: Mutex<Vec<(String, String)>>,
    pace: Mutex<Pace>,
}

/// The sums of a run.
#[derive(Debug)]
struct Totals {
    /// How many there are.
    files: u64,
    done: u64,
    skipped: u64,
    failed: u64,
    /// Bytes of the files that are done, as the summary counts them, and how many of them an earlier run had brought.
    done_bytes: u64,
    earlier: u64,
    /// Files that have begun, and their bytes.
    begun: u64,
    begun_bytes: u64,
    /// Bytes that are here, of files that have begun.
    here: u64,
    bytes: Speed,
    ended: Speed,
}

impl Totals {
    fn new(files: u64, now: Instant) -> Self {
        let (bytes, ended) = (Speed::new(now), Speed::new(now));
        Self {
            files,
            done: 0,
            skipped: 0,
            failed: 0,
            done_bytes: 0,
            earlier: 0,
            begun: 0,
            begun_bytes: 0,
            here: 0,
            bytes,
            ended,
        }
    }

    fn ended(&self) -> u64 {
        self.done + self.skipped + self.failed
    }

    /// Bytes of all files, those that have not begun being as long as those that have; and the time that is left.
    fn outlook(&mut self, now: Instant) -> (u64, Option<Duration>) {
        let unknown = self.files.saturating_sub(self.begun + self.skipped + self.failed);
        let mean = self.begun_bytes.checked_div(self.begun).unwrap_or(0);
        let all = self.begun_bytes.saturating_add(mean.saturating_mul(unknown));
        let by_bytes = time_for(all.saturating_sub(self.here), self.bytes.per_second(now));
        // With many small files it is their number that takes the time.
        let by_files = time_for(self.files.saturating_sub(self.ended()), self.ended.per_second(now)).unwrap_or_default();
        (all, by_bytes.map(|left| left.max(by_files)))
    }
}

impl Reporter {
    /// Begins to report a run of `files` items.
    /// Until it ends, what other parts of the program have to say goes above its bars.
    pub(crate) fn new(context: &Context, files: u64) -> Self {
        let (mode, verbose) = (Mode::of(&context.settings), context.settings.verbose);
        let reporter = Self { output: Some(context.output.clone()), ..Self::with_mode(mode, verbose, files) };
        let (inner, waiting) = (Arc::clone(&reporter.inner), Arc::clone(&reporter.inner));
        context.output.print_through(Some(Box::new(move |text| inner.other(text))));
        context.output.tell_notices(Some(Box::new(move |notice| waiting.notice(notice))));
        reporter
    }

    fn with_mode(mode: Mode, verbose: bool, files: u64) -> Self {
        let started = Instant::now();
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let run = Arc::new(Mutex::new(Totals::new(files, started)));
        let waits = Arc::new(Waits::default());
        let overall = (mode == Mode::Bar && files > 1).then(|| {
            let bar = bars.add(ProgressBar::no_length());
            let (run, waits) = (Arc::clone(&run), Arc::clone(&waits));
            bar.set_style(style(move || total_line(&run, &waits)));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let inner = Inner {
            mode,
            verbose,
            bars,
            overall,
            shown: AtomicUsize::new(0),
            started,
            run,
            waits,
            failed: Mutex::default(),
            pace: Mutex::new(Pace::new(started)),
        };
        Self { inner: Arc::new(inner), output: None }
    }

    /// Begins a file. `already` of its `size` bytes are there from an earlier run.
    pub(crate) fn file(&self, name: &str, size: u64, already: u64) -> FileProgress {
        let inner = Arc::clone(&self.inner);
        {
            let mut run = inner.run();
            run.begun += 1;
            run.begun_bytes += size;
            run.here += already;
        }
        let now = Instant::now();
        let state = Arc::new(FileState {
            name: printable(name),
            size,
            done: AtomicU64::new(already),
            speed: Mutex::new(Speed::new(now)),
        });
        match inner.mode {
            Mode::Plain if already > 0 => {
                inner.line(&format!("{}: {}, going on after {}", state.name, bytes(size), bytes(already)));
            }
            Mode::Plain if size >= WORTH_A_LINE => inner.paced(|| format!("{}: {}", state.name, bytes(size))),
            Mode::Json => inner.json(&json!({"event": "start", "name": name, "size": size, "done": already})),
            _ => {}
        }
        let file = FileProgress {
            inner,
            name: name.to_owned(),
            state,
            already,
            started: now,
            last_line: Mutex::new(now),
            bar: OnceLock::new(),
        };
        if size >= WORTH_A_LINE {
            file.show();
        }
        file
    }

    /// There are so many files more than were announced: an item has several.
    pub(crate) fn also(&self, files: u64) {
        self.inner.run().files += files;
    }

    /// An item that ended before its transfer could begin.
    pub(crate) fn item(&self, name: &str, outcome: &Outcome) {
        self.inner.count(name, outcome, 0, None);
    }

    /// A transfer is done of which nothing could be shown while it ran: nobody knew how much would come.
    pub(crate) fn streamed(&self, name: &str, bytes: u64, took: Duration) {
        self.inner.count(name, &Outcome::Done, bytes, Some(bytes as f64 / took.as_secs_f64().max(0.001)));
    }

    /// A file that would be transferred, in a run that only says what it would do.
    pub(crate) fn planned(&self, size: u64) {
        let mut run = self.inner.run();
        run.done += 1;
        run.done_bytes += size;
    }

    /// Ends the report with a summary. Returns the items that failed, with their reasons.
    pub(crate) fn finish(self, verb: &str) -> Vec<(String, String)> {
        if let Some(output) = &self.output {
            output.print_through(None);
            output.tell_notices(None);
        }
        let inner = self.inner;
        if let Some(overall) = &inner.overall {
            overall.finish_and_clear();
        }
        let failed = std::mem::take(&mut *inner.failed.lock().unwrap_or_else(PoisonError::into_inner));
        let (done, skipped, done_bytes, earlier) = {
            let run = inner.run();
            (run.done, run.skipped, run.done_bytes, run.earlier)
        };
        let seconds = inner.started.elapsed().as_secs_f64();
        let left_out = inner.pace.lock().unwrap_or_else(PoisonError::into_inner).left_out();
        match inner.mode {
            Mode::Json => inner.json(&json!({
                "event": "summary", "done": done, "skipped": skipped, "failed": failed.len(),
                "bytes": done_bytes, "seconds": (seconds * 1000.0).round() / 1000.0,
            })),
            Mode::None => {}
            _ => {
                if left_out > 0 {
                    inner.line(&format!("{} left out: `-v` prints them all", counted(left_out, "line")));
                }
                let mut text = format!("{} {verb}", counted(done, "file"));
                if done_bytes > 0 {
                    // A rate over no time at all says nothing; a millisecond is the least that the clock tells reliably.
                    let speed = rate(done_bytes.saturating_sub(earlier) as f64 / seconds.max(0.001));
                    text.push_str(&format!(" ({}, {speed})", bytes(done_bytes)));
                }
                if skipped > 0 {
                    text.push_str(&format!(", {skipped} skipped"));
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
    fn run(&self) -> MutexGuard<'_, Totals> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line that has to come.
    fn line(&self, text: &str) {
        // Nobody reads a stderr that cannot be written to.
        let write = || drop(writeln!(std::io::stderr().lock(), "{text}"));
        if self.mode == Mode::Bar { self.bars.suspend(write) } else { write() }
    }

    /// A line of another part of the program.
    fn other(&self, text: &str) {
        if self.mode == Mode::Json { self.json(&json!({"event": "note", "text": text})) } else { self.line(text) }
    }

    /// A line that may be left out when there are too many of them. Now and then one line then says how far the run is.
    fn paced(&self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        let (admitted, sum) = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            (self.verbose || pace.admits(now), pace.sum_is_due(now))
        };
        if admitted {
            self.line(&text());
        }
        if sum && self.mode == Mode::Plain {
            let mut run = self.run();
            let (_, left) = run.outlook(now);
            let left = left.map(|left| format!(", {}", remaining(left))).unwrap_or_default();
            let speed = rate(run.bytes.per_second(now));
            let text = format!("{} of {}, {} failed, {speed}{left}", run.ended(), counted(run.files, "file"), run.failed);
            drop(run);
            self.line(&text);
        }
    }

    fn json(&self, event: &serde_json::Value) {
        self.line(&event.to_string());
    }

    /// Shows a wait in the bars, or as an event. Says whether that is all that need be said of it.
    fn notice(&self, notice: &tdl::client::Notice) -> bool {
        let event = self.waits.take(notice, Instant::now());
        match (self.mode, event) {
            (Mode::Json, Some(event)) => {
                self.json(&event);
                true
            }
            _ => false,
        }
    }

    fn count(&self, name: &str, outcome: &Outcome, size: u64, speed: Option<f64>) {
        {
            let mut run = self.run();
            match outcome {
                Outcome::Done => run.done += 1,
                Outcome::Skipped(_) => run.skipped += 1,
                Outcome::Failed(_) => run.failed += 1,
            }
            run.done_bytes += size;
            run.ended.add(Instant::now(), 1);
        }
        if let Outcome::Failed(reason) = outcome {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), reason.clone()));
        }
        match (self.mode, outcome) {
            (Mode::Json, Outcome::Done) => self.json(&json!({"event": "done", "name": name, "bytes": size})),
            (Mode::Json, Outcome::Skipped(why)) => self.json(&json!({"event": "skipped", "name": name, "reason": why})),
            (Mode::Json, Outcome::Failed(why)) => self.json(&json!({"event": "failed", "name": name, "reason": why})),
            (_, Outcome::Failed(why)) => self.line(&format!("failed: {}: {}", printable(name), printable(why))),
            (Mode::None, _) => {}
            (_, Outcome::Skipped(why)) => self.paced(|| format!("skipped: {}: {}", printable(name), printable(why))),
            (Mode::Bar | Mode::Plain, Outcome::Done) => self.paced(|| {
                let speed = speed.map(|speed| format!(", {}", rate(speed))).unwrap_or_default();
                format!("done: {} ({}{speed})", printable(name), bytes(size))
            }),
        }
    }
}

/// The progress of one file.
pub(crate) struct FileProgress {
    inner: Arc<Inner>,
    name: String,
    state: Arc<FileState>,
    /// Bytes that an earlier run had brought.
    already: u64,
    started: Instant,
    last_line: Mutex<Instant>,
    bar: OnceLock<Option<ProgressBar>>,
}

/// What the bar of one file shows.
struct FileState {
    name: String,
    size: u64,
    done: AtomicU64,
    speed: Mutex<Speed>,
}

impl FileProgress {
    /// Ends the file.
    pub(crate) fn end(self, outcome: &Outcome) {
        self.hide();
        let mut size = 0;
        if *outcome == Outcome::Done {
            size = self.state.size;
            self.inner.run().earlier += self.already;
        } else {
            self.take_back();
        }
        let speed = size.saturating_sub(self.already) as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        self.inner.count(&self.name, outcome, size, Some(speed));
    }

    /// The file is neither done nor failed: somebody else says how it ended, or nobody does.
    pub(crate) fn abandon(self) {
        self.hide();
        self.take_back();
    }

    /// What is not done does not count.
    fn take_back(&self) {
        let mut run = self.inner.run();
        run.begun -= 1;
        run.begun_bytes -= self.state.size;
        run.here = run.here.saturating_sub(self.state.done.load(Ordering::Relaxed));
    }

    /// Gives the file a bar, if the terminal has room for one more.
    fn show(&self) {
        let inner = &self.inner;
        if inner.mode != Mode::Bar {
            return;
        }
        self.bar.get_or_init(|| {
            if inner.shown.fetch_add(1, Ordering::Relaxed) >= output::rows().unwrap_or(24).saturating_sub(3) {
                inner.shown.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            let bar = ProgressBar::no_length();
            let bar = match &inner.overall {
                Some(overall) => inner.bars.insert_before(overall, bar),
                None => inner.bars.add(bar),
            };
            let (state, waits) = (Arc::clone(&self.state), Arc::clone(&inner.waits));
            let alone = inner.overall.is_none();
            bar.set_style(style(move || state.line(alone.then_some(&waits))));
            // A bar that stands still has to say that it does.
            bar.enable_steady_tick(Duration::from_millis(200));
            Some(bar)
        });
    }

    fn hide(&self) {
        if let Some(Some(bar)) = self.bar.get() {
            bar.finish_and_clear();
            self.inner.bars.remove(bar);
            self.inner.shown.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl FileState {
    fn line(&self, waits: Option<&Arc<Waits>>) -> String {
        let now = Instant::now();
        let done = self.done.load(Ordering::Relaxed);
        let speed = self.speed.lock().unwrap_or_else(PoisonError::into_inner).per_second(now);
        let wait = waits.and_then(|waits| waits.text(now));
        let left = time_for(self.size.saturating_sub(done), speed);
        let line = Line { name: label(&self.name), done, total: self.size, speed, left, wait: wait.as_deref() };
        line.text(columns())
    }
}

impl Progress for FileProgress {
    fn advance(&self, amount: u64) {
        let now = Instant::now();
        let done = self.state.done.fetch_add(amount, Ordering::Relaxed) + amount;
        self.state.speed.lock().unwrap_or_else(PoisonError::into_inner).add(now, amount);
        {
            let mut run = self.inner.run();
            run.here += amount;
            run.bytes.add(now, amount);
        }
        self.inner.waits.moved(now);
        match self.inner.mode {
            Mode::Bar if now.saturating_duration_since(self.started) >= BAR_AFTER => self.show(),
            Mode::Plain | Mode::Json if done < self.state.size => {
                let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
                if now.saturating_duration_since(*last) >= LINE_EVERY {
                    *last = now;
                    drop(last);
                    self.report(done, now);
                }
            }
            _ => {}
        }
    }
}

impl FileProgress {
    /// A line on a file that takes long.
    fn report(&self, done: u64, now: Instant) {
        let (size, speed) = (self.state.size, self.state.speed.lock().unwrap_or_else(PoisonError::into_inner).per_second(now));
        if self.inner.mode == Mode::Json {
            self.inner.json(&json!({
                "event": "progress", "name": self.name, "size": size, "done": done, "bytes_per_second": speed as u64,
            }));
            return;
        }
        let left = time_for(size.saturating_sub(done), speed).map(|left| format!(", {}", remaining(left))).unwrap_or_default();
        let percent = done.saturating_mul(100) / size.max(1);
        self.inner.paced(|| format!("{}: {percent} %, {}{left}", self.state.name, rate(speed)));
    }
}

fn total_line(run: &Mutex<Totals>, waits: &Waits) -> String {
    let now = Instant::now();
    let mut run = run.lock().unwrap_or_else(PoisonError::into_inner);
    let (total, left) = run.outlook(now);
    let speed = run.bytes.per_second(now);
    let what = if run.failed > 0 { format!(", {} failed", run.failed) } else { " files".to_owned() };
    let name = format!("{}/{}{what}", run.ended(), run.files);
    let done = run.here;
    drop(run);
    let wait = waits.text(now);
    Line { name: &name, done, total, speed, left, wait: wait.as_deref() }.text(columns())
}

/// The columns that a line may take. The last one stays free: some terminals begin a new line when it is used.
fn columns() -> usize {
    output::columns().unwrap_or(COLUMNS).saturating_sub(1)
}

/// What a bar has room for: the name of a file without the directories that lead to it.
fn label(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().filter(|last| !last.is_empty()).unwrap_or(name)
}

/// A bar that is a line of our own making.
fn style(line: impl Fn() -> String + Clone + Send + Sync + 'static) -> ProgressStyle {
    // A bar that cannot be written to has nobody who reads it.
    let write = move |_: &ProgressState, w: &mut dyn std::fmt::Write| {
        let _ = w.write_str(&line());
    };
    ProgressStyle::with_template("{line}").unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("line", write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_the_file_without_its_directories() {
        for (name, shown) in [("/tmp/a b/c.bin", "c.bin"), ("c.bin", "c.bin"), ("dir/", "dir/"), ("", "")] {
            assert_eq!(label(name), shown);
        }
    }

    #[test]
    fn a_summary_counts_every_outcome_once() {
        let reporter = Reporter::with_mode(Mode::None, false, 4);
        let file = reporter.file("a", 10, 4);
        file.advance(6);
        file.end(&Outcome::Done);
        reporter.item("b", &Outcome::Skipped("there already".into()));
        let failing = reporter.file("c", 10, 0);
        failing.advance(3);
        failing.end(&Outcome::Failed("no".into()));
        reporter.file("d", 10, 0).abandon();
        {
            let run = reporter.inner.run();
            assert_eq!((run.done, run.skipped, run.failed, run.done_bytes), (1, 1, 1, 10));
            assert_eq!((run.begun, run.begun_bytes, run.here), (1, 10, 10), "what did not come does not count");
        }
        assert_eq!(reporter.finish("sent"), vec![("c".to_owned(), "no".to_owned())]);
    }

    #[test]
    fn files_that_have_not_begun_are_expected_to_be_like_the_others() {
        let start = Instant::now();
        let mut run = Totals::new(10, start);
        assert_eq!(run.outlook(start), (0, None));
        (run.begun, run.begun_bytes, run.here) = (2, 2000, 1000);
        run.bytes.add(start, 1000);
        let now = start + Duration::from_secs(1);
        let (all, left) = run.outlook(now);
        assert_eq!((all, left), (10_000, Some(Duration::from_secs(9))));
        run.skipped = 8;
        assert_eq!(run.outlook(now).0, 2000);
    }
}
