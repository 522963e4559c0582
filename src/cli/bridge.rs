//! `tdl bridge`: between another client and a data centre whose keys we hold.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde_json::json;
use tdl::{
    bridge::{
        Bridge, Config, Entrance, Notice, StartError,
        rules::{RuleError, RuleSet},
    },
    client::DcTable,
};
use tokio::sync::broadcast::error::RecvError;

use super::{
    context::{self, Context},
    duration,
    exit::{CliError, ExitCode, chain},
    keylog,
    settings::Cluster,
};

/// The arguments of `tdl bridge`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl sandbox up --dir box                                     in one terminal
  tdl bridge --to box/cluster.json --listen 127.0.0.1:9100 --state bridge --trace
                                                               in another; Ctrl-C stops it
  tdl --dc-config bridge/bridge.json login --phone 9996621234 --code 22222 --first-name Ada
                                                               in a third; any other client will do that is given
                                                               the addresses and the key in bridge.json
  tdl bridge --to box --rule 'on = \"request\", method = \"messages.send*\", probability = 0.2, delay = \"3s\"' --seed 7
  tdl bridge --to box --rule 'on = \"answer\", method = \"upload.getFile\", nth = 3, error = { code = 420, text = \"FLOOD_WAIT_2\" }'
  tdl bridge --to box --rules rules.toml --trace-file bridge.log

The client's traffic is decrypted, traced, changed by the rules, and encrypted again for the data centre; the answers likewise. In the
trace, DC2 marks connections that lead to that data centre, @DC2 those of clients that think they have reached it.

A rule says what it is about: on (request, answer, update), method or constructor (with * for anything), dc, nth, every, times,
probability; and what it does: delay = \"2s\", drop = true, close = true, edit = { FIELD = VALUE }, error = { code = N, text = S } or
answer = { _ = CONSTRUCTOR, … }. In a file, each stands under [[rule]]. docs/bridge.md tells more.

Both sides are on this machine: addresses other than loopback are refused. Being interrupted is how it ends: that is exit code 0.")]
pub(crate) struct BridgeArgs {
    /// The data centres to lead to: a file in the format of a sandbox's cluster.json, or the directory with it [default: those that
    /// --sandbox or --dc-config names]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    /// Where to listen for the first data centre; the others get the ports that follow. Port 0 takes those of the last run, or any that
    /// are free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Where the bridge keeps its keys, so that clients need not log in again after a restart, and writes bridge.json [default: in the
    /// home, one directory for each cluster]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// A file of rules: what is delayed, dropped, edited or answered on its way (TOML)
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,

    /// One more rule, behind those of the file: its keys and values, with commas between them. May be given several times
    #[arg(long = "rule", value_name = "RULE")]
    more: Vec<String>,

    /// How long to try to reach a data centre before a call is answered with the error -503, Timeout; 0 for ever
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    patience: Duration,

    /// Decides about rules with a probability: the same number, the same decisions [default: the file's, or drawn and printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

pub(crate) async fn run(context: &Context, args: BridgeArgs) -> Result<ExitCode, CliError> {
    let to = table(context, args.to.as_deref())?;
    let rules = rules(&args)?;
    let state = args.state.unwrap_or_else(|| context.settings.home.join("bridge").join(context::cluster_name(&to)));
    let mut config = Config::new(to, state);
    config.listen = args.listen;
    config.seed = args.seed.or(rules.seed).unwrap_or_else(rand::random);
    config.rules = rules.rules;
    (config.carrier, config.transport) = context::transport_options(context.settings.transport);
    config.reconnect_timeout = args.patience;
    config.tracer = context.tracer()?;
    config.key_log = keylog::logger(&context.settings, &context.output)?;
    let (seed, count) = (config.seed, config.rules.len());
    context.interrupt.take_over();
    let bridge = Bridge::start(config).await.map_err(refused)?;
    show_notices(context, &bridge);
    let entrance = |entrance: &Entrance| {
        json!({
            "id": entrance.at.id,
            "ip": entrance.at.ip,
            "port": entrance.at.port,
            "media_only": entrance.at.media_only,
            "leads_to": entrance.leads_to,
        })
    };
    let dcs: Vec<_> = bridge.entrances().iter().map(entrance).collect();
    context.output.json_line(&json!({
        "ready": true,
        "file": bridge.file().display().to_string(),
        "state": bridge.dir().display().to_string(),
        "rsa_fingerprint": format!("{:#018x}", bridge.rsa_fingerprint()),
        "rules": count,
        "seed": seed,
        "dcs": dcs,
    }))?;
    context.output.note(&format!(
        "the bridge is ready; point a client at it, for instance: tdl --dc-config {} login …   (Ctrl-C stops it)",
        bridge.file().display()
    ));
    context.interrupt.wait().await;
    bridge.shutdown().await;
    context.output.note("the bridge has stopped; its keys are kept");
    Ok(ExitCode::Done)
}

/// The data centres that are meant.
fn table(context: &Context, to: Option<&Path>) -> Result<DcTable, CliError> {
    let Some(to) = to else {
        return match &context.settings.cluster {
            Cluster::File(_) | Cluster::Sandbox(_) => Ok(context.cluster()?.0),
            Cluster::Production | Cluster::PublicTest => {
                Err(CliError::usage("--to is missing: which data centres does the bridge lead to?")
                    .advise("start a cluster with `tdl sandbox up --dir box` and say --to box/cluster.json"))
            }
        };
    };
    let file = if to.is_dir() { to.join("cluster.json") } else { to.to_owned() };
    context::read_table(&file).map_err(|error| {
        error.advise("--to names a file in the format of a sandbox's cluster.json, or the directory of a sandbox that runs")
    })
}

/// The rules of the file and of the flags.
fn rules(args: &BridgeArgs) -> Result<RuleSet, CliError> {
    let wrong = |place: String| {
        move |error: RuleError| {
            CliError::usage(format!("{place}: {error}"))
                .advise("`tdl bridge --help` shows what a rule looks like; docs/bridge.md lists all of it")
        }
    };
    let mut all = match &args.rules {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                CliError::usage(format!("--rules {}: {error}", path.display())).advise("name a file of rules that you can read")
            })?;
            RuleSet::parse(&text).map_err(wrong(path.display().to_string()))?
        }
        None => RuleSet::default(),
    };
    for text in &args.more {
        let mut more = RuleSet::parse_one(text).map_err(|error| wrong(format!("--rule '{text}'"))(error))?;
        // "rule 1" of each flag would be the same name for all of them.
        for rule in &mut more.rules {
            if rule.name == "rule 1" {
                rule.name = format!("rule {}", all.rules.len() + 1);
            }
        }
        all.rules.append(&mut more.rules);
    }
    Ok(all)
}

fn refused(error: StartError) -> CliError {
    let text = chain(&error);
    match error {
        StartError::ListenElsewhere(_) => CliError::usage(text).advise("listen on 127.0.0.1 or [::1]"),
        StartError::LeadsElsewhere { .. } => {
            CliError::usage(text).advise("the bridge is for clusters on this machine, as `tdl sandbox up` runs them")
        }
        StartError::Nowhere | StartError::Table(_) => CliError::usage(text).advise("check the file that --to names"),
        StartError::Ports { .. } => CliError::usage(text).advise("choose a lower port with --listen"),
        StartError::ClusterDir(_) | StartError::OtherCluster(_) => {
            CliError::usage(text).advise("give the bridge a directory of its own with --state")
        }
        StartError::Busy(_) | StartError::Listen { .. } => CliError::failed(text)
            .advise("is another bridge running on that state or those ports? Choose others with --state and --listen"),
        _ => CliError::failed(format!("the bridge cannot start: {text}")),
    }
}

/// Shows what a person may want to hear of.
fn show_notices(context: &Context, bridge: &Bridge) {
    let mut notices = bridge.notices();
    let output = context.output.clone();
    tokio::spawn(async move {
        loop {
            match notices.recv().await {
                Ok(notice @ (Notice::KeyLost { .. } | Notice::Unanswered { .. })) => output.alert(&notice.to_string()),
                Ok(notice) => output.detail(&notice.to_string()),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
}
