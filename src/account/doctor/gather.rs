//! Sees: asks the server, pings under each key, listens for a while.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;

use crate::account::{authorizations, layers_on_record};
use crate::client::{Client, Identity, InvokeError, KeyUse, Persistence, ProbeError, ProtocolError, UpdateItem, ping_key};
use crate::ids::DcId;
use crate::tl::api::functions;
use crate::trace::counters;

use super::{Evidence, KeyEvidence, KeyState, Sample, TempEvidence, WatchEvidence, Witness};

/// How long updates may be behind the counter that speaks of them.
const GRACE: Duration = Duration::from_secs(2);

/// Events that are counted; beyond that the first ones stand for all.
const MOST_EVENTS: i32 = 100_000;

/// What is known beforehand, and what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What this namespace says of itself.
    pub said: Identity,
    /// Whose key it is, if it is not ours.
    pub borrowed: Option<String>,
    /// Another process has the namespace open.
    pub other_process: bool,
    /// See [`Evidence::address`].
    pub address: Option<IpAddr>,
    /// For how long to listen, if at all. The client has to be one that asks for updates, and nobody else may have taken them.
    pub watch: Option<Duration>,
}

/// Looks. `client` must not introduce itself, or the traces are covered; `witness` has to stand behind its tracer.
///
/// # Errors
///
/// Those that say that there is no way to the server at all, or to the store. What the server refuses is evidence.
pub async fn gather(client: &Client, witness: &Witness, plan: Plan) -> Result<Evidence, InvokeError> {
    let Plan { said, borrowed, other_process, address, watch } = plan;
    let mut evidence = Evidence {
        now: 0,
        said,
        address,
        borrowed,
        other_process,
        keys: Vec::new(),
        temporary: Vec::new(),
        samples: Vec::new(),
        ended: None,
        refused: None,
        time_offset: 0,
        protocol: super::Protocol::default(),
        watch: None,
    };
    let mut lost = None;
    // First of all: whatever else is asked may change the record.
    match ask(client).await {
        Ok(first) => {
            evidence.samples.push(first);
            if let Some(time) = watch {
                match listen(client, time).await {
                    Ok(seen) => {
                        evidence.watch = Some(seen);
                        evidence.samples.push(ask(client).await?);
                    }
                    Err(error) => refusal(&mut evidence, error)?,
                }
            }
        }
        Err(error @ (InvokeError::Net(_) | InvokeError::Timeout { .. } | InvokeError::Protocol(ProtocolError::Unbound(_)))) => {
            lost = Some(error)
        }
        Err(error) => refusal(&mut evidence, error)?,
    }
    evidence.keys = keys(client).await?;
    if let Some(error) = lost {
        // Where nobody answers there is nothing to be seen; where somebody does, it is we who are not answered.
        if evidence.keys.iter().all(|key| key.state == KeyState::Unknown) {
            return Err(error);
        }
        evidence.refused = Some(error.to_string());
    }
    finish(client, witness, &mut evidence)?;
    Ok(evidence)
}

/// What an error says about the authorization; the others are for the caller.
fn refusal(evidence: &mut Evidence, error: InvokeError) -> Result<(), InvokeError> {
    match error {
        InvokeError::Unauthorized(reason) => evidence.ended = Some(reason),
        InvokeError::Rpc(error) => evidence.refused = Some(error.to_string()),
        error @ (InvokeError::Decode { .. } | InvokeError::Layer { .. } | InvokeError::Failed { .. }) => {
            evidence.refused = Some(error.to_string());
        }
        other => return Err(other),
    }
    Ok(())
}

async fn ask(client: &Client) -> Result<Sample, InvokeError> {
    let authorizations = authorizations(client).await?;
    let layers = layers_on_record(client).await?;
    Ok(Sample { authorizations, layers })
}

/// A ping under each permanent key. It is one message that says nothing, over a connection of its own: nobody's updates go there.
async fn keys(client: &Client) -> Result<Vec<KeyEvidence>, InvokeError> {
    let (store, home, now) = (client.store(), client.home_dc(), client.clock().now().unix());
    let mut seen = Vec::new();
    for auth in store.dc_auths()? {
        let dc = auth.dc;
        let material = ping_key(&**store, dc, false, now)?;
        let state = match material {
            Some(material) if !client.addresses(dc, false).is_empty() => ping(client, dc, &material).await,
            _ => KeyState::Unknown,
        };
        seen.push(KeyEvidence { dc, key_id: auth.auth_key.id(), home: dc == home, state });
    }
    Ok(seen)
}

async fn ping(client: &Client, dc: DcId, material: &crate::client::KeyMaterial) -> KeyState {
    let Ok((addr, _)) = client.race(dc).await else { return KeyState::Unknown };
    let answer = match client.probe(dc, addr).await {
        Ok(mut probe) => probe.ping(material).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(_) => KeyState::Known,
        Err(ProbeError::Refused(error)) if error.code() == 404 => KeyState::Forgotten,
        Err(_) => KeyState::Unknown,
    }
}

/// Listens, and compares what was pushed with what happened. Nothing is asked meanwhile: whoever asks is told.
async fn listen(client: &Client, time: Duration) -> Result<WatchEvidence, InvokeError> {
    let Some(mut updates) = client.updates() else { return Ok(WatchEvidence::default()) };
    let from = pts(client).await?;
    let mut covered = BTreeSet::new();
    let until = tokio::time::Instant::now() + time;
    while let Ok(item) = tokio::time::timeout_at(until, updates.next()).await {
        cover(&mut covered, item.ok_or(InvokeError::Closed)?, from);
    }
    let to = pts(client).await?.min(from.saturating_add(MOST_EVENTS));
    // What happened just now may still be on its way.
    let patience = tokio::time::Instant::now() + GRACE;
    let missing = |covered: &BTreeSet<i32>| (from.saturating_add(1)..=to).any(|pts| !covered.contains(&pts));
    while missing(&covered) {
        match tokio::time::timeout_at(patience, updates.next()).await {
            Ok(Some(item)) => cover(&mut covered, item, from),
            _ => break,
        }
    }
    let happened = u32::try_from(to.saturating_sub(from)).unwrap_or(0);
    let pushed = covered.range(..=to).count();
    Ok(WatchEvidence { seconds: time.as_secs(), happened, pushed: u32::try_from(pushed).unwrap_or(happened).min(happened) })
}

async fn pts(client: &Client) -> Result<i32, InvokeError> {
    let crate::tl::api::enums::updates::State::State(state) = client.invoke(&functions::updates::GetState {}).await?;
    Ok(state.pts)
}

/// Notes which events of the account's own counter an update stands for.
fn cover(covered: &mut BTreeSet<i32>, item: UpdateItem, from: i32) {
    let UpdateItem::Update(body) = item else { return };
    covered.extend(events(&body).filter(|pts| *pts > from && *pts <= from.saturating_add(MOST_EVENTS)));
}

fn events(body: &Bytes) -> impl Iterator<Item = i32> {
    counters::of(body).into_iter().filter(|(_, counters)| counters.channel_id.is_none()).flat_map(|(_, counters)| {
        let count = counters.pts_count.unwrap_or(0).clamp(0, MOST_EVENTS);
        let last = counters.pts.unwrap_or(0);
        (0..count).map(move |n| last.saturating_sub(n))
    })
}

fn finish(client: &Client, witness: &Witness, evidence: &mut Evidence) -> Result<(), InvokeError> {
    let store: &dyn Persistence = &**client.store();
    let home = client.home_dc();
    evidence.protocol = witness.protocol();
    let stored = store.dc_auth(home)?.map_or(0, |auth| auth.time_offset);
    let of_temp = store.temp_auth(home, KeyUse::Main)?.filter(|_| client.config().pfs.is_some()).map(|auth| auth.time_offset);
    evidence.time_offset = evidence.protocol.time_offset.or(of_temp).unwrap_or(stored);
    // Those for transfers are made when they are needed, and not before.
    let temporary = store.temp_auths()?.into_iter().filter(|auth| auth.dc == home && auth.key_use == KeyUse::Main);
    evidence.temporary = temporary
        .filter(|_| client.config().pfs.is_some())
        .map(|auth| TempEvidence {
            dc: auth.dc,
            key_id: auth.auth_key.id(),
            key_use: auth.key_use,
            expires_at: auth.expires_at,
        })
        .collect();
    evidence.now = client.clock().now().unix();
    Ok(())
}

/// The address that this machine calls a data centre from, where the server should see the same one. Nothing is sent: the system is asked
/// which way it would go. `None` where addresses are translated on the way, as they are behind most routers.
pub fn own_address(dc: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if dc.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(dc).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (is_seen_as_it_is(own) || (own.is_loopback() && dc.ip().is_loopback())).then_some(own)
}

/// Whether an address is one that others on the Internet see.
fn is_seen_as_it_is(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || shared)
        }
        // 2000::/3, the addresses that are routed.
        IpAddr::V6(ip) => ip.segments().first().is_some_and(|first| first & 0xe000 == 0x2000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_translated_on_the_way_say_nothing() {
        for (ip, seen) in [
            ("8.8.8.8", true),
            ("192.168.1.2", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("127.0.0.1", false),
            ("169.254.0.1", false),
            ("2a00::1", true),
            ("fd00::1", false),
            ("fe80::1", false),
            ("::1", false),
        ] {
            assert_eq!(is_seen_as_it_is(ip.parse().unwrap()), seen, "{ip}");
        }
        assert_eq!(own_address("127.0.0.1:443".parse().unwrap()), Some("127.0.0.1".parse().unwrap()));
    }
}
