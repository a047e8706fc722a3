//! Both servers, as they are looked at from time to time.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use portcullis_telemetry::{Direction, Exposition, Label, Labels, Metric};
use reqwest::{Client, Url};

use super::change::{Change, Reading};
use crate::http;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many looks are remembered for the curves.
const REMEMBERED: usize = 240;

/// Host and port.
#[derive(Clone, Debug)]
pub(super) struct Address {
    shown: String,
    page: Url,
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "write a host and a port, as in 127.0.0.1:9464";
        let page = Url::parse(&format!("http://{text}/metrics")).map_err(|_| WRONG)?;
        let plain =
            page.path() == "/metrics" && page.query().is_none() && page.username().is_empty();
        if page.port().is_none() || !plain {
            return Err(WRONG);
        }
        Ok(Self {
            shown: text.to_owned(),
            page,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Both of them, and what is remembered of them.
pub(super) struct Servers {
    pub(super) web: Server,
    pub(super) services: Server,
    /// Uploads that ended per second, the newest last.
    pub(super) uploads: VecDeque<f64>,
    /// Bytes that came from clients per second, the newest last.
    pub(super) received: VecDeque<f64>,
}

/// One of them.
pub(super) struct Server {
    pub(super) address: Address,
    client: Client,
    before: Option<Reading>,
    now: Result<Reading, Away>,
}

/// Why nothing is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Away {
    /// It has not been looked at yet.
    NotYet,
    /// Nobody answers.
    Silent,
    /// Who answers is no server of ours.
    Other,
}

impl Servers {
    pub(super) fn new(web: &Address, services: &Address) -> Result<Self> {
        Ok(Self {
            web: Server::new(web)?,
            services: Server::new(services)?,
            uploads: VecDeque::new(),
            received: VecDeque::new(),
        })
    }

    /// Looks at both at once.
    pub(super) async fn look(&mut self) {
        tokio::join!(self.web.look(), self.services.look());
        let Ok(change) = self.web.change() else {
            return;
        };
        let any = Labels::default();
        let received = Label::Direction(Direction::Received).into();
        remember(&mut self.uploads, change.rate(Metric::Uploads, &any));
        remember(&mut self.received, change.rate(Metric::Bytes, &received));
    }
}

impl Server {
    fn new(address: &Address) -> Result<Self> {
        let client = http::client(&address.page).no_proxy().timeout(PATIENCE);
        Ok(Self {
            address: address.clone(),
            client: client.build().context("no client for HTTP")?,
            before: None,
            now: Err(Away::NotYet),
        })
    }

    /// What has changed since the last look but one.
    pub(super) fn change(&self) -> Result<Change<'_>, Away> {
        let now = self.now.as_ref().map_err(|away| *away)?;
        Ok(Change::new(self.before.as_ref(), now))
    }

    async fn look(&mut self) {
        let now = self.read().await;
        // What was before a time in which nobody answered is before it all the same.
        if let Ok(before) = std::mem::replace(&mut self.now, now) {
            self.before = Some(before);
        }
    }

    async fn read(&self) -> Result<Reading, Away> {
        let answer = self.client.get(self.address.page.clone()).send().await;
        let answer = answer.map_err(|_| Away::Silent)?;
        let answer = answer.error_for_status().map_err(|_| Away::Other)?;
        let text = answer.text().await.map_err(|_| Away::Silent)?;
        let values = Exposition::parse(&text).map_err(|_| Away::Other)?;
        Ok(Reading {
            at: Instant::now(),
            values,
        })
    }
}

fn remember(curve: &mut VecDeque<f64>, value: Option<f64>) {
    curve.extend(value);
    while curve.len() > REMEMBERED {
        curve.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["127.0.0.1:9464", "web.example.org:9464", "[::1]:9464"] {
            let address: Address = good.parse().expect(good);
            assert_eq!(address.to_string(), good);
            assert_eq!(address.page.as_str(), format!("http://{good}/metrics"));
        }
        for wrong in [
            "",
            "9464",
            "host",
            "http://host:1",
            "a@host:1",
            "host:1/x",
            "host:1?x",
            "host:x",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
