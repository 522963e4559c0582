use super::*;
use crate::crypto::AuthKey;

fn example() -> ForeignSession {
    let mut session = ForeignSession::new(FORMAT, 4, &AuthKey::from_bytes(&[0xfb; 256])).unwrap();
    session.address = Some("149.154.167.91:443".parse().unwrap());
    session.test = Some(false);
    session
}

fn document(change: impl FnOnce(&mut serde_json::Value)) -> Result<ForeignSession, Error> {
    let mut value = serde_json::from_str(&to_document(&example()).unwrap()).unwrap();
    change(&mut value);
    from_document(value.to_string().as_bytes())
}

#[test]
fn a_document_goes_both_ways_and_every_end_before_the_end_is_seen() {
    let written = to_document(&example()).unwrap();
    let read = from_document(written.as_bytes()).unwrap();
    assert_eq!((read.home_dc.0, read.address, read.test), (4, example().address, Some(false)));
    assert_eq!(read.home_key().unwrap(), example().home_key().unwrap());
    for end in 0..written.len() {
        assert!(matches!(from_document(&written.as_bytes()[..end]), Err(Error::BadJson { .. })), "end at {end}");
    }
    assert_eq!(document(|d| d["Data"]["Config"]["TestMode"] = true.into()).unwrap().test, Some(true));
    assert_eq!(document(|d| d["Data"]["Addr"] = "".into()).unwrap().address, None);
    assert!(document(|d| d["Data"]["AuthKeyID"] = serde_json::Value::Null).is_ok());
}

#[test]
fn each_rule_of_a_document() {
    assert!(matches!(document(|d| d["Version"] = 2.into()), Err(Error::UnknownVersion { found: 2, .. })));
    assert!(matches!(document(|d| d["Data"]["AuthKey"] = serde_json::Value::Null), Err(Error::NotLoggedIn)));
    assert!(matches!(document(|d| d["Data"]["AuthKey"] = "AAAA".into()), Err(Error::BadKeyLength { found: 3 })));
    assert!(matches!(document(|d| d["Data"]["AuthKey"] = "-".into()), Err(Error::NotBase64(Format::Gotd))));
    assert!(matches!(document(|d| d["Data"]["AuthKeyID"] = "AAAAAAAAAAA=".into()), Err(Error::BadKeyId)));
    assert!(matches!(document(|d| d["Data"]["DC"] = 0.into()), Err(Error::BadDc { found: 0 })));
    assert!(matches!(document(|d| d["Data"]["Addr"] = "x:443".into()), Err(Error::BadAddress)));
    assert!(matches!(document(|d| d["Data"]["Addr"] = "1.2.3.4:0".into()), Err(Error::BadPort { found: 0 })));
    assert!(matches!(document(|d| d["Data"]["DC"] = "2".into()), Err(Error::BadJson { .. })));
    assert!(matches!(from_document(&vec![b' '; MAX_DOCUMENT + 1]), Err(Error::TooLarge { .. })));
}

#[test]
fn a_namespace_tells_its_application() {
    for (api_id, read_as) in [(None, 2040), (Some(2040), 2040), (Some(15_055_931), 15_055_931)] {
        let mut session = example();
        session.api_id = api_id;
        let read = read_storage(&namespace_file(&session, "default").unwrap()).unwrap();
        assert_eq!((read.sessions[0].api_id, read.sessions[0].name.as_deref()), (Some(read_as), Some("default")));
    }
    let mut own = example();
    own.api_id = Some(17);
    assert!(matches!(namespace_file(&own, "x"), Err(Error::CannotHold { .. })));
}

#[test]
fn one_json_file_for_all_namespaces_is_read() {
    let value = |text: &str| text::encode("", text.as_bytes(), &text::PADDED).as_str().to_owned();
    let storage = serde_json::json!({
        "default": {"app": value("desktop"), "session": value(&to_document(&example()).unwrap())},
        "other": {"session": value(&to_document(&example()).unwrap())},
        "empty": {},
        "bad": {"session": "*"},
    });
    let read = read_storage(storage.to_string().as_bytes()).unwrap();
    let found: Vec<_> = read.sessions.iter().map(|s| (s.name.clone().unwrap(), s.api_id)).collect();
    assert_eq!(found, [("default".into(), Some(2040)), ("other".into(), Some(15_055_931))]);
    assert!(
        matches!(&read.unreadable[..], [(bad, Error::NotBase64(_)), (empty, Error::NotLoggedIn)] if bad == "bad" && empty == "empty")
    );
    assert!(is_json(&storage.to_string()) && is_json(&to_document(&example()).unwrap()) && !is_json("{}") && !is_json("[]"));
    assert!(matches!(read_storage(b"{\"a\":1}"), Err(Error::BadJson { .. })));
    assert!(matches!(read_storage(b"\xff"), Err(Error::NotText { .. })));
}

#[test]
fn a_directory_is_found_from_the_one_above_and_damage_does_not_hide_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(read(dir.path()), Err(Error::Unrecognised { .. })));
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    write_file(&example(), &data.join("default")).unwrap();
    assert!(matches!(write_file(&example(), &data.join("default")), Err(Error::Exists { .. })));
    let mut damaged = namespace_file(&example(), "broken").unwrap().to_vec();
    damaged.truncate(3 * 4096);
    std::fs::write(data.join("broken"), damaged).unwrap();
    for path in [dir.path(), &data] {
        let read = read(path).unwrap();
        assert_eq!(read.sessions.len(), 1);
        assert_eq!(read.sessions[0].path, Some(data.join("default")));
        assert!(matches!(&read.unreadable[..], [(name, Error::BoltPage { page: 3 })] if name == "broken"));
    }
    std::fs::remove_file(data.join("default")).unwrap();
    assert!(matches!(read(dir.path()), Err(Error::BoltPage { page: 3 })));
}
