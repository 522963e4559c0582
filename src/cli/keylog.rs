//! Where `--keylog` goes: who is told of keys, and the warning.

use std::sync::Arc;

use tdl::{crypto::keylog::KeyLogger, debug::KeylogFile};

use super::{exit::CliError, output::Output, settings::Settings};

/// Whoever the flags want to be told of keys. It is said aloud, `--quiet` or not: a forgotten flag must not go unnoticed.
pub(crate) fn logger(settings: &Settings, output: &Output) -> Result<KeyLogger, CliError> {
    let Some(path) = &settings.keylog else { return Ok(KeyLogger::off()) };
    let told = output.clone();
    let shown = path.display().to_string();
    let trouble = move |error: &std::io::Error| told.alert(&format!("--keylog {shown}: a key could not be written: {error}"));
    let file = KeylogFile::open(path, trouble).map_err(|e| {
        CliError::failed(format!("--keylog {}: {e}", path.display()))
            .advise("choose a file that you can write and others cannot read")
    })?;
    output.alert(&format!(
        "WARNING: auth keys are being written to {}. Whoever has that file can read the traffic and use the account: keep it to \
         yourself, and delete it when you are done",
        path.display()
    ));
    Ok(KeyLogger::new(Arc::new(file)))
}
