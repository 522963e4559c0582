//! A recording, line by line. Memory is bounded by the longest line; a line that cannot be read is reported, and reading goes on.

use std::io::{self, BufRead};

use super::{Line, LineError, parse};

/// The longest line that is read, in bytes: a frame of the greatest length as hexadecimal digits, with its tree, and room to spare.
pub const MAX_LINE: usize = 128 << 20;

/// What a line is, or why it is nothing.
#[derive(Debug, PartialEq)]
pub struct Numbered {
    /// Its number, counted from 1.
    pub number: u64,
    /// What it says.
    pub line: Result<Line, LineError>,
}

/// Reads the lines of a recording. Empty ones are passed over.
pub struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    number: u64,
    max: usize,
}

impl<R: BufRead> Lines<R> {
    /// Of everything that `input` brings.
    pub fn new(input: R) -> Self {
        Self::with_max(input, MAX_LINE)
    }

    /// With another limit for the length of a line, in bytes.
    pub fn with_max(input: R, max: usize) -> Self {
        Self { input, buffer: Vec::new(), number: 0, max }
    }

    /// The next line into the buffer; `false` at the end. What is longer than allowed is read to its end and not kept.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        let (mut whole, mut any) = (true, false);
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                return Ok(any.then_some(whole));
            }
            any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            whole &= self.buffer.len() + part.len() <= self.max;
            if whole {
                self.buffer.extend_from_slice(part);
            }
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(whole));
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Numbered>;

    fn next(&mut self) -> Option<io::Result<Numbered>> {
        loop {
            let whole = match self.fill() {
                Ok(Some(whole)) => whole,
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            };
            self.number += 1;
            if whole && self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let line = if whole { parse(&self.buffer) } else { Err(LineError::TooLong { max: self.max }) };
            return Some(Ok(Numbered { number: self.number, line }));
        }
    }
}
