//! Questions in Flux to the letter, and nothing of a name outside of its string.

use super::{buckets, complete_until, quoted, values};
use crate::history::server::Wanted;
use crate::influx::Row;
use crate::shape::Part;
use model::{DeviceId, MetricShape};
use proptest::prelude::*;

/// 2026-03-01T00:00:00Z.
const START: i64 = 1_772_323_200_000;

fn wanted(device: &DeviceId) -> Wanted<'_> {
    Wanted {
        device,
        metric: "pressure_kpa",
        shape: MetricShape::Number,
    }
}

#[test]
fn values_are_asked_for_by_field_and_so_many_of_each() {
    let device = DeviceId::new("gas-0001").unwrap();
    let parts = [Part::Number, Part::Quality];
    let span = START..START + 60_000;
    assert_eq!(
        values("telemetry", wanted(&device), &parts, (&span, 1001)),
        "from(bucket: \"telemetry\")
  |> range(start: 2026-03-01T00:00:00.000Z, stop: 2026-03-01T00:01:00.000Z)
  |> filter(fn: (r) => r[\"_measurement\"] == \"cityhub\" and r[\"device\"] == \"gas-0001\")
  |> filter(fn: (r) => r[\"_field\"] == \"pressure_kpa\" or r[\"_field\"] == \"pressure_kpa_quality\")
  |> drop(columns: [\"_start\", \"_stop\", \"_measurement\"])
  |> limit(n: 1001)"
    );
}

#[test]
fn buckets_are_named_by_their_start() {
    let device = DeviceId::new("gas-0001").unwrap();
    let span = START..START + 600_000;
    assert_eq!(
        buckets("telemetry", wanted(&device), &span, ("mean", 300_000)),
        "from(bucket: \"telemetry\")
  |> range(start: 2026-03-01T00:00:00.000Z, stop: 2026-03-01T00:10:00.000Z)
  |> filter(fn: (r) => r[\"_measurement\"] == \"cityhub\" and r[\"device\"] == \"gas-0001\")
  |> filter(fn: (r) => r[\"_field\"] == \"pressure_kpa\")
  |> aggregateWindow(every: 300000ms, fn: mean, createEmpty: false, timeSrc: \"_start\")
  |> drop(columns: [\"_start\", \"_stop\", \"_measurement\"])"
    );
}

#[test]
fn an_answer_is_whole_up_to_the_first_table_that_was_cut_off() {
    let row = |table, at_ms| Row {
        table,
        at_ms,
        field: None,
        number: 1.0,
    };
    let rows = [row(0, 10), row(0, 20), row(1, 15), row(0, 30), row(1, 90)];
    assert_eq!(complete_until(&rows, 3), Some(31));
    assert_eq!(complete_until(&rows, 4), None);
    assert_eq!(complete_until(&rows, 2), Some(31));
}

proptest! {
    #[test]
    fn nothing_of_a_name_leaves_its_string(name in any::<String>()) {
        let text = quoted(&name);
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap();
        let has_expression = inner.contains("${");
        prop_assert!(!has_expression);
        let mut plain = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            prop_assert!(!matches!(c, '"' | '\n' | '\r' | '$'));
            plain.push(match c {
                '\\' => match chars.next() {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some('x') => {
                        prop_assert_eq!((chars.next(), chars.next()), (Some('2'), Some('4')));
                        '$'
                    }
                    Some(escaped @ ('"' | '\\')) => escaped,
                    other => return Err(TestCaseError::fail(format!("an escape of {other:?}"))),
                },
                c => c,
            });
        }
        prop_assert_eq!(plain, name);
    }
}
