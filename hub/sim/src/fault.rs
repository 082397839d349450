//! What goes wrong in the field, on purpose and repeatably.

use crate::random::{Random, whole};
use std::str::FromStr;

/// A kind of mishap.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A message is sent a second time, byte for byte.
    Duplicate,
    /// A message was measured minutes before it is sent.
    Late,
    /// A device keeps its messages for a while and then sends them all at once.
    Burst,
    /// A device's clock is minutes to hours wrong, in either direction.
    ClockSkew,
    /// A device says nothing for several cadences.
    Silence,
    /// A message is no telemetry at all, or carries impossible values.
    Garbage,
}

const NAMES: [(Fault, &str, f64); 6] = [
    (Fault::Duplicate, "duplicate", 0.02),
    (Fault::Late, "late", 0.02),
    (Fault::Burst, "burst", 0.005),
    (Fault::ClockSkew, "clock-skew", 0.05),
    (Fault::Silence, "silence", 0.002),
    (Fault::Garbage, "garbage", 0.01),
];

/// A fault and how often it strikes: a share of devices for clock skew, of messages otherwise.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct FaultShare {
    pub fault: Fault,
    pub share: f64,
}

impl FromStr for FaultShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, share) = match text.split_once('=') {
            Some((name, share)) => (name, Some(share)),
            None => (text, None),
        };
        let Some((fault, _, usual)) = NAMES.into_iter().find(|(_, known, _)| *known == name) else {
            let known = NAMES.map(|(_, known, _)| known).join(", ");
            return Err(format!("unknown fault `{name}`; known: {known}"));
        };
        let share = match share {
            None => usual,
            Some(share) => share
                .parse()
                .ok()
                .filter(|share| (0.0..=1.0).contains(share))
                .ok_or_else(|| format!("`{share}` is no share from 0 to 1"))?,
        };
        Ok(Self { fault, share })
    }
}

/// The share of every fault; 0 where it was not asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares(Vec<FaultShare>);

impl Shares {
    pub(crate) fn new(faults: &[FaultShare]) -> Self {
        Self(faults.to_vec())
    }

    fn of(&self, fault: Fault) -> f64 {
        let last = self.0.iter().rev().find(|entry| entry.fault == fault);
        last.map_or(0.0, |entry| entry.share)
    }
}

/// A burst releases its messages after so many cadences, but no later than `BURST_US_MAX`.
const BURST_CADENCES: i64 = 30;
const BURST_US_MAX: i64 = 60_000_000;
/// A silence lasts from this many cadences to twice as many.
const SILENCE_CADENCES: i64 = 5;
/// Late messages were measured between these times before they are sent; the hub calls a reading
/// late after 120 s.
const LATE_S: (f64, f64) = (130.0, 900.0);
/// A wrong clock is wrong by this much; less than the day at which a hub refuses to believe it.
const SKEW_S: (f64, f64) = (180.0, 6.0 * 3600.0);
/// A repeated message follows its first within two seconds.
const REPEAT_US: u64 = 2_000_000;

/// What is wrong with one message.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Say nothing at all.
    pub(crate) dropped: bool,
    /// Shift of the device time; odd exactly for late messages, so that no late message ever has
    /// the time of an ordinary one, which is even.
    pub(crate) ts_shift_ms: i64,
    pub(crate) hold_until_us: Option<i64>,
    /// Send it again so much later.
    pub(crate) repeat_after_us: Option<i64>,
    pub(crate) garbage: bool,
}

/// The mishaps of one device, drawn from a stream of their own: a fault never changes a value.
#[derive(Debug)]
pub(crate) struct Mishaps {
    random: Random,
    skew_ms: i64,
    lateness_ms: i64,
    silent_until_us: i64,
    burst_until_us: i64,
}

impl Mishaps {
    pub(crate) fn new(mut random: Random, shares: &Shares) -> Self {
        // Drawn in any case, so that one fault does not shift the draws of another.
        let skewed = random.unit() < shares.of(Fault::ClockSkew);
        let skew_ms = whole(random.between(SKEW_S.0, SKEW_S.1)) * 1000;
        let skew_ms = if random.chance(0.5) {
            skew_ms
        } else {
            -skew_ms
        };
        let lateness_ms = whole(random.between(LATE_S.0, LATE_S.1)) * 1000 + 1;
        Self {
            random,
            skew_ms: if skewed { skew_ms } else { 0 },
            lateness_ms,
            silent_until_us: i64::MIN,
            burst_until_us: i64::MIN,
        }
    }

    /// Decides what happens to the message that is due now.
    pub(crate) fn strike(&mut self, due_us: i64, interval_us: i64, shares: &Shares) -> Verdict {
        let draws = NAMES.map(|(fault, _, _)| (fault, self.random.unit() < shares.of(fault)));
        let hit = |fault| draws.contains(&(fault, true));
        let length = self.random.below(SILENCE_CADENCES.unsigned_abs());
        let repeat_us = self.random.below(REPEAT_US);

        if hit(Fault::Silence) && due_us >= self.silent_until_us {
            let cadences = SILENCE_CADENCES + i64::try_from(length).unwrap_or(0);
            self.silent_until_us = due_us + cadences * interval_us;
        }
        if due_us < self.silent_until_us {
            return Verdict {
                dropped: true,
                ..Verdict::default()
            };
        }
        if hit(Fault::Burst) && due_us >= self.burst_until_us {
            self.burst_until_us = due_us + (BURST_CADENCES * interval_us).min(BURST_US_MAX);
        }
        let late_ms = if hit(Fault::Late) {
            self.lateness_ms
        } else {
            0
        };
        Verdict {
            dropped: false,
            ts_shift_ms: self.skew_ms - late_ms,
            hold_until_us: (due_us < self.burst_until_us).then_some(self.burst_until_us),
            repeat_after_us: hit(Fault::Duplicate).then(|| i64::try_from(repeat_us).unwrap_or(0)),
            garbage: hit(Fault::Garbage),
        }
    }
}

/// Writes a payload that no hub should take for telemetry, or not wholly.
pub(crate) fn garbage(random: &mut Random, ts_ms: i64, metric: &str) -> Vec<u8> {
    match random.below(9) {
        0 => format!("{{\"ts\":{ts_ms},\"values\":{{\"{metric}\":1"),
        1 => format!("{{\"ts\":{ts_ms},\"values\":{{\"{metric}\":NaN}}}}"),
        2 => format!("{{\"ts\":{ts_ms},\"values\":{{\"{metric}\":\"wet\"}}}}"),
        3 => format!("{{\"ts\":{ts_ms},\"values\":{{\"phlogiston_pct\":12.5}}}}"),
        // Far outside of every plausible range, but well formed.
        4 => format!("{{\"ts\":{ts_ms},\"values\":{{\"{metric}\":1e12}}}}"),
        5 => String::new(),
        6 => "[".repeat(200),
        7 => format!("{{\"ts\":0,\"values\":{{\"{metric}\":1}}}}"),
        _ => return vec![b'{', 0xff, 0xfe, b'}'],
    }
    .into_bytes()
}
