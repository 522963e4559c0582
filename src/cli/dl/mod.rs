//! `tdl dl`: files from messages.
//!
//! * [`args`]: what may be typed.
//! * [`items`]: the messages that a run is about.
//! * [`look_up`]: from messages to the files that they carry.
//! * [`fields`]: what a name template sees of them.
//! * [`naming`]: which name a file gets.
//! * [`run`]: the loop that looks messages up ahead of the downloads.
//! * [`file`]: one file, from its name to its last byte.

mod args;
mod fields;
mod file;
mod items;
mod look_up;
mod naming;
mod run;

use std::sync::Mutex;

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

pub(crate) async fn run(context: &Context, args: DlArgs) -> Result<ExitCode, CliError> {
    if args.template == "-" {
        context.output.line(NameFields::HELP)?;
        return Ok(ExitCode::Done);
    }
    let template = NameTemplate::parse(&args.template)?;
    let items = items::collect(&args, template.uses("Export"))?;
    transfers::with_client(context, async |client, namespace, stop| {
        let run = Run {
            context,
            client,
            namespace,
            items: &items,
            template,
            extensions: Extensions::new(&args.include, &args.exclude),
            args: &args,
            stop,
            reporter: Reporter::new(context, items.len() as u64),
            names: Names::new(&args.dir, args.skip_same),
            record: None,
            open: Mutex::default(),
            twins: Twins::default(),
        };
        run.all().await
    })
    .await
}
