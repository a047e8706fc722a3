//! How far a body has been read, for whoever waits at a terminal.

use std::io::{self, IsTerminal, Read};
use std::time::{Duration, Instant};

use crate::screen;

/// How often progress is shown.
const SHOW: Duration = Duration::from_millis(200);

/// A body whose progress is shown on a terminal, in a line that goes when it is dropped.
pub(crate) struct Shown<R> {
    body: R,
    length: Option<u64>,
    read: u64,
    last: Instant,
    on_terminal: bool,
}

impl<R> Shown<R> {
    pub(crate) fn new(body: R, length: Option<u64>) -> Self {
        Self {
            body,
            length,
            read: 0,
            last: Instant::now(),
            on_terminal: io::stderr().is_terminal(),
        }
    }
}

impl<R: Read> Read for Shown<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        self.read += read as u64;
        if self.on_terminal && self.last.elapsed() > SHOW {
            self.last = Instant::now();
            let done = screen::bytes(self.read);
            let of = self.length.map_or_else(String::new, |length| {
                format!(" of {}", screen::bytes(length))
            });
            eprint!("\r\x1b[K{done}{of}");
        }
        Ok(read)
    }
}

impl<R> Drop for Shown<R> {
    fn drop(&mut self) {
        if self.on_terminal {
            eprint!("\r\x1b[K");
        }
    }
}
