//! How the alarm came out when it was decided again, and where that differs from what is recorded.

use model::{AlarmRow, DeviceKey, Timestamp};
use rules::{Change, Figures, What};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One alarm as the engine told it again.
#[derive(Clone, Debug)]
pub(super) struct Told {
    raised_at: Timestamp,
    cleared_at: Option<Timestamp>,
    /// As it was raised.
    first: Figures,
    last: Figures,
    ended: Option<&'static str>,
    is_late: bool,
    is_amended: bool,
    is_withdrawn: bool,
}

/// Every alarm of one rule and device that the run told of.
pub(super) struct Account {
    rule: String,
    device: DeviceKey,
    /// Where a composite's alarms come together; another device may have completed it at first.
    place: Option<String>,
    raised_at: Timestamp,
    cleared_at: Option<Timestamp>,
    is_withdrawn: bool,
    told: BTreeMap<u64, Told>,
}

/// Names the place of a composite's alarm as the engine does.
pub(super) fn place_of(row: &AlarmRow) -> Option<String> {
    let scope = row.scope.as_deref()?;
    let name = match scope {
        "site" => row.site.as_deref(),
        "grid" => row.grid.as_deref(),
        _ => Some(row.device.as_str()),
    };
    Some(format!("{scope}:{}", name?))
}

impl Account {
    pub(super) fn of(row: &AlarmRow, device: DeviceKey) -> Self {
        Self {
            rule: row.rule.clone(),
            device,
            place: place_of(row),
            raised_at: row.raised_at,
            cleared_at: row.cleared_at,
            is_withdrawn: row.note.as_deref() == Some("withdrawn"),
            told: BTreeMap::new(),
        }
    }

    pub(super) fn take(&mut self, changes: &[Change]) {
        for change in changes {
            let is_here = change.device == self.device
                || (self.place.is_some() && change.scope.as_deref() == self.place.as_deref());
            if *change.rule == *self.rule && is_here {
                self.note(change);
            }
        }
    }

    fn note(&mut self, change: &Change) {
        let begin = |raised_at, cleared_at, figures, is_late| Told {
            raised_at,
            cleared_at,
            first: figures,
            last: figures,
            ended: None,
            is_late,
            is_amended: false,
            is_withdrawn: false,
        };
        match change.what {
            What::Raised(figures) => {
                let told = begin(change.at, None, figures, false);
                self.told.insert(change.alarm, told);
                return;
            }
            What::Recorded(outcome) => {
                let told = begin(outcome.raised_at, outcome.cleared_at, outcome.figures, true);
                self.told.insert(change.alarm, told);
                return;
            }
            _ => {}
        }
        let Some(told) = self.told.get_mut(&change.alarm) else {
            return;
        };
        match change.what {
            What::Escalated(figures) | What::Deescalated(figures) | What::Updated(figures) => {
                told.last = figures;
            }
            What::Cleared { reason, figures } => {
                told.last = figures;
                told.cleared_at = Some(change.at);
                told.ended = Some(reason.note().unwrap_or("the condition ended"));
            }
            What::Amended(outcome) => {
                told.raised_at = outcome.raised_at;
                told.cleared_at = outcome.cleared_at;
                told.last = outcome.figures;
                told.is_amended = true;
            }
            What::Withdrawn => told.is_withdrawn = true,
            _ => {}
        }
    }

    /// Finds the alarm: that of the same beginning, or else one that overlaps it.
    pub(super) fn found(&self) -> Option<&Told> {
        let same = |told: &&Told| {
            told.raised_at == self.raised_at && told.is_withdrawn == self.is_withdrawn
        };
        let overlaps = |told: &&Told| {
            !told.is_withdrawn
                && self
                    .cleared_at
                    .is_none_or(|cleared_at| told.raised_at <= cleared_at)
                && told
                    .cleared_at
                    .is_none_or(|cleared_at| cleared_at >= self.raised_at)
        };
        let told = || self.told.values();
        told().find(same).or_else(|| told().find(overlaps))
    }

    /// Compares with the row, as far as the row is final: an active alarm goes on.
    pub(super) fn differences(&self, row: &AlarmRow) -> Vec<Value> {
        let Some(told) = self.found() else {
            return Vec::new();
        };
        let mut differences = Vec::new();
        let mut compare = |what: &str, recorded: Value, again: Value| {
            if recorded != again {
                let line = json!({"what": what, "recorded": recorded, "again": again});
                differences.push(line);
            }
        };
        compare("raised_at", json!(row.raised_at), json!(told.raised_at));
        if told.is_withdrawn {
            return differences;
        }
        if row.active {
            compare("active", json!(true), json!(told.cleared_at.is_none()));
            return differences;
        }
        compare("cleared_at", json!(row.cleared_at), json!(told.cleared_at));
        compare("severity", json!(row.severity), json!(told.last.severity));
        compare("limit", json!(row.limit), json!(told.last.limit));
        compare("value", json!(row.value), json!(told.last.value));
        compare("peak", json!(row.peak), json!(told.last.peak));
        compare("count", json!(row.count), json!(told.last.count));
        differences
    }

    pub(super) fn decision(&self) -> Value {
        let Some(told) = self.found() else {
            return Value::Null;
        };
        json!({
            "raised_at": told.raised_at,
            "value": told.first.value,
            "limit": told.first.limit,
            "severity": told.first.severity,
            "count": told.first.count,
            "cleared_at": told.cleared_at,
            "ended_because": told.ended,
            "last": told.last,
            "late": told.is_late,
            "amended": told.is_amended,
            "withdrawn": told.is_withdrawn,
        })
    }
}

/// Says in words what a row's note means.
pub(super) fn words(row: &AlarmRow) -> Option<String> {
    let text = match row.note.as_deref()? {
        "withdrawn" => {
            "readings that came out of order, but in time, show that the condition never held long \
             enough: the alarm was taken back"
        }
        "amended" => "readings that came out of order, but in time, moved the alarm's times",
        "recorded from late data" => {
            "known from readings that came later than the lateness allows: it is history only and \
             never sounded"
        }
        "rule changed" | "rule removed" => {
            "it ended because its rule was edited or removed, not by its readings"
        }
        "device changed" | "device removed" => {
            "it ended because its device was edited or removed, not by its readings"
        }
        _ => return None,
    };
    Some(text.to_owned())
}
