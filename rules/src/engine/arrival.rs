//! A reading, judged by when it came.

use super::lane::Pulse;
use crate::kind::Input;
use model::Reading;

pub(super) struct Arrival {
    /// For rules on values; none if the value is bad or no number.
    pub(super) value: Option<f64>,
    observed_ms: i64,
    received_ms: i64,
    pub(super) is_late: bool,
    is_ahead: bool,
}

impl Arrival {
    #[inline]
    pub(super) fn judge(pulse: &Pulse, reading: &Reading) -> Self {
        let observed_ms = reading.observed_at.millis();
        let received_ms = pulse.now_ms;
        let delay_ms = received_ms.saturating_sub(observed_ms);
        Self {
            value: reading
                .value
                .as_number()
                .filter(|_| !reading.quality.is_bad()),
            observed_ms,
            received_ms,
            is_late: delay_ms > pulse.lateness_ms,
            is_ahead: delay_ms < -pulse.lateness_ms,
        }
    }

    /// A clock that is too far ahead cannot be believed: the reading counts when it came.
    #[inline]
    pub(super) fn input(&self, value: f64) -> Input {
        Input {
            at_ms: if self.is_ahead {
                self.received_ms
            } else {
                self.observed_ms
            },
            observed_ms: self.observed_ms,
            value,
            number: 0,
        }
    }

    /// Whoever sends old readings is alive now.
    #[inline]
    pub(super) fn sign_of_life(&self) -> Input {
        let is_believed = !self.is_late && !self.is_ahead;
        Input {
            at_ms: if is_believed {
                self.observed_ms
            } else {
                self.received_ms
            },
            observed_ms: self.observed_ms,
            value: 0.0,
            number: 0,
        }
    }
}
