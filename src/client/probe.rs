//! Looking at a DC over connections that serve nothing else: reachability, round trips, the key exchange.

use std::net::SocketAddr;
use std::time::Duration;

use crate::ids::DcId;
use crate::net::{DialError, KeyMaterial, KeyUse, Probe, ProbeError, dial};

use super::handle::Client;
use super::persistence::{Persistence, PersistenceError};
use super::shared::{future_salts, material};

/// Seconds that a temporary key has to last for it to be worth a ping.
const LEAST_LIFE: i64 = 30;

impl Client {
    /// Where connections to a DC lead, in the order to try; with `media`, those for uploads and downloads alone as well. Through an
    /// MTProxy, which knows the DCs itself, one address stands for all.
    pub fn addresses(&self, dc: DcId, media: bool) -> Vec<SocketAddr> {
        let config = self.inner.link_config(dc, media);
        let mut addrs: Vec<SocketAddr> = Vec::with_capacity(config.addrs.len());
        for addr in config.addrs.into_iter().map(|addr| config.carrier.addr(addr)) {
            // Carriers with a port of their own make one of several.
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
        addrs
    }

    /// Races the DC's addresses against each other, as every connection does: the one that connects first, and how long it took.
    ///
    /// # Errors
    /// What happened at each address. Empty when there is none.
    pub async fn race(&self, dc: DcId) -> Result<(SocketAddr, Duration), Vec<DialError>> {
        let config = self.inner.link_config(dc, false);
        let addrs = self.addresses(dc, false);
        let began = config.clock.now().mono;
        let (_, addr) = dial(&*config.dialer, &addrs, config.dial_timeout).await?;
        Ok((addr, config.clock.now().mono.saturating_sub(began)))
    }

    /// Connects to one address of a DC. Each step is bounded by [`ClientConfig::dial_timeout`](super::ClientConfig::dial_timeout).
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn probe(&self, dc: DcId, addr: SocketAddr) -> Result<Probe, ProbeError> {
        Probe::open(self.inner.link_config(dc, false), addr).await
    }
}

/// The key on record for a DC that a ping may be encrypted with: with forward secrecy the temporary one, unless it is about to end, and
/// without it the permanent one. `now` is local Unix time in seconds.
///
/// # Errors
/// The store's.
pub fn ping_key(store: &dyn Persistence, dc: DcId, pfs: bool, now: i64) -> Result<Option<KeyMaterial>, PersistenceError> {
    if !pfs {
        return Ok(store.dc_auth(dc)?.as_ref().map(material));
    }
    let temp = store.temp_auth(dc, KeyUse::Main)?;
    let lasts = |expires_at: i64, time_offset: i64| expires_at.saturating_sub(now.saturating_add(time_offset)) >= LEAST_LIFE;
    Ok(temp.filter(|temp| lasts(temp.expires_at, temp.time_offset)).map(|temp| KeyMaterial {
        auth_key: temp.auth_key,
        salts: future_salts(&temp.salts),
        time_offset: temp.time_offset,
        created_at: temp.created_at,
    }))
}
