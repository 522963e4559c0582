//! `tdl demo conflict`: two programs live on one key, as they do when a tool uses Desktop's session files.

use std::path::Path;

use tdl::client::{DeviceProfile, LayerPlan};

use super::day::{Day, Stage, empty, on_record};
use super::program::{Program, config, desktop_like};
use super::{promise, table};
use crate::cli::context::Context;
use crate::cli::exit::{CliError, ExitCode};

/// An older layer, which programs in the field speak.
pub(super) const OLDER: i32 = 201;

pub(super) async fn run(context: &Context, messages: u32, dir: &Path) -> Result<ExitCode, CliError> {
    let say = |text: &str| context.output.note(text);
    say(
        "A desktop-like client is logged in. Then tdl takes a copy of its key and lives on it; both listen, and look at their chats by turns.",
    );
    let stage = Stage::set(dir).await?;
    let mut days = Vec::new();
    for (phone, layer) in [("9996621001", LayerPlan::COMPILED.layer), ("9996621002", OLDER)] {
        days.push(day(&stage, phone, layer, messages).await?);
    }
    stage.end().await;
    table::print(context, "conflict", &days)?;
    check(&days)?;
    say(
        "MISSED were not pushed, or in a layer that the program cannot read (UNREADABLE); LATE of them came only when the server was asked\nfor the difference. `tdl demo isolation` is the same day with a key for each.",
    );
    Ok(ExitCode::Done)
}

async fn day(stage: &Stage, phone: &str, layer: i32, messages: u32) -> Result<Day, CliError> {
    let mut desktop = Program::start("desktop", config(&stage.table, desktop_like(), layer), empty()).await?;
    desktop.log_in(phone).await?;
    desktop.listen().await?;
    let before = on_record(&stage.table, desktop.copy_of_key()?).await?;
    let own = config(&stage.table, DeviceProfile::default(), LayerPlan::COMPILED.layer);
    let mut ours = Program::start("tdl", own, desktop.copy_of_key()?).await?;
    ours.listen().await?;
    let all = usize::try_from(messages).unwrap_or(usize::MAX);
    let enough = |tallies: &[super::day::Tally]| tallies.iter().map(|t| t.pushed + t.unreadable).sum::<usize>() >= all;
    let tallies = stage.day(phone, [&desktop, &ours], messages, enough).await?;
    let after = on_record(&stage.table, desktop.copy_of_key()?).await?;
    ours.client.close().await;
    desktop.client.close().await;
    Ok(Day { layer, tallies, before, after, own: None })
}

/// The conflict has to be there, by the server's rules; a demo that shows none is wrong.
fn check(days: &[Day]) -> Result<(), CliError> {
    for day in days {
        let [desktop, ours] = day.tallies.as_slice() else { return promise(false, "there are two programs") };
        let pushes = desktop.pushed + desktop.unreadable + ours.pushed + ours.unreadable;
        promise(pushes == desktop.sent, "each message is pushed to one session of the key, and to one only")?;
        promise(desktop.missed > 0 && ours.missed > 0, "each program misses messages")?;
        promise(desktop.late == desktop.missed && ours.late == ours.missed, "the difference has all that was missed")?;
        promise(day.before.device.starts_with("Desktop-like"), "the desktop-like client's device is on record before")?;
        promise(day.after.device != day.before.device, "the device on record is another one afterwards")?;
        if day.layer == OLDER {
            promise(
                desktop.unreadable > 0 && desktop.pushed == 0,
                "what is pushed in our layer cannot be read in the older one",
            )?;
            promise(!day.after.layers.contains(&OLDER), "the layer on record is another one afterwards")?;
        }
    }
    Ok(())
}
