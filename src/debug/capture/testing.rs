//! Packets for tests.

use std::net::SocketAddr;

/// Addresses of Ethernet.
pub(super) const ETHERNET: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
/// A client and a server.
pub(super) const V4: [&str; 2] = ["192.0.2.1:50000", "192.0.2.2:443"];
/// The same in IPv6.
pub(super) const V6: [&str; 2] = ["[2001:db8::1]:50000", "[2001:db8::2]:443"];

/// A segment to be made.
#[derive(Clone, Copy)]
pub(super) struct Made<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) payload: &'a [u8],
}

impl Made<'_> {
    pub(super) fn between(ends: [&str; 2]) -> Self {
        let [from, to] = ends.map(|end| end.parse().expect("an address"));
        Self { from, to, seq: 0, ack: None, syn: false, fin: false, rst: false, payload: &[] }
    }

    /// The packet, from IP's head on.
    pub(super) fn ip(&self) -> Vec<u8> {
        let mut tcp = Vec::new();
        tcp.extend(self.from.port().to_be_bytes());
        tcp.extend(self.to.port().to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.unwrap_or(0).to_be_bytes());
        let flags = u8::from(self.fin) | u8::from(self.syn) << 1 | u8::from(self.rst) << 2 | u8::from(self.ack.is_some()) << 4;
        // A head of 24 bytes, with four of options that say nothing.
        tcp.extend([0x60, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 1, 1]);
        tcp.extend(self.payload);
        match (self.from, self.to) {
            (SocketAddr::V4(from), SocketAddr::V4(to)) => {
                let len = (20 + tcp.len()) as u16;
                let mut ip = vec![0x45, 0, (len >> 8) as u8, len as u8, 0, 0, 0, 0, 64, 6, 0, 0];
                ip.extend(from.ip().octets());
                ip.extend(to.ip().octets());
                [ip, tcp].concat()
            }
            (SocketAddr::V6(from), SocketAddr::V6(to)) => {
                let len = tcp.len() as u16;
                let mut ip = vec![0x60, 0, 0, 0, (len >> 8) as u8, len as u8, 6, 64];
                ip.extend(from.ip().octets());
                ip.extend(to.ip().octets());
                [ip, tcp].concat()
            }
            _ => panic!("both of one version"),
        }
    }
}

/// Bytes of one segment, at most.
const SEGMENT: usize = 1400;

/// A TCP connection in the making: the packets that a capture of it would have.
pub(super) struct Tcp {
    ends: [SocketAddr; 2],
    next: [u32; 2],
    pub(super) packets: Vec<Vec<u8>>,
}

impl Tcp {
    /// A connection that is opened.
    pub(super) fn open(ends: [&str; 2]) -> Self {
        let mut tcp =
            Self { ends: ends.map(|end| end.parse().expect("an address")), next: [1000, u32::MAX - 5], packets: Vec::new() };
        tcp.put(0, true, false, &[]);
        tcp.put(1, true, false, &[]);
        tcp.put(0, false, false, &[]);
        tcp
    }

    /// What one end sends: 0 the client, 1 the server.
    pub(super) fn send(&mut self, who: usize, bytes: &[u8]) -> &mut Self {
        for part in bytes.chunks(SEGMENT) {
            self.put(who, false, false, part);
        }
        self
    }

    /// Both ends close it.
    pub(super) fn close(&mut self) -> &mut Self {
        self.put(0, false, true, &[]);
        self.put(1, false, true, &[]);
        self.put(0, false, false, &[]);
        self
    }

    fn put(&mut self, who: usize, syn: bool, fin: bool, payload: &[u8]) {
        let other = 1 - who;
        let first = syn && who == 0;
        let made = Made {
            from: self.ends[who],
            to: self.ends[other],
            seq: self.next[who],
            ack: (!first).then_some(self.next[other]),
            syn,
            fin,
            rst: false,
            payload,
        };
        self.packets.push(made.ip());
        self.next[who] = self.next[who].wrapping_add(payload.len() as u32 + u32::from(syn) + u32::from(fin));
    }
}

/// A capture of raw IP packets, a millisecond apart.
pub(super) fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x4_0000, 101] {
        file.extend(word.to_le_bytes());
    }
    for (n, packet) in packets.iter().enumerate() {
        let (len, n) = (packet.len() as u32, n as u32);
        for word in [1_700_000_000 + n / 1000, n % 1000 * 1000, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}
