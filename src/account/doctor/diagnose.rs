//! What follows from the evidence: a pure function.

use std::collections::BTreeMap;

use super::{Difference, Evidence, Finding, KeyState, Sample};

/// Seconds that a clock may be wrong: servers take messages that are so far ahead of theirs, and no further ("Security Guidelines").
pub const CLOCK_LIMIT: i64 = 30;

/// Days after which an authorization counts as one that nobody uses.
pub const STALE_DAYS: i64 = 90;

/// Seconds before its end at which a temporary key should long have been replaced.
const LAST_MOMENT: i64 = 30;

/// Salts that may be refused on one connection: the one on record may be old by now, and another may have had its time while we looked.
const SALTS: usize = 2;

/// The codes of `bad_msg_notification` that a client alone in its session, with a clock that is kept right, does not cause: sequence numbers
/// that are too low (32), too high (33) or of the wrong parity (34, 35), and an identifier that was used before (19).
const FOREIGN_CODES: [i32; 5] = [19, 32, 33, 34, 35];

/// The findings, the worst first.
pub fn diagnose(evidence: &Evidence) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(reason) = evidence.ended {
        found.push(Finding::Ended { reason });
    }
    let no_key = evidence.keys.iter().any(|key| key.home && key.state == KeyState::Forgotten);
    // Where there is no key there is no answer.
    if let Some(reason) = evidence.refused.as_ref().filter(|_| !no_key) {
        found.push(Finding::Unanswered { reason: reason.clone() });
    }
    keys(evidence, &mut found);
    records(evidence, &mut found);
    protocol(evidence, &mut found);
    if let Some(watch) = &evidence.watch
        && watch.pushed < watch.happened
    {
        let missing = watch.happened - watch.pushed;
        found.push(Finding::NotPushed { happened: watch.happened, missing, seconds: watch.seconds });
    }
    if evidence.other_process {
        found.push(Finding::SecondProcess);
    }
    if evidence.time_offset.abs() > CLOCK_LIMIT {
        found.push(Finding::ClockSkew { seconds: evidence.time_offset });
    }
    if let Some(program) = &evidence.borrowed {
        found.push(Finding::Borrowed { program: program.clone() });
    }
    stale(evidence, &mut found);
    found.sort_by_key(Finding::severity);
    found
}

fn keys(evidence: &Evidence, found: &mut Vec<Finding>) {
    let said_so = evidence.ended.is_some();
    for key in evidence.keys.iter().filter(|key| key.state == KeyState::Forgotten) {
        // That the login is over is one thing, said once.
        if !(key.home && said_so) {
            found.push(Finding::KeyForgotten { dc: key.dc.0, key_id: key.key_id, home: key.home });
        }
    }
    let now = evidence.server_now();
    for temp in &evidence.temporary {
        let ended_for = now.saturating_sub(temp.expires_at);
        if ended_for > -LAST_MOMENT {
            found.push(Finding::TemporaryKeyEnded { dc: temp.dc.0, key_id: temp.key_id, ended_for });
        }
    }
}

/// What the server has on record for our key. What the owner of a borrowed one says of itself is the owner's business.
fn records(evidence: &Evidence, found: &mut Vec<Finding>) {
    if let (Some(ours), Some(current)) = (evidence.address, evidence.samples.last().and_then(|s| s.authorizations.current()))
        && current.ip.parse().is_ok_and(|ip: std::net::IpAddr| ip.to_canonical() != ours.to_canonical())
    {
        found.push(Finding::AddressDiffers { ours, found: current.ip.clone() });
    }
    if evidence.borrowed.is_some() {
        return;
    }
    // What was there at the beginning is told once; what has changed since then is told as such.
    for (meanwhile, sample) in evidence.samples.iter().enumerate().map(|(i, sample)| (i > 0, sample)) {
        if let Some(device) = device(evidence, sample, meanwhile) {
            found.push(device);
            break;
        }
    }
    let said = evidence.said.layer;
    let other =
        evidence.samples.iter().map(|sample| &sample.layers).find(|layers| !layers.is_empty() && !layers.contains(&said));
    if let Some([least, .., most] | [least @ most]) = other.map(Vec::as_slice) {
        found.push(Finding::LayerReplaced { said, least: *least, most: *most });
    }
}

fn device(evidence: &Evidence, sample: &Sample, meanwhile: bool) -> Option<Finding> {
    let current = sample.authorizations.current()?;
    let (said, device) = (&evidence.said, &evidence.said.device);
    let fields = [
        ("device", device.device_model.clone(), current.device_model.clone()),
        ("system", device.system_version.clone(), current.system_version.clone()),
        ("application version", device.app_version.clone(), current.app_version.clone()),
        ("application id", said.api_id.to_string(), current.api_id.to_string()),
    ];
    let differences: Vec<Difference> = fields
        .into_iter()
        .filter(|(_, said, found)| said.trim() != found.trim())
        .map(|(field, said, found)| Difference { field, said, found })
        .collect();
    if differences.is_empty() {
        return None;
    }
    Some(Finding::DeviceReplaced { differences, ip: current.ip.clone(), meanwhile })
}

fn protocol(evidence: &Evidence, found: &mut Vec<Finding>) {
    let protocol = &evidence.protocol;
    if protocol.begun_anew > 0 {
        let lost_connections = protocol.lost_connections;
        found.push(Finding::SessionsBegunAnew { times: protocol.begun_anew, lost_connections });
    }
    let foreign = |code: &i32| FOREIGN_CODES.contains(code);
    let codes: BTreeMap<i32, usize> =
        protocol.bad_messages.iter().filter(|(code, _)| foreign(code)).map(|(code, times)| (*code, *times)).collect();
    if !codes.is_empty() {
        found.push(Finding::CopiedSession { codes });
    }
    if protocol.salts_refused > SALTS {
        found.push(Finding::SaltsRefused { times: protocol.salts_refused });
    }
}

fn stale(evidence: &Evidence, found: &mut Vec<Finding>) {
    let Some(sample) = evidence.samples.last() else { return };
    let now = evidence.server_now();
    let since = now.saturating_sub(STALE_DAYS * 86_400);
    let unused: Vec<_> = sample.authorizations.unused_since(since).collect();
    let Some(oldest) = unused.iter().map(|a| a.active).min() else { return };
    let hashes = unused.iter().map(|a| a.hash).collect();
    found.push(Finding::Stale { hashes, longest_days: now.saturating_sub(oldest) / 86_400 });
}
