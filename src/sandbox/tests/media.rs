//! Media that an operator posts: what a client finds in its history, and downloads.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::image::tests::png;
use crate::operator::{FileItem, Form, Item, NewUser, Operator, OperatorError, Post, Seed, SeededFile};

const ANN: &str = "9996611111";
const BOB: &str = "9996611112";

/// Somebody who was posted something, the operator, and files to post.
struct Scene {
    dir: tempfile::TempDir,
    cluster: Cluster,
    operator: Operator,
}

impl Scene {
    async fn new() -> (Self, Client) {
        let dir = tempfile::tempdir().unwrap();
        let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
        let bob = beside(move || {
            let mut bob = Client::new(&dcs[0], &pem, &plain(Kind::Intermediate), 1);
            bob.login(BOB);
            bob
        })
        .await;
        let operator = Operator::open(dir.path()).unwrap();
        operator.add_user(&NewUser { phone: ANN.to_owned(), ..NewUser::default() }).unwrap();
        (Self { dir, cluster, operator }, bob)
    }

    fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    fn image(&self, name: &str, w: u32, h: u32) -> PathBuf {
        self.file(name, &[png(w, h), vec![7; w as usize]].concat())
    }

    fn post(&self, items: Vec<Item>, form: Form) -> Result<Vec<i32>, OperatorError> {
        let (from, to, text) = (ANN.to_owned(), BOB.to_owned(), "look".to_owned());
        self.operator.post(&Post { from, to, text, items, form, dc: None })
    }
}

fn file(path: &Path) -> Item {
    Item::File(Box::new(FileItem::new(path)))
}

/// The newest messages, the newest first.
fn history(client: &mut Client, limit: i32) -> Vec<types::Message> {
    let enums::contacts::ResolvedPeer::Peer(found) = client.call(f::contacts::ResolvePhone { phone: ANN.into() }).unwrap();
    let [enums::User::User(user)] = found.users.as_slice() else { panic!("one user") };
    let peer = types::InputPeerUser { user_id: user.id, access_hash: user.access_hash.unwrap() }.into();
    let messages = match client.call(f::messages::GetHistory { peer, limit, ..Default::default() }).unwrap() {
        enums::messages::Messages::Messages(found) => found.messages,
        enums::messages::Messages::Slice(found) => found.messages,
        _ => panic!("messages"),
    };
    messages
        .into_iter()
        .map(|message| match message {
            enums::Message::Message(message) => types::Message::clone(&message),
            _ => panic!("a message"),
        })
        .collect()
}

fn media(client: &mut Client) -> enums::MessageMedia {
    history(client, 1).remove(0).media.unwrap()
}

fn document(document: Option<enums::Document>) -> types::Document {
    let Some(enums::Document::Document(document)) = document else { panic!("a document") };
    types::Document::clone(&document)
}

fn photo(photo: Option<enums::Photo>) -> types::Photo {
    let Some(enums::Photo::Photo(photo)) = photo else { panic!("a photo") };
    types::Photo::clone(&photo)
}

fn get(client: &mut Client, location: enums::InputFileLocation) -> Bytes {
    let get = f::upload::GetFile { precise: false, cdn_supported: false, location, offset: 0, limit: 1 << 20 };
    let enums::upload::File::File(file) = client.call(get).unwrap() else { panic!("a file") };
    file.bytes
}

fn contents(client: &mut Client, d: &types::Document, thumb: &str) -> Bytes {
    let (id, access_hash, file_reference) = (d.id, d.access_hash, d.file_reference.clone());
    let location = types::InputDocumentFileLocation { id, access_hash, file_reference, thumb_size: thumb.into() };
    get(client, location.into())
}

fn picture(client: &mut Client, p: &types::Photo, size: &str) -> Bytes {
    let (id, access_hash, file_reference) = (p.id, p.access_hash, p.file_reference.clone());
    let location = types::InputPhotoFileLocation { id, access_hash, file_reference, thumb_size: size.into() };
    get(client, location.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_have_sizes_and_videos_thumbnails_and_qualities() {
    let (scene, mut bob) = Scene::new().await;
    beside(move || {
        let paths = vec![scene.image("y.png", 1280, 720), scene.image("s.png", 90, 50), scene.image("m.png", 320, 180)];
        scene.post(vec![Item::Photo(paths.clone())], Form::Plain).unwrap();
        let enums::MessageMedia::Photo(media) = media(&mut bob) else { panic!("a photo") };
        let p = photo(media.photo.clone());
        let sizes: Vec<_> = p
            .sizes
            .iter()
            .map(|size| match size {
                enums::PhotoSize::Size(size) => (size.r#type.to_string(), size.w, size.size as usize),
                _ => panic!("a size"),
            })
            .collect();
        let len = |w: usize| png(1, 1).len() + w;
        assert_eq!(sizes, [("s".into(), 90, len(90)), ("m".into(), 320, len(320)), ("y".into(), 1280, len(1280))]);
        for ((letter, ..), path) in sizes.iter().zip([&paths[1], &paths[2], &paths[0]]) {
            assert_eq!(picture(&mut bob, &p, letter), std::fs::read(path).unwrap());
        }
        let two = vec![scene.image("a.png", 300, 10), scene.image("b.png", 200, 10)];
        assert!(matches!(scene.post(vec![Item::Photo(two)], Form::Plain), Err(OperatorError::Form(_))), "both are m");
        let text = scene.file("text", b"no image");
        assert!(matches!(scene.post(vec![Item::Photo(vec![text.clone()])], Form::Plain), Err(OperatorError::Image(_))));

        let mut item = FileItem::new(scene.file("talk.mp4", b"in full"));
        item.video = Some((1920, 1080));
        item.thumb = Some(paths[2].clone());
        item.qualities = vec![(1280, 720, scene.file("720", b"smaller")), (640, 360, scene.file("360", b"smallest"))];
        let ids = scene.post(vec![Item::File(Box::new(item)), file(&text)], Form::Plain).unwrap();
        assert_eq!(ids.len(), 2);
        let album = history(&mut bob, 2);
        assert!(album[0].grouped_id.is_some() && album[0].grouped_id == album[1].grouped_id);
        assert_eq!((&*album[1].message, &*album[0].message), ("look", ""));
        let Some(enums::MessageMedia::Document(media)) = &album[1].media else { panic!("a document") };
        let d = document(media.document.clone());
        assert!(media.video && &*d.mime_type == "video/mp4");
        assert_eq!(contents(&mut bob, &d, ""), &b"in full"[..]);
        assert_eq!(contents(&mut bob, &d, "m"), std::fs::read(&paths[2]).unwrap());
        let found: Vec<_> = media
            .alt_documents
            .iter()
            .flatten()
            .map(|other| {
                let other = document(Some(other.clone()));
                let [enums::DocumentAttribute::Video(video)] = other.attributes.as_slice() else { panic!("a video") };
                (video.h, contents(&mut bob, &other, ""))
            })
            .collect();
        assert_eq!(found, [(720, Bytes::from_static(b"smaller")), (360, Bytes::from_static(b"smallest"))]);
        let missing = scene.dir.path().join("missing");
        assert!(matches!(scene.post(vec![file(&missing)], Form::Plain), Err(OperatorError::File { .. })));
        assert!(matches!(scene.post(Vec::new(), Form::Plain), Err(OperatorError::Form(_))));
        scene.cluster
    })
    .await
    .shutdown()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_inside_of_other_media_can_be_downloaded() {
    let (scene, mut bob) = Scene::new().await;
    beside(move || {
        let (a, b) = (scene.image("a.png", 800, 600), scene.file("b.bin", b"the file"));
        let both = || vec![Item::Photo(vec![a.clone()]), file(&b)];
        let image = std::fs::read(&a).unwrap();
        let items = |media: enums::MessageMedia| match media {
            enums::MessageMedia::PaidMedia(media) => media.extended_media,
            _ => panic!("paid media"),
        };
        scene.post(both(), Form::Paid { stars: 5, bought: false }).unwrap();
        let previews = items(media(&mut bob));
        assert!(previews.len() == 2 && previews.iter().all(|item| matches!(item, enums::MessageExtendedMedia::Preview(_))));
        scene.post(both(), Form::Paid { stars: 5, bought: true }).unwrap();
        let bought = items(media(&mut bob));
        let [enums::MessageExtendedMedia::Media(first), enums::MessageExtendedMedia::Media(second)] = bought.as_slice() else {
            panic!("both")
        };
        let enums::MessageMedia::Photo(m) = &first.media else { panic!("a photo") };
        assert_eq!(picture(&mut bob, &photo(m.photo.clone()), "x"), image);
        let enums::MessageMedia::Document(m) = &second.media else { panic!("a document") };
        assert_eq!(contents(&mut bob, &document(m.document.clone()), ""), &b"the file"[..]);

        scene.post(both(), Form::WebPage { url: "https://example.org".to_owned() }).unwrap();
        let enums::MessageMedia::WebPage(page) = media(&mut bob) else { panic!("a page") };
        let enums::WebPage::Page(page) = &page.webpage else { panic!("a page") };
        assert_eq!(picture(&mut bob, &photo(page.photo.clone()), "x"), image);
        assert_eq!(contents(&mut bob, &document(page.document.clone()), ""), &b"the file"[..]);

        scene.post(both(), Form::Game).unwrap();
        let enums::MessageMedia::Game(game) = media(&mut bob) else { panic!("a game") };
        let enums::Game::Game(game) = &game.game;
        assert_eq!(contents(&mut bob, &document(game.document.clone()), ""), &b"the file"[..]);
        assert!(matches!(scene.post(vec![file(&b)], Form::Game), Err(OperatorError::Form(_))));

        scene.post(vec![file(&b)], Form::Invoice).unwrap();
        let enums::MessageMedia::Invoice(invoice) = media(&mut bob) else { panic!("an invoice") };
        assert!(matches!(invoice.extended_media, Some(enums::MessageExtendedMedia::Media(_))));

        scene.post(vec![file(&b), file(&b)], Form::Poll).unwrap();
        let enums::MessageMedia::Poll(poll) = media(&mut bob) else { panic!("a poll") };
        let Some(enums::MessageMedia::Document(m)) = &poll.attached_media else { panic!("a document") };
        assert_eq!(contents(&mut bob, &document(m.document.clone()), ""), &b"the file"[..]);
        let enums::Poll::Poll(poll) = &poll.poll;
        assert!(matches!(&poll.answers[0], enums::PollAnswer::Answer(answer) if answer.media.is_some()));
        scene.cluster
    })
    .await
    .shutdown()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stories_are_passed_on_and_asked_for() {
    let (scene, mut bob) = Scene::new().await;
    beside(move || {
        let path = scene.file("story.mp4", b"a story");
        scene.post(vec![file(&path)], Form::Story { told: true }).unwrap();
        let enums::MessageMedia::Story(told) = media(&mut bob) else { panic!("a story") };
        let Some(enums::StoryItem::Item(item)) = &told.story else { panic!("it is told") };
        let enums::MessageMedia::Document(m) = &item.media else { panic!("a document") };
        assert_eq!(contents(&mut bob, &document(m.document.clone()), ""), &b"a story"[..]);
        scene.post(vec![file(&path)], Form::Story { told: false }).unwrap();
        let message = history(&mut bob, 1).remove(0);
        let Some(enums::MessageMedia::Story(story)) = &message.media else { panic!("a story") };
        assert!(story.story.is_none() && story.id == 2);
        let enums::Peer::User(user) = &story.peer else { panic!("a user") };
        let enums::contacts::ResolvedPeer::Peer(found) = bob.call(f::contacts::ResolvePhone { phone: ANN.into() }).unwrap();
        let [enums::User::User(ann)] = found.users.as_slice() else { panic!("one user") };
        assert_eq!(user.user_id, ann.id);
        let peer: enums::InputPeer = types::InputPeerUser { user_id: ann.id, access_hash: ann.access_hash.unwrap() }.into();
        let ask = f::stories::GetStoriesById { peer: peer.clone(), id: vec![2, 9] };
        let enums::stories::Stories::Stories(stories) = bob.call(ask).unwrap();
        let [enums::StoryItem::Item(item)] = stories.stories.as_slice() else { panic!("one of them there is") };
        let enums::MessageMedia::Document(m) = &item.media else { panic!("a document") };
        assert_eq!(contents(&mut bob, &document(m.document.clone()), ""), &b"a story"[..]);
        let enums::stories::PeerStories::Stories(all) = bob.call(f::stories::GetPeerStories { peer: peer.clone() }).unwrap();
        let enums::PeerStories::Stories(all) = &all.stories;
        assert_eq!(all.stories.len(), 2);
        let none = f::stories::GetStoriesById { peer, id: Vec::new() };
        assert_eq!(bob.call(none).unwrap_err().message, "STORY_ID_INVALID");
        scene.cluster
    })
    .await
    .shutdown()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_are_seeded_at_once() {
    let (scene, mut bob) = Scene::new().await;
    beside(move || {
        let seed = |count, sizes| Seed { from: ANN.to_owned(), to: BOB.to_owned(), count, seed: 7, sizes, dc: None };
        let sizes = (1, 20_000);
        let seeded = scene.operator.seed(&seed(40, Some(sizes))).unwrap();
        assert_eq!((seeded.count, seeded.first, seeded.last), (40, 1, 40));
        let mut total = 0;
        for (number, message) in (1..=40).rev().zip(history(&mut bob, 100)) {
            let Some(enums::MessageMedia::Document(media)) = &message.media else { panic!("a document") };
            let d = document(media.document.clone());
            let expected = SeededFile::new(7, number, sizes);
            let [enums::DocumentAttribute::Filename(name)] = d.attributes.as_slice() else { panic!("a name") };
            assert_eq!((&*name.file_name, d.size.unsigned_abs()), (&*expected.name(), expected.len()));
            let mut bytes = Vec::new();
            expected.contents().read_to_end(&mut bytes).unwrap();
            assert_eq!(contents(&mut bob, &d, ""), bytes);
            total += expected.len();
        }
        assert_eq!(seeded.bytes, total);
        let texts = scene.operator.seed(&seed(2500, None)).unwrap();
        assert_eq!((texts.count, texts.first, texts.last, texts.bytes), (2500, 41, 2540, 0));
        assert_eq!(&*history(&mut bob, 1)[0].message, "Message 2500");
        let enums::updates::State::State(state) = bob.call(f::updates::GetState).unwrap();
        assert_eq!((state.unread_count, state.pts), (0, 2541), "read, and each has its place in the counter");
        for count in [0, 10_000_001] {
            assert!(matches!(scene.operator.seed(&seed(count, None)), Err(OperatorError::Form(_))));
        }
        let elsewhere = Seed { dc: Some(4), ..seed(1, None) };
        assert!(matches!(scene.operator.seed(&elsewhere), Err(OperatorError::Dc(4))));
        scene.cluster
    })
    .await
    .shutdown()
    .await;
}
