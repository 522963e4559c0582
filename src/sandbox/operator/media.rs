//! Messages with files, in forms that a client cannot make, or that the real servers make of what it sends: photos in several sizes, videos
//! in several qualities, paid media, previews of links, stories, games, invoices, polls.

use std::path::{Path, PathBuf};

use rand::Rng as _;
use rusqlite::Connection;
use tdl_core::tl::Serialize as _;
use tdl_core::tl::api::{enums, types};

use super::{Operator, OperatorError, now};
use crate::image;
use crate::services::view::{View, peer, photo_size_type};
use crate::services::{media::document_kind, unix32};
use crate::state::composed::{self, Story};
use crate::state::files::{self, Blob, Document, Photo, Thumb};
use crate::state::messages::{Draft, Media, MediaKind};
use crate::state::users::User;
use crate::state::variants::{self, PhotoSize};

/// Seconds for which a story is shown.
const STORY_LIFETIME: i64 = 86_400;

/// Something that a message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A photo, each file one size of it. They are told apart by the letters that follow from their sides.
    Photo(Vec<PathBuf>),
    /// Any other file.
    File(Box<FileItem>),
}

/// A file, and what is said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileItem {
    /// Where its contents are.
    pub path: PathBuf,
    /// Its MIME type; without one, that of bytes, or of a video.
    pub mime: Option<String>,
    /// A video of this width and height.
    pub video: Option<(i32, i32)>,
    /// Its thumbnail, an image.
    pub thumb: Option<PathBuf>,
    /// The same video in other qualities: width, height, contents.
    pub qualities: Vec<(i32, i32, PathBuf)>,
}

impl FileItem {
    /// A file about which nothing is said.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}

/// In what form items are posted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// A message each, together an album.
    #[default]
    Plain,
    /// One message with paid media.
    Paid {
        /// Their price.
        stars: i64,
        /// The receiver has paid.
        bought: bool,
    },
    /// A link with a preview: a file is its document, a photo its picture.
    WebPage {
        /// The link.
        url: String,
    },
    /// A story with the first item, and a message that passes it on.
    Story {
        /// The message brings the story; otherwise it names it only.
        told: bool,
    },
    /// A game: a file is its animation, a photo, which it needs, its picture.
    Game,
    /// An invoice, whose goods are the first item.
    Invoice,
    /// A poll about the first item, whose answers are the others.
    Poll,
}

/// A message that is to be posted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Post {
    /// Who writes: a phone number, @username or id.
    pub from: String,
    /// To whom.
    pub to: String,
    /// What it says; of an album, what the first message says.
    pub text: String,
    /// What it carries.
    pub items: Vec<Item>,
    /// In what form.
    pub form: Form,
    /// The DC that keeps the files; the sender's if nothing is said.
    pub dc: Option<i32>,
}

/// A file whose contents are kept, without anything that refers to them yet.
enum Kept {
    Photo(Vec<(image::Format, i32, i32, Blob)>),
    File { item: FileItem, blob: Blob, thumb: Option<Thumb>, qualities: Vec<(i32, i32, Blob)> },
}

/// What became of it.
struct Made {
    media: Media,
    photo: Option<enums::Photo>,
    document: Option<enums::Document>,
    shown: enums::MessageMedia,
}

fn random_id() -> i64 {
    i64::try_from(rand::rng().next_u64() >> 1).unwrap_or(i64::MAX).max(1)
}

impl Operator {
    /// Posts a message with files; both sides are told, if the cluster runs. The answer: the messages' ids in the box of whoever wrote them.
    ///
    /// # Errors
    /// [`OperatorError::NoAccount`], [`OperatorError::Text`]; [`OperatorError::File`], [`OperatorError::Image`], [`OperatorError::Form`]
    /// for items that are none or do not fit; [`OperatorError::Dc`].
    pub fn post(&self, post: &Post) -> Result<Vec<i32>, OperatorError> {
        if post.text.encode_utf16().count() > 4096 {
            return Err(OperatorError::Text);
        }
        if let Some(dc) = post.dc.filter(|dc| !(1..=self.dcs).contains(dc)) {
            return Err(OperatorError::Dc(dc));
        }
        let (from, to) =
            self.state.read(|db| Ok::<_, OperatorError>((self.find(db, &post.from)?, self.find(db, &post.to)?)))?;
        let most = if post.form == Form::Plain || matches!(post.form, Form::Paid { .. } | Form::Poll) { 10 } else { 2 };
        if post.items.is_empty() || post.items.len() > most {
            return Err(OperatorError::Form("a message carries 1 to 10 items, and 2 in most forms"));
        }
        // Before the database is changed: others wait for that.
        let kept: Vec<Kept> = post.items.iter().map(|item| self.keep(item)).collect::<Result<_, _>>()?;
        self.state.write(|tx| {
            let dc = post.dc.unwrap_or(from.dc);
            let made: Vec<Made> = kept.iter().map(|kept| self.make(tx, kept, dc, from.id)).collect::<Result<_, _>>()?;
            if post.form == Form::Plain {
                let grouped_id = (made.len() > 1).then(random_id);
                let texts = std::iter::once(post.text.as_str()).chain(std::iter::repeat(""));
                let drafts = made.iter().zip(texts).map(|(made, text)| draft(&from, &to, text, made.media, grouped_id));
                return drafts.map(|draft| self.announce(tx, &draft)).collect();
            }
            let media = self.compose(tx, &from, &to, post, &made)?;
            let text = match &post.form {
                Form::WebPage { url } if post.text.is_empty() => url,
                _ => &post.text,
            };
            Ok(vec![self.announce(tx, &draft(&from, &to, text, media, None))?])
        })
    }

    /// Copies contents to where the cluster has them.
    fn keep(&self, item: &Item) -> Result<Kept, OperatorError> {
        let image = |path: &Path| {
            let blob = self.copy(path)?;
            let head = self.state.read_blob(blob, 0, 1 << 20)?;
            let (format, w, h) = image::probe(&head).ok_or_else(|| OperatorError::Image(path.to_owned()))?;
            Ok::<_, OperatorError>((format, w, h, blob))
        };
        Ok(match item {
            Item::Photo(paths) => {
                let mut sizes = paths.iter().map(|path| image(path)).collect::<Result<Vec<_>, _>>()?;
                sizes.sort_by_key(|(_, w, h, _)| i64::from(*w) * i64::from(*h));
                let letters: Vec<_> = sizes.iter().map(|(_, w, h, _)| photo_size_type(*w, *h)).collect();
                if letters.is_empty() || letters.iter().zip(letters.iter().skip(1)).any(|(a, b)| a == b) {
                    return Err(OperatorError::Form(
                        "the sizes of a photo have different letters: s up to 100, m 320, x 800, y 1280, w",
                    ));
                }
                Kept::Photo(sizes)
            }
            Item::File(item) => {
                let thumb = item.thumb.as_deref().map(image).transpose()?.map(|(_, w, h, blob)| Thumb { blob, w, h });
                let qualities = item.qualities.iter().map(|(w, h, path)| Ok((*w, *h, self.copy(path)?)));
                let qualities = qualities.collect::<Result<_, OperatorError>>()?;
                Kept::File { blob: self.copy(&item.path)?, item: FileItem::clone(item), thumb, qualities }
            }
        })
    }

    fn copy(&self, path: &Path) -> Result<Blob, OperatorError> {
        let failed = |source| OperatorError::File { path: path.to_owned(), source };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let blob = self.state.keep_contents(&mut file)?;
        if blob.size == 0 { Err(OperatorError::Form("a file is not empty")) } else { Ok(blob) }
    }

    /// Makes documents and photos of what is kept.
    fn make(&self, tx: &Connection, kept: &Kept, dc: i32, viewer: i64) -> Result<Made, OperatorError> {
        let (id, date) = (random_id(), now());
        let view = View { state: &self.state, db: tx, viewer, now: date };
        let media = match kept {
            Kept::Photo(sizes) => {
                let Some(((format, w, h, blob), others)) = sizes.split_last() else {
                    return Err(OperatorError::Form("a photo has a size"));
                };
                files::add_photo(tx, &Photo { id, dc, date, blob: *blob, w: *w, h: *h, format: *format as i32 })?;
                for (_, w, h, blob) in others {
                    let letter = photo_size_type(*w, *h).to_owned();
                    variants::add_size(tx, id, &PhotoSize { letter, w: *w, h: *h, blob: *blob })?;
                }
                Media { kind: MediaKind::Photo, id, spoiler: false }
            }
            Kept::File { item, blob, thumb, qualities } => {
                let video = |(w, h)| -> enums::DocumentAttribute {
                    types::DocumentAttributeVideo { w, h, duration: 1.0, supports_streaming: true, ..Default::default() }.into()
                };
                let name = item.path.file_name().unwrap_or_default().to_string_lossy();
                let name = types::DocumentAttributeFilename { file_name: name.as_ref().into() };
                let attributes: Vec<_> = std::iter::once(name.into()).chain(item.video.map(video)).collect();
                let other = if item.video.is_some() { "video/mp4" } else { "application/octet-stream" };
                let document = Document {
                    id,
                    dc,
                    date,
                    mime: item.mime.clone().unwrap_or_else(|| other.to_owned()),
                    blob: *blob,
                    attributes: attributes.to_bytes().to_vec(),
                    thumb: *thumb,
                };
                files::add_document(tx, &document)?;
                for (n, (w, h, blob)) in (0..).zip(qualities) {
                    let attributes = vec![video((*w, *h))].to_bytes().to_vec();
                    let other = Document { id: random_id(), blob: *blob, attributes, thumb: None, ..document.clone() };
                    files::add_document(tx, &other)?;
                    variants::add_alternative(tx, id, n, other.id)?;
                }
                Media { kind: document_kind(&attributes), id, spoiler: false }
            }
        };
        let shown = view.media(&media).map_err(OperatorError::Message)?;
        let (photo, document) = match &shown {
            enums::MessageMedia::Photo(m) => (m.photo.clone(), None),
            enums::MessageMedia::Document(m) => (None, m.document.clone()),
            _ => (None, None),
        };
        Ok(Made { media, photo, document, shown })
    }

    /// Makes media of media.
    fn compose(&self, tx: &Connection, from: &User, to: &User, post: &Post, made: &[Made]) -> Result<Media, OperatorError> {
        let first = made.first().map(|made| made.shown.clone()).unwrap_or_default();
        let extended = |made: &Made| types::MessageExtendedMedia { media: made.shown.clone() }.into();
        let photo = made.iter().find_map(|made| made.photo.clone());
        let document = made.iter().find_map(|made| made.document.clone());
        let mut preview = None;
        let body: enums::MessageMedia = match &post.form {
            Form::Plain => return Err(OperatorError::Form("nothing is made of plain items")),
            Form::Paid { stars, .. } => {
                let extended_media = made.iter().map(preview_of).collect();
                preview = Some(types::MessageMediaPaidMedia { stars_amount: *stars, extended_media });
                let extended_media = made.iter().map(extended).collect();
                types::MessageMediaPaidMedia { stars_amount: *stars, extended_media }.into()
            }
            Form::WebPage { url } => {
                let webpage = types::WebPage {
                    id: random_id(),
                    url: url.as_str().into(),
                    display_url: url.as_str().into(),
                    photo,
                    document,
                    ..types::WebPage::default()
                };
                types::MessageMediaWebPage { webpage: webpage.into(), ..types::MessageMediaWebPage::default() }.into()
            }
            Form::Story { told } => {
                let date = now();
                let body = first.to_bytes().to_vec();
                let expires = date.saturating_add(STORY_LIFETIME);
                let story = Story { owner: from.id, id: 0, date, expires, caption: post.text.clone(), body };
                let id = composed::add_story(tx, &story)?;
                let view = View { state: &self.state, db: tx, viewer: to.id, now: date };
                let item = view.story(&Story { id, ..story }).map_err(OperatorError::Message)?;
                let story = told.then_some(item);
                types::MessageMediaStory { via_mention: false, peer: peer(from.id), id, story }.into()
            }
            Form::Game => {
                let photo = photo.ok_or(OperatorError::Form("a game has a picture: give it a photo"))?;
                let game = types::Game {
                    id: random_id(),
                    short_name: "game".into(),
                    title: "A game".into(),
                    description: post.text.as_str().into(),
                    photo,
                    document,
                    ..types::Game::default()
                };
                types::MessageMediaGame { game: game.into() }.into()
            }
            Form::Invoice => types::MessageMediaInvoice {
                title: "Goods".into(),
                description: post.text.as_str().into(),
                currency: "XTR".into(),
                total_amount: 1,
                extended_media: made.first().map(extended),
                ..types::MessageMediaInvoice::default()
            }
            .into(),
            Form::Poll => poll(&post.text, first, made.get(1..).unwrap_or_default()),
        };
        let preview = preview.map(|preview| enums::MessageMedia::from(preview).to_bytes());
        let id = composed::add(tx, from.id, &body.to_bytes(), preview.as_deref())?;
        if matches!(post.form, Form::Paid { bought: true, .. }) {
            composed::buy(tx, id, to.id)?;
        }
        Ok(Media { kind: MediaKind::Composed, id, spoiler: false })
    }
}

fn draft(from: &User, to: &User, text: &str, media: Media, grouped_id: Option<i64>) -> Draft {
    Draft {
        from: from.id,
        to: to.id,
        text: text.to_owned(),
        entities: None,
        media: Some(media),
        reply_to: None,
        forward: None,
        grouped_id,
        silent: false,
        random_id: random_id(),
    }
}

/// What is shown of an item to those who have not paid.
fn preview_of(made: &Made) -> enums::MessageExtendedMedia {
    let side = made.photo.as_ref().and_then(|photo| match photo {
        enums::Photo::Photo(photo) => photo.sizes.iter().find_map(|size| match size {
            enums::PhotoSize::Size(size) => Some((size.w, size.h)),
            _ => None,
        }),
        enums::Photo::Empty(_) => None,
    });
    let video_duration = made.document.is_some().then_some(1);
    types::MessageExtendedMediaPreview { w: side.map(|s| s.0), h: side.map(|s| s.1), video_duration, thumb: None }.into()
}

fn poll(question: &str, attached: enums::MessageMedia, answers: &[Made]) -> enums::MessageMedia {
    let text = |text: &str| types::TextWithEntities { text: text.into(), entities: Vec::new() }.into();
    let answer = |(n, media): (u8, Option<enums::MessageMedia>)| -> enums::PollAnswer {
        let name = format!("Answer {n}");
        let option = bytes::Bytes::copy_from_slice(&[n]);
        types::PollAnswer { text: text(&name), option, media, ..types::PollAnswer::default() }.into()
    };
    // There are two answers at the least.
    let media = answers.iter().map(|made| Some(made.shown.clone())).chain([None, None]).take(answers.len().max(2));
    let poll = types::Poll {
        id: random_id(),
        question: text(if question.is_empty() { "Which?" } else { question }),
        answers: (1..).zip(media).map(answer).collect(),
        close_date: Some(unix32(now().saturating_add(STORY_LIFETIME))),
        ..types::Poll::default()
    };
    let results = types::PollResults::default();
    types::MessageMediaPoll { poll: poll.into(), results: results.into(), attached_media: Some(attached) }.into()
}
