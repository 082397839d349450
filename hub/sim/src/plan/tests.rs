//! The plan: repeatable by seed, in order, and faulty exactly where it was asked to be.

use super::*;
use crate::fault::Fault;
use crate::fleet::FleetPlan;
use std::collections::{BTreeMap, BTreeSet};

const START_MS: i64 = 1_772_294_400_000;

fn fleet() -> Fleet {
    Fleet::new(&FleetPlan {
        devices: 22,
        prefix: "sim",
        secret_seed: "demo",
        cadence_s: Some(10),
    })
}

fn plan(seed: u64, faults: &[FaultShare]) -> Plan {
    let spec = PlanSpec {
        seed,
        start_ms: START_MS,
        demo: false,
        rate: None,
        faults: faults.to_vec(),
    };
    Plan::new(&fleet(), spec)
}

fn first(count: usize, mut plan: Plan) -> Vec<(i64, Message)> {
    (0..count).map(|_| plan.next().unwrap()).collect()
}

fn only(fault: Fault, share: f64) -> [FaultShare; 1] {
    [FaultShare { fault, share }]
}

#[test]
fn the_same_seed_gives_the_same_messages_and_another_seed_others() {
    let faults = [
        FaultShare {
            fault: Fault::Duplicate,
            share: 0.1,
        },
        FaultShare {
            fault: Fault::Garbage,
            share: 0.1,
        },
        FaultShare {
            fault: Fault::Silence,
            share: 0.01,
        },
        FaultShare {
            fault: Fault::Burst,
            share: 0.01,
        },
        FaultShare {
            fault: Fault::Late,
            share: 0.1,
        },
    ];
    let messages = first(1000, plan(7, &faults));
    assert_eq!(messages, first(1000, plan(7, &faults)));
    let others = first(1000, plan(8, &faults));
    let same = messages
        .iter()
        .zip(&others)
        .filter(|(left, right)| left == right)
        .count();
    assert!(
        same < 10,
        "{same} of 1000 messages do not depend on the seed"
    );
}

#[test]
fn messages_come_in_order_at_the_cadence_and_no_device_uses_a_time_twice() {
    let messages = first(2200, plan(1, &[]));
    assert!(messages.is_sorted_by_key(|(due_us, _)| *due_us));
    let mut times: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    for (due_us, message) in &messages {
        assert!((0..2).contains(&(START_MS + due_us / 1000 - message.ts_ms)));
        times.entry(message.device).or_default().push(message.ts_ms);
    }
    assert_eq!(times.len(), 22);
    for times in times.values() {
        assert_eq!(times.len(), 100);
        assert!(
            times
                .windows(2)
                .all(|pair| (9_998..=10_002).contains(&(pair[1] - pair[0])))
        );
    }
}

#[test]
fn a_rate_is_kept_however_high_and_times_stay_apart() {
    let spec = PlanSpec {
        seed: 1,
        start_ms: START_MS,
        demo: false,
        rate: Some(22.0 * DEVICE_RATE_MAX),
        faults: Vec::new(),
    };
    let messages = first(11_000, Plan::new(&fleet(), spec));
    // 11,000 messages at 11,000 a second take a second.
    let last_us = messages.last().unwrap().0;
    assert!((990_000..1_010_000).contains(&last_us), "{last_us}");
    let distinct: BTreeSet<_> = messages
        .iter()
        .map(|(_, message)| (message.device, message.ts_ms))
        .collect();
    assert_eq!(distinct.len(), 11_000);
}

#[test]
fn a_duplicate_repeats_device_time_and_bytes() {
    let messages = first(2000, plan(3, &only(Fault::Duplicate, 0.25)));
    let mut seen: BTreeMap<(usize, i64), Vec<u8>> = BTreeMap::new();
    let mut repeats = 0;
    for (_, message) in &messages {
        let bytes = message.payload();
        if let Some(before) = seen.insert((message.device, message.ts_ms), bytes.clone()) {
            assert_eq!(before, bytes);
            repeats += 1;
        }
    }
    // A quarter of the firsts repeat: one message in five is a repeat.
    assert!((300..500).contains(&repeats), "{repeats}");
}

#[test]
fn faults_change_no_value() {
    let values = |messages: Vec<(i64, Message)>| -> BTreeMap<(usize, i64), Content> {
        let keyed = messages
            .into_iter()
            .map(|(due_us, m)| ((m.device, due_us), m.content));
        keyed.collect()
    };
    let plain = values(first(1000, plan(5, &[])));
    let skewed = values(first(1000, plan(5, &only(Fault::ClockSkew, 1.0))));
    assert_eq!(plain, skewed);
}

#[test]
fn a_late_message_is_minutes_old_and_never_takes_an_ordinary_time() {
    let messages = first(2000, plan(4, &only(Fault::Late, 0.2)));
    let mut late = 0;
    for (due_us, message) in &messages {
        let age_ms = START_MS + due_us / 1000 - message.ts_ms;
        if message.ts_ms % 2 == 0 {
            assert!(age_ms < 2);
        } else {
            assert!((130_000..=900_002).contains(&age_ms), "{age_ms}");
            late += 1;
        }
    }
    assert!((300..500).contains(&late), "{late}");
    let distinct: BTreeSet<_> = messages.iter().map(|(_, m)| (m.device, m.ts_ms)).collect();
    assert_eq!(distinct.len(), 2000);
}

#[test]
fn a_burst_sends_many_old_messages_of_one_device_at_once() {
    let messages = first(3000, plan(6, &only(Fault::Burst, 0.01)));
    let mut at_once: BTreeMap<(usize, i64), usize> = BTreeMap::new();
    for (due_us, message) in &messages {
        *at_once.entry((message.device, *due_us)).or_default() += 1;
        assert!(START_MS + due_us / 1000 - message.ts_ms <= 60_002);
    }
    // A minute at a cadence of 10 s.
    assert!(at_once.values().any(|count| *count >= 6), "{at_once:?}");
}

#[test]
fn a_skewed_device_keeps_its_wrong_clock_and_stays_within_a_day() {
    let messages = first(2200, plan(2, &only(Fault::ClockSkew, 0.5)));
    let mut skews: BTreeMap<usize, BTreeSet<i64>> = BTreeMap::new();
    for (due_us, message) in &messages {
        let skew_s = (message.ts_ms - START_MS - due_us / 1000 + 1).div_euclid(1000);
        skews.entry(message.device).or_default().insert(skew_s);
    }
    assert!(skews.values().all(|skews| skews.len() == 1), "{skews:?}");
    let skews: Vec<i64> = skews.values().flatten().copied().collect();
    let wrong: Vec<i64> = skews.into_iter().filter(|skew| *skew != 0).collect();
    assert!((5..=17).contains(&wrong.len()), "{wrong:?}");
    assert!(
        wrong
            .iter()
            .all(|skew| (180..=21_600).contains(&skew.abs())),
        "{wrong:?}"
    );
    assert!(wrong.iter().any(|skew| *skew > 0) && wrong.iter().any(|skew| *skew < 0));
}

#[test]
fn a_silence_lasts_at_least_five_cadences() {
    let messages = first(4000, plan(9, &only(Fault::Silence, 0.005)));
    let mut last: BTreeMap<usize, i64> = BTreeMap::new();
    let mut longest_us = 0;
    for (due_us, message) in &messages {
        if let Some(before_us) = last.insert(message.device, *due_us) {
            longest_us = longest_us.max(due_us - before_us);
        }
    }
    assert!(longest_us >= 60_000_000, "{longest_us}");
}

#[test]
fn garbage_has_no_line_in_the_ack_log() {
    let messages = first(1000, plan(1, &only(Fault::Garbage, 0.2)));
    let garbage = messages
        .iter()
        .filter(|(_, m)| m.log_line("x").is_none())
        .count();
    assert!((140..260).contains(&garbage), "{garbage}");
    let undecodable =
        |m: &Message| serde_json::from_slice::<serde_json::Value>(&m.payload()).is_err();
    let broken = messages.iter().filter(|(_, m)| undecodable(m)).count();
    assert!(broken > 50 && broken < garbage, "{broken} of {garbage}");
}

#[test]
fn in_the_demo_a_gateway_and_its_children_say_nothing_for_two_and_a_half_minutes() {
    let fleet = crate::demo::fleet().unwrap();
    let spec = PlanSpec {
        seed: 1,
        start_ms: START_MS,
        demo: true,
        rate: None,
        faults: Vec::new(),
    };
    let mut plan = Plan::new(&fleet, spec);
    let mut times: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    while let Some((due_us, message)) = plan.next() {
        if due_us > 240_000_000 {
            break;
        }
        times.entry(message.device).or_default().push(due_us);
    }
    assert_eq!(times.len(), 500);
    let silent: Vec<&str> = times
        .iter()
        .filter(|(_, times)| {
            times
                .windows(2)
                .any(|pair| pair[1] - pair[0] >= 150_000_000)
        })
        .map(|(index, _)| fleet.devices[*index].kind.name())
        .collect();
    assert_eq!(silent[0], "gateway");
    assert!((7..=8).contains(&(silent.len() - 1)), "{silent:?}");
    assert!(silent.iter().skip(1).all(|kind| *kind == "smoke"));
}
