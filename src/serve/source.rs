//! Where the bytes of a file come from.

use std::pin::Pin;

use bytes::Bytes;
use thiserror::Error;

/// A boxed future, as traits that are used as objects need them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why bytes cannot be had.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The server imposes a wait, longer than this program was told to sit out.
    #[error("the server asks for a pause of {seconds} s")]
    Wait {
        /// How long.
        seconds: u64,
    },
    /// The message is gone, or carries another file by now.
    #[error("the message is gone or no longer carries this file")]
    Gone,
    /// Another length came than was asked for.
    #[error("{expected} bytes were asked for, {got} came")]
    Length {
        /// How many were asked for.
        expected: u32,
        /// How many came.
        got: usize,
    },
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A file of which any stretch can be read. Dropping the future of a read ends the read.
pub trait RangeSource: Send + Sync + 'static {
    /// Its length in bytes. It never changes.
    fn size(&self) -> u64;

    /// Reads `len` bytes from `offset` on; both lie inside the file. The answer has exactly that length.
    fn read(&self, offset: u64, len: u32) -> BoxFuture<'static, Result<Bytes, SourceError>>;
}

/// A file in memory.
#[derive(Clone, Debug)]
pub struct MemorySource(pub Bytes);

impl RangeSource for MemorySource {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, len: u32) -> BoxFuture<'static, Result<Bytes, SourceError>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let end = start.saturating_add(len as usize).min(self.0.len());
        let bytes = self.0.slice(start..end);
        Box::pin(async move { Ok(bytes) })
    }
}
