//! The figures that moved since the rows of their alarms were written, found again after a start.

use super::Writer;
use model::Timestamp;
use rules::{AlarmBook, Change, Figures, What, alarm_id};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How an alarm moved since its row was told.
#[derive(Clone, Debug)]
struct Last {
    /// When a reading was beyond the limit the last time, and the figures then.
    beyond: (Timestamp, Figures),
    at: Timestamp,
    figures: Figures,
}

/// The alarms whose figures moved, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved(HashMap<u64, Last>);

impl Moved {
    /// Takes in a change; whatever is told with a row is no news.
    pub(super) fn note(&mut self, change: &Change) {
        let What::Updated(figures) = change.what else {
            self.0.remove(&change.alarm);
            return;
        };
        let at = change.at;
        let begun = Last {
            beyond: (at, figures),
            at,
            figures,
        };
        let last = self.0.entry(change.alarm).or_insert(begun);
        if figures.count > last.figures.count {
            last.beyond = (at, figures);
        }
        (last.at, last.figures) = (at, figures);
    }

    /// Gives alarms the numbers that they have; those that have none are left out.
    pub(super) fn renamed(self, names: &BTreeMap<u64, u64>) -> Self {
        let moved = self.0.into_iter();
        let moved = moved.filter_map(|(number, last)| Some((*names.get(&number)?, last)));
        Self(moved.collect())
    }

    /// Shows the figures in the rows, and tells whose they are.
    pub(super) fn show(&self, book: &mut AlarmBook) -> HashSet<u64> {
        let mut shown = HashSet::new();
        for (number, last) in &self.0 {
            if show(book, *number, &last.figures) {
                shown.insert(*number);
            }
        }
        shown
    }
}

fn show(book: &mut AlarmBook, number: u64, figures: &Figures) -> bool {
    let Some(mut row) = book.get(&alarm_id(number)).cloned() else {
        return false;
    };
    row.value = figures.value;
    row.peak = figures.peak;
    row.count = figures.count;
    book.put(row);
    true
}

impl Writer {
    /// Brings the cases to where their alarms are.
    pub(super) fn catch_up_cases(&mut self, moved: &Moved) {
        let mut all: Vec<(&u64, &Last)> = moved.0.iter().collect();
        all.sort_by_key(|(number, last)| (last.at, **number));
        let mut cases = HashSet::new();
        for (number, last) in all {
            let id = alarm_id(*number);
            if self.cases.book.of_alarm(&id).is_none() {
                continue;
            }
            let (beyond_at, beyond) = last.beyond;
            for (at, figures) in [(beyond_at, beyond), (last.at, last.figures)] {
                show(&mut self.book, *number, &figures);
                cases.extend(self.note_moved(self.last_stamp, &id, at));
            }
        }
        self.show_moved_cases(cases);
    }
}
