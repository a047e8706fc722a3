//! Several requests on one connection of HTTP/2.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use http::{Request, StatusCode};
use portcullis_server::{Cut, Limits, Listener};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

const LIMIT: Duration = Duration::from_mins(2);

/// A server that answers with what it is sent.
async fn echo(header: Duration) -> SocketAddr {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(any).await.expect("a port");
    let address = listener.address();
    let limits = Limits {
        connections: 8,
        header,
        drain: Duration::ZERO,
    };
    let router = Router::new().route("/", post(async |body: Bytes| body));
    let served = listener.serve(
        router,
        limits,
        TaskTracker::new(),
        pending(),
        Cut::default(),
    );
    tokio::spawn(served);
    address
}

type Sender = h2::client::SendRequest<Bytes>;

/// A connection that goes on by itself; the task ends with it.
async fn connect(address: SocketAddr) -> (Sender, tokio::task::JoinHandle<()>) {
    let stream = TcpStream::connect(address).await.expect("is listened on");
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let connection = tokio::spawn(async move {
        let _ = connection.await;
    });
    (sender, connection)
}

/// What is answered to bytes that come at once with their headers.
async fn sent(sender: &Sender, bytes: &'static [u8]) -> (StatusCode, Vec<u8>) {
    let request = Request::post("http://bench/").body(());
    let request = request.expect("is a request");
    let mut ready = sender.clone().ready().await.expect("is open");
    let (answer, mut body) = ready.send_request(request, false).expect("is open");
    let bytes = Bytes::from_static(bytes);
    body.send_data(bytes, true).expect("is open");
    let (head, mut body) = answer.await.expect("is answered").into_parts();
    let mut answered = Vec::new();
    while let Some(data) = body.data().await {
        answered.extend_from_slice(&data.expect("is sent"));
    }
    (head.status, answered)
}

#[tokio::test]
async fn bytes_that_look_like_headers_of_http_1_are_none() {
    let (sender, _connection) = connect(echo(LIMIT).await).await;
    for bytes in [
        &b"first"[..],
        b"\ncontent-length: 1\ntransfer-encoding: chunked\n",
        b"third",
    ] {
        assert_eq!(sent(&sender, bytes).await, (StatusCode::OK, bytes.to_vec()));
    }
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_even_if_it_answers_pings() {
    let (sender, connection) = connect(echo(Duration::from_millis(100)).await).await;
    assert_eq!(sent(&sender, b"x").await.0, StatusCode::OK);
    let closed = tokio::time::timeout(LIMIT, connection).await;
    closed.expect("is closed").expect("does not panic");
}
