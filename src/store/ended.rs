//! That an authorization has ended: kept until a login replaces it or somebody clears it.

use serde::{Deserialize, Serialize};

use super::{Error, Namespace, namespace::Durability};
use crate::client::{EndedRecord, Unauthorized};

const ENDED: &str = "ended";

#[derive(Serialize, Deserialize)]
struct EndedJson {
    reason: String,
    at: i64,
}

pub(super) fn ended(namespace: &Namespace) -> Result<Option<EndedRecord>, Error> {
    let Some(EndedJson { reason, at }) = namespace.record(ENDED)? else { return Ok(None) };
    match Unauthorized::from_code(&reason) {
        Some(reason) => Ok(Some(EndedRecord { reason, at })),
        None => Err(namespace.bad_value(ENDED, "a reason that this program knows", reason.escape_debug())),
    }
}

pub(super) fn save_ended(namespace: &Namespace, ended: &EndedRecord) -> Result<(), Error> {
    let json = EndedJson { reason: ended.reason.code().to_owned(), at: ended.at };
    let text = serde_json::to_string(&json).expect("plain values have a JSON form");
    // The first word stands: what comes after it is that the ended login does not work.
    namespace
        .write(Durability::Full, |t| t.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)", [ENDED, &text]))?;
    Ok(())
}

pub(super) fn clear_ended(namespace: &Namespace) -> Result<(), Error> {
    namespace.write(Durability::Full, |t| t.execute("DELETE FROM meta WHERE key = ?1", [ENDED]))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::client::Persistence as _;
    use crate::store::{Home, NamespaceName};

    use super::*;

    #[test]
    fn an_end_is_kept_over_processes_and_the_first_one_stands() {
        let dir = tempfile::tempdir().expect("directory");
        let open = || Home::at(dir.path()).open(&NamespaceName::default(), 1).expect("namespace");
        let first = EndedRecord { reason: Unauthorized::KeyDuplicated, at: 7 };
        open().save_ended(&first).expect("saved");
        open().save_ended(&EndedRecord { reason: Unauthorized::KeyUnregistered, at: 9 }).expect("saved");
        assert_eq!(open().ended().expect("read"), Some(first.clone()));
        open().clear_ended().expect("cleared");
        assert_eq!(open().ended().expect("read"), None);
        open().save_ended(&first).expect("saved");
        open().forget_all().expect("forgotten");
        assert_eq!(open().ended().expect("read"), None);
        open().set_meta(ENDED, r#"{"reason":"BOREDOM","at":1}"#).expect("written");
        assert!(matches!(ended(&open()), Err(Error::BadValue { what: ENDED, .. })));
    }
}
