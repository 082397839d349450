//! Payloads of Sparkplug B, in protobuf by hand from `sparkplug_b.proto`.

/// Numbers of the fields, each with its wire type in the low bits: 0 varint, 1 eight bytes, 2 with a
/// length.
const TIMESTAMP: u64 = 1 << 3;
const METRIC: u64 = 2 << 3 | 2;
const SEQ: u64 = 3 << 3;
const NAME: u64 = 1 << 3 | 2;
const ALIAS: u64 = 2 << 3;
const METRIC_TIMESTAMP: u64 = 3 << 3;
const DATATYPE: u64 = 4 << 3;
const LONG: u64 = 11 << 3;
const DOUBLE: u64 = 13 << 3 | 1;
const BOOLEAN: u64 = 14 << 3;
/// Datatypes (6.4.16).
const UINT64: u64 = 8;
const DOUBLE_TYPE: u64 = 10;
const BOOLEAN_TYPE: u64 = 11;

/// A value with its datatype.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Datum {
    Long(u64),
    Double(f64),
    Boolean(bool),
}

/// A metric; data name it by its alias alone.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Metric<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) alias: Option<u64>,
    pub(crate) at_ms: Option<i64>,
    pub(crate) datum: Datum,
}

/// Writes a payload; a death has no `seq`.
pub(crate) fn write(at_ms: i64, metrics: &[Metric<'_>], seq: Option<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    number(&mut out, TIMESTAMP, at_ms.unsigned_abs());
    for metric in metrics {
        bytes(&mut out, METRIC, &written(metric));
    }
    if let Some(seq) = seq {
        number(&mut out, SEQ, u64::from(seq));
    }
    out
}

fn written(metric: &Metric<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(name) = metric.name {
        bytes(&mut out, NAME, name.as_bytes());
    }
    if let Some(alias) = metric.alias {
        number(&mut out, ALIAS, alias);
    }
    if let Some(at_ms) = metric.at_ms {
        number(&mut out, METRIC_TIMESTAMP, at_ms.unsigned_abs());
    }
    match metric.datum {
        Datum::Long(value) => {
            number(&mut out, DATATYPE, UINT64);
            number(&mut out, LONG, value);
        }
        Datum::Double(value) => {
            number(&mut out, DATATYPE, DOUBLE_TYPE);
            varint(&mut out, DOUBLE);
            out.extend(value.to_le_bytes());
        }
        Datum::Boolean(value) => {
            number(&mut out, DATATYPE, BOOLEAN_TYPE);
            number(&mut out, BOOLEAN, u64::from(value));
        }
    }
    out
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    number(out, field, value.len() as u64);
    out.extend(value);
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests;
