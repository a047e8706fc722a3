//! Uploads that are gone on with: the tus protocol, request by request.

mod checksums;
mod clients;
mod digests;
mod interrupted;
mod limits;
mod parts;
mod paused;
mod property;

use anyhow::{Result, ensure};
use portcullis_generator::{Csv, Definition};
use portcullis_tests::gateway::{
    Answer, Form, Policies, Setup, TestGateway, TusUpload, sha256, tus_metadata,
};
use reqwest::Method;

const GOOD: &str = "patid,sex\n1,F\n2,M\n";
const PATH: &str = "submissions/c1/2024/patient/patient.csv";

/// What an ELF begins with: enough of it that no check waits for more.
pub(crate) fn elf() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(10_000, 0);
    elf
}

#[tokio::test]
async fn an_upload_in_pieces_is_stored_when_its_last_byte_has_come() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let upload = gateway.tus_begin("patient.csv", GOOD.len()).await?;
    ensure!(upload.offset(&gateway).await? == 0);
    ensure!(upload.sent(&gateway, 0, &GOOD[..5]).await? == 5);
    ensure!(upload.offset(&gateway).await? == 5);
    ensure!(gateway.disk("local").files()?.is_empty());
    let length = GOOD.len() as u64;
    ensure!(upload.sent(&gateway, 5, &GOOD[5..]).await? == length);
    ensure!(gateway.disk("local").digest(PATH)? == sha256([GOOD]));
    ensure!(upload.offset(&gateway).await? == length);
    let record = upload.record(&gateway).await?;
    ensure!(record["state"] == "committed", "{record}");
    ensure!(record["receipt"]["sha256"] == sha256([GOOD]), "{record}");
    ensure!(record["receipt"]["path"] == PATH, "{record}");
    Ok(())
}

#[tokio::test]
async fn the_head_says_what_the_protocol_asks_for() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let metadata = tus_metadata(&[
        ("filename", "a.csv"),
        ("cohort", "c1"),
        ("protocol_year", "2024"),
        ("table", "x"),
    ]);
    let create = gateway
        .tus(Method::POST, "/uploads")
        .header("upload-metadata", &metadata);
    let created = Answer::of(create.header("upload-defer-length", "1")).await?;
    let upload = TusUpload::of(&created)?;
    ensure!(created.header("tus-resumable") == Some("1.0.0"));
    let head = upload.head(&gateway).await?;
    ensure!(head.status == 200 && head.offset()? == 0, "{head:?}");
    for (name, value) in [
        ("tus-resumable", "1.0.0"),
        ("cache-control", "no-store"),
        ("upload-defer-length", "1"),
        ("upload-metadata", &metadata),
    ] {
        ensure!(head.header(name) == Some(value), "{name}: {head:?}");
    }
    ensure!(head.header("upload-length").is_none(), "{head:?}");
    let expires = head.header("upload-expires").unwrap_or_default();
    ensure!(expires.ends_with(" GMT"), "{expires}");
    Ok(())
}

#[tokio::test]
async fn options_say_what_is_spoken() -> Result<()> {
    let gateway = Setup::default()
        .web_config("[limits]\nupload-bytes = 12345\n")
        .start()
        .await?;
    let answer = Answer::of(gateway.web_request(Method::OPTIONS, "/uploads")).await?;
    ensure!(answer.status == 204, "{answer:?}");
    for (name, value) in [
        ("tus-version", "1.0.0"),
        ("tus-max-size", "12345"),
        ("tus-checksum-algorithm", "sha1,sha256,sha384,sha512"),
        (
            "tus-extension",
            "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination",
        ),
    ] {
        ensure!(answer.header(name) == Some(value), "{name}: {answer:?}");
    }
    let create = gateway.tus_create("a.csv").header("upload-length", 12346);
    Answer::of(create).await?.problem("too-large", 413)?;
    Ok(())
}

#[tokio::test]
async fn pages_of_sites_that_the_operator_names_may_upload() -> Result<()> {
    let gateway = Setup::default()
        .web_config("cors-origins = ['https://portal.example.org']\n")
        .start()
        .await?;
    let (ours, other) = (
        "https://portal.example.org",
        "https://elsewhere.example.org",
    );
    let preflight = |origin: &str| {
        let request = gateway.web_request(Method::OPTIONS, "/uploads/x");
        let request = request.header("origin", origin);
        Answer::of(request.header("access-control-request-method", "PATCH"))
    };
    let allowed = preflight(ours).await?;
    ensure!(allowed.status == 204, "{allowed:?}");
    let says = |answer: &Answer, name: &str, what: &str| {
        answer
            .header(name)
            .is_some_and(|value| value.contains(what))
    };
    ensure!(says(&allowed, "access-control-allow-origin", ours));
    ensure!(says(&allowed, "access-control-allow-methods", "PATCH"));
    ensure!(says(
        &allowed,
        "access-control-allow-headers",
        "Upload-Offset"
    ));
    ensure!(says(&allowed, "vary", "Origin"));
    // What libraries of browsers add to every request.
    let headers = allowed.headers.get_all("access-control-allow-headers");
    let headers = headers.iter().filter_map(|value| value.to_str().ok());
    let headers = headers.collect::<Vec<_>>().join(", ");
    for added in ["Baggage", "Tracestate", "Traceparent", "Sentry-Trace"] {
        ensure!(headers.contains(added), "{headers}");
    }
    let refused = preflight(other).await?;
    ensure!(
        refused.header("access-control-allow-origin").is_none(),
        "{refused:?}"
    );
    let create = gateway.tus_create("patient.csv").header("upload-length", 1);
    let created = Answer::of(create.header("origin", ours)).await?;
    ensure!(created.status == 201, "{created:?}");
    ensure!(says(&created, "access-control-allow-origin", ours));
    ensure!(says(&created, "access-control-expose-headers", "Location"));
    // Refusals can be read too.
    let wrong = gateway.tus_create("patient.csv").header("origin", ours);
    let wrong = Answer::of(wrong).await?;
    ensure!(wrong.status == 400 && says(&wrong, "access-control-allow-origin", ours));
    Ok(())
}

#[tokio::test]
async fn a_dropped_folder_keeps_its_structure_and_nothing_leads_out_of_it() -> Result<()> {
    let gateway = Setup::default()
        .policies(Policies::Standard)
        .start()
        .await?;
    let csv = Csv::of(&Definition::shipped("patient")?).rows(3).whole();
    let send = async |relative: &str| {
        let metadata = tus_metadata(&[
            ("filename", "a.csv"),
            ("relativePath", relative),
            ("cohort", "c1"),
            ("protocol_year", "2024"),
            ("table", "patient"),
        ]);
        let create = gateway.tus(Method::POST, "/uploads");
        let create = create
            .header("upload-metadata", metadata)
            .header("upload-length", csv.len());
        let create = create.header("content-type", "application/offset+octet-stream");
        Answer::of(create.body(csv.clone())).await
    };
    for (relative, path) in [
        ("scans/2024/a.csv", "scans/2024/a.csv"),
        ("null", "a.csv"),
        ("a.csv", "a.csv"),
    ] {
        ensure!(send(relative).await?.status == 201, "{relative}");
        let path = format!("submissions/c1/2024/patient/{path}");
        ensure!(
            gateway.disk("local").digest(&path)? == sha256([&csv]),
            "{path}"
        );
    }
    // Some clients put it into the name.
    let form = Form::submission("patient").file("other/a.csv", csv.clone());
    let receipt = gateway.upload(form).await?.receipt()?;
    ensure!(
        receipt["path"] == "submissions/c1/2024/patient/other/a.csv",
        "{receipt}"
    );
    for relative in [
        "../a.csv",
        "/etc/passwd",
        "a/../../../b.csv",
        "a\\b.csv",
        "a//b",
        "x/.portcullis/y",
    ] {
        send(relative).await?.problem("unsafe-path", 400)?;
    }
    ensure!(gateway.disk("local").files()?.len() == 3);
    Ok(())
}

#[tokio::test]
async fn an_upload_may_come_with_its_creation() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let large = "patid,sex\n".repeat(100_000);
    for (name, body, length) in [
        ("small.csv", GOOD, GOOD.len()),
        ("large.csv", &large, large.len()),
        ("part.csv", &large[..300_000], large.len()),
        ("empty.csv", "", 0),
    ] {
        let create = gateway.tus_create(name).header("upload-length", length);
        let create = create.header("content-type", "application/offset+octet-stream");
        let answer = Answer::of(create.body(body.to_owned())).await?;
        let upload = TusUpload::of(&answer)?;
        ensure!(answer.offset()? == body.len() as u64, "{answer:?}");
        let path = format!("submissions/c1/2024/patient/{name}");
        if name == "part.csv" {
            ensure!(gateway.disk("local").digest(&path).is_err());
            let rest = upload.sent(&gateway, 300_000, &large[300_000..]).await?;
            ensure!(rest == length as u64);
            ensure!(gateway.disk("local").digest(&path)? == sha256([&large]));
        } else {
            ensure!(gateway.disk("local").digest(&path)? == sha256([body]));
        }
        ensure!(upload.record(&gateway).await?["state"] == "committed");
    }
    Ok(())
}

#[tokio::test]
async fn a_length_may_be_told_later_and_once() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let create = gateway
        .tus_create("patient.csv")
        .header("upload-defer-length", "1");
    let upload = TusUpload::of(&Answer::of(create).await?)?;
    let length = GOOD.len() as u64;
    // Nothing is at its end whose length is not known.
    ensure!(upload.sent(&gateway, 0, GOOD).await? == length);
    let tell = |length: u64| {
        let request = upload.bytes(&gateway, GOOD.len() as u64, "");
        Answer::of(request.header("upload-length", length))
    };
    tell(length - 1).await?.problem("bad-request", 400)?;
    ensure!(upload.offset(&gateway).await? == length);
    let told = tell(length).await?;
    ensure!(told.status == 204 && told.offset()? == length, "{told:?}");
    ensure!(gateway.disk("local").digest(PATH)? == sha256([GOOD]));
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_told_on_the_bytes_and_never_becomes_a_success() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let upload = gateway.tus_begin("patient.csv", 20_000).await?;
    let problem = upload
        .send(&gateway, 0, elf())
        .await?
        .problem("policy-rejected", 422)?;
    ensure!(problem["policy"] == "file-type", "{problem}");
    for from in [0, 5, 10_000, 19_999, 20_000] {
        let again = upload.send(&gateway, from, "x").await?;
        let again = again.problem("policy-rejected", 422)?;
        ensure!(
            again["support_id"] == problem["support_id"],
            "{again} {problem}"
        );
        for member in ["detail", "policy", "rule", "findings", "policies"] {
            ensure!(
                again[member] == problem[member],
                "{member}: {again} {problem}"
            );
        }
    }
    ensure!(upload.offset(&gateway).await? < 20_000);
    let record = upload.record(&gateway).await?;
    ensure!(record["state"] == "rejected", "{record}");
    ensure!(record["problem"]["detail"] == problem["detail"], "{record}");
    ensure!(gateway.disk("local").files()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_gone() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let upload = gateway.tus_begin("patient.csv", GOOD.len()).await?;
    upload.sent(&gateway, 0, &GOOD[..5]).await?;
    let cancel = || Answer::of(upload.request(&gateway, Method::DELETE));
    ensure!(cancel().await?.status == 204);
    cancel().await?.problem("upload-gone", 410)?;
    upload
        .send(&gateway, 5, &GOOD[5..])
        .await?
        .problem("upload-gone", 410)?;
    ensure!(upload.head(&gateway).await?.status == 410);
    ensure!(upload.record(&gateway).await?["state"] == "cancelled");
    ensure!(gateway.disk("local").staged()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_a_request_gets_wrong_is_said_and_costs_nothing() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let create = || gateway.tus_create("patient.csv");
    for (request, slug, status) in [
        (create(), "bad-request", 400),
        (create().header("upload-length", "x"), "bad-request", 400),
        (
            create()
                .header("upload-length", "1")
                .header("upload-defer-length", "1"),
            "bad-request",
            400,
        ),
        (
            gateway
                .tus(Method::POST, "/uploads")
                .header("upload-length", "1"),
            "bad-request",
            400,
        ),
        (
            create()
                .header("upload-length", "1")
                .header("tus-resumable", "0.2.2"),
            "bad-request",
            400,
        ),
        (
            gateway
                .web_request(Method::POST, "/uploads")
                .header("tus-resumable", "0.2.2"),
            "unsupported-protocol",
            412,
        ),
        (
            create().header("upload-length", "3").body("abc"),
            "unsupported-media-type",
            415,
        ),
    ] {
        Answer::of(request).await?.problem(slug, status)?;
    }
    let upload = gateway.tus_begin("patient.csv", GOOD.len()).await?;
    ensure!(upload.sent(&gateway, 0, &GOOD[..5]).await? == 5);
    for from in [0, 4, 6, GOOD.len() as u64] {
        let answer = upload.send(&gateway, from, "x").await?;
        let problem = answer.problem("offset-mismatch", 409)?;
        ensure!(problem["offset"] == 5 && answer.offset()? == 5, "{problem}");
    }
    // Too much, announced and not.
    let too_much = "x".repeat(GOOD.len());
    let announced = upload.bytes(&gateway, 5, "").body(too_much.clone());
    Answer::of(announced).await?.problem("too-large", 413)?;
    upload
        .send(&gateway, 5, too_much.as_str())
        .await?
        .problem("too-large", 413)?;
    let typed = upload
        .bytes(&gateway, 5, "x")
        .header("content-type", "text/csv");
    Answer::of(typed)
        .await?
        .problem("unsupported-media-type", 415)?;
    let unknown = "/uploads/00000000000000000000000000000000";
    for target in [unknown, "/uploads/x"] {
        ensure!(Answer::of(gateway.tus(Method::HEAD, target)).await?.status == 404);
        Answer::of(gateway.web_request(Method::GET, target))
            .await?
            .problem("not-found", 404)?;
        Answer::of(gateway.tus(Method::DELETE, target))
            .await?
            .problem("not-found", 404)?;
    }
    // Something on its way knows no PATCH.
    let post = upload.request(&gateway, Method::POST);
    let post = post
        .header("upload-offset", 5)
        .header("content-type", "application/offset+octet-stream");
    let post = post
        .header("x-http-method-override", "PATCH")
        .body(&GOOD[5..]);
    let answer = Answer::of(post).await?;
    ensure!(answer.status == 204, "{answer:?}");
    ensure!(gateway.disk("local").digest(PATH)? == sha256([GOOD]));
    Ok(())
}

#[tokio::test]
async fn an_upload_is_its_owners_whatever_token_they_have_now() -> Result<()> {
    let gateway = Setup::default().tokens_only().start().await?;
    let token = |subject: &str| gateway.token(&["add", "--subject", subject]);
    let (old, new, other) = (token("site-7")?, token("site-7")?, token("site-8")?);
    let create = gateway
        .tus_create("patient.csv")
        .header("upload-length", GOOD.len());
    Answer::of(create.try_clone().unwrap_or_else(|| unreachable!()))
        .await?
        .problem("unauthenticated", 401)?;
    let upload = TusUpload::of(&Answer::of(create.bearer_auth(&old)).await?)?;
    let first = upload.bytes(&gateway, 0, &GOOD[..5]).bearer_auth(&old);
    ensure!(Answer::of(first).await?.status == 204);
    let by = |token: &str, method: Method| {
        Answer::of(upload.request(&gateway, method).bearer_auth(token))
    };
    for method in [Method::HEAD, Method::GET, Method::DELETE] {
        ensure!(by(&other, method).await?.status == 404);
    }
    let stolen = upload.bytes(&gateway, 5, &GOOD[5..]).bearer_auth(&other);
    Answer::of(stolen).await?.problem("not-found", 404)?;
    let id = gateway.token(&["list"])?;
    let id = id
        .lines()
        .find(|line| line.contains("site-7"))
        .and_then(|line| line.split_whitespace().next().map(str::to_owned));
    gateway.token(&["revoke", &id.unwrap_or_default()])?;
    // One of the two is revoked: its client waits, the other goes on.
    let mut answers = [
        by(&old, Method::HEAD).await?.status,
        by(&new, Method::HEAD).await?.status,
    ];
    let valid = if answers[0] == 200 { &old } else { &new };
    answers.sort_unstable();
    ensure!(answers == [200, 423], "{answers:?}");
    let last = upload.bytes(&gateway, 5, &GOOD[5..]).bearer_auth(valid);
    ensure!(Answer::of(last).await?.status == 204);
    ensure!(gateway.disk("local").digest(PATH)? == sha256([GOOD]));
    Ok(())
}
