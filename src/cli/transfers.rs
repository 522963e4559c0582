//! What `up` and `dl` have in common: the client of a run and its end, and the last words of a run.

use std::path::Path;
use std::sync::Arc;

use tdl::client::Client;
use tdl::store::Namespace;
use tdl::transfer::RunRecord;
use tdl::transfer::stop::{Stop, stop};

use super::context::Context;
use super::exit::{CliError, ExitCode};
use super::retry;

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
