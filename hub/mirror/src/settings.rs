//! `[store.mirror.<name>]`: which server, how it is written to, and for how long it is waited for.

use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;

const LINES_MAX: u32 = 100_000;
const BYTES_LEAST: u32 = 4_096;
const BYTES_MAX: u32 = 16 << 20;
const RESEND_S_MAX: u32 = 86_400;
const TIMEOUT_S_MAX: u32 = 600;
const HOLD_D_MAX: u32 = 36_500;

/// A text that is never printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Which way of writing a server has.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MirrorKind {
    /// The write API of `InfluxDB` 2, which `VictoriaMetrics` and others have too.
    #[default]
    Influxdb,
}

/// A server that every reading is copied to; never in the path of an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorConfig {
    /// `influxdb`: any server with the write API of InfluxDB 2.
    pub kind: MirrorKind,
    /// `http://host:port` or `https://host:port`; a path cannot be given.
    pub url: String,
    #[serde(default)]
    pub org: String,
    pub bucket: String,
    #[serde(default)]
    pub token: Secret,
    /// Certificates (PEM) of the authorities to trust beside the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Sends what the hub already has when the mirror is new; otherwise what comes from then on.
    #[serde(default = "yes")]
    pub backfill: bool,
    /// Lines in one request at most.
    #[serde(default = "batch_lines")]
    pub batch_lines: u32,
    /// Bytes in one request at most.
    #[serde(default = "batch_bytes")]
    pub batch_bytes: u32,
    /// Seconds that the server has for an answer.
    #[serde(default = "timeout_s")]
    pub timeout_s: u32,
    /// What was taken counts as kept by the server after so many seconds; if the connection is lost or
    /// the server starts anew before, it is sent again. 0 believes every answer at once.
    #[serde(default = "resend_s")]
    pub resend_s: u32,
    /// Days for which retention spares what the server has not confirmed; 0 spares nothing.
    #[serde(default = "hold_max_age_d")]
    pub hold_max_age_d: u32,
}

fn yes() -> bool {
    true
}

fn batch_lines() -> u32 {
    5_000
}

fn batch_bytes() -> u32 {
    1 << 20
}

fn timeout_s() -> u32 {
    30
}

fn resend_s() -> u32 {
    60
}

fn hold_max_age_d() -> u32 {
    30
}

impl MirrorConfig {
    /// A mirror with every other setting as it is by itself.
    pub fn new(url: &str, org: &str, bucket: &str, token: &str) -> Self {
        Self {
            kind: MirrorKind::Influxdb,
            url: url.to_owned(),
            org: org.to_owned(),
            bucket: bucket.to_owned(),
            token: token.into(),
            ca_file: None,
            backfill: yes(),
            batch_lines: batch_lines(),
            batch_bytes: batch_bytes(),
            timeout_s: timeout_s(),
            resend_s: resend_s(),
            hold_max_age_d: hold_max_age_d(),
        }
    }

    /// Tells which key is wrong, and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let wrong = |key, reason: &str| Err((key, reason.to_owned()));
        if !cfg!(feature = "influx") {
            return wrong("kind", "this build has no `influx` feature");
        }
        let target = dial::Target::parse(&self.url).map_err(|reason| ("url", reason))?;
        if target.host().is_empty() {
            return wrong("url", "has no host in it");
        }
        let (_, rest) = self.url.split_once("://").unwrap_or_default();
        if rest
            .find(['/', '?', '#'])
            .is_some_and(|at| at + 1 < rest.len())
        {
            return wrong(
                "url",
                "must be `http://host:port` without a path: the client for this API would drop it; let a \
                 proxy at the root of a host or port of its own pass the requests on",
            );
        }
        if self.bucket.is_empty() {
            return wrong("bucket", "must not be empty");
        }
        for (key, value, least, most) in [
            ("batch_lines", self.batch_lines, 1, LINES_MAX),
            ("batch_bytes", self.batch_bytes, BYTES_LEAST, BYTES_MAX),
            ("timeout_s", self.timeout_s, 1, TIMEOUT_S_MAX),
            ("resend_s", self.resend_s, 0, RESEND_S_MAX),
            ("hold_max_age_d", self.hold_max_age_d, 0, HOLD_D_MAX),
        ] {
            if !(least..=most).contains(&value) {
                return Err((key, format!("must be {least} to {most}, not {value}")));
            }
        }
        if let Some(path) = &self.ca_file {
            dial::trust(Some(path)).map_err(|reason| ("ca_file", reason))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::MirrorConfig;

    fn checked(url: &str) -> Result<(), (&'static str, String)> {
        MirrorConfig::new(url, "city", "telemetry", "t").check()
    }

    #[cfg(feature = "influx")]
    #[test]
    fn a_url_with_a_path_is_refused_since_the_client_would_drop_it() {
        for url in ["http://h:8428", "http://h:8428/", "https://[::1]:8086"] {
            assert_eq!(checked(url), Ok(()), "{url}");
        }
        for url in [
            "http://h/influx",
            "http://h:8428/?db=x",
            "http://h#x",
            "h:8428",
            "ftp://h",
            "http://user:pw@h",
        ] {
            assert_eq!(checked(url).map_err(|(key, _)| key), Err("url"), "{url}");
        }
    }

    #[cfg(not(feature = "influx"))]
    #[test]
    fn a_build_without_the_client_says_so() {
        let error = checked("http://h:8428").expect_err("no client");
        assert!(error.1.contains("influx"), "{}", error.1);
    }

    #[test]
    fn a_token_is_never_printed() {
        let config = MirrorConfig::new("http://h", "city", "telemetry", "tell-nobody");
        assert!(!format!("{config:?}").contains("tell-nobody"));
    }
}
