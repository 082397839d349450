//! Times as the protocols of the field write them: the calendar and the clock of a fixed zone.

const DAY_MS: i64 = 86_400_000;
/// China has one zone, eight hours ahead of UTC.
const BEIJING_MS: i64 = 8 * 3_600_000;

/// A moment by the calendar.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) ms: i64,
}

impl Clock {
    /// Reads the clock of Beijing.
    pub(crate) fn beijing(ms: i64) -> Self {
        Self::utc(ms + BEIJING_MS)
    }

    /// Reads the clock of UTC; the day of the month as Howard Hinnant counts days from civil dates.
    pub(crate) fn utc(ms: i64) -> Self {
        let days = ms.div_euclid(DAY_MS);
        let in_day = ms.rem_euclid(DAY_MS);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: of_year - (153 * month_from_march + 2) / 5 + 1,
            hour: in_day / 3_600_000,
            minute: in_day / 60_000 % 60,
            second: in_day / 1000 % 60,
            ms: in_day % 1000,
        }
    }

    /// `YYYYMMDDhhmmss`.
    pub(crate) fn digits(self) -> String {
        format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )
    }

    /// `YYMMDDhhmmss`.
    pub(crate) fn short_digits(self) -> String {
        self.digits().split_off(2)
    }
}

/// Gives the second in which a protocol without milliseconds says a time: ordinary times are even
/// milliseconds and become even seconds, those of late messages are odd and become odd seconds, so
/// that no two messages of a device meet in one.
pub(crate) fn whole_second(ts_ms: i64) -> i64 {
    let second = ts_ms.div_euclid(1000) & !1;
    (second | (ts_ms & 1)) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_agrees_with_known_moments() {
        // 2016-08-01T08:58:57.223 in Beijing, the time in the examples of HJ 212-2017.
        assert_eq!(
            Clock::beijing(1_470_013_137_223),
            Clock {
                year: 2016,
                month: 8,
                day: 1,
                hour: 8,
                minute: 58,
                second: 57,
                ms: 223
            }
        );
        assert_eq!(Clock::utc(951_782_400_000).digits(), "20000229000000");
        assert_eq!(Clock::utc(1_735_689_599_000).short_digits(), "241231235959");
        assert_eq!(Clock::utc(0).digits(), "19700101000000");
    }

    #[test]
    fn ordinary_and_late_times_never_share_a_second() {
        assert_eq!(whole_second(1_772_294_401_998), 1_772_294_400_000);
        assert_eq!(whole_second(1_772_294_401_999), 1_772_294_401_000);
        assert_eq!(whole_second(1_772_294_402_000), 1_772_294_402_000);
    }
}
