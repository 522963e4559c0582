//! TCP connections: which segments belong together, who is the client, where a connection begins and ends.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::packet::Segment;
use super::stream::{Gap, Stream};
use tdl_core::transport::tap::Way;

/// Connections that are known at the same time, those that have ended included: late segments must not pass for new ones.
const MAX_FLOWS: usize = 65_536;

/// What happens to connections, as their segments come by.
pub trait Watcher {
    /// What is kept for a connection.
    type Conn;

    /// A connection appears. `seen_from_start`: its first segment was captured.
    fn opened(&mut self, ends: Ends, seen_from_start: bool) -> Self::Conn;

    /// Bytes have passed, in the order in which they were sent.
    fn passed(&mut self, conn: &mut Self::Conn, way: Way, bytes: &[u8]);

    /// All that a segment brings has passed.
    fn settled(&mut self, conn: &mut Self::Conn, way: Way);

    /// Whether it has just turned out that the ends of a connection whose beginning was not seen are the other way round.
    fn take_reversal(&mut self, conn: &mut Self::Conn) -> bool;

    /// Bytes that are kept for the connection.
    fn held(&self, conn: &Self::Conn) -> usize;

    /// The connection is over, or nothing more of it was captured. In a direction with a gap nothing passed behind it.
    fn closed(&mut self, conn: Self::Conn, how: Closed, gaps: [Option<Gap>; 2]);
}

/// The ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who opened it; where that was not seen, who has the higher port.
    pub client: SocketAddr,
    /// The other one.
    pub server: SocketAddr,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closed {
    /// Both ends closed it.
    Orderly,
    /// An end tore it down.
    Reset,
    /// Its ports were used for another connection.
    Replaced,
    /// The capture ends.
    CaptureEnds,
    /// Too much would have had to be kept.
    TooMuch,
}

/// All connections.
pub struct Flows<C> {
    flows: HashMap<Pair, Flow<C>>,
    /// Those that have ended, oldest first.
    ended: VecDeque<Pair>,
    /// Bytes that are kept for all of them.
    held: usize,
    limit: usize,
    refused: u64,
}

/// Both addresses, the lower one first.
type Pair = (SocketAddr, SocketAddr);

struct Flow<C> {
    ends: Ends,
    /// The number of the segment that opened it, if it was captured.
    opened: Option<u32>,
    streams: [Stream; 2],
    /// `None`: it has ended.
    conn: Option<C>,
    /// What is kept for it, as last counted.
    held: usize,
}

impl<C> Flows<C> {
    /// Keeps at most `limit` bytes for all connections together.
    pub fn new(limit: usize) -> Self {
        Self { flows: HashMap::new(), ended: VecDeque::new(), held: 0, limit, refused: 0 }
    }

    /// Segments that were passed over because there were too many connections.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes a segment.
    pub fn segment(&mut self, segment: &Segment<'_>, watcher: &mut impl Watcher<Conn = C>) {
        let pair = pair(segment);
        if segment.syn && segment.ack.is_none() {
            match self.flows.get(&pair) {
                // It was sent again.
                Some(flow) if flow.opened == Some(segment.seq) => {}
                Some(_) => {
                    self.close(pair, Closed::Replaced, watcher);
                    self.flows.remove(&pair);
                }
                None => {}
            }
        }
        if !self.flows.contains_key(&pair) && !self.appear(pair, segment, watcher) {
            return;
        }
        let Some(flow) = self.flows.get_mut(&pair) else { return };
        let Some(conn) = &mut flow.conn else { return };
        let way = if segment.from == flow.ends.client { Way::ToServer } else { Way::ToClient };
        let (own, other) = (way.index(), way.other().index());
        if segment.syn {
            flow.streams[own].opened(segment.seq);
        }
        if let Some(ack) = segment.ack {
            flow.streams[other].acknowledge(ack);
        }
        // A segment that opens a connection may carry data; its own number comes before them.
        let seq = segment.seq.wrapping_add(u32::from(segment.syn));
        flow.streams[own].segment(seq, segment.payload, |bytes| watcher.passed(conn, way, bytes));
        watcher.settled(conn, way);
        let mut own = own;
        if watcher.take_reversal(conn) {
            flow.ends = Ends { client: flow.ends.server, server: flow.ends.client };
            flow.streams.swap(0, 1);
            own = other;
        }
        if segment.fin {
            let len = (segment.payload.len() + segment.missing) as u32; // A packet is shorter than 2³² bytes.
            flow.streams[own].ended(seq.wrapping_add(len));
        }
        let complete = flow.streams.iter().all(Stream::is_complete);
        let held = watcher.held(conn) + flow.streams.iter().map(Stream::held).sum::<usize>();
        self.held = self.held.saturating_sub(flow.held).saturating_add(held);
        flow.held = held;
        if segment.rst {
            self.close(pair, Closed::Reset, watcher);
        } else if complete {
            self.close(pair, Closed::Orderly, watcher);
        } else if self.held > self.limit {
            self.close(pair, Closed::TooMuch, watcher);
        }
    }

    /// The capture ends: so does everything.
    pub fn finish(&mut self, watcher: &mut impl Watcher<Conn = C>) {
        let mut open: Vec<Pair> = self.flows.iter().filter(|(_, flow)| flow.conn.is_some()).map(|(pair, _)| *pair).collect();
        // The order of a table is none: what is reported must be the same each time.
        open.sort_unstable();
        for pair in open {
            self.close(pair, Closed::CaptureEnds, watcher);
        }
    }

    /// A connection that was not known. Whether it is worth knowing.
    fn appear(&mut self, pair: Pair, segment: &Segment<'_>, watcher: &mut impl Watcher<Conn = C>) -> bool {
        // An end that says nothing about a connection that nobody knows.
        if !segment.syn && segment.payload.is_empty() {
            return false;
        }
        if self.flows.len() >= MAX_FLOWS {
            // Ports that are in use again stand there too.
            let ended = |flow: &Flow<C>| flow.conn.is_none();
            while let Some(oldest) = self.ended.pop_front() {
                if self.flows.get(&oldest).is_some_and(ended) {
                    self.flows.remove(&oldest);
                    break;
                }
            }
            if self.flows.len() >= MAX_FLOWS {
                self.refused += 1;
                return false;
            }
        }
        let (from, to) = (segment.from, segment.to);
        let from_client = match (segment.syn, segment.ack) {
            (true, ack) => ack.is_none(),
            // Until something is understood: servers have the low ports.
            (false, _) => from.port() >= to.port(),
        };
        let ends = if from_client { Ends { client: from, server: to } } else { Ends { client: to, server: from } };
        let mut flow = Flow {
            ends,
            opened: (segment.syn && from_client).then_some(segment.seq),
            streams: Default::default(),
            conn: Some(watcher.opened(ends, segment.syn)),
            held: 0,
        };
        if let (true, Some(ack)) = (segment.syn, segment.ack) {
            // The answer tells where the client begins.
            flow.streams[0].opened(ack.wrapping_sub(1));
        }
        self.flows.insert(pair, flow);
        true
    }

    fn close(&mut self, pair: Pair, how: Closed, watcher: &mut impl Watcher<Conn = C>) {
        let Some(flow) = self.flows.get_mut(&pair) else { return };
        let Some(conn) = flow.conn.take() else { return };
        let mut streams = std::mem::take(&mut flow.streams);
        if how == Closed::TooMuch {
            streams.iter_mut().for_each(Stream::abandon);
        }
        let [to_server, to_client] = &mut streams;
        let gaps = [to_server.finish(), to_client.finish()];
        self.held = self.held.saturating_sub(flow.held);
        self.ended.push_back(pair);
        watcher.closed(conn, how, gaps);
    }
}

fn pair(segment: &Segment<'_>) -> Pair {
    if segment.from <= segment.to { (segment.from, segment.to) } else { (segment.to, segment.from) }
}
