//! Reads and writes what is the kind's own in a rule: one file for each kind.

mod clock;
mod composite;
mod frozen;
mod geofence;
mod occupancy;
mod rate;
mod silence;
mod threshold;
mod window;

use super::RuleError;
use super::fields::Fields;
use crate::Condition;
use crate::kind::composite::Mode;
use serde_json::{Map, Value};

/// The kinds that there are, for an error.
const KINDS: &str = "`threshold`, `window`, `rate`, `silence`, `frozen`, `geofence`, `occupancy`, \
                     `clock`, `any` and `all`";

/// A week: what is asked of a longer while is a report, not an alarm, and every reading of the window
/// is kept in memory.
const WINDOW_S_MAX: u32 = 7 * 86_400;

/// Reads the keys of a kind; the caller refuses those that are left.
pub(super) fn read(kind: &str, fields: &mut Fields<'_>) -> Result<Condition, RuleError> {
    match kind {
        "threshold" => threshold::read(fields).map(Condition::Threshold),
        "silence" => silence::read(fields).map(Condition::Silence),
        "window" => window::read(fields).map(Condition::Window),
        "rate" => rate::read(fields).map(Condition::Rate),
        "frozen" => frozen::read(fields).map(Condition::Frozen),
        "occupancy" => occupancy::read(fields).map(Condition::Occupancy),
        "clock" => clock::read(fields).map(Condition::Clock),
        "geofence" => geofence::read(fields).map(Condition::Geofence),
        "any" => composite::read(Mode::Any, fields).map(Condition::Composite),
        "all" => composite::read(Mode::All, fields).map(Condition::Composite),
        kind => {
            let reason = format!("`{kind}` is no kind of rule; there are {KINDS}");
            Err(fields.wrong("kind", reason))
        }
    }
}

/// Writes the keys of a kind as [`read`] reads them.
pub(super) fn write_json(condition: &Condition, fields: &mut Map<String, Value>) {
    match condition {
        Condition::Threshold(spec) => threshold::write_json(spec, fields),
        Condition::Silence(spec) => silence::write_json(spec, fields),
        Condition::Window(spec) => window::write_json(spec, fields),
        Condition::Rate(spec) => rate::write_json(spec, fields),
        Condition::Frozen(spec) => frozen::write_json(spec, fields),
        Condition::Occupancy(spec) => occupancy::write_json(spec, fields),
        Condition::Clock(spec) => clock::write_json(spec, fields),
        Condition::Geofence(spec) => geofence::write_json(spec, fields),
        Condition::Composite(spec) => composite::write_json(spec, fields),
    }
}

/// Reads the length of a window.
fn window_s(fields: &mut Fields<'_>) -> Result<u32, RuleError> {
    let window_s = fields.seconds("window_s")?;
    match window_s.ok_or_else(|| fields.missing("window_s"))? {
        0 => Err(fields.wrong("window_s", "must be at least 1".to_owned())),
        window_s if window_s > WINDOW_S_MAX => {
            let reason = format!("must be at most {WINDOW_S_MAX} (a week), not {window_s}");
            Err(fields.wrong("window_s", reason))
        }
        window_s => Ok(window_s),
    }
}

#[cfg(test)]
mod tests;
