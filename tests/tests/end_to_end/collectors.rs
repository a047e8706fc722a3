//! Collectors that are away, slow, refuse, hang up or answer nonsense: uploads do not notice, what is not taken is counted, and the
//! servers end in time.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_telemetry::collector::Collector;
use portcullis_tests::gateway::{Form, Setup, TestGateway};
use portcullis_tests::{LIMIT, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long a server that is asked to end may take for it on a busy machine: its flush has three seconds, and the log's reader
/// the same. One that waited for a silent collector would wait without an end.
const END: Duration = Duration::from_secs(50);

/// The event of a collector that takes again what it is sent.
const BACK: &str = "portcullis.collector.back";

/// What is wrong with a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nobody listens.
    Away,
    /// It takes connections and says nothing.
    Silent,
    /// It reads a little and hangs up.
    HangsUp,
    /// It has no room.
    Refuses,
    /// What it answers is no HTTP.
    Garbage,
    /// It answers, well and at length, with what is no answer.
    Babbles,
}

impl Fault {
    /// A collector like that, for as long as the test lives.
    async fn start(self) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        if self != Self::Away {
            tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    tokio::spawn(self.serve(socket));
                }
            });
        }
        Ok(address)
    }

    async fn serve(self, mut socket: TcpStream) -> Option<()> {
        let mut some = vec![0; 64 << 10];
        loop {
            if socket.read(&mut some).await.ok()? == 0 {
                return None;
            }
            let answer: &[u8] = match self {
                Self::Away | Self::Silent => continue,
                Self::HangsUp => return None,
                Self::Refuses => b"HTTP/1.1 503 Full\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n",
                Self::Garbage => b"\0\xff\r\nzzz",
                Self::Babbles => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            };
            socket.write_all(answer).await.ok()?;
        }
    }

    /// Whether the exporters can tell that nothing was taken.
    fn is_told(self) -> bool {
        self != Self::Babbles
    }
}

/// A pair whose queues are short, so that they are full at once.
fn setup(collector: String) -> Setup {
    Setup::default()
        .collector(collector)
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "32")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
        .env("OTEL_BLRP_MAX_QUEUE_SIZE", "32")
        .env("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "16")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "200")
}

async fn upload(gateway: &TestGateway, uploads: usize, name: &str) -> Result<()> {
    let uploads = (0..uploads).map(|number| {
        let form = Form::submission("patient");
        gateway.upload(form.file(&format!("{name}-{number}.csv"), "a\n1\n"))
    });
    for answer in futures_util::future::join_all(uploads).await {
        answer?.receipt()?;
    }
    Ok(())
}

fn told(gateway: &TestGateway, event: &str, signal: &str) -> usize {
    let lines = gateway.web.lines();
    let about =
        |line: &&serde_json::Value| line["event"] == event && line["portcullis.signal"] == signal;
    lines.iter().filter(about).count()
}

#[tokio::test]
async fn whatever_is_wrong_with_a_collector_uploads_pass_and_the_servers_end_in_time() -> Result<()>
{
    let faults = [
        Fault::Away,
        Fault::Silent,
        Fault::HangsUp,
        Fault::Refuses,
        Fault::Garbage,
        Fault::Babbles,
    ];
    // All at once: each waits for its time.
    futures_util::future::try_join_all(faults.map(passes_by)).await?;
    Ok(())
}

/// Uploads beside a collector with a fault pass, and the servers end in time.
async fn passes_by(fault: Fault) -> Result<()> {
    let collector = fault.start().await?;
    let mut gateway = setup(format!("http://{collector}")).start().await?;
    upload(&gateway, 40, "a").await?;
    if fault.is_told() {
        for signal in ["traces", "metrics", "logs"] {
            let what = format!("{fault:?}: the log does not say that {signal} are not taken");
            let said = || Ok(told(&gateway, "portcullis.collector.away", signal) > 0);
            until(&what, said).await?;
        }
    }
    upload(&gateway, 40, "b").await?;
    // Said when it begins, and not again and again.
    for signal in ["traces", "metrics", "logs"] {
        let times = told(&gateway, "portcullis.collector.away", signal);
        // On a busy machine one that babbles answers in time only now and then.
        let ends = told(&gateway, BACK, signal);
        ensure!(
            times <= ends + 1,
            "{fault:?}: said {times} times of {signal}, which came back {ends} times"
        );
    }
    for server in [&mut gateway.web, &mut gateway.services] {
        // It waits for no collector for longer than that.
        let ended = tokio::time::timeout(END, server.stop()).await;
        let ended = ended.with_context(|| format!("{fault:?}: it does not end"))??;
        ensure!(ended.success(), "{fault:?}: {ended}");
    }
    Ok(())
}

#[tokio::test]
async fn a_collector_that_comes_back_is_sent_what_happens_from_then_on() -> Result<()> {
    let address = Fault::Away.start().await?;
    let gateway = setup(format!("http://{address}")).start().await?;
    upload(&gateway, 3, "before").await?;
    let away = || Ok(told(&gateway, "portcullis.collector.away", "traces") == 1);
    until("the log does not say that the collector is away", away).await?;
    let collector = Collector::start_at(address).await?;
    let form = Form::submission("patient").file("after.csv", "a\n1\n");
    let receipt = gateway.upload(form).await?.receipt()?;
    let trace = receipt["trace_id"].as_str().context("has one")?;
    let whole = |spans: &[portcullis_telemetry::collector::ExportedSpan]| {
        let of_it = |service: &str| {
            let mut spans = spans.iter();
            spans.any(|span| span.trace_id == trace && span.service == service)
        };
        of_it("portcullis-web") && of_it("portcullis-services")
    };
    let arrived = collector.wait_for(LIMIT, whole).await;
    ensure!(arrived.is_some(), "the next trace does not arrive");
    let back = || Ok(told(&gateway, "portcullis.collector.back", "traces") == 1);
    until("the log does not say that the collector is back", back).await
}
