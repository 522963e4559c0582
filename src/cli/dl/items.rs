//! The messages that a run is about, and in which pages they are looked up.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use tdl::chat::links::{ChatRef, MessageLink};
use tdl::chat::{export, history, links};

use super::args::DlArgs;
use crate::cli::exit::CliError;

/// One message to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) link: MessageLink,
}

impl Item {
    /// As the retry list and the reports write it.
    pub(super) fn text(&self) -> String {
        let mut text = match &self.link.chat {
            ChatRef::Username(name) => format!("https://t.me/{name}/{}", self.link.message),
            ChatRef::Id(id) => format!("https://t.me/c/{id}/{}", self.link.message),
            ChatRef::Own | ChatRef::Phone(_) => format!("{}/{}", self.link.chat, self.link.message),
        };
        if let Some(comment) = self.link.comment {
            text.push_str(&format!("?comment={comment}"));
        }
        text
    }
}

/// The messages that the arguments name, each once, in order.
pub(super) fn collect(args: &DlArgs) -> Result<Vec<Item>, CliError> {
    let unreadable = |path: &Path, e: &std::io::Error| CliError::failed(format!("cannot read {}: {e}", path.display()));
    let mut texts = args.url.clone();
    if let Some(list) = &args.link_list {
        texts.extend(
            String::from_utf8_lossy(&std::fs::read(list).map_err(|e| unreadable(list, &e))?).lines().map(str::to_owned),
        );
    }
    let mut items = Vec::new();
    for text in texts.iter().filter(|t| !t.trim().is_empty()) {
        items.push(Item { link: links::message_link(text).map_err(|e| CliError::usage(e.to_string()))? });
    }
    for path in &args.file {
        let file = File::open(path).map_err(|e| unreadable(path, &e))?;
        let exports = export::read(BufReader::with_capacity(256 * 1024, file), false)
            .map_err(|e| CliError::failed(format!("{}: {e}", path.display())))?;
        for export in exports {
            let link = |message| MessageLink { chat: ChatRef::Id(export.chat), message, comment: None };
            items.extend(export.messages.iter().map(|id| Item { link: link(*id) }));
        }
    }
    let mut known = HashSet::new();
    items.retain(|item| known.insert(item.text()));
    if args.desc {
        items.reverse();
    }
    if items.is_empty() {
        return Err(CliError::failed("there is nothing to download").advise("the export holds no message with a file"));
    }
    Ok(items)
}

/// The items in pages: neighbours of one chat together, up to what one request takes; comments alone.
pub(super) fn pages(items: &[Item]) -> Vec<Vec<u32>> {
    let mut pages: Vec<Vec<u32>> = Vec::new();
    let mut last: Option<&Item> = None;
    for (index, item) in (0..).zip(items) {
        let joins =
            last.is_some_and(|l| l.link.chat == item.link.chat && l.link.comment.is_none() && item.link.comment.is_none());
        match pages.last_mut() {
            Some(page) if joins && page.len() < history::PAGE => page.push(index),
            _ => pages.push(vec![index]),
        }
        last = Some(item);
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(chat: i64, message: i32, comment: Option<i32>) -> Item {
        Item { link: MessageLink { chat: ChatRef::Id(chat), message, comment } }
    }

    #[test]
    fn neighbours_of_a_chat_share_a_page_and_comments_do_not() {
        let mut items: Vec<Item> = (1..=150).map(|m| item(1, m, None)).collect();
        items.push(item(2, 1, None));
        items.push(item(2, 2, Some(5)));
        items.push(item(2, 3, None));
        let sizes: Vec<usize> = pages(&items).iter().map(Vec::len).collect();
        assert_eq!(sizes, [100, 50, 1, 1, 1]);
    }

    #[test]
    fn an_item_reads_back_from_the_retry_list() {
        for item in [item(1_697_797_156, 151, None), item(7, 3, Some(9))] {
            assert_eq!(links::message_link(&item.text()).unwrap(), item.link);
        }
    }
}
