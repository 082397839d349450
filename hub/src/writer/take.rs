//! Takes one submission into the group: judges times, drops duplicates, runs the rules.

use super::doubt::Sample;
use super::{Staged, Writer};
use model::{Cause, Observation, Quality, Reading, Reason, Rejected, Series, Timestamp};
use sdk::{DeviceEntry, Part, Pending, Receipt};
use std::borrow::Cow;
use std::collections::BTreeMap;
use store::{Admission, Group, StoreError};

/// Rejections that are described to the device; more are counted only.
const DETAILED_MAX: usize = 64;

/// Values that one commit puts in quarantine; a flood of wrong ones must not slow the good ones.
const QUARANTINED_MAX: u32 = 16;

const CLOCK_IMPLAUSIBLE: Reason = Cow::Borrowed("clock_implausible");
const UNKNOWN_DEVICE: Reason = Cow::Borrowed("unknown_device");

impl Writer {
    pub(super) fn take(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        pending: &Pending,
    ) -> Result<Receipt, StoreError> {
        let mut receipt = Receipt::default();
        let driver = pending.driver.0;
        for part in &pending.submission.parts {
            let Some(entry) = self.published.devices.get(part.device) else {
                // It was deleted while the message was on its way.
                group.refuse(driver, &UNKNOWN_DEVICE, u64::from(part.received));
                continue;
            };
            group.part(driver, part.device, part.received);
            for (reason, count) in by_reason(part) {
                group.reject(reason, count);
            }
            quarantine(group, staged, driver, part);
            let mut heard = Vec::new();
            for observation in &part.observations {
                let told = (&mut receipt, &mut staged.samples);
                let reading = self.observe(group, (now, &entry), observation, told)?;
                if let Some((reading, at)) = reading {
                    staged.latest.put(reading);
                    heard.push(at);
                }
            }
            // After all of it, so that an event of the device shows what it said.
            for at in heard {
                self.hear(group, staged, &entry, at);
            }
        }
        for frame in &pending.submission.quarantined {
            group.quarantine(
                driver,
                frame.device,
                &frame.reason,
                &frame.detail,
                &frame.bytes,
            );
        }
        Ok(receipt)
    }

    /// Takes one value; gives the reading and the sign of life that it is, if it is new.
    fn observe(
        &mut self,
        group: &mut Group,
        (now, entry): (Timestamp, &DeviceEntry),
        observation: &Observation,
        (receipt, samples): (&mut Receipt, &mut Vec<Sample>),
    ) -> Result<Option<(Reading, Timestamp)>, StoreError> {
        let series = Series {
            device: entry.key,
            metric: observation.metric,
        };
        let observed_at = match observation.observed_at {
            Some(at) if !self.is_plausible(at, now) => {
                group.reject(&CLOCK_IMPLAUSIBLE, 1);
                self.describe(receipt, observation, at, now);
                return Ok(None);
            }
            Some(at) => at,
            None => self.journal.free_instant(group, series, now)?,
        };
        let lateness_ms = i64::from(self.times.lateness_s) * 1000;
        let behind_ms = now.since_ms(observed_at);
        let is_late = behind_ms > lateness_ms;
        let is_ahead = behind_ms < -lateness_ms;
        let clock = if is_ahead || is_late && self.ward.has_wrong_clock(entry.key) {
            Quality::uncertain(Cause::Clock)
        } else {
            Quality::GOOD
        };
        let mut quality = observation.quality.worst(clock);
        if let Some(number) = observation.value.as_number()
            && clock.is_good()
            && !quality.is_bad()
        {
            quality = quality.worst(self.judge_pace(entry, series, (number, observed_at)));
        }
        let reading = Reading {
            series,
            value: observation.value,
            quality,
            observed_at,
            received_at: now,
        };
        match group.observe(&mut self.journal, &reading, is_late)? {
            Admission::Duplicate => {
                receipt.duplicate += 1;
                return Ok(None);
            }
            Admission::New => {
                receipt.stored += 1;
                self.engine.apply(now, &reading, &mut self.changes);
                if !is_late && self.cases.book.doubts(entry.device.id.as_str()) {
                    samples.push(Sample {
                        device: entry.device.id.clone(),
                        metric: series.metric,
                        value: reading.value.as_number().filter(|_| !quality.is_bad()),
                        at: observed_at,
                    });
                }
            }
        }
        // Its own time counts if it can be believed, as it does for the rules.
        let is_believed = !(is_late || is_ahead);
        let heard_at = if is_believed {
            observed_at.min(now)
        } else {
            now
        };
        Ok(Some((reading, heard_at)))
    }

    fn is_plausible(&self, at: Timestamp, now: Timestamp) -> bool {
        at >= self.times.oldest && at <= now.plus_s(i64::from(self.times.ahead_max_s))
    }

    fn describe(
        &self,
        receipt: &mut Receipt,
        observation: &Observation,
        at: Timestamp,
        now: Timestamp,
    ) {
        let described = receipt.rejected.len() < DETAILED_MAX;
        let name = self
            .catalogue
            .def(observation.metric)
            .map(|def| def.name.clone());
        let seconds = Timestamp::from_millis(at.millis().saturating_mul(1000));
        let hint = if self.is_plausible(seconds, now) {
            "; `ts` is in milliseconds, and this looks like seconds"
        } else {
            ""
        };
        let detail = || {
            format!(
                "device time {at} lies before {} or more than {} s ahead of {now}{hint}",
                self.times.oldest, self.times.ahead_max_s
            )
        };
        receipt.rejected.push(Rejected {
            metric: name.filter(|_| described),
            reason: CLOCK_IMPLAUSIBLE,
            detail: described.then(detail),
        });
    }
}

/// Keeps some of the values that could not be taken where an engineer can look at them; all are
/// counted. (A message that could not be read at all is kept whole by its driver.)
fn quarantine(group: &mut Group, staged: &mut Staged, driver: u16, part: &Part) {
    for rejected in &part.rejected {
        let Some(metric) = &rejected.metric else {
            continue;
        };
        if staged.quarantined >= QUARANTINED_MAX {
            return;
        }
        staged.quarantined += 1;
        let detail = rejected.detail.as_deref().unwrap_or_default();
        let detail = format!("{metric}: {detail}");
        group.quarantine(driver, Some(part.device), &rejected.reason, &detail, &[]);
    }
}

fn by_reason(part: &Part) -> BTreeMap<&Reason, u32> {
    let mut counts = BTreeMap::new();
    for rejected in &part.rejected {
        *counts.entry(&rejected.reason).or_insert(0) += 1;
    }
    counts
}
