//! Where in a message's media there are documents and photos.

use crate::tl::api::{enums, types};

/// How deep media may lie in media: a story in a link's preview is the deepest that there is.
const DEPTH: u32 = 4;

/// A document or photo.
pub(super) enum Found<'a> {
    Document {
        document: &'a types::Document,
        /// The same in other qualities.
        alternatives: Vec<&'a types::Document>,
    },
    Photo(&'a types::Photo),
}

/// What it is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The message is about it.
    Message,
    /// A story that the message passes on.
    Story,
    /// It is shown below the message: a link's preview, a game.
    Preview,
    /// An instant view behind a link.
    InstantView,
    /// A picture that stands for something else that is there as well.
    Cover,
}

type Visit<'v, 'a> = &'v mut dyn FnMut(Origin, Found<'a>);

/// Tells of every document and photo, in the order in which they are shown.
pub(super) fn each<'a>(media: &'a enums::MessageMedia, visit: Visit<'_, 'a>) {
    media_in(media, Origin::Message, DEPTH, visit);
}

fn document_in<'a>(document: Option<&'a enums::Document>, origin: Origin, visit: Visit<'_, 'a>) {
    if let Some(enums::Document::Document(document)) = document {
        visit(origin, Found::Document { document, alternatives: Vec::new() });
    }
}

fn photo_in<'a>(photo: Option<&'a enums::Photo>, origin: Origin, visit: Visit<'_, 'a>) {
    if let Some(enums::Photo::Photo(photo)) = photo {
        visit(origin, Found::Photo(photo));
    }
}

fn extended_in<'a>(media: &'a enums::MessageExtendedMedia, origin: Origin, depth: u32, visit: Visit<'_, 'a>) {
    // Before it was paid for there is a preview, which is no file.
    if let enums::MessageExtendedMedia::Media(media) = media {
        media_in(&media.media, origin, depth, visit);
    }
}

fn media_in<'a>(media: &'a enums::MessageMedia, origin: Origin, depth: u32, visit: Visit<'_, 'a>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match media {
        enums::MessageMedia::Document(media) => {
            if let Some(enums::Document::Document(document)) = &media.document {
                let others = media.alt_documents.iter().flatten().filter_map(|other| match other {
                    enums::Document::Document(other) => Some(&**other),
                    enums::Document::Empty(_) => None,
                });
                visit(origin, Found::Document { document, alternatives: others.collect() });
            }
            photo_in(media.video_cover.as_ref(), Origin::Cover, visit);
        }
        enums::MessageMedia::Photo(media) => {
            photo_in(media.photo.as_ref(), origin, visit);
            // A photo that moves for a moment.
            document_in(media.video.as_ref(), origin, visit);
        }
        enums::MessageMedia::PaidMedia(media) => {
            for item in &media.extended_media {
                extended_in(item, origin, depth, visit);
            }
        }
        enums::MessageMedia::Invoice(media) => {
            if let Some(item) = &media.extended_media {
                extended_in(item, origin, depth, visit);
            }
        }
        enums::MessageMedia::Poll(media) => {
            if let Some(attached) = &media.attached_media {
                media_in(attached, origin, depth, visit);
            }
            let enums::Poll::Poll(poll) = &media.poll;
            for answer in &poll.answers {
                if let enums::PollAnswer::Answer(answer) = answer
                    && let Some(attached) = &answer.media
                {
                    media_in(attached, origin, depth, visit);
                }
            }
            let enums::PollResults::Results(results) = &media.results;
            if let Some(solution) = &results.solution_media {
                media_in(solution, origin, depth, visit);
            }
        }
        enums::MessageMedia::Story(media) => {
            let origin = if origin == Origin::Message { Origin::Story } else { origin };
            story_in(media.story.as_ref(), origin, depth, visit);
        }
        enums::MessageMedia::Game(media) => {
            let enums::Game::Game(game) = &media.game;
            let has_document = matches!(game.document, Some(enums::Document::Document(_)));
            document_in(game.document.as_ref(), Origin::Preview, visit);
            photo_in(Some(&game.photo), if has_document { Origin::Cover } else { Origin::Preview }, visit);
        }
        enums::MessageMedia::WebPage(media) => {
            if let enums::WebPage::Page(page) = &media.webpage {
                page_in(page, depth, visit);
            }
        }
        _ => {}
    }
}

fn story_in<'a>(story: Option<&'a enums::StoryItem>, origin: Origin, depth: u32, visit: Visit<'_, 'a>) {
    if let Some(enums::StoryItem::Item(story)) = story {
        media_in(&story.media, origin, depth, visit);
    }
}

fn page_in<'a>(page: &'a types::WebPage, depth: u32, visit: Visit<'_, 'a>) {
    let has_document = matches!(page.document, Some(enums::Document::Document(_)));
    document_in(page.document.as_ref(), Origin::Preview, visit);
    photo_in(page.photo.as_ref(), if has_document { Origin::Cover } else { Origin::Preview }, visit);
    for attribute in page.attributes.iter().flatten() {
        match attribute {
            enums::WebPageAttribute::Story(story) => story_in(story.story.as_ref(), Origin::Preview, depth, visit),
            enums::WebPageAttribute::Theme(theme) => {
                for document in theme.documents.iter().flatten() {
                    document_in(Some(document), Origin::Preview, visit);
                }
            }
            enums::WebPageAttribute::StickerSet(set) => {
                for sticker in &set.stickers {
                    document_in(Some(sticker), Origin::InstantView, visit);
                }
            }
            enums::WebPageAttribute::StarGiftCollection(gifts) => {
                for icon in &gifts.icons {
                    document_in(Some(icon), Origin::InstantView, visit);
                }
            }
            _ => {}
        }
    }
    if let Some(enums::Page::Page(page)) = &page.cached_page {
        for photo in &page.photos {
            photo_in(Some(photo), Origin::InstantView, visit);
        }
        for document in &page.documents {
            document_in(Some(document), Origin::InstantView, visit);
        }
    }
}

/// A story that a message names and does not bring: `stories.getStoriesByID` has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoryRef {
    /// Whose it is.
    pub peer: enums::Peer,
    /// Its number among theirs.
    pub id: i32,
}

/// The story that a message passes on, or links to, without bringing it. Its media is then in what `stories.getStoriesByID` answers, for
/// [`files_in`](super::files_in).
pub fn untold_story(message: &types::Message) -> Option<StoryRef> {
    let found = |peer: &enums::Peer, id, story: Option<&enums::StoryItem>| {
        let is_told = matches!(story, Some(enums::StoryItem::Item(_) | enums::StoryItem::Deleted(_)));
        (!is_told).then(|| StoryRef { peer: peer.clone(), id })
    };
    match message.media.as_ref()? {
        enums::MessageMedia::Story(media) => found(&media.peer, media.id, media.story.as_ref()),
        enums::MessageMedia::WebPage(media) => {
            let enums::WebPage::Page(page) = &media.webpage else { return None };
            page.attributes.iter().flatten().find_map(|attribute| match attribute {
                enums::WebPageAttribute::Story(story) => found(&story.peer, story.id, story.story.as_ref()),
                _ => None,
            })
        }
        _ => None,
    }
}
