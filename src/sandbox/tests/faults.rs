//! What goes wrong on purpose, set and taken back over the control connection while clients talk.

use super::*;
use crate::control::{self, ControlError};
use crate::{Command, FaultEffect, FaultRule, Reply};
use std::path::Path;

const ANN: &str = "9996611111";

fn options() -> Options {
    plain(Kind::Intermediate)
}

fn rule(effect: &str, method: &str, left: Option<u32>) -> Command {
    let effect: FaultEffect = effect.parse().unwrap();
    Command::FaultSet { rule: FaultRule { method: method.to_owned(), left, ..FaultRule::new(effect) }, phone: None }
}

async fn set(dir: &Path, effect: &str, method: &str, left: Option<u32>) -> u32 {
    match control::send(dir, &rule(effect, method, left)).await.unwrap() {
        Reply::Rule(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn clear(dir: &Path) -> Reply {
    control::send(dir, &Command::FaultClear { ids: Vec::new() }).await.unwrap()
}

/// A cluster, and somebody who is logged in.
async fn start(dir: &Path) -> (Cluster, Vec<Dc>, Client) {
    let (cluster, dcs, pem) = cluster_with(dir, without_notices()).await;
    let dc = dcs[0].clone();
    let client = beside(move || {
        let mut client = Client::new(&dc, &pem, &options(), 1);
        client.login(ANN);
        client
    })
    .await;
    (cluster, dcs, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_set_for_methods_and_accounts_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, _, mut client) = start(dir.path()).await;
    let id = set(dir.path(), "FLOOD_WAIT_7", "updates.*", Some(2)).await;
    set(dir.path(), "500:NO_WORKERS_RUNNING", "help.getConfig", None).await;
    let wrong = Command::FaultSet { rule: FaultRule::new(FaultEffect::Drop), phone: Some("9996619999".to_owned()) };
    assert!(matches!(control::send(dir.path(), &wrong).await, Err(ControlError::Refused(text)) if text.contains("9996619999")));
    let mut client = beside(move || {
        for _ in 0..2 {
            let error = client.call(f::updates::GetState).unwrap_err();
            assert_eq!((error.code, error.message.as_str()), (420, "FLOOD_WAIT_7"));
        }
        client.call(f::updates::GetState).unwrap();
        for _ in 0..3 {
            let error = client.call(f::help::GetConfig).unwrap_err();
            assert_eq!((error.code, error.message.as_str()), (500, "NO_WORKERS_RUNNING"));
        }
        client
    })
    .await;
    let Reply::Rules(rules) = cluster.command(Command::FaultList).unwrap() else { panic!("rules") };
    assert_eq!(
        rules.iter().map(|rule| (rule.id, rule.left, rule.met)).collect::<Vec<_>>(),
        [(id, Some(0), 2), (id + 1, None, 3)]
    );
    let cleared = Command::FaultClear { ids: vec![id + 1] };
    assert_eq!(control::send(dir.path(), &cleared).await.unwrap(), Reply::Count(1));
    client = beside(move || {
        client.call(f::help::GetConfig).unwrap();
        client
    })
    .await;
    // For one account: whoever is not logged in is not meant.
    let phone = Some(ANN.to_owned());
    let revoked = Command::FaultSet { rule: FaultRule::new("SESSION_REVOKED".parse().unwrap()), phone };
    control::send(dir.path(), &revoked).await.unwrap();
    let (dc, pem) = (cluster.dcs()[0].clone(), cluster.rsa_public_key().to_owned());
    beside(move || {
        let error = client.call(f::updates::GetState).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (401, "SESSION_REVOKED"));
        let mut stranger = Client::new(&dc, &pem, &options(), 9);
        stranger.call(introduced(f::help::GetNearestDc)).unwrap();
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_salts_and_keys_go_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, mut client) = start(dir.path()).await;
    let dc = dcs[0].clone();
    // A connection that ends before the answer; which is not lost, and the call is done once.
    set(dir.path(), "drop", "messages.sendMessage", Some(1)).await;
    client = beside(move || {
        let id =
            client.session.request(now(client.start), saved_message("once", 1).to_bytes(), RequestOptions::default()).unwrap();
        client.flush();
        let mut rest = Vec::new();
        // What was on its way before may still come, then the end.
        client.stream.read_to_end(&mut rest).unwrap();
        client.reconnect(&dc, &options());
        // The session is found again by what is said next.
        let poke = client.session.request(now(client.start), quiet().to_bytes(), RequestOptions::default()).unwrap();
        let mut answers = std::collections::HashMap::new();
        while answers.len() < 2 {
            while let Some(event) = client.session.poll_event() {
                if let Event::Response { id, result } = event {
                    answers.insert(id, result.unwrap());
                }
            }
            if answers.len() < 2 {
                assert!(client.step().is_none());
            }
        }
        let enums::updates::State::State(state) = enums::updates::State::from_bytes(answers[&poke].clone()).unwrap();
        assert_eq!(state.pts, 2);
        assert!(answers.contains_key(&id));
        client
    })
    .await;
    // Wrong salts: the client is told the new one, and says it again.
    set(dir.path(), "wrong-salt", "updates.getState", Some(1)).await;
    client = beside(move || {
        client.call(f::updates::GetState).unwrap();
        let before = client.session.salts().to_vec();
        client.call(f::help::GetNearestDc).unwrap();
        assert_ne!(client.session.salts(), before, "it had to learn another one");
        client
    })
    .await;
    // A call that is swallowed does not stop those behind it.
    set(dir.path(), "silence", "help.getConfig", Some(1)).await;
    client = beside(move || {
        client.session.request(now(client.start), f::help::GetConfig.to_bytes(), RequestOptions::default()).unwrap();
        client.call(f::help::GetNearestDc).unwrap();
        client
    })
    .await;
    let Reply::Rules(rules) = cluster.command(Command::FaultList).unwrap() else { panic!("rules") };
    assert!(rules.iter().all(|rule| rule.met == 1), "{rules:?}");
    // A key that is forgotten.
    set(dir.path(), "key-loss", "*", Some(1)).await;
    beside(move || {
        client.session.request(now(client.start), f::help::GetNearestDc.to_bytes(), RequestOptions::default()).unwrap();
        let error = loop {
            if let Some(error) = client.step() {
                break error;
            }
        };
        assert_eq!(error, TransportError::AuthKeyNotFound);
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_holds_a_call_until_it_is_over_or_taken_back_or_the_cluster_stops() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, _, mut client) = start(dir.path()).await;
    set(dir.path(), "delay:10m", "updates.getState", None).await;
    let held = tokio::task::spawn_blocking(move || {
        client.call(f::updates::GetState).unwrap();
        client
    });
    let met = || match cluster.command(Command::FaultList).unwrap() {
        Reply::Rules(rules) => rules[0].met,
        other => panic!("{other:?}"),
    };
    while met() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!held.is_finished());
    assert_eq!(clear(dir.path()).await, Reply::Count(1));
    // The thread may not have begun to wait when the rules were taken back: then once more.
    while !held.is_finished() {
        clear(dir.path()).await;
    }
    let mut client = held.await.unwrap();
    set(dir.path(), "delay:10m", "updates.getState", None).await;
    let held = tokio::task::spawn_blocking(move || {
        client.session.request(now(client.start), f::updates::GetState.to_bytes(), RequestOptions::default()).unwrap();
        client.flush();
        client
    });
    let _client = held.await.unwrap();
    while met() == 0 {
        tokio::task::yield_now().await;
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_read_the_file_is_not_listened_to() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, _, _) = cluster_with(dir.path(), without_notices()).await;
    let path = dir.path().join(control::CONTROL_FILE);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let good = std::fs::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&good).unwrap();
    json["token"] = "0".repeat(64).into();
    std::fs::write(&path, json.to_string()).unwrap();
    let refused = control::send(dir.path(), &Command::FaultList).await;
    assert!(matches!(refused, Err(ControlError::Refused(text)) if text == "the token is wrong"));
    for damaged in ["", "{}", r#"{"addr":"192.0.2.1:1","token":""}"#] {
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(control::send(dir.path(), &Command::FaultList).await, Err(ControlError::File(_))), "{damaged}");
    }
    std::fs::write(&path, &good).unwrap();
    assert_eq!(control::send(dir.path(), &Command::FaultList).await.unwrap(), Reply::Rules(Vec::new()));
    cluster.shutdown().await;
    assert!(matches!(control::send(dir.path(), &Command::FaultList).await, Err(ControlError::NotRunning { .. })));
    // Each start has a token of its own.
    let (cluster, _, _) = cluster_with(dir.path(), without_notices()).await;
    let again: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_ne!(serde_json::from_str::<serde_json::Value>(&good).unwrap()["token"], again["token"]);
    cluster.shutdown().await;
}
