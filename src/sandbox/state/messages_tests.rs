use super::super::State;
use super::super::tests::{NOW, open};
use super::super::users::Phone;
use super::*;

fn draft(from: i64, to: i64, text: &str, random_id: i64) -> Draft {
    Draft {
        from,
        to,
        text: text.into(),
        entities: None,
        media: None,
        reply_to: None,
        forward: None,
        grouped_id: None,
        silent: false,
        random_id,
    }
}

fn two_users(state: &State) -> (i64, i64) {
    state
        .write(|tx| {
            let a = users::add(tx, &Phone::parse("9996611111", 3).unwrap(), "Ann", "", true, NOW)?;
            let b = users::add(tx, &Phone::parse("9996622222", 3).unwrap(), "Bob", "", true, NOW)?;
            Ok::<_, rusqlite::Error>((a, b))
        })
        .unwrap()
}

#[test]
fn a_private_message_is_in_both_boxes_with_ids_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let (a, b) = two_users(&state);
    state
        .write(|tx| {
            let saved = send(tx, &draft(a, a, "note", 1), NOW)?;
            assert!(saved.other.is_none());
            let sent = send(tx, &draft(a, b, "hello", 2), NOW + 1)?;
            let (own, (other, event)) = (sent.own.0, sent.other.unwrap());
            assert_eq!((own.id, own.out, own.peer, own.twin), (2, true, b, Some(1)));
            assert_eq!((other.id, other.out, other.peer, other.twin), (1, false, a, Some(2)));
            assert_eq!((event.pts, event.count), (2, 1));
            let answer = send(tx, &Draft { reply_to: Some(1), ..draft(b, a, "hi", 1) }, NOW + 2)?;
            assert_eq!(answer.other.unwrap().0.reply_to, Some(2), "an answer refers to the receiver's own copy");
            assert_eq!(by_random_id(tx, a, 2)?, Some(2));
            assert_eq!(by_random_id(tx, b, 2)?, None);
            let list: Vec<_> = dialogs(tx, a)?.into_iter().map(|d| (d.peer, d.top, d.unread)).collect();
            assert_eq!(list, [(b, 3, 1), (a, 1, 0)]);
            Ok::<_, rusqlite::Error>(())
        })
        .unwrap();
}

#[test]
fn reading_tells_both_sides_once() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let (a, b) = two_users(&state);
    state
        .write(|tx| {
            for n in 0..3 {
                send(tx, &draft(a, b, "x", n), NOW)?;
            }
            assert_eq!(unread(tx, b, a)?, 3);
            let events = read(tx, b, a, 2, NOW)?;
            assert_eq!(events[0].1.entry, Entry::ReadInbox { peer: a, max_id: 2 });
            assert_eq!((events[1].0, &events[1].1.entry), (a, &Entry::ReadOutbox { peer: b, max_id: 2 }));
            assert_eq!(unread(tx, b, a)?, 1);
            assert!(read(tx, b, a, 1, NOW)?.is_empty());
            assert_eq!(read(tx, b, a, 0, NOW)?.len(), 2, "no bound means everything");
            assert_eq!(dialogs(tx, a)?[0].read_outbox, 3);
            Ok::<_, rusqlite::Error>(())
        })
        .unwrap();
}

#[test]
fn deleting_takes_the_other_copy_only_when_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let (a, b) = two_users(&state);
    state
        .write(|tx| {
            for n in 0..3 {
                send(tx, &draft(a, b, "x", n), NOW)?;
            }
            assert_eq!(delete(tx, a, &[1, 77], false, NOW)?.len(), 1);
            assert!(by_id(tx, b, 1)?.is_some());
            let events = delete(tx, a, &[2, 3], true, NOW)?;
            assert_eq!(events.len(), 2);
            assert_eq!(events[1].1.entry, Entry::Deleted { ids: vec![2, 3] });
            assert_eq!(events[1].1.count, 2);
            assert!(by_id(tx, b, 2)?.is_none());
            assert!(dialogs(tx, a)?.is_empty(), "a chat without messages is not listed");
            assert!(delete(tx, a, &[2], true, NOW)?.is_empty());
            Ok::<_, rusqlite::Error>(())
        })
        .unwrap();
}

#[test]
fn windows_on_a_history() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let (a, _) = two_users(&state);
    state
        .write(|tx| {
            for n in 0..10 {
                send(tx, &draft(a, a, &format!("note {n}"), n), NOW + n)?;
            }
            let filter = Filter { peer: Some(a), ..Filter::default() };
            let ids = |w: Window| -> Vec<i32> { window(tx, a, &filter, &w).unwrap().iter().map(|m| m.id).collect() };
            let base = Window { limit: 3, ..Window::default() };
            assert_eq!(ids(base.clone()), [10, 9, 8]);
            assert_eq!(ids(Window { offset_id: 8, ..base.clone() }), [7, 6, 5]);
            assert_eq!(ids(Window { offset_id: 8, add_offset: 1, ..base.clone() }), [6, 5, 4]);
            assert_eq!(ids(Window { offset_id: 8, add_offset: -1, ..base.clone() }), [8, 7, 6]);
            assert_eq!(ids(Window { offset_id: 5, add_offset: -5, ..base.clone() }), [9, 8, 7]);
            assert_eq!(
                ids(Window { offset_id: 9, add_offset: -4, ..base.clone() }),
                [10],
                "what is missing is not made up for"
            );
            assert_eq!(ids(Window { add_offset: -2, ..base.clone() }), [10]);
            assert_eq!(ids(Window { max_id: 5, min_id: 2, limit: 10, ..base.clone() }), [4, 3]);
            assert_eq!(ids(Window { offset_date: (NOW + 3) as i32, ..base.clone() }), [3, 2, 1]);
            assert!(ids(Window { limit: 0, ..base.clone() }).is_empty());
            assert_eq!(count(tx, a, &filter)?, 10);
            let filter = Filter { text: Some("NOTE 7".into()), ..filter.clone() };
            assert_eq!(window(tx, a, &filter, &base)?[0].text, "note 7");
            let filter = Filter { kinds: vec![MediaKind::Photo], peer: Some(a), ..Filter::default() };
            assert_eq!(count(tx, a, &filter)?, 0);
            Ok::<_, rusqlite::Error>(())
        })
        .unwrap();
}
