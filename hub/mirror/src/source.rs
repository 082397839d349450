//! Reads what a mirror owes its server and makes lines of it. All calls may touch the disk.

use crate::line::Lines;
use crate::position::{Pass, Position};
use crate::shape::{Part, parts_of};
use model::{DeviceKey, Reading, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use store::{Onward, Reader, Sealed, StoreError};

/// Lines that belong together, with what is done once the server has them.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) lines: Lines,
    pub(crate) readings: u64,
    /// Those of them that are in the lines.
    pub(crate) in_lines: u64,
    /// What the protocol cannot say, and why.
    pub(crate) unsayable: Vec<String>,
    pub(crate) position: Position,
    /// There is no more for now.
    pub(crate) is_level: bool,
}

/// Where the next readings come from.
#[derive(Debug)]
enum Way {
    /// To be found out.
    Unknown,
    Log {
        after: u64,
    },
    Segments {
        sealed: Box<Sealed>,
        pass: Pass,
        /// Where the log goes on, if that was found out in this run.
        after: Option<u64>,
    },
}

/// The readings after a position, without those of the hub's own devices.
#[derive(Debug)]
pub(crate) struct Source {
    reader: Reader,
    position: Position,
    way: Way,
    readings_at_once: usize,
    devices: HashMap<DeviceKey, Option<Arc<str>>>,
    /// The fields of each metric, in the order of [`Part::ALL`].
    fields: Vec<[String; Part::ALL.len()]>,
    /// What the server lacks, about, is this and what was ever stored, less what was passed.
    owed_base: i64,
}

impl Source {
    pub(crate) fn new(reader: Reader, position: Position, readings_at_once: usize) -> Self {
        let lacking = reader.received_since(position.before);
        let mut source = Self {
            reader,
            position,
            way: Way::Unknown,
            readings_at_once,
            devices: HashMap::new(),
            fields: Vec::new(),
            owed_base: 0,
        };
        source.set_owed(lacking);
        source.go_back(position);
        source
    }

    /// Goes on after this position, which lies before the one reached.
    pub(crate) fn go_back(&mut self, position: Position) {
        self.position = position;
        self.way = match position.commit {
            Some(after) if position.pass.is_none() => Way::Log { after },
            _ => Way::Unknown,
        };
    }

    /// When the oldest reading that the server lacks was received.
    pub(crate) fn oldest_owed(&self) -> Option<Timestamp> {
        match &self.way {
            Way::Unknown => None,
            Way::Log { .. } => Some(self.position.before),
            Way::Segments { sealed, .. } => sealed.oldest(),
        }
    }

    /// How many readings the server lacks, about.
    pub(crate) fn owed(&self) -> u64 {
        u64::try_from(self.owed_base + self.moved()).unwrap_or(0)
    }

    /// What was ever stored, less what was passed.
    fn moved(&self) -> i64 {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        number(self.reader.stored()).saturating_sub(number(self.position.passed))
    }

    /// Takes note that the server lacks nothing now.
    pub(crate) fn note_level(&mut self) {
        self.set_owed(0);
    }

    fn set_owed(&mut self, owed: u64) {
        self.owed_base = i64::try_from(owed).unwrap_or(i64::MAX) - self.moved();
    }

    /// Reads on.
    pub(crate) fn read(&mut self) -> Result<Batch, StoreError> {
        loop {
            let read = match &mut self.way {
                Way::Unknown => {
                    self.find_way()?;
                    None
                }
                Way::Log { after } => {
                    let after = *after;
                    self.read_log(after)?
                }
                Way::Segments { .. } => self.read_segments()?,
            };
            if let Some(batch) = read {
                return Ok(batch);
            }
        }
    }

    fn find_way(&mut self) -> Result<(), StoreError> {
        let (pass, after) = match self.position.pass {
            // It was begun in an earlier run.
            Some(pass) => (pass, None),
            None => match self.reader.onward(self.position.before)? {
                Onward::Log { after } => {
                    self.way = Way::Log { after };
                    return Ok(());
                }
                Onward::Segments { until, after } => {
                    let day = i64::MIN;
                    (Pass { until, day }, Some(after))
                }
            },
        };
        let received = self.position.before..=pass.until;
        let sealed = Box::new(self.reader.sealed(received, pass.day));
        self.way = Way::Segments {
            sealed,
            pass,
            after,
        };
        Ok(())
    }

    fn read_log(&mut self, after: u64) -> Result<Option<Batch>, StoreError> {
        let Some(followed) = self.reader.follow(after, self.readings_at_once)? else {
            // They have moved to segments in the meantime.
            self.way = Way::Unknown;
            return Ok(None);
        };
        self.way = Way::Log {
            after: followed.commit,
        };
        self.position = Position {
            before: followed.stamp.unwrap_or(self.position.before),
            pass: None,
            commit: Some(followed.commit),
            ..self.position
        };
        let batch = self.batch(&followed.readings, !followed.has_more)?;
        Ok(Some(batch))
    }

    fn read_segments(&mut self) -> Result<Option<Batch>, StoreError> {
        let Way::Segments {
            sealed,
            pass,
            after,
        } = &mut self.way
        else {
            return Ok(None);
        };
        let Some(part) = sealed.part(self.readings_at_once)? else {
            self.position = Position {
                before: pass.until,
                pass: None,
                commit: *after,
                ..self.position
            };
            self.way = after.map_or(Way::Unknown, |after| Way::Log { after });
            return Ok(None);
        };
        pass.day = part.day;
        self.position.pass = Some(*pass);
        self.position.commit = None;
        self.batch(&part.readings, false).map(Some)
    }

    fn batch(&mut self, readings: &[Reading], is_level: bool) -> Result<Batch, StoreError> {
        self.know_names(readings)?;
        self.position.passed += readings.len() as u64;
        let mut batch = Batch {
            lines: Lines::default(),
            readings: readings.len() as u64,
            in_lines: 0,
            unsayable: Vec::new(),
            position: self.position,
            is_level,
        };
        let message = |reading: &Reading| (reading.series.device, reading.observed_at);
        let mut fields = Vec::new();
        for readings in readings.chunk_by(|a, b| message(a) == message(b)) {
            let Some((device, at)) = readings.first().map(message) else {
                continue;
            };
            let Some(Some(id)) = self.devices.get(&device) else {
                continue;
            };
            fields.clear();
            for reading in readings {
                let names = self.fields.get(usize::from(reading.series.metric.0));
                let Some(names) = names else { continue };
                for (part, number) in parts_of(reading) {
                    let place = Part::ALL.iter().position(|known| *known == part);
                    if let Some(name) = place.and_then(|place| names.get(place)) {
                        fields.push((name.as_str(), number));
                    }
                }
            }
            match batch.lines.push(id, fields.iter().copied(), at) {
                Ok(()) => batch.in_lines += readings.len() as u64,
                Err(error) => batch.unsayable.push(format!("{id:?} at {at}: {error}")),
            }
        }
        Ok(batch)
    }

    /// Learns what devices and metrics are called that were not there before.
    fn know_names(&mut self, readings: &[Reading]) -> Result<(), StoreError> {
        let is_new = |reading: &Reading| !self.devices.contains_key(&reading.series.device);
        if readings.iter().any(is_new) {
            for (key, id) in self.reader.device_names()? {
                let name = (!id.is_own()).then(|| Arc::from(id.as_str()));
                self.devices.insert(key, name);
            }
            for reading in readings {
                // Should never be: then it is nobody's, and the name is not looked for again and again.
                self.devices.entry(reading.series.device).or_insert(None);
            }
        }
        let greatest = readings
            .iter()
            .map(|r| usize::from(r.series.metric.0))
            .max();
        if greatest.is_some_and(|key| key >= self.fields.len()) {
            let names = self.reader.metric_names();
            let fields = |name: &String| Part::ALL.map(|part| part.field(name));
            self.fields = names.iter().map(fields).collect();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
