//! What the engine answers: one change of one alarm, and the checksum by which replays compare.

use model::{DeviceKey, MetricKey, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The figures of an alarm at one instant.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub severity: Severity,
    /// The latest value; for `silence` the seconds without a reading.
    pub value: Option<f64>,
    /// The limit of the present severity; for `silence` the seconds allowed.
    pub limit: Option<f64>,
    /// The value farthest beyond the limit.
    pub peak: Option<f64>,
    /// How many readings were beyond the limit, those during the on-delay included.
    pub count: u64,
}

/// One whole alarm, as far as it is known.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Outcome {
    pub raised_at: Timestamp,
    pub cleared_at: Option<Timestamp>,
    pub figures: Figures,
}

/// Why an alarm ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClearReason {
    /// By its own readings.
    Normal,
    RuleChanged,
    RuleRemoved,
    DeviceChanged,
    DeviceRemoved,
    /// The rule does not count at this time of day.
    ScheduleClosed,
}

impl ClearReason {
    /// Gives the text of the alarm row's note; an alarm that ended by itself has none.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Normal => None,
            Self::RuleChanged => Some("rule changed"),
            Self::RuleRemoved => Some("rule removed"),
            Self::DeviceChanged => Some("device changed"),
            Self::DeviceRemoved => Some("device removed"),
            Self::ScheduleClosed => Some("schedule closed"),
        }
    }

    /// Tells whether a row's note says that the alarm was ended from outside: what it was raised by
    /// may go on.
    pub fn is_from_outside(note: &str) -> bool {
        [
            Self::RuleChanged,
            Self::RuleRemoved,
            Self::DeviceChanged,
            Self::DeviceRemoved,
        ]
        .into_iter()
        .any(|reason| reason.note() == Some(note))
    }
}

/// What happened to the alarm.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum What {
    Raised(Figures),
    Escalated(Figures),
    Deescalated(Figures),
    /// The figures of an active alarm moved: no event.
    Updated(Figures),
    Cleared {
        reason: ClearReason,
        figures: Figures,
    },
    /// Readings that came out of order moved the alarm; this is how it stands now.
    Amended(Outcome),
    /// Readings that came out of order show that it never was.
    Withdrawn,
    /// Late readings show an alarm of the past; it never sounds.
    Recorded(Outcome),
}

/// One change of one alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The engine's running number; [`alarm_id`] gives its text.
    pub alarm: u64,
    pub rule: Arc<str>,
    pub rule_revision: u64,
    /// For an alarm of several devices the one that completed it.
    pub device: DeviceKey,
    pub metric: Option<MetricKey>,
    /// For an `any` or `all` rule the place in which alarms came together, such as `site:NAME`.
    pub scope: Option<Arc<str>>,
    /// The rule is on trial: show it, but announce nothing.
    pub shadow: bool,
    /// The instant of the reading or deadline; for `Amended`, `Withdrawn` and `Recorded` the
    /// instant at which it was learnt.
    pub at: Timestamp,
    pub what: What,
}

/// Finds the amendments that a later one of the same alarm in the same commit replaces: a gateway
/// that delivers a hundred delayed readings at once amends an alarm once, not a hundred times.
pub fn overtaken<'a>(changes: impl Iterator<Item = &'a Change>) -> HashSet<usize> {
    let mut last: HashMap<u64, usize> = HashMap::new();
    let mut overtaken = HashSet::new();
    for (index, change) in changes.enumerate() {
        match change.what {
            What::Amended(_) => {
                overtaken.extend(last.insert(change.alarm, index));
            }
            _ => drop(last.remove(&change.alarm)),
        }
    }
    overtaken
}

/// Gives the public id of an alarm.
pub fn alarm_id(number: u64) -> String {
    format!("a{number}")
}

/// Sums up the changes of one commit, so that a replay can be compared with what was recorded.
///
/// `Updated` does not count; no changes give 0.
pub fn change_crc(changes: &[Change]) -> u32 {
    let mut bytes = Vec::new();
    let mut crc = 0;
    for change in changes {
        if matches!(change.what, What::Updated(_)) {
            continue;
        }
        bytes.clear();
        change.write(&mut bytes);
        crc = crc32(crc, &bytes);
    }
    crc
}

impl Change {
    /// Writes every field in a form that does not depend on the machine or the compiler.
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.alarm.to_le_bytes());
        bytes.extend((self.rule.len() as u64).to_le_bytes());
        bytes.extend(self.rule.as_bytes());
        bytes.extend(self.rule_revision.to_le_bytes());
        bytes.extend(self.device.0.to_le_bytes());
        bytes.extend(
            self.metric
                .map_or([0xff; 4], |m| u32::from(m.0).to_le_bytes()),
        );
        bytes.extend(self.scope.iter().flat_map(|scope| scope.bytes()));
        bytes.push(u8::from(self.shadow));
        bytes.extend(self.at.millis().to_le_bytes());
        match &self.what {
            What::Raised(figures) => figures.write(1, bytes),
            What::Escalated(figures) => figures.write(2, bytes),
            What::Deescalated(figures) => figures.write(3, bytes),
            What::Updated(figures) => figures.write(4, bytes),
            What::Cleared { reason, figures } => {
                figures.write(5, bytes);
                bytes.extend(reason.note().unwrap_or("normal").as_bytes());
            }
            What::Amended(outcome) => outcome.write(6, bytes),
            What::Withdrawn => bytes.push(7),
            What::Recorded(outcome) => outcome.write(8, bytes),
        }
    }
}

impl Figures {
    fn write(&self, tag: u8, bytes: &mut Vec<u8>) {
        bytes.push(tag);
        bytes.extend(self.severity.name().as_bytes());
        for number in [self.value, self.limit, self.peak] {
            bytes.push(u8::from(number.is_some()));
            bytes.extend(number.unwrap_or(0.0).to_bits().to_le_bytes());
        }
        bytes.extend(self.count.to_le_bytes());
    }
}

impl Outcome {
    fn write(&self, tag: u8, bytes: &mut Vec<u8>) {
        self.figures.write(tag, bytes);
        bytes.extend(self.raised_at.millis().to_le_bytes());
        // No instant is as late as the last one, which stands for "still active".
        let cleared_at = self.cleared_at.unwrap_or(Timestamp::MAX);
        bytes.extend(cleared_at.millis().to_le_bytes());
    }
}

/// The reflected CRC-32 of ISO-HDLC (as in zip and Ethernet), by half bytes.
const CRC_NIBBLES: [u32; 16] = [
    0x0000_0000,
    0x1db7_1064,
    0x3b6e_20c8,
    0x26d9_30ac,
    0x76dc_4190,
    0x6b6b_51f4,
    0x4db2_6158,
    0x5005_713c,
    0xedb8_8320,
    0xf00f_9344,
    0xd6d6_a3e8,
    0xcb61_b38c,
    0x9b64_c2b0,
    0x86d3_d2d4,
    0xa00a_e278,
    0xbdbd_f21c,
];

/// Goes on with a CRC-32; the first piece goes on from 0.
pub(crate) fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let half = |crc: u32| {
        let [low, ..] = crc.to_le_bytes();
        let entry = CRC_NIBBLES.get(usize::from(low & 0xf));
        (crc >> 4) ^ entry.copied().unwrap_or_default()
    };
    !bytes
        .iter()
        .fold(!crc, |crc, byte| half(half(crc ^ u32::from(*byte))))
}

#[cfg(test)]
mod tests {
    use super::crc32;

    // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_checksum_is_the_standard_one_in_one_piece_or_two() {
        assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(crc32(0, b"1234"), b"56789"), 0xcbf4_3926);
        assert_eq!(crc32(0, b""), 0);
    }
}
