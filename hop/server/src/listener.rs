//! A listener within limits, which stops gracefully.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use http::{Request, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulConnection;
use portcullis_hop::{Problem, ProblemKind};
use portcullis_telemetry::{Detail, Line, log};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::ConfigError;
use crate::detach::detached;
use crate::framing::Watch;
use crate::opening::{self, Opened, Version};
use crate::requests::{AnswerBody, Requests};

/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// The most bytes of a request's head over HTTP/1, and of a body that are read at once. hyper's default of 408 KiB would let
/// a client without any request hold as much on each connection.
const HTTP1_BUFFER_BYTES: usize = 128 << 10;
/// Streams of one HTTP/2 connection at once, and its windows in bytes: the order of magnitude of Envoy's
/// advice for servers that face the internet ("Configuring Envoy as an edge proxy"), with fewer streams: each may hold a
/// request's headers and an answer that is not read.
const HTTP2_STREAMS: u32 = 32;
const HTTP2_STREAM_WINDOW_BYTES: u32 = 256 << 10;
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// The most bytes of a request's headers over HTTP/2.
const HTTP2_HEADER_BYTES: u32 = 32 << 10;
/// The most bytes of one answer over HTTP/2 that wait for a client that does not read.
const HTTP2_SEND_BUFFER_BYTES: usize = 64 << 10;
/// How long requests have to say that they were cut off, after the time that they have to end by themselves.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The pause after a failed accept: descriptors may be used up, and more haste would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server takes at once, and how long it waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// Within this time a new connection must say something, and within the same time from then on the headers of a request must
    /// have come. One that has no request for as long is closed.
    pub header: Duration,
    /// What requests under way have when the server stops.
    pub drain: Duration,
}

/// Tells what is still under way that it has to end now, because the server does. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cut(CancellationToken);

impl Cut {
    /// Ready when it is time.
    pub fn wait(&self) -> WaitForCancellationFutureOwned {
        self.0.clone().cancelled_owned()
    }
}

/// Whom a connection comes from, which every request on it says in its extensions: a client, or the nearest proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// A socket that is listened on.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on an address; port 0 is any free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, ConfigError> {
        let unusable = |error: std::io::Error| {
            let why = format!(
                "{address} cannot be listened on ({}); choose another address",
                error.kind()
            );
            ConfigError::value("listen", why)
        };
        let socket = TcpListener::bind(address).await.map_err(unusable)?;
        let address = socket.local_addr().map_err(unusable)?;
        Ok(Self { socket, address })
    }

    /// Where it listens: the port that was chosen, if any would do.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready; then takes no new connection and gives requests under way, and what
    /// runs in `tasks`, their time. Whatever has not ended by then is told so by `cut`, and has another moment for its
    /// answer. Says whether nothing had to be told.
    pub async fn serve(
        self,
        router: Router,
        limits: Limits,
        tasks: TaskTracker,
        stop: impl Future<Output = ()>,
        cut: Cut,
    ) -> bool {
        let connections = Arc::new(Semaphore::new(limits.connections));
        let protocols = Arc::new(Protocols::new(&limits));
        let stopping = CancellationToken::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.socket, &connections) => accepted,
            };
            let Some((mut stream, peer, permit)) = accepted else {
                continue;
            };
            let (router, protocols) = (router.clone(), Arc::clone(&protocols));
            let stopping = stopping.clone();
            tasks.spawn(async move {
                let opened = tokio::time::timeout(limits.header, opening::read(&mut stream));
                let opened = tokio::select! {
                    () = stopping.cancelled() => None,
                    opened = opened => opened.ok(),
                };
                match opened {
                    Some(Ok((Version::Http1, first))) => {
                        protocols
                            .http1(stream, first, router, peer, &stopping)
                            .await;
                    }
                    Some(Ok((Version::Http2, first))) => {
                        // Rare, and not to take its room from the others.
                        Box::pin(protocols.http2(stream, first, router, peer, &stopping)).await;
                    }
                    Some(Err(_)) | None => {}
                }
                drop(permit);
            });
        }
        drop(self.socket);
        stopping.cancel();
        tasks.close();
        let drained = tasks.wait();
        tokio::pin!(drained);
        if tokio::time::timeout(limits.drain, &mut drained)
            .await
            .is_ok()
        {
            return true;
        }
        cut.0.cancel();
        // Whoever does not even hear that is cut off without a word.
        let _ = tokio::time::timeout(LAST_WORDS, drained).await;
        false
    }
}

/// The router, told whom each request comes from. What it keeps of a request keeps nothing of the connection.
async fn routed<B>(router: Router, mut request: Request<B>, peer: Peer) -> Response
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    request = detached(request);
    request.extensions_mut().insert(peer);
    let Ok(response) = router.oneshot(request.map(Body::new)).await;
    response
}

fn ambiguous() -> Response {
    let detail = "The request has both Content-Length and Transfer-Encoding, so that its end is not certain; \
                  send one of them.";
    let problem = Problem::new(ProblemKind::BadRequest, detail);
    let mut response = problem.into_response().map(Body::from).into_response();
    let close = header::HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// The next connection within the limit. Absent when accepting failed, after a pause.
async fn accept(
    socket: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    match socket.accept().await {
        Ok((stream, peer)) => {
            // Without it a small answer waits for the client's acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            // An IPv4 client of an IPv6 socket has its own address.
            Some((stream, Peer(peer.ip().to_canonical()), permit))
        }
        Err(error) => {
            log(Line::ConnectionRefused, [Detail::Io(error.kind())]);
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// What hyper is told of each version.
struct Protocols {
    /// How long a connection of HTTP/2 may have no request; hyper sees to it for HTTP/1.
    idle: Duration,
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

impl Protocols {
    /// hyper enforces its time limits only with a timer, which `axum::serve` does not set.
    fn new(limits: &Limits) -> Self {
        let mut http1 = auto::Builder::new(TokioExecutor::new()).http1_only();
        http1
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header)
            .max_headers(MAX_HEADERS)
            .max_buf_size(HTTP1_BUFFER_BYTES);
        let mut http2 = auto::Builder::new(TokioExecutor::new()).http2_only();
        http2
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(HTTP2_SEND_BUFFER_BYTES)
            .keep_alive_interval(Duration::from_secs(30))
            .max_header_list_size(HTTP2_HEADER_BYTES);
        Self {
            idle: limits.header,
            http1,
            http2,
        }
    }

    /// Serves a connection, where no request may announce its length twice.
    async fn http1(
        &self,
        stream: TcpStream,
        first: Bytes,
        router: Router,
        peer: Peer,
        stopping: &CancellationToken,
    ) {
        let (watch, framing) = Watch::new();
        let stream = TokioIo::new(Opened::new(stream, first, Some(watch)));
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, framing) = (router.clone(), framing.clone());
            async move {
                if framing.is_ambiguous() {
                    return Ok::<_, Infallible>(ambiguous());
                }
                let answered = routed(router, request, peer).await;
                framing.expect_head();
                Ok(answered)
            }
        });
        let connection = self.http1.serve_connection(stream, service);
        served(pin!(connection), stopping).await;
    }

    /// Serves a connection until it has had no request for so long as one may take to come.
    async fn http2(
        &self,
        stream: TcpStream,
        first: Bytes,
        router: Router,
        peer: Peer,
        stopping: &CancellationToken,
    ) {
        let stream = TokioIo::new(Opened::new(stream, first, None));
        let requests = Requests::none();
        let counted = requests.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, under_way) = (router.clone(), counted.begin());
            async move {
                let answered = routed(router, request, peer).await;
                Ok::<_, Infallible>(answered.map(|body| AnswerBody::new(body, under_way)))
            }
        });
        let mut connection = pin!(self.http2.serve_connection(stream, service));
        tokio::select! {
            () = served(connection.as_mut(), stopping) => return,
            () = requests.idle(self.idle) => connection.as_mut().graceful_shutdown(),
        }
        // Who does not answer that is not waited for, unless a request came at the last moment.
        tokio::select! {
            _ = connection => {}
            () = requests.idle(LAST_WORDS) => {}
        }
    }
}

/// Serves a connection to its end, to which it comes once what is under way on it has ended when the server stops. One that
/// breaks has told its handler; there is nobody else to tell.
async fn served(mut connection: Pin<&mut impl GracefulConnection>, stopping: &CancellationToken) {
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
