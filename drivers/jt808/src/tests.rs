//! The driver as all drivers are examined, and the fuzzers' corpus.

use crate::frame::tests::hex;
use crate::fuzzed::{config, rig};
use crate::talk::Conversation;
use crate::{IDLE_TIMEOUT, Jt808, RECEIVED_BYTES_MAX, shared};
use sdk::testkit::conformance::{Subject, check_config};
use sdk::testkit::rig::{hold, replay};
use sdk::{ConnectionLimits, Registration};

const EXAMPLE: &str = "kind = \"jt808\"\nlisten = \"127.0.0.1:0\"\nauthentication = \"phone\"\n";

fn sealed(mut plain: Vec<u8>) -> Vec<u8> {
    plain.push(plain.iter().fold(0, |sum, byte| sum ^ byte));
    let mut bytes = vec![0x7e];
    for byte in plain {
        match byte {
            0x7e => bytes.extend([0x7d, 2]),
            0x7d => bytes.extend([0x7d, 1]),
            byte => bytes.push(byte),
        }
    }
    bytes.push(0x7e);
    bytes
}

fn serial(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap().to_be_bytes()
}

/// The location of the vectors with serials that differ.
fn good(number: usize) -> Vec<u8> {
    let mut plain = hex("0200 001c 112233445566");
    plain.extend(serial(number));
    plain.extend(hex(
        "00000001 00000002 00ba7f0e 07e4f11c 0028 003c 0000 180715101010",
    ));
    sealed(plain)
}

/// 平台通用应答: the first that the platform says.
fn ack(number: usize) -> Vec<u8> {
    let mut plain = hex("8001 0005 112233445566 0000");
    plain.extend(serial(number));
    plain.extend(hex("0200 00"));
    sealed(plain)
}

#[tokio::test(start_paused = true)]
async fn the_driver_keeps_all_that_drivers_promise() {
    let mut bad = good(1);
    let bcc = bad.len() - 2;
    bad[bcc] ^= 1;
    bad.splice(0..0, *b"noise");
    let subject = Subject {
        devices: vec![r#"{"id":"truck","kind":"truck","identities":{"jt808":"112233445566"}}"#],
        serve: |stream, cx| {
            let shared = shared(&config(), &cx).unwrap();
            let limits = ConnectionLimits::default();
            let limits = limits.conversation(IDLE_TIMEOUT, RECEIVED_BYTES_MAX);
            hold(stream, cx, limits, |line| {
                Conversation::new(shared, Some(line))
            })
        },
        greeting: None,
        good,
        ack,
        bad,
        bad_answer: Vec::new(),
    };
    subject.check().await;
    check_config(&Registration::of::<Jt808>(), EXAMPLE);
}

#[test]
fn the_fuzzers_corpus_is_counted_however_it_is_cut() {
    replay("jt808", rig);
}
