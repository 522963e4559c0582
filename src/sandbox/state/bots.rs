//! Bots: accounts without a number, which log in with a token.

use rusqlite::{Connection, OptionalExtension as _, params};

/// From version 2 on.
pub(super) const TABLES: &str = "
CREATE TABLE bots (user INTEGER PRIMARY KEY);
CREATE TABLE bot_tokens (user INTEGER NOT NULL, secret TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, secret)) WITHOUT ROWID;
";

/// What a bot has in place of a number: nobody looks for one that is not made of digits.
fn no_phone(user: i64) -> String {
    format!("bot{user}")
}

/// Makes a bot whose home is a DC.
pub(crate) fn add(db: &Connection, dc: i32, name: &str, username: Option<&str>, now: i64) -> rusqlite::Result<i64> {
    db.execute(
        "INSERT INTO users (phone, dc, first_name, last_name, username, premium, created) VALUES ('bot', ?1, ?2, '', ?3, 0, ?4)",
        params![dc, name, username, now],
    )?;
    let user = db.last_insert_rowid();
    db.execute("UPDATE users SET phone = ?2 WHERE id = ?1", params![user, no_phone(user)])?;
    db.execute("INSERT INTO bots (user) VALUES (?1)", [user])?;
    Ok(user)
}

/// Gives a bot a token, in place of earlier ones. `secret`: what stands behind the colon.
pub(crate) fn give_token(db: &Connection, user: i64, secret: &str) -> rusqlite::Result<()> {
    db.execute("UPDATE bot_tokens SET revoked = 1 WHERE user = ?1", [user])?;
    db.execute("INSERT OR REPLACE INTO bot_tokens (user, secret) VALUES (?1, ?2)", params![user, secret])?;
    Ok(())
}

/// The tokens that a bot has had, and whether each was revoked since.
pub(crate) fn tokens(db: &Connection, user: i64) -> rusqlite::Result<Vec<(String, bool)>> {
    db.prepare_cached("SELECT secret, revoked FROM bot_tokens WHERE user = ?1")?
        .query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Whether an account is a bot.
pub(crate) fn is_bot(db: &Connection, user: i64) -> rusqlite::Result<bool> {
    let found: Option<i64> =
        db.prepare_cached("SELECT user FROM bots WHERE user = ?1")?.query_row([user], |row| row.get(0)).optional()?;
    Ok(found.is_some())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, open};
    use super::super::users;
    use super::*;

    #[test]
    fn bots_are_told_from_people_and_have_one_token_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path())
            .write(|tx| {
                let phone = users::Phone::parse("9996611111", 3).unwrap();
                let person = users::add(tx, &phone, "Ann", "", true, NOW)?;
                let bot = add(tx, 2, "Bot", Some("test_bot"), NOW)?;
                let other = add(tx, 2, "Other", None, NOW)?;
                assert_eq!((is_bot(tx, person)?, is_bot(tx, bot)?, is_bot(tx, other)?), (false, true, true));
                let found = users::by_username(tx, "TEST_BOT")?.unwrap();
                assert_eq!((found.id, found.dc, found.bot), (bot, 2, true));
                assert!(!users::by_id(tx, person)?.unwrap().bot);
                give_token(tx, bot, "one")?;
                give_token(tx, bot, "two")?;
                assert_eq!(tokens(tx, bot)?, [("one".to_owned(), true), ("two".to_owned(), false)]);
                assert!(tokens(tx, other)?.is_empty());
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }
}
