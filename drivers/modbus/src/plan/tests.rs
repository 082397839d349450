//! When devices are asked.

use super::Plan;
use crate::tests::shared;
use sdk::testkit::Kit;
use std::time::Duration;
use tokio::time::Instant;

const DEVICES: &[&str] = &[
    r#"{"id":"a","kind":"noise","cadence_s":60,"identities":{"modbus":"test/1"}}"#,
    r#"{"id":"b","kind":"noise","identities":{"modbus":"test/2"}}"#,
];

#[tokio::test(start_paused = true)]
async fn a_device_is_asked_at_its_own_pace_and_ever_more_rarely_while_it_is_silent() {
    let kit = Kit::new(DEVICES);
    let shared = shared(&kit, "connect = 'tcp://x'\nmap = 'rs485-noise'");
    let mut plan = Plan::default();
    plan.follow("test", &shared.roster.look(), &shared);
    let start = Instant::now();
    assert!(
        plan.due()
            .is_some_and(|due| due < start + Duration::from_secs(5))
    );
    let late = start + Duration::from_secs(600);
    let slot = plan.first_due(late).unwrap();
    slot.period = Duration::from_secs(60);
    let max = Duration::from_secs(300);
    slot.due = start;
    slot.schedule(start, max);
    let pause = slot.due - start;
    assert!((57..=63).contains(&pause.as_secs()), "{pause:?}");
    for (failures, expected) in [(1, 120), (2, 240), (3, 300), (40, 300)] {
        slot.failures = failures;
        slot.schedule(start, max);
        let pause = (slot.due - start).as_secs();
        assert!(
            (expected * 94 / 100..=expected * 106 / 100).contains(&pause),
            "{pause}"
        );
    }
    // A hub that was busy does not catch up with all that it missed.
    slot.failures = 0;
    slot.due = start;
    slot.schedule(late, max);
    assert_eq!(slot.due, late);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_stays_keeps_its_place_when_the_register_changes() {
    let kit = Kit::new(DEVICES);
    let shared = shared(&kit, "connect = 'tcp://x'\nmap = 'rs485-noise'");
    let mut plan = Plan::default();
    plan.follow("test", &shared.roster.look(), &shared);
    let far = Instant::now() + Duration::from_secs(60);
    plan.first_due(far).unwrap().failures = 3;
    let marked = plan.first_due(far).unwrap().member.id.clone();
    let other = if marked == "a" { 2 } else { 1 };
    kit.cx.devices.remove(model::DeviceKey(other));
    plan.follow("test", &shared.roster.look(), &shared);
    assert_eq!(plan.slots.len(), 1);
    assert_eq!(plan.first_due(far).unwrap().failures, 3);
}

#[tokio::test(start_paused = true)]
async fn a_device_without_a_map_is_not_polled() {
    let kit = Kit::new(DEVICES);
    let shared = shared(&kit, "connect = 'tcp://x'");
    let mut plan = Plan::default();
    plan.follow("test", &shared.roster.look(), &shared);
    assert_eq!(plan.due(), None);
}
