//! `tdl up`: files to a chat.
//!
//! * `args`: what can be asked for.
//! * `collect`: which files.
//! * `describe`: what each is to appear as.
//! * `plan`: what is sent together.
//! * `run`: the run over all of it; `item`: one file on its way; `album`, `pieces`: several that belong together.
//! * `stdin`: what comes through a pipe.
//! * `dry_run`: what would be sent.

mod album;
mod args;
mod collect;
mod describe;
mod dry_run;
mod item;
mod pieces;
mod plan;
mod run;
mod stdin;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tdl::chat::{links, peers};
use tdl::client::Client;
use tdl::transfer::flow::{Flow, Limits, Notices};
use tdl::transfer::parts::UPLOAD_PART;
use tdl::transfer::upload::{self, LocalFile};

use args::AlbumBy;
pub(crate) use args::UpArgs;
use describe::UploadFields;
use plan::{Class, Plan};
use run::Run;

use super::context::Context;
use super::exit::{CliError, ExitCode};
use super::expr::Expression;
use super::transfers;

/// Parts of 512 KiB that an account may send: 2000 MiB, or twice as much with Premium ("Uploading and Downloading Files").
const MAX_PARTS: u32 = 4000;
const MAX_PARTS_PREMIUM: u32 = 8000;

pub(crate) async fn run(context: &Context, args: UpArgs) -> Result<ExitCode, CliError> {
    if args.caption.as_deref() == Some("-") {
        context.output.line(UploadFields::HELP)?;
        return Ok(ExitCode::Done);
    }
    let caption = args.caption.as_deref().map(|text| Expression::compile("--caption", text)).transpose()?;
    let chat = links::chat(&args.chat).map_err(|e| CliError::usage(e.to_string()))?;
    describe::check_thumb(&args)?;
    if args.sends_stdin() {
        let name = stdin::name(&args)?;
        if args.dry_run {
            context.output.line(&format!("file   {name} (from standard input)"))?;
            return Ok(ExitCode::Done);
        }
        return transfers::with_client(context, async |client, _, stop| {
            let own = peers::own_user(client).await?;
            let peer = peers::resolve(client, &chat).await?;
            let max_parts = if own.premium { MAX_PARTS_PREMIUM } else { MAX_PARTS };
            stdin::Stream {
                context,
                client,
                args: &args,
                stop,
                peer: &peer,
                caption: caption.as_ref(),
                max_parts,
                flow: flow(context, &args, client, 1),
            }
            .send(name)
            .await
        })
        .await;
    }
    let files = collect::collect(&args)?;
    if args.name.is_some() && files.len() != 1 {
        return Err(CliError::usage(format!("--name is for one file, and there are {}", files.len())));
    }
    let classes = classes(&args, &files).await;
    if args.dry_run {
        return dry_run::show(context, &args, &plan(&args, &files, &classes, MAX_PARTS)).await;
    }
    transfers::with_client(context, async |client, namespace, stop| {
        let own = peers::own_user(client).await?;
        let peer = peers::resolve(client, &chat).await?;
        let max_parts = if own.premium { MAX_PARTS_PREMIUM } else { MAX_PARTS };
        let plan = plan(&args, &files, &classes, max_parts);
        let flow = flow(context, &args, client, context.settings.limit.into());
        Run::new(context, client, namespace, stop, &args, &plan, caption.as_ref(), &peer, max_parts, flow).all(&files).await
    })
    .await
}

/// How parts travel, of so many files at once.
fn flow(context: &Context, args: &UpArgs, client: &Client, files: usize) -> Flow {
    let limits = Limits::new(context.settings.threads.into(), files);
    let limits = Limits { rate: args.limit_rate, max_wait: context.settings.max_flood_wait, ..limits };
    Flow::watched(limits, Notices(client.clone()))
}

/// What is sent together, for an account that may send files of `max_parts` parts.
fn plan(args: &UpArgs, files: &[PathBuf], classes: &HashMap<&Path, Class>, max_parts: u32) -> Plan {
    let most = u64::from(max_parts) * u64::from(UPLOAD_PART);
    let piece = args.split.map(|split| split.piece(most));
    Plan::new(files, piece, args.album == Some(AlbumBy::Dir), |path| classes.get(path).copied())
}

/// What each file may share an album with; empty when there are to be none.
async fn classes<'a>(args: &UpArgs, files: &'a [PathBuf]) -> HashMap<&'a Path, Class> {
    let mut classes = HashMap::new();
    if args.album.is_some() {
        for path in files {
            // What cannot be opened fails when its turn comes, alone.
            let class = match LocalFile::open(path) {
                Ok(file) => describe::form(args, &upload::content(&file).await, file.size()).0.class(),
                Err(_) => Class::Alone,
            };
            classes.insert(path.as_path(), class);
        }
    }
    classes
}
