//! The driver as all drivers are examined, and the fuzzers' corpus.

use crate::fuzzed::{Rig, config};
use crate::{BikeLock, conversation, serve, shared};
use bytes::BytesMut;
use sdk::Registration;
use sdk::testkit::conformance::{Subject, check_config};

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
            Box::pin(async move {
                let shared = shared(&config(), &cx);
                let mut limits = conversation(&config());
                limits.idle_timeout = std::time::Duration::from_secs(600);
                limits.noise_bytes_max = 65_536;
                serve(stream, "test".to_owned(), shared, limits, cx).await;
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
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/bikelock");
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let input = std::fs::read(file.unwrap().path()).unwrap();
        let Some((cut, stream)) = input.split_first() else {
            continue;
        };
        let (first, rest) = stream.split_at(usize::from(*cut).min(stream.len()));
        let (mut rig, mut received, mut values) = (Rig::default(), BytesMut::new(), 0);
        for piece in [first, rest] {
            received.extend_from_slice(piece);
            values += rig.take(&mut received);
        }
        assert_eq!(values, Rig::default().take(&mut BytesMut::from(stream)));
        files += 1;
    }
    assert!(files >= 10);
}
