//! What the targets about captures have in common: packets, and what must hold of every decoding.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tdl::debug::capture::file::Reader;
use tdl::debug::capture::{Decoder, Report, decode};
use tdl::debug::keylog::LoggedKey;
use tdl::debug::redact::Shown;
use tdl::debug::{Human, Pcapng, Style, Tee};
use tdl::ids::DcId;
use tdl::trace::LayerSet;
use tdl::transport::mtproxy::Key;

use super::envelope::KEY;

/// What was written, to be looked at afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The secret of an MTProxy that is known.
pub(super) fn secret() -> Key {
    Key::new([0x5e; 16])
}

/// Decodes a capture into every kind of sink. `None` if it is none.
pub(super) fn run(file: &[u8]) -> Option<Report> {
    let (lines, packets) = (Shared::default(), Shared::default());
    let style = Style { layers: LayerSet::ALL, acks: true, ..Style::default() };
    let sink = Arc::new(Pcapng::new(packets.clone(), Shown::Public).expect("memory takes it"));
    let all = Arc::new(Tee(vec![Arc::new(Human::new(lines.clone(), style)), sink.clone()]));
    let key = LoggedKey { key: KEY.clone(), dc: Some(DcId(2)), expires_at: None };
    let ends = Arc::clone(&sink);
    let decoder = Decoder::new([key], vec![secret()], all)
        .on_connection(Box::new(move |conn, both| ends.set_ends(conn, both.client, both.server)));
    let (report, _) = decode(file, decoder).ok()?;
    assert!(report.opened <= report.decoded && report.answered <= report.requests + report.messages);
    assert!(report.mtproto + report.other <= report.connections + report.troubles.len() as u64 + report.more_troubles);
    assert!(sink.flush());
    let written = packets.0.lock().expect("nobody panics").clone();
    let mut reader = Reader::new(&written[..]).expect("what we write is a capture");
    while let Some(packet) = reader.next_packet().expect("to its end") {
        assert!(packet.link.0 == 252 && packet.data.len() <= 262_144);
    }
    let text = lines.0.lock().expect("nobody panics");
    assert!(!text.iter().any(|byte| *byte < b' ' && *byte != b'\n'), "nothing that plays tricks on a terminal");
    Some(report)
}

/// A capture of raw IP packets of one connection, in the making. The client is 10.0.0.1:50000, the server 10.0.0.2:443.
pub(super) struct Capture {
    file: Vec<u8>,
    next: [u32; 2],
}

impl Capture {
    pub(super) fn new() -> Self {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x4_0000, 101] {
            file.extend(word.to_le_bytes());
        }
        let mut capture = Self { file, next: [10, 20] };
        capture.put(0, 2, &[]);
        capture.put(1, 2, &[]);
        capture
    }

    /// What one end sends: 0 the client, 1 the server.
    pub(super) fn send(&mut self, who: usize, bytes: &[u8]) {
        for part in bytes.chunks(1400) {
            self.put(who, 0, part);
        }
    }

    /// Both ends close the connection; the file.
    pub(super) fn close(mut self) -> Vec<u8> {
        self.put(0, 1, &[]);
        self.put(1, 1, &[]);
        self.file
    }

    /// `flags`: 1 the end, 2 the beginning.
    fn put(&mut self, who: usize, flags: u8, payload: &[u8]) {
        let acknowledges = !(flags == 2 && who == 0);
        let len = 40 + payload.len() as u16;
        let mut packet = vec![0x45, 0, (len >> 8) as u8, len as u8, 0, 0, 0, 0, 64, 6, 0, 0];
        let ends = [([10, 0, 0, 1], 50_000_u16), ([10, 0, 0, 2], 443)];
        let (from, to) = (ends[who], ends[1 - who]);
        packet.extend(from.0);
        packet.extend(to.0);
        packet.extend(from.1.to_be_bytes());
        packet.extend(to.1.to_be_bytes());
        packet.extend(self.next[who].to_be_bytes());
        packet.extend(self.next[1 - who].to_be_bytes());
        packet.extend([0x50, flags | u8::from(acknowledges) << 4, 0xff, 0xff, 0, 0, 0, 0]);
        packet.extend(payload);
        let length = packet.len() as u32;
        for word in [1_700_000_000, 0, length, length] {
            self.file.extend(word.to_le_bytes());
        }
        self.file.extend(packet);
        self.next[who] = self.next[who].wrapping_add(payload.len() as u32 + u32::from(flags != 0));
    }
}
