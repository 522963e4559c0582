//! Questions to the person at the terminal. Where standard input is none, a line of it is the answer; where it has none, there is an error that
//! names the flag instead.

use std::io::{self, BufRead, IsTerminal, Read};

use inquire::{InquireError, Password, PasswordDisplayMode, Text};

use super::exit::{CliError, ExitCode};

/// A question, and how to answer it without a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The text before the cursor.
    pub(crate) text: String,
    /// A line of help below, if it needs one.
    pub(crate) help: Option<String>,
    /// The flag that answers it.
    pub(crate) flag: &'static str,
    /// The environment variable that answers it.
    pub(crate) env: &'static str,
    /// Whether the answer is hidden.
    pub(crate) secret: bool,
}

/// The longest line of standard input that is taken for an answer, in bytes.
const MAX_LINE: u64 = 4096;

/// Asks. The answer is trimmed unless it is secret; it may be empty.
pub(crate) async fn ask(question: Question) -> Result<String, CliError> {
    if !io::stdin().is_terminal() {
        let secret = question.secret;
        let line = tokio::task::spawn_blocking(move || read_line(&mut io::stdin().lock(), secret)).await;
        return match line {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err(unanswered(&question)),
            Ok(Err(error)) => Err(CliError::failed(format!("cannot read standard input: {error}"))),
            Err(_) => Err(CliError::new(ExitCode::Failed, "reading standard input ended unexpectedly")),
        };
    }
    if !io::stderr().is_terminal() {
        return Err(unanswered(&question));
    }
    // Reading blocks: signals must still be heard meanwhile.
    let answer = tokio::task::spawn_blocking(move || read(&question)).await;
    match answer {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(InquireError::OperationInterrupted | InquireError::OperationCanceled)) => Err(CliError::interrupted()),
        Ok(Err(error)) => Err(CliError::failed(format!("cannot read from the terminal: {error}"))),
        Err(_) => Err(CliError::new(ExitCode::Failed, "the prompt ended unexpectedly")),
    }
}

fn unanswered(question: &Question) -> CliError {
    CliError::usage(format!("{} is needed, and there is no terminal to ask at", question.flag))
        .advise(format!("give {}, or set {}", question.flag, question.env))
}

/// A line; `None` at the end.
fn read_line(input: &mut impl BufRead, secret: bool) -> io::Result<Option<String>> {
    let mut line = String::new();
    if input.take(MAX_LINE).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    if !line.ends_with('\n') && line.len() as u64 == MAX_LINE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line is longer than {MAX_LINE} bytes")));
    }
    let line = line.trim_end_matches(['\n', '\r']);
    Ok(Some(if secret { line.to_owned() } else { line.trim().to_owned() }))
}

fn read(question: &Question) -> Result<String, InquireError> {
    if question.secret {
        let mut prompt = Password::new(&question.text).with_display_mode(PasswordDisplayMode::Hidden).without_confirmation();
        prompt.help_message = question.help.as_deref();
        return prompt.prompt();
    }
    let mut prompt = Text::new(&question.text);
    prompt.help_message = question.help.as_deref();
    prompt.prompt().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_standard_input_are_answers() {
        let mut input: &[u8] = b" 12345 \r\n secret \n\nlast";
        let mut next = |secret| read_line(&mut input, secret).expect("a line");
        assert_eq!(next(false).as_deref(), Some("12345"));
        assert_eq!(next(true).as_deref(), Some(" secret "), "a password may begin with a space");
        assert_eq!(next(false).as_deref(), Some(""));
        assert_eq!(next(false).as_deref(), Some("last"));
        assert_eq!(next(false), None);
        let mut long: &[u8] = &[b'x'; 5000];
        assert_eq!(read_line(&mut long, false).map_err(|e| e.kind()), Err(io::ErrorKind::InvalidData));
        let mut binary: &[u8] = b"\xff\n";
        assert!(read_line(&mut binary, false).is_err());
    }
}
