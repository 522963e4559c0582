//! Whatever a peer says after decryption, nothing panics: every prefix of every service message, and mutated ones, in both roles.

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::peer::*;
use crate::{
    ids::{MsgId, Salt, SeqNo, SessionId},
    mtproto::{
        container,
        envelope::Side,
        session::{
            FutureSalt, Session,
            service::{self, ids},
        },
    },
};

/// One of each message that either side may say, about the given messages.
fn corpus(about: &[MsgId]) -> Vec<Bytes> {
    let one = about.first().copied().unwrap_or(MsgId(4));
    let salt = FutureSalt { since: 0, until: i64::from(i32::MAX), salt: Salt(1) };
    let raw = |id: u32, rest: &[u8]| Bytes::from([&id.to_le_bytes()[..], rest].concat());
    let mut all = vec![
        service::msgs_ack(about),
        service::msgs_state_req(about),
        service::msg_resend_req(about),
        service::msgs_state_info(one, &vec![1; about.len()]),
        service::msg_detailed_info(one, MsgId(one.0 | 1), 100),
        service::msg_new_detailed_info(MsgId(one.0 | 3), 100),
        service::ping_delay_disconnect(1, 75),
        service::pong(one, 1),
        service::get_future_salts(64),
        service::future_salts_answer(one, 1, &[salt, salt]),
        service::rpc_drop_answer(one),
        service::destroy_session(SessionId(1)),
        service::destroy_session_answer(SessionId(1), true),
        service::destroy_session_answer(SessionId(1), false),
        service::new_session_created(one, 5, Salt(3)),
        service::bad_server_salt(one, SeqNo(1), Salt(9)),
        raw(ids::PING, &[0; 8]),
        raw(ids::HTTP_WAIT, &[0; 12]),
        raw(ids::MSGS_ALL_INFO, &[&service::msgs_ack(about)[4..], &[1, 2, 0, 0]].concat()),
        raw(ids::MSG_COPY, &[&container::message_header(MsgId(one.0 | 1), SeqNo(1), 8)[..], &body(1)].concat()),
        Bytes::from(gzipped(&body(1))),
        Bytes::from(rpc_result(one, b"okay")),
        Bytes::from(rpc_result(one, &gzipped(b"okay"))),
        Bytes::from(rpc_result(one, &service::rpc_error(420, "FLOOD_WAIT_3"))),
        Bytes::from(rpc_result(one, &service::rpc_answer_dropped(one, SeqNo(1), 4))),
        body(1),
    ];
    all.extend([16, 17, 18, 19, 20, 32, 33, 34, 35, 48, 64, 99].map(|code| service::bad_msg_notification(one, SeqNo(1), code)));
    let messages: Vec<_> =
        all.iter().enumerate().map(|(at, body)| (MsgId(one.0 + 4 * at as i64 + 1), SeqNo(1), body.clone())).collect();
    all.push(container_of(&messages));
    all
}

/// A session with things going on, and the messages that it sent.
fn busy(side: Side, seed: u64) -> (Session, Vec<MsgId>) {
    let mut about = Vec::new();
    match side {
        Side::Client => {
            let mut client = client();
            for number in 0..3 {
                let id = client.request(START, body(number), Default::default()).unwrap();
                about.extend(output(&mut client, START, Side::Client).iter().map(|got| got.msg_id));
                if number == 0 && seed.is_multiple_of(2) {
                    client.cancel(START, id);
                    about.extend(output(&mut client, START, Side::Client).iter().map(|got| got.msg_id));
                }
            }
            if seed.is_multiple_of(3) {
                client.connection_lost(START);
                client.connection_opened(START);
                about.extend(output(&mut client, START, Side::Client).iter().map(|got| got.msg_id));
            }
            (client, about)
        }
        Side::Server => {
            let mut server = server();
            let mut peer = Peer::new(Side::Client);
            for number in 0..3 {
                about.push(peer.say(&mut server, START, true, body(number)));
            }
            server.respond(START, about[0], body(0), false).unwrap();
            about.push(server.push(START, body(1)).unwrap());
            about.extend(output(&mut server, START, Side::Server).iter().map(|got| got.msg_id));
            (server, about)
        }
    }
}

/// Says something of any identifier and number, and polls all there is to poll.
fn provoke(session: &mut Session, side: Side, body: Bytes, rng: &mut StdRng) {
    let mut peer = Peer::new(if side == Side::Client { Side::Server } else { Side::Client });
    let (msg_id, _) = peer.next(START, true);
    let spread = i64::from(rng.next_u32()) << 4;
    let low = if side == Side::Client { 1 } else { 0 };
    let msg_id = MsgId(((msg_id.0 + spread) & !3) | low);
    let seq_no = SeqNo(rng.next_u32().cast_signed());
    peer.session = session.session_id();
    let _ = session.handle_opened(START, peer.opened(msg_id, seq_no, body));
    let _ = events(session);
    for _ in 0..8 {
        if session.poll_output(START).is_none() {
            break;
        }
    }
    if let Some(at) = session.poll_timeout()
        && rng.next_u32().is_multiple_of(8)
    {
        session.handle_timeout(START.later(at.saturating_sub(START.mono)));
    }
}

#[test]
fn every_prefix_of_every_message() {
    let mut rng = StdRng::seed_from_u64(1);
    for side in [Side::Client, Side::Server] {
        let (_, about) = busy(side, 0);
        for message in corpus(&about) {
            for end in 0..message.len() {
                let (mut session, _) = busy(side, end as u64);
                provoke(&mut session, side, message.slice(..end), &mut rng);
            }
        }
    }
}

#[test]
fn mutated_messages_in_long_conversations() {
    for seed in 0..400 {
        let mut rng = StdRng::seed_from_u64(seed);
        let side = if seed.is_multiple_of(2) { Side::Client } else { Side::Server };
        let (mut session, about) = busy(side, seed);
        let corpus = corpus(&about);
        for _ in 0..60 {
            let mut message = corpus[rng.next_u32() as usize % corpus.len()].to_vec();
            for _ in 0..rng.next_u32() % 4 {
                let at = rng.next_u32() as usize % message.len();
                message[at] = match rng.next_u32() % 3 {
                    0 => rng.next_u32() as u8,
                    1 => message[at] ^ (1 << (rng.next_u32() % 8)),
                    _ => [0, 1, 0x7f, 0x80, 0xff][rng.next_u32() as usize % 5],
                };
            }
            if rng.next_u32().is_multiple_of(6) {
                message.truncate(rng.next_u32() as usize % (message.len() + 1));
            }
            provoke(&mut session, side, message.into(), &mut rng);
        }
        session.connection_lost(START);
        session.connection_opened(START);
        while session.poll_output(START).is_some() {}
    }
}
