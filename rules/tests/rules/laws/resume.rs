//! Time in which the hub did not run is no silence, wherever it falls.

use super::{Early, Step, all_rules, cases, restarted, steps, two_streams, zone};
use crate::support::{LATENESS_MS, Sample, at, engine_in};
use model::Timestamp;
use proptest::prelude::{Just, Strategy};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use rules::{Change, Condition, Engine, Rule, What};

/// The shortest patience of the rules on silence: `r_gateway`, and one and a half cadences.
const PATIENCE_MS: i64 = 30_000;

/// A stream that is cut in two by the hub being away.
struct Cut {
    before: Vec<Sample>,
    since_ms: i64,
    at_ms: i64,
    /// What was sent meanwhile comes when the hub is there again, or somewhat later.
    after: Vec<Sample>,
    end_ms: i64,
}

fn cut(steps: &[Step], place: usize, idle_ms: i64, away_ms: i64) -> Cut {
    let (stream, _, end_ms) = two_streams(steps, Early::Moved);
    let place = place % stream.len();
    let (before, after) = stream.split_at(place + 1);
    let next_ms = after.first().map_or(end_ms, |next| next.received_ms);
    let last_ms = before.last().map_or(0, |last| last.received_ms);
    let since_ms = last_ms + idle_ms.min(next_ms - last_ms);
    let at_ms = since_ms + away_ms;
    let mut after = after.to_vec();
    for (sample, delay_ms) in after.iter_mut().zip((0..20).cycle()) {
        if sample.received_ms < at_ms {
            sample.received_ms = at_ms + delay_ms * 500;
        }
    }
    after.sort_by_key(|sample| sample.received_ms);
    Cut {
        before: before.to_vec(),
        since_ms,
        at_ms,
        after,
        end_ms: end_ms.max(at_ms) + LATENESS_MS,
    }
}

fn away() -> impl Strategy<Value = i64> {
    let on_grid = (1..=60i64).prop_map(|steps| steps * 5_000);
    let hours = (1..=10i64).prop_map(|hours| hours * 3_600_000);
    prop_oneof![3 => 1..=LATENESS_MS, 3 => on_grid, 1 => hours, 1 => Just(LATENESS_MS)]
}

fn feed(engine: &mut Engine, samples: &[Sample], changes: &mut Vec<Change>) {
    for sample in samples {
        engine.apply(at(sample.received_ms), &sample.reading(), changes);
    }
}

/// Gives the beginnings of silences that these changes tell of.
fn silences(rules: &[Rule], changes: &[Change]) -> Vec<Timestamp> {
    let is_silence = |change: &&Change| {
        let rule = rules.iter().find(|rule| *rule.id == *change.rule);
        rule.is_some_and(|rule| matches!(rule.spec.condition, Condition::Silence(_)))
    };
    let begun = |change: &Change| match &change.what {
        What::Raised(_) => Some(change.at),
        What::Amended(outcome) | What::Recorded(outcome) => Some(outcome.raised_at),
        _ => None,
    };
    changes
        .iter()
        .filter(is_silence)
        .filter_map(begun)
        .collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nobody_is_silent_while_the_hub_does_not_run(
        steps in steps(),
        zone in zone(),
        (place, idle_ms) in (0..200usize, 0..60_000i64),
        away_ms in away(),
    ) {
        let cut = cut(&steps, place, idle_ms, away_ms);
        let mut engine = engine_in(zone, all_rules());
        feed(&mut engine, &cut.before, &mut Vec::new());
        engine.resume(at(cut.since_ms), at(cut.at_ms), &mut Vec::new());
        let mut after = Vec::new();
        engine.advance(at(cut.at_ms), &mut after);
        feed(&mut engine, &cut.after, &mut after);
        engine.advance(at(cut.end_ms), &mut after);
        let first_ms = if away_ms > LATENESS_MS {
            cut.at_ms + PATIENCE_MS
        } else {
            cut.at_ms + 1
        };
        for begun in silences(&all_rules(), &after) {
            // What began before may be amended still.
            let is_of_before = begun.millis() <= cut.since_ms;
            prop_assert!(
                is_of_before || begun.millis() >= first_ms,
                "{begun} is before {}",
                at(first_ms)
            );
        }
    }

    #[test]
    fn a_replay_from_a_checkpoint_before_or_after_the_hub_was_away_changes_nothing(
        steps in steps(),
        zone in zone(),
        (place, idle_ms) in (0..200usize, 0..60_000i64),
        away_ms in away(),
        ticks in 0..4i64,
    ) {
        let cut = cut(&steps, place, idle_ms, away_ms);
        let mut told = Vec::new();
        for restarts in 0..3 {
            let mut engine = engine_in(zone, all_rules());
            let mut changes = Vec::new();
            feed(&mut engine, &cut.before, &mut changes);
            if restarts > 0 {
                // The hub was idle until it stopped, of which its log says nothing.
                let last_ms = engine.now().millis();
                for tick in 0..ticks {
                    let tick_ms = last_ms + (cut.since_ms - last_ms) * tick / 3;
                    engine.advance(at(tick_ms), &mut changes);
                }
                engine = restarted(zone, &engine);
            }
            engine.resume(at(cut.since_ms), at(cut.at_ms), &mut changes);
            if restarts > 1 {
                engine = restarted(zone, &engine);
            }
            engine.advance(at(cut.at_ms), &mut changes);
            feed(&mut engine, &cut.after, &mut changes);
            engine.advance(at(cut.end_ms), &mut changes);
            told.push(changes);
        }
        prop_assert_eq!(&told[1], &told[0]);
        prop_assert_eq!(&told[2], &told[0]);
    }
}
