//! The running hub: whether it takes telemetry, which program it is, its canary and its drivers.

use crate::doctor::finding::Findings;
use crate::doctor::scene::Scene;
use std::os::unix::fs::MetadataExt;

pub(super) fn hub(scene: &Scene<'_>, findings: &mut Findings) {
    let flag = scene.config_flag();
    match &scene.answers.ready {
        None if scene.is_running() => findings.leave_out(),
        None => findings.say("stopped", None, &[]),
        Some(Err(reason)) => {
            let place = scene.place_of("http.listen");
            findings.say("silent", place, &[("reason", reason), ("flag", &flag)]);
        }
        Some(Ok(())) if scene.answers.health.is_none() => {
            findings.say("untold", None, &[("flag", &flag)]);
        }
        Some(Ok(())) => {}
    }
}

pub(super) fn version(scene: &Scene<'_>, findings: &mut Findings) {
    let own = env!("CARGO_PKG_VERSION");
    let Some(holder) = scene.holder.as_ref().filter(|holder| holder.is_hub()) else {
        findings.say("ok", None, &[("version", &own)]);
        return;
    };
    let is_replaced = holder
        .program
        .as_deref()
        .is_some_and(|path| path.ends_with(" (deleted)"));
    let running = scene
        .answers
        .health
        .as_ref()
        .and_then(|health| health["version"].as_str());
    let other_file = holder.program.as_deref().is_some_and(|path| {
        let number = |path: &std::path::Path| std::fs::metadata(path).map(|data| data.ino()).ok();
        let running = number(&scene.machine.path(path));
        running.is_some()
            && running
                != number(
                    &scene
                        .machine
                        .path(&scene.machine.program.display().to_string()),
                )
    });
    match () {
        () if is_replaced => findings.say("replaced", None, &[("version", &own)]),
        () if running.is_some_and(|running| running != own) => {
            let running = running.unwrap_or_default();
            findings.say("other", None, &[("version", &own), ("running", &running)]);
        }
        () if other_file => {
            let path = holder.program.clone().unwrap_or_default();
            findings.say("elsewhere", None, &[("path", &path)]);
        }
        () => findings.say("ok", None, &[("version", &own)]),
    }
}

pub(super) fn canary(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(canary) = scene
        .answers
        .health
        .as_ref()
        .map(|health| &health["canary"])
    else {
        findings.leave_out();
        return;
    };
    let state = canary["state"].as_str().unwrap_or("off");
    match state {
        "failing" | "missing" => {
            let stage = canary["stage"].as_str().unwrap_or("?");
            let reason = canary["reason"].as_str().unwrap_or_default();
            findings.say("broken", None, &[("stage", &stage), ("reason", &reason)]);
        }
        "off" => findings.say("off", scene.place_of("canary.enabled"), &[]),
        _ => {}
    }
}

pub(super) fn drivers(scene: &Scene<'_>, findings: &mut Findings) {
    let health = scene.answers.health.as_ref();
    let Some(drivers) = health.and_then(|health| health["drivers"].as_object()) else {
        findings.leave_out();
        return;
    };
    for (name, driver) in drivers {
        let place = scene.place_of(&format!("drivers.{name}"));
        let reason = driver["last_error"].as_str().unwrap_or_default();
        if driver["state"] != "up" {
            findings.say("down", place, &[("name", name), ("reason", &reason)]);
        } else if let Some(restarts) = driver["restarts"].as_u64().filter(|count| *count > 0) {
            let words: [(&str, &dyn std::fmt::Display); 3] =
                [("name", name), ("restarts", &restarts), ("reason", &reason)];
            findings.say("restarted", place, &words);
        }
    }
}
