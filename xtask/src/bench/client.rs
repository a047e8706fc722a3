//! The one client of both sides: a request whose body is sent from memory as fast as the connection takes
//! it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// How much is written at once.
const WRITE_BYTES: usize = 1 << 20;
/// How long either direction may stand still.
const STALL: Duration = Duration::from_mins(2);
/// The longest head of an answer that is read, in lines.
const MAX_HEAD_LINES: usize = 100;

/// A request line and headers but for those that the client adds.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

/// Uploads a laboratory table to a web host. Gives the seconds, and what follows the status line.
pub(crate) fn upload(to: SocketAddr, filename: &str, body: &[u8]) -> Result<(f64, String)> {
    let disposition = format!("attachment; filename=\"{filename}\"");
    let request = Request {
        method: "POST",
        target: "/uploads?table=laboratory",
        headers: &[
            ("Content-Disposition", disposition.as_str()),
            ("Content-Type", "text/csv"),
        ],
    };
    exchange(to, &request, body)
}

/// Sends a body and waits for the status line, which must be a 201. Gives the seconds
/// from the connection to that line.
pub(crate) fn send(to: SocketAddr, request: &Request<'_>, body: &[u8]) -> Result<f64> {
    exchange(to, request, body).map(|(seconds, _)| seconds)
}

/// A connection on which neither direction may stand still for long.
pub(crate) fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(to).with_context(|| format!("nobody listens on {to}"))?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(STALL))?;
    stream.set_read_timeout(Some(STALL))?;
    Ok(stream)
}

/// The same as [`send`], and what follows the status line.
fn exchange(to: SocketAddr, request: &Request<'_>, body: &[u8]) -> Result<(f64, String)> {
    let started = Instant::now();
    let mut stream = connect(to)?;
    let Request {
        method,
        target,
        headers,
    } = request;
    let mut head = Vec::new();
    write!(head, "{method} {target} HTTP/1.1\r\nHost: {to}\r\n")?;
    for (name, value) in *headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    let bytes = body.len();
    write!(head, "Content-Length: {bytes}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&head)?;
    let mut blocks = body.chunks(WRITE_BYTES);
    // A server that refuses may close before all is sent: what it said is what counts then.
    let is_whole = blocks.all(|block| stream.write_all(block).is_ok());
    let mut answer = BufReader::new(&stream).lines();
    let status = answer
        .next()
        .context("the server closed the connection without an answer")??;
    let seconds = started.elapsed().as_secs_f64();
    let code = status.split(' ').nth(1).unwrap_or_default().to_owned();
    let rest: Vec<String> = answer.take(MAX_HEAD_LINES).map_while(Result::ok).collect();
    let rest = rest.join(" ");
    ensure!(code == "201", "the server answered {status}: {rest}");
    ensure!(is_whole, "the server answered {status} before all was sent");
    Ok((seconds, rest))
}
