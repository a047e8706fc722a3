//! A connection that is kept: for many small requests, and for answers that are read.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::bench::client::connect;

/// How much of an answer is read at once.
const READ_BYTES: usize = 256 << 10;

/// A connection to a server.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

/// What an answer was.
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// The bytes of its body.
    pub(crate) bytes: u64,
    /// Seconds from the request to the first of them.
    pub(crate) first: f64,
    /// Where it says that something is.
    pub(crate) location: Option<String>,
}

impl Connection {
    pub(crate) fn to(host: SocketAddr) -> Result<Self> {
        let stream = BufReader::with_capacity(READ_BYTES, connect(host)?);
        Ok(Self { stream, host })
    }

    /// Sends a request and reads its answer to the end. `headers` are whole lines.
    pub(crate) fn call(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: &[&[u8]],
    ) -> Result<Answered> {
        let started = Instant::now();
        let length: usize = body.iter().map(|part| part.len()).sum();
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n{headers}\r\n",
            self.host
        )
        .into_bytes();
        // Small requests in one packet.
        if length <= READ_BYTES {
            request.extend(body.iter().copied().flatten());
            self.stream.get_mut().write_all(&request)?;
        } else {
            self.stream.get_mut().write_all(&request)?;
            for part in body {
                self.stream.get_mut().write_all(part)?;
            }
        }
        self.answer(started)
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// Reads an answer to its end.
    pub(crate) fn answer(&mut self, started: Instant) -> Result<Answered> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.context("the answer has no status")?;
        // One without content has no length.
        let mut length = (status == 204).then_some(0);
        let (mut chunked, mut location) = (false, None);
        loop {
            let line = self.line()?;
            let told = line.split_once(": ");
            if let Some((name, value)) = told
                && name.eq_ignore_ascii_case("location")
            {
                location = Some(value.to_owned());
            }
            let line = line.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse::<u64>().ok();
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        if length != Some(0) {
            let _ = self.stream.fill_buf()?;
        }
        let first = started.elapsed().as_secs_f64();
        let bytes = if chunked {
            self.chunks()?
        } else {
            let length = length.context("the answer has no length")?;
            self.skip(length)?;
            length
        };
        Ok(Answered {
            status,
            bytes,
            first,
            location,
        })
    }

    fn chunks(&mut self) -> Result<u64> {
        let mut bytes = 0;
        loop {
            let line = self.line()?;
            let length = u64::from_str_radix(line.trim(), 16).context("a chunk has no length")?;
            self.skip(length)?;
            ensure!(self.line()?.is_empty(), "a chunk is longer than it says");
            if length == 0 {
                return Ok(bytes);
            }
            bytes += length;
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        let read = std::io::copy(&mut self.stream.by_ref().take(bytes), &mut std::io::sink())?;
        ensure!(
            read == bytes,
            "the answer ended after {read} of {bytes} bytes"
        );
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.stream.by_ref().take(64 << 10).read_line(&mut line)?;
        ensure!(read > 0, "the server closed the connection");
        Ok(line.trim_end().to_owned())
    }
}
