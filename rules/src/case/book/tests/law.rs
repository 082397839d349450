//! The ledger tells all: who replays it finds the case as it is.

use super::{CaseBook, REPEAT, StepFacts, at, ended, new};
use crate::case::{AlarmEnd, Report};
use model::{CaseRow, CaseState, CaseStep, Timestamp};
use proptest::prelude::*;

/// What happens to the case, some seconds after what happened before.
#[derive(Clone, Debug)]
enum Deed {
    Step {
        step: CaseStep,
        noted: bool,
        until_s: Option<i64>,
        overrides: bool,
        to: Option<CaseState>,
    },
    Ring,
    End,
    Wait,
}

fn deed() -> impl Strategy<Value = Deed> {
    let step = (
        prop::sample::select(CaseStep::ALL.to_vec()),
        prop::bool::weighted(0.8),
        prop::option::weighted(0.5, 1i64..20_000),
        prop::bool::ANY,
        prop::option::weighted(0.2, prop::sample::select(CaseState::ALL.to_vec())),
    );
    let step = step.prop_map(|(step, noted, until_s, overrides, to)| Deed::Step {
        step,
        noted,
        until_s,
        overrides,
        to,
    });
    prop_oneof![8 => step, 1 => Just(Deed::Ring), 1 => Just(Deed::End), 1 => Just(Deed::Wait)]
}

fn facts(row: &CaseRow, now: Timestamp) -> StepFacts<'static> {
    let resumed = resumed(row, now);
    let due_at = if row.state == CaseState::Deferred {
        resumed
    } else {
        row.due_at
    };
    StepFacts {
        reading: None,
        resumed,
        extended: due_at.map(|due_at| due_at.plus_s(7_200)),
    }
}

/// The time that was left when the clock stopped.
fn resumed(row: &CaseRow, now: Timestamp) -> Option<Timestamp> {
    let mut steps = row.steps.iter().rev();
    let stopped = steps.find(|step| step.step == CaseStep::Defer)?.received_at;
    let left_ms = row.due_at?.since_ms(stopped);
    Some(if left_ms <= 0 {
        row.due_at?
    } else {
        now.plus_ms(left_ms)
    })
}

/// Tells the book of an alarm that rings or ends.
fn tell(book: &mut CaseBook, s: i64, rings: bool, number: usize) {
    let alarm = format!("a{number}");
    if rings {
        book.open(at(s), new(&alarm, 118.09), REPEAT, &[]);
    } else {
        let news = ended(&alarm, s);
        book.alarm_ended(at(s), &news, AlarmEnd::Measured);
    }
}

proptest! {
    #[test]
    fn a_case_is_what_its_ledger_says(deeds in prop::collection::vec((1i64..4_000, deed()), 0..60)) {
        let mut live = CaseBook::new(REPEAT.within_s);
        tell(&mut live, 0, true, 1);
        let (mut s, mut rings) = (0, 1);
        // What the sensor said, beside the ledger.
        let mut told: Vec<(i64, bool, usize)> = Vec::new();
        for (wait_s, deed) in deeds {
            s += wait_s;
            live.advance(at(s), resumed);
            if !live.get("c1").unwrap().state.is_open() {
                break;
            }
            match deed {
                Deed::Step { step, noted, until_s, overrides, to } => {
                    let report = Report {
                        step, actor: "platform", at: at(s), note: noted.then_some("why"), overrides, to,
                        until: until_s.map(|after| at(s + after)), version: None,
                    };
                    let before = live.get("c1").unwrap().clone();
                    let facts = facts(&before, at(s));
                    if live.step(at(s), "c1", &report, facts).is_err() {
                        prop_assert_eq!(live.get("c1").unwrap(), &before);
                    }
                }
                Deed::Ring => {
                    rings += 1;
                    tell(&mut live, s, true, rings);
                    told.push((s, true, rings));
                }
                Deed::End => {
                    tell(&mut live, s, false, rings);
                    told.push((s, false, rings));
                }
                Deed::Wait => {}
            }
        }
        let row = live.get("c1").unwrap().clone();
        let mut replayed = CaseBook::new(REPEAT.within_s);
        tell(&mut replayed, 0, true, 1);
        let steps = row.steps.iter().map(|step| (step.received_at, Some(step), None));
        let signals = told.iter().map(|signal| (at(signal.0), None, Some(*signal)));
        let mut story: Vec<_> = steps.chain(signals).collect();
        story.sort_by_key(|(at, ..)| *at);
        for (now, step, signal) in story {
            replayed.advance(now, resumed);
            if let Some((s, rings, number)) = signal {
                tell(&mut replayed, s, rings, number);
            }
            if let Some(step) = step {
                let report = Report {
                    step: step.step, actor: &step.actor, at: step.at, note: step.note.as_deref(),
                    overrides: step.overridden,
                    to: (step.step == CaseStep::Return).then_some(step.to),
                    until: step.until, version: None,
                };
                let facts = facts(replayed.get("c1").unwrap(), now);
                replayed.step(now, "c1", &report, facts).unwrap();
            }
        }
        replayed.advance(at(s), resumed);
        prop_assert_eq!(replayed.get("c1"), Some(&row));
    }
}
