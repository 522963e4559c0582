//! Login codes that were sent, and how each number wants them sent.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::delivery::{Deliveries, Delivery};

/// How long a login code may be used.
pub(crate) const CODE_LIFETIME: i64 = 300;

/// From version 2 on: what a code is sent by, how a number wants it, terms of service.
pub(super) const TABLES: &str = "
ALTER TABLE login_codes ADD COLUMN step INTEGER NOT NULL DEFAULT 0;
ALTER TABLE login_codes ADD COLUMN email TEXT;
CREATE TABLE deliveries (phone TEXT PRIMARY KEY, kinds TEXT NOT NULL, email TEXT, new_email TEXT) WITHOUT ROWID;
CREATE TABLE terms (user INTEGER PRIMARY KEY, accepted INTEGER NOT NULL DEFAULT 0);
";

/// A login code that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoginCode {
    pub(crate) phone: String,
    pub(crate) dc: i32,
    pub(crate) created: i64,
    /// The right code was given, but the number has no account yet.
    pub(crate) verified: bool,
    /// Which of the number's deliveries it took.
    pub(crate) step: usize,
    /// An address that was named for the login and is not confirmed.
    pub(crate) email: Option<String>,
}

/// How a number wants its login codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) kinds: Deliveries,
    /// The address for `email`.
    pub(crate) email: Option<String>,
    /// The one that is to take its place, once it is confirmed.
    pub(crate) new_email: Option<String>,
}

/// Keeps a login code, in place of earlier ones for the number.
pub(crate) fn add(db: &Connection, hash: &str, phone: &str, dc: i32, step: usize, now: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM login_codes WHERE phone = ?1 OR created < ?2", params![phone, now.saturating_sub(CODE_LIFETIME)])?;
    db.execute(
        "INSERT INTO login_codes (hash, phone, dc, created, step) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![hash, phone, dc, now, i64::try_from(step).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}

/// The login code with a hash.
pub(crate) fn find(db: &Connection, hash: &str) -> rusqlite::Result<Option<LoginCode>> {
    db.query_row("SELECT phone, dc, created, verified, step, email FROM login_codes WHERE hash = ?1", [hash], |row| {
        Ok(LoginCode {
            phone: row.get(0)?,
            dc: row.get(1)?,
            created: row.get(2)?,
            verified: row.get(3)?,
            step: usize::try_from(row.get::<_, i64>(4)?).unwrap_or(usize::MAX),
            email: row.get(5)?,
        })
    })
    .optional()
}

/// The right code was given for a number without an account.
pub(crate) fn verify(db: &Connection, hash: &str) -> rusqlite::Result<()> {
    db.execute("UPDATE login_codes SET verified = 1 WHERE hash = ?1", [hash])?;
    Ok(())
}

/// An address was named for the login that a code is for.
pub(crate) fn name_email(db: &Connection, hash: &str, email: &str) -> rusqlite::Result<()> {
    db.execute("UPDATE login_codes SET email = ?2 WHERE hash = ?1", [hash, email])?;
    Ok(())
}

/// A code is good for one login.
pub(crate) fn remove(db: &Connection, hash: &str) -> rusqlite::Result<()> {
    db.execute("DELETE FROM login_codes WHERE hash = ?1", [hash])?;
    Ok(())
}

/// How a number wants its codes, if anybody has said so.
pub(crate) fn wanted(db: &Connection, phone: &str) -> rusqlite::Result<Option<Wanted>> {
    db.query_row("SELECT kinds, email, new_email FROM deliveries WHERE phone = ?1", [phone], |row| {
        // Written by this program: what it does not know any more is as if nobody had said anything.
        let kinds = row.get::<_, String>(0)?.parse().unwrap_or_else(|_| Delivery::Sms.into());
        Ok(Wanted { kinds, email: row.get(1)?, new_email: row.get(2)? })
    })
    .optional()
}

/// Sets how a number wants its codes.
pub(crate) fn want(db: &Connection, phone: &str, wanted: &Wanted) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO deliveries (phone, kinds, email, new_email) VALUES (?1, ?2, ?3, ?4)",
        params![phone, wanted.kinds.to_string(), wanted.email, wanted.new_email],
    )?;
    Ok(())
}

/// Back to what a number has when nobody has said anything.
pub(crate) fn want_default(db: &Connection, phone: &str) -> rusqlite::Result<()> {
    db.execute("DELETE FROM deliveries WHERE phone = ?1", [phone])?;
    Ok(())
}

/// A new account was shown the terms of service, and has yet to accept them.
pub(crate) fn offer_terms(db: &Connection, user: i64) -> rusqlite::Result<()> {
    db.execute("INSERT OR IGNORE INTO terms (user) VALUES (?1)", [user])?;
    Ok(())
}

/// An account accepts the terms.
pub(crate) fn accept_terms(db: &Connection, user: i64) -> rusqlite::Result<()> {
    db.execute("INSERT OR REPLACE INTO terms (user, accepted) VALUES (?1, 1)", [user])?;
    Ok(())
}

/// Whether an account was shown the terms and did not accept them.
pub(crate) fn owes_terms(db: &Connection, user: i64) -> rusqlite::Result<bool> {
    let accepted: Option<bool> =
        db.query_row("SELECT accepted FROM terms WHERE user = ?1", [user], |row| row.get(0)).optional()?;
    Ok(accepted == Some(false))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, open};
    use super::*;

    #[test]
    fn a_code_replaces_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        state
            .write(|tx| {
                add(tx, "a", "9996621111", 2, 0, NOW)?;
                add(tx, "b", "9996621111", 2, 1, NOW + 1)?;
                assert_eq!(find(tx, "a")?, None);
                assert_eq!(find(tx, "b")?.map(|code| (code.step, code.verified)), Some((1, false)));
                verify(tx, "b")?;
                name_email(tx, "b", "ann@example.org")?;
                let code = find(tx, "b")?.unwrap();
                assert_eq!((code.verified, code.email.as_deref()), (true, Some("ann@example.org")));
                remove(tx, "b")?;
                assert_eq!(find(tx, "b")?, None);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }

    #[test]
    fn what_a_number_wants_is_kept_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        state
            .write(|tx| {
                assert_eq!(wanted(tx, "9996621111")?, None);
                let first = Wanted { kinds: "email,sms".parse().unwrap(), email: Some("a@b.c".into()), new_email: None };
                want(tx, "9996621111", &first)?;
                assert_eq!(wanted(tx, "9996621111")?, Some(first));
                want_default(tx, "9996621111")?;
                assert_eq!(wanted(tx, "9996621111")?, None);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }

    #[test]
    fn terms_are_owed_from_the_offer_until_they_are_accepted() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path())
            .write(|tx| {
                assert!(!owes_terms(tx, 5)?);
                offer_terms(tx, 5)?;
                assert!(owes_terms(tx, 5)?);
                accept_terms(tx, 5)?;
                offer_terms(tx, 5)?;
                assert!(!owes_terms(tx, 5)?);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }
}
