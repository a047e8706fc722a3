//! The Jaeger UI beside the two servers: a program of its own, which `cargo xtask dev` builds, and without which traces are shown in the
//! terminal alone.

use std::collections::VecDeque;

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::{Client, Url};

use super::server::{Launch, Server, beside};
use crate::http;

const PROGRAM: &str = "portcullis-trace-viewer";
/// How many batches of traces wait for a viewer that is being built; older ones are dropped.
const MAX_WAITING: usize = 1_000;

/// The viewer, or what there is instead.
pub(super) enum Viewer {
    Running(Box<Running>),
    /// It is being built, and will listen on this port.
    Follows {
        port: u16,
        waiting: VecDeque<Bytes>,
    },
    Missing,
}

/// A running viewer.
pub(super) struct Running {
    server: Server,
    client: Client,
    /// Where it accepts traces, by OTLP over HTTP.
    intake: Url,
}

impl Viewer {
    /// Starts it, if it was built. If it `follows`, it is started once it is there.
    pub(super) async fn start(port: u16, follows: bool) -> Result<Self> {
        if beside(PROGRAM).is_ok() {
            return Ok(Self::Running(Box::new(Running::start(port).await?)));
        }
        // Any free port cannot be known before.
        Ok(if follows && port != 0 {
            let waiting = VecDeque::new();
            Self::Follows { port, waiting }
        } else {
            Self::Missing
        })
    }

    /// Where traces are shown, for people.
    pub(super) fn introduction(&self) -> String {
        match self {
            Self::Running(running) => page(&running.server.address().to_string()),
            Self::Follows { .. } => {
                "here; in a browser, too, once the trace viewer is built, in a minute or two"
                    .to_owned()
            }
            Self::Missing => "here; in a browser, too, by `cargo xtask dev`".to_owned(),
        }
    }

    /// The page of a trace, as the web host has it in its settings.
    pub(super) fn trace_url(&self) -> Option<String> {
        let address = match self {
            Self::Running(running) => running.server.address().to_string(),
            Self::Follows { port, .. } => format!("127.0.0.1:{port}"),
            Self::Missing => return None,
        };
        Some(format!("{}trace/{{trace_id}}", page(&address)))
    }

    /// Hands on what the servers have sent. Returns the address of the page if the viewer was started just now.
    pub(super) async fn show(&mut self, sent: Vec<Bytes>) -> Result<Option<String>> {
        match self {
            Self::Running(running) => running.show(sent).await.map(|()| None),
            Self::Missing => Ok(None),
            Self::Follows { port, waiting } => {
                waiting.extend(sent);
                let too_many = waiting.len().saturating_sub(MAX_WAITING);
                waiting.drain(..too_many);
                if beside(PROGRAM).is_err() {
                    return Ok(None);
                }
                let (port, waiting) = (*port, std::mem::take(waiting));
                let running = Running::start(port).await?;
                running.show(waiting).await?;
                *self = Self::Running(Box::new(running));
                Ok(Some(self.introduction()))
            }
        }
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        match self {
            Self::Running(running) => running.server.stop().await,
            Self::Follows { .. } | Self::Missing => Ok(()),
        }
    }
}

/// The page with all traces.
fn page(address: &str) -> String {
    format!("http://{address}/")
}

impl Running {
    async fn start(port: u16) -> Result<Self> {
        let server = Launch::new(PROGRAM, "traces", port)?.start().await?;
        let intake = Url::parse(&format!("{}v1/traces", page(&server.address().to_string())))?;
        let client = http::client(&intake).no_proxy().build()?;
        Ok(Self {
            server,
            client,
            intake,
        })
    }

    async fn show(&self, sent: impl IntoIterator<Item = Bytes>) -> Result<()> {
        for traces in sent {
            let request = self.client.post(self.intake.clone()).body(traces);
            let answer = request.send().await;
            answer
                .and_then(reqwest::Response::error_for_status)
                .context("the trace viewer takes nothing any more; what it said stands above")?;
        }
        Ok(())
    }
}
