//! Captions in HTML, as the bot API's formatting options define them: text and entities.
//!
//! See the page "Styled text with message entities". Offsets and lengths of entities count UTF-16 code units.

use thiserror::Error;

use crate::tl::Str;
use crate::tl::api::{enums, types};

/// Tags inside tags, at most.
const MAX_DEPTH: usize = 32;

/// Why a text is no such HTML.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HtmlError {
    /// A `<` that is not the beginning of a whole tag.
    #[error("a tag that begins at character {at} does not end")]
    OpenTag {
        /// Character offset.
        at: usize,
    },
    /// A tag that has no meaning in a message.
    #[error("<{0}> is not a tag of messages (b, i, u, s, code, pre, a, blockquote, tg-spoiler, br)")]
    UnknownTag(String),
    /// An end tag that does not close the innermost open one.
    #[error("</{0}> does not close the tag before it")]
    Mismatched(String),
    /// The text ends inside a tag.
    #[error("<{0}> is never closed")]
    Unclosed(String),
    /// `<a>` without a usable `href`.
    #[error("<a> needs an href")]
    NoHref,
    /// Too many tags inside tags.
    #[error("more than {MAX_DEPTH} tags inside each other")]
    TooDeep,
}

struct Open {
    tag: String,
    offset: i32,
    href: Option<String>,
    language: Option<String>,
}

/// Splits `html` into its text and the entities that style it.
///
/// # Errors
///
/// [`HtmlError`]: a caption with a mistake is not sent half formatted.
pub fn parse(html: &str) -> Result<(String, Vec<enums::MessageEntity>), HtmlError> {
    let mut text = String::with_capacity(html.len());
    let mut units: i32 = 0;
    let mut open: Vec<Open> = Vec::new();
    let mut entities: Vec<(i32, i32, enums::MessageEntity)> = Vec::new();
    let mut rest = html;
    while let Some(c) = rest.chars().next() {
        match c {
            '<' => {
                let end = rest.find('>').ok_or(HtmlError::OpenTag { at: html.len() - rest.len() })?;
                let inside = rest.get(1..end).unwrap_or_default().trim();
                rest = rest.get(end + 1..).unwrap_or_default();
                if let Some(name) = inside.strip_prefix('/') {
                    let name = name.trim().to_ascii_lowercase();
                    let last = open.pop().filter(|o| o.tag == name).ok_or(HtmlError::Mismatched(name))?;
                    let length = units - last.offset;
                    // The server refuses empty entities.
                    if length > 0 {
                        let (from, entity) = (last.offset, entity(last, length)?);
                        entities.push((from, -length, entity));
                    }
                    continue;
                }
                let (name, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
                let name = name.trim_end_matches('/').to_ascii_lowercase();
                match name.as_str() {
                    "br" => {
                        text.push('\n');
                        units += 1;
                    }
                    "b" | "strong" | "i" | "em" | "u" | "ins" | "s" | "strike" | "del" | "code" | "pre" | "a"
                    | "blockquote" | "tg-spoiler" => {
                        if open.len() >= MAX_DEPTH {
                            return Err(HtmlError::TooDeep);
                        }
                        open.push(Open {
                            tag: name,
                            offset: units,
                            href: attribute(attributes, "href"),
                            language: attribute(attributes, "language").or_else(|| {
                                attribute(attributes, "class").and_then(|c| c.strip_prefix("language-").map(str::to_owned))
                            }),
                        });
                    }
                    _ => return Err(HtmlError::UnknownTag(name)),
                }
            }
            '&' => {
                let (c, length) = reference(rest).unwrap_or(('&', 1));
                text.push(c);
                units += c.len_utf16() as i32;
                rest = rest.get(length..).unwrap_or_default();
            }
            c => {
                text.push(c);
                units += c.len_utf16() as i32;
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    if let Some(last) = open.pop() {
        return Err(HtmlError::Unclosed(last.tag));
    }
    entities.sort_by_key(|(offset, negative_length, _)| (*offset, *negative_length));
    Ok((text, entities.into_iter().map(|(_, _, e)| e).collect()))
}

fn entity(open: Open, length: i32) -> Result<enums::MessageEntity, HtmlError> {
    let offset = open.offset;
    Ok(match open.tag.as_str() {
        "b" | "strong" => types::MessageEntityBold { offset, length }.into(),
        "i" | "em" => types::MessageEntityItalic { offset, length }.into(),
        "u" | "ins" => types::MessageEntityUnderline { offset, length }.into(),
        "s" | "strike" | "del" => types::MessageEntityStrike { offset, length }.into(),
        "code" => types::MessageEntityCode { offset, length }.into(),
        "pre" => types::MessageEntityPre { offset, length, language: Str::from(open.language.unwrap_or_default()) }.into(),
        "a" => {
            let url = open.href.filter(|h| !h.is_empty()).ok_or(HtmlError::NoHref)?;
            types::MessageEntityTextUrl { offset, length, url: Str::from(url) }.into()
        }
        "blockquote" => types::MessageEntityBlockquote { collapsed: false, offset, length }.into(),
        _ => types::MessageEntitySpoiler { offset, length }.into(),
    })
}

/// The value of an attribute, quoted or not.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, tail) = match quote {
            Some(quote) => after.get(1..)?.split_once(quote)?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            let mut out = String::new();
            let mut value = value;
            while let Some(c) = value.chars().next() {
                let (c, length) = reference(value).filter(|_| c == '&').unwrap_or((c, c.len_utf8()));
                out.push(c);
                value = value.get(length..).unwrap_or_default();
            }
            return Some(out);
        }
        rest = tail.trim_start();
    }
    None
}

/// The character of a reference such as `&amp;` or `&#128512;` at the beginning of `text`, and the reference's length in bytes.
fn reference(text: &str) -> Option<(char, usize)> {
    let end = text.char_indices().take(12).find(|(_, c)| *c == ';')?.0;
    let name = text.get(1..end)?;
    let c = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((c, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_utf16_units() {
        let (text, entities) =
            parse("\u{1f980} <b>bold</b> &amp; <a href=\"https://t.me/?a=1&amp;b=2\">li<i>nk</i></a>").unwrap();
        assert_eq!(text, "\u{1f980} bold & link");
        let [enums::MessageEntity::Bold(bold), enums::MessageEntity::TextUrl(link), enums::MessageEntity::Italic(italic)] =
            entities.as_slice()
        else {
            panic!("{}", entities.len())
        };
        assert_eq!((bold.offset, bold.length), (3, 4));
        assert_eq!((link.offset, link.length, &*link.url), (10, 4, "https://t.me/?a=1&b=2"));
        assert_eq!((italic.offset, italic.length), (12, 2));
    }

    #[test]
    fn every_tag_and_line_breaks() {
        let html = "<b>1</b><strong>2</strong><i>3</i><em>4</em><u>5</u><s>6</s><code>7</code><pre language=\"rust\">8</pre>\
                    <blockquote>9</blockquote><tg-spoiler>0</tg-spoiler><br/>x<b></b>";
        let (text, entities) = parse(html).unwrap();
        assert_eq!(text, "1234567890\nx");
        assert_eq!(entities.len(), 10, "an empty tag gives no entity");
        assert!(matches!(&entities[7], enums::MessageEntity::Pre(p) if &*p.language == "rust"));
    }

    #[test]
    fn every_mistake_has_its_name() {
        for (html, want) in [
            ("a <b", HtmlError::OpenTag { at: 2 }),
            ("<script>x</script>", HtmlError::UnknownTag("script".into())),
            ("<b>x</i>", HtmlError::Mismatched("i".into())),
            ("x</b>", HtmlError::Mismatched("b".into())),
            ("<b>x", HtmlError::Unclosed("b".into())),
            ("<a>x</a>", HtmlError::NoHref),
            (&"<b>".repeat(40), HtmlError::TooDeep),
        ] {
            assert_eq!(parse(html).map(|(t, _)| t), Err(want), "{html}");
        }
    }

    #[test]
    fn ampersands_that_are_no_reference_stay() {
        assert_eq!(parse("a & b &foo; &#xD800; &#65;&#x42;").unwrap().0, "a & b &foo; &#xD800; AB");
    }

    #[test]
    fn no_prefix_of_a_caption_panics() {
        let html = "<b>\u{1f980}</b> &amp; <a href='x'>l</a><pre class=\"language-c\">c</pre>";
        for (cut, _) in html.char_indices() {
            let _ = parse(&html[..cut]);
        }
    }
}
