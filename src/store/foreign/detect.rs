//! Telling formats apart, and reading whichever it is.

use std::path::Path;

use super::bytes::read_file;
use super::database::{self, Database};
use super::{Error, ForeignSession, Format, gotd, gramjs, mtcute, own, pyrogram, tdata, telethon};

/// The largest file that may hold a session string or document.
const MAX_TEXT: u64 = 1 << 20;

/// What was read from one place.
#[derive(Debug)]
pub struct Sessions {
    /// The sessions that can be used.
    pub sessions: Vec<ForeignSession>,
    /// What else is there and cannot be read, by name, and why.
    pub unreadable: Vec<(String, Error)>,
}

impl From<ForeignSession> for Sessions {
    fn from(session: ForeignSession) -> Self {
        Self { sessions: vec![session], unreadable: Vec::new() }
    }
}

/// Which format a text is in. It is judged by its form; reading may still find it damaged.
///
/// # Errors
///
/// [`Error::Unrecognised`].
pub fn detect_text(text: &str) -> Result<Format, Error> {
    let text = text.trim();
    let unrecognised = || Error::Unrecognised { what: "the text".to_owned() };
    // A string may be in a format and say nonsense in it; then it is still in that format.
    let formed = |read: Result<ForeignSession, Error>| match read {
        Ok(_) => true,
        Err(error) => matches!(
            error,
            Error::BadDc { .. } | Error::BadPort { .. } | Error::BadUserId { .. } | Error::BadValue { .. } | Error::NotLoggedIn
        ),
    };
    // GramJS before Telethon: see its module's head.
    type Read = fn(&str) -> Result<ForeignSession, Error>;
    let strings: [(Format, Read); 4] = [
        (Format::Gramjs, gramjs::from_string),
        (Format::TelethonString, telethon::from_string),
        // By its fields, not only by its length, as Pyrogram's.
        (Format::MtcuteString, mtcute::from_string),
        (Format::PyrogramString, pyrogram::from_string),
    ];
    if own::is_own(text) {
        return Ok(Format::Tdl);
    }
    if gotd::is_json(text) {
        return Ok(Format::Gotd);
    }
    strings.into_iter().find(|(_, read)| formed(read(text))).map(|(format, _)| format).ok_or_else(unrecognised)
}

/// Which format is at a path: a `tdata` directory or the one above it, a session file, or a file with a session string in it.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Unrecognised`], [`Error::Io`]; what is wrong with a database.
pub fn detect_path(path: &Path) -> Result<Format, Error> {
    let unrecognised = || Error::Unrecognised { what: path.display().to_string() };
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if metadata.is_dir() {
        return if tdata::directory(path).is_some() {
            Ok(Format::Tdata)
        } else if gotd::directory(path).is_some() {
            Ok(Format::Gotd)
        } else {
            Err(unrecognised())
        };
    }
    if is_database(path)? {
        let database = Database::open(path)?;
        if telethon::is_telethon(&database)? {
            return Ok(Format::TelethonFile);
        }
        if pyrogram::is_pyrogram(&database)? {
            return Ok(Format::PyrogramFile);
        }
        if mtcute::is_mtcute(&database)? {
            return Ok(Format::MtcuteFile);
        }
        return Err(unrecognised());
    }
    if gotd::is_bolt(path) {
        return Ok(Format::Gotd);
    }
    let content = read_file(path, MAX_TEXT)?;
    let text = std::str::from_utf8(&content).map_err(|_| unrecognised())?;
    detect_text(text).map_err(|_| unrecognised())
}

fn is_database(path: &Path) -> Result<bool, Error> {
    use std::io::Read as _;
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    file.take(database::MAGIC.len() as u64).read_to_end(&mut head).map_err(|e| Error::io(path, e))?;
    Ok(head == database::MAGIC)
}

/// Reads the session that a text is.
///
/// # Errors
///
/// [`Error::Unrecognised`], and what is wrong with the text as its format has it.
pub fn read_text(text: &str) -> Result<ForeignSession, Error> {
    read_text_as(text, detect_text(text)?)
}

/// Reads a text of a known format.
///
/// # Errors
///
/// [`Error::Unrecognised`] for a format that is no text; otherwise what is wrong with it.
pub fn read_text_as(text: &str, format: Format) -> Result<ForeignSession, Error> {
    let text = text.trim();
    match format {
        Format::TelethonString => telethon::from_string(text),
        Format::PyrogramString => pyrogram::from_string(text),
        Format::Gramjs => gramjs::from_string(text),
        Format::MtcuteString => mtcute::from_string(text),
        Format::Tdl => own::from_string(text),
        Format::Gotd => gotd::from_document(text.as_bytes()),
        Format::Tdata | Format::TelethonFile | Format::PyrogramFile | Format::MtcuteFile => {
            Err(Error::Unrecognised { what: "the text".to_owned() })
        }
    }
}

/// Reads what is at a path. The passcode is used for `tdata` only; an empty one stands for none.
///
/// # Errors
///
/// As [`detect_path`], and what is wrong with what is there. Where there are several accounts, it is an error only if none can be read.
pub fn read_path(path: &Path, passcode: &[u8]) -> Result<Sessions, Error> {
    read_path_as(path, detect_path(path)?, passcode)
}

/// Reads what is at a path and has a known format.
///
/// # Errors
///
/// As [`read_path`].
pub fn read_path_as(path: &Path, format: Format, passcode: &[u8]) -> Result<Sessions, Error> {
    match format {
        Format::Tdata => {
            let tdata = tdata::read(path, passcode)?;
            Ok(Sessions { sessions: tdata.accounts, unreadable: tdata.unreadable })
        }
        Format::TelethonFile => telethon::from_file(path).map(Sessions::from),
        Format::PyrogramFile => pyrogram::from_file(path).map(Sessions::from),
        Format::MtcuteFile => mtcute::from_file(path).map(Sessions::from),
        Format::Gotd => gotd::read(path),
        Format::Tdl | Format::TelethonString | Format::PyrogramString | Format::Gramjs | Format::MtcuteString => {
            let content = read_file(path, MAX_TEXT)?;
            let text = std::str::from_utf8(&content).map_err(|_| Error::NotText { what: "the file" })?;
            let mut session = read_text_as(text, format)?;
            session.path = Some(path.to_path_buf());
            Ok(session.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::crypto::AuthKey;

    fn example() -> ForeignSession {
        let mut session = ForeignSession::new(Format::Tdl, 4, &AuthKey::from_bytes(&[0xfb; 256])).unwrap();
        session.set_user_id(7).unwrap();
        session.api_id = Some(2040);
        session.address = Some("149.154.167.91:443".parse().unwrap());
        session
    }

    #[test]
    fn each_text_is_told_from_all_others() {
        let mut v6 = example();
        v6.address = Some("[2001:67c:4e8:f004::a]:443".parse().unwrap());
        let mut without = example();
        without.api_id = None;
        let texts = [
            (Format::Tdl, own::to_string(&example()).unwrap()),
            (Format::TelethonString, telethon::to_string(&example()).unwrap()),
            (Format::TelethonString, telethon::to_string(&v6).unwrap()),
            (Format::Gramjs, gramjs::to_string(&example()).unwrap()),
            (Format::Gramjs, gramjs::to_string(&v6).unwrap()),
            (Format::PyrogramString, pyrogram::to_string(&example()).unwrap()),
            (Format::PyrogramString, pyrogram::to_string(&without).unwrap()),
            (Format::MtcuteString, mtcute::to_string(&example()).unwrap()),
            (Format::Gotd, gotd::to_document(&example()).unwrap()),
        ];
        let dir = tempfile::tempdir().unwrap();
        for (format, text) in &texts {
            let padded = format!("\n {}\n", text.as_str());
            assert_eq!(detect_text(&padded).unwrap(), *format);
            let read = read_text(&padded).unwrap();
            assert_eq!((read.format, read.home_key().unwrap()), (*format, example().home_key().unwrap()));
            let path = dir.path().join("text");
            std::fs::write(&path, &padded).unwrap();
            assert_eq!(detect_path(&path).unwrap(), *format);
            assert_eq!(read_path(&path, b"").unwrap().sessions[0].path.as_deref(), Some(path.as_path()));
        }
        for wrong in ["", "1", "hello", "{}", &"A".repeat(361), &"A".repeat(100_000), "\u{1f511}"] {
            assert!(matches!(read_text(wrong), Err(Error::Unrecognised { .. })), "{wrong:.20}");
        }
        for format in [Format::Tdata, Format::TelethonFile, Format::PyrogramFile, Format::MtcuteFile] {
            assert!(matches!(read_text_as("x", format), Err(Error::Unrecognised { .. })));
        }
    }

    #[test]
    fn each_file_and_directory_is_told_from_all_others() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        telethon::write_file(&example(), &at("telethon")).unwrap();
        pyrogram::write_file(&example(), &at("pyrogram")).unwrap();
        mtcute::write_file(&example(), &at("mtcute")).unwrap();
        gotd::write_file(&example(), &at("default")).unwrap();
        std::fs::create_dir(at("data")).unwrap();
        gotd::write_file(&example(), &at("data/default")).unwrap();
        std::fs::create_dir(at("desktop")).unwrap();
        tdata::write(&at("desktop/tdata"), &[example()], b"", &mut StdRng::from_seed([1; 32])).unwrap();
        for (name, format) in [
            ("telethon", Format::TelethonFile),
            ("pyrogram", Format::PyrogramFile),
            ("mtcute", Format::MtcuteFile),
            ("default", Format::Gotd),
            ("data", Format::Gotd),
            ("desktop", Format::Tdata),
            ("desktop/tdata", Format::Tdata),
        ] {
            assert_eq!(detect_path(&at(name)).unwrap(), format, "{name}");
            let read = read_path(&at(name), b"").unwrap();
            assert_eq!(read.sessions.len(), 1);
            assert_eq!(read.sessions[0].home_key().unwrap(), example().home_key().unwrap());
        }
    }

    #[test]
    fn what_is_nothing_known_is_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(matches!(detect_path(&at("none")), Err(Error::NotFound { .. })));
        std::fs::create_dir(at("empty")).unwrap();
        std::fs::write(at("noise"), [0xff; 100]).unwrap();
        database::create(&at("other"), |c| c.execute_batch("CREATE TABLE t (a)")).unwrap();
        for name in ["empty", "noise", "other"] {
            assert!(matches!(read_path(&at(name), b""), Err(Error::Unrecognised { .. })), "{name}");
        }
        std::fs::write(at("large"), vec![b'A'; (1 << 20) + 1]).unwrap();
        assert!(matches!(detect_path(&at("large")), Err(Error::TooLarge { .. })));
        // A format that is said to be, and is not.
        assert!(matches!(read_path_as(&at("noise"), Format::Gramjs, b""), Err(Error::NotText { .. })));
        for (format, read) in [(Format::TelethonFile, "other"), (Format::PyrogramFile, "other"), (Format::MtcuteFile, "other")]
        {
            assert!(matches!(read_path_as(&at(read), format, b""), Err(Error::Unrecognised { .. })));
        }
    }
}
