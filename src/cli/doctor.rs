//! `tdl session doctor`: is anything in conflict?

use std::{sync::Arc, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use tdl::{
    account::doctor::{self, Evidence, Finding, Plan, Severity, Witness},
    client::{Client, Identity, Persistence},
    store::Namespace,
};

use super::{
    context::{Context, has_login},
    duration,
    exit::{CliError, ExitCode},
    output::{colour, counted, printable},
};

/// The arguments of `tdl session doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl session doctor                      looks at keys, records and clocks; takes a second
  tdl session doctor --watch 30s          also sees whether updates are pushed to us, or to somebody else
  tdl session doctor --fix                does what can be done
  tdl session doctor --json | jq -r '.findings[].kind'

It does not introduce itself, so that what another program has said under our key is still there to be seen, and it asks for updates only with
--watch. The exit code is 0 if nothing was found, and 1 if anything was (with --fix: if anything is left).")]
pub(crate) struct DoctorArgs {
    /// Listen for so long, and compare what is pushed with what happened
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    watch: Option<Duration>,

    /// Do what the tool can do about the findings
    #[arg(long)]
    fix: bool,
}

/// What became of a finding.
struct Told {
    finding: Finding,
    /// What was done about it, or why it could not be done.
    fixed: Option<Result<String, String>>,
}

/// Whose key a namespace lives on, if it is not its own.
pub(crate) fn borrowed_from(namespace: &Namespace) -> Result<Option<String>, CliError> {
    Ok(namespace.borrowed()?.map(|borrowed| borrowed.program))
}

pub(crate) async fn run(context: &Context, args: DoctorArgs) -> Result<ExitCode, CliError> {
    // Before this process has it open itself.
    let other_process = context.home.is_in_use(&context.settings.ns)?;
    // One whose login has ended is looked at as well.
    let namespace = context.open_namespace()?;
    if !has_login(&namespace)? {
        return Err(CliError::not_logged_in(namespace.name()));
    }
    let borrowed = borrowed_from(&namespace)?;
    let watch = match (&borrowed, args.watch) {
        (Some(program), Some(_)) => {
            let program = printable(program);
            context.output.alert(&format!("not listening: the updates that came here would be missing at {program}"));
            None
        }
        (_, watch) => watch,
    };
    let witness = Witness::new(context.tracer()?);
    let recorded = namespace.identity()?;
    let client = context.onlooker(&namespace, watch.is_some(), witness.tracer()).await?;
    let said = recorded.unwrap_or_else(|| said(&client));
    let plan = Plan { said, borrowed, other_process, address: address(&client), watch };
    if let Some(time) = watch {
        context.output.note(&format!("listening for {} s; let messages come in meanwhile", time.as_secs()));
    }
    let result = doctor::gather(&client, &witness, plan).await;
    client.close().await;
    let evidence = result?;
    let mut told: Vec<Told> = doctor::diagnose(&evidence).into_iter().map(|finding| Told { finding, fixed: None }).collect();
    if args.fix {
        fix(context, &namespace, &mut told).await?;
    }
    match context.output.json {
        true => context.output.document(&document(&evidence, &told))?,
        false => print(context, &evidence, &told)?,
    }
    let left = told.iter().any(|told| !matches!(told.fixed, Some(Ok(_))));
    Ok(if left { ExitCode::Failed } else { ExitCode::Done })
}

fn said(client: &Client) -> Identity {
    let config = client.config();
    Identity { device: config.device.clone(), layer: config.layer.layer, api_id: config.api_id }
}

/// The address that the server should see. Through a proxy it is the proxy's.
fn address(client: &Client) -> Option<std::net::IpAddr> {
    if client.config().proxy.is_some() {
        return None;
    }
    client.addresses(client.home_dc(), false).first().copied().and_then(doctor::own_address)
}

async fn fix(context: &Context, namespace: &Arc<Namespace>, told: &mut [Told]) -> Result<(), CliError> {
    let mut client = None;
    for told in told {
        let Some(fix) = told.finding.fix() else { continue };
        let client = match &client {
            Some(client) => client,
            None => client.insert(context.connect(namespace).await?),
        };
        let done = fix.apply(client, &**namespace).await;
        told.fixed = Some(done.map(|()| fix.what()).map_err(|error| super::exit::chain(&error)));
    }
    if let Some(client) = client {
        client.close().await;
    }
    Ok(())
}

fn print(context: &Context, evidence: &Evidence, told: &[Told]) -> Result<(), CliError> {
    let (bold, off) = if colour() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    for (n, told) in told.iter().enumerate() {
        if n > 0 {
            context.output.line("")?;
        }
        let finding = &told.finding;
        context.output.line(&format!("{bold}{}: {}{off}", finding.severity().name(), finding.title()))?;
        context.output.line(&format!("  evidence  {}", printable(&finding.evidence())))?;
        context.output.line(&format!("  means     {}", finding.meaning()))?;
        match &told.fixed {
            Some(Ok(what)) => context.output.line(&format!("  done      {what}"))?,
            Some(Err(why)) => {
                context.output.line(&format!("  to do     {}", finding.advice()))?;
                context.output.line(&format!("  not done  {}", printable(why)))?;
            }
            None => context.output.line(&format!("  to do     {}", finding.advice()))?,
        }
    }
    if told.is_empty() {
        let mut looked = counted(evidence.keys.len(), "key");
        if let Some(sample) = evidence.samples.last() {
            looked.push_str(&format!(", {}", counted(sample.authorizations.list.len(), "authorization")));
        }
        if let Some(watch) = &evidence.watch {
            let happened = counted(watch.happened, "event");
            looked.push_str(&format!(", {} of {happened} pushed in {} s", watch.pushed, watch.seconds));
        }
        // Times travel in whole seconds: a difference of one is none.
        let clock = match evidence.time_offset {
            -1..=1 => "this clock agrees with the server's".to_owned(),
            ahead @ 2.. => format!("this clock is {ahead} s behind the server's"),
            behind => format!("this clock is {} s ahead of the server's", behind.unsigned_abs()),
        };
        context.output.line(&format!("nothing found: {looked}; {clock}"))?;
    }
    Ok(())
}

fn document(evidence: &Evidence, told: &[Told]) -> Value {
    let count = |severity: Severity| told.iter().filter(|told| told.finding.severity() == severity).count();
    json!({
        "findings": told.iter().map(finding_json).collect::<Vec<_>>(),
        "problems": count(Severity::Problem),
        "warnings": count(Severity::Warning),
        "notes": count(Severity::Note),
        "seen": {
            "keys": evidence.keys.len(),
            "authorizations": evidence.samples.last().map(|sample| sample.authorizations.list.len()),
            "layers_on_record": evidence.samples.last().map(|sample| &sample.layers),
            "sessions": evidence.protocol.sessions,
            "time_offset": evidence.time_offset,
            "watch": evidence.watch.map(|watch| json!({
                "seconds": watch.seconds, "happened": watch.happened, "pushed": watch.pushed,
            })),
        },
    })
}

fn finding_json(told: &Told) -> Value {
    let finding = &told.finding;
    let mut value = serde_json::to_value(finding).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        let texts = [
            ("severity", finding.severity().name().to_owned()),
            ("title", finding.title().to_owned()),
            ("evidence", finding.evidence()),
            ("means", finding.meaning().to_owned()),
            ("to_do", finding.advice().to_owned()),
        ];
        object.extend(texts.map(|(name, text)| (name.to_owned(), Value::String(text))));
        object.insert("can_fix".to_owned(), finding.fix().is_some().into());
        object.insert("fixed".to_owned(), matches!(told.fixed, Some(Ok(_))).into());
        if let Some(Err(why)) = &told.fixed {
            object.insert("fix_failed".to_owned(), why.as_str().into());
        }
    }
    value
}
