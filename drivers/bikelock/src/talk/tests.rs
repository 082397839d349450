//! What lines become, and what is said to them, before any socket.

use super::Conversation;
use crate::{fuzzed, shared};
use bytes::BytesMut;
use model::{Timestamp, Value};
use sdk::testkit::Kit;
use sdk::{Step, Talk};

/// 2021-01-18T14:05:17Z.
const NOW: Timestamp = Timestamp::from_millis(1_610_978_717_000);

const BIKE: &str = r#"{"id":"bike","kind":"bike","identities":{"bikelock":"863725031194523"}}"#;

fn talk(kit: &Kit) -> Conversation {
    Conversation::new(
        shared(&fuzzed::config(), &kit.cx),
        Some(kit.cx.downlink.line().0),
    )
}

/// What one line becomes: values as `metric value seconds`, and whether it is acknowledged.
fn told(kit: &Kit, talk: &mut Conversation, line: &str) -> (Vec<String>, bool) {
    let mut received = BytesMut::from(line.as_bytes());
    let Some(Step::Commit { submission, reply }) = talk.next(&mut received, NOW) else {
        panic!("{line} was not submitted");
    };
    let mut lines = Vec::new();
    for seen in &submission.parts[0].observations {
        let name = &kit.cx.catalogue.def(seen.metric).unwrap().name;
        let at = seen.observed_at.unwrap().millis() / 1000;
        lines.push(match seen.value {
            Value::Number(number) => format!("{name} {number} {at}"),
            Value::Position(place) => {
                format!(
                    "{name} {:.5} {:.5} {:?} {at}",
                    place.lon, place.lat, place.locked
                )
            }
        });
    }
    for rejected in &submission.parts[0].rejected {
        lines.push(format!("rejected {}", rejected.reason));
    }
    (lines, reply.is_some())
}

const FIX: &str = "*CMDR,OM,863725031194523,210118140516,D0,0,140516.00,A,2237.7514,N,11408.6214,E,\
    6,0.21,180121,10,M,A#";

#[test]
fn a_bike_that_was_locked_has_positions_that_are_locked() {
    let kit = Kit::new(&[BIKE]);
    let mut talk = talk(&kit);
    let (fix, acknowledged) = told(&kit, &mut talk, FIX);
    assert_eq!(
        fix,
        [
            "position 114.14369 22.62919 None 1610978716",
            "satellites 6 1610978716"
        ]
    );
    assert!(!acknowledged);
    let line = "*CMDR,OM,863725031194523,000000000000,L1,1,1497689816,20#";
    let (locked, acknowledged) = told(&kit, &mut talk, line);
    // The lock does not know the time, so it is that of the arrival.
    assert_eq!(locked, ["locked 1 1610978717", "ride_min 20 1610978717"]);
    assert!(acknowledged);
    let (fix, _) = told(&kit, &mut talk, FIX);
    assert_eq!(fix[0], "position 114.14369 22.62919 Some(true) 1610978716");
}

#[test]
fn without_a_fix_there_is_no_position_and_a_place_off_the_globe_is_counted() {
    let kit = Kit::new(&[BIKE]);
    let mut talk = talk(&kit);
    let unknown = FIX.replace("A,2237.7514,N,11408.6214,E,6,0.21", "V,,,,,,");
    assert_eq!(
        told(&kit, &mut talk, &unknown).0,
        ["heartbeat 1 1610978716"]
    );
    let wrong = FIX.replace("2237.7514", "9924.0760");
    let (told, _) = told(&kit, &mut talk, &wrong);
    assert_eq!(told, ["satellites 6 1610978716", "rejected position_range"]);
}

#[test]
fn heartbeats_alarms_and_lines_that_nobody_knows_are_readings_too() {
    let kit = Kit::new(&[BIKE]);
    let mut talk = talk(&kit);
    let mut line = |rest: &str| {
        told(
            &kit,
            &mut talk,
            &format!("*CMDR,OM,863725031194523,210118140516,{rest}#"),
        )
    };
    let (heartbeat, acknowledged) = line("H0,1,400,24");
    let expected = [
        "locked 1 1610978716",
        "voltage_v 4 1610978716",
        "signal_dbm -65 1610978716",
    ];
    assert_eq!(
        (heartbeat, acknowledged),
        (expected.map(str::to_owned).to_vec(), false)
    );
    let (alarm, acknowledged) = line("W0,2");
    assert_eq!(
        (alarm[1].as_str(), acknowledged),
        ("fall_alarm 1 1610978716", true)
    );
    assert_eq!(line("Z9,1").0, ["heartbeat 1 1610978716"]);
}

#[test]
fn strangers_are_named_and_wrong_numbers_are_skipped() {
    let kit = Kit::new(&[]);
    let mut talk = talk(&kit);
    let mut received = BytesMut::from(FIX);
    let step = talk.next(&mut received, NOW);
    assert!(
        matches!(step, Some(Step::Refused { claimed, say: None, .. }) if claimed == "863725031194523")
    );
    let mut received = BytesMut::from("*CMDR,OM,8637,000000000000,Q0,410#\n");
    let step = talk.next(&mut received, NOW);
    assert!(matches!(step, Some(Step::Skipped { reason, .. }) if reason == "imei"));
}
