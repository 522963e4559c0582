//! Files of messages, for a client that is logged in.
//!
//! A message is looked up once for all requests that want it at the same time, and believed for a short while: so sixteen connections for one
//! file cost one look-up, and a message that was deleted is gone soon. Its sources live as long as the same file is found again, with what
//! they have learned of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::file::FileInfo;
use super::path::FilePath;
use super::shelf::{FindError, Item, Listed, Shelf};
use super::source::{BoxFuture, RangeSource, SourceError};
use crate::chat::links::{ChatRef, MessageLink};
use crate::chat::media::{Media, Selection};
use crate::chat::peers::Peer;
use crate::chat::{ChatError, export, files, history, peers};
use crate::client::{Client, InvokeError};
use crate::tl::api::{enums, types};
use crate::transfer::TransferError;
use crate::transfer::flow::Flow;
use crate::transfer::source::Source;

/// How long a message is believed to be what it was.
const FRESH: Duration = Duration::from_secs(60);
/// Messages that are remembered; the oldest make room.
const REMEMBERED: usize = 2048;
/// Messages on one page of the list: those of one request.
const PAGE: usize = history::PAGE;

/// Which file names the list shows.
pub type Wanted = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The messages of an account, and the list of those that the server was started with.
pub struct Messages {
    client: Client,
    flow: Flow,
    links: Vec<MessageLink>,
    selection: Selection,
    albums: bool,
    wanted: Wanted,
    known: Mutex<HashMap<Key, Arc<Known>>>,
}

/// What a message is known by.
type Key = (String, i32, Option<i32>);

fn key_of(link: &MessageLink) -> Key {
    (link.chat.to_string().to_lowercase(), link.message, link.comment)
}

struct Known {
    since: Instant,
    /// What was found the last time.
    before: Option<Arc<Files>>,
    found: OnceCell<Arc<Files>>,
}

/// The files of a message.
struct Files {
    chat: i64,
    message: i32,
    items: Vec<Item>,
}

impl Messages {
    /// The files of any message that the account of `client` sees, as far as `selection` means them and what a link's preview shows, read
    /// in turn with the other files of `flow`. `links`: those on the list, of which it shows the files whose names are `wanted`. With
    /// `albums`, a message's files are those of its whole album.
    pub fn new(
        client: &Client,
        flow: &Flow,
        links: Vec<MessageLink>,
        selection: Selection,
        albums: bool,
        wanted: Wanted,
    ) -> Self {
        // Whoever asks for a message with nothing but a link means what the link shows.
        let selection = Selection { web_pages: true, ..selection };
        Self { client: client.clone(), flow: flow.clone(), links, selection, albums, wanted, known: Mutex::default() }
    }

    /// The place of a message among those that are known, anew if what is there is too old.
    fn place(&self, key: Key) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match known.get(&key) {
            Some(place) if place.since.elapsed() < FRESH => return Arc::clone(place),
            Some(old) => old.found.get().or(old.before.as_ref()).cloned(),
            None => None,
        };
        if known.len() >= REMEMBERED {
            let mut ages: Vec<Instant> = known.values().map(|k| k.since).collect();
            let (_, middle, _) = ages.select_nth_unstable(REMEMBERED / 2);
            let middle = *middle;
            known.retain(|_, k| k.since > middle);
        }
        let place = Arc::new(Known { since: Instant::now(), before, found: OnceCell::new() });
        known.insert(key, Arc::clone(&place));
        place
    }

    async fn files(&self, link: &MessageLink) -> Result<Arc<Files>, FindError> {
        let place = self.place(key_of(link));
        let look_up = async || {
            let (peer, message) = history::by_link(&self.client, link).await?;
            self.files_of(&Arc::new(peer), &message, place.before.as_deref()).await
        };
        place.found.get_or_try_init(look_up).await.cloned()
    }

    /// The files that a message carries, or its album.
    async fn files_of(
        &self,
        peer: &Arc<Peer>,
        message: &enums::Message,
        before: Option<&Files>,
    ) -> Result<Arc<Files>, FindError> {
        let id = history::id_of(message);
        let mut items = Vec::new();
        if let Some(message) = export::regular(message) {
            let album = match self.albums {
                true => history::album(&self.client, peer, message).await?,
                false => Vec::new(),
            };
            if album.is_empty() {
                items = self.items_of(peer, message, before).await?;
            }
            for message in album.iter().filter_map(export::regular) {
                items.extend(self.items_of(peer, message, before).await?);
            }
        }
        Ok(Arc::new(Files { chat: peer.id, message: id, items }))
    }

    async fn items_of(
        &self,
        peer: &Arc<Peer>,
        message: &types::Message,
        before: Option<&Files>,
    ) -> Result<Vec<Item>, FindError> {
        let found = files::meant(&self.client, message, &self.selection).await?;
        let items = found.into_iter().map(|media| {
            let info = info_of(&media);
            // The same bytes: what is known of where they are is kept.
            let same = |old: &&Item| old.info.id == info.id && old.info.kind == info.kind && old.info.size == info.size;
            let source = match before.and_then(|before| before.items.iter().find(same)) {
                Some(old) => Arc::clone(&old.source),
                None => self.source(peer, message.id, &media),
            };
            Item { info, source }
        });
        Ok(items.collect())
    }

    fn source(&self, peer: &Arc<Peer>, message: i32, media: &Media) -> Arc<dyn RangeSource> {
        Arc::new(Remoted(files::source(&self.client, &self.flow, peer, message, media)))
    }

    async fn listed(&self, page: u32) -> Result<Vec<Listed>, FindError> {
        let first = (page as usize).saturating_sub(1).saturating_mul(PAGE).min(self.links.len());
        let links = &self.links[first..(first + PAGE).min(self.links.len())];
        let mut files: Vec<Arc<Files>> = Vec::new();
        // Neighbours of one chat are looked up together.
        let alike = |a: &MessageLink, b: &MessageLink| a.chat == b.chat && a.is_story() == b.is_story();
        for run in links.chunk_by(|a, b| alike(a, b) && a.comment.is_none() && b.comment.is_none()) {
            match self.run(run).await {
                Ok(found) => files.extend(found),
                // One chat that is gone does not take the others with it.
                Err(FindError::NoChat(_) | FindError::NoMessage | FindError::NoFile { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut listed = Vec::new();
        for files in files {
            for (number, item) in (1..).zip(&files.items) {
                if (self.wanted)(&item.info.name) {
                    let (chat, message, info) = (files.chat, files.message, item.info.clone());
                    listed.push(Listed { chat, message, file: number, info });
                }
            }
        }
        Ok(listed)
    }

    /// The files of messages of one chat, or of one comment.
    async fn run(&self, links: &[MessageLink]) -> Result<Vec<Arc<Files>>, FindError> {
        let Some(head) = links.first() else { return Ok(Vec::new()) };
        if head.comment.is_some() {
            return Ok(vec![self.files(head).await?]);
        }
        let peer = Arc::new(peers::resolve(&self.client, &head.chat).await?);
        let ids: Vec<i32> = links.iter().map(|l| l.message).collect();
        let mut all = Vec::with_capacity(ids.len());
        for message in history::by_ids(&self.client, &peer, &ids).await? {
            // The links of the list name chats by id: who follows one finds here what is known already.
            let link = MessageLink { chat: ChatRef::Id(peer.id), message: history::id_of(&message), comment: None };
            let place = self.place(key_of(&link));
            let make = async || self.files_of(&peer, &message, place.before.as_deref()).await;
            match place.found.get_or_try_init(make).await {
                Ok(files) => all.push(Arc::clone(files)),
                // A message with a story that is gone does not take the others with it.
                Err(FindError::NoChat(_) | FindError::NoMessage | FindError::NoFile { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

impl Shelf for Messages {
    fn find<'a>(&'a self, path: &'a FilePath) -> BoxFuture<'a, Result<Item, FindError>> {
        Box::pin(async move {
            let files = self.files(&path.link).await?;
            let count = u32::try_from(files.items.len()).unwrap_or(u32::MAX);
            let item = (path.file as usize).checked_sub(1).and_then(|at| files.items.get(at));
            item.cloned().ok_or(FindError::NoFile { asked: path.file, count })
        })
    }

    fn pages(&self) -> u32 {
        u32::try_from(self.links.len().div_ceil(PAGE)).unwrap_or(u32::MAX).max(1)
    }

    fn page(&self, page: u32) -> BoxFuture<'_, Result<Vec<Listed>, FindError>> {
        Box::pin(self.listed(page))
    }
}

fn info_of(media: &Media) -> FileInfo {
    FileInfo {
        id: media.id,
        kind: media.copy().to_owned(),
        name: media.name.clone(),
        size: media.size,
        mime: media.mime.clone(),
        date: media.date.into(),
    }
}

/// A file on the server as the bodies of answers read it.
struct Remoted(Source);

impl RangeSource for Remoted {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read(&self, offset: u64, len: u32) -> BoxFuture<'static, Result<Bytes, SourceError>> {
        let source = self.0.clone();
        Box::pin(async move {
            let bytes = source.read(offset, len).await?;
            // A copy, for the memory of the flow is for what is on its way: a client that takes its time must not keep others from reading.
            Ok(Bytes::copy_from_slice(&bytes))
        })
    }
}

impl From<TransferError> for SourceError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Invoke(error) => error.into(),
            TransferError::Gone => Self::Gone,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<InvokeError> for SourceError {
    fn from(error: InvokeError) -> Self {
        match error {
            InvokeError::FloodWait { seconds, .. } => Self::Wait { seconds },
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<ChatError> for FindError {
    fn from(error: ChatError) -> Self {
        match error {
            ChatError::UnknownId { .. } | ChatError::NotFound(_) | ChatError::Link(_) => Self::NoChat(error.to_string()),
            ChatError::NoMessage { .. } => Self::NoMessage,
            // The server knows no such chat or message, or shows it to others only: 400, 403 and 406.
            ChatError::Invoke(InvokeError::Rpc(error)) if (400..420).contains(&error.code) => Self::NoChat(error.to_string()),
            ChatError::Invoke(error) => Self::Source(error.into()),
            ChatError::Store(_) | ChatError::UnexpectedAnswer { .. } => Self::Source(SourceError::Failed(error.to_string())),
        }
    }
}
