//! `tdl dc config`: the configuration that a data centre gives out.

use std::{net::IpAddr, path::Path, path::PathBuf};

use clap::Args;
use tdl::{
    client::{DcAddress, DcTable},
    debug::units::{date, span},
    tl::{
        Deserialize, Serialize,
        api::{enums, functions, types},
        compiled_schema,
        dynamic::{
            self, Style, Value,
            json::{JsonOptions, to_json},
        },
    },
};

use crate::cli::{
    context::Context,
    exit::{CliError, ExitCode},
    output::printable,
};

/// The arguments of `tdl dc config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The data centre to ask, by its number [default: the account's home, or 2]
    #[arg(value_name = "N")]
    dc: Option<i32>,

    /// Write the data centres that it names to FILE, for --dc-config
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: &ConfigArgs) -> Result<ExitCode, CliError> {
    let (table, _) = context.cluster()?;
    let dc = match args.dc {
        Some(id) => super::known(&table, id)?,
        None => super::home_or_first(context, &table)?,
    };
    let client = context.stranger().await?;
    let answer = client.invoke_raw(Some(dc), functions::help::GetConfig.to_bytes()).await?;
    client.close().await;
    let enums::Config::Config(config) = enums::Config::from_bytes(answer.clone()).map_err(|e| unreadable(&e))?;
    if let Some(path) = &args.save {
        save(context, &config, table, path)?;
    }
    let value = dynamic::decode(compiled_schema(), answer).map_err(|e| unreadable(&e))?;
    let Value::Object(fields) = &value else { return Err(unreadable(&"it is no object")) };
    if context.output.json {
        context.output.document(&to_json(&value, &JsonOptions::default()))?;
        return Ok(ExitCode::Done);
    }
    let pairs: Vec<(&str, String)> =
        fields.fields().filter(|(name, _)| *name != "dc_options").map(|(name, value)| (name, readable(name, value))).collect();
    context.output.key_values(&pairs)?;
    context.output.line("")?;
    let rows: Vec<Vec<String>> = config.dc_options.iter().map(option_row).collect();
    context.output.table(&["DC", "ADDRESS", "PORT", "FOR", "REMARKS"], &rows)?;
    Ok(ExitCode::Done)
}

fn unreadable(why: &dyn std::fmt::Display) -> CliError {
    CliError::new(ExitCode::Protocol, format!("the answer to help.getConfig cannot be read: {why}"))
        .advise("run the command again with --trace=all to see what the peer sent")
}

/// A value for people: dates as dates, spans as spans.
fn readable(name: &str, value: &Value<'_>) -> String {
    match value {
        Value::Int(at) if matches!(name, "date" | "expires") => date((*at).into()),
        Value::Int(number) => match (u64::try_from(*number), name) {
            (Ok(_), _) if *number == i32::MAX => "no limit".to_owned(),
            (Ok(ms), name) if name.ends_with("_ms") => span(std::time::Duration::from_millis(ms)),
            (Ok(s), name) if name.ends_with("_time_limit") || name.ends_with("_period") || name == "rating_e_decay" => {
                long_span(s)
            }
            _ => number.to_string(),
        },
        Value::String(text) => printable(text),
        Value::True => "yes".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        other => printable(&other.print(Style { lines: false, redact: false }).to_string()),
    }
}

/// Seconds in the greatest unit that they are whole numbers of.
fn long_span(seconds: u64) -> String {
    match seconds {
        86_400.. if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        3600.. if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ => span(std::time::Duration::from_secs(seconds)),
    }
}

fn option_row(option: &enums::DcOption) -> Vec<String> {
    let enums::DcOption::Option(option) = option;
    let purpose = match (option.cdn, option.media_only) {
        (true, _) => "CDN",
        (false, true) => "files",
        (false, false) => "everything",
    };
    let remarks = [
        (option.r#static, "static"),
        (option.tcpo_only, "obfuscated only"),
        (option.this_port_only, "this port only"),
        (option.secret.is_some(), "with a secret"),
    ];
    let remarks: Vec<&str> = remarks.iter().filter(|(there, _)| *there).map(|(_, text)| *text).collect();
    let ip = printable(&option.ip_address);
    vec![option.id.to_string(), ip, option.port.to_string(), purpose.to_owned(), remarks.join(", ")]
}

/// Writes the table that the configuration names, with the keys of the one in use.
fn save(context: &Context, config: &types::Config, table: DcTable, path: &Path) -> Result<(), CliError> {
    let mut left_out = 0;
    let mut dcs = Vec::new();
    for option in &config.dc_options {
        match address(option) {
            Some(address) => dcs.push(address),
            None => left_out += 1,
        }
    }
    let saved = DcTable { dcs, ..table };
    if saved.ids().is_empty() {
        return Err(
            CliError::new(ExitCode::Protocol, "the configuration names no usable address").advise("nothing was written")
        );
    }
    let failed = |e: &dyn std::fmt::Display| CliError::failed(format!("{}: {e}", path.display()));
    saved.write(path).map_err(|e| failed(&crate::cli::exit::chain(&e)).advise("name a file that you can write"))?;
    context.output.note(&format!("{} addresses written to {}", saved.dcs.len(), path.display()));
    if left_out > 0 {
        context.output.note(&format!("{left_out} left out: they want a secret of their own, or are no addresses"));
    }
    Ok(())
}

/// An address as the table has it. Those that want an obfuscation secret of their own cannot be said there.
fn address(option: &enums::DcOption) -> Option<DcAddress> {
    let enums::DcOption::Option(option) = option;
    let ip: IpAddr = option.ip_address.to_string().parse().ok()?;
    let port = u16::try_from(option.port).ok().filter(|port| *port > 0)?;
    let usable = option.secret.is_none() && (1..=1000).contains(&option.id);
    usable.then_some(DcAddress { id: option.id, ip, port, media_only: option.media_only, cdn: option.cdn, tls_port: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(id: i32, ip: &str, port: i32) -> types::DcOption {
        types::DcOption { id, ip_address: ip.into(), port, ..types::DcOption::default() }
    }

    #[test]
    fn only_what_the_table_can_say_is_saved() {
        let of = |option: types::DcOption| address(&option.into());
        let plain = of(option(2, "149.154.167.50", 443)).expect("usable");
        assert_eq!((plain.id, plain.ip, plain.port, plain.cdn), (2, IpAddr::from([149, 154, 167, 50]), 443, false));
        assert!(of(types::DcOption { cdn: true, ..option(203, "91.105.192.100", 443) }).is_some_and(|it| it.cdn));
        assert!(of(types::DcOption { ipv6: true, ..option(2, "2001:67c:4e8:f002::a", 443) }).is_some_and(|it| it.ip.is_ipv6()));
        assert_eq!(of(types::DcOption { secret: Some(vec![1; 16].into()), ..option(2, "149.154.167.50", 443) }), None);
        for (id, ip, port) in [(2, "example.org", 443), (2, "1.2.3.4", 0), (2, "1.2.3.4", 70_000), (0, "1.2.3.4", 443)] {
            assert_eq!(of(option(id, ip, port)), None, "{id} {ip} {port}");
        }
    }

    #[test]
    fn numbers_say_what_they_mean() {
        assert_eq!(readable("online_update_period_ms", &Value::Int(210_000)), "3 min 30 s");
        assert_eq!(readable("edit_time_limit", &Value::Int(172_800)), "2 d");
        assert_eq!(readable("edit_time_limit", &Value::Int(5400)), "90 min 0 s");
        assert_eq!(readable("revoke_time_limit", &Value::Int(i32::MAX)), "no limit");
        assert_eq!(readable("date", &Value::Int(1_700_000_000)), "2023-11-14 22:13:20 UTC");
        assert_eq!(readable("message_length_max", &Value::Int(4096)), "4096");
        assert_eq!(readable("dc_txt_domain_name", &Value::String("a\u{1b}b".into())), "a\\u{1b}b");
    }
}
