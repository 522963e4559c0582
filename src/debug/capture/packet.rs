//! What is in front of TCP's bytes in a captured packet: the link's head, IP, TCP.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};

use super::file::{LinkType, Packet};

/// A segment of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// Who is to receive it.
    pub to: SocketAddr,
    /// The number of its first byte.
    pub seq: u32,
    /// The number of the byte that its sender waits for.
    pub ack: Option<u32>,
    /// It opens a connection.
    pub syn: bool,
    /// Its sender will send nothing more.
    pub fin: bool,
    /// The connection is torn down.
    pub rst: bool,
    /// What it carries, as far as it was captured.
    pub payload: &'a [u8],
    /// Bytes at its end that were cut off when it was captured.
    pub missing: usize,
}

/// Why a packet is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skipped {
    /// It is something else than TCP over IP.
    NotTcp,
    /// It is a part of a packet that was sent in parts. Those are not put together: TCP sees to it that there are none, as a rule.
    Fragment,
    /// It ends before the end of its heads, or they make no sense.
    Malformed,
    /// It begins with something that is not known.
    LinkType(LinkType),
}

/// Kinds of links. `BSD_NULL` and its kin name the address family in four bytes whose order depends on the machine; IP tells its version
/// itself.
mod link {
    use super::LinkType;

    pub(super) const BSD_NULL: LinkType = LinkType(0);
    pub(super) const ETHERNET: LinkType = LinkType(1);
    pub(super) const RAW_BSD: LinkType = LinkType(12);
    pub(super) const RAW_OPENBSD: LinkType = LinkType(14);
    pub(super) const RAW: LinkType = LinkType(101);
    pub(super) const LOOP: LinkType = LinkType(108);
    pub(super) const LINUX_SLL: LinkType = LinkType(113);
    pub(super) const IPV4: LinkType = LinkType(228);
    pub(super) const IPV6: LinkType = LinkType(229);
    pub(super) const LINUX_SLL2: LinkType = LinkType(276);
}

/// The segment in a packet.
///
/// # Errors
///
/// See [`Skipped`].
pub fn segment<'a>(packet: &Packet<'a>) -> Result<Segment<'a>, Skipped> {
    let data = packet.data;
    let behind = |len: usize| data.get(len..).ok_or(Skipped::Malformed);
    let ip = |data| LaxSlicedPacket::from_ip(data).map_err(|_| Skipped::Malformed);
    let protocol = |at: usize| {
        let bytes = data.get(at..).and_then(|bytes| bytes.first_chunk::<2>()).ok_or(Skipped::Malformed)?;
        Ok(EtherType(u16::from_be_bytes(*bytes)))
    };
    let sliced = match packet.link {
        link::ETHERNET => LaxSlicedPacket::from_ethernet(data).map_err(|_| Skipped::Malformed)?,
        link::LINUX_SLL => LaxSlicedPacket::from_ether_type(protocol(14)?, behind(16)?),
        link::LINUX_SLL2 => LaxSlicedPacket::from_ether_type(protocol(0)?, behind(20)?),
        link::BSD_NULL | link::LOOP => ip(behind(4)?)?,
        link::RAW | link::RAW_BSD | link::RAW_OPENBSD | link::IPV4 | link::IPV6 => ip(data)?,
        other => return Err(Skipped::LinkType(other)),
    };
    of_ip(&sliced)
}

fn of_ip<'a>(sliced: &LaxSlicedPacket<'a>) -> Result<Segment<'a>, Skipped> {
    let (from, to, declared, payload): (IpAddr, IpAddr, _, _) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let extensions = ip.extensions().auth.map_or(0, |auth| auth.slice().len());
            let declared = usize::from(header.total_len()).saturating_sub(header.slice().len() + extensions);
            (header.source_addr().into(), header.destination_addr().into(), declared, ip.payload())
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let declared = usize::from(header.payload_length()).saturating_sub(ip.extensions().slice().len());
            (header.source_addr().into(), header.destination_addr().into(), declared, ip.payload())
        }
        Some(LaxNetSlice::Arp(_)) => return Err(Skipped::NotTcp),
        None if sliced.stop_err.is_some() => return Err(Skipped::Malformed),
        None => return Err(Skipped::NotTcp),
    };
    if payload.fragmented {
        return Err(Skipped::Fragment);
    }
    let tcp = match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => tcp,
        Some(_) => return Err(Skipped::NotTcp),
        None if sliced.stop_err.is_some() => return Err(Skipped::Malformed),
        None => return Err(Skipped::NotTcp),
    };
    // Where the length was not filled in yet (a packet that the network card is to cut up), what is there is all there is.
    let missing = if payload.incomplete { declared.saturating_sub(payload.payload.len()) } else { 0 };
    Ok(Segment {
        from: SocketAddr::new(from, tcp.source_port()),
        to: SocketAddr::new(to, tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        payload: tcp_payload(tcp),
        missing,
    })
}

/// What stands behind TCP's head, with the lifetime of the packet.
fn tcp_payload<'a>(tcp: &etherparse::TcpSlice<'a>) -> &'a [u8] {
    tcp.slice().get(tcp.header_slice().len()..).unwrap_or_default()
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
