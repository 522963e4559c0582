//! Forward secrecy: which key is on the wire when, renewal under traffic, and what follows from each refusal.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::client::{KeyUse, PfsPolicy};
use crate::mtproto::rpc_error::RpcError;
use crate::mtproto::session::Failure;
use api::functions::auth::{BindTempAuthKey, LogOut};

fn config(lifetime: u64) -> ClientConfig {
    ClientConfig { pfs: Some(PfsPolicy { lifetime: Duration::from_secs(lifetime) }), ..TestServer::config() }
}

async fn pfs_client(server: &Arc<TestServer>, store: &Arc<MemoryPersistence>) -> Client {
    client_with(server, store, config(86_400)).await
}

fn temp_id(store: &MemoryPersistence, key_use: KeyUse) -> i64 {
    store.temp_auth(DcId(2), key_use).unwrap().unwrap().auth_key.id()
}

/// Nothing is encrypted with a permanent key, and nothing but a binding so much as names one.
fn assert_permanent_keys_are_silent(server: &TestServer, store: &MemoryPersistence) {
    let perms: Vec<i64> = store.dc_auths().unwrap().iter().map(|auth| auth.auth_key.id()).collect();
    assert!(!perms.is_empty());
    for (key_id, body) in server.heard() {
        assert!(!perms.contains(&key_id), "a message under a permanent key");
        let named = perms.iter().any(|perm| body.windows(8).any(|window| window == perm.to_le_bytes()));
        let binds = body.starts_with(&BindTempAuthKey::ID.to_le_bytes());
        assert_eq!(named, binds, "a permanent key outside a binding: {body:?}");
    }
}

/// Row: A.3 "temp keys + auth.bindTempAuthKey (MTProto-v1 inner encryption)"
#[tokio::test(start_paused = true)]
async fn the_permanent_key_encrypts_nothing_and_a_warm_start_needs_no_exchange() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let cold = pfs_client(&server, &store).await;
    assert_eq!(this_dc(&cold).await.unwrap(), 2);
    assert_eq!((server.handshakes(), server.temp_handshakes(), server.bindings(), server.dials()), (1, 1, 1, 1));
    let first = &server.calls()[0];
    assert_eq!(first.frames, 8, "two exchanges of three round trips, the binding, and the request itself, over one connection");
    assert_eq!(first.perm, store.dc_auth(DcId(2)).unwrap().unwrap().auth_key.id());
    assert_eq!(first.key_id, temp_id(&store, KeyUse::Main));
    assert!(first.introduced.is_some());
    cold.close().await;

    let warm = pfs_client(&server, &store).await;
    assert_eq!(this_dc(&warm).await.unwrap(), 2);
    assert_eq!((server.handshakes(), server.temp_handshakes(), server.bindings(), server.dials()), (1, 1, 1, 2));
    assert_eq!(server.calls()[1].frames, 1, "the first frame is answered");
    assert_permanent_keys_are_silent(&server, &store);
}

/// Row: A.3 "temp keys + auth.bindTempAuthKey (MTProto-v1 inner encryption)"
#[tokio::test(start_paused = true)]
async fn each_kind_of_connection_has_a_key_and_shares_it() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = client_with(&server, &store, ClientConfig { transfer_connections: 3, ..config(86_400) }).await;
    this_dc(&client).await.unwrap();
    let media = client.media(DcId(2));
    futures_util::future::join_all((0..10).map(|_| media.invoke(&GetNearestDc))).await;
    assert_eq!((server.handshakes(), server.temp_handshakes(), server.dials()), (1, 2, 4));
    assert_eq!(server.temp_dcs(), [2, -2].map(|dc| Some(DcId(dc))), "the DC's number is negative where files go");
    let keys: BTreeSet<i64> = server.calls().iter().map(|call| call.key_id).collect();
    assert_eq!(keys, BTreeSet::from([temp_id(&store, KeyUse::Main), temp_id(&store, KeyUse::Media)]));
    assert_permanent_keys_are_silent(&server, &store);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_key_is_stored_before_it_is_used() {
    let store: Arc<MemoryPersistence> = Arc::default();
    let seen = Arc::clone(&store);
    let server = TestServer::new(move |call| {
        assert_eq!(temp_id(&seen, KeyUse::Main), call.key_id);
        usual(call)
    });
    this_dc(&pfs_client(&server, &store).await).await.unwrap();
}

/// Whoever asked for it is told of every key, before the first message under it; nobody else is.
#[tokio::test(start_paused = true)]
async fn a_key_log_hears_of_every_key_before_it_is_used() {
    use crate::crypto::keylog::{KeyEntry, KeyLog, KeyLogger};

    #[derive(Default)]
    struct Heard(std::sync::Mutex<BTreeMap<i64, (DcId, bool)>>);

    impl KeyLog for Heard {
        fn key(&self, entry: &KeyEntry<'_>) {
            self.0.lock().unwrap().insert(entry.key.id(), (entry.dc, entry.expires_at.is_some()));
        }
    }

    let heard: Arc<Heard> = Arc::default();
    let told = Arc::clone(&heard);
    let server = TestServer::new(move |call| {
        assert!(told.0.lock().unwrap().contains_key(&call.key_id), "traffic under a key that nobody was told of");
        usual(call)
    });
    let store: Arc<MemoryPersistence> = Arc::default();
    let logging = |pfs: bool| {
        let config = config(86_400);
        ClientConfig { key_log: KeyLogger::new(heard.clone()), pfs: config.pfs.filter(|_| pfs), ..config }
    };
    let client = client_with(&server, &store, logging(true)).await;
    this_dc(&client).await.unwrap();
    client.media(DcId(2)).invoke(&GetNearestDc).await.unwrap();
    let perm = store.dc_auth(DcId(2)).unwrap().unwrap().auth_key.id();
    let (main, media) = (temp_id(&store, KeyUse::Main), temp_id(&store, KeyUse::Media));
    let expected = [(perm, (DcId(2), false)), (main, (DcId(2), true)), (media, (DcId(2), true))].into();
    assert_eq!(std::mem::take(&mut *heard.0.lock().unwrap()), expected);
    client.close().await;
    // Keys that were stored count as well.
    let warm = client_with(&server, &store, logging(true)).await;
    this_dc(&warm).await.unwrap();
    assert_eq!(std::mem::take(&mut *heard.0.lock().unwrap()), [(perm, (DcId(2), false)), (main, (DcId(2), true))].into());
    warm.close().await;
    this_dc(&client_with(&server, &store, logging(false)).await).await.unwrap();
    assert_eq!(*heard.0.lock().unwrap(), [(perm, (DcId(2), false))].into());
}

/// Requests begin all the time and take three seconds each, so that every renewal finds some under way.
/// Row: A.3 "background renewal"
#[tokio::test(start_paused = true)]
async fn keys_are_renewed_while_traffic_goes_on_and_nothing_is_lost_or_done_twice() {
    const REQUESTS: usize = 600;
    let server = TestServer::new(|call| match nearest(call) {
        Reply::Body(body) => Reply::Later(Duration::from_secs(3), body),
        other => other,
    });
    let store = Arc::default();
    let client = client_with(&server, &store, config(40)).await;
    let mut notices = client.notices();
    let requests = (0..REQUESTS).map(|n| {
        let client = client.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(500) * u32::try_from(n).unwrap()).await;
            // Not one that may be repeated: what is lost would be an error, and what is done twice is counted.
            client.invoke_raw(None, LogOut.to_bytes()).await
        }
    });
    let answers = futures_util::future::join_all(requests).await;
    for answer in &answers {
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(server.count::<LogOut>(), REQUESTS);
    let keys: BTreeSet<i64> = server.calls().iter().map(|call| call.key_id).collect();
    // 303 seconds; a key of 40 seconds is renewed after 25 to 30.
    assert!((10..=13).contains(&keys.len()), "{} keys", keys.len());
    // The last one may have come when nothing more was asked.
    let made = server.temp_handshakes();
    assert!(made == keys.len() || made == keys.len() + 1, "{made} for {} in use", keys.len());
    assert_eq!(server.dials(), made, "one connection for the traffic, and one for each renewal");
    assert_eq!(server.handshakes(), 1);
    let lost = drain(&mut notices).into_iter().find(|notice| matches!(notice, Notice::Reconnecting { .. }));
    assert_eq!(lost, None, "the connection never broke");
    let sessions: BTreeSet<i64> = server.calls().iter().map(|call| call.session).collect();
    let introduced = server.calls().iter().filter(|call| call.introduced.is_some()).map(|call| call.session).collect();
    assert_eq!(sessions, introduced, "each session has introduced itself");
    assert_permanent_keys_are_silent(&server, &store);
}

/// Row: A.3 "background renewal"
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_cut_in_the_middle_of_a_renewal_loses_nothing() {
    let server = TestServer::new(|call| match nearest(call) {
        Reply::Body(body) => Reply::Later(Duration::from_secs(7), body),
        other => other,
    });
    let store = Arc::default();
    let client = client_with(&server, &store, config(40)).await;
    let requests = (0..100).map(|n| {
        let client = client.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(n)).await;
            client.invoke_raw(None, LogOut.to_bytes()).await
        }
    });
    let cuts = async {
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_millis(7300)).await;
            server.cut();
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(requests), cuts);
    for answer in &answers {
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(server.count::<LogOut>(), 100);
    assert!(server.temp_handshakes() >= 3);
    assert_permanent_keys_are_silent(&server, &store);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_has_ended_meanwhile_is_replaced_before_anything_is_said() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = client_with(&server, &store, config(40)).await;
    this_dc(&client).await.unwrap();
    client.close().await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    let again = client_with(&server, &store, config(40)).await;
    this_dc(&again).await.unwrap();
    assert_eq!((server.handshakes(), server.temp_handshakes()), (1, 2));
    let heard = server.heard();
    assert!(heard.iter().all(|(key_id, _)| server.calls().iter().any(|call| call.key_id == *key_id)), "{heard:?}");
}

/// Row: A.3 "background renewal"
#[tokio::test(start_paused = true)]
async fn renewals_that_fail_are_tried_again_and_the_old_key_serves_meanwhile() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = client_with(&server, &store, config(400)).await;
    this_dc(&client).await.unwrap();
    let old = temp_id(&store, KeyUse::Main);
    server.refuse_bindings(3, "RPC_CALL_FAIL");
    // The margin is 100 seconds, and up to half as much before.
    tokio::time::sleep(Duration::from_secs(310)).await;
    this_dc(&client).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    this_dc(&client).await.unwrap();
    assert_ne!(temp_id(&store, KeyUse::Main), old);
    assert_eq!((server.temp_handshakes(), server.bindings(), server.handshakes()), (5, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_server_has_forgotten_is_replaced() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = pfs_client(&server, &store).await;
    this_dc(&client).await.unwrap();
    client.close().await;
    server.forget_temp_keys();
    let again = pfs_client(&server, &store).await;
    // The first thing that is said; it cannot have been done.
    again.invoke(&LogOut).await.unwrap_err();
    assert_eq!((server.count::<LogOut>(), server.handshakes(), server.temp_handshakes()), (1, 1, 2));
    assert!(store.dc_auth(DcId(2)).unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_done_under_a_forgotten_key_is_not_done_again() {
    let server = TestServer::new(usual);
    let store = Arc::default();
    let client = pfs_client(&server, &store).await;
    this_dc(&client).await.unwrap();
    server.forget_temp_keys();
    let failed = client.invoke(&LogOut).await.unwrap_err();
    assert!(matches!(failed, InvokeError::Failed { error: Failure::SessionReset, .. }), "{failed:?}");
    assert_eq!(server.count::<LogOut>(), 0);
    // What only reads is simply asked again.
    this_dc(&client).await.unwrap();
    server.forget_temp_keys();
    this_dc(&client).await.unwrap();
    assert_eq!((server.handshakes(), server.temp_handshakes()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_bound_to_nothing_any_more_is_replaced_and_the_request_asked_again() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = pfs_client(&server, &store).await;
    this_dc(&client).await.unwrap();
    server.unbind_temp_keys();
    client.invoke(&LogOut).await.unwrap_err();
    assert_eq!((server.count::<LogOut>(), server.temp_handshakes(), server.bindings()), (1, 2, 2));
    assert!(client.is_authorized().is_ok_and(|is| !is) && client.invoke(&GetNearestDc).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn keys_that_lose_their_binding_at_once_are_not_made_for_ever() {
    let server = TestServer::new(usual);
    server.keep_unbound(true);
    let client = pfs_client(&server, &Arc::default()).await;
    let failed = this_dc(&client).await.unwrap_err();
    assert!(matches!(failed, InvokeError::Protocol(ProtocolError::KeysDoNotLast)), "{failed:?}");
    assert_eq!((server.temp_handshakes(), server.count::<GetNearestDc>()), (3, 0));
}

/// Row: A.3 "ENCRYPTED_MESSAGE_INVALID policy (key older than 60 s -> drop)"
#[tokio::test(start_paused = true)]
async fn a_young_permanent_key_is_not_suspected() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    server.refuse_bindings(4, "ENCRYPTED_MESSAGE_INVALID");
    let client = pfs_client(&server, &store).await;
    this_dc(&client).await.unwrap();
    assert_eq!((server.handshakes(), server.temp_handshakes(), server.bindings()), (1, 5, 1));
}

/// Row: A.3 "ENCRYPTED_MESSAGE_INVALID policy (key older than 60 s -> drop)"
#[tokio::test(start_paused = true)]
async fn a_settled_permanent_key_that_is_refused_twice_is_replaced_where_no_login_hangs_on_it() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = client_with(&server, &store, config(40)).await;
    this_dc(&client).await.unwrap();
    let old = store.dc_auth(DcId(2)).unwrap().unwrap().auth_key.id();
    client.close().await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    server.forget_permanent_keys();
    let again = client_with(&server, &store, config(40)).await;
    this_dc(&again).await.unwrap();
    assert_ne!(store.dc_auth(DcId(2)).unwrap().unwrap().auth_key.id(), old);
    assert_eq!((server.handshakes(), server.temp_handshakes(), server.bindings()), (2, 4, 2));
}

/// Row: A.3 "ENCRYPTED_MESSAGE_INVALID policy (key older than 60 s -> drop)"
#[tokio::test(start_paused = true)]
async fn one_refusal_alone_does_not_condemn_a_settled_key() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = client_with(&server, &store, config(40)).await;
    this_dc(&client).await.unwrap();
    client.close().await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    server.refuse_bindings(1, "ENCRYPTED_MESSAGE_INVALID");
    this_dc(&client_with(&server, &store, config(40)).await).await.unwrap();
    assert_eq!((server.handshakes(), server.temp_handshakes()), (1, 3));
}

/// Row: A.3 "ENCRYPTED_MESSAGE_INVALID policy (key older than 60 s -> drop)"
#[tokio::test(start_paused = true)]
async fn the_end_of_a_key_that_a_login_hangs_on_is_for_the_user_to_hear() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = client_with(&server, &store, config(40)).await;
    this_dc(&client).await.unwrap();
    client.logged_in(&account()).unwrap();
    client.close().await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    server.forget_permanent_keys();
    let again = client_with(&server, &store, config(40)).await;
    let ended = this_dc(&again).await.unwrap_err();
    assert!(matches!(ended, InvokeError::Unauthorized(Unauthorized::KeyLost)), "{ended:?}");
    assert_eq!(server.handshakes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_binds_is_told_of_after_five_keys() {
    let server = TestServer::new(usual);
    server.refuse_bindings(usize::MAX, "TEMP_AUTH_KEY_EMPTY");
    let client = pfs_client(&server, &Arc::default()).await;
    let refused = this_dc(&client).await.unwrap_err();
    let expected = RpcError::new(400, "TEMP_AUTH_KEY_EMPTY");
    assert!(matches!(refused, InvokeError::Protocol(ProtocolError::Unbound(error)) if error == expected));
    assert_eq!((server.temp_handshakes(), server.handshakes()), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_server_wants_before_a_binding_is_kept() {
    let server = TestServer::new(usual);
    server.refuse_bindings(1, "FLOOD_WAIT_30");
    let client = pfs_client(&server, &Arc::default()).await;
    let began = server.clock.now().mono;
    this_dc(&client).await.unwrap();
    let waited = server.clock.now().mono - began;
    assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(40), "{waited:?}");
    assert_eq!(server.temp_handshakes(), 2);
}

#[tokio::test(start_paused = true)]
async fn updates_go_on_over_the_session_of_the_next_key() {
    let server = TestServer::new(|call| match call.method {
        api::functions::updates::GetState::ID => {
            Reply::of(&api::enums::updates::State::from(api::types::updates::State::default()))
        }
        _ => usual(call),
    });
    let client = client_with(&server, &Arc::default(), ClientConfig { updates: true, ..config(40) }).await;
    this_dc(&client).await.unwrap();
    let mut updates = client.updates().unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        while tokio::time::timeout(Duration::from_millis(10), updates.next()).await.is_ok() {}
        let body = api::enums::Updates::TooLong.to_bytes();
        server.push(&body);
        let next = tokio::time::timeout(Duration::from_secs(5), updates.next()).await.expect("it comes at once");
        assert_eq!(next, Some(UpdateItem::Update(body)));
        assert!(tokio::time::timeout(Duration::from_secs(1), updates.next()).await.is_err(), "and once");
    }
    assert!(server.temp_handshakes() >= 5);
}

#[tokio::test(start_paused = true)]
async fn processes_with_one_store_use_the_key_that_any_of_them_made() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let one = client_with(&server, &store, config(40)).await;
    let two = client_with(&server, &store, ClientConfig { seed: Some([2; 32]), ..config(40) }).await;
    this_dc(&one).await.unwrap();
    this_dc(&two).await.unwrap();
    assert_eq!(server.temp_handshakes(), 1);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        this_dc(&one).await.unwrap();
        this_dc(&two).await.unwrap();
    }
    // Each draws its own moment, and whoever comes second finds the key made.
    assert!((4..=6).contains(&server.temp_handshakes()), "{}", server.temp_handshakes());
}
