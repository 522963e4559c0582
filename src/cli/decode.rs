//! `tdl trace decode` and `tdl trace dissector`: captures of the wire, and Wireshark.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use tdl::{
    debug::{
        Human, Pcapng, Style,
        capture::{Decoder, Ends, FileError, JsonLines, Report, decode, packet::Skipped},
        keylog::{self, LoggedKey},
        pcapng::dissector,
    },
    trace::{LayerSet, Observer},
    transport::mtproxy::Secret,
};

use super::{
    context::{Context, wall_clock},
    exit::{CliError, ExitCode},
    output::{Output, columns_of_stdout, printable, stdout_colour},
};

/// Items of a list that are shown at the end, at most.
const SHOWN: usize = 20;

/// The arguments of `tdl trace decode`.
#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// The capture: pcap or pcapng, as tcpdump and Wireshark write it; - reads it from standard input
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,

    /// The secret of an MTProxy that connections go to, in hexadecimal or base64; may be given more than once
    #[arg(long, value_name = "SECRET")]
    proxy_secret: Vec<Secret>,

    /// Look only at connections with this port at either end; may be given more than once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Vec<u16>,

    /// Write to FILE instead of printing lines: .pcapng for Wireshark, .jsonl for programs, any other name for lines
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The arguments of `tdl trace dissector`.
#[derive(Debug, Args)]
pub(crate) struct DissectorArgs {
    /// Write here instead of to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is written to.
type Out = Box<dyn Write + Send>;

/// Where records go, and how to know whether they have arrived.
enum Sink {
    Lines(Arc<Human<Out>>),
    Json(Arc<JsonLines<Out>>),
    Packets(Arc<Pcapng<Out>>),
}

/// `tdl trace decode`.
pub(crate) fn run(context: &Context, args: &DecodeArgs) -> Result<ExitCode, CliError> {
    let keys = keys(context.settings.keylog.as_deref())?;
    if keys.is_empty() {
        context.output.note("no keys: only what is not encrypted can be shown (--keylog FILE names a key log)");
    }
    let secrets = args.proxy_secret.iter().map(|secret| secret.key().clone()).collect();
    let sink = Sink::new(context, args.out.as_deref())?;
    let mut decoder = Decoder::new(keys, secrets, sink.observer()).only_ports(args.port.clone());
    if let Sink::Packets(packets) = &sink {
        let packets = Arc::clone(packets);
        decoder = decoder.on_connection(Box::new(move |conn, ends| packets.set_ends(conn, ends.client, ends.server)));
    }
    let from_stdin = args.capture.as_os_str() == "-";
    let name = if from_stdin { "standard input".to_owned() } else { args.capture.display().to_string() };
    let input: Box<dyn Read> = if from_stdin {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(&args.capture).map_err(|e| CliError::failed(format!("{name}: {e}")))?))
    };
    let (report, end) = decode(input, decoder).map_err(|error| unreadable(&name, &error))?;
    sink.finish()?;
    if let Some(error) = &end {
        context.output.alert(&format!("{name}: {error}; what came before that was read"));
    }
    tell(context, &report);
    match (report.is_empty(), report.is_complete() && end.is_none()) {
        (true, _) => Err(CliError::failed(format!("nothing in {name} could be decoded")).advise(
            "docs/capture.md says what is needed: the whole of the connections (tcpdump -s 0), and a key log that was written at that time",
        )),
        (false, true) => Ok(ExitCode::Done),
        (false, false) => Ok(ExitCode::SomeFailed),
    }
}

/// `tdl trace dissector`.
pub(crate) fn print_dissector(context: &Context, args: &DissectorArgs) -> Result<ExitCode, CliError> {
    let script = dissector::script();
    match &args.output {
        None => context.output.raw(script.as_bytes())?,
        Some(path) => std::fs::write(path, script).map_err(|e| CliError::failed(format!("{}: {e}", path.display())))?,
    }
    Ok(ExitCode::Done)
}

/// The keys of a log; none without one.
fn keys(path: Option<&Path>) -> Result<Vec<LoggedKey>, CliError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let wrong = |why: &dyn std::fmt::Display| CliError::failed(format!("--keylog {}: {why}", path.display()));
    let file = File::open(path).map_err(|e| {
        wrong(&e).advise("name the file that `tdl --keylog FILE …` or `tdl sandbox up --keylog FILE` wrote during the capture")
    })?;
    keylog::read(BufReader::new(file)).map_err(|e| wrong(&e).advise("docs/capture.md describes the format: one key a line"))
}

fn unreadable(name: &str, error: &FileError) -> CliError {
    let failed = CliError::failed(format!("{name}: {error}"));
    match error {
        FileError::Compressed => {
            failed.advise("unpack it first, or pipe it in: `zcat FILE | tdl trace decode - --keylog KEYS`")
        }
        FileError::UnknownFormat { .. } => failed.advise("pcap and pcapng are read: what tcpdump -w and Wireshark write"),
        _ => failed,
    }
}

impl Sink {
    fn new(context: &Context, out: Option<&Path>) -> Result<Self, CliError> {
        let settings = &context.settings;
        let shown = settings.trace_secrets;
        let json = |out, layers| Self::Json(Arc::new(JsonLines::new(out, wall_clock(), layers, shown)));
        let Some(path) = out else {
            let stdout: Out = Box::new(io::stdout());
            let layers = settings.trace.unwrap_or_default();
            if settings.json {
                return Ok(json(stdout, layers));
            }
            return Ok(Self::Lines(Arc::new(Human::new(
                stdout,
                Style { layers, colour: stdout_colour(), width: columns_of_stdout(), shown, ..Style::default() },
            ))));
        };
        let wrong = |e: io::Error| {
            CliError::failed(format!("--out {}: {e}", path.display())).advise("choose a file that you can write")
        };
        let file: Out = Box::new(io::BufWriter::new(create_private(path).map_err(wrong)?));
        let layers = settings.trace.unwrap_or(LayerSet::ALL);
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        Ok(match extension.as_str() {
            "pcapng" => Self::Packets(Arc::new(Pcapng::new(file, shown).map_err(wrong)?)),
            "jsonl" => json(file, layers),
            _ => Self::Lines(Arc::new(Human::new(file, Style { layers, acks: true, shown, ..Style::default() }))),
        })
    }

    fn observer(&self) -> Arc<dyn Observer> {
        match self {
            Self::Lines(sink) => sink.clone(),
            Self::Json(sink) => sink.clone(),
            Self::Packets(sink) => sink.clone(),
        }
    }

    /// Nothing more will come. Whether all of it has been written.
    fn finish(&self) -> Result<(), CliError> {
        let lost = || CliError::failed("what was decoded could not all be written").advise("is the disk full?");
        match self {
            // Each line was written when it came.
            Self::Lines(_) => Ok(()),
            Self::Json(sink) => sink.finish().map_err(|e| match e.kind() {
                io::ErrorKind::BrokenPipe => CliError::stdout(&e),
                _ => CliError::failed(format!("what was decoded could not all be written: {e}")).advise("is the disk full?"),
            }),
            Self::Packets(sink) if sink.flush() => Ok(()),
            Self::Packets(_) => Err(lost()),
        }
    }
}

/// A new file in place of an old one, readable by its owner alone: it holds what was encrypted.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Says what was decoded, and what was not.
fn tell(context: &Context, report: &Report) {
    let output = &context.output;
    let count = |n: u64, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    output.note(&format!(
        "{}; {} with traffic: {} MTProto, {} of other protocols",
        count(report.packets, "packet", "packets"),
        count(report.connections, "connection", "connections"),
        report.mtproto,
        report.other,
    ));
    output.note(&format!(
        "decoded {} ({} encrypted): {}, {} ({} answered in the capture)",
        count(report.decoded, "MTProto packet", "MTProto packets"),
        report.opened,
        count(report.messages, "message", "messages"),
        count(report.requests, "request", "requests"),
        report.answered,
    ));
    if report.unasked > 0 {
        output.note(&format!("{} to requests that are not in the capture", count(report.unasked, "answer", "answers")));
    }
    for (rule, times) in &report.checks {
        output.note(&format!("check failed: {rule} ({})", count(*times, "time", "times")));
    }
    if report.undecoded > 0 {
        output.alert(&format!("not decoded: {}", count(report.undecoded, "MTProto packet", "MTProto packets")));
    }
    for (id, packets) in report.unknown_keys.iter().take(SHOWN) {
        output.alert(&format!(
            "not decoded: {} under the key {id:016x}, which no key log has",
            count(*packets, "packet", "packets")
        ));
    }
    more(output, report.unknown_keys.len(), "key", "keys");
    for trouble in report.troubles.iter().take(SHOWN) {
        let Ends { client, server } = trouble.ends;
        output.alert(&format!("not decoded: {} {client} to {server}: {}", trouble.conn, printable(&trouble.what)));
    }
    let troubles = report.troubles.len().saturating_add(usize::try_from(report.more_troubles).unwrap_or(usize::MAX));
    more(output, troubles, "connection or part of one", "connections or parts of them");
    for (why, packets) in &report.skipped {
        let packets = count(*packets, "packet", "packets");
        match why {
            Skipped::NotTcp => output.detail(&format!("passed over: {packets} of other protocols than TCP")),
            Skipped::Malformed => output.note(&format!("passed over: {packets} whose headers make no sense or were cut off")),
            Skipped::Fragment => {
                output.alert(&format!("passed over: {packets} that IP had cut into fragments; they are not put together"))
            }
            Skipped::LinkType(link) => {
                output.alert(&format!("passed over: {packets} of link type {}, which is not known here", link.0));
            }
        }
    }
    if report.cut > 0 {
        let packets = count(report.cut, "packet was", "packets were");
        output.alert(&format!("{packets} cut short by the capture: take it with `tcpdump -s 0`"));
    }
}

/// Says how much of a list was not shown.
fn more(output: &Output, len: usize, one: &str, many: &str) {
    match len.saturating_sub(SHOWN) {
        0 => {}
        1 => output.alert(&format!("not decoded: 1 more {one}")),
        left => output.alert(&format!("not decoded: {left} more {many}")),
    }
}
