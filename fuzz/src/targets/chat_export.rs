//! Exports of chats, as `dl -f` reads them. Input: the file.

use tdl::chat::export::{Export, read};

use super::Seed;

pub fn run(data: &[u8]) {
    let plain = read(data, false);
    let told = read(data, true);
    if let (Ok(plain), Ok(told)) = (&plain, &told) {
        let ids = |exports: &[Export]| exports.iter().map(|e| (e.chat, e.messages.clone())).collect::<Vec<_>>();
        assert_eq!(ids(plain), ids(told), "what is said of messages changes nothing about which they are");
        for export in plain {
            assert!(export.chat >= 0 && export.messages.iter().all(|id| *id > 0));
            assert!(export.messages.len() <= data.len() / 8, "each message takes some text");
        }
        for export in told {
            assert!(export.messages.iter().all(|id| export.entries.contains_key(id)));
        }
    }
}

pub fn seeds() -> Vec<Seed> {
    let own = r#"{"id":1697797156,"messages":[{"id":151,"type":"message","file":"foo.zip"},{"id":150,"type":"message","file":"","date":1}]}"#;
    let desktop = r#"{"name":"x","type":"personal_chat","id":-42,"messages":[{"id":1,"type":"service"},
{"id":2,"type":"message","text":[{"type":"bold","text":"x"}],"photo":"p.jpg"}]}"#;
    let account = r#"{"chats":{"about":"","list":[{"id":1,"messages":[{"id":3,"type":"message","file":"a"}]}]},"left_chats":{"list":[]}}"#;
    let files = [("own", own), ("desktop", desktop), ("account", account)];
    files.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect()
}
