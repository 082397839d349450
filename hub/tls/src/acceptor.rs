//! One listener's handshakes, by the certificate that is in force when each begins.

use crate::crowd::{Crowd, One};
use crate::facts;
use crate::files::Terms;
use rustls::{CertificateError, Error, ServerConfig};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A connection whose handshake is done.
pub type Stream = tokio_rustls::server::TlsStream<TcpStream>;

/// The type of a record that belongs to a handshake (RFC 8446, 5.1): a client's first byte.
const HANDSHAKE: u8 = 22;

/// How handshakes of a listener ended since the hub started.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    pub done: u64,
    /// The peer began to speak another protocol than TLS.
    pub plain: u64,
    /// No version or cipher in common, a broken message, a peer that hung up.
    pub failed: u64,
    /// No certificate where one is wanted, or one that is not good.
    pub certificate: u64,
    pub timeout: u64,
    /// Others came when there were `handshakes_max`.
    pub crowded: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    done: AtomicU64,
    plain: AtomicU64,
    failed: AtomicU64,
    certificate: AtomicU64,
    timeout: AtomicU64,
    crowded: AtomicU64,
}

impl Counts {
    pub(crate) fn now(&self) -> Handshakes {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Handshakes {
            done: of(&self.done),
            plain: of(&self.plain),
            failed: of(&self.failed),
            certificate: of(&self.certificate),
            timeout: of(&self.timeout),
            crowded: of(&self.crowded),
        }
    }

    fn count(&self, refused: &Refused) {
        let count = match refused {
            Refused::Plain(_) => &self.plain,
            Refused::Failed(_) => &self.failed,
            Refused::Certificate(_) => &self.certificate,
            Refused::Timeout => &self.timeout,
            Refused::Crowded => &self.crowded,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a connection did not come to be.
#[derive(Debug)]
pub enum Refused {
    /// The peer speaks no TLS. Nothing was taken from the stream, so that it can be told so.
    Plain(TcpStream),
    Failed(io::Error),
    Certificate(io::Error),
    Timeout,
    Crowded,
}

impl Refused {
    /// The word by which it is counted and audited.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Plain(_) => "tls_plaintext",
            Self::Failed(_) => "tls_handshake",
            Self::Certificate(_) => "tls_client_certificate",
            Self::Timeout => "tls_handshake_timeout",
            Self::Crowded => "tls_handshakes_max",
        }
    }

    fn of(error: io::Error) -> Self {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>());
        match inner {
            Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_)) => {
                Self::Certificate(error)
            }
            _ => Self::Failed(error),
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(_) => {
                f.write_str("the peer speaks no TLS, and this port speaks nothing else")
            }
            Self::Failed(error) => error.fmt(f),
            Self::Certificate(error) => {
                let inner = error
                    .get_ref()
                    .and_then(|inner| inner.downcast_ref::<Error>());
                match inner {
                    Some(Error::InvalidCertificate(CertificateError::Revoked)) => {
                        f.write_str("the peer's certificate is revoked")
                    }
                    _ => error.fmt(f),
                }
            }
            Self::Timeout => f.write_str("the handshake took too long"),
            Self::Crowded => f.write_str("too many handshakes were under way"),
        }
    }
}

/// What a peer showed of itself; it was verified in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// No certificate.
    Nobody,
    /// A certificate that names nobody, or more than one.
    Unnamed,
    Named(String),
}

impl Peer {
    /// Reads who is at the other end.
    pub fn of(stream: &Stream) -> Self {
        let chain = stream.get_ref().1.peer_certificates();
        match chain.and_then(<[_]>::first) {
            None => Self::Nobody,
            Some(own) => facts::identity(own).map_or(Self::Unnamed, Self::Named),
        }
    }
}

/// Shakes hands with the peers of one listener.
#[derive(Clone, Debug)]
pub struct Acceptor {
    pub(crate) terms: Arc<RwLock<Terms>>,
    pub(crate) counts: Arc<Counts>,
    crowd: Arc<Crowd>,
    within: Duration,
}

impl Acceptor {
    pub(crate) fn new(terms: Terms, within: Duration, handshakes_max: usize) -> Self {
        Self {
            terms: Arc::new(RwLock::new(terms)),
            counts: Arc::default(),
            crowd: Crowd::new(handshakes_max),
            within,
        }
    }

    /// Does the handshake, and then waits for a place: who does not come so far has taken none. Both
    /// together have the handshake's time.
    pub async fn accept<P>(
        &self,
        stream: TcpStream,
        place: impl Future<Output = P>,
    ) -> Result<(Stream, P), Refused> {
        let one = self.crowd.enter();
        let shaken = tokio::select! {
            biased;
            () = one.told_to_leave() => Err(Refused::Crowded),
            shaken = tokio::time::timeout(self.within, self.shake(&one, stream, place)) => {
                shaken.unwrap_or(Err(Refused::Timeout))
            }
        };
        match &shaken {
            Ok(_) => drop(self.counts.done.fetch_add(1, Ordering::Relaxed)),
            Err(refused) => self.counts.count(refused),
        }
        shaken
    }

    fn in_force(&self) -> Arc<ServerConfig> {
        let terms = self.terms.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&terms.server)
    }

    async fn shake<P>(
        &self,
        one: &One,
        stream: TcpStream,
        place: impl Future<Output = P>,
    ) -> Result<(Stream, P), Refused> {
        let mut first = [HANDSHAKE];
        // Nothing at all is a peer that hung up, which the handshake finds out.
        stream.peek(&mut first).await.map_err(Refused::Failed)?;
        one.speaks();
        if first != [HANDSHAKE] {
            return Err(Refused::Plain(stream));
        }
        let stream = TlsAcceptor::from(self.in_force()).accept(stream).await;
        let stream = stream.map_err(Refused::of)?;
        Ok((stream, place.await))
    }
}
