//! The times of frames and events, and which of them is believed.

use crate::frame::Stamp;
use model::{Cause, Quality, Timestamp};

const SECOND_MS: i64 = 1000;
const DAY_S: i64 = 86_400;

/// Which times of devices are believed.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Window {
    pub(crate) utc_offset_s: i64,
    pub(crate) past_max_s: i64,
    pub(crate) ahead_max_s: i64,
}

impl Stamp {
    /// Tells whether it is a time of the calendar at all; 31 February is taken for one.
    pub(crate) fn is_calendar(self) -> bool {
        let [second, minute, hour, day, month, year] = self.0;
        second < 60
            && minute < 60
            && hour < 24
            && (1..=31).contains(&day)
            && (1..=12).contains(&month)
            && year < 100
    }

    /// Gives the instant; none for what is no time of the calendar.
    pub(crate) fn instant(self, utc_offset_s: i64) -> Option<Timestamp> {
        if !self.is_calendar() {
            return None;
        }
        let [second, minute, hour, day, month, year] = self.0.map(i64::from);
        let days = days_since_epoch(2000 + year, month, day);
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - utc_offset_s;
        Some(Timestamp::from_millis(seconds * SECOND_MS))
    }

    /// Writes an instant.
    pub(crate) fn of(at: Timestamp, utc_offset_s: i64) -> Self {
        let seconds = at.plus_s(utc_offset_s).millis().div_euclid(SECOND_MS);
        let (days, in_day) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
        let (year, month, day) = calendar(days);
        let parts = [
            in_day % 60,
            in_day / 60 % 60,
            in_day / 3600,
            day,
            month,
            year - 2000,
        ];
        Self(parts.map(|part| u8::try_from(part).unwrap_or(0)))
    }
}

impl Window {
    fn believes(self, at: Timestamp, now: Timestamp) -> bool {
        let age_ms = now.since_ms(at);
        age_ms <= self.past_max_s * SECOND_MS && age_ms >= -self.ahead_max_s * SECOND_MS
    }

    /// Chooses the time of an event: its own, else that of its frame, else that of its arrival.
    pub(crate) fn choose(
        self,
        event: Option<Stamp>,
        frame: Stamp,
        now: Timestamp,
    ) -> (Option<Timestamp>, Quality) {
        let instant = |stamp: Stamp| stamp.instant(self.utc_offset_s);
        let sent = instant(frame).filter(|sent| self.believes(*sent, now));
        let happened = event.and_then(instant).filter(|at| {
            // What is sent today cannot happen tomorrow, whatever the hub's own clock says.
            let before_sent = sent.is_none_or(|sent| at.since_ms(sent) <= DAY_S * SECOND_MS);
            before_sent && self.believes(*at, now)
        });
        match (happened, sent) {
            (Some(at), _) => (Some(at), Quality::GOOD),
            // A type without event times has nothing to doubt.
            (None, Some(at)) if event.is_none() => (Some(at), Quality::GOOD),
            (None, Some(at)) => (Some(at), Quality::uncertain(Cause::Clock)),
            (None, None) => (None, Quality::uncertain(Cause::Clock)),
        }
    }
}

/// Days since 1970-01-01 in the Gregorian calendar; the year begins in March, so that the leap day
/// is its last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn calendar(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let index = (5 * of_year + 2) / 153;
    let month = if index < 10 { index + 3 } else { index - 9 };
    let day = of_year - (153 * index + 2) / 5 + 1;
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::Window;
    use crate::frame::Stamp;
    use model::Timestamp;

    const WINDOW: Window = Window {
        utc_offset_s: 8 * 3600,
        past_max_s: 30 * 86_400,
        ahead_max_s: 600,
    };

    /// 2020-10-22T17:13:24+08:00, as in the frame of a real fire.
    const SENT: Stamp = Stamp([0x18, 0x0d, 0x11, 0x16, 0x0a, 0x14]);
    const SENT_AT: Timestamp = Timestamp::from_millis(1_603_358_004_000);

    fn chosen(event: [u8; 6], now: Timestamp) -> (Option<i64>, String) {
        let (at, quality) = WINDOW.choose(Some(Stamp(event)), SENT, now);
        (at.map(Timestamp::millis), quality.to_string())
    }

    #[test]
    fn a_stamp_is_the_time_of_beijing_and_back() {
        assert_eq!(SENT.instant(8 * 3600), Some(SENT_AT));
        assert_eq!(Stamp::of(SENT_AT, 8 * 3600), SENT);
        let leap = Stamp([59, 59, 23, 29, 2, 24]);
        let at = Timestamp::parse("2024-02-29T23:59:59+08:00").unwrap();
        assert_eq!(leap.instant(8 * 3600), Some(at));
        assert_eq!(Stamp::of(at, 8 * 3600), leap);
        assert_eq!(Stamp([0, 0, 0, 1, 13, 26]).instant(0), None);
        assert_eq!(Stamp([0, 0, 0, 1, 0, 26]).instant(0), None);
        assert_eq!(Stamp([0, 0, 24, 1, 1, 26]).instant(0), None);
    }

    #[test]
    fn the_event_is_believed_first_then_its_frame_then_its_arrival() {
        let now = SENT_AT.plus_s(2);
        let good = |seconds_ago: i64| {
            let at = SENT_AT.plus_s(-seconds_ago);
            (Some(at.millis()), "good".to_owned())
        };
        assert_eq!(chosen([0x16, 0x0d, 0x11, 0x16, 0x0a, 0x14], now), good(2));
        let by_frame = (Some(SENT_AT.millis()), "uncertain:clock".to_owned());
        // 2020-08-01 is 82 days before.
        assert_eq!(chosen([0x30, 0x12, 0x13, 0x01, 0x08, 0x14], now), by_frame);
        assert_eq!(chosen([0, 0x25, 0x11, 0x11, 0x01, 0x19], now), by_frame);
        assert_eq!(chosen([0, 0, 0, 1, 13, 0x14], now), by_frame);
        let by_arrival = (None, "uncertain:clock".to_owned());
        assert_eq!(
            chosen([0, 0, 0, 1, 13, 0x14], now.plus_s(86_400 * 365)),
            by_arrival
        );
    }
}
