//! Which alarms are one incident: those of a composite, and of the rules that it is made of.

use super::cause::is_under;
use super::row::is_on_trial;
use super::{AlarmBook, Scope};
use model::AlarmRow;

/// A composite as its alarms come together.
#[derive(Copy, Clone, Debug)]
pub struct Composite<'a> {
    pub rule: &'a str,
    pub of: &'a [String],
    pub scope: Scope,
}

impl AlarmBook {
    /// Gives the active alarms of which an alarm of a composite is made, whether they are shown or
    /// not; the last is the one that completed it.
    pub fn members(&self, alarm: &AlarmRow, composite: Composite<'_>) -> Vec<&AlarmRow> {
        let mut members: Vec<&AlarmRow> = composite
            .of
            .iter()
            .flat_map(|rule| self.active_of(rule))
            .filter(|row| is_under(row, alarm, (composite.rule, composite.scope)))
            .collect();
        members.sort_by_key(|row| (row.device == alarm.device, row.raised_at, number(row)));
        members
    }

    /// Gives the active alarms that are part of one incident with an alarm: of the composites that
    /// its rule is a member of, and on the same device those of their other members.
    pub fn kin(&self, alarm: &AlarmRow, composites: &[Composite<'_>]) -> Vec<&AlarmRow> {
        let mut kin = Vec::new();
        for composite in composites {
            let above = self.active_of(composite.rule);
            kin.extend(above.filter(|row| is_under(alarm, row, (composite.rule, composite.scope))));
            let beside = composite.of.iter().filter(|rule| **rule != alarm.rule);
            kin.extend(beside.flat_map(|rule| {
                let numbers = self.index.of_source(&(rule.clone(), alarm.device.clone()));
                let rows = numbers
                    .into_iter()
                    .filter_map(|number| self.rows.get(&number));
                rows.filter(|row| row.active && !is_on_trial(row))
            }));
        }
        kin
    }

    fn active_of(&self, rule: &str) -> impl Iterator<Item = &AlarmRow> {
        let numbers = self.index.of_rule(rule).into_iter();
        let rows = numbers.filter_map(|number| self.rows.get(&number));
        rows.filter(|row| row.active && !is_on_trial(row))
    }
}

fn number(row: &AlarmRow) -> Option<u64> {
    super::alarm_number(&row.id)
}
