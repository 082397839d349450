//! Modbus RTU bytes: a request out, and the one answer that it waits for, whatever stands around it.
//!
//! Layout and limits: MODBUS over Serial Line V1.02, 2.5.1 (frame, CRC) and MODBUS Application
//! Protocol V1.1b3, 4.1 (256 bytes), 6.1 to 6.6 (functions 1 to 6), 7 (exceptions).

mod reader;

pub use reader::{Cleared, Found, Reader};

use schemars::JsonSchema;
use serde::Deserialize;

/// Registers that one request may ask for (Application Protocol 6.3, 6.4).
pub const REGISTERS_MAX: u16 = 125;

/// Coils or discrete inputs that one request may ask for (Application Protocol 6.1, 6.2).
pub const BITS_MAX: u16 = 2000;

/// What an answer can carry: 125 registers or 2000 bits.
pub const DATA_BYTES_MAX: usize = 250;

/// Greatest unit number (Serial Line 2.2). Gateways also take 0 and 255 for themselves.
pub const UNIT_MAX: u8 = 247;

/// Set in the function of an answer that is an exception (Application Protocol 7).
pub(crate) const EXCEPTION: u8 = 0x80;

const WRITE_COIL: u8 = 5;
const WRITE_REGISTER: u8 = 6;

/// One of the four tables of a device (Application Protocol 4.3).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Bits that can be written (0x… in a maker's paper).
    Coil,
    /// Bits that can only be read (1x…).
    Discrete,
    /// Registers that can be written (4x…): nearly all sensors keep their values here.
    Holding,
    /// Registers that can only be read (3x…).
    Input,
}

impl Table {
    /// The function that reads it.
    pub const fn function(self) -> u8 {
        match self {
            Self::Coil => 1,
            Self::Discrete => 2,
            Self::Holding => 3,
            Self::Input => 4,
        }
    }

    pub const fn has_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }

    /// How much of it one request may ask for.
    pub const fn count_max(self) -> u16 {
        if self.has_bits() {
            BITS_MAX
        } else {
            REGISTERS_MAX
        }
    }
}

/// Neighbours in one table, read by one request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub table: Table,
    /// Address on the wire: 0 is what papers call 40001.
    pub at: u16,
    pub count: u16,
}

impl Block {
    /// Bytes of data that answer it.
    pub fn data_bytes(&self) -> usize {
        let count = usize::from(self.count);
        if self.table.has_bits() {
            count.div_ceil(8)
        } else {
            count * 2
        }
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, at, count } = self;
        let last = at.saturating_add(count.saturating_sub(1));
        write!(f, "{table:?} {at:#06x} to {last:#06x}")
    }
}

/// What the hub asks of a unit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Read(Block),
    WriteCoil { at: u16, on: bool },
    WriteRegister { at: u16, value: u16 },
}

impl Request {
    pub const fn function(&self) -> u8 {
        match self {
            Self::Read(block) => block.table.function(),
            Self::WriteCoil { .. } => WRITE_COIL,
            Self::WriteRegister { .. } => WRITE_REGISTER,
        }
    }

    /// Writes the frame for a unit, CRC included; all requests of this driver are equally long.
    pub fn rtu(&self, unit: u8) -> [u8; 8] {
        let (at, what) = match *self {
            Self::Read(block) => (block.at, block.count),
            Self::WriteCoil { at, on } => (at, if on { 0xff00 } else { 0 }),
            Self::WriteRegister { at, value } => (at, value),
        };
        let [at_high, at_low] = at.to_be_bytes();
        let [high, low] = what.to_be_bytes();
        let plain = [unit, self.function(), at_high, at_low, high, low];
        let [crc_low, crc_high] = crc(&plain).to_le_bytes();
        [
            unit,
            self.function(),
            at_high,
            at_low,
            high,
            low,
            crc_low,
            crc_high,
        ]
    }
}

/// The data of an answer, as it stood on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Data {
    bytes: [u8; DATA_BYTES_MAX],
    len: u8,
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Data").field(&self.bytes()).finish()
    }
}

impl Data {
    /// Takes at most 250 bytes, which is all that an answer can carry.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut data = Self {
            bytes: [0; DATA_BYTES_MAX],
            len: u8::try_from(bytes.len()).ok()?,
        };
        data.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(data)
    }

    pub fn of_registers(registers: &[u16]) -> Option<Self> {
        let mut bytes = [0; DATA_BYTES_MAX];
        let len = registers.len() * 2;
        let places = bytes.get_mut(..len)?.chunks_exact_mut(2);
        for (place, register) in places.zip(registers) {
            place.copy_from_slice(&register.to_be_bytes());
        }
        Self::new(bytes.get(..len)?)
    }

    pub fn of_bits(bits: &[bool]) -> Option<Self> {
        let mut bytes = [0; DATA_BYTES_MAX];
        let len = bits.len().div_ceil(8);
        let places = bytes.get_mut(..len)?.iter_mut();
        for (place, bits) in places.zip(bits.chunks(8)) {
            let low_first = bits.iter().rev();
            *place = low_first.fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        }
        Self::new(bytes.get(..len)?)
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    pub fn register(&self, index: u16) -> Option<u16> {
        let start = usize::from(index) * 2;
        let pair = self.bytes().get(start..start + 2)?;
        pair.try_into().ok().map(u16::from_be_bytes)
    }

    pub fn registers(&self) -> impl Iterator<Item = u16> {
        let pairs = self.bytes().chunks_exact(2);
        pairs.filter_map(|pair| pair.try_into().ok().map(u16::from_be_bytes))
    }

    /// Bit 0 is the lowest of the first byte (Application Protocol 6.1).
    pub fn bit(&self, index: u16) -> Option<bool> {
        let byte = self.bytes().get(usize::from(index / 8))?;
        Some(byte >> (index % 8) & 1 == 1)
    }
}

/// What a unit answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "an answer lives on the stack; a box would be an allocation a frame"
)]
pub enum Reply {
    Data(Data),
    /// A write was carried out.
    Written,
    /// Refused, with a code of the exception table.
    Exception(u8),
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("nothing came in time")]
    Timeout,
    #[error("what came in time is no frame")]
    Noise,
    #[error("the answer ends too early")]
    Incomplete,
    #[error("the checksum of the answer is wrong")]
    Crc,
    #[error("another unit answered")]
    UnitMismatch,
    #[error("the answer is of another function")]
    FunctionMismatch,
    #[error("the answer has another length than was asked for")]
    WrongLength,
    #[error("the connection is gone: {0}")]
    Closed(String),
}

impl Trouble {
    /// The word of the ledger.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Noise => "noise",
            Self::Incomplete => "incomplete",
            Self::Crc => "crc",
            Self::UnitMismatch => "unit_mismatch",
            Self::FunctionMismatch => "function_mismatch",
            Self::WrongLength => "wrong_length",
            Self::Closed(_) => "link_closed",
        }
    }
}

/// CRC-16/MODBUS: begins with FFFF, polynomial A001 reflected, low byte first on the wire.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        let [low, _] = crc.to_le_bytes();
        let step = CRC_STEPS.get(usize::from(low ^ byte)).unwrap_or(&0);
        crc >> 8 ^ step
    })
}

static CRC_STEPS: [u16; 256] = crc_steps();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a constant; the compiler would refuse an index past the end"
)]
const fn crc_steps() -> [u16; 256] {
    let mut steps = [0; 256];
    let mut byte = 0;
    while byte < steps.len() {
        let mut crc = byte as u16;
        let mut bit = 0;
        while bit < 8 {
            let low = crc & 1;
            crc >>= 1;
            if low == 1 {
                crc ^= 0xa001;
            }
            bit += 1;
        }
        steps[byte] = crc;
        byte += 1;
    }
    steps
}

#[cfg(test)]
mod tests;
