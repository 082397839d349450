//! Tests of schedules: by hand around the changes of clocks, and against a scan minute by minute.

use super::{Schedule, Zone};
use crate::{RuleError, parse_json, parse_toml};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy};
use proptest::sample::subsequence;
use proptest::{prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

const MINUTE_MS: i64 = 60_000;

fn read(schedule: &Value) -> Result<Schedule, RuleError> {
    let rule = json!({"kind": "silence", "select": {}, "factor": 3, "schedule": schedule});
    parse_json("r", &rule).map(|spec| spec.schedule)
}

fn schedule(json: Value) -> Schedule {
    read(&json).expect("a good schedule")
}

fn zone(name: &str) -> Zone {
    Zone::named(name).expect("a zone of the table")
}

fn ms(utc: &str) -> i64 {
    let at: jiff::Timestamp = format!("{utc}Z").parse().expect("a time");
    at.as_millisecond()
}

fn utc(at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).expect("a time");
    at.strftime("%Y-%m-%dT%H:%M").to_string()
}

/// Gives the edges in UTC after an instant: `+` opens, `-` closes.
fn edges(json: Value, zone_name: &str, from: &str, count: usize) -> Vec<String> {
    let (schedule, zone) = (schedule(json), zone(zone_name));
    let mut edges = Vec::new();
    let mut at_ms = ms(from);
    for _ in 0..count {
        let Some(next_ms) = schedule.next_edge_ms(&zone, at_ms) else {
            break;
        };
        let opens = schedule.is_open(&zone, next_ms);
        assert_ne!(opens, schedule.is_open(&zone, next_ms - 1));
        edges.push(format!("{}{}", if opens { '+' } else { '-' }, utc(next_ms)));
        at_ms = next_ms;
    }
    edges
}

#[test]
fn no_schedule_is_always_open() {
    let (always, zone) = (Schedule::default(), zone("Asia/Shanghai"));
    assert_eq!(schedule(json!({})), always);
    for at_ms in [i64::MIN, -1, 0, ms("2026-11-22T00:00"), i64::MAX] {
        assert!(always.is_open(&zone, at_ms));
        assert_eq!(always.next_edge_ms(&zone, at_ms), None);
    }
}

#[test]
fn the_night_of_shanghai_begins_at_ten_by_its_own_clock() {
    // 22:00 and 06:00 at UTC+8.
    assert_eq!(
        edges(
            json!({"times": "22:00-06:00"}),
            "Asia/Shanghai",
            "2026-11-22T00:00",
            3
        ),
        [
            "+2026-11-22T14:00",
            "-2026-11-22T22:00",
            "+2026-11-23T14:00"
        ]
    );
    let night = schedule(json!({"from": "22:00", "to": "06:00"}));
    assert_eq!(night, schedule(json!({"times": ["22:00-06:00"]})));
    let shanghai = zone("Asia/Shanghai");
    let open = |at: &str| night.is_open(&shanghai, ms(at));
    assert!(!open("2026-11-22T13:59") && open("2026-11-22T14:00"));
    assert!(open("2026-11-22T21:59") && !open("2026-11-22T22:00"));
    // An edge is strictly after the instant that is asked for, by a millisecond if need be.
    let edge = ms("2026-11-22T14:00");
    assert_eq!(night.next_edge_ms(&shanghai, edge - 1), Some(edge));
    assert_eq!(
        night.next_edge_ms(&shanghai, edge),
        Some(ms("2026-11-22T22:00"))
    );
}

#[test]
fn a_zone_of_half_hours_keeps_its_half_hour() {
    // 09:15 and 18:00 at UTC+5:30.
    assert_eq!(
        edges(
            json!({"times": "09:15-18:00"}),
            "Asia/Kolkata",
            "2026-06-01T00:00",
            2
        ),
        ["+2026-06-01T03:45", "-2026-06-01T12:30"]
    );
}

#[test]
fn a_skipped_hour_opens_at_the_jump_and_a_repeated_one_counts_twice() {
    // Berlin, 2026-03-29: 02:00 (UTC+1) becomes 03:00 (UTC+2) at 01:00 UTC.
    assert_eq!(
        edges(
            json!({"times": "02:30-04:00"}),
            "Europe/Berlin",
            "2026-03-29T00:00",
            2
        ),
        ["+2026-03-29T01:00", "-2026-03-29T02:00"]
    );
    // A window that is skipped whole is left out on that day.
    assert_eq!(
        edges(
            json!({"times": "02:15-02:45"}),
            "Europe/Berlin",
            "2026-03-29T00:00",
            2
        ),
        ["+2026-03-30T00:15", "-2026-03-30T00:45"]
    );
    // The night of that day is an hour shorter.
    assert_eq!(
        edges(
            json!({"times": "22:00-06:00"}),
            "Europe/Berlin",
            "2026-03-28T20:00",
            2
        ),
        ["+2026-03-28T21:00", "-2026-03-29T04:00"]
    );
    // 2026-10-25: 03:00 (UTC+2) becomes 02:00 (UTC+1) at 01:00 UTC.
    assert_eq!(
        edges(
            json!({"times": "02:00-03:00"}),
            "Europe/Berlin",
            "2026-10-24T12:00",
            2
        ),
        ["+2026-10-25T00:00", "-2026-10-25T02:00"]
    );
    assert_eq!(
        edges(
            json!({"times": "02:15-02:45"}),
            "Europe/Berlin",
            "2026-10-24T12:00",
            4
        ),
        [
            "+2026-10-25T00:15",
            "-2026-10-25T00:45",
            "+2026-10-25T01:15",
            "-2026-10-25T01:45"
        ]
    );
    assert_eq!(
        edges(
            json!({"times": "22:00-06:00"}),
            "Europe/Berlin",
            "2026-10-24T12:00",
            2
        ),
        ["+2026-10-24T20:00", "-2026-10-25T05:00"]
    );
}

#[test]
fn new_york_changes_at_two_in_its_own_morning() {
    // 2026-03-08 02:00 UTC-5 is 07:00 UTC; 2026-11-01 02:00 UTC-4 is 06:00 UTC.
    assert_eq!(
        edges(
            json!({"times": "02:00-02:30"}),
            "America/New_York",
            "2026-03-07T12:00",
            2
        ),
        ["+2026-03-09T06:00", "-2026-03-09T06:30"]
    );
    assert_eq!(
        edges(
            json!({"times": "01:30-03:00"}),
            "America/New_York",
            "2026-11-01T00:00",
            4
        ),
        [
            "+2026-11-01T05:30",
            "-2026-11-01T06:00",
            "+2026-11-01T06:30",
            "-2026-11-01T08:00"
        ]
    );
}

#[test]
fn lord_howe_changes_by_half_an_hour() {
    // 2026-04-05 02:00 (UTC+11) becomes 01:30 (UTC+10:30) at 15:00 UTC of the 4th.
    assert_eq!(
        edges(
            json!({"times": "01:30-02:00"}),
            "Australia/Lord_Howe",
            "2026-04-04T00:00",
            2
        ),
        ["+2026-04-04T14:30", "-2026-04-04T15:30"]
    );
    // 2026-10-04 02:00 (UTC+10:30) becomes 02:30 (UTC+11) at 15:30 UTC of the 3rd.
    assert_eq!(
        edges(
            json!({"times": "02:10-03:00"}),
            "Australia/Lord_Howe",
            "2026-10-03T00:00",
            2
        ),
        ["+2026-10-03T15:30", "-2026-10-03T16:00"]
    );
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
    // Friday 2026-11-20 22:00 to Saturday 06:00 at UTC+8; nothing more until the next Friday.
    assert_eq!(
        edges(
            json!({"times": ["22:00-06:00"], "weekdays": ["fri"]}),
            "Asia/Shanghai",
            "2026-11-20T00:00",
            3
        ),
        [
            "+2026-11-20T14:00",
            "-2026-11-20T22:00",
            "+2026-11-27T14:00"
        ]
    );
    // The night that begins on the last day of the season belongs to it.
    assert_eq!(
        edges(
            json!({"times": ["22:00-06:00"], "dates": ["2026-11-20/2026-11-21"]}),
            "Asia/Shanghai",
            "2026-11-20T00:00",
            9
        ),
        [
            "+2026-11-20T14:00",
            "-2026-11-20T22:00",
            "+2026-11-21T14:00",
            "-2026-11-21T22:00"
        ]
    );
}

#[test]
fn weekdays_are_names_numbers_and_ranges() {
    let same = [
        json!({"weekdays": ["mon", "tue", "wed", "thu", "fri"]}),
        json!({"weekdays": "mon-fri"}),
        json!({"weekdays": [1, 2, 3, 4, 5]}),
        json!({"weekdays": "1-5"}),
        json!({"weekdays": ["Monday-Wednesday", 4, "FRI"]}),
    ];
    for json in same {
        // Saturday 2026-11-21 00:00 at UTC+8 closes, Monday 2026-11-23 00:00 opens.
        assert_eq!(
            edges(json.clone(), "Asia/Shanghai", "2026-11-20T00:00", 2),
            ["-2026-11-20T16:00", "+2026-11-22T16:00"],
            "{json}"
        );
    }
    assert_eq!(
        schedule(json!({"weekdays": "sat-mon"})),
        schedule(json!({"weekdays": [6, 7, 1]}))
    );
    assert_eq!(
        schedule(json!({"weekdays": 7})),
        schedule(json!({"weekdays": "sun"}))
    );
}

#[test]
fn seasons_turn_with_the_year_and_leap_days_come_when_they_come() {
    // The heating season of the north: from 15 November up to and including 15 March.
    assert_eq!(
        edges(
            json!({"dates": "11-15/03-15"}),
            "Asia/Shanghai",
            "2026-06-01T00:00",
            3
        ),
        [
            "+2026-11-14T16:00",
            "-2027-03-15T16:00",
            "+2027-11-14T16:00"
        ]
    );
    assert_eq!(
        edges(
            json!({"dates": ["2026-11-15/2027-03-15"]}),
            "Asia/Shanghai",
            "2026-06-01T00:00",
            9
        ),
        ["+2026-11-14T16:00", "-2027-03-15T16:00"]
    );
    // New Year's Eve into New Year's morning.
    assert_eq!(
        edges(
            json!({"times": "23:00-01:00", "dates": "12-31"}),
            "Asia/Shanghai",
            "2026-06-01T00:00",
            3
        ),
        [
            "+2026-12-31T15:00",
            "-2026-12-31T17:00",
            "+2027-12-31T15:00"
        ]
    );
    assert_eq!(
        edges(
            json!({"dates": "02-29"}),
            "Asia/Shanghai",
            "2097-01-01T00:00",
            2
        ),
        ["+2104-02-28T16:00", "-2104-02-29T16:00"]
    );
    // 28 February is the last of its month in 2027, and not in 2028.
    assert_eq!(
        edges(
            json!({"dates": "02-28/02-29"}),
            "Asia/Shanghai",
            "2027-01-01T00:00",
            4
        ),
        [
            "+2027-02-27T16:00",
            "-2027-02-28T16:00",
            "+2028-02-27T16:00",
            "-2028-02-29T16:00"
        ]
    );
}

#[test]
fn excepted_dates_are_left_out() {
    assert_eq!(
        edges(
            json!({"times": "08:00-18:00", "except_dates": ["2026-10-01/2026-10-07", "01-01"]}),
            "Asia/Shanghai",
            "2026-09-30T04:00",
            2
        ),
        ["-2026-09-30T10:00", "+2026-10-08T00:00"]
    );
}

#[test]
fn a_day_ends_at_24_00_and_windows_that_touch_are_one() {
    assert_eq!(
        edges(
            json!({"times": "18:00-24:00"}),
            "Asia/Shanghai",
            "2026-11-22T00:00",
            2
        ),
        ["+2026-11-22T10:00", "-2026-11-22T16:00"]
    );
    assert_eq!(
        edges(
            json!({"times": ["18:00-24:00", "00:00-06:00"]}),
            "Asia/Shanghai",
            "2026-11-22T00:00",
            2
        ),
        ["+2026-11-22T10:00", "-2026-11-22T22:00"]
    );
    let whole = json!({"times": ["06:00-22:00", "22:00-06:00"]});
    assert!(edges(whole, "Asia/Shanghai", "2026-11-22T00:00", 1).is_empty());
    // Over before it could begin.
    let past = json!({"dates": "2020-01-01"});
    assert!(edges(past, "Asia/Shanghai", "2026-11-22T00:00", 1).is_empty());
}

#[test]
fn what_is_written_reads_back() {
    let written = json!({
        "times": ["22:00-06:00", "12:00-14:00"], "weekdays": ["mon", "sun"],
        "dates": ["11-15/03-15", "2026-01-02"], "except_dates": ["2026-10-01/2026-10-07"],
    });
    assert_eq!(schedule(written.clone()).to_json(), written);
}

#[test]
fn a_mistake_in_a_schedule_is_named_with_its_key_and_line() {
    let cases = [
        (
            "times = ['25:00-06:00']",
            "times[0]",
            "`25:00` is no time of day",
        ),
        ("times = '22-6'", "times", "no time of day"),
        ("times = '22:00'", "times", "no time window"),
        ("times = '24:00-06:00'", "times", "begins at 00:00"),
        ("times = '08:00-08:00'", "times", "00:00-24:00"),
        ("times = []", "times", "is empty"),
        ("times = 07:30:00", "times", "a text in quotes"),
        ("from = '22:00'", "to", "is missing"),
        ("to = '22:00'", "from", "is missing"),
        (
            "from = '22:00'\nto = '06:00'\ntimes = '1:00-2:00'",
            "from",
            "not both",
        ),
        ("weekdays = [0]", "weekdays[0]", "no weekday"),
        ("weekdays = ['mon', 'fryday']", "weekdays[1]", "`fryday`"),
        ("dates = '02-30'", "dates", "no date"),
        ("dates = '2026-02-29'", "dates", "no date"),
        ("dates = '2026-11-15/03-15'", "dates", "one end only"),
        ("dates = '2026-11-15/2026-03-15'", "dates", "ends before"),
        (
            "except_dates = 2026-10-01",
            "except_dates",
            "a text in quotes",
        ),
        ("hours = '22:00-06:00'", "hours", "unknown key"),
    ];
    for (part, key, reason) in cases {
        let text = format!(
            "[rules.r]\nkind = 'silence'\nselect = {{}}\nfactor = 3\n[rules.r.schedule]\n{part}\n"
        );
        let error = parse_toml("x.toml", &text).expect_err(part);
        let line = if key == "to" || (key == "from" && !part.contains("not both")) {
            None
        } else {
            Some(6)
        };
        assert_eq!(
            error.key.as_deref(),
            Some(format!("schedule.{key}").as_str()),
            "{error}"
        );
        assert!(line.is_none() || error.line == line, "{error}");
        assert!(error.reason.contains(reason), "{error}");
    }
}

/// Zones with their offsets in minutes, from the laws of the places: since when, in UTC.
const ZONES: [(&str, &[(&str, i64)]); 5] = [
    ("Asia/Shanghai", &[("2026-01-01T00:00", 480)]),
    ("Asia/Kolkata", &[("2026-01-01T00:00", 330)]),
    (
        "Europe/Berlin",
        &[
            ("2026-01-01T00:00", 60),
            ("2026-03-29T01:00", 120),
            ("2026-10-25T01:00", 60),
        ],
    ),
    (
        "America/New_York",
        &[
            ("2026-01-01T00:00", -300),
            ("2026-03-08T07:00", -240),
            ("2026-11-01T06:00", -300),
        ],
    ),
    (
        "Australia/Lord_Howe",
        &[
            ("2026-01-01T00:00", 660),
            ("2026-04-04T15:00", 630),
            ("2026-10-03T15:30", 660),
        ],
    ),
];

/// A range of months and days of every year.
type Season = ((i64, i64), (i64, i64));

/// A schedule as the test sees it.
#[derive(Clone, Debug)]
struct Plain {
    /// In minutes of the day.
    times: Vec<(i64, i64)>,
    /// 1 is Monday.
    weekdays: Vec<i64>,
    /// Month and day of every year.
    dates: Vec<Season>,
    except: Vec<Season>,
}

impl Plain {
    fn json(&self) -> Value {
        let clock = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
        let dates = |list: &[Season]| -> Vec<String> {
            list.iter()
                .map(|(a, b)| format!("{:02}-{:02}/{:02}-{:02}", a.0, a.1, b.0, b.1))
                .collect()
        };
        let mut json = json!({});
        let times: Vec<_> = self
            .times
            .iter()
            .map(|(from, to)| format!("{}-{}", clock(*from), clock(*to)))
            .collect();
        let lists = [
            ("times", json!(times)),
            ("weekdays", json!(self.weekdays)),
            ("dates", json!(dates(&self.dates))),
            ("except_dates", json!(dates(&self.except))),
        ];
        for (key, list) in lists {
            if list.as_array().is_some_and(|list| !list.is_empty()) {
                json[key] = list;
            }
        }
        json
    }

    fn takes(&self, day: i64) -> bool {
        // 1970-01-01 was a Thursday.
        let weekday = (day + 3).rem_euclid(7) + 1;
        let date = month_and_day(day);
        let holds = |(from, to): &Season| {
            if from <= to {
                *from <= date && date <= *to
            } else {
                date >= *from || date <= *to
            }
        };
        (self.weekdays.is_empty() || self.weekdays.contains(&weekday))
            && (self.dates.is_empty() || self.dates.iter().any(holds))
            && !self.except.iter().any(holds)
    }

    /// Lays the windows of the day and of the day before on the wall clock's own line of minutes.
    fn is_open(&self, offsets: &[(i64, i64)], at_ms: i64) -> bool {
        let offset = offsets
            .iter()
            .rev()
            .find(|(since_ms, _)| *since_ms <= at_ms);
        let wall = at_ms.div_euclid(MINUTE_MS) + offset.expect("an offset").1;
        let today = wall.div_euclid(1440);
        [today - 1, today]
            .into_iter()
            .filter(|day| self.takes(*day))
            .any(|day| {
                let whole = [(0, 1440)];
                let times = if self.times.is_empty() {
                    &whole[..]
                } else {
                    &self.times
                };
                times.iter().any(|(from, to)| {
                    let to = if to < from { to + 1440 } else { *to };
                    day * 1440 + from <= wall && wall < day * 1440 + to
                })
            })
    }
}

/// Counts months from 1 January 2026, which is day 20454.
fn month_and_day(day: i64) -> (i64, i64) {
    let mut left = day - 20_454;
    if left < 0 {
        return (12, 32 + left);
    }
    for (month, days) in (1..).zip([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
        if left < days {
            return (month, left + 1);
        }
        left -= days;
    }
    (1, left + 1)
}

fn plain() -> impl Strategy<Value = Plain> {
    let minute = 0..96_i64;
    let window = (minute.clone(), minute)
        .prop_filter("an empty window", |(from, to)| from != to)
        .prop_map(|(from, to)| (from * 15, if to == 0 { 1440 } else { to * 15 }));
    let window = window.prop_filter("an empty window", |(from, to)| from != to);
    let date = (1..=12_i64, 1..=28_i64);
    let dates = (date.clone(), date);
    (
        vec(window, 0..3),
        subsequence(vec![1, 2, 3, 4, 5, 6, 7], 0..=7),
        vec(dates.clone(), 0..2),
        vec(dates, 0..2),
    )
        .prop_map(|(times, weekdays, dates, except)| Plain {
            times,
            weekdays,
            dates,
            except,
        })
}

proptest! {
    #[test]
    fn the_next_edge_is_the_first_minute_that_differs(
        plain in plain(),
        place in 0..ZONES.len(),
        // Any day of the year, or one on which some clock changes.
        day in prop_oneof![3..340_i64, prop_oneof![Just(66), Just(87), Just(93), Just(275), Just(297), Just(304)]],
        offset_ms in 0..86_400_000_i64,
    ) {
        let (name, offsets) = ZONES[place];
        let offsets: Vec<(i64, i64)> = offsets.iter().map(|(since, min)| (ms(since), *min)).collect();
        let offsets = offsets.as_slice();
        let (schedule, zone) = (schedule(plain.json()), zone(name));
        let after_ms = ms("2026-01-01T00:00") + day * 86_400_000 + offset_ms;
        let is_open = plain.is_open(offsets, after_ms);
        prop_assert_eq!(schedule.is_open(&zone, after_ms), is_open);
        let first = after_ms.div_euclid(MINUTE_MS) + 1;
        let scan = (first..first + 12 * 1440).map(|minute| minute * MINUTE_MS);
        let scanned = scan.clone().find(|at_ms| plain.is_open(offsets, *at_ms) != is_open);
        let edge = schedule.next_edge_ms(&zone, after_ms).filter(|at_ms| scan.clone().any(|m| m == *at_ms));
        prop_assert_eq!(edge, scanned);
    }
}
