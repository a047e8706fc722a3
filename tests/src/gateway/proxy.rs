//! A bad line between the two servers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the line behaves, for each connection by itself.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// Connections are taken and nothing is ever passed on.
    Silent,
    /// What the web host sends is passed on at so many bytes a second.
    Slow(u64),
    /// After so many bytes from the web host the connection breaks.
    CutAfter(u64),
    /// The web host seems to speak another version of the hop.
    OtherHop,
    /// The clock of services seems to be years behind.
    OtherClock,
}

/// What stands before the version of the hop in a request.
const HOP_VERSION: &[u8] = b"portcullis-hop-version: ";

/// What stands before the time in an answer, and another time.
const DATE: &[u8] = b"date: ";
const LONG_AGO: &[u8] = b"Wed, 01 Jan 2020 00:00:00 GMT";

/// How often a slow line passes something on.
const BEAT: Duration = Duration::from_millis(20);

/// A line that takes connections and passes them on to another address.
pub struct Proxy;

impl Proxy {
    /// Gives the address to connect to. It lives as long as the test's runtime.
    pub async fn start(target: SocketAddr, behaviour: Behaviour) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A connection that breaks is what this is for.
                tokio::spawn(async move {
                    let _ = pass(client, target, behaviour).await;
                });
            }
        });
        Ok(address)
    }
}

async fn pass(mut client: TcpStream, target: SocketAddr, behaviour: Behaviour) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    if let Behaviour::Silent = behaviour {
        while client.read(&mut buffer).await? > 0 {}
        return Ok(());
    }
    let server = TcpStream::connect(target).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from_server.read(&mut buffer).await?;
            if read == 0 {
                return std::io::Result::Ok(());
            }
            if let Behaviour::OtherClock = behaviour {
                overwrite(&mut buffer[..read], DATE, LONG_AGO);
            }
            to_client.write_all(&buffer[..read]).await?;
        }
    });
    let mut passed = 0;
    loop {
        let most = match behaviour {
            Behaviour::Slow(bytes_per_second) => {
                tokio::time::sleep(BEAT).await;
                usize::try_from(bytes_per_second / 50)?.clamp(1, buffer.len())
            }
            _ => buffer.len(),
        };
        let read = from_client.read(&mut buffer[..most]).await?;
        passed += read as u64;
        if read == 0 {
            break;
        }
        if matches!(behaviour, Behaviour::CutAfter(bytes) if passed > bytes) {
            back.abort();
            return Ok(());
        }
        if let Behaviour::OtherHop = behaviour {
            overwrite(&mut buffer[..read], HOP_VERSION, b"9");
        }
        to_server.write_all(&buffer[..read]).await?;
    }
    to_server.shutdown().await?;
    back.await??;
    Ok(())
}

/// Writes over what stands behind a mark, if it is there.
fn overwrite(bytes: &mut [u8], mark: &[u8], new: &[u8]) {
    let found = memchr::memmem::find(bytes, mark).map(|at| at + mark.len());
    let place = found.and_then(|at| bytes.get_mut(at..at + new.len()));
    if let Some(place) = place {
        place.copy_from_slice(new);
    }
}

/// A good line that can be cut, and mended.
#[derive(Clone, Debug)]
pub struct Switch(tokio::sync::watch::Sender<bool>);

impl Switch {
    /// A line to another address. Gives the address to connect to; the line lives as long as the test's runtime.
    pub async fn start(target: SocketAddr) -> Result<(SocketAddr, Self)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (cut, is_cut) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut is_cut = is_cut.clone();
                tokio::spawn(async move {
                    let pass = async {
                        let mut server = TcpStream::connect(target).await?;
                        tokio::io::copy_bidirectional(&mut client, &mut server).await
                    };
                    // Either way both ends are closed now.
                    tokio::select! {
                        _ = is_cut.wait_for(|is_cut| *is_cut) => {}
                        _ = pass => {}
                    }
                });
            }
        });
        Ok((address, Self(cut)))
    }

    /// Cuts every connection, those to come included.
    pub fn cut(&self) {
        self.0.send_replace(true);
    }

    /// Lets connections pass again.
    pub fn mend(&self) {
        self.0.send_replace(false);
    }
}
