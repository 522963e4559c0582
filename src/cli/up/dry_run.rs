//! What would be sent, without sending it.

use humansize::{BINARY, format_size};
use serde_json::json;
use tdl::transfer::attributes::Content;
use tdl::transfer::upload::{self, LocalFile};

use super::args::UpArgs;
use super::describe;
use super::plan::{Item, Plan, Unit};
use crate::cli::context::Context;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::printable;

/// Prints a line, or a JSON object, for each message.
pub(super) async fn show(context: &Context, args: &UpArgs, plan: &Plan) -> Result<ExitCode, CliError> {
    let mut albums = 0;
    let mut failed = false;
    for unit in &plan.units {
        let (list, album) = match unit {
            Unit::One(index) => (std::slice::from_ref(index), None),
            Unit::Pieces(list) => (list.as_slice(), None),
            Unit::Album(list) => {
                albums += 1;
                if !context.output.json {
                    context.output.line(&format!("album of {}:", list.len()))?;
                }
                (list.as_slice(), Some(albums))
            }
        };
        for &index in list {
            if let Some(item) = usize::try_from(index).ok().and_then(|index| plan.items.get(index)) {
                failed |= !one(context, args, item, album).await?;
            }
        }
    }
    Ok(if failed { ExitCode::SomeFailed } else { ExitCode::Done })
}

/// One message. Whether its file can be read.
async fn one(context: &Context, args: &UpArgs, item: &Item, album: Option<u32>) -> Result<bool, CliError> {
    let indent = if album.is_some() { "  " } else { "" };
    let opened = LocalFile::open(&item.path).and_then(|file| match item.piece {
        Some(piece) => file.piece(piece.offset, piece.len),
        None => Ok(file),
    });
    let file = match opened.and_then(|file| file.parts(super::MAX_PARTS_PREMIUM).map(|_| file)) {
        Ok(file) => file,
        Err(error) if context.output.json => {
            context.output.json_line(&json!({"path": item.path, "error": error.to_string()}))?;
            return Ok(false);
        }
        Err(error) => {
            context.output.line(&format!("{indent}not    {}: {error}", printable(&item.shown())))?;
            return Ok(false);
        }
    };
    let content = if item.piece.is_some() { Content::Other } else { upload::content(&file).await };
    let (goes_as, note) = describe::form(args, &content, file.size());
    let size = content.size();
    if context.output.json {
        context.output.json_line(&json!({
            "path": item.path, "as": goes_as.word(), "size": file.size(), "album": album,
            "piece": item.piece.map(|piece| piece.number), "pieces": item.piece.map(|piece| piece.of),
            "duration": content.duration(), "width": size.map(|size| size.0), "height": size.map(|size| size.1), "note": note,
        }))?;
        return Ok(true);
    }
    let mut about = format_size(file.size(), BINARY);
    if let Some((width, height)) = size {
        about.push_str(&format!(", {width} × {height}"));
    }
    if let Some(duration) = content.duration().filter(|duration| *duration > 0.0) {
        about.push_str(&format!(", {duration:.0} s"));
    }
    if let Some(why) = note {
        about.push_str(&format!("; {why}"));
    }
    context.output.line(&format!("{indent}{:<6} {} ({about})", goes_as.word(), printable(&item.shown())))?;
    Ok(true)
}
