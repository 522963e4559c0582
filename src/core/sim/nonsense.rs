//! Messages that a server should not send, made by hand.

use std::sync::LazyLock;

use bytes::{BufMut, Bytes, BytesMut};
use rand::Rng;

use super::{body, dice::Dice, fault::Fault};
use crate::{
    clock::Now,
    ids::{MsgId, SeqNo, SessionId},
    mtproto::{container, gzip, msg_id},
    tl::wire,
};

/// Constructors, by their names in the schema.
pub(super) mod constructors {
    pub(crate) const RPC_RESULT: u32 = 0xf35c_6d01;
    pub(crate) const RPC_DROP_ANSWER: u32 = 0x58e4_a740;
    pub(crate) const GET_FUTURE_SALTS: u32 = 0xb921_bd04;
    pub(crate) const FUTURE_SALTS: u32 = 0xae50_0895;
    pub(crate) const PING: u32 = 0x7abe_77ec;
    pub(crate) const PONG: u32 = 0x3477_73c5;
    pub(crate) const DESTROY_SESSION: u32 = 0xe751_2126;
    pub(crate) const NEW_SESSION_CREATED: u32 = 0x9ec2_0908;
    pub(crate) const MSG_COPY: u32 = 0xe060_46b2;
    pub(crate) const HTTP_WAIT: u32 = 0x9299_359f;
    pub(crate) const MSGS_ACK: u32 = 0x62d6_b459;
    pub(crate) const BAD_MSG_NOTIFICATION: u32 = 0xa7ef_f811;
    pub(crate) const BAD_SERVER_SALT: u32 = 0xedab_447b;
    pub(crate) const MSGS_STATE_REQ: u32 = 0xda69_fb52;
    pub(crate) const MSGS_STATE_INFO: u32 = 0x04de_b57d;
    pub(crate) const MSGS_ALL_INFO: u32 = 0x8cc0_d131;
    pub(crate) const MSG_DETAILED_INFO: u32 = 0x276d_3ec6;
    pub(crate) const MSG_NEW_DETAILED_INFO: u32 = 0x809d_b6df;
    pub(crate) const MSG_RESEND_REQ: u32 = 0x7d86_1a08;
    pub(crate) const VECTOR: u32 = 0x1cb5_c415;
}
use constructors::*;

/// Writes an object by hand.
pub(super) struct Words(BytesMut);

/// Begins an object.
pub(super) fn words(constructor: u32) -> Words {
    let mut out = BytesMut::new();
    out.put_u32_le(constructor);
    Words(out)
}

impl Words {
    pub(super) fn int(mut self, value: i32) -> Self {
        self.0.put_i32_le(value);
        self
    }

    pub(super) fn long(mut self, value: i64) -> Self {
        self.0.put_i64_le(value);
        self
    }

    pub(super) fn raw(mut self, value: &[u8]) -> Self {
        self.0.put_slice(value);
        self
    }

    fn bytes(mut self, value: &[u8]) -> Self {
        let mut out = Vec::new();
        wire::write_bytes(&mut out, value);
        self.0.put_slice(&out);
        self
    }

    fn ids(self, ids: &[MsgId]) -> Self {
        let count = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        let vector = self.int(VECTOR.cast_signed()).int(count);
        ids.iter().fold(vector, |words, id| words.long(id.0))
    }

    pub(super) fn done(self) -> Bytes {
        self.0.freeze()
    }
}

/// A message to be sealed, and what is wrong with its header.
pub(super) struct Said {
    body: Bytes,
    /// It demands to be acknowledged.
    pub(super) content: bool,
    pub(super) msg_id: Option<MsgId>,
    pub(super) session: Option<SessionId>,
    /// The body is a container, in which the messages have the identifiers right below its own.
    inside: Vec<(SeqNo, Bytes)>,
}

impl Said {
    /// A message that needs no acknowledgement.
    pub(super) fn plain(body: Bytes) -> Self {
        Self { body, content: false, msg_id: None, session: None, inside: Vec::new() }
    }

    /// A message that does.
    pub(super) fn content(body: Bytes) -> Self {
        Self { content: true, ..Self::plain(body) }
    }

    fn inside(messages: Vec<(SeqNo, Bytes)>) -> Self {
        Self { inside: messages, ..Self::plain(Bytes::new()) }
    }

    /// The body, once the message's identifier is known.
    pub(super) fn body_of(&self, msg_id: MsgId) -> Bytes {
        if self.inside.is_empty() {
            return self.body.clone();
        }
        let list: Vec<_> = self
            .inside
            .iter()
            .zip((1..).map(|number| MsgId(msg_id.0 - 4 * number)))
            .map(|((seq_no, body), id)| (id, *seq_no, body.clone()))
            .collect();
        container(&list)
    }
}

/// A container.
pub(super) fn container(messages: &[(MsgId, SeqNo, Bytes)]) -> Bytes {
    let mut out = BytesMut::from(&container::header(messages.len())[..]);
    for (msg_id, seq_no, body) in messages {
        out.put_slice(&container::message_header(*msg_id, *seq_no, body.len()));
        out.put_slice(body);
    }
    out.freeze()
}

/// A mebibyte of zeros in a kilobyte.
static BOMB: LazyLock<Bytes> = LazyLock::new(|| gzip::pack(&vec![0; 1 << 20]).unwrap_or_default());

fn packed(inner: &[u8]) -> Bytes {
    let mut long = inner.to_vec();
    long.resize(inner.len().max(gzip::MIN_LEN), 0);
    gzip::pack(&long).unwrap_or_default()
}

/// What a kind of fault says. `recent` are identifiers of messages that the client may have sent.
pub(super) fn about(fault: Fault, now: Now, recent: &[MsgId], dice: &mut Dice) -> Said {
    let one = recent.get(dice.index(recent.len())).copied().unwrap_or(MsgId(4));
    let update = body::forged(dice.long());
    let at = |wall: std::time::Duration| MsgId(msg_id::at(wall).0 | 3);
    match fault {
        Fault::BadMsgUnknown => {
            let code = dice.pick([16, 17, 18, 19, 20, 32, 33, 34, 35, 48, 64]);
            let id = dice.long() & !3;
            Said::plain(words(BAD_MSG_NOTIFICATION).long(id).int(3).int(code).done())
        }
        Fault::NewSession => {
            let first = dice.pick([4, one.0, msg_id::at(now.wall).0]);
            Said::content(words(NEW_SESSION_CREATED).long(first).long(dice.long()).long(dice.long()).done())
        }
        Fault::WrongTime => {
            let off = std::time::Duration::from_secs(dice.within(400, 90_000));
            let wall = if dice.below(2) == 0 { now.wall + off } else { now.wall.saturating_sub(off) };
            Said { msg_id: Some(at(wall)), ..Said::content(update) }
        }
        Fault::WrongSeqNo => Said::content(match dice.below(2) {
            0 => words(MSGS_ACK).ids(recent).done(),
            _ => container::header(0).to_vec().into(),
        }),
        Fault::WrongParity => Said { msg_id: Some(MsgId(msg_id::at(now.wall).0 | dice.pick([0, 2]))), ..Said::content(update) },
        Fault::WrongSession => Said { session: Some(SessionId(dice.long())), ..Said::content(update) },
        Fault::WrongRole => Said::content(match dice.below(5) {
            0 => words(RPC_DROP_ANSWER).long(one.0).done(),
            1 => words(GET_FUTURE_SALTS).int(3).done(),
            2 => words(DESTROY_SESSION).long(dice.long()).done(),
            3 => words(HTTP_WAIT).int(1).int(2).int(3).done(),
            _ => words(0x8610_baeb).ids(recent).done(),
        }),
        Fault::GzipBomb => Said::content(BOMB.clone()),
        Fault::GzipDamaged => Said::content(match dice.below(4) {
            0 => words(gzip::ID).bytes(&dice.seed()).done(),
            1 => packed(&packed(&[0; 600])),
            2 => packed(&container::header(1)),
            _ => words(gzip::ID).int(-2).done(),
        }),
        Fault::NestedContainer => {
            let inner = container(&[(MsgId(one.0 | 1), SeqNo(1), update)]);
            Said::inside(vec![(SeqNo(0), inner)])
        }
        Fault::InnerLength => {
            let mut body = container(&[(MsgId(msg_id::at(now.wall).0 - 3), SeqNo(1), update)]).to_vec();
            let at = dice.pick([4, 7, 20, 21, 23]);
            body[at] ^= 1 + dice.below(255) as u8;
            Said::plain(body.into())
        }
        Fault::IdListLie => {
            let kind = dice.pick([MSGS_ACK, MSGS_STATE_REQ, MSG_RESEND_REQ]);
            let count = dice.pick([-1, i32::MAX, 8193, 5]);
            Said::plain(words(kind).int(VECTOR.cast_signed()).int(count).long(one.0).done())
        }
        Fault::Malformed => {
            let kind = dice.pick([
                FUTURE_SALTS,
                PONG,
                NEW_SESSION_CREATED,
                BAD_SERVER_SALT,
                MSG_DETAILED_INFO,
                MSGS_STATE_INFO,
                RPC_RESULT,
            ]);
            let mut rest = vec![0; usize::try_from(dice.below(12) * 4).unwrap_or(0)];
            dice.rng().fill_bytes(&mut rest);
            Said::plain(words(kind).raw(&rest).done())
        }
        Fault::StateLie => Said::plain(match dice.below(3) {
            0 => words(MSGS_STATE_INFO).long(one.0).bytes(&[4; 7]).done(),
            1 => words(MSGS_ALL_INFO).ids(recent).bytes(&[4; 2]).done(),
            _ => words(FUTURE_SALTS).long(one.0).int(0).int(1).int(0).int(i32::MAX).long(7).done(),
        }),
        Fault::AckLie => Said::plain(words(MSGS_ACK).ids(recent).done()),
        Fault::InfoLie => {
            let answer = at(now.wall).0 - dice.within(0, 1 << 36).cast_signed() * 4;
            Said::plain(match dice.below(3) {
                0 => words(MSG_NEW_DETAILED_INFO).long(answer).int(50).int(0).done(),
                1 => words(MSG_DETAILED_INFO).long(one.0).long(answer).int(50).int(0).done(),
                _ => words(PONG).long(one.0).long(dice.long()).done(),
            })
        }
        Fault::AskBack => match dice.below(3) {
            0 => Said::content(words(PING).long(dice.long()).done()),
            1 => Said::content(words(MSGS_STATE_REQ).ids(recent).done()),
            _ => Said::content(words(MSG_RESEND_REQ).ids(recent).done()),
        },
        Fault::CopyLie => {
            let inner = match dice.below(3) {
                0 => container::header(0).to_vec().into(),
                1 => words(MSG_COPY).long(1).int(0).int(0).done(),
                _ => update,
            };
            let id = match dice.below(3) {
                0 => at(now.wall + std::time::Duration::from_secs(20)),
                _ => MsgId(at(now.wall).0 - (dice.within(1, 1 << 20) * 4).cast_signed()),
            };
            let len = i32::try_from(inner.len()).unwrap_or(0);
            Said::content(words(MSG_COPY).long(id.0).int(1).int(len).raw(&inner).done())
        }
        // The others do not speak.
        _ => Said::content(update),
    }
}
