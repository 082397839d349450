//! How long to wait before the next attempt: longer each time, and never all at once.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Why there is to be a wait.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The server failed or is not there.
    Failed,
    /// The server has too much to do. How long it asks for is not known: the client forgets `Retry-After`.
    Busy,
    /// Nothing changes before people change something.
    Denied,
}

impl Wait {
    /// The longest first wait, and the longest of all.
    const fn limits(self) -> (u64, u64) {
        match self {
            Self::Failed => (500, 60_000),
            Self::Busy => (2_000, 60_000),
            Self::Denied => (15_000, 60_000),
        }
    }
}

/// Gives an exponential back-off with jitter: from half of this attempt's limit to all of it.
pub(crate) fn wait_after(attempts: u32, wait: Wait) -> Duration {
    let most = limit_ms(attempts, wait);
    // Each `RandomState` has keys of its own: random enough to spread attempts.
    let random = RandomState::new().hash_one(attempts);
    Duration::from_millis(most / 2 + random % (most / 2 + 1))
}

fn limit_ms(attempts: u32, wait: Wait) -> u64 {
    let (first, longest) = wait.limits();
    let doublings = attempts.saturating_sub(1).min(16);
    (first << doublings).min(longest)
}

#[cfg(test)]
mod tests {
    use super::{Wait, limit_ms, wait_after};
    use std::time::Duration;

    #[test]
    fn the_limit_doubles_up_to_a_minute() {
        let limits = |wait| [1, 2, 3, 8, 9, u32::MAX].map(|n| limit_ms(n, wait));
        assert_eq!(
            limits(Wait::Failed),
            [500, 1_000, 2_000, 60_000, 60_000, 60_000]
        );
        assert_eq!(
            limits(Wait::Denied),
            [15_000, 30_000, 60_000, 60_000, 60_000, 60_000]
        );
    }

    #[test]
    fn a_wait_is_never_nothing_and_never_beyond_the_limit() {
        for _ in 0..1_000 {
            let wait = wait_after(3, Wait::Busy);
            assert!((Duration::from_secs(4)..=Duration::from_secs(8)).contains(&wait));
        }
    }
}
