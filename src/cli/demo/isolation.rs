//! `tdl demo isolation`: the same day with a key for each. Ours is let in by one call under the desktop-like client's.

use std::path::Path;

use tdl::account::{self, LoginRequest, OwnersIdentity};
use tdl::client::{Client, DeviceProfile, LayerPlan, Persistence};
use tdl::trace::Tracer;

use super::conflict::OLDER;
use super::day::{Day, Stage, Tally, empty, has_own_key, on_record};
use super::program::{Answers, Program, config, desktop_like};
use super::{promise, table};
use crate::cli::context::{Context, unix_now};
use crate::cli::exit::{CliError, ExitCode};

pub(super) async fn run(context: &Context, messages: u32, dir: &Path) -> Result<ExitCode, CliError> {
    let say = |text: &str| context.output.note(text);
    say(
        "A desktop-like client is logged in. tdl makes a key of its own, and has it let in by one call under the desktop-like client's;\nboth listen, and look at their chats by turns.",
    );
    let stage = Stage::set(dir).await?;
    let mut days = Vec::new();
    for (phone, layer) in [("9996621001", LayerPlan::COMPILED.layer), ("9996621002", OLDER)] {
        days.push(day(&stage, phone, layer, messages).await?);
    }
    stage.end().await;
    table::print(context, "isolation", &days)?;
    check(&days)?;
    say("Every message was pushed to both, and the desktop-like client's device and layer are what they were.");
    Ok(ExitCode::Done)
}

async fn day(stage: &Stage, phone: &str, layer: i32, messages: u32) -> Result<Day, CliError> {
    let desktop_config = config(&stage.table, desktop_like(), layer);
    let mut desktop = Program::start("desktop", desktop_config.clone(), empty()).await?;
    desktop.log_in(phone).await?;
    desktop.listen().await?;
    let before = on_record(&stage.table, desktop.copy_of_key()?).await?;

    // The desktop-like client listens meanwhile: it must not lose its place.
    let own = config(&stage.table, DeviceProfile::default(), LayerPlan::COMPILED.layer);
    let mut ours = Program::start("tdl", own.clone(), empty()).await?;
    if let Some(home) = desktop.store.home_dc()? {
        ours.store.set_home_dc(home)?;
        ours.client.set_home_dc(home)?;
    }
    let owner = OwnersIdentity { device: desktop_config.device, layer, api_id: desktop_config.api_id };
    let foreign = Client::connect(account::lent(own, Some(owner)), desktop.copy_of_key()?, Tracer::off()).await?;
    let mut prompts = Answers { code: String::new(), name: String::new() };
    let request = LoginRequest { now: unix_now(), ..LoginRequest::default() };
    let result = account::isolate(&foreign, &ours.client, &mut prompts, request).await;
    foreign.close().await;
    result?;
    promise(has_own_key(&ours, &desktop)?, "tdl has a key of its own")?;
    ours.listen().await?;

    let all = usize::try_from(messages).unwrap_or(usize::MAX);
    let enough = |tallies: &[Tally]| tallies.iter().all(|tally| tally.pushed + tally.unreadable >= all);
    let tallies = stage.day(phone, [&desktop, &ours], messages, enough).await?;
    let after = on_record(&stage.table, desktop.copy_of_key()?).await?;
    let own = on_record(&stage.table, ours.copy_of_key()?).await?;
    ours.client.close().await;
    desktop.client.close().await;
    Ok(Day { layer, tallies, before, after, own: Some(own) })
}

fn check(days: &[Day]) -> Result<(), CliError> {
    for day in days {
        for tally in &day.tallies {
            let whole = tally.pushed == tally.sent && tally.missed == 0 && tally.unreadable == 0;
            promise(whole, "every message is pushed to each program, in a form that it can read")?;
        }
        promise(day.before == day.after, "the desktop-like client's record is what it was")?;
        promise(day.before.device.starts_with("Desktop-like"), "the desktop-like client's device is on record")?;
        let own = day.own.as_ref().is_some_and(|own| own.device != day.before.device);
        promise(own, "tdl has a record of its own")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::day::OnRecord;
    use super::*;

    fn days() -> [Day; 1] {
        let tally = |program| Tally { program, sent: 8, pushed: 8, ..Tally::default() };
        let on = |device: &str| OnRecord { device: device.into(), layers: vec![230] };
        [Day {
            layer: 230,
            tallies: vec![tally("desktop"), tally("tdl")],
            before: on("Desktop-like, 5"),
            after: on("Desktop-like, 5"),
            own: Some(on("tdl, 0")),
        }]
    }

    #[test]
    fn one_message_less_is_a_broken_promise() {
        assert!(check(&days()).is_ok());
        let broken: [fn(&mut Day); 5] = [
            |day| (day.tallies[0].pushed, day.tallies[0].missed) = (7, 1),
            |day| day.tallies[1].unreadable = 1,
            |day| day.after.layers = vec![201],
            |day| day.after.device = "tdl, 0".into(),
            |day| day.own = None,
        ];
        for (n, breaks) in broken.into_iter().enumerate() {
            let mut days = days();
            breaks(&mut days[0]);
            assert_eq!(check(&days).expect_err(&n.to_string()).code, ExitCode::Failed);
        }
    }
}
