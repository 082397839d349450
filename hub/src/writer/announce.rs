//! Turns the engine's changes into alarm rows and numbered events.

use super::{Staged, Writer};
use model::AlarmRow;
use rules::{AlarmEvent, Change, Facts, What, alarm_id};
use std::collections::{HashMap, HashSet};
use store::{Group, NewEvent, StoreError};

impl Writer {
    /// Announces the changes from index `from` on, in their order.
    pub(super) fn announce(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        from: usize,
    ) -> Result<(), StoreError> {
        let changes = std::mem::take(&mut self.changes);
        let mut failed = Ok(());
        let overtaken = overtaken(changes.iter().skip(from));
        for (index, change) in changes.iter().skip(from).enumerate() {
            if overtaken.contains(&index) {
                continue;
            }
            failed = self.announce_one(group, staged, change);
            if failed.is_err() {
                break;
            }
        }
        self.changes = changes;
        failed
    }

    fn announce_one(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        change: &Change,
    ) -> Result<(), StoreError> {
        // The hub's own rules say how devices are, and raise no alarms.
        if self.note_health(group, staged, change) {
            return Ok(());
        }
        if self.book.lacks(change) {
            let id = alarm_id(change.alarm);
            let left = staged.rows.get(&id).cloned();
            if let Some(row) = left.map_or_else(|| self.reader.alarm(&id), |row| Ok(Some(row)))? {
                self.book.recall(row);
            }
        }
        let Some(entry) = self.device(staged, change.device) else {
            tracing::error!(
                alarm = change.alarm,
                "an alarm of a device that is not registered"
            );
            return Ok(());
        };
        let rule = self.engine.rule(&change.rule);
        let metric = change.metric.and_then(|key| self.catalogue.def(key));
        let facts = Facts {
            device: &entry.device,
            grid: entry.grid.as_deref(),
            title: rule.map_or(change.rule.as_ref(), |rule| rule.spec.title.as_str()),
            category: rule.and_then(|rule| rule.spec.category.as_deref()),
            metric: metric.map(|def| def.name.as_str()),
            unit: rule.and_then(|rule| rule.spec.unit(&self.catalogue)),
        };
        match self.book.apply(change, &facts) {
            Some(event) => {
                staged.moved.remove(&change.alarm);
                self.unwritten.remove(&change.alarm);
                self.write_event(group, staged, change, event);
            }
            None => {
                if matches!(change.what, What::Updated(_)) {
                    staged.moved.insert(change.alarm);
                }
            }
        }
        Ok(())
    }

    fn write_event(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        change: &Change,
        event: AlarmEvent,
    ) {
        group.alarm(&event.row);
        if event.announced {
            let data = row_json(&event.row).to_string();
            self.number(group, &event, change.at, &data);
        }
        staged.rows.insert(event.row.id.clone(), event.row);
    }

    /// Numbers an event of an alarm and puts it into the group.
    pub(super) fn number(
        &mut self,
        group: &mut Group,
        event: &AlarmEvent,
        time: model::Timestamp,
        data: &str,
    ) {
        self.last_event = group.event(&NewEvent {
            kind: &format!("cityhub.alarm.{}", event.kind),
            subject: &event.row.id,
            severity: Some(event.row.severity),
            grid: event.row.grid.as_deref(),
            time,
            data,
        });
    }
}

/// Finds the amendments that a later one of the same alarm in the same commit replaces: a gateway
/// that delivers a hundred delayed readings at once amends an alarm once, not a hundred times.
fn overtaken<'a>(changes: impl Iterator<Item = &'a Change>) -> HashSet<usize> {
    let mut last: HashMap<u64, usize> = HashMap::new();
    let mut overtaken = HashSet::new();
    for (index, change) in changes.enumerate() {
        match change.what {
            What::Amended(_) => {
                overtaken.extend(last.insert(change.alarm, index));
            }
            _ => drop(last.remove(&change.alarm)),
        }
    }
    overtaken
}

pub(super) fn row_json(row: &AlarmRow) -> serde_json::Value {
    serde_json::to_value(row).expect("an alarm row is plain data")
}
