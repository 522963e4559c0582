//! Messages, dialogs and read marks.
//!
//! As on the real servers, a private message exists twice: once in the sender's box and once in the receiver's, each with an id of
//! its own box. `twin` links the two. A message to oneself exists once.

use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter, types::Value};

use super::journal::{self, Entry, Event};
use super::users;

/// What kind of media a message carries; documents are told apart by their attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaKind {
    None = 0,
    Photo = 1,
    Document = 2,
    Video = 3,
    Animation = 4,
    Voice = 5,
    Music = 6,
    RoundVideo = 7,
    /// Made of other media.
    Composed = 8,
}

impl MediaKind {
    fn from_db(n: i32) -> rusqlite::Result<Self> {
        Ok(match n {
            0 => Self::None,
            1 => Self::Photo,
            2 => Self::Document,
            3 => Self::Video,
            4 => Self::Animation,
            5 => Self::Voice,
            6 => Self::Music,
            7 => Self::RoundVideo,
            8 => Self::Composed,
            other => return Err(rusqlite::Error::IntegralValueOutOfRange(0, i64::from(other))),
        })
    }
}

/// A message's media: which photo or document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) kind: MediaKind,
    /// The photo's or document's id, or that of composed media.
    pub(crate) id: i64,
    /// Hidden under a spoiler.
    pub(crate) spoiler: bool,
}

/// Where a forwarded message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    /// Who wrote it.
    pub(crate) from: i64,
    /// When.
    pub(crate) date: i64,
    /// In Saved Messages: the chat and message it was saved from.
    pub(crate) saved: Option<(i64, i32)>,
}

/// One message in one account's box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) owner: i64,
    pub(crate) id: i32,
    /// The other side; the owner itself in Saved Messages.
    pub(crate) peer: i64,
    pub(crate) sender: i64,
    pub(crate) out: bool,
    pub(crate) date: i64,
    pub(crate) text: String,
    /// The formatting, as a serialized vector.
    pub(crate) entities: Option<Vec<u8>>,
    pub(crate) media: Option<Media>,
    pub(crate) reply_to: Option<i32>,
    pub(crate) forward: Option<Forward>,
    pub(crate) grouped_id: Option<i64>,
    pub(crate) silent: bool,
    /// The id of the other side's copy.
    pub(crate) twin: Option<i32>,
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) text: String,
    pub(crate) entities: Option<Vec<u8>>,
    pub(crate) media: Option<Media>,
    /// A message of the sender's box.
    pub(crate) reply_to: Option<i32>,
    pub(crate) forward: Option<Forward>,
    pub(crate) grouped_id: Option<i64>,
    pub(crate) silent: bool,
    pub(crate) random_id: i64,
}

/// A message that was sent: one copy, or two.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) random_id: i64,
    pub(crate) own: (Message, Event),
    pub(crate) other: Option<(Message, Event)>,
}

/// A chat in an account's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialog {
    pub(crate) peer: i64,
    pub(crate) top: i32,
    pub(crate) top_date: i64,
    pub(crate) read_inbox: i32,
    pub(crate) read_outbox: i32,
    pub(crate) unread: i32,
}

/// Which part of a history is wanted; the meaning of the numbers is that of `messages.getHistory`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    pub(crate) offset_id: i32,
    pub(crate) offset_date: i32,
    pub(crate) add_offset: i32,
    pub(crate) limit: i32,
    pub(crate) max_id: i32,
    pub(crate) min_id: i32,
}

/// Which messages of a history count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// The chat; all of them if not given.
    pub(crate) peer: Option<i64>,
    /// One of these kinds of media; any if empty.
    pub(crate) kinds: Vec<MediaKind>,
    /// Containing this text (case does not matter in ASCII).
    pub(crate) text: Option<String>,
    /// Containing a link.
    pub(crate) links: bool,
    pub(crate) sender: Option<i64>,
    /// Not before and not after, Unix time; 0 for no bound.
    pub(crate) min_date: i32,
    pub(crate) max_date: i32,
}

/// The most messages that one answer holds.
pub(crate) const MAX_PAGE: i32 = 100;

const COLUMNS: &str = "owner, id, peer, sender, out, date, text, entities, media_kind, media_id, media_flags, reply_to, fwd_from, fwd_date, \
                       saved_peer, saved_msg, grouped_id, silent, twin";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Message> {
    let kind = MediaKind::from_db(row.get(8)?)?;
    let flags: i32 = row.get(10)?;
    let saved = row.get::<_, Option<i64>>(14)?.zip(row.get::<_, Option<i32>>(15)?);
    let forward = row.get::<_, Option<i64>>(12)?.zip(row.get::<_, Option<i64>>(13)?);
    Ok(Message {
        owner: row.get(0)?,
        id: row.get(1)?,
        peer: row.get(2)?,
        sender: row.get(3)?,
        out: row.get(4)?,
        date: row.get(5)?,
        text: row.get(6)?,
        entities: row.get(7)?,
        media: if kind == MediaKind::None { None } else { Some(Media { kind, id: row.get(9)?, spoiler: flags & 1 != 0 }) },
        reply_to: row.get(11)?,
        forward: forward.map(|(from, date)| Forward { from, date, saved }),
        grouped_id: row.get(16)?,
        silent: row.get(17)?,
        twin: row.get(18)?,
    })
}

fn insert(db: &Connection, m: &Message) -> rusqlite::Result<()> {
    db.prepare_cached(&format!(
        "INSERT INTO messages ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)"
    ))?
    .execute(params![
        m.owner,
        m.id,
        m.peer,
        m.sender,
        m.out,
        m.date,
        m.text,
        m.entities,
        m.media.map_or(0, |x| x.kind as i32),
        m.media.map_or(0, |x| x.id),
        m.media.map_or(0, |x| i32::from(x.spoiler)),
        m.reply_to,
        m.forward.map(|f| f.from),
        m.forward.map(|f| f.date),
        m.forward.and_then(|f| f.saved).map(|s| s.0),
        m.forward.and_then(|f| f.saved).map(|s| s.1),
        m.grouped_id,
        m.silent,
        m.twin
    ])?;
    db.prepare_cached("INSERT OR IGNORE INTO dialogs (owner, peer) VALUES (?1, ?2)")?.execute([m.owner, m.peer])?;
    Ok(())
}

/// The message that was sent with a random id.
pub(crate) fn by_random_id(db: &Connection, owner: i64, random_id: i64) -> rusqlite::Result<Option<i32>> {
    db.prepare_cached("SELECT message FROM random_ids WHERE owner = ?1 AND random_id = ?2")?
        .query_row([owner, random_id], |row| row.get(0))
        .optional()
}

/// Puts a message into both boxes and both journals. Random ids are the caller's to check.
pub(crate) fn send(db: &Connection, draft: &Draft, now: i64) -> rusqlite::Result<Sent> {
    let to_self = draft.from == draft.to;
    let own_id = users::next_message_id(db, draft.from)?;
    let other_id = if to_self { None } else { Some(users::next_message_id(db, draft.to)?) };
    let own = Message {
        owner: draft.from,
        id: own_id,
        peer: draft.to,
        sender: draft.from,
        out: true,
        date: now,
        text: draft.text.clone(),
        entities: draft.entities.clone(),
        media: draft.media,
        reply_to: draft.reply_to,
        forward: draft.forward,
        grouped_id: draft.grouped_id,
        silent: draft.silent,
        twin: other_id,
    };
    insert(db, &own)?;
    db.prepare_cached("INSERT INTO random_ids (owner, random_id, message) VALUES (?1, ?2, ?3)")?.execute(params![
        draft.from,
        draft.random_id,
        own_id
    ])?;
    let own_event = journal::record(db, draft.from, Entry::New { id: own_id }, now)?;
    let other = match other_id {
        None => None,
        Some(id) => {
            let reply_to = match draft.reply_to {
                Some(id) => by_id(db, draft.from, id)?.and_then(|m| m.twin),
                None => None,
            };
            // Where the sender saved it from is the sender's business.
            let forward = draft.forward.map(|f| Forward { saved: None, ..f });
            let copy = Message {
                owner: draft.to,
                id,
                peer: draft.from,
                out: false,
                reply_to,
                forward,
                twin: Some(own_id),
                ..own.clone()
            };
            insert(db, &copy)?;
            let event = journal::record(db, draft.to, Entry::New { id }, now)?;
            Some((copy, event))
        }
    };
    Ok(Sent { random_id: draft.random_id, own: (own, own_event), other })
}

/// One message of a box.
pub(crate) fn by_id(db: &Connection, owner: i64, id: i32) -> rusqlite::Result<Option<Message>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM messages WHERE owner = ?1 AND id = ?2"))?
        .query_row(params![owner, id], from_row)
        .optional()
}

/// Deletes messages of a box, and with `revoke` the other side's copies. What was deleted, per account, with its event.
pub(crate) fn delete(db: &Connection, owner: i64, ids: &[i32], revoke: bool, now: i64) -> rusqlite::Result<Vec<(i64, Event)>> {
    let mut boxes: Vec<(i64, Vec<i32>)> = vec![(owner, Vec::new())];
    for &id in ids {
        let Some(message) = by_id(db, owner, id)? else { continue };
        remove(db, owner, id)?;
        push(&mut boxes, owner, id);
        let Some(twin) = message.twin.filter(|_| revoke) else { continue };
        if remove(db, message.peer, twin)? {
            push(&mut boxes, message.peer, twin);
        }
    }
    boxes
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(owner, ids)| Ok((owner, journal::record(db, owner, Entry::Deleted { ids }, now)?)))
        .collect()
}

fn push(boxes: &mut Vec<(i64, Vec<i32>)>, owner: i64, id: i32) {
    match boxes.iter_mut().find(|b| b.0 == owner) {
        Some(b) => b.1.push(id),
        None => boxes.push((owner, vec![id])),
    }
}

fn remove(db: &Connection, owner: i64, id: i32) -> rusqlite::Result<bool> {
    Ok(db.prepare_cached("DELETE FROM messages WHERE owner = ?1 AND id = ?2")?.execute(params![owner, id])? > 0)
}

/// Marks what a peer wrote as read up to a message. The events on both sides, if that changed anything.
pub(crate) fn read(db: &Connection, owner: i64, peer: i64, max_id: i32, now: i64) -> rusqlite::Result<Vec<(i64, Event)>> {
    let last: Option<i32> = db.query_row(
        "SELECT max(id) FROM messages WHERE owner = ?1 AND peer = ?2 AND id <= ?3",
        params![owner, peer, if max_id <= 0 { i32::MAX } else { max_id }],
        |row| row.get(0),
    )?;
    let Some(last) = last else { return Ok(Vec::new()) };
    let changed = db.execute(
        "UPDATE dialogs SET read_inbox = ?3 WHERE owner = ?1 AND peer = ?2 AND read_inbox < ?3",
        params![owner, peer, last],
    )?;
    if changed == 0 {
        return Ok(Vec::new());
    }
    let mut events = vec![(owner, journal::record(db, owner, Entry::ReadInbox { peer, max_id: last }, now)?)];
    if owner != peer {
        let twin: Option<i32> = db.query_row(
            "SELECT max(twin) FROM messages WHERE owner = ?1 AND peer = ?2 AND out = 0 AND id <= ?3",
            params![owner, peer, last],
            |row| row.get(0),
        )?;
        if let Some(twin) = twin {
            let changed = db.execute(
                "UPDATE dialogs SET read_outbox = ?3 WHERE owner = ?1 AND peer = ?2 AND read_outbox < ?3",
                params![peer, owner, twin],
            )?;
            if changed > 0 {
                events.push((peer, journal::record(db, peer, Entry::ReadOutbox { peer: owner, max_id: twin }, now)?));
            }
        }
    }
    Ok(events)
}

/// Marks what a peer wrote as read up to a message, without an event.
pub(crate) fn mark_read(db: &Connection, owner: i64, peer: i64, id: i32) -> rusqlite::Result<()> {
    db.execute("UPDATE dialogs SET read_inbox = max(read_inbox, ?3) WHERE owner = ?1 AND peer = ?2", params![owner, peer, id])?;
    Ok(())
}

/// How many messages of a chat are unread.
pub(crate) fn unread(db: &Connection, owner: i64, peer: i64) -> rusqlite::Result<i32> {
    db.prepare_cached(
        "SELECT count(*) FROM messages m JOIN dialogs d ON d.owner = m.owner AND d.peer = m.peer \
         WHERE m.owner = ?1 AND m.peer = ?2 AND m.out = 0 AND m.id > d.read_inbox",
    )?
    .query_row([owner, peer], |row| row.get(0))
}

/// The chats of an account, newest first. Chats without messages are not listed.
pub(crate) fn dialogs(db: &Connection, owner: i64) -> rusqlite::Result<Vec<Dialog>> {
    let mut out: Vec<Dialog> = db
        .prepare_cached(
            "SELECT d.peer, m.id, m.date, d.read_inbox, d.read_outbox, (SELECT count(*) FROM messages u WHERE u.owner = d.owner \
             AND u.peer = d.peer AND u.out = 0 AND u.id > d.read_inbox) FROM dialogs d JOIN messages m ON m.owner = d.owner AND m.id = \
             (SELECT max(id) FROM messages t WHERE t.owner = d.owner AND t.peer = d.peer) WHERE d.owner = ?1",
        )?
        .query_map([owner], |row| {
            Ok(Dialog {
                peer: row.get(0)?,
                top: row.get(1)?,
                top_date: row.get(2)?,
                read_inbox: row.get(3)?,
                read_outbox: row.get(4)?,
                unread: row.get(5)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    out.sort_unstable_by_key(|d| std::cmp::Reverse((d.top_date, d.top)));
    Ok(out)
}

/// The condition of a filter, and its values. `?1` is the owner.
fn condition(owner: i64, filter: &Filter) -> (String, Vec<Value>) {
    let mut sql = "owner = ?1".to_owned();
    let mut values = vec![Value::Integer(owner)];
    let mut add = |text: &str, value: Value| {
        values.push(value);
        sql.push_str(" AND ");
        sql.push_str(&text.replace('?', &format!("?{}", values.len())));
    };
    if let Some(peer) = filter.peer {
        add("peer = ?", Value::Integer(peer));
    }
    if let Some(sender) = filter.sender {
        add("sender = ?", Value::Integer(sender));
    }
    if let Some(text) = &filter.text {
        add("instr(lower(text), lower(?)) > 0", Value::Text(text.clone()));
    }
    if filter.min_date > 0 {
        add("date >= ?", Value::Integer(i64::from(filter.min_date)));
    }
    if filter.max_date > 0 {
        add("date <= ?", Value::Integer(i64::from(filter.max_date)));
    }
    if !filter.kinds.is_empty() {
        let list: Vec<String> = filter.kinds.iter().map(|k| (*k as i32).to_string()).collect();
        sql.push_str(&format!(" AND media_kind IN ({})", list.join(", ")));
    }
    if filter.links {
        sql.push_str(" AND (text LIKE '%http://_%' OR text LIKE '%https://_%' OR text LIKE '%t.me/_%')");
    }
    (sql, values)
}

/// How many messages a filter matches.
pub(crate) fn count(db: &Connection, owner: i64, filter: &Filter) -> rusqlite::Result<i32> {
    let (condition, values) = condition(owner, filter);
    db.prepare_cached(&format!("SELECT count(*) FROM messages WHERE {condition}"))?
        .query_row(params_from_iter(values), |row| row.get(0))
}

/// A window on the messages that a filter matches, newest first.
///
/// The window starts at the first message older than `offset_id` (or, without it, than `offset_date`; or at the newest), moved by
/// `add_offset` towards older ones, and is cut to what exists; `max_id` and `min_id` are exclusive bounds on what is shown of it.
pub(crate) fn window(db: &Connection, owner: i64, filter: &Filter, window: &Window) -> rusqlite::Result<Vec<Message>> {
    let limit = i64::from(window.limit.clamp(0, MAX_PAGE));
    let (mut condition, mut values) = condition(owner, filter);
    for (bound, sign) in [(window.max_id, '<'), (window.min_id, '>')] {
        if bound > 0 {
            values.push(Value::Integer(i64::from(bound)));
            condition.push_str(&format!(" AND id {sign} ?{}", values.len()));
        }
    }
    let (older, newer) = if window.offset_id > 0 {
        values.push(Value::Integer(i64::from(window.offset_id)));
        (format!("id < ?{}", values.len()), format!("id >= ?{}", values.len()))
    } else if window.offset_date > 0 {
        values.push(Value::Integer(i64::from(window.offset_date)));
        (format!("date < ?{}", values.len()), format!("date >= ?{}", values.len()))
    } else {
        ("1".to_owned(), "0".to_owned())
    };
    let page = |side: &str, order: &str, count: i64, skip: i64| -> rusqlite::Result<Vec<Message>> {
        if count <= 0 {
            return Ok(Vec::new());
        }
        let mut values = values.clone();
        values.push(Value::Integer(count));
        values.push(Value::Integer(skip));
        let n = values.len();
        db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM messages WHERE {condition} AND {side} ORDER BY id {order} LIMIT ?{} OFFSET ?{n}",
            n - 1
        ))?
        .query_map(params_from_iter(values), from_row)?
        .collect()
    };
    let add = i64::from(window.add_offset);
    if add >= 0 {
        return page(&older, "DESC", limit, add);
    }
    // The window reaches `-add` messages to the newer side of its start; those that are missing there are not made up for.
    let mut out = page(&newer, "ASC", -add, 0)?;
    let surplus = usize::try_from((-add - limit).max(0)).unwrap_or(usize::MAX);
    out.drain(..surplus.min(out.len()));
    out.reverse();
    out.extend(page(&older, "DESC", limit + add, 0)?);
    Ok(out)
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
