//! The keys of a `tls` table.

use crate::TlsError;
use schemars::JsonSchema;
use serde::Deserialize;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A handshake is two round trips, even over a slow mobile link.
const HANDSHAKE_TIMEOUT_S: u64 = 5;

/// Handshakes under way at once. Each takes a file descriptor and some 20 kB; a fleet that comes back
/// after an outage has as many under way as the processor does in a round trip, which are fewer.
const HANDSHAKES_MAX: usize = 1_024;

/// Whether a peer must show a certificate, where `client_ca` says whose are good.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Nobody without one gets further than the handshake.
    #[default]
    Required,
    /// Those without one are let in by a secret.
    Optional,
}

/// `[http.tls]`, `[drivers.NAME.tls]`: with it the port speaks TLS, and nothing else.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the hub's certificate chain, its own first.
    pub cert: PathBuf,
    /// PEM file with the private key of it.
    pub key: PathBuf,
    /// PEM file with the authorities that sign the certificates of peers.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether every peer must have a certificate, where `client_ca` is set; `required` unless said.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// PEM file with the revocation lists of all authorities that sign certificates of peers.
    #[serde(default)]
    pub crl: Option<PathBuf>,
    /// Seconds that a peer has for the handshake.
    #[serde(default = "handshake_timeout_s")]
    pub handshake_timeout_s: NonZeroU64,
    /// Handshakes under way at once; one more ends the oldest. They take no place of a connection.
    #[serde(default = "handshakes_max")]
    pub handshakes_max: NonZeroUsize,
}

fn handshake_timeout_s() -> NonZeroU64 {
    NonZeroU64::new(HANDSHAKE_TIMEOUT_S).unwrap_or(NonZeroU64::MIN)
}

fn handshakes_max() -> NonZeroUsize {
    NonZeroUsize::new(HANDSHAKES_MAX).unwrap_or(NonZeroUsize::MIN)
}

impl TlsConfig {
    /// A certificate and its key, and the rest as it is unless said.
    pub fn of(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            cert: cert.into(),
            key: key.into(),
            client_ca: None,
            client_auth: None,
            crl: None,
            handshake_timeout_s: handshake_timeout_s(),
            handshakes_max: handshakes_max(),
        }
    }

    /// Tells what contradicts itself.
    pub fn check(&self) -> Result<(), TlsError> {
        let needs = |key| Err(TlsError::Config(format!("`{key}` needs `client_ca`")));
        match self.client_ca {
            None if self.client_auth.is_some() => needs("client_auth"),
            None if self.crl.is_some() => needs("crl"),
            _ => Ok(()),
        }
    }

    /// Has paths that are not absolute begin at `folder`.
    pub fn anchor(&mut self, folder: &Path) {
        let given = [&mut self.cert, &mut self.key].into_iter();
        let given = given
            .chain(self.client_ca.iter_mut())
            .chain(self.crl.iter_mut());
        for path in given {
            if path.is_relative() {
                *path = folder.join(&*path);
            }
        }
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_s.get())
    }
}
