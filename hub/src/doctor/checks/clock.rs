//! The clock: whether something sets it, whether it jumped, and whether the hub is ahead of it.

use crate::doctor::finding::Findings;
use crate::doctor::scene::Scene;
use serde_json::Value;

/// The stamps of the hub are never less than the last one; more than this ahead is a clock that was
/// set back.
const AHEAD_MS: i64 = 5_000;
const MOVED_MS: i64 = 60_000;

pub(super) fn synchronised(scene: &Scene<'_>, findings: &mut Findings) {
    let told = scene.machine.ask(
        "timedatectl",
        &["show", "--property", "NTPSynchronized", "--value"],
    );
    let zone = scene
        .loaded
        .map_or("", |loaded| &loaded.config.city.time_zone);
    match told.as_deref().map(str::trim) {
        Some("yes") => findings.say("ok", None, &[("zone", &zone)]),
        Some("no") => findings.say("alone", None, &[]),
        _ => findings.say("untold", None, &[]),
    }
}

pub(super) fn jumped(scene: &Scene<'_>, findings: &mut Findings) {
    if let Some(survey) = scene.surveyed() {
        let ahead = survey.last_stamp.since_ms(scene.machine.now);
        if ahead > AHEAD_MS {
            let seconds = ahead / 1000;
            let stamp = survey.last_stamp;
            findings.say("ahead", None, &[("seconds", &seconds), ("stamp", &stamp)]);
        }
    }
    let moved = scene.answers.health.as_ref();
    let moved = moved
        .and_then(|health| health.pointer("/clock/moved_ms"))
        .and_then(Value::as_i64);
    if let Some(moved) = moved
        && moved.abs() > MOVED_MS
    {
        let seconds = moved / 1000;
        findings.say("set", None, &[("seconds", &seconds)]);
    }
}
