//! The checks that every driver passes.

use super::framed;
use super::talks::{DEVICE, config, kit, shared};
use crate::{Hj212, Hj212Talk, IDLE_TIMEOUT};
use sdk::testkit::conformance::{Subject, check_config};
use sdk::testkit::rig::hold;
use sdk::{ConnectionLimits, Conversation, Registration};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

const HEAD: &str = "PW=s-d1;MN=M1;";

fn good(number: usize) -> Vec<u8> {
    let qn = 20_260_301_000_000_000 + number;
    let second = number % 60;
    let minute = number / 60 % 60;
    let hour = number / 3600 % 24;
    let time = format!("20260301{hour:02}{minute:02}{second:02}");
    framed(&format!(
        "QN={qn};ST=39;CN=2011;{HEAD}Flag=5;CP=&&DataTime={time};LA-Rtd=63.2&&"
    ))
    .into()
}

fn ack(number: usize) -> Vec<u8> {
    let qn = 20_260_301_000_000_000 + number;
    framed(&format!("QN={qn};ST=91;CN=9014;{HEAD}Flag=4;CP=&&&&")).into()
}

fn limits() -> Conversation {
    ConnectionLimits::default().conversation(IDLE_TIMEOUT, config().received_bytes_max())
}

#[tokio::test(start_paused = true)]
async fn the_driver_keeps_what_every_driver_promises() {
    let bad = [
        b"no frame\r\n".to_vec(),
        b"##00A1QN=1;CP=&&&&0000\r\n".to_vec(),
        String::from_utf8(good(0))
            .unwrap()
            .replace("63.2", "63.3")
            .into(),
    ];
    for bad in bad {
        let subject = Subject {
            devices: vec![DEVICE],
            serve: |stream, cx| {
                let shared = shared(&cx, "");
                hold(stream, cx, limits(), |line| Hj212Talk::new(shared, line))
            },
            greeting: None,
            good,
            ack,
            bad,
            bad_answer: Vec::new(),
        };
        subject.check().await;
    }
}

#[test]
fn the_example_is_taken_and_every_key_is_described() {
    check_config(
        &Registration::of::<Hj212>(),
        "kind = \"hj212\"\nlisten = \"0.0.0.0:9212\"",
    );
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_never_ends_is_dropped_in_time_and_the_next_is_taken() {
    let mut kit = kit(&[DEVICE]);
    let (mut peer, ours) = duplex(4096);
    let shared = shared(&kit.cx, "");
    let served = hold(ours, kit.cx.clone(), limits(), |line| {
        Hj212Talk::new(shared, line)
    });
    let story = async {
        peer.write_all(b"##9999QN=20260301080500123;ST=39;")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(31)).await;
        peer.write_all(&good(1)).await.unwrap();
        let stored = kit.store_next().await.unwrap();
        assert_eq!(stored.parts[0].observations.len(), 1);
        let mut heard = vec![0; ack(1).len()];
        peer.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, ack(1));
        let refused = kit.refusals.drain();
        let reasons: Vec<_> = refused
            .messages
            .keys()
            .map(|(_, reason)| reason.as_ref())
            .collect();
        assert_eq!(reasons, ["frame_timeout"]);
        drop(peer);
    };
    tokio::join!(served, story);
}

#[tokio::test(start_paused = true)]
async fn good_frames_that_a_false_beginning_swallowed_are_taken_when_its_time_is_up() {
    let mut kit = kit(&[DEVICE]);
    let (mut peer, ours) = duplex(65_536);
    let shared = shared(&kit.cx, "");
    let served = hold(ours, kit.cx.clone(), limits(), |line| {
        Hj212Talk::new(shared, line)
    });
    let story = async {
        peer.write_all(b"##8000").await.unwrap();
        for number in 0..5 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            peer.write_all(&good(number)).await.unwrap();
        }
        for number in 0..5 {
            kit.store_next().await.unwrap();
            let mut heard = vec![0; ack(number).len()];
            peer.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, ack(number));
        }
        drop(peer);
    };
    tokio::join!(served, story);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_come_one_a_minute_do_not_hold_a_connection_for_ever() {
    let kit = kit(&[DEVICE]);
    let (mut peer, ours) = duplex(4096);
    let mut limits = limits();
    limits.noise_bytes_max = 100;
    let shared = shared(&kit.cx, "");
    let served = hold(ours, kit.cx.clone(), limits, |line| {
        Hj212Talk::new(shared, line)
    });
    let story = async {
        let mut sent = 0;
        for byte in b"##0163QN=1;".iter().cycle() {
            if peer.write_all(&[*byte]).await.is_err() {
                break;
            }
            sent += 1;
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        sent
    };
    let ((), sent) = tokio::join!(served, story);
    assert!(sent < 10_000, "{sent} bytes were waited for");
}
