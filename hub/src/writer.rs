//! The one task that commits.
//!
//! It takes everything that waits, stamps it, runs the rules, puts readings, alarms, events and
//! audit to disk in one transaction with one fsync, and only then answers. Whatever it changes in
//! memory before the commit is lost with the process if the commit fails, so memory never
//! outlives disk.

mod act;
mod announce;
mod canary;
mod carry_out;
mod cases;
mod configured;
mod doubt;
mod follow;
mod handover;
mod health;
mod latest;
mod mirrored;
mod moved;
mod proposed;
mod quality;
mod rebuild;
mod recorded;
mod recover;
mod refused;
mod step;
mod storage;
mod subscribe;
mod take;
mod tempo;
mod traced;

pub(crate) use canary::{CANARY, METRIC as CANARY_METRIC, Verdict};
pub use cases::CaseSetup;
pub(crate) use configured::file_mark;
pub(crate) use health::OWN as OWN_RULES;
pub use recorded::Recorded;
pub use recover::{Opened, Setup, open};
pub use storage::Thresholds;

use crate::config::ApprovalConfig;
use crate::shifts::Shifts;
use carry_out::record;
use model::{AlarmRow, Catalogue, DeviceHealth, DeviceKey, Timestamp};
use rules::{AlarmBook, CaseCounts, Change, Engine, Rule};
use sdk::{
    Clock, CommandError, DeviceEntry, Devices, Done, Intake, Mark, Pending, PendingCommand,
    PendingSession, Quotas, Receipt, Request,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use store::{Group, Journal, Reader, StoreError};
use subscribe::keep_session;
use tokio::sync::watch;
use tokio::time::Instant;
use web::{
    HandoverDraft, Handovers, Knocks, MovedCases, Pace, Proposal, Roll, RuleEntry, RuleList,
    Statuses, Subscriber, Subscribers,
};

/// Requests that one commit takes at most, so that a flood does not delay its own first answers.
const GROUP_REQUESTS_MAX: usize = 256;

/// Readings after which a group is committed though more requests wait: the answers to the first
/// should not wait for the last of a flood.
const GROUP_READINGS_MAX: usize = 16_384;

/// A hub that was away for longer than this says so: as long as it may be idle without a commit.
const AWAY_MS: i64 = 1_000;

/// Housekeeping happens at least this often.
const TICK: Duration = Duration::from_secs(1);

/// What the readers of the hub's state see; changed only after a commit.
#[derive(Clone, Debug)]
pub struct Published {
    pub devices: Devices,
    pub statuses: Statuses,
    pub book: Arc<RwLock<Roll>>,
    /// How many cases are open.
    pub cases: Arc<RwLock<CaseCounts>>,
    /// Cases whose figures moved since their row was written.
    pub moved_cases: MovedCases,
    pub rules: RuleList,
    pub pace: Pace,
    pub knocks: Knocks,
    /// How fast devices may speak.
    pub quotas: Quotas,
    /// What the rule of the hub's own test sensor said last.
    pub(crate) canary: watch::Receiver<Verdict>,
    /// Counts the rounds that came to their end, at least one a second: the heart of the hub.
    pub(crate) rounds: watch::Sender<u64>,
    pub subscribers: Subscribers,
    /// The handover that is being prepared.
    pub handovers: Handovers,
}

/// Which device times can be true, and which are late.
#[derive(Copy, Clone, Debug)]
pub struct Times {
    pub lateness_s: u32,
    pub oldest: Timestamp,
    pub ahead_max_s: u32,
}

/// The writer: the only owner of the journal, the engine and the alarms.
#[derive(Debug)]
pub struct Writer {
    journal: Journal,
    reader: Reader,
    engine: Engine,
    book: AlarmBook,
    cases: cases::CaseDesk,
    published: Published,
    catalogue: Arc<Catalogue>,
    shifts: Shifts,
    grids: crate::grid::Grids,
    clock: Clock,
    times: Times,
    approval: ApprovalConfig,
    mark: watch::Sender<Mark>,
    urgent: watch::Sender<u64>,
    last_stamp: Timestamp,
    last_event: u64,
    /// Alarms whose figures moved since their row was last written.
    unwritten: HashSet<u64>,
    refused: refused::Book,
    ward: health::Ward,
    trails: quality::Trails,
    /// The hub's own rules, where those in force are others.
    own_rules: Vec<Rule>,
    canary: watch::Sender<Verdict>,
    storage: storage::Storage,
    /// The hub's own test sensor is wanted, and not registered yet.
    lacks_canary: bool,
    /// Up to when the hub ran before it was started, until that is recorded.
    ran_until: Option<Timestamp>,
    /// The last group is committed though it is empty: its stamp says until when the hub ran.
    is_leaving: bool,
    changes: Vec<Change>,
    ways: traced::Ways,
}

/// What a group will show to the readers once it is on disk.
#[derive(Debug, Default)]
struct Staged {
    devices: HashMap<DeviceKey, Option<DeviceEntry>>,
    health: HashMap<DeviceKey, Option<DeviceHealth>>,
    latest: latest::Latest,
    rules: HashMap<String, Option<Rule>>,
    /// What is proposed for a rule, or that nothing is any more.
    proposals: HashMap<String, Option<Proposal>>,
    subscribers: BTreeMap<String, Option<Subscriber>>,
    handover: Option<HandoverDraft>,
    /// Alarms that got a new row, by id; `normal` ones leave the book.
    rows: BTreeMap<String, AlarmRow>,
    /// Alarms of which only the figures moved.
    moved: HashSet<u64>,
    /// A flood of alarms began or ended.
    flood: bool,
    /// The last event that people must hear of at once.
    urgent: Option<u64>,
    /// Cases that got a new row, and those of which only the figures moved.
    told_cases: HashSet<String>,
    moved_cases: HashSet<String>,
    /// New readings of devices of which something is in doubt.
    samples: Vec<doubt::Sample>,
    canary: Option<Verdict>,
    answers: Vec<(PendingCommand, Result<Done, CommandError>)>,
    receipts: Vec<(Pending, Receipt)>,
    /// Messages whose way is recorded.
    ways: Vec<traced::Way>,
    sessions: Vec<PendingSession>,
    /// How many values were put in quarantine.
    quarantined: u32,
    idempotent: HashMap<String, serde_json::Value>,
}

impl Writer {
    /// Commits until the last sender of the queue is gone, then closes the journal.
    pub async fn run(mut self, mut intake: Intake) -> Result<(), StoreError> {
        self = Self::blocking(self, |writer| writer.commit_group(Vec::new())).await?;
        loop {
            let mut requests = Vec::with_capacity(GROUP_REQUESTS_MAX);
            let taken = tokio::select! {
                biased;
                taken = intake.requests.recv_many(&mut requests, GROUP_REQUESTS_MAX) => taken,
                () = tokio::time::sleep(self.pause()) => usize::MAX,
            };
            for group in groups(requests) {
                self = Self::blocking(self, move |writer| writer.commit_group(group)).await?;
                self.published.rounds.send_modify(|rounds| *rounds += 1);
            }
            if taken == 0 {
                self.is_leaving = true;
                self = Self::blocking(self, |writer| writer.commit_group(Vec::new())).await?;
                return self.journal.close();
            }
        }
    }

    async fn blocking(
        mut self,
        work: impl FnOnce(&mut Self) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let worked = tokio::task::spawn_blocking(move || work(&mut self).map(|()| self)).await;
        worked.unwrap_or_else(|panic| Err(StoreError::Broken(format!("the writer: {panic}"))))
    }

    /// Waits for the next deadline of a rule or alarm, but never past the next housekeeping.
    fn pause(&self) -> Duration {
        let of_rules = self.engine.next_deadline();
        let deadlines = [
            of_rules.filter(|_| !self.storage.is_full()),
            self.book.next_deadline(),
            self.cases.book.next_deadline(),
            self.overdue_at(),
        ];
        let Some(deadline) = deadlines.into_iter().flatten().min() else {
            return TICK;
        };
        let wait_ms = deadline.since_ms(self.clock.now()).max(1);
        TICK.min(Duration::from_millis(wait_ms.unsigned_abs()))
    }

    /// Stamps a group: never less than the last one, and more if it carries a command, so that a
    /// replay which takes commands first at each stamp finds the order that was live.
    fn stamp(&mut self, has_command: bool) -> Timestamp {
        let least = self.last_stamp.plus_ms(i64::from(has_command));
        self.last_stamp = self.clock.now().max(least);
        self.last_stamp
    }

    fn commit_group(&mut self, requests: Vec<Request>) -> Result<(), StoreError> {
        self.look_at_disk();
        let requests = self.turn_away(requests);
        if requests.is_empty() && self.rests() {
            let now = self.stamp(false);
            return self.keep_house(now);
        }
        let own_rules = std::mem::take(&mut self.own_rules);
        let ran_until = self.ran_until.take();
        let away_since = ran_until.filter(|since| self.clock.now().since_ms(*since) > AWAY_MS);
        let missed_since = away_since.or_else(|| self.deaf_since());
        let has_command = !own_rules.is_empty()
            || self.lacks_canary
            || missed_since.is_some()
            || requests
                .iter()
                .any(|request| matches!(request, Request::Command(_)));
        let now = self.stamp(has_command);
        self.run_rules(missed_since, now);
        let has_news = !self.changes.is_empty()
            || self.refused.has_news(now)
            || self.published.quotas.has_news()
            || self.is_due(now);
        if requests.is_empty() && !has_command && !has_news {
            return self.keep_house(now);
        }
        let mut group = self.journal.begin(now);
        let mut staged = Staged::default();
        if let Some(since) = missed_since {
            record(&mut group, &Recorded::Resumed { since });
            self.resume_book(&mut group, &mut staged, (since, now));
        }
        if let Some(since) = away_since {
            group.leave_sessions(since);
        }
        self.announce(&mut group, &mut staged, 0)?;
        self.advance_book(&mut group, &mut staged, now);
        self.advance_cases(&mut group, &mut staged, now);
        self.advance_handover(&mut group, &mut staged, now);
        self.advance_storage(&mut group, &mut staged, now);
        self.put_canary(&mut group, &mut staged, now);
        self.put_own_rules(&mut group, &mut staged, now, own_rules)?;
        let mut submissions = Vec::with_capacity(requests.len());
        for request in requests {
            match request {
                Request::Submit(pending) => submissions.push(pending),
                Request::MoveCursor { name, seq } => group.cursor(&name, seq),
                Request::KeepSession(pending) => keep_session(&mut group, &mut staged, pending),
                Request::Mirrored(word) => self.note_mirrored(&mut group, &word),
                Request::Delivered(word) => self.note_delivered(&mut group, &staged, word),
                Request::Command(pending) => {
                    let from = self.changes.len();
                    let answer = self.carry_out(&mut group, &mut staged, now, &pending.command)?;
                    self.announce(&mut group, &mut staged, from)?;
                    staged.answers.push((pending, answer));
                }
            }
        }
        let from = self.changes.len();
        for pending in submissions {
            let receipt = self.take_one(&mut group, &mut staged, &pending)?;
            staged.receipts.push((pending, receipt));
        }
        self.announce(&mut group, &mut staged, from)?;
        self.settle_doubts(&mut group, &mut staged);
        self.refused.write(&mut group, now);
        self.note_tempo(&mut group, now);
        group.changes_crc(rules::change_crc(&self.changes));
        let seq = self.put_to_disk(group)?;
        self.publish(seq, staged);
        self.keep_house(now)
    }

    fn put_to_disk(&mut self, group: Group) -> Result<u64, StoreError> {
        let begun = Instant::now();
        let seq = self.journal.commit(group)?;
        self.ways.committed = (begun, Instant::now());
        self.published.pace.committed(begun.elapsed());
        Ok(seq)
    }

    /// Shows a group to the readers and answers whoever waits for it: all of it is on disk.
    fn publish(&mut self, seq: u64, staged: Staged) {
        for (key, entry) in staged.devices {
            match entry {
                Some(entry) => self.published.devices.put([entry]),
                None => self.published.devices.remove(key),
            }
        }
        self.published.statuses.put(staged.health);
        if let Some(verdict) = staged.canary {
            self.canary.send_replace(verdict);
        }
        for (id, rule) in staged.rules {
            match rule {
                Some(rule) => self.published.rules.put(RuleEntry {
                    id,
                    revision: rule.revision,
                    spec: rule.spec.to_json(),
                }),
                None => self.published.rules.remove(&id),
            }
        }
        for (id, proposal) in staged.proposals {
            self.published.rules.propose(&id, proposal);
        }
        for (name, subscriber) in staged.subscribers {
            match subscriber {
                Some(subscriber) => self.published.subscribers.put(subscriber),
                None => self.published.subscribers.remove(&name),
            }
        }
        if let Some(draft) = staged.handover {
            self.published.handovers.put(draft);
        }
        self.publish_alarms(staged.rows, &staged.moved, staged.flood);
        self.publish_cases(&staged.told_cases, staged.moved_cases);
        self.unwritten.extend(staged.moved);
        let told = self.ways.remember(&staged.ways);
        self.mark.send_replace(Mark {
            commit: seq,
            event: self.last_event,
        });
        if let Some(urgent) = staged.urgent {
            self.urgent.send_replace(urgent);
        }
        staged
            .sessions
            .into_iter()
            .for_each(PendingSession::confirm);
        self.note_pace(&staged.receipts);
        for (pending, mut receipt) in staged.receipts {
            receipt.seq = seq;
            pending.confirm(receipt);
        }
        for (pending, answer) in staged.answers {
            pending.answer(answer.map(|done| Done { seq, ..done }));
        }
        self.ways.record(staged.ways, told, seq);
    }

    fn publish_alarms(&self, rows: BTreeMap<String, AlarmRow>, moved: &HashSet<u64>, flood: bool) {
        if rows.is_empty() && moved.is_empty() && !flood {
            return;
        }
        let mut book = self
            .published
            .book
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for row in rows.into_values() {
            book.put(row);
        }
        // After the rows of events, which show how it was then.
        for number in moved {
            if let Some(row) = self.book.get(&rules::alarm_id(*number)) {
                book.put(row.clone());
            }
        }
        book.show_flood(&self.book, self.last_stamp);
    }

    fn note_pace(&self, receipts: &[(Pending, Receipt)]) {
        let messages = receipts.iter().map(|(pending, _)| {
            let parts = pending.submission.parts.iter();
            let values = parts.map(|part| u64::from(part.received)).sum();
            (values, pending.waited())
        });
        self.published.pace.note(self.last_stamp, messages);
    }

    /// Seals what is due, after the figures of open alarms were written: what a checkpoint covers
    /// is not replayed.
    fn keep_house(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.journal.tick(now)?;
        // A seal makes files, and what it replaces stays as long as the file of the database does.
        if self.storage.is_full() || !self.journal.wants_seal(now) {
            return Ok(());
        }
        self.write_figures(now)?;
        self.journal.seal(self.engine.checkpoint())
    }

    fn write_figures(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let numbers = std::mem::take(&mut self.unwritten);
        let rows = numbers
            .into_iter()
            .filter_map(|number| self.book.get(&rules::alarm_id(number)));
        let mut group: Option<Group> = None;
        for row in rows {
            group
                .get_or_insert_with(|| self.journal.begin(now))
                .alarm(row);
        }
        for id in std::mem::take(&mut self.cases.unwritten) {
            if let Some(row) = self.cases.book.get(&id) {
                group
                    .get_or_insert_with(|| self.journal.begin(now))
                    .case(row);
            }
        }
        let Some(mut group) = group else {
            return Ok(());
        };
        group.changes_crc(0);
        let seq = self.journal.commit(group)?;
        self.mark.send_replace(Mark {
            commit: seq,
            event: self.last_event,
        });
        Ok(())
    }
}

/// Splits what was taken into commits of bounded size, in order; nothing makes one empty group.
fn groups(requests: Vec<Request>) -> Vec<Vec<Request>> {
    let mut groups = vec![Vec::with_capacity(requests.len())];
    let mut readings = 0;
    for request in requests {
        if readings >= GROUP_READINGS_MAX {
            groups.push(Vec::new());
            readings = 0;
        }
        if let Request::Submit(pending) = &request {
            readings += pending
                .submission
                .parts
                .iter()
                .map(|p| p.observations.len())
                .sum::<usize>();
        }
        if let Some(group) = groups.last_mut() {
            group.push(request);
        }
    }
    groups
}

#[cfg(test)]
mod tests;
