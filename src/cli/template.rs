//! File names from the Go tool's templates.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Local, TimeZone};
use gotmpl::{Template, Value};
use serde::Serialize;
use tdl::transfer::name::safe_component;

use super::exit::CliError;

/// The name that a download gets unless `--template` says otherwise.
pub(crate) const DEFAULT: &str = "{{ .DialogID }}_{{ .MessageID }}_{{ filenamify .FileName }}";

/// What a template sees. Whatever people wrote has lost its slashes: directories are the template's to make, not the sender's.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NameFields {
    #[serde(rename = "DialogID")]
    pub(crate) dialog_id: i64,
    #[serde(rename = "MessageID")]
    pub(crate) message_id: i32,
    pub(crate) message_date: i64,
    pub(crate) file_name: String,
    pub(crate) file_caption: String,
    pub(crate) file_size: String,
    pub(crate) download_date: i64,
    pub(crate) file_stem: String,
    pub(crate) file_ext: String,
    pub(crate) file_bytes: u64,
    #[serde(rename = "FileID")]
    pub(crate) file_id: i64,
    pub(crate) file_date: i64,
    pub(crate) media_type: &'static str,
    #[serde(rename = "MIME")]
    pub(crate) mime: String,
    pub(crate) chat_title: String,
    pub(crate) chat_name: String,
    #[serde(rename = "TopicID")]
    pub(crate) topic_id: i32,
    pub(crate) topic_title: String,
    #[serde(rename = "SenderID")]
    pub(crate) sender_id: i64,
    pub(crate) sender_name: String,
    #[serde(rename = "GroupedID")]
    pub(crate) grouped_id: i64,
    pub(crate) album_index: usize,
    pub(crate) index: u32,
    pub(crate) export: serde_json::Value,
}

impl NameFields {
    /// The list that `--template -` prints.
    pub(crate) const HELP: &'static str = "\
Variables, written as {{ .FileName }}:
DialogID       int     chat identifier
MessageID      int     message identifier; of a story its number
MessageDate    int     Unix time of the message
FileName       string  name that the sender gave; made from the identifier where there is none
FileStem       string  the same without its extension
FileExt        string  the extension with its dot
FileSize       string  size for people, such as 1.23 MiB
FileBytes      int     size in bytes
FileID         int     identifier of the document or photo: the same wherever it is posted
FileDate       int     Unix time of its upload
MIME           string  MIME type
MediaType      string  photo, video, round, animation, audio, voice, sticker, document or thumbnail
FileCaption    string  text of the message
DownloadDate   int     Unix time of this moment
ChatTitle      string  title of the chat, or name of the user
ChatName       string  public name of the chat without @; may be empty
TopicID        int     topic of a forum; 0 elsewhere
TopicTitle     string  its title; may be empty
SenderID       int     sender; the chat itself for a channel's post
SenderName     string  name of the sender, as far as it is known
GroupedID      int     number of the album; 0 outside of one
AlbumIndex     int     place in the album, from 1; 0 outside of one
Index          int     place in this run, from 1 (another run may count differently)
Export         object  what the file given with -f says of the message: {{ .Export.text }}

Functions:
upper TEXT, lower TEXT, snakecase TEXT, camelcase TEXT, kebabcase TEXT
repeat TEXT TIMES               replace TEXT OLD NEW [OLD NEW ...]
filenamify TEXT [MAX]           only what every file system takes
formatDate TIME [LAYOUT]        in Go's way, such as \"2006-01-02\" [default: 20060102150405], local time
now, rand MIN MAX
and those of Go's text/template: printf, index, len, eq, if, range ...

A / makes a directory. Each part of the path is made safe for every file system afterwards.
Example: '{{ .ChatTitle }}/{{ formatDate .MessageDate \"2006-01\" }}/{{ printf \"%06d\" .MessageID }}{{ .FileExt }}'";
}

/// A text that people wrote, as one part of a path at most.
pub(crate) fn flat(text: &str) -> String {
    text.replace(['/', '\\'], "_")
}

/// The same for every text inside a JSON value.
pub(crate) fn flat_json(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = flat(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(flat_json),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(flat_json),
        _ => {}
    }
}

/// A parsed name template.
pub(crate) struct NameTemplate {
    template: Template,
    text: String,
}

impl NameTemplate {
    pub(crate) fn parse(text: &str) -> Result<Self, CliError> {
        let mut template = Template::new("name").max_range_iters(10_000);
        for (name, function) in FUNCTIONS {
            template = template.func(name, move |args| Ok(function(args)));
        }
        let template = template.parse(text).map_err(|e| wrong(text, e))?;
        let parsed = Self { template, text: text.to_owned() };
        // A function or variable that does not exist shows only when the template is used: better now than after the login.
        // What an export has to say is not known yet.
        if !parsed.uses("Export") {
            parsed.name(&NameFields {
                dialog_id: 1,
                message_id: 1,
                message_date: 1,
                file_name: "name.ext".to_owned(),
                file_caption: "caption".to_owned(),
                file_size: "1 B".to_owned(),
                download_date: 1,
                ..NameFields::default()
            })?;
        }
        Ok(parsed)
    }

    /// Whether the template may look at the variable: what nobody asks for need not be found out.
    pub(crate) fn uses(&self, variable: &str) -> bool {
        self.text.contains(variable)
    }

    /// The name, where `/` separates directories. It is not safe yet.
    pub(crate) fn name(&self, fields: &NameFields) -> Result<String, CliError> {
        let value = gotmpl::to_value(fields).map_err(|e| wrong(&self.text, e))?;
        self.template.execute_to_string(&value).map_err(|e| wrong(&self.text, e))
    }
}

fn wrong(text: &str, error: impl std::fmt::Display) -> CliError {
    CliError::usage(format!("--template {text:?}: {error}")).advise("`--template -` lists the variables and functions")
}

/// Unix time of this moment.
pub(crate) fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

type Function = fn(&[Value]) -> Value;

/// The functions that the Go tool adds to the language's own. Arguments of another kind than expected count as empty, as a template
/// has no way to handle an error.
const FUNCTIONS: [(&str, Function); 11] = [
    ("repeat", |args| {
        // A name is short: more repetitions than any file system's limit make no difference.
        let times = usize::try_from(integer(args, 1)).unwrap_or(0).min(255);
        string(text(args, 0).chars().take(255).collect::<String>().repeat(times))
    }),
    ("replace", |args| {
        // replace TEXT OLD NEW [OLD NEW …]
        let mut out = text(args, 0).to_owned();
        for pair in args.get(1..).unwrap_or_default().chunks_exact(2) {
            if !text(pair, 0).is_empty() {
                out = out.replace(text(pair, 0), text(pair, 1));
            }
        }
        string(out)
    }),
    ("upper", |args| string(text(args, 0).to_uppercase())),
    ("lower", |args| string(text(args, 0).to_lowercase())),
    ("snakecase", |args| string(words(text(args, 0)).join("_"))),
    ("kebabcase", |args| string(words(text(args, 0)).join("-"))),
    ("camelcase", |args| {
        let capital = |word: String| {
            let mut chars = word.chars();
            chars.next().map(|c| c.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
        };
        string(words(text(args, 0)).into_iter().map(capital).collect())
    }),
    ("filenamify", |args| {
        let name = safe_component(text(args, 0));
        match args.get(1).and_then(Value::as_int).and_then(|n| usize::try_from(n).ok()) {
            Some(max) => string(name.chars().take(max).collect()),
            None => string(name),
        }
    }),
    ("rand", |args| {
        let (low, high) = (integer(args, 0), integer(args, 1));
        let span = high.saturating_sub(low).saturating_add(1).max(1);
        Value::Int(low.saturating_add(i64::from(rand::random::<u32>() >> 1) % span))
    }),
    ("now", |_| Value::Int(unix_now())),
    ("formatDate", |args| {
        let layout = args.get(1).and_then(Value::as_str).unwrap_or("20060102150405");
        match Local.timestamp_opt(integer(args, 0), 0).single() {
            Some(time) => string(format_date(&time, layout)),
            None => string(String::new()),
        }
    }),
];

fn string(text: String) -> Value {
    Value::String(text.into())
}

fn text(args: &[Value], index: usize) -> &str {
    args.get(index).and_then(Value::as_str).unwrap_or_default()
}

fn integer(args: &[Value], index: usize) -> i64 {
    args.get(index).and_then(Value::as_int).unwrap_or(0)
}

/// The lower-case words of a text, cut at everything that is no letter or digit and before a capital.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous_lower = false;
    let mut open = false;
    for c in text.chars() {
        if !c.is_alphanumeric() {
            open = false;
        } else {
            if !open || (c.is_uppercase() && previous_lower) {
                words.push(String::new());
                open = true;
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        previous_lower = c.is_lowercase() || c.is_numeric();
    }
    words
}

/// Formats a time by a Go layout, in which the reference moment Mon Jan 2 15:04:05 2006 stands for the parts of a date.
fn format_date<Tz: TimeZone<Offset: std::fmt::Display>>(time: &DateTime<Tz>, layout: &str) -> String {
    /// Go's token and chrono's, longer ones before those that they begin with.
    const TOKENS: [(&str, &str); 19] = [
        ("2006", "%Y"),
        ("January", "%B"),
        ("Jan", "%b"),
        ("Monday", "%A"),
        ("Mon", "%a"),
        ("MST", "%Z"),
        ("Z07:00", "%:z"),
        ("-0700", "%z"),
        ("01", "%m"),
        ("02", "%d"),
        ("03", "%I"),
        ("04", "%M"),
        ("05", "%S"),
        ("06", "%y"),
        ("15", "%H"),
        ("PM", "%p"),
        ("_2", "%e"),
        ("1", "%-m"),
        ("2", "%-d"),
    ];
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        match TOKENS.iter().find_map(|(go, chrono)| Some((rest.strip_prefix(go)?, chrono))) {
            Some((after, chrono)) => {
                out.push_str(&time.format(chrono).to_string());
                rest = after;
            }
            None => {
                out.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> NameFields {
        NameFields {
            dialog_id: 1_697_797_156,
            message_id: 151,
            message_date: 1_684_651_590,
            file_name: "a/b: some File.txt".into(),
            file_caption: "Hello".into(),
            file_size: "1.23 MB".into(),
            download_date: 1_700_000_000,
            album_index: 3,
            chat_title: "News".into(),
            file_ext: ".txt".into(),
            export: serde_json::json!({"text": "told", "n": 7}),
            ..NameFields::default()
        }
    }

    #[test]
    fn the_list_of_variables_is_complete_and_true() {
        let value = serde_json::to_value(fields()).unwrap();
        let listed: Vec<&str> = NameFields::HELP
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(listed.len(), value.as_object().unwrap().len());
        for name in listed {
            assert!(value.get(name).is_some(), "{name}");
        }
        for (name, _) in FUNCTIONS {
            assert!(NameFields::HELP.contains(name), "{name}");
        }
    }

    #[test]
    fn templates_of_the_go_tool_work() {
        for (template, want) in [
            (DEFAULT, "1697797156_151_a_b_ some File.txt"),
            ("{{ .FileName | upper }}", "A/B: SOME FILE.TXT"),
            ("{{ len (formatDate .MessageDate) }}", "14"),
            ("{{ formatDate .MessageDate \"2006\" }}", "2023"),
            ("{{ snakecase \"Some fileName\" }}/{{ .MessageID }}", "some_file_name/151"),
            ("{{ kebabcase \"Some fileName\" }}", "some-file-name"),
            ("{{ camelcase \"some file_name\" }}", "SomeFileName"),
            ("{{ replace .FileCaption \"l\" \"L\" \"H\" \"J\" }}", "JeLLo"),
            ("{{ repeat \"ab\" 3 }}", "ababab"),
            ("{{ filenamify \"abcdef\" 3 }}", "abc"),
            ("{{ if eq .MessageID 151 }}yes{{ else }}no{{ end }}", "yes"),
            ("{{ rand 5 5 }}", "5"),
            ("{{ .ChatTitle }}/{{ printf \"%03d\" .AlbumIndex }}{{ .FileExt }}", "News/003.txt"),
            ("{{ .Export.text }} {{ .Export.n }}", "told 7"),
        ] {
            assert_eq!(NameTemplate::parse(template).unwrap().name(&fields()).unwrap(), want, "{template}");
        }
    }

    #[test]
    fn hostile_templates_neither_panic_nor_grow() {
        for template in
            ["{{ repeat \"aaaaaaaaaaaaaaaa\" 1000000000 }}", "{{ rand 9 1 }}", "{{ formatDate \"x\" }}", "{{ replace }}"]
        {
            if let Ok(parsed) = NameTemplate::parse(template)
                && let Ok(name) = parsed.name(&fields())
            {
                assert!(name.len() < 100_000, "{template}");
            }
        }
        assert!(NameTemplate::parse("{{ .FileName").is_err());
        assert!(NameTemplate::parse("{{ nosuch }}").is_err());
    }

    #[test]
    fn dates_by_go_layouts() {
        let time = chrono::Utc.timestamp_opt(1_684_651_590, 0).unwrap();
        for (layout, want) in [
            ("20060102150405", "20230521064630"),
            ("2006-01-02 15:04:05 Mon Jan", "2023-05-21 06:46:30 Sun May"),
            ("Monday, 2 January 06, 03:04PM", "Sunday, 21 May 23, 06:46AM"),
            ("1/_2 Z07:00", "5/21 +00:00"),
            ("no date: \u{1f980}", "no date: \u{1f980}"),
        ] {
            assert_eq!(format_date(&time, layout), want);
        }
    }
}
