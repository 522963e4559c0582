//! Runs simulated worlds for as long as it is told, and reports figures; or replays the world of one seed.
//!
//! ```console
//! $ cargo run --release --example soak -- --hours 1
//! $ cargo run --release --example soak -- --seed 4711 --verbose
//! $ cargo run --release --example soak -- --seed 4711 --without cut,sleep --shrink
//! $ cargo run --release --example soak -- --seed 4711 --record world.jsonl
//! ```
//!
//! * `--hours N`, `--minutes N`: for how long by the wall clock. A tenth of a minute unless told.
//! * `--start N`: the first seed; 0 unless told. `--long`: long worlds, in which more goes wrong.
//! * `--seed N`: this seed only. `--verbose`: with its log. `--shrink`: with as few kinds of faults as its failure needs.
//!   `--record FILE`: every call into every session of that world, for `tdl trace replay FILE`.
//! * `--without KIND,KIND`: without these kinds of faults.
//!
//! Exits with 1 if a promise was broken: each failing seed is printed, with the command that replays it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tdl::{
    debug::{Background, Plan, Shown, WhenFull, background::Jsonl, jsonl::Header},
    sim::{Fault, FaultSet, Figures, Options, Report, run, shrink},
    trace::{Layer, LayerSet, Tracer},
};

/// Failing seeds that are printed: more would not say more.
const MOST_FAILURES: usize = 20;

struct Arguments {
    length: Duration,
    start: u64,
    seed: Option<u64>,
    shrink: bool,
    long: bool,
    record: Option<PathBuf>,
    options: Options,
}

fn parse() -> Result<Arguments, String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let long = words.iter().any(|word| word == "--long");
    let options = if long { Options::long() } else { Options::default() };
    let mut arguments =
        Arguments { length: Duration::from_secs(6), start: 0, seed: None, shrink: false, long, record: None, options };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
            value.parse::<f64>().map_err(|error| format!("{word} {value}: {error}"))
        };
        match word.as_str() {
            "--hours" => arguments.length = Duration::from_secs_f64(number()? * 3600.0),
            "--minutes" => arguments.length = Duration::from_secs_f64(number()? * 60.0),
            "--start" | "--seed" => {
                let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
                let value = value.parse().map_err(|error| format!("{word} {value}: {error}"))?;
                if word == "--seed" {
                    arguments.seed = Some(value);
                } else {
                    arguments.start = value;
                }
            }
            "--verbose" => arguments.options.log = true,
            "--shrink" => arguments.shrink = true,
            "--long" => {}
            "--record" => arguments.record = Some(words.next().ok_or("--record needs a file")?.into()),
            "--without" => {
                let list = words.next().ok_or("--without needs kinds of faults")?;
                let kinds = list.split(',').map(str::parse::<Fault>).collect::<Result<FaultSet, _>>();
                arguments.options.without = kinds.map_err(|error| error.to_string())?;
            }
            other => return Err(format!("unknown argument {other}: see the top of examples/soak.rs")),
        }
    }
    Ok(arguments)
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    match arguments.seed {
        Some(seed) => replay(seed, &arguments),
        None => soak(&arguments),
    }
}

/// One world, in detail.
fn replay(seed: u64, arguments: &Arguments) -> ExitCode {
    let mut report = run(seed, &arguments.options);
    if arguments.shrink
        && let Some((fewer, smaller)) = shrink(seed, &arguments.options)
    {
        let left: FaultSet = smaller.figures.faults.keys().copied().collect();
        let names = |set: FaultSet| set.iter().map(Fault::name).collect::<Vec<_>>().join(",");
        println!("needs only: {}", names(left));
        println!("{} --without {}", command(seed, arguments), names(fewer.without));
        report = smaller;
    }
    for line in &report.log {
        println!("{line}");
    }
    if let Some(path) = &arguments.record
        && let Err(error) = record(seed, &arguments.options, path)
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    print!("{}", report.figures);
    for violation in &report.violations {
        println!("BROKEN: {violation}");
    }
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the world once more, and writes every call into its sessions down.
fn record(seed: u64, options: &Options, path: &Path) -> io::Result<()> {
    let layers = LayerSet::NONE.with(Layer::Core);
    let header = Header::new(Duration::ZERO, layers, Shown::Everything);
    let plan = Plan { layers, shown: Shown::Everything, when_full: WhenFull::Wait };
    let sink = Background::spawn(File::create(path)?, Jsonl { header }, plan)?;
    run(seed, &Options { trace: Tracer::new(sink.clone()), log: false, ..options.clone() });
    sink.close().error.map_or(Ok(()), Err)
}

fn command(seed: u64, arguments: &Arguments) -> String {
    let long = if arguments.long { " --long" } else { "" };
    format!("cargo run --release --example soak -- --seed {seed}{long} --verbose")
}

/// Worlds until the time is over, on every core.
fn soak(arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(arguments.start);
    let total = Mutex::new((Figures::default(), Vec::<Report>::new(), began));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while began.elapsed() < arguments.length {
                    let report = run(next.fetch_add(1, Ordering::Relaxed), &arguments.options);
                    let mut total = total.lock().expect("no thread panics: worlds catch their own");
                    total.0.add(&report.figures);
                    if let Some(first) = report.violations.first() {
                        println!("BROKEN: {first}\n  {}", command(report.seed, arguments));
                        total.1.push(report);
                        if total.1.len() >= MOST_FAILURES {
                            return;
                        }
                    }
                    if total.2.elapsed() > Duration::from_secs(60) {
                        total.2 = Instant::now();
                        eprintln!(
                            "{:.0} s: {} sessions, {:.0} simulated hours, {} failing worlds",
                            began.elapsed().as_secs_f64(),
                            total.0.sessions,
                            total.0.simulated.as_secs_f64() / 3600.0,
                            total.1.len()
                        );
                    }
                }
            });
        }
    });
    let (figures, failures, _) = total.into_inner().expect("no thread panics: worlds catch their own");
    let elapsed = began.elapsed().as_secs_f64();
    print!("{figures}");
    let rate = figures.simulated.as_secs_f64() / elapsed;
    println!("took {elapsed:.1} s on {threads} threads: {rate:.0} simulated hours an hour, {} failing worlds", failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
