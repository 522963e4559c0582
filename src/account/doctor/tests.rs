//! Each finding follows from its evidence, and from nothing else; a healthy setup yields none.

use crate::account::{Authorization, Authorizations};
use crate::client::{DeviceProfile, Identity, KeyUse, Unauthorized};
use crate::ids::{DcId, MsgId, Salt, SeqNo, SessionId};
use crate::trace::{ConnId, Event, Inner, Layer, Record, Role, Tracer, Verdict};

use super::*;

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn said() -> Identity {
    Identity { device: DeviceProfile::built_in("tdl").unwrap(), layer: 230, api_id: 7 }
}

fn current() -> Authorization {
    let device = said().device;
    Authorization {
        current: true,
        device_model: device.device_model,
        system_version: device.system_version,
        app_version: device.app_version,
        api_id: 7,
        created: NOW - 10 * DAY,
        active: NOW,
        ip: "203.0.113.5".into(),
        ..Authorization::default()
    }
}

fn sample(current: Authorization, layers: &[i32]) -> Sample {
    let other = Authorization { hash: 5, active: NOW - 3 * DAY, ..Authorization::default() };
    Sample { authorizations: Authorizations { list: vec![current, other], ttl_days: 183 }, layers: layers.to_vec() }
}

fn healthy() -> Evidence {
    Evidence {
        now: NOW,
        said: said(),
        address: Some("203.0.113.5".parse().unwrap()),
        borrowed: None,
        other_process: false,
        keys: vec![
            KeyEvidence { dc: DcId(2), key_id: 1, home: true, state: KeyState::Known },
            KeyEvidence { dc: DcId(4), key_id: 2, home: false, state: KeyState::Unknown },
        ],
        temporary: vec![TempEvidence { dc: DcId(2), key_id: 3, key_use: KeyUse::Main, expires_at: NOW + 3600 }],
        samples: vec![sample(current(), &[229, 230]), sample(current(), &[229, 230])],
        ended: None,
        refused: None,
        time_offset: -30,
        protocol: Protocol {
            sessions: 2,
            salts_refused: 2,
            bad_messages: [(48, 3), (16, 1)].into(),
            lost_connections: 1,
            time_offset: Some(-30),
            ..Protocol::default()
        },
        watch: Some(WatchEvidence { seconds: 30, happened: 4, pushed: 4 }),
    }
}

#[test]
fn a_healthy_setup_yields_nothing() {
    assert_eq!(diagnose(&healthy()), []);
    let mut quiet = healthy();
    (quiet.watch, quiet.address, quiet.temporary) = (None, None, Vec::new());
    quiet.samples.iter_mut().for_each(|sample| sample.layers.clear());
    assert_eq!(diagnose(&quiet), []);
}

/// One change to healthy evidence, and what follows from it.
fn only(change: impl FnOnce(&mut Evidence)) -> Finding {
    let mut evidence = healthy();
    change(&mut evidence);
    let mut found = diagnose(&evidence);
    let finding = found.pop().expect("a finding");
    assert_eq!(found, [], "besides {finding:?}");
    // Whoever reads it finds a number, a meaning and a way out.
    assert!(!finding.title().is_empty() && !finding.evidence().is_empty());
    assert!(finding.meaning().len() > 40 && finding.advice().len() > 20, "{finding:?}");
    finding
}

#[test]
fn an_end_is_told_once() {
    let found = only(|e| {
        e.ended = Some(Unauthorized::KeyDuplicated);
        e.samples.clear();
        e.keys[0].state = KeyState::Forgotten;
    });
    assert_eq!(found, Finding::Ended { reason: Unauthorized::KeyDuplicated });
    assert_eq!((found.severity(), found.fix()), (Severity::Problem, None));
    assert!(found.meaning().contains("two addresses"));
}

#[test]
fn a_key_that_nobody_knows() {
    let found = only(|e| e.keys[1].state = KeyState::Forgotten);
    assert_eq!(found, Finding::KeyForgotten { dc: 4, key_id: 2, home: false });
    assert_eq!(found.fix(), Some(Fix::ForgetKey { dc: 4, key_id: 2 }));
    let found = only(|e| (e.keys[0].state, e.refused) = (KeyState::Forgotten, Some("no answer".into())));
    assert_eq!((found.severity(), found.fix()), (Severity::Problem, None));
}

#[test]
fn a_device_record_that_is_not_ours() {
    let other = |e: &mut Evidence, at: usize| {
        let current = &mut e.samples[at].authorizations.list[0];
        (current.device_model, current.api_id) = ("Desktop".into(), 2040);
    };
    let found = only(|e| (other(e, 0), other(e, 1)).0);
    let Finding::DeviceReplaced { differences, meanwhile: false, .. } = &found else { panic!("{found:?}") };
    let fields: Vec<_> = differences.iter().map(|d| (d.field, d.found.as_str())).collect();
    assert_eq!(fields, [("device", "Desktop"), ("application id", "2040")]);
    let said = format!("device is \"Desktop\", we say {:?}", said().device.device_model);
    assert!(found.evidence().contains(&said), "{}", found.evidence());
    assert_eq!(found.fix(), Some(Fix::Introduce));
    // While we listened.
    assert!(matches!(only(|e| other(e, 1)), Finding::DeviceReplaced { meanwhile: true, .. }));
    // A version that comes with blanks around it is the same.
    let mut evidence = healthy();
    evidence.samples[0].authorizations.list[0].app_version.push(' ');
    assert_eq!(diagnose(&evidence), []);
}

#[test]
fn a_layer_that_is_not_ours() {
    let found = only(|e| e.samples[0].layers = vec![199, 201, 214]);
    assert_eq!(found, Finding::LayerReplaced { said: 230, least: 199, most: 214 });
    assert!(found.evidence().contains("from 199 to 214"));
    let found = only(|e| e.samples[1].layers = vec![201]);
    assert_eq!(found.evidence(), "answers came in layer 201, we negotiated 230");
}

#[test]
fn an_address_that_is_not_ours() {
    let found = only(|e| e.samples[1].authorizations.list[0].ip = "198.51.100.9".into());
    assert_eq!(found, Finding::AddressDiffers { ours: "203.0.113.5".parse().unwrap(), found: "198.51.100.9".into() });
    // The same, written otherwise; and what is no address.
    for same in ["::ffff:203.0.113.5", "", "hidden"] {
        let mut evidence = healthy();
        evidence.samples[1].authorizations.list[0].ip = same.into();
        assert_eq!(diagnose(&evidence), [], "{same}");
    }
}

#[test]
fn sessions_and_numbers_that_somebody_else_changes() {
    assert_eq!(only(|e| e.protocol.begun_anew = 2), Finding::SessionsBegunAnew { times: 2, lost_connections: 1 });
    let found = only(|e| e.protocol.bad_messages.extend([(32, 1), (33, 2)]));
    assert_eq!(found, Finding::CopiedSession { codes: [(32, 1), (33, 2)].into() });
    assert!(found.evidence().contains("code 33 2 times"));
    assert_eq!(only(|e| e.protocol.salts_refused = 3), Finding::SaltsRefused { times: 3 });
}

#[test]
fn updates_that_were_not_pushed() {
    let found = only(|e| e.watch = Some(WatchEvidence { seconds: 30, happened: 7, pushed: 3 }));
    assert_eq!(found, Finding::NotPushed { happened: 7, missing: 4, seconds: 30 });
    assert_eq!(found.severity(), Severity::Problem);
}

#[test]
fn the_rest() {
    assert_eq!(only(|e| e.other_process = true), Finding::SecondProcess);
    assert_eq!(only(|e| e.time_offset = -31), Finding::ClockSkew { seconds: -31 });
    assert_eq!(only(|e| e.borrowed = Some("Desktop".into())), Finding::Borrowed { program: "Desktop".into() });
    assert_eq!(only(|e| e.refused = Some("FLOOD".into())), Finding::Unanswered { reason: "FLOOD".into() });
    let found = only(|e| e.temporary[0].expires_at = NOW - 30 - 100);
    assert_eq!(found, Finding::TemporaryKeyEnded { dc: 2, key_id: 3, ended_for: 100 });
    assert_eq!(found.fix(), Some(Fix::ForgetTemporaryKey { dc: 2, key_id: 3 }));
    assert!(only(|e| e.temporary[0].expires_at = NOW - 10).evidence().ends_with("ends in 20 s"));
    let found = only(|e| e.samples[1].authorizations.list[1].active = NOW - 100 * DAY);
    assert_eq!(found, Finding::Stale { hashes: vec![5], longest_days: 99 }, "by the server's clock");
    assert_eq!(found.fix(), Some(Fix::EndAuthorizations { hashes: vec![5] }));
}

#[test]
fn what_the_owner_of_a_borrowed_key_says_of_itself_is_its_business() {
    let found = only(|e| {
        e.borrowed = Some("Desktop".into());
        e.samples[0].authorizations.list[0].device_model = "Desktop".into();
        e.samples[0].layers = vec![201];
    });
    assert_eq!(found, Finding::Borrowed { program: "Desktop".into() });
}

#[test]
fn the_worst_comes_first() {
    let mut evidence = healthy();
    (evidence.other_process, evidence.time_offset) = (true, 90);
    evidence.watch = Some(WatchEvidence { seconds: 1, happened: 1, pushed: 0 });
    let severities: Vec<_> = diagnose(&evidence).iter().map(Finding::severity).collect();
    assert_eq!(severities, [Severity::Problem, Severity::Warning, Severity::Note]);
}

#[test]
fn findings_have_a_form_for_programs() {
    let json = |finding: Finding| serde_json::to_value(finding).unwrap();
    assert_eq!(
        json(Finding::KeyForgotten { dc: 4, key_id: -1, home: false }),
        serde_json::json!({ "kind": "key_forgotten", "dc": 4, "key_id": "ffffffffffffffff", "home": false })
    );
    assert_eq!(
        json(Finding::Stale { hashes: vec![16], longest_days: 91 }),
        serde_json::json!({ "kind": "stale", "hashes": ["0000000000000010"], "longest_days": 91 })
    );
    assert!(json(Finding::Ended { reason: Unauthorized::KeyLost })["reason"].is_string());
}

fn record(conn: u32, event: Event) -> Record {
    Record { at: std::time::Duration::ZERO, conn: ConnId(conn), dc: DcId(2), role: Role::Client, event }
}

#[test]
fn a_witness_tells_our_own_sessions_from_those_that_were_begun_anew() {
    let witness = Witness::new(Tracer::off());
    let tracer = witness.tracer();
    assert!(tracer.wants(Layer::Crypto) && !tracer.wants(Layer::Tl), "bodies are not for it");
    let sent = |conn, session| {
        let inner =
            Inner { salt: Salt(1), session_id: SessionId(session), msg_id: MsgId(4), seq_no: SeqNo(1), len: 8, padding: 12 };
        record(
            conn,
            Event::Envelope { sent: true, auth_key_id: 1, len: 8, msg_key: Verdict::Ok, inner: Some(inner), token: None },
        )
    };
    let created = |conn| record(conn, Event::SessionCreated { first_msg_id: MsgId(4), unique_id: 1, salt: Salt(1) });
    let tell = |records: Vec<Record>| records.iter().for_each(|record| tracer.forward(record));
    // Two sessions, each begun once; one goes on over another connection.
    tell(vec![sent(1, 10), created(1), sent(2, 20), created(2), sent(1, 10), sent(3, 10)]);
    assert_eq!((witness.protocol().sessions, witness.protocol().begun_anew), (2, 0));
    // It was not known there any more.
    tell(vec![created(3)]);
    assert_eq!(witness.protocol().begun_anew, 1);
    // Nor was the other, over its own connection.
    tell(vec![created(2)]);
    assert_eq!(witness.protocol().begun_anew, 2);

    tell(vec![
        record(1, Event::BadMsg { code: 48, msg_id: MsgId(4) }),
        record(2, Event::BadMsg { code: 48, msg_id: MsgId(4) }),
        record(1, Event::BadMsg { code: 48, msg_id: MsgId(8) }),
        record(1, Event::TimeOffset { seconds: 7 }),
        record(1, Event::Disconnected { reason: "closed by us".into() }),
        record(2, Event::Disconnected { reason: "reset".into() }),
    ]);
    let protocol = witness.protocol();
    assert_eq!((protocol.lost_connections, protocol.time_offset), (1, Some(7)));
    assert_eq!((protocol.bad_messages, protocol.salts_refused), ([(48, 3)].into(), 2));
}

/// A machine whose clock is wrong, against a cluster whose clock is right.
#[cfg(feature = "sandbox")]
mod clock {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use crate::account::{CodeAnswer, CodeSent, LoginPrompts, LoginRequest, Name, PromptError, login_code};
    use crate::client::{Client, ClientConfig, DcTable, Introduction, MemoryPersistence, Surroundings};
    use crate::net::{Clock, TcpDialer};
    use crate::sandbox::{Cluster, Config};

    use super::*;

    struct Answers;

    impl LoginPrompts for Answers {
        async fn phone(&mut self) -> Result<String, PromptError> {
            Ok("9996611111".into())
        }

        async fn code(&mut self, _: &CodeSent, _: u32) -> Result<CodeAnswer, PromptError> {
            Ok(CodeAnswer::Code("11111".into()))
        }

        async fn name(&mut self, _: Option<&str>) -> Result<Name, PromptError> {
            Ok(Name { first: "Ada".into(), last: String::new() })
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_wrong_clock_is_noticed_on_a_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
        let table = DcTable::read(&cluster.file()).unwrap();
        let ahead = Duration::from_secs(600);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + ahead;
        let store = Arc::new(MemoryPersistence::new());
        let surroundings = || Surroundings { dialer: Arc::new(TcpDialer), clock: Clock::starting_at(wall) };
        let connect = async |config: ClientConfig, tracer: Tracer| {
            Client::connect_through(config, Arc::clone(&store) as _, tracer, surroundings()).await.unwrap()
        };
        let config = ClientConfig::new(table, 7, "test");
        let client = connect(config.clone(), Tracer::off()).await;
        login_code(&client, &mut Answers, LoginRequest::default()).await.unwrap();
        client.close().await;

        let witness = Witness::new(Tracer::off());
        let silent = ClientConfig { introduction: Introduction::Silent, ..config.clone() };
        let client = connect(silent, witness.tracer()).await;
        let said = Identity { device: config.device, layer: config.layer.layer, api_id: config.api_id };
        let plan = Plan { said, borrowed: None, other_process: false, address: None, watch: None };
        let evidence = gather(&client, &witness, plan).await.unwrap();
        client.close().await;
        let found = diagnose(&evidence);
        // The clocks ran on between their readings; they do so by seconds at most.
        assert!(matches!(found.as_slice(), [Finding::ClockSkew { seconds: -660..=-400 }]), "{found:?}");
        cluster.shutdown().await;
    }
}
