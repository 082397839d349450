//! What a register map looks like on disk, and what a profile may change of it.

use super::Table;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A register map: a TOML file whose name is the map's.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapFile {
    /// Which models it fits, for people.
    pub title: String,
    /// Where the addresses come from: a paper and its page, or a capture.
    pub source: String,
    /// `V` read in that source, `M` from memory: try it before you rely on it.
    pub mark: String,
    /// The table of all readings that name none.
    #[serde(default = "holding")]
    pub table: Table,
    /// The order of bytes of all readings that name none.
    #[serde(default)]
    pub order: Order,
    /// Registers without a meaning that may be read over to make one request of two.
    #[serde(default)]
    pub gap: u16,
    /// Lets `clear_latch` write. Nothing else ever writes.
    #[serde(default)]
    pub allow_writes: bool,
    /// By metric.
    pub readings: BTreeMap<String, ReadingFile>,
}

fn holding() -> Table {
    Table::Holding
}

/// How the registers of one metric are read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadingFile {
    /// Address on the wire: papers that count 40001 or 1 are one ahead.
    pub at: u16,
    pub table: Option<Table>,
    #[serde(rename = "type", default)]
    pub kind: Type,
    pub order: Option<Order>,
    /// One bit, counted from the lowest.
    pub bit: Option<u32>,
    /// Lowest and highest bit of a field.
    pub bits: Option<[u32; 2]>,
    /// 1 for everything but 0.
    #[serde(default)]
    pub flag: bool,
    /// What a raw value of 1 is worth.
    #[serde(default = "one")]
    pub scale: f64,
    /// Added after the scale, in `unit`.
    #[serde(default)]
    pub offset: f64,
    /// The unit after scale and offset; must be the metric's or a known other one.
    pub unit: Option<String>,
    /// Raw values that say that there is no value.
    #[serde(default)]
    pub none: Vec<f64>,
    /// A register that tells how many digits stand after the point.
    pub decimals_at: Option<u16>,
    /// A register that tells the unit, by the codes of `units`.
    pub unit_at: Option<u16>,
    #[serde(default)]
    pub units: BTreeMap<String, String>,
    pub clear_latch: Option<ClearLatch>,
}

fn one() -> f64 {
    1.0
}

/// The write that ends a latched alarm once it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClearLatch {
    pub register: Option<u16>,
    pub coil: Option<u16>,
    #[serde(default)]
    pub value: u16,
}

/// How a number is written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    #[default]
    U16,
    I16,
    U32,
    I32,
    /// IEEE 754 single.
    F32,
}

impl Type {
    pub const fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
        }
    }
}

/// In which order the bytes of a number stand on the wire; A is the highest.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Order {
    /// High word first, high byte first: the standard's own.
    #[default]
    #[serde(rename = "ABCD")]
    Abcd,
    /// Low word first.
    #[serde(rename = "CDAB")]
    Cdab,
    /// High word first, low byte first.
    #[serde(rename = "BADC")]
    Badc,
    /// Low word first, low byte first.
    #[serde(rename = "DCBA")]
    Dcba,
}

impl Order {
    pub const fn swaps_bytes(self) -> bool {
        matches!(self, Self::Badc | Self::Dcba)
    }

    pub const fn swaps_words(self) -> bool {
        matches!(self, Self::Cdab | Self::Dcba)
    }
}

/// `[profiles.NAME]` with `codec = "modbus"`: how devices of one model write.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Always `modbus`.
    pub codec: String,
    /// The register map: a built-in one, or a file of the driver's `maps_dir`.
    pub map: String,
    /// What is different at these devices, by metric.
    #[serde(default)]
    pub readings: BTreeMap<String, ReadingPatch>,
}

/// What a profile changes of one reading.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadingPatch {
    /// Another address on the wire.
    pub at: Option<u16>,
    /// Another table: `holding`, `input`, `coil`, `discrete`.
    pub table: Option<Table>,
    /// Another form: `u16`, `i16`, `u32`, `i32`, `f32`.
    #[serde(rename = "type")]
    pub kind: Option<Type>,
    /// Another order of bytes: `ABCD`, `CDAB`, `BADC`, `DCBA`.
    pub order: Option<Order>,
    /// What a raw value of 1 is worth.
    pub scale: Option<f64>,
    /// Added after the scale.
    pub offset: Option<f64>,
    /// The unit after scale and offset.
    pub unit: Option<String>,
    /// Raw values that say that there is no value.
    pub none: Option<Vec<f64>>,
    /// These devices do not have it: it is not read.
    #[serde(default)]
    pub off: bool,
}

impl ReadingPatch {
    pub(super) fn apply(&self, reading: &mut ReadingFile) {
        fn set<T: Clone>(place: &mut T, new: Option<&T>) {
            if let Some(new) = new {
                place.clone_from(new);
            }
        }
        set(&mut reading.at, self.at.as_ref());
        set(&mut reading.kind, self.kind.as_ref());
        set(&mut reading.scale, self.scale.as_ref());
        set(&mut reading.offset, self.offset.as_ref());
        set(&mut reading.none, self.none.as_ref());
        reading.table = self.table.or(reading.table);
        reading.order = self.order.or(reading.order);
        reading.unit = self.unit.clone().or(reading.unit.take());
    }
}
