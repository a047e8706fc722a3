//! `portcullis-trace-viewer`: takes traces by OTLP over HTTP, keeps the newest in memory, and shows them in the Jaeger UI. It is for
//! `portcullis dev`, which starts it and hands on what both servers send; nobody is asked who they are.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it says to whoever started it where it listens, or why it does not"
)]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use clap::Parser;
use otlp_embedded::proto::collector::trace::v1::ExportTraceServiceRequest;
use otlp_embedded::{Config, TraceService, TraceServiceImpl, ui_app};
use prost::Message;
use tokio::net::TcpListener;
use tonic::Request;

/// What is kept: so many traces, and so many bytes of them as far as they can be estimated. The oldest go first.
const KEPT: Config = Config {
    max_length: 10_000,
    max_memory_usage: 256 << 20,
};

/// Shows traces in a browser.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen. It is not for the network: whoever reaches it sees every trace.
    #[arg(long)]
    listen: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve(Arguments::parse().listen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis-trace-viewer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until the process is ended.
async fn serve(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen at {address}; is another program there? Name another port")
    })?;
    // As the servers say it.
    println!("listening server.address={}", listener.local_addr()?);
    let traces = otlp_embedded::State::new(KEPT);
    let router = Router::new()
        .route("/v1/traces", post(take))
        .with_state(Arc::new(TraceServiceImpl::new(Arc::clone(&traces))))
        .merge(ui_app(traces, "/"));
    axum::serve(listener, router).await?;
    Ok(())
}

/// OTLP/HTTP, binary Protobuf encoding. The empty answer is an `ExportTraceServiceResponse` that took everything.
async fn take(
    State(traces): State<Arc<TraceServiceImpl>>,
    body: Bytes,
) -> Result<(), (StatusCode, String)> {
    let request = ExportTraceServiceRequest::decode(body)
        .map_err(|_| (StatusCode::BAD_REQUEST, "these are no traces\n".to_owned()))?;
    traces
        .export(Request::new(request))
        .await
        .map(drop)
        .map_err(|status| (StatusCode::INTERNAL_SERVER_ERROR, status.to_string()))
}
