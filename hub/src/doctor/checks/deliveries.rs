//! Receivers that are owed events, by what stands on disk: it is true of a stopped hub too.

use crate::doctor::finding::Findings;
use crate::doctor::scene::Scene;

/// A receiver that restarts is back by then.
const OWED_MS: i64 = 10 * 60_000;

pub(super) fn sinks(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(survey) = scene.surveyed() else {
        findings.leave_out();
        return;
    };
    // A hub that stands still owes nothing new: time is that of its last commit.
    let now = if scene.is_running() {
        scene.machine.now
    } else {
        survey.last_stamp
    };
    for delivery in &survey.deliveries {
        let name = &delivery.name;
        let place = scene
            .loaded
            .is_some_and(|loaded| loaded.config.sinks.contains_key(name));
        let place = place
            .then(|| scene.place_of(&format!("sinks.{name}")))
            .flatten();
        let owed_ms = delivery.owed_since.map_or(0, |since| now.since_ms(since));
        if owed_ms > OWED_MS {
            let minutes = owed_ms / 60_000;
            let reason = last_error(scene, name);
            let words: [(&str, &dyn std::fmt::Display); 4] = [
                ("name", name),
                ("lag", &delivery.lag_events),
                ("minutes", &minutes),
                ("reason", &reason),
            ];
            findings.say("owed", place.clone(), &words);
        }
        if delivery.parked > 0 {
            findings.say(
                "parked",
                place,
                &[("name", name), ("parked", &delivery.parked)],
            );
        }
    }
}

fn last_error(scene: &Scene<'_>, name: &str) -> String {
    let health = scene.answers.health.as_ref();
    let sink = health.and_then(|health| health.get("sinks")?.get(name));
    let error = sink.and_then(|sink| sink.get("last_error")?.as_str());
    error.map_or_else(String::new, |error| format!(": {error}"))
}
