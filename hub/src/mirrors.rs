//! Keeps the mirrors of readings running, each for itself: tells the journal how far they came, the board how they
//! do, and retention what to spare.

use crate::config::Config;
use mirror::Position;

#[cfg(feature = "influx")]
mod run;

#[cfg(feature = "influx")]
pub(crate) use run::Mirrors;

/// The cursors of the mirrors for which retention spares anything.
pub(crate) fn held_cursors(config: &Config) -> Vec<String> {
    let mirrors = config.store.mirror.iter();
    let held = mirrors.filter(|(_, mirror)| mirror.hold_max_age_d > 0);
    held.map(|(name, _)| {
        let [before, ..] = Position::cursor_names(name);
        before
    })
    .collect()
}
