//! The laws of the engine, over random streams.

mod definition;
mod resume;

use crate::support::{
    DEVICES, LATENESS_MS, START_MS, Sample, at, catalogue, device, engine_in, history, quality,
    rules, run, settings_in,
};
use model::{Position, Value};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use rules::{
    Change, Condition, Engine, History, Plan, Rehearsal, Rule, Step as Edit, What, backtest,
};
use std::convert::Infallible;
use std::sync::LazyLock;

/// Every key that changes what a lane does.
const RULES: &str = include_str!("laws/rules.toml");

/// Hours that open and close within the streams, in Berlin around and within the hour that its
/// clocks leave out, in Shanghai, and in no zone at all.
const HOURS: &str = r#"{ times = [
  "01:45-02:30", "03:05-03:15", "03:20-03:21", "03:22-03:50", "08:44-08:50", "08:52-09:05",
  "09:10-09:40", "00:42-00:44", "00:50-01:10"] }"#;

/// A rule that is told when messages came, which another order of arrival changes.
const ON_RECEIPT: &str = r#"
[rules.y_clock]
kind = "clock"
select = {}
skew_s = 60
confirm = 2
"#;

const ZONES: [&str; 3] = ["Europe/Berlin", "Asia/Shanghai", "UTC"];

fn zone() -> impl Strategy<Value = &'static str> {
    (0..ZONES.len()).prop_map(|place| ZONES[place])
}

/// Every rule whose alarms do not depend on the order of arrival.
fn timely_rules() -> Vec<Rule> {
    static READ: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(&RULES.replace("HOURS", HOURS)));
    READ.clone()
}

fn all_rules() -> Vec<Rule> {
    static READ: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(ON_RECEIPT));
    let mut all = timely_rules();
    all.extend(READ.iter().cloned());
    all
}

/// The rules on values, to which late readings say nothing live.
fn on_values() -> Vec<Rule> {
    let is_on_values = |rule: &Rule| {
        let takes_silence = rule.spec.members().iter().any(|id| id == "e_silent");
        !matches!(rule.spec.condition, Condition::Silence(_)) && !takes_silence
    };
    timely_rules().into_iter().filter(is_on_values).collect()
}

/// How a reading's clock and way are.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Within the lateness, either way: the two delays of the two orders of arrival.
    Timely { delay_ms: i64, other_delay_ms: i64 },
    /// The device's clock is too far ahead: it counts when it comes.
    Ahead { ahead_ms: i64 },
    /// It comes too late to sound.
    Late { more_ms: i64 },
}

#[derive(Clone, Copy, Debug)]
struct Step {
    device: u32,
    metric: &'static str,
    value: u8,
    quality: u8,
    gap_ms: i64,
    way: Way,
}

fn way() -> impl Strategy<Value = Way> {
    let on_grid = || (-24..=24i64).prop_map(|steps| steps * 5_000);
    let delay = || {
        prop_oneof![
            Just(0),
            on_grid(),
            0..=LATENESS_MS,
            -LATENESS_MS..=LATENESS_MS
        ]
    };
    prop_oneof![
        18 => (delay(), delay()).prop_map(|(delay_ms, other_delay_ms)| Way::Timely {
            delay_ms,
            other_delay_ms,
        }),
        2 => (1..=600_000i64).prop_map(|ahead_ms| Way::Ahead { ahead_ms }),
        3 => (1..=300_000i64).prop_map(|more_ms| Way::Late { more_ms }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    // On a grid of 5 s, as the delays of the rules are, so that readings and deadlines often meet.
    let on_grid = (0..=12i64).prop_map(|steps| steps * 5_000);
    let gap = prop_oneof![5 => on_grid, 1 => 1..=5_000i64, 1 => 1..=60_000i64];
    let metric = prop_oneof![
        5 => Just("pressure_kpa"),
        3 => Just("temperature_c"),
        2 => Just("position"),
    ];
    (1..=3u32, metric, 0..=9u8, 0..=20u8, gap, way()).prop_map(
        |(device, metric, value, quality, gap_ms, way)| Step {
            device,
            metric,
            value,
            quality,
            gap_ms,
            way,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..200)
}

/// A bike goes east, fifty metres a step, and now and then it is not locked.
fn value(step: &Step) -> Value {
    if step.metric == "position" {
        Value::Position(Position {
            lon: 118.0 + f64::from(step.value) * 0.000_5,
            lat: 24.5,
            accuracy_m: (step.quality > 10).then_some(8.0),
            locked: Some(step.quality != 5),
        })
    } else {
        Value::Number(f64::from(step.value))
    }
}

/// What another order of arrival does to readings that arrive before their own time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Early {
    /// They arrive when they do in the first one.
    Kept,
    Moved,
}

/// Lays the steps out in time, twice: the same readings, in two orders of arrival.
fn two_streams(steps: &[Step], early: Early) -> (Vec<Sample>, Vec<Sample>, i64) {
    let catalogue = catalogue();
    let mut clock_ms = START_MS + 2 * LATENESS_MS;
    let mut one = Vec::new();
    let mut other = Vec::new();
    let mut used = std::collections::HashSet::new();
    for step in steps {
        clock_ms += step.gap_ms;
        let metric = catalogue.find(step.metric).expect("a built-in metric");
        let mut observed_ms = match step.way {
            Way::Timely { .. } | Way::Late { .. } => clock_ms,
            Way::Ahead { ahead_ms } => clock_ms + LATENESS_MS + ahead_ms,
        };
        // One reading per series and instant: the writer drops duplicates.
        while !used.insert((step.device, metric, observed_ms)) {
            observed_ms += 1;
        }
        let (received_ms, other_received_ms) = match step.way {
            Way::Timely { delay_ms, .. } if early == Early::Kept && delay_ms < 0 => {
                (observed_ms + delay_ms, observed_ms + delay_ms)
            }
            Way::Timely {
                delay_ms,
                other_delay_ms,
            } => {
                let is_kept = early == Early::Kept;
                let other_delay_ms = if is_kept {
                    other_delay_ms.abs()
                } else {
                    other_delay_ms
                };
                (observed_ms + delay_ms, observed_ms + other_delay_ms)
            }
            Way::Ahead { .. } => (clock_ms, clock_ms),
            Way::Late { more_ms } => {
                let received_ms = observed_ms + LATENESS_MS + more_ms;
                (received_ms, received_ms)
            }
        };
        let sample = Sample {
            device: step.device,
            metric,
            value: value(step),
            quality: quality(step.quality),
            observed_ms,
            received_ms,
        };
        one.push(sample);
        other.push(Sample {
            received_ms: other_received_ms,
            ..sample
        });
    }
    one.sort_by_key(|sample| sample.received_ms);
    other.sort_by_key(|sample| sample.received_ms);
    (one, other, clock_ms + 10 * LATENESS_MS)
}

/// The same readings as they would come if nothing ever delayed them.
fn in_order(samples: &[Sample], early: Early) -> Vec<Sample> {
    let mut samples = samples.to_vec();
    for sample in &mut samples {
        let ahead_ms = sample.observed_ms - sample.received_ms;
        let is_timely = ahead_ms.abs() <= LATENESS_MS;
        if is_timely && (early == Early::Moved || ahead_ms < 0) {
            sample.received_ms = sample.observed_ms;
        }
    }
    samples.sort_by_key(|sample| (sample.received_ms, sample.observed_ms));
    samples
}

fn restarted(zone: &str, engine: &Engine) -> Engine {
    Engine::restore(settings_in(zone), catalogue(), &engine.checkpoint())
        .expect("a good checkpoint")
}

/// A few seconds' worth, unless `PROPTEST_CASES` asks for more (`make laws`: a million readings a
/// law, at a hundred a case).
fn cases() -> ProptestConfig {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default()
    } else {
        ProptestConfig::with_cases(48)
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_order_of_arrival_within_the_lateness_gives_the_same_history(steps in steps(), zone in zone()) {
        // Whoever is early was alive when it was heard, whatever its clock says: for `silence` only
        // delays are without effect, for values both ways are.
        for (rules, early) in [(timely_rules(), Early::Kept), (on_values(), Early::Moved)] {
            let (one, other, end_ms) = two_streams(&steps, early);
            let expected = in_order(&one, early);
            let [expected, of_one, of_other] = [&expected, &one, &other].map(|stream| {
                history(&run(&mut engine_in(zone, rules.clone()), stream, end_ms))
            });
            prop_assert_eq!(&of_one, &expected);
            prop_assert_eq!(&of_other, &expected);
        }
    }

    #[test]
    fn any_order_of_arrival_leaves_the_same_rows(steps in steps(), zone in zone()) {
        let (one, other, end_ms) = two_streams(&steps, Early::Kept);
        let expected = rows_of_history(zone, &in_order(&one, Early::Kept), end_ms);
        prop_assert_eq!(&rows_of_book(zone, &one, end_ms), &expected);
        prop_assert_eq!(&rows_of_book(zone, &other, end_ms), &expected);
    }

    #[test]
    fn extra_ticks_change_nothing(steps in steps(), zone in zone(), ticks in vec(0..=3u8, 200)) {
        let (one, _, end_ms) = two_streams(&steps, Early::Moved);
        let expected = run(&mut engine_in(zone, all_rules()), &one, end_ms);
        let mut ticked = engine_in(zone, all_rules());
        let mut changes = Vec::new();
        let mut last_ms = START_MS;
        for (sample, ticks) in one.iter().zip(ticks) {
            for tick in 0..i64::from(ticks) {
                let tick_ms = last_ms + (sample.received_ms - last_ms) * tick / 3;
                ticked.advance(at(tick_ms), &mut changes);
            }
            ticked.apply(at(sample.received_ms), &sample.reading(), &mut changes);
            last_ms = sample.received_ms;
        }
        // To the very deadlines, and to each one twice.
        while let Some(deadline) = ticked.next_deadline() && deadline.millis() <= end_ms {
            ticked.advance(deadline, &mut changes);
            ticked.advance(deadline, &mut changes);
        }
        ticked.advance(at(end_ms), &mut changes);
        prop_assert_eq!(changes, expected);
    }

    #[test]
    fn a_restart_anywhere_changes_nothing(steps in steps(), zone in zone(), every in 1..20usize) {
        let (one, _, end_ms) = two_streams(&steps, Early::Moved);
        let expected = run(&mut engine_in(zone, all_rules()), &one, end_ms);
        let mut engine = engine_in(zone, all_rules());
        let mut changes = Vec::new();
        for (index, sample) in one.iter().enumerate() {
            engine.apply(at(sample.received_ms), &sample.reading(), &mut changes);
            if index % every == 0 {
                engine = restarted(zone, &engine);
            }
        }
        engine.advance(at(end_ms), &mut changes);
        prop_assert_eq!(changes, expected);
    }

    #[test]
    fn late_readings_only_record(steps in steps(), zone in zone(), late in vec((0..3u8, 1..=900_000i64), 200)) {
        let (mut one, _, end_ms) = two_streams(&steps, Early::Moved);
        let timely: Vec<Sample> = one
            .iter()
            .zip(&late)
            .filter(|(_, (is_late, _))| *is_late != 0)
            .map(|(sample, _)| *sample)
            .collect();
        for (sample, (is_late, more_ms)) in one.iter_mut().zip(&late) {
            if *is_late == 0 {
                sample.received_ms = sample.observed_ms + LATENESS_MS + more_ms;
            }
        }
        one.sort_by_key(|sample| sample.received_ms);
        let end_ms = end_ms + 2_000_000;
        let changes = run(&mut engine_in(zone, on_values()), &one, end_ms);
        let is_recorded = |change: &Change| matches!(change.what, What::Recorded(_));
        let (recorded, live): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(is_recorded);
        for change in &recorded {
            let What::Recorded(outcome) = change.what else { continue };
            prop_assert!(outcome.cleared_at.is_some_and(|end| end >= outcome.raised_at));
        }
        let live: Vec<Change> = live.into_iter().map(unnumbered).collect();
        let expected = run(&mut engine_in(zone, on_values()), &timely, end_ms);
        let expected = expected.into_iter().filter(|change| !is_recorded(change));
        let expected: Vec<Change> = expected.map(unnumbered).collect();
        prop_assert_eq!(live, expected);
    }

    #[test]
    fn late_readings_of_one_burst_may_come_in_any_order(
        steps in steps(),
        zone in zone(),
        order in vec(any::<u32>(), 200),
    ) {
        let (one, _, end_ms) = two_streams(&steps, Early::Moved);
        let burst_ms = end_ms + 1_000_000;
        let mut burst: Vec<Sample> = in_order(&one, Early::Moved)
            .into_iter()
            .map(|sample| Sample { received_ms: burst_ms, ..sample })
            .collect();
        let end_ms = burst_ms + 2 * LATENESS_MS;
        let expected = history(&run(&mut engine_in(zone, on_values()), &burst, end_ms));
        let mut places = order.iter();
        burst.sort_by_cached_key(|_| places.next());
        let shuffled = history(&run(&mut engine_in(zone, on_values()), &burst, end_ms));
        prop_assert_eq!(shuffled, expected);
    }

    #[test]
    fn editing_one_rule_leaves_the_others_as_they_were(
        steps in steps(),
        zone in zone(),
        edits in vec((0..200usize, 0..4u8), 1..20),
    ) {
        let (one, _, end_ms) = two_streams(&steps, Early::Moved);
        let expected = history(&run(&mut engine_in(zone, all_rules()), &one, end_ms));
        let mut engine = engine_in(zone, all_rules());
        let mut changes = Vec::new();
        for (index, sample) in one.iter().enumerate() {
            for (_, edit) in edits.iter().filter(|(place, _)| *place == index) {
                edit_another(&mut engine, sample.received_ms, *edit, &mut changes);
            }
            engine.apply(at(sample.received_ms), &sample.reading(), &mut changes);
        }
        engine.advance(at(end_ms), &mut changes);
        changes.retain(|change| change.rule.as_ref() != "another");
        prop_assert_eq!(history(&changes), expected);
    }

    #[test]
    fn a_backtest_of_what_was_recorded_gives_the_same_alarms(
        steps in steps(),
        zone in zone(),
        chunk in 1..50usize,
    ) {
        let (one, _, end_ms) = two_streams(&steps, Early::Moved);
        let mut engine = engine_in(zone, all_rules());
        let mut live = History::default();
        for change in run(&mut engine, &one, end_ms) {
            live.apply(&change);
        }
        let plan = Plan {
            settings: settings_in(zone),
            catalogue: catalogue(),
            devices: (1..=DEVICES).map(device).collect(),
            rules: all_rules(),
            from: at(START_MS),
            until: at(end_ms),
        };
        let chunks = one.chunks(chunk).map(|chunk| {
            Ok::<_, Infallible>(chunk.iter().map(Sample::reading).collect())
        });
        prop_assert_eq!(backtest(plan, chunks), Ok(live.into_spans()));
    }
}

/// Adds, edits and removes a rule that is not among the others.
fn edit_another(engine: &mut Engine, at_ms: i64, edit: u8, changes: &mut Vec<Change>) {
    if edit == 0 {
        engine.remove_rule(at(at_ms), "another", changes);
        return;
    }
    let toml = format!(
        "[rules.another]\nkind = \"threshold\"\nselect = {{}}\nmetric = \"pressure_kpa\"\nabove = {edit}"
    );
    for rule in rules(&toml) {
        engine.put_rule(at(at_ms), rule, changes);
    }
}

/// An alarm as its row has it: rule, device, kind, site and grid; raised, cleared, severity, value,
/// limit, peak and count.
type Row = (String, String);

/// The rows that the book is left with.
fn rows_of_book(zone: &str, samples: &[Sample], end_ms: i64) -> Vec<Row> {
    let mut rehearsal = Rehearsal::begin(settings_in(zone), catalogue(), at(START_MS));
    for key in 1..=DEVICES {
        rehearsal.change(at(START_MS), Edit::PutDevice(device(key)));
    }
    for rule in timely_rules() {
        rehearsal.change(at(START_MS), Edit::PutRule(Box::new(rule)));
    }
    for sample in samples {
        rehearsal.take(&sample.reading());
    }
    let played = rehearsal
        .finish(at(end_ms))
        .into_iter()
        .map(|played| played.row);
    let rows = played.filter(|row| row.note.as_deref() != Some("withdrawn"));
    let rows = rows.map(|row| {
        let whose = format!(
            "{} {} {} {:?} {:?}",
            row.rule, row.device, row.kind, row.site, row.grid
        );
        let figures = (row.value, row.limit, row.peak, row.count);
        let how = format!(
            "{} {:?} {} {figures:?}",
            row.raised_at, row.cleared_at, row.severity
        );
        (whose, how)
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort();
    rows
}

/// The rows that the engine's history amounts to.
fn rows_of_history(zone: &str, samples: &[Sample], end_ms: i64) -> Vec<Row> {
    let changes = run(&mut engine_in(zone, timely_rules()), samples, end_ms);
    let rows = history(&changes).into_iter().map(|span| {
        let of = device(span.device.0);
        let whose = format!(
            "{} {} {} {:?} {:?}",
            span.rule, of.id, of.kind, of.site, of.grid
        );
        let figures = (span.value, span.limit, span.peak, span.count);
        let how = format!(
            "{} {:?} {} {figures:?}",
            span.raised_at, span.cleared_at, span.severity
        );
        (whose, how)
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort();
    rows
}

fn unnumbered(change: Change) -> Change {
    Change { alarm: 0, ..change }
}
