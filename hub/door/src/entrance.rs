//! Where peers come in: a listener, with TLS or without.

use crate::prepare;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a peer that came without TLS may take to be told so.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);

/// What TLS peers are offered to speak (ALPN).
pub const PROTOCOLS: &[&str] = &["http/1.1"];

/// What a peer without TLS is told at a port with TLS.
const WANTS_TLS: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
                         content-length: 41\r\nconnection: close\r\n\r\n\
                         this port speaks TLS: use https:// for it\n";

/// A listener, with TLS or without: one port is one protocol.
pub struct Entrance {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Secured>,
    pub(crate) admit: Admit,
}

/// Says who may come in; `None` closes the connection.
pub(crate) type Admit = Arc<dyn Fn(IpAddr) -> Option<Guest> + Send + Sync>;

/// A connection that is let in.
pub struct Guest {
    pub(crate) wait: Duration,
    _holds: Box<dyn Send>,
}

impl Guest {
    /// One that is served after `wait`; `holds` is dropped when the connection ends.
    pub fn new(wait: Duration, holds: impl Send + 'static) -> Self {
        Self {
            wait,
            _holds: Box::new(holds),
        }
    }
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}

fn everybody() -> Admit {
    Arc::new(|_| Some(Guest::new(Duration::ZERO, ())))
}

impl std::fmt::Debug for Entrance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entrance")
            .field("listener", &self.listener)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Secured {
    acceptor: tls::Acceptor,
    refused: Refusals,
}

/// Hears of the peers whose handshake failed: who, and the word for why.
type Refusals = Box<dyn Fn(SocketAddr, &'static str) + Send + Sync>;

impl From<TcpListener> for Entrance {
    fn from(listener: TcpListener) -> Self {
        Self {
            listener,
            tls: None,
            admit: everybody(),
        }
    }
}

impl Entrance {
    /// An entrance with TLS, if there is an acceptor. `refused` hears of peers whose handshake failed.
    pub fn new(
        listener: TcpListener,
        acceptor: Option<tls::Acceptor>,
        refused: impl Fn(SocketAddr, &'static str) + Send + Sync + 'static,
    ) -> Self {
        let refused = Box::new(refused);
        Self {
            listener,
            tls: acceptor.map(|acceptor| Secured { acceptor, refused }),
            admit: everybody(),
        }
    }

    /// Asks `admit` about each connection as it comes.
    #[must_use]
    pub fn admitting(
        self,
        admit: impl Fn(IpAddr) -> Option<Guest> + Send + Sync + 'static,
    ) -> Self {
        let admit = Arc::new(admit);
        Self { admit, ..self }
    }
}

impl std::fmt::Debug for Secured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.acceptor.fmt(f)
    }
}

impl Secured {
    /// Gives a connection with a place of its own, once both are there.
    pub(crate) async fn shake_hands(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        places: Arc<Semaphore>,
    ) -> Option<(tls::Stream, OwnedSemaphorePermit)> {
        prepare(&stream);
        let refused = match self.acceptor.accept(stream, places.acquire_owned()).await {
            Ok((stream, place)) => return Some((stream, place.ok()?)),
            Err(refused) => refused,
        };
        tracing::debug!(%peer, %refused, "a TLS handshake failed");
        (self.refused)(peer, refused.reason());
        if let tls::Refused::Plain(stream) = refused {
            tell_to_use_tls(stream).await;
        }
        None
    }
}

/// Tells a peer without TLS what is wrong, if it listens.
async fn tell_to_use_tls(mut stream: TcpStream) {
    let told = async {
        // What it sent is read before the end, or the answer would get lost in a reset.
        let mut sent = [0; 1024];
        if stream.read(&mut sent).await? == 0 {
            return Ok(());
        }
        stream.write_all(WANTS_TLS.as_bytes()).await?;
        stream.shutdown().await
    };
    if !matches!(
        tokio::time::timeout(FAREWELL_DEADLINE, told).await,
        Ok(Ok(()))
    ) {
        tracing::debug!("a peer without TLS was gone before it was told");
    }
}
