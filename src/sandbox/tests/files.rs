//! Files over real sockets: through the CDN DC, and with what goes wrong on purpose.

use super::*;
use crate::{Cdn, Chance, Command, FaultEffect, FaultRule, Reply};

fn options() -> Options {
    plain(Kind::Intermediate)
}

/// Uploads a file in parts of 128 KiB and makes it a document.
fn upload(client: &mut Client, content: &[u8]) -> types::InputDocumentFileLocation {
    let parts = i32::try_from(content.chunks(131_072).count()).unwrap();
    for (n, part) in (0..).zip(content.chunks(131_072)) {
        let bytes = Bytes::copy_from_slice(part);
        client.call(f::upload::SaveFilePart { file_id: 5, file_part: n, bytes }).unwrap();
    }
    let file = types::InputFile { id: 5, parts, name: "f".into(), md5_checksum: "".into() };
    let media = types::InputMediaUploadedDocument { file: file.into(), ..Default::default() };
    let upload =
        f::messages::UploadMedia { business_connection_id: None, peer: enums::InputPeer::PeerSelf, media: media.into() };
    let enums::MessageMedia::Document(media) = client.call(upload).unwrap() else { panic!("a document") };
    let Some(enums::Document::Document(d)) = media.document else { panic!("a document") };
    types::InputDocumentFileLocation {
        id: d.id,
        access_hash: d.access_hash,
        file_reference: d.file_reference.clone(),
        thumb_size: "".into(),
    }
}

fn get(location: &types::InputDocumentFileLocation, offset: i64, cdn_supported: bool) -> f::upload::GetFile {
    f::upload::GetFile { precise: false, cdn_supported, location: location.clone().into(), offset, limit: 131_072 }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 3 % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cdn_dc_is_one_of_its_own_with_a_key_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { cdn: Some(Cdn::default()), media_addresses: true, ..Config::new(dir.path()) };
    let cluster = Cluster::start(config()).await.unwrap();
    let (dcs, pem) = (cluster.dcs().to_vec(), cluster.rsa_public_key().to_owned());
    let places: Vec<_> = dcs.iter().map(|dc| (dc.id, dc.media_only, dc.cdn)).collect();
    let media = |id| (id, true, false);
    assert_eq!(places[..6], [(1, false, false), (2, false, false), (3, false, false), media(1), media(2), media(3)]);
    assert_eq!(places[6..], [(203, false, true)]);
    let found = dcs.clone();
    let cdn_pem = beside(move || {
        let mut ann = Client::new(&dcs[0], &pem, &options(), 1);
        ann.login("9996611111");
        let enums::Config::Config(config) = ann.call(f::help::GetConfig).unwrap();
        let listed: Vec<_> = config
            .dc_options
            .iter()
            .map(|option| {
                let enums::DcOption::Option(option) = option;
                (option.id, option.media_only, option.cdn, option.port)
            })
            .collect();
        assert_eq!(listed, found.iter().map(|dc| (dc.id, dc.media_only, dc.cdn, dc.port.into())).collect::<Vec<_>>());
        let enums::CdnConfig::Config(config) = ann.call(f::help::GetCdnConfig).unwrap();
        let [enums::CdnPublicKey::Key(key)] = config.public_keys.as_slice() else { panic!("one key") };
        assert_ne!(&*key.public_key, &pem);
        let content = content(300_000);
        let location = upload(&mut ann, &content);
        // The address for files only leads to the same DC, and the same key holds there.
        let mut beside = ann.sibling(&dcs[3], &options(), 5);
        assert!(matches!(beside.call(get(&location, 0, false)).unwrap(), enums::upload::File::File(_)));
        let enums::upload::File::CdnRedirect(redirect) = ann.call(get(&location, 0, true)).unwrap() else {
            panic!("a redirect")
        };
        let mut cdn = Client::new(&dcs[6], &key.public_key, &options(), 2);
        let token = redirect.file_token.clone();
        let part = |offset| introduced(f::upload::GetCdnFile { file_token: token.clone(), offset, limit: 131_072 });
        let enums::upload::CdnFile::ReuploadNeeded(needed) = cdn.call(part(0)).unwrap() else { panic!("not there yet") };
        let request_token = needed.request_token;
        ann.call(f::upload::ReuploadCdnFile { file_token: token.clone(), request_token }).unwrap();
        let mut got = Vec::new();
        for offset in [0, 131_072, 262_144] {
            let enums::upload::CdnFile::File(file) = cdn.call(part(offset)).unwrap() else { panic!("it is there") };
            let (key, mut iv): ([u8; 32], [u8; 16]) =
                (redirect.encryption_key[..].try_into().unwrap(), redirect.encryption_iv[..].try_into().unwrap());
            iv[12..].copy_from_slice(&u32::try_from(offset / 16).unwrap().to_be_bytes());
            let mut bytes = file.bytes.to_vec();
            tdl_core::crypto::aes::Ctr::new(&key, &iv).apply(&mut bytes);
            got.extend(bytes);
        }
        assert!(got == content);
        assert_eq!(cdn.call(f::help::GetConfig).unwrap_err().message, "CDN_METHOD_INVALID");
        key.public_key.to_string()
    })
    .await;
    let ports: Vec<_> = cluster.dcs().iter().map(|dc| (dc.id, dc.port)).collect();
    cluster.shutdown().await;

    // With fewer addresses, and with all of them again: each keeps its port, and the CDN DC its key.
    Cluster::start(Config::new(dir.path())).await.unwrap().shutdown().await;
    let cluster = Cluster::start(config()).await.unwrap();
    assert_eq!(cluster.dcs().iter().map(|dc| (dc.id, dc.port)).take(3).collect::<Vec<_>>(), ports[..3]);
    let (cdn, main) = (cluster.dcs()[6].clone(), cluster.rsa_public_key().to_owned());
    beside(move || {
        Client::new(&cdn, &cdn_pem, &options(), 3);
        let strange = std::panic::catch_unwind(|| Client::new(&cdn, &main, &options(), 4));
        assert!(strange.is_err(), "the other DCs' key is not the CDN DC's");
    })
    .await;
    cluster.shutdown().await;
}

async fn set(dir: &std::path::Path, rule: FaultRule) {
    let command = Command::FaultSet { rule, phone: None };
    assert!(matches!(crate::control::send(dir, &command).await.unwrap(), Reply::Rule(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_wrong_as_they_are_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    let dc = dcs[0].clone();
    let (mut ann, location) = beside(move || {
        let mut ann = Client::new(&dc, &pem, &options(), 1);
        ann.login("9996611111");
        let location = upload(&mut ann, &content(400_000));
        (ann, location)
    })
    .await;
    let rule = |effect: &str| FaultRule {
        method: "upload.getFile".to_owned(),
        ..FaultRule::new(effect.parse::<FaultEffect>().unwrap())
    };
    let chance: Chance = "50%".parse().unwrap();
    set(dir.path(), FaultRule { chance: Some(chance), seed: 3, left: Some(5), ..rule("FLOOD_PREMIUM_WAIT_2") }).await;
    set(dir.path(), FaultRule { skip: 12, every: Some(4), left: Some(1), ..rule("expire") }).await;
    set(dir.path(), FaultRule { skip: 20, left: Some(1), ..rule("short") }).await;
    let dc = dcs[0].clone();
    let seen = beside(move || {
        let mut location = location;
        let mut seen = Vec::new();
        for _ in 0..30 {
            match ann.call(get(&location, 0, false)) {
                Ok(enums::upload::File::File(file)) => seen.push(file.bytes.len().to_string()),
                Ok(enums::upload::File::CdnRedirect(_)) => panic!("there is no CDN"),
                Err(error) => {
                    if error.message == "FILE_REFERENCE_EXPIRED" {
                        location = upload(&mut ann, &content(400_000));
                    }
                    seen.push(error.message);
                }
            }
        }
        (seen, ann, location, dc)
    })
    .await;
    let (seen, mut ann, location, dc) = seen;
    let count = |what: &str| seen.iter().filter(|found| *found == what).count();
    assert_eq!((count("FLOOD_PREMIUM_WAIT_2"), count("FILE_REFERENCE_EXPIRED"), count("65536")), (5, 1, 1), "{seen:?}");
    assert_eq!(count("131072"), 23, "{seen:?}");

    // Cut in the middle: some of the answer comes, and all of it over the next connection.
    set(dir.path(), FaultRule { left: Some(1), ..rule("cut") }).await;
    beside(move || {
        let id = ann.session.request(now(ann.start), get(&location, 0, false).to_bytes(), RequestOptions::default()).unwrap();
        ann.flush();
        let mut rest = Vec::new();
        ann.stream.read_to_end(&mut rest).unwrap();
        assert!((30_000..131_000).contains(&rest.len()), "{} bytes of it", rest.len());
        ann.reconnect(&dc, &options());
        let poke = ann.session.request(now(ann.start), quiet().to_bytes(), RequestOptions::default()).unwrap();
        let mut answers = std::collections::HashMap::new();
        while answers.len() < 2 {
            while let Some(event) = ann.session.poll_event() {
                if let Event::Response { id, result } = event {
                    answers.insert(id, result.unwrap());
                }
            }
            if answers.len() < 2 {
                assert!(ann.step().is_none());
            }
        }
        assert!(answers.contains_key(&poke));
        assert!(answers[&id].len() > 131_072);
    })
    .await;
    cluster.shutdown().await;
}
