//! Accounts and contacts.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// The digits that every phone number of a test cluster begins with; the next one is the home DC.
const PHONE_PREFIX: &str = "99966";

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) phone: String,
    /// The home DC.
    pub(crate) dc: i32,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) username: Option<String>,
    pub(crate) about: String,
    pub(crate) premium: bool,
    /// The event counter of the account's messages.
    pub(crate) pts: i32,
    /// A program, not a person.
    pub(crate) bot: bool,
    /// Online until this Unix time; 0 when it never was.
    pub(crate) online_until: i64,
}

const COLUMNS: &str = "id, phone, dc, first_name, last_name, username, about, premium, pts, online_until, \
                       EXISTS(SELECT 1 FROM bots WHERE bots.user = users.id)";

fn from_row(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        phone: row.get(1)?,
        dc: row.get(2)?,
        first_name: row.get(3)?,
        last_name: row.get(4)?,
        username: row.get(5)?,
        about: row.get(6)?,
        premium: row.get(7)?,
        pts: row.get(8)?,
        online_until: row.get(9)?,
        bot: row.get(10)?,
    })
}

/// A phone number of this cluster, taken apart. The public test servers' rule: `99966XYYYY` lives on DC X, and its login code is
/// X five times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phone {
    /// Digits only.
    pub(crate) digits: String,
    /// The home DC.
    pub(crate) dc: i32,
    /// The login code.
    pub(crate) code: String,
}

impl Phone {
    /// Reads a number as people write it (`+99966 2 1234`). Nothing if it is not one of a cluster with this many DCs.
    pub(crate) fn parse(text: &str, dcs: i32) -> Option<Self> {
        if text.chars().any(|c| !(c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')'))) {
            return None;
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let rest = digits.strip_prefix(PHONE_PREFIX)?;
        let mut rest_digits = rest.chars();
        let dc_digit = rest_digits.next()?;
        let dc = i32::try_from(dc_digit.to_digit(10)?).ok()?;
        let well_formed = rest_digits.count() == 4 && (1..=dcs).contains(&dc);
        well_formed.then(|| Self { dc, code: dc_digit.to_string().repeat(5), digits })
    }
}

/// Makes an account.
pub(crate) fn add(
    db: &Connection,
    phone: &Phone,
    first_name: &str,
    last_name: &str,
    premium: bool,
    now: i64,
) -> rusqlite::Result<i64> {
    db.execute(
        "INSERT INTO users (phone, dc, first_name, last_name, premium, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![phone.digits, phone.dc, first_name, last_name, premium, now],
    )?;
    Ok(db.last_insert_rowid())
}

/// The account with an id.
pub(crate) fn by_id(db: &Connection, id: i64) -> rusqlite::Result<Option<User>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE id = ?1"))?.query_row([id], from_row).optional()
}

/// The account with a phone number, digits only.
pub(crate) fn by_phone(db: &Connection, phone: &str) -> rusqlite::Result<Option<User>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE phone = ?1"))?.query_row([phone], from_row).optional()
}

/// The account with a username, in whatever case.
pub(crate) fn by_username(db: &Connection, username: &str) -> rusqlite::Result<Option<User>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE username = ?1"))?.query_row([username], from_row).optional()
}

/// Sets the names and the text about an account; `None` leaves one as it is.
pub(crate) fn set_profile(
    db: &Connection,
    id: i64,
    first_name: Option<&str>,
    last_name: Option<&str>,
    about: Option<&str>,
) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE users SET first_name = coalesce(?2, first_name), last_name = coalesce(?3, last_name), about = coalesce(?4, about) \
         WHERE id = ?1",
        params![id, first_name, last_name, about],
    )?;
    Ok(())
}

/// Whether a text can be a username.
pub(crate) fn is_username(name: &str) -> bool {
    (5..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Sets or removes the username.
pub(crate) fn set_username(db: &Connection, id: i64, username: Option<&str>) -> rusqlite::Result<()> {
    db.execute("UPDATE users SET username = ?2 WHERE id = ?1", params![id, username])?;
    Ok(())
}

/// Sets until when the account counts as online.
pub(crate) fn set_online_until(db: &Connection, id: i64, until: i64) -> rusqlite::Result<()> {
    db.execute("UPDATE users SET online_until = ?2 WHERE id = ?1", params![id, until])?;
    Ok(())
}

/// Takes `count` events of the account's counter and says where it stands then.
pub(crate) fn advance_pts(db: &Connection, id: i64, count: i32) -> rusqlite::Result<i32> {
    db.prepare_cached("UPDATE users SET pts = pts + ?2 WHERE id = ?1 RETURNING pts")?
        .query_row(params![id, count], |row| row.get(0))
}

/// Takes the next message id of the account.
pub(crate) fn next_message_id(db: &Connection, id: i64) -> rusqlite::Result<i32> {
    db.prepare_cached("UPDATE users SET last_message = last_message + 1 WHERE id = ?1 RETURNING last_message")?
        .query_row([id], |row| row.get(0))
}

/// Puts an account into somebody's address book.
pub(crate) fn add_contact(db: &Connection, owner: i64, user: i64, first_name: &str, last_name: &str) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO contacts (owner, user, first_name, last_name) VALUES (?1, ?2, ?3, ?4)",
        params![owner, user, first_name, last_name],
    )?;
    Ok(())
}

/// The name under which `owner` keeps `user`, if it does.
pub(crate) fn contact_name(db: &Connection, owner: i64, user: i64) -> rusqlite::Result<Option<(String, String)>> {
    db.prepare_cached("SELECT first_name, last_name FROM contacts WHERE owner = ?1 AND user = ?2")?
        .query_row([owner, user], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// The accounts in somebody's address book, by id.
pub(crate) fn contacts(db: &Connection, owner: i64) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached("SELECT user FROM contacts WHERE owner = ?1 ORDER BY user")?
        .query_map([owner], |row| row.get(0))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, open};
    use super::*;

    #[test]
    fn a_phone_number_says_where_it_lives_and_what_its_code_is() {
        let phone = Phone::parse("+99966 2-1234", 3).unwrap();
        assert_eq!((phone.digits.as_str(), phone.dc, phone.code.as_str()), ("9996621234", 2, "22222"));
        for wrong in
            ["", "+1 555 0100", "999661123", "99966112345", "9996601234", "9996641234", "99966x1234", "9996611234\u{662}"]
        {
            assert_eq!(Phone::parse(wrong, 3), None, "{wrong}");
        }
        assert!(Phone::parse("9996641234", 4).is_some());
    }

    #[test]
    fn accounts_are_found_by_id_phone_and_username() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        let phone = Phone::parse("9996611111", 3).unwrap();
        let id = state.write(|tx| add(tx, &phone, "Ann", "", true, NOW)).unwrap();
        assert!(id > i64::from(u32::MAX), "ids must not fit 32 bits, as those of today's accounts do not");
        state
            .write(|tx| {
                set_username(tx, id, Some("AnnTest"))?;
                set_profile(tx, id, None, Some("Lee"), Some("hi"))?;
                assert_eq!(advance_pts(tx, id, 3)?, 4);
                assert_eq!(next_message_id(tx, id)?, 1);
                assert_eq!(next_message_id(tx, id)?, 2);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
        state
            .read(|db| {
                let user = by_phone(db, "9996611111")?.unwrap();
                assert_eq!((user.id, user.first_name.as_str(), user.last_name.as_str(), user.pts), (id, "Ann", "Lee", 4));
                assert_eq!(by_username(db, "anntest")?.unwrap(), user);
                assert_eq!(by_id(db, id)?.unwrap(), user);
                assert_eq!(by_id(db, 1)?, None);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }
}
