//! The Jaeger UI beside the two servers: a program of its own, which `cargo xtask dev` builds, and without which traces are shown in the
//! terminal alone.

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::{Client, Url};

use super::server::{Launch, Server, beside};
use crate::http;

const PROGRAM: &str = "portcullis-trace-viewer";

/// A running viewer.
pub(super) struct Viewer {
    server: Server,
    client: Client,
    /// Where it takes traces, by OTLP over HTTP.
    intake: Url,
}

impl Viewer {
    /// Starts it. Absent where it was not built.
    pub(super) async fn start(port: u16) -> Result<Option<Self>> {
        if beside(PROGRAM).is_err() {
            return Ok(None);
        }
        let server = Launch::new(PROGRAM, "traces", port)?.start().await?;
        let intake = Url::parse(&format!("http://{}/v1/traces", server.address()))?;
        let client = http::client(&intake).no_proxy().build()?;
        Ok(Some(Self {
            server,
            client,
            intake,
        }))
    }

    /// The page with all traces.
    pub(super) fn page(&self) -> String {
        format!("http://{}/", self.server.address())
    }

    /// The page of a trace, as the web host has it in its settings.
    pub(super) fn trace_url(&self) -> String {
        format!("{}trace/{{trace_id}}", self.page())
    }

    /// Hands on what a server has sent.
    pub(super) async fn show(&self, traces: Bytes) -> Result<()> {
        let request = self.client.post(self.intake.clone()).body(traces);
        let answer = request.send().await;
        answer
            .and_then(reqwest::Response::error_for_status)
            .context("the trace viewer takes nothing any more; what it said stands above")?;
        Ok(())
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        self.server.stop().await
    }
}
