//! The wall clock, as a device in the field reads it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long anything may take before a story fails; far more than a busy machine needs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Tells the time in milliseconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "a device stamps its readings itself"
)]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("the clock is past 1970").as_millis())
        .expect("before year 292277026")
}

/// Tells the time cut to a whole second, which keeps expected texts short.
pub fn now_s_in_ms() -> i64 {
    now_ms() / 1000 * 1000
}

/// Reads the RFC 3339 text of a row.
pub fn ms(text: &serde_json::Value) -> i64 {
    let text = text.as_str().expect("a time is a text");
    model::Timestamp::parse(text)
        .expect("a time is RFC 3339")
        .millis()
}

/// Asks again and again until the answer is yes; each question travels to a hub and back.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = tokio::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
    }
}
