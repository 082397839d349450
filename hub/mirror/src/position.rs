//! How far a mirror has come, and what of it outlives the hub.

use model::Timestamp;

/// The way through segments that is under way: everything received up to `until`, day by day.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    pub until: Timestamp,
    /// All days of device times before this one (days since the epoch) are done.
    pub day: i64,
}

/// Everything received before `before` is done, and what the pass says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub before: Timestamp,
    pub pass: Option<Pass>,
    /// Everything up to this commit is done too; known only while the hub runs.
    pub(crate) commit: Option<u64>,
    /// How many readings had been read on by then in this run.
    pub(crate) passed: u64,
}

impl Position {
    /// Has everything that was received before this.
    pub fn at(before: Timestamp) -> Self {
        Self {
            before,
            pass: None,
            commit: None,
            passed: 0,
        }
    }

    /// The names of a mirror's cursors in the journal, in the order of [`Position::cursors`].
    pub fn cursor_names(mirror: &str) -> [String; 3] {
        ["", "/until", "/day"].map(|part| format!("mirror/{mirror}{part}"))
    }

    /// What the journal keeps of it.
    pub fn cursors(&self) -> [u64; 3] {
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let pass = self.pass.map(|pass| (pass.until.millis(), pass.day));
        let (until, day) = pass.unwrap_or((0, 0));
        [self.before.millis(), until, day].map(number)
    }

    /// Reads what the journal kept; `None` if it knows nothing of the mirror.
    pub fn of_cursors([before, until, day]: [Option<u64>; 3]) -> Option<Self> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let time = |kept: u64| Timestamp::from_millis(number(kept));
        let until = until.filter(|until| *until > 0);
        Some(Self {
            before: time(before?),
            pass: until.map(|until| Pass {
                until: time(until),
                // 0 is what every pass begins with: days before it too.
                day: day.filter(|day| *day > 0).map_or(i64::MIN, number),
            }),
            commit: None,
            passed: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Pass, Position};
    use model::Timestamp;

    #[test]
    fn the_journal_gives_back_what_it_was_told() {
        let at = Timestamp::from_millis;
        let pass = Some(Pass {
            until: at(9_000),
            day: 20_000,
        });
        for pass in [None, pass] {
            let position = Position {
                pass,
                ..Position::at(at(1_763_700_000_000))
            };
            let kept = position.cursors().map(Some);
            assert_eq!(Position::of_cursors(kept), Some(position));
        }
        assert_eq!(Position::of_cursors([None, Some(1), Some(2)]), None);
    }
}
