//! Which alarms can still be judged: those whose readings are kept.

use super::read_change;
use crate::writer::Recorded;
use anyhow::Result;
use model::{AlarmRow, Catalogue, Timestamp};
use std::collections::BTreeMap;
use store::{ChangeRow, Reader};

/// Days that a rule may look back at most, when nobody knows which one it was.
const REACH_UNKNOWN_S: i64 = 31 * 86_400;

/// From when on alarms can be decided again.
#[derive(Debug, Default)]
pub(super) struct Retained {
    /// What retention has taken of any metric ends here; `None` where it has taken nothing.
    pub(super) from: Option<Timestamp>,
    /// By rule.
    rules: BTreeMap<String, Option<Timestamp>>,
    /// Alarms that were raised before may be gone.
    alarms_from: Option<Timestamp>,
    /// Alarms that began before they can be judged, by rule and device, and when they ended.
    running: BTreeMap<(String, String), Timestamp>,
}

impl Retained {
    pub(super) fn of(
        reader: &Reader,
        catalogue: &Catalogue,
        (changes, lateness_s): (&[ChangeRow], u32),
    ) -> Result<Self> {
        let mut retained = Self {
            from: reader.kept_from(None),
            alarms_from: reader.alarms_kept_from()?,
            ..Self::default()
        };
        if retained.from.is_none() {
            return Ok(retained);
        }
        for row in changes {
            let Recorded::PutRule { id, spec, .. } = read_change(row)? else {
                continue;
            };
            let judged = match rules::parse_json(&id, &spec) {
                Ok(spec) => {
                    let metric = spec.metric().and_then(|name| catalogue.find(name));
                    let reach_s = web::reach_s(&spec, None, lateness_s);
                    let from = reader.kept_from(metric);
                    from.map(|from| from.plus_s(reach_s))
                }
                Err(_) => retained.from.map(|from| from.plus_s(REACH_UNKNOWN_S)),
            };
            let known = retained.rules.entry(id).or_default();
            *known = (*known).max(judged);
        }
        Ok(retained)
    }

    /// Notes the alarms that began too early to be judged and went on.
    pub(super) fn look_at(&mut self, recorded: &[AlarmRow]) {
        if self.from.is_none() {
            return;
        }
        for row in recorded {
            if self.is_judged(&row.rule, row.raised_at) {
                continue;
            }
            let whose = (row.rule.clone(), row.device.as_str().to_owned());
            let until = row.cleared_at.unwrap_or(Timestamp::MAX);
            let known = self.running.entry(whose).or_insert(until);
            *known = (*known).max(until);
        }
    }

    /// Tells whether all that an alarm of this rule rests on is kept.
    pub(super) fn is_judged(&self, rule: &str, raised_at: Timestamp) -> bool {
        if self.alarms_from.is_some_and(|from| raised_at < from) {
            return false;
        }
        let of_rule = self.rules.get(rule);
        let from = match of_rule {
            Some(from) => *from,
            None => self.from.map(|from| from.plus_s(REACH_UNKNOWN_S)),
        };
        from.is_none_or(|from| raised_at >= from)
    }

    /// Tells whether an alarm of the replay can be compared: it may be the rest of one that began
    /// when readings were kept that are gone.
    pub(super) fn is_comparable(&self, rule: &str, device: &str, raised_at: Timestamp) -> bool {
        let whose = (rule.to_owned(), device.to_owned());
        let is_rest = self
            .running
            .get(&whose)
            .is_some_and(|until| raised_at <= *until);
        self.is_judged(rule, raised_at) && !is_rest
    }
}
