//! Where `--trace` goes: standard error, or a file that only its owner can read.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    sync::{Arc, OnceLock},
};

use tdl::{
    debug::{Background, Human, Plan, Shown, Style, WhenFull, background::Jsonl, jsonl::Header, pcapng::Assembler},
    trace::{Layer, LayerSet, Tracer},
};

use super::{
    exit::CliError,
    output::{Output, colour, columns},
    settings::Settings,
};

/// The trace of one command: made when it is first asked for, and written to its end when the command has ended.
#[derive(Default)]
pub(crate) struct Tracing {
    made: OnceLock<Made>,
}

struct Made {
    tracer: Tracer,
    /// What writes to a file.
    file: Option<Arc<Background>>,
}

/// How a trace is written to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileFormat {
    /// The lines that `--trace` prints.
    Lines,
    /// One JSON object a line.
    Jsonl,
    /// Packets for Wireshark.
    Pcapng,
}

impl Tracing {
    /// The tracer that the flags ask for. `--trace-file` alone traces the default layers.
    pub(crate) fn tracer(&self, settings: &Settings, output: &Output) -> Result<Tracer, CliError> {
        if let Some(made) = self.made.get() {
            return Ok(made.tracer.clone());
        }
        let made = make(settings, output)?;
        Ok(self.made.get_or_init(|| made).tracer.clone())
    }

    /// Writes what there is to write.
    pub(crate) fn finish(&self, output: &Output) {
        let Some(file) = self.made.get().and_then(|made| made.file.as_ref()) else { return };
        let summary = file.close();
        if let Some(error) = summary.error {
            output.alert(&format!("the trace is incomplete: {error}"));
        } else if summary.lost > 0 {
            output.alert(&format!("the trace lacks {} records: they came faster than they could be written", summary.lost));
        }
    }
}

fn make(settings: &Settings, output: &Output) -> Result<Made, CliError> {
    let layers = match (settings.trace, &settings.trace_file) {
        (None, None) => return Ok(Made { tracer: Tracer::off(), file: None }),
        (layers, _) => layers.unwrap_or_default(),
    };
    let shown = settings.trace_secrets;
    let style = Style { layers, acks: settings.verbose, shown, ..Style::default() };
    let Some(path) = &settings.trace_file else {
        let style = Style { colour: colour(), width: columns(), ..style };
        return Ok(Made { tracer: Tracer::new(Arc::new(Human::new(output.line_writer(), style))), file: None });
    };
    let format = format_of(path)?;
    let file = open(path)?;
    let wrong = |e: std::io::Error| {
        CliError::failed(format!("--trace-file {}: {e}", path.display())).advise("choose a file that you can write")
    };
    let sink = match format {
        FileFormat::Lines => {
            Background::spawn(file, style, Plan { layers, shown, when_full: WhenFull::Drop }).map_err(wrong)?
        }
        FileFormat::Jsonl => {
            // With everything in it, the file can be played again: see `tdl trace replay`.
            let recording = shown == Shown::Everything;
            let layers = if recording { layers.with(Layer::Core) } else { layers };
            let when_full = if recording { WhenFull::Wait } else { WhenFull::Drop };
            let header = Header::new(super::context::wall_clock(), layers, shown);
            Background::spawn(file, Jsonl { header }, Plan { layers, shown, when_full }).map_err(wrong)?
        }
        FileFormat::Pcapng => {
            // A packet is put together from records of nearly all layers.
            let plan = Plan { layers: Assembler::LAYERS, shown, when_full: WhenFull::Drop };
            Background::spawn(file, Assembler::new(shown), plan).map_err(wrong)?
        }
    };
    Ok(Made { tracer: Tracer::new(sink.clone()), file: Some(sink) })
}

/// The format that a file's name asks for.
fn format_of(path: &Path) -> Result<FileFormat, CliError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "jsonl" | "json" => Ok(FileFormat::Jsonl),
        "pcapng" => Ok(FileFormat::Pcapng),
        "pcap" => Err(CliError::usage("--trace-file cannot write .pcap".to_owned())
            .advise("give a name that ends in .pcapng: Wireshark opens it, with the script of `tdl trace dissector`")),
        _ => Ok(FileFormat::Lines),
    }
}

fn open(path: &Path) -> Result<File, CliError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| {
        CliError::failed(format!("--trace-file {}: {e}", path.display())).advise("choose a file that you can write")
    })
}

/// What `--trace=WHAT` can name: all that there is to be read.
pub(crate) fn layers(what: &str) -> Result<LayerSet, String> {
    let layers: LayerSet = what.parse().map_err(|e: tdl::trace::UnknownLayer| e.to_string())?;
    if layers.contains(Layer::Core) {
        return Err("the layer core is written with --trace-file FILE.jsonl --trace-secrets, and only there".to_owned());
    }
    Ok(layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_say_what_is_written() {
        for (name, expected) in [
            ("t.jsonl", FileFormat::Jsonl),
            ("T.JSONL", FileFormat::Jsonl),
            ("t.json", FileFormat::Jsonl),
            ("t.pcapng", FileFormat::Pcapng),
            ("t.log", FileFormat::Lines),
            ("t", FileFormat::Lines),
            (".jsonl", FileFormat::Lines),
        ] {
            assert_eq!(format_of(Path::new(name)).expect("known"), expected, "{name}");
        }
        assert!(format_of(Path::new("t.pcap")).is_err());
    }

    #[test]
    fn calls_are_not_traced_by_name() {
        assert!(layers("core").is_err() && layers("rpc,core").is_err() && layers("http").is_err());
        assert_eq!(layers("all"), Ok(LayerSet::ALL));
    }
}
