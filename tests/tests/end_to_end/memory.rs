//! The memory of the servers does not depend on the size of an upload, nor on what a stranger sends them.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use portcullis_tests::gateway::{Answer, Contents, Form, KEY, Server, TestGateway, sha256};
use portcullis_tests::{LIMIT, soaks};
use reqwest::{Body, Method, RequestBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BLOCK: usize = 1 << 20;

fn blocks(count: usize) -> impl Iterator<Item = Bytes> {
    let line = Bytes::from("0123456789abcd,\n".repeat(BLOCK / 16));
    std::iter::repeat_n(line, count)
}

/// The highest resident memory of the web host after an upload of so many MiB.
async fn peak_after(mib: usize) -> Result<u64> {
    let gateway = TestGateway::start().await?;
    let contents = Contents::stream(stream::iter(blocks(mib)));
    let form = Form::submission("patient").file("big.csv", contents);
    let receipt = gateway.upload(form).await?.receipt()?;
    ensure!(receipt["size"] == mib * BLOCK, "{receipt}");
    ensure!(receipt["sha256"] == sha256(blocks(mib)), "{receipt}");
    gateway.web.peak_memory_bytes()
}

#[tokio::test]
async fn an_upload_of_any_size_takes_no_more_memory_than_one_of_10_mib() -> Result<()> {
    let small = peak_after(10).await?;
    let large = peak_after(if soaks() { 1024 } else { 128 }).await?;
    let more_mb = large.saturating_sub(small) / 1_000_000;
    ensure!(
        more_mb <= 32,
        "{more_mb} MB more: {small} and {large} bytes"
    );
    Ok(())
}

/// How much a stranger sends where no byte of a file is.
const FILLER_MIB: usize = 64;
/// What the servers may hold of it, with everything else that one request costs.
const MOST_MORE_BYTES: u64 = 16 << 20;

/// Whether a server that had this much memory resident at most still has not had much more.
fn holds_nothing(server: &Server, before: u64) -> Result<()> {
    let now = server.peak_memory_bytes()?;
    ensure!(
        now <= before + MOST_MORE_BYTES,
        "{before} bytes before, now {now}"
    );
    Ok(())
}

/// Beginnings of forms that go on without an end, and what is wrong with each.
fn endless_forms() -> [(String, &'static str, &'static str); 4] {
    let part = |disposition: &str, data: &str| {
        format!("--X\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{data}\r\n")
    };
    let field = |name: &str| part(&format!("name=\"{name}\""), "2024");
    let fields = ["cohort", "protocol_year", "table"].map(field).concat();
    let file = part("name=\"file\"; filename=\"a.csv\"", "a\n1");
    [
        (
            String::new(),
            "x",
            "Part 1 of the form has over 16 KiB before its data",
        ),
        (
            format!("{fields}--X\r\nX-Long: "),
            "x",
            "Part 4 of the form has over 16 KiB before its data",
        ),
        (
            format!("{fields}{file}--X--\r\n"),
            "x",
            "over 16 KiB after its last boundary",
        ),
        (
            String::new(),
            "--X\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\r\n",
            "The form has over ",
        ),
    ]
}

fn endless(request: RequestBuilder, begin: String, filler: &str) -> RequestBuilder {
    let block = Bytes::from(filler.repeat(BLOCK / filler.len()));
    let blocks = stream::iter([begin.into()]).chain(stream::iter(vec![block; FILLER_MIB]));
    request
        .header("content-type", "multipart/form-data; boundary=X")
        .body(Body::wrap_stream(blocks.map(Ok::<_, std::io::Error>)))
}

#[tokio::test]
async fn a_form_without_end_is_refused_and_fills_no_memory() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let form = Form::submission("patient").file("a.csv", "a\n1\n");
    gateway.upload(form).await?.receipt()?;
    let web = gateway.web.peak_memory_bytes()?;
    for (begin, filler, says) in endless_forms() {
        let request = gateway.web_request(Method::POST, "/uploads");
        let answer = Answer::of(endless(request, begin, filler)).await?;
        let problem = answer.problem("bad-request", 400)?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains(says), "{problem}");
    }
    holds_nothing(&gateway.web, web)?;

    let services = gateway.services.peak_memory_bytes()?;
    for (begin, filler, _) in endless_forms() {
        let request = gateway.services_request(Method::POST, "/internal/storage/upload");
        let request = request.header("x-api-key", KEY);
        // The connection may be closed before its client has read the answer.
        if let Ok(answer) = Answer::of(endless(request, begin, filler)).await {
            answer.problem("bad-request", 400)?;
        }
    }
    holds_nothing(&gateway.services, services)?;
    let stored = gateway.disk("local").files()?;
    ensure!(stored.len() == 1, "{stored:?}");
    Ok(())
}

/// Sends a beginning and then the same line for as long as the server reads, and returns the start of its answer.
async fn endless_lines(address: SocketAddr, begin: &str) -> Result<String> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(begin.as_bytes()).await?;
    let lines = "X-Filler: 0123456789abcdef0123456789abcdef\r\n".repeat(1000);
    for _ in 0..FILLER_MIB * BLOCK / lines.len() {
        if socket.write_all(lines.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 100];
    let read = tokio::time::timeout(LIMIT, socket.read(&mut answer)).await?;
    // A reset says that it was closed with bytes unread.
    Ok(String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned())
}

#[tokio::test]
async fn headers_and_trailers_without_end_fill_no_memory() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let form = Form::submission("patient").file("a.csv", "a\n1\n");
    gateway.upload(form).await?.receipt()?;
    for server in [&gateway.web, &gateway.services] {
        let before = server.peak_memory_bytes()?;
        let post = "POST /uploads?cohort=c1&protocol_year=2024&table=t HTTP/1.1\r\nHost: x\r\n";
        let answer = endless_lines(server.address(), post).await?;
        ensure!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
            "{answer}"
        );
        let body = format!(
            "{post}Content-Disposition: attachment; filename=t.csv\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na\n1\n\r\n0\r\n"
        );
        let answer = endless_lines(server.address(), &body).await?;
        ensure!(!answer.starts_with("HTTP/1.1 201 "), "{answer}");
        holds_nothing(server, before)?;
    }
    Ok(())
}
