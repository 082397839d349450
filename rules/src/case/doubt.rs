//! Whether the violation of a case is still measured, and what becomes of alarms that ended though
//! no reading said so.

use super::book::{CaseBook, CaseEvent};
use model::{CaseDoubt, CaseRow, Timestamp};

/// What a reading tells of a doubt.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing: it is of another series, or there were not enough of them.
    Open,
    /// The violation is still there.
    Beyond,
    /// It is over.
    Over,
}

/// Says whether the violation is still measured: by an alarm whose condition holds, or by the last
/// reading of one that was ended from outside. None if nobody can tell.
pub(super) fn is_measured(row: &CaseRow) -> Option<bool> {
    if !row.active_alarms.is_empty() {
        return Some(true);
    }
    let mut doubts = row.doubts.iter();
    if doubts.any(|doubt| doubt.violation == Some(true)) {
        return Some(true);
    }
    row.doubts.is_empty().then_some(false)
}

/// Ends the doubts that a new alarm of the same rule and device settles; true if there was one.
pub(super) fn settle_by_alarm(row: &mut CaseRow, new: &CaseRow) -> bool {
    let before = row.doubts.len();
    row.doubts
        .retain(|doubt| doubt.rule != new.rule || doubt.device != new.device);
    row.doubts.len() < before
}

fn settle_by_reading(row: &mut CaseRow, mut judge: impl FnMut(&CaseDoubt) -> Judgement) -> bool {
    let mut is_news = false;
    for mut doubt in std::mem::take(&mut row.doubts) {
        match judge(&doubt) {
            Judgement::Over => {
                is_news = true;
                row.note = Some(format!(
                    "{}; a reading after that shows no violation",
                    doubt.why
                ));
                continue;
            }
            Judgement::Beyond => {
                is_news |= doubt.violation != Some(true);
                doubt.violation = Some(true);
            }
            Judgement::Open => {}
        }
        row.doubts.push(doubt);
    }
    row.violation = is_measured(row);
    is_news
}

impl CaseBook {
    /// Tells whether a reading of this device can settle anything.
    pub fn doubts(&self, device: &str) -> bool {
        self.doubtful.contains_key(device)
    }

    /// Lets a reading of a device settle what is in doubt about it.
    pub fn settle(
        &mut self,
        now: Timestamp,
        device: &str,
        judge: impl Fn(&CaseDoubt) -> Judgement,
    ) -> Vec<CaseEvent> {
        let numbers = self.doubtful.get(device).into_iter().flatten();
        let numbers: Vec<u64> = numbers.copied().collect();
        let told = numbers.into_iter().filter_map(|number| {
            self.change(now, number, |row| {
                settle_by_reading(row, |doubt| match doubt.device == device {
                    true => judge(doubt),
                    false => Judgement::Open,
                })
            })
        });
        told.collect()
    }
}
