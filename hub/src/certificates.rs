//! Looks after the certificates of all listeners while the hub runs.

use crate::config::CertificatesConfig;
use crate::standing;
use model::Timestamp;
use sdk::{Action, Actor, Clock, Command, Operator};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tls::{Certificates, Looked};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use web::{CertificateState, ReadAgain};

/// How often the log says of a certificate that it expires.
const REMINDER: Duration = Duration::from_secs(86_400);

/// Reads the files of certificates again, and says what came of it in the log and the audit trail.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pub(crate) certificates: Certificates,
    pub(crate) operator: Operator,
    pub(crate) clock: Clock,
}

impl Keeper {
    /// Looks now and then until told to stop.
    pub(crate) async fn watch(self, config: CertificatesConfig, stop: CancellationToken) {
        let pause = Duration::from_secs(config.look_every_s.into());
        let mut reminders = BTreeMap::new();
        loop {
            self.remind(&mut reminders, config.warning_d);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = self.look(standing::actor(), false) => {}
            }
        }
    }

    /// Looks once; somebody may have `asked` for it.
    pub(crate) async fn look(&self, actor: Actor, asked: bool) -> ReadAgain {
        let certificates = self.certificates.clone();
        let looked = tokio::task::spawn_blocking(move || certificates.look(asked)).await;
        let looked = looked.unwrap_or_else(|panic| {
            tracing::error!(error = %panic, "the certificates could not be looked at");
            Looked::default()
        });
        if !looked.changed.is_empty() || !looked.refused.is_empty() {
            self.tell(&looked);
            self.note(actor, &looked).await;
        }
        ReadAgain {
            put: looked.changed.len(),
            unchanged: looked.unchanged.len(),
            refused: looked.refused.len(),
        }
    }

    fn tell(&self, looked: &Looked) {
        let listeners = self.certificates.listeners();
        for name in &looked.changed {
            let Some(listener) = listeners.get(name) else {
                continue;
            };
            let certificate = &listener.certificate;
            tracing::info!(
                listener = name,
                subject = certificate.subject,
                serial = certificate.serial,
                not_after = %time(certificate.not_after_s),
                "certificate reloaded"
            );
        }
        for (listener, reason) in &looked.refused {
            let text = "the files of a certificate are wrong; what is in force stays";
            tracing::error!(listener, reason, "{text}");
        }
    }

    async fn note(&self, actor: Actor, looked: &Looked) {
        let listeners = self.certificates.listeners();
        let put = looked.changed.iter().filter_map(|name| {
            let certificate = &listeners.get(name)?.certificate;
            Some(json!({
                "listener": name,
                "serial": certificate.serial,
                "not_after": time(certificate.not_after_s),
            }))
        });
        let refused = looked.refused.iter();
        let refused = refused.map(|(name, reason)| json!({"listener": name, "reason": reason}));
        let action = Action::Note {
            action: "reload_certificates".to_owned(),
            subject: "certificates".to_owned(),
            detail: json!({
                "put": put.collect::<Vec<_>>(),
                "refused": refused.collect::<Vec<_>>(),
            }),
            marks: Vec::new(),
        };
        if let Err(error) = self.operator.commit(Command { actor, action }).await {
            tracing::error!(%error, "the reload of certificates is not in the audit trail");
        }
    }

    /// Says once a day which certificates are about to expire, or have.
    fn remind(&self, reminders: &mut BTreeMap<String, Instant>, warning_d: u32) {
        let (now, at) = (Instant::now(), self.clock.now());
        for (name, listener) in self.certificates.listeners() {
            if CertificateState::of(&listener, warning_d, at) == CertificateState::Valid {
                reminders.remove(&name);
                continue;
            }
            let told = reminders.get(&name);
            if told.is_some_and(|told| now.duration_since(*told) < REMINDER) {
                continue;
            }
            let not_after = time(listener.certificate.not_after_s);
            tracing::warn!(listener = name, %not_after, "a certificate expires soon or is not valid");
            reminders.insert(name, now);
        }
    }
}

fn time(s: i64) -> Timestamp {
    Timestamp::from_millis(s.saturating_mul(1000))
}
