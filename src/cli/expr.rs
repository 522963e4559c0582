//! Filters and captions in the Go tool's expression language.

use serde::Serialize;
use tdl::chat::dialogs::Dialog;
use tdl::chat::media::Media;
use tdl::tl::api::{enums, types};

use super::exit::CliError;

/// A compiled expression.
pub(crate) struct Expression {
    program: expr::Program,
    flag: &'static str,
}

impl Expression {
    /// Compiles the value of `flag`.
    pub(crate) fn compile(flag: &'static str, text: &str) -> Result<Self, CliError> {
        let program = expr::compile(text).map_err(|e| {
            CliError::usage(format!("{flag} {text:?} is not an expression: {e}"))
                .advise(format!("write it like C, for example `{flag} 'Media.Size > 1024*1024'`; `{flag} -` lists the fields"))
        })?;
        Ok(Self { program, flag })
    }

    /// Evaluates a filter. Anything but true or false is a mistake in it.
    pub(crate) fn is_true(&self, fields: &impl Serialize) -> Result<bool, CliError> {
        let value = self.run(fields)?;
        value.as_bool().ok_or_else(|| self.wrong(format!("gave {value} instead of true or false")))
    }

    /// Evaluates an expression for a text.
    pub(crate) fn text(&self, fields: &impl Serialize) -> Result<String, CliError> {
        let value = self.run(fields)?;
        value.as_string().map(str::to_owned).ok_or_else(|| self.wrong(format!("gave {value} instead of a text")))
    }

    fn run(&self, fields: &impl Serialize) -> Result<expr::Value, CliError> {
        let context = expr::Context::from_serialize(fields).map_err(|e| self.wrong(e))?;
        expr::run(&self.program, &context).map_err(|e| self.wrong(e))
    }

    fn wrong(&self, what: impl std::fmt::Display) -> CliError {
        CliError::usage(format!("the expression of {} failed: {what}", self.flag))
            .advise(format!("`{} -` lists the fields that it may use", self.flag))
    }
}

/// What a filter over messages sees.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MessageFields {
    mentioned: bool,
    silent: bool,
    from_scheduled: bool,
    pinned: bool,
    #[serde(rename = "ID")]
    id: i32,
    #[serde(rename = "FromID")]
    from_id: i64,
    date: i32,
    message: String,
    views: i32,
    forwards: i32,
    media: MediaFields,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
struct MediaFields {
    name: String,
    size: u64,
    #[serde(rename = "DC")]
    dc: i32,
}

impl MessageFields {
    /// The list that `--filter -` prints.
    pub(crate) const HELP: &'static str = "\
Mentioned      bool    you are mentioned
Silent         bool    sent without a notification
FromScheduled  bool    was scheduled
Pinned         bool    is pinned
ID             int     message identifier
FromID         int     sender; 0 for a channel's post
Date           int     Unix time
Message        string  text
Views          int     views of a channel's post
Forwards       int     forwards of a channel's post
Media.Name     string  file name; empty without a file
Media.Size     int     file size in bytes
Media.DC       int     DC that keeps the file";

    pub(crate) fn new(message: &types::Message, media: Option<&Media>) -> Self {
        let from_id = match &message.from_id {
            Some(enums::Peer::User(p)) => p.user_id,
            Some(enums::Peer::Chat(p)) => p.chat_id,
            Some(enums::Peer::Channel(p)) => p.channel_id,
            None => 0,
        };
        Self {
            mentioned: message.mentioned,
            silent: message.silent,
            from_scheduled: message.from_scheduled,
            pinned: message.pinned,
            id: message.id,
            from_id,
            date: message.date,
            message: message.message.to_string(),
            views: message.views.unwrap_or(0),
            forwards: message.forwards.unwrap_or(0),
            media: media.map(|m| MediaFields { name: m.name.clone(), size: m.size, dc: m.dc.0 }).unwrap_or_default(),
        }
    }
}

/// What a filter over chats sees.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DialogFields<'a> {
    #[serde(rename = "ID")]
    id: i64,
    r#type: &'static str,
    visible_name: &'a str,
    username: &'a str,
    topics: Vec<TopicFields<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TopicFields<'a> {
    #[serde(rename = "ID")]
    id: i32,
    title: &'a str,
}

impl<'a> DialogFields<'a> {
    /// The list that `--filter -` prints.
    pub(crate) const HELP: &'static str = "\
ID             int     chat identifier
Type           string  private, channel, group or unknown
VisibleName    string  title, or name of the user
Username       string  public name without @; may be empty
Topics[].ID    int     topic identifier, in a forum
Topics[].Title string  topic title";

    pub(crate) fn new(dialog: &'a Dialog) -> Self {
        Self {
            id: dialog.id,
            r#type: dialog.kind.as_str(),
            visible_name: &dialog.title,
            username: dialog.username.as_deref().unwrap_or_default(),
            topics: dialog.topics.iter().map(|t| TopicFields { id: t.id, title: &t.title }).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Upload {
        file_name: &'static str,
        #[serde(rename = "MIME")]
        mime: &'static str,
    }

    const UPLOAD: Upload = Upload { file_name: "b c", mime: "text/plain" };

    #[test]
    fn the_go_tools_default_caption_and_filters_work() {
        let caption = r#""<code>"+FileName+"</code> - <code>"+MIME+"</code>""#;
        let caption = Expression::compile("--caption", caption).unwrap();
        assert_eq!(caption.text(&UPLOAD).unwrap(), "<code>b c</code> - <code>text/plain</code>");
        let dialog = Dialog {
            id: 7,
            kind: tdl::chat::dialogs::DialogKind::Private,
            title: "Ann".into(),
            username: None,
            topics: Vec::new(),
            unread: 0,
            top_message: 1,
        };
        for (text, want) in [
            ("true", true),
            ("Type == 'private' && ID == 7", true),
            ("VisibleName contains 'Bob'", false),
            ("VisibleName startsWith 'A' and Username == ''", true),
            ("len(Topics) > 0", false),
        ] {
            let filter = Expression::compile("--filter", text).unwrap();
            assert_eq!(filter.is_true(&DialogFields::new(&dialog)).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn mistakes_are_wrong_usage_and_name_the_flag() {
        let error = Expression::compile("--filter", "Media.Size >").err().unwrap();
        assert_eq!(error.code, super::super::exit::ExitCode::Usage);
        assert!(error.what.contains("--filter"), "{}", error.what);
        let not_bool = Expression::compile("--filter", "FileName").unwrap();
        assert!(not_bool.is_true(&UPLOAD).unwrap_err().what.contains("true or false"));
    }
}
