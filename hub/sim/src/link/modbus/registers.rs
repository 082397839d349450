//! What stands in the registers of a unit, as the maps that the hub ships expect it.

use crate::observation::{Measure, Observation};
use crate::random::whole;
use crate::way::number;
use std::collections::HashMap;

/// A weather and dust station (RS-FSXCS, CWT-UWD-SWS): register, metric, steps of one unit.
const STATION: [(u16, &str, f64); 7] = [
    (0x01f4, "wind_speed_ms", 100.0),
    (0x01f7, "wind_direction_deg", 1.0),
    (0x01f8, "humidity_pct", 10.0),
    (0x01f9, "temperature_c", 10.0),
    (0x01fb, "pm25_ugm3", 1.0),
    (0x01fc, "pm10_ugm3", 1.0),
    (0x01fd, "air_pressure_kpa", 10.0),
];
/// Its noise sensor hears the street and the wind.
const STATION_NOISE: u16 = 0x01fa;
const STREET_DBA: f64 = 47.0;
const WIND_DBA: f64 = 1.5;
/// A noise transmitter has one register, in tenths.
const NOISE: u16 = 0;
/// A pressure transmitter: unit (1 is kPa), decimals, value.
const PRESSURE_UNIT: u16 = 2;
const PRESSURE_DECIMALS: u16 = 3;
const PRESSURE: u16 = 4;
const KPA: u16 = 1;

const READ_HOLDING: u8 = 3;
const READ_INPUT: u8 = 4;
const ILLEGAL_FUNCTION: u8 = 1;
const ILLEGAL_ADDRESS: u8 = 2;
const ILLEGAL_VALUE: u8 = 3;
/// A request may read so many (V1.1b3, 6.3).
const COUNT_MAX: u16 = 125;

/// The registers of one unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Registers(HashMap<u16, u16>);

impl Registers {
    /// Writes what was measured.
    pub(super) fn of(observations: &[Observation]) -> Self {
        let mut registers = Self::default();
        for (at, metric, steps) in STATION {
            if let Some(value) = number(observations, metric) {
                registers.put(at, value * steps);
            }
        }
        if let Some(wind_ms) = number(observations, "wind_speed_ms") {
            registers.put(STATION_NOISE, (STREET_DBA + WIND_DBA * wind_ms) * 10.0);
        }
        if let Some(dba) = number(observations, "laeq_dba") {
            registers.put(NOISE, dba * 10.0);
        }
        let pressure = observations.iter().find(|o| o.metric == "pressure_kpa");
        if let Some(Measure::Number { value, decimals }) = pressure.map(|o| &o.measure) {
            let digits = i32::try_from(*decimals).unwrap_or(0).clamp(0, 3);
            registers.put(PRESSURE_UNIT, f64::from(KPA));
            registers.put(PRESSURE_DECIMALS, f64::from(digits));
            registers.put(PRESSURE, value * 10f64.powi(digits));
        }
        registers
    }

    /// Writes a whole number; a negative one as two's complement.
    fn put(&mut self, at: u16, value: f64) {
        let value = i32::try_from(whole(value)).unwrap_or(0);
        let word = value.to_be_bytes();
        self.0.insert(at, u16::from_be_bytes([word[2], word[3]]));
    }
}

/// Answers a request without unit and checksum.
pub(super) fn answer(registers: &Registers, request: &[u8]) -> Vec<u8> {
    let [function, high, low, count_high, count_low] = *request else {
        let function = request.first().copied().unwrap_or(0);
        return vec![function | 0x80, ILLEGAL_FUNCTION];
    };
    let refused = |code| vec![function | 0x80, code];
    if !matches!(function, READ_HOLDING | READ_INPUT) {
        return refused(ILLEGAL_FUNCTION);
    }
    let start = u16::from_be_bytes([high, low]);
    let count = u16::from_be_bytes([count_high, count_low]);
    if !(1..=COUNT_MAX).contains(&count) {
        return refused(ILLEGAL_VALUE);
    }
    let Some(end) = start.checked_add(count - 1) else {
        return refused(ILLEGAL_ADDRESS);
    };
    let mut reply = vec![function, u8::try_from(count * 2).unwrap_or(0)];
    for at in start..=end {
        // Gaps between registers read as zero.
        let word = registers.0.get(&at).copied().unwrap_or(0);
        reply.extend(word.to_be_bytes());
    }
    reply
}
