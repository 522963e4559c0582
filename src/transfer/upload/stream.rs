//! Bytes of which nobody knows how many will come: from a pipe.
//!
//! "Uploading and Downloading Files": a client that does not know the number of parts yet says -1, until it knows it. So one part is read
//! ahead: the last part is known to be the last when it is sent, and names the number. What fits into one part is a small file like any
//! other.

use std::io::{ErrorKind, Read};
use std::thread;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use md5::{Digest as _, Md5};
use tokio::sync::mpsc;

use super::{Size, hex, input_file, save};
use crate::client::Client;
use crate::tl::api::enums;
use crate::transfer::flow::{Direction, Flow};
use crate::transfer::parts::UPLOAD_PART;
use crate::transfer::stop::Stop;
use crate::transfer::{Progress, TransferError};

/// A stream cut into parts. A thread of its own reads it, two parts ahead at most: a pipe that nobody writes to holds up nothing else.
pub struct PartReader {
    parts: mpsc::Receiver<std::io::Result<Bytes>>,
    next: Option<Bytes>,
}

impl PartReader {
    /// Begins to read.
    ///
    /// # Errors
    ///
    /// [`TransferError::Io`] when there is no thread for it.
    pub fn new(mut source: impl Read + Send + 'static) -> Result<Self, TransferError> {
        let (sender, parts) = mpsc::channel(1);
        let read = move || {
            loop {
                let part = read_part(&mut source);
                let end = part.as_ref().map_or(true, Bytes::is_empty);
                // The other side may have given up; and an end is the last that there is to say.
                if sender.blocking_send(part).is_err() || end {
                    break;
                }
            }
        };
        thread::Builder::new().name("input".into()).spawn(read).map_err(TransferError::io("cannot read", "-"))?;
        Ok(Self { parts, next: None })
    }

    /// Whether there is more; waits for it, or for the end.
    ///
    /// # Errors
    ///
    /// [`TransferError::Io`] when it cannot be read, [`TransferError::Interrupted`] when the run is told to stop first.
    pub async fn has_more(&mut self, stop: &Stop) -> Result<bool, TransferError> {
        if self.next.is_none() {
            let part = tokio::select! {
                part = self.parts.recv() => part,
                () = stop.requested() => return Err(TransferError::Interrupted),
            };
            self.next = part.transpose().map_err(TransferError::io("cannot read", "-"))?.filter(|part| !part.is_empty());
        }
        Ok(self.next.is_some())
    }

    /// The next part; `None` at the end.
    async fn part(&mut self, stop: &Stop) -> Result<Option<Bytes>, TransferError> {
        self.has_more(stop).await?;
        Ok(self.next.take())
    }
}

/// As much as a part holds, unless the end comes before.
fn read_part(source: &mut impl Read) -> std::io::Result<Bytes> {
    let mut part = vec![0; UPLOAD_PART as usize];
    let mut filled = 0;
    while let Some(rest) = part.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    part.truncate(filled);
    Ok(part.into())
}

/// How to upload a stream.
pub struct StreamOptions<'a> {
    /// How many parts are in flight.
    pub flow: &'a Flow,
    /// Parts that one file may have; what comes after them is for the next one.
    pub max_parts: u32,
    /// Called for each part.
    pub progress: &'a dyn Progress,
    /// Asks to end in good order.
    pub stop: &'a Stop,
}

/// What became of a stream, or of the part of it that fits into one file.
pub struct Streamed {
    id: i64,
    parts: i32,
    sum: Option<String>,
    /// How many bytes it has.
    pub size: u64,
}

impl Streamed {
    /// What a message refers to it by, under a name that may be chosen now.
    pub fn file(&self, name: &str) -> enums::InputFile {
        input_file(self.id, self.parts, name, self.sum.clone())
    }
}

/// Sends up to [`StreamOptions::max_parts`] parts of `source`.
///
/// # Errors
///
/// [`TransferError::Empty`] when nothing comes; otherwise the first failure ends it. It cannot be taken up again: nobody has the bytes.
pub async fn upload(client: &Client, source: &mut PartReader, options: &StreamOptions<'_>) -> Result<Streamed, TransferError> {
    let StreamOptions { flow, max_parts, progress, stop } = *options;
    let lane = &flow.lane();
    let home = &client.media(client.home_dc());
    let file_id = client.random_i64();
    let mut in_flight = FuturesUnordered::new();
    let mut size = 0;
    let mut count = 0;
    let mut sum = None;
    loop {
        let part = source.part(stop).await?;
        let Some(bytes) = part else { break };
        let last = count + 1 == max_parts || !source.has_more(stop).await?;
        let total = i32::try_from(count + 1).map_err(|_| TransferError::TooBig { parts: count, max: max_parts })?;
        let how = match (last, count) {
            (true, 0) => {
                sum = Some(hex(&Md5::digest(&bytes)));
                Size::Small
            }
            (true, _) => Size::Big(total),
            (false, _) => Size::Big(-1),
        };
        let len = bytes.len() as u64;
        size += len;
        in_flight.push(async move {
            let bytes = &bytes;
            let work = async || save(home, file_id, total.cast_unsigned() - 1, how, bytes.clone()).await;
            lane.part(home.dc(), Direction::Up, len, work).await.map(|_| len)
        });
        count += 1;
        while in_flight.len() >= flow.per_file() || last {
            match in_flight.next().await {
                Some(sent) => progress.advance(sent?),
                None => break,
            }
        }
        if last {
            break;
        }
    }
    match i32::try_from(count) {
        Ok(0) => Err(TransferError::Empty),
        Ok(parts) => Ok(Streamed { id: file_id, parts, sum, size }),
        Err(_) => Err(TransferError::TooBig { parts: count, max: max_parts }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::transfer::stop::stop;

    async fn lengths(len: usize) -> Vec<usize> {
        let (_stopper, stop) = stop();
        let mut reader = PartReader::new(Cursor::new(vec![7; len])).unwrap();
        let mut lengths = Vec::new();
        while let Some(part) = reader.part(&stop).await.unwrap() {
            lengths.push(part.len());
        }
        assert!(!reader.has_more(&stop).await.unwrap(), "an end stays one");
        lengths
    }

    #[tokio::test]
    async fn parts_are_full_but_for_the_last() {
        const PART: usize = UPLOAD_PART as usize;
        assert_eq!(lengths(0).await, [] as [usize; 0]);
        assert_eq!(lengths(1).await, [1]);
        assert_eq!(lengths(PART).await, [PART]);
        assert_eq!(lengths(2 * PART + 3).await, [PART, PART, 3]);
    }

    #[tokio::test]
    async fn a_source_that_fails_says_so_and_one_that_waits_can_be_left() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
        }
        let (stopper, stop) = stop();
        let mut reader = PartReader::new(Fails).unwrap();
        assert!(matches!(reader.has_more(&stop).await, Err(TransferError::Io { .. })));

        struct Waits(std::sync::mpsc::Receiver<()>);
        impl Read for Waits {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Ok(0)
            }
        }
        let (_open, waits) = std::sync::mpsc::channel();
        let mut reader = PartReader::new(Waits(waits)).unwrap();
        stopper.stop();
        assert!(matches!(reader.has_more(&stop).await, Err(TransferError::Interrupted)));
    }
}
