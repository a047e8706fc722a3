//! How the servers start and stop: in either order, side by side with another version, and without losing what they
//! have acknowledged.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use portcullis_hop::contract::new_upload;
use portcullis_hop::{
    ApiKey, AppendMode, ByteStream, Epoch, HopClient, HopSettings, HopVersion, StoreError,
    UploadStore,
};
use portcullis_telemetry::{Span, SpanName};
use portcullis_tests::gateway::{Answer, Behaviour, Contents, Form, KEY, Setup, TestGateway};
use portcullis_tests::until;
use portcullis_types::Offset;
use reqwest::Method;
use tokio::net::UnixDatagram;
use tokio::task::JoinHandle;

const GOOD: &str = "patid,sex\n1,F\n";
/// A short time for what is under way when a server stops.
const SHORT_DRAIN: &str = "limits.drain-seconds = 1\n";

fn good() -> Form {
    Form::submission("patient").file("patient.csv", GOOD)
}

/// Begins an upload that goes on for ever, and waits until services have acknowledged bytes of it.
async fn begin(gateway: &TestGateway) -> Result<JoinHandle<Result<Answer>>> {
    let line = Bytes::from("1,F\n".repeat(256));
    let lines = stream::repeat(line).then(|line| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        line
    });
    let body = Contents::stream(stream::iter([Bytes::from("patid,sex\n")]).chain(lines));
    let form = Form::submission("patient").file("patient.csv", body);
    let request = gateway.upload_request(form);
    let upload = tokio::spawn(Answer::of(request));
    let disk = gateway.disk("local");
    until("no bytes arrive", || Ok(!disk.staged()?.is_empty())).await?;
    Ok(upload)
}

#[tokio::test]
async fn the_web_host_may_start_before_services_and_says_what_it_waits_for() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    gateway.services.stop().await?;
    gateway.web.stop().await?;
    gateway.web.start_again().await?;
    gateway.web.says("services cannot be used").await?;
    gateway.web.says("services-unavailable").await?;
    let problem = gateway.upload(good()).await?;
    problem.problem("services-unavailable", 503)?;
    gateway.services.start_again().await?;
    let answered = "\"portcullis.services.version\":\"0.1.0";
    gateway.web.says(answered).await?;
    gateway.upload(good()).await?.receipt()?;
    Ok(())
}

#[tokio::test]
async fn servers_of_versions_that_do_not_fit_say_so_on_both_sides() -> Result<()> {
    let gateway = Setup::default()
        .through(Behaviour::OtherHop)
        .start()
        .await?;
    let problem = gateway.upload(good()).await?.problem("version-skew", 503)?;
    let detail = problem["detail"].as_str().context("has one")?;
    ensure!(detail.contains("update storage first"), "{problem}");
    let ready = Answer::of(gateway.web_request(Method::GET, "/readyz")).await?;
    ready.problem("version-skew", 503)?;
    let spoken = format!("\"portcullis.hop.version\":{}", HopVersion::CURRENT);
    gateway.web.says(&spoken).await?;
    gateway.web.says("update services first").await?;
    let newer = gateway
        .services_request(Method::GET, "/internal/ready")
        .header("x-api-key", KEY)
        .header("portcullis-hop-version", "999");
    let problem = Answer::of(newer).await?.problem("version-skew", 503)?;
    let detail = problem["detail"].as_str().context("has one")?;
    ensure!(
        detail.contains("speaks version 999 of the hop"),
        "{problem}"
    );
    ensure!(
        detail.contains(&format!("understand 1 to {}", HopVersion::CURRENT)),
        "{problem}"
    );
    Ok(())
}

#[tokio::test]
async fn an_upload_that_outlives_the_drain_of_the_web_host_is_told_to_come_again() -> Result<()> {
    let mut gateway = Setup::default().web_config(SHORT_DRAIN).start().await?;
    let upload = begin(&gateway).await?;
    let status = gateway.web.stop().await?;
    ensure!(status.success(), "{status}");
    let problem = upload.await??.problem("stopping", 503)?;
    let detail = problem["detail"].as_str().context("has one")?;
    ensure!(detail.contains("send it again"), "{problem}");
    let record = gateway.record(&problem["id"]).await?;
    ensure!(record["status"]["state"] == "cancelled", "{record}");
    ensure!(gateway.disk("local").files()?.is_empty());
    ensure!(gateway.disk("local").staged()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_services_acknowledge_when_they_are_stopped_is_there_when_they_are_back() -> Result<()>
{
    let mut gateway = Setup::default()
        .services_config(SHORT_DRAIN)
        .start()
        .await?;
    let upload = begin(&gateway).await?;
    let status = gateway.services.stop().await?;
    ensure!(status.success(), "{status}");
    let problem = upload.await??.problem("stopping", 503)?;
    gateway.services.start_again().await?;
    let record = gateway.record(&problem["id"]).await?;
    let offset = record["status"]["offset"].as_u64().context("has one")?;
    let staged = gateway.disk("local").staged()?;
    let sizes: Vec<u64> = staged.into_values().collect();
    ensure!(
        offset > 0 && sizes == [offset],
        "{offset} of {sizes:?} bytes"
    );
    ensure!(gateway.disk("local").files()?.is_empty());
    gateway.upload(good()).await?.receipt()?;
    Ok(())
}

/// What is said to a service manager.
struct Manager {
    socket: PathBuf,
    told: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    /// Listens in a folder, for as long as the test's runtime lives.
    fn start(folder: &Path) -> Result<Self> {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path)?;
        let told = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&told);
        tokio::spawn(async move {
            let mut message = [0; 4096];
            while let Ok(length) = socket.recv(&mut message).await {
                let text = String::from_utf8_lossy(&message[..length]);
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.extend(text.lines().map(str::to_owned));
            }
        });
        Ok(Self { socket: path, told })
    }

    /// Waits until a line was said so often.
    async fn hears(&self, line: &str, times: usize) -> Result<()> {
        let count = || {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.iter().filter(|told| *told == line).count()
        };
        until(line, || Ok(count() >= times)).await
    }
}

#[tokio::test]
async fn an_append_that_outlives_the_drain_of_services_hears_where_to_go_on() -> Result<()> {
    let mut gateway = Setup::default()
        .services_config(SHORT_DRAIN)
        .start()
        .await?;
    let address = format!("http://{}", gateway.services.address());
    let client = HopClient::new(&address, ApiKey::parse(KEY)?, HopSettings::default())?;
    let span = Span::root(SpanName::Upload, None);
    let upload = new_upload(&span);
    client.create(&upload, &span).await?;
    let (appending, id) = (client.clone(), upload.id);
    let append = tokio::spawn(async move {
        let block = || async { Some((Ok(Bytes::from("1,F\n".repeat(64))), ())) };
        let slowly = stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            block().await
        });
        let mode = AppendMode::Acknowledged;
        let bytes: ByteStream = Box::pin(slowly);
        appending
            .append(id, Epoch::FIRST, Offset::ZERO, mode, bytes, &span)
            .await
    });
    let disk = gateway.disk("local");
    until("no bytes arrive", || Ok(!disk.staged()?.is_empty())).await?;
    gateway.services.stop().await?;
    let Err(StoreError::Stopping { acknowledged }) = append.await? else {
        anyhow::bail!("it is not told that services stop");
    };
    gateway.services.start_again().await?;
    let span = Span::root(SpanName::Upload, None);
    let record = client.record(id, &span).await?;
    ensure!(acknowledged > Offset::ZERO && record.status.offset == acknowledged);
    // And it does go on from there.
    let rest: ByteStream = Box::pin(stream::iter([Ok(Bytes::from("1,M\n"))]));
    let mode = AppendMode::Acknowledged;
    let status = client.append(id, Epoch::FIRST, acknowledged, mode, rest, &span);
    ensure!(status.await?.offset.bytes() == acknowledged.bytes() + 4);
    Ok(())
}

#[tokio::test]
async fn the_service_manager_is_told_when_a_server_is_ready_alive_and_stopping() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let manager = Manager::start(folder.path())?;
    let mut gateway = Setup::default()
        .env("NOTIFY_SOCKET", &manager.socket.to_string_lossy())
        .env("WATCHDOG_USEC", "100000")
        .start()
        .await?;
    manager.hears("READY=1", 2).await?;
    manager.hears("STATUS=takes uploads", 1).await?;
    manager.hears("WATCHDOG=1", 6).await?;
    gateway.services.stop().await?;
    manager.hears("STOPPING=1", 1).await?;
    gateway.web.stop().await?;
    manager.hears("STOPPING=1", 2).await?;
    Ok(())
}
