//! The page on which Prometheus reads what is counted: on a port of its own, for those who watch the servers and nobody else.

use std::net::SocketAddr;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use portcullis_telemetry::{Detail, Line, log, metrics};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::{Resolved, Source};

/// The text format of Prometheus (Exposition formats, "Text-based format").
const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page, for as long as this is kept.
pub struct Scrape(JoinHandle<()>);

impl Scrape {
    /// Where it is to listen, by the file; nowhere unless that says so.
    pub fn listen(file: Option<SocketAddr>, resolved: &mut Resolved) -> Option<SocketAddr> {
        let (shown, source) = match file {
            Some(address) => (address.to_string(), Source::File),
            None => ("nowhere".to_owned(), Source::Default),
        };
        resolved.note("metrics-listen", shown, source);
        file
    }

    /// Begins to answer, if it is to.
    ///
    /// # Errors
    /// It cannot listen there.
    pub async fn start(address: Option<SocketAddr>) -> std::io::Result<Option<Self>> {
        let Some(address) = address else {
            return Ok(None);
        };
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        log(Line::MetricsServed, [Detail::Address(address)]);
        Ok(Some(Self(tokio::spawn(serve(listener)))))
    }
}

impl Drop for Scrape {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// For ever.
async fn serve(listener: TcpListener) {
    let router = Router::new().route("/metrics", get(page));
    if let Err(error) = axum::serve(listener, router).await {
        log(Line::MetricsGone, [Detail::Io(error.kind())]);
    }
}

async fn page() -> Response {
    // Gauges may wait for what they look at.
    match tokio::task::spawn_blocking(metrics::text).await {
        Ok(text) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
