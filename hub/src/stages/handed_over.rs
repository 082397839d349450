//! What the web gets of the hub once everything runs.

use super::Parts;
use crate::config::Config;
use sdk::{Network, Operator};
use web::{City, Gate, Reloads, Tls};

impl Parts {
    /// Hands everything over to the web; the queue's last sender of ours goes with it.
    pub(super) fn into_web(self, config: &Config, reloads: Reloads) -> web::State {
        // Both were checked when the configuration was read.
        let proxies = Network::list(&config.http.trusted_proxies).unwrap_or_default();
        let gate = Gate::new(self.addresses, proxies, &config.http.hosts());
        web::State {
            reader: self.reader,
            long_term: self.long_term,
            operator: Operator::new(self.requests),
            devices: self.published.devices,
            downlink: self.downlink,
            statuses: self.published.statuses,
            access: self.access,
            gate,
            accounts: self.accounts,
            catalogue: self.catalogue,
            book: self.published.book,
            cases: self.published.cases,
            moved_cases: self.published.moved_cases,
            rules: self.published.rules,
            subscribers: self.published.subscribers,
            reloads,
            tail: self.tail,
            clock: self.clock,
            health: self.health,
            tls: Tls {
                certificates: self.certificates,
                warning_d: config.certificates.warning_d,
                is_here: config.http.tls.is_some(),
            },
            pace: self.published.pace,
            setting: self.setting,
            knocks: self.published.knocks,
            city: City {
                name: config.city.name.clone(),
                code: config.city.code.clone(),
                time_zone: config.city.time_zone.clone(),
            },
            desk: self.desk,
            handovers: self.published.handovers,
            driver_names: self.driver_names.into(),
            rule_settings: config.rule_settings(),
            stream_clients_max: config.http.streams_max,
            stop: self.stop,
        }
    }
}
