//! Takes people's actions, as the state × action table says.

use super::cause::End;
use super::index::source;
use super::row::{FALSE_ALARM, alarm_number, is_on_trial, leave_cause, leave_shelf, was_raised};
use super::verb::{Then, then};
use super::{ActError, Action, AlarmBook, Around, BookEvent, Scene, Verb};
use model::{AlarmRow, AlarmState, Timestamp};

impl AlarmBook {
    /// Takes an action; gives the alarm as it is then. The first event is that of the action
    /// itself, and the others are what follows from it.
    ///
    /// A comment becomes the row's note, after the name of who made it.
    pub fn act(
        &mut self,
        (now, around): (Timestamp, &dyn Around),
        id: &str,
        action: Action<'_>,
        out: &mut Vec<BookEvent>,
    ) -> Result<AlarmRow, ActError> {
        let number = alarm_number(id).ok_or(ActError::NotFound)?;
        let row = self.find(number, action.verb).ok_or(ActError::NotFound)?;
        let then = Self::judge(row, &action)?;
        let scene = &mut Scene {
            around,
            at: now,
            out,
        };
        let key = source(row);
        let state = row.state;
        let row = self.carry_out(number, &action, then, scene);
        match action.verb {
            // The shelf and the service are those of the rule and device, not of one episode.
            Verb::Unshelve | Verb::InService => {
                for other in self.index.of_source(&key) {
                    if self.rows.get(&other).is_some_and(|row| row.state == state) {
                        self.bring_back(other, action.verb.event(), scene);
                    }
                }
            }
            Verb::FalseAlarm | Verb::OutOfService => self.end_cause(id, End::Dismissed, scene),
            Verb::Ack | Verb::Shelve | Verb::Assign | Verb::Comment | Verb::Reset => {}
        }
        if row
            .as_ref()
            .is_some_and(|row| row.state == AlarmState::Normal)
        {
            self.end_cause(id, End::Left, scene);
        }
        row.ok_or(ActError::NotFound)
    }

    /// Finds the row: one that is over only to say something about it, and one that never was not
    /// at all.
    fn find(&self, number: u64, verb: Verb) -> Option<&AlarmRow> {
        let is_said = matches!(verb, Verb::Comment | Verb::FalseAlarm);
        let over = || self.left.iter().find(|(other, _)| *other == number);
        let over = || over().filter(|(_, row)| is_said && was_raised(row));
        let row = self.rows.get(&number);
        row.or_else(|| over().map(|(_, row)| row))
    }

    /// Tells whether the action can be taken, and what it makes of the state.
    fn judge(row: &AlarmRow, action: &Action<'_>) -> Result<Then, ActError> {
        action.check()?;
        if action.version.is_some_and(|version| version != row.version) {
            return Err(ActError::Stale {
                current: row.version,
            });
        }
        let then = then(row.state, action.verb);
        if then == Then::Refused || (action.verb == Verb::Reset && row.active) {
            return Err(ActError::Impossible {
                state: row.state,
                verb: action.verb,
            });
        }
        action.check_right(row.severity)?;
        Ok(then)
    }

    fn carry_out(
        &mut self,
        number: u64,
        action: &Action<'_>,
        then: Then,
        scene: &mut Scene<'_>,
    ) -> Option<AlarmRow> {
        let mut row = self.take(number)?;
        set_fields(&mut row, action, scene.at);
        let mut kind = action.verb.event();
        match then {
            Then::Refused | Then::Stays => {}
            Then::Becomes(state) => row.state = state,
            Then::Returns => {
                leave_shelf(&mut row);
                kind = self.come_back(&mut row, kind, scene);
            }
        }
        if row.state == AlarmState::OutOfService {
            leave_shelf(&mut row);
            leave_cause(&mut row);
        }
        scene.tell(kind, &mut row);
        self.keep(number, row.clone());
        Some(row)
    }

    /// Ends the shelf or the time out of service of one row: what is active sounds again.
    pub(super) fn bring_back(&mut self, number: u64, kind: &'static str, scene: &mut Scene<'_>) {
        if let Some(mut row) = self.take(number) {
            leave_shelf(&mut row);
            let kind = self.come_back(&mut row, kind, scene);
            scene.tell(kind, &mut row);
            self.keep(number, row);
        }
    }
}

/// Writes down who did what.
fn set_fields(row: &mut AlarmRow, action: &Action<'_>, now: Timestamp) {
    match action.verb {
        Verb::Ack | Verb::Reset => take_over(row, action),
        Verb::FalseAlarm => {
            take_over(row, action);
            row.verdict = Some(FALSE_ALARM.to_owned());
        }
        Verb::Shelve => {
            let minutes = i64::from(action.minutes.unwrap_or(1));
            row.shelved_until = Some(now.plus_s(minutes * 60));
            row.shelved_by = Some(action.actor.to_owned());
            row.shelve_reason = action.reason.map(str::to_owned);
            row.shelved_severity = Some(row.severity);
        }
        Verb::Assign => {
            row.owner = Some(action.owner.unwrap_or(action.actor).to_owned());
        }
        Verb::Unshelve | Verb::Comment | Verb::OutOfService | Verb::InService => {}
    }
    // With the name before it a comment can never be one of the notes that have a meaning.
    if let Some(comment) = action.comment.filter(|_| !is_on_trial(row)) {
        row.note = Some(format!("{}: {comment}", action.actor));
    }
}

fn take_over(row: &mut AlarmRow, action: &Action<'_>) {
    row.acked = true;
    row.owner.get_or_insert_with(|| action.actor.to_owned());
}
