//! What is known at a seal and is in no segment: newest values, totals, the engine's checkpoint.
//!
//! ```text
//! "CHST" | version | devices | totals | checkpoint | CRC-32 of all before it (little-endian)
//! ```

use crate::cell::{Cell, Part};
use crate::dedup::{Track, Tracks};
use crate::error::{Result, StoreError};
use crate::ledger::Tally;
use crate::view::{Known, View};
use crate::wire::{Wire, put_text, put_varint, put_zigzag};
use rustc_hash::FxHashMap;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 4] = *b"CHST";
const VERSION: u8 = 1;

pub(crate) fn state_path(dir: &Path, id: u64) -> PathBuf {
    dir.join("state").join(format!("{id}.state"))
}

/// What a state file holds.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) devices: FxHashMap<u32, Known>,
    pub(crate) tracks: Tracks,
    pub(crate) totals: FxHashMap<(u16, u32), Tally>,
    pub(crate) checkpoint: Vec<u8>,
}

/// Writes down the state as of the last commit.
pub(crate) fn encode(view: &View, tracks: &Tracks, checkpoint: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 * view.devices.len() + checkpoint.len() + 1024);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    put_varint(&mut out, view.devices.len() as u64);
    for (device, known) in &view.devices {
        put_device(&mut out, *device, known, tracks.get(device));
    }
    put_varint(&mut out, view.totals.len() as u64);
    for ((driver, device), tally) in &view.totals {
        put_varint(&mut out, (*driver).into());
        put_varint(&mut out, (*device).into());
        put_tally(&mut out, tally);
    }
    put_varint(&mut out, checkpoint.len() as u64);
    out.extend_from_slice(checkpoint);
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn put_device(out: &mut Vec<u8>, device: u32, known: &Known, track: Option<&Track>) {
    put_varint(out, device.into());
    put_zigzag(out, known.first_received);
    put_zigzag(out, known.last_received);
    put_varint(out, known.latest.len() as u64);
    for cell in &known.latest {
        put_varint(out, cell.metric.into());
        out.push(cell.part.code());
        out.push(cell.quality);
        put_varint(out, cell.driver.into());
        put_zigzag(out, known.last_received.wrapping_sub(cell.received));
        put_zigzag(out, cell.received.wrapping_sub(cell.observed));
        out.extend_from_slice(&cell.value.to_le_bytes());
    }
    let series = track.map_or(&[][..], Track::series);
    put_varint(out, series.len() as u64);
    for (metric, last) in series {
        put_varint(out, (*metric).into());
        put_zigzag(out, known.last_received.wrapping_sub(*last));
    }
}

fn put_tally(out: &mut Vec<u8>, tally: &Tally) {
    put_zigzag(out, tally.received);
    for count in [tally.stored, tally.duplicate, tally.late] {
        put_varint(out, count);
    }
    put_varint(out, tally.rejected.len() as u64);
    for (reason, count) in &tally.rejected {
        put_text(out, reason);
        put_varint(out, *count);
    }
}

/// Reads a state file.
pub(crate) fn decode(bytes: &[u8]) -> Result<State> {
    let damaged = |what: &str| StoreError::Damaged(format!("state file: {what}"));
    let (content, crc) = bytes
        .split_last_chunk::<4>()
        .ok_or_else(|| damaged("too short"))?;
    if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
        return Err(damaged("wrong check sum"));
    }
    let mut wire = Wire::new(content);
    if wire.array() != Some(MAGIC) {
        return Err(damaged("not a state file"));
    }
    match wire.byte() {
        Some(VERSION) => read(wire).ok_or_else(|| damaged("malformed")),
        found => Err(StoreError::NewerFormat {
            found: found.unwrap_or(0).into(),
            known: VERSION.into(),
        }),
    }
}

fn read(mut wire: Wire<'_>) -> Option<State> {
    let mut state = State::default();
    for _ in 0..wire.varint()? {
        read_device(&mut wire, &mut state)?;
    }
    for _ in 0..wire.varint()? {
        let key = (wire.narrow()?, wire.narrow()?);
        let tally = read_tally(&mut wire)?;
        state.totals.insert(key, tally);
    }
    let len = wire.narrow()?;
    state.checkpoint = wire.take(len)?.to_vec();
    wire.is_empty().then_some(state)
}

fn read_device(wire: &mut Wire<'_>, state: &mut State) -> Option<()> {
    let device = wire.narrow()?;
    let mut known = Known {
        first_received: wire.zigzag()?,
        last_received: wire.zigzag()?,
        latest: Vec::new(),
    };
    for _ in 0..wire.varint()? {
        let metric = wire.narrow()?;
        let part = Part::from_code(wire.byte()?)?;
        let quality = wire.byte()?;
        let driver = wire.narrow()?;
        let received = known.last_received.wrapping_sub(wire.zigzag()?);
        let observed = received.wrapping_sub(wire.zigzag()?);
        known.latest.push(Cell {
            observed,
            received,
            value: wire.f64()?,
            metric,
            driver,
            quality,
            part,
            late: false,
        });
    }
    let mut track = Track::default();
    for _ in 0..wire.varint()? {
        let metric = wire.narrow()?;
        let last = known.last_received.wrapping_sub(wire.zigzag()?);
        track.put(metric, last);
    }
    // Everything that this state knows of is in segments.
    track.seal();
    state.devices.insert(device, known);
    state.tracks.insert(device, track);
    Some(())
}

fn read_tally(wire: &mut Wire<'_>) -> Option<Tally> {
    let mut tally = Tally {
        received: wire.zigzag()?,
        stored: wire.varint()?,
        duplicate: wire.varint()?,
        late: wire.varint()?,
        rejected: Vec::new(),
    };
    for _ in 0..wire.varint()? {
        let reason = wire.text()?.to_owned();
        tally.rejected.push((reason.into(), wire.varint()?));
    }
    Some(tally)
}

#[cfg(test)]
#[path = "state_file_tests.rs"]
mod tests;
