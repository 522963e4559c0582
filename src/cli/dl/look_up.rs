//! From messages to the files that they carry.

use std::collections::HashMap;
use std::sync::Arc;

use tdl::chat::media::{self, Media, Selection, Thumbs};
use tdl::chat::peers::Peer;
use tdl::chat::{export, files, history, peers, stories};
use tdl::store::FileOwner;
use tdl::tl::api::{enums, types};
use tdl::transfer::name::safe_path;

use super::fields::Asker;
use super::items::Item;
use super::naming::{Choice, Name};
use super::run::Run;
use crate::cli::failure::Failure;

/// A file of a message, ready to be downloaded.
pub(super) struct Wanted {
    pub(super) index: u32,
    /// The message as a link, for the retry list and for reports.
    pub(super) text: String,
    pub(super) peer: Arc<Peer>,
    pub(super) message: i32,
    pub(super) date: i32,
    pub(super) media: Media,
    pub(super) name: Name,
}

impl Wanted {
    pub(super) fn owner(&self) -> FileOwner {
        owner_of(&self.peer, self.message, &self.media)
    }
}

fn owner_of(peer: &Peer, message: i32, media: &Media) -> FileOwner {
    FileOwner { chat: peer.id, message, media: media.id, size: media.size }
}

/// What became of one item of a page.
pub(super) enum Found {
    /// Files to download, or to leave out for the reason that stands beside each.
    Files(Vec<File>),
    /// An earlier process of this run has downloaded all of it, and it is still there.
    Done,
    /// It has none that can be had.
    Failed(Failure),
}

/// One file of an item.
pub(super) enum File {
    Wanted(Box<Wanted>),
    /// Left out: its name, and why.
    Skipped(String, &'static str),
}

/// What one page of look-ups brought, by item.
pub(super) type Page = Vec<(u32, Found)>;

impl Run<'_> {
    /// Resolves the messages of one page, many of one chat in one request, and gives each file its name.
    pub(super) async fn look_up(&self, page: Vec<u32>) -> Page {
        let items: Vec<(u32, Item)> = page.into_iter().filter_map(|i| Some((i, self.items.get(i)?))).collect();
        match self.look_up_together(&items).await {
            Ok(page) => page,
            // What went wrong for the page went wrong for each of its messages.
            Err(Failure::Item(why)) => items.iter().map(|(i, _)| (*i, Found::Failed(Failure::Item(why.clone())))).collect(),
            Err(other) => items.first().map(|(i, _)| (*i, Found::Failed(other))).into_iter().collect(),
        }
    }

    async fn look_up_together(&self, items: &[(u32, Item)]) -> Result<Page, Failure> {
        let Some((_, head)) = items.first() else { return Ok(Vec::new()) };
        let mut page = Vec::with_capacity(items.len());
        let mut left: Vec<(u32, Item)> = items.to_vec();
        let mut found: HashMap<i32, enums::Message> = HashMap::new();
        let peer = if let Some(comment) = head.comment {
            let (peer, message) = history::by_link(self.client, &self.items.link(*head)).await?;
            found.insert(comment, message);
            peer
        } else {
            let peer = peers::resolve(self.client, self.items.chat(*head)).await?;
            let mut open = Vec::with_capacity(left.len());
            for (index, item) in left {
                if self.was_done(index, peer.id, item.message)? {
                    page.push((index, Found::Done));
                } else {
                    open.push((index, item));
                }
            }
            left = open;
            let ids: Vec<i32> = left.iter().map(|(_, item)| item.message).collect();
            if !ids.is_empty() {
                let messages = history::by_ids(self.client, &peer, &ids).await?;
                found.extend(messages.into_iter().map(|m| (history::id_of(&m), m)));
            }
            peer
        };
        let peer = Arc::new(peer);
        let mut asker = Asker::new(self.client, &self.template);
        let mut claims = Vec::new();
        for (index, item) in left {
            let result = match found.get(&item.comment.unwrap_or(item.message)) {
                None if stories::number_of(item.message).is_some() => {
                    Err(Failure::Item("the story does not exist, has gone, or is not shown to this account".into()))
                }
                None => Err(Failure::Item("the message does not exist, or was deleted".into())),
                Some(message) => self.files_of(index, item, &peer, message, &mut asker).await,
            };
            match result {
                Ok(files) => {
                    let wanted = files.iter().filter_map(|file| match file {
                        File::Wanted(wanted) => wanted.name.claim(wanted.owner()),
                        File::Skipped(..) => None,
                    });
                    claims.extend(wanted);
                    page.push((index, Found::Files(files)));
                }
                Err(failure @ Failure::Item(_)) => page.push((index, Found::Failed(failure))),
                Err(other) => return Err(other),
            }
        }
        if !self.args.dry_run && self.args.out.is_none() {
            self.namespace.claim_names(&claims)?;
        }
        Ok(page)
    }

    /// Whether an earlier process of this run has finished the message and its files are still there: then it need not be looked up.
    fn was_done(&self, index: u32, chat: i64, message: i32) -> Result<bool, Failure> {
        let Some(record) = self.record.as_ref().filter(|record| record.is_done(index)) else { return Ok(false) };
        let since = record.taken_up().unwrap_or(i64::MAX);
        let mut files = self.namespace.saved_files(chat, message)?;
        files.retain(|file| file.saved_at.is_some_and(|at| at >= since));
        let there = |file: &tdl::store::SavedFile| {
            std::fs::metadata(&file.path).is_ok_and(|found| found.is_file() && found.len() == file.owner.size)
        };
        // Of an album only the message itself is known here.
        Ok(!self.args.group && !files.is_empty() && files.iter().all(there))
    }

    async fn files_of(
        &self,
        index: u32,
        item: Item,
        peer: &Arc<Peer>,
        message: &enums::Message,
        asker: &mut Asker<'_>,
    ) -> Result<Vec<File>, Failure> {
        let Some(message) = export::regular(message) else {
            return Err(Failure::Item("a service message: it has no file".into()));
        };
        let album =
            if self.args.group { history::album(self.client, peer, message).await? } else { vec![message.clone().into()] };
        let mut files = Vec::new();
        for message in album.iter().filter_map(export::regular) {
            for media in files::meant(self.client, message, &self.selection).await? {
                files.push(self.named(index, item, peer, message, media, asker).await?);
            }
        }
        if !files.is_empty() {
            return Ok(files);
        }
        self.nothing_of(item, message)
    }

    /// What to say of a message without a file that is meant: what was left out is no failure.
    fn nothing_of(&self, item: Item, message: &types::Message) -> Result<Vec<File>, Failure> {
        let (meant, mut wider) = (&self.selection, self.selection.clone());
        (wider.kinds, wider.thumbs, wider.stories) = (Vec::new(), Thumbs::Without, true);
        let left_out = |name| Ok(vec![File::Skipped(name, "nothing of it was asked for")]);
        let first = |selection: &Selection| media::files_of(message, selection).into_iter().next();
        if let Some(media) = first(&wider) {
            return left_out(media.name);
        }
        if media::untold_story(message).is_some() && (!meant.stories || !meant.kinds.is_empty()) {
            return left_out(self.items.text(item));
        }
        wider.web_pages = true;
        let advice = match first(&wider) {
            Some(_) => Some("but below it, of a link or a game: --preview takes that"),
            None => {
                wider.instant_view = true;
                first(&wider).map(|_| "but in the article behind its link: --article takes that")
            }
        };
        Err(Failure::Item(match advice {
            Some(advice) => format!("the {} has no file of its own, {advice}", stories::named(message.id).0),
            None => format!("the {} has no file that can be downloaded", stories::named(message.id).0),
        }))
    }

    /// Gives a file its name, unless it is not wanted.
    async fn named(
        &self,
        index: u32,
        item: Item,
        peer: &Arc<Peer>,
        message: &types::Message,
        media: Media,
        asker: &mut Asker<'_>,
    ) -> Result<File, Failure> {
        if !self.extensions.admits(&media.name) {
            return Ok(File::Skipped(media.name, "not one of the wanted extensions"));
        }
        let told = self.items.told(item);
        let fields = asker.fields(peer, message, &media, index.saturating_add(1), told).await?;
        let target = safe_path(&self.args.dir, &self.template.name(&fields)?);
        let name = match self.names.choose(self.namespace, owner_of(peer, message.id, &media), &target)? {
            Choice::Take(name) => name,
            Choice::Twice => return Ok(File::Skipped(media.name, "the same message is in this run already")),
        };
        Ok(File::Wanted(Box::new(Wanted {
            index,
            text: self.items.text(item),
            peer: Arc::clone(peer),
            message: message.id,
            date: message.date,
            media,
            name,
        })))
    }
}
