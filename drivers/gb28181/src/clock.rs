//! Local times as devices and registrars of this protocol write them.

use jiff::tz::Offset;
use model::Timestamp;

/// A time of a device that is further off is not believed; the arrival counts.
const PAST_MAX_MS: i64 = 30 * 86_400_000;
const AHEAD_MAX_MS: i64 = 600_000;

/// Writes the time by which devices set their clocks: `2026-03-01T08:00:00.000`.
pub(crate) fn written(now: Timestamp, utc_offset_s: i64) -> String {
    let offset = i32::try_from(utc_offset_s).ok();
    let offset = offset.and_then(|seconds| Offset::from_seconds(seconds).ok());
    let at = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or_default();
    let local = offset.unwrap_or(Offset::UTC).to_datetime(at);
    local.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

/// Reads a time of a device; none if it cannot be, or if its clock is out of reach.
pub(crate) fn read(text: &str, utc_offset_s: i64, now: Timestamp) -> Option<Timestamp> {
    let at = match Timestamp::parse(text) {
        Ok(at) => at,
        Err(_) => Timestamp::parse(&format!("{text}Z"))
            .ok()?
            .plus_s(-utc_offset_s),
    };
    let age_ms = now.since_ms(at);
    (-AHEAD_MAX_MS..=PAST_MAX_MS)
        .contains(&age_ms)
        .then_some(at)
}

#[cfg(test)]
mod tests {
    use super::{read, written};
    use model::Timestamp;

    /// 2026-03-01T00:00:00Z
    const NOW: Timestamp = Timestamp::from_millis(1_772_323_200_000);

    #[test]
    fn beijing_is_eight_hours_ahead() {
        assert_eq!(written(NOW, 28_800), "2026-03-01T08:00:00.000");
        assert_eq!(read("2026-03-01T08:00:00", 28_800, NOW), Some(NOW));
        assert_eq!(read("2026-03-01T08:00:00.000", 28_800, NOW), Some(NOW));
        assert_eq!(read("2026-03-01T00:00:00Z", 28_800, NOW), Some(NOW));
    }

    #[test]
    fn a_clock_that_is_out_of_reach_is_not_believed() {
        assert_eq!(read("2009-12-04T16:23:32", 28_800, NOW), None);
        assert_eq!(read("2026-03-01T08:11:00", 28_800, NOW), None);
        assert_eq!(read("yesterday", 28_800, NOW), None);
    }
}
