//! The certificates of the hub's own listeners, as health and figures show them.

use crate::metrics::Page;
use crate::state::Inner;
use model::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tls::{Certificates, Listener, warning_from_s};

/// What the web knows of TLS.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    pub certificates: Certificates,
    /// Days before its end from which on a certificate is a trouble.
    pub warning_d: u32,
    /// The port of the web itself speaks TLS, and nothing else.
    pub is_here: bool,
}

/// How the certificate of a listener is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateState {
    Valid,
    Expiring,
    Expired,
    NotYetValid,
}

impl CertificateState {
    /// Judges the certificate of a listener.
    pub fn of(listener: &Listener, warning_d: u32, now: Timestamp) -> Self {
        let (certificate, now_s) = (&listener.certificate, now.millis().div_euclid(1000));
        if now_s >= certificate.not_after_s {
            Self::Expired
        } else if now_s < certificate.not_before_s {
            Self::NotYetValid
        } else if now_s >= warning_from_s(certificate, warning_d) {
            Self::Expiring
        } else {
            Self::Valid
        }
    }
}

fn is_well(listener: &Listener, warning_d: u32, now: Timestamp) -> bool {
    let is_overdue = |at_s: i64| at_s <= now.millis().div_euclid(1000);
    CertificateState::of(listener, warning_d, now) == CertificateState::Valid
        && listener.refused.is_none()
        && !listener.crl_next_update_s.is_some_and(is_overdue)
}

/// Gives what `GET /api/v1/health` shows of each listener with TLS, and names those that are not well.
pub(crate) fn report(hub: &Inner, now: Timestamp) -> (BTreeMap<String, Value>, Vec<String>) {
    let listeners = hub.tls.certificates.listeners();
    let warning_d = hub.tls.warning_d;
    let unwell = listeners
        .iter()
        .filter(|(_, listener)| !is_well(listener, warning_d, now));
    let unwell = unwell.map(|(name, _)| format!("certificates.{name}"));
    let unwell = unwell.collect();
    let time = |s: i64| Timestamp::from_millis(s.saturating_mul(1000));
    let shown = listeners.into_iter().map(|(name, listener)| {
        let certificate = &listener.certificate;
        let shown = json!({
            "state": CertificateState::of(&listener, warning_d, now),
            "subject": certificate.subject,
            "issuer": certificate.issuer,
            "names": certificate.names,
            "serial": certificate.serial,
            "not_before": time(certificate.not_before_s),
            "not_after": time(certificate.not_after_s),
            "crl_next_update": listener.crl_next_update_s.map(time),
            "refused": listener.refused,
        });
        (name, shown)
    });
    (shown.collect(), unwell)
}

/// Puts the figures of the listeners with TLS on the page.
pub(crate) fn put(page: &mut Page, hub: &Inner) {
    for (name, listener) in &hub.tls.certificates.listeners() {
        let labels = [("listener", name.as_str())];
        page.put(
            "cityhub_tls_certificate_expires_seconds",
            &labels,
            listener.certificate.not_after_s,
        );
        page.put(
            "cityhub_tls_files_refused",
            &labels,
            listener.refused.is_some(),
        );
        let (in_force, refused) = listener.reloads;
        for (outcome, count) in [("in_force", in_force), ("refused", refused)] {
            let labels = [("listener", name.as_str()), ("outcome", outcome)];
            page.put("cityhub_tls_reloads_total", &labels, count);
        }
        let shaken = listener.handshakes;
        for (outcome, count) in [
            ("done", shaken.done),
            ("plaintext", shaken.plain),
            ("failed", shaken.failed),
            ("client_certificate", shaken.certificate),
            ("timeout", shaken.timeout),
            ("too_many", shaken.crowded),
        ] {
            let labels = [("listener", name.as_str()), ("outcome", outcome)];
            page.put("cityhub_tls_handshakes_total", &labels, count);
        }
    }
}
