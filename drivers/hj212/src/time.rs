//! The device's time: Beijing, written as digits.

use model::Timestamp;

/// HJ 212 names no zone; Chinese devices keep Beijing time, which has no summer time.
const BEIJING_MS: i64 = 8 * 3_600_000;

/// Reads `YYYYMMDDhhmmss`, with or without milliseconds.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let is_time = matches!(text.len(), 14 | 17) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_time {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let millis = if text.len() == 17 {
        part(14, 17)
    } else {
        "000"
    };
    let rfc_3339 = format!(
        "{}-{}-{}T{}:{}:{}.{millis}+08:00",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    );
    Timestamp::parse(&rfc_3339).ok()
}

/// Writes a time as 17 digits, as QN has it.
pub(crate) fn digits(at: Timestamp) -> String {
    let local = at.plus_ms(BEIJING_MS).to_string();
    local
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(char::from)
        .collect()
}

/// Writes a time as 14 digits, as DataTime has it.
pub(crate) fn digits_s(at: Timestamp) -> String {
    let mut digits = digits(at);
    digits.truncate(14);
    digits
}

#[cfg(test)]
mod tests {
    use super::{digits, digits_s, parse};
    use model::Timestamp;

    #[test]
    fn times_are_those_of_beijing() {
        // `date -u -d 2016-08-01T08:58:57+08:00 +%s`
        let at = Timestamp::from_millis(1_470_013_137_000);
        assert_eq!(parse("20160801085857"), Some(at));
        assert_eq!(parse(" 20160801085857223"), Some(at.plus_ms(223)));
        assert_eq!(digits(at.plus_ms(5)), "20160801085857005");
        assert_eq!(digits_s(at), "20160801085857");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2016080108585",
            "20161301085857",
            "2016080108585x",
            "2024112320423050",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
