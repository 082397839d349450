//! Turns the engine's changes into alarm rows and numbered events.

use super::{Staged, Writer};
use model::{AlarmRow, Severity, Timestamp};
use rules::{AlarmEvent, BookEvent, Change, FloodEvent, What, alarm_id};
use serde_json::json;
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
        let overtaken = rules::overtaken(changes.iter().skip(from));
        for (index, change) in changes.iter().skip(from).enumerate() {
            if overtaken.contains(&index) {
                continue;
            }
            let before = self.last_event;
            failed = self.announce_one(group, staged, change);
            if failed.is_err() {
                break;
            }
            if self.last_event > before && !staged.ways.is_empty() {
                self.note_told(staged, from + index, before);
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
        if self.note_canary(group, staged, change) {
            return Ok(());
        }
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
        if matches!(change.what, What::Updated(_)) {
            staged.moved.insert(change.alarm);
        }
        let facts = self.engine.facts(change);
        let mut told = Vec::new();
        self.book
            .apply(change, facts.as_ref(), &self.engine, &mut told);
        for event in told {
            self.tell(group, staged, event, None);
        }
        if matches!(change.what, What::Updated(_)) {
            self.note_figures(group, staged, change);
        }
        Ok(())
    }

    /// Lets the book leave out the time in which the hub did not run.
    pub(super) fn resume_book(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        (since, now): (Timestamp, Timestamp),
    ) {
        let mut told = Vec::new();
        self.book.resume((since, now), &self.engine, &mut told);
        for event in told {
            self.tell(group, staged, event, None);
        }
    }

    /// Lets the book do what is due by time alone.
    pub(super) fn advance_book(&mut self, group: &mut Group, staged: &mut Staged, now: Timestamp) {
        let mut told = Vec::new();
        self.book.advance(now, &self.engine, &mut told);
        for event in told {
            self.tell(group, staged, event, None);
        }
    }

    /// Puts what the book tells into the group: the row, and the event if there is one, with who
    /// acted and what they said.
    pub(super) fn tell(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        event: BookEvent,
        by: Option<(&str, Option<&str>)>,
    ) {
        match event {
            BookEvent::Alarm(event) => self.tell_alarm(group, staged, *event, by),
            BookEvent::Flood(flood) => {
                staged.flood = true;
                self.tell_flood(group, &flood);
            }
        }
    }

    fn tell_alarm(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        mut event: AlarmEvent,
        by: Option<(&str, Option<&str>)>,
    ) {
        let cases = self.follow_alarm(staged, group.stamp(), &mut event);
        if let Some(number) = event.number() {
            staged.moved.remove(&number);
            self.unwritten.remove(&number);
        }
        group.alarm(&event.row);
        if event.announced {
            let mut data = self.shown(staged, &event.row);
            if let (Some(fields), Some((actor, comment))) = (data.as_object_mut(), by) {
                fields.insert("actor".to_owned(), json!(actor));
                fields.insert("comment".to_owned(), json!(comment));
            }
            self.last_event = group.event(&NewEvent {
                kind: &format!("cityhub.alarm.{}", event.kind),
                subject: &event.row.id,
                severity: Some(event.row.severity),
                grid: event.row.grid.as_deref(),
                time: event.at,
                data: &data.to_string(),
            });
            let is_news = event.sounds() || event.kind == "escalated";
            if is_news && event.row.severity >= Severity::Major {
                staged.urgent = Some(self.last_event);
            }
        }
        staged.rows.insert(event.row.id.clone(), event.row);
        for event in cases {
            self.tell_case(group, staged, event);
        }
    }

    /// Writes an alarm as every list shows it, with the name and place of its device.
    pub(super) fn shown(&self, staged: &Staged, row: &AlarmRow) -> serde_json::Value {
        let entry = self.device_named(staged, &row.device);
        web::alarm_row(row, entry.as_ref().map(|entry| &entry.device))
    }

    fn tell_flood(&mut self, group: &mut Group, flood: &FloodEvent) {
        let data = json!({
            "since": flood.since,
            "ended_at": flood.ended.then_some(flood.at),
            "announced": flood.announced,
        });
        self.last_event = group.event(&NewEvent {
            kind: if flood.ended {
                "cityhub.flood.ended"
            } else {
                "cityhub.flood.began"
            },
            subject: "hub",
            severity: None,
            grid: None,
            time: flood.at,
            data: &data.to_string(),
        });
    }
}
