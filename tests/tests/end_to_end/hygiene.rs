//! What clients and policies say is planted with words that could be of a patient, wherever they can say anything. Of these words none
//! may leave the process for an operator: not in a span, a metric or a line that is exported, and not in what the servers write.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use base64::Engine as _;
use portcullis_telemetry::collector::Collector;
use portcullis_tests::LIMIT;
use portcullis_tests::gateway::{
    Answer, Form, KEY, Policies, Setup, TestGateway, TusUpload, guest, tus_metadata,
};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A name, a number and a file's name. Each is one word, so that no way of cutting hides it.
const NAME: &str = "Zoraida-Quintanilla";
const NUMBER: &str = "77392015481";
const FILE: &str = "scan-of-zq-1931";

/// All of them in one word.
fn planted() -> String {
    format!("{NAME}-{NUMBER}-{FILE}")
}

/// How the words could look in bytes that go out: as they are, in any case, and as parts of addresses, headers and archives.
fn disguises() -> Vec<Vec<u8>> {
    let mut disguises = Vec::new();
    for word in [NAME, NUMBER, FILE] {
        for text in [word.to_owned(), word.to_lowercase(), word.to_uppercase()] {
            disguises.push(hex::encode(&text).into_bytes());
            disguises.push(escaped(&text).into_bytes());
            // Base64 of a text within another begins at one of three places; what the neighbours have a share in is left out.
            for before in 0..3 {
                let shifted = [vec![b' '; before], text.clone().into_bytes()].concat();
                let encoded = base64::engine::general_purpose::STANDARD.encode(shifted);
                let inner = &encoded.as_bytes()[(before * 4).div_ceil(3)..encoded.len() - 4];
                disguises.push(inner.to_vec());
            }
            disguises.push(text.into_bytes());
        }
        let number = word.parse::<i64>().ok();
        disguises.extend(number.map(|number| number.to_le_bytes().to_vec()));
        disguises.extend(number.map(varint));
    }
    disguises
}

/// Each byte as an address may write it.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| format!("%{byte:02X}");
    text.bytes().map(escape).collect::<Vec<_>>().concat()
}

/// A number as protobuf writes it.
fn varint(mut number: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
    bytes
}

/// What of it stands in these bytes, with what stands around it.
fn found(bytes: &[u8]) -> Option<String> {
    let place = disguises()
        .into_iter()
        .find_map(|disguise| memchr::memmem::find(bytes, &disguise))?;
    let around = place.saturating_sub(200)..bytes.len().min(place + 200);
    Some(String::from_utf8_lossy(&bytes[around]).into_owned())
}

/// A policy that repeats everything for each way in which it can end, one in the shadow, and a router that takes any attribute.
fn policies() -> Policies {
    let gossip = guest("gossip");
    let ends = ["accept", "reject", "quarantine", "fail", "panic"];
    let each = ends.iter().fold(Policies::none(), |policies, end| {
        let settings = format!("{{ end = '{end}' }}");
        let only = format!("may-quote = true\nmatch = {{ table = '{end}' }}");
        policies.and(end, &gossip, &settings, &only)
    });
    each.and("beside", &gossip, "{ end = 'panic' }", "mode = 'shadow'")
}

/// Uploads as people send them, with the words wherever a client may say something.
async fn upload_everywhere(gateway: &TestGateway) -> Result<()> {
    let planted = planted();
    let body = bytes::Bytes::from(format!("patient,number\n{NAME},{NUMBER}\n{FILE}\n"));
    for end in ["accept", "reject", "quarantine", "fail", "panic", "none"] {
        let form = Form::default()
            .field("table", end)
            .file(&format!("{end}-{planted}.csv"), body.clone());
        let answer = gateway.upload(form).await?;
        let stored = matches!(end, "accept" | "quarantine" | "none");
        ensure!((answer.status == 201) == stored, "{end}: {answer:?}");
    }
    for form in [
        Form::default().field(&planted, "x").file("a.csv", "a\n"),
        Form::default().field("table", &planted).file(&planted, body.clone()),
        Form::default().part(&format!("Content-Disposition: {planted}"), "a\n"),
        Form::default().part(
            &format!("Content-Disposition: form-data; name=\"file\"; filename=\"../{planted}\"\r\nContent-Type: {planted}"),
            "a\n",
        ),
    ] {
        gateway.upload(form).await?;
    }
    let query = format!("{planted}={planted}&table={planted}");
    gateway
        .upload_raw(&query, &format!("{planted}.csv"), body)
        .await?;
    // The same path again: it is taken, by another.
    let form = Form::default().file(&format!("none-{planted}.csv"), "other\n");
    gateway.upload(form).await?;
    Ok(())
}

/// Requests with the words in addresses, methods and headers.
async fn ask_everywhere(gateway: &TestGateway) -> Result<()> {
    let planted = planted();
    let odd = Method::from_bytes(NAME.to_uppercase().as_bytes())?;
    let web = |method: &Method, target: &str| gateway.web_request(method.clone(), target);
    for method in [Method::GET, Method::PATCH, Method::DELETE, odd] {
        for target in [
            "", "uploads/", "assets/", "uploads?", "healthz?", "readyz?", "?",
        ] {
            Answer::of(web(&method, &format!("/{target}{planted}"))).await?;
        }
    }
    let headers = [
        "authorization",
        "x-api-key",
        "user-agent",
        "referer",
        "cookie",
        "origin",
        "host",
        "accept",
        "accept-language",
        "traceparent",
        "tracestate",
        "baggage",
        "x-forwarded-for",
        "content-type",
        "content-disposition",
        "idempotency-key",
        "expect",
        "range",
        "tus-resumable",
        "upload-metadata",
        "upload-checksum",
        "upload-concat",
        "upload-length",
        "upload-offset",
        "upgrade",
    ];
    for header in headers {
        for method in [Method::GET, Method::POST] {
            let value = format!("Bearer {planted}");
            Answer::of(web(&method, "/uploads").header(header, &value)).await?;
            let services = gateway.services_request(method, "/internal/storage/list");
            // A server that is asked for what it does not speak may hang up.
            let _ = Answer::of(services.header(header, value)).await;
        }
    }
    let metadata = tus_metadata(&[
        ("filename", &planted),
        (FILE, NAME),
        ("relativePath", &format!("../{planted}")),
    ]);
    for (name, value) in [
        ("upload-metadata", metadata.as_str()),
        ("upload-checksum", &format!("{FILE} {NAME}")),
        ("upload-concat", &format!("final;/uploads/{planted}")),
    ] {
        let request = gateway
            .tus(Method::POST, "/uploads")
            .header("upload-length", NUMBER);
        Answer::of(request.header(name, value)).await?;
    }
    let metadata = tus_metadata(&[("filename", &planted)]);
    let create = gateway.tus(Method::POST, "/uploads");
    let create = create
        .header("upload-metadata", metadata)
        .header("upload-length", 4);
    let begun = TusUpload::of(&Answer::of(create).await?)?;
    let wrong = begun
        .bytes(gateway, 0, "a\n1\n")
        .header("upload-checksum", format!("sha1 {planted}"));
    Answer::of(wrong).await?;
    Ok(())
}

/// Calls of services by somebody who may.
async fn call_services(gateway: &TestGateway) -> Result<()> {
    let planted = planted();
    for (method, target) in [
        (Method::GET, format!("storage/list?prefix={planted}")),
        (Method::GET, format!("storage/download?path={planted}")),
        (Method::GET, format!("storage/download?path=../{planted}")),
        (
            Method::GET,
            format!("storage/download?path=a&disk={planted}"),
        ),
        (Method::DELETE, format!("storage/delete?path={planted}")),
        (Method::GET, format!("uploads/{planted}")),
        (Method::POST, format!("uploads/{planted}/commit")),
        (Method::GET, planted.clone()),
    ] {
        let call = gateway.services_request(method, &format!("/internal/{target}"));
        Answer::of(call.header("x-api-key", KEY).body(planted.clone())).await?;
    }
    Ok(())
}

/// What is no HTTP, or no HTTP that is taken; and a client that speaks TLS to a port without.
async fn speak_nonsense(address: SocketAddr) -> Result<()> {
    let planted = planted();
    // The beginning of a handshake that names the server (RFC 8446, section 4.1.2, and RFC 6066, section 3), as far as it matters here.
    let mut handshake = vec![22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    handshake.extend(planted.as_bytes());
    for bytes in [
        handshake,
        format!("{planted}\r\n\r\n").into_bytes(),
        format!("GET /{planted} HTTP/9.{NUMBER}\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{NAME} {NUMBER}: {FILE}\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", planted.repeat(3_000)).into_bytes(),
        format!("POST /uploads HTTP/1.1\r\nHost: x\r\nContent-Length: {NAME}\r\n\r\n").into_bytes(),
        format!("POST /uploads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {NAME}\r\n\r\n").into_bytes(),
        format!("POST /uploads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Disposition: attachment; filename={FILE}\r\n\r\n4;{NAME}={NUMBER}\r\na\n1\n\r\n0\r\n{NAME}: {NUMBER}\r\n\r\n").into_bytes(),
        format!("POST /uploads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Disposition: attachment; filename={FILE}\r\n\r\n{NAME}\r\n").into_bytes(),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{planted}").into_bytes(),
    ] {
        let mut socket = TcpStream::connect(address).await?;
        // It may hang up before all of it is written.
        let _ = socket.write_all(&bytes).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(LIMIT, socket.read_to_end(&mut answer));
        let _ = read.await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_word_of_a_client_or_of_a_policy_reaches_an_operator() -> Result<()> {
    const LISTEN: &str = "metrics-listen = '127.0.0.1:0'\n";
    let collector = Collector::start().await?;
    let setup = Setup::default()
        .policies(policies())
        .web_config(LISTEN)
        .services_config(LISTEN)
        .collector(collector.endpoint())
        .env("LOG_LEVEL", "debug")
        .env("RUST_LOG", "trace");
    let mut gateway = setup.start().await?;
    upload_everywhere(&gateway).await?;
    ask_everywhere(&gateway).await?;
    call_services(&gateway).await?;
    speak_nonsense(gateway.web.address()).await?;
    speak_nonsense(gateway.services.address()).await?;
    let pages = [
        gateway.web.scrape().await?,
        gateway.services.scrape().await?,
    ];
    // What still waits is sent when they end.
    gateway.web.stop().await?;
    gateway.services.stop().await?;

    // The words did arrive, and all that is looked at is there.
    let files = gateway.disk("local").files()?;
    ensure!(files.keys().any(|path| path.contains(NAME)), "{files:?}");
    let wrote = |line: &serde_json::Value| line["event"] == "portcullis.policy.wrote";
    let log = gateway.web.log();
    ensure!(gateway.web.lines().iter().any(wrote), "{log}");
    let counted = "portcullis_policy_counted_total{portcullis_policy_counter=\"words\"";
    ensure!(pages[0].contains(counted), "{}", pages[0]);
    for signal in [
        collector.spans().len(),
        collector.lines().len(),
        collector.metrics().len(),
    ] {
        ensure!(signal > 20, "too little was exported: {signal}");
    }
    for (what, bytes) in [
        ("what was exported", collector.bytes()),
        ("what the web host wrote", gateway.web.log().into_bytes()),
        ("what services wrote", gateway.services.log().into_bytes()),
        ("the metrics", pages.concat().into_bytes()),
    ] {
        if let Some(around) = found(&bytes) {
            anyhow::bail!("a planted word stands in {what}: {around}");
        }
    }
    Ok(())
}

/// A search that finds nothing must be one that could.
#[test]
fn what_is_planted_would_be_found() {
    let planted = planted();
    let hidden = tus_metadata(&[("filename", &planted)]);
    for text in [
        planted.clone(),
        planted.to_uppercase(),
        hidden,
        escaped(&planted),
        hex::encode(&planted),
    ] {
        let around = format!("before {text} behind");
        assert!(found(around.as_bytes()).is_some(), "{text}");
    }
    assert!(found(&[vec![0], varint(77_392_015_481), vec![0]].concat()).is_some());
    assert!(found(b"portcullis.upload.ended").is_none());
}
