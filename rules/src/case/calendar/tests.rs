//! Limits in the hours and days of a city, by hand.

use super::{Calendar, TimeLimit, TimeUnit, WorkingTimes};
use crate::Zone;
use model::Timestamp;

/// The week of the national day of an invented year's table: 1 to 7 October off, 10 October worked.
fn calendar() -> Calendar {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let times = WorkingTimes {
        hours: texts(&["08:00-12:00", "14:00-18:00"]),
        weekdays: texts(&["mon-fri"]),
        holidays: texts(&["2026-10-01/2026-10-07"]),
        working_dates: texts(&["2026-10-10"]),
    };
    Calendar::new(Zone::named("Asia/Shanghai").unwrap(), &times).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("{text}:00+08:00")).unwrap()
}

fn due(from: &str, amount: u32, unit: TimeUnit) -> Timestamp {
    calendar().due(at(from), TimeLimit { amount, unit })
}

#[test]
fn urgent_hours_run_by_night_and_on_holidays() {
    assert_eq!(
        due("2026-10-01T23:30", 2, TimeUnit::UrgentHour),
        at("2026-10-02T01:30")
    );
}

#[test]
fn hours_of_work_stop_at_noon_in_the_evening_and_at_the_weekend() {
    // Thursday 24 September 2026, 11:00: an hour until noon, three after it.
    assert_eq!(
        due("2026-09-24T11:00", 4, TimeUnit::WorkHour),
        at("2026-09-24T17:00")
    );
    // Friday 17:00: an hour, then Monday from 08:00.
    assert_eq!(
        due("2026-09-25T17:00", 2, TimeUnit::WorkHour),
        at("2026-09-28T09:00")
    );
    // By night the clock begins in the morning.
    assert_eq!(
        due("2026-09-23T22:00", 1, TimeUnit::WorkHour),
        at("2026-09-24T09:00")
    );
}

#[test]
fn a_limit_may_end_exactly_when_work_does() {
    assert_eq!(
        due("2026-09-24T08:00", 4, TimeUnit::WorkHour),
        at("2026-09-24T12:00")
    );
}

#[test]
fn days_of_work_skip_holidays_and_count_days_that_are_made_up() {
    // Wednesday 30 September 15:00, two days: Thursday 1 to Wednesday 7 October are off; then
    // Thursday 8 and Friday 9 at 15:00.
    assert_eq!(
        due("2026-09-30T15:00", 2, TimeUnit::WorkDay),
        at("2026-10-09T15:00")
    );
    // The third is Saturday the 10th, which is worked.
    assert_eq!(
        due("2026-09-30T15:00", 3, TimeUnit::WorkDay),
        at("2026-10-10T15:00")
    );
}

#[test]
fn natural_days_are_days() {
    assert_eq!(
        due("2026-10-01T09:00", 1, TimeUnit::NaturalDay),
        at("2026-10-02T09:00")
    );
}

#[test]
fn what_was_spent_and_what_is_left_add_up() {
    let calendar = calendar();
    let (from, to) = (at("2026-09-24T11:00"), at("2026-09-25T09:00"));
    // One hour before noon, four after it, one the next morning.
    assert_eq!(
        calendar.spent_ms(from, to, TimeUnit::WorkHour),
        6 * 3_600_000
    );
    assert_eq!(calendar.after(from, 6 * 3_600_000, TimeUnit::WorkHour), to);
    assert_eq!(calendar.spent_ms(to, from, TimeUnit::WorkHour), 0);
}

#[test]
fn a_text_that_is_no_time_is_named() {
    let times = WorkingTimes {
        hours: vec!["8 bis 12".into()],
        weekdays: Vec::new(),
        holidays: Vec::new(),
        working_dates: Vec::new(),
    };
    let error = Calendar::new(Zone::utc(), &times).unwrap_err();
    assert!(error.contains("8 bis 12"), "{error}");
}
