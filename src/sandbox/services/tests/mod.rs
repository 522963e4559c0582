//! The services, called as the connection layer calls them: bytes in, bytes out, over the routes and their rules.

use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;

use super::memory::Memory;
use super::{Call, DcInfo, Effect, Origin, Rules, Settings};
use crate::dispatch;
use crate::fault::Fault;
use crate::policy::{CallInfo, Mishaps, Open, Policy};
use crate::state::State;
use crate::state::tests::{NOW, open, rng};
use tdl_core::crypto::AuthKey;
use tdl_core::ids::{DcId, MsgId, Salt, SessionId};
use tdl_core::tl::api::{enums, functions as f, types};
use tdl_core::tl::{Deserialize, RemoteCall};

mod authorizations;
mod binding;
mod bots;
mod cdn;
mod codes;
mod files;
mod login;
mod login_tokens;
mod messages;
mod passwords;

/// The session and the message of every call.
pub(super) const SESSION: SessionId = SessionId(0x5e55);
pub(super) const MSG_ID: MsgId = MsgId(0x6553_f100_0000_0004);

/// A cluster's state without any connections.
pub(super) struct World {
    _dir: tempfile::TempDir,
    pub(super) state: State,
    pub(super) settings: Settings,
    pub(super) now: i64,
    rng: StdRng,
    /// What the last call left to be told.
    pub(super) effects: Vec<Effect>,
    pub(super) policy: Arc<dyn Policy>,
    memory: Memory,
    /// What goes wrong with all calls.
    pub(super) mishaps: Mishaps,
    keys: u8,
}

/// A key on a DC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) dc: i32,
    pub(super) id: i64,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        let dcs = (1..=3).map(|id| DcInfo::new(id, "127.0.0.1", 1000)).collect();
        let settings = Settings { dcs, premium: true, file_reference_lifetime: 3600, rules: Rules::default(), cdn: None };
        Self {
            _dir: dir,
            state,
            settings,
            now: NOW,
            rng: rng(9),
            effects: Vec::new(),
            policy: Arc::new(Open),
            memory: Memory::default(),
            mishaps: Mishaps::default(),
            keys: 0,
        }
    }

    /// A new auth key, without a word from its client yet.
    pub(super) fn bare_key(&mut self, dc: i32) -> Key {
        self.key_until(dc, None)
    }

    /// The same, for a time.
    pub(super) fn key_until(&mut self, dc: i32, expires: Option<i64>) -> Key {
        self.keys += 1;
        let key = AuthKey::from_bytes(&[self.keys; 256]);
        self.state.add_auth_key(DcId(dc), &key, Salt(0), expires, self.now, "127.0.0.1").unwrap();
        Key { dc, id: key.id() }
    }

    /// A new auth key whose client has introduced itself.
    pub(super) fn key(&mut self, dc: i32) -> Key {
        let key = self.bare_key(dc);
        self.call(key, introduced(f::help::GetNearestDc)).unwrap();
        key
    }

    /// Calls a method; the answer goes through bytes both ways.
    pub(super) fn call<R: RemoteCall>(&mut self, key: Key, request: R) -> Result<R::Return, Fault> {
        let bytes = self.call_raw(key, request.to_bytes())?;
        Ok(R::Return::from_bytes(bytes).unwrap())
    }

    pub(super) fn call_raw(&mut self, key: Key, body: Bytes) -> Result<Bytes, Fault> {
        let auth = self.state.auth_behind(key.dc, key.id)?.ok_or(Fault::AuthKeyUnregistered)?;
        let mut call = Call {
            state: &self.state,
            settings: &self.settings,
            dc: key.dc,
            now: self.now,
            rng: &mut self.rng,
            origin: Origin { key_id: key.id, session: SESSION, msg_id: MSG_ID },
            auth,
            layer: None,
            takeout: None,
            memory: &self.memory,
            mishaps: self.mishaps,
            effects: Vec::new(),
        };
        let answer = dispatch::answer(&mut call, &*self.policy, dispatch::unwrap(body)?);
        self.effects = call.effects;
        answer
    }

    /// What a call is refused with.
    pub(super) fn fault<R: RemoteCall>(&mut self, key: Key, request: R) -> String {
        match self.call(key, request) {
            Ok(_) => panic!("{} was not refused", R::NAME),
            Err(fault) => fault.to_string(),
        }
    }

    pub(super) fn code_hash(&mut self, key: Key, phone: &str) -> String {
        let settings = types::CodeSettings::default().into();
        let request = f::auth::SendCode { phone_number: phone.into(), api_id: 1, api_hash: "x".into(), settings };
        let enums::auth::SentCode::Code(sent) = self.call(key, request).unwrap() else { panic!("a code") };
        sent.phone_code_hash.to_string()
    }

    /// A new account, logged in on a key of its home DC.
    pub(super) fn account(&mut self, phone: &str, name: &str) -> (Key, i64) {
        let dc: i32 = phone[5..6].parse().unwrap();
        let key = self.key(dc);
        let hash = self.code_hash(key, phone);
        let sign_in = f::auth::SignIn {
            phone_number: phone.into(),
            phone_code_hash: hash.as_str().into(),
            phone_code: Some(phone[5..6].repeat(5).into()),
            email_verification: None,
        };
        let answer = self.call(key, sign_in).unwrap();
        assert!(matches!(answer, enums::auth::Authorization::SignUpRequired(_)));
        let sign_up = f::auth::SignUp {
            no_joined_notifications: false,
            phone_number: phone.into(),
            phone_code_hash: hash.into(),
            first_name: name.into(),
            last_name: "".into(),
        };
        let enums::auth::Authorization::Authorization(a) = self.call(key, sign_up).unwrap() else { panic!("an authorization") };
        let enums::User::User(user) = a.user else { panic!("a user") };
        assert!(user.is_self && user.premium);
        (key, user.id)
    }

    /// How one account names another.
    pub(super) fn peer(&self, viewer: i64, user: i64) -> enums::InputPeer {
        types::InputPeerUser { user_id: user, access_hash: super::user_access_hash(&self.state, viewer, user) }.into()
    }

    /// The accounts that the last call left updates for.
    pub(super) fn told(&self) -> Vec<i64> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Push { user, .. } => Some(*user),
                Effect::TellKey { .. } | Effect::LoggedOut { .. } => None,
            })
            .collect()
    }

    /// The update that was left for an account.
    pub(super) fn update_for(&self, id: i64) -> enums::Updates {
        let found = self.effects.iter().find_map(|effect| match effect {
            Effect::Push { user, updates } if *user == id => Some(updates.clone()),
            _ => None,
        });
        enums::Updates::from_bytes(found.unwrap()).unwrap()
    }
}

/// A call as a client makes its first one.
pub(super) fn introduced<X>(query: X) -> f::InvokeWithLayer<f::InitConnection<X>> {
    let query = f::InitConnection {
        api_id: 1,
        device_model: "Test".into(),
        system_version: "1".into(),
        app_version: "1".into(),
        system_lang_code: "en".into(),
        lang_pack: "".into(),
        lang_code: "en".into(),
        proxy: None,
        params: None,
        query,
    };
    f::InvokeWithLayer { layer: 230, query }
}

/// Refuses file parts.
#[derive(Debug)]
struct Flood;

impl Policy for Flood {
    fn before(&self, call: &CallInfo) -> Result<(), Fault> {
        if call.name == "upload.saveFilePart" { Err(Fault::FloodWait(7)) } else { Ok(()) }
    }
}

#[test]
fn a_policy_decides_before_the_service() {
    let mut world = World::new();
    let (key, _) = world.account("9996611111", "Ann");
    world.policy = Arc::new(Flood);
    let part = f::upload::SaveFilePart { file_id: 1, file_part: 0, bytes: Bytes::from_static(b"x") };
    assert_eq!(world.fault(key, part), "FLOOD_WAIT_7");
    world.call(key, f::help::GetNearestDc).unwrap();
}
