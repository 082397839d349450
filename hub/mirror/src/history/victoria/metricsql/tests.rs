//! Questions to `VictoriaMetrics` to the letter, its answers, and what is none.

use super::{Form, Window, buckets, export, millis, quoted, rollup, samples, seconds};
use crate::history::parts::Sample;
use crate::history::server::Wanted;
use crate::shape::Part;
use model::{DeviceId, MetricShape};
use proptest::prelude::*;

fn wanted(device: &DeviceId) -> Wanted<'_> {
    Wanted {
        device,
        metric: "pressure_kpa",
        shape: MetricShape::Number,
    }
}

/// Undoes what a form does.
fn decoded(form: Form) -> String {
    let text = form.into_text();
    let mut bytes = text.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| char::from(byte.unwrap()).to_digit(16).unwrap();
        plain.push(match byte {
            b'%' => u8::try_from(hex(bytes.next()) * 16 + hex(bytes.next())).unwrap(),
            plain => plain,
        });
    }
    String::from_utf8(plain).unwrap()
}

#[test]
fn values_are_asked_for_by_field_and_with_a_millisecond_to_spare() {
    let device = DeviceId::new("gas-0001").unwrap();
    let form = export(
        wanted(&device),
        &[Part::Number, Part::Quality],
        &(1_000..61_000),
    );
    assert_eq!(
        decoded(form),
        "match[]=cityhub_pressure_kpa{device=\"gas-0001\"}\
         &match[]=cityhub_pressure_kpa_quality{device=\"gas-0001\"}&start=0.999&end=61.000"
    );
}

#[test]
fn buckets_are_looked_at_from_their_last_millisecond() {
    let device = DeviceId::new("gas-0001").unwrap();
    let window = Window {
        span: 600_000..1_800_000,
        step_ms: 600_000,
    };
    assert_eq!(
        decoded(rollup(wanted(&device), "min_over_time", &window)),
        "query=min_over_time(cityhub_pressure_kpa{device=\"gas-0001\"}[600000ms] offset -599999ms)\
         &start=600.000&end=1200.000&step=600000ms&nocache=1"
    );
}

#[test]
fn an_export_is_read_line_by_line() {
    let device = DeviceId::new("gas-0001").unwrap();
    let body = br#"{"metric":{"__name__":"cityhub_pressure_kpa","device":"gas-0001"},"values":[1.5,null,2],"timestamps":[999,1000,2000]}
{"metric":{"__name__":"cityhub_pressure_kpa_quality","device":"gas-0001"},"values":[129],"timestamps":[2000]}
"#;
    let sample = |part, number| Sample {
        at_ms: 2_000,
        part,
        number,
    };
    assert_eq!(
        samples(body, wanted(&device), &(1_000..3_000)),
        Ok(vec![
            sample(Part::Number, 2.0),
            sample(Part::Quality, 129.0)
        ])
    );
}

#[test]
fn nonsense_is_an_error_and_never_an_empty_answer() {
    let device = DeviceId::new("gas-0001").unwrap();
    for body in [
        &b"<html>"[..],
        br#"{"metric":{"__name__":"up"},"values":[1],"timestamps":[1]}"#,
        br#"{"metric":{"__name__":"cityhub_pressure_kpa"},"values":[1],"timestamps":[1,2]}"#,
        br#"{"metric":{"__name__":"cityhub_pressure_kpa"},"values":["1"],"timestamps":[1]}"#,
        br#"{"status":"success"}"#,
    ] {
        let read = samples(body, wanted(&device), &(0..10));
        assert!(read.is_err(), "{}", String::from_utf8_lossy(body));
    }
    let window = Window {
        span: 0..600_000,
        step_ms: 300_000,
    };
    for body in [
        &b""[..],
        b"<html>",
        br#"{"status":"error","errorType":"422","error":"too many points"}"#,
        br#"{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"2"]]}]}}"#,
        br#"{"status":"success","data":{"resultType":"matrix","result":[{"values":[[600,"2"]]}]}}"#,
        br#"{"status":"success","data":{"resultType":"matrix","result":[{"values":[[300,"x"]]}]}}"#,
        br#"{"status":"success","data":{"resultType":"matrix","result":[{"values":[]},{"values":[]}]}}"#,
    ] {
        let read = buckets(body, &window);
        assert!(read.is_err(), "{}", String::from_utf8_lossy(body));
    }
    let one = br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[300,"2.5"]]}]}}"#;
    assert_eq!(buckets(one, &window), Ok([(300_000, 2.5)].into()));
    let none = br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    assert_eq!(buckets(none, &window), Ok([].into()));
}

proptest! {
    #[test]
    fn nothing_of_a_name_leaves_its_string(name in any::<String>()) {
        let text = quoted(&name);
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap();
        // A quote that ends the string has an even number of backslashes before it.
        let mut plain = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            prop_assert!(c != '"' && c != '\n');
            plain.push(match c {
                '\\' => match chars.next() {
                    Some('n') => '\n',
                    Some(escaped) => escaped,
                    None => return Err(TestCaseError::fail("an escape of nothing")),
                },
                c => c,
            });
        }
        prop_assert_eq!(plain, name);
    }

    #[test]
    fn a_form_carries_any_text(name in any::<String>(), value in any::<String>()) {
        let mut form = Form::default();
        form.field(&name, &value);
        prop_assert!(form.0.is_ascii());
        prop_assert_eq!(form.0.matches('=').count(), 1);
        prop_assert!(!form.0.contains('&'));
        prop_assert_eq!(decoded(form), format!("{name}={value}"));
    }

    #[test]
    fn seconds_are_read_as_they_are_written(ms in 0_i64..4_102_444_800_000) {
        prop_assert_eq!(millis(seconds(ms).parse().unwrap()), ms);
    }
}
