//! Tests of serving: peers that do nothing, and stopping.

use super::{Impatient, serve};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures_util::stream;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_for_too_long_is_dropped() {
    let (near, _far) = tokio::io::duplex(4);
    let mut near = Impatient::new(near, PATIENCE);
    let error = near.write_all(b"eight by").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_that_takes_a_little_now_and_then_is_kept() {
    let (near, mut far) = tokio::io::duplex(4);
    let mut near = Impatient::new(near, PATIENCE);
    let reader = async {
        let mut taken = [0; 4];
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(29)).await;
            far.read_exact(&mut taken).await.unwrap();
        }
    };
    let (written, ()) = tokio::join!(near.write_all(b"twelve bytes"), reader);
    written.unwrap();
}

/// A small service: `/` answers, `/stream` tells one thing and then waits for `stop`, `/take` takes
/// a body.
async fn start() -> (TcpStream, CancellationToken, TaskTracker) {
    let stop = CancellationToken::new();
    let ending = stop.clone();
    let open = async move || {
        let told = stream::unfold(Some(ending.clone()), async |ending| {
            let ending = ending?;
            ending.cancelled().await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"bye")), None))
        });
        Body::from_stream(told)
    };
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/stream", get(open))
        .route("/take", post(async |_: Bytes| "taken"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = TaskTracker::new();
    tasks.spawn(serve(listener, router, 4, stop.clone()));
    tasks.close();
    (TcpStream::connect(address).await.unwrap(), stop, tasks)
}

async fn read_until(peer: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut byte = [0];
        peer.read_exact(&mut byte).await.unwrap();
        text.push(char::from(byte[0]));
    }
    text
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_nothing_is_dropped() {
    let (mut peer, _stop, _tasks) = start().await;
    peer.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    let before = Instant::now();
    let mut rest = Vec::new();
    // It is told so, or just hung up on; either way it is gone when the deadline has passed.
    drop(peer.read_to_end(&mut rest).await);
    let waited = before.elapsed().as_secs();
    assert!((19..=21).contains(&waited), "{waited} s");
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stop_ends_streams_and_idle_connections_and_then_returns() {
    let (mut peer, stop, tasks) = start().await;
    peer.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        .await
        .unwrap();
    let first = read_until(&mut peer, "hello").await;
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    peer.write_all(b"GET /stream HTTP/1.1\r\nhost: h\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut peer, "\r\n\r\n").await;
    stop.cancel();
    // Without the stop the connection would be kept for as long as a head may take.
    let ended = tokio::time::timeout(Duration::from_secs(10), tasks.wait());
    ended.await.unwrap();
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    assert!(rest.starts_with(b"3\r\nbye"));
}

/// Begins a request that never becomes complete, stops, and tells after how many seconds the
/// service had ended.
async fn stop_with_unfinished(request: &[u8]) -> u64 {
    let (mut peer, stop, tasks) = start().await;
    peer.write_all(request).await.unwrap();
    // The service has the bytes before it is told to stop.
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let before = Instant::now();
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(60), tasks.wait());
    ended.await.expect("the service ends");
    before.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn half_a_head_does_not_hold_up_a_stop() {
    let waited = stop_with_unfinished(b"GET / HTTP/1.1\r\nhost:").await;
    assert!(waited <= 3, "{waited} s");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_does_not_hold_up_a_stop() {
    let head = b"POST /take HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nhalf";
    let waited = stop_with_unfinished(head).await;
    assert!(waited <= 3, "{waited} s");
}
