//! One rule each.

use super::super::counter::{GAP_PATIENCE, MAX_HELD};
use super::super::difference::NoProgress;
use super::super::engine::SILENCE;
use super::super::long::{long_chat_form, long_form};
use super::*;

fn difference(messages: Vec<i32>, pts: i32) -> enums::updates::Difference {
    types::updates::Difference {
        new_messages: messages.into_iter().map(message).collect(),
        new_encrypted_messages: Vec::new(),
        other_updates: Vec::new(),
        chats: Vec::new(),
        users: Vec::new(),
        state: state(pts).into(),
    }
    .into()
}

fn slice(messages: Vec<i32>, pts: i32) -> enums::updates::Difference {
    types::updates::DifferenceSlice {
        new_messages: messages.into_iter().map(message).collect(),
        new_encrypted_messages: Vec::new(),
        other_updates: Vec::new(),
        chats: Vec::new(),
        users: Vec::new(),
        intermediate_state: state(pts).into(),
    }
    .into()
}

#[test]
fn without_a_state_the_account_is_asked_for_one_and_what_came_before_it_is_known() {
    let mut engine = Engine::new(ms(5), 1, None);
    assert_eq!((engine.state(), engine.is_caught_up()), (None, false));
    assert_eq!(engine.poll_request(ms(5)), Some(Request::State));
    assert_eq!(engine.poll_request(ms(5)), None, "one question at a time");
    push(&mut engine, ms(6), short(new_message(1, 10)));
    push(&mut engine, ms(6), short(new_message(2, 11)));
    assert!(told(&mut engine).is_empty());
    engine.handle_state(ms(7), state(10).into());
    assert_eq!(told(&mut engine), [2]);
    assert_eq!(engine.state().unwrap().pts, 11);
}

#[test]
fn a_gap_that_closes_by_itself_is_no_question() {
    let mut engine = following();
    push(&mut engine, ms(1000), short(new_message(3, 13)));
    push(&mut engine, ms(1100), short(new_message(2, 12)));
    assert!(told(&mut engine).is_empty());
    assert!(!engine.is_caught_up());
    assert_eq!(engine.poll_timeout(), Some(ms(1500)));
    push(&mut engine, ms(1499), short(new_message(1, 11)));
    assert_eq!(told(&mut engine), [1, 2, 3]);
    engine.handle_timeout(ms(1500));
    assert_eq!(engine.poll_request(ms(1500)), None);
    assert!(engine.is_caught_up());
}

#[test]
fn a_gap_that_stays_is_asked_about_after_half_a_second() {
    let mut engine = following();
    push(&mut engine, ms(1000), short(new_message(2, 12)));
    engine.handle_timeout(ms(1499));
    assert_eq!(engine.poll_request(ms(1499)), None);
    engine.handle_timeout(ms(1000) + GAP_PATIENCE);
    assert_eq!(engine.poll_request(ms(1500)), Some(Request::Difference { pts: 10, qts: 0, date: 100 }));
    // What comes meanwhile waits, and what the answer covers is not told twice.
    push(&mut engine, ms(1600), short(new_message(2, 12)));
    push(&mut engine, ms(1600), short(new_message(3, 13)));
    engine.handle_difference(ms(1700), difference(vec![1, 2], 12)).unwrap();
    assert_eq!(told(&mut engine), [1, 2, 3]);
    assert!(engine.is_caught_up());
}

#[test]
fn duplicates_are_dropped_and_updates_without_a_stretch_are_not() {
    let mut engine = following();
    for _ in 0..3 {
        push(&mut engine, ms(1), short(new_message(1, 11)));
    }
    push(&mut engine, ms(1), short(new_message(9, 4)));
    assert_eq!(told(&mut engine), [1]);
    let edited = || short(types::UpdateDeleteMessages { messages: vec![1], pts: 11, pts_count: 0 }.into());
    push(&mut engine, ms(2), edited());
    push(&mut engine, ms(2), edited());
    assert_eq!(told(&mut engine), [-1, -1]);
}

#[test]
fn an_envelope_is_put_in_the_order_of_its_counters() {
    let mut engine = following();
    let delete = types::UpdateDeleteMessages { messages: vec![5, 6], pts: 14, pts_count: 2 };
    push(&mut engine, ms(1), envelope(vec![delete.into(), new_message(2, 12), new_message(1, 11)], 0));
    assert_eq!(told(&mut engine), [1, 2, -5, -6]);
    assert_eq!(engine.state().unwrap().pts, 14);
}

#[test]
fn envelopes_with_numbers_wait_for_those_before_them() {
    let mut engine = following();
    push(&mut engine, ms(1), envelope(vec![new_message(1, 11)], 5));
    push(&mut engine, ms(2), envelope(vec![new_message(4, 14)], 8));
    let combined = types::UpdatesCombined {
        updates: vec![new_message(3, 13)],
        seq_start: 7,
        seq: 7,
        date: 100,
        ..types::UpdatesCombined::default()
    };
    push(&mut engine, ms(3), combined.into());
    assert_eq!(told(&mut engine), [1]);
    push(&mut engine, ms(4), envelope(vec![new_message(2, 12)], 6));
    assert_eq!(told(&mut engine), [2, 3, 4]);
    push(&mut engine, ms(5), envelope(vec![new_message(9, 15)], 8));
    assert!(told(&mut engine).is_empty(), "the number has been here");
    assert_eq!(engine.state().unwrap().seq, 8);
    assert!(engine.is_caught_up());
    push(&mut engine, ms(6), envelope(vec![], 10));
    engine.handle_timeout(ms(506));
    assert!(matches!(engine.poll_request(ms(506)), Some(Request::Difference { pts: 14, .. })));
}

#[test]
fn slices_are_fetched_to_the_last_and_one_that_stays_where_it_is_counts_as_failed() {
    let mut engine = following();
    push(&mut engine, ms(1), Updates::TooLong);
    assert!(matches!(engine.poll_request(ms(1)), Some(Request::Difference { pts: 10, .. })));
    engine.handle_difference(ms(2), slice(vec![1, 2], 12)).unwrap();
    push(&mut engine, ms(3), short(new_message(4, 14)));
    assert!(matches!(engine.poll_request(ms(3)), Some(Request::Difference { pts: 12, .. })));
    engine.handle_difference(ms(4), slice(vec![3], 13)).unwrap();
    assert!(matches!(engine.poll_request(ms(4)), Some(Request::Difference { pts: 13, .. })));
    assert_eq!(engine.handle_difference(ms(5), slice(vec![], 13)), Err(NoProgress { pts: 13 }));
    assert_eq!(engine.poll_request(ms(900)), None, "after a pause");
    assert!(matches!(engine.poll_request(ms(1005)), Some(Request::Difference { pts: 13, .. })));
    engine.handle_difference(ms(1006), difference(vec![], 13)).unwrap();
    assert_eq!(told(&mut engine), [1, 2, 3, 4]);
    assert!(engine.is_caught_up());
}

#[test]
fn what_the_server_does_not_tell_any_more_is_reported_and_the_rest_is_fetched() {
    let mut engine = following();
    engine.handle_gap(ms(1));
    assert!(engine.poll_request(ms(1)).is_some());
    engine.handle_difference(ms(2), types::updates::DifferenceTooLong { pts: 500 }.into()).unwrap();
    assert_eq!(engine.poll_event(), Some(UpdateEvent::Missed { channel: None, from: Some(10), to: Some(500) }));
    assert!(matches!(engine.poll_request(ms(2)), Some(Request::Difference { pts: 500, .. })));
    engine.handle_difference(ms(3), difference(vec![8], 501)).unwrap();
    assert_eq!(told(&mut engine), [8]);

    engine.handle_gap(ms(4));
    assert!(engine.poll_request(ms(4)).is_some());
    engine.handle_state_refused(ms(5));
    assert_eq!(engine.state(), None, "not to be stored");
    assert_eq!(engine.poll_request(ms(5)), Some(Request::State));
    engine.handle_state(ms(6), state(7).into());
    assert_eq!(engine.poll_event(), Some(UpdateEvent::Missed { channel: None, from: Some(501), to: Some(7) }));
}

#[test]
fn a_gap_reported_while_asking_is_asked_about_once_more() {
    let mut engine = following();
    engine.handle_gap(ms(1));
    engine.handle_gap(ms(1));
    assert!(engine.poll_request(ms(1)).is_some());
    engine.handle_gap(ms(2));
    engine.handle_difference(ms(3), difference(vec![1], 11)).unwrap();
    assert!(!engine.is_caught_up());
    assert!(matches!(engine.poll_request(ms(3)), Some(Request::Difference { pts: 11, .. })));
    engine.handle_difference(ms(4), difference(vec![], 11)).unwrap();
    assert!(engine.is_caught_up() && engine.poll_request(ms(4)).is_none());
}

#[test]
fn questions_that_fail_are_repeated_after_growing_pauses() {
    let mut engine = following();
    engine.handle_gap(Duration::ZERO);
    let mut now = Duration::ZERO;
    for pause in [1, 2, 4, 8, 16, 32, 64, 64] {
        let request = engine.poll_request(now).expect("asked");
        engine.handle_failure(now, request);
        now += Duration::from_secs(pause);
        assert_eq!(engine.poll_timeout(), Some(now));
        assert_eq!(engine.poll_request(now.checked_sub(ms(1)).unwrap()), None);
    }
    assert!(engine.poll_request(now).is_some());
}

#[test]
fn silence_is_asked_about() {
    let mut engine = following();
    push(&mut engine, ms(1000), short(new_message(1, 11)));
    let due = ms(1000) + SILENCE;
    assert_eq!(engine.poll_timeout(), Some(due));
    engine.handle_timeout(due);
    assert!(engine.poll_request(due).is_some());
}

#[test]
fn short_forms_about_strangers_are_asked_for_in_full() {
    let mut engine = following();
    let short = || types::UpdateShortMessage {
        id: 1,
        user_id: 5,
        message: "hi".into(),
        pts: 11,
        pts_count: 1,
        date: 100,
        ..types::UpdateShortMessage::default()
    };
    engine.handle_updates(ms(1), short().into(), &|_| false);
    assert!(told(&mut engine).is_empty());
    assert!(engine.poll_request(ms(1)).is_some());
    engine.handle_difference(ms(2), difference(vec![1], 11)).unwrap();
    assert_eq!(told(&mut engine), [1]);
    engine.handle_updates(ms(3), short().into(), &|_| false);
    assert!(engine.is_caught_up(), "what has been told is no reason to ask");

    let Update::NewMessage(update) = long_form(types::UpdateShortMessage { out: true, ..short() }, 1) else { panic!() };
    let enums::Message::Message(message) = update.message else { panic!() };
    assert_eq!(message.from_id, Some(types::PeerUser { user_id: 1 }.into()));
    assert_eq!((&message.peer_id, &*message.message), (&types::PeerUser { user_id: 5 }.into(), "hi"));

    let in_chat = || types::UpdateShortChatMessage {
        id: 2,
        from_id: 5,
        chat_id: 6,
        pts: 12,
        pts_count: 1,
        ..types::UpdateShortChatMessage::default()
    };
    engine.handle_updates(ms(4), in_chat().into(), &|peer| matches!(peer, enums::Peer::Chat(_)));
    assert!(engine.poll_request(ms(4)).is_some());
    let Update::NewMessage(update) = long_chat_form(in_chat()) else { panic!() };
    let enums::Message::Message(message) = update.message else { panic!() };
    assert_eq!(message.peer_id, types::PeerChat { chat_id: 6 }.into());
}

#[test]
fn a_message_of_our_own_takes_its_stretch_without_being_told() {
    let mut engine = following();
    push(&mut engine, ms(1), short(new_message(2, 12)));
    let sent = types::UpdateShortSentMessage { id: 1, pts: 11, pts_count: 1, ..types::UpdateShortSentMessage::default() };
    push(&mut engine, ms(2), sent.into());
    assert_eq!(told(&mut engine), [2]);
}

#[test]
fn secret_chats_have_a_counter_of_their_own() {
    let mut engine = following();
    let stopped = |qts| short(types::UpdateBotStopped { user_id: 5, date: 100, stopped: true, qts }.into());
    push(&mut engine, ms(1), stopped(1));
    push(&mut engine, ms(1), stopped(1));
    push(&mut engine, ms(1), stopped(3));
    assert_eq!(std::iter::from_fn(|| engine.poll_event()).count(), 1);
    assert_eq!(engine.state().unwrap().qts, 1);
    push(&mut engine, ms(2), stopped(2));
    assert_eq!(std::iter::from_fn(|| engine.poll_event()).count(), 2);
    assert_eq!((engine.state().unwrap().qts, engine.is_caught_up()), (3, true));
}

#[test]
fn a_channel_is_followed_by_its_own_counter() {
    let mut engine = following();
    push(&mut engine, ms(1), short(new_post(2, 22)));
    push(&mut engine, ms(1), short(new_message(1, 11)));
    assert_eq!(told(&mut engine), [1], "the account does not wait for the channel");
    engine.handle_timeout(ms(501));
    assert_eq!(engine.poll_request(ms(501)), Some(Request::Channel { id: CHANNEL, pts: 20, limit: 100 }));
    let answer = |ids: Vec<i32>, pts, is_final| {
        enums::updates::ChannelDifference::from(types::updates::ChannelDifference {
            r#final: is_final,
            pts,
            timeout: None,
            new_messages: ids.into_iter().map(post).collect(),
            other_updates: Vec::new(),
            chats: Vec::new(),
            users: Vec::new(),
        })
    };
    engine.handle_channel_difference(ms(600), CHANNEL, answer(vec![1], 21, false)).unwrap();
    assert_eq!(engine.poll_request(ms(600)), Some(Request::Channel { id: CHANNEL, pts: 21, limit: 100 }));
    engine.handle_channel_difference(ms(700), CHANNEL, answer(vec![], 21, true)).unwrap();
    assert_eq!(told(&mut engine), [1001, 1002]);
    assert_eq!((engine.state().unwrap().channels[&CHANNEL], engine.is_caught_up()), (22, true));

    let too_long = |pts| short(types::UpdateChannelTooLong { channel_id: CHANNEL, pts }.into());
    push(&mut engine, ms(800), too_long(Some(22)));
    assert_eq!(engine.poll_request(ms(800)), None, "nothing that we do not have");
    push(&mut engine, ms(800), too_long(Some(30)));
    assert!(engine.poll_request(ms(800)).is_some());
    assert!(engine.handle_channel_difference(ms(801), CHANNEL, answer(vec![], 22, false)).is_err(), "no progress");
    assert!(engine.poll_request(ms(1900)).is_some());
    let dialog = types::Dialog { pts: Some(90), ..types::Dialog::default() };
    let far = types::updates::ChannelDifferenceTooLong {
        r#final: true,
        dialog: dialog.into(),
        messages: vec![post(9)],
        ..types::updates::ChannelDifferenceTooLong::default()
    };
    engine.handle_channel_difference(ms(2000), CHANNEL, far.into()).unwrap();
    assert_eq!(engine.poll_event(), Some(UpdateEvent::Missed { channel: Some(CHANNEL), from: Some(22), to: Some(90) }));
    push(&mut engine, ms(2001), short(new_post(5, 91)));
    assert_eq!(told(&mut engine), [1005]);

    push(&mut engine, ms(2002), too_long(None));
    assert!(engine.poll_request(ms(2002)).is_some());
    engine.handle_channel_refused(CHANNEL);
    assert_eq!(engine.poll_event(), Some(UpdateEvent::Missed { channel: Some(CHANNEL), from: Some(91), to: None }));
    assert!(engine.is_caught_up() && engine.state().unwrap().channels.is_empty());
}

#[test]
fn a_channel_is_followed_from_the_first_that_is_heard_of_it() {
    let mut engine = Engine::new(Duration::ZERO, 1, Some(UpdateState { pts: 1, ..UpdateState::default() }));
    assert!(engine.poll_request(ms(0)).is_some());
    engine.handle_difference(ms(0), difference(vec![], 1)).unwrap();
    push(&mut engine, ms(1), short(new_post(4, 50)));
    push(&mut engine, ms(2), short(new_post(5, 51)));
    push(&mut engine, ms(2), short(new_post(5, 51)));
    assert_eq!(told(&mut engine), [1004, 1005]);
    push(&mut engine, ms(3), short(types::UpdateChannelTooLong { channel_id: 8, pts: Some(3) }.into()));
    assert_eq!(engine.poll_event(), Some(UpdateEvent::Missed { channel: Some(8), from: None, to: Some(3) }));
    assert_eq!(engine.state().unwrap().channels, [(8, 3), (CHANNEL, 51)].into());
}

#[test]
fn what_is_held_has_a_limit_and_the_extremes_of_a_counter_do_no_harm() {
    let mut engine = following();
    for n in 0..=MAX_HELD as i32 {
        push(&mut engine, ms(1), short(new_message(n, 100 + n)));
        push(&mut engine, ms(1), envelope(Vec::new(), if n == 0 { 1 } else { 100 + n }));
    }
    assert!(engine.poll_request(ms(1)).is_some(), "asked at once, before the half second is over");
    for n in 0..=MAX_HELD as i32 {
        push(&mut engine, ms(2), short(new_message(n, 100 + n)));
    }
    engine.handle_difference(ms(3), difference(vec![], 11)).unwrap();
    assert!(engine.poll_request(ms(3)).is_some(), "what was dropped meanwhile is asked for");
    engine.handle_difference(ms(4), difference(vec![], 5000)).unwrap();
    told(&mut engine);

    for pts in [i32::MIN, -1, 0, i32::MAX] {
        for pts_count in [i32::MIN, -1, 0, 1, i32::MAX] {
            for seq in [i32::MIN, -1, i32::MAX - 1, i32::MAX] {
                let update = types::UpdateNewMessage { message: message(1), pts, pts_count };
                push(&mut engine, ms(5), envelope(vec![update.into(), new_post(1, pts)], seq));
                engine.handle_timeout(ms(5000));
                if let Some(request @ Request::Difference { .. }) = engine.poll_request(ms(5000)) {
                    engine.handle_failure(ms(5000), request);
                    engine.poll_request(Duration::from_secs(900));
                    let _ = engine.handle_difference(ms(5000), difference(vec![], pts));
                }
            }
        }
    }
}
