//! What is out of the ordinary in a recording: found by reading it once, told with what it means.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use tdl_core::ids::MsgId;
use tdl_core::trace::{ConnId, Event, Record};

/// A call that takes longer is called slow. The slowest round trips to a data centre take half a second.
const SLOW: Duration = Duration::from_secs(2);
/// A server's clock further away than this has its messages refused ("Security Guidelines", 30 seconds ahead).
const CLOCK: i64 = 30;
/// Places shown for each finding; the others are counted.
const PLACES: usize = 40;

/// Something worth a look, with the rows that show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// 2: something broke; 1: something is amiss; 0: good to know.
    pub severity: u8,
    /// What was found.
    pub title: String,
    /// What that means.
    pub meaning: String,
    /// Rows of the recording, from 0, in order.
    pub rows: Vec<usize>,
    /// How many more there are.
    pub more: usize,
}

/// Kinds of findings, in the order in which they are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Check(String),
    Transport(i32),
    Salt,
    BadMsg(i32),
    NoAnswer,
    GivenUp(String),
    Failed(i32, String),
    Flood,
    Retry,
    Lost,
    Unacked,
    Resent,
    Slow,
    Clock,
    NewSession,
    Missing(u64),
}

/// Reads records in order, and tells at the end.
#[derive(Debug, Default)]
pub struct Findings {
    rows: usize,
    missing: u64,
    found: BTreeMap<Kind, Vec<usize>>,
    /// Content-related messages of ours that nothing has confirmed yet, with the row in which they were sent.
    unacked: HashMap<(ConnId, MsgId), usize>,
    /// Calls without an answer, likewise.
    open: HashMap<(ConnId, MsgId), usize>,
    /// Connections that have lost their stream once.
    sessions: HashSet<ConnId>,
}

impl Findings {
    /// Takes the next record.
    pub fn read(&mut self, record: &Record) {
        let row = self.rows;
        self.rows += 1;
        let conn = record.conn;
        match &record.event {
            Event::CheckFailed { rule, .. } => self.note(Kind::Check(rule.to_string()), row),
            Event::TransportError { code } => self.note(Kind::Transport(*code), row),
            Event::BadMsg { code: 48, .. } => self.note(Kind::Salt, row),
            Event::BadMsg { code, .. } => self.note(Kind::BadMsg(*code), row),
            Event::MessageSent { msg_id, seq_no, .. } if seq_no.is_content_related() => {
                self.unacked.insert((conn, *msg_id), row);
            }
            Event::Acked { ids } => {
                for id in ids {
                    self.unacked.remove(&(conn, *id));
                }
            }
            Event::Resent { old, new } => {
                if let Some(first) = self.unacked.remove(&(conn, *old)) {
                    self.unacked.insert((conn, *new), first);
                }
                if let Some(first) = self.open.remove(&(conn, *old)) {
                    self.open.insert((conn, *new), first);
                }
                self.note(Kind::Resent, row);
            }
            Event::RpcSent { msg_id, .. } => {
                self.open.insert((conn, *msg_id), row);
            }
            Event::RpcResult { msg_id, latency, error, .. } => {
                // An answer acknowledges its request.
                self.unacked.remove(&(conn, *msg_id));
                self.open.remove(&(conn, *msg_id));
                if let Some((code, text)) = error {
                    self.note(Kind::Failed(*code, text.clone()), row);
                } else if *latency >= SLOW {
                    self.note(Kind::Slow, row);
                }
            }
            Event::RpcFailed { msg_id, reason, .. } => {
                if let Some(id) = msg_id {
                    self.unacked.remove(&(conn, *id));
                    self.open.remove(&(conn, *id));
                }
                self.note(Kind::GivenUp(reason.clone()), row);
            }
            Event::Retry { .. } => self.note(Kind::Retry, row),
            Event::RpcCancelled { msg_id } => {
                self.open.remove(&(conn, *msg_id));
                self.unacked.remove(&(conn, *msg_id));
            }
            Event::FloodWait { .. } => self.note(Kind::Flood, row),
            Event::Disconnected { reason } if !is_ordinary(reason) => self.note(Kind::Lost, row),
            Event::TimeOffset { seconds } if seconds.abs() > CLOCK => self.note(Kind::Clock, row),
            // The first session of a connection is how things begin.
            Event::SessionCreated { .. } if !self.sessions.insert(conn) => self.note(Kind::NewSession, row),
            _ => {}
        }
    }

    /// Records are missing.
    pub fn lost(&mut self, count: u64) {
        self.missing = self.missing.saturating_add(count);
    }

    /// What was found, the worst first.
    pub fn finish(mut self) -> Vec<Finding> {
        if self.missing > 0 {
            self.found.insert(Kind::Missing(self.missing), Vec::new());
        }
        let ends: [(Kind, Vec<usize>); 2] =
            [(Kind::NoAnswer, self.open.into_values().collect()), (Kind::Unacked, self.unacked.into_values().collect())];
        for (kind, mut rows) in ends {
            if !rows.is_empty() {
                rows.sort_unstable();
                self.found.insert(kind, rows);
            }
        }
        let mut findings: Vec<Finding> = self.found.into_iter().map(|(kind, rows)| tell(&kind, rows)).collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    }

    fn note(&mut self, kind: Kind, row: usize) {
        self.found.entry(kind).or_default().push(row);
    }
}

/// Whether a connection ended because somebody was done with it.
fn is_ordinary(reason: &str) -> bool {
    reason.is_empty() || reason.contains("closed by us") || reason.contains("closed by the client")
}

fn tell(kind: &Kind, mut rows: Vec<usize>) -> Finding {
    let count = rows.len();
    let more = count.saturating_sub(PLACES);
    rows.truncate(PLACES);
    let times = |what: &str| if count == 1 { format!("{what}, once") } else { format!("{what}, {count} times") };
    let number = |one: &str, many: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {many}") };
    let (severity, title, meaning) = match kind {
        Kind::Check(rule) => (
            2,
            times(&format!("Rule broken: {rule}")),
            "What came broke a rule that the protocol demands to be checked. Either the bytes were changed on their way, or the peer \
             does not keep to the protocol."
                .to_owned(),
        ),
        Kind::Transport(code) => (2, times(&format!("Transport error {code}")), transport(*code).to_owned()),
        Kind::Salt => (
            1,
            times("Wrong server salt"),
            "Costs a round trip each time. Salts change every half hour, so once in a while is normal; often means that salts are not \
             kept, or that another program uses the same authorization."
                .to_owned(),
        ),
        Kind::BadMsg(code) => (
            2,
            times(&format!("Message refused with code {code}")),
            "The server did not take a message: see \"Service Messages about Messages\". Codes 16 and 17 speak of the clock, 32 to 35 \
             of seq_no, which two programs on one session disturb for each other."
                .to_owned(),
        ),
        Kind::NoAnswer => (
            2,
            number("call without an answer", "calls without an answer"),
            "When the recording ended, no answer had come. If it ended in the middle, that may be all there is to it.".to_owned(),
        ),
        Kind::GivenUp(reason) => (
            2,
            times(&format!("Call ended without an answer: {reason}")),
            "Whether the server has executed it may not be known: the reason tells.".to_owned(),
        ),
        Kind::Failed(code, text) => (1, times(&format!("{code} {text}")), "The server refused a call.".to_owned()),
        Kind::Flood => (1, times("The server demanded a pause"), "Too many calls of this kind. Nothing was lost, only time.".to_owned()),
        Kind::Retry => (
            0,
            number("call asked once more", "calls asked once more"),
            "The server stumbled, or an answer was lost; doing it again does no harm.".to_owned(),
        ),
        Kind::Lost => (
            1,
            times("Connection lost"),
            "The stream ended without being closed by this side. What was under way is asked about and sent again.".to_owned(),
        ),
        Kind::Unacked => (
            1,
            number("message never acknowledged", "messages never acknowledged"),
            "Neither an acknowledgement nor an answer came for messages that demand one.".to_owned(),
        ),
        Kind::Resent => (
            0,
            number("message sent again", "messages sent again"),
            "After a loss, or because the server asked for it.".to_owned(),
        ),
        Kind::Slow => (
            0,
            number("slow call", "slow calls"),
            format!("Slower than {} seconds from the request to its answer.", SLOW.as_secs()),
        ),
        Kind::Clock => (
            1,
            times("This computer's clock is off"),
            "By more than half a minute. Messages are dated by the server's clock all the same.".to_owned(),
        ),
        Kind::Missing(count) => (
            1,
            format!("{count} records are missing"),
            "They came faster than they could be written. What seems to be without an answer may have had one.".to_owned(),
        ),
        Kind::NewSession => (
            0,
            times("The server began the session anew"),
            "What it had not sent yet is gone: updates have to be asked for.".to_owned(),
        ),
    };
    Finding { severity, title, meaning, rows, more }
}

fn transport(code: i32) -> &'static str {
    match code {
        404 => "The server does not know the auth key, or nothing of what was sent made sense to it.",
        429 => "Too many connections from this address in too short a time.",
        444 => "There is no such data centre behind this address.",
        _ => "The server refused the connection below the protocol (\"Transport errors\").",
    }
}

#[cfg(test)]
mod tests {
    use tdl_core::ids::{DcId, SeqNo};

    use super::*;
    use tdl_core::trace::Role;

    fn read(events: Vec<Event>) -> Vec<Finding> {
        let mut findings = Findings::default();
        for event in events {
            findings.read(&Record { at: Duration::ZERO, conn: ConnId(1), dc: DcId(2), role: Role::Client, event });
        }
        findings.finish()
    }

    fn sent(id: i64) -> Event {
        Event::MessageSent { msg_id: MsgId(id), seq_no: SeqNo(1), constructor: 1, len: 8, container: None }
    }

    fn call(id: i64) -> Event {
        Event::RpcSent { msg_id: MsgId(id), method: 1, len: 8, packed: None }
    }

    fn answer(id: i64, latency: Duration, error: Option<(i32, String)>) -> Event {
        Event::RpcResult { msg_id: MsgId(id), method: 1, latency, len: 4, packed: None, sends: 1, error }
    }

    #[test]
    fn nothing_is_found_where_all_is_well() {
        let all =
            vec![sent(4), call(4), answer(4, Duration::from_millis(20), None), sent(8), Event::Acked { ids: vec![MsgId(8)] }];
        assert_eq!(read(all), []);
    }

    #[test]
    fn what_nothing_confirms_is_told_even_under_another_identifier() {
        let found = read(vec![sent(4), call(4), Event::Resent { old: MsgId(4), new: MsgId(8) }]);
        let titles: Vec<_> = found.iter().map(|f| (f.title.as_str(), f.rows.as_slice())).collect();
        assert_eq!(
            titles,
            [("1 call without an answer", &[1][..]), ("1 message never acknowledged", &[0]), ("1 message sent again", &[2])]
        );
        assert_eq!(
            read(vec![sent(4), call(4), Event::Resent { old: MsgId(4), new: MsgId(8) }, answer(8, Duration::ZERO, None)]).len(),
            1
        );
    }

    #[test]
    fn each_trouble_has_its_finding_and_the_worst_comes_first() {
        let found = read(vec![
            answer(4, SLOW, None),
            answer(8, Duration::ZERO, Some((400, "PEER_ID_INVALID".into()))),
            Event::BadMsg { code: 48, msg_id: MsgId(4) },
            Event::BadMsg { code: 32, msg_id: MsgId(4) },
            Event::TransportError { code: 404 },
            Event::CheckFailed { rule: "MsgKeyMismatch".into(), detail: String::new() },
            Event::FloodWait { method: 1, seconds: 3 },
            Event::Disconnected { reason: "connection reset".into() },
            Event::TimeOffset { seconds: -31 },
            Event::TimeOffset { seconds: 30 },
            Event::RpcFailed { msg_id: None, method: 1, sends: 2, reason: "lost".into() },
            Event::Retry { method: 1, attempt: 1, delay: Duration::ZERO, reason: "500".into() },
        ]);
        let severities: Vec<u8> = found.iter().map(|f| f.severity).collect();
        assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
        let mut rows: Vec<usize> = found.iter().flat_map(|f| f.rows.clone()).collect();
        rows.sort_unstable();
        assert_eq!(rows, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
        assert_eq!(found.len(), 11);
    }

    #[test]
    fn missing_records_are_told() {
        let mut findings = Findings::default();
        findings.lost(2);
        findings.lost(3);
        assert_eq!(findings.finish()[0].title, "5 records are missing");
    }

    #[test]
    fn places_are_bounded_and_the_rest_is_counted() {
        let found = read((0..100).map(|_| Event::FloodWait { method: 1, seconds: 1 }).collect());
        assert_eq!((found[0].rows.len(), found[0].more), (PLACES, 100 - PLACES));
    }
}
