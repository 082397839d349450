//! Lines against the examples of the protocol's documentation, and against a parser of the tests' own.

use super::{LineError, Lines};
use model::Timestamp;
use proptest::prelude::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn line(device: &str, fields: &[(&str, f64)], millis: i64) -> Result<String, LineError> {
    let mut lines = Lines::default();
    lines.push(device, fields.iter().copied(), at(millis))?;
    assert_eq!(lines.count(), 1);
    Ok(lines.part(0..1).to_owned())
}

#[test]
fn a_line_is_written_as_the_documentation_of_influxdb_2_has_it() {
    // "Syntax": measurement, tag set, field set, timestamp; special characters of tag values and
    // field keys (comma, equals sign, space) are escaped with a backslash; floats have no suffix.
    for (device, fields, expected) in [
        (
            "gas-0001",
            vec![("pressure_kpa", 312.4), ("battery_pct", 91.0)],
            "cityhub,device=gas-0001 pressure_kpa=312.4,battery_pct=91 1556813561098\n",
        ),
        (
            "tag Value1",
            vec![("field Key", -1.234_456e78)],
            "cityhub,device=tag\\ Value1 field\\ Key=-1.234456e78 1556813561098\n",
        ),
        (
            "a=b,c\"d'",
            vec![("f=1,g", 0.000_001)],
            "cityhub,device=a\\=b\\,c\"d' f\\=1\\,g=1e-6 1556813561098\n",
        ),
        (
            "花园路03",
            vec![("x", -0.0), ("y", 1e16), ("z", 123_456_789.25)],
            "cityhub,device=花园路03 x=-0,y=1e16,z=123456789.25 1556813561098\n",
        ),
    ] {
        assert_eq!(
            line(device, &fields, 1_556_813_561_098).as_deref(),
            Ok(expected)
        );
    }
    assert_eq!(
        line("d", &[("x", 1.0)], -1).as_deref(),
        Ok("cityhub,device=d x=1 -1\n")
    );
}

#[test]
fn what_cannot_be_said_is_refused_and_leaves_nothing_behind() {
    let mut lines = Lines::default();
    lines.push("a", [("x", 1.0)], at(1)).expect("a plain line");
    let before = lines.clone();
    for (device, field, number) in [
        ("a\nb x=1", "x", 1.0),
        ("a\rb", "x", 1.0),
        ("a", "x\ny", 1.0),
        ("a\\", "x", 1.0),
        ("a\0", "x", 1.0),
        ("", "x", 1.0),
        ("a", "", 1.0),
        ("a", "x", f64::NAN),
        ("a", "x", f64::NEG_INFINITY),
    ] {
        assert!(lines.push(device, [(field, number)], at(2)).is_err());
        assert_eq!(lines, before);
    }
    assert_eq!(lines.push("a", [], at(2)), Err(LineError::NoField));
    assert_eq!(lines, before);
}

#[test]
fn parts_are_whole_lines() {
    let mut lines = Lines::default();
    for n in 0..4 {
        lines.push("d", [("x", 1.0)], at(n)).expect("a plain line");
    }
    assert_eq!(
        lines.part(1..3),
        "cityhub,device=d x=1 1\ncityhub,device=d x=1 2\n"
    );
    assert_eq!(lines.part(0..4).len(), lines.bytes());
    assert_eq!(lines.part(2..2), "");
    assert_eq!(lines.part(3..9), "");
}

/// Splits at a separator that no backslash stands before.
fn split_at_first(text: &str, separator: char) -> (String, Option<&str>) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        if c == separator {
            return (out, text.get(place + c.len_utf8()..));
        }
        match c {
            '\\' => match chars.next() {
                Some((_, escaped @ (',' | '=' | ' '))) => out.push(escaped),
                Some((_, other)) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    (out, None)
}

/// Reads one line back: the device, the fields and the time.
fn parse(line: &str) -> (String, Vec<(String, f64)>, i64) {
    let line = line.strip_suffix('\n').expect("a line ends");
    assert!(!line.contains('\n'), "one line is one line: {line:?}");
    let rest = line
        .strip_prefix("cityhub,device=")
        .expect("measurement and tag");
    let (device, rest) = split_at_first(rest, ' ');
    let mut rest = rest.expect("fields follow the tag");
    let mut fields = Vec::new();
    loop {
        let (name, after) = split_at_first(rest, '=');
        let after = after.expect("a field has a value");
        let end = after.find([',', ' ']).expect("a time follows the fields");
        let (number, after) = after.split_at(end);
        fields.push((name, number.parse().expect("a float")));
        let (separator, after) = after.split_at(1);
        rest = after;
        if separator == " " {
            return (device, fields, rest.parse().expect("a whole number"));
        }
    }
}

proptest! {
    #[test]
    fn every_line_reads_back_as_it_was_meant(
        device in "[^\\\\\\p{Cc}]{1,20}",
        names in prop::collection::vec("[^\\\\\\p{Cc}]{1,9}", 1..5),
        numbers in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO, 5),
        millis: i64,
    ) {
        let fields: Vec<(&str, f64)> = names.iter().map(String::as_str).zip(numbers).collect();
        let line = line(&device, &fields, millis).expect("nothing in it is forbidden");
        let (read_device, read_fields, read_millis) = parse(&line);
        prop_assert_eq!(read_device, device);
        prop_assert_eq!(read_millis, millis);
        let read: Vec<(&str, u64)> = read_fields.iter().map(|(n, v)| (n.as_str(), v.to_bits())).collect();
        let meant: Vec<(&str, u64)> = fields.iter().map(|(n, v)| (*n, v.to_bits())).collect();
        prop_assert_eq!(read, meant);
    }

    #[test]
    fn no_name_whatever_begins_another_line(device: String, name: String) {
        let mut lines = Lines::default();
        if lines.push(&device, [(name.as_str(), 1.0)], at(5)).is_ok() {
            prop_assert_eq!(lines.part(0..1).matches('\n').count(), 1);
            prop_assert_eq!(parse(lines.part(0..1)), (device, vec![(name, 1.0)], 5));
        }
    }
}
