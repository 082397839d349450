//! The log: one line an event on stderr, as text or as JSON, for people, journald and collectors.

mod line;
mod pace;

use crate::config::LogConfig;
use anyhow::{Context as _, Result};
use line::{Format, write_line};
use pace::{Pace, Turn};
use rustix::fs::fstat;
use sdk::Clock;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Names of the levels in logs and figures, with the priority that journald knows (sd-daemon(3)).
const LEVELS: [(Level, &str, &str); 5] = [
    (Level::ERROR, "error", "<3>"),
    (Level::WARN, "warn", "<4>"),
    (Level::INFO, "info", "<6>"),
    (Level::DEBUG, "debug", "<7>"),
    (Level::TRACE, "trace", "<7>"),
];

/// How many lines were written and held back since the start.
#[derive(Clone, Debug, Default)]
pub struct Log {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    written: [AtomicU64; LEVELS.len()],
    withheld: AtomicU64,
}

/// What tracing asks for the text of an event.
struct Lines {
    format: Format,
    /// Lines begin with a priority.
    is_journald: bool,
    clock: Clock,
    pace: Pace,
    log: Log,
}

impl Log {
    /// Begins to write what the configuration asks for.
    pub fn start(config: &LogConfig) -> Result<Self> {
        let log = Self::default();
        let filter = EnvFilter::try_new(&config.level)
            .with_context(|| format!("log.level `{}`", config.level))?;
        let lines = Lines {
            format: match config.format.as_str() {
                "json" => Format::Json,
                _ => Format::Text,
            },
            is_journald: is_journald(std::env::var("JOURNAL_STREAM").ok().as_deref()),
            clock: Clock::System,
            pace: Pace::new(config.repeats_max),
            log: log.clone(),
        };
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .event_format(lines)
            .try_init()
            .map_err(|error| anyhow::anyhow!("start the log: {error}"))?;
        Ok(log)
    }

    /// Puts how many lines there were on the page of figures.
    pub fn show(&self, page: &mut web::Page) {
        for ((_, name, _), count) in LEVELS.iter().zip(&self.counts.written) {
            let labels = [("level", *name)];
            page.put("cityhub_log_lines_total", &labels, count.load(Relaxed));
        }
        let withheld = self.counts.withheld.load(Relaxed);
        page.put("cityhub_log_withheld_total", &[], withheld);
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        let now = self.clock.now();
        let withheld = match self.pace.turn(&meta.callsite(), now) {
            Turn::Write { withheld } => withheld,
            Turn::Withhold => {
                self.log.counts.withheld.fetch_add(1, Relaxed);
                return Ok(());
            }
        };
        let mut levels = LEVELS.iter().zip(&self.log.counts.written);
        let known = levels.find(|((level, ..), _)| level == meta.level());
        let Some(((_, name, priority), written)) = known else {
            return Ok(());
        };
        written.fetch_add(1, Relaxed);
        if self.is_journald {
            writer.write_str(priority)?;
        }
        write_line(&mut writer, self.format, (now, name, withheld), event)
    }
}

/// Tells whether stderr is what systemd says it connected to its journal: `DEVICE:INODE`.
fn is_journald(stream: Option<&str>) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let is = |text: &str, number: u64| text.parse() == Ok(number);
    fstat(std::io::stderr()).is_ok_and(|found| is(device, found.st_dev) && is(inode, found.st_ino))
}

#[cfg(test)]
mod tests {
    use super::is_journald;

    #[test]
    fn another_stream_than_the_journal_gets_no_priorities() {
        for stream in [None, Some(""), Some("1"), Some("0:0"), Some("a:b")] {
            assert!(!is_journald(stream), "{stream:?}");
        }
    }
}
