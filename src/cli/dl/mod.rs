//! `tdl dl`: files from messages.
//!
//! * [`args`]: what may be typed.
//! * [`items`]: the messages that a run is about.
//! * [`look_up`]: from messages to the files that they carry.
//! * [`fields`]: what a name template sees of them.
//! * [`which`]: which of them are meant.
//! * [`naming`]: which name a file gets.
//! * [`run`]: the loop that looks messages up ahead of the downloads.
//! * [`file`]: one file, from its name to its last byte; [`stdout`]: to standard output.
//! * [`serve`]: the same files over HTTP.

mod args;
mod fields;
mod file;
mod items;
mod look_up;
mod naming;
mod run;
mod serve;
mod stdout;
mod which;

use std::sync::Mutex;
use std::time::Duration;

use tdl::client::InvokeError;
use tdl::transfer::flow::{Flow, Limits, Notices};
use tdl::transfer::takeout::Takeout;

pub(crate) use args::DlArgs;

use super::context::Context;
use super::exit::{CliError, ExitCode};
use super::progress::Reporter;
use super::select::Extensions;
use super::template::{NameFields, NameTemplate};
use super::transfers;
use file::Twins;
use naming::Names;
use run::Run;

/// How long the end of a takeout may take.
const TAKEOUT_END: Duration = Duration::from_secs(5);

pub(crate) async fn run(context: &Context, args: DlArgs) -> Result<ExitCode, CliError> {
    if args.serves() {
        return serve::run(context, &args).await;
    }
    if args.template == "-" {
        context.output.line(NameFields::HELP)?;
        return Ok(ExitCode::Done);
    }
    if args.out.is_some() && context.output.json {
        return Err(CliError::usage("standard output cannot take both the file and JSON").advise("leave out --json or -o"));
    }
    let template = NameTemplate::parse(&args.template)?;
    let items = items::collect(&args, template.uses("Export"))?;
    transfers::with_client(context, async |client, namespace, stop| {
        let takeout = match args.takeout {
            true => Some(Takeout::begin(client).await.map_err(no_takeout)?),
            false => None,
        };
        let run = Run {
            context,
            client,
            namespace,
            items: &items,
            template,
            selection: args.which.selection(),
            extensions: Extensions::new(&args.include, &args.exclude),
            args: &args,
            stop,
            takeout: takeout.as_ref(),
            reporter: Reporter::new(context, items.len() as u64),
            names: Names::new(&args.dir, args.skip_same),
            record: None,
            several: Mutex::default(),
            open: Mutex::default(),
            twins: Twins::default(),
            flow: Flow::watched(limits(context, &args), Notices(client.clone())),
        };
        let outcome = if args.out.is_some() { run.into_stdout().await } else { run.all().await };
        if let Some(takeout) = takeout {
            end(context, takeout, &outcome).await;
        }
        outcome
    })
    .await
}

/// Files are to be had without one, but nobody who asks for one wants less than that.
fn no_takeout(error: InvokeError) -> CliError {
    let asks_for_time = matches!(error, InvokeError::FloodWait { .. }) || error.is_rpc("TAKEOUT_INIT_DELAY");
    let error = CliError::from(error);
    match asks_for_time {
        true => error.advise("confirm the takeout in another app of this account and try again, or leave --takeout out"),
        false => error,
    }
}

/// Ends a takeout after a run. The files are here, or not, whatever becomes of it: it ends by itself in the end.
async fn end(context: &Context, takeout: Takeout, outcome: &Result<ExitCode, CliError>) {
    match outcome {
        Err(error) if matches!(error.code, ExitCode::Network | ExitCode::NotLoggedIn) => return,
        _ => {}
    }
    let ended = tokio::time::timeout(TAKEOUT_END, takeout.finish(matches!(outcome, Ok(ExitCode::Done)))).await;
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => context.output.detail(&format!("the takeout was not ended: {error}")),
        Err(_) => context.output.detail("the takeout was not ended: no answer"),
    }
}

/// Bounds of the run, by the flags.
fn limits(context: &Context, args: &DlArgs) -> Limits {
    let settings = &context.settings;
    // Small files go beside the large ones, and each has a part of its own in flight.
    let limits = Limits::new(settings.threads.into(), settings.limit.into());
    Limits { max_wait: settings.max_flood_wait, rate: args.limit_rate, ..limits }
}
