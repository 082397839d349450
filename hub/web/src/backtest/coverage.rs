//! How much of what should have been measured was, before anybody believes a result over it.

use crate::past::{Past, PutDevice, Step};
use model::{DeviceId, DeviceKey, Reading, Timestamp};
use sdk::DeviceEntry;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

/// Between two messages of a device: more cadences than this are a gap.
const GAP_CADENCES: i64 = 3;

/// Gaps that are listed; all of them are counted.
const GAPS_SHOWN_MAX: usize = 20;

/// Devices have numbers from one on; one that is far off is not counted by a table.
const KEY_MAX: usize = 10_000_000;

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Coverage {
    pub from: Timestamp,
    pub to: Timestamp,
    pub readings: u64,
    /// Readings before are past retention in part or whole, where that is within the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<Timestamp>,
    pub devices: u64,
    pub first_received: Option<Timestamp>,
    pub last_received: Option<Timestamp>,
    /// Of the devices that declare a cadence; one message has one time of its device.
    pub expected_messages: u64,
    pub messages: u64,
    pub share_pct: Option<f64>,
    pub kinds: BTreeMap<String, KindCoverage>,
    /// Silences of more than three cadences.
    pub gaps_total: u64,
    /// The longest ones.
    pub gaps: Vec<Gap>,
}

/// One kind of devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KindCoverage {
    pub devices: u64,
    pub heard: u64,
    pub expected_messages: u64,
    pub messages: u64,
    pub share_pct: Option<f64>,
    pub gaps: u64,
}

/// A device that was not heard for long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gap {
    pub device: DeviceId,
    pub kind: String,
    pub from: Timestamp,
    pub to: Timestamp,
    pub seconds: i64,
}

/// One device while the readings come by.
#[derive(Copy, Clone, Debug)]
struct Heard {
    /// When it was registered, or the period began.
    begun_ms: i64,
    last_ms: i64,
    messages: u64,
    gaps: u64,
    gap_ms: i64,
}

const UNHEARD: Heard = Heard {
    begun_ms: i64::MAX,
    last_ms: i64::MIN,
    messages: 0,
    gaps: 0,
    gap_ms: i64::MAX,
};

/// A device and when it was registered within the period.
struct Present {
    put: PutDevice,
    from: Timestamp,
    to: Timestamp,
}

/// Counts while the readings come by.
pub(super) struct Survey {
    span: (Timestamp, Timestamp),
    present: BTreeMap<DeviceKey, Present>,
    /// By the device's number.
    heard: Vec<Heard>,
    readings: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// The longest gaps, the shortest of them on top.
    longest: BinaryHeap<Reverse<(i64, u32, i64)>>,
}

fn cadence_ms(put: &PutDevice) -> Option<i64> {
    let cadence_s = put.device.cadence_s.filter(|s| *s > 0)?;
    Some(i64::from(cadence_s) * 1000)
}

impl Survey {
    pub(super) fn of(
        past: &Past,
        entries: &[Arc<DeviceEntry>],
        (from, until): (Timestamp, Timestamp),
    ) -> Self {
        let begun = past.devices_at(from, entries).into_iter();
        let mut present: BTreeMap<DeviceKey, Present> = begun
            .map(|(key, put)| {
                let to = until;
                (key, Present { put, from, to })
            })
            .collect();
        for (stamp, step) in past.between(from, until) {
            match step {
                Step::PutDevice(put) => {
                    let entry = present.entry(put.key).or_insert_with(|| Present {
                        put: PutDevice::clone(put),
                        from: *stamp,
                        to: until,
                    });
                    entry.put = PutDevice::clone(put);
                }
                Step::DeleteDevice(key) => {
                    if let Some(gone) = present.get_mut(key) {
                        gone.to = *stamp;
                    }
                }
                Step::PutRule(_) | Step::DeleteRule(_) | Step::Resumed(_) => {}
            }
        }
        let mut survey = Self {
            span: (from, until),
            present,
            heard: Vec::new(),
            readings: 0,
            first: None,
            last: None,
            longest: BinaryHeap::new(),
        };
        let watched: Vec<(DeviceKey, i64, i64)> = survey
            .present
            .iter()
            .filter_map(|(key, at)| Some((*key, cadence_ms(&at.put)?, at.from.millis())))
            .collect();
        for (key, cadence_ms, begun_ms) in watched {
            if let Some(heard) = survey.heard(key) {
                heard.gap_ms = GAP_CADENCES * cadence_ms;
                heard.begun_ms = begun_ms;
            }
        }
        survey
    }

    fn heard(&mut self, key: DeviceKey) -> Option<&mut Heard> {
        let index = key.0 as usize;
        if index >= self.heard.len() && index < KEY_MAX {
            self.heard.resize(index + 1, UNHEARD);
        }
        self.heard.get_mut(index)
    }

    pub(super) fn readings(&self) -> u64 {
        self.readings
    }

    #[inline]
    pub(super) fn take(&mut self, chunk: &[Reading]) {
        self.readings += chunk.len() as u64;
        self.first = self.first.or(chunk.first().map(|r| r.received_at));
        self.last = chunk.last().map(|r| r.received_at).or(self.last);
        for reading in chunk {
            let key = reading.series.device;
            let at_ms = reading.observed_at.millis();
            let Some(heard) = self.heard(key) else {
                continue;
            };
            // The values of one message have one time; what comes out of order is no new one.
            if at_ms <= heard.last_ms {
                continue;
            }
            let before_ms = std::mem::replace(&mut heard.last_ms, at_ms);
            let before_ms = if before_ms == i64::MIN {
                heard.begun_ms
            } else {
                before_ms
            };
            heard.messages += 1;
            if at_ms.saturating_sub(before_ms) > heard.gap_ms {
                heard.gaps += 1;
                self.note_gap(key, before_ms, at_ms);
            }
        }
    }

    fn note_gap(&mut self, key: DeviceKey, from_ms: i64, to_ms: i64) {
        let gap = (to_ms.saturating_sub(from_ms), key.0, from_ms);
        self.longest.push(Reverse(gap));
        if self.longest.len() > GAPS_SHOWN_MAX {
            self.longest.pop();
        }
    }

    /// Looks at the ends of the period and sums up.
    pub(super) fn finish(mut self) -> Coverage {
        let mut coverage = Coverage {
            from: self.span.0,
            to: self.span.1,
            readings: self.readings,
            first_received: self.first,
            last_received: self.last,
            devices: self.heard.iter().filter(|heard| heard.messages > 0).count() as u64,
            ..Coverage::default()
        };
        let present = std::mem::take(&mut self.present);
        for (key, at) in &present {
            let own = self.heard(*key).copied().unwrap_or(UNHEARD);
            let kind = coverage
                .kinds
                .entry(at.put.device.kind.clone())
                .or_default();
            kind.devices += 1;
            kind.heard += u64::from(own.messages > 0);
            let Some(cadence_ms) = cadence_ms(&at.put) else {
                continue;
            };
            let gaps = own.gaps + self.silent_end(*key, at, &own);
            let there_ms = at.to.since_ms(at.from).max(0);
            kind.expected_messages += (there_ms / cadence_ms).unsigned_abs();
            kind.messages += own.messages;
            kind.gaps += gaps;
            coverage.gaps_total += gaps;
        }
        for kind in coverage.kinds.values_mut() {
            kind.share_pct = share(kind.messages, kind.expected_messages);
            coverage.expected_messages += kind.expected_messages;
            coverage.messages += kind.messages;
        }
        coverage.share_pct = share(coverage.messages, coverage.expected_messages);
        let mut longest: Vec<_> = self.longest.into_iter().map(|Reverse(gap)| gap).collect();
        longest.sort_unstable_by(|a, b| b.cmp(a));
        let named = longest.into_iter().filter_map(|(length_ms, key, from_ms)| {
            let device = &present.get(&DeviceKey(key))?.put.device;
            let from = Timestamp::from_millis(from_ms);
            Some(Gap {
                device: device.id.clone(),
                kind: device.kind.clone(),
                from,
                to: from.plus_ms(length_ms),
                seconds: length_ms / 1000,
            })
        });
        coverage.gaps = named.collect();
        coverage
    }

    /// Notes the gap up to the end of the period: from the last message, or from the registration
    /// of a device that was never heard in it.
    fn silent_end(&mut self, key: DeviceKey, at: &Present, own: &Heard) -> u64 {
        let begun_ms = if own.last_ms == i64::MIN {
            at.from.millis()
        } else {
            own.last_ms
        };
        if at.to.millis().saturating_sub(begun_ms) <= own.gap_ms {
            return 0;
        }
        self.note_gap(key, begun_ms, at.to.millis());
        1
    }
}

fn share(messages: u64, expected: u64) -> Option<f64> {
    (expected > 0).then(|| {
        (1000.0 * messages as f64 / expected as f64)
            .round()
            .min(1000.0)
            / 10.0
    })
}
