//! Login tokens: "Login via QR code". One lives from its export until it has ended, or until a login was made of it.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// Seconds for which a token may be accepted.
pub(crate) const TOKEN_LIFETIME: i64 = 30;
/// Seconds for which a login may be made of an accepted one.
pub(crate) const CLAIM_LIFETIME: i64 = 300;

/// From version 2 on.
pub(super) const TABLES: &str = "
CREATE TABLE login_tokens (token BLOB PRIMARY KEY, dc INTEGER NOT NULL, key_id INTEGER NOT NULL, excepted BLOB NOT NULL,
    expires INTEGER NOT NULL, user INTEGER, claimed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX login_tokens_key ON login_tokens (dc, key_id);
";

/// A login token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoginToken {
    pub(crate) token: Vec<u8>,
    /// The DC and the key that it was exported to.
    pub(crate) dc: i32,
    pub(crate) key_id: i64,
    /// Accounts that may not accept it.
    pub(crate) excepted: Vec<i64>,
    /// When it ends: 30 seconds after its export; once it is accepted, some minutes after that.
    pub(crate) expires: i64,
    /// Who has accepted it.
    pub(crate) user: Option<i64>,
    /// A login was made of it.
    pub(crate) claimed: bool,
}

const COLUMNS: &str = "token, dc, key_id, excepted, expires, user, claimed";

fn from_row(row: &Row<'_>) -> rusqlite::Result<LoginToken> {
    let excepted: Vec<u8> = row.get(3)?;
    Ok(LoginToken {
        token: row.get(0)?,
        dc: row.get(1)?,
        key_id: row.get(2)?,
        excepted: excepted.as_chunks().0.iter().map(|id| i64::from_le_bytes(*id)).collect(),
        expires: row.get(4)?,
        user: row.get(5)?,
        claimed: row.get(6)?,
    })
}

/// Keeps a token, in place of the key's earlier ones; forgets those that ended long ago.
pub(crate) fn add(db: &Connection, token: &LoginToken, now: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM login_tokens WHERE expires < ?1", [now.saturating_sub(CLAIM_LIFETIME)])?;
    db.execute("DELETE FROM login_tokens WHERE dc = ?1 AND key_id = ?2", params![token.dc, token.key_id])?;
    let excepted: Vec<u8> = token.excepted.iter().flat_map(|id| id.to_le_bytes()).collect();
    db.execute(
        "INSERT INTO login_tokens (token, dc, key_id, excepted, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![token.token, token.dc, token.key_id, excepted, token.expires],
    )?;
    Ok(())
}

/// The token with these bytes, ended or not.
pub(crate) fn find(db: &Connection, token: &[u8]) -> rusqlite::Result<Option<LoginToken>> {
    db.query_row(&format!("SELECT {COLUMNS} FROM login_tokens WHERE token = ?1"), [token], from_row).optional()
}

/// The token of a key, if it has not ended and no login was made of it.
pub(crate) fn of_key(db: &Connection, dc: i32, key_id: i64, now: i64) -> rusqlite::Result<Option<LoginToken>> {
    db.query_row(
        &format!("SELECT {COLUMNS} FROM login_tokens WHERE dc = ?1 AND key_id = ?2 AND expires > ?3 AND claimed = 0"),
        params![dc, key_id, now],
        from_row,
    )
    .optional()
}

/// An account accepts a token.
pub(crate) fn accept(db: &Connection, token: &[u8], user: i64, now: i64) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE login_tokens SET user = ?2, expires = ?3 WHERE token = ?1",
        params![token, user, now.saturating_add(CLAIM_LIFETIME)],
    )?;
    Ok(())
}

/// A login was made of a token.
pub(crate) fn claim(db: &Connection, token: &[u8]) -> rusqlite::Result<()> {
    db.execute("UPDATE login_tokens SET claimed = 1 WHERE token = ?1", [token])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, open};
    use super::*;

    #[test]
    fn a_key_has_one_token_from_its_export_to_its_login() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        let token = LoginToken {
            token: b"first".to_vec(),
            dc: 1,
            key_id: 7,
            excepted: vec![-1, i64::MAX],
            expires: NOW + TOKEN_LIFETIME,
            user: None,
            claimed: false,
        };
        state
            .write(|tx| {
                add(tx, &token, NOW)?;
                assert_eq!(of_key(tx, 1, 7, NOW)?, Some(token.clone()));
                assert_eq!(of_key(tx, 2, 7, NOW)?, None);
                assert_eq!(of_key(tx, 1, 7, NOW + TOKEN_LIFETIME)?, None, "it has ended");
                let second = LoginToken { token: b"second".to_vec(), ..token.clone() };
                add(tx, &second, NOW)?;
                assert_eq!(find(tx, b"first")?, None);
                accept(tx, b"second", 5, NOW)?;
                let accepted = of_key(tx, 1, 7, NOW + TOKEN_LIFETIME)?.unwrap();
                assert_eq!((accepted.user, accepted.expires), (Some(5), NOW + CLAIM_LIFETIME));
                claim(tx, b"second")?;
                assert_eq!(of_key(tx, 1, 7, NOW)?, None);
                assert!(find(tx, b"second")?.unwrap().claimed);
                let other = LoginToken { token: b"third".to_vec(), key_id: 8, ..token };
                add(tx, &other, NOW + 3 * CLAIM_LIFETIME)?;
                assert_eq!(find(tx, b"second")?, None, "forgotten");
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }
}
