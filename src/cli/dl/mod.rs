//! `tdl dl`: files from messages.
//!
//! * [`args`]: what may be typed.
//! * [`items`]: the messages that a run is about.
//! * [`look_up`]: from messages to the files that they carry.
//! * [`run`]: the loop that looks messages up ahead of the downloads.
//! * [`naming`]: which name a file gets.
//! * [`file`]: one file, from its name to its last byte.
//! * [`serve`]: the same files over HTTP.

mod args;
mod file;
mod items;
mod look_up;
mod naming;
mod run;
mod serve;

use std::sync::Mutex;

use tdl::transfer::flow::{Flow, Limits, Notices};

pub(crate) use args::DlArgs;

use super::context::Context;
use super::exit::{CliError, ExitCode};
use super::progress::Reporter;
use super::select::Extensions;
use super::template::NameTemplate;
use super::transfers;
use run::Run;

pub(crate) async fn run(context: &Context, args: DlArgs) -> Result<ExitCode, CliError> {
    if args.serve.serve {
        return serve::run(context, &args).await;
    }
    let template = NameTemplate::parse(&args.template)?;
    let items = items::collect(&args)?;
    transfers::with_client(context, async |client, namespace, stop| {
        let run = Run {
            context,
            client,
            namespace,
            template,
            extensions: Extensions::new(&args.include, &args.exclude),
            args: &args,
            stop,
            reporter: Reporter::new(context, items.len() as u64),
            taken: Mutex::default(),
            open: Mutex::default(),
            flow: Flow::watched(
                Limits {
                    max_wait: context.settings.max_flood_wait,
                    rate: args.limit_rate,
                    ..Limits::new(context.settings.threads.into(), context.settings.limit.into())
                },
                Notices(client.clone()),
            ),
        };
        run.all(&items).await
    })
    .await
}
