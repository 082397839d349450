//! The server side of TLS for every listener of the hub.
//!
//! A listener opens an [`Acceptor`] at the shared board of [`Certificates`]. The board reads the files
//! again when they change: handshakes that begin then show the new certificate, connections that are
//! open notice nothing, and files that do not fit each other leave what is in force as it is.
//!
//! TLS 1.2 and 1.3 by rustls and ring, and nothing older.

mod acceptor;
mod board;
mod config;
mod crowd;
mod facts;
mod files;

#[cfg(test)]
mod tests;

pub use acceptor::{Acceptor, Handshakes, Peer, Refused, Stream};
pub use board::{Certificates, Listener, Looked};
pub use config::{ClientAuth, TlsConfig};
pub use facts::{Certificate, warning_from_s};
pub use files::{TlsError, inspect};
