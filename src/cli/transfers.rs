//! What `up` and `dl` have in common: the client of a run and its end, and the last words of a run.

use std::path::Path;
use std::sync::Arc;

use tdl::client::Client;
use tdl::store::{Namespace, NamespaceName};
use tdl::transfer::RunRecord;
use tdl::transfer::stop::{Stop, stop};

use super::context::Context;
use super::exit::{CliError, ExitCode};
use super::retry;
use super::settings::{Cluster, Settings};

/// Does `work` with a client that is logged in. An interruption asks it to stop in good order; however it ends, the client is closed,
/// so that nothing is left unsaid to the server.
pub(crate) async fn with_client(
    context: &Context,
    work: impl AsyncFnOnce(&Client, &Arc<Namespace>, &Stop) -> Result<ExitCode, CliError>,
) -> Result<ExitCode, CliError> {
    let (client, namespace) = context.logged_in().await?;
    context.interrupt.take_over();
    let (stopper, stop) = stop();
    let interrupt = context.interrupt.clone();
    let watcher = tokio::spawn(async move {
        interrupt.wait().await;
        stopper.stop();
    });
    let outcome = work(&client, &namespace, &stop).await;
    watcher.abort();
    client.close().await;
    outcome
}

/// How a run of `command` ended, once nothing of it is under way: `fatal` ended it early, and `failed` are the items to try again, as
/// the retry list has them. `again` is the command that takes that list.
pub(crate) fn conclude(
    context: &Context,
    command: &str,
    record: RunRecord,
    stop: &Stop,
    fatal: Option<CliError>,
    failed: &[String],
    again: impl FnOnce(&Path) -> String,
) -> Result<ExitCode, CliError> {
    if let Some(error) = fatal {
        return Err(error);
    }
    if stop.is_requested() {
        return Err(CliError::interrupted().advise("give the same command again to go on"));
    }
    record.finish()?;
    if failed.is_empty() {
        return Ok(ExitCode::Done);
    }
    let list = retry::write(context, command, failed.iter().map(String::as_str))?;
    context.output.note(&format!("to try those again: {}", again(&list)));
    Ok(ExitCode::SomeFailed)
}

/// How this program was called, up to the command: what a printed command needs to mean the same.
pub(crate) fn program(settings: &Settings) -> String {
    let mut text = "tdl".to_owned();
    let mut home = None;
    match &settings.cluster {
        Cluster::Sandbox(dir) => {
            text.push_str(&format!(" --sandbox {}", quoted(dir)));
            home = Some(dir.join("home"));
        }
        Cluster::File(path) => text.push_str(&format!(" --dc-config {}", quoted(path))),
        Cluster::PublicTest => text.push_str(" --test-dc"),
        Cluster::Production => {}
    }
    let home = home.or_else(|| super::settings::platform_home().ok());
    if home.as_ref() != Some(&settings.home) {
        text.push_str(&format!(" --home {}", quoted(&settings.home)));
    }
    if settings.ns != NamespaceName::default() {
        text.push_str(&format!(" -n {}", settings.ns));
    }
    text
}

/// A path or another text as a shell takes it for one word.
pub(crate) fn quoted(text: &Path) -> String {
    let text = text.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,=@%\\".contains(c);
    if !text.is_empty() && text.chars().all(|c| plain(c) && (c != '\\' || cfg!(windows))) {
        return text.into_owned();
    }
    if cfg!(windows) { format!("\"{text}\"") } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_shell_takes_what_is_quoted_for_one_word() {
        for text in ["plain/path.txt", "with space", "it's", "$HOME `x` \"y\"", "{{ .A }}\\n", "日本語", "", "a\nb"] {
            let quoted = quoted(Path::new(text));
            let script = format!("printf '%s|' {quoted}");
            let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), format!("{text}|"), "{quoted}");
        }
        assert_eq!(quoted(Path::new("plain/path.txt")), "plain/path.txt");
    }
}
