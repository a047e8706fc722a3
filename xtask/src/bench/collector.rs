//! A collector that takes everything and looks at nothing: what is measured is what telemetry costs the servers, and not what becomes of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

/// Answers on a free port, for as long as the process lives.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // An exporter that goes away has nothing more to say.
            thread::spawn(move || take(connection).ok());
        }
    });
    Ok(address)
}

/// Takes one request after another.
fn take(connection: TcpStream) -> Result<()> {
    let mut answers = connection.try_clone()?;
    let mut requests = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(said) = line.strip_prefix("content-length:") {
                length = said.trim().parse().context("is no length")?;
            }
            if line.is_empty() {
                break;
            }
        }
        std::io::copy(&mut (&mut requests).take(length), &mut std::io::sink())?;
        answers.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n",
        )?;
    }
}
