//! `cityhub doctor`: finds what is wrong with an installation and says what to do. It changes nothing.

mod checks;
mod finding;
mod hub_process;
mod listeners;
mod machine;
mod report;
mod scene;
mod texts;
mod unit;

pub use finding::Level;
pub use machine::Machine;
pub use report::Report;
pub use texts::{Lang, list};

use crate::config;
use finding::Findings;
use scene::Scene;
use std::path::PathBuf;

/// What is to be looked at.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    pub config: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    /// A token for the running hub; without one a token of the configuration is taken.
    pub token: Option<String>,
}

/// Makes every check. A check that has nothing to say says that all is well.
pub fn examine(subject: &Subject, machine: &Machine) -> Report {
    let loaded = config::load(subject.config.as_deref(), subject.data_dir.as_deref());
    let scene = Scene::of(&loaded, subject, machine);
    Report::new(look(&scene), machine.now)
}

fn look(scene: &Scene<'_>) -> Vec<finding::Finding> {
    let mut findings = Findings::default();
    for check in checks::ALL {
        if check.needs_config && scene.loaded.is_none() {
            continue;
        }
        findings.begin(check.name);
        (check.look)(scene, &mut findings);
        findings.end();
    }
    findings.all
}

#[cfg(test)]
mod tests;
