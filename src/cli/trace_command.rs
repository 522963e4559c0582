//! `tdl trace`: what was traced, shown and played again.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::json;
use tdl::{
    debug::{
        Shown, Style,
        human::{self, line},
        jsonl::{self, Header, Line, calls, kinds, read::Lines},
        redact,
        replay::{Difference, Divergence, Replay, ReplayError},
        report::Report,
    },
    trace::{ConnId, Event, Layer, LayerSet, Record},
};

use super::{
    context::Context,
    decode,
    exit::{CliError, ExitCode},
    output::{columns_of_stdout, stdout_colour},
};

/// The commands under `tdl trace`.
#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// Print a trace that --trace-file wrote as .jsonl, one line an event
    #[command(after_help = "\
Examples:
  tdl trace show run.jsonl
  tdl trace show run.jsonl --layers rpc,tl --grep getDialogs
  tdl whoami --trace=all --trace-file run.jsonl && tdl trace show run.jsonl --conn 1 --acks
  tdl --json trace show run.jsonl         the records themselves, filtered

What cannot be read is reported with its line, and the rest is shown; the exit code is 3 then. Secrets in the file are hidden
unless --trace-secrets is given.")]
    Show(ShowArgs),
    /// Make the recorded calls again, and compare what comes of each with what is recorded
    #[command(after_help = "\
Examples:
  tdl whoami --trace-file run.jsonl --trace-secrets && tdl trace replay run.jsonl
  tdl trace replay tests/bug-17.jsonl

A recording is a .jsonl file written with --trace-secrets: it holds every call into every session, and the keys. Nothing is
dialled. The exit code is 0 if everything comes out as recorded, 1 if something does not, and 7 if that is because a session
finds now that its peer broke the protocol.")]
    Replay(ReplayArgs),
    /// Make one page of a trace: a timeline of frames and calls, latencies, containers, and what is out of the ordinary
    #[command(after_help = "\
Examples:
  tdl whoami --trace=all --trace-file run.jsonl && tdl trace report run.jsonl --html run.html
  tdl trace report run.jsonl --html - > run.html

The page is a single file for a browser. It holds everything that it shows and loads nothing from anywhere, so it can be kept and
sent. Secrets in the file are hidden unless --trace-secrets is given.")]
    Report(ReportArgs),
    /// Open the encrypted traffic in a capture of the wire, and say what was said
    #[command(after_help = "\
Examples:
  tcpdump -i lo -s 0 -w wire.pcap tcp     in one terminal, while the client runs with --keylog keys.log
  tdl trace decode wire.pcap --keylog keys.log
  tdl trace decode wire.pcap --keylog keys.log --trace=all
  tdl trace decode wire.pcap --keylog keys.log --out wire.pcapng
                                          for Wireshark; see `tdl trace dissector`
  tdl trace decode - --keylog keys.log --port 443 --json
                                          reads the capture from a pipe, prints JSON lines

Keys come from the client that was captured (`tdl --keylog FILE …`) or from the server (`tdl sandbox up --keylog FILE`); docs/capture.md
describes the file, for keys from elsewhere. All transports are opened; what goes to an MTProxy needs --proxy-secret. Exit code 3: some of
it could not be decoded, and is listed; 1: nothing could.")]
    Decode(decode::DecodeArgs),
    /// Print the script with which Wireshark shows what we write as pcapng
    #[command(after_help = "\
Examples:
  tdl trace dissector -o tdl.lua
  wireshark -X lua_script:tdl.lua wire.pcapng
  tshark -X lua_script:tdl.lua -r wire.pcapng -Y 'mtproto.rpc.latency > 0.5'

Wireshark also loads it from the folder that Help → About → Folders calls Personal Lua Plugins.")]
    Dissector(decode::DissectorArgs),
}

/// The arguments of `tdl trace show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The trace; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only these layers: transport, crypto, mtproto, rpc, tl, updates, core, all [default: all that are in the file, but core]
    #[arg(long, value_name = "WHAT")]
    layers: Option<LayerSet>,
    /// Only this connection; can be given several times
    #[arg(long, value_name = "N")]
    conn: Vec<u32>,
    /// Only events in whose lines this occurs, in any case
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Acknowledgements as well
    #[arg(long)]
    acks: bool,
}

/// The arguments of `tdl trace replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The recording; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// The arguments of `tdl trace report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The trace; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The page to write; `-` for standard output
    #[arg(long, value_name = "OUT")]
    html: PathBuf,
}

/// Errors that are printed; more would not say more.
const MOST_ERRORS: u64 = 20;
/// Bytes after which what was shown so far is printed.
const CHUNK: usize = 64 << 10;

pub(crate) fn run(context: &Context, command: &TraceCommand) -> Result<ExitCode, CliError> {
    match command {
        TraceCommand::Show(args) => show(context, args),
        TraceCommand::Replay(args) => replay(context, args),
        TraceCommand::Report(args) => report(context, args),
        TraceCommand::Decode(args) => decode::run(context, args),
        TraceCommand::Dissector(args) => decode::print_dissector(context, args),
    }
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(BufReader::with_capacity(256 << 10, file))),
        Err(e) => Err(unreadable(path, &e)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("{}: {error}", path.display())).advise("name a file that --trace-file FILE.jsonl has written")
}

/// What of a trace is shown.
struct Filter<'a> {
    style: Style,
    conns: &'a [u32],
    grep: Option<String>,
}

impl Filter<'_> {
    /// The lines of a record; `None` if it is not wanted.
    fn lines(&self, record: &Record) -> Option<String> {
        let ConnId(conn) = record.conn;
        if !self.style.layers.contains(record.event.layer()) || !(self.conns.is_empty() || self.conns.contains(&conn)) {
            return None;
        }
        if let Some(text) = &self.grep {
            // What is looked for may stand where the terminal has no room, or between two colours.
            let plain = line(record, &Style { colour: false, width: None, ..self.style })?;
            if !plain.to_lowercase().contains(text) {
                return None;
            }
        }
        line(record, &self.style)
    }
}

fn show(context: &Context, args: &ShowArgs) -> Result<ExitCode, CliError> {
    let shown = context.settings.trace_secrets;
    let layers = args.layers.unwrap_or(LayerSet::ALL);
    if layers.contains(Layer::Core) && shown != Shown::Everything {
        return Err(CliError::usage("the layer core holds keys").advise("add --trace-secrets if you want to see them"));
    }
    let style = Style { layers, colour: stdout_colour(), width: columns_of_stdout(), acks: args.acks, shown };
    let filter = Filter { style, conns: &args.conn, grep: args.grep.as_ref().map(|text| text.to_lowercase()) };
    let mut out = Vec::with_capacity(CHUNK);
    let (mut read, mut bad) = (0u64, 0u64);
    for next in Lines::new(open(&args.file)?) {
        let next = next.map_err(|e| unreadable(&args.file, &e))?;
        match next.line {
            Ok(Line::Record(record)) => {
                read += 1;
                let record = redact::record(&record, shown);
                match (filter.lines(&record), context.output.json) {
                    (None, _) => {}
                    (Some(_), true) => jsonl::put_record(&record, &mut out),
                    (Some(lines), false) => out.extend_from_slice(lines.as_bytes()),
                }
            }
            Ok(Line::Header(header)) if context.output.json => {
                jsonl::put_header(&Header { shown: header.shown.min(shown), ..header }, &mut out);
            }
            Ok(Line::Header(header)) => context.output.detail(&describe(&header)),
            Ok(Line::Lost { count }) => out.extend_from_slice(human::lost_line(count).as_bytes()),
            Err(error) => {
                bad += 1;
                if bad <= MOST_ERRORS {
                    context.output.alert(&format!("{}, line {}: {error}", args.file.display(), next.number));
                }
            }
        }
        if out.len() >= CHUNK {
            context.output.raw(&out)?;
            out.clear();
        }
    }
    context.output.raw(&out)?;
    if bad > 0 {
        context.output.alert(&format!("{bad} lines could not be read, {read} records could"));
        return Ok(ExitCode::SomeFailed);
    }
    Ok(ExitCode::Done)
}

fn describe(header: &Header) -> String {
    let Header { version, layer, layers, shown, .. } = header;
    format!("written by tdl {version}, schema layer {layer}; traced {layers}; bodies show {}", shown.name())
}

fn replay(context: &Context, args: &ReplayArgs) -> Result<ExitCode, CliError> {
    let mut replay = Replay::default();
    for next in Lines::new(open(&args.file)?) {
        let next = next.map_err(|e| unreadable(&args.file, &e))?;
        let broken = |why: &dyn std::fmt::Display| {
            CliError::failed(format!("{}, line {}: {why}", args.file.display(), next.number))
                .advise("a recording must be whole: make it anew with --trace-file FILE.jsonl --trace-secrets")
        };
        let record = match &next.line {
            Ok(Line::Record(record)) => record,
            Ok(Line::Header(_)) => continue,
            Ok(Line::Lost { count }) => return Err(broken(&ReplayError::Lost { count: *count })),
            Err(error) => return Err(broken(error)),
        };
        if let Some(found) = replay.event(&record.event).map_err(|error| broken(&error))? {
            return diverged(context, args, next.number, &found);
        }
    }
    let (progress, unfinished) = (replay.progress(), replay.unfinished());
    if progress.sessions == 0 {
        return Err(CliError::failed(format!("{} holds no recorded calls", args.file.display()))
            .advise("make a recording with --trace-file FILE.jsonl --trace-secrets"));
    }
    if context.output.json {
        context.output.document(&json!({
            "diverged": null,
            "sessions": progress.sessions,
            "calls": progress.calls,
            "events": progress.events,
            "refusals": progress.refusals,
            "unfinished": unfinished,
        }))?;
        return Ok(ExitCode::Done);
    }
    context.output.line(&format!(
        "{} sessions, {} calls, {} events: everything came out as recorded",
        progress.sessions, progress.calls, progress.events
    ))?;
    if progress.refusals > 0 {
        context.output.note(&format!("{} times a session refused what came in, as it did then", progress.refusals));
    }
    if unfinished > 0 {
        context.output.note(&format!("{unfinished} calls have no recorded end: the program ended in the middle of them"));
    }
    Ok(ExitCode::Done)
}

/// The first call that did not come out as recorded.
fn diverged(context: &Context, args: &ReplayArgs, number: u64, found: &Divergence) -> Result<ExitCode, CliError> {
    let Divergence { session, number: call_number, call, difference, refused } = found;
    let role = if session.server { "server" } else { "client" };
    let (what, recorded, played) = match difference {
        Difference::Event { index, recorded, played } => (format!("event {index}"), event(recorded), event(played)),
        Difference::Outcome { recorded, played } => ("outcome".to_owned(), recorded.clone(), played.clone()),
    };
    let code = if *refused { ExitCode::Protocol } else { ExitCode::Failed };
    if context.output.json {
        context.output.document(&json!({
            "diverged": {
                "line": number,
                "role": role,
                "session_id": format!("{:016x}", session.session_id.0),
                "auth_key_id": format!("{:016x}", session.auth_key_id),
                "number": call_number,
                "call": calls::kind_of(call),
                "what": what,
                "recorded": recorded,
                "played": played,
                "refused": refused,
            },
        }))?;
        return Ok(code);
    }
    context.output.line(&format!(
        "diverges at line {number}: call {call_number} ({}) of {role} session {:016x}, {what}",
        calls::kind_of(call),
        session.session_id.0
    ))?;
    context.output.line(&format!("  recorded: {recorded}"))?;
    context.output.line(&format!("  now:      {played}"))?;
    let why = format!("{} does not come out as recorded", args.file.display());
    let advice = match refused {
        true => "a session finds now that its peer broke the protocol; `tdl trace show` prints what led there",
        false => "`tdl trace show` prints what led there; with another version of the program a difference may be intended",
    };
    Err(CliError::new(code, why).advise(advice))
}

/// An event as a recording writes it.
fn event(event: &Option<Box<Event>>) -> String {
    event.as_ref().map_or_else(|| "nothing".to_owned(), |event| kinds::to_text(event))
}

fn report(context: &Context, args: &ReportArgs) -> Result<ExitCode, CliError> {
    let shown = context.settings.trace_secrets;
    let mut report = Report::new();
    let mut bad = 0u64;
    let mut tool = String::new();
    for next in Lines::new(open(&args.file)?) {
        let next = next.map_err(|e| unreadable(&args.file, &e))?;
        match next.line {
            // Those are for `tdl trace replay`, and hold keys.
            Ok(Line::Record(record)) if record.event.layer() == Layer::Core => {}
            Ok(Line::Record(record)) => report.add(redact::record(&record, shown).into_owned()),
            Ok(Line::Header(header)) => {
                report.begin_run();
                tool = format!("tdl {}, layer {}", header.version, header.layer);
            }
            Ok(Line::Lost { count }) => report.lost(count),
            Err(error) => {
                bad += 1;
                if bad <= MOST_ERRORS {
                    context.output.alert(&format!("{}, line {}: {error}", args.file.display(), next.number));
                }
            }
        }
    }
    if report.is_empty() {
        return Err(CliError::failed(format!("{} holds no records", args.file.display()))
            .advise("make a trace with --trace=all --trace-file FILE.jsonl"));
    }
    let records = report.len();
    let title = match args.file.file_name() {
        Some(name) if args.file.as_os_str() != "-" => name.to_string_lossy().into_owned(),
        _ => "Trace".to_owned(),
    };
    let cannot =
        |e: io::Error| CliError::failed(format!("{}: {e}", args.html.display())).advise("choose a file that you can write");
    let mut page = Vec::new();
    report.write(&title, &tool, &mut page).map_err(cannot)?;
    if args.html.as_os_str() == "-" {
        context.output.raw(&page)?;
    } else {
        std::fs::write(&args.html, &page).map_err(cannot)?;
        context.output.note(&format!("{records} records in {}: open it in a browser", args.html.display()));
    }
    if bad > 0 {
        context.output.alert(&format!("{bad} lines could not be read, {records} records could"));
        return Ok(ExitCode::SomeFailed);
    }
    Ok(ExitCode::Done)
}
