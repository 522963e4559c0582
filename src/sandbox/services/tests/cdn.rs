//! Redirects to the CDN DC, and what it and the others answer then.

use bytes::Bytes;

use super::{Key, World, introduced};
use crate::policy::Mishaps;
use crate::services::{Cdn, CdnSettings};
use tdl_core::crypto::aes::Ctr;
use tdl_core::crypto::hash;
use tdl_core::tl::api::{enums, functions as f, types};

const CDN: i32 = 203;
const MIB: usize = 1 << 20;

/// A world with a CDN DC, somebody who has a file, the file, and a key of nobody's at the CDN DC.
struct Scene {
    world: World,
    ann: Key,
    content: Vec<u8>,
    location: types::InputDocumentFileLocation,
    at_cdn: Key,
}

impl Scene {
    fn new(len: usize) -> Self {
        let mut world = World::new();
        world.settings.cdn = Some(CdnSettings { dc: CDN, public_key: "PEM".to_owned(), rules: Cdn::default() });
        let (ann, _) = world.account("9996611111", "Ann");
        let content: Vec<u8> = (0..len).map(|n| (n * 7 / 3 % 251) as u8).collect();
        for (n, part) in (0..).zip(content.chunks(512 * 1024)) {
            let bytes = Bytes::copy_from_slice(part);
            world.call(ann, f::upload::SaveFilePart { file_id: 1, file_part: n, bytes }).unwrap();
        }
        let parts = i32::try_from(content.chunks(512 * 1024).count()).unwrap();
        let file = types::InputFile { id: 1, parts, name: "f".into(), md5_checksum: "".into() };
        let media = types::InputMediaUploadedDocument { file: file.into(), ..Default::default() };
        let upload =
            f::messages::UploadMedia { business_connection_id: None, peer: enums::InputPeer::PeerSelf, media: media.into() };
        let enums::MessageMedia::Document(media) = world.call(ann, upload).unwrap() else { panic!("a document") };
        let Some(enums::Document::Document(d)) = media.document else { panic!("a document") };
        let location = types::InputDocumentFileLocation {
            id: d.id,
            access_hash: d.access_hash,
            file_reference: d.file_reference.clone(),
            thumb_size: "".into(),
        };
        let at_cdn = world.bare_key(CDN);
        Self { world, ann, content, location, at_cdn }
    }

    fn get(&mut self, offset: i64, cdn_supported: bool) -> enums::upload::File {
        let location = self.location.clone().into();
        self.world
            .call(self.ann, f::upload::GetFile { precise: false, cdn_supported, location, offset, limit: 131_072 })
            .unwrap()
    }

    fn redirect(&mut self, offset: i64) -> types::upload::FileCdnRedirect {
        let enums::upload::File::CdnRedirect(redirect) = self.get(offset, true) else { panic!("a redirect") };
        types::upload::FileCdnRedirect::clone(&redirect)
    }

    fn of_cdn(&mut self, token: &Bytes, offset: i64, limit: i32) -> enums::upload::CdnFile {
        let query = f::upload::GetCdnFile { file_token: token.clone(), offset, limit };
        self.world.call(self.at_cdn, introduced(query)).unwrap()
    }

    fn reupload(&mut self, token: &Bytes) -> Vec<enums::FileHash> {
        let enums::upload::CdnFile::ReuploadNeeded(needed) = self.of_cdn(token, 0, 4096) else { panic!("not there yet") };
        let request_token = needed.request_token;
        self.world.call(self.ann, f::upload::ReuploadCdnFile { file_token: token.clone(), request_token }).unwrap()
    }
}

fn decrypted(redirect: &types::upload::FileCdnRedirect, offset: i64, bytes: &[u8]) -> Vec<u8> {
    let key: [u8; 32] = redirect.encryption_key[..].try_into().unwrap();
    let mut iv: [u8; 16] = redirect.encryption_iv[..].try_into().unwrap();
    iv[12..].copy_from_slice(&u32::try_from(offset / 16).unwrap().to_be_bytes());
    let mut out = bytes.to_vec();
    Ctr::new(&key, &iv).apply(&mut out);
    out
}

fn check_hashes(content: &[u8], hashes: &[enums::FileHash], from: usize) {
    let mut at = from;
    for hash in hashes {
        let enums::FileHash::Hash(hash) = hash;
        let part = &content[at..at + usize::try_from(hash.limit).unwrap()];
        assert_eq!((hash.offset, &hash.hash[..]), (at as i64, &hash::sha256(&[part])[..]));
        at += part.len();
    }
    assert_eq!(at, content.len().min(from + MIB));
}

#[test]
fn a_file_comes_from_the_cdn_dc_once_it_was_given_it() {
    let mut scene = Scene::new(2 * MIB + 5000);
    let config = scene.world.call(scene.ann, f::help::GetCdnConfig).unwrap();
    let enums::CdnConfig::Config(config) = config;
    let [enums::CdnPublicKey::Key(key)] = config.public_keys.as_slice() else { panic!("one key") };
    assert_eq!((key.dc_id, &*key.public_key), (CDN, "PEM"));

    assert!(matches!(scene.get(0, false), enums::upload::File::File(_)), "who does not say so is not redirected");
    let redirect = scene.redirect(1 << 20);
    assert_eq!(redirect.dc_id, CDN);
    check_hashes(&scene.content, &redirect.file_hashes, MIB);
    let token = redirect.file_token.clone();
    let hashes = scene.reupload(&token);
    check_hashes(&scene.content, &hashes, 0);
    let mut got = Vec::new();
    while got.len() < scene.content.len() {
        let offset = got.len() as i64;
        let enums::upload::CdnFile::File(part) = scene.of_cdn(&token, offset, 262_144) else { panic!("it is there") };
        assert_ne!(part.bytes[..64], scene.content[got.len()..got.len() + 64], "encrypted");
        got.extend(decrypted(&redirect, offset, &part.bytes));
    }
    assert!(got == scene.content);
    let enums::upload::CdnFile::File(end) = scene.of_cdn(&token, 3 << 20, 4096) else { panic!("it is there") };
    assert!(end.bytes.is_empty());
    let last = f::upload::GetCdnFileHashes { file_token: token.clone(), offset: 2 << 20 };
    let hashes = scene.world.call(scene.ann, last).unwrap();
    check_hashes(&scene.content, &hashes, 2 * MIB);
    // Given away in memory only: it may be asked for again at any time.
    scene.world.mishaps = Mishaps { forget: true, ..Mishaps::default() };
    assert!(matches!(scene.of_cdn(&token, 0, 4096), enums::upload::CdnFile::ReuploadNeeded(_)));
}

#[test]
fn tokens_are_for_one_file_for_a_time_and_methods_for_their_dcs() {
    let mut scene = Scene::new(200_000);
    let redirect = scene.redirect(0);
    let token = redirect.file_token.clone();
    scene.reupload(&token);
    let Scene { world, ann, at_cdn, .. } = &mut scene;
    let (ann, at_cdn) = (*ann, *at_cdn);
    let get = |file_token: Bytes| f::upload::GetCdnFile { file_token, offset: 0, limit: 4096 };
    for at in 0..token.len() {
        let mut changed = token.to_vec();
        changed[at] ^= 1;
        assert_eq!(world.fault(at_cdn, get(changed.into())), "FILE_TOKEN_INVALID", "byte {at}");
        assert_eq!(world.fault(at_cdn, get(token.slice(..at))), "FILE_TOKEN_INVALID", "{at} bytes");
    }
    let wrong = f::upload::GetCdnFile { offset: 5, ..get(token.clone()) };
    assert_eq!(world.fault(at_cdn, wrong), "OFFSET_INVALID");
    let request = f::upload::ReuploadCdnFile { file_token: token.clone(), request_token: Bytes::from_static(b"12345678") };
    assert_eq!(world.fault(ann, request), "REQUEST_TOKEN_INVALID");
    // One method there, and elsewhere all but that one.
    assert_eq!(world.fault(at_cdn, f::help::GetNearestDc), "CDN_METHOD_INVALID");
    assert_eq!(world.fault(at_cdn, f::upload::GetCdnFileHashes { file_token: token.clone(), offset: 0 }), "CDN_METHOD_INVALID");
    assert_eq!(world.fault(ann, get(token.clone())), "METHOD_INVALID");
    assert_eq!(world.fault(ann, f::auth::ExportAuthorization { dc_id: CDN }), "DC_ID_INVALID");
    world.now += 3601;
    assert_eq!(world.fault(at_cdn, get(token.clone())), "FILE_TOKEN_INVALID");
    assert_eq!(world.fault(ann, f::upload::GetCdnFileHashes { file_token: token, offset: 0 }), "FILE_TOKEN_INVALID");
}

#[test]
fn small_files_stay_and_wrong_bytes_are_seen_by_their_hashes() {
    let mut small = Scene::new(100_000);
    assert!(matches!(small.get(0, true), enums::upload::File::File(_)));

    let mut scene = Scene::new(300_000);
    let redirect = scene.redirect(0);
    scene.reupload(&redirect.file_token);
    scene.world.mishaps = Mishaps { corrupt: true, ..Mishaps::default() };
    let enums::upload::CdnFile::File(part) = scene.of_cdn(&redirect.file_token, 131_072, 131_072) else { panic!("there") };
    let got = decrypted(&redirect, 131_072, &part.bytes);
    let right = &scene.content[131_072..262_144];
    let differ = got.iter().zip(right).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
    assert_eq!((got.len(), differ), (131_072, 1), "one bit");
    let wrong = scene.redirect(0);
    assert!(wrong.file_hashes.iter().zip(&redirect.file_hashes).all(|(enums::FileHash::Hash(a), enums::FileHash::Hash(b))| {
        a.hash != b.hash && (a.offset, a.limit) == (b.offset, b.limit)
    }));
    scene.world.mishaps = Mishaps { shorten: true, ..Mishaps::default() };
    let enums::upload::CdnFile::File(part) = scene.of_cdn(&redirect.file_token, 0, 131_072) else { panic!("there") };
    assert_eq!(decrypted(&redirect, 0, &part.bytes), scene.content[..65_536]);
}
