//! Warns long before the disk is full, and takes nothing new before it is.
//!
//! While nothing is taken the engine stands still: who is not listened to is not silent. A commit
//! of that time, such as an officer's, says up to when the rules had come, as a start does after a
//! time in which the hub did not run; so a replay finds the same.

use super::{Staged, Writer};
use anyhow::Context as _;
use model::{Severity, Timestamp};
use sdk::Request;
use serde_json::Value;
use store::{Group, NewEvent, Outlook, Reader};
use web::{Health, StorageHealth, StorageState};

/// Whom the events are about.
const SUBJECT: &str = "storage";

const KIND: &str = "cityhub.storage.";

/// A warning ends at this much more than where it began, so that it does not come and go.
const HYSTERESIS: f64 = 1.2;

/// How often the figures are shown anew where nothing else has changed.
const SHOW_EVERY_MS: i64 = 1_000;

/// When the disk counts as getting full; 0 never.
#[derive(Copy, Clone, Debug)]
pub struct Thresholds {
    /// Days that what is free lasts.
    pub days: u32,
    /// Percent of the disk and of its inodes that are free.
    pub free_pct: u32,
}

/// What is known of the disk, and what was said of it.
#[derive(Debug)]
pub(super) struct Storage {
    thresholds: Thresholds,
    health: Health,
    /// What the feed said last.
    told: StorageState,
    since: Timestamp,
    /// What it is now.
    now: StorageState,
    outlook: Outlook,
    /// Values that there was no room for since the start.
    turned_away: u64,
    shown_at: Timestamp,
}

impl Storage {
    pub(super) fn restore(
        reader: &Reader,
        thresholds: Thresholds,
        health: &Health,
    ) -> anyhow::Result<Self> {
        let last = reader
            .last_event_about(SUBJECT, Timestamp::MAX)
            .context("read what was said of the disk")?;
        let state = |kind: &str| StorageState::parse(kind.strip_prefix(KIND)?);
        let told = last.as_ref().and_then(|event| state(&event.kind));
        let at = last.and_then(|event| {
            let event: Value = serde_json::from_str(&event.json).ok()?;
            Timestamp::parse(event.get("time")?.as_str()?).ok()
        });
        let told = told.unwrap_or(StorageState::Ample);
        Ok(Self {
            thresholds,
            health: health.clone(),
            told,
            since: at.unwrap_or(Timestamp::MIN),
            now: told,
            outlook: Outlook::default(),
            turned_away: 0,
            shown_at: Timestamp::MIN,
        })
    }

    /// Nothing new is taken.
    pub(super) fn is_full(&self) -> bool {
        self.now == StorageState::Full
    }

    /// The rules did not run up to now.
    pub(super) fn is_deaf(&self) -> bool {
        self.is_full() || self.told == StorageState::Full
    }

    /// There is something to say.
    pub(super) fn has_news(&self) -> bool {
        self.now != self.told
    }

    fn look(&mut self, now: Timestamp, outlook: Outlook) {
        let (before, after) = (self.now, self.judge(&outlook));
        self.now = after;
        self.outlook = outlook;
        if after != before || now.since_ms(self.shown_at) >= SHOW_EVERY_MS {
            self.shown_at = now;
            self.health.put_storage(self.shown());
        }
    }

    fn judge(&self, outlook: &Outlook) -> StorageState {
        if !outlook.is_open {
            return StorageState::Full;
        }
        let more = match self.now {
            StorageState::Ample => 1.0,
            StorageState::Low | StorageState::Full => HYSTERESIS,
        };
        let pct = f64::from(self.thresholds.free_pct) * more;
        let days = f64::from(self.thresholds.days) * more;
        let is_below = |found: Option<f64>, least: f64| found.is_some_and(|found| found < least);
        let view = web::DiskView::of(outlook);
        let is_low = is_below(view.free_pct, pct)
            || is_below(view.free_inodes_pct, pct)
            || is_below(view.days_left, days);
        match is_low {
            true => StorageState::Low,
            false => StorageState::Ample,
        }
    }

    fn shown(&self) -> StorageHealth {
        StorageHealth {
            state: self.now,
            since: self.since,
            outlook: self.outlook,
            turned_away: self.turned_away,
        }
    }
}

impl Writer {
    pub(super) fn look_at_disk(&mut self) {
        self.journal.has_room();
        let now = self.clock.now();
        self.storage.look(now, self.journal.outlook());
    }

    /// Tells whether a start has something to record yet.
    fn is_starting(&self) -> bool {
        self.ran_until.is_some() || self.lacks_canary || !self.own_rules.is_empty()
    }

    /// Tells whether something but readings and rules wants to be recorded.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.is_leaving
            || self.book.is_due(now, &self.engine)
            || self.cases.is_due(now)
            || self.overdue_at().is_some_and(|at| at <= now)
            || self.storage.has_news()
    }

    /// Tells whether there is no room, and nothing that must be recorded all the same.
    pub(super) fn rests(&self) -> bool {
        self.storage.is_full() && !self.is_starting() && !self.is_due(self.clock.now())
    }

    /// Lets the rules come up to now, but for the time in which nobody was listened to.
    pub(super) fn run_rules(&mut self, missed_since: Option<Timestamp>, now: Timestamp) {
        self.changes.clear();
        let mut changes = std::mem::take(&mut self.changes);
        if let Some(since) = missed_since {
            self.engine.resume(since, now, &mut changes);
        }
        self.engine.advance(now, &mut changes);
        self.changes = changes;
        let next = self.engine.next_deadline();
        self.published.pace.judged(now, next);
    }

    /// Tells up to when the rules had come, if nothing was taken since.
    pub(super) fn deaf_since(&self) -> Option<Timestamp> {
        let since = self.engine.now();
        (self.storage.is_deaf() && since > Timestamp::MIN).then_some(since)
    }

    /// Says no to readings while there is no room, and leaves the rest.
    pub(super) fn turn_away(&mut self, requests: Vec<Request>) -> Vec<Request> {
        if !self.storage.is_full() {
            return requests;
        }
        let mut left = Vec::new();
        for request in requests {
            match request {
                Request::Submit(pending) => {
                    let parts = pending.submission.parts.iter();
                    let values = parts.map(|part| u64::from(part.received)).sum();
                    self.storage.turned_away = self.storage.turned_away.saturating_add(values);
                    pending.turn_away();
                }
                other => left.push(other),
            }
        }
        left
    }

    /// Says once what the disk has come to.
    pub(super) fn advance_storage(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
    ) {
        if !self.storage.has_news() {
            return;
        }
        let storage = &mut self.storage;
        let (before, after) = (storage.told, storage.now);
        (storage.told, storage.since) = (after, now);
        let shown = storage.shown();
        storage.health.put_storage(shown);
        let is_full = [before, after].contains(&StorageState::Full);
        let data = shown.to_json();
        self.last_event = group.event(&NewEvent {
            kind: &format!("{KIND}{}", after.name()),
            subject: SUBJECT,
            // The end of something is as important as it was.
            severity: Some(if is_full {
                Severity::Critical
            } else {
                Severity::Minor
            }),
            grid: None,
            time: now,
            data: &data.to_string(),
        });
        if is_full {
            staged.urgent = Some(self.last_event);
        }
        let free_bytes = shown.outlook.disk.free_bytes;
        let advice = shown.advice();
        match after {
            StorageState::Full => tracing::error!(free_bytes, advice, "the disk is full"),
            StorageState::Low => tracing::warn!(free_bytes, advice, "the disk is getting full"),
            StorageState::Ample => tracing::info!(free_bytes, "the disk has room again"),
        }
    }
}
