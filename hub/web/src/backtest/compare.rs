//! What changes with other rules: alarms gained, lost and moved, by rule and by area.

use super::TestedAlarm;
use model::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// The area of a device whose place is in no grid.
const NO_GRID: &str = "none";

/// Counts of alarms of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub in_force: u64,
    pub tested: u64,
    pub same: u64,
    pub gained: u64,
    pub lost: u64,
    pub moved: u64,
}

/// The difference between the rules in force and those tested.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    pub total: Tally,
    pub by_rule: BTreeMap<String, Tally>,
    /// By unit grid code.
    pub by_grid: BTreeMap<String, Tally>,
    pub gained: Vec<TestedAlarm>,
    pub lost: Vec<TestedAlarm>,
    /// The same rule, device and metric, and at the same time, but not from the same beginning to
    /// the same end with the same severity: as in force, and as tested.
    pub moved: Vec<(TestedAlarm, TestedAlarm)>,
}

/// What two alarms must share to be compared: rule, device, metric.
type Group<'a> = (&'a str, &'a str, Option<&'a str>);

fn group(alarm: &TestedAlarm) -> Group<'_> {
    let row = &alarm.row;
    (&row.rule, row.device.as_str(), row.metric.as_deref())
}

fn is_same(a: &TestedAlarm, b: &TestedAlarm) -> bool {
    let of = |alarm: &TestedAlarm| {
        let row = &alarm.row;
        (row.raised_at, row.cleared_at, row.severity)
    };
    of(a) == of(b)
}

fn overlap(a: &TestedAlarm, b: &TestedAlarm) -> bool {
    let end = |alarm: &TestedAlarm| alarm.row.cleared_at.unwrap_or(Timestamp::MAX);
    a.row.raised_at <= end(b) && b.row.raised_at <= end(a)
}

/// Compares both sides.
pub(super) fn compare(in_force: &[TestedAlarm], tested: &[TestedAlarm]) -> Diff {
    let mut standing = HashMap::<Group<'_>, Vec<&TestedAlarm>>::new();
    for alarm in in_force {
        standing.entry(group(alarm)).or_default().push(alarm);
    }
    let mut diff = Diff::default();
    let mut rest = Vec::new();
    // What is the same on both sides first, so that it is not taken for moved.
    for alarm in tested {
        let others = standing.entry(group(alarm)).or_default();
        match others.iter().position(|other| is_same(other, alarm)) {
            Some(place) => {
                others.swap_remove(place);
                diff.count(alarm, |tally| {
                    tally.same += 1;
                    tally.in_force += 1;
                    tally.tested += 1;
                });
            }
            None => rest.push(alarm),
        }
    }
    for alarm in rest {
        let others = standing.entry(group(alarm)).or_default();
        others.sort_by_key(|other| other.row.raised_at);
        match others.iter().position(|other| overlap(other, alarm)) {
            Some(place) => {
                let other = others.remove(place);
                diff.moved.push((other.clone(), alarm.clone()));
                diff.count(alarm, |tally| {
                    tally.moved += 1;
                    tally.in_force += 1;
                    tally.tested += 1;
                });
            }
            None => {
                diff.gained.push(alarm.clone());
                diff.count(alarm, |tally| {
                    tally.gained += 1;
                    tally.tested += 1;
                });
            }
        }
    }
    for alarm in standing.into_values().flatten() {
        diff.lost.push(alarm.clone());
        diff.count(alarm, |tally| {
            tally.lost += 1;
            tally.in_force += 1;
        });
    }
    diff.lost.sort_by(|a, b| order(a).cmp(&order(b)));
    diff
}

fn order(alarm: &TestedAlarm) -> (Timestamp, Group<'_>) {
    (alarm.row.raised_at, group(alarm))
}

impl Diff {
    fn count(&mut self, alarm: &TestedAlarm, change: impl Fn(&mut Tally)) {
        let grid = alarm.row.grid.as_deref().unwrap_or(NO_GRID);
        change(&mut self.total);
        change(self.by_rule.entry(alarm.row.rule.clone()).or_default());
        change(self.by_grid.entry(grid.to_owned()).or_default());
    }

    /// Writes the difference with so many rows of each sort at most.
    pub fn to_json(&self, rows_max: usize) -> Value {
        let moved = self.moved.iter().take(rows_max);
        let moved = moved.map(|(in_force, tested)| json!({"in_force": in_force, "tested": tested}));
        json!({
            "against": "in_force",
            "same": self.total.same,
            "gained_total": self.total.gained,
            "lost_total": self.total.lost,
            "moved_total": self.total.moved,
            "total": self.total,
            "by_rule": self.by_rule,
            "by_grid": self.by_grid,
            "gained": self.gained.iter().take(rows_max).collect::<Vec<_>>(),
            "lost": self.lost.iter().take(rows_max).collect::<Vec<_>>(),
            "moved": moved.collect::<Vec<_>>(),
        })
    }
}
