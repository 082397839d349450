//! Plain JSON by the names of metrics.

use crate::profile::tests::{decode, seen};
use serde_json::json;

#[test]
fn names_of_metrics_are_found_at_any_of_the_usual_times() {
    for key in ["ts", "t", "Time", "timestamp"] {
        let payload = format!(r#"{{"{key}":1772323200,"pm10_ugm3":"62.5","fault":false}}"#);
        let (decoded, done) = decode(json!({"codec": "json"}), payload.as_bytes());
        done.unwrap();
        let at = Some(1_772_323_200_000);
        assert_eq!(
            seen(&decoded),
            [
                ("fault".to_owned(), 0.0, at),
                ("pm10_ugm3".to_owned(), 62.5, at)
            ]
        );
    }
}

#[test]
fn numbers_of_unknown_names_are_counted_and_labels_are_not() {
    let payload = br#"[{"values":{"pm10_ugm3":1,"x":{"y":2}},"unit":"C"},{"unit":"C"},
        {"position":{"lon":121.5,"lat":31.2},"pm10_ugm3":"high"}]"#;
    let (decoded, done) = decode(json!({"codec": "json"}), payload);
    done.unwrap();
    assert_eq!(decoded.observations.len(), 2);
    let told: Vec<_> = decoded
        .rejected
        .iter()
        .map(|r| (r.metric.as_deref(), r.reason.as_ref()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("x.y"), "unknown_metric"),
            (None, "no_values"),
            (Some("pm10_ugm3"), "wrong_type"),
        ]
    );
    assert_eq!(decoded.received, 5);
}
