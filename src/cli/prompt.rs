//! Questions to the person at the terminal. Without a terminal there is an error that names the flag instead.

use std::io::{self, IsTerminal};

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

/// Asks. The answer is trimmed unless it is secret; it may be empty.
pub(crate) async fn ask(question: Question) -> Result<String, CliError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(CliError::usage(format!("{} is needed, and there is no terminal to ask at", question.flag))
            .advise(format!("give {}, or set {}", question.flag, question.env)));
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
