//! The share of time that devices were online, from what the feed says of them.

use model::Timestamp;
use std::collections::BTreeMap;

/// One device in use, with every change of its status up to the period's end, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Course {
    pub(super) kind: String,
    /// When, and whether it reports since.
    pub(super) changes: Vec<(Timestamp, bool)>,
}

/// Milliseconds online and in use, by kind.
pub(super) type ByKind = BTreeMap<String, (i64, i64)>;

/// Adds up the time of devices; what was before a device's first change is not known and counts for
/// nothing.
pub(super) fn add_up<'a>(
    courses: impl Iterator<Item = &'a Course>,
    (from, to): (Timestamp, Timestamp),
) -> ByKind {
    let mut by_kind = ByKind::new();
    for course in courses {
        let sums = by_kind.entry(course.kind.clone()).or_default();
        let ends = course.changes.iter().skip(1).map(|(at, _)| *at).chain([to]);
        for ((start, is_online), end) in course.changes.iter().zip(ends) {
            let ms = end.min(to).since_ms((*start).max(from)).max(0);
            sums.1 += ms;
            if *is_online {
                sums.0 += ms;
            }
        }
    }
    by_kind
}
