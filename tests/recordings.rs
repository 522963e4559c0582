//! Recordings are tests: what was recorded comes out again, call by call, in today's code as in that of the day.
//!
//! * `tests/recordings/`: recordings of runs against the local cluster, with keys that were thrown away. A recorded bug goes there.
//! * Worlds of the simulation, recorded as they run.
//!
//! `cargo test --test recordings -- --ignored make_recording` makes the recording of the cluster anew: when the session's behaviour has
//! changed on purpose.
#![cfg(all(feature = "sandbox", feature = "sim"))]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tdl::client::{Client, ClientConfig, DcTable, MemoryPersistence};
use tdl::debug::jsonl::{self, Line, read::Lines};
use tdl::debug::replay::{Divergence, Progress, Replay};
use tdl::debug::{Background, Plan, Shown, WhenFull, background::Jsonl};
use tdl::ids::DcId;
use tdl::sandbox::{Cluster, Config};
use tdl::sim;
use tdl::tl::api::{enums, functions as f, types};
use tdl::trace::call::Call;
use tdl::trace::{Collector, Event, Layer, LayerSet, Record, Tracer};

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn read(path: &Path) -> Vec<Record> {
    let lines = Lines::new(BufReader::new(File::open(path).unwrap()));
    let records = lines.filter_map(|line| match line.unwrap().line {
        Ok(Line::Record(record)) => Some(record),
        Ok(Line::Header(_)) => None,
        other => panic!("{}: {other:?}", path.display()),
    });
    records.collect()
}

fn play<'a>(records: impl IntoIterator<Item = &'a Record>) -> (Option<Divergence>, Progress) {
    let mut replay = Replay::default();
    for record in records {
        let found = replay.event(&record.event).unwrap();
        if found.is_some() {
            return (found, replay.progress());
        }
    }
    (None, replay.progress())
}

fn all() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(recordings()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_recording_comes_out_as_recorded() {
    let mut calls = 0;
    for path in all() {
        let (found, progress) = play(&read(&path));
        assert_eq!(found, None, "{}", path.display());
        calls += progress.calls;
    }
    assert!(calls > 100, "{calls}");
}

#[test]
fn a_recording_that_was_tampered_with_diverges_at_that_very_call() {
    for path in all() {
        let records = read(&path);
        let inputs: Vec<usize> = records
            .iter()
            .enumerate()
            .filter(|(_, record)| matches!(&record.event, Event::CoreCall { call, .. } if matches!(**call, Call::Input { .. })))
            .map(|(at, _)| at)
            .collect();
        for at in inputs.into_iter().step_by(3) {
            let mut tampered = records.clone();
            let Event::CoreCall { session, number, call, .. } = &mut tampered[at].event else { unreachable!() };
            let Call::Input { frame } = &mut **call else { unreachable!() };
            let mut bytes = frame.to_vec();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            *frame = bytes.into();
            let expected = (*session, *number);
            let found = play(&tampered).0.expect("one bit is enough");
            assert_eq!((found.session, found.number), expected);
            assert!(found.refused, "{found:?}");
        }
    }
}

#[test]
fn the_world_of_a_seed_can_be_recorded_and_played() {
    let mut calls = 0;
    for seed in 0..12 {
        let collector = Collector::of(LayerSet::NONE.with(Layer::Core));
        let options = sim::Options { trace: collector.tracer(), longest: Duration::from_secs(300), ..sim::Options::default() };
        let report = sim::run(seed, &options);
        let silent = sim::run(seed, &sim::Options { trace: Tracer::off(), ..options });
        assert_eq!(report.figures, silent.figures, "seed {seed}: being recorded changes nothing");
        // By way of the file format: what a file holds is all that there is.
        let records: Vec<Record> = collector.take().iter().map(written_and_read).collect();
        let (found, progress) = play(&records);
        assert_eq!(found, None, "seed {seed}");
        calls += progress.calls;
    }
    assert!(calls > 3_000, "{calls}");
}

fn written_and_read(record: &Record) -> Record {
    let mut line = Vec::new();
    jsonl::put_record(record, &mut line);
    match jsonl::parse(&line) {
        Ok(Line::Record(record)) => record,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(&line)),
    }
}

/// A login, a message, a file, a key that is bound, over connections to two data centres.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_against_the_cluster_is_recorded_and_played() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.jsonl");
    record(dir.path(), &path).await;
    let records = read(&path);
    let (found, progress) = play(&records);
    assert_eq!(found, None);
    assert!(progress.sessions >= 3 && progress.calls > 100, "{progress:?}");
    let others = records.iter().filter(|record| record.event.layer() == Layer::Rpc).count();
    assert!(others > 10, "a recording is a trace as well: {others}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes into tests/recordings"]
async fn make_recording() {
    let dir = tempfile::tempdir().unwrap();
    let path = recordings().join("cluster.jsonl");
    let _ = fs::remove_file(&path);
    record(dir.path(), &path).await;
}

async fn record(dir: &Path, path: &Path) {
    let layers = LayerSet::default().with(Layer::Core);
    let header = jsonl::Header::new(Duration::from_secs(1_700_000_000), layers, Shown::Everything);
    let plan = Plan { layers, shown: Shown::Everything, when_full: WhenFull::Wait };
    let sink = Background::spawn(File::create(path).unwrap(), Jsonl { header }, plan).unwrap();

    let cluster = Cluster::start(Config::new(dir.join("box"))).await.unwrap();
    let table = DcTable::read(&cluster.file()).unwrap();
    let mut config = ClientConfig::new(table, 1, "hash");
    config.updates = true;
    let client = Client::connect(config, Arc::<MemoryPersistence>::default(), Tracer::new(sink.clone())).await.unwrap();
    let phone = "9996621234";
    let settings = types::CodeSettings::default().into();
    let send = f::auth::SendCode { phone_number: phone.into(), api_id: 1, api_hash: "".into(), settings };
    let enums::auth::SentCode::Code(sent) = client.invoke(&send).await.unwrap() else { panic!("no code") };
    let sign_in = f::auth::SignIn {
        phone_number: phone.into(),
        phone_code_hash: sent.phone_code_hash.clone(),
        phone_code: Some("22222".into()),
        email_verification: None,
    };
    client.invoke(&sign_in).await.unwrap();
    let sign_up = f::auth::SignUp {
        phone_number: phone.into(),
        phone_code_hash: sent.phone_code_hash,
        first_name: "Ada".into(),
        ..Default::default()
    };
    let enums::auth::Authorization::Authorization(_) = client.invoke(&sign_up).await.unwrap() else { panic!("no account") };
    let message = f::messages::SendMessage {
        peer: enums::InputPeer::PeerSelf,
        message: "hello ".repeat(200).into(),
        random_id: 1,
        ..Default::default()
    };
    client.invoke(&message).await.unwrap();
    client.invoke(&f::messages::SendMessage { message: "".into(), ..message }).await.unwrap_err();
    let part = f::upload::SaveFilePart { file_id: 1, file_part: 0, bytes: vec![7; 4096].into() };
    assert!(client.media(client.home_dc()).invoke(&part).await.unwrap());
    client.invoke_on(DcId(3), &f::help::GetNearestDc).await.unwrap();
    client.close().await;
    cluster.shutdown().await;
    let summary = sink.close();
    assert!(summary.error.is_none() && summary.lost == 0);
}
