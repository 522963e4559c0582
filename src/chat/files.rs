//! The files of a message, and of a story that it only names. "Files", "File references", "Stories".

use std::sync::Arc;

use super::media::{Media, Selection, StoryRef, files_in, files_of, untold_story};
use super::peers::{Peer, Seen, input_of, key_of};
use super::{ChatError, export, history};
use crate::client::Client;
use crate::tl::api::{enums, functions, types};
use crate::transfer::TransferError;
use crate::transfer::flow::Flow;
use crate::transfer::source::{Refreshed, Remote, Source};

/// The files of `message` that `selection` means. A story that the message names and does not bring is asked for, if stories are meant.
///
/// # Errors
///
/// [`ChatError::UnknownId`] if whoever told the story has not been seen in this namespace; otherwise the server's and the connection's.
pub async fn meant(client: &Client, message: &types::Message, selection: &Selection) -> Result<Vec<Media>, ChatError> {
    let found = files_of(message, selection);
    match story_meant(message, selection) {
        Some(story) if found.is_empty() => {
            Ok(told(client, &story).await?.map(|told| files_in(&told, selection)).unwrap_or_default())
        }
        _ => Ok(found),
    }
}

/// The story that `message` names without bringing it, if `selection` means it: of a link to one only with its preview.
pub fn story_meant(message: &types::Message, selection: &Selection) -> Option<StoryRef> {
    let is_link = matches!(message.media, Some(enums::MessageMedia::WebPage(_)));
    untold_story(message).filter(|_| selection.stories && (!is_link || selection.web_pages))
}

/// The same file, as message `id` of `peer` has it now: with a file reference that is good.
///
/// # Errors
///
/// [`ChatError::NoMessage`] if the message has gone, or does not carry the file any more; otherwise as [`meant`].
pub async fn again(client: &Client, peer: &Peer, id: i32, media: &Media) -> Result<Media, ChatError> {
    let found = history::by_ids(client, peer, &[id]).await?;
    let message = found.iter().find_map(export::regular).ok_or(ChatError::NoMessage { id })?;
    if let Some(media) = media.refreshed(message) {
        return Ok(media);
    }
    let told = match untold_story(message) {
        Some(story) => told(client, &story).await?,
        None => None,
    };
    told.and_then(|told| media.refreshed_in(&told)).ok_or(ChatError::NoMessage { id })
}

/// A file of message `id` of `peer`, to be read in turn with the other files of `flow`. When its reference has expired the message is asked
/// for again.
pub fn source(client: &Client, flow: &Flow, peer: &Arc<Peer>, id: i32, media: &Media) -> Source {
    let remote = Remote { dc: media.dc, location: media.location.clone(), size: media.size };
    let of = Arc::new((client.clone(), Arc::clone(peer), media.clone()));
    let refresh = move || -> Refreshed {
        let of = Arc::clone(&of);
        Box::pin(async move {
            let (client, peer, media) = &*of;
            match again(client, peer, id, media).await {
                Ok(media) => Ok(media.location),
                Err(ChatError::Invoke(error)) => Err(error.into()),
                Err(_) => Err(TransferError::Gone),
            }
        })
    };
    Source::new(client, flow, &remote, Arc::new(refresh))
}

/// The media of a story; `None` if it has gone.
async fn told(client: &Client, story: &StoryRef) -> Result<Option<enums::MessageMedia>, ChatError> {
    let (kind, id) = key_of(&story.peer);
    let peer = client.store().peer(kind, id)?.ok_or(ChatError::UnknownId { id })?;
    let request = functions::stories::GetStoriesById { peer: input_of(&peer), id: vec![story.id] };
    let enums::stories::Stories::Stories(answer) = client.invoke(&request).await?;
    Seen::collect(&answer.users, &answer.chats).remember(client)?;
    Ok(answer.stories.into_iter().find_map(|found| match found {
        enums::StoryItem::Item(item) if item.id == story.id => Some(item.media.clone()),
        _ => None,
    }))
}
