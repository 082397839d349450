//! One raw frame in every payload that carries it.

use crate::profile::tests::{ARRIVAL, book, decode, seen};
use crate::{Book, Decoded, Sender};
use model::{Catalogue, DeviceKey};
use serde_json::{Value, json};

/// `built_gas_kpa_low_alarm` of the vectors: 2.5, 2.2 and 1.8 kPa, 2026-03-01T00:00:00Z at last.
const FRAME: &str =
    "a55a00002d5348475332363033303030318aba012c0003000100140023001269a38180001900160012a8c555aa";

fn bytes() -> Vec<u8> {
    crate::pressure_frame::bytes_of(FRAME.as_bytes()).into_owned()
}

/// The pressures and their times.
fn pressures(decoded: &Decoded) -> Vec<(f64, Option<i64>)> {
    let rows = seen(decoded).into_iter();
    rows.filter(|row| row.0 == "pressure_kpa")
        .map(|(_, number, at)| (number, at))
        .collect()
}

const EXPECTED: [(f64, Option<i64>); 3] = [
    (2.5, Some(1_772_322_600_000)),
    (2.2, Some(1_772_322_900_000)),
    (1.8, Some(1_772_323_200_000)),
];

#[test]
fn a_payload_is_the_frame_its_digits_or_json_with_its_digits() {
    let profile = || json!({"codec": "pressure_frame", "frame": "/data/hex"});
    let spaced = FRAME.to_uppercase().replace("55AA", "55 AA\r\n");
    let within = json!({"data": {"hex": FRAME}}).to_string();
    for payload in [&bytes()[..], spaced.as_bytes(), within.as_bytes()] {
        let (decoded, done) = decode(profile(), payload);
        done.unwrap();
        assert_eq!(pressures(&decoded), EXPECTED);
    }
}

#[test]
fn what_is_no_frame_is_refused_with_the_word_of_the_frame() {
    let cut = FRAME.replace("55aa", "");
    for (payload, reason) in [("{}", "start_marker"), (cut.as_str(), "incomplete")] {
        let (decoded, done) = decode(json!({"codec": "pressure_frame"}), payload.as_bytes());
        assert_eq!(done.unwrap_err().reason, reason);
        assert_eq!((decoded.received, decoded.rejected.len()), (1, 1));
    }
    for profile in [
        json!({"codec": "json", "frame": "/x"}),
        json!({"codec": "pressure_frame", "time": "/x"}),
        json!({"codec": "pressure_frame", "values": {"fault": {"at": "/x"}}}),
    ] {
        assert!(book(profile).is_err());
    }
}

fn values(book: &Book, profile: Option<&str>, values: &Value) -> (Decoded, bool) {
    let sender = Sender {
        profile,
        arrival: ARRIVAL,
    };
    let mut out = Decoded::new(DeviceKey(1));
    let taken = book.take_values(&Catalogue::built_in(), sender, values, &mut out);
    (out, taken.is_ok())
}

#[test]
fn values_of_a_platform_hold_digits_or_bytes_with_and_without_a_profile() {
    let none = Book::default();
    let raw = book(json!({"codec": "pressure_frame"})).unwrap();
    let at = book(json!({"codec": "pressure_frame", "frame": "/b"})).unwrap();
    let digits = json!({"a": "x", "b": FRAME});
    let array = json!({"3300_0_5700": bytes()});
    for (book, profile, found) in [
        (&none, None, &digits),
        (&none, None, &array),
        (&raw, Some("p"), &digits),
        (&raw, Some("p"), &array),
        (&at, Some("p"), &digits),
    ] {
        let (decoded, done) = values(book, profile, found);
        assert!(done);
        assert_eq!(pressures(&decoded), EXPECTED);
    }
    let (decoded, done) = values(&raw, Some("p"), &json!({"a": 1}));
    assert!(!done);
    assert_eq!(decoded.rejected[0].reason, "start_marker");
}

#[test]
fn values_of_a_platform_are_named_by_the_profile_or_name_metrics() {
    let (decoded, done) = values(
        &Book::default(),
        None,
        &json!({"pressure_kpa": "2.5", "x": "y"}),
    );
    assert!(done);
    assert_eq!(pressures(&decoded), [(2.5, None)]);
    let mapped =
        json!({"codec": "json", "values": {"pressure_kpa": {"at": "/p", "scale": 1000.0}}});
    let (decoded, done) = values(
        &book(mapped).unwrap(),
        Some("p"),
        &json!({"p": 0.25, "x": 1}),
    );
    assert!(done);
    assert_eq!(pressures(&decoded), [(250.0, None)]);
}
