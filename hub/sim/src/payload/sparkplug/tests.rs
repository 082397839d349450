//! Payloads as the reference library of Sparkplug writes them.

use super::*;

/// The time of the recorded messages.
const AT_MS: i64 = 1_486_144_502_122;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let pair = |two: &[char]| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

#[test]
fn a_birth_begins_as_the_recorded_one() {
    let metric = |name, datum| Metric {
        name: Some(name),
        alias: None,
        at_ms: Some(AT_MS),
        datum,
    };
    let metrics = [
        metric("bdSeq", Datum::Long(0)),
        metric("Node Control/Rebirth", Datum::Boolean(false)),
    ];
    let expected = hex("08 eaf2f5a8a02b
         12 12 0a05 6264536571 18 eaf2f5a8a02b 2008 5800
         12 21 0a14 4e6f646520436f6e74726f6c2f52656269727468 18 eaf2f5a8a02b 200b 7000
         18 00");
    assert_eq!(write(AT_MS, &metrics, Some(0)), expected);
}

#[test]
fn a_death_is_the_recorded_one() {
    let metric = Metric {
        name: Some("bdSeq"),
        alias: None,
        at_ms: None,
        datum: Datum::Long(0),
    };
    assert_eq!(
        write(AT_MS, &[metric], None),
        hex("08 eaf2f5a8a02b 12 0b 0a05 6264536571 2008 5800")
    );
}

#[test]
fn data_name_a_metric_by_its_alias_alone() {
    // The first metric of the recorded DDATA is 64.75, alias 1, at 1486144503022; its datatype is
    // left out there and written here: 20 0a.
    let metric = Metric {
        name: None,
        alias: Some(1),
        at_ms: Some(1_486_144_503_022),
        datum: Datum::Double(64.75),
    };
    assert_eq!(
        write(1_486_144_503_122, &[metric], Some(2)),
        hex("08 d2faf5a8a02b 12 14 1001 18 eef9f5a8a02b 200a 69 0000000000305040 1802")
    );
}
