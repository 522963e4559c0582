//! Capture files: pcap and pcapng, as tcpdump and Wireshark write them.
//!
//! ```text
//! pcap      head of 24 bytes (its first word tells byte order and whether fractions are micro- or nanoseconds), then
//!           for each packet: seconds, fraction, captured length, original length, bytes
//! pcapng    blocks: type, total length, body, total length again. Sections, interfaces, packets; whatever else is passed over
//! ```
//!
//! Read by hand: the libraries at hand take a time stamp whose unit is a power of two for an invalid one, and an interface's time offset
//! for little-endian in every file; and what there is to it are a dozen fields. See the drafts "PCAP Capture File Format" and "PCAP Next
//! Generation (pcapng) Capture File Format" of the opsawg working group.

use std::io::{self, Read};
use std::time::Duration;

/// The longest block or packet that is read, in bytes. Captures of the wire stay below a hundredth of it.
pub const MAX_BLOCK: usize = 16 << 20;
/// Interfaces of a section, at most.
const MAX_INTERFACES: usize = 4096;

/// What a packet begins with ("LINKTYPE_").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

/// A captured packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When it was captured, in Unix time.
    pub at: Duration,
    /// What it begins with.
    pub link: LinkType,
    /// As much of it as was captured.
    pub data: &'a [u8],
    /// Whether its end was cut off.
    pub cut: bool,
}

/// Why a capture file cannot be read, or not any further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system says so.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is packed.
    #[error("it is compressed")]
    Compressed,
    /// It begins with something else.
    #[error("it is no capture: it begins with {found:08x}, neither pcap nor pcapng does")]
    UnknownFormat {
        /// Its first four bytes, big-endian.
        found: u32,
    },
    /// It ends in the middle of a packet or a block. What came before is good.
    #[error("it ends in the middle of a packet")]
    Truncated,
    /// A packet or block is longer than anything that comes from a wire.
    #[error("a block of {found} bytes, at most {MAX_BLOCK} are read")]
    BlockTooLong {
        /// The length that it claims.
        found: u32,
    },
    /// A block's length is impossible.
    #[error("a block of type {kind:#x} claims {found} bytes")]
    BlockLength {
        /// Its type.
        kind: u32,
        /// The length that it claims.
        found: u32,
    },
    /// A section does not say which byte order it has.
    #[error("a section has the byte order mark {found:#010x}")]
    ByteOrder {
        /// What stands in its place.
        found: u32,
    },
    /// A block is shorter than its fields.
    #[error("a block of type {kind:#x} has no room for its fields")]
    BlockTooShort {
        /// Its type.
        kind: u32,
    },
    /// A packet was captured on an interface that the section does not describe.
    #[error("a packet was captured on interface {number}, the section describes {known}")]
    UnknownInterface {
        /// The interface.
        number: u32,
        /// How many there are.
        known: usize,
    },
    /// A section describes more interfaces than any machine has.
    #[error("a section has more than {MAX_INTERFACES} interfaces")]
    TooManyInterfaces,
}

/// Reads a capture, packet by packet, from a file or a pipe.
pub struct Reader<R> {
    input: R,
    format: Format,
    buffer: Vec<u8>,
    last: Duration,
}

enum Format {
    Pcap { order: Order, nanos: bool, modified: bool, link: LinkType },
    Pcapng { order: Order, interfaces: Vec<Interface> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

#[derive(Clone, Copy)]
struct Interface {
    link: LinkType,
    /// Bytes of a packet that are captured at most; 0 for no limit.
    snaplen: u32,
    /// Units of a time stamp in a second.
    units: u128,
    /// Seconds to be added to each.
    offset: i64,
}

/// Blocks of pcapng.
mod block {
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    /// As early versions of the draft had them.
    pub(super) const OLD_PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const PACKET: u32 = 6;
}

/// Options of an interface.
mod option {
    pub(super) const TSRESOL: u16 = 9;
    pub(super) const TSOFFSET: u16 = 14;
}

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const NANOS: u128 = 1_000_000_000;

impl<R: Read> Reader<R> {
    /// Reads the beginning, up to the first packet or block.
    ///
    /// # Errors
    ///
    /// See [`FileError`].
    pub fn new(input: R) -> Result<Self, FileError> {
        // The format is that of an empty section until the first block says more.
        let format = Format::Pcapng { order: Order::Little, interfaces: Vec::new() };
        let mut reader = Self { input, format, buffer: Vec::new(), last: Duration::ZERO };
        if !reader.fill(4)? {
            return Err(FileError::Empty);
        }
        let Some(&first) = reader.buffer.first_chunk::<4>() else { return Err(FileError::Empty) };
        if u32::from_le_bytes(first) == block::SECTION {
            reader.section()?;
            return Ok(reader);
        }
        let known = |magic: u32| match magic {
            0xa1b2_c3d4 => Some((false, false)),
            0xa1b2_3c4d => Some((true, false)),
            0xa1b2_cd34 => Some((false, true)),
            _ => None,
        };
        let little = known(u32::from_le_bytes(first)).map(|kind| (Order::Little, kind));
        let big = known(u32::from_be_bytes(first)).map(|kind| (Order::Big, kind));
        let Some((order, (nanos, modified))) = little.or(big) else {
            return Err(match first {
                [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd] | [0xfd, b'7', b'z', b'X'] | [b'B', b'Z', b'h', _] => {
                    FileError::Compressed
                }
                _ => FileError::UnknownFormat { found: u32::from_be_bytes(first) },
            });
        };
        reader.must_fill(20)?;
        // Versions, time zone, accuracy and snap length say nothing that matters; the upper half of the last word is about checksums.
        let mut fields = Fields::new(&reader.buffer, order);
        let link = fields.skip(16).and_then(|fields| fields.u32()).map_or(0, |network| (network & 0xffff) as u16);
        reader.format = Format::Pcap { order, nanos, modified, link: LinkType(link) };
        Ok(reader)
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    ///
    /// See [`FileError`]. There is nothing to be read behind one.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, FileError> {
        let found = match &self.format {
            Format::Pcap { .. } => self.pcap()?,
            Format::Pcapng { .. } => self.pcapng()?,
        };
        let Some((at, link, start, len, cut)) = found else { return Ok(None) };
        self.last = at;
        Ok(Some(Packet { at, link, data: self.buffer.get(start..start + len).unwrap_or_default(), cut }))
    }

    fn pcap(&mut self) -> Result<Option<Found>, FileError> {
        let Format::Pcap { order, nanos, modified, link } = self.format else { return Ok(None) };
        // The modified format has eight more bytes, about the interface.
        if !self.fill(if modified { 24 } else { 16 })? {
            return Ok(None);
        }
        let mut fields = Fields::new(&self.buffer, order);
        let mut word = || fields.u32().unwrap_or(0);
        let (seconds, fraction, captured, original) = (word(), word(), word(), word());
        let len = usize::try_from(captured).unwrap_or(usize::MAX);
        if len > MAX_BLOCK {
            return Err(FileError::BlockTooLong { found: captured });
        }
        self.must_fill(len)?;
        let fraction = u64::from(fraction).saturating_mul(if nanos { 1 } else { 1000 });
        let at = Duration::from_secs(seconds.into()).saturating_add(Duration::from_nanos(fraction));
        Ok(Some((at, link, 0, len, captured < original)))
    }

    fn pcapng(&mut self) -> Result<Option<Found>, FileError> {
        loop {
            if !self.fill(4)? {
                return Ok(None);
            }
            let Format::Pcapng { order, .. } = self.format else { return Ok(None) };
            let kind = Fields::new(&self.buffer, order).u32().unwrap_or(0);
            // The same in either byte order.
            if kind == block::SECTION {
                self.section()?;
                continue;
            }
            self.must_fill(4)?;
            let total = Fields::new(&self.buffer, order).u32().unwrap_or(0);
            self.body(kind, total, 8)?;
            if let Some(found) = self.block(kind)? {
                return Ok(Some(found));
            }
        }
    }

    /// Reads the rest of a block, of which `read` bytes have been, and leaves its body in the buffer.
    fn body(&mut self, kind: u32, total: u32, read: usize) -> Result<(), FileError> {
        let length = FileError::BlockLength { kind, found: total };
        let len = usize::try_from(total).unwrap_or(usize::MAX);
        // The length again at the end.
        let Some(left) = len.checked_sub(read + 4).filter(|_| total.is_multiple_of(4)) else { return Err(length) };
        if len > MAX_BLOCK {
            return Err(FileError::BlockTooLong { found: total });
        }
        self.must_fill(left + 4)?;
        let Format::Pcapng { order, .. } = self.format else { return Ok(()) };
        let again = Fields::new(self.buffer.get(left..).unwrap_or_default(), order).u32();
        self.buffer.truncate(left);
        if again == Some(total) { Ok(()) } else { Err(length) }
    }

    /// A new section: what the one before said does not hold any more.
    fn section(&mut self) -> Result<(), FileError> {
        self.must_fill(8)?;
        let (total, mark) = self.buffer.split_at_checked(4).unwrap_or_default();
        let mark = Fields::new(mark, Order::Little).u32().unwrap_or(0);
        let order = match mark {
            BYTE_ORDER => Order::Little,
            _ if mark.swap_bytes() == BYTE_ORDER => Order::Big,
            found => return Err(FileError::ByteOrder { found }),
        };
        let total = Fields::new(total, order).u32().unwrap_or(0);
        self.format = Format::Pcapng { order, interfaces: Vec::new() };
        self.body(block::SECTION, total, 12)
    }

    /// A block whose body is in the buffer.
    fn block(&mut self, kind: u32) -> Result<Option<Found>, FileError> {
        let Format::Pcapng { order, interfaces } = &mut self.format else { return Ok(None) };
        let short = FileError::BlockTooShort { kind };
        let mut fields = Fields::new(&self.buffer, *order);
        let (number, high, low, captured, original) = match kind {
            block::INTERFACE => {
                if interfaces.len() == MAX_INTERFACES {
                    return Err(FileError::TooManyInterfaces);
                }
                interfaces.push(Interface::read(&mut fields).ok_or(short)?);
                return Ok(None);
            }
            block::PACKET => {
                let mut word = || fields.u32();
                match (word(), word(), word(), word(), word()) {
                    (Some(number), Some(high), Some(low), Some(captured), Some(original)) => {
                        (number, high, low, captured, original)
                    }
                    _ => return Err(short),
                }
            }
            block::OLD_PACKET => {
                let (number, _drops) = (fields.u16().ok_or(FileError::BlockTooShort { kind })?, fields.u16());
                let mut word = || fields.u32();
                match (word(), word(), word(), word()) {
                    (Some(high), Some(low), Some(captured), Some(original)) => (number.into(), high, low, captured, original),
                    _ => return Err(short),
                }
            }
            block::SIMPLE_PACKET => {
                let original = fields.u32().ok_or(short)?;
                let snaplen = interfaces.first().map_or(0, |interface| interface.snaplen);
                let most = u32::try_from(fields.0.len()).unwrap_or(u32::MAX);
                let captured = if snaplen == 0 { original } else { original.min(snaplen) }.min(most);
                (0, 0, 0, captured, original)
            }
            // Names, statistics, secrets of other protocols, and whatever may come to be.
            _ => return Ok(None),
        };
        let known = interfaces.len();
        let interface = usize::try_from(number).ok().and_then(|number| interfaces.get(number));
        let interface = interface.ok_or(FileError::UnknownInterface { number, known })?;
        let start = self.buffer.len() - fields.0.len();
        let len = usize::try_from(captured).ok().filter(|len| *len <= fields.0.len());
        let len = len.ok_or(FileError::BlockTooShort { kind })?;
        // A simple packet has no time; it comes after the one before.
        let at = if kind == block::SIMPLE_PACKET { self.last } else { interface.time(u64::from(high) << 32 | u64::from(low)) };
        Ok(Some((at, interface.link, start, len, captured < original)))
    }

    /// Reads exactly `len` bytes into the buffer, in place of what is in it; `false` if the input is at its end.
    fn fill(&mut self, len: usize) -> Result<bool, FileError> {
        self.buffer.clear();
        let most = u64::try_from(len).unwrap_or(u64::MAX);
        // Memory grows with what really comes.
        let read = self.input.by_ref().take(most).read_to_end(&mut self.buffer)?;
        match read {
            0 if len > 0 => Ok(false),
            read if read < len => Err(FileError::Truncated),
            _ => Ok(true),
        }
    }

    fn must_fill(&mut self, len: usize) -> Result<(), FileError> {
        if self.fill(len)? { Ok(()) } else { Err(FileError::Truncated) }
    }
}

/// Time, kind, and where in the buffer the packet is; whether it was cut.
type Found = (Duration, LinkType, usize, usize, bool);

impl Interface {
    /// `linktype:u16 reserved:u16 snaplen:u32`, and options.
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (link, _, snaplen) = (fields.u16()?, fields.u16()?, fields.u32()?);
        let mut interface = Self { link: LinkType(link), snaplen, units: 1_000_000, offset: 0 };
        while let (Some(code), Some(len)) = (fields.u16(), fields.u16()) {
            let len = usize::from(len);
            // What is cut off is no option. Code 0 ends them.
            let Some(value) = fields.0.get(..len).filter(|_| code != 0) else { break };
            match (code, value) {
                (option::TSRESOL, [resolution, ..]) => {
                    let power = u32::from(resolution & 0x7f);
                    let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
                    // No clock has units that do not fit.
                    interface.units = base.checked_pow(power).unwrap_or(u128::MAX);
                }
                (option::TSOFFSET, value) => {
                    interface.offset = Fields(value, fields.1).u64().map_or(0, u64::cast_signed);
                }
                _ => {}
            }
            *fields = Fields(fields.0.get(len.next_multiple_of(4)..).unwrap_or_default(), fields.1);
        }
        Some(interface)
    }

    fn time(&self, stamp: u64) -> Duration {
        let nanos = u128::from(stamp).saturating_mul(NANOS) / self.units;
        let seconds = i128::try_from(nanos / NANOS).unwrap_or(0) + i128::from(self.offset);
        let fraction = u32::try_from(nanos % NANOS).unwrap_or(0);
        Duration::new(u64::try_from(seconds.max(0)).unwrap_or(u64::MAX), fraction)
    }
}

/// Numbers off the front of bytes.
struct Fields<'a>(&'a [u8], Order);

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8], order: Order) -> Self {
        Self(bytes, order)
    }

    fn skip(&mut self, len: usize) -> Option<&mut Self> {
        self.0 = self.0.get(len..)?;
        Some(self)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take()?;
        Some(if self.1 == Order::Little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take()?;
        Some(if self.1 == Order::Little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn u64(&mut self) -> Option<u64> {
        let bytes = self.take()?;
        Some(if self.1 == Order::Little { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) })
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
