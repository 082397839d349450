//! Rules that do not compile, that are not there, and devices that none of them watches.

use crate::doctor::finding::Findings;
use crate::doctor::scene::Scene;
use model::Device;
use rules::{RuleError, RuleSpec, Targets};
use std::collections::BTreeMap;

pub(super) fn compile(scene: &Scene<'_>, findings: &mut Findings) {
    let flag = scene.config_flag();
    match &scene.standing {
        Some(Err(error)) => {
            let Some(error) = error
                .chain()
                .find_map(|cause| cause.downcast_ref::<RuleError>())
            else {
                return;
            };
            say_rule(findings, "wrong", error, &flag);
        }
        Some(Ok(standing)) => {
            for error in standing.rules.unknown_categories(&standing.codes) {
                say_rule(findings, "unroutable", &error, &flag);
            }
            let rules = in_force(scene);
            if !rules.iter().any(|rule| rule.enabled) {
                findings.say("none", None, &[]);
            }
        }
        None => {}
    }
}

fn say_rule(findings: &mut Findings, outcome: &'static str, error: &RuleError, flag: &str) {
    let rule = error.rule.as_deref().unwrap_or("?");
    let place = match (&error.file, error.line) {
        (Some(file), Some(line)) => Some(format!("{file}:{line}")),
        (file, _) => file.clone(),
    };
    findings.say(
        outcome,
        place,
        &[("rule", &rule), ("reason", &error.reason), ("flag", &flag)],
    );
}

/// Those of the data directory, which the console may have changed; before the first start those of
/// the configuration.
fn in_force(scene: &Scene<'_>) -> Vec<RuleSpec> {
    let kept = scene.surveyed().map(|survey| {
        let specs = survey
            .rules
            .iter()
            .map(|rule| rules::parse_json(&rule.id, &rule.spec));
        specs.filter_map(Result::ok).collect::<Vec<_>>()
    });
    match (kept, &scene.standing) {
        (Some(kept), _) if !kept.is_empty() => kept,
        (_, Some(Ok(standing))) => standing.rules.rules.values().cloned().collect(),
        _ => Vec::new(),
    }
}

pub(super) fn coverage(scene: &Scene<'_>, findings: &mut Findings) {
    let rules = in_force(scene);
    let (Some(survey), true) = (scene.surveyed(), rules.iter().any(|rule| rule.enabled)) else {
        findings.leave_out();
        return;
    };
    // How many there are of each kind, and whether a rule watches any of them.
    let mut kinds: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for stored in &survey.devices {
        let device = &stored.device;
        let (count, is_watched) = kinds.entry(&device.kind).or_default();
        *count += 1;
        *is_watched |= rules
            .iter()
            .any(|rule| rule.enabled && watches(rule, device));
    }
    for (kind, (count, is_watched)) in kinds {
        // What is behind a gateway tells of it.
        if !is_watched && kind != "gateway" {
            findings.say("unwatched", None, &[("kind", &kind), ("count", &count)]);
        }
    }
}

fn watches(rule: &RuleSpec, device: &Device) -> bool {
    match &rule.targets {
        Targets::Devices(ids) => ids.contains(&device.id),
        Targets::Select(select) => {
            let is_of = |wanted: &Option<String>, own: Option<&str>| {
                wanted.as_deref().is_none_or(|wanted| own == Some(wanted))
            };
            is_of(&select.kind, Some(&device.kind))
                && is_of(&select.site, device.site.as_deref())
                && select
                    .tags
                    .iter()
                    .all(|(key, value)| device.tags.get(key) == Some(value))
        }
    }
}
