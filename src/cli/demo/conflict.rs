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
            promise(desktop.unreadable > 0, "what is pushed in our layer cannot be read in the older one")?;
            promise(!day.after.layers.contains(&OLDER), "the layer on record is another one afterwards")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::day::{OnRecord, Tally};
    use super::*;

    fn tally(program: &'static str, pushed: usize, unreadable: usize) -> Tally {
        let missed = 8 - pushed;
        Tally { program, sent: 8, pushed, unreadable, missed, late: missed, late_by: Some(Duration::from_secs(1)) }
    }

    fn on(device: &str, layers: &[i32]) -> OnRecord {
        OnRecord { device: device.into(), layers: layers.to_vec() }
    }

    fn days() -> [Day; 2] {
        let day = |layer, desktop| Day {
            layer,
            tallies: vec![desktop, tally("tdl", 4, 0)],
            before: on("Desktop-like, 5", &[layer]),
            after: on("tdl, 0", &[230]),
            own: None,
        };
        [day(230, tally("desktop", 4, 0)), day(OLDER, tally("desktop", 2, 2))]
    }

    #[test]
    fn a_conflict_that_is_not_there_is_a_broken_promise() {
        assert!(check(&days()).is_ok());
        let broken: [fn(&mut [Day; 2]); 6] = [
            |days| days[0].tallies[0] = tally("desktop", 8, 0),
            |days| days[0].tallies[1] = tally("tdl", 3, 0),
            |days| days[0].tallies[0].late = 3,
            |days| days[0].after = days[0].before.clone(),
            |days| days[1].tallies[0] = tally("desktop", 4, 0),
            |days| days[1].after.layers.push(OLDER),
        ];
        for (n, breaks) in broken.into_iter().enumerate() {
            let mut days = days();
            breaks(&mut days);
            assert_eq!(check(&days).expect_err(&n.to_string()).code, ExitCode::Failed);
        }
    }
}
