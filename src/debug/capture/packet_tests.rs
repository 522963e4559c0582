use std::time::Duration;

use super::super::testing::{ETHERNET, Made, V4, V6};
use super::*;

fn read(link: u16, data: &[u8]) -> Result<Segment<'_>, Skipped> {
    segment(&Packet { at: Duration::ZERO, link: LinkType(link), data, cut: false })
}

/// An IP packet with a segment in it.
fn made(ends: [&str; 2], payload: &[u8]) -> Vec<u8> {
    Made { seq: 7, ack: Some(9), fin: true, payload, ..Made::between(ends) }.ip()
}

#[test]
fn every_kind_of_link() {
    for (ends, ether_type) in [(V4, 0x0800_u16), (V6, 0x86dd)] {
        let ip = made(ends, b"hello");
        let ether = ether_type.to_be_bytes();
        let family: u32 = if ends == V4 { 2 } else { 30 };
        let cases: Vec<(&str, u16, Vec<u8>)> = vec![
            ("Ethernet", 1, [&ETHERNET[..], &ether, &ip].concat()),
            ("VLAN", 1, [&ETHERNET[..], &[0x81, 0, 0, 5], &ether, &ip].concat()),
            ("two VLANs", 1, [&ETHERNET[..], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6], &ether, &ip].concat()),
            ("Linux cooked", 113, [&[0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0][..], &ether, &ip].concat()),
            ("Linux cooked, version 2", 276, [&ether[..], &[0; 18], &ip].concat()),
            ("raw", 101, ip.clone()),
            ("raw, as OpenBSD writes it", 14, ip.clone()),
            ("raw, as BSD/OS writes it", 12, ip.clone()),
            ("raw, one version", if ends == V4 { 228 } else { 229 }, ip.clone()),
            ("null, little-endian", 0, [&family.to_le_bytes()[..], &ip].concat()),
            ("null, big-endian", 0, [&family.to_be_bytes()[..], &ip].concat()),
            ("loop", 108, [&family.to_be_bytes()[..], &ip].concat()),
        ];
        for (name, link, data) in cases {
            let found = read(link, &data).unwrap_or_else(|why| panic!("{name}: {why:?}"));
            let expected = Segment {
                from: ends[0].parse().unwrap(),
                to: ends[1].parse().unwrap(),
                seq: 7,
                ack: Some(9),
                syn: false,
                fin: true,
                rst: false,
                payload: b"hello",
                missing: 0,
            };
            assert_eq!(found, expected, "{name}");
            for end in 0..data.len() {
                // What is cut off is passed over, or known to be.
                if let Ok(found) = read(link, &data[..end]) {
                    assert_eq!(found.payload.len() + found.missing, 5, "{name} at {end}");
                }
            }
        }
    }
    assert_eq!(read(147, b"whatever"), Err(Skipped::LinkType(LinkType(147))));
}

#[test]
fn padding_of_short_frames_is_no_payload() {
    let mut data = [&ETHERNET[..], &[8, 0], &made(V4, b"")].concat();
    data.resize(60, 0);
    assert_eq!(read(1, &data).unwrap().payload, b"");
}

#[test]
fn a_length_that_was_not_filled_in_is_that_of_the_packet() {
    let mut v4 = made(V4, b"hello");
    v4[2..4].fill(0);
    assert_eq!(read(101, &v4).unwrap().payload, b"hello");
    let mut v6 = made(V6, b"hello");
    v6[4..6].fill(0);
    assert_eq!(read(101, &v6).unwrap().payload, b"hello");
}

#[test]
fn extension_headers_of_ipv6_are_passed() {
    let ip = made(V6, b"hello");
    let (head, tcp) = ip.split_at(40);
    let mut head = head.to_vec();
    head[6] = 0; // Hop-by-hop options come first.
    head[4..6].copy_from_slice(&(tcp.len() as u16 + 16).to_be_bytes());
    // Then the destination's own, then TCP.
    let data = [&head[..], &[60, 0, 1, 4, 0, 0, 0, 0], &[6, 0, 1, 4, 0, 0, 0, 0], tcp].concat();
    assert_eq!(read(101, &data).unwrap().payload, b"hello");
    assert_eq!(read(101, &data[..data.len() - 2]).unwrap().missing, 2);
}

#[test]
fn fragments_are_told() {
    let mut v4 = made(V4, b"hello");
    v4[6] = 0x20; // More follow.
    assert_eq!(read(101, &v4), Err(Skipped::Fragment));
    let ip = made(V6, b"hello");
    let (head, tcp) = ip.split_at(40);
    let mut head = head.to_vec();
    head[6] = 44;
    head[4..6].copy_from_slice(&(tcp.len() as u16 + 8).to_be_bytes());
    let data = [&head[..], &[6, 0, 0, 1, 0, 0, 0, 9], tcp].concat();
    assert_eq!(read(101, &data), Err(Skipped::Fragment));
}

#[test]
fn what_is_not_tcp_is_told_from_what_is_broken() {
    let mut udp = made(V4, b"hello");
    udp[9] = 17;
    udp[20 + 4..20 + 6].copy_from_slice(&25_u16.to_be_bytes());
    assert_eq!(read(101, &udp), Err(Skipped::NotTcp));
    let mut icmp = made(V4, b"hello");
    icmp[9] = 1;
    assert_eq!(read(101, &icmp), Err(Skipped::NotTcp));
    let arp = [&ETHERNET[..], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[0; 20]].concat();
    assert_eq!(read(1, &arp), Err(Skipped::NotTcp));
    let other = [&ETHERNET[..], &[0x88, 0xcc], &[0; 20]].concat();
    assert_eq!(read(1, &other), Err(Skipped::NotTcp));
    let mut offset = made(V4, b"hello");
    offset[20 + 12] = 0x10; // A head of four bytes.
    assert_eq!(read(101, &offset), Err(Skipped::Malformed));
    assert_eq!(read(101, &[0x50; 40]), Err(Skipped::Malformed));
    assert_eq!(read(1, &[0; 5]), Err(Skipped::Malformed));
}
