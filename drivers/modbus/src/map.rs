//! Register maps: which registers of a model are which metric. Files, and what the driver makes of
//! them.

mod file;
mod library;
mod plan;
mod scale;

pub use file::{ClearLatch, MapFile, Order, Profile, ReadingFile, ReadingPatch, Type};
pub use library::{BUILT_IN, Library};
pub use scale::Scale;

use crate::frame::{Block, Request, Table};
use model::{Catalogue, MetricKey, MetricShape};
use scale::Units;
use std::collections::BTreeMap;

/// Digits after the point that a register can ask for; more would be no number a sensor has.
pub(crate) const DECIMALS_MAX: u16 = 9;

/// A map that cannot be used: which reading, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct MapError {
    pub place: String,
    pub reason: String,
}

impl MapError {
    fn at(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            reason: reason.into(),
        }
    }
}

/// A map as the driver uses it: what to ask for, and how to read the answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    pub name: String,
    pub blocks: Vec<Block>,
    pub readings: Vec<Reading>,
}

/// Where something stands in the answers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Which of the map's blocks.
    pub block: usize,
    /// Registers or bits from its beginning.
    pub index: u16,
}

/// One metric of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub metric: MetricKey,
    pub name: String,
    pub spot: Spot,
    pub form: Form,
    pub scale: Scale,
    pub offset: f64,
    /// From the map's unit to the metric's.
    pub unit: Scale,
    /// Raw values that say that there is no value.
    pub none: Vec<f64>,
    pub decimals: Option<Spot>,
    /// A register that tells the unit, and what its codes are in the metric's unit.
    pub unit_code: Option<(Spot, BTreeMap<u16, Scale>)>,
    /// What ends a latched alarm, once it is on disk.
    pub clear_latch: Option<Request>,
}

/// How the raw value is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub kind: Type,
    pub order: Order,
    pub shift: u32,
    /// Bits that are kept after the shift; all of them if there is none.
    pub mask: Option<u32>,
    /// 1 for everything but 0.
    pub flag: bool,
}

impl Map {
    /// Makes a map of a file, with the changes of a profile.
    pub fn new(
        name: &str,
        file: &MapFile,
        patches: &BTreeMap<String, ReadingPatch>,
        catalogue: &Catalogue,
    ) -> Result<Self, MapError> {
        let mut readings = file.readings.clone();
        for (metric, patch) in patches {
            let reading = readings.get_mut(metric).ok_or_else(|| {
                MapError::at(
                    metric,
                    format!("map `{name}` has no such reading to change"),
                )
            })?;
            patch.apply(reading);
            if patch.off {
                readings.remove(metric);
            }
        }
        if readings.is_empty() {
            return Err(MapError::at("readings", "there is none"));
        }
        let mut needs = plan::Needs::new(file.gap);
        for (metric, reading) in &readings {
            need(&mut needs, file, reading).map_err(|why| MapError::at(metric, why))?;
        }
        let blocks = needs.blocks();
        let units = Units::built_in();
        let made = readings.iter().map(|(metric, reading)| {
            let maker = Maker {
                file,
                blocks: &blocks,
                units: &units,
                catalogue,
            };
            maker
                .reading(metric, reading)
                .map_err(|why| MapError::at(metric, why))
        });
        Ok(Self {
            name: name.to_owned(),
            readings: made.collect::<Result<_, _>>()?,
            blocks,
        })
    }

    /// Gives the blocks for a device whose registers begin later by `offset`.
    pub fn blocks_from(&self, offset: u16) -> Option<Vec<Block>> {
        let moved = |block: &Block| {
            let at = block.at.checked_add(offset)?;
            at.checked_add(block.count.checked_sub(1)?)?;
            Some(Block { at, ..*block })
        };
        self.blocks.iter().map(moved).collect()
    }

    pub fn has(&self, metric: MetricKey) -> bool {
        self.readings.iter().any(|reading| reading.metric == metric)
    }
}

/// Notes which registers a reading needs.
fn need(needs: &mut plan::Needs, file: &MapFile, reading: &ReadingFile) -> Result<(), String> {
    let table = reading.table.unwrap_or(file.table);
    let width = reading.kind.registers();
    if table.has_bits() && (width != 1 || reading.bit.is_some() || reading.bits.is_some()) {
        return Err("a coil or discrete input is one bit: no `type`, `bit` or `bits`".to_owned());
    }
    needs.add(table, reading.at, width)?;
    let beside = [reading.decimals_at, reading.unit_at];
    for at in beside.into_iter().flatten() {
        needs.add(table, at, 1)?;
    }
    Ok(())
}

struct Maker<'a> {
    file: &'a MapFile,
    blocks: &'a [Block],
    units: &'a Units,
    catalogue: &'a Catalogue,
}

impl Maker<'_> {
    fn reading(&self, metric: &str, given: &ReadingFile) -> Result<Reading, String> {
        let catalogue = self.catalogue;
        let key = catalogue.find(metric).ok_or("no such metric")?;
        let def = catalogue.def(key).ok_or("no such metric")?;
        if def.shape != MetricShape::Number {
            return Err("only metrics that are numbers can be read from registers".to_owned());
        }
        let table = given.table.unwrap_or(self.file.table);
        let spot = |at| plan::spot(self.blocks, table, at).ok_or("a register without a block");
        let codes = self.unit_codes(given, &def.unit)?;
        let unit = match (&given.unit, codes.is_some()) {
            (Some(_), true) => return Err("either `unit` or `units`".to_owned()),
            (None, true) => Scale::ONE,
            (unit, false) => self
                .units
                .between(unit.as_deref().unwrap_or(""), &def.unit)?,
        };
        let decimals = given.decimals_at.map(spot).transpose()?;
        let unit_code = match (codes, given.unit_at) {
            (None, _) => None,
            (Some(codes), at) => Some((spot(at.ok_or("`units` needs `unit_at`")?)?, codes)),
        };
        if !given.offset.is_finite() {
            return Err("`offset` must be a number".to_owned());
        }
        Ok(Reading {
            metric: key,
            name: metric.to_owned(),
            spot: spot(given.at)?,
            form: form(given, self.file.order)?,
            scale: Scale::new(given.scale)?,
            offset: given.offset,
            unit,
            none: given.none.clone(),
            decimals,
            unit_code,
            clear_latch: self.clear_latch(given)?,
        })
    }

    fn unit_codes(
        &self,
        given: &ReadingFile,
        unit: &str,
    ) -> Result<Option<BTreeMap<u16, Scale>>, String> {
        if given.units.is_empty() {
            return match given.unit_at {
                Some(_) => Err("`unit_at` needs `units`".to_owned()),
                None => Ok(None),
            };
        }
        let mut codes = BTreeMap::new();
        for (code, its_unit) in &given.units {
            let code = code
                .parse()
                .map_err(|_| format!("units: `{code}` is no code of a register"))?;
            codes.insert(code, self.units.between(its_unit, unit)?);
        }
        Ok(Some(codes))
    }

    fn clear_latch(&self, given: &ReadingFile) -> Result<Option<Request>, String> {
        let Some(clear) = &given.clear_latch else {
            return Ok(None);
        };
        if !self.file.allow_writes {
            return Err("`clear_latch` writes: the map must say `allow_writes = true`".to_owned());
        }
        match (clear.register, clear.coil) {
            (Some(at), None) => Ok(Some(Request::WriteRegister {
                at,
                value: clear.value,
            })),
            (None, Some(at)) => Ok(Some(Request::WriteCoil {
                at,
                on: clear.value != 0,
            })),
            _ => Err("clear_latch: either `register` or `coil`".to_owned()),
        }
    }
}

fn form(given: &ReadingFile, order: Order) -> Result<Form, String> {
    let is_float = given.kind == Type::F32;
    let width = u32::from(given.kind.registers()) * 16;
    let (shift, mask) = match (given.bit, given.bits) {
        (None, None) => (0, None),
        (Some(_), Some(_)) => return Err("either `bit` or `bits`".to_owned()),
        _ if is_float => return Err("a float has no bits to cut out".to_owned()),
        (Some(bit), None) => (bit, Some((bit, bit))),
        (None, Some([low, high])) => (low, Some((low, high))),
    };
    if let Some((low, high)) = mask
        && (low > high || high >= width)
    {
        return Err(format!("bits {low} to {high} of {width}"));
    }
    let all_ones = |count: u32| u32::MAX >> 32u32.saturating_sub(count).min(31);
    Ok(Form {
        kind: given.kind,
        order: given.order.unwrap_or(order),
        shift,
        mask: mask.map(|(low, high)| all_ones(high - low + 1)),
        flag: given.flag,
    })
}

#[cfg(test)]
mod tests;
