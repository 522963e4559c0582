//! The formats, by name.

use std::fmt;

/// A format in which a program keeps a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Our own JSON document.
    Tdl,
    /// Telegram Desktop's `tdata` directory.
    Tdata,
    /// Telethon's session string.
    TelethonString,
    /// Telethon's `.session` file.
    TelethonFile,
    /// The session string of Pyrogram and of what was made of it (kurigram and others).
    PyrogramString,
    /// The `.session` file of Pyrogram and of what was made of it.
    PyrogramFile,
    /// GramJS' session string.
    Gramjs,
    /// mtcute's session string.
    MtcuteString,
    /// mtcute's storage in SQLite.
    MtcuteFile,
    /// The Go tool's storage: a file for each namespace, or one for all.
    Gotd,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 10] = [
        Self::Tdl,
        Self::Tdata,
        Self::TelethonString,
        Self::TelethonFile,
        Self::PyrogramString,
        Self::PyrogramFile,
        Self::Gramjs,
        Self::MtcuteString,
        Self::MtcuteFile,
        Self::Gotd,
    ];

    /// The program that defines it.
    pub fn program(self) -> &'static str {
        match self {
            Self::Tdl => "tdl",
            Self::Tdata => "Telegram Desktop",
            Self::TelethonString | Self::TelethonFile => "Telethon",
            Self::PyrogramString | Self::PyrogramFile => "Pyrogram",
            Self::Gramjs => "GramJS",
            Self::MtcuteString | Self::MtcuteFile => "mtcute",
            Self::Gotd => "the Go tdl",
        }
    }

    /// Whether it is a line of text, and not files.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Tdl | Self::TelethonString | Self::PyrogramString | Self::Gramjs | Self::MtcuteString)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tdl => "tdl session document",
            Self::Tdata => "tdata of Telegram Desktop",
            Self::TelethonString => "Telethon session string",
            Self::TelethonFile => "Telethon session file",
            Self::PyrogramString => "Pyrogram session string",
            Self::PyrogramFile => "Pyrogram session file",
            Self::Gramjs => "GramJS session string",
            Self::MtcuteString => "mtcute session string",
            Self::MtcuteFile => "mtcute session file",
            Self::Gotd => "storage of the Go tdl",
        })
    }
}
