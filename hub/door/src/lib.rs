//! Lets HTTP peers in, with limits against those that connect and then do nothing.
//!
//! `axum::serve` has none: it waits for ever for the head of a request and for a peer that does not
//! read. Each request carries its peer's address as `axum::extract::ConnectInfo`, and over TLS what the
//! peer's certificate says as [`tls::Peer`].

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod entrance;
#[cfg(test)]
mod tests;

use entrance::{Admit, Secured};
pub use entrance::{Entrance, Guest, PROTOCOLS};

/// How long a peer may take to send the head of a request; idle connections end by it too.
const HEAD_DEADLINE: Duration = Duration::from_secs(20);

/// How long a peer may refuse to read. A desk that has gone to sleep is dropped, and comes back
/// with its last id.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// How long an unfinished request may hold on after the stop. Whatever a handler holds is dropped
/// with its connection, and the hub can end only when all of it is.
const STOP_DEADLINE: Duration = Duration::from_secs(3);

/// How long a listener rests when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Accepts until `stop`, then lets open requests finish; returns when all connections are closed,
/// which is 3 s after the stop at the latest.
///
/// Up to `connections_max` peers are served at once; more wait in the listener's backlog. Over TLS a
/// peer takes its place after the handshake.
pub async fn serve(
    entrance: impl Into<Entrance>,
    router: Router,
    connections_max: usize,
    stop: CancellationToken,
) {
    let Entrance {
        listener,
        tls,
        admit,
    } = entrance.into();
    match tls {
        None => serve_plain((listener, admit), router, connections_max, stop).await,
        Some(tls) => serve_secured((listener, admit, tls), router, connections_max, stop).await,
    }
}

async fn serve_secured(
    (listener, admit, tls): (TcpListener, Admit, Secured),
    router: Router,
    connections_max: usize,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(connections_max));
    let tls = Arc::new(tls);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(guest) = admit(peer.ip()) else {
                    continue;
                };
                let (tls, places) = (Arc::clone(&tls), Arc::clone(&places));
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    let shaken = async {
                        tokio::time::sleep(guest.wait).await;
                        tls.shake_hands(stream, peer, places).await
                    };
                    let shaken = tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        shaken = shaken => shaken,
                    };
                    let Some((stream, place)) = shaken else {
                        return;
                    };
                    let router = router
                        .layer(Extension(ConnectInfo(peer)))
                        .layer(Extension(tls::Peer::of(&stream)));
                    talk(stream, router, stop).await;
                    drop((place, guest));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn serve_plain(
    (listener, admit): (TcpListener, Admit),
    router: Router,
    connections_max: usize,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(connections_max));
    loop {
        let place = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(guest) = admit(peer.ip()) else {
                    continue;
                };
                let router = router.clone().layer(Extension(ConnectInfo(peer)));
                let stop = stop.clone();
                prepare(&stream);
                connections.spawn(async move {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(guest.wait) => {}
                    }
                    talk(stream, router, stop).await;
                    drop((place, guest));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

/// Events are small and urgent: they do not wait to be put together.
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection takes no options");
    }
}

async fn talk<S>(stream: S, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Impatient::new(stream, WRITE_DEADLINE));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(io, TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(STOP_DEADLINE, connection).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::debug!("an unfinished request was dropped at the stop");
                    return;
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A stream that fails when its peer takes nothing for too long.
#[derive(Debug)]
struct Impatient<S> {
    stream: S,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            waiting: None,
        }
    }

    /// Starts, keeps or ends the wait, as the peer took something or not.
    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let deadline = Instant::now() + self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        match waiting.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
