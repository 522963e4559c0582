//! Sending, reading, finding, deleting, and hearing of it.

use bytes::Bytes;

use super::{Key, World};
use crate::services::updates::FARTHEST;
use crate::state::users;
use tdl_core::tl::api::{enums, functions as f, types};

fn text(peer: enums::InputPeer, message: &str, random_id: i64) -> f::messages::SendMessage {
    f::messages::SendMessage { peer, message: message.into(), random_id, ..f::messages::SendMessage::default() }
}

fn history(peer: enums::InputPeer) -> f::messages::GetHistory {
    f::messages::GetHistory { peer, offset_id: 0, offset_date: 0, add_offset: 0, limit: 50, max_id: 0, min_id: 0, hash: 0 }
}

fn list(found: enums::messages::Messages) -> Vec<types::Message> {
    let messages = match found {
        enums::messages::Messages::Messages(m) => m.messages,
        enums::messages::Messages::Slice(m) => m.messages,
        _ => panic!("messages"),
    };
    let only = |m| match m {
        enums::Message::Message(m) => m,
        _ => panic!("a message"),
    };
    messages.into_iter().map(only).collect()
}

fn texts(found: enums::messages::Messages) -> Vec<String> {
    list(found).iter().map(|m| m.message.to_string()).collect()
}

fn media(world: &mut World, key: Key, file_id: i64) -> enums::InputMedia {
    let part = f::upload::SaveFilePart { file_id, file_part: 0, bytes: Bytes::from_static(b"content") };
    world.call(key, part).unwrap();
    let file = types::InputFile { id: file_id, parts: 1, name: "f".into(), md5_checksum: "".into() };
    types::InputMediaUploadedDocument { file: file.into(), ..types::InputMediaUploadedDocument::default() }.into()
}

fn updates(answer: enums::Updates) -> Vec<enums::Update> {
    let enums::Updates::Updates(u) = answer else { panic!("full updates") };
    u.updates.clone()
}

#[test]
fn a_text_is_answered_in_short_and_announced_to_both_sides() {
    let mut world = World::new();
    let (ann, ann_id) = world.account("9996611111", "Ann");
    let (bob, bob_id) = world.account("9996622222", "Bob");
    let to_bob = world.peer(ann_id, bob_id);
    let answer = world.call(ann, text(to_bob.clone(), "hello", 5)).unwrap();
    let enums::Updates::UpdateShortSentMessage(sent) = answer else { panic!("the short form") };
    assert_eq!((sent.out, sent.id, sent.pts, sent.pts_count), (true, 1, 2, 1));
    assert_eq!(world.told(), [ann_id, bob_id]);
    let enums::Updates::UpdateShortMessage(heard) = world.update_for(bob_id) else { panic!("the short form") };
    assert_eq!((heard.out, &*heard.message, heard.user_id, heard.pts), (false, "hello", ann_id, 2));
    assert_eq!(world.fault(ann, text(to_bob.clone(), "hello", 5)), "RANDOM_ID_DUPLICATE");
    assert_eq!(world.fault(ann, text(to_bob.clone(), " ", 6)), "MESSAGE_EMPTY");
    assert_eq!(world.fault(ann, text(to_bob.clone(), &"x".repeat(4097), 6)), "MESSAGE_TOO_LONG");
    assert_eq!(
        world.fault(ann, f::messages::SendMessage { schedule_date: Some(1), ..text(to_bob, "x", 6) }),
        "SCHEDULE_DATE_INVALID"
    );
    assert_eq!(world.fault(bob, text(world.peer(ann_id, bob_id), "stolen", 1)), "PEER_ID_INVALID");
    assert_eq!(world.fault(bob, text(types::InputPeerChat { chat_id: 1 }.into(), "x", 1)), "PEER_ID_INVALID");
    let found = list(world.call(bob, history(world.peer(bob_id, ann_id))).unwrap());
    let [m] = found.as_slice() else { panic!("one message") };
    assert_eq!((m.out, m.id, &*m.message), (false, 1, "hello"));
}

#[test]
fn saved_messages_are_one_copy_and_answered_in_full() {
    let mut world = World::new();
    let (ann, ann_id) = world.account("9996611111", "Ann");
    let bold = types::MessageEntityBold { offset: 0, length: 4 };
    let request = f::messages::SendMessage { entities: Some(vec![bold.into()]), ..text(enums::InputPeer::PeerSelf, "note", 5) };
    let answer = updates(world.call(ann, request).unwrap());
    let [enums::Update::MessageId(id), enums::Update::NewMessage(new)] = answer.as_slice() else { panic!("id and message") };
    let enums::Message::Message(m) = &new.message else { panic!("a message") };
    assert_eq!((id.id, id.random_id, m.id, new.pts), (1, 5, 1, 2));
    assert_eq!(m.entities.as_ref().unwrap().len(), 1);
    assert_eq!(world.told(), [ann_id]);
    assert_eq!(texts(world.call(ann, history(enums::InputPeer::PeerSelf)).unwrap()), ["note"]);
}

#[test]
fn media_albums_forwards_and_answers() {
    let mut world = World::new();
    let (ann, ann_id) = world.account("9996611111", "Ann");
    let (bob, bob_id) = world.account("9996622222", "Bob");
    let to_bob = world.peer(ann_id, bob_id);
    let one = media(&mut world, ann, 1);
    let send = f::messages::SendMedia {
        peer: to_bob.clone(),
        media: one,
        message: "caption".into(),
        random_id: 1,
        ..f::messages::SendMedia::default()
    };
    world.call(ann, send.clone()).unwrap();
    assert_eq!(world.fault(ann, send.clone()), "RANDOM_ID_DUPLICATE");
    let long = f::messages::SendMedia { message: "x".repeat(4097).into(), random_id: 2, ..send.clone() };
    assert_eq!(world.fault(ann, long), "MEDIA_CAPTION_TOO_LONG");
    let unknown = enums::InputReplyTo::from(types::InputReplyToMessage { reply_to_msg_id: 77, ..Default::default() });
    let reply = f::messages::SendMedia { reply_to: Some(unknown), random_id: 2, ..send };
    assert_eq!(world.fault(ann, reply), "REPLY_MESSAGE_ID_INVALID");

    let item = |world: &mut World, id| {
        let media = media(world, ann, id);
        types::InputSingleMedia { media, random_id: id, message: "".into(), entities: None }.into()
    };
    let items = vec![item(&mut world, 10), item(&mut world, 11)];
    let album = f::messages::SendMultiMedia {
        peer: to_bob.clone(),
        multi_media: items.clone(),
        ..f::messages::SendMultiMedia::default()
    };
    assert_eq!(updates(world.call(ann, album.clone()).unwrap()).len(), 4);
    let none = f::messages::SendMultiMedia { multi_media: vec![], ..album.clone() };
    assert_eq!(world.fault(ann, none), "MEDIA_EMPTY");
    let many = f::messages::SendMultiMedia { multi_media: vec![items[0].clone(); 11], ..album };
    assert_eq!(world.fault(ann, many), "MULTI_MEDIA_TOO_LONG");
    let found = list(world.call(ann, history(to_bob.clone())).unwrap());
    assert_eq!(found.len(), 3);
    assert!(found[0].grouped_id.is_some() && found[0].grouped_id == found[1].grouped_id && found[2].grouped_id.is_none());

    let forward = f::messages::ForwardMessages {
        from_peer: world.peer(bob_id, ann_id),
        id: vec![1, 2, 3],
        random_id: vec![1, 2, 3],
        to_peer: enums::InputPeer::PeerSelf,
        ..f::messages::ForwardMessages::default()
    };
    assert_eq!(updates(world.call(bob, forward.clone()).unwrap()).len(), 6);
    let saved = list(world.call(bob, history(enums::InputPeer::PeerSelf)).unwrap());
    let Some(enums::MessageFwdHeader::Header(header)) = &saved[2].fwd_from else { panic!("a header") };
    assert_eq!(header.saved_from_msg_id, Some(1));
    assert_eq!(header.from_id, Some(types::PeerUser { user_id: ann_id }.into()));
    assert!(saved[0].grouped_id.is_some() && saved[0].grouped_id == saved[1].grouped_id);
    let wrong = f::messages::ForwardMessages { random_id: vec![1], ..forward.clone() };
    assert_eq!(world.fault(bob, wrong), "RANDOM_ID_INVALID");
    let none = f::messages::ForwardMessages { id: vec![], random_id: vec![], ..forward.clone() };
    assert_eq!(world.fault(bob, none), "MESSAGE_IDS_EMPTY");
    let gone = f::messages::ForwardMessages { id: vec![99], random_id: vec![9], ..forward };
    assert_eq!(world.fault(bob, gone), "MESSAGE_ID_INVALID");
}

#[test]
fn histories_searches_and_single_messages() {
    let mut world = World::new();
    let (ann, _) = world.account("9996611111", "Ann");
    let me = enums::InputPeer::PeerSelf;
    for n in 0..5 {
        world.call(ann, text(me.clone(), &format!("note {n}"), n)).unwrap();
    }
    let document = media(&mut world, ann, 1);
    let send = f::messages::SendMedia { peer: me.clone(), media: document, random_id: 50, ..f::messages::SendMedia::default() };
    world.call(ann, send).unwrap();
    world.call(ann, text(me.clone(), "see https://example.org", 51)).unwrap();
    let enums::messages::Messages::Slice(page) =
        world.call(ann, f::messages::GetHistory { limit: 2, offset_id: 5, ..history(me.clone()) }).unwrap()
    else {
        panic!("a slice")
    };
    assert_eq!((page.count, page.messages.len()), (7, 2));
    let search = f::messages::Search { peer: me.clone(), limit: 10, ..f::messages::Search::default() };
    assert_eq!(world.fault(ann, search.clone()), "SEARCH_QUERY_EMPTY");
    assert_eq!(texts(world.call(ann, f::messages::Search { q: "NOTE 3".into(), ..search.clone() }).unwrap()), ["note 3"]);
    let filtered = |filter| f::messages::Search { filter, ..search.clone() };
    use enums::MessagesFilter as F;
    assert_eq!(list(world.call(ann, filtered(F::InputMessagesFilterDocument)).unwrap()).len(), 1);
    assert_eq!(list(world.call(ann, filtered(F::InputMessagesFilterUrl)).unwrap()).len(), 1);
    assert_eq!(list(world.call(ann, filtered(F::InputMessagesFilterGeo)).unwrap()).len(), 0);
    let count = f::messages::Search { limit: 0, ..filtered(F::InputMessagesFilterDocument) };
    let enums::messages::Messages::Slice(counted) = world.call(ann, count).unwrap() else { panic!("a count") };
    assert_eq!((counted.count, counted.messages.len()), (1, 0));
    let ids = [2, 99].map(|id| types::InputMessageId { id }.into()).to_vec();
    let enums::messages::Messages::Messages(found) = world.call(ann, f::messages::GetMessages { id: ids }).unwrap() else {
        panic!("messages")
    };
    assert!(matches!(found.messages.as_slice(), [enums::Message::Message(_), enums::Message::Empty(e)] if e.id == 99));
}

#[test]
fn reading_deleting_and_catching_up() {
    let mut world = World::new();
    let (ann, ann_id) = world.account("9996611111", "Ann");
    let (bob, bob_id) = world.account("9996622222", "Bob");
    let (to_bob, to_ann) = (world.peer(ann_id, bob_id), world.peer(bob_id, ann_id));
    for n in 0..3 {
        world.call(ann, text(to_bob.clone(), "x", n)).unwrap();
    }
    let enums::updates::State::State(state) = world.call(bob, f::updates::GetState).unwrap();
    assert_eq!((state.pts, state.unread_count), (4, 1));
    let enums::messages::AffectedMessages::Messages(read) =
        world.call(bob, f::messages::ReadHistory { peer: to_ann.clone(), max_id: 2 }).unwrap();
    assert_eq!((read.pts, read.pts_count), (5, 1));
    assert_eq!(world.told(), [bob_id, ann_id]);
    let again = world.call(bob, f::messages::ReadHistory { peer: to_ann, max_id: 2 }).unwrap();
    let enums::messages::AffectedMessages::Messages(again) = again;
    assert_eq!((again.pts, again.pts_count), (5, 0));
    let enums::messages::AffectedMessages::Messages(deleted) =
        world.call(ann, f::messages::DeleteMessages { revoke: true, id: vec![1, 3] }).unwrap();
    assert_eq!((deleted.pts, deleted.pts_count), (7, 2));
    assert_eq!(world.told(), [ann_id, bob_id]);

    let since =
        |pts| f::updates::GetDifference { pts, pts_limit: None, pts_total_limit: None, date: 0, qts: 0, qts_limit: None };
    let enums::updates::Difference::Difference(difference) = world.call(bob, since(1)).unwrap() else { panic!("all of it") };
    // Of three messages two are gone; one reading and one deletion.
    assert_eq!((difference.new_messages.len(), difference.other_updates.len()), (1, 2));
    let enums::updates::State::State(state) = &difference.state;
    assert_eq!(state.pts, 7);
    let enums::updates::Difference::Slice(slice) =
        world.call(bob, f::updates::GetDifference { pts_limit: Some(2), ..since(1) }).unwrap()
    else {
        panic!("a slice")
    };
    let enums::updates::State::State(state) = &slice.intermediate_state;
    assert_eq!(state.pts, 3);
    assert!(matches!(world.call(bob, since(7)).unwrap(), enums::updates::Difference::Empty(_)));
    let total = f::updates::GetDifference { pts_total_limit: Some(2), ..since(1) };
    assert!(matches!(world.call(bob, total).unwrap(), enums::updates::Difference::TooLong(d) if d.pts == 7));
    // Who is spoken of is described, even where only read marks are left of them.
    let enums::updates::Difference::Difference(marks) = world.call(bob, since(4)).unwrap() else { panic!("all of it") };
    assert!(marks.new_messages.is_empty());
    assert!(matches!(marks.users.as_slice(), [enums::User::User(user)] if user.id == ann_id));
    // Too far behind for anything to be told: everything has to be fetched anew.
    world.state.write(|tx| users::advance_pts(tx, bob_id, FARTHEST - 6)).unwrap();
    assert!(matches!(world.call(bob, since(1)).unwrap(), enums::updates::Difference::Slice(_)));
    world.state.write(|tx| users::advance_pts(tx, bob_id, 1)).unwrap();
    assert!(matches!(world.call(bob, since(1)).unwrap(), enums::updates::Difference::TooLong(d) if d.pts == FARTHEST + 2));
    let unlimited = f::updates::GetDifference { pts_total_limit: Some(i32::MAX), ..since(1) };
    assert!(matches!(world.call(bob, unlimited).unwrap(), enums::updates::Difference::TooLong(_)));
    assert_eq!(world.fault(bob, since(FARTHEST + 3)), "PERSISTENT_TIMESTAMP_INVALID");
    assert_eq!(world.fault(bob, since(0)), "PERSISTENT_TIMESTAMP_INVALID");
}

#[test]
fn the_list_of_chats_page_by_page() {
    let mut world = World::new();
    let (ann, ann_id) = world.account("9996611111", "Ann");
    let others: Vec<i64> = (0..4).map(|n| world.account(&format!("999662222{n}"), "Bob").1).collect();
    for (n, id) in others.iter().enumerate() {
        world.now += 1;
        world.call(ann, text(world.peer(ann_id, *id), "x", n as i64)).unwrap();
    }
    let first = f::messages::GetDialogs { limit: 3, ..f::messages::GetDialogs::default() };
    let enums::messages::Dialogs::Slice(page) = world.call(ann, first.clone()).unwrap() else { panic!("a slice") };
    assert_eq!((page.count, page.dialogs.len(), page.messages.len(), page.users.len()), (4, 3, 3, 4));
    let Some(enums::Message::Message(last)) = page.messages.last() else { panic!("a message") };
    let next = f::messages::GetDialogs {
        offset_date: last.date,
        offset_id: last.id,
        offset_peer: world.peer(ann_id, others[1]),
        ..first.clone()
    };
    let enums::messages::Dialogs::Slice(page) = world.call(ann, next).unwrap() else { panic!("a slice") };
    let [enums::Dialog::Dialog(dialog)] = page.dialogs.as_slice() else { panic!("one chat") };
    assert_eq!(dialog.peer, types::PeerUser { user_id: others[0] }.into());
    let all = f::messages::GetDialogs { limit: 100, ..first.clone() };
    assert!(matches!(world.call(ann, all).unwrap(), enums::messages::Dialogs::Dialogs(d) if d.dialogs.len() == 4));
    let archive = f::messages::GetDialogs { folder_id: Some(1), ..first };
    assert!(matches!(world.call(ann, archive).unwrap(), enums::messages::Dialogs::Dialogs(d) if d.dialogs.is_empty()));
    let enums::messages::PeerDialogs::Dialogs(pinned) =
        world.call(ann, f::messages::GetPinnedDialogs { folder_id: 0 }).unwrap();
    assert!(pinned.dialogs.is_empty());
    let peers = vec![types::InputDialogPeer { peer: enums::InputPeer::PeerSelf }.into()];
    let enums::messages::PeerDialogs::Dialogs(own) = world.call(ann, f::messages::GetPeerDialogs { peers }).unwrap();
    assert_eq!((own.dialogs.len(), own.messages.len()), (1, 0));
    world.call(ann, f::messages::GetDialogFilters).unwrap();
    let typing = f::messages::SetTyping {
        peer: world.peer(ann_id, others[2]),
        top_msg_id: None,
        action: enums::SendMessageAction::SendMessageTypingAction,
    };
    assert!(world.call(ann, typing).unwrap());
    assert_eq!(world.told(), [others[2]]);
}
