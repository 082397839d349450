//! What frames become, and what is said to them, before any socket.

use super::Conversation;
use crate::frame::tests::{hex, vector};
use crate::{Config, shared};
use bytes::BytesMut;
use model::{Quality, Timestamp, Value};
use sdk::testkit::Kit;
use sdk::{Step, Submission, Talk};
use serde_json::json;

/// 2020-10-22T17:13:26+08:00, two seconds after the frame of the fire in the corridor.
const NOW: Timestamp = Timestamp::from_millis(1_603_358_006_000);

const PANEL: &str = r#"{"id":"panel","kind":"gateway","identities":{"gb26875":"000000000000"}}"#;
const ROOM: &str = r#"{"id":"room","kind":"smoke",
    "identities":{"gb26875":"000000000000/1.3.0.d9000600"}}"#;

fn talk(kit: &Kit) -> Conversation {
    let config = r#"{"kind":"gb26875","listen":"127.0.0.1:0"}"#;
    let config: Config = serde_json::from_str(config).unwrap();
    Conversation::new(
        shared(&config, &kit.cx).unwrap(),
        Some(kit.cx.downlink.line().0),
    )
}

fn steps(talk: &mut Conversation, bytes: &[u8], now: Timestamp) -> Vec<Step> {
    let mut received = BytesMut::from(bytes);
    std::iter::from_fn(|| talk.next(&mut received, now)).collect()
}

fn submission(talk: &mut Conversation, bytes: &[u8], now: Timestamp) -> Submission {
    let mut steps = steps(talk, bytes, now);
    assert_eq!(steps.len(), 1);
    match steps.remove(0) {
        Step::Commit { submission, reply } => {
            assert!(reply.is_some());
            submission
        }
        _ => panic!("nothing was submitted"),
    }
}

/// Values that are not zero, as `device metric value quality seconds`.
fn told(kit: &Kit, submission: &Submission) -> Vec<String> {
    let mut lines = Vec::new();
    for part in &submission.parts {
        let device = kit.cx.devices.get(part.device).unwrap();
        for seen in part.observations.iter() {
            let name = &kit.cx.catalogue.def(seen.metric).unwrap().name;
            let (value, at) = (seen.value.as_number().unwrap(), seen.observed_at.unwrap());
            if value != 0.0 {
                let ms = at.millis();
                lines.push(format!(
                    "{} {name} {value} {} {ms}",
                    device.device.id, seen.quality
                ));
            }
        }
        for rejected in &part.rejected {
            lines.push(format!("{} rejected {}", device.device.id, rejected.reason));
        }
    }
    lines
}

fn with_sum(mut frame: Vec<u8>) -> Vec<u8> {
    let end = frame.len() - 3;
    frame[end] = frame[2..end]
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    frame
}

#[test]
fn a_fire_with_bit_0_clear_rings_and_is_marked_and_the_words_that_came_with_it_are_kept() {
    let kit = Kit::new(&[PANEL]);
    let fire = submission(&mut talk(&kit), &vector("real_fire_area_a_corridor"), NOW);
    // The event is 82 days older than its frame, so the frame's time counts.
    let expected = [
        "panel test_state 1 uncertain:clock 1603358004000",
        "panel smoke_alarm 1 uncertain:flag 1603358004000",
    ];
    assert_eq!(told(&kit, &fire), expected);
    let kept = &fire.quarantined[0];
    assert_eq!(kept.reason, "component_text");
    assert_eq!(kept.detail, "000000000000/1.3.0.d9000600 Ａ区１层呷哺走廊");
}

#[test]
fn a_fire_in_a_test_is_suppressed_only_by_a_profile_that_says_so() {
    let mut kit = Kit::new(&[r#"{"id":"panel","kind":"gateway","profile":"strict",
            "identities":{"gb26875":"000000000000"}}"#]);
    let profile = "codec = 'gb26875'\ntest_state_suppresses_fire = true";
    kit.cx.profiles = profiles(profile);
    let fire = submission(&mut talk(&kit), &vector("real_fire_area_a_corridor"), NOW);
    assert_eq!(
        told(&kit, &fire)[1],
        "panel smoke_alarm 1 bad:flag 1603358004000"
    );
}

fn profiles(strict: &str) -> sdk::Profiles {
    let source = config::File::from_str(strict, config::FileFormat::Toml);
    let read = config::Config::builder()
        .add_source(source)
        .build()
        .unwrap();
    let table = read.try_deserialize::<config::Value>().unwrap();
    sdk::Profiles::new([("strict".to_owned(), table)].into())
}

#[test]
fn a_component_that_is_a_device_speaks_for_itself() {
    let kit = Kit::new(&[PANEL, ROOM]);
    let fire = submission(&mut talk(&kit), &vector("real_fire_area_a_corridor"), NOW);
    assert_eq!(
        told(&kit, &fire)[1],
        "room smoke_alarm 1 uncertain:flag 1603358004000"
    );
}

#[test]
fn another_component_of_the_same_device_does_not_clear_a_fire() {
    let kit = Kit::new(&[PANEL]);
    let mut talk = talk(&kit);
    let fire = vector("real_fire_area_a_corridor");
    submission(&mut talk, &fire, NOW);
    let mut calm = fire.clone();
    (calm[32], calm[36]) = (1, 1);
    let calm = submission(&mut talk, &with_sum(calm), NOW);
    assert!(
        told(&kit, &calm)[1].starts_with("panel smoke_alarm 1 "),
        "{:?}",
        told(&kit, &calm)
    );
    let mut over = fire;
    over[36] = 1;
    let over = submission(&mut talk, &with_sum(over), NOW);
    assert_eq!(told(&kit, &over), Vec::<String>::new());
}

/// A hub that was restarted while this device's fire was on.
fn restarted(device: &str) -> Kit {
    let kit = Kit::new(&[device]);
    let reading = model::Reading {
        series: model::Series {
            device: model::DeviceKey(1),
            metric: kit.cx.catalogue.find("smoke_alarm").unwrap(),
        },
        value: Value::number(1.0).unwrap(),
        quality: Quality::GOOD,
        observed_at: NOW.plus_s(-60),
        received_at: NOW.plus_s(-60),
    };
    let batch = sdk::LiveBatch {
        commit: 1,
        readings: vec![reading],
    };
    kit.feed.live.lock().unwrap().push(batch);
    kit
}

/// The corridor's detector says that all is well.
fn calm() -> Vec<u8> {
    let mut calm = vector("real_fire_area_a_corridor");
    calm[36] = 1;
    with_sum(calm)
}

#[test]
fn a_fire_of_before_a_restart_is_not_cleared_by_some_place_but_by_a_reset() {
    let kit = restarted(PANEL);
    let mut talk = talk(&kit);
    let said = submission(&mut talk, &calm(), NOW);
    assert_eq!(
        told(&kit, &said),
        ["panel smoke_alarm 1 uncertain:clock 1603358004000"]
    );
    let reset = hex(
        "4040 0100 0101 190d11160a14 000000000000 010203040506 0c00 02 \
         04 01 01 03 01 07 190d11160a14 00 2323",
    );
    submission(&mut talk, &with_sum(reset), NOW);
    let said = submission(&mut talk, &calm(), NOW);
    assert_eq!(told(&kit, &said), Vec::<String>::new());
}

#[test]
fn the_fire_of_a_detector_that_speaks_for_itself_is_cleared_by_it_after_a_restart() {
    for device in [
        r#"{"id":"box","kind":"smoke","identities":{"gb26875":"000000000000"}}"#,
        r#"{"id":"room","kind":"gateway","identities":{"gb26875":"000000000000"}}"#,
    ] {
        let kit = restarted(device);
        let said = submission(&mut talk(&kit), &calm(), NOW);
        let stands = device.contains("gateway");
        assert_eq!(told(&kit, &said).len(), usize::from(stands), "{device}");
    }
}

#[test]
fn a_frame_without_a_time_that_can_be_right_counts_when_it_came_first() {
    let kit = Kit::new(&[PANEL]);
    let mut talk = talk(&kit);
    let now = NOW.plus_s(365 * 86_400);
    let fire = vector("real_fire_area_a_corridor");
    let expected = format!("panel smoke_alarm 1 uncertain:flag {}", now.millis());
    let first = submission(&mut talk, &fire, now);
    assert_eq!(told(&kit, &first)[1], expected);
    let again = submission(&mut talk, &fire, now.plus_s(9));
    assert_eq!(told(&kit, &again)[1], expected);
}

#[test]
fn a_month_that_is_none_costs_only_the_time() {
    let panel = r#"{"id":"panel","kind":"gateway","identities":{"gb26875":"1"}}"#;
    let kit = Kit::new(&[panel]);
    let state = submission(&mut talk(&kit), &vector("err_invalid_month_13"), NOW);
    // State 1 of the transmission device: nothing is set, and that is known now.
    assert_eq!(told(&kit, &state), Vec::<String>::new());
    let observations = &state.parts[0].observations;
    assert_eq!(observations.len(), 7);
    for seen in observations {
        assert_eq!(seen.observed_at, Some(NOW));
        assert_eq!(seen.quality.to_string(), "uncertain:clock");
    }
}

#[test]
fn analog_values_have_the_units_of_the_standard_and_makers_kinds_those_of_a_profile() {
    let json = r#"{"id":"box","kind":"gateway","profile":"strict",
        "identities":{"gb26875":"000102030405"}}"#;
    let mut kit = Kit::new(&[json]);
    kit.cx.profiles =
        profiles("codec = 'gb26875'\n[analog.136]\nmetric = 'voltage_v'\nover = 1000");
    // 2021-07-02T09:00:06+08:00.
    let now = Timestamp::from_millis(1_625_187_606_000);
    let frame = vector("std_analog_temp_and_lel");
    let both = submission(&mut talk(&kit), &frame, now);
    let expected = [
        "box temperature_c 80 good 1625187604000",
        "box gas_lel_pct 12.3 good 1625187605000",
    ];
    assert_eq!(told(&kit, &both), expected);
    let (mut own, mut unknown) = (frame.clone(), frame);
    (own[36], unknown[36]) = (136, 137);
    let own = submission(&mut talk(&kit), &with_sum(own), now);
    assert_eq!(told(&kit, &own)[0], "box voltage_v 0.8 good 1625187604000");
    let unknown = submission(&mut talk(&kit), &with_sum(unknown), now);
    assert_eq!(told(&kit, &unknown)[1], "box rejected unknown_analog");
}

#[test]
fn an_empty_unit_is_a_sign_of_life_and_a_unit_that_lies_is_kept_and_confirmed() {
    let kit = Kit::new(&[PANEL]);
    // 2020-10-22T17:13:24+08:00.
    let empty = hex("4040 0000 0101 180d11160a14 000000000000 385b01000000 0000 02 00 2323");
    let life = submission(&mut talk(&kit), &with_sum(empty), NOW);
    assert_eq!(told(&kit, &life), ["panel heartbeat 1 good 1603358004000"]);
    let mut lies = vector("real_fire_area_a_corridor");
    lies[28] = 2;
    let lies = submission(&mut talk(&kit), &with_sum(lies), NOW);
    assert_eq!(told(&kit, &lies), ["panel rejected count"]);
    assert_eq!(lies.quarantined[0].reason, "count");
}

#[test]
fn operations_are_readings_and_a_reset_clears_what_its_system_had_set() {
    let kit = Kit::new(&[PANEL]);
    let mut talk = talk(&kit);
    submission(&mut talk, &vector("real_fire_area_a_corridor"), NOW);
    // Type 4: system 1.3, reset, operator 7, at 17:13:25.
    let reset = hex(
        "4040 0100 0101 190d11160a14 000000000000 010203040506 0c00 02 \
         04 01 01 03 01 07 190d11160a14 00 2323",
    );
    let reset = submission(&mut talk, &with_sum(reset), NOW);
    let expected = [
        "panel operation_bits 1 good 1603358005000",
        "panel operator 7 good 1603358005000",
    ];
    assert_eq!(told(&kit, &reset), expected);
    let fire = kit.cx.catalogue.find("smoke_alarm").unwrap();
    let observations = &reset.parts[0].observations;
    let cleared = observations
        .iter()
        .find(|seen| seen.metric == fire)
        .unwrap();
    assert_eq!(cleared.value.as_number(), Some(0.0));
}

#[test]
fn a_stranger_is_named_and_not_answered_and_a_damaged_frame_is_denied() {
    let kit = Kit::new(&[]);
    let mut talk = talk(&kit);
    let steps = steps(&mut talk, &vector("real_component_fire_2021"), NOW);
    let [
        Step::Refused {
            reason,
            claimed,
            say: None,
        },
    ] = steps.as_slice()
    else {
        panic!("a stranger was let in");
    };
    assert_eq!(
        (reason.as_ref(), claimed.as_str()),
        ("unknown_device", "0000000c38f6")
    );
    let damaged = vector("real_checksum_wrong_component");
    let steps = self::steps(&mut talk, &damaged, NOW);
    let [Step::Skipped { bytes, .. }, Step::Say(denial)] = steps.as_slice() else {
        panic!("it was not denied");
    };
    assert_eq!(*bytes, damaged.len());
    assert_eq!((denial.get(2..4), denial[26]), (Some(&[0x6e, 0x01][..]), 6));
}

#[test]
fn a_frame_without_a_source_is_of_the_device_that_the_connection_belongs_to() {
    let kit =
        Kit::new(&[r#"{"id":"box","kind":"gateway","identities":{"gb26875":"0000000c38f6"}}"#]);
    let mut talk = talk(&kit);
    let nameless = vector("real_fire_area_a_corridor");
    let steps = steps(&mut talk, &nameless, NOW);
    assert!(matches!(steps.as_slice(), [Step::Refused { .. }]));
    submission(&mut talk, &vector("real_component_fire_2021"), NOW);
    let fire = submission(&mut talk, &nameless, NOW);
    assert!(told(&kit, &fire)[1].starts_with("box smoke_alarm 1 "));
}

#[tokio::test(start_paused = true)]
async fn a_guard_call_is_sent_to_the_device_and_answered_when_it_confirms() {
    let kit = Kit::new(&[PANEL]);
    let config: Config =
        serde_json::from_str(r#"{"kind":"gb26875","listen":"127.0.0.1:0"}"#).unwrap();
    let (line, mut orders) = kit.cx.downlink.line();
    let mut talk = Conversation::new(shared(&config, &kit.cx).unwrap(), Some(line));
    submission(&mut talk, &vector("real_fire_area_a_corridor"), NOW);
    let downlink = kit.cx.downlink.clone();
    let ordered = |name: &str, args| downlink.order(model::DeviceKey(1), name.to_owned(), args);
    // 2026-03-01T08:00:00 in Beijing; from the address that the device calls the centre.
    let now = Timestamp::from_millis(1_772_323_200_000);
    let carried_out = async {
        let call = talk.order(orders.recv().await.unwrap(), now).unwrap();
        let expected = hex(
            "4040 0100 0101 00000801031a 010203040506 000000000000 0300 01 5b010a 00 2323"
                .replace("010203040506 000000000000", "060504030201 000000000000")
                .as_str(),
        );
        assert_eq!(call.as_ref(), with_sum(expected));
        let confirmed =
            hex("4040 0100 0101 01000801031a 000000000000 060504030201 0000 03 00 2323");
        assert!(matches!(
            steps(&mut talk, &with_sum(confirmed), now).as_slice(),
            [Step::Nothing]
        ));
        // The vector of the standard's figure 45 has serial 9 and other addresses; the unit is the same.
        let clock = talk.order(orders.recv().await.unwrap(), now).unwrap();
        assert_eq!(clock.get(24..35).unwrap(), hex("0800 01 5a01 00000801031a"));
        let denied = hex("4040 0200 0101 01000801031a 000000000000 060504030201 0000 06 00 2323");
        steps(&mut talk, &with_sum(denied), now);
        let wrong = orders.recv().await.unwrap();
        assert_eq!(talk.order(wrong, now), None);
    };
    let asked = async {
        let call = ordered("guard_call", json!({})).await;
        assert_eq!(call, Ok(json!({"confirmed": true})));
        let clock = ordered("set_clock", json!({})).await;
        assert!(matches!(clock, Err(sdk::OrderError::Refused(_))));
        let wrong = ordered("guard_call", json!({"minutes": 0})).await;
        assert!(matches!(wrong, Err(sdk::OrderError::Invalid(_))));
    };
    tokio::join!(carried_out, asked);
}

#[test]
fn any_cut_of_the_stream_gives_the_same() {
    let kit = Kit::new(&[PANEL]);
    let bytes = vector("seq_two_glued_with_noise");
    let whole: usize = [steps(&mut talk(&kit), &bytes, NOW)]
        .iter()
        .flatten()
        .filter(|step| matches!(step, Step::Commit { .. } | Step::Refused { .. }))
        .count();
    assert_eq!(whole, 2);
    for cut in 1..bytes.len() {
        let (mut talk, mut received) = (talk(&kit), BytesMut::new());
        let mut taken = 0;
        for piece in [&bytes[..cut], &bytes[cut..]] {
            received.extend_from_slice(piece);
            while let Some(step) = talk.next(&mut received, NOW) {
                taken += usize::from(matches!(step, Step::Commit { .. } | Step::Refused { .. }));
            }
        }
        assert_eq!(taken, 2, "cut at {cut}");
    }
}
