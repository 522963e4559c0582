//! Uploads, documents, photos, and ranges of them.

use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::{Key, World};
use crate::image::tests::png;
use crate::policy::Mishaps;
use crate::state::files::MAX_PART;
use tdl_core::tl::api::{enums, functions as f, types};

const PART: usize = MAX_PART as usize;

fn save(world: &mut World, key: Key, file_id: i64, part: i32, bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    assert!(world.call(key, f::upload::SaveFilePart { file_id, file_part: part, bytes }).unwrap());
}

fn big(file_id: i64, file_part: i32, file_total_parts: i32, len: usize) -> f::upload::SaveBigFilePart {
    f::upload::SaveBigFilePart { file_id, file_part, file_total_parts, bytes: vec![7; len].into() }
}

fn small_file(id: i64, parts: i32, md5: &str) -> enums::InputFile {
    types::InputFile { id, parts, name: "f".into(), md5_checksum: md5.into() }.into()
}

fn big_file(id: i64, parts: i32) -> enums::InputFile {
    types::InputFileBig { id, parts, name: "f".into() }.into()
}

fn document(file: enums::InputFile) -> enums::InputMedia {
    let name = types::DocumentAttributeFilename { file_name: "../name.txt".into() };
    types::InputMediaUploadedDocument {
        file,
        mime_type: "text/plain".into(),
        attributes: vec![name.into()],
        ..types::InputMediaUploadedDocument::default()
    }
    .into()
}

fn photo(file: enums::InputFile) -> enums::InputMedia {
    types::InputMediaUploadedPhoto { spoiler: true, live_photo: false, file, stickers: None, ttl_seconds: None, video: None }
        .into()
}

fn upload_media(media: enums::InputMedia) -> f::messages::UploadMedia {
    f::messages::UploadMedia { business_connection_id: None, peer: enums::InputPeer::PeerSelf, media }
}

/// Makes an upload a document.
fn made(world: &mut World, key: Key, media: enums::InputMedia) -> types::Document {
    let enums::MessageMedia::Document(media) = world.call(key, upload_media(media)).unwrap() else { panic!("a document") };
    let Some(enums::Document::Document(document)) = media.document else { panic!("a document") };
    types::Document::clone(&document)
}

fn location(d: &types::Document) -> types::InputDocumentFileLocation {
    types::InputDocumentFileLocation {
        id: d.id,
        access_hash: d.access_hash,
        file_reference: d.file_reference.clone(),
        thumb_size: "".into(),
    }
}

fn range(location: impl Into<enums::InputFileLocation>, offset: i64, limit: i32) -> f::upload::GetFile {
    f::upload::GetFile { precise: false, cdn_supported: false, location: location.into(), offset, limit }
}

fn bytes_of(file: enums::upload::File) -> Bytes {
    let enums::upload::File::File(file) = file else { panic!("a file") };
    file.bytes
}

#[test]
fn a_file_comes_back_as_it_was_sent() {
    let mut world = World::new();
    let (key, _) = world.account("9996611111", "Ann");
    let content: Vec<u8> = (0..PART + 1000).map(|n| (n % 251) as u8).collect();
    save(&mut world, key, 1, 1, &content[PART..]);
    save(&mut world, key, 1, 0, &content[..PART]);
    let md5 = hex::encode(Md5::digest(&content));
    assert_eq!(world.fault(key, upload_media(document(small_file(1, 2, &"0".repeat(32))))), "MD5_CHECKSUM_INVALID");
    let d = made(&mut world, key, document(small_file(1, 2, &md5.to_uppercase())));
    assert_eq!((d.size, d.dc_id, &*d.mime_type), (content.len() as i64, 1, "text/plain"));
    let [enums::DocumentAttribute::Filename(name)] = d.attributes.as_slice() else { panic!("a name") };
    assert_eq!(&*name.file_name, "../name.txt", "names are the client's business");
    let mut got = Vec::new();
    for offset in [0, 262_144, 524_288, 786_432] {
        got.extend_from_slice(&bytes_of(world.call(key, range(location(&d), offset, 262_144)).unwrap()));
    }
    assert_eq!(got, content);
    let hashes = world.call(key, f::upload::GetFileHashes { location: location(&d).into(), offset: 5000 }).unwrap();
    let [enums::FileHash::Hash(first), .., enums::FileHash::Hash(last)] = hashes.as_slice() else { panic!("hashes") };
    assert_eq!((first.offset, first.limit, last.offset, last.limit), (0, 131_072, 524_288, 1000));
    assert_eq!(first.hash, tdl_core::crypto::hash::sha256(&[&content[..131_072]]).as_slice());
    // The upload is a file now: it can be used again without being sent again.
    let again = made(&mut world, key, document(small_file(1, 2, "")));
    assert_eq!(bytes_of(world.call(key, range(location(&again), 524_288, 4096)).unwrap()), content[524_288..]);
}

#[test]
fn ranges_have_rules_and_files_have_homes_hashes_and_references() {
    let mut world = World::new();
    let (key, id) = world.account("9996611111", "Ann");
    save(&mut world, key, 1, 0, b"content");
    let d = made(&mut world, key, document(small_file(1, 1, "")));
    let good = location(&d);
    assert_eq!(world.fault(key, range(good.clone(), 1, 4096)), "OFFSET_INVALID");
    assert_eq!(world.fault(key, range(good.clone(), 0, 4097)), "LIMIT_INVALID");
    assert_eq!(world.fault(key, range(good.clone(), 4096, 1 << 20)), "LIMIT_INVALID");
    let hashes = f::upload::GetFileHashes { location: good.clone().into(), offset: -1 };
    assert_eq!(world.fault(key, hashes), "OFFSET_INVALID");
    type Location = types::InputDocumentFileLocation;
    let mut fault = |edit: &dyn Fn(&mut Location)| {
        let mut location = good.clone();
        edit(&mut location);
        world.fault(key, range(location, 0, 4096))
    };
    assert_eq!(fault(&|l| l.id += 1), "FILE_ID_INVALID");
    assert_eq!(fault(&|l| l.access_hash ^= 1), "FILE_ID_INVALID");
    assert_eq!(fault(&|l| l.thumb_size = "m".into()), "LOCATION_INVALID");
    assert_eq!(fault(&|l| l.file_reference = Bytes::new()), "FILE_REFERENCE_EMPTY");
    assert_eq!(fault(&|l| l.file_reference = l.file_reference.slice(..5)), "FILE_REFERENCE_INVALID");
    for at in 0..good.file_reference.len() {
        let mut changed = good.file_reference.to_vec();
        changed[at] ^= 1;
        assert_eq!(fault(&|l| l.file_reference = changed.clone().into()), "FILE_REFERENCE_INVALID", "byte {at}");
    }
    let other = types::InputTakeoutFileLocation;
    assert_eq!(world.fault(key, range(enums::InputFileLocation::from(other), 0, 4096)), "LOCATION_INVALID");

    let away = world.key(2);
    let enums::auth::ExportedAuthorization::Authorization(exported) =
        world.call(key, f::auth::ExportAuthorization { dc_id: 2 }).unwrap();
    world.call(away, f::auth::ImportAuthorization { id, bytes: exported.bytes }).unwrap();
    assert_eq!(world.fault(away, range(good.clone(), 0, 4096)), "FILE_MIGRATE_1");

    assert_eq!(&bytes_of(world.call(key, range(good.clone(), 0, 4096)).unwrap())[..], b"content");
    assert!(bytes_of(world.call(key, range(good.clone(), 4096, 4096)).unwrap()).is_empty());
    world.now += 3 * 3600;
    assert_eq!(world.fault(key, range(good, 0, 4096)), "FILE_REFERENCE_EXPIRED");
}

#[test]
fn parts_have_rules() {
    let mut world = World::new();
    let (key, _) = world.account("9996611111", "Ann");
    let part = |file_part, len: usize| f::upload::SaveFilePart { file_id: 1, file_part, bytes: vec![0; len].into() };
    assert_eq!(world.fault(key, part(0, 0)), "FILE_PART_EMPTY");
    assert_eq!(world.fault(key, part(0, PART + 1)), "FILE_PART_TOO_BIG");
    assert_eq!(world.fault(key, part(-1, 5)), "FILE_PART_INVALID");
    assert_eq!(world.fault(key, part(8000, 5)), "FILE_PART_INVALID");
    assert_eq!(world.fault(key, big(2, 0, 0, 1024)), "FILE_PARTS_INVALID");
    assert_eq!(world.fault(key, big(2, 0, 8001, 1024)), "FILE_PARTS_INVALID");
    assert_eq!(world.fault(key, big(2, 2, 2, 1024)), "FILE_PART_INVALID");
    assert_eq!(world.fault(key, big(2, 0, 2, 1000)), "FILE_PART_SIZE_INVALID");
    world.call(key, big(2, 0, 3, 2048)).unwrap();
    assert_eq!(world.fault(key, big(2, 1, 3, 1024)), "FILE_PART_SIZE_CHANGED");
    assert_eq!(world.fault(key, big(2, 2, 3, 4096)), "FILE_PART_SIZE_CHANGED");
    assert_eq!(world.fault(key, big(2, 1, 4, 2048)), "FILE_PARTS_INVALID");
    assert_eq!(world.fault(key, f::upload::SaveFilePart { file_id: 2, ..part(0, 5) }), "FILE_PARTS_INVALID");
    world.call(key, big(2, 2, 3, 1)).unwrap();

    let mut use_of = |file| world.fault(key, upload_media(document(file)));
    // An empty file has no parts.
    assert_eq!(use_of(small_file(1, 0, "")), "FILE_PARTS_INVALID");
    assert_eq!(use_of(small_file(1, 8001, "")), "FILE_PARTS_INVALID");
    assert_eq!(use_of(small_file(1, 1, "")), "FILE_PART_0_MISSING");
    assert_eq!(use_of(big_file(2, 3)), "FILE_PART_1_MISSING");
    assert_eq!(use_of(big_file(2, 2)), "FILE_PARTS_INVALID");
    assert_eq!(use_of(small_file(2, 3, "")), "FILE_PARTS_INVALID");
    world.call(key, big(2, 1, 3, 2048)).unwrap();
    assert_eq!(made(&mut world, key, document(big_file(2, 3))).size, 4097);

    save(&mut world, key, 3, 0, &[0; 1000]);
    save(&mut world, key, 3, 1, &[0; 10]);
    assert_eq!(world.fault(key, upload_media(document(small_file(3, 2, "")))), "FILE_PART_SIZE_INVALID");

    // Whoever does not know the length yet says so.
    world.call(key, big(4, 1, -1, 100)).unwrap();
    world.call(key, big(4, 0, -1, 1024)).unwrap();
    assert_eq!(made(&mut world, key, document(big_file(4, 2))).size, 1124);

    // More than 10 MiB take `saveBigFilePart`.
    for n in 0..21 {
        save(&mut world, key, 5, n, &vec![0; PART]);
    }
    assert_eq!(world.fault(key, upload_media(document(small_file(5, 21, "")))), "FILE_PARTS_INVALID");
}

#[test]
fn photos_are_images_of_a_decent_shape() {
    let mut world = World::new();
    let (key, _) = world.account("9996611111", "Ann");
    save(&mut world, key, 1, 0, b"no image");
    assert_eq!(world.fault(key, upload_media(photo(small_file(1, 1, "")))), "IMAGE_PROCESS_FAILED");
    save(&mut world, key, 2, 0, &png(9000, 1001));
    assert_eq!(world.fault(key, upload_media(photo(small_file(2, 1, "")))), "PHOTO_INVALID_DIMENSIONS");
    save(&mut world, key, 3, 0, &png(2100, 100));
    assert_eq!(world.fault(key, upload_media(photo(small_file(3, 1, "")))), "PHOTO_INVALID_DIMENSIONS");
    save(&mut world, key, 4, 0, &png(0, 0));
    assert_eq!(world.fault(key, upload_media(photo(small_file(4, 1, "")))), "PHOTO_INVALID_DIMENSIONS");
    let content = png(1280, 720);
    save(&mut world, key, 5, 0, &content);
    let enums::MessageMedia::Photo(media) = world.call(key, upload_media(photo(small_file(5, 1, "")))).unwrap() else {
        panic!("a photo")
    };
    let Some(enums::Photo::Photo(p)) = media.photo else { panic!("a photo") };
    let [enums::PhotoSize::Size(size)] = p.sizes.as_slice() else { panic!("one size") };
    assert_eq!((size.w, size.h, size.size, &*size.r#type), (1280, 720, content.len() as i32, "y"));
    let location = types::InputPhotoFileLocation {
        id: p.id,
        access_hash: p.access_hash,
        file_reference: p.file_reference.clone(),
        thumb_size: size.r#type.clone(),
    };
    assert_eq!(bytes_of(world.call(key, range(location.clone(), 0, 4096)).unwrap()), content);
    let wrong = types::InputPhotoFileLocation { thumb_size: "x".into(), ..location };
    assert_eq!(world.fault(key, range(wrong, 0, 4096)), "LOCATION_INVALID");
    // Sent again by what names it.
    let id = types::InputPhoto { id: p.id, access_hash: p.access_hash, file_reference: p.file_reference.clone() };
    let existing = |id: types::InputPhoto| types::InputMediaPhoto {
        spoiler: false,
        live_photo: false,
        id: id.into(),
        ttl_seconds: None,
        video: None,
    };
    world.call(key, upload_media(existing(id.clone()).into())).unwrap();
    let stolen = types::InputPhoto { access_hash: id.access_hash ^ 1, ..id };
    assert_eq!(world.fault(key, upload_media(existing(stolen).into())), "PHOTO_INVALID");
}

#[test]
fn media_that_is_none() {
    let mut world = World::new();
    let (key, _) = world.account("9996611111", "Ann");
    assert_eq!(world.fault(key, upload_media(enums::InputMedia::Empty)), "MEDIA_EMPTY");
    let dice = types::InputMediaDice { emoticon: "x".into() };
    assert_eq!(world.fault(key, upload_media(dice.into())), "MEDIA_INVALID");
    let id = types::InputDocument { id: 1, access_hash: 2, file_reference: Bytes::new() };
    let media = types::InputMediaDocument {
        spoiler: false,
        id: id.into(),
        video_cover: None,
        video_timestamp: None,
        ttl_seconds: None,
        query: None,
    };
    assert_eq!(world.fault(key, upload_media(media.into())), "DOCUMENT_INVALID");
}

#[test]
fn a_picture_of_a_document() {
    let mut world = World::new();
    let (key, _) = world.account("9996611111", "Ann");
    save(&mut world, key, 1, 0, b"content");
    save(&mut world, key, 2, 0, &png(90, 60));
    let media = types::InputMediaUploadedDocument {
        file: small_file(1, 1, ""),
        thumb: Some(small_file(2, 1, "")),
        ..types::InputMediaUploadedDocument::default()
    };
    let d = made(&mut world, key, media.into());
    assert_eq!(&*d.mime_type, "application/octet-stream");
    let Some([enums::PhotoSize::Size(size)]) = d.thumbs.as_deref() else { panic!("one size") };
    assert_eq!((size.w, size.h, &*size.r#type), (90, 60, "m"));
    let thumb = types::InputDocumentFileLocation { thumb_size: "m".into(), ..location(&d) };
    assert_eq!(bytes_of(world.call(key, range(thumb, 0, 4096)).unwrap()), png(90, 60));
}

/// A world with a document of so many bytes, and its owner.
fn with_document(len: usize) -> (World, Key, types::Document) {
    let mut world = World::new();
    let (key, _) = world.account("9996611111", "Ann");
    save(&mut world, key, 1, 0, &vec![5; len]);
    let d = made(&mut world, key, document(small_file(1, 1, "")));
    (world, key, d)
}

#[test]
fn ranges_and_hashes_go_wrong_on_purpose() {
    let (mut world, key, d) = with_document(200_000);
    let hashes = || f::upload::GetFileHashes { location: location(&d).into(), offset: 0 };
    let good = world.call(key, hashes()).unwrap();
    world.mishaps = Mishaps { corrupt: true, ..Mishaps::default() };
    let got = bytes_of(world.call(key, range(location(&d), 0, 131_072)).unwrap());
    assert_eq!((got.len(), got.iter().filter(|byte| **byte != 5).count()), (131_072, 1));
    let wrong = world.call(key, hashes()).unwrap();
    assert!(good.iter().zip(&wrong).all(|(enums::FileHash::Hash(a), enums::FileHash::Hash(b))| a.hash != b.hash));
    world.mishaps = Mishaps { shorten: true, ..Mishaps::default() };
    assert_eq!(bytes_of(world.call(key, range(location(&d), 131_072, 131_072)).unwrap()).len(), 68_928 / 2);
}

#[test]
fn a_part_that_was_forgotten_is_missed() {
    let mut world = World::new();
    let (key, _) = world.account("9996611111", "Ann");
    save(&mut world, key, 1, 0, &[0; PART]);
    world.mishaps = Mishaps { forget: true, ..Mishaps::default() };
    save(&mut world, key, 1, 1, &[0; 10]);
    assert!(world.call(key, big(2, 0, 1, 10)).unwrap());
    world.mishaps = Mishaps::default();
    assert_eq!(world.fault(key, upload_media(document(small_file(1, 2, "")))), "FILE_PART_1_MISSING");
    assert_eq!(world.fault(key, upload_media(document(big_file(2, 1)))), "FILE_PART_0_MISSING");
    save(&mut world, key, 1, 1, &[0; 10]);
    made(&mut world, key, document(small_file(1, 2, "")));
}

#[test]
fn references_expire_for_good_and_new_ones_are_given_out() {
    let (mut world, key, d) = with_document(10);
    world.mishaps = Mishaps { expire: true, ..Mishaps::default() };
    assert_eq!(world.fault(key, range(location(&d), 0, 4096)), "FILE_REFERENCE_EXPIRED");
    world.mishaps = Mishaps::default();
    assert_eq!(world.fault(key, range(location(&d), 0, 4096)), "FILE_REFERENCE_EXPIRED", "it stays so");
    let album = |d: &types::Document| {
        let item = |random_id, media: enums::InputMedia| {
            types::InputSingleMedia { media, random_id, message: "".into(), entities: None }.into()
        };
        let id = types::InputDocument { id: d.id, access_hash: d.access_hash, file_reference: d.file_reference.clone() };
        let known = types::InputMediaDocument { id: id.into(), ..types::InputMediaDocument::default() };
        let new = document(small_file(1, 1, ""));
        f::messages::SendMultiMedia {
            peer: enums::InputPeer::PeerSelf,
            multi_media: vec![item(1, new), item(2, known.into())],
            ..f::messages::SendMultiMedia::default()
        }
    };
    assert_eq!(world.fault(key, album(&d)), "FILE_REFERENCE_1_EXPIRED");
    let garbage = types::Document { file_reference: Bytes::from_static(b"garbage"), ..d.clone() };
    assert_eq!(world.fault(key, album(&garbage)), "FILE_REFERENCE_1_INVALID");
    // Fetched again, the message has a reference that is good.
    let enums::Updates::Updates(sent) = world
        .call(
            key,
            f::messages::SendMedia {
                peer: enums::InputPeer::PeerSelf,
                media: document(small_file(1, 1, "")),
                random_id: 9,
                ..f::messages::SendMedia::default()
            },
        )
        .unwrap()
    else {
        panic!("updates")
    };
    let Some(enums::Update::MessageId(id)) = sent.updates.first() else { panic!("an id") };
    let fetch = |world: &mut World| {
        let ids = vec![types::InputMessageId { id: id.id }.into()];
        let enums::messages::Messages::Messages(found) = world.call(key, f::messages::GetMessages { id: ids }).unwrap() else {
            panic!("messages")
        };
        let Some(enums::Message::Message(message)) = found.messages.first() else { panic!("a message") };
        let Some(enums::MessageMedia::Document(media)) = &message.media else { panic!("a document") };
        let Some(enums::Document::Document(d)) = &media.document else { panic!("a document") };
        types::Document::clone(d)
    };
    let before = fetch(&mut world);
    world.mishaps = Mishaps { expire: true, ..Mishaps::default() };
    assert_eq!(world.fault(key, range(location(&before), 0, 4096)), "FILE_REFERENCE_EXPIRED");
    world.mishaps = Mishaps::default();
    let after = fetch(&mut world);
    assert_ne!(before.file_reference, after.file_reference);
    world.call(key, range(location(&after), 0, 4096)).unwrap();
    world.call(key, album(&after)).unwrap();
}

#[test]
fn a_file_moves_to_another_dc() {
    let (mut world, key, d) = with_document(10);
    world.mishaps = Mishaps { relocate: Some(None), ..Mishaps::default() };
    assert_eq!(world.fault(key, range(location(&d), 0, 4096)), "FILE_MIGRATE_2");
    world.mishaps = Mishaps { relocate: Some(Some(9)), ..Mishaps::default() };
    assert_eq!(world.fault(key, range(location(&d), 0, 4096)), "DC_ID_INVALID");
    world.mishaps = Mishaps::default();
    assert_eq!(world.fault(key, range(location(&d), 0, 4096)), "FILE_MIGRATE_2", "it stays there");
    let id = d.id;
    assert_eq!(world.state.read(|db| crate::state::files::document(db, id)).unwrap().unwrap().dc, 2);
}
