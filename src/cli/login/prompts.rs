//! The questions of a login: answered from flags first, then by the person at the terminal, or from standard input.

use std::time::{Duration, Instant};

use tdl::account::{
    CodeAnswer, CodeSent, Delivery, EmailReset, LoginPrompts, MAX_CODE_ATTEMPTS, MAX_PASSWORD_ATTEMPTS, Name, PasswordAsked,
    PromptError,
};
use zeroize::Zeroizing;

use super::{LoginArgs, qr::Canvas};
use crate::cli::{
    context::{Context, unix_now},
    exit::CliError,
    output::{Output, printable},
    prompt::{Question, ask},
};

/// Answers from flags first, then from the person at the terminal.
pub(crate) struct Prompts {
    pub(super) output: Output,
    pub(super) canvas: Canvas,
    /// How many lines the last login link took.
    pub(super) drawn: usize,
    code: Option<String>,
    password: Option<Zeroizing<String>>,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    /// Which code was told of, and when.
    told: Option<(CodeSent, Instant)>,
}

impl Prompts {
    /// Takes the answers out of the arguments.
    pub(super) fn new(context: &Context, args: &mut LoginArgs) -> Self {
        Self {
            code: args.code.take(),
            password: args.password.take().map(Zeroizing::new),
            email: args.email.take(),
            first_name: args.first_name.take(),
            last_name: args.last_name.take(),
            ..Self::asking(context)
        }
    }

    /// Without any answers.
    pub(crate) fn asking(context: &Context) -> Self {
        Self {
            output: context.output.clone(),
            canvas: Canvas::of_stderr(),
            drawn: 0,
            code: None,
            password: None,
            email: None,
            first_name: None,
            last_name: None,
            told: None,
        }
    }

    /// With the password of two-step verification, if it is known.
    pub(crate) fn with_password(context: &Context, password: Option<String>) -> Self {
        Self { password: password.map(Zeroizing::new), ..Self::asking(context) }
    }

    /// Says how a code comes, once for each.
    fn tell(&mut self, sent: &CodeSent) {
        if self.told.as_ref().is_some_and(|(told, _)| told == sent) {
            return;
        }
        self.output.note(&format!("a code was sent {}", printable(&sent.delivery.to_string())));
        self.told = Some((sent.clone(), Instant::now()));
    }

    /// What somebody means who has no code: another way, as soon as the server allows it.
    async fn without_code(&mut self, sent: &CodeSent) -> Result<CodeAnswer, PromptError> {
        if sent.next.is_some() {
            let since = self.told.as_ref().map_or(Duration::ZERO, |(_, at)| at.elapsed());
            let wait = Duration::from_secs(sent.wait.unwrap_or(0).into()).saturating_sub(since);
            if !wait.is_zero() {
                self.output.alert(&format!("the next way can be asked for in {} s: waiting", wait.as_secs() + 1));
                tokio::time::sleep(wait).await;
            }
            return Ok(CodeAnswer::Resend);
        }
        if matches!(sent.email_reset, Some(EmailReset::After(_))) {
            return Ok(CodeAnswer::ResetEmail);
        }
        let question = Question {
            text: "Network code (MNC) of your phone's operator, two or three digits:".into(),
            help: Some("Enter alone if you do not know it; Telegram is told that the code does not arrive".into()),
            flag: "--code",
            env: "TDL_CODE",
            secret: false,
        };
        Ok(CodeAnswer::Missing { mnc: ask(question).await? })
    }
}

/// What Enter alone means, where the code does not arrive.
fn help(sent: &CodeSent) -> Option<String> {
    let after = |seconds: u32| match seconds {
        0 => String::new(),
        seconds => format!(" (after {seconds} s)"),
    };
    if let Some(next) = &sent.next {
        return Some(format!(
            "Enter alone: it does not arrive, send it {}{}; \"cancel\" withdraws it",
            printable(&next.to_string()),
            after(sent.wait.unwrap_or(0))
        ));
    }
    match sent.email_reset {
        Some(EmailReset::After(seconds)) => {
            return Some(format!(
                "Enter alone: I cannot read that email, take the address away from the account{}; \"cancel\" withdraws the code",
                after(seconds)
            ));
        }
        Some(EmailReset::At(date)) => {
            let hours = date.saturating_sub(unix_now()).max(0) / 3600;
            return Some(format!("the address is taken away from the account in {hours} h; \"cancel\" withdraws the code"));
        }
        None => {}
    }
    match sent.delivery {
        Delivery::Sms | Delivery::Call | Delivery::SmsWord { .. } | Delivery::SmsPhrase { .. } => {
            Some("Enter alone: it does not arrive; \"cancel\" withdraws it".to_owned())
        }
        _ => Some("\"cancel\" withdraws it".to_owned()),
    }
}

/// Whether Enter alone has a meaning.
fn has_other_way(sent: &CodeSent) -> bool {
    sent.next.is_some()
        || matches!(sent.email_reset, Some(EmailReset::After(_)))
        || (sent.email_reset.is_none()
            && matches!(sent.delivery, Delivery::Sms | Delivery::Call | Delivery::SmsWord { .. } | Delivery::SmsPhrase { .. }))
}

impl LoginPrompts for Prompts {
    async fn phone(&mut self) -> Result<String, PromptError> {
        let question = Question {
            text: "Phone number:".into(),
            help: Some("with the country code, such as +49 151 12345678".into()),
            flag: "--phone",
            env: "TDL_PHONE",
            secret: false,
        };
        Ok(ask(question).await?)
    }

    async fn code(&mut self, sent: &CodeSent, wrong: u32) -> Result<CodeAnswer, PromptError> {
        if let Some(code) = self.code.clone() {
            return match wrong {
                0 => Ok(CodeAnswer::Code(code)),
                _ => Err(CliError::failed("the server says that the code is wrong")
                    .advise("give the latest code that came in, or leave --code out and type it")
                    .into()),
            };
        }
        self.tell(sent);
        if wrong > 0 {
            self.output.note(&format!("that code is wrong; {} more tries", MAX_CODE_ATTEMPTS.saturating_sub(wrong)));
        }
        let text = match (sent.length, &sent.delivery) {
            (_, Delivery::SmsWord { .. }) => "Word:".to_owned(),
            (_, Delivery::SmsPhrase { .. }) => "Phrase:".to_owned(),
            (_, Delivery::FlashCall { .. }) => "The caller's number:".to_owned(),
            (Some(length), Delivery::MissedCall { .. }) => format!("Last {length} digits of the caller's number:"),
            (Some(length), _) => format!("Code ({length} digits):"),
            (None, _) => "Code:".to_owned(),
        };
        loop {
            let question = Question { text: text.clone(), help: help(sent), flag: "--code", env: "TDL_CODE", secret: false };
            match ask(question).await? {
                text if text.eq_ignore_ascii_case("cancel") => return Ok(CodeAnswer::Cancel),
                code if !code.is_empty() => return Ok(CodeAnswer::Code(code)),
                _ if has_other_way(sent) => return self.without_code(sent).await,
                _ => {}
            }
        }
    }

    async fn name(&mut self, terms: Option<&str>) -> Result<Name, PromptError> {
        self.output.note("this number has no account yet: one will be made");
        if let Some(terms) = terms {
            self.output.note(&format!(
                "by going on you accept the terms of service:\n{}",
                terms.lines().map(printable).collect::<Vec<_>>().join("\n")
            ));
        }
        let question = |text: &str, flag, env| Question { text: text.into(), help: None, flag, env, secret: false };
        let first = match self.first_name.clone() {
            Some(name) => name,
            None => ask(question("First name:", "--first-name", "TDL_FIRST_NAME")).await?,
        };
        let last = match (self.last_name.clone(), &self.first_name) {
            (Some(name), _) => name,
            // Whoever gave the first name by flag wants no questions; a last name is optional.
            (None, Some(_)) => String::new(),
            (None, None) => ask(question("Last name (optional):", "--last-name", "TDL_LAST_NAME")).await?,
        };
        Ok(Name { first, last })
    }

    async fn password(&mut self, asked: &PasswordAsked) -> Result<Zeroizing<String>, PromptError> {
        if let Some(password) = self.password.clone() {
            return match asked.wrong {
                0 => Ok(password),
                _ => Err(CliError::failed("the server says that the password is wrong").advise(advice(asked)).into()),
            };
        }
        match asked.wrong {
            0 => self.output.note("the account is protected by a password (two-step verification)"),
            wrong => {
                self.output
                    .note(&format!("that password is wrong; {} more tries", MAX_PASSWORD_ATTEMPTS.saturating_sub(wrong)));
            }
        }
        if let Some(at) = asked.reset_at {
            let hours = at.saturating_sub(unix_now()).max(0) / 3600;
            self.output.note(&format!("it is to be reset in {hours} h: somebody has asked for that"));
        }
        let hint = asked.hint.as_ref().map(|hint| format!("hint: {}", printable(hint)));
        loop {
            let question = Question {
                text: "Password:".into(),
                help: hint.clone(),
                flag: "--password",
                env: "TDL_PASSWORD",
                secret: true,
            };
            let password = Zeroizing::new(ask(question).await?);
            if !password.is_empty() {
                return Ok(password);
            }
            self.output.note(&advice(asked));
        }
    }

    async fn email(&mut self, refused: Option<&str>) -> Result<String, PromptError> {
        if let Some(email) = self.email.clone() {
            return match refused {
                None => Ok(email),
                Some(name) => {
                    let what = format!("the server does not accept the email address ({})", printable(name));
                    Err(CliError::failed(what).advise("give another --email, or leave it out and type it").into())
                }
            };
        }
        match refused {
            None => self.output.note("the account needs an email address, to which its login codes are sent from now on"),
            Some(name) => self.output.note(&format!("the server does not accept that address ({})", printable(name))),
        }
        let question = Question { text: "Email address:".into(), help: None, flag: "--email", env: "TDL_EMAIL", secret: false };
        Ok(ask(question).await?)
    }
}

/// What to do about a password that is wrong, or forgotten.
fn advice(asked: &PasswordAsked) -> String {
    let error = tdl::account::Error::PasswordWrong { attempts: asked.wrong, recovery: asked.recovery };
    error.advice().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(delivery: Delivery) -> CodeSent {
        CodeSent { delivery, length: None, next: None, wait: None, email_reset: None }
    }

    #[test]
    fn enter_alone_means_what_the_help_says() {
        let next = CodeSent { next: Some(Delivery::Call), wait: Some(60), ..sent(Delivery::Sms) };
        assert!(has_other_way(&next) && help(&next).is_some_and(|text| text.contains("phone call") && text.contains("60 s")));
        let email = sent(Delivery::Email { pattern: "a*@b".into() });
        assert!(!has_other_way(&email) && help(&email).is_some_and(|text| !text.contains("Enter")));
        let reset = CodeSent { email_reset: Some(EmailReset::After(0)), ..email.clone() };
        assert!(has_other_way(&reset) && help(&reset).is_some_and(|text| text.contains("take the address away")));
        let pending = CodeSent { email_reset: Some(EmailReset::At(unix_now() + 7300)), ..email };
        assert!(!has_other_way(&pending) && help(&pending).is_some_and(|text| text.contains("2 h")));
        let last = sent(Delivery::Call);
        assert!(has_other_way(&last) && help(&last).is_some_and(|text| text.contains("Enter alone")));
        assert!(!has_other_way(&sent(Delivery::App)));
    }
}
