use super::*;

fn document(id: i64, mime: &str, attributes: Vec<enums::DocumentAttribute>) -> types::Document {
    types::Document {
        id,
        access_hash: id * 10,
        file_reference: Bytes::from_static(b"old"),
        date: 1000,
        mime_type: mime.into(),
        size: id * 100,
        thumbs: None,
        video_thumbs: None,
        dc_id: 2,
        attributes,
    }
}

fn named(name: &str) -> enums::DocumentAttribute {
    types::DocumentAttributeFilename { file_name: name.into() }.into()
}

fn video(h: i32, codec: Option<&str>) -> enums::DocumentAttribute {
    types::DocumentAttributeVideo { w: h * 2, h, video_codec: codec.map(Into::into), ..Default::default() }.into()
}

fn size(letter: &str, side: i32, size: i32) -> enums::PhotoSize {
    types::PhotoSize { r#type: letter.into(), w: side, h: side / 2, size }.into()
}

fn photo(id: i64) -> types::Photo {
    let stripped = types::PhotoStrippedSize { r#type: "i".into(), bytes: Bytes::from_static(b"x") };
    let progressive = types::PhotoSizeProgressive { r#type: "y".into(), w: 1280, h: 640, sizes: vec![100, 5000, 90_000] };
    types::Photo {
        id,
        access_hash: id * 10,
        file_reference: Bytes::from_static(b"old"),
        date: 1000,
        sizes: vec![stripped.into(), size("m", 320, 2000), progressive.into(), size("x", 800, 40_000)],
        dc_id: 4,
        ..types::Photo::default()
    }
}

fn of_document(document: types::Document) -> enums::MessageMedia {
    types::MessageMediaDocument { document: Some(document.into()), ..Default::default() }.into()
}

fn of_photo(photo: types::Photo) -> enums::MessageMedia {
    types::MessageMediaPhoto { photo: Some(photo.into()), ..Default::default() }.into()
}

fn message(media: enums::MessageMedia) -> types::Message {
    types::Message { media: Some(media), ..types::Message::default() }
}

fn paid(media: enums::MessageMedia) -> enums::MessageExtendedMedia {
    types::MessageExtendedMedia { media }.into()
}

/// Names of what is selected.
fn names(media: enums::MessageMedia, selection: &Selection) -> Vec<String> {
    files_of(&message(media), selection).into_iter().map(|media| media.name).collect()
}

fn plain(media: enums::MessageMedia) -> Vec<String> {
    names(media, &Selection::default())
}

#[test]
fn a_document_is_one_file_under_its_name() {
    let message = message(of_document(document(7, "application/zip", vec![named("all.zip")])));
    let media = Media::of(&message).unwrap();
    assert_eq!((media.id, &*media.name, media.size, &*media.mime, media.dc), (7, "all.zip", 700, "application/zip", DcId(2)));
    assert_eq!((media.kind, media.copy(), &media.file_reference().unwrap()[..]), (Kind::Document, "", &b"old"[..]));
    let enums::InputFileLocation::InputDocumentFileLocation(location) = &media.location else { panic!("a document") };
    assert_eq!((location.id, location.access_hash, &*location.thumb_size), (7, 70, ""));
    assert!(Media::of(&types::Message::default()).is_none());
    let gone: enums::MessageMedia =
        types::MessageMediaDocument { document: Some(types::DocumentEmpty { id: 5 }.into()), ..Default::default() }.into();
    assert!(plain(gone).is_empty());
}

#[test]
fn nameless_files_are_named_by_what_they_are() {
    let sticker = types::DocumentAttributeSticker { alt: "x".into(), ..Default::default() };
    let voice = types::DocumentAttributeAudio { voice: true, ..Default::default() };
    let round = types::DocumentAttributeVideo { round_message: true, ..Default::default() };
    for (mime, attributes, name, kind) in [
        ("video/mp4", vec![video(720, None), enums::DocumentAttribute::Animated], "9.mp4", Kind::Animation),
        ("video/mp4", vec![enums::DocumentAttribute::Animated, video(720, None)], "9.mp4", Kind::Animation),
        ("video/mp4", vec![round.into()], "9.mp4", Kind::RoundVideo),
        ("audio/ogg", vec![voice.into()], "9.ogg", Kind::Voice),
        ("audio/flac", vec![types::DocumentAttributeAudio::default().into(), named(" ")], "9.flac", Kind::Audio),
        ("application/x-tgsticker", vec![sticker.clone().into()], "9.tgs", Kind::Sticker),
        ("image/webp", vec![sticker.clone().into()], "9.webp", Kind::Sticker),
        ("video/webm", vec![video(512, None), sticker.into()], "9.webm", Kind::Sticker),
        ("application/x-what", vec![], "9", Kind::Document),
    ] {
        let media = Media::from_document(&document(9, mime, attributes));
        assert_eq!((&*media.name, media.kind), (name, kind));
    }
}

#[test]
fn a_photo_comes_in_the_size_that_is_asked_for() {
    let of = |choice: &str| {
        let selection = Selection { photo_size: choice.parse().unwrap(), ..Selection::default() };
        let media = files_of(&message(of_photo(photo(5))), &selection).remove(0);
        let enums::InputFileLocation::InputPhotoFileLocation(location) = &media.location else { panic!("a photo") };
        assert_eq!((location.id, location.access_hash, &*location.thumb_size), (5, 50, media.copy()));
        (media.copy().to_owned(), media.size, media.name)
    };
    let is = |letter: &str, size, name: &str| (letter.to_owned(), size, name.to_owned());
    assert_eq!(of("largest"), is("y", 90_000, "5.jpg"));
    assert_eq!(of("smallest"), is("m", 2000, "5_m.jpg"));
    assert_eq!(of("x"), is("x", 40_000, "5_x.jpg"));
    assert_eq!(of("y"), is("y", 90_000, "5_y.jpg"));
    assert_eq!(of("w").0, "y", "the next smaller one");
    assert_eq!(of("c").0, "m", "the next smaller one");
    assert_eq!(of("s").0, "m", "no smaller one: the smallest");
    let inline = types::Photo {
        sizes: vec![types::PhotoCachedSize { r#type: "s".into(), w: 9, h: 9, bytes: Bytes::new() }.into()],
        ..photo(6)
    };
    assert!(plain(of_photo(inline)).is_empty(), "nothing of it is a file");
    for wrong in ["", "largest ", "X", "xx", "z", "1"] {
        assert_eq!(wrong.parse::<SizeChoice>(), Err(SelectionError::Size(wrong.to_owned())));
    }
    for text in ["largest", "smallest", "x", "d"] {
        assert_eq!(text.parse::<SizeChoice>().unwrap().to_string(), text);
    }
}

#[test]
fn a_photo_that_moves_brings_its_video() {
    let mut media = types::MessageMediaPhoto { live_photo: true, photo: Some(photo(5).into()), ..Default::default() };
    media.video = Some(document(6, "video/mp4", vec![]).into());
    assert_eq!(plain(media.into()), ["5.jpg", "6.mp4"]);
}

#[test]
fn thumbnails_come_beside_files_or_instead_of_them() {
    let mut with = document(7, "video/x-matroska", vec![named("trip.2024.mkv")]);
    with.thumbs = Some(vec![size("m", 320, 3000), size("s", 90, 900)]);
    with.video_thumbs =
        Some(vec![types::VideoSize { r#type: "v".into(), w: 800, h: 400, size: 77, video_start_ts: None }.into()]);
    let selection = |thumbs, choice: &str| Selection { thumbs, thumb_size: choice.parse().unwrap(), ..Selection::default() };
    let files = |thumbs, choice: &str| files_of(&message(of_document(with.clone())), &selection(thumbs, choice));
    let also = files(Thumbs::Also, "largest");
    assert_eq!(also.iter().map(|media| &*media.name).collect::<Vec<_>>(), ["trip.2024.mkv", "trip.2024_thumb.jpg"]);
    let [_, thumb] = also.as_slice() else { panic!("two files") };
    let enums::InputFileLocation::InputDocumentFileLocation(location) = &thumb.location else { panic!("a document") };
    assert_eq!((thumb.id, thumb.size, &*location.thumb_size, location.access_hash), (7, 3000, "m", 70));
    assert_eq!((thumb.kind, &*thumb.mime), (Kind::Thumbnail, "image/jpeg"));
    let small = files(Thumbs::Instead, "smallest");
    assert_eq!((small.len(), small[0].size, small[0].copy()), (1, 900, "s"));
    let moving = files(Thumbs::Instead, "v");
    assert_eq!((moving[0].size, &*moving[0].name, &*moving[0].mime), (77, "trip.2024_thumb.mp4", "video/mp4"));
    let without = of_document(document(8, "text/plain", vec![]));
    assert!(names(without, &selection(Thumbs::Instead, "largest")).is_empty());
    assert_eq!(names(of_photo(photo(5)), &selection(Thumbs::Instead, "largest")), ["5.jpg"]);
}

#[test]
fn a_video_comes_in_the_quality_that_is_asked_for() {
    let mut media = types::MessageMediaDocument {
        document: Some(document(1, "video/mp4", vec![video(1080, None), named("talk.mp4")]).into()),
        ..Default::default()
    };
    media.alt_documents = Some(vec![
        document(2, "application/x-mpegurl", vec![]).into(),
        document(3, "video/mp4", vec![video(720, Some("av01.0.05M.08"))]).into(),
        document(4, "video/mp4", vec![video(720, Some("h264"))]).into(),
        document(5, "video/mp4", vec![video(360, Some("h265"))]).into(),
        types::DocumentEmpty { id: 6 }.into(),
    ]);
    let media: enums::MessageMedia = media.into();
    let of = |text: &str| {
        let selection = Selection { quality: text.parse().unwrap(), ..Selection::default() };
        let media = files_of(&message(media.clone()), &selection).remove(0);
        (media.id, media.size, media.name)
    };
    assert_eq!(of("original"), (1, 100, "talk.mp4".to_owned()));
    assert_eq!(of("720"), (4, 400, "talk_720p.mp4".to_owned()), "what everything plays");
    assert_eq!(of("1000p").0, 4);
    assert_eq!(of("2160p").0, 1);
    assert_eq!(of("360p"), (5, 500, "talk_360p.mp4".to_owned()));
    assert_eq!(of("100p").0, 5, "none is as small: the smallest");
    let selection = Selection { quality: Quality::Height(720), ..Selection::default() };
    assert_eq!(names(of_document(document(9, "text/plain", vec![])), &selection), ["9.txt"], "no video");
    for wrong in ["", "p", "0", "-720", "720i", "10001", "Original"] {
        assert_eq!(wrong.parse::<Quality>(), Err(SelectionError::Quality(wrong.to_owned())));
    }
    assert_eq!("720".parse::<Quality>().unwrap().to_string(), "720p");
}

#[test]
fn paid_media_are_files_once_they_were_bought() {
    let preview = types::MessageExtendedMediaPreview { w: Some(5), h: Some(5), ..Default::default() };
    let items = vec![paid(of_photo(photo(5))), preview.into(), paid(of_document(document(7, "video/mp4", vec![])))];
    let media = types::MessageMediaPaidMedia { stars_amount: 9, extended_media: items };
    assert_eq!(plain(media.into()), ["5.jpg", "7.mp4"]);
    let invoice = |item| types::MessageMediaInvoice { extended_media: item, ..Default::default() };
    assert_eq!(plain(invoice(Some(paid(of_photo(photo(6))))).into()), ["6.jpg"]);
    assert!(plain(invoice(None).into()).is_empty());
}

fn page() -> types::WebPage {
    let cached = types::Page {
        photos: vec![photo(30).into()],
        documents: vec![document(31, "video/mp4", vec![]).into()],
        ..types::Page::default()
    };
    let theme = types::WebPageAttributeTheme { documents: Some(vec![document(32, "a/b", vec![]).into()]), settings: None };
    let story = types::StoryItem { media: of_photo(photo(33)), ..types::StoryItem::default() };
    let story = types::WebPageAttributeStory {
        peer: enums::Peer::User(types::PeerUser { user_id: 5 }),
        id: 8,
        story: Some(story.into()),
    };
    let stickers =
        types::WebPageAttributeStickerSet { stickers: vec![document(34, "image/webp", vec![]).into()], ..Default::default() };
    types::WebPage {
        photo: Some(photo(20).into()),
        document: Some(document(21, "video/mp4", vec![]).into()),
        cached_page: Some(cached.into()),
        attributes: Some(vec![theme.into(), story.into(), stickers.into()]),
        ..types::WebPage::default()
    }
}

fn of_page(page: types::WebPage) -> enums::MessageMedia {
    types::MessageMediaWebPage { webpage: page.into(), ..Default::default() }.into()
}

#[test]
fn only_the_kinds_that_are_asked_for() {
    let kinds = |kinds: &[Kind]| Selection { kinds: kinds.to_vec(), thumbs: Thumbs::Also, ..Selection::default() };
    let mut film = document(1, "video/mp4", vec![video(360, None)]);
    film.thumbs = Some(vec![size("m", 320, 2000)]);
    let both = || {
        let extended_media = vec![paid(of_document(film.clone())), paid(of_photo(photo(2)))];
        types::MessageMediaPaidMedia { stars_amount: 1, extended_media }.into()
    };
    assert_eq!(names(both(), &kinds(&[])), ["1.mp4", "1_thumb.jpg", "2.jpg"]);
    assert_eq!(names(both(), &kinds(&[Kind::Video])), ["1.mp4", "1_thumb.jpg"], "a thumbnail is of its file's kind");
    assert_eq!(names(both(), &kinds(&[Kind::Photo, Kind::Audio])), ["2.jpg"]);
    assert!(names(both(), &kinds(&[Kind::Document])).is_empty(), "a video is more than a document");
    for kind in Kind::OF_MESSAGES {
        assert_eq!(Kind::OF_MESSAGES.iter().filter(|other| other.name() == kind.name()).count(), 1);
    }
}

#[test]
fn the_quality_of_an_upright_video_is_its_width() {
    let upright = |id, w: i32| {
        let video = types::DocumentAttributeVideo { w, h: w * 16 / 9, ..Default::default() };
        document(id, "video/mp4", vec![video.into()])
    };
    let media: enums::MessageMedia = types::MessageMediaDocument {
        document: Some(upright(1, 1080).into()),
        alt_documents: Some(vec![upright(2, 720).into(), upright(3, 480).into()]),
        ..Default::default()
    }
    .into();
    let named = |height| names(media.clone(), &Selection { quality: Quality::Height(height), ..Selection::default() });
    assert_eq!(named(720), ["1_720p.mp4"]);
    assert_eq!(named(700), ["1_480p.mp4"]);
    assert_eq!(named(1280), ["1.mp4"]);
}

#[test]
fn what_belongs_to_a_link_comes_if_it_is_asked_for() {
    assert!(plain(of_page(page())).is_empty());
    let previews = Selection { web_pages: true, ..Selection::default() };
    assert_eq!(names(of_page(page()), &previews), ["21.mp4", "32", "33.jpg"]);
    let twice = types::Page { photos: vec![photo(20).into(), photo(30).into(), photo(30).into()], ..types::Page::default() };
    let shown_twice = types::WebPage { document: None, attributes: None, cached_page: Some(twice.into()), ..page() };
    let article = Selection { instant_view: true, ..previews.clone() };
    assert_eq!(names(of_page(shown_twice), &article), ["20.jpg", "30.jpg"], "each once");
    let bare = types::WebPage { document: None, attributes: None, ..page() };
    assert_eq!(names(of_page(bare), &previews), ["20.jpg"], "no document: the picture");
    let all = Selection { instant_view: true, ..previews.clone() };
    assert_eq!(names(of_page(page()), &all), ["21.mp4", "32", "33.jpg", "34.webp", "30.jpg", "31.mp4"]);
    let game = types::Game {
        photo: photo(40).into(),
        document: Some(document(41, "video/mp4", vec![]).into()),
        ..types::Game::default()
    };
    let game: enums::MessageMedia = types::MessageMediaGame { game: game.into() }.into();
    assert!(plain(game.clone()).is_empty());
    assert_eq!(names(game, &previews), ["41.mp4"]);
}

#[test]
fn media_of_polls() {
    let answer = types::PollAnswer { media: Some(of_photo(photo(2))), ..types::PollAnswer::default() };
    let poll = types::Poll { answers: vec![answer.into()], ..types::Poll::default() };
    let results = types::PollResults { solution_media: Some(of_photo(photo(3))), ..types::PollResults::default() };
    let media = types::MessageMediaPoll {
        poll: poll.into(),
        results: results.into(),
        attached_media: Some(of_document(document(1, "text/plain", vec![]))),
    };
    assert_eq!(plain(media.into()), ["1.txt", "2.jpg", "3.jpg"]);
}

#[test]
fn stories_that_are_passed_on() {
    let peer = || enums::Peer::User(types::PeerUser { user_id: 5 });
    let story = types::StoryItem { media: of_document(document(7, "video/mp4", vec![])), ..types::StoryItem::default() };
    let media =
        |story| -> enums::MessageMedia { types::MessageMediaStory { via_mention: false, peer: peer(), id: 12, story }.into() };
    let told = media(Some(story.into()));
    assert_eq!(plain(told.clone()), ["7.mp4"]);
    assert!(names(told.clone(), &Selection { stories: false, ..Selection::default() }).is_empty());
    assert_eq!(untold_story(&message(told)), None);
    let skipped = types::StoryItemSkipped { id: 12, ..types::StoryItemSkipped::default() };
    for story in [None, Some(skipped.into())] {
        assert!(plain(media(story.clone())).is_empty());
        assert_eq!(untold_story(&message(media(story))), Some(StoryRef { peer: peer(), id: 12 }));
    }
    let deleted = media(Some(types::StoryItemDeleted { id: 12 }.into()));
    assert_eq!(untold_story(&message(deleted)), None, "there is nothing to ask for");
    assert_eq!(untold_story(&message(of_page(page()))), None);
    let link = types::WebPageAttributeStory { peer: peer(), id: 3, story: None };
    let link = types::WebPage { attributes: Some(vec![link.into()]), ..types::WebPage::default() };
    assert_eq!(untold_story(&message(of_page(link))), Some(StoryRef { peer: peer(), id: 3 }));
}

#[test]
fn media_in_media_is_looked_into_only_so_deep() {
    let mut media = of_photo(photo(1));
    let mut found = Vec::new();
    for _ in 0..8 {
        found.push(plain(media.clone()).len());
        media = types::MessageMediaPaidMedia { stars_amount: 1, extended_media: vec![paid(media)] }.into();
    }
    assert_eq!(found, [1, 1, 1, 1, 0, 0, 0, 0]);
}

#[test]
fn a_file_is_found_again_in_its_message() {
    let fresh = |mut d: types::Document| {
        d.file_reference = Bytes::from_static(b"new");
        d.dc_id = 3;
        d
    };
    let mut with_thumb = document(7, "video/mp4", vec![]);
    with_thumb.thumbs = Some(vec![size("m", 320, 3000)]);
    let other = document(8, "video/mp4", vec![video(360, None)]);
    let carrier = |document: types::Document, other: types::Document| {
        let mut media = types::MessageMediaDocument { document: Some(document.into()), ..Default::default() };
        media.alt_documents = Some(vec![other.into()]);
        let cover = of_photo(types::Photo { file_reference: Bytes::from_static(b"new"), ..photo(5) });
        let items = vec![paid(cover), paid(media.into())];
        message(types::MessageMediaPaidMedia { stars_amount: 1, extended_media: items }.into())
    };
    let before = carrier(with_thumb.clone(), other.clone());
    let after = carrier(fresh(with_thumb), fresh(other));
    let selection = Selection { thumbs: Thumbs::Also, quality: Quality::Height(360), ..Selection::default() };
    let files = files_of(&before, &selection);
    assert_eq!(files.iter().map(|media| media.id).collect::<Vec<_>>(), [5, 8, 7]);
    for media in &files {
        let again = media.refreshed(&after).unwrap();
        assert_eq!(again.file_reference().unwrap(), &Bytes::from_static(b"new"));
        assert_eq!((again.id, again.size, again.copy(), &again.name), (media.id, media.size, media.copy(), &media.name));
        assert_eq!(again.dc, if media.id == 5 { DcId(4) } else { DcId(3) });
        assert!(media.refreshed(&message(of_photo(photo(99)))).is_none());
        assert!(media.refreshed(&types::Message::default()).is_none());
    }
}

#[test]
fn the_photo_of_a_chat_is_named_by_the_chat() {
    let media = Media::of_peer(enums::InputPeer::PeerSelf, 77, DcId(1), true);
    let enums::InputFileLocation::InputPeerPhotoFileLocation(location) = &media.location else { panic!("a chat's photo") };
    assert!(location.big && location.photo_id == 77 && media.file_reference().is_none());
    assert_eq!((&*media.name, media.size, media.dc), ("77.jpg", 0, DcId(1)));
    assert_eq!(Media::of_peer(enums::InputPeer::PeerSelf, 77, DcId(1), false).name, "77_small.jpg");
}

#[test]
fn suffixes_stand_before_extensions() {
    for (name, suffix, extension, expected) in [
        ("clip.mov", "720p", ".mp4", "clip_720p.mp4"),
        ("clip", "720p", ".mp4", "clip_720p.mp4"),
        ("clip.mov", "", ".mp4", "clip.mp4"),
        ("v1. the end", "thumb", ".jpg", "v1. the end_thumb.jpg"),
        (".hidden", "thumb", ".jpg", ".hidden_thumb.jpg"),
        ("a.tar.gz", "thumb", ".jpg", "a.tar_thumb.jpg"),
    ] {
        assert_eq!(with_suffix(name, suffix, extension), expected);
    }
}
