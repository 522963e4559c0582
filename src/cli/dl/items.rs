//! The messages that a run is about, and in which pages they are looked up.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use tdl::chat::links::{ChatRef, MessageLink};
use tdl::chat::{export, history, links, stories};
use tdl::store::{Fingerprint, PartSet};
use tdl::transfer::fingerprint::Identity;

use super::args::DlArgs;
use crate::cli::exit::CliError;

/// One message to look at. There may be very many: what they have in common is in [`Items`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Item {
    /// Index of its chat.
    chat: u32,
    pub(super) message: i32,
    pub(super) comment: Option<i32>,
}

/// All messages of a run, each once, in order.
#[derive(Debug, Default)]
pub(super) struct Items {
    chats: Vec<ChatRef>,
    list: Vec<Item>,
    known: HashSet<Item>,
    /// What an export says of a message.
    told: HashMap<Item, serde_json::Value>,
}

impl Items {
    fn chat_index(&mut self, chat: ChatRef) -> u32 {
        // Neighbours are of one chat nearly always, and there are few chats.
        let found = self.chats.iter().rposition(|known| *known == chat);
        let index = found.unwrap_or_else(|| {
            self.chats.push(chat);
            self.chats.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    fn push(&mut self, item: Item) {
        if self.known.insert(item) {
            self.list.push(item);
        }
    }

    fn push_link(&mut self, link: MessageLink) {
        let chat = self.chat_index(link.chat);
        self.push(Item { chat, message: link.message, comment: link.comment });
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The item at `index`.
    pub(super) fn get(&self, index: u32) -> Option<Item> {
        self.list.get(index as usize).copied()
    }

    /// Its chat.
    pub(super) fn chat(&self, item: Item) -> &ChatRef {
        self.chats.get(item.chat as usize).unwrap_or(&ChatRef::Own)
    }

    /// The link that names it.
    pub(super) fn link(&self, item: Item) -> MessageLink {
        MessageLink { chat: self.chat(item).clone(), message: item.message, comment: item.comment }
    }

    /// All of them as links.
    pub(super) fn links(&self) -> Vec<MessageLink> {
        self.list.iter().map(|item| self.link(*item)).collect()
    }

    /// What an export says of it.
    pub(super) fn told(&self, item: Item) -> Option<&serde_json::Value> {
        self.told.get(&item)
    }

    /// As the retry list and the reports write it.
    pub(super) fn text(&self, item: Item) -> String {
        let place = match stories::number_of(item.message) {
            Some(number) => format!("s/{number}"),
            None => item.message.to_string(),
        };
        let mut text = match self.chat(item) {
            ChatRef::Username(name) => format!("https://t.me/{name}/{place}"),
            ChatRef::Id(id) => format!("https://t.me/c/{id}/{place}"),
            chat @ (ChatRef::Own | ChatRef::Phone(_)) => format!("{chat}/{place}"),
        };
        if let Some(comment) = item.comment {
            text.push_str(&format!("?comment={comment}"));
        }
        text
    }

    /// What makes the run the same run: the messages, in their order, and how their files are chosen and named.
    pub(super) fn fingerprint(&self, args: &DlArgs) -> Fingerprint {
        let mut identity =
            Identity::new("dl run").text(&args.dir.to_string_lossy()).text(&args.template).number(args.group.into());
        let chosen = [args.include.join(","), args.exclude.join(",")].into_iter().chain(args.which.flags());
        for chosen in chosen {
            identity = identity.text(&chosen);
        }
        for chat in &self.chats {
            identity = identity.text(&chat.to_string());
        }
        for item in &self.list {
            identity = identity.number(item.chat.into()).number(item.message.into()).number(item.comment.unwrap_or(0).into());
        }
        identity.finish()
    }

    /// The items in pages: neighbours of one chat together, up to what one request takes; stories apart from messages, comments alone.
    pub(super) fn pages(&self) -> impl Iterator<Item = Vec<u32>> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let first = *self.list.get(next)?;
            let is_story = |item: Item| stories::number_of(item.message).is_some();
            let alike = |item: Item| item.chat == first.chat && is_story(item) == is_story(first);
            let joins = |item: &&Item| alike(**item) && item.comment.is_none() && first.comment.is_none();
            let more = self.list.iter().skip(next + 1).take(history::PAGE - 1).take_while(joins).count();
            let page = next..next + 1 + more;
            next = page.end;
            Some(page.filter_map(|i| u32::try_from(i).ok()).collect())
        })
    }
}

/// The messages that the arguments name: links as they were given, those of each export from the oldest to the newest; with `--desc` all of
/// it the other way round. `told` says whether to keep what an export says of each message.
pub(super) fn collect(args: &DlArgs, told: bool) -> Result<Items, CliError> {
    let unreadable = |path: &Path, e: std::io::Error| CliError::failed(format!("cannot read {}: {e}", path.display()));
    let mut texts = args.url.clone();
    if let Some(list) = &args.link_list {
        let bytes = std::fs::read(list).map_err(|e| unreadable(list, e))?;
        texts.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned));
    }
    let mut items = Items::default();
    for text in texts.iter().filter(|t| !t.trim().is_empty()) {
        items.push_link(links::message_link(text).map_err(|e| CliError::usage(e.to_string()))?);
    }
    for path in &args.file {
        let file = File::open(path).map_err(|e| unreadable(path, e))?;
        let exports = export::read(BufReader::with_capacity(256 * 1024, file), told)
            .map_err(|e| CliError::failed(format!("{}: {e}", path.display())))?;
        for mut export in exports {
            let chat = items.chat_index(ChatRef::Id(export.chat));
            export.messages.sort_unstable();
            for message in export.messages {
                let item = Item { chat, message, comment: None };
                items.push(item);
                if let Some(entry) = export.entries.remove(&message) {
                    items.told.insert(item, entry);
                }
            }
        }
    }
    items.known = HashSet::new();
    if args.desc {
        items.list.reverse();
    }
    if items.list.is_empty() {
        return Err(CliError::failed("there is nothing to download").advise("the export holds no message with a file"));
    }
    if items.list.len() > PartSet::MAX_LEN as usize {
        return Err(CliError::usage(format!("{} messages are too many for one run", items.list.len())).advise(format!(
            "give at most {} at once: export the chat in several pieces with `tdl chat export -T id -i FROM,TO`",
            PartSet::MAX_LEN
        )));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Shell {
        #[command(flatten)]
        args: DlArgs,
    }

    fn collected(line: &str) -> Items {
        let args = Shell::try_parse_from(format!("x {line}").split_whitespace()).unwrap().args;
        collect(&args, true).unwrap()
    }

    fn link(chat: i64, message: i32, comment: Option<i32>) -> MessageLink {
        MessageLink { chat: ChatRef::Id(chat), message, comment }
    }

    #[test]
    fn neighbours_of_a_chat_share_a_page_and_comments_do_not() {
        let mut items = Items::default();
        (1..=150).for_each(|m| items.push_link(link(1, m, None)));
        for other in [link(2, 1, None), link(2, 2, Some(5)), link(2, 3, None), link(2, -3, None), link(2, -4, None)] {
            items.push_link(other);
        }
        let pages: Vec<Vec<u32>> = items.pages().collect();
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [100, 50, 1, 1, 1, 2]);
        assert_eq!(pages.concat(), (0..155).collect::<Vec<_>>());
    }

    #[test]
    fn an_item_reads_back_from_the_retry_list() {
        let mut items = Items::default();
        for link in [link(1_697_797_156, 151, None), link(7, 3, Some(9)), link(7, -12, None)] {
            items.push_link(link.clone());
            let item = *items.list.last().unwrap();
            assert_eq!(links::message_link(&items.text(item)).unwrap(), link);
        }
    }

    #[test]
    fn an_export_goes_from_old_to_new_unless_asked_for_the_other_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.json");
        let text = r#"{"id":7,"messages":[{"id":9,"type":"message","file":"c","text":"nine"},{"id":5,"type":"message","file":"b"},
            {"id":9,"type":"message","file":"c"}]}"#;
        std::fs::write(&path, text).unwrap();
        let order = |items: &Items| items.list.iter().map(|i| i.message).collect::<Vec<_>>();
        let up = collected(&format!("-u https://t.me/c/7/20 -f {}", path.display()));
        assert_eq!(order(&up), [20, 5, 9]);
        assert_eq!(up.told(up.list[1]).unwrap()["file"], "b");
        let down = collected(&format!("--desc -u https://t.me/c/7/20 -f {}", path.display()));
        assert_eq!(order(&down), [9, 5, 20]);
        let args = |line: &str| Shell::try_parse_from(format!("x -u t.me/c/7/20 {line}").split_whitespace()).unwrap().args;
        assert_eq!(up.fingerprint(&args("")), up.fingerprint(&args("")));
        assert_ne!(up.fingerprint(&args("")), down.fingerprint(&args("")));
        for other in ["-d other", "--thumb", "--size m", "-i jpg", "-e jpg"] {
            assert_ne!(up.fingerprint(&args("")), up.fingerprint(&args(other)), "{other}");
        }
    }
}
