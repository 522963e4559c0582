//! The cluster over real sockets, with our own client roles on the other side.

mod authorizations;
mod client;
mod faults;
mod files;
mod layers;
mod media;
mod routing;
mod ways_in;

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;

use bytes::{Bytes, BytesMut};

use super::{Cluster, Config, Dc};
use client::{Client, introduced, now, quiet, receive};
use tdl_core::ids::DcId;
use tdl_core::mtproto::handshake::Mode;
use tdl_core::mtproto::session::{Event, RequestOptions};
use tdl_core::tl::api::{enums, functions as f, types};
use tdl_core::tl::{Deserialize as _, Serialize as _};
use tdl_core::transport::{Frame, Kind, Options, TransportError};

/// The texts of the messages that are new.
fn texts_of(updates: &enums::Updates) -> Vec<String> {
    match updates {
        enums::Updates::Updates(updates) => updates.updates.iter().filter_map(text_of).collect(),
        enums::Updates::UpdateShortMessage(message) => vec![message.message.to_string()],
        _ => Vec::new(),
    }
}

fn text_of(update: &enums::Update) -> Option<String> {
    let enums::Update::NewMessage(new) = update else { return None };
    let enums::Message::Message(message) = &new.message else { return None };
    Some(message.message.to_string())
}

/// A cluster with these rules, its DCs, and its key.
async fn cluster_with(dir: &std::path::Path, rules: super::Rules) -> (Cluster, Vec<Dc>, String) {
    let mut config = Config::new(dir);
    config.rules = rules;
    let cluster = Cluster::start(config).await.unwrap();
    let (dcs, pem) = (cluster.dcs().to_vec(), cluster.rsa_public_key().to_owned());
    (cluster, dcs, pem)
}

/// The rules, but for the messages that a login causes: for tests that count messages.
fn without_notices() -> super::Rules {
    super::Rules { notices: false, ..super::Rules::default() }
}

fn plain(kind: Kind) -> Options {
    Options { kind, obfuscated: false, dc: DcId(0) }
}

/// Runs blocking code beside a cluster.
async fn beside<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(f).await.unwrap()
}

fn saved_message(message: &str, random_id: i64) -> f::messages::SendMessage {
    let peer = enums::InputPeer::PeerSelf;
    f::messages::SendMessage { peer, message: message.into(), random_id, ..f::messages::SendMessage::default() }
}

/// Row: A.1 "abridged"
/// Row: A.1 "intermediate"
/// Row: A.1 "padded intermediate"
/// Row: A.1 "full (crc32+seq)"
/// Row: A.1 "obfuscated2"
#[tokio::test(flavor = "multi_thread")]
async fn every_transport_reaches_every_dc() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let (dcs, pem) = (cluster.dcs().to_vec(), cluster.rsa_public_key().to_owned());
    assert!(dcs.iter().all(|dc| dc.addr().ip().is_loopback()));
    beside(move || {
        let kinds = [Kind::Abridged, Kind::Intermediate, Kind::PaddedIntermediate, Kind::Full];
        let all = kinds.into_iter().flat_map(|kind| [(kind, false), (kind, true)]);
        for (n, (kind, obfuscated)) in all.enumerate().filter(|(_, (kind, obfuscated))| *kind != Kind::Full || !obfuscated) {
            let dc = &dcs[n % dcs.len()];
            let mut client = Client::new(dc, &pem, &Options { kind, obfuscated, dc: DcId(dc.id) }, n as u8);
            let enums::NearestDc::Dc(nearest) = client.call(introduced(f::help::GetNearestDc)).unwrap();
            assert_eq!(nearest.this_dc, dc.id, "{kind:?}");
        }
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_acknowledgement_names_the_frame_that_it_is_about() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let (dc, pem) = (cluster.dcs()[0].clone(), cluster.rsa_public_key().to_owned());
    beside(move || {
        let quick = RequestOptions { quick_ack: true, ..RequestOptions::default() };
        let kinds = [Kind::Abridged, Kind::Intermediate, Kind::PaddedIntermediate];
        for (n, (kind, obfuscated)) in kinds.into_iter().flat_map(|kind| [(kind, false), (kind, true)]).enumerate() {
            let mut client = Client::new(&dc, &pem, &Options { kind, obfuscated, dc: DcId(dc.id) }, n as u8);
            let at = now(client.start);
            let id = client.session.request(at, introduced(f::help::GetNearestDc).to_bytes(), quick).unwrap();
            let frame = client.session.poll_output(at).unwrap();
            assert!(client.session.wants_quick_ack());
            let mut out = BytesMut::new();
            client.codec.encode_with_quick_ack(&frame, &mut client.rng, &mut out).unwrap();
            client.stream.write_all(&out).unwrap();
            let (mut told, mut answered) = (Vec::new(), false);
            while !answered || told.is_empty() {
                match receive(&mut client.stream, &mut client.codec, &mut client.input) {
                    Frame::QuickAck(token) => assert!(client.session.handle_quick_ack(token), "{kind} {obfuscated}"),
                    Frame::Payload(frame) => client.session.handle_input(now(client.start), frame).unwrap(),
                    Frame::Error(error) => panic!("{error:?}"),
                }
                while let Some(event) = client.session.poll_event() {
                    match event {
                        Event::QuickAck { id } => told.push(id),
                        Event::Response { .. } => answered = true,
                        _ => {}
                    }
                }
            }
            assert_eq!(told, [id], "{kind} {obfuscated}");
        }
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_with_migration_updates_files_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    let options = plain(Kind::Intermediate);
    let (mut ann, ann_id) = beside(move || {
        // The number lives elsewhere, and says so.
        let mut stray = Client::new(&dcs[0], &pem, &options, 1);
        let settings = types::CodeSettings::default().into();
        let send = f::auth::SendCode { phone_number: "9996621111".into(), api_id: 1, api_hash: "".into(), settings };
        assert_eq!(stray.call(introduced(send)).unwrap_err().migrate(), Some(2));

        let mut ann = Client::new(&dcs[1], &pem, &options, 2);
        let ann_id = ann.login("9996621111");
        let mut bob = Client::new(&dcs[1], &pem, &options, 3);
        bob.login("9996622222");
        // Ann's second session hears of what the first one does; one that wants no updates does not.
        let mut second = Client::new(&dcs[1], &pem, &options, 4);
        assert_eq!(second.login("9996621111"), ann_id);
        let enums::contacts::ResolvedPeer::Peer(found) =
            bob.call(f::contacts::ResolvePhone { phone: "9996621111".into() }).unwrap();
        let [enums::User::User(user)] = found.users.as_slice() else { panic!("one user") };
        let peer = types::InputPeerUser { user_id: ann_id, access_hash: user.access_hash.unwrap() };
        let hello = f::messages::SendMessage { peer: peer.into(), message: "hello".into(), random_id: 1, ..Default::default() };
        bob.call(hello).unwrap();
        for client in [&mut ann, &mut second] {
            let enums::Updates::UpdateShortMessage(heard) = client.update() else { panic!("a text") };
            assert_eq!((&*heard.message, heard.pts), ("hello", 2));
        }
        // A session goes on over another connection.
        ann.reconnect(&dcs[1], &plain(Kind::Abridged));
        ann.call(saved_message("kept", 1)).unwrap();
        let content: Vec<u8> = (0..600_000_u32).map(|n| (n % 249) as u8).collect();
        for (n, part) in content.chunks(524_288).enumerate() {
            let bytes = Bytes::copy_from_slice(part);
            assert!(ann.call(f::upload::SaveFilePart { file_id: 7, file_part: n as i32, bytes }).unwrap());
        }
        (ann, ann_id)
    })
    .await;
    let ports: Vec<u16> = cluster.dcs().iter().map(|dc| dc.port).collect();
    cluster.shutdown().await;

    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    assert_eq!(cluster.dcs().iter().map(|dc| dc.port).collect::<Vec<_>>(), ports, "the same ports as before");
    let dcs = cluster.dcs().to_vec();
    beside(move || {
        // Same key, same session: the server has forgotten the session and nothing else.
        ann.reconnect(&dcs[1], &options);
        let users = ann.call(f::users::GetUsers { id: vec![enums::InputUser::UserSelf] }).unwrap();
        assert!(matches!(users.as_slice(), [enums::User::User(user)] if user.id == ann_id));
        let file = types::InputFile { id: 7, parts: 2, name: "f".into(), md5_checksum: "".into() };
        let media = types::InputMediaUploadedDocument { file: file.into(), ..Default::default() };
        let send = f::messages::SendMedia {
            peer: enums::InputPeer::PeerSelf,
            media: media.into(),
            random_id: 2,
            ..Default::default()
        };
        let enums::Updates::Updates(sent) = ann.call(send).unwrap() else { panic!("full updates") };
        let Some(enums::Update::NewMessage(new)) = sent.updates.last() else { panic!("a message") };
        let enums::Message::Message(message) = &new.message else { panic!("a message") };
        let Some(enums::MessageMedia::Document(media)) = &message.media else { panic!("a document") };
        let Some(enums::Document::Document(document)) = &media.document else { panic!("a document") };
        let location = types::InputDocumentFileLocation {
            id: document.id,
            access_hash: document.access_hash,
            file_reference: document.file_reference.clone(),
            thumb_size: "".into(),
        };
        let get =
            f::upload::GetFile { precise: false, cdn_supported: false, location: location.into(), offset: 0, limit: 1 << 20 };
        let enums::upload::File::File(file) = ann.call(get).unwrap() else { panic!("a file") };
        assert!(file.bytes.len() == 600_000 && file.bytes.iter().zip(0..).all(|(b, n): (&u8, u32)| *b == (n % 249) as u8));

        // A new session of the key that wants no updates, and gets none.
        ann.new_session(&dcs[1], &options);
        ann.call(f::InvokeWithoutUpdates { query: f::updates::GetState }).unwrap();
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_go_to_sessions_that_want_them() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    beside(move || {
        let options = plain(Kind::Intermediate);
        let mut writer = Client::new(&dcs[0], &pem, &options, 1);
        writer.login("9996611111");
        let mut listener = Client::new(&dcs[0], &pem, &options, 2);
        listener.login("9996611111");
        listener.new_session(&dcs[0], &options);
        listener.call(quiet()).unwrap();
        writer.call(saved_message("unheard", 1)).unwrap();
        // The answer comes after whatever was pushed before it.
        listener.call(quiet()).unwrap();
        assert!(listener.heard.is_empty());
        listener.call(f::updates::GetState).unwrap();
        writer.call(saved_message("heard", 2)).unwrap();
        let enums::Updates::Updates(heard) = listener.update() else { panic!("full updates") };
        assert!(matches!(heard.updates.as_slice(), [enums::Update::NewMessage(new)] if new.pts == 3));
        // What comes while nobody listens is not lost: it is pushed again, or the client is told to ask.
        listener.stream.shutdown(std::net::Shutdown::Both).unwrap();
        writer.call(saved_message("missed", 3)).unwrap();
        listener.reconnect(&dcs[0], &options);
        let heard = loop {
            // A session is found again by its next message.
            listener.call(quiet()).unwrap();
            if let Some(update) = listener.heard.pop_front() {
                break enums::Updates::from_bytes(update).unwrap();
            }
        };
        assert!(matches!(heard, enums::Updates::TooLong | enums::Updates::Updates(_)));
        // Logged out, it hears nothing any more.
        listener.call(f::auth::LogOut).unwrap();
        listener.heard.clear();
        writer.call(saved_message("over", 4)).unwrap();
        assert_eq!(listener.call(f::updates::GetState).unwrap_err().message, "AUTH_KEY_UNREGISTERED");
        assert!(listener.heard.is_empty());
    })
    .await;
    cluster.shutdown().await;
}

/// More answers than a session keeps, asked for in one go and read slowly.
#[tokio::test(flavor = "multi_thread")]
async fn answers_wait_for_a_client_that_does_not_read() {
    const PARTS: i32 = 36;
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let (dcs, pem) = (cluster.dcs().to_vec(), cluster.rsa_public_key().to_owned());
    beside(move || {
        let mut client = Client::new(&dcs[0], &pem, &plain(Kind::Intermediate), 1);
        client.login("9996611111");
        let bytes = Bytes::from(vec![7; 524_288]);
        for file_part in 0..2 {
            let part = f::upload::SaveBigFilePart { file_id: 1, file_part, file_total_parts: 2, bytes: bytes.clone() };
            client.call(part).unwrap();
        }
        let file = types::InputFileBig { id: 1, parts: 2, name: "f".into() };
        let media = types::InputMediaUploadedDocument { file: file.into(), ..Default::default() };
        let upload =
            f::messages::UploadMedia { business_connection_id: None, peer: enums::InputPeer::PeerSelf, media: media.into() };
        let enums::MessageMedia::Document(media) = client.call(upload).unwrap() else { panic!("a document") };
        let Some(enums::Document::Document(document)) = &media.document else { panic!("a document") };
        let location = types::InputDocumentFileLocation {
            id: document.id,
            access_hash: document.access_hash,
            file_reference: document.file_reference.clone(),
            thumb_size: "".into(),
        };
        let get =
            f::upload::GetFile { precise: false, cdn_supported: false, location: location.into(), offset: 0, limit: 1 << 20 };
        let at = now(client.start);
        for _ in 0..PARTS {
            client.session.request(at, get.to_bytes(), RequestOptions::default()).unwrap();
        }
        let mut got = 0;
        while got < PARTS {
            assert!(client.step().is_none());
            while let Some(event) = client.session.poll_event() {
                match event {
                    Event::Response { result, .. } => {
                        assert!(result.unwrap().len() > 1 << 20);
                        got += 1;
                    }
                    Event::Failed { error, .. } => panic!("{error:?} after {got}"),
                    _ => {}
                }
            }
        }
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_dc_does_not_have_is_a_transport_error() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let (dcs, pem) = (cluster.dcs().to_vec(), cluster.rsa_public_key().to_owned());
    beside(move || {
        let options = plain(Kind::Full);
        let mut client = Client::new(&dcs[0], &pem, &options, 1);
        client.call(introduced(f::help::GetNearestDc)).unwrap();
        client.reconnect(&dcs[1], &options);
        client
            .session
            .request(now(client.start), introduced(f::help::GetNearestDc).to_bytes(), RequestOptions::default())
            .unwrap();
        assert_eq!(client.step(), Some(TransportError::AuthKeyNotFound));
    })
    .await;
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_after_calls_wait_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let (dcs, pem) = (cluster.dcs().to_vec(), cluster.rsa_public_key().to_owned());
    beside(move || {
        let mut client = Client::new(&dcs[0], &pem, &plain(Kind::Abridged), 1);
        client.login("9996611111");
        // What never came is not waited for.
        let late = f::InvokeAfterMsg { msg_id: 4, query: f::updates::GetState };
        let error = client.call(late).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (500, "MSG_WAIT_TIMEOUT"));
        // Many at once come back in their order.
        let at = now(client.start);
        for n in 0..20 {
            let body = saved_message(&format!("{n}"), n).to_bytes();
            client.session.request(at, body, RequestOptions::default()).unwrap();
        }
        let mut ids = Vec::new();
        while ids.len() < 20 {
            client.step();
            while let Some(event) = client.session.poll_event() {
                if let Event::Response { result, .. } = event {
                    let enums::Updates::Updates(u) = enums::Updates::from_bytes(result.unwrap()).unwrap() else {
                        panic!("updates")
                    };
                    let Some(enums::Update::MessageId(id)) = u.updates.first() else { panic!("an id") };
                    ids.push((id.id, id.random_id));
                }
            }
        }
        ids.sort_unstable();
        assert_eq!(ids, (0..20).map(|n| (n as i32 + 1, n)).collect::<Vec<_>>());
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn clusters_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    for dcs in [0, 10] {
        let config = Config { dcs, ..Config::new(dir.path()) };
        assert!(matches!(Cluster::start(config).await, Err(super::cluster::StartError::Dcs(n)) if n == dcs));
    }
    let config = Config { port_base: Some(65_534), ..Config::new(dir.path()) };
    assert!(matches!(
        Cluster::start(config).await,
        Err(super::cluster::StartError::Ports { .. } | super::cluster::StartError::Listen { .. })
    ));
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let again = Cluster::start(Config::new(dir.path())).await;
    assert!(matches!(again, Err(super::cluster::StartError::State(super::state::Error::Busy(_)))));
    let text = std::fs::read_to_string(cluster.file()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((json["layer"].as_i64(), json["dcs"].as_array().map(Vec::len)), (Some(230), Some(3)));
    assert_eq!(json["dcs"][2]["id"], 3);
    assert!(json["rsa_public_keys"][0].as_str().unwrap().starts_with("-----BEGIN RSA PUBLIC KEY-----"));
    cluster.shutdown().await;
    Cluster::start(Config::new(dir.path())).await.unwrap().shutdown().await;
}
