//! The driver as all drivers are examined, and the fuzzers' corpus.

use crate::fuzzed::{config, rig};
use crate::talk::Conversation;
use crate::{BikeLock, IDLE_TIMEOUT, RECEIVED_BYTES_MAX, shared};
use sdk::testkit::conformance::{Subject, check_config};
use sdk::testkit::rig::{hold, replay};
use sdk::{ConnectionLimits, Registration};

const EXAMPLE: &str = "kind = \"bikelock\"\nlisten = \"127.0.0.1:0\"\nreply = \"command\"\n";

fn good(number: usize) -> Vec<u8> {
    let minutes = number + 1;
    format!("*CMDR,OM,863725031194523,000000000000,L1,{number},1497689816,{minutes}#\n")
        .into_bytes()
}

fn ack(_: usize) -> Vec<u8> {
    b"\xff\xff*CMDS,OM,863725031194523,000000000000,L1#\n".to_vec()
}

#[tokio::test(start_paused = true)]
async fn the_driver_keeps_all_that_drivers_promise() {
    let subject = Subject {
        devices: vec![r#"{"id":"bike","kind":"bike","identities":{"bikelock":"863725031194523"}}"#],
        serve: |stream, cx| {
            let shared = shared(&config(), &cx);
            let limits = ConnectionLimits::default();
            let limits = limits.conversation(IDLE_TIMEOUT, RECEIVED_BYTES_MAX);
            hold(stream, cx, limits, |line| {
                Conversation::new(shared, Some(line))
            })
        },
        greeting: None,
        good,
        ack,
        bad: b"noise *CMDR,OM,8637,000000000000,Q0,410#\n".to_vec(),
        bad_answer: Vec::new(),
    };
    subject.check().await;
    check_config(&Registration::of::<BikeLock>(), EXAMPLE);
}

#[test]
fn the_fuzzers_corpus_is_counted_however_it_is_cut() {
    replay("bikelock", rig);
}
