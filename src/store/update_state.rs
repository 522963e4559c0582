//! How far an account's updates have been followed: one small JSON value, written after every batch.

use std::collections::BTreeMap;

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Error, Namespace, namespace::Durability};
use crate::client::UpdateState;

/// Its place among the small values.
const KEY: &str = "update_state";

/// Channels that a stored value may name: what a damaged store can make us keep.
const MAX_CHANNELS: usize = 100_000;

#[derive(Serialize, Deserialize)]
struct StateJson {
    pts: i32,
    qts: i32,
    seq: i32,
    date: i32,
    channels: BTreeMap<i64, i32>,
}

pub(super) fn read(namespace: &Namespace) -> Result<Option<UpdateState>, Error> {
    let Some(text) = namespace.meta(KEY)? else { return Ok(None) };
    let json: StateJson = serde_json::from_str(&text).map_err(|e| namespace.bad_value(KEY, "its JSON form", e))?;
    let StateJson { pts, qts, seq, date, channels } = json;
    if channels.len() > MAX_CHANNELS {
        return Err(namespace.bad_value(KEY, "fewer channels", channels.len()));
    }
    Ok(Some(UpdateState { pts, qts, seq, date, channels }))
}

pub(super) fn save(namespace: &Namespace, state: Option<&UpdateState>) -> Result<(), Error> {
    let Some(state) = state else {
        namespace.write(Durability::Normal, |t| t.execute("DELETE FROM meta WHERE key = ?1", [KEY]))?;
        return Ok(());
    };
    let UpdateState { pts, qts, seq, date, channels } = state.clone();
    let text = serde_json::to_string(&StateJson { pts, qts, seq, date, channels }).expect("plain values have a JSON form");
    namespace.write(Durability::Normal, |t| {
        t.prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute(params![KEY, text])
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::client::Persistence as _;
    use crate::store::{Home, NamespaceName};

    use super::*;

    #[test]
    fn the_state_comes_back_is_forgotten_and_a_damaged_one_is_an_error() {
        let dir = tempfile::tempdir().expect("directory");
        let home = Home::at(dir.path());
        let open = || home.open(&NamespaceName::default(), 1).expect("namespace");
        let namespace = open();
        assert_eq!(namespace.update_state().expect("read"), None);
        let mut state =
            UpdateState { pts: 7, qts: 2, seq: 3, date: 1_700_000_000, channels: BTreeMap::from([(5, 9), (-1, i32::MAX)]) };
        namespace.save_update_state(Some(&state)).expect("saved");
        state.pts = 8;
        namespace.save_update_state(Some(&state)).expect("saved again");
        drop(namespace);
        let namespace = open();
        assert_eq!(namespace.update_state().expect("read").as_ref(), Some(&state));
        namespace.save_update_state(None).expect("forgotten");
        assert_eq!(namespace.update_state().expect("read"), None);
        namespace.save_update_state(Some(&state)).expect("saved");
        namespace.forget_all().expect("forgotten");
        assert_eq!(namespace.update_state().expect("read"), None);
        namespace.set_meta(KEY, "{\"pts\":\"many\"}").expect("written");
        assert!(matches!(read(&namespace), Err(Error::BadValue { what: KEY, .. })));
    }
}
