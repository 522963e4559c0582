//! Messages with files.

use super::ChatError;
use super::peers::Peer;
use crate::client::{Client, InvokeError};
use crate::tl::Str;
use crate::tl::api::{enums, functions, types};

/// An uploaded file, and how it is to appear.
pub struct FileMessage {
    /// What the upload returned.
    pub file: enums::InputFile,
    /// The name that the receiver sees.
    pub name: String,
    /// MIME type.
    pub mime: String,
    /// As a photo, recompressed by the server, instead of as a file.
    pub photo: bool,
    /// Text below it.
    pub caption: String,
    /// Formatting of the text.
    pub entities: Vec<enums::MessageEntity>,
    /// The topic to post it in.
    pub topic: Option<i32>,
    /// Chosen by us, at random: the server takes a message with the same number only once, so that a repeated request does not post it
    /// twice.
    pub random_id: i64,
}

/// Posts the message. Returns its identifier, or `None` when the server says that a message with this `random_id` exists: an earlier
/// attempt had arrived.
///
/// # Errors
///
/// The server's and the connection's.
pub async fn file(client: &Client, peer: &Peer, message: FileMessage) -> Result<Option<i32>, ChatError> {
    let random_id = message.random_id;
    let media = if message.photo {
        types::InputMediaUploadedPhoto {
            spoiler: false,
            live_photo: false,
            file: message.file,
            stickers: None,
            ttl_seconds: None,
            video: None,
        }
        .into()
    } else {
        types::InputMediaUploadedDocument {
            nosound_video: false,
            force_file: true,
            spoiler: false,
            file: message.file,
            thumb: None,
            mime_type: Str::from(message.mime),
            attributes: vec![types::DocumentAttributeFilename { file_name: Str::from(message.name) }.into()],
            stickers: None,
            video_cover: None,
            video_timestamp: None,
            ttl_seconds: None,
        }
        .into()
    };
    let reply_to = message.topic.map(|topic| {
        types::InputReplyToMessage {
            reply_to_msg_id: topic,
            top_msg_id: Some(topic),
            reply_to_peer_id: None,
            quote_text: None,
            quote_entities: None,
            quote_offset: None,
            monoforum_peer_id: None,
            todo_item_id: None,
            poll_option: None,
        }
        .into()
    });
    let request = functions::messages::SendMedia {
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: peer.input.clone(),
        reply_to,
        media,
        message: Str::from(message.caption),
        random_id,
        reply_markup: None,
        entities: (!message.entities.is_empty()).then_some(message.entities),
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
    };
    match client.invoke(&request).await {
        Ok(updates) => {
            Ok(Some(sent_id(&updates, random_id).ok_or(ChatError::UnexpectedAnswer { method: "messages.sendMedia" })?))
        }
        Err(InvokeError::Rpc(error)) if error.name == "RANDOM_ID_DUPLICATE" => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The identifier that the server gave to the message with this `random_id`.
fn sent_id(updates: &enums::Updates, random_id: i64) -> Option<i32> {
    let list = match updates {
        enums::Updates::Updates(u) => &u.updates,
        enums::Updates::Combined(u) => &u.updates,
        enums::Updates::UpdateShortSentMessage(u) => return Some(u.id),
        _ => return None,
    };
    list.iter().find_map(|update| match update {
        enums::Update::MessageId(u) if u.random_id == random_id => Some(u.id),
        _ => None,
    })
}
