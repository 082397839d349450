//! DTLS 1.2 with pre-shared keys on a socket of its own: handshakes, and datagrams in the clear.
//!
//! The identity of a key is the id of a device. `dimpl` is the protocol, without sockets or clocks.

mod crypto;
mod keys;

use crate::peer::{Heard, Peer};
use crate::serve::{Carrier, DATAGRAM_BYTES_MAX};
use bytes::Bytes;
use dimpl::{Dtls, Output, PskResolver};
use keys::Keys;
use sdk::{Context, Refusal};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// A handshake takes two round trips; devices on slow networks repeat what is lost after seconds.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often handshakes are looked after: often enough for repetitions after a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Handshakes under way. A stranger can begin one with an address that is not his own: the oldest goes.
const RISING_MAX: usize = 1_024;

/// A record, with the largest payload and what is around it.
const RECORD_BYTES_MAX: usize = 17 * 1024;

/// Content types of records (RFC 5246 section 6.2.1), and the message that begins a handshake.
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const CLIENT_HELLO: u8 = 1;

/// Where the content type, the epoch and the type of the first message stand in a datagram (RFC 6347
/// sections 4.1 and 4.2.2).
const EPOCH_AT: std::ops::Range<usize> = 3..5;
const MESSAGE_AT: usize = 13;

/// Characters of an identity that nobody knows which are shown.
const CLAIMED_CHARS_MAX: usize = 128;

/// Remembers who the last handshake claimed to be, and whether that is somebody.
#[derive(Debug)]
struct Resolver {
    keys: Keys,
    last: Mutex<Option<Claim>>,
}

#[derive(Clone, Debug)]
struct Claim {
    identity: Arc<str>,
    is_known: bool,
}

impl PskResolver for Resolver {
    fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.find(identity);
        let claim = Claim {
            identity: String::from_utf8_lossy(identity).into(),
            is_known: key.is_some(),
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim);
        key
    }
}

struct Session {
    dtls: Dtls,
    number: u64,
    claim: Option<Claim>,
    used: Instant,
    /// When `dimpl` wants to repeat something; only a handshake does.
    due: Option<std::time::Instant>,
}

/// The sessions with one address: a device that lost its session begins another from the same port,
/// which counts once its handshake has shown that it is there (RFC 6347 section 4.2.8).
#[derive(Default)]
struct Sessions {
    live: Option<Session>,
    rising: Option<Session>,
}

/// What a session made.
enum Made {
    Connected,
    Heard(Bytes),
    Closed,
}

/// DTLS over UDP.
pub(crate) struct Secured {
    socket: UdpSocket,
    config: Arc<dimpl::Config>,
    resolver: Arc<Resolver>,
    sessions: HashMap<SocketAddr, Sessions>,
    /// Handshakes in the order in which they began.
    rising: VecDeque<(SocketAddr, u64)>,
    /// When to look after the handshakes again.
    look_at: Instant,
    ready: VecDeque<Heard>,
    next: u64,
    sessions_max: usize,
    buffer: Vec<u8>,
    record: Vec<u8>,
    cx: Context,
}

impl std::fmt::Debug for Secured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secured with {} sessions", self.sessions.len())
    }
}

impl Secured {
    pub(crate) fn new(
        socket: UdpSocket,
        keys: &Path,
        sessions_max: usize,
        cx: Context,
    ) -> Result<Self, String> {
        let resolver = Arc::new(Resolver {
            keys: Keys::open(keys)?,
            last: Mutex::new(None),
        });
        let config = dimpl::Config::builder()
            .with_crypto_provider(crypto::provider())
            .dtls13_cipher_suites(&[])
            .with_psk_server(None, Arc::<Resolver>::clone(&resolver))
            .handshake_timeout(HANDSHAKE_TIMEOUT)
            .build()
            .map_err(|error| format!("DTLS: {error}"))?;
        Ok(Self {
            socket,
            config: Arc::new(config),
            resolver,
            sessions: HashMap::new(),
            rising: VecDeque::new(),
            look_at: Instant::now(),
            ready: VecDeque::new(),
            next: 1,
            sessions_max,
            buffer: vec![0; DATAGRAM_BYTES_MAX],
            record: vec![0; RECORD_BYTES_MAX],
            cx,
        })
    }

    /// Takes one datagram of an address to the session that it belongs to.
    fn take(&mut self, address: SocketAddr, len: usize, now: Instant) {
        let datagram = self.buffer.get(..len).unwrap_or_default();
        let known = self.sessions.get(&address);
        let is_rising = known.is_some_and(|known| known.rising.is_some());
        let is_live = known.is_some_and(|known| known.live.is_some());
        if begins_handshake(datagram) && !is_rising {
            self.begin(address, now);
        } else if !is_rising && !is_live {
            return;
        }
        let is_data =
            datagram_type(self.buffer.get(..len).unwrap_or_default()) == Some(APPLICATION_DATA);
        let Some(sessions) = self.sessions.get_mut(&address) else {
            return;
        };
        let of_live = sessions.rising.is_none() || (is_data && sessions.live.is_some());
        let place = if of_live {
            &mut sessions.live
        } else {
            &mut sessions.rising
        };
        let Some(session) = place else {
            return;
        };
        session.used = now;
        let datagram = self.buffer.get(..len).unwrap_or_default();
        let taken = session
            .dtls
            .handle_timeout(now.into_std())
            .and_then(|()| session.dtls.handle_packet(datagram));
        // The key was asked for within the call, if at all.
        let mut last = self
            .resolver
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(claim) = last.take() {
            session.claim = Some(claim);
        }
        drop(last);
        let number = session.number;
        if let Err(error) = taken {
            tracing::debug!(%error, driver = self.cx.name, "a DTLS session ends");
            self.end(address, number);
        } else {
            self.drain(address, number);
        }
    }

    fn begin(&mut self, address: SocketAddr, now: Instant) {
        while self.rising.len() >= RISING_MAX {
            let Some((address, number)) = self.rising.pop_front() else {
                break;
            };
            let known = self.sessions.get(&address);
            let rising = known.and_then(|known| known.rising.as_ref());
            if rising.is_some_and(|rising| rising.number == number) {
                self.end(address, number);
            }
        }
        let session = Session {
            dtls: Dtls::new_12_psk(Arc::clone(&self.config), now.into_std()),
            number: self.next,
            claim: None,
            used: now,
            due: None,
        };
        self.next += 1;
        self.rising.push_back((address, session.number));
        self.sessions.entry(address).or_default().rising = Some(session);
    }

    fn session(&mut self, address: SocketAddr, number: u64) -> Option<&mut Session> {
        let sessions = self.sessions.get_mut(&address)?;
        let both = [sessions.live.as_mut(), sessions.rising.as_mut()];
        both.into_iter()
            .flatten()
            .find(|session| session.number == number)
    }

    /// Sends and hands on what a session has made.
    fn drain(&mut self, address: SocketAddr, number: u64) {
        let mut record = std::mem::take(&mut self.record);
        while let Some(session) = self.session(address, number) {
            let identity = session
                .claim
                .as_ref()
                .map(|claim| Arc::clone(&claim.identity));
            let made = match session.dtls.poll_output(&mut record) {
                Output::Packet(packet) => {
                    // What the system does not take at once is lost like any datagram.
                    if let Err(error) = self.socket.try_send_to(packet, address) {
                        tracing::debug!(%error, driver = self.cx.name, "could not send a record");
                    }
                    continue;
                }
                Output::BufferTooSmall { needed } => {
                    record.resize(needed, 0);
                    continue;
                }
                Output::Timeout(at) => {
                    session.due = Some(at);
                    break;
                }
                Output::Connected => Made::Connected,
                Output::ApplicationData(data) => Made::Heard(Bytes::copy_from_slice(data)),
                Output::CloseNotify => Made::Closed,
                _ => continue,
            };
            match made {
                Made::Connected => self.connected(address),
                Made::Heard(bytes) => self.ready.push_back(Heard {
                    peer: Peer {
                        address,
                        session: number,
                    },
                    identity,
                    bytes,
                }),
                Made::Closed => {
                    self.end(address, number);
                }
            }
        }
        self.record = record;
    }

    /// A handshake was completed: it takes the place of the session before it.
    fn connected(&mut self, address: SocketAddr) {
        let Some(sessions) = self.sessions.get_mut(&address) else {
            return;
        };
        let Some(session) = sessions.rising.take() else {
            return;
        };
        let number = session.number;
        let identity = session.claim.as_ref().map(|claim| &*claim.identity);
        tracing::debug!(identity, driver = self.cx.name, "a DTLS session begins");
        sessions.live = Some(session);
        self.rising.retain(|(_, rising)| *rising != number);
        if self.sessions.len() > self.sessions_max + self.rising.len() {
            // The one that was silent for longest.
            let live = self.sessions.iter().filter_map(|(address, sessions)| {
                let session = sessions.live.as_ref()?;
                (session.number != number).then_some((session.used, *address, session.number))
            });
            if let Some((_, address, number)) = live.min() {
                self.end(address, number);
            }
        }
    }

    /// Forgets a session; one that never got so far is counted.
    fn end(&mut self, address: SocketAddr, number: u64) {
        let Some(sessions) = self.sessions.get_mut(&address) else {
            return;
        };
        let is_this = |session: &mut Session| session.number == number;
        drop(sessions.live.take_if(is_this));
        let fallen = sessions.rising.take_if(is_this);
        if sessions.live.is_none() && sessions.rising.is_none() {
            self.sessions.remove(&address);
        }
        let Some(fallen) = fallen else {
            return;
        };
        self.rising.retain(|(_, rising)| *rising != number);
        if let Some(claim) = fallen.claim {
            let reason = if claim.is_known {
                "wrong_secret"
            } else {
                "unknown_device"
            };
            let claimed = claim.identity.chars().take(CLAIMED_CHARS_MAX).collect();
            self.cx.ingest.refuse(Refusal {
                reason: reason.into(),
                claimed: Some(claimed),
                peer: address.to_string(),
                message: false,
            });
        }
    }

    /// Repeats what is due of handshakes, and gives up what takes too long.
    fn look(&mut self, now: Instant) {
        self.look_at = now + LOOK_EVERY;
        let now = now.into_std();
        for (address, number) in self.rising.clone() {
            let Some(session) = self.session(address, number) else {
                continue;
            };
            if session.due.is_none_or(|due| due > now) {
                continue;
            }
            match session.dtls.handle_timeout(now) {
                Ok(()) => self.drain(address, number),
                Err(error) => {
                    tracing::debug!(%error, driver = self.cx.name, "a DTLS handshake ends");
                    self.end(address, number);
                }
            }
        }
    }
}

impl Carrier for Secured {
    async fn receive(&mut self) -> io::Result<Heard> {
        loop {
            if let Some(heard) = self.ready.pop_front() {
                return Ok(heard);
            }
            let has_rising = !self.rising.is_empty();
            let received = tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.look_at), if has_rising => None,
                received = self.socket.recv_from(&mut self.buffer) => Some(received?),
            };
            let now = Instant::now();
            match received {
                Some((len, address)) => self.take(address, len, now),
                None => self.look(now),
            }
        }
    }

    async fn send(&mut self, peer: Peer, bytes: &Bytes) -> io::Result<()> {
        let Peer { address, session } = peer;
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the DTLS session is over");
        let found = self.session(address, session).ok_or_else(gone)?;
        let sent = found.dtls.send_application_data(bytes);
        sent.map_err(io::Error::other)?;
        self.drain(address, session);
        Ok(())
    }

    async fn close(&mut self) {
        let live = self
            .sessions
            .iter()
            .filter_map(|(address, sessions)| Some((*address, sessions.live.as_ref()?.number)));
        let live: Vec<(SocketAddr, u64)> = live.collect();
        for (address, number) in live {
            let Some(session) = self.session(address, number) else {
                continue;
            };
            if session.dtls.close().is_ok() {
                self.drain(address, number);
            }
        }
    }
}

fn datagram_type(datagram: &[u8]) -> Option<u8> {
    datagram.first().copied()
}

/// Tells whether a datagram is the first of a handshake: in the clear, a handshake record, and in it a
/// ClientHello.
fn begins_handshake(datagram: &[u8]) -> bool {
    datagram_type(datagram) == Some(HANDSHAKE)
        && datagram.get(EPOCH_AT) == Some(&[0, 0])
        && datagram.get(MESSAGE_AT) == Some(&CLIENT_HELLO)
}

#[cfg(test)]
mod tests;
