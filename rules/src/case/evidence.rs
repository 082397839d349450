//! What was measured, as a case shows it: the figures of one alarm, and what came of those before.

use super::alarms::AlarmNews;
use model::{CaseEvidence, CaseReading, CaseRow, Timestamp};

/// What the news is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The alarm is new in the case.
    Begins,
    GoesOn,
    /// Readings that came out of order moved the alarm.
    Amended,
    Ends,
}

/// Takes in what an alarm measures; true if there is a new peak or the case became worse.
///
/// The figures are those of one alarm: the worst one, the latest to begin among equals, and another
/// one once that is over.
pub(super) fn measure(row: &mut CaseRow, news: &AlarmNews<'_>, how: How) -> bool {
    let is_worse = news.severity > row.severity;
    let is_as_bad = news.severity >= row.severity;
    row.severity = row.severity.max(news.severity);
    let Some(new) = &news.figures else {
        return is_worse;
    };
    let owner = row.evidence.alarm.as_deref().unwrap_or(&row.alarm);
    let peak = row.evidence.peak;
    if new.alarm.as_deref().unwrap_or(news.alarm) == owner {
        go_on(&mut row.evidence, new, (how, news.at));
        return is_worse || row.evidence.peak != peak;
    }
    let is_free = !row.active_alarms.iter().any(|active| active == owner);
    if how != How::Ends && is_as_bad && (how == How::Begins || is_worse || is_free) {
        take_over(&mut row.evidence, new, how);
        return is_worse || row.evidence.peak != peak;
    }
    is_worse
}

/// Takes in how the alarm goes on whose figures these are. What stays is what was beyond the worst
/// limit: neither a lower stage nor the end of the alarm replaces it.
fn go_on(evidence: &mut CaseEvidence, new: &CaseEvidence, (how, at): (How, Timestamp)) {
    let readings = evidence.earlier_readings.saturating_add(new.readings);
    let is_beyond = readings > evidence.readings;
    let is_worse = new.severity > evidence.severity;
    if is_worse || (is_beyond && new.severity >= evidence.severity) {
        evidence.value = new.value;
        evidence.limit = new.limit;
        evidence.severity = new.severity;
    }
    if is_beyond {
        evidence.to = evidence.to.max(Some(at));
    }
    if is_beyond || how == How::Amended {
        evidence.readings = readings;
    }
    evidence.peak = if evidence.earlier_readings == 0 {
        new.peak.or(evidence.peak)
    } else {
        farther(evidence.peak, new)
    };
    if evidence.latest.is_none_or(|latest| at >= latest.at) {
        let value = new.value;
        evidence.latest = Some(CaseReading { value, at });
    }
}

fn take_over(evidence: &mut CaseEvidence, new: &CaseEvidence, how: How) {
    let old = std::mem::replace(evidence, new.clone());
    if old.metric != evidence.metric {
        return;
    }
    // One that was in the case before has been counted as far as it was told.
    evidence.earlier_readings = match how {
        How::Begins => old.readings,
        _ => old.readings.saturating_sub(new.readings),
    };
    evidence.readings = evidence.earlier_readings.saturating_add(new.readings);
    evidence.from = old.from.min(new.from).or(new.from);
    evidence.peak = farther(old.peak, new);
}

/// Gives the value that is farther beyond the limit: on the side of the newer one.
fn farther(old: Option<f64>, new: &CaseEvidence) -> Option<f64> {
    let (Some(a), Some(b)) = (old, new.peak) else {
        return new.peak.or(old);
    };
    let is_below = new.limit.is_some_and(|limit| b < limit);
    Some(if is_below { a.min(b) } else { a.max(b) })
}
