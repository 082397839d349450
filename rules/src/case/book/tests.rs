//! Every step in every state, repeats, due times and restarts of cases.

mod law;
mod ledger;

use super::{CaseBook, Repeat, StepFacts};
use crate::case::{AlarmEnd, AlarmNews, Report, StepError};
use model::{
    CaseCategory, CaseEvidence, CasePlace, CaseRow, CaseState, CaseStep, Severity, Timestamp,
};

const REPEAT: Repeat = Repeat {
    distance_m: 50.0,
    within_s: 86_400,
};

fn at(s: i64) -> Timestamp {
    Timestamp::from_millis(1_763_700_000_000 + s * 1000)
}

fn new(alarm: &str, lon: f64) -> CaseRow {
    CaseRow {
        id: String::new(),
        category: CaseCategory {
            code: "0403".into(),
            name: "燃气管道破裂".into(),
        },
        severity: Severity::Major,
        title: "中压燃气管道超压".into(),
        description: String::new(),
        location: Some(CasePlace {
            lon,
            lat: 24.48,
            datum: "WGS84".into(),
        }),
        grid: None,
        district: None,
        street: None,
        component_code: None,
        device: format!("device-of-{alarm}"),
        kind: "gas_pressure".into(),
        alarm: alarm.into(),
        alarms: Vec::new(),
        active_alarms: Vec::new(),
        evidence: CaseEvidence::default(),
        state: CaseState::Reported,
        opened_at: at(0),
        due_at: Some(at(7200)),
        steps: Vec::new(),
        unit: None,
        cameras: Vec::new(),
        violation: Some(false),
        doubts: Vec::new(),
        moved_at: None,
        untold_since: None,
        repeats: 0,
        reopens: None,
        reopened_by: None,
        supervised: false,
        major: false,
        deferred_until: None,
        deferred_from: None,
        extensions: 0,
        closed_at: None,
        unroutable: None,
        overdue: false,
        version: 0,
        component: None,
        site: None,
        rule: String::new(),
        time_limit: None,
        note: None,
        verdict: None,
        codes_version: String::new(),
    }
}

fn ended(alarm: &str, s: i64) -> AlarmNews<'_> {
    AlarmNews {
        alarm,
        severity: Severity::Major,
        figures: None,
        at: at(s),
    }
}

const NOTHING: StepFacts<'static> = StepFacts {
    reading: None,
    resumed: None,
    extended: None,
};

fn reading(text: &str) -> StepFacts<'_> {
    StepFacts {
        reading: Some(text),
        ..NOTHING
    }
}

fn report(step: CaseStep, s: i64) -> Report<'static> {
    let needs_until = matches!(step, CaseStep::Extend | CaseStep::Defer);
    Report {
        step,
        actor: "platform",
        at: at(s),
        note: Some("note"),
        overrides: false,
        to: None,
        until: needs_until.then(|| at(s + 86_400)),
        version: None,
    }
}

/// A book with one case whose violation is over, brought into a state by the steps that lead there.
fn book_in(state: CaseState) -> CaseBook {
    use CaseStep as T;
    let way: &[CaseStep] = match state {
        CaseState::Reported => &[],
        CaseState::Accepted => &[T::Accept],
        CaseState::Dispatched => &[T::Accept, T::Dispatch],
        CaseState::Handling => &[T::Accept, T::Dispatch, T::Handle],
        CaseState::FedBack => &[T::Accept, T::Dispatch, T::Handle, T::Feedback],
        CaseState::Verified => &[T::Accept, T::Dispatch, T::Handle, T::Feedback, T::Verify],
        CaseState::Deferred => &[T::Accept, T::Dispatch, T::Defer],
        CaseState::Closed => &[
            T::Accept,
            T::Dispatch,
            T::Handle,
            T::Feedback,
            T::Verify,
            T::Close,
        ],
        CaseState::Voided => &[T::Void],
    };
    let mut book = CaseBook::new(REPEAT.within_s);
    book.open(at(0), new("a1", 118.09), REPEAT, &[]);
    book.alarm_ended(at(1), &ended("a1", 1), AlarmEnd::Measured)
        .unwrap();
    for (step, s) in way.iter().zip(2..) {
        book.step(at(s), "c1", &report(*step, s), NOTHING).unwrap();
    }
    assert_eq!(book.get("c1").unwrap().state, state);
    book
}

/// Every state, every step, by hand: where it leads, or `-`.
const TABLE: &str = "
state       accept    dispatch    handle    feedback  verify    close   return      void    extend      defer     supervise
reported    accepted  -           -         -         -         -       -           voided  -           -         reported
accepted    -         dispatched  -         -         -         -       reported    voided  accepted    deferred  accepted
dispatched  -         -           handling  -         -         -       accepted    voided  dispatched  deferred  dispatched
handling    -         -           -         fed_back  -         -       dispatched  -       handling    deferred  handling
fed_back    -         -           -         -         verified  -       handling    -       -           -         fed_back
verified    -         -           -         -         -         closed  fed_back    -       -           -         verified
deferred    -         -           handling  -         -         -       accepted    voided  dispatched  -         deferred
closed      -         -           -         -         -         -       -           -       -           -         -
voided      -         -           -         -         -         -       -           -       -           -         -
";

#[test]
fn every_step_in_every_state_does_what_the_table_says_and_a_refused_one_nothing() {
    let mut lines = TABLE.lines().filter(|line| !line.is_empty());
    let steps: Vec<CaseStep> = lines
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|name| CaseStep::parse(name).unwrap())
        .collect();
    assert_eq!(steps, CaseStep::ALL);
    let mut states = 0;
    for line in lines {
        let mut cells = line.split_whitespace();
        let state = CaseState::parse(cells.next().unwrap()).unwrap();
        states += 1;
        for (step, wanted) in steps.iter().zip(cells) {
            let mut book = book_in(state);
            let before = book.get("c1").unwrap().clone();
            let answer = book.step(at(100), "c1", &report(*step, 100), NOTHING);
            let after = book.get("c1").unwrap();
            match CaseState::parse(wanted) {
                Some(wanted) => {
                    assert_eq!(answer.unwrap().row.state, wanted, "{state} {step}");
                    assert_eq!(after.state, wanted, "{state} {step}");
                    assert_eq!(after.version, before.version + 1, "{state} {step}");
                    assert_eq!(after.steps.len(), before.steps.len() + 1, "{state} {step}");
                }
                None => {
                    assert_eq!(
                        answer.unwrap_err(),
                        StepError::Impossible { state, step: *step },
                        "{state} {step}"
                    );
                    assert_eq!(*after, before, "{state} {step}");
                }
            }
        }
    }
    assert_eq!(states, CaseState::ALL.len());
}

#[test]
fn a_refusal_says_what_is_possible() {
    let mut book = book_in(CaseState::Dispatched);
    let answer = book.step(at(9), "c1", &report(CaseStep::Close, 9), NOTHING);
    assert_eq!(
        answer.unwrap_err().to_string(),
        "`close` (结案) is impossible in the state `dispatched`; possible now: handle, return, void, \
         extend, defer, supervise"
    );
}

#[test]
fn a_case_whose_violation_is_still_measured_closes_only_by_override_and_note() {
    let mut book = book_in(CaseState::Verified);
    // The same place rings again: the open case takes it in.
    let events = book.open(at(50), new("a2", 118.0901), REPEAT, &[]);
    assert_eq!((events.len(), events[0].kind), (1, "updated"));
    assert_eq!(events[0].row.repeats, 1);
    let reading = reading("412.5 kPa at 10:00");
    let refused = book.step(at(60), "c1", &report(CaseStep::Close, 60), reading);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the sensor still measures the violation: 412.5 kPa at 10:00; close it with `override` and a note"
    );
    let silent = Report {
        overrides: true,
        note: None,
        ..report(CaseStep::Close, 60)
    };
    let refused = book.step(at(60), "c1", &silent, reading);
    assert!(matches!(
        refused,
        Err(StepError::Missing { field: "note", .. })
    ));
    let overridden = Report {
        overrides: true,
        ..report(CaseStep::Close, 60)
    };
    let event = book.step(at(60), "c1", &overridden, reading).unwrap();
    assert_eq!((event.kind, event.row.state), ("closed", CaseState::Closed));
    assert!(event.row.steps.last().unwrap().overridden);
}

#[test]
fn an_alarm_far_away_is_a_case_of_its_own() {
    let mut book = CaseBook::new(REPEAT.within_s);
    book.open(at(0), new("a1", 118.09), REPEAT, &[]);
    // A thousandth of a degree at this latitude is some 101 m.
    let events = book.open(at(1), new("a2", 118.091), REPEAT, &[]);
    assert_eq!(
        (events[0].kind, events[0].row.id.as_str()),
        ("opened", "c2")
    );
}

#[test]
fn a_repeat_after_closing_is_a_new_case_that_names_the_old_one_for_a_day() {
    let mut book = book_in(CaseState::Closed);
    let events = book.open(at(100), new("a2", 118.09), REPEAT, &[]);
    assert_eq!(events[0].row.id, "c2");
    assert_eq!(events[0].row.reopens.as_deref(), Some("c1"));
    assert_eq!(events[1].row.reopened_by.as_deref(), Some("c2"));

    let mut book = book_in(CaseState::Closed);
    // It was closed at second 7; the window ends a day later.
    book.advance(at(86_409), |_, _| None);
    let events = book.open(at(86_410), new("a2", 118.09), REPEAT, &[]);
    assert_eq!((events.len(), &events[0].row.reopens), (1, &None));
}

#[test]
fn a_deferred_case_comes_back_by_itself_with_a_new_due_time() {
    let mut book = book_in(CaseState::Deferred);
    let ends_at = at(4 + 86_400);
    assert_eq!(book.next_deadline(), Some(ends_at));
    let events = book.advance(ends_at, |_, from| Some(from.plus_s(60)));
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].row.state, CaseState::Dispatched);
    assert_eq!(events[0].row.due_at, Some(ends_at.plus_s(60)));
    assert_eq!(events[0].row.deferred_until, None);
}

#[test]
fn a_case_becomes_overdue_once_just_after_its_due_time() {
    let mut book = book_in(CaseState::Accepted);
    assert!(book.advance(at(7200), |_, _| None).is_empty());
    let events = book.advance(at(7300), |_, _| None);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].at, at(7200).plus_ms(1));
    assert!(events[0].row.overdue);
    assert!(book.advance(at(9000), |_, _| None).is_empty());
}

#[test]
fn steps_that_lack_a_note_or_a_date_or_lie_out_of_order_are_refused_by_name() {
    let mut book = book_in(CaseState::Dispatched);
    let bare = |step| Report {
        note: None,
        until: None,
        ..report(step, 50)
    };
    for step in [
        CaseStep::Return,
        CaseStep::Void,
        CaseStep::Extend,
        CaseStep::Defer,
    ] {
        let answer = book.step(at(50), "c1", &bare(step), NOTHING);
        assert!(
            matches!(answer, Err(StepError::Missing { field: "note", .. })),
            "{step}"
        );
    }
    let noted = Report {
        note: Some("why"),
        ..bare(CaseStep::Defer)
    };
    let answer = book.step(at(50), "c1", &noted, NOTHING);
    assert!(matches!(
        answer,
        Err(StepError::Missing { field: "until", .. })
    ));
    let early = book.step(at(50), "c1", &report(CaseStep::Handle, -400), NOTHING);
    assert!(matches!(early, Err(StepError::Wrong { field: "at", .. })));
    let ahead = book.step(at(50), "c1", &report(CaseStep::Handle, 400), NOTHING);
    assert!(matches!(ahead, Err(StepError::Wrong { field: "at", .. })));
}

#[test]
fn a_case_is_extended_twice_at_most_and_never_when_it_is_overdue() {
    let mut book = book_in(CaseState::Handling);
    for (round, until) in [(10, 10_000), (20, 20_000)] {
        let extend = Report {
            until: Some(at(until)),
            ..report(CaseStep::Extend, round)
        };
        let event = book.step(at(round), "c1", &extend, NOTHING).unwrap();
        assert_eq!(event.row.due_at, Some(at(until)));
    }
    let third = book.step(at(30), "c1", &report(CaseStep::Extend, 30), NOTHING);
    assert!(matches!(
        third,
        Err(StepError::Wrong { field: "until", .. })
    ));

    let mut late = book_in(CaseState::Handling);
    let answer = late.step(at(7201), "c1", &report(CaseStep::Extend, 7201), NOTHING);
    assert!(answer.unwrap_err().to_string().contains("overdue"));
}

#[test]
fn a_restart_forgets_nothing() {
    let mut book = book_in(CaseState::Deferred);
    let rows: Vec<CaseRow> = book.rows().cloned().collect();
    let mut restored = CaseBook::restore(rows, 1, REPEAT.within_s);
    assert_eq!(restored.next_deadline(), book.next_deadline());
    let open = |book: &mut CaseBook| book.open(at(60), new("a2", 118.09), REPEAT, &[]);
    assert_eq!(open(&mut restored), open(&mut book));
    assert_eq!(restored.of_alarm("a2").unwrap().id, "c1");
}

#[test]
fn without_a_place_only_the_same_device_can_be_the_same_case() {
    let mut book = CaseBook::new(REPEAT.within_s);
    let lost = |alarm: &str, device: &str| CaseRow {
        location: None,
        device: device.to_owned(),
        ..new(alarm, 118.09)
    };
    for (alarm, device, kind, id) in [
        ("a1", "gas-1", "opened", "c1"),
        ("a2", "gas-2", "opened", "c2"),
        ("a3", "gas-1", "updated", "c1"),
    ] {
        let events = book.open(at(0), lost(alarm, device), REPEAT, &[]);
        assert_eq!((events[0].kind, events[0].row.id.as_str()), (kind, id));
    }
}

#[test]
fn a_place_is_the_same_in_whatever_datum_it_is_told() {
    let mut book = CaseBook::new(REPEAT.within_s);
    let placed = |alarm: &str, lon: f64, lat: f64, datum: &str| CaseRow {
        location: Some(CasePlace {
            lon,
            lat,
            datum: datum.to_owned(),
        }),
        ..new(alarm, lon)
    };
    book.open(at(0), placed("a1", 120.0, 40.0, "WGS84"), REPEAT, &[]);
    // The published value of the algorithm for the same place.
    let shifted = placed("a2", 120.005_675_684, 40.001_304_790, "GCJ02");
    let events = book.open(at(1), shifted, REPEAT, &[]);
    assert_eq!((events[0].kind, events[0].row.repeats), ("updated", 1));
    // The same numbers in another datum are another place.
    let events = book.open(at(2), placed("a3", 120.0, 40.0, "GCJ02"), REPEAT, &[]);
    assert_eq!(events[0].row.id, "c2");
}
