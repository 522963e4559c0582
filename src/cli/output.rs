//! Standard output is data; everything else goes to standard error.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use tdl::client::Notice;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{exit::CliError, settings::Settings};

/// Where a line for people goes while something else owns the terminal: above the progress bars.
pub(crate) type LinePrinter = Box<dyn Fn(&str) + Send>;

/// Who shows waits while something else owns the terminal. Says whether it has said all that there is to say.
pub(crate) type NoticeTeller = Box<dyn Fn(&Notice) -> bool + Send>;

/// What a command prints, and how. Clones share the line printer.
#[derive(Clone)]
pub(crate) struct Output {
    /// `--json`.
    pub(crate) json: bool,
    /// `--quiet`.
    pub(crate) quiet: bool,
    /// `--verbose`.
    pub(crate) verbose: bool,
    printer: Arc<Mutex<Option<LinePrinter>>>,
    teller: Arc<Mutex<Option<NoticeTeller>>>,
}

impl Output {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            json: settings.json,
            quiet: settings.quiet,
            verbose: settings.verbose,
            printer: Arc::default(),
            teller: Arc::default(),
        }
    }

    /// Sends lines for people through `printer` from now on; `None` sends them to standard error again.
    pub(crate) fn print_through(&self, printer: Option<LinePrinter>) {
        *self.printer.lock().unwrap_or_else(PoisonError::into_inner) = printer;
    }

    /// Shows what delays requests through `teller` from now on as well; `None` ends that.
    pub(crate) fn tell_notices(&self, teller: Option<NoticeTeller>) {
        *self.teller.lock().unwrap_or_else(PoisonError::into_inner) = teller;
    }

    /// Shows what delays a call, while it is being delayed. Waits that the server imposes are shown even to the quiet.
    pub(crate) fn notice(&self, notice: &Notice) {
        if self.teller.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|teller| teller(notice)) {
            return;
        }
        let text = notice.to_string();
        match notice {
            Notice::FloodWait { .. } | Notice::Flooded { .. } => self.alert(&text),
            Notice::Reconnecting { .. } | Notice::Reconnected { .. } | Notice::Retry { .. } | Notice::GaveUp { .. } => {
                self.note(&text);
            }
            _ => self.detail(&text),
        }
    }

    fn stderr(&self, text: &str) {
        match &*self.printer.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(printer) => printer(text),
            None => stderr_line(text),
        }
    }

    /// A writer of whole lines for people, such as the trace.
    pub(crate) fn line_writer(&self) -> LineWriter {
        LineWriter { output: self.clone() }
    }

    /// A line of data.
    pub(crate) fn line(&self, text: &str) -> Result<(), CliError> {
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Data as it is.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|e| CliError::stdout(&e))
    }

    /// One JSON document, indented.
    pub(crate) fn document(&self, value: &impl Serialize) -> Result<(), CliError> {
        self.line(&serde_json::to_string_pretty(value).expect("plain values have a JSON form"))
    }

    /// One JSON object on one line.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<(), CliError> {
        self.line(&serde_json::to_string(value).expect("plain values have a JSON form"))
    }

    /// Names and values, aligned.
    pub(crate) fn key_values(&self, pairs: &[(&str, String)]) -> Result<(), CliError> {
        self.raw(key_values(pairs).as_bytes())
    }

    /// Rows under a heading, aligned. The last column is as wide as it needs.
    pub(crate) fn table(&self, heading: &[&str], rows: &[Vec<String>]) -> Result<(), CliError> {
        self.raw(table_text(heading, rows).as_bytes())
    }

    /// Something worth knowing, for people. Not with `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.stderr(text);
        }
    }

    /// A detail, only with `--verbose`.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.stderr(text);
        }
    }

    /// Something that people must see, `--quiet` or not.
    pub(crate) fn alert(&self, text: &str) {
        self.stderr(text);
    }
}

/// Passes whole lines on to where lines for people go. Each write is taken as one or more whole lines.
pub(crate) struct LineWriter {
    output: Output,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.output.stderr(text.strip_suffix('\n').unwrap_or(&text));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The last words of a command that failed.
pub(crate) fn print_error(error: &CliError) {
    if error.what.is_empty() {
        return;
    }
    let (red, bold, off) = if colour() { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    stderr_line(&format!("{red}error{off}: {}", error.what));
    if let Some(advice) = &error.advice {
        stderr_line(&format!(" {bold}help{off}: {advice}"));
    }
}

/// Whether standard error shows colours: it is a terminal, and NO_COLOR is not set.
pub(crate) fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Whether standard output shows colours.
pub(crate) fn stdout_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// The columns of standard error, if it is a terminal.
pub(crate) fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0))
}

/// The rows of standard error, if it is a terminal.
pub(crate) fn rows() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(_, height)| usize::from(height.0))
}

/// The columns of standard output, if it is a terminal.
pub(crate) fn columns_of_stdout() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// If nobody reads standard error any more, there is nobody to tell.
fn stderr_line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A number of things, as people write it: "1 file", "2 files".
pub(crate) fn counted(n: impl std::fmt::Display, what: &str) -> String {
    let n = n.to_string();
    let plural = if n == "1" { "" } else { "s" };
    format!("{n} {what}{plural}")
}

/// Text from a server or a file, safe for a terminal: control characters, line breaks and direction overrides become visible escapes.
pub(crate) fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match hidden(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
        out
    })
}

/// `text` cut to `width` columns, the last of them an ellipsis if something is missing.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn key_values(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(key, _)| key.width()).max().unwrap_or(0);
    pairs.iter().map(|(key, value)| format!("{}  {value}\n", pad(key, width))).collect()
}

/// The lines of a table.
pub(crate) fn table_text(heading: &[&str], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = heading.iter().map(|&h| h.to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&heading).chain(rows).collect();
    let widths: Vec<usize> = (0..heading.len())
        .map(|i| all.iter().filter_map(|row| row.get(i)).map(|cell| cell.width()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in all {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_what_is_seen() {
        let text = table_text(&["NAME", "ID"], &[vec!["张伟".into(), "1".into()], vec!["ada".into(), "22".into()]]);
        assert_eq!(text, "NAME  ID\n张伟  1\nada   22\n");
        assert_eq!(key_values(&[("a", "1".into()), ("long", "2".into())]), "a     1\nlong  2\n");
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nc\u{202e}"), "a\\u{1b}[2Jb\\u{a}c\\u{202e}");
        assert_eq!(printable("Ада 🙂"), "Ада 🙂");
    }

    #[test]
    fn long_text_is_cut_at_a_column() {
        assert_eq!(fit("hello", 5), "hello");
        assert_eq!(fit("hello!", 5), "hell…");
        assert_eq!(fit("张伟张伟", 5), "张伟…");
    }
}
