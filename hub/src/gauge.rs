//! What `cityhub backtest` says on the terminal: how far it is, and what differs.

use serde_json::json;
use std::io::{IsTerminal, Write};
use tokio::time::Instant;
use web::{Coverage, Diff, Progress, Reviewed};

/// Between two signs of progress, in milliseconds.
const BEAT_MS: u128 = 500;

/// Alarms of each sort in the summary; all of them are counted.
const ROWS_MAX: usize = 1_000;

/// Shows progress on stderr: in place on a terminal, or line by line where it was asked for.
#[derive(Debug)]
pub struct Gauge {
    is_terminal: bool,
    is_shown: bool,
    beat: Option<Instant>,
}

impl Gauge {
    pub fn new(asked: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self {
            is_terminal,
            is_shown: asked || is_terminal,
            beat: None,
        }
    }

    /// Goes on; nobody gives up here but by a signal.
    pub fn show(&mut self, progress: Progress) -> bool {
        let is_due = self
            .beat
            .is_none_or(|beat| beat.elapsed().as_millis() >= BEAT_MS);
        if !self.is_shown || !is_due {
            return true;
        }
        self.beat = Some(Instant::now());
        let share = 100 * progress.done.clamp(0, progress.total.max(1)) / progress.total.max(1);
        let (at, readings) = (progress.at, progress.readings);
        self.print(&format!("{share:>3} %  {readings} readings, up to {at}"));
        true
    }

    pub fn end(&self) {
        if self.is_terminal && self.beat.is_some() {
            self.print("");
        }
    }

    fn print(&self, text: &str) {
        let mut stderr = std::io::stderr();
        // If stderr is closed there is nobody to tell.
        drop(if self.is_terminal {
            write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{text}")
        });
    }
}

/// Says in one line what a result rests on.
pub fn coverage_line(coverage: &Coverage) -> String {
    let share = coverage.share_pct.map_or_else(
        || "no device declares a cadence".to_owned(),
        |share| format!("{share:.1} % of the messages expected"),
    );
    let kept = coverage.kept_from.map_or_else(String::new, |from| {
        format!("; readings before {from} are past retention in part or whole")
    });
    format!(
        "coverage: {} to {}, {} readings, {} devices, {share}, {} gaps{kept}",
        coverage.from, coverage.to, coverage.readings, coverage.devices, coverage.gaps_total
    )
}

/// Writes the summary as one line: what the result rests on, then the difference.
pub fn summary(outcome: &Reviewed, diff: &Diff) -> String {
    let coverage = json!(outcome.coverage);
    let rates = outcome.rates();
    let diff = diff.to_json(ROWS_MAX);
    // By hand, so that the coverage stands first.
    format!("{{\"coverage\":{coverage},\"rate_per_10_min\":{rates},\"diff\":{diff}}}")
}
