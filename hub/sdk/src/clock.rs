//! The only place where the hub asks what time it is.

use model::Timestamp;
use std::time::Duration;

/// A source of stamps: the system's clock, or one that follows tokio's (which tests can pause).
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    Virtual {
        epoch: Timestamp,
        start: tokio::time::Instant,
    },
}

impl Clock {
    /// Starts a clock at `epoch` that moves with tokio's time.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self::Virtual {
            epoch,
            start: tokio::time::Instant::now(),
        }
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
                let since = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or(Duration::ZERO);
                Timestamp::from_millis(millis(since))
            }
            Self::Virtual { epoch, start } => epoch.plus_ms(millis(start.elapsed())),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
