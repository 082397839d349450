//! How long to wait before the next attempt: longer each time, and never all at once.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The first wait is at most this, doubled each time up to the limit.
const FIRST_MS: u64 = 1_000;
const LONGEST_MS: u64 = 60_000;

/// Gives an exponential back-off with full jitter: any time from none to the limit of this attempt,
/// so that those who failed together do not come back together. Whoever asked for time gets it.
pub(super) fn wait_after(attempts: u32, asked: Option<Duration>) -> Duration {
    // Each `RandomState` has keys of its own: random enough to spread attempts.
    let random = RandomState::new().hash_one(attempts);
    let most = match asked {
        Some(_) => FIRST_MS,
        None => limit_ms(attempts),
    };
    asked.unwrap_or_default() + Duration::from_millis(random % (most + 1))
}

fn limit_ms(attempts: u32) -> u64 {
    let doublings = attempts.saturating_sub(1).min(16);
    (FIRST_MS << doublings).min(LONGEST_MS)
}

#[cfg(test)]
mod tests {
    use super::{limit_ms, wait_after};
    use std::time::Duration;

    #[test]
    fn the_limit_doubles_up_to_a_minute() {
        let limits: Vec<u64> = (1..=9).map(limit_ms).collect();
        let expected = [1, 2, 4, 8, 16, 32, 60, 60, 60].map(|s| s * 1_000);
        assert_eq!(limits, expected);
        assert_eq!(limit_ms(u32::MAX), 60_000);
    }

    #[test]
    fn waits_are_spread_over_the_whole_range_and_never_beyond() {
        let waits: Vec<Duration> = (0..1_000).map(|_| wait_after(7, None)).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_mins(1)));
        // Of a thousand even throws some fall into each sixth but with odds of 1 to 10^79.
        for sixth in 0..6 {
            let from = Duration::from_secs(sixth * 10);
            let fits = |wait: &&Duration| (from..from + Duration::from_secs(10)).contains(*wait);
            assert!(waits.iter().any(|wait| fits(&wait)), "{from:?}");
        }
    }

    #[test]
    fn who_asks_for_time_gets_it() {
        let wait = wait_after(1, Some(Duration::from_secs(90)));
        assert!((Duration::from_secs(90)..=Duration::from_secs(91)).contains(&wait));
    }
}
