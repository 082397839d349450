//! What cases learn of their alarms: that they begin, go on, end, or were none.

use super::book::{CaseBook, CaseEvent, Repeat, case_id, case_number, timer};
use super::doubt::{is_measured, settle_by_alarm};
use super::evidence::{How, measure};
use model::{CaseDoubt, CaseEvidence, CaseRow, Severity, Timestamp};

/// Alarms that one case names; a sensor that rings all year must not grow its case without end.
const ALARMS_MAX: usize = 1_000;

/// How an alarm of a case goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmNews<'a> {
    pub alarm: &'a str,
    pub severity: Severity,
    /// What was measured, as far as the alarm tells.
    pub figures: Option<CaseEvidence>,
    /// The time of the reading, or of the end.
    pub at: Timestamp,
}

/// How an alarm of a case ended.
#[derive(Clone, Debug, PartialEq)]
pub enum AlarmEnd {
    /// By its readings.
    Measured,
    /// By its readings, and it is one of a chatter: no event of its own.
    Chattered,
    /// Because its rule or device was changed or removed.
    Doubtful(CaseDoubt),
    /// The rule or device was changed, and the last reading is within the limits now.
    Redrawn(String),
}

impl CaseBook {
    /// Opens a case for an alarm, or attaches the alarm to the case that it repeats. The `id`, the
    /// `version` and what only the book knows are filled in by it. An alarm that is part of one
    /// incident with another (`kin`) of the case is no repeat.
    pub fn open(
        &mut self,
        now: Timestamp,
        mut row: CaseRow,
        repeat: Repeat,
        kin: &[String],
    ) -> Vec<CaseEvent> {
        let found = self.find_alike(&row, now, repeat);
        if let Some(number) = found.filter(|number| self.is_open(*number)) {
            let attached = self.change(now, number, |case| attach(case, &row, kin));
            return attached.into_iter().collect();
        }
        self.last_number += 1;
        let number = self.last_number;
        row.id = case_id(number);
        row.version = 1;
        row.alarms = vec![row.alarm.clone()];
        row.active_alarms = vec![row.alarm.clone()];
        row.violation = Some(true);
        let mut events = Vec::new();
        if let Some(before) = found {
            row.reopens = Some(case_id(before));
            events.extend(self.change(now, before, |old| {
                old.reopened_by = Some(case_id(number));
                true
            }));
        }
        self.keep(number, row.clone());
        let opened = CaseEvent {
            kind: "opened",
            row,
            at: now,
            announced: true,
        };
        events.insert(0, opened);
        events
    }

    /// Attaches an alarm that is not shown to people to the open case that it repeats, if there is
    /// one: whether the violation is measured does not depend on who is told of it.
    pub fn join(
        &mut self,
        now: Timestamp,
        row: &CaseRow,
        repeat: Repeat,
        kin: &[String],
    ) -> Option<CaseEvent> {
        let number = self.find_alike(row, now, repeat)?;
        self.join_number(now, number, row, kin)
    }

    /// Attaches an alarm that is not shown to people to this case, which is of the same incident.
    pub fn adopt(&mut self, now: Timestamp, case: &str, row: &CaseRow) -> Option<CaseEvent> {
        let kin = self.get(case)?.active_alarms.clone();
        self.join_number(now, case_number(case)?, row, &kin)
    }

    fn join_number(
        &mut self,
        now: Timestamp,
        number: u64,
        row: &CaseRow,
        kin: &[String],
    ) -> Option<CaseEvent> {
        if !self.is_open(number) || self.by_alarm.contains_key(&row.alarm) {
            return None;
        }
        self.change_quietly(now, number, |case| attach(case, row, kin))
    }

    /// Lets the case of an alarm know that the alarm goes on: its severity moved, or readings out of
    /// order amended it.
    pub fn alarm_moved(
        &mut self,
        now: Timestamp,
        news: &AlarmNews<'_>,
        amended: bool,
    ) -> Option<CaseEvent> {
        let number = self.open_case_of(news.alarm)?;
        let how = if amended { How::Amended } else { How::GoesOn };
        self.change(now, number, |row| {
            if amended && !row.active_alarms.iter().any(|known| known == news.alarm) {
                // Readings out of order show that it goes on.
                row.active_alarms.push(news.alarm.to_owned());
                row.violation = Some(true);
            }
            measure(row, news, how);
            true
        })
    }

    /// Lets the case of an alarm know of its figures, without an event; a new peak is told within a
    /// minute.
    pub fn figures_moved(&mut self, now: Timestamp, news: &AlarmNews<'_>) -> bool {
        let Some(number) = self.open_case_of(news.alarm) else {
            return false;
        };
        let Some(row) = self.rows.get_mut(&number) else {
            return false;
        };
        row.moved_at = Some(now);
        if measure(row, news, How::GoesOn) && row.untold_since.is_none() {
            if let Some(at) = timer(row, self.kept_s) {
                self.timers.remove(&(at, number));
            }
            row.untold_since = Some(now);
            if let Some(at) = timer(row, self.kept_s) {
                self.timers.insert((at, number));
            }
        }
        true
    }

    /// Lets the case of an alarm know that the alarm is over. That is evidence for 核实, and closes
    /// nothing.
    pub fn alarm_ended(
        &mut self,
        now: Timestamp,
        news: &AlarmNews<'_>,
        end: AlarmEnd,
    ) -> Option<CaseEvent> {
        let number = *self.by_alarm.get(news.alarm)?;
        let is_quiet = end == AlarmEnd::Chattered;
        let change = |row: &mut CaseRow| {
            let before = row.active_alarms.len();
            row.active_alarms.retain(|active| active != news.alarm);
            if row.active_alarms.len() == before {
                return false;
            }
            if row.state.is_open() {
                measure(row, news, How::Ends);
            }
            match end {
                AlarmEnd::Measured | AlarmEnd::Chattered => {}
                AlarmEnd::Redrawn(why) => row.note = Some(why),
                AlarmEnd::Doubtful(doubt) => {
                    row.note = Some(doubt.why.clone());
                    row.doubts.push(doubt);
                }
            }
            row.violation = is_measured(row);
            true
        };
        if is_quiet {
            self.change_quietly(now, number, change)
        } else {
            self.change(now, number, change)
        }
    }

    /// Lets the case of an alarm know what was found out about the alarm: that it was false, or that
    /// it never was. A false alarm is somebody's opinion: what is measured is measured. The case
    /// stays open.
    pub fn alarm_judged(
        &mut self,
        now: Timestamp,
        alarm: &str,
        (verdict, note): (&str, &str),
        never_was: bool,
    ) -> Option<CaseEvent> {
        let number = *self.by_alarm.get(alarm)?;
        self.change(now, number, |row| {
            if never_was {
                row.active_alarms.retain(|active| active != alarm);
                row.violation = is_measured(row);
            }
            row.verdict = Some(verdict.to_owned());
            row.note = Some(note.to_owned());
            true
        })
    }

    fn open_case_of(&self, alarm: &str) -> Option<u64> {
        let number = *self.by_alarm.get(alarm)?;
        self.is_open(number).then_some(number)
    }
}

/// Takes an alarm into an open case.
fn attach(row: &mut CaseRow, new: &CaseRow, kin: &[String]) -> bool {
    let is_of_one_incident = row.active_alarms.iter().any(|active| kin.contains(active));
    let goes_on = settle_by_alarm(row, new);
    if !is_of_one_incident && !goes_on {
        row.repeats = row.repeats.saturating_add(1);
    }
    if row.alarms.len() < ALARMS_MAX {
        row.alarms.push(new.alarm.clone());
    }
    row.active_alarms.push(new.alarm.clone());
    row.violation = Some(true);
    let news = AlarmNews {
        alarm: &new.alarm,
        severity: new.severity,
        figures: Some(new.evidence.clone()),
        at: new.evidence.to.unwrap_or(new.opened_at),
    };
    measure(row, &news, How::Begins);
    true
}
