//! The one place where the simulator asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the wall clock in milliseconds since the epoch; devices stamp what they measure.
#[expect(
    clippy::disallowed_methods,
    reason = "a device has a clock of its own, and this is it; everything else takes times"
)]
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
