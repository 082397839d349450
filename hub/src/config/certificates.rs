//! How certificates are looked after, and which keys name files of them.

use super::{ConfigError, Loaded};
use config::{Value, ValueKind};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;

/// Who renews by hand has to ask for a certificate, get it signed and lay it down: a month is what
/// authorities give, too (notices of public ones, Prometheus' usual alert).
const WARNING_D: u32 = 30;

/// A new certificate is nearly always laid down long before the old one ends, so that seconds do not
/// count; a revocation list should be in force soon.
const LOOK_EVERY_S: u32 = 10;

/// A day: who looks less often may just as well be told by SIGHUP.
const LOOK_EVERY_S_MAX: u32 = 86_400;

/// A year.
const WARNING_D_MAX: u32 = 366;

/// How the certificates of all listeners are looked after.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CertificatesConfig {
    /// Seconds from one look at the files to the next, 1 to 86400. What changed comes into force for new
    /// handshakes; SIGHUP and `POST /api/v1/rules/reload` look at once.
    pub look_every_s: u32,
    /// Days before its end from which on a certificate is a trouble in health, 0 to 366; a certificate
    /// of a short life is one when a quarter of it is left.
    pub warning_d: u32,
}

impl Default for CertificatesConfig {
    fn default() -> Self {
        Self {
            look_every_s: LOOK_EVERY_S,
            warning_d: WARNING_D,
        }
    }
}

impl Loaded {
    pub(super) fn check_certificates(&self) -> Result<(), ConfigError> {
        let CertificatesConfig {
            look_every_s,
            warning_d,
        } = self.config.certificates;
        if !(1..=LOOK_EVERY_S_MAX).contains(&look_every_s) {
            let reason = format!("must be 1 to {LOOK_EVERY_S_MAX}, not {look_every_s}");
            return Err(self.error("certificates.look_every_s", reason));
        }
        if warning_d > WARNING_D_MAX {
            let reason = format!("must be 0 to {WARNING_D_MAX}, not {warning_d}");
            return Err(self.error("certificates.warning_d", reason));
        }
        let Some(tls) = &self.config.http.tls else {
            return Ok(());
        };
        tls.check()
            .map_err(|error| self.error("http.tls", error.to_string()))
    }
}

/// Certificates, keys and folders are paths too: `tls_cert`, `tls_key`, `client_ca`, `crl`, `ca_file`,
/// `maps_dir`, and those in a table of their own (`tls.cert`, `tls.key`, `dtls.keys`).
pub(super) fn anchor_files(part: &mut Value, folder: &Path) {
    const ENDS: [&str; 6] = ["_cert", "_key", "_ca", "ca_file", "_dir", "crl"];
    const OF_TABLES: [&str; 6] = ["cert", "key", "keys", "client_ca", "crl", "ca_file"];
    let ValueKind::Table(table) = &mut part.kind else {
        return;
    };
    for (key, value) in table.iter_mut() {
        if ENDS.iter().any(|end| key.ends_with(end)) {
            anchor(value, folder);
        }
        if let ValueKind::Table(inner) = &mut value.kind
            && ["tls", "dtls"].contains(&key.as_str())
        {
            let files = inner
                .iter_mut()
                .filter(|(key, _)| OF_TABLES.contains(&key.as_str()));
            files.for_each(|(_, value)| anchor(value, folder));
        }
    }
}

fn anchor(value: &mut Value, folder: &Path) {
    if let ValueKind::String(path) = &mut value.kind
        && Path::new(path).is_relative()
    {
        *path = folder.join(&*path).to_string_lossy().into_owned();
    }
}
