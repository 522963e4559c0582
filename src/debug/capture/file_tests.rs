use super::*;

/// The packets of a file: time in nanoseconds, link, content, whether it was cut.
type Read = Vec<(u128, u16, Vec<u8>, bool)>;

fn read(bytes: &[u8]) -> Result<(Read, Option<FileError>), FileError> {
    let mut reader = Reader::new(bytes)?;
    let mut packets = Vec::new();
    loop {
        match reader.next_packet() {
            Ok(Some(packet)) => packets.push((packet.at.as_nanos(), packet.link.0, packet.data.to_vec(), packet.cut)),
            Ok(None) => return Ok((packets, None)),
            Err(error) => return Ok((packets, Some(error))),
        }
    }
}

fn whole(bytes: &[u8]) -> Read {
    let (packets, end) = read(bytes).unwrap();
    assert!(end.is_none(), "{end:?}");
    packets
}

/// Numbers in one byte order or the other.
#[derive(Clone, Copy)]
struct W(bool);

impl W {
    fn u16(self, n: u16) -> Vec<u8> {
        if self.0 { n.to_be_bytes().to_vec() } else { n.to_le_bytes().to_vec() }
    }

    fn u32(self, n: u32) -> Vec<u8> {
        if self.0 { n.to_be_bytes().to_vec() } else { n.to_le_bytes().to_vec() }
    }

    fn u32s(self, all: &[u32]) -> Vec<u8> {
        all.iter().flat_map(|n| self.u32(*n)).collect()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let body = [body, &vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
        let len = self.u32(body.len() as u32 + 12);
        [self.u32(kind), len.clone(), body, len].concat()
    }

    fn section(self) -> Vec<u8> {
        let rest = [self.u16(1), self.u16(0), vec![0xff; 8], self.u16(2), self.u16(3), b"box\0".to_vec(), vec![0; 4]].concat();
        self.block(block::SECTION, &[self.u32(BYTE_ORDER), rest].concat())
    }

    fn interface(self, link: u16, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = [self.u16(link), self.u16(0), self.u32(0x4_0000)].concat();
        for (code, value) in options {
            body.extend([self.u16(*code), self.u16(value.len() as u16), value.to_vec()].concat());
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(block::INTERFACE, &body)
    }

    fn packet(self, interface: u32, stamp: u64, original: u32, data: &[u8]) -> Vec<u8> {
        let head = self.u32s(&[interface, (stamp >> 32) as u32, stamp as u32, data.len() as u32, original]);
        self.block(block::PACKET, &[head, data.to_vec()].concat())
    }
}

#[test]
fn pcap_in_every_variant() {
    for big in [false, true] {
        let w = W(big);
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1), (0xa1b2_cd34, 1000)] {
            let mut file = [w.u32(magic), w.u16(2), w.u16(4), w.u32s(&[0, 0, 0x4_0000, 0x1000_0071])].concat();
            for (seconds, fraction, data, original) in [(1_700_000_000, 123_456, b"abcde", 5), (0xffff_ffff, 1, b"fghij", 9)] {
                file.extend(w.u32s(&[seconds, fraction, 5, original]));
                if magic == 0xa1b2_cd34 {
                    file.extend([9; 8]);
                }
                file.extend(data);
            }
            let expected = [
                (1_700_000_000_000_000_000 + 123_456 * unit, 0x71, b"abcde".to_vec(), false),
                (0xffff_ffff_u128 * 1_000_000_000 + unit, 0x71, b"fghij".to_vec(), true),
            ];
            assert_eq!(whole(&file), expected, "{magic:x} {big}");
            // What comes before the end of a file that was cut off is good.
            for end in 0..file.len() {
                match read(&file[..end]) {
                    Ok((packets, cut)) => {
                        assert!(expected.starts_with(&packets));
                        assert!(matches!(cut, None | Some(FileError::Truncated)), "{end}: {cut:?}");
                    }
                    Err(error) => {
                        assert!(end < 24 && matches!(error, FileError::Empty | FileError::Truncated), "{end}: {error}")
                    }
                }
            }
        }
    }
}

#[test]
fn pcapng_in_both_orders_with_times_of_every_kind() {
    for big in [false, true] {
        let w = W(big);
        let eight = if big { 100_i64.to_be_bytes() } else { 100_i64.to_le_bytes() };
        let file = [
            w.section(),
            w.interface(1, &[(2, b"lo"), (0, b"")]),
            w.interface(113, &[(option::TSRESOL, &[9]), (option::TSOFFSET, &eight)]),
            w.interface(0, &[(option::TSRESOL, &[0x80 | 10])]),
            w.interface(101, &[(option::TSRESOL, &[0x7f])]),
            // Names, as something to be passed over.
            w.block(4, &[0; 20]),
            w.packet(0, 1_700_000_000_000_001, 3, b"abc"),
            w.packet(1, 5_000_000_007, 9, b"defgh"),
            w.packet(2, 3 * 1024 + 512, 1, b"i"),
            w.packet(3, u64::MAX, 0, b""),
            w.block(block::OLD_PACKET, &[w.u16(1), w.u16(0), w.u32s(&[0, 9, 2, 2]), b"jk".to_vec()].concat()),
            w.block(block::SIMPLE_PACKET, &[w.u32(3), b"lmn".to_vec()].concat()),
            // A section of its own kind: what the one before said is forgotten.
            W(!big).section(),
            W(!big).interface(276, &[]),
            W(!big).packet(0, 1, 1, b"o"),
        ]
        .concat();
        let expected = [
            (1_700_000_000_000_001_000, 1, b"abc".to_vec(), false),
            (105_000_000_007, 113, b"defgh".to_vec(), true),
            (3_500_000_000, 0, b"i".to_vec(), false),
            (0, 101, Vec::new(), false),
            (100_000_000_009, 113, b"jk".to_vec(), false),
            (100_000_000_009, 1, b"lmn".to_vec(), false),
            (1000, 276, b"o".to_vec(), false),
        ];
        assert_eq!(whole(&file), expected, "{big}");
        for end in 0..file.len() {
            if let Ok((packets, cut)) = read(&file[..end]) {
                assert!(expected.starts_with(&packets));
                assert!(matches!(cut, None | Some(FileError::Truncated)), "{end}: {cut:?}");
            }
        }
    }
}

#[test]
fn a_simple_packet_is_cut_at_the_snap_length() {
    let w = W(false);
    let interface = w.block(block::INTERFACE, &[w.u16(1), w.u16(0), w.u32(4)].concat());
    let file = [w.section(), interface, w.block(block::SIMPLE_PACKET, &[w.u32(9), b"abcd".to_vec()].concat())].concat();
    assert_eq!(whole(&file), [(0, 1, b"abcd".to_vec(), true)]);
}

#[test]
fn each_rule_has_its_error() {
    let w = W(false);
    let start = |bytes: &[u8]| read(bytes).expect_err("refused");
    let then = |blocks: &[Vec<u8>]| {
        let file = [w.section(), w.interface(1, &[]), blocks.concat()].concat();
        read(&file).unwrap().1.expect("an error")
    };
    assert!(matches!(start(&[]), FileError::Empty));
    assert!(matches!(start(&[0x1f, 0x8b, 8, 0]), FileError::Compressed));
    assert!(matches!(start(b"GET "), FileError::UnknownFormat { found: 0x4745_5420 }));
    assert!(matches!(start(&[0xd4, 0xc3, 0xb2, 0xa1, 2]), FileError::Truncated));
    let mut mark = w.section();
    mark[8] ^= 1;
    assert!(matches!(start(&mark), FileError::ByteOrder { found: 0x1a2b_3c4c }));
    assert!(matches!(then(&[w.u32s(&[6, 0x4000_0000])]), FileError::BlockTooLong { found: 0x4000_0000 }));
    for claimed in [0, 8, 13] {
        assert!(matches!(then(&[w.u32s(&[6, claimed, 0, 0])]), FileError::BlockLength { kind: 6, .. }), "{claimed}");
    }
    let mut again = w.packet(0, 0, 0, b"abcd");
    let last = again.len() - 4;
    again[last] ^= 4;
    assert!(matches!(then(&[again]), FileError::BlockLength { kind: 6, .. }));
    for kind in [block::PACKET, block::OLD_PACKET, block::SIMPLE_PACKET, block::INTERFACE] {
        assert!(matches!(then(&[w.block(kind, &[])]), FileError::BlockTooShort { .. }), "{kind}");
    }
    let claims = w.block(block::PACKET, &w.u32s(&[0, 0, 0, 9, 9, 1]));
    assert!(matches!(then(&[claims]), FileError::BlockTooShort { kind: 6 }));
    assert!(matches!(then(&[w.packet(1, 0, 0, b"")]), FileError::UnknownInterface { number: 1, known: 1 }));
    assert!(matches!(then(&[w.interface(1, &[]).repeat(MAX_INTERFACES)]), FileError::TooManyInterfaces));
    let long = [w.u32(0xa1b2_c3d4), vec![0; 20], w.u32s(&[0, 0, u32::MAX, 0])].concat();
    assert!(matches!(read(&long).unwrap().1, Some(FileError::BlockTooLong { found: u32::MAX })));
}
