//! Texts of makers as numbers of metrics.

use crate::profile::tests::{book, decode, seen};
use serde_json::{Value, json};

/// The states of an NB-IoT smoke detector that says `NBSMOKE:2001,ALARM`.
fn detector() -> Value {
    let state = |words: Value| json!({"at": "/v", "split": ":,", "part": 2, "words": words});
    let mut smoke = state(json!({"ALARM": 1, "NORMAL": 0}));
    smoke["otherwise"] = json!(0);
    json!({"codec": "json", "values": {
        "smoke_alarm": smoke,
        "fault": state(json!({"FAULT": 1, "NORMAL": 0})),
        "signal_dbm": {"at": "/rsrp", "words": {"99": -140}, "scale": -1.0},
    }})
}

#[test]
fn a_text_is_cut_and_its_part_stands_for_a_number() {
    let (decoded, done) = decode(detector(), br#"{"v":"NBSMOKE:2001, ALARM ","rsrp":114}"#);
    done.unwrap();
    let rows = [
        ("signal_dbm".to_owned(), -114.0, None),
        ("smoke_alarm".to_owned(), 1.0, None),
    ];
    assert_eq!(seen(&decoded), rows);
    // A word that the table of `fault` does not have is no number either.
    assert_eq!(decoded.rejected[0].reason, "wrong_type");
    let (decoded, _) = decode(detector(), br#"{"v":"NBSMOKE:2001,FAULT","rsrp":"99"}"#);
    let rows: Vec<f64> = seen(&decoded).iter().map(|row| row.1).collect();
    assert_eq!(rows, [1.0, -140.0, 0.0]);
}

#[test]
fn a_text_that_has_fewer_parts_has_no_value() {
    let (decoded, _) = decode(detector(), br#"{"v":"NBSMOKE"}"#);
    let reasons: Vec<&str> = decoded.rejected.iter().map(|r| r.reason.as_ref()).collect();
    assert_eq!(reasons, ["no_value", "no_value"]);
    assert_eq!(decoded.received, 2);
}

#[test]
fn a_table_of_words_that_makes_no_sense_is_told_with_its_key() {
    for (rule, told) in [
        (
            json!({"at": "/v", "split": ""}),
            "profiles.p.values.fault: split names no character",
        ),
        (
            json!({"at": "/v", "part": 1}),
            "profiles.p.values.fault: part needs `split`",
        ),
    ] {
        let profile = json!({"codec": "json", "values": {"fault": rule}});
        assert_eq!(book(profile).unwrap_err(), told);
    }
    let position = json!({"lon": "/x", "lat": "/y", "split": ","});
    let profile = json!({"codec": "json", "values": {"position": position}});
    assert_eq!(
        book(profile).unwrap_err(),
        "profiles.p.values.position: words, otherwise, split and part need `at`"
    );
}
