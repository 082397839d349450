//! Every check, in the order in which they are told.

mod access;
mod clock;
mod configuration;
mod data;
mod deliveries;
mod devices;
mod disk;
mod limits;
mod ports;
mod rules;
mod running;
mod serial;
mod service;
mod tls;

use super::finding::Findings;
use super::scene::Scene;

/// One check.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// It is left out where the configuration cannot be read.
    pub(crate) needs_config: bool,
    pub(crate) look: fn(&Scene<'_>, &mut Findings),
}

const fn check(name: &'static str, look: fn(&Scene<'_>, &mut Findings)) -> Check {
    Check {
        name,
        needs_config: true,
        look,
    }
}

const fn always(name: &'static str, look: fn(&Scene<'_>, &mut Findings)) -> Check {
    Check {
        name,
        needs_config: false,
        look,
    }
}

pub(crate) const ALL: &[Check] = &[
    always("config", configuration::read),
    check("config-files", configuration::files),
    check("config-mode", configuration::mode),
    always("credentials", configuration::credentials),
    check("rules", rules::compile),
    check("coverage", rules::coverage),
    check("data-folder", data::folder),
    check("file-system", disk::file_system),
    check("space", disk::space),
    check("fsync", disk::fsync),
    check("format", data::format),
    check("lock", data::lock),
    check("journal", data::journal),
    check("segments", data::segments),
    check("backup", data::backup),
    always("clock", clock::synchronised),
    check("time-jump", clock::jumped),
    check("ports", ports::ports),
    check("firewall", ports::firewall),
    check("tls", tls::certificates),
    check("sign-in", access::people),
    check("tokens", access::tokens),
    check("hub", running::hub),
    check("version", running::version),
    check("canary", running::canary),
    check("drivers", running::drivers),
    check("devices", devices::seen),
    check("gateways", devices::gateways),
    check("unclaimed", devices::unclaimed),
    check("sinks", deliveries::sinks),
    check("serial", serial::lines),
    always("service", service::service),
    always("backup-timer", service::timer),
    check("open-files", limits::files),
    always("memory", limits::memory),
    always("backlog", limits::backlog),
    always("cores", limits::cores),
];
