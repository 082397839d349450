//! What is kept and what is said: one frame at a time, with the commit in the test's hand.

use super::framed;
use crate::{Config, Dialect, Hj212Talk, Profile, Shared, codes};
use bytes::BytesMut;
use model::Timestamp;
use sdk::testkit::Kit;
use sdk::{Context, Downlink, Part, Step, Submission, Talk};
use std::sync::Arc;

/// Device `d1`; its secret, and so its PW, is `s-d1`.
pub(super) const DEVICE: &str = r#"{"id":"d1","kind":"dust","identities":{"hj212_mn":"M1"}}"#;

/// 2026-03-01T08:05:00+08:00
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_772_323_500_000);

pub(super) fn config() -> Config {
    toml::from_str("kind = \"hj212\"\nlisten = \"127.0.0.1:0\"").unwrap()
}

/// A hub that is not there, with the metrics of this driver.
pub(super) fn kit(devices: &[&str]) -> Kit {
    let mut kit = Kit::new(devices);
    let catalogue = Arc::make_mut(&mut kit.cx.catalogue);
    catalogue.extend(&codes::metrics()).unwrap();
    kit
}

pub(super) fn shared(cx: &Context, profile: &str) -> Arc<Shared> {
    let mut shared = Arc::into_inner(crate::shared(&config(), cx.clone()).unwrap()).unwrap();
    let profile: Profile = toml::from_str(&format!("codec = \"hj212\"\n{profile}")).unwrap();
    shared.usual = Arc::new(Dialect::new(profile, &cx.catalogue).unwrap());
    Arc::new(shared)
}

pub(super) fn talk(profile: &str) -> Hj212Talk {
    let kit = kit(&[DEVICE]);
    let (line, _) = kit.cx.downlink.line();
    Hj212Talk::new(shared(&kit.cx, profile), line)
}

pub(super) fn hear(talk: &mut Hj212Talk, segment: &str) -> Step {
    talk.next(&mut framed(segment).as_bytes().into(), NOW)
        .unwrap()
}

fn submission(step: Step) -> (Submission, bool) {
    match step {
        Step::Commit { submission, reply } => (submission, reply.is_some()),
        other => panic!("a commit: {}", name(&other)),
    }
}

fn name(step: &Step) -> String {
    match step {
        Step::Commit { .. } => "commit".to_owned(),
        Step::Say(bytes) => format!("say {}", bytes.escape_ascii()),
        Step::Skipped { reason, .. } => format!("skipped {reason}"),
        Step::Refused {
            reason, claimed, ..
        } => format!("refused {reason} {claimed}"),
        Step::Nothing => "nothing".to_owned(),
        Step::Close { .. } => "close".to_owned(),
    }
}

fn told(profile: &str, segment: &str) -> String {
    name(&hear(&mut talk(profile), segment))
}

fn only(submission: &Submission) -> &Part {
    let [part] = submission.parts.as_slice() else {
        panic!("one part: {submission:?}");
    };
    part
}

#[test]
fn data_is_committed_and_answered_only_where_the_device_asks_and_could_match_the_answer() {
    let replies = |head: &str| {
        let segment = format!("{head}CP=&&DataTime=20260301080500;LA-Rtd=63.2&&");
        submission(hear(&mut talk(""), &segment)).1
    };
    assert!(replies(
        "QN=20260301080500123;ST=39;CN=2011;PW=s-d1;MN=M1;Flag=5;"
    ));
    assert!(!replies(
        "QN=20260301080500123;ST=39;CN=2011;PW=s-d1;MN=M1;Flag=4;"
    ));
    assert!(!replies(
        "QN=20260301080500123;ST=39;CN=2011;PW=s-d1;MN=M1;"
    ));
    assert!(!replies("ST=39;CN=2011;PW=s-d1;MN=M1;Flag=5;"));
}

#[test]
fn who_is_not_known_or_shows_a_wrong_password_is_turned_away() {
    let data = "CP=&&LA-Rtd=63.2&&";
    for (head, expected) in [
        (
            "QN=1;CN=2011;PW=s-d1;MN=M2;Flag=5;",
            "refused unknown_device M2",
        ),
        (
            "QN=1;CN=2011;PW=123456;MN=M1;Flag=5;",
            "refused wrong_secret M1",
        ),
        ("QN=1;CN=2011;MN=M1;Flag=5;", "refused wrong_secret M1"),
        ("QN=1;CN=2011;PW=s-d1;MN=null;Flag=5;", "skipped no_mn"),
        ("QN=1;CN=2011;PW=s-d1;Flag=5;", "skipped no_mn"),
        ("QN=1;PW=s-d1;MN=M1;Flag=5;", "skipped bad_segment"),
    ] {
        assert_eq!(told("", &format!("{head}{data}")), expected, "{head}");
    }
}

#[test]
fn a_password_that_was_right_once_does_not_let_a_wrong_one_in() {
    let mut talk = talk("");
    let frame = |pw: &str| format!("QN=1;CN=2011;PW={pw};MN=M1;Flag=5;CP=&&LA-Rtd=63.2&&");
    assert_eq!(name(&hear(&mut talk, &frame("s-d1"))), "commit");
    assert_eq!(
        name(&hear(&mut talk, &frame("other"))),
        "refused wrong_secret M1"
    );
    assert_eq!(name(&hear(&mut talk, &frame("s-d1"))), "commit");
}

#[test]
fn a_device_that_was_disabled_is_turned_away_at_its_next_frame() {
    let kit = kit(&[DEVICE]);
    let (line, _) = kit.cx.downlink.line();
    let mut talk = Hj212Talk::new(shared(&kit.cx, ""), line);
    let frame = "QN=1;CN=2011;PW=s-d1;MN=M1;Flag=5;CP=&&LA-Rtd=63.2&&";
    assert_eq!(name(&hear(&mut talk, frame)), "commit");
    let mut entry = (*kit.cx.devices.find("d1").unwrap()).clone();
    entry.device.enabled = false;
    kit.cx.devices.put([entry]);
    assert_eq!(name(&hear(&mut talk, frame)), "refused device_disabled M1");
}

#[test]
fn what_has_no_readings_is_kept_as_it_came_and_answered() {
    for (cn, content, answered) in [
        ("2021", "DataTime=20260301080500;SB1-RS=1;SB2-RS=0", true),
        (
            "2081",
            "DataTime=20260301080500;RestartTime=20260301080000",
            true,
        ),
        (
            "3020",
            "DataTime=20260301080500;PolId=w01018;i11001-Info=//清洗//",
            true,
        ),
        ("2999", "x=1", true),
        ("7777", "", true),
        ("2011", "", true),
        ("2000", "s10001=0", false),
        ("1061", "RtdInterval=30", false),
    ] {
        let segment = format!("QN=1;ST=39;CN={cn};PW=s-d1;MN=M1;Flag=5;CP=&&{content}&&");
        let (submission, replies) = submission(hear(&mut talk(""), &segment));
        let part = only(&submission);
        assert_eq!((part.received, part.rejected.len()), (1, 1), "{cn}");
        assert_eq!(submission.quarantined[0].bytes, segment.as_bytes(), "{cn}");
        assert_eq!(replies, answered, "{cn}");
    }
    let frame = "QN=1;ST=39;CN=2000;PW=s-d1;MN=M1;Flag=5;CP=&&s10001=0&&";
    assert!(submission(hear(&mut talk("acknowledge = [\"2000\"]"), frame)).1);
}

/// The answers of 9013 and 9022 say of nothing that it is stored, and wait for nothing.
#[test]
fn notices_heartbeats_and_logins_are_answered_at_once() {
    let frame =
        |cn, flag| format!("QN=20260301080000123;ST=39;CN={cn};PW=s-d1;MN=M1;Flag={flag};CP=&&&&");
    for (cn, flag, answer) in [
        ("9015", 9, "ST=91;CN=9013;PW=s-d1;MN=M1;Flag=8;CP=&&&&"),
        ("1013", 5, "ST=91;CN=9013;PW=s-d1;MN=M1;Flag=4;CP=&&&&"),
        ("2012", 5, "ST=91;CN=9013;PW=s-d1;MN=M1;Flag=4;CP=&&&&"),
        (
            "9021",
            1,
            "ST=91;CN=9022;PW=s-d1;MN=M1;Flag=0;CP=&&QN=20260301080000123;Logon=1&&",
        ),
    ] {
        let answer = framed(&format!("QN=20260301080000123;{answer}"));
        assert_eq!(
            told("", &frame(cn, flag)),
            format!("say {}", answer.escape_default()),
            "{cn}"
        );
    }
    assert_eq!(told("", &frame("9015", 8)), "nothing");
    assert_eq!(told("", &frame("9014", 5)), "nothing");
}

#[test]
fn a_device_that_asks_for_the_time_is_sent_it_where_its_profile_says_so() {
    let frame = "QN=20260301080000123;ST=39;CN=1013;PW=s-d1;MN=M1;Flag=5;CP=&&&&";
    let answer = framed("QN=20260301080000123;ST=91;CN=9013;PW=s-d1;MN=M1;Flag=4;CP=&&&&");
    let time = framed(
        "QN=20260301080500000;ST=39;CN=1012;PW=s-d1;MN=M1;Flag=5;CP=&&SystemTime=20260301080500&&",
    );
    let expected = format!("say {}{}", answer.escape_default(), time.escape_default());
    assert_eq!(told("calibrate = true", frame), expected);
}

#[test]
fn the_edition_of_2005_has_the_number_of_the_request_in_the_data_area() {
    let frame = "QN=20260301080000123;ST=39;CN=1013;PW=s-d1;MN=M1;Flag=1;CP=&&&&";
    let answer = framed("ST=91;CN=9013;PW=s-d1;MN=M1;Flag=0;CP=&&QN=20260301080000123&&");
    assert_eq!(
        told("edition = \"2005\"", frame),
        format!("say {}", answer.escape_default())
    );
}

#[test]
fn a_checksum_that_the_profile_does_not_name_is_refused() {
    let segment = "QN=1;CN=2011;PW=s-d1;MN=M1;Flag=5;CP=&&LA-Rtd=63.2&&";
    let crc = crate::Checksum::Modbus.of(segment.as_bytes());
    let frame = format!("##{:04}{segment}{crc:04X}\r\n", segment.len());
    let told = |profile| {
        name(
            &talk(profile)
                .next(&mut frame.as_bytes().into(), NOW)
                .unwrap(),
        )
    };
    assert_eq!(told(""), "commit");
    assert_eq!(told("checksums = [\"hj212\"]"), "skipped crc_mismatch");
}

/// The frame of vector `v2025_sm4_encrypted_wire_length_field`, by whose key it is deciphered.
#[test]
fn enciphered_data_needs_the_key_of_the_profile() {
    let vectors = include_str!("../../testdata/vectors.jsonl");
    let vector = vectors
        .lines()
        .find(|line| line.contains("sm4_key_hex"))
        .unwrap();
    let vector: serde_json::Value = serde_json::from_str(vector).unwrap();
    let frame = vector["input_text"].as_str().unwrap();
    let device =
        r#"{"id":"d1","kind":"dust","identities":{"hj212_mn":"010000A8900016F000169DC0"}}"#;
    let told = |profile: &str| {
        let kit = kit(&[device]);
        let mut entry = (*kit.cx.devices.find("d1").unwrap()).clone();
        entry.secret = None;
        kit.cx.devices.put([entry]);
        let (line, _) = kit.cx.downlink.line();
        let mut talk = Hj212Talk::new(shared(&kit.cx, profile), line);
        talk.next(&mut frame.as_bytes().into(), NOW).unwrap()
    };
    let key = "sm4_key = \"30303030303030303030303030303030\"\nunits.a34001 = \"mg/m3\"";
    let (submission, replies) = submission(told(key));
    let observations = only(&submission).observations.iter();
    let numbers: Vec<_> = observations.filter_map(|o| o.value.as_number()).collect();
    assert_eq!((numbers, replies), (vec![178.0, 63.2], true));
    let wrong = "sm4_key = \"30303030303030303030303030303031\"";
    assert_eq!(name(&told(wrong)), "skipped wrong_key");
    assert_eq!(name(&told("")), "skipped no_key");
}

#[test]
fn a_device_that_says_it_is_broken_is_at_fault_until_it_says_so_no_more() {
    let kit = kit(&[DEVICE]);
    let (line, _) = kit.cx.downlink.line();
    let mut talk = Hj212Talk::new(shared(&kit.cx, ""), line);
    let fault = kit.cx.catalogue.find("fault");
    let mut faults = |minute: u8, flag: &str| {
        let frame = format!(
            "CN=2011;PW=s-d1;MN=M1;CP=&&DataTime=2026030108{minute:02}00;LA-Rtd=63.2;a01001-Rtd=--,a01001-Flag={flag}&&"
        );
        let (submission, _) = submission(hear(&mut talk, &frame));
        let part = only(&submission);
        let counted = part.observations.len() + part.rejected.len();
        assert_eq!(part.received as usize, counted);
        let observations = part.observations.iter().filter(|o| Some(o.metric) == fault);
        observations
            .filter_map(|o| o.value.as_number())
            .collect::<Vec<_>>()
    };
    assert!(faults(1, "N").is_empty());
    assert_eq!(faults(3, "D"), [1.0]);
    assert_eq!(faults(4, "B"), [1.0]);
    // A frame of before, sent again.
    assert!(faults(2, "N").is_empty());
    assert_eq!(faults(5, "N"), [0.0]);
    assert!(faults(6, "N").is_empty());
}

/// Replays what the fuzzer found worth keeping.
#[test]
fn the_corpus_is_taken_without_a_panic_and_its_counts_balance() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/hj212");
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let kit = kit(&[DEVICE]);
        let downlink = Downlink::default();
        let mut talk = Hj212Talk::new(shared(&kit.cx, ""), downlink.line().0);
        let mut received = BytesMut::from(bytes.as_slice());
        while let Some(step) = talk.next(&mut received, NOW) {
            if let Step::Commit { submission, .. } = step {
                let part = only(&submission);
                let counted = part.observations.len() + part.rejected.len();
                assert_eq!(part.received as usize, counted);
            }
        }
        files += 1;
    }
    assert!(files > 0);
}
