//! What clients ask the server of files for. Input: lines of text: the path with its query, the `Range` field, a list of entity tags, the
//! `Host` field.

use tdl::chat::links::ChatRef;
use tdl::serve::access::{Access, Claim};
use tdl::serve::conditional::{Conditions, Validators};
use tdl::serve::path::{self, Query, Target, encoded};
use tdl::serve::range::{self, MAX_RANGES};

use super::Seed;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (address, field, tags, host) = (next(), next(), next(), next());

    let (at, query) = address.split_once('?').map_or((address, None), |(at, query)| (at, Some(query)));
    let query = Query::parse(query);
    assert!(query.page > 0);
    match path::parse(at, &query) {
        Ok(Target::File(file)) => {
            assert!(file.file > 0 && file.link.message > 0);
            assert!(!matches!(file.link.chat, ChatRef::Phone(_)));
            // The name behind it means nothing, whatever it is. (Links may name chats by negative numbers; paths drop the sign.)
            if let ChatRef::Id(chat @ 0..) = file.link.chat {
                let named = format!("/{chat}/{}/{}/{}", file.link.message, file.file, encoded(text));
                let again = path::parse(&named, &query);
                assert!(named.len() > 2048 || again == Ok(Target::File(file)), "{again:?}");
            }
        }
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }

    for size in [0, 1, 1000, u64::MAX] {
        match range::parse(field, size) {
            Ok(ranges) => {
                assert!(!ranges.is_empty() && ranges.len() <= MAX_RANGES);
                for (at, range) in ranges.iter().enumerate() {
                    assert!(!range.is_empty() && range.end <= size);
                    let apart = |other: &range::ByteRange| other.end < range.start || range.end < other.start;
                    assert!(ranges[..at].iter().all(apart), "{ranges:?}");
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }

    let file = Validators { etag: "\"7-64\"".to_owned(), modified: None };
    let conditions = Conditions { if_none_match: Some(tags), if_range: Some(tags), ..Conditions::default() };
    let _ = (file.judge(&conditions), file.range_counts(&conditions));

    if let Ok(access) = Access::new(([127, 0, 0, 1], 80).into(), None, Vec::new()) {
        let claim = Claim { host: Some(host), path: at, ..Claim::default() };
        if access.admit(&claim).is_ok() {
            assert!(host.contains("localhost") || host.to_lowercase().contains("localhost") || host.contains(['.', ':']));
        }
    }
}

pub fn seeds() -> Vec<Seed> {
    let seed = |name: &str, lines: [&str; 4]| (name.to_owned(), lines.join("\n").into_bytes());
    vec![
        seed("whole", ["/telegram/193", "", "", "localhost:8080"]),
        seed("named", ["/-1001697797156/151/2/a%20b%2Fc.mp4?download=1", "bytes=0-499", "*", "127.0.0.1"]),
        seed("link", ["/https://t.me/c/1697797156/7/151?comment=9", "bytes=-500", "\"7-64\"", "[::1]:80"]),
        seed("several", ["/me/7?page=2&token=x", "bytes=0-9,20-29, 5-24,900-", "W/\"a\", \"7-64\"", "example.org"]),
        seed("large", ["/index.json", "bytes=18446744073709551615-18446744073709551615", "\"", "[::"]),
    ]
}
