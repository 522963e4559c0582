//! Messages as a busy chat has them: about 234 bytes each, with sender, text, formatting and counters.

use tdl::tl::api::{enums, types};

/// A page of history.
pub(crate) fn messages(count: i32) -> Vec<enums::Message> {
    (0..count)
        .map(|n| {
            let text = format!(
                "Message {n:04}: the meeting moves to Thursday at ten; bring the printed agenda and the figures of last month, please. Thanks, all!"
            );
            let entity = |offset, length| types::MessageEntityBold { offset, length }.into();
            types::Message {
                id: n + 1,
                from_id: Some(types::PeerUser { user_id: 5_000_000_000 + i64::from(n) }.into()),
                peer_id: types::PeerChannel { channel_id: 1_234_567_890 }.into(),
                date: 1_700_000_000 + n,
                message: text.into(),
                entities: Some(vec![entity(0, 12), entity(14, 11), entity(75, 14)]),
                views: Some(100 + n),
                forwards: Some(n),
                edit_date: Some(1_700_000_100 + n),
                ..Default::default()
            }
            .into()
        })
        .collect()
}
