//! Checksums of HJ 212: the standard's own and those that devices compute instead.

use schemars::JsonSchema;
use serde::Deserialize;

/// A way to compute the checksum.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checksum {
    /// HJ 212-2017 annex A: the register is moved by a byte before each byte is taken in, so that
    /// its lower half is lost and only 256 values can be met.
    Hj212,
    /// CRC-16/MODBUS, high byte first.
    Modbus,
    /// CRC-16/MODBUS, low byte first.
    ModbusSwapped,
}

/// Eight steps of the register (polynomial 0xA001, reflected) for each byte.
const STEPS: [u16; 256] = {
    let mut steps = [0; 256];
    let mut byte: u16 = 0;
    while byte < 256 {
        let mut register = byte;
        let mut bit = 0;
        while bit < 8 {
            register = (register >> 1) ^ if register & 1 == 1 { 0xA001 } else { 0 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "the loop ends at the length")]
        {
            steps[byte as usize] = register;
        }
        byte += 1;
    }
    steps
};

fn steps(low: u16) -> u16 {
    STEPS.get(usize::from(low & 0xFF)).copied().unwrap_or(0)
}

impl Checksum {
    pub const ALL: [Self; 3] = [Self::Hj212, Self::Modbus, Self::ModbusSwapped];

    /// Computes it over a data segment.
    pub fn of(self, segment: &[u8]) -> u16 {
        let modbus = || {
            segment.iter().fold(0xFFFF_u16, |register, byte| {
                (register >> 8) ^ steps(register ^ u16::from(*byte))
            })
        };
        match self {
            Self::Hj212 => segment.iter().fold(0xFFFF_u16, |register, byte| {
                steps((register >> 8) ^ u16::from(*byte))
            }),
            Self::Modbus => modbus(),
            Self::ModbusSwapped => modbus().swap_bytes(),
        }
    }

    /// Finds the way in which `value` is the checksum of a segment.
    pub fn matching(segment: &[u8], value: u16) -> Option<Self> {
        // Nearly all devices compute the first, so that the others are seldom tried.
        Self::ALL
            .into_iter()
            .find(|checksum| checksum.of(segment) == value)
    }
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    #[test]
    fn the_checksum_of_the_standard_is_that_of_its_annex() {
        let annex = b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&";
        assert_eq!(Checksum::Hj212.of(annex), 0x1C80);
        assert_eq!(Checksum::matching(annex, 0x1C80), Some(Checksum::Hj212));
    }

    #[test]
    fn the_other_checksum_is_that_of_modbus() {
        // The check value of CRC-16/MODBUS in the catalogue of parametrised CRC algorithms.
        assert_eq!(Checksum::Modbus.of(b"123456789"), 0x4B37);
        assert_eq!(Checksum::ModbusSwapped.of(b"123456789"), 0x374B);
        assert_eq!(Checksum::matching(b"123456789", 0x4B38), None);
    }
}
