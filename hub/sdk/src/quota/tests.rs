//! Buckets of devices, against a clock that the test moves.

use super::{CALM, Quota, Quotas, TURN_DEADLINE};
use crate::{DeviceEntry, Devices, DriverKey, Part, RawFrame, SecretSalt, Submission};
use model::DeviceKey;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, advance};

const MQTT: DriverKey = DriverKey(1);
const MAD: DeviceKey = DeviceKey(1);
const HONEST: DeviceKey = DeviceKey(2);

fn devices() -> Devices {
    let devices = Devices::new(SecretSalt([1; 16]));
    devices.put([(MAD, "mad"), (HONEST, "honest")].map(|(key, id)| {
        let json = format!(r#"{{"id":"{id}","kind":"dust","name":"{id}"}}"#);
        DeviceEntry {
            key,
            device: serde_json::from_str(&json).unwrap(),
            secret: None,
            grid: None,
        }
    }));
    devices
}

/// 100 values a second, 1,000 at once.
fn quotas() -> Quotas {
    Quotas::new(Quota::new(100, 1_000), HashMap::new(), devices())
}

fn part(device: DeviceKey, values: u32) -> Part {
    Part {
        device,
        received: values,
        observations: Vec::new(),
        rejected: Vec::new(),
    }
}

fn of(parts: impl IntoIterator<Item = Part>) -> Submission {
    Submission {
        parts: parts.into_iter().collect(),
        quarantined: Vec::new(),
    }
}

fn one(device: DeviceKey, values: u32) -> Submission {
    of([part(device, values)])
}

#[tokio::test(start_paused = true)]
async fn the_burst_passes_at_once_and_what_is_over_it_comes_at_the_rate() {
    let quotas = quotas();
    for _ in 0..10 {
        let turn = quotas.turn(MQTT, &one(MAD, 100)).unwrap();
        assert_eq!(turn.wait(), Duration::ZERO);
    }
    // The bucket is empty, and not overdrawn.
    assert!(quotas.turn(MQTT, &one(MAD, 50)).unwrap().wait().is_zero());
    let begun = Instant::now();
    for _ in 0..4 {
        quotas.turn(MQTT, &one(MAD, 50)).unwrap().come().await;
    }
    // 50 that were owed, and 150 of the first three: the fourth is let in when these are paid for.
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn whatever_has_the_size_of_a_day_is_let_in_as_a_whole_by_a_full_bucket() {
    let quotas = quotas();
    assert!(
        quotas
            .turn(MQTT, &one(MAD, 4_320))
            .unwrap()
            .wait()
            .is_zero()
    );
    // 3,320 values are owed, which are 33.2 s.
    let again = quotas.turn(MQTT, &one(MAD, 1)).unwrap_err();
    assert_eq!(again, Duration::from_millis(33_200));
    advance(Duration::from_millis(29_200)).await;
    let turn = quotas.turn(MQTT, &one(MAD, 1)).unwrap();
    assert_eq!(turn.wait(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn what_would_wait_too_long_is_refused_as_a_whole_and_counted_for_each_device() {
    let quotas = quotas();
    drop(quotas.turn(MQTT, &one(MAD, 1_501)).unwrap());
    let both = of([part(HONEST, 3), part(MAD, 2)]);
    let wait = quotas.turn(MQTT, &both).unwrap_err();
    assert!(wait > TURN_DEADLINE, "{wait:?}");
    assert!(quotas.has_news());
    let (refused, _) = quotas.drain();
    let expected = [((MQTT, MAD), 2), ((MQTT, HONEST), 3)];
    assert_eq!(refused.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(quotas.drain(), Default::default());
    // Nobody paid for what was refused.
    assert!(
        quotas
            .turn(MQTT, &one(HONEST, 1_000))
            .unwrap()
            .wait()
            .is_zero()
    );
    assert!(quotas.turn(MQTT, &one(HONEST, 1)).unwrap().wait().is_zero());
}

#[tokio::test(start_paused = true)]
async fn no_more_than_eight_messages_of_one_device_wait_and_others_never_do() {
    let quotas = quotas();
    drop(quotas.turn(MQTT, &one(MAD, 1_100)).unwrap());
    let waiting: Vec<_> = (0..8)
        .map(|_| quotas.turn(MQTT, &one(MAD, 1)).unwrap())
        .collect();
    assert!(quotas.turn(MQTT, &one(MAD, 1)).is_err());
    assert!(quotas.turn(MQTT, &one(HONEST, 1)).unwrap().wait().is_zero());
    drop(waiting);
    assert!(quotas.turn(MQTT, &one(MAD, 1)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_too_fast_is_told_of_once_and_once_more_when_it_was_calm_for_a_minute() {
    let quotas = quotas();
    drop(quotas.turn(MQTT, &one(MAD, 1_601)).unwrap());
    for _ in 0..30 {
        assert!(quotas.turn(MQTT, &one(MAD, 1)).is_err());
    }
    let (_, news) = quotas.drain();
    assert_eq!(news.len(), 1);
    assert_eq!((news[0].device, news[0].ended), (MAD, None));
    assert_eq!(quotas.fast().len(), 1);
    advance(Duration::from_secs(3)).await;
    drop(quotas.turn(MQTT, &one(MAD, 1)));
    advance(CALM - Duration::from_millis(1)).await;
    assert!(!quotas.has_news());
    advance(Duration::from_millis(1)).await;
    assert!(quotas.has_news());
    let (_, news) = quotas.drain();
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].ended, Some((30, Duration::from_secs(3))));
    assert_eq!(quotas.fast(), []);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_telemetry_are_paid_for_by_their_size() {
    let quotas = quotas();
    let mut submission = one(MAD, 1);
    submission.quarantined.push(RawFrame {
        device: Some(MAD),
        reason: "invalid_json".into(),
        detail: String::new(),
        bytes: vec![b'x'; 64 * 1_099],
    });
    drop(quotas.turn(MQTT, &submission).unwrap());
    // 1 + 1,099 of 1,000 are spent.
    let turn = quotas.turn(MQTT, &one(MAD, 1)).unwrap();
    assert_eq!(turn.wait(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_device_may_have_a_quota_of_its_own_or_none() {
    let own = HashMap::from([("mad".to_owned(), Quota::new(0, 0))]);
    let quotas = Quotas::new(Quota::new(1, 1), own, devices());
    for _ in 0..3 {
        assert!(
            quotas
                .turn(MQTT, &one(MAD, 1_000_000))
                .unwrap()
                .wait()
                .is_zero()
        );
    }
    drop(quotas.turn(MQTT, &one(HONEST, 100)).unwrap());
    assert!(quotas.turn(MQTT, &one(HONEST, 1)).is_err());
}
