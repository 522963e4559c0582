//! The client against real server roles, over in-memory streams and paused time.

mod feed;
#[cfg(feature = "sandbox")]
mod ordered;
mod pfs;
pub(crate) mod server;
mod transfer;
mod way;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::client::handle::Surroundings;
use crate::client::{
    AccountRecord, Client, ClientConfig, InvokeError, MemoryPersistence, NetError, Notice, Persistence, ProtocolError,
    Unauthorized, UpdateItem,
};
use crate::ids::DcId;
use crate::net::TcpDialer;
use crate::tl::{Identifiable, Serialize, api};
use crate::trace::Tracer;
use crate::transport::{self, TransportError};

use api::functions::auth::{ExportAuthorization, ImportAuthorization};
use api::functions::help::{GetConfig, GetNearestDc};
use server::{Call, Reply, TestServer, Way};

/// Answers what the tests ask: which DC is this, and export and import of a login.
fn usual(call: &Call) -> Reply {
    match call.method {
        GetNearestDc::ID => nearest(call),
        ExportAuthorization::ID => {
            Reply::of(&api::enums::auth::ExportedAuthorization::from(api::types::auth::ExportedAuthorization {
                id: 7,
                bytes: Bytes::from_static(b"token"),
            }))
        }
        ImportAuthorization::ID => Reply::of(&api::enums::auth::Authorization::from(api::types::auth::Authorization {
            user: api::types::UserEmpty { id: 7 }.into(),
            ..Default::default()
        })),
        _ => Reply::Error(400, "METHOD_INVALID"),
    }
}

fn nearest(call: &Call) -> Reply {
    Reply::of(&api::enums::NearestDc::from(api::types::NearestDc { country: "XX".into(), this_dc: call.dc, nearest_dc: 2 }))
}

async fn client_with(server: &Arc<TestServer>, store: &Arc<MemoryPersistence>, config: ClientConfig) -> Client {
    let surroundings = Surroundings { dialer: Arc::new(Way(Arc::clone(server))), clock: server.clock };
    let store: Arc<dyn Persistence> = Arc::clone(store) as _;
    Client::connect_through(config, store, Tracer::off(), surroundings).await.unwrap()
}

async fn client(server: &Arc<TestServer>, store: &Arc<MemoryPersistence>) -> Client {
    client_with(server, store, TestServer::config()).await
}

fn account() -> AccountRecord {
    AccountRecord { user_id: 7, is_bot: false, name: "A".to_owned(), username: None, phone: None, logged_in_at: 0 }
}

async fn this_dc(client: &Client) -> Result<i32, InvokeError> {
    let api::enums::NearestDc::Dc(nearest) = client.invoke(&GetNearestDc).await?;
    Ok(nearest.this_dc)
}

fn drain(notices: &mut tokio::sync::broadcast::Receiver<Notice>) -> Vec<Notice> {
    std::iter::from_fn(|| notices.try_recv().ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_makes_a_key_and_a_warm_start_costs_one_round_trip() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let cold = client(&server, &store).await;
    assert_eq!(server.dials(), 0, "nothing is dialled before the first call");
    assert_eq!(this_dc(&cold).await.unwrap(), 2);
    assert_eq!((server.handshakes(), server.dials()), (1, 1));
    let first = &server.calls()[0];
    assert_eq!(first.frames, 4, "three round trips for the key, and the request itself, over one connection");
    cold.close().await;

    let warm = client(&server, &store).await;
    assert_eq!(this_dc(&warm).await.unwrap(), 2);
    assert_eq!((server.handshakes(), server.dials()), (1, 2));
    let first = &server.calls()[1];
    assert_eq!(first.frames, 1, "the first frame is answered");
    let config = TestServer::config();
    assert_eq!(first.introduced, Some((config.layer.layer, config.device.device_model.clone())));
    assert!(first.without_updates);
    // The connection has introduced itself.
    this_dc(&warm).await.unwrap();
    let second = &server.calls()[2];
    assert!(second.introduced.is_none() && second.without_updates);
    assert_eq!((second.frames, second.session), (2, first.session));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_in_the_store_before_it_is_used() {
    let store: Arc<MemoryPersistence> = Arc::default();
    let seen = Arc::clone(&store);
    let server = TestServer::new(move |call| {
        let stored = seen.dc_auth(DcId(call.dc)).unwrap().expect("stored before the first request");
        assert_eq!(stored.auth_key.id(), call.key_id);
        assert_eq!(stored.salts.len(), 1);
        usual(call)
    });
    this_dc(&client(&server, &store).await).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_account_is_followed_to_its_home() {
    let server = TestServer::new(|call| if call.dc == 3 { nearest(call) } else { Reply::Error(303, "PHONE_MIGRATE_3") });
    let store = Arc::default();
    let client = client(&server, &store).await;
    let mut notices = client.notices();
    assert_eq!(this_dc(&client).await.unwrap(), 3);
    assert_eq!((client.home_dc(), store.home_dc().unwrap()), (DcId(3), Some(DcId(3))));
    assert!(drain(&mut notices).contains(&Notice::Migrate { from: DcId(2), to: DcId(3), home: true }));
    let again = self::client(&server, &store).await;
    assert_eq!(this_dc(&again).await.unwrap(), 3);
    assert_eq!(server.count::<GetNearestDc>(), 3, "a later run goes there at once");
}

#[tokio::test(start_paused = true)]
async fn dcs_that_send_us_to_and_fro_are_not_followed_for_ever() {
    let server = TestServer::new(|call| Reply::Error(303, if call.dc == 3 { "USER_MIGRATE_2" } else { "USER_MIGRATE_3" }));
    let client = client(&server, &Arc::default()).await;
    assert!(matches!(this_dc(&client).await, Err(InvokeError::Rpc(error)) if error.is("USER_MIGRATE")));
    assert_eq!(server.count::<GetNearestDc>(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_dc_without_an_address_is_an_error_and_no_migration() {
    let server = TestServer::new(|_| Reply::Error(303, "USER_MIGRATE_9"));
    let store: Arc<MemoryPersistence> = Arc::default();
    let client = client(&server, &store).await;
    assert!(matches!(this_dc(&client).await, Err(InvokeError::Net(NetError::NoAddress { dc: DcId(9) }))));
    assert_eq!((client.home_dc(), store.home_dc().unwrap()), (DcId(2), None));
}

#[tokio::test(start_paused = true)]
async fn a_login_is_carried_to_another_dc_once_and_for_all_runs() {
    let server = TestServer::new(|call| match (call.method, call.dc) {
        (GetNearestDc::ID, 2) => Reply::Error(303, "FILE_MIGRATE_1"),
        _ => usual(call),
    });
    let store: Arc<MemoryPersistence> = Arc::default();
    let client = client(&server, &store).await;
    client.set_home_dc(DcId(2)).unwrap();
    client.invoke(&GetConfig).await.unwrap_err();
    client.logged_in(&account()).unwrap();

    let media = client.media(DcId(2));
    let calls = (0..8).map(|_| media.invoke(&GetNearestDc));
    for answer in futures_util::future::join_all(calls).await {
        let api::enums::NearestDc::Dc(nearest) = answer.unwrap();
        assert_eq!(nearest.this_dc, 1);
    }
    assert_eq!(client.home_dc(), DcId(2), "a file's DC is not the account's");
    assert_eq!((server.count::<ExportAuthorization>(), server.count::<ImportAuthorization>()), (1, 1));
    assert_eq!(server.handshakes(), 2);
    assert!(store.dc_auth(DcId(1)).unwrap().unwrap().authorized);

    let again = self::client(&server, &store).await;
    again.media(DcId(1)).invoke(&GetNearestDc).await.unwrap();
    assert_eq!((server.count::<ImportAuthorization>(), server.handshakes()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_got_lost_elsewhere_is_carried_again() {
    let server = TestServer::new(|call| match (call.method, call.dc, call.nth) {
        (GetNearestDc::ID, 1, 0) => Reply::Error(401, "AUTH_KEY_UNREGISTERED"),
        _ => usual(call),
    });
    let store = Arc::default();
    let client = client(&server, &store).await;
    this_dc(&client).await.unwrap();
    client.logged_in(&account()).unwrap();
    client.invoke_on(DcId(1), &GetNearestDc).await.unwrap();
    assert_eq!(server.count::<ImportAuthorization>(), 2);
    assert!(client.is_authorized().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_flood_wait_is_slept_through_and_told() {
    let server = TestServer::new(|call| if call.nth == 0 { Reply::Error(420, "FLOOD_WAIT_30") } else { usual(call) });
    let client = client(&server, &Arc::default()).await;
    let mut notices = client.notices();
    let began = tokio::time::Instant::now();
    this_dc(&client).await.unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(30) && took < Duration::from_secs(31), "{took:?}");
    let wait = Duration::from_secs(30);
    assert!(drain(&mut notices).contains(&Notice::FloodWait { dc: DcId(2), method: "help.getNearestDc", wait }));
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_limit_is_an_error_at_once() {
    let server = TestServer::new(|_| Reply::Error(420, "FLOOD_WAIT_30"));
    let config = ClientConfig { max_flood_wait: Duration::from_secs(70), ..TestServer::config() };
    let client = client_with(&server, &Arc::default(), config).await;
    let began = tokio::time::Instant::now();
    let error = this_dc(&client).await.unwrap_err();
    assert!(matches!(error, InvokeError::FloodWait { seconds: 30, method: "help.getNearestDc" }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(61), "two waits fit, the third does not");
    assert_eq!(server.count::<GetNearestDc>(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stumbles_is_asked_again_a_few_times() {
    let server = TestServer::new(|call| if call.nth < 2 { Reply::Error(-503, "Timeout") } else { usual(call) });
    let client = client(&server, &Arc::default()).await;
    let mut notices = client.notices();
    this_dc(&client).await.unwrap();
    let retries = drain(&mut notices).into_iter().filter(|notice| matches!(notice, Notice::Retry { .. })).count();
    assert_eq!((retries, server.count::<GetNearestDc>()), (2, 3));

    let server = TestServer::new(|_| Reply::Error(500, "RPC_CALL_FAIL"));
    let client = self::client(&server, &Arc::default()).await;
    assert!(matches!(this_dc(&client).await, Err(InvokeError::Rpc(error)) if error.is("RPC_CALL_FAIL")));
    assert_eq!(server.count::<GetNearestDc>(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_answer_lost_with_the_connection_is_had_without_doing_the_work_twice() {
    let server = TestServer::new(|call| match (call.nth, usual(call)) {
        (0, Reply::Body(body)) => Reply::AnswerAndCut(body),
        (_, reply) => reply,
    });
    let client = client(&server, &Arc::default()).await;
    let mut notices = client.notices();
    assert_eq!(this_dc(&client).await.unwrap(), 2);
    assert_eq!((server.count::<GetNearestDc>(), server.dials(), server.handshakes()), (1, 2, 1));
    let notices = drain(&mut notices);
    assert!(notices.iter().any(|notice| matches!(notice, Notice::Reconnecting { attempt: 1, .. })), "{notices:?}");
    assert!(notices.contains(&Notice::Reconnected { dc: DcId(2), attempts: 1 }), "{notices:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_cut_while_idle_is_made_again_for_the_next_request() {
    let server = TestServer::new(usual);
    let client = client(&server, &Arc::default()).await;
    this_dc(&client).await.unwrap();
    server.cut();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((server.dials(), server.open()), (1, 0), "nobody needs it");
    this_dc(&client).await.unwrap();
    assert_eq!((server.dials(), server.handshakes()), (2, 1));
    let calls = server.calls();
    assert_eq!(calls[0].session, calls[1].session);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_reached_is_a_typed_error_in_time() {
    let server = TestServer::new(usual);
    server.refuse_dials(true);
    let config = ClientConfig { reconnect_timeout: Duration::from_secs(20), ..TestServer::config() };
    let client = client_with(&server, &Arc::default(), config).await;
    let began = tokio::time::Instant::now();
    let error = this_dc(&client).await.unwrap_err();
    let InvokeError::Net(NetError::Unreachable { dc: DcId(2), attempts, last, .. }) = &error else { panic!("{error}") };
    assert!(*attempts > 3 && last.contains("127.0.0.1:4432"), "{attempts} {last}");
    assert!(began.elapsed() <= Duration::from_secs(20));
    // It is not given up for good.
    server.refuse_dials(false);
    assert_eq!(this_dc(&client).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_keeps_breaking_the_protocol_is_told_from_a_bad_line() {
    let server = TestServer::new(usual);
    let client = client(&server, &Arc::default()).await;
    this_dc(&client).await.unwrap();
    server.talk_garbage(true);
    let error = this_dc(&client).await.unwrap_err();
    assert!(matches!(error, InvokeError::Protocol(ProtocolError::Session(_))), "{error}");
    assert_eq!(server.dials(), 3, "a broken message may be the line's fault, three in a row are the peer's");
    server.talk_garbage(false);
    assert_eq!(this_dc(&client).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_breaks_off_before_the_answer_is_given_up() {
    let server = TestServer::new(usual);
    let config = ClientConfig { reconnect_timeout: Duration::from_secs(60), ..TestServer::config() };
    let client = client_with(&server, &Arc::default(), config).await;
    this_dc(&client).await.unwrap();
    server.cut_before_answers(true);
    let began = tokio::time::Instant::now();
    let error = this_dc(&client).await.unwrap_err();
    assert!(matches!(error, InvokeError::Net(NetError::Unreachable { .. })), "{error}");
    assert!(began.elapsed() <= Duration::from_secs(60));
}

/// Row: A.1 "transport errors"
#[tokio::test(start_paused = true)]
async fn transport_errors_are_told_apart() {
    let server = TestServer::new(usual);
    let client = client(&server, &Arc::default()).await;
    this_dc(&client).await.unwrap();
    server.refuse_with(Some(444));
    let error = this_dc(&client).await.unwrap_err();
    assert!(matches!(error, InvokeError::Protocol(ProtocolError::Refused(TransportError::InvalidDc))), "{error}");

    // 429 asks for patience: one attempt, then a pause.
    server.refuse_with(Some(429));
    let dials = server.dials();
    let call = tokio::time::timeout(Duration::from_secs(4), this_dc(&client)).await;
    assert!(call.is_err());
    assert_eq!(server.dials(), dials + 1);
    server.refuse_with(None);
    assert_eq!(this_dc(&client).await.unwrap(), 2);
}

#[tokio::test]
async fn it_works_over_sockets_too() {
    let server = TestServer::new(usual);
    let addr = server.listen().await;
    let kinds = transport::Kind::ALL.into_iter().flat_map(|kind| [(kind, false), (kind, true)]);
    for (kind, obfuscated) in kinds.filter(|choice| *choice != (transport::Kind::Full, true)) {
        let mut config = TestServer::config();
        config.dcs.dcs.retain(|dc| dc.id == 2);
        config.dcs.dcs[0].port = addr.port();
        config.transport = transport::Options { kind, obfuscated, dc: DcId(0) };
        let surroundings = Surroundings { dialer: Arc::new(TcpDialer), clock: server.clock };
        let store: Arc<dyn Persistence> = Arc::new(MemoryPersistence::new());
        let client = Client::connect_through(config, store, Tracer::off(), surroundings).await.unwrap();
        assert_eq!(this_dc(&client).await.unwrap(), 2, "{kind} {obfuscated}");
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_without_login_that_the_server_forgot_is_made_anew() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = client(&server, &store).await;
    this_dc(&client).await.unwrap();
    let old = store.dc_auth(DcId(2)).unwrap().unwrap().auth_key.id();
    server.forget_keys();
    server.cut();
    this_dc(&client).await.unwrap();
    assert_eq!(server.handshakes(), 2);
    let new = store.dc_auth(DcId(2)).unwrap().unwrap().auth_key.id();
    assert_ne!(old, new);
    assert!(server.calls()[1].introduced.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_key_that_carries_the_login_is_told_and_kept() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = client(&server, &store).await;
    this_dc(&client).await.unwrap();
    client.logged_in(&account()).unwrap();
    server.forget_keys();
    for _ in 0..2 {
        let error = this_dc(&client).await.unwrap_err();
        assert!(matches!(error, InvokeError::Unauthorized(Unauthorized::KeyLost)), "{error}");
    }
    assert_eq!((server.handshakes(), server.dials()), (1, 1), "no key was made, and nothing was tried again");
    assert!(store.dc_auth(DcId(2)).unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_ended_authorization_is_not_used_again() {
    let server = TestServer::new(|call| if call.nth == 0 { usual(call) } else { Reply::Error(401, "SESSION_REVOKED") });
    let store = Arc::default();
    let client = client(&server, &store).await;
    this_dc(&client).await.unwrap();
    client.logged_in(&account()).unwrap();
    for _ in 0..3 {
        let error = this_dc(&client).await.unwrap_err();
        assert!(matches!(error, InvokeError::Unauthorized(Unauthorized::SessionRevoked)), "{error}");
    }
    assert_eq!(server.count::<GetNearestDc>(), 2, "asked once, and never again");
    assert!(!store.dc_auth(DcId(2)).unwrap().unwrap().authorized);
    client.forget().await.unwrap();
    assert!(store.dc_auths().unwrap().is_empty());
    assert!(matches!(this_dc(&client).await, Err(InvokeError::Unauthorized(_))), "asked anew, under a key of its own");
    assert_eq!(server.handshakes(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_end_outlives_the_process_and_only_a_login_replaces_it() {
    for (code, name, reason) in [
        (406, "AUTH_KEY_DUPLICATED", Unauthorized::KeyDuplicated),
        (401, "AUTH_KEY_UNREGISTERED", Unauthorized::KeyUnregistered),
        (401, "AUTH_KEY_INVALID", Unauthorized::KeyInvalid),
        (401, "SESSION_REVOKED", Unauthorized::SessionRevoked),
        (401, "SESSION_EXPIRED", Unauthorized::SessionExpired),
        (401, "USER_DEACTIVATED", Unauthorized::UserDeactivated),
        (401, "USER_DEACTIVATED_BAN", Unauthorized::UserDeactivated),
    ] {
        let server = TestServer::new(move |call| if call.nth == 1 { Reply::Error(code, name) } else { usual(call) });
        let store = Arc::default();
        let first = client(&server, &store).await;
        this_dc(&first).await.unwrap();
        first.logged_in(&account()).unwrap();
        assert!(first.start_over().await.unwrap().is_none(), "nothing has ended");
        assert!(this_dc(&first).await.is_err());
        first.close().await;
        assert_eq!(store.ended().unwrap().map(|ended| ended.reason), Some(reason), "{name}");

        let later = client(&server, &store).await;
        let error = this_dc(&later).await.unwrap_err();
        assert!(matches!(error, InvokeError::Unauthorized(found) if found == reason), "{error}");
        assert_eq!(server.count::<GetNearestDc>(), 2, "{name}: the later one asks nothing");
        assert_eq!(store.dc_auths().unwrap().len(), 1, "and removes nothing");

        assert_eq!(later.start_over().await.unwrap().map(|ended| ended.reason), Some(reason));
        this_dc(&later).await.unwrap();
        assert_eq!(server.handshakes(), 2, "under a key of its own");
        assert!(store.ended().unwrap().is_some(), "a login that is not finished replaces nothing");
        later.logged_in(&account()).unwrap();
        assert!(store.ended().unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn asking_before_a_login_is_no_end_of_one() {
    let server = TestServer::new(|call| if call.nth == 0 { Reply::Error(401, "AUTH_KEY_UNREGISTERED") } else { usual(call) });
    let client = client(&server, &Arc::default()).await;
    let error = this_dc(&client).await.unwrap_err();
    assert!(matches!(error, InvokeError::Unauthorized(Unauthorized::KeyUnregistered)), "{error}");
    assert_eq!(this_dc(&client).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_know_us_is_told_again() {
    let server = TestServer::new(|call| match (call.nth, &call.introduced) {
        (1, None) => Reply::Error(400, "CONNECTION_NOT_INITED"),
        _ => usual(call),
    });
    let client = client(&server, &Arc::default()).await;
    this_dc(&client).await.unwrap();
    this_dc(&client).await.unwrap();
    let introduced: Vec<_> = server.calls().iter().map(|call| call.introduced.is_some()).collect();
    assert_eq!(introduced, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_new_session_on_the_server_is_introduced_again() {
    let server = TestServer::new(usual);
    let client = client(&server, &Arc::default()).await;
    this_dc(&client).await.unwrap();
    server.forget_sessions();
    server.cut();
    this_dc(&client).await.unwrap();
    this_dc(&client).await.unwrap();
    assert!(server.calls()[2].introduced.is_some(), "the server said that the session is new");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_dropped_on_the_server_too() {
    let server = TestServer::new(|call| if call.nth == 0 { Reply::Silence } else { usual(call) });
    let client = client(&server, &Arc::default()).await;
    let call = tokio::time::timeout(Duration::from_secs(5), this_dc(&client)).await;
    assert!(call.is_err());
    this_dc(&client).await.unwrap();
    assert_eq!(server.cancelled(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_a_timeout() {
    let server = TestServer::new(|call| if call.nth == 0 { Reply::Silence } else { usual(call) });
    let config = ClientConfig { request_timeout: Duration::from_secs(50), ..TestServer::config() };
    let client = client_with(&server, &Arc::default(), config).await;
    let began = tokio::time::Instant::now();
    let error = this_dc(&client).await.unwrap_err();
    assert!(matches!(error, InvokeError::Timeout { method: "help.getNearestDc", .. }), "{error}");
    assert_eq!(began.elapsed().as_secs(), 50);
    assert_eq!(this_dc(&client).await.unwrap(), 2);
    assert_eq!((server.dials(), server.cancelled()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn requests_on_their_way_are_bounded() {
    let server = TestServer::new(|call| if call.nth < 6 { Reply::Silence } else { usual(call) });
    let config = ClientConfig { max_in_flight: 3, request_timeout: Duration::from_secs(5), ..TestServer::config() };
    let client = client_with(&server, &Arc::default(), config).await;
    let answers = futures_util::future::join_all((0..9).map(|_| this_dc(&client))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
    assert!(server.most_outstanding() <= 3, "{}", server.most_outstanding());
}

#[tokio::test(start_paused = true)]
async fn raw_calls_go_where_they_are_sent() {
    let server = TestServer::new(usual);
    let client = client(&server, &Arc::default()).await;
    let answer = client.invoke_raw(Some(DcId(1)), GetNearestDc.to_bytes()).await.unwrap();
    assert_eq!(u32::from_le_bytes(*answer.first_chunk().unwrap()), api::types::NearestDc::ID);
    assert_eq!(server.calls()[0].dc, 1);
    let error = client.invoke_raw(None, Bytes::from_static(b"abc")).await.unwrap_err();
    assert!(matches!(error, InvokeError::BadRequest { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_wrong_type_is_told() {
    let server = TestServer::new(|_| {
        Reply::of(&api::enums::auth::ExportedAuthorization::from(api::types::auth::ExportedAuthorization::default()))
    });
    let client = client(&server, &Arc::default()).await;
    let error = this_dc(&client).await.unwrap_err();
    assert!(matches!(error, InvokeError::Decode { method: "help.getNearestDc", .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn connections_end_with_the_client() {
    let server = TestServer::new(usual);
    let client = client(&server, &Arc::default()).await;
    this_dc(&client).await.unwrap();
    client.media(DcId(1)).invoke(&GetNearestDc).await.unwrap();
    assert_eq!(server.open(), 2);
    client.close().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(server.open(), 0);
    // A closed client opens again when it is used; a dropped one ends by itself.
    this_dc(&client).await.unwrap();
    assert_eq!(server.open(), 1);
    drop(client);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(server.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn updates_come_to_who_asked_for_them() {
    let server = TestServer::new(usual);
    let config = ClientConfig { updates: true, ..TestServer::config() };
    let client = client_with(&server, &Arc::default(), config).await;
    let mut updates = client.updates().unwrap();
    assert!(client.updates().is_none(), "there is one stream");
    this_dc(&client).await.unwrap();
    assert!(!server.calls()[0].without_updates);
    let body = api::enums::Updates::TooLong.to_bytes();
    server.push(&body);
    loop {
        match updates.next().await.unwrap() {
            UpdateItem::Update(update) => break assert_eq!(update, body),
            UpdateItem::Gap => {}
        }
    }
    // A connection that carries updates comes back by itself.
    server.cut();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((server.dials(), server.open()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_store_knows_what_the_login_introduced_itself_as() {
    let (server, store) = (TestServer::new(usual), Arc::default());
    let client = client(&server, &store).await;
    let identity = store.identity().unwrap().unwrap();
    assert_eq!(
        (identity.device, identity.layer, identity.api_id),
        (client.config().device.clone(), client.config().layer.layer, 17)
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_that_another_process_made_first_is_the_one_used() {
    let (server, store) = (TestServer::new(usual), Arc::<MemoryPersistence>::default());
    // Both load an empty store; then both make a key.
    let another = ClientConfig { seed: Some([2; 32]), ..TestServer::config() };
    let (one, other) = (client(&server, &store).await, client_with(&server, &store, another).await);
    let (first, second) = tokio::join!(this_dc(&one), this_dc(&other));
    assert_eq!((first.unwrap(), second.unwrap(), server.handshakes()), (2, 2, 2));
    let kept = store.dc_auth(DcId(2)).unwrap().unwrap().auth_key.id();
    assert!(server.calls().iter().all(|call| call.key_id == kept));
}
