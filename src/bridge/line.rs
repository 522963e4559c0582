//! One session's way to the data centre: a connection of its own, under the key that stands for the client's.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::Notice;
use super::keys::Keys;
use super::relay::{self, Relay, Shared, Slot};
use crate::ids::DcId;
use crate::mtproto::handshake::client::Established;
use crate::mtproto::session::FutureSalt;
use crate::net::{
    DialFuture, Dialer, Host, HostError, KeyMaterial, KeyUse, KeyVerdict, Link, LinkConfig, Status, TcpDialer, TempMaterial,
};
use crate::sandbox::state::Error;
use crate::trace::ConnId;

/// The way, and the client's permanent key that it is for.
pub(super) struct Line {
    pub(super) link: Link,
    pub(super) client: i64,
}

impl Line {
    /// Prepares a way. Nothing is dialled yet.
    pub(super) fn new(shared: &Arc<Shared>, slot: &Arc<Slot>, conn: Option<ConnId>, client: i64) -> Result<Self, Error> {
        let relay = &shared.answers;
        let dc = slot.key.dc;
        let key = relay.keys.slot(&shared.state, dc, client)?;
        let config = LinkConfig {
            dc: DcId(dc),
            wire_dc: relay.to.wire_id(DcId(dc)),
            addrs: relay.to.addresses(DcId(dc), false, true),
            dialer: Arc::new(ForClient(TcpDialer, conn)),
            // What comes for one client waits for nothing of another's.
            opener: Arc::default(),
            sealer: Arc::default(),
            seed: rand::random(),
            ..relay.link.clone()
        };
        let ear = Ear { shared: Arc::downgrade(shared), slot: Arc::downgrade(slot), dc, client, begun: AtomicBool::new(false) };
        Ok(Self { link: Link::spawn(config, key, Arc::new(ear)), client })
    }
}

/// Dials for a client's connection: the trace says for which.
struct ForClient(TcpDialer, Option<ConnId>);

impl Dialer for ForClient {
    fn dial(&self, addr: SocketAddr) -> DialFuture<'_> {
        self.0.dial(addr)
    }

    fn via(&self) -> Option<String> {
        self.1.map(|conn| format!("the bridge, for {conn}"))
    }
}

/// Hears what happens on the way. It holds nothing that would keep the bridge alive.
struct Ear {
    shared: Weak<Shared>,
    slot: Weak<Slot>,
    dc: i32,
    client: i64,
    /// The data centre has begun a session for us.
    begun: AtomicBool,
}

impl Ear {
    fn both(&self) -> Option<(Arc<Shared>, Arc<Slot>)> {
        Some((self.shared.upgrade()?, self.slot.upgrade()?))
    }
}

/// The bridge has no use for temporary keys of its own: whoever can read its state could have read the traffic.
impl Host for Ear {
    fn key_made(&self, established: &Established) -> Result<KeyMaterial, HostError> {
        let shared = self.shared.upgrade().ok_or_else(gone)?;
        Keys::add(&shared.state, self.dc, self.client, established, shared.now().unix())
            .map_err(|error| Arc::new(error) as HostError)
    }

    /// A key that the data centre has forgotten is one that the client has lost.
    fn key_unknown(&self, _: i64) -> Result<KeyVerdict, HostError> {
        let shared = self.shared.upgrade().ok_or_else(gone)?;
        relay::forget(&shared, self.dc, self.client).map_err(|error| Arc::new(error) as HostError)?;
        shared.answers.notify(Notice::KeyLost { dc: DcId(self.dc), key_id: self.client });
        Ok(KeyVerdict::Keep)
    }

    fn temp_key_made(&self, _: KeyUse, _: &TempMaterial) -> Result<(), HostError> {
        Ok(())
    }

    fn temp_key(&self, _: KeyUse, _: i64) -> Result<Option<TempMaterial>, HostError> {
        Ok(None)
    }

    fn temp_key_ended(&self, _: KeyUse, _: i64) -> Result<(), HostError> {
        Ok(())
    }

    fn salts_changed(&self, _: i64, _: &[FutureSalt], _: i64) {}

    fn status(&self, status: Status) {
        if let Some(shared) = self.shared.upgrade() {
            shared.answers.notify(Notice::Upstream { dc: DcId(self.dc), status });
        }
    }

    fn update(&self, body: Bytes) {
        if let Some((shared, slot)) = self.both() {
            relay::updated(&shared, &slot, body);
        }
    }

    /// The first time it is the session that was asked for. Later ones mean that updates may have been missed.
    fn new_session(&self) {
        if self.begun.swap(true, Ordering::Relaxed)
            && let Some((shared, slot)) = self.both()
        {
            relay::missed(&shared, &slot);
        }
    }
}

fn gone() -> HostError {
    Arc::new(std::io::Error::other("the bridge has stopped"))
}

impl Relay {
    /// Tells whoever listens.
    pub(super) fn notify(&self, notice: Notice) {
        // Nobody need listen.
        let _ = self.notices.send(notice);
    }
}
