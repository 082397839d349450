//! Certificates of the listeners: readable, of their key, in their time, with names.

use super::configuration::text_of;
use crate::doctor::finding::Findings;
use crate::doctor::scene::Scene;
use config::{Value, ValueKind};
use tls::{TlsConfig, warning_from_s};

const DAY_S: i64 = 86_400;

pub(super) fn certificates(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(loaded) = scene.loaded else { return };
    let http = &loaded.config.http;
    let mut listeners: Vec<(String, TlsConfig)> = Vec::new();
    listeners.extend(http.tls.clone().map(|tls| ("http.tls".to_owned(), tls)));
    for (name, driver) in &loaded.config.drivers {
        collect(&format!("drivers.{name}"), driver, &mut listeners);
    }
    for (key, tls) in &listeners {
        look(scene, key, tls, findings);
    }
    if http.tls.is_none() && !http.listen.ip().is_loopback() {
        let place = scene.place_of("http.listen");
        findings.say("plain", place, &[("address", &http.listen)]);
    }
    if listeners.is_empty() {
        findings.leave_out();
    } else if findings.is_silent() {
        findings.say("ok", None, &[("count", &listeners.len())]);
    }
}

/// Finds `tls_cert` and `tls_key`, and `cert` and `key` of a table of their own.
fn collect(path: &str, value: &Value, listeners: &mut Vec<(String, TlsConfig)>) {
    let ValueKind::Table(table) = &value.kind else {
        return;
    };
    for (cert, key) in [("tls_cert", "tls_key"), ("cert", "key")] {
        if let (Some(cert_file), Some(key_file)) = (text_of(value, cert), text_of(value, key)) {
            listeners.push((format!("{path}.{cert}"), TlsConfig::of(cert_file, key_file)));
        }
    }
    for (name, inner) in table {
        collect(&format!("{path}.{name}"), inner, listeners);
    }
}

fn look(scene: &Scene<'_>, key: &str, tls: &TlsConfig, findings: &mut Findings) {
    let place = || scene.place_of(key);
    let (file, key_file) = (tls.cert.display(), tls.key.display());
    let certificate = match tls::inspect(tls) {
        Ok(certificate) => certificate,
        Err(reason) => {
            let words: [(&str, &dyn std::fmt::Display); 3] =
                [("file", &file), ("key", &key_file), ("reason", &reason)];
            findings.say("unusable", place(), &words);
            return;
        }
    };
    let now_s = scene.machine.now.millis().div_euclid(1000);
    let warning_d = scene
        .loaded
        .map_or(0, |loaded| loaded.config.certificates.warning_d);
    let days = |to_s: i64| (to_s - now_s).abs() / DAY_S;
    let (begin, end) = (certificate.not_before_s, certificate.not_after_s);
    let outcome = match () {
        () if end <= now_s => Some(("expired", days(end))),
        () if begin > now_s => Some(("future", days(begin))),
        () if warning_from_s(&certificate, warning_d) <= now_s => Some(("ending", days(end))),
        () => None,
    };
    if let Some((outcome, days)) = outcome {
        findings.say(outcome, place(), &[("file", &file), ("days", &days)]);
    }
    if certificate.names.is_empty() {
        findings.say("nameless", place(), &[("file", &file)]);
    }
}
