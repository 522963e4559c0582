//! The list of items that failed, for another try.

use std::path::PathBuf;

use super::context::{Context, unix_now};
use super::exit::CliError;

/// Writes the items, one a line, to a file in the home, and returns its path.
pub(crate) fn write<'a>(context: &Context, command: &str, items: impl Iterator<Item = &'a str>) -> Result<PathBuf, CliError> {
    let dir = context.settings.home.join("retry");
    let path = dir.join(format!("{command}-{}-{}.txt", context.settings.ns, unix_now()));
    let mut text = String::new();
    for item in items {
        text.push_str(item);
        text.push('\n');
    }
    std::fs::create_dir_all(&dir)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|e| CliError::failed(format!("cannot write the retry list {}: {e}", path.display())))?;
    Ok(path)
}
