//! Rows that tests put in the book.

use super::START_MS;
use model::{AlarmRow, AlarmState, Severity, Timestamp};

/// An alarm of gas-1, raised `raised_s` after the start.
pub(crate) fn alarm(number: u64, severity: Severity, raised_s: i64) -> AlarmRow {
    serde_json::from_value(serde_json::json!({
        "id": format!("a{number}"), "rule": "gas_overpressure", "rule_revision": 1,
        "title": "中压燃气管道超压", "device": "gas-1", "kind": "gas_pressure", "site": "花园路",
        "grid": "350203010203", "severity": severity, "state": AlarmState::ActiveUnacked,
        "active": true, "acked": false,
        "raised_at": Timestamp::from_millis(START_MS).plus_s(raised_s), "cleared_at": null,
        "metric": "pressure_kpa", "value": 421.5, "limit": 400.0, "unit": "kPa", "peak": 430.0,
        "count": 3, "owner": null, "shelved_until": null, "suppressed_by": null, "case": null,
        "note": null, "category": "0403", "version": 1,
    }))
    .unwrap()
}
