//! Whether a rule applied to a device at all, and if not, why not.

use super::{Answer, recorded};
use crate::past::{Past, PutDevice, PutRule};
use model::{Device, Timestamp};
use rules::{Rule, Targets};
use serde_json::Value;
use std::collections::BTreeMap;

/// Gives the rule if it watched the device, or else the answer that says why it did not.
pub(super) fn apply(
    past: &Past,
    then: &BTreeMap<&str, (Timestamp, &PutRule)>,
    id: &str,
    device: &PutDevice,
    at: Timestamp,
) -> Result<Rule, Box<Answer>> {
    let Some(put) = recorded(then, id) else {
        return Err(no(id, None, false, not_there(past, id, at)));
    };
    let rule = match put.rule() {
        Ok(rule) => rule,
        Err(error) => {
            let because = format!("this version cannot read the rule any more: {error}");
            return Err(no(id, None, false, because));
        }
    };
    if let Some(because) = not_selected(&rule.spec.targets, &device.device) {
        return Err(no(id, Some(&rule), false, because));
    }
    if !rule.spec.enabled {
        let because = format!("the rule was disabled (revision {})", rule.revision);
        return Err(no(id, Some(&rule), true, because));
    }
    if !device.device.enabled {
        let because = format!(
            "device `{}` was disabled: no rule watches it",
            device.device.id
        );
        return Err(no(id, Some(&rule), true, because));
    }
    Ok(rule)
}

fn not_there(past: &Past, id: &str, at: Timestamp) -> String {
    let later = past.edits(id).find(|(stamp, _)| *stamp > at);
    match later {
        Some((stamp, _)) => format!("the rule did not exist then: it was put at {stamp}"),
        None => "the rule did not exist then: it had been removed".to_owned(),
    }
}

/// Says in what the device differs from what the rule selects.
fn not_selected(targets: &Targets, device: &Device) -> Option<String> {
    let select = match targets {
        Targets::Devices(ids) if ids.contains(&device.id) => return None,
        Targets::Devices(ids) => {
            return Some(format!(
                "the rule watches {} devices by name, and `{}` is none of them",
                ids.len(),
                device.id
            ));
        }
        Targets::Select(select) => select,
    };
    if let Some(kind) = select.kind.as_ref().filter(|kind| **kind != device.kind) {
        return Some(format!(
            "the rule watches kind `{kind}`, and `{}` is of kind `{}`",
            device.id, device.kind
        ));
    }
    if let Some(site) = &select.site
        && device.site.as_ref() != Some(site)
    {
        let own = device.site.as_deref().unwrap_or("no site");
        return Some(format!(
            "the rule watches site `{site}`, and `{}` belongs to {own}",
            device.id
        ));
    }
    select
        .tags
        .iter()
        .find_map(|(name, wanted)| match device.tags.get(name) {
            Some(own) if own == wanted => None,
            Some(own) => Some(format!(
                "the rule watches devices with tag {name} = {wanted}, and that of `{}` is {own}",
                device.id
            )),
            None => Some(format!(
                "the rule watches devices with tag {name} = {wanted}, and `{}` has no such tag",
                device.id
            )),
        })
}

fn no(id: &str, rule: Option<&Rule>, selected: bool, because: String) -> Box<Answer> {
    Box::new(Answer {
        rule: id.to_owned(),
        revision: rule.map(|rule| rule.revision),
        title: rule.map(|rule| rule.spec.title.clone()),
        kind: rule.map(|rule| rule.spec.condition.kind()),
        outcome: "does_not_apply",
        because,
        selected,
        enabled: rule.map(|rule| rule.spec.enabled),
        shadow: rule.map(|rule| rule.spec.shadow),
        schedule: Value::Null,
        readings: Vec::new(),
        look: Value::Null,
        limit: Value::Null,
        alarm: Value::Null,
    })
}
