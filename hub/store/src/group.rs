//! One group: everything that one fsync makes durable.

use crate::cell::{Cell, push_cells};
use crate::dedup::Staged;
use crate::error::Result;
use crate::ledger::Tally;
use crate::record::{Encoder, Observed};
use crate::statements::Op;
use crate::view::PartCount;
use crate::{
    Admission, CanaryEvent, Journal, NewEvent, ParkedEvent, StoredDevice, StoredHandover,
    StoredSession, StoredStatus, StoredSubscription,
};
use model::{AlarmRow, CaseRow, DeviceKey, Event, Reading, Reason, Timestamp};
use std::sync::Arc;

/// What will be committed together. Made by [`Journal::begin`], ended by [`Journal::commit`];
/// dropping one in between breaks the journal.
#[derive(Debug)]
pub struct Group {
    pub(crate) stamp: Timestamp,
    pub(crate) record: Encoder,
    pub(crate) parts: Vec<PartCount>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) ops: Vec<Op>,
    /// Messages of no device.
    pub(crate) refused: Vec<PartCount>,
    pub(crate) last_event: u64,
    source: Arc<str>,
    /// The current part's duplicates are written to the record when the part ends.
    duplicates: u32,
}

impl Group {
    pub(crate) fn new(
        stamp: Timestamp,
        last_event: u64,
        source: &Arc<str>,
        expected_bytes: usize,
    ) -> Self {
        Self {
            stamp,
            record: Encoder::new(stamp, expected_bytes),
            parts: Vec::new(),
            cells: Vec::with_capacity(expected_bytes / 8),
            ops: Vec::new(),
            refused: Vec::new(),
            last_event,
            source: Arc::clone(source),
            duplicates: 0,
        }
    }

    pub fn stamp(&self) -> Timestamp {
        self.stamp
    }

    pub(crate) fn staged(&self) -> Staged<'_> {
        Staged {
            parts: &self.parts,
            cells: &self.cells,
        }
    }

    /// Starts what came in for one device; `received` counts its values, good and bad.
    pub fn part(&mut self, driver: u16, device: DeviceKey, received: u32) {
        self.end_part();
        self.record.part(driver, device.0, received);
        self.parts.push(PartCount {
            driver,
            device: device.0,
            tally: Tally {
                received: received.into(),
                ..Tally::default()
            },
            cells: 0,
        });
    }

    pub(crate) fn end_part(&mut self) {
        if self.duplicates > 0 {
            self.record.duplicates(self.duplicates);
            self.duplicates = 0;
        }
    }

    /// Takes a reading of the current part, unless one of its series and device time is stored.
    ///
    /// Its received time becomes the group's stamp.
    pub fn observe(
        &mut self,
        journal: &mut Journal,
        reading: &Reading,
        late: bool,
    ) -> Result<Admission> {
        let series = reading.series;
        let observed = reading.observed_at.millis();
        let key = (series.device.0, series.metric.0, observed);
        let is_new = journal.admit(key, self.staged())?;
        let Some(part) = self
            .parts
            .last_mut()
            .filter(|part| part.device == series.device.0)
        else {
            return Err(journal.fail("a reading that is of no part".to_owned()));
        };
        if !is_new {
            part.tally.duplicate += 1;
            self.duplicates += 1;
            return Ok(Admission::Duplicate);
        }
        part.tally.stored += 1;
        part.tally.late += u64::from(late);
        let before = self.cells.len();
        let reading = Reading {
            received_at: self.stamp,
            ..*reading
        };
        push_cells(&reading, part.driver, late, &mut self.cells);
        part.cells += self.cells.len() - before;
        self.record.observation(&Observed {
            metric: series.metric,
            value: reading.value,
            quality: reading.quality,
            observed_at: reading.observed_at,
            late,
        });
        Ok(Admission::New)
    }

    /// Counts values of the current part that are not stored, and why.
    pub fn reject(&mut self, reason: &Reason, count: u32) {
        if let Some(part) = self.parts.last_mut() {
            part.tally.reject(reason, count.into());
            self.record.rejected(reason, count);
        }
    }

    /// Counts messages that were turned away before they could be decoded for a device.
    pub fn refuse(&mut self, driver: u16, reason: &Reason, count: u64) {
        self.record.refused(driver, reason, count);
        self.refused.push(PartCount::refused(driver, reason, count));
    }

    /// Records a command that was carried out, for the replay after a restart.
    pub fn command(&mut self, json: &str) {
        self.record.command(json);
    }

    /// Records the check sum over the engine's changes, for the replay after a restart.
    pub fn changes_crc(&mut self, crc: u32) {
        self.record.changes_crc(crc);
    }

    /// Numbers an event and writes its CloudEvents form.
    pub fn event(&mut self, event: &NewEvent<'_>) -> u64 {
        self.last_event += 1;
        let seq = self.last_event;
        self.ops.push(Op::Event {
            at: event.time,
            event: Event {
                seq,
                kind: event.kind.to_owned(),
                subject: event.subject.to_owned(),
                severity: event.severity,
                grid: event.grid.map(str::to_owned),
                json: crate::events::cloud_event(seq, &self.source, event),
            },
        });
        seq
    }

    /// Puts the canary's event, replacing the one before. It gets no number in the sequence.
    pub fn canary(&mut self, number: u64, event: &NewEvent<'_>) {
        self.ops.push(Op::Canary(CanaryEvent {
            number,
            after: self.last_event,
            json: crate::events::canary_event(number, &self.source, event),
        }));
    }

    /// Puts an alarm's row, replacing the one with its id.
    pub fn alarm(&mut self, row: &AlarmRow) {
        self.ops.push(Op::Alarm(Box::new(row.clone())));
    }

    /// Puts a case's row, replacing the one with its id. An id that is none of a case (`c1`, `c2` …)
    /// is not stored.
    pub fn case(&mut self, row: &CaseRow) {
        if let Some(number) = crate::cases::number_of(&row.id) {
            self.ops.push(Op::Case {
                number,
                row: Box::new(row.clone()),
            });
        }
    }

    pub fn put_device(&mut self, device: &StoredDevice) {
        self.ops.push(Op::PutDevice(Box::new(device.clone())));
    }

    /// Takes a device out of the register; its key and name stay known to history.
    pub fn delete_device(&mut self, key: DeviceKey) {
        self.ops.push(Op::DeleteDevice(key));
    }

    /// Puts what is known of a device's health, replacing what was known before.
    pub fn put_status(&mut self, status: StoredStatus) {
        self.ops.push(Op::PutStatus(status));
    }

    pub fn delete_status(&mut self, key: DeviceKey) {
        self.ops.push(Op::DeleteStatus(key));
    }

    pub fn put_rule(&mut self, id: &str, revision: u64, spec: &serde_json::Value) {
        self.ops.push(Op::PutRule {
            id: id.to_owned(),
            revision,
            spec: spec.to_string(),
        });
    }

    pub fn delete_rule(&mut self, id: &str) {
        self.ops.push(Op::DeleteRule(id.to_owned()));
    }

    /// Keeps what is proposed for a rule, replacing what was before.
    pub fn put_proposal(&mut self, id: &str, json: String) {
        self.ops.push(Op::PutProposal {
            id: id.to_owned(),
            json,
        });
    }

    pub fn delete_proposal(&mut self, id: &str) {
        self.ops.push(Op::DeleteProposal(id.to_owned()));
    }

    /// Keeps a change of the register or the rules for ever.
    pub fn change(&mut self, json: &str) {
        self.ops.push(Op::Change(json.to_owned()));
    }

    /// Adds a link to the audit chain; `detail` is JSON text.
    #[expect(
        clippy::too_many_arguments,
        reason = "the columns of one flat row, in the order of the table"
    )]
    pub fn audit(&mut self, actor: &str, role: &str, action: &str, subject: &str, detail: &str) {
        self.ops.push(Op::Audit {
            actor: actor.to_owned(),
            role: role.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
        });
    }

    /// Remembers how far a subscriber has come.
    pub fn cursor(&mut self, name: &str, seq: u64) {
        self.ops.push(Op::Cursor {
            name: name.to_owned(),
            seq,
        });
    }

    /// Puts a subscription, replacing the one of its name.
    pub fn put_subscription(&mut self, subscription: StoredSubscription) {
        self.ops.push(Op::PutSubscription(subscription));
    }

    /// Forgets a subscription with its cursor and what was parked for it.
    pub fn forget_subscription(&mut self, name: &str, cursor: &str) {
        self.ops.push(Op::DeleteSubscription {
            name: name.to_owned(),
            cursor: Some(cursor.to_owned()),
        });
    }

    /// Ends a subscription; its cursor and what was parked wait for it to come back.
    pub fn end_subscription(&mut self, name: &str) {
        self.ops.push(Op::DeleteSubscription {
            name: name.to_owned(),
            cursor: None,
        });
    }

    /// Keeps a session of a subscriber that comes and goes, replacing what was kept of it.
    pub fn keep_session(&mut self, session: StoredSession) {
        self.ops.push(Op::KeepSession(session));
    }

    /// Forgets what is kept of a session, and the cursor of its name.
    pub fn end_session(&mut self, name: &str) {
        self.ops.push(Op::EndSession(name.to_owned()));
    }

    /// Starts the expiry of every session that was open when the hub was lost.
    pub fn leave_sessions(&mut self, left_at: Timestamp) {
        self.ops.push(Op::LeaveSessions(left_at));
    }

    /// Sets an event aside that a subscriber refused.
    pub fn park(&mut self, name: &str, parked: ParkedEvent) {
        self.ops.push(Op::Park {
            name: name.to_owned(),
            parked: Box::new(parked),
        });
    }

    /// Marks parked events, or all of a subscriber's, to be sent again.
    pub fn send_again(&mut self, name: &str, seq: Option<u64>) {
        self.ops.push(Op::SendAgain {
            name: name.to_owned(),
            seq,
        });
    }

    /// Forgets a parked event, or all of a subscriber's.
    pub fn unpark(&mut self, name: &str, seq: Option<u64>) {
        self.ops.push(Op::Unpark {
            name: name.to_owned(),
            seq,
        });
    }

    /// Adds an entry to the shift log.
    pub fn shift_log(&mut self, actor: &str, kind: &str, text: &str) {
        self.ops.push(Op::ShiftLog {
            actor: actor.to_owned(),
            kind: kind.to_owned(),
            text: text.to_owned(),
        });
    }

    /// Puts a handover, replacing the one of its number.
    pub fn handover(&mut self, handover: StoredHandover) {
        self.ops.push(Op::Handover(Box::new(handover)));
    }

    /// Keeps a frame that could not be decoded, in a ring of the last 10,000.
    #[expect(
        clippy::too_many_arguments,
        reason = "the columns of one flat row, in the order of the table"
    )]
    pub fn quarantine(
        &mut self,
        driver: u16,
        device: Option<DeviceKey>,
        reason: &Reason,
        detail: &str,
        bytes: &[u8],
    ) {
        self.ops.push(Op::Quarantine {
            driver,
            device,
            reason: reason.clone(),
            detail: detail.to_owned(),
            bytes: bytes.to_owned(),
        });
    }

    /// Keeps the answer to a request for a day, for when the same request comes again.
    pub fn idempotency(&mut self, key: &str, response: &str) {
        self.ops.push(Op::Idempotency {
            key: key.to_owned(),
            response: response.to_owned(),
        });
    }
}
