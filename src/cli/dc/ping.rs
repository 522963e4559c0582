//! `tdl dc ping`: how long data centres take to connect and to answer.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use clap::Args;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tdl::{
    client::{Client, KeyMaterial, ProbeError, ping_key},
    debug::units::span,
    ids::DcId,
};

use crate::cli::{
    context::{Context, unix_now},
    duration,
    exit::{CliError, ExitCode},
    output::printable,
};

/// The arguments of `tdl dc ping`.
#[derive(Debug, Args)]
pub(crate) struct PingArgs {
    /// The data centres to ping, by their numbers [default: all]
    #[arg(value_name = "N")]
    dcs: Vec<i32>,

    /// How many rounds
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    count: u16,

    /// How long each step of a round may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse)]
    timeout: Duration,

    /// Every port of every address, not only the first port of each
    #[arg(long)]
    all_ports: bool,
}

/// What came of the rounds at one address.
#[derive(Default)]
struct Measured {
    connect: Vec<Duration>,
    req_pq: Vec<Duration>,
    ping: Vec<Duration>,
    /// What went wrong last.
    error: Option<ProbeError>,
}

/// Least, median and most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spread {
    least: Duration,
    median: Duration,
    most: Duration,
}

impl Spread {
    fn of(times: &[Duration]) -> Option<Self> {
        let mut times = times.to_vec();
        times.sort_unstable();
        let (least, most) = (*times.first()?, *times.last()?);
        let upper = times.get(times.len() / 2)?;
        let lower = times.get((times.len() - 1) / 2)?;
        Some(Self { least, median: (*lower + *upper) / 2, most })
    }

    fn json(self) -> Value {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        json!({ "min": ms(self.least), "median": ms(self.median), "max": ms(self.most) })
    }
}

/// All that is known of one data centre.
struct Row {
    dc: DcId,
    winner: Option<(SocketAddr, Duration)>,
    addresses: Vec<(SocketAddr, Measured)>,
}

pub(super) async fn run(context: &Context, args: &PingArgs) -> Result<ExitCode, CliError> {
    let (table, _) = context.cluster()?;
    let dcs = match args.dcs.as_slice() {
        [] => table.ids(),
        named => {
            let mut dcs = named.iter().map(|id| super::known(&table, *id)).collect::<Result<Vec<_>, _>>()?;
            dcs.dedup();
            dcs
        }
    };
    let namespace = context.existing_namespace(&table)?;
    let client = context.outsider(Some(args.timeout)).await?;
    let mut rows = Vec::new();
    for dc in dcs {
        let key = match &namespace {
            Some(namespace) => ping_key(&**namespace, dc, context.settings.pfs.is_some(), unix_now())?,
            None => None,
        };
        rows.push(measure(&client, dc, key.as_ref(), args).await);
    }
    client.close().await;
    let reached = rows.iter().flat_map(|row| &row.addresses).any(|(_, measured)| !measured.req_pq.is_empty());
    match context.output.json {
        true => {
            context.output.document(&json!({ "dcs": rows.iter().map(|row| row_json(row, args.count)).collect::<Vec<_>>() }))?
        }
        false => print(context, &rows, args.count)?,
    }
    if reached {
        return Ok(ExitCode::Done);
    }
    let violation = rows.iter().flat_map(|row| row.addresses.iter().map(|(addr, measured)| (row.dc, addr, measured))).find_map(
        |(dc, addr, measured)| match &measured.error {
            Some(error @ (ProbeError::Protocol(_) | ProbeError::Refused(_))) => Some(super::probe_error(dc, addr, error)),
            _ => None,
        },
    );
    Err(violation.unwrap_or_else(|| {
        CliError::new(ExitCode::Network, "no data centre answers")
            .advise("check the connection; where the direct way is barred, go through a proxy with --proxy")
    }))
}

/// The rounds at all addresses of one data centre, side by side; and a race between them.
async fn measure(client: &Client, dc: DcId, key: Option<&KeyMaterial>, args: &PingArgs) -> Row {
    let mut addrs = client.addresses(dc, true);
    let winner = client.race(dc).await.ok();
    if !args.all_ports {
        let mut hosts = BTreeSet::new();
        let won = |addr: &SocketAddr| winner.as_ref().is_some_and(|(winner, _)| winner == addr);
        addrs.retain(|addr| hosts.insert(addr.ip()) | won(addr));
    }
    let rounds = addrs.iter().map(|addr| rounds(client, dc, *addr, key, args.count));
    let measured = join_all(rounds).await;
    Row { dc, winner, addresses: addrs.into_iter().zip(measured).collect() }
}

/// The rounds at one address. One that has never answered is not tried again.
async fn rounds(client: &Client, dc: DcId, addr: SocketAddr, key: Option<&KeyMaterial>, count: u16) -> Measured {
    let mut measured = Measured::default();
    for _ in 0..count {
        if let Err(error) = round(client, dc, addr, key, &mut measured).await {
            measured.error = Some(error);
            if measured.req_pq.is_empty() {
                break;
            }
        }
    }
    measured
}

async fn round(
    client: &Client,
    dc: DcId,
    addr: SocketAddr,
    key: Option<&KeyMaterial>,
    measured: &mut Measured,
) -> Result<(), ProbeError> {
    let mut probe = client.probe(dc, addr).await?;
    measured.connect.push(probe.connected());
    measured.req_pq.push(probe.req_pq().await?);
    if let Some(key) = key {
        measured.ping.push(probe.ping(key).await?);
    }
    Ok(())
}

fn print(context: &Context, rows: &[Row], count: u16) -> Result<(), CliError> {
    let mut lines = Vec::new();
    for row in rows {
        for (addr, measured) in &row.addresses {
            let mut note = Vec::new();
            if let Some((winner, took)) = &row.winner
                && winner == addr
            {
                note.push(format!("wins the race in {}", span(*took)));
            }
            note.extend(measured.error.as_ref().map(|error| printable(&error.to_string())));
            lines.push(vec![
                row.dc.0.to_string(),
                addr.to_string(),
                cell(&measured.connect),
                cell(&measured.req_pq),
                cell(&measured.ping),
                format!("{}/{count}", measured.req_pq.len()),
                note.join("; "),
            ]);
        }
    }
    context.output.table(&["DC", "ADDRESS", "CONNECT", "REQ_PQ", "PING", "ANSWERED", ""], &lines)
}

fn cell(times: &[Duration]) -> String {
    match Spread::of(times) {
        None => "-".to_owned(),
        Some(spread) => {
            let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
            format!("{}/{}/{} ms", ms(spread.least), ms(spread.median), ms(spread.most))
        }
    }
}

fn row_json(row: &Row, count: u16) -> Value {
    let spread = |times: &[Duration]| Spread::of(times).map(Spread::json);
    json!({
        "id": row.dc.0,
        "race": row.winner.as_ref().map(|(addr, took)| json!({ "winner": addr.to_string(), "took_ms": took.as_secs_f64() * 1e3 })),
        "addresses": row.addresses.iter().map(|(addr, measured)| json!({
            "address": addr.to_string(),
            "rounds": count,
            "answered": measured.req_pq.len(),
            "connect_ms": spread(&measured.connect),
            "req_pq_ms": spread(&measured.req_pq),
            "ping_ms": spread(&measured.ping),
            "error": measured.error.as_ref().map(ToString::to_string),
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two() {
        let spread = |ms: &[u64]| {
            let times: Vec<Duration> = ms.iter().map(|ms| Duration::from_millis(*ms)).collect();
            Spread::of(&times).map(|s| [s.least, s.median, s.most].map(|time| time.as_millis()))
        };
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7]), Some([7, 7, 7]));
        assert_eq!(spread(&[9, 1, 2]), Some([1, 2, 9]));
        assert_eq!(spread(&[4, 1, 2, 100]), Some([1, 3, 100]));
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        assert_eq!(cell(&[]), "-");
        assert_eq!(cell(&[Duration::from_micros(1500)]), "1.5/1.5/1.5 ms");
    }
}
