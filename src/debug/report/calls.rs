//! Calls: requests paired with their answers, in either role.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use tdl_core::ids::MsgId;
use tdl_core::trace::{ConnId, Event, Record};

use super::super::human;
use super::strings::Strings;

/// One column for each property, as the page reads it. A row of -1 stands for none.
#[derive(Debug, Default, Serialize)]
pub(super) struct Calls {
    /// Row of the request.
    from: Vec<i64>,
    /// Row of the answer.
    to: Vec<i64>,
    /// The method's name, among the recording's strings.
    method: Vec<u32>,
    /// From request to answer, in microseconds; -1 where none came.
    us: Vec<i64>,
    /// Bytes of the request.
    sent: Vec<usize>,
    /// Bytes of the answer.
    received: Vec<usize>,
    /// 1 for an answer that is an error.
    failed: Vec<u8>,
    #[serde(skip)]
    open: HashMap<(ConnId, MsgId), Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    call: usize,
    at: Duration,
}

impl Calls {
    /// Takes the record in `row`.
    pub(super) fn read(&mut self, record: &Record, row: usize, strings: &mut Strings) {
        let key = |id: MsgId| (record.conn, id);
        match &record.event {
            Event::RpcSent { msg_id, method, len, .. } | Event::RpcReceived { msg_id, method, len } => {
                let call = self.add(strings.of(human::name(*method)));
                self.from[call] = place(row);
                self.sent[call] = *len;
                self.open.insert(key(*msg_id), Open { call, at: record.at });
            }
            Event::RpcResult { msg_id, method, latency, len, error, .. } => {
                let open = self.open.remove(&key(*msg_id));
                // A recording may begin between a request and its answer.
                let call = open.map_or_else(|| self.add(strings.of(human::name(*method))), |open| open.call);
                self.answer(call, row, *latency, *len, error.is_some());
            }
            Event::RpcAnswered { msg_id, method, len, error, .. } => {
                let open = self.open.remove(&key(*msg_id));
                let took = open.map_or(Duration::ZERO, |open| record.at.saturating_sub(open.at));
                let call = open.map_or_else(|| self.add(strings.of(human::name(*method))), |open| open.call);
                self.answer(call, row, took, *len, error.is_some());
            }
            Event::RpcFailed { msg_id: Some(msg_id), .. } => {
                if let Some(open) = self.open.remove(&key(*msg_id)) {
                    self.failed[open.call] = 1;
                }
            }
            Event::Resent { old, new } => {
                if let Some(open) = self.open.remove(&key(*old)) {
                    self.open.insert(key(*new), open);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, method: u32) -> usize {
        self.from.push(-1);
        self.to.push(-1);
        self.method.push(method);
        self.us.push(-1);
        self.sent.push(0);
        self.received.push(0);
        self.failed.push(0);
        self.method.len() - 1
    }

    fn answer(&mut self, call: usize, row: usize, took: Duration, len: usize, failed: bool) {
        self.to[call] = place(row);
        self.us[call] = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        self.received[call] = len;
        self.failed[call] = failed.into();
    }
}

fn place(row: usize) -> i64 {
    i64::try_from(row).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use tdl_core::ids::DcId;

    use super::*;
    use tdl_core::trace::Role;

    fn read(events: Vec<(u64, Event)>) -> Calls {
        let (mut calls, mut strings) = (Calls::default(), Strings::default());
        for (row, (ms, event)) in events.into_iter().enumerate() {
            calls.read(
                &Record { at: Duration::from_millis(ms), conn: ConnId(1), dc: DcId(2), role: Role::Client, event },
                row,
                &mut strings,
            );
        }
        calls
    }

    #[test]
    fn a_call_is_found_again_by_its_identifier_and_by_a_later_one() {
        let calls = read(vec![
            (0, Event::RpcSent { msg_id: MsgId(4), method: 1, len: 10, packed: None }),
            (1, Event::RpcSent { msg_id: MsgId(8), method: 1, len: 20, packed: None }),
            (2, Event::Resent { old: MsgId(4), new: MsgId(12) }),
            (
                9,
                Event::RpcResult {
                    msg_id: MsgId(12),
                    method: 1,
                    latency: Duration::from_millis(9),
                    len: 7,
                    packed: None,
                    sends: 1,
                    error: None,
                },
            ),
        ]);
        assert_eq!((calls.from, calls.to, calls.us), (vec![0, 1], vec![3, -1], vec![9000, -1]));
        assert_eq!((calls.sent, calls.received, calls.failed), (vec![10, 20], vec![7, 0], vec![0, 0]));
    }

    #[test]
    fn a_servers_calls_last_from_record_to_record_and_may_lack_their_beginning() {
        let calls = read(vec![
            (5, Event::RpcReceived { msg_id: MsgId(4), method: 1, len: 10 }),
            (8, Event::RpcAnswered { msg_id: MsgId(4), method: 1, len: 3, packed: None, error: Some((400, "NO".into())) }),
            (9, Event::RpcAnswered { msg_id: MsgId(16), method: 1, len: 3, packed: None, error: None }),
        ]);
        assert_eq!((calls.from, calls.to), (vec![0, -1], vec![1, 2]));
        assert_eq!((calls.us, calls.failed), (vec![3000, 0], vec![1, 0]));
    }
}
