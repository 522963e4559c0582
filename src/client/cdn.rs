//! Content-delivery DCs: where they are, which keys they prove themselves with, and connections to them.
//!
//! See "Encrypted CDNs for Speed and Security". Such a DC is no part of the cloud: nobody is logged in there, it has RSA keys of its own
//! (`help.getCdnConfig`), and what it serves is encrypted with a key that it does not know.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::crypto::rsa::PublicKey;
use crate::ids::DcId;
use crate::net::{LinkConfig, NetError, Prelude};
use crate::tl::api::{enums, functions};
use crate::transport::{Carrier, Options};

use super::config::ClientConfig;
use super::dcs::DcAddress;
use super::error::InvokeError;
use super::handle::{Client, Media};
use super::inner::{Dc, Inner, Route, lock};
use super::shared::DcState;
use super::way::WayTo;

/// A key of a content-delivery DC.
pub(super) struct CdnKey {
    dc: DcId,
    key: PublicKey,
}

/// The way to a content-delivery DC, and its keys.
pub(super) struct CdnPlace {
    dialer: Arc<dyn crate::net::Dialer>,
    addrs: Vec<SocketAddr>,
    transport: Options,
    carrier: Carrier,
    rsa_keys: Arc<[PublicKey]>,
}

impl CdnPlace {
    /// Turns what a connection to an ordinary DC is told into what one to this DC is told.
    pub(super) fn amend(&self, config: &mut LinkConfig) {
        config.dialer = Arc::clone(&self.dialer);
        config.addrs.clone_from(&self.addrs);
        config.transport = self.transport;
        config.carrier = self.carrier;
        config.rsa_keys = Arc::clone(&self.rsa_keys);
        // There are no updates to be left out.
        config.prelude = Prelude { every: Bytes::new(), hello: Bytes::new(), ..config.prelude.clone() };
    }
}

impl Client {
    /// Calls to a content-delivery DC, over connections without a login. Its keys are asked for at home the first time, and its addresses
    /// where the configuration has none.
    ///
    /// # Errors
    /// [`NetError::NoAddress`] if nobody knows where it is, [`InvokeError::CdnKey`] if it has no key.
    pub async fn cdn(&self, dc: DcId) -> Result<Media, InvokeError> {
        self.inner.prepare_cdn(dc).await?;
        Ok(Media::cdn(self.clone(), dc))
    }
}

impl Inner {
    async fn prepare_cdn(&self, dc: DcId) -> Result<(), InvokeError> {
        let is_ready = || match lock(&self.dcs).get(&dc) {
            None => Ok(false),
            Some(known) if known.is_cdn() => Ok(true),
            // A redirect to a DC where the account is, or was, served: no content-delivery DC has such a number.
            Some(_) => Err(InvokeError::CdnKey { dc }),
        };
        if is_ready()? {
            return Ok(());
        }
        let mut keys = self.cdn.lock().await;
        if is_ready()? {
            return Ok(());
        }
        if self.config.dcs.ids().contains(&dc) {
            return Err(InvokeError::CdnKey { dc });
        }
        if !keys.iter().flatten().any(|known| known.dc == dc) {
            let enums::CdnConfig::Config(config) = self.typed(Route::Home, &functions::help::GetCdnConfig, None).await?;
            let read = |enums::CdnPublicKey::Key(key): &enums::CdnPublicKey| {
                Some(CdnKey { dc: DcId(key.dc_id), key: PublicKey::from_pem(&key.public_key).ok()? })
            };
            *keys = Some(config.public_keys.iter().filter_map(read).collect());
        }
        let own = keys.iter().flatten().filter(|known| known.dc == dc).map(|known| known.key.clone());
        let rsa_keys: Arc<[PublicKey]> = own.collect();
        if rsa_keys.is_empty() {
            return Err(InvokeError::CdnKey { dc });
        }
        let mut table = self.config.dcs.cdn_addresses(dc);
        if table.is_empty() {
            table = self.learnt_addresses(dc).await?;
        }
        if table.is_empty() {
            return Err(NetError::NoAddress { dc }.into());
        }
        // The way is chosen as for any other DC that has these addresses.
        let mut dcs = self.config.dcs.clone();
        dcs.dcs = table.into_iter().map(|address| DcAddress { cdn: false, ..address }).collect();
        let config = ClientConfig { dcs, ..self.config.clone() };
        let WayTo { dialer, addrs, transport, carrier } = self.way.to(&config, dc, true);
        let place = CdnPlace { dialer, addrs, transport, carrier, rsa_keys };
        let state = Arc::new(DcState::load(dc, Arc::clone(&self.shared))?);
        lock(&self.dcs).entry(dc).or_insert_with(|| Arc::new(Dc::new(state, Some(place))));
        Ok(())
    }

    /// Where `help.getConfig` says that a content-delivery DC is.
    async fn learnt_addresses(&self, dc: DcId) -> Result<Vec<DcAddress>, InvokeError> {
        let enums::Config::Config(config) = self.typed(Route::Home, &functions::help::GetConfig, None).await?;
        let read = |enums::DcOption::Option(option): &enums::DcOption| {
            let wanted = option.cdn && !option.tcpo_only && option.id == dc.0;
            let (ip, port) = (option.ip_address.parse().ok()?, u16::try_from(option.port).ok()?);
            wanted.then_some(DcAddress { id: dc.0, ip, port, media_only: false, cdn: true, tls_port: None })
        };
        Ok(config.dc_options.iter().filter_map(read).collect())
    }
}
