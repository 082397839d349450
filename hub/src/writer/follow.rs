//! Tells the cases what becomes of their alarms. Whether a violation is still measured is a fact of
//! the engine, whatever people are shown of the alarm.

use super::{Staged, Writer};
use model::{AlarmRow, AlarmState, CaseEvidence, CaseReading, CaseRow, Suppression, Timestamp};
use rules::{AlarmEnd, AlarmEvent, AlarmNews, CaseEvent, Change, Condition};
use store::Group;

impl Writer {
    /// Lets the cases know of what happened to an alarm, and notes the alarm's case in its row.
    pub(super) fn follow_alarm(
        &mut self,
        staged: &mut Staged,
        now: Timestamp,
        event: &mut AlarmEvent,
    ) -> Vec<CaseEvent> {
        if event.row.shadow {
            return Vec::new();
        }
        if event.row.case.is_none() {
            let known = self.cases.book.of_alarm(&event.row.id);
            event.row.case = known.map(|case| case.id.clone());
        }
        if event.row.case.is_some() {
            let told = self.tell_case_of(staged, now, event);
            return told.into_iter().collect();
        }
        if !event.row.active || event.row.verdict.is_some() {
            return Vec::new();
        }
        let mut told = self.find_case(staged, now, event);
        let known = self.cases.book.of_alarm(&event.row.id);
        event.row.case = known.map(|case| case.id.clone());
        let Some(case) = event.row.case.clone() else {
            return told;
        };
        self.book.set_case(&event.row.id, &case);
        told.extend(self.adopt_members(staged, (now, event.at), &event.row, &case));
        told
    }

    /// Opens a case for an alarm that people are shown; one that they are not shown only joins the
    /// open case that it repeats, or that of the composite which explains it.
    fn find_case(&mut self, staged: &Staged, now: Timestamp, event: &AlarmEvent) -> Vec<CaseEvent> {
        let row = &event.row;
        let is_shown = matches!(
            row.state,
            AlarmState::ActiveUnacked | AlarmState::ActiveAcked
        );
        let mut kin: Vec<String> = Vec::new();
        if let Some(composite) = self.engine.composite(&row.rule) {
            let members = self.book.members(row, composite);
            kin.extend(members.iter().map(|member| member.id.clone()));
        }
        let composites = self.engine.composites_of(&row.rule);
        let others = self.book.kin(row, &composites).into_iter();
        kin.extend(others.map(|other| other.id.clone()));
        if let Some(class) = self.cases.codes.classify(row) {
            let repeat = class.repeat;
            let case = self.new_case(staged, (now, event.at), row, class);
            if is_shown {
                return self.cases.book.open(now, case, repeat, &kin);
            }
            let joined = self.cases.book.join(now, &case, repeat, &kin);
            if joined.is_some() {
                return joined.into_iter().collect();
            }
        }
        let explained = row.suppression == Some(Suppression::Composite);
        let above = row.suppressed_by.as_deref().filter(|_| explained);
        let case = above.and_then(|above| self.cases.book.of_alarm(above));
        let Some(case) = case.map(|case| case.id.clone()).filter(|_| !is_shown) else {
            return Vec::new();
        };
        let adopted = self.adopt((now, event.at), row, &case);
        adopted.into_iter().collect()
    }

    /// Takes the alarms of which a composite is made into its case, announced or not.
    fn adopt_members(
        &mut self,
        staged: &mut Staged,
        times: (Timestamp, Timestamp),
        alarm: &AlarmRow,
        case: &str,
    ) -> Vec<CaseEvent> {
        let Some(composite) = self.engine.composite(&alarm.rule) else {
            return Vec::new();
        };
        let members = self.book.members(alarm, composite).into_iter();
        let members: Vec<AlarmRow> = members.cloned().collect();
        let mut told = Vec::new();
        for member in members {
            let adopted = self.adopt(times, &member, case);
            if adopted.is_some() {
                self.book.set_case(&member.id, case);
                staged.moved.extend(rules::alarm_number(&member.id));
            }
            told.extend(adopted);
        }
        told
    }

    fn adopt(
        &mut self,
        (now, at): (Timestamp, Timestamp),
        alarm: &AlarmRow,
        case: &str,
    ) -> Option<CaseEvent> {
        let new = CaseRow {
            alarm: alarm.id.clone(),
            rule: alarm.rule.clone(),
            device: alarm.device.to_string(),
            severity: alarm.severity,
            evidence: self.evidence_of(alarm, at),
            ..self.cases.book.get(case)?.clone()
        };
        self.cases.book.adopt(now, case, &new)
    }

    /// Tells the case of an alarm how the alarm goes on. The hub closes no case.
    fn tell_case_of(
        &mut self,
        staged: &Staged,
        now: Timestamp,
        event: &AlarmEvent,
    ) -> Option<CaseEvent> {
        let row = &event.row;
        match event.kind {
            "withdrawn" => {
                let id = &row.id;
                let note = format!("alarm {id} was withdrawn: later data show no violation");
                let told = ("withdrawn", note.as_str());
                self.cases.book.alarm_judged(now, id, told, true)
            }
            "false_alarm" => {
                let said = row.note.as_deref().unwrap_or_default();
                let note = format!("alarm {} was found to be false: {said}", row.id);
                let told = ("false_alarm", note.as_str());
                self.cases.book.alarm_judged(now, &row.id, told, false)
            }
            _ if !row.active => {
                let news = self.news(row, row.cleared_at.unwrap_or(event.at));
                let end = self.end_of(staged, now, row);
                self.cases.book.alarm_ended(now, &news, end)
            }
            "escalated" | "deescalated" | "amended" => {
                let news = self.news(row, event.at);
                let is_amended = event.kind == "amended";
                self.cases.book.alarm_moved(now, &news, is_amended)
            }
            _ => None,
        }
    }

    fn end_of(&self, staged: &Staged, now: Timestamp, row: &AlarmRow) -> AlarmEnd {
        if let Some(end) = self.doubt(staged, now, row) {
            return end;
        }
        if row.suppression == Some(Suppression::Chatter) {
            AlarmEnd::Chattered
        } else {
            AlarmEnd::Measured
        }
    }

    /// Notes the figures of an alarm in its case; an event tells of a new peak within a minute.
    pub(super) fn note_figures(&mut self, group: &Group, staged: &mut Staged, change: &Change) {
        let id = rules::alarm_id(change.alarm);
        let case = self.note_moved(group.stamp(), &id, change.at);
        staged.moved_cases.extend(case);
    }

    /// Notes the figures of an alarm as they are in its row; gives the case.
    pub(super) fn note_moved(
        &mut self,
        now: Timestamp,
        alarm: &str,
        at: Timestamp,
    ) -> Option<String> {
        let case = self.cases.book.of_alarm(alarm)?.id.clone();
        let row = self.book.get(alarm).filter(|row| row.active)?;
        let news = self.news(row, at);
        let is_noted = self.cases.book.figures_moved(now, &news);
        is_noted.then_some(case)
    }

    fn news<'a>(&self, row: &'a AlarmRow, at: Timestamp) -> AlarmNews<'a> {
        let source = self.source_of(row);
        AlarmNews {
            alarm: &row.id,
            severity: row.severity,
            figures: source.map(|source| self.evidence_of(source, at)),
            at,
        }
    }

    /// Gives the alarm whose reading says what an alarm is about: itself, or the member that
    /// completed a composite.
    pub(super) fn source_of<'a>(&'a self, row: &'a AlarmRow) -> Option<&'a AlarmRow> {
        match self.engine.composite(&row.rule) {
            Some(composite) => self.book.members(row, composite).pop(),
            // A composite whose rule is gone has no members any more.
            None => row.scope.is_none().then_some(row),
        }
    }

    pub(super) fn evidence_of(&self, alarm: &AlarmRow, at: Timestamp) -> CaseEvidence {
        let rule = self.engine.rule(&alarm.rule);
        let window_s = rule.and_then(|rule| match &rule.spec.condition {
            Condition::Window(spec) => Some(spec.window_s),
            Condition::Rate(spec) => Some(spec.window_s),
            _ => None,
        });
        let value = alarm.value;
        CaseEvidence {
            metric: alarm.metric.clone(),
            unit: alarm.unit.clone(),
            value,
            limit: alarm.limit,
            window_s,
            peak: alarm.peak,
            from: Some(alarm.raised_at),
            to: Some(at),
            readings: alarm.count,
            alarm: Some(alarm.id.clone()),
            severity: Some(alarm.severity),
            earlier_readings: 0,
            latest: Some(CaseReading { value, at }),
        }
    }

    /// Gives what was measured when an alarm opens a case.
    pub(super) fn first_evidence(&self, alarm: &AlarmRow, at: Timestamp) -> CaseEvidence {
        match self.source_of(alarm) {
            Some(source) => self.evidence_of(source, at),
            None => CaseEvidence {
                from: Some(alarm.raised_at),
                to: Some(at),
                alarm: Some(alarm.id.clone()),
                severity: Some(alarm.severity),
                ..CaseEvidence::default()
            },
        }
    }
}
