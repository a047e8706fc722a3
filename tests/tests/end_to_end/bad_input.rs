//! What users do wrong, and what goes wrong around them: each ends in a clear sentence, and nothing is lost
//! or half shown by it.

use std::os::unix::fs::symlink;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use portcullis_tests::gateway::{
    Answer, Behaviour, Contents, Form, KEY, Policies, Server, Setup, TestGateway, check_config,
    guest, refuses_to_start, start,
};
use portcullis_tests::{LIMIT, until};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const GOOD: &str = "patid,sex\n1,F\n";

fn good() -> Form {
    Form::submission("patient").file("patient.csv", GOOD)
}

/// A file that never ends.
fn endless() -> Contents {
    let line = Bytes::from("1,F\n".repeat(16 << 10));
    let head = stream::iter([Bytes::from("patid,sex\n")]);
    Contents::stream(head.chain(stream::repeat(line)))
}

#[tokio::test]
async fn services_that_are_away_slow_or_refuse_the_key_are_told_apart() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    gateway.services.kill().await?;
    let problem = gateway
        .upload(good())
        .await?
        .problem("services-unavailable", 503)?;
    ensure!(
        problem["detail"]
            == "Storage cannot be reached; nothing was stored, try again in a moment.",
        "{problem}"
    );
    let ready = Answer::of(gateway.web_request(Method::GET, "/readyz")).await?;
    ready.problem("services-unavailable", 503)?;
    let alive = Answer::of(gateway.web_request(Method::GET, "/healthz")).await?;
    ensure!(alive.status == 200);
    gateway.services.start_again().await?;
    gateway.upload(good()).await?.receipt()?;

    let short = "[hop]\ncall-seconds = 1\ncommit-seconds = 1\nstall-seconds = 1\n";
    let silent = Setup::default()
        .through(Behaviour::Silent)
        .web_config(short);
    let silent = silent.start().await?;
    silent
        .upload(good())
        .await?
        .problem("services-timeout", 504)?;

    let cut = Setup::default().through(Behaviour::CutAfter(1 << 20));
    let cut = cut.start().await?;
    let big = "patid,sex\n".repeat(400_000);
    let form = Form::submission("patient").file("patient.csv", big.as_str());
    let problem = cut.upload(form).await?;
    problem.problem("services-unavailable", 503)?;
    ensure!(cut.disk("local").files()?.is_empty());

    let slow = Setup::default().through(Behaviour::Slow(8 << 20));
    let slow = slow.start().await?;
    let form = Form::submission("patient").file("patient.csv", big.as_str());
    slow.upload(form).await?.receipt()?;

    let stranger = Setup::default()
        .web_key("another-key-0123456789abcdef")
        .start()
        .await?;
    let problem = stranger
        .upload(good())
        .await?
        .problem("services-refused", 502)?;
    let detail = problem["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("compare the keys"), "{problem}");
    let ready = Answer::of(stranger.web_request(Method::GET, "/readyz")).await?;
    ready.problem("services-refused", 502)?;
    Ok(())
}

#[tokio::test]
async fn no_key_is_401_and_a_wrong_one_403_on_every_call_of_services() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let id = "0".repeat(32);
    for (method, target) in [
        (Method::POST, "/internal/uploads".to_owned()),
        (Method::PATCH, format!("/internal/uploads/{id}")),
        (Method::POST, format!("/internal/uploads/{id}/commit")),
        (Method::GET, "/internal/storage/health".to_owned()),
        (Method::GET, "/internal/storage/list".to_owned()),
        (Method::GET, "/internal/storage/download?path=a".to_owned()),
        (Method::POST, "/internal/policies/poll".to_owned()),
        (Method::POST, "/internal/policies/revisions".to_owned()),
        (Method::POST, "/internal/policies/active".to_owned()),
        (
            Method::PUT,
            format!("/internal/policies/files/{}", "0".repeat(64)),
        ),
    ] {
        let bare = gateway.services_request(method.clone(), &target);
        Answer::of(bare).await?.problem("unauthenticated", 401)?;
        let wrong = gateway.services_request(method.clone(), &target);
        let wrong = wrong.header("x-api-key", "another-key-0123456789abcdef");
        Answer::of(wrong).await?.problem("forbidden", 403)?;
        // None of it is there for the public.
        let public = gateway
            .web_request(method, &target)
            .header("x-api-key", KEY);
        ensure!(matches!(Answer::of(public).await?.status, 404 | 405));
    }
    // A web host's key changes no policies.
    let web = gateway.services_request(Method::POST, "/internal/policies/active");
    let web = web.header("x-api-key", KEY).body("{}");
    Answer::of(web).await?.problem("forbidden", 403)?;
    Ok(())
}

#[tokio::test]
async fn without_a_good_token_nothing_is_taken() -> Result<()> {
    let gateway = Setup::default().tokens_only().start().await?;
    let send = |token: Option<String>| {
        let request = gateway
            .web_request(
                Method::POST,
                "/uploads?cohort=c1&protocol_year=2024&table=t",
            )
            .header("content-disposition", "attachment; filename=a.csv")
            .body(GOOD);
        Answer::of(match token {
            Some(token) => request.header("authorization", token),
            None => request,
        })
    };
    let answer = send(None).await?;
    answer.problem("unauthenticated", 401)?;
    ensure!(answer.headers["www-authenticate"] == "Bearer");
    for wrong in ["Basic dXNlcjpwYXNz", "Bearer nobody", "Bearer"] {
        send(Some(wrong.to_owned()))
            .await?
            .problem("unauthenticated", 401)?;
    }
    let token = gateway.token(&["add", "--subject", "site-7", "--group", "c1"])?;
    let receipt = send(Some(format!("Bearer {token}"))).await?.receipt()?;
    let record = gateway.record(&receipt["id"]).await?;
    ensure!(
        record["upload"]["principal"]["subject"] == "site-7",
        "{record}"
    );
    let list = gateway.token(&["list"])?;
    ensure!(list.contains("site-7") && !list.contains(&token), "{list}");
    let id = list.split('\t').next().context("has an id")?;
    gateway.token(&["revoke", id])?;
    let problem = send(Some(format!("Bearer {token}")))
        .await?
        .problem("unauthenticated", 401)?;
    let detail = problem["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("revoked"), "{problem}");
    ensure!(gateway.token(&["revoke", id]).is_err());
    Ok(())
}

#[tokio::test]
async fn tricks_in_names_and_attributes_never_reach_the_disk() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let long = format!("{}.csv", "x".repeat(252));
    for name in [
        "../../etc/passwd.csv",
        "/etc/cron.d/x.csv",
        "..\\\\..\\\\x.csv",
        "a\u{2215}b.csv",
        "\u{ff0e}\u{ff0e}",
        "a\u{202e}vsc.csv",
        "nul.csv",
        ".portcullis.csv",
        &long,
    ] {
        let answer = gateway
            .upload(Form::submission("patient").file(name, GOOD))
            .await?;
        ensure!((400..=422).contains(&answer.status), "{name:?}: {answer:?}");
        ensure!(
            answer.json()?["detail"]
                .as_str()
                .is_some_and(|text| text.ends_with('.'))
        );
    }
    for value in ["..", ".", "../x", "a/b", "a\\b", "/", "\u{2025}", "", " "] {
        let form = Form::default()
            .field("cohort", value)
            .field("protocol_year", "2024")
            .field("table", "patient")
            .file("a.csv", GOOD);
        let answer = gateway.upload(form).await?;
        ensure!(answer.status == 422, "{value:?}: {answer:?}");
    }
    let nul = gateway
        .upload_raw("cohort=c%00&protocol_year=2024&table=t", "a.csv", GOOD)
        .await?;
    nul.problem("bad-request", 400)?;
    ensure!(gateway.disk("local").files()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_symbolic_link_inside_the_disk_is_not_followed() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let outside = tempfile::tempdir()?;
    let root = gateway.disk("local").root().join("submissions");
    std::fs::create_dir_all(&root)?;
    symlink(outside.path(), root.join("c1"))?;
    let problem = gateway.upload(good()).await?.problem("unsafe-path", 400)?;
    ensure!(
        problem["detail"]
            .as_str()
            .is_some_and(|text| text.contains("symbolic link")),
        "{problem}"
    );
    ensure!(std::fs::read_dir(outside.path())?.next().is_none());
    Ok(())
}

#[tokio::test]
async fn what_others_put_at_the_path_stays_and_the_upload_is_refused() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let folder = gateway
        .disk("local")
        .root()
        .join("submissions/c1/2024/patient");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("patient.csv"), "theirs")?;
    gateway.upload(good()).await?.problem("path-taken", 409)?;
    ensure!(std::fs::read(folder.join("patient.csv"))? == b"theirs");
    Ok(())
}

#[tokio::test]
async fn an_empty_file_is_stored_and_a_form_without_one_is_told() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let empty = Form::submission("patient").file("empty.csv", "");
    let receipt = gateway.upload(empty).await?.receipt()?;
    ensure!(receipt["size"] == 0, "{receipt}");
    let none = gateway.upload(Form::submission("patient")).await?;
    none.problem("bad-request", 400)?;
    let unchosen = Form::submission("patient").part(
        "Content-Disposition: form-data; name=\"file\"; filename=\"\"\r\nContent-Type: application/octet-stream",
        "",
    );
    gateway
        .upload(unchosen)
        .await?
        .problem("bad-request", 400)?;
    Ok(())
}

#[tokio::test]
async fn a_field_after_the_file_refuses_the_whole_form() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let form = Form::submission("patient")
        .file("a.csv", GOOD)
        .file("b.csv", GOOD)
        .field("note", "late");
    let problem = gateway
        .upload(form)
        .await?
        .problem("field-after-file", 400)?;
    ensure!(
        problem["detail"]
            .as_str()
            .is_some_and(|text| text.contains("`note`")),
        "{problem}"
    );
    ensure!(gateway.disk("local").files()?.is_empty());
    // Also where the file was refused for want of that very field.
    let form = Form::default()
        .field("cohort", "c1")
        .file("a.csv", GOOD)
        .field("table", "patient");
    let problem = gateway
        .upload(form)
        .await?
        .problem("field-after-file", 400)?;
    let detail = problem["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("`table`"), "{problem}");
    until("what was staged goes", || {
        Ok(gateway.disk("local").staged()?.is_empty())
    })
    .await
}

#[tokio::test]
async fn uploads_to_one_path_at_once_become_one_version_each() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let bodies: Vec<String> = (0..8)
        .map(|i| format!("a\n{}", format!("{i}\n").repeat(50_000)))
        .collect();
    let uploads = bodies
        .iter()
        .map(|body| gateway.upload(Form::submission("patient").file("patient.csv", body.as_str())));
    let mut versions = Vec::new();
    for answer in futures_util::future::join_all(uploads).await {
        versions.push(answer?.receipt()?["version"].as_u64());
    }
    versions.sort_unstable();
    ensure!(
        versions == (1..=8).map(Some).collect::<Vec<_>>(),
        "{versions:?}"
    );
    let path = gateway
        .disk("local")
        .root()
        .join("submissions/c1/2024/patient/patient.csv");
    let visible = std::fs::read_to_string(path)?;
    ensure!(bodies.contains(&visible), "a mixture is shown");
    Ok(())
}

#[tokio::test]
async fn a_client_that_goes_away_midway_leaves_nothing_behind() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let disk = gateway.disk("local");
    {
        let upload =
            gateway.upload(Form::submission("patient").file("a.csv", Contents::stuck(3 << 20)));
        tokio::pin!(upload);
        let begun = until("bytes arrive on services", || {
            Ok(!disk.staged()?.is_empty())
        });
        tokio::select! {
            begun = begun => begun?,
            answer = &mut upload => anyhow::bail!("it ended: {answer:?}"),
        }
        ensure!(disk.files()?.is_empty());
    }
    until("the stage goes", || Ok(disk.staged()?.is_empty())).await?;
    ensure!(disk.files()?.is_empty());
    gateway.upload(good()).await?.receipt()?;
    Ok(())
}

#[tokio::test]
async fn a_request_with_two_lengths_is_refused_before_anything_is_read() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let mut socket = tokio::net::TcpStream::connect(gateway.web.address()).await?;
    let request = "POST /uploads?cohort=c1&protocol_year=2024&table=t HTTP/1.1\r\nHost: x\r\n\
        Content-Disposition: attachment; filename=a.csv\r\nContent-Length: 4\r\n\
        Transfer-Encoding: chunked\r\n\r\n4\r\na\n1\n\r\n0\r\n\r\n";
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(LIMIT, socket.read_to_string(&mut answer)).await??;
    ensure!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    ensure!(
        answer.contains("both Content-Length and Transfer-Encoding"),
        "{answer}"
    );
    ensure!(gateway.disk("local").files()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_policy_that_traps_or_never_returns_costs_its_own_upload_and_no_other() -> Result<()> {
    let hostile = guest("hostile");
    let policies = Policies::none()
        .and(
            "traps",
            &hostile,
            "{ do = 'trap', when = 'chunk' }",
            "match = { hostile = 'trap' }",
        )
        .and(
            "loops",
            &hostile,
            "{ do = 'loop', when = 'chunk' }",
            "match = { hostile = 'loop' }\nlimits = { call-time-ms = 300 }",
        )
        .and(
            "panics",
            &hostile,
            "{ do = 'panic', when = 'finish' }",
            "match = { hostile = 'panic' }",
        )
        .and(
            "eats",
            &hostile,
            "{ do = 'memory-bomb', when = 'admit' }",
            "match = { hostile = 'eat' }",
        );
    let gateway = Setup::default().policies(policies).start().await?;
    let form = |deed: &str| {
        Form::default()
            .field("hostile", deed)
            .file(&format!("{deed}.csv"), GOOD)
    };
    let deeds = ["trap", "loop", "panic", "eat"];
    let bad = futures_util::future::join_all(deeds.map(|deed| gateway.upload(form(deed))));
    let well = (0..4).map(|i| {
        let form = Form::default()
            .field("hostile", "no")
            .file(&format!("{i}.csv"), GOOD);
        gateway.upload(form)
    });
    let (bad, well) = tokio::join!(bad, futures_util::future::join_all(well));
    for (answer, name) in bad.into_iter().zip(["traps", "loops", "panics", "eats"]) {
        let problem = answer?.problem("policy-failed", 422)?;
        ensure!(problem["policy"] == name, "{problem}");
        let is_meant = |line: &serde_json::Value| line["portcullis.policy.name"] == name;
        let told = gateway
            .web
            .line("portcullis.policy.failed", is_meant)
            .await?;
        ensure!(told["portcullis.policy.digest"].is_string(), "{told}");
        let causes = ["trap", "call-time", "panic", "memory"].map(serde_json::Value::from);
        ensure!(causes.contains(&told["portcullis.policy.cause"]), "{told}");
        ensure!(told["trace_id"] == problem["support_id"], "{told}");
    }
    for answer in well {
        answer?.receipt()?;
    }
    // It may be of a patient.
    ensure!(!gateway.web.log().contains("told to panic"));
    ensure!(gateway.disk("local").files()?.len() == 4);
    Ok(())
}

#[tokio::test]
async fn an_upload_that_outgrows_the_site_is_cut_off() -> Result<()> {
    let gateway = Setup::default()
        .web_config("[limits]\nupload-bytes = 1000000\n")
        .start()
        .await?;
    let form = Form::submission("patient").file("a.csv", endless());
    let problem = gateway.upload(form).await?.problem("too-large", 413)?;
    ensure!(
        problem["detail"]
            .as_str()
            .is_some_and(|text| text.contains("1000000 bytes")),
        "{problem}"
    );
    until("the stage goes", || {
        Ok(gateway.disk("local").staged()?.is_empty())
    })
    .await
}

const WEB: [(&str, &str); 3] = [
    ("SERVER_ROLE", "web"),
    ("SERVICES_URL", "http://127.0.0.1:9"),
    ("INTERNAL_API_KEY", "0123456789abcdef0123456789abcdef"),
];

#[tokio::test]
async fn a_wrong_policy_set_is_refused_with_its_line_and_key() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("policies.toml");
    let component = guest("hostile");
    let set = |name: &str, component: std::path::PathBuf, more: &str| {
        let component = component.display();
        format!("[[policy]]\nname = '{name}'\ncomponent = '{component}'\n{more}\n")
    };
    let policy = set("x", component, "");
    let router = set(
        "r",
        guest("misroute"),
        "disks = ['local']\nsettings = { path = 'a' }",
    );
    for (text, says) in [
        ("# one\n[[policy]\n".to_owned(), "policies.toml, line 2"),
        (
            format!("{}colour = 'red'\n", policy.trim_end().to_owned() + "\n"),
            "policies.toml, line 4, column 1: unknown field `colour`",
        ),
        (
            format!("{policy}settings = {{ colour = 'red' }}\n{router}"),
            "refuses its settings in `configure`: unknown setting `colour`",
        ),
        (
            "[[policy]]\nname = 'x'\ncomponent = 'missing.wasm'\n".to_owned(),
            "policy `x` (missing.wasm) cannot be loaded",
        ),
    ] {
        std::fs::write(&path, text)?;
        let shown = path.display().to_string();
        let (status, said) =
            refuses_to_start("portcullis-web", &WEB, &["--policies", &shown]).await?;
        ensure!(!status.success() && said.contains(says), "{said}");
        ensure!(said.trim().lines().count() == 1, "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_role_or_a_missing_key_is_one_sentence_and_a_failure() -> Result<()> {
    let key = ("INTERNAL_API_KEY", "0123456789abcdef0123456789abcdef");
    for (program, environment, says) in [
        ("portcullis-web", vec![key], "SERVER_ROLE is not set"),
        (
            "portcullis-web",
            vec![("SERVER_ROLE", "services"), key],
            "start portcullis-services instead",
        ),
        (
            "portcullis-web",
            vec![WEB[0], WEB[1]],
            "INTERNAL_API_KEY is not set",
        ),
        (
            "portcullis-web",
            vec![WEB[0], WEB[1], ("INTERNAL_API_KEY", "short")],
            "16 to 512",
        ),
        ("portcullis-services", vec![key], "SERVER_ROLE is not set"),
        (
            "portcullis-services",
            vec![("SERVER_ROLE", "web"), key],
            "start portcullis-web instead",
        ),
        (
            "portcullis-services",
            vec![("SERVER_ROLE", "services"), key],
            "disks is not set",
        ),
        (
            "portcullis-services",
            vec![
                ("SERVER_ROLE", "services"),
                (
                    "STORAGE_CONFIG",
                    r#"{"local":{"type":"local","root":"/nowhere"}}"#,
                ),
            ],
            "INTERNAL_API_KEY is not set",
        ),
        (
            "portcullis-services",
            vec![
                ("SERVER_ROLE", "services"),
                key,
                (
                    "STORAGE_CONFIG",
                    r#"{"local":{"type":"local","root":"/nowhere/at/all"}}"#,
                ),
            ],
            "the disk `local` at /nowhere/at/all cannot be used",
        ),
    ] {
        let (status, said) = refuses_to_start(program, &environment, &[]).await?;
        ensure!(
            !status.success() && said.contains(says),
            "{program} {environment:?}: {said}"
        );
        ensure!(said.trim().lines().count() == 1, "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn in_the_role_testing_services_bring_their_own_disk_and_listen_on_loopback_alone()
-> Result<()> {
    let key = ("INTERNAL_API_KEY", "0123456789abcdef0123456789abcdef");
    let environment = [("SERVER_ROLE", "testing"), key];
    let services = start("portcullis-services", &environment).await?;
    let client = portcullis_tests::http_client()?;
    let health = format!("http://{}/internal/storage/health", services.address());
    let health = Answer::of(client.get(health).header("x-api-key", key.1)).await?;
    ensure!(
        health.status == 200 && health.json()?["disks"]["local"]["status"] == "healthy",
        "{health:?}"
    );
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("services.toml");
    std::fs::write(&config, "listen = \"0.0.0.0:0\"\n")?;
    let shown = config.display().to_string();
    let (status, said) =
        check_config("portcullis-services", &environment, &["--config", &shown]).await?;
    ensure!(
        !status.success() && said.contains("only a loopback address is possible"),
        "{said}"
    );
    Ok(())
}

/// Whoever opens connections and sends nothing, or never comes to an end with a head, holds none of them for long.
#[tokio::test]
async fn a_connection_is_closed_that_does_not_say_in_time_what_it_wants() -> Result<()> {
    const SHORT: &str = "[limits]\nheader-seconds = 1\n";
    // Sooner than by pings, which HTTP/2 has as well.
    const SOON: Duration = Duration::from_secs(25);
    let setup = Setup::default().web_config(SHORT).services_config(SHORT);
    let gateway = setup.start().await?;
    let addresses = [&gateway.web, &gateway.services].map(Server::address);
    let beginnings = [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "POST /uploads HTTP/1.1\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        // The preface of HTTP/2, and settings that are the usual ones.
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ];
    let pairs = addresses
        .into_iter()
        .flat_map(|address| beginnings.map(|begun| (address, begun)));
    // All at once: each waits for its time.
    let closed = pairs.map(async |(address, begun)| {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(begun.as_bytes()).await?;
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(SOON, socket.read_to_end(&mut answer)).await;
        closed.with_context(|| format!("it still waits for more after {begun:?}"))??;
        Ok::<_, anyhow::Error>(())
    });
    futures_util::future::try_join_all(closed).await?;
    Ok(())
}
