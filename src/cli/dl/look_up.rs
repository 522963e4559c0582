//! From messages to the files that they carry.

use std::collections::HashMap;
use std::sync::Arc;

use tdl::chat::media::Media;
use tdl::chat::peers::Peer;
use tdl::chat::{export, history, peers};

use super::items::Item;
use super::run::Run;
use crate::cli::failure::Failure;

/// A file of a message, ready to be downloaded.
pub(super) struct Wanted {
    pub(super) index: u32,
    pub(super) text: String,
    pub(super) peer: Arc<Peer>,
    pub(super) message: i32,
    pub(super) date: i32,
    pub(super) caption: String,
    pub(super) media: Media,
}

/// Messages that one page of look-ups brought: files, and items that turned out to have none.
pub(super) type Page = Vec<(u32, String, Result<Vec<Wanted>, Failure>)>;

impl Run<'_> {
    /// Resolves the messages of one page: many of one chat in one request.
    pub(super) async fn look_up(&self, page: Vec<u32>, items: &[Item]) -> Page {
        let items: Vec<(u32, &Item)> = page.into_iter().filter_map(|i| Some((i, items.get(i as usize)?))).collect();
        let fail_all = |items: &[(u32, &Item)], failure: &dyn Fn() -> Failure| {
            items.iter().map(|(i, item)| (*i, item.text(), Err(failure()))).collect::<Page>()
        };
        let Some((_, head)) = items.first() else { return Vec::new() };
        let mut found: HashMap<i32, tdl::tl::api::enums::Message> = HashMap::new();
        let peer = if head.link.comment.is_some() {
            match history::by_link(self.client, &head.link).await {
                Ok((peer, message)) => {
                    found.insert(head.link.message, message);
                    peer
                }
                Err(error) => return vec![(items.first().map_or(0, |(i, _)| *i), head.text(), Err(error.into()))],
            }
        } else {
            let peer = match peers::resolve(self.client, &head.link.chat).await {
                Ok(peer) => peer,
                Err(error) => match Failure::from(error) {
                    Failure::Item(why) => return fail_all(&items, &|| Failure::Item(why.clone())),
                    other => return vec![(0, head.text(), Err(other))],
                },
            };
            let ids: Vec<i32> = items.iter().map(|(_, item)| item.link.message).collect();
            match history::by_ids(self.client, &peer, &ids).await {
                Ok(messages) => found.extend(messages.into_iter().map(|m| (history::id_of(&m), m))),
                Err(error) => match Failure::from(error) {
                    Failure::Item(why) => return fail_all(&items, &|| Failure::Item(why.clone())),
                    other => return vec![(0, head.text(), Err(other))],
                },
            }
            peer
        };
        let peer = Arc::new(peer);
        let mut page = Vec::with_capacity(items.len());
        for (index, item) in items {
            let result = match found.get(&item.link.message) {
                None => Err(Failure::Item("the message does not exist, or was deleted".into())),
                Some(message) => self.files_of(index, &item.text(), &peer, message).await,
            };
            page.push((index, item.text(), result));
        }
        page
    }

    async fn files_of(
        &self,
        index: u32,
        text: &str,
        peer: &Arc<Peer>,
        message: &tdl::tl::api::enums::Message,
    ) -> Result<Vec<Wanted>, Failure> {
        let Some(message) = export::regular(message) else {
            return Err(Failure::Item("a service message: it has no file".into()));
        };
        let album =
            if self.args.group { history::album(self.client, peer, message).await? } else { vec![message.clone().into()] };
        let files: Vec<Wanted> = album
            .iter()
            .filter_map(export::regular)
            .filter_map(|m| {
                Some(Wanted {
                    index,
                    text: text.to_owned(),
                    peer: Arc::clone(peer),
                    message: m.id,
                    date: m.date,
                    caption: m.message.to_string(),
                    media: Media::of(m)?,
                })
            })
            .collect();
        if files.is_empty() { Err(Failure::Item("the message has no file that can be downloaded".into())) } else { Ok(files) }
    }
}
