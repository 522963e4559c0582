//! The server's keys: its own, those that it has made, and what temporary ones are bound to.

use std::sync::OnceLock;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Reply, State, TestServer};
use crate::clock::Now;
use crate::crypto::AuthKey;
use crate::crypto::rsa::PrivateKey;
use crate::ids::{MsgId, SessionId};
use crate::mtproto::binding::{self, Binding};
use crate::tl::Deserialize;
use crate::tl::api::functions::auth::BindTempAuthKey;

pub(super) fn private_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(&mut StdRng::from_seed([3; 32])))
}

/// The DCs from this number on are those of a CDN, which have another key.
pub(crate) const FIRST_CDN: i32 = 200;

pub(super) fn cdn_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::from_pem(include_str!("../../../core/mtproto/handshake/tests/server_key.pem")).unwrap())
}

/// The public key of the CDN's DCs, PEM.
pub(crate) fn cdn_key_pem() -> String {
    cdn_key().public().to_pem()
}

impl TestServer {
    /// Forgets the temporary keys.
    pub(crate) fn forget_temp_keys(&self) {
        let mut state = self.state.lock().unwrap();
        let temps = std::mem::take(&mut state.temps);
        state.keys.retain(|(_, id), _| !temps.contains_key(id));
        state.sessions.retain(|(id, _), _| !temps.contains_key(id));
    }

    /// Forgets the permanent keys, and what is bound to them.
    pub(crate) fn forget_permanent_keys(&self) {
        let mut state = self.state.lock().unwrap();
        let State { keys, temps, .. } = &mut *state;
        keys.retain(|(_, id), _| temps.contains_key(id));
    }

    /// Forgets what the temporary keys are bound to.
    pub(crate) fn unbind_temp_keys(&self) {
        self.state.lock().unwrap().temps.values_mut().for_each(|temp| temp.bound_to = None);
    }

    /// Forgets every auth key and session.
    pub(crate) fn forget_keys(&self) {
        let mut state = self.state.lock().unwrap();
        state.keys.clear();
        state.sessions.clear();
    }

    /// The key with an id, as long as it lasts.
    pub(super) fn key(&self, dc: i32, id: i64) -> Option<AuthKey> {
        let state = self.state.lock().unwrap();
        let ended = state.temps.get(&id).is_some_and(|temp| temp.expires_at <= self.clock.now().unix());
        state.keys.get(&(dc, id)).filter(|_| !ended).cloned()
    }
}

impl State {
    /// The server's part of forward secrecy: binds keys, and answers those that are bound to none.
    pub(super) fn about_keys(
        &mut self,
        dc: i32,
        (key_id, session): (i64, i64),
        msg_id: MsgId,
        body: &Bytes,
        now: Now,
    ) -> Option<Reply> {
        let is_unbound = self.temps.get(&key_id).is_some_and(|temp| temp.bound_to.is_none());
        let Ok(request) = BindTempAuthKey::from_bytes(body.clone()) else {
            return is_unbound.then_some(Reply::Error(401, "AUTH_KEY_PERM_EMPTY"));
        };
        let (left, error) = &mut self.refused_bindings;
        if *left > 0 {
            *left -= 1;
            return Some(Reply::Error(400, error));
        }
        let expected = Binding {
            msg_id,
            nonce: request.nonce,
            temp_auth_key_id: key_id,
            perm_auth_key_id: request.perm_auth_key_id,
            session_id: SessionId(session),
            expires_at: request.expires_at,
        };
        let Some(perm) = self.keys.get(&(dc, request.perm_auth_key_id)) else {
            return Some(Reply::Error(400, "ENCRYPTED_MESSAGE_INVALID"));
        };
        binding::check(perm, &expected, &request.encrypted_message).unwrap();
        let temp = self.temps.get_mut(&key_id).unwrap();
        assert_eq!((temp.expires_at, i64::from(request.expires_at)), (request.expires_at.into(), temp.expires_at));
        assert!(temp.expires_at > now.unix());
        temp.bound_to = (!self.keeps_unbound).then_some(request.perm_auth_key_id);
        self.bindings += 1;
        Some(Reply::of(&true))
    }
}
