//! The web host, as the tus protocol 1.0 has it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_hop::Problem;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use crate::http;

/// For making a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// For an answer to a request without bytes.
const ANSWER: Duration = Duration::from_mins(1);

/// A web host, and who speaks to it.
pub(crate) struct Site {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// What a request came to.
pub(crate) enum Said {
    /// It went well: the upload has come so far, in bytes.
    Offset(u64),
    /// There is no such upload, or no longer.
    Gone,
    /// The policies refuse it.
    Refused(Box<Problem>),
    /// It is to be asked again how far it has come.
    Unsure,
    /// Nothing is wrong with the upload: it is to be tried again. Why.
    Later(String),
    /// It cannot be done. Why.
    Never(String),
}

impl Site {
    pub(crate) fn new(address: &str, token: Option<String>) -> Result<Self> {
        let mut base = Url::parse(address)
            .with_context(|| format!("`{address}` is no address; write it as https://HOST"))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            bail!("`{address}` cannot be uploaded to; write it as https://HOST");
        }
        // A site may be below a path.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = http::client(&base)
            .connect_timeout(CONNECT)
            .tcp_nodelay(true);
        let http = http.build().context(
            "no certificates of authorities are to be found on this computer, without which it cannot tell one site from another; \
             install them (ca-certificates), or name a file of them in SSL_CERT_FILE",
        )?;
        Ok(Self { http, base, token })
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        self.base.as_str()
    }

    /// Creates an upload. Gives its address.
    pub(crate) async fn create(
        &self,
        length: u64,
        metadata: &[(&str, &str)],
    ) -> Result<(String, u64), Said> {
        let encode = |(key, value): &(&str, &str)| format!("{key} {}", STANDARD.encode(value));
        let metadata: Vec<String> = metadata.iter().map(encode).collect();
        let request = self
            .request(Method::POST, "uploads")
            .timeout(ANSWER)
            .header("upload-length", length)
            .header("upload-metadata", metadata.join(","));
        let response = request.send().await.map_err(|error| later(&error))?;
        if response.status() != StatusCode::CREATED {
            return Err(match failed(response).await {
                Said::Gone => {
                    Said::Never("there is no web host of Portcullis at this address".to_owned())
                }
                said => said,
            });
        }
        let location = response.headers().get("location");
        let location = location
            .and_then(|value| response.url().join(value.to_str().ok()?).ok())
            .map(|address| address.path().to_owned());
        let offset = offset(&response).unwrap_or(0);
        let location =
            location.ok_or_else(|| Said::Never("the site does not speak tus".to_owned()))?;
        Ok((location, offset))
    }

    /// Asks how far an upload has come.
    pub(crate) async fn ask(&self, address: &str) -> Said {
        let request = self.request(Method::HEAD, address).timeout(ANSWER);
        match request.send().await {
            Ok(response) if response.status() == StatusCode::OK => {
                offset(&response).map_or(Said::Unsure, Said::Offset)
            }
            Ok(response) => match response.status() {
                StatusCode::NOT_FOUND | StatusCode::GONE => Said::Gone,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    Said::Never("the site does not know the token, or wants one".to_owned())
                }
                // Whether storage is away or the token is no longer good, the upload waits.
                status => Said::Later(format!("the site asks to wait ({status})")),
            },
            Err(error) => later(&error),
        }
    }

    /// Sends bytes.
    pub(crate) async fn append(
        &self,
        address: &str,
        from: u64,
        length: u64,
        body: reqwest::Body,
    ) -> Said {
        let request = self
            .request(Method::PATCH, address)
            .header("upload-offset", from)
            .header("content-type", "application/offset+octet-stream")
            .header("content-length", length)
            .body(body);
        match request.send().await {
            Ok(response) if response.status() == StatusCode::NO_CONTENT => {
                offset(&response).map_or(Said::Unsure, Said::Offset)
            }
            Ok(response) => failed(response).await,
            Err(error) => later(&error),
        }
    }

    /// All that the site knows of an upload.
    pub(crate) async fn record(&self, address: &str) -> Result<Value, Said> {
        let request = self.request(Method::GET, address).timeout(ANSWER);
        let response = request.send().await.map_err(|error| later(&error))?;
        if response.status() != StatusCode::OK {
            return Err(failed(response).await);
        }
        let body = response.bytes().await.map_err(|error| later(&error))?;
        let unread =
            |_| Said::Never("the site answers what this version does not understand".to_owned());
        serde_json::from_slice(&body).map_err(unread)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = self.base.join(path).unwrap_or_else(|_| self.base.clone());
        let request = self
            .http
            .request(method, url)
            .header("tus-resumable", "1.0.0");
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

fn offset(response: &Response) -> Option<u64> {
    let offset = response.headers().get("upload-offset")?;
    offset.to_str().ok()?.parse().ok()
}

/// A connection that was not made, or broke.
fn later(error: &reqwest::Error) -> Said {
    if let Some(why) = http::not_trusted(error) {
        return Said::Never(format!(
            "the site does not prove that it is the one: {why}; ask its operator, or name a file with the certificate of its authority in SSL_CERT_FILE"
        ));
    }
    let what = if error.is_connect() {
        "the site cannot be reached"
    } else if error.is_timeout() {
        "the site did not answer in time"
    } else {
        "the connection broke"
    };
    Said::Later(what.to_owned())
}

/// What an answer means that is no success.
async fn failed(response: Response) -> Said {
    let status = response.status();
    if status.is_redirection() {
        let location = response.headers().get("location");
        let there = location.and_then(|value| value.to_str().ok());
        let there = there.unwrap_or("another address");
        return Said::Never(format!("the site sends on to {there}; name that address"));
    }
    let problem = response.bytes().await.ok();
    let problem = problem.and_then(|body| serde_json::from_slice::<Problem>(&body).ok());
    let why = problem
        .as_ref()
        .map_or_else(|| status.to_string(), |problem| problem.detail.clone());
    let slug = problem.as_ref().map(|problem| problem.kind.slug());
    match (status, slug) {
        (_, Some("policy-rejected" | "policy-failed")) => match problem {
            Some(problem) => Said::Refused(Box::new(problem)),
            None => Said::Never(why),
        },
        (StatusCode::NOT_FOUND | StatusCode::GONE, _) => Said::Gone,
        (StatusCode::REQUEST_TIMEOUT, _)
        | (_, Some("offset-mismatch" | "fenced" | "checksum-mismatch")) => Said::Unsure,
        (
            StatusCode::TOO_MANY_REQUESTS | StatusCode::LOCKED | StatusCode::INSUFFICIENT_STORAGE,
            _,
        ) => Said::Later(why),
        _ if status.is_server_error() => Said::Later(why),
        _ => Said::Never(why),
    }
}
