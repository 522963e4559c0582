//! Captures of the wire: opening the encrypted traffic in them with a key log.
//!
//! | module | subject |
//! |---|---|
//! | [`mod@file`] | pcap and pcapng: packets |
//! | [`packet`] | what is in front of TCP's bytes: Ethernet and its kin, IP, TCP |
//! | [`stream`] | one direction of a connection: segments in order |
//! | [`flow`] | connections |
//! | `conn` | a connection to frames, by way of [`tdl_core::transport::Tap`] |
//! | `midway` | where to enter a connection whose beginning was not captured |
//! | `talk` | frames to messages, requests to answers |
//! | `wrappers` | requests without what is wrapped around them |
//! | [`lines`] | records as lines of JSON |
//! | [`report`] | what was decoded, and what was not and why |
//!
//! What comes out are the records of [`tdl_core::trace`], told from the client's side: what it wrote is sent, what the server wrote is
//! received. So whatever shows a trace shows a capture. Times are those of the capture.
//!
//! A [`Decoder`] reads on where an end of the connection would not: what breaks a rule is told as [`Event::CheckFailed`] and shown as far
//! as it can be. Nothing is guessed, though: what cannot be decoded is counted in the [`Report`], with the reason.

mod conn;
pub mod file;
pub mod flow;
pub mod lines;
mod midway;
pub mod packet;
pub mod report;
pub mod stream;
mod talk;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod wrappers;

use std::io::Read;
use std::sync::Arc;

pub use file::FileError;
pub use flow::Ends;
pub use lines::JsonLines;
pub use report::{Report, Trouble};

use crate::keylog::LoggedKey;
use conn::Listener;
use file::Packet;
use flow::Flows;
use tdl_core::clock::Now;
use tdl_core::trace::{ConnId, Observer, Tracer};
use tdl_core::transport::mtproxy::Key as ProxyKey;

#[allow(unused_imports, reason = "named in the documentation above")]
use tdl_core::trace::Event;

/// Bytes that are kept for all connections together, at most: frames and segments that are not whole yet.
const MAX_HELD: usize = 256 << 20;

/// Told of each connection, before anything on it.
pub type OnConnection = Box<dyn Fn(ConnId, Ends)>;

/// Decodes a capture, packet by packet.
pub struct Decoder {
    flows: Flows<conn::Conn>,
    listener: Listener,
}

impl Decoder {
    /// Opens what `keys` open, and what goes to MTProxies with `secrets`; reports to `observer`.
    pub fn new(keys: impl IntoIterator<Item = LoggedKey>, secrets: Vec<ProxyKey>, observer: Arc<dyn Observer>) -> Self {
        let start = Now::new(std::time::Duration::ZERO, std::time::Duration::ZERO);
        let talk = talk::Talk::new(keys, Tracer::new(observer), start);
        Self { flows: Flows::new(MAX_HELD), listener: Listener::new(talk, secrets) }
    }

    /// Tells `told` of each connection, before anything on it.
    #[must_use]
    pub fn on_connection(mut self, told: OnConnection) -> Self {
        self.listener.on_connection = Some(told);
        self
    }

    /// Passes over connections that have none of these ports at either end. None given, none is passed over.
    #[must_use]
    pub fn only_ports(mut self, ports: Vec<u16>) -> Self {
        self.listener.ports = ports;
        self
    }

    /// Takes a packet.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        let talk = &mut self.listener.talk;
        talk.report.packets += 1;
        talk.report.cut += u64::from(packet.cut);
        // Clocks of captures may jump; intervals are not negative for that.
        let mono = talk.now.mono.saturating_add(packet.at.saturating_sub(talk.now.wall));
        talk.now = Now::new(if talk.now.wall.is_zero() { packet.at } else { mono }, packet.at);
        match packet::segment(packet) {
            Ok(segment) if self.listener.is_wanted(&segment) => self.flows.segment(&segment, &mut self.listener),
            Ok(_) => {}
            Err(why) => self.listener.talk.report.skip(why),
        }
    }

    /// The capture ends here.
    pub fn finish(mut self) -> Report {
        self.flows.finish(&mut self.listener);
        self.listener.finish(self.flows.refused())
    }
}

/// Decodes a whole capture. A file that ends in the middle of a packet, or is damaged somewhere, is decoded up to there; the error says so.
///
/// # Errors
///
/// See [`FileError`]: the file is no capture, and nothing was decoded.
pub fn decode(input: impl Read, mut decoder: Decoder) -> Result<(Report, Option<FileError>), FileError> {
    let mut reader = file::Reader::new(input)?;
    let end = loop {
        match reader.next_packet() {
            Ok(Some(packet)) => decoder.packet(&packet),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    Ok((decoder.finish(), end))
}
