//! What the exception codes of the standard mean for a poll.

use std::sync::LazyLock;

const TABLE: &str = include_str!("../data/exceptions.csv");

/// One code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) code: u8,
    /// The word of the ledger.
    pub(crate) reason: &'static str,
    /// Asking once more at once may help.
    pub(crate) again: bool,
    /// Something is wrong with the device, or with how it is asked.
    pub(crate) fault: bool,
    pub(crate) meaning: &'static str,
}

static EXCEPTIONS: LazyLock<Vec<Exception>> = LazyLock::new(|| {
    let rows = TABLE.lines().skip(1).filter(|line| !line.starts_with('#'));
    rows.filter_map(row).collect()
});

fn row(line: &'static str) -> Option<Exception> {
    let mut cells = line.splitn(5, ',');
    Some(Exception {
        code: cells.next()?.parse().ok()?,
        reason: cells.next()?,
        again: cells.next()? == "yes",
        fault: cells.next()? == "yes",
        meaning: cells.next()?,
    })
}

/// Looks a code up; one that the standard does not know is a fault of the device.
pub(crate) fn find(code: u8) -> Exception {
    let known = EXCEPTIONS.iter().find(|known| known.code == code);
    known.cloned().unwrap_or(Exception {
        code,
        reason: "exception_unknown",
        again: false,
        fault: true,
        meaning: "a code that the standard does not know",
    })
}

#[cfg(test)]
mod tests {
    use super::{EXCEPTIONS, find};

    #[test]
    fn every_code_of_the_standard_is_in_the_table() {
        let codes: Vec<u8> = EXCEPTIONS.iter().map(|known| known.code).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 8, 10, 11]);
    }

    #[test]
    fn a_busy_device_is_asked_again_and_one_that_failed_has_a_fault() {
        let (busy, failed, gone) = (find(6), find(4), find(11));
        assert!(busy.again && !busy.fault);
        assert!(!failed.again && failed.fault);
        assert!(!gone.again && !gone.fault);
        assert_eq!(find(99).reason, "exception_unknown");
    }
}
