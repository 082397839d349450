//! Devices that never reported, gateways whose children are silent, and strangers that knock.

use crate::doctor::finding::Findings;
use crate::doctor::scene::Scene;
use model::DeviceStatus;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Ids that are named; the console lists the rest.
const NAMED_MAX: usize = 5;

fn named(ids: &[String]) -> String {
    let shown: Vec<&str> = ids.iter().take(NAMED_MAX).map(String::as_str).collect();
    let dots = if ids.len() > NAMED_MAX { " …" } else { "" };
    format!("{}{dots}", shown.join(", "))
}

pub(super) fn seen(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(survey) = scene.surveyed() else {
        findings.leave_out();
        return;
    };
    if survey.devices.is_empty() {
        findings.say("none", None, &[]);
        return;
    }
    let reported: BTreeSet<_> = survey
        .statuses
        .iter()
        .filter(|status| status.health.status != DeviceStatus::NeverSeen)
        .map(|status| status.key)
        .collect();
    let never: Vec<String> = survey
        .devices
        .iter()
        .filter(|stored| stored.device.enabled && !reported.contains(&stored.key))
        .map(|stored| stored.device.id.to_string())
        .collect();
    let count = survey.devices.len();
    match never.len() {
        0 => findings.say("ok", None, &[("count", &count)]),
        silent => {
            let ids = named(&never);
            findings.say(
                "never-seen",
                None,
                &[("silent", &silent), ("count", &count), ("ids", &ids)],
            );
        }
    }
}

pub(super) fn gateways(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(survey) = scene.surveyed() else {
        findings.leave_out();
        return;
    };
    let silent: BTreeSet<_> = survey
        .statuses
        .iter()
        .filter(|status| {
            matches!(
                status.health.status,
                DeviceStatus::NeverSeen | DeviceStatus::Offline
            )
        })
        .map(|status| status.key)
        .collect();
    let told: BTreeSet<_> = survey.statuses.iter().map(|status| status.key).collect();
    // Children of each gateway: all, and those that are silent.
    let mut families: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for stored in survey.devices.iter().filter(|stored| stored.device.enabled) {
        let Some(parent) = &stored.device.parent else {
            continue;
        };
        let (all, quiet) = families.entry(parent.to_string()).or_default();
        *all += 1;
        *quiet += usize::from(silent.contains(&stored.key) || !told.contains(&stored.key));
    }
    let families = families
        .into_iter()
        .filter(|(_, (all, quiet))| *all > 1 && quiet * 2 >= *all);
    for (gateway, (all, quiet)) in families.take(NAMED_MAX) {
        findings.say(
            "half",
            None,
            &[("gateway", &gateway), ("quiet", &quiet), ("all", &all)],
        );
    }
}

pub(super) fn unclaimed(scene: &Scene<'_>, findings: &mut Findings) {
    let list = scene.answers.unclaimed.as_ref();
    let items = list.and_then(|list| list.get("items").unwrap_or(list).as_array());
    let Some(items) = items else {
        if scene.is_running() {
            findings.say("untold", None, &[]);
        }
        findings.leave_out();
        return;
    };
    let name = |item: &Value| {
        let own = ["identity", "device", "id", "name"]
            .iter()
            .find_map(|key| item[*key].as_str());
        own.unwrap_or("?").to_owned()
    };
    let names: Vec<String> = items.iter().map(name).collect();
    if !names.is_empty() {
        let (count, ids) = (names.len(), named(&names));
        findings.say("knocking", None, &[("count", &count), ("ids", &ids)]);
    }
}
