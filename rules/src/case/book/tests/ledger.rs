//! The ledger of a case has an order and an end, and what is unheard is told in time.

use super::{CaseBook, NOTHING, REPEAT, at, book_in, ended, new, report};
use crate::case::{AlarmEnd, Report};
use model::{CaseState, CaseStep};

#[test]
fn a_case_with_as_many_steps_as_it_takes_still_comes_to_its_end() {
    use CaseStep as T;
    for (start, end) in [
        (CaseState::Verified, &[T::Close][..]),
        (CaseState::Accepted, &[T::Void]),
        (
            CaseState::Accepted,
            &[
                T::Dispatch,
                T::Handle,
                T::Feedback,
                T::Verify,
                T::Return,
                T::Verify,
                T::Close,
            ],
        ),
    ] {
        let mut book = book_in(start);
        let mut taken = 0;
        while book
            .step(at(20), "c1", &report(T::Supervise, 20), NOTHING)
            .is_ok()
        {
            taken += 1;
            assert!(taken < 1_000);
        }
        assert!(book.get("c1").unwrap().steps.len() >= 200);
        for step in end {
            book.step(at(21), "c1", &report(*step, 21), NOTHING)
                .unwrap();
        }
        assert!(!book.get("c1").unwrap().state.is_open());
    }
}

#[test]
fn returns_without_end_are_refused_and_the_way_forward_is_not() {
    let mut book = book_in(CaseState::Verified);
    let mut returned = 0;
    while book
        .step(at(20), "c1", &report(CaseStep::Return, 20), NOTHING)
        .is_ok()
    {
        book.step(at(20), "c1", &report(CaseStep::Verify, 20), NOTHING)
            .unwrap();
        returned += 1;
        assert!(returned < 1_000);
    }
    book.step(at(21), "c1", &report(CaseStep::Close, 21), NOTHING)
        .unwrap();
}

#[test]
fn times_of_other_clocks_are_put_in_order_and_kept_as_they_were_said() {
    let mut book = CaseBook::new(REPEAT.within_s);
    book.open(at(0), new("a1", 118.09), REPEAT, &[]);
    for (step, said, now, written) in [
        (CaseStep::Accept, -180, 10, 0),
        (CaseStep::Dispatch, 200, 20, 20),
        (CaseStep::Handle, 5, 30, 20),
        (CaseStep::Feedback, 35, 40, 35),
    ] {
        let report = report(step, said);
        let row = book.step(at(now), "c1", &report, NOTHING).unwrap().row;
        let entry = row.steps.last().unwrap();
        assert_eq!(entry.at, at(written), "{step}");
        let reported = (said != written).then(|| at(said));
        assert_eq!(entry.reported_at, reported, "{step}");
    }
}

#[test]
fn an_unheard_repeat_is_in_the_row_at_once_and_told_within_a_minute() {
    let mut book = book_in(CaseState::Accepted);
    let version = book.get("c1").unwrap().version;
    let joined = book.join(at(10), &new("a2", 118.09), REPEAT, &[]).unwrap();
    assert!(!joined.announced);
    let row = book.get("c1").unwrap();
    assert_eq!(
        (row.violation, row.repeats, row.version),
        (Some(true), 1, version)
    );
    let ended_quietly = book.alarm_ended(at(11), &ended("a2", 11), AlarmEnd::Chattered);
    assert!(!ended_quietly.unwrap().announced);
    assert_eq!(book.advance(at(69), |_, _| None), []);
    let told = book.advance(at(70), |_, _| None);
    assert_eq!((told.len(), told[0].announced), (1, true));
    assert_eq!(
        (told[0].row.violation, told[0].row.untold_since),
        (Some(false), None)
    );
    assert_eq!(told[0].row.version, version + 1);
    assert_eq!(book.advance(at(200), |_, _| None), []);
}

#[test]
fn an_unheard_alarm_that_repeats_no_open_case_opens_none() {
    let mut book = book_in(CaseState::Closed);
    assert_eq!(book.join(at(10), &new("a2", 118.09), REPEAT, &[]), None);
    assert_eq!(book.get("c2"), None);
}

#[test]
fn alarms_of_one_incident_are_no_repeats() {
    let mut book = CaseBook::new(REPEAT.within_s);
    book.open(at(0), new("a1", 118.09), REPEAT, &[]);
    book.open(at(1), new("a2", 118.09), REPEAT, &["a1".to_owned()]);
    assert_eq!(book.get("c1").unwrap().repeats, 0);
    book.open(at(2), new("a3", 118.09), REPEAT, &["a9".to_owned()]);
    assert_eq!(book.get("c1").unwrap().repeats, 1);
    let close = Report {
        overrides: true,
        ..report(CaseStep::Void, 3)
    };
    book.step(at(3), "c1", &close, NOTHING).unwrap();
}
