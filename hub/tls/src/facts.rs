//! What a certificate says of itself.

use rustls::pki_types::CertificateDer;
use serde::Serialize;
use std::fmt::Write as _;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY_S: i64 = 86_400;

/// The hub's own certificate of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    /// Hosts and addresses that it is for.
    pub names: Vec<String>,
    /// Hexadecimal digits, as `openssl x509 -serial` prints them.
    pub serial: String,
    /// Seconds since the epoch.
    #[serde(skip)]
    pub not_before_s: i64,
    /// Seconds since the epoch; of the first in its chain that expires.
    #[serde(skip)]
    pub not_after_s: i64,
}

/// Gives from when on people are to be told that a certificate expires: `warning_d` days before, but
/// no sooner than when a quarter of its life is left. Those who renew by themselves do so when a third
/// is left (certbot: 30 days of 90), so whoever is told has missed it.
pub fn warning_from_s(certificate: &Certificate, warning_d: u32) -> i64 {
    let life = certificate
        .not_after_s
        .saturating_sub(certificate.not_before_s);
    let early = (i64::from(warning_d).saturating_mul(DAY_S)).min(life.max(0) / 4);
    certificate.not_after_s.saturating_sub(early)
}

/// Reads the first of a chain, and when the first of all of them expires.
pub(crate) fn read(chain: &[CertificateDer<'_>]) -> Result<Certificate, String> {
    let own = chain.first().ok_or("no certificate in it")?;
    let (_, own) = X509Certificate::from_der(own).map_err(|error| error.to_string())?;
    let expiries = chain.iter().map(|certificate| {
        let (_, read) =
            X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        Ok::<_, String>(read.validity().not_after.timestamp())
    });
    let expiries = expiries.collect::<Result<Vec<_>, _>>()?;
    let mut serial = String::new();
    for byte in own.raw_serial() {
        write!(serial, "{byte:02X}").expect("a string takes any text");
    }
    let trimmed = serial.strip_prefix("00").filter(|rest| !rest.is_empty());
    Ok(Certificate {
        subject: own.subject().to_string(),
        issuer: own.issuer().to_string(),
        names: names(&own),
        serial: trimmed.unwrap_or(&serial).to_owned(),
        not_before_s: own.validity().not_before.timestamp(),
        not_after_s: expiries.into_iter().min().unwrap_or_default(),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(host) => Some((*host).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    names.collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(sixteen).to_string())
}

/// Gives the name of the peer that a certificate is of: its one common name, or where the subject has
/// none, its one DNS name. Two names would be two identities, and so are none.
pub(crate) fn identity(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut common = certificate.subject().iter_common_name();
    if let Some(name) = common.next() {
        let name = name.as_str().ok()?.to_owned();
        return (common.next().is_none() && !name.is_empty()).then_some(name);
    }
    let extension = certificate.subject_alternative_name().ok()??;
    let mut hosts = extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(host) => Some(*host),
            _ => None,
        });
    let name = hosts.next()?.to_owned();
    hosts.next().is_none().then_some(name)
}
