//! Answers to observations: what a map makes of the registers of one poll.

use crate::frame::{Block, Data};
use crate::map::{DECIMALS_MAX, Form, Map, Reading, Scale, Spot, Type};
use model::{MetricKey, Observation, Quality, Rejected, Value};
use std::io::Write as _;

/// The registers that one poll brought, block by block; a block that was not answered has none.
#[derive(Debug)]
pub struct Sheet<'a> {
    pub blocks: &'a [Block],
    pub data: &'a [Option<Data>],
}

/// What was read, and what of it is no value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    pub observations: Vec<Observation>,
    pub rejected: Vec<Rejected>,
}

/// Why a register is no value.
struct NoValue {
    reason: &'static str,
    detail: String,
}

/// Reads every metric whose registers came.
pub fn decode(map: &Map, sheet: &Sheet<'_>) -> Decoded {
    let mut decoded = Decoded::default();
    decoded.observations.reserve(map.readings.len());
    for reading in &map.readings {
        match value(reading, sheet) {
            None => {}
            Some(Ok(value)) => decoded
                .observations
                .push(observation(reading.metric, value)),
            Some(Err(no)) => decoded.rejected.push(Rejected {
                metric: Some(reading.name.clone()),
                reason: no.reason.into(),
                detail: Some(no.detail),
            }),
        }
    }
    decoded
}

pub(crate) fn observation(metric: MetricKey, value: Value) -> Observation {
    Observation {
        metric,
        value,
        quality: Quality::GOOD,
        observed_at: None,
    }
}

impl Sheet<'_> {
    fn word(&self, spot: Spot) -> Option<u16> {
        let data = self.data.get(spot.block)?.as_ref()?;
        if self.blocks.get(spot.block)?.table.has_bits() {
            data.bit(spot.index).map(u16::from)
        } else {
            data.register(spot.index)
        }
    }

    fn raw(&self, spot: Spot, form: Form) -> Option<f64> {
        let swapped = |word: u16| {
            if form.order.swaps_bytes() {
                word.swap_bytes()
            } else {
                word
            }
        };
        let first = swapped(self.word(spot)?);
        let bits = if form.kind.registers() == 1 {
            u32::from(first)
        } else {
            let next = Spot {
                index: spot.index.checked_add(1)?,
                ..spot
            };
            let second = swapped(self.word(next)?);
            let (high, low) = if form.order.swaps_words() {
                (second, first)
            } else {
                (first, second)
            };
            u32::from(high) << 16 | u32::from(low)
        };
        let cut = form.mask.map(|mask| bits >> form.shift & mask);
        Some(match (cut, form.kind) {
            (Some(field), _) => f64::from(field),
            (None, Type::U16 | Type::U32) => f64::from(bits),
            (None, Type::I16) => f64::from(first.cast_signed()),
            (None, Type::I32) => f64::from(bits.cast_signed()),
            (None, Type::F32) => shortest(f32::from_bits(bits)),
        })
    }
}

/// Gives the number that a person would write for a float: 18.9, not 18.899999618530273.
fn shortest(float: f32) -> f64 {
    let mut text = [0; 32];
    let mut rest = text.as_mut_slice();
    let written = write!(rest, "{float:e}").is_ok();
    let left = rest.len();
    let used = text.len() - left;
    let digits = text.get(..used).filter(|_| written);
    digits
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(f64::from(float))
}

/// Reads one metric; none if its registers did not come.
fn value(reading: &Reading, sheet: &Sheet<'_>) -> Option<Result<Value, NoValue>> {
    let mut raw = sheet.raw(reading.spot, reading.form)?;
    let is_none = |none: &f64| none.total_cmp(&raw).is_eq();
    if reading.none.iter().any(is_none) {
        let detail = format!("{raw} says that there is no value");
        return Some(Err(no_value("sentinel", detail)));
    }
    if reading.form.flag {
        raw = if raw.abs() > 0.0 { 1.0 } else { 0.0 };
    }
    let mut scale = reading.scale;
    if let Some(spot) = reading.decimals {
        let digits = sheet.word(spot)?;
        if digits > DECIMALS_MAX {
            let detail = format!("{digits} digits after the point");
            return Some(Err(no_value("decimals_unknown", detail)));
        }
        scale = scale.and(Scale::decimals(digits));
    }
    let unit = match &reading.unit_code {
        None => reading.unit,
        Some((spot, codes)) => {
            let code = sheet.word(*spot)?;
            let Some(unit) = codes.get(&code) else {
                let detail = format!("the map has no unit of code {code}");
                return Some(Err(no_value("unit_unknown", detail)));
            };
            *unit
        }
    };
    // The offset in raw values, so that 65.4 less 40 is 25.4 and nothing near.
    let moved = raw * scale.times + reading.offset * scale.over;
    let number = moved * unit.times / (scale.over * unit.over);
    Some(Value::number(number).ok_or_else(|| no_value("not_finite", format!("{number}"))))
}

fn no_value(reason: &'static str, detail: String) -> NoValue {
    NoValue { reason, detail }
}

#[cfg(test)]
mod tests;
