//! One connection: bytes to frames.

use std::time::Duration;

use super::OnConnection;
use super::flow::{Closed, Ends, Watcher};
use super::midway::{self, Search};
use super::packet::Segment;
use super::report::Report;
use super::stream::Gap;
use super::talk::{Line, Talk};
use tdl_core::ids::DcId;
use tdl_core::mtproto::envelope::Side;
use tdl_core::trace::{ConnId, Event};
use tdl_core::transport::Tap;
use tdl_core::transport::mtproxy::Key as ProxyKey;
use tdl_core::transport::tap::{TapError, Way};

/// Hears all connections.
pub(super) struct Listener {
    pub(super) talk: Talk,
    secrets: Vec<ProxyKey>,
    pub(super) ports: Vec<u16>,
    pub(super) on_connection: Option<OnConnection>,
    connections: u32,
}

/// A connection, as far as it is known.
pub(super) struct Conn {
    line: Line,
    tap: Tap,
    opened_at: Duration,
    seen_from_start: bool,
    /// It has turned out who the client is, and it is the other one.
    reversed: bool,
    /// The first record about it was written.
    announced: bool,
    /// Whether anything passed.
    used: [bool; 2],
    /// What stopped the reading of a direction.
    stopped: [Option<TapError>; 2],
}

impl Listener {
    pub(super) fn new(talk: Talk, secrets: Vec<ProxyKey>) -> Self {
        Self { talk, secrets, ports: Vec::new(), on_connection: None, connections: 0 }
    }

    pub(super) fn is_wanted(&self, segment: &Segment<'_>) -> bool {
        self.ports.is_empty() || self.ports.iter().any(|port| [segment.from.port(), segment.to.port()].contains(port))
    }

    pub(super) fn finish(mut self, refused: u64) -> Report {
        self.talk.report.more_troubles += refused;
        self.talk.report
    }

    /// Reads the frames that are whole.
    fn frames(&mut self, conn: &mut Conn, way: Way) {
        loop {
            let polled = conn.tap.poll(way);
            self.announce(conn);
            match polled {
                Ok(None) => return,
                Ok(Some(heard)) => self.talk.frame(&mut conn.line, way, heard),
                Err(error) => {
                    if conn.stopped[way.index()].replace(error.clone()).is_none() && conn.announced {
                        self.talk.check_failed(&conn.line, "Transport", format!("{}: {error}", towards(way)));
                    }
                    return;
                }
            }
        }
    }

    /// Tells of the connection, once it is known what it speaks.
    fn announce(&mut self, conn: &mut Conn) {
        let Some(spoken) = conn.tap.spoken().filter(|_| !conn.announced) else { return };
        conn.announced = true;
        self.talk.report.mtproto += 1;
        conn.line.framing = spoken.name().into();
        if let Some(dc) = spoken.dc {
            conn.line.dc = dc;
        }
        if let Some(told) = &self.on_connection {
            told(conn.line.id, conn.line.ends);
        }
        let Ends { client, server } = conn.line.ends;
        let joined = if conn.seen_from_start { "" } else { ", joined midway" };
        let addr = format!("{client} to {server}, {}{joined}", spoken.name());
        let took = self.talk.now.wall.saturating_sub(conn.opened_at);
        self.talk.emit(&conn.line, || Event::Connected { addr, took });
    }

    /// Looks for a frame where a connection can be entered.
    fn join(&mut self, conn: &mut Conn, way: Way) {
        if conn.tap.is_joined(way) {
            return;
        }
        match midway::search(conn.tap.waiting(way), |id| self.talk.key(id)) {
            Search::Nothing { skip } | Search::Perhaps { skip } => conn.tap.skip(way, skip),
            Search::Found { skip, kind, seq, writer } => {
                let mut way = way;
                if (writer == Side::Client) != (way == Way::ToServer) {
                    if Way::BOTH.iter().any(|way| conn.tap.is_joined(*way)) {
                        // Both ends cannot be the client's: somebody has sent a message back.
                        return conn.tap.skip(way, skip + 1);
                    }
                    conn.tap.reverse();
                    conn.used.swap(0, 1);
                    conn.line.ends = Ends { client: conn.line.ends.server, server: conn.line.ends.client };
                    conn.reversed = true;
                    way = way.other();
                }
                conn.tap.skip(way, skip);
                conn.tap.join(way, kind, seq);
            }
        }
    }
}

impl Watcher for Listener {
    type Conn = Conn;

    fn opened(&mut self, ends: Ends, seen_from_start: bool) -> Conn {
        self.connections = self.connections.saturating_add(1);
        let line = Line { id: ConnId(self.connections), ends, dc: DcId(0), framing: "unknown".into(), key_in_use: None };
        let tap = if seen_from_start { Tap::new(self.secrets.clone()) } else { Tap::midway() };
        Conn {
            line,
            tap,
            opened_at: self.talk.now.wall,
            seen_from_start,
            reversed: false,
            announced: false,
            used: [false; 2],
            stopped: [None, None],
        }
    }

    fn passed(&mut self, conn: &mut Conn, way: Way, bytes: &[u8]) {
        conn.used[way.index()] = true;
        conn.tap.feed(way, bytes);
    }

    fn settled(&mut self, conn: &mut Conn, way: Way) {
        if !conn.seen_from_start {
            self.join(conn, way);
        }
        // What one says may tell how to read what the other has said already.
        for way in [way, way.other()] {
            self.frames(conn, way);
        }
    }

    fn take_reversal(&mut self, conn: &mut Conn) -> bool {
        std::mem::take(&mut conn.reversed)
    }

    fn held(&self, conn: &Conn) -> usize {
        conn.tap.held()
    }

    fn closed(&mut self, conn: Conn, how: Closed, gaps: [Option<Gap>; 2]) {
        if conn.used == [false; 2] && gaps == [None; 2] {
            return;
        }
        let Line { id, ends, .. } = conn.line;
        self.talk.report.connections += 1;
        let stopped = conn.stopped.iter().flatten().next();
        if stopped.is_some_and(TapError::is_other_protocol) && !conn.announced {
            self.talk.report.other += 1;
            return;
        }
        let mut trouble = |what: String| self.talk.report.trouble(id, ends, what);
        if !conn.announced {
            let why = match (stopped, conn.seen_from_start, gaps != [None; 2]) {
                (Some(error), ..) => error.to_string(),
                (None, false, _) => {
                    "its beginning was not captured: it is obfuscated, or none of the keys is used on it".to_owned()
                }
                (None, true, true) => "parts of its beginning are missing from the capture".to_owned(),
                (None, true, false) => "it ends before its transport could be told".to_owned(),
            };
            trouble(format!("nothing could be read: {why}"));
        } else {
            for way in Way::BOTH {
                let index = way.index();
                if let Some(error) = &conn.stopped[index] {
                    trouble(format!("{}: {error}", towards(way)));
                } else if !conn.tap.is_joined(way) && conn.used[index] {
                    trouble(format!("{}: no packet under a known key was found", towards(way)));
                } else if how == Closed::Orderly && gaps[index].is_none() && conn.tap.held_of(way) > 0 {
                    trouble(format!("{}: it ends in the middle of a packet", towards(way)));
                }
            }
            for (way, gap) in Way::BOTH.into_iter().zip(gaps) {
                if let Some(Gap { at, missing, unused }) = gap {
                    let missing = if missing == 0 { "bytes".to_owned() } else { format!("{missing} bytes") };
                    trouble(format!(
                        "{}: {missing} behind byte {at} are missing from the capture, {unused} bytes after them cannot be read",
                        towards(way)
                    ));
                }
            }
            if how == Closed::TooMuch {
                trouble("it was given up: too much would have had to be kept".to_owned());
            }
            let reason = match how {
                Closed::Orderly => "closed",
                Closed::Reset => "reset",
                Closed::Replaced => "its ports were used for another connection",
                Closed::CaptureEnds => "the capture ends",
                Closed::TooMuch => "given up",
            };
            self.talk.emit(&conn.line, || Event::Disconnected { reason: reason.to_owned() });
        }
    }
}

fn towards(way: Way) -> &'static str {
    match way {
        Way::ToServer => "client to server",
        Way::ToClient => "server to client",
    }
}
