//! `tdl dc ls`: the data centres that are known.

use std::{collections::BTreeMap, net::IpAddr};

use serde_json::{Value, json};
use tdl::{
    client::{DcAddress, DcAuth, Persistence},
    ids::DcId,
};

use crate::cli::{
    context::Context,
    exit::{CliError, ExitCode},
};

/// What a namespace has with the data centres.
#[derive(Default)]
struct Record {
    home: Option<DcId>,
    auths: BTreeMap<DcId, DcAuth>,
}

pub(super) fn run(context: &Context) -> Result<ExitCode, CliError> {
    let (table, cluster) = context.cluster()?;
    let record = match context.existing_namespace(&table)? {
        Some(namespace) => Record {
            home: namespace.home_dc()?,
            auths: namespace.dc_auths()?.into_iter().map(|auth| (auth.dc, auth)).collect(),
        },
        None => Record::default(),
    };
    if context.output.json {
        context.output.document(&json!({
            "cluster": cluster,
            "namespace": context.settings.ns.as_str(),
            "home_dc": record.home.map(|dc| dc.0),
            "addresses": table.dcs.iter().map(|address| to_json(address, &record)).collect::<Vec<Value>>(),
        }))?;
        return Ok(ExitCode::Done);
    }
    let rows: Vec<Vec<String>> = hosts(&table.dcs).iter().map(|(address, ports)| row(address, ports, &record)).collect();
    context.output.table(&["DC", "ADDRESS", "PORT", "FOR", "KEY", "LOGGED IN"], &rows)?;
    Ok(ExitCode::Done)
}

/// Addresses of one host, which differ in their ports alone, together.
fn hosts(addresses: &[DcAddress]) -> Vec<(&DcAddress, Vec<u16>)> {
    let mut hosts: Vec<(&DcAddress, Vec<u16>)> = Vec::new();
    for address in addresses {
        let same = |other: &DcAddress| {
            (other.id, other.ip, other.media_only, other.cdn) == (address.id, address.ip, address.media_only, address.cdn)
        };
        match hosts.iter_mut().find(|(other, _)| same(other)) {
            Some((_, ports)) => ports.push(address.port),
            None => hosts.push((address, vec![address.port])),
        }
    }
    hosts.sort_by_key(|(address, _)| (address.cdn, address.id, address.media_only, address.ip.is_ipv6()));
    hosts
}

/// What an address is for.
fn purpose(address: &DcAddress) -> &'static str {
    match (address.cdn, address.media_only) {
        (true, _) => "CDN",
        (false, true) => "files",
        (false, false) => "everything",
    }
}

fn row(address: &DcAddress, ports: &[u16], record: &Record) -> Vec<String> {
    let auth = record.auths.get(&DcId(address.id)).filter(|_| !address.cdn);
    let home = if record.home == Some(DcId(address.id)) && !address.cdn { " (home)" } else { "" };
    let dash = || "-".to_owned();
    vec![
        format!("{}{home}", address.id),
        address.ip.to_string(),
        ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
        purpose(address).to_owned(),
        auth.map_or_else(dash, |auth| format!("{:016x}", auth.auth_key.id())),
        auth.map_or_else(dash, |auth| if auth.authorized { "yes" } else { "no" }.to_owned()),
    ]
}

fn to_json(address: &DcAddress, record: &Record) -> Value {
    let auth = record.auths.get(&DcId(address.id)).filter(|_| !address.cdn);
    json!({
        "id": address.id,
        "ip": address.ip,
        "port": address.port,
        "ipv6": matches!(address.ip, IpAddr::V6(_)),
        "media_only": address.media_only,
        "cdn": address.cdn,
        "home": record.home == Some(DcId(address.id)) && !address.cdn,
        "key_id": auth.map(|auth| format!("{:016x}", auth.auth_key.id())),
        "authorized": auth.is_some_and(|auth| auth.authorized),
    })
}

#[cfg(test)]
mod tests {
    use tdl::client::DcTable;

    use super::*;

    #[test]
    fn ports_of_one_host_stand_together() {
        let table = DcTable::production();
        let hosts = hosts(&table.dcs);
        assert_eq!(hosts.len(), 14);
        assert!(hosts.iter().all(|(_, ports)| *ports == [443, 80, 5222]));
        assert!(hosts.is_sorted_by_key(|(address, _)| address.id));
    }

    #[test]
    fn each_kind_of_address_says_what_it_is_for() {
        let address =
            |media_only, cdn| DcAddress { id: 2, ip: IpAddr::from([127, 0, 0, 1]), port: 1, media_only, cdn, tls_port: None };
        let record = Record { home: Some(DcId(2)), ..Record::default() };
        let cell = |address: &DcAddress| row(address, &[1, 2], &record)[..4].join("|");
        assert_eq!(cell(&address(false, false)), "2 (home)|127.0.0.1|1, 2|everything");
        assert_eq!(cell(&address(true, false)), "2 (home)|127.0.0.1|1, 2|files");
        assert_eq!(cell(&address(false, true)), "2|127.0.0.1|1, 2|CDN");
        assert_eq!(to_json(&address(false, true), &record)["home"], false);
    }
}
