//! Where `--trace` goes: standard error, or a file that only its owner can read.

use std::{fs::OpenOptions, path::Path, sync::Arc};

use tdl::{
    debug::{Human, Style},
    trace::Tracer,
};

use super::{
    exit::CliError,
    output::{Output, colour},
    settings::Settings,
};

/// Formats that a file's name asks for and that this version cannot write.
const OTHER_FORMATS: &[&str] = &["jsonl", "json", "pcapng", "pcap"];

/// The tracer that the flags ask for. `--trace-file` alone traces the default layers.
pub(crate) fn tracer(settings: &Settings, output: &Output) -> Result<Tracer, CliError> {
    let layers = match (settings.trace, &settings.trace_file) {
        (None, None) => return Ok(Tracer::off()),
        (layers, _) => layers.unwrap_or_default(),
    };
    let style = Style { layers, ..Style::default() };
    Ok(match &settings.trace_file {
        Some(path) => Tracer::new(Arc::new(Human::new(open(path)?, style))),
        None => Tracer::new(Arc::new(Human::new(output.line_writer(), Style { colour: colour(), ..style }))),
    })
}

fn open(path: &Path) -> Result<std::fs::File, CliError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if OTHER_FORMATS.contains(&extension.as_str()) {
        return Err(CliError::usage(format!("--trace-file cannot write .{extension} in this version"))
            .advise("give a name that ends in .log or .txt: the file gets the lines that --trace prints"));
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| {
        CliError::failed(format!("--trace-file {}: {e}", path.display())).advise("choose a file that you can write")
    })
}
