//! The driver as all drivers are examined, with frames that were put together by hand.

use crate::{Config, IDLE_TIMEOUT, Pressure, RECEIVED_BYTES_MAX, answer, talk};
use bytes::BytesMut;
use codecs::pressure_frame::crc;
use model::Timestamp;
use sdk::testkit::Kit;
use sdk::testkit::conformance::{Subject, check_config};
use sdk::testkit::rig::{hold, replay};
use sdk::{ConnectionLimits, Registration, Step, Talk};

const DEVICE: &str = r#"{"id":"gas-7","kind":"gas_pressure",
    "identities":{"pressure_frame":"SHGS26030001"}}"#;

const EXAMPLE: &str = "kind = \"pressure_frame\"\nlisten = \"127.0.0.1:0\"\nudp = true\n";

fn config() -> Config {
    serde_json::from_str(r#"{"kind":"pressure_frame","listen":"127.0.0.1:0"}"#).unwrap()
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc(&bytes).to_be_bytes();
    bytes.extend(sum);
    bytes.extend([0x55, 0xaa]);
    bytes
}

/// One record of 1.8 kPa, `number` seconds after 2026-03-01T00:00:00Z.
fn good(number: usize) -> Vec<u8> {
    let mut bytes = b"\xa5\x5a\x00\x00\x29SHGS26030001\x8a\xba\x01\x2c\x00\x01\x00\x01".to_vec();
    bytes.extend([0, 0x14, 0, 0x23, 0, 0x12]);
    bytes.extend((1_772_323_200 + u32::try_from(number).unwrap()).to_be_bytes());
    bytes.extend([0, 0x12]);
    sealed(bytes)
}

fn ack(_: usize) -> Vec<u8> {
    sealed(b"\xa5\x5a\x00\x00\x15SHGS26030001".to_vec())
}

#[tokio::test(start_paused = true)]
async fn the_driver_keeps_all_that_drivers_promise() {
    // The bytes of the checksum in the other order, and noise.
    let mut bad = good(1);
    let end = bad.len();
    bad.swap(end - 4, end - 3);
    bad.splice(0..0, *b"\xa5\xa5noise");
    let subject = Subject {
        devices: vec![DEVICE],
        serve: |stream, cx| {
            let limits = ConnectionLimits::default();
            let limits = limits.conversation(IDLE_TIMEOUT, RECEIVED_BYTES_MAX);
            let answer = answer(&config()).unwrap();
            hold(stream, cx.clone(), limits, |line| {
                talk(&cx, answer, Some(line))
            })
        },
        greeting: None,
        good,
        ack,
        bad,
        bad_answer: Vec::new(),
    };
    subject.check().await;
    check_config(&Registration::of::<Pressure>(), EXAMPLE);
}

#[test]
fn the_answer_may_be_any_bytes_that_the_maker_wants() {
    let mut config = config();
    config.answer_hex = Some("a55a 01".to_owned());
    assert_eq!(
        answer(&config).unwrap().to_bytes().as_ref(),
        [0xa5, 0x5a, 1]
    );
    config.answer_hex = Some("a5z".to_owned());
    assert!(answer(&config).is_err());
}

#[test]
fn any_cut_of_the_stream_gives_the_same_and_strangers_are_not_answered() {
    let kit = Kit::new(&[DEVICE]);
    let mut stranger = good(3);
    stranger[16] = b'9';
    let end = stranger.len() - 4;
    let stranger = sealed(stranger[..end].to_vec());
    let bytes = [b"\xa5noise\xa5\x5a".to_vec(), good(1), stranger, good(2)].concat();
    for cut in 0..bytes.len() {
        let mut talk = talk(&kit.cx, answer(&config()).unwrap(), None);
        let (mut received, mut taken, mut refused) = (BytesMut::new(), 0, 0);
        for piece in [&bytes[..cut], &bytes[cut..]] {
            received.extend_from_slice(piece);
            while let Some(step) = talk.next(&mut received, Timestamp::from_millis(0)) {
                taken += usize::from(matches!(step, Step::Commit { .. }));
                refused += usize::from(matches!(step, Step::Refused { say: None, .. }));
            }
        }
        assert_eq!((taken, refused, received.len()), (2, 1, 0), "cut at {cut}");
    }
}

#[test]
fn the_fuzzers_corpus_is_counted_however_it_is_cut() {
    replay("pressure_stream", crate::fuzzed::rig);
}

#[test]
fn the_example_of_the_benches_has_ten_records_and_a_current_value() {
    let mut example = BytesMut::from(crate::fuzzed::example().as_slice());
    let values = crate::fuzzed::rig().take(&mut example);
    // The last record and the current value differ, so there are eleven pressures; and six states.
    assert_eq!((values, example.len()), (17, 0));
}
