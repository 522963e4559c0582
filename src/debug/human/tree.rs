//! Bodies as trees of lines: one field a line, aligned, folded where it is long.
//!
//! ```text
//! phone_number  ‹redacted›
//! api_id        17349
//! settings      codeSettings
//! messages      [3]
//!   - message
//!       id       77
//!       peer_id  peerUser { user_id: 1000001 }
//!   … 2 more
//! ```

use crate::body::Body;
use crate::redact;
use crate::units::size;
use tdl_core::tl::dynamic::{Object, Value};
use tdl_core::tl::name_of;

/// Lines of one body, at most.
const MOST_LINES: usize = 48;
/// Items of a list that are shown, at most; of numbers and short texts more.
const MOST_ITEMS: usize = 3;
const MOST_SCALARS: usize = 8;
/// How deep objects are unfolded.
const MOST_DEPTH: usize = 8;
/// Names up to this long are aligned.
const NAME: usize = 24;
/// Characters of a text that are shown, and bytes of a byte string.
const TEXT: usize = 60;
const BYTES: usize = 16;
/// An object whose fields take no more characters than this stays on one line.
const INLINE: usize = 60;

/// A line of a tree: how far it is indented, the field's name padded, and what is to be said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) indent: usize,
    pub(super) name: String,
    pub(super) value: String,
}

/// The lines below the one that names a body's constructor.
pub(super) fn branches(body: &Body<'_>) -> Vec<Branch> {
    let mut tree = Tree { lines: Vec::new(), dropped: 0 };
    tree.body(body, 0);
    let Tree { mut lines, dropped } = tree;
    if dropped > 0 {
        lines.push(Branch { indent: 0, name: String::new(), value: format!("… {dropped} more lines") });
    }
    lines
}

struct Tree {
    lines: Vec<Branch>,
    dropped: usize,
}

impl Tree {
    fn put(&mut self, indent: usize, name: impl Into<String>, value: impl Into<String>) {
        if self.lines.len() < MOST_LINES {
            self.lines.push(Branch { indent, name: name.into(), value: value.into() });
        } else {
            self.dropped += 1;
        }
    }

    fn body(&mut self, body: &Body<'_>, indent: usize) {
        match body {
            Body::Value(Value::Object(object), _) => self.fields(object, indent),
            Body::Value(value, _) => self.field("", value, indent, 0),
            Body::Answer { req, result } => {
                self.put(indent, "req_msg_id  ", format!("{:016x}", req.0));
                self.part("result      ", result, indent);
            }
            Body::Packed { packed, inside } => {
                self.put(indent, "packed  ", size(*packed));
                self.part("object  ", inside, indent);
            }
            Body::Opaque { len, .. } => self.put(indent, "", elided(*len)),
        }
    }

    /// A body inside a body.
    fn part(&mut self, name: &str, part: &Body<'_>, indent: usize) {
        match part {
            Body::Value(value, _) => self.field(name, value, indent, 0),
            Body::Packed { .. } => {
                self.put(indent, name, "gzip_packed");
                self.body(part, indent + 2);
            }
            Body::Opaque { id, len } => self.put(indent, name, format!("{}  {}", called(*id), elided(*len))),
            Body::Answer { .. } => self.body(part, indent),
        }
    }

    fn fields(&mut self, object: &Object<'_>, indent: usize) {
        self.fields_at(object, indent, 0);
    }

    fn fields_at(&mut self, object: &Object<'_>, indent: usize, depth: usize) {
        let width = object.fields().map(|(name, _)| name.len()).filter(|len| *len <= NAME).max().unwrap_or(0);
        for (name, value) in object.fields() {
            self.field(&format!("{name:width$}  "), value, indent, depth);
        }
    }

    /// One field: on its line if it is short, with lines below it if not.
    fn field(&mut self, name: &str, value: &Value<'_>, indent: usize, depth: usize) {
        match value {
            Value::Object(object) => match inline(object) {
                Some(text) => self.put(indent, name, text),
                None if depth >= MOST_DEPTH => self.put(indent, name, format!("{} {{ … }}", object.definition.name)),
                None => {
                    self.put(indent, name, object.definition.name.clone());
                    self.fields_at(object, indent + 2, depth + 1);
                }
            },
            Value::Vector(items) if items.iter().all(|item| scalar(item).is_some()) => self.put(indent, name, scalars(items)),
            Value::Vector(items) => {
                self.put(indent, name, format!("[{}]", items.len()));
                for item in items.iter().take(MOST_ITEMS) {
                    self.field("- ", item, indent + 2, depth + 1);
                }
                if let more @ 1.. = items.len().saturating_sub(MOST_ITEMS) {
                    self.put(indent + 2, "", format!("… {more} more"));
                }
            }
            Value::Raw { name: raw, body, .. } => self.put(indent, name, format!("{raw}  {}", elided(body.len()))),
            other => self.put(indent, name, scalar(other).unwrap_or_default()),
        }
    }
}

fn called(id: u32) -> String {
    name_of(id).map_or_else(|| format!("{id:#010x}"), str::to_owned)
}

fn elided(len: usize) -> String {
    format!("‹{}›", size(len))
}

/// A list of what is short: `[1, 2, 3]`, `[5: 1, 2, 3, …]`.
fn scalars(items: &[Value<'_>]) -> String {
    let shown: Vec<String> = items.iter().take(MOST_SCALARS).filter_map(scalar).collect();
    match items.len() > shown.len() {
        true => format!("[{}: {}, …]", items.len(), shown.join(", ")),
        false => format!("[{}]", shown.join(", ")),
    }
}

/// An object on one line, if that is short.
fn inline(object: &Object<'_>) -> Option<String> {
    let mut text = String::new();
    for (name, value) in object.fields() {
        let value = match value {
            Value::Object(inner) if inner.fields().next().is_none() => inner.definition.name.clone(),
            other => scalar(other)?,
        };
        text.push_str(if text.is_empty() { " { " } else { ", " });
        text.push_str(name);
        text.push_str(": ");
        text.push_str(&value);
        if text.len() > INLINE {
            return None;
        }
    }
    if !text.is_empty() {
        text.push_str(" }");
    }
    Some(format!("{}{text}", object.definition.name))
}

/// A value that needs no lines of its own.
fn scalar(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Absent | Value::Object(_) | Value::Vector(_) | Value::Raw { .. } => return None,
        Value::Flags(bits) => format!("{bits:#b}"),
        Value::True => "true".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Int128(bytes) => bytes_of(bytes),
        Value::Int256(bytes) => bytes_of(bytes),
        Value::Bool(value) => value.to_string(),
        Value::String(text) => match redact::placeholder(text.as_bytes()) {
            Some(left) => placeholder(left),
            None => text_of(text.as_str()),
        },
        Value::Bytes(bytes) => match redact::placeholder(bytes) {
            Some(left) => placeholder(left),
            None => bytes_of(bytes),
        },
    })
}

/// `<redacted:12>` for people.
fn placeholder(left: &str) -> String {
    let len = left.trim_end_matches('>').rsplit(':').next().and_then(|digits| digits.parse().ok());
    match left.starts_with("<elided") {
        true => elided(len.unwrap_or(0)),
        false => "‹redacted›".to_owned(),
    }
}

fn text_of(text: &str) -> String {
    let count = text.chars().count();
    if count <= TEXT {
        return format!("{text:?}");
    }
    let shown: String = text.chars().take(TEXT).collect();
    format!("{:?}… ({count} characters)", shown)
}

fn bytes_of(bytes: &[u8]) -> String {
    let shown = bytes.get(..BYTES).unwrap_or(bytes);
    let more = if bytes.len() > shown.len() { format!("… ({})", size(bytes.len())) } else { String::new() };
    format!("0x{}{more}", crate::hex::of(shown))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use tdl_core::tl::Serialize;
    use tdl_core::tl::api::{enums, functions, types};

    fn text(bytes: &Bytes) -> String {
        let lines = branches(&Body::read(bytes, 0));
        lines.iter().map(|line| format!("{}{}{}\n", " ".repeat(line.indent), line.name, line.value)).collect()
    }

    #[test]
    fn fields_are_aligned_and_short_objects_stay_on_their_line() {
        let request = functions::messages::SendMessage {
            peer: types::InputPeerUser { user_id: 7, access_hash: -1 }.into(),
            message: "hi\n".into(),
            random_id: 5,
            no_webpage: true,
            ..Default::default()
        };
        let expected = "\
no_webpage  true
peer        inputPeerUser { user_id: 7, access_hash: -1 }
message     \"hi\\n\"
random_id   5
";
        assert_eq!(text(&request.to_bytes()), expected);
    }

    #[test]
    fn long_lists_texts_and_bytes_are_folded_with_their_counts() {
        let ids = functions::messages::GetMessages { id: (0..20).map(|id| types::InputMessageId { id }.into()).collect() };
        let expected = "\
id  [20]
  - inputMessageID { id: 0 }
  - inputMessageID { id: 1 }
  - inputMessageID { id: 2 }
  … 17 more
";
        assert_eq!(text(&ids.to_bytes()), expected);

        let delete = functions::messages::DeleteMessages { revoke: true, id: (0..100).collect() };
        assert_eq!(text(&delete.to_bytes()), "revoke  true\nid      [100: 0, 1, 2, 3, 4, 5, 6, 7, …]\n");

        let part = functions::upload::SaveFilePart { file_id: 1, file_part: 2, bytes: vec![0xab; 2048].into() };
        let shown = text(&part.to_bytes());
        assert!(shown.ends_with(&format!("bytes      0x{}… (2.0 KiB)\n", "ab".repeat(16))), "{shown}");

        let name = functions::account::UpdateProfile { about: Some("x".repeat(100).into()), ..Default::default() };
        assert_eq!(text(&name.to_bytes()), format!("about  \"{}\"… (100 characters)\n", "x".repeat(60)));
    }

    #[test]
    fn what_is_redacted_says_so() {
        let request = functions::auth::SendCode { phone_number: "+9996621234".into(), ..Default::default() };
        let redacted = redact::body(&request.to_bytes(), 0, redact::Shown::Public);
        assert!(text(&redacted).starts_with("phone_number  ‹redacted›\n"), "{}", text(&redacted));
        let part = functions::upload::SaveFilePart { file_id: 1, file_part: 2, bytes: vec![0xab; 2048].into() };
        let redacted = redact::body(&part.to_bytes(), 0, redact::Shown::Public);
        assert!(text(&redacted).ends_with("bytes      ‹2.0 KiB›\n"));
    }

    #[test]
    fn a_tree_has_an_end() {
        let mut text_of = types::TextConcat { texts: Vec::new() };
        for _ in 0..200 {
            let inner = enums::RichText::from(text_of.clone());
            text_of.texts = vec![inner; 1];
        }
        // Deeper than the schema's tables read it: opaque, and no tree at all.
        let deep = text(&enums::RichText::from(text_of).to_bytes());
        assert_eq!(deep.lines().count(), 1, "{deep}");
        let wide = types::TextConcat {
            texts: (0..60)
                .map(|_| {
                    enums::RichText::from(types::TextUrl {
                        text: enums::RichText::TextEmpty,
                        url: "u".repeat(80).into(),
                        webpage_id: 1,
                    })
                })
                .collect(),
        };
        let wide = text(&enums::RichText::from(wide).to_bytes());
        assert!(wide.lines().count() <= MOST_LINES + 1 && wide.contains("… 57 more"), "{wide}");
    }
}
