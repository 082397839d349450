//! Alarm floods: more announced in ten minutes than anybody can take in.

use model::Timestamp;
use std::collections::BTreeSet;

/// The period over which announced alarms are counted (EEMUA 191: alarms per 10 minutes).
const WINDOW_MS: i64 = 600_000;

/// More announced alarms than this in the window begin a flood (ISA-18.2 / EEMUA 191: more than
/// 10 in 10 minutes).
const BEGINS_OVER: usize = 10;

/// Fewer than this end it (ISA-18.2: under 5 in 10 minutes).
const ENDS_UNDER: usize = 5;

/// A flood began or ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FloodEvent {
    pub at: Timestamp,
    /// When the flood began.
    pub since: Timestamp,
    pub ended: bool,
    /// Alarms announced in the last 10 minutes.
    pub announced: usize,
}

/// Counts the floods among alarms that were announced at these times, in order.
pub fn count_floods(announced: impl IntoIterator<Item = Timestamp>) -> u64 {
    let mut flood = Flood::default();
    let mut floods = 0;
    for (at, number) in announced.into_iter().zip(0..) {
        flood.advance(at);
        floods += u64::from(flood.count(at, number).is_some());
    }
    floods
}

/// The announcements that still count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Flood {
    window: BTreeSet<(Timestamp, u64)>,
    pub(super) since: Option<Timestamp>,
}

impl Flood {
    /// Counts an alarm that was announced.
    pub(super) fn count(&mut self, at: Timestamp, number: u64) -> Option<FloodEvent> {
        self.window.insert((at, number));
        if self.since.is_some() || self.len_at(at) <= BEGINS_OVER {
            return None;
        }
        self.since = Some(at);
        Some(self.event(at, at, false))
    }

    /// Tells when the flood ends, if nothing more is announced.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        self.since?;
        let last_needed = self.window.iter().rev().nth(ENDS_UNDER - 1);
        Some(last_needed.map_or(Timestamp::MIN, |(at, _)| at.plus_ms(WINDOW_MS)))
    }

    /// Forgets what is older than the window, and ends the flood when it is over.
    pub(super) fn advance(&mut self, to: Timestamp) -> Option<FloodEvent> {
        let ends_at = self.ends_at().filter(|ends_at| *ends_at <= to);
        let event = ends_at.zip(self.since).map(|(at, since)| {
            self.since = None;
            self.event(at.max(since), since, true)
        });
        self.forget(to);
        event
    }

    /// Shows an announcement of another book.
    pub(super) fn show(&mut self, at: Timestamp, number: u64) {
        self.window.insert((at, number));
    }

    /// Forgets what is older than the window.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let is_old = |(at, _): &(Timestamp, u64)| at.plus_ms(WINDOW_MS) <= now;
        while self.window.first().is_some_and(is_old) {
            self.window.pop_first();
        }
    }

    /// Counts the alarms announced in the ten minutes up to `now`.
    pub(super) fn len_at(&self, now: Timestamp) -> usize {
        let from = now.plus_ms(-WINDOW_MS);
        self.window
            .iter()
            .rev()
            .take_while(|(at, _)| *at > from)
            .count()
    }

    fn event(&self, at: Timestamp, since: Timestamp, ended: bool) -> FloodEvent {
        FloodEvent {
            at,
            since,
            ended,
            announced: self.len_at(at),
        }
    }
}
