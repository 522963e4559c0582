//! Session strings and documents of other programs. Input: the text.

use tdl::store::foreign::{Error, Format, detect_text, gotd, gramjs, mtcute, own, pyrogram, read_text, read_text_as, telethon};

use super::Seed;
use super::foreign::session;

pub fn run(data: &[u8]) {
    // A storage of the Go tool is bytes before it is text.
    let _ = gotd::read_storage(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    for format in Format::ALL {
        let _ = read_text_as(text, format);
    }
    let Ok(read) = read_text(text) else { return };
    let format = detect_text(text).expect("it was read");
    assert_eq!(read.format, format);
    assert!(read.home_key().is_ok() && (1..=1000).contains(&read.home_dc.0));
    let again = match format {
        Format::TelethonString => telethon::to_string(&read),
        Format::PyrogramString => pyrogram::to_string(&read),
        Format::Gramjs => gramjs::to_string(&read),
        Format::MtcuteString => mtcute::to_string(&read),
        Format::Gotd => gotd::to_document(&read),
        _ => own::to_string(&read),
    };
    match again {
        Ok(again) => {
            let again = read_text_as(&again, format).expect("what was written is in the format");
            assert!(again.home_dc == read.home_dc && again.home_key().ok() == read.home_key().ok(), "{format}");
        }
        // A session that nobody is known by, or a port that GramJS cannot say.
        Err(Error::Missing { .. } | Error::CannotHold { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

pub fn seeds() -> Vec<Seed> {
    let session = session();
    let written = [
        ("tdl", own::to_string(&session)),
        ("telethon", telethon::to_string(&session)),
        ("pyrogram", pyrogram::to_string(&session)),
        ("gramjs", gramjs::to_string(&session)),
        ("mtcute", mtcute::to_string(&session)),
        ("gotd", gotd::to_document(&session)),
    ];
    let mut seeds: Vec<Seed> = written
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.expect("the session has all that is needed").as_bytes().to_vec()))
        .collect();
    let storage = gotd::namespace_file(&session, "default").expect("the session has all that is needed");
    seeds.push(("bolt".to_owned(), storage.to_vec()));
    seeds
}
