//! What ends TLS in front of a server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Takes TLS connections, by the name `localhost`, and passes on what comes in them.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    certificate: PathBuf,
    task: JoinHandle<()>,
}

impl TlsFront {
    /// Starts before the server at `to`; its certificate, which nobody trusts by itself, goes into `folder`.
    pub async fn start(to: SocketAddr, folder: &Path) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let certificate = folder.join("certificate.pem");
        std::fs::write(&certificate, made.cert.pem())?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass_on(acceptor.clone(), stream, to));
            }
        });
        Ok(Self {
            address,
            certificate,
            task,
        })
    }

    /// Where it is.
    pub fn address(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// What to trust to reach it.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, to: SocketAddr) -> Result<()> {
    let mut near = acceptor.accept(stream).await?;
    let mut far = TcpStream::connect(to).await?;
    tokio::io::copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}
