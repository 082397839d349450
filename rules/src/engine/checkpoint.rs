//! The engine's whole state as bytes, and back.
//!
//! Layout: format byte, CRC-32 (little endian) of the rest, postcard of [`Written`]. The queue of
//! deadlines is not written, because it follows from the lanes.

use super::lane::{Lane, NEVER, Pulse};
use super::lanes::Lanes;
use super::register::{Claims, Register};
use super::watch::Watched;
use super::{Engine, Entry, Rule, Settings};
use crate::change::crc32;
use model::Catalogue;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const FORMAT: u8 = 4;
const HEADER_BYTES: usize = 5;

/// A checkpoint that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    #[error("the engine's checkpoint has format {found}, this version reads {FORMAT}")]
    Format { found: u8 },
    #[error("the engine's checkpoint is damaged: {0}")]
    Damaged(String),
}

#[derive(Serialize)]
struct Writing<'a> {
    pulse: &'a Pulse,
    rules: Vec<Option<&'a Rule>>,
    devices: Vec<&'a Watched>,
    lanes: &'a [Option<Lane>],
    free: &'a [u32],
}

#[derive(Deserialize)]
struct Written {
    pulse: Pulse,
    rules: Vec<Option<Rule>>,
    devices: Vec<Watched>,
    lanes: Vec<Option<Lane>>,
    free: Vec<u32>,
}

impl Engine {
    /// Writes the whole state.
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut devices: Vec<&Watched> = self.devices.values().collect();
        devices.sort_unstable_by_key(|device| device.view.key);
        let (lanes, free) = self.lanes.places();
        let writing = Writing {
            pulse: &self.pulse,
            rules: self
                .rules
                .iter()
                .map(|entry| entry.as_ref().map(|entry| &entry.rule))
                .collect(),
            devices,
            lanes,
            free,
        };
        let body = postcard::to_stdvec(&writing).expect("memory has no limit of its own");
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.push(FORMAT);
        bytes.extend(crc32(0, &body).to_le_bytes());
        bytes.extend(body);
        bytes
    }

    /// Reads what [`Engine::checkpoint`] wrote; the engine goes on exactly where it was.
    pub fn restore(
        settings: Settings,
        catalogue: Arc<Catalogue>,
        bytes: &[u8],
    ) -> Result<Self, RestoreError> {
        let damaged = |why: &str| RestoreError::Damaged(why.to_owned());
        let (header, body) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or_else(|| damaged("it is too short"))?;
        let [format, crc @ ..] = *header;
        if format != FORMAT {
            return Err(RestoreError::Format { found: format });
        }
        if crc32(0, body) != u32::from_le_bytes(crc) {
            return Err(damaged("its checksum is wrong"));
        }
        let written: Written =
            postcard::from_bytes(body).map_err(|error| damaged(&error.to_string()))?;
        let mut engine = Self {
            pulse: Pulse {
                lateness_ms: settings.lateness_ms(),
                ..written.pulse
            },
            rules: Vec::with_capacity(written.rules.len()),
            slots: BTreeMap::new(),
            devices: FxHashMap::default(),
            register: Register::default(),
            claims: Claims::default(),
            lanes: Lanes::restore(written.lanes, written.free),
            places: BTreeMap::new(),
            catalogue,
            zone: settings.zone,
        };
        for rule in written.rules {
            engine.restore_rule(rule);
        }
        let devices = written.devices.into_iter();
        engine.devices = devices.map(|device| (device.view.key, device)).collect();
        for device in engine.devices.values() {
            engine.register.add(&device.view);
        }
        for (lane, number) in engine.lanes.places().0.iter().zip(0..) {
            if let Some((slot, place)) =
                lane.as_ref().and_then(|l| Some((l.slot, l.place.clone()?)))
            {
                engine.places.insert((slot, place), number);
            }
        }
        engine.find_all_memberships();
        engine.arm_all();
        Ok(engine)
    }

    fn restore_rule(&mut self, rule: Option<Rule>) {
        let slot = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        let entry = rule.map(|rule| Entry::new(slot, rule, &self.catalogue, &self.zone));
        if let Some(entry) = &entry {
            self.slots.insert(Arc::clone(&entry.id), slot);
            self.claims.add(slot, &entry.rule.spec.targets);
        }
        self.rules.push(entry);
    }

    fn arm_all(&mut self) {
        let numbers = 0..u32::try_from(self.lanes.places().0.len()).unwrap_or(u32::MAX);
        for number in numbers {
            let Some(lane) = self.lanes.get_mut(number) else {
                continue;
            };
            lane.armed_ms = NEVER;
            if let Some(Some(entry)) = self.rules.get(lane.slot as usize) {
                self.lanes.arm(number, entry, self.pulse.lateness_ms);
            }
        }
    }
}
