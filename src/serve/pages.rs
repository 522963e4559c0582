//! The list of files: for people, for programs and for players.

use std::fmt::Write as _;

use serde_json::json;

use super::shelf::Listed;
use crate::chat::stories;

/// What a page of the list says about itself.
pub(super) struct Place {
    /// Its number, from 1.
    pub(super) page: u32,
    /// How many there are.
    pub(super) pages: u32,
}

/// What pages of ours may do: nothing but look like something.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>tdl</title>
<style>
body { font: 16px/1.4 system-ui, sans-serif; max-width: 48rem; margin: 0 auto; padding: 1rem }
ul { list-style: none; padding: 0 }
li { display: flex; gap: .75rem; align-items: baseline; padding: .6rem 0; border-bottom: 1px solid #8884 }
li a:first-child { flex: 1; overflow-wrap: anywhere }
small { opacity: .7; white-space: nowrap }
nav { display: flex; gap: 1rem; flex-wrap: wrap }
</style></head><body>
"#;

/// The page that a browser shows. `root`: the path of the list, which ends in a slash.
pub(super) fn html(files: &[Listed], root: &str, place: &Place) -> String {
    let root = escaped(root);
    let mut out = HEAD.to_owned();
    let page = if place.page > 1 { format!("?page={}", place.page) } else { String::new() };
    let _ = writeln!(
        out,
        "<nav><a href=\"{root}playlist.m3u8{page}\">Playlist</a> <a href=\"{root}index.json{page}\">JSON</a></nav>"
    );
    if files.is_empty() {
        out.push_str("<p>No files are listed. Any file of a message is at <code>/CHAT/MESSAGE</code>.</p>\n");
    }
    out.push_str("<ul>\n");
    for file in files {
        let (path, name) = (escaped(&file.path()), escaped(&file.info.safe_name()));
        let size = escaped(&size_text(file.info.size));
        let _ = writeln!(
            out,
            "<li><a href=\"{root}{path}\">{name}</a> <small>{size}</small> <a href=\"{root}{path}?download=1\">save</a></li>"
        );
    }
    out.push_str("</ul>\n");
    if place.pages > 1 {
        let _ = write!(out, "<nav><span>Page {} of {}</span>", place.page, place.pages);
        if place.page > 1 {
            let _ = write!(out, " <a href=\"{root}?page={}\">back</a>", place.page - 1);
        }
        if place.page < place.pages {
            let _ = write!(out, " <a href=\"{root}?page={}\">further</a>", place.page + 1);
        }
        out.push_str("</nav>\n");
    }
    out.push_str("</body></html>\n");
    out
}

/// The list as JSON: `page`, `pages`, and `files` with what is known of each and its path on this server.
pub(super) fn json(files: &[Listed], root: &str, place: &Place) -> String {
    let files: Vec<_> = files
        .iter()
        .map(|file| {
            let (what, number) = stories::named(file.message);
            json!({
                "path": format!("{root}{}", file.path()),
                "chat": file.chat,
                what: number,
                "file": file.file,
                "name": file.info.name,
                "size": file.info.size,
                "mime": file.info.content_type(),
                "date": file.info.date,
                "etag": file.info.validators().etag,
            })
        })
        .collect();
    json!({ "page": place.page, "pages": place.pages, "files": files }).to_string()
}

/// The list as a playlist: whole addresses, so that it can be saved and opened elsewhere. Only what plays is in it.
pub(super) fn playlist(files: &[Listed], base: &str) -> String {
    let mut out = "#EXTM3U\n".to_owned();
    for file in files {
        let kind = file.info.content_type();
        if kind.starts_with("video/") || kind.starts_with("audio/") {
            let name = file.info.safe_name();
            let _ = writeln!(out, "#EXTINF:-1,{name}\n{base}{}", file.path());
        }
    }
    out
}

/// Text for HTML, in content and between double quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A size for people.
fn size_text(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 || unit == "GiB" {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::super::file::FileInfo;
    use super::*;

    fn listed(name: &str, mime: &str) -> Listed {
        let info = FileInfo { id: 1, kind: String::new(), name: name.into(), size: 1536, mime: mime.into(), date: 5 };
        Listed { chat: 7, message: 8, file: 1, info }
    }

    #[test]
    fn names_cannot_become_markup_lines_or_paths() {
        let files = [listed("<script>alert(1)</script>\"&'\n../x.mp4", "video/mp4")];
        let place = Place { page: 2, pages: 3 };
        let page = html(&files, "/t/", &place);
        assert!(!page.contains("<script>") && !page.contains("x.mp4\"&"), "{page}");
        assert!(
            page.contains("1.5 KiB") && page.contains("/t/?page=1\">back") && page.contains("/t/?page=3\">further"),
            "{page}"
        );
        let list = playlist(&files, "http://127.0.0.1:1/t/");
        assert_eq!(list.lines().count(), 3, "{list}");
        assert!(list.lines().nth(2).unwrap().starts_with("http://127.0.0.1:1/t/7/8/1/"), "{list}");
        let parsed: serde_json::Value = serde_json::from_str(&json(&files, "/t/", &place)).unwrap();
        assert_eq!((&parsed["files"][0]["size"], &parsed["pages"]), (&1536.into(), &3.into()));
    }

    #[test]
    fn only_what_plays_is_in_the_playlist() {
        let files = [listed("a.pdf", "application/pdf"), listed("a.ogg", "audio/ogg")];
        assert_eq!(playlist(&files, "http://x/"), "#EXTM3U\n#EXTINF:-1,a.ogg\nhttp://x/7/8/1/a.ogg\n");
        assert_eq!(size_text(1023), "1023 B");
        assert_eq!(size_text(5 << 40), "5120.0 GiB");
    }
}
