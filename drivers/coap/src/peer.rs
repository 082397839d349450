//! Who is at the other end of a datagram.

use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;

/// An endpoint: an address, and the DTLS session with it where there is one. A new session is a new
/// endpoint, whose message IDs begin anew.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Counted from 1; 0 is plain UDP.
    pub(crate) session: u64,
}

/// One datagram in the clear.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) peer: Peer,
    /// The device that the session's key belongs to.
    pub(crate) identity: Option<Arc<str>>,
    pub(crate) bytes: Bytes,
}
