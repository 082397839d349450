//! What messages become, and what is said to them, before any socket.

use super::Conversation;
use crate::frame::tests::{hex, vector};
use crate::{Authentication, fuzzed, shared};
use bytes::{Bytes, BytesMut};
use model::{Timestamp, Value};
use sdk::testkit::Kit;
use sdk::{Step, Submission, Talk};

/// 2018-07-15T10:10:11+08:00, a second after the location of the vectors.
const NOW: Timestamp = Timestamp::from_millis(1_531_620_611_000);

const TRUCK: &str = r#"{"id":"truck","kind":"truck","identities":{"jt808":"112233445566"}}"#;

fn talk(kit: &Kit, authentication: Authentication) -> Conversation {
    let mut config = fuzzed::config();
    config.authentication = authentication;
    Conversation::new(
        shared(&config, &kit.cx).unwrap(),
        Some(kit.cx.downlink.line().0),
    )
}

fn steps(talk: &mut Conversation, bytes: &[u8]) -> Vec<Step> {
    let mut received = BytesMut::from(bytes);
    std::iter::from_fn(|| talk.next(&mut received, NOW)).collect()
}

fn submission(talk: &mut Conversation, bytes: &[u8]) -> Submission {
    let mut steps = steps(talk, bytes);
    assert_eq!(steps.len(), 1);
    match steps.remove(0) {
        Step::Commit { submission, reply } => {
            assert!(reply.is_some());
            submission
        }
        _ => panic!("nothing was submitted"),
    }
}

fn said(talk: &mut Conversation, bytes: &[u8]) -> Bytes {
    match steps(talk, bytes).remove(0) {
        Step::Say(bytes)
        | Step::Refused {
            say: Some(bytes), ..
        } => bytes,
        _ => panic!("nothing was said"),
    }
}

/// Values that are not zero, as `metric value quality seconds`.
fn told(kit: &Kit, submission: &Submission) -> Vec<String> {
    let mut lines = Vec::new();
    for part in &submission.parts {
        for seen in &part.observations {
            let name = &kit.cx.catalogue.def(seen.metric).unwrap().name;
            let at = seen.observed_at.unwrap().millis() / 1000;
            match seen.value {
                Value::Number(number) if number != 0.0 => {
                    lines.push(format!("{name} {number} {} {at}", seen.quality));
                }
                Value::Position(place) => {
                    lines.push(format!(
                        "{name} {} {} {} {at}",
                        place.lon, place.lat, seen.quality
                    ));
                }
                Value::Number(_) => {}
            }
        }
        for rejected in &part.rejected {
            lines.push(format!("rejected {}", rejected.reason));
        }
    }
    lines
}

/// Puts a 2013 frame of the truck together.
fn frame(id: u16, attributes: u16, serial: u16, rest: &[u8]) -> Vec<u8> {
    let mut plain = [id.to_be_bytes(), attributes.to_be_bytes()].concat();
    plain.extend(hex("112233445566"));
    plain.extend(serial.to_be_bytes());
    plain.extend(rest);
    plain.push(plain.iter().fold(0, |sum, byte| sum ^ byte));
    assert!(!plain.contains(&0x7e) && !plain.contains(&0x7d));
    [&[0x7e][..], &plain, &[0x7e]].concat()
}

#[test]
fn a_location_is_a_position_with_what_the_truck_says_of_itself() {
    let kit = Kit::new(&[TRUCK]);
    let located = submission(
        &mut talk(&kit, Authentication::Phone),
        &vector("loc_2013_base"),
    );
    let expected = [
        "position 132.444444 12.222222 good 1531620610",
        "speed_kmh 6 good 1531620610",
        "altitude_m 40 good 1531620610",
        "mileage_km 10 good 1531620610",
        "fuel_l 5.5 good 1531620610",
        "sos_alarm 1 good 1531620610",
    ];
    assert_eq!(told(&kit, &located), expected);
}

fn of(phone: &str) -> String {
    format!(r#"{{"id":"truck","kind":"truck","identities":{{"jt808":"{phone}"}}}}"#)
}

#[test]
fn without_a_fix_or_with_encrypted_coordinates_there_is_no_position() {
    for (name, phone) in [
        ("loc_2019_testdata", "12345678901234562019"),
        ("loc_real_traccar_2017", "1601285614"),
    ] {
        let json = of(phone);
        let kit = Kit::new(&[&json]);
        let located = submission(&mut talk(&kit, Authentication::Phone), &vector(name));
        let told = told(&kit, &located);
        assert!(
            !told.iter().any(|line| line.starts_with("position")),
            "{name}: {told:?}"
        );
        assert!(!located.parts[0].observations.is_empty());
    }
    let kit = Kit::new(&[TRUCK]);
    let mut encrypted = vector("loc_2013_base");
    encrypted[20] |= 1 << 5;
    let bcc = encrypted.len() - 2;
    encrypted[bcc] ^= 1 << 5;
    let located = submission(&mut talk(&kit, Authentication::Phone), &encrypted);
    assert!(!told(&kit, &located)[0].starts_with("position"));
}

#[test]
fn a_clock_that_is_years_off_counts_by_arrival_but_not_for_a_backfill() {
    let json = of("20232609559");
    let kit = Kit::new(&[&json]);
    let mut talk_2024 = talk(&kit, Authentication::Phone);
    let first = told(
        &kit,
        &submission(&mut talk_2024, &vector("loc_real_2019_bsj")),
    );
    assert_eq!(
        first[0],
        "position 121.532076 31.512562 uncertain:clock 1531620611"
    );
    let json = of("30300000245");
    let kit = Kit::new(&[&json]);
    // Two months old, and it is its own time that counts: 2018-05-14T20:28:47+08:00.
    let batch = submission(
        &mut talk(&kit, Authentication::Phone),
        &vector("batch_real_0704_traccar"),
    );
    let told = told(&kit, &batch);
    let places = told.iter().filter(|line| line.starts_with("position"));
    assert_eq!(places.count(), 4);
    assert_eq!(told[0], "position 113.450784 23.169734 good 1526300927");
}

#[test]
fn registration_gives_a_code_that_then_lets_the_terminal_in() {
    let kit = Kit::new(&[TRUCK]);
    let mut talk = talk(&kit, Authentication::Code);
    let early = steps(&mut talk, &vector("loc_2013_base"));
    assert!(
        matches!(&early[0], Step::Refused { reason, say: Some(_), .. } if reason == "not_authenticated")
    );
    // Province 31, city 115, maker, model, terminal, colour 1, plate.
    let mut body = hex("001f0073");
    body.extend([b'x'; 5 + 20 + 7]);
    body.extend(b"\x01A1");
    let registered = said(&mut talk, &frame(0x0100, 39, 2, &body));
    // 8100: serial 2, result 0, a code of 16 digits; the second that was said here.
    assert_eq!(
        registered[1..16],
        hex("8100 0013 112233445566 0001 0002 00")
    );
    let code = registered[16..32].to_vec();
    assert!(code.iter().all(u8::is_ascii_hexdigit));
    let wrong = said(&mut talk, &frame(0x0102, 5, 3, b"wrong"));
    assert_eq!(wrong[13..18], hex("0003 0102 01"));
    let right = said(&mut talk, &frame(0x0102, 16, 4, &code));
    assert_eq!(right[13..18], hex("0004 0102 00"));
    submission(&mut talk, &vector("loc_2013_base"));
}

#[test]
fn a_stranger_is_told_only_that_he_cannot_register() {
    let kit = Kit::new(&[]);
    let mut talk = talk(&kit, Authentication::Phone);
    let steps = steps(&mut talk, &vector("loc_2013_base"));
    assert!(matches!(&steps[..], [Step::Refused { say: None, .. }]));
    let answer = said(&mut talk, &vector("reg_2013_b"));
    assert_eq!(
        answer.as_ref(),
        hex("7e 8100 0003 012345678901 0000 0000 04 0e 7e")
    );
}

#[test]
fn an_encrypted_message_is_answered_as_unsupported() {
    let kit = Kit::new(&[TRUCK]);
    let answer = said(
        &mut talk(&kit, Authentication::Phone),
        &vector("err_encrypted_flag"),
    );
    // The reply of the vector with result 3: 6b ^ 3 = 68.
    assert_eq!(
        answer.as_ref(),
        hex("7e 8001 0005 112233445566 0000 22b8 0200 03 68 7e")
    );
}

#[test]
fn parts_are_put_together_and_the_missing_are_asked_for() {
    let kit = Kit::new(&[TRUCK]);
    let mut talk = talk(&kit, Authentication::Phone);
    let whole = vector("loc_2013_base");
    let body = &whole[13..whole.len() - 2];
    let part = |number: u16, bytes: &[u8]| {
        let attributes = 0x2000 | u16::try_from(bytes.len()).unwrap();
        let rest = [&[0, 3, 0, u8::try_from(number).unwrap()][..], bytes].concat();
        frame(0x0200, attributes, 9 + number, &rest)
    };
    assert!(matches!(
        steps(&mut talk, &part(1, &body[..10]))[..],
        [Step::Nothing]
    ));
    let asked = said(&mut talk, &part(3, &body[30..]));
    // 8003: first serial 10, one part, number 2.
    assert_eq!(
        asked[1..18],
        hex("8003 0005 112233445566 0000 000a 01 0002")
    );
    let located = submission(&mut talk, &part(2, &body[10..30]));
    assert_eq!(
        told(&kit, &located)[0],
        "position 132.444444 12.222222 good 1531620610"
    );
}

#[test]
fn any_cut_of_the_stream_gives_the_same() {
    let kit = Kit::new(&[TRUCK]);
    let one = vector("loc_2013_base");
    let bytes = [
        &b"(text)"[..],
        &one,
        &one[1..],
        &vector("seq_noise_and_empty_7e7e"),
    ]
    .concat();
    for cut in 0..bytes.len() {
        let (mut talk, mut received) = (talk(&kit, Authentication::Phone), BytesMut::new());
        let mut taken = 0;
        for piece in [&bytes[..cut], &bytes[cut..]] {
            received.extend_from_slice(piece);
            while let Some(step) = talk.next(&mut received, NOW) {
                taken += usize::from(matches!(step, Step::Commit { .. }));
            }
        }
        assert_eq!(taken, 3, "cut at {cut}");
    }
}
