//! Figures of small periods, counted by hand.

use super::cases::Sums;
use super::online::{Course, add_up};
use super::{Evaluation, GroupBy, indicators, load, month, sheet};
use model::{AlarmRow, CaseRow, Severity, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const HOUR_MS: i64 = 3_600_000;

/// An hour of the test's own time.
fn hour(hours: i64) -> Timestamp {
    Timestamp::from_millis(1_772_323_200_000 + hours * HOUR_MS)
}

/// Makes a case from hours: opened, due, and steps as (step, hour, from, to).
fn case(opened: i64, due: i64, steps: &[(&str, i64, &str, &str)]) -> CaseRow {
    let steps: Vec<Value> = steps
        .iter()
        .enumerate()
        .map(|(index, (step, at, from, to))| {
            json!({"number": index + 1, "step": step, "actor": "platform", "at": hour(*at),
                "received_at": hour(*at), "from": from, "to": to})
        })
        .collect();
    let row = json!({
        "id": "c1", "category": {"code": "0201", "name": "噪声"}, "severity": "major", "title": "t",
        "description": "", "location": null, "grid": "350203001001001", "district": "350203",
        "street": "350203001", "component_code": null, "device": "noise-1", "alarm": "a1",
        "evidence": {"metric": null, "unit": null, "value": null, "limit": null, "window_s": null,
            "peak": null, "from": null, "to": null, "readings": 0},
        "state": "reported", "opened_at": hour(opened), "due_at": hour(due), "steps": steps,
        "version": 1,
    });
    serde_json::from_value(row).unwrap()
}

const PERIOD: (i64, i64) = (0, 100);

fn sums(cases: &[CaseRow]) -> Sums {
    let mut sums = Sums::default();
    for case in cases {
        let raised_at = Some(case.opened_at.plus_s(-30));
        sums.add_case(case, raised_at, (hour(PERIOD.0), hour(PERIOD.1)));
    }
    sums
}

#[test]
fn closed_on_time_closed_late_and_due_but_open_are_what_should_be_closed() {
    let accept = ("accept", 12, "reported", "accepted");
    let close = |at| ("close", at, "verified", "closed");
    let mut again = case(50, 90, &[("accept", 56, "reported", "accepted"), close(80)]);
    again.reopens = Some("c0".to_owned());
    let cases = [
        case(10, 40, &[accept, close(30)]),
        case(10, 40, &[accept, close(60)]),
        again,
        // Due, and nobody closed it.
        case(20, 70, &[]),
        // Closed, but only after the period.
        case(20, 80, &[close(120)]),
        // Not due yet, closed before the period, voided, deferred: nothing that should be closed.
        case(90, 150, &[]),
        case(-50, -20, &[close(-10)]),
        case(20, 60, &[("void", 25, "reported", "voided")]),
        case(20, 60, &[("defer", 25, "accepted", "deferred")]),
    ];
    let told = sums(&cases).indicators();
    for (name, expected) in [
        ("reported", json!(8)),
        ("registered", json!(3)),
        ("should_close", json!(5)),
        ("closed", json!(3)),
        ("close_rate", json!(0.6)),
        ("on_time_close_rate", json!(0.4)),
        ("late_close_rate", json!(0.2)),
        ("repeat_rate", json!(0.125)),
        ("voided", json!(1)),
        ("detect_to_open_s", json!(30.0)),
        // 2, 2 and 6 hours.
        ("open_to_accept_s", json!(7_200.0)),
    ] {
        assert_eq!(told[name], expected, "{name}");
    }
}

#[test]
fn rework_and_extensions_are_shares_of_what_was_due() {
    let back = ("return", 30, "fed_back", "handling");
    let cases = [
        case(
            10,
            40,
            &[
                back,
                ("feedback", 35, "handling", "fed_back"),
                ("close", 38, "verified", "closed"),
            ],
        ),
        case(
            10,
            60,
            &[
                ("extend", 20, "handling", "handling"),
                ("feedback", 50, "handling", "fed_back"),
            ],
        ),
        // Sent back before anybody had worked on it: no rework.
        case(10, 70, &[("return", 20, "dispatched", "accepted")]),
        case(10, 70, &[]),
    ];
    let told = sums(&cases).indicators();
    assert_eq!(
        (&told["should_close"], &told["rework_rate"]),
        (&json!(4), &json!(0.25))
    );
    assert_eq!(
        (&told["should_dispose"], &told["extension_rate"]),
        (&json!(4), &json!(0.25))
    );
    assert_eq!(sums(&[]).indicators()["close_rate"], Value::Null);
}

fn alarm(minute: i64, device: &str, severity: Severity) -> AlarmRow {
    let at = hour(0).plus_s(minute * 60);
    let row = json!({
        "id": format!("a{minute}"), "rule": "r", "rule_revision": 1, "title": "t", "device": device,
        "kind": "noise", "site": null, "grid": null, "severity": severity, "state": "normal",
        "active": false, "acked": true, "raised_at": at, "cleared_at": null, "metric": null,
        "value": null, "limit": null, "unit": null, "peak": null, "count": 1, "owner": null,
        "shelved_until": null, "suppressed_by": null, "case": null, "note": null, "category": null,
        "announced_at": at, "version": 1,
    });
    serde_json::from_value(row).unwrap()
}

#[test]
fn a_flood_lasts_from_more_than_ten_in_ten_minutes_until_fewer_than_five() {
    // Minutes 0 to 9: 11 alarms; 10 to 19: 5; 20 to 29: 4; 30 to 39: 10.
    let minutes = [(0, 11), (10, 5), (20, 4), (30, 10)];
    let alarms: Vec<AlarmRow> = minutes
        .into_iter()
        .flat_map(|(minute, count)| (0..count).map(move |_| minute))
        .enumerate()
        .map(|(index, minute)| {
            let severity = if index < 24 {
                Severity::Minor
            } else {
                Severity::Critical
            };
            alarm(minute, &format!("d{}", index % 15), severity)
        })
        .collect();
    let told = load::measure(
        alarms.iter(),
        ((hour(0), hour(2)), hour(-9)),
        load::Delays::new(),
    );
    let figures = &told["figures"];
    for (name, expected) in [
        ("per_10min", json!(2.5)),
        ("per_hour", json!(15.0)),
        ("peak_10min", json!(11)),
        ("peak_hour", json!(30)),
        ("over_10_share", json!(0.0833)),
        ("over_30_share", json!(0.0)),
        ("flood_share", json!(0.1667)),
        // 15 sources with two alarms each; ten of them have 20.
        ("top10_share", json!(0.6667)),
        ("low_share", json!(0.8)),
        ("high_share", json!(0.2)),
    ] {
        assert_eq!(figures[name], expected, "{name}");
    }
    assert_eq!(
        (&told["announced"], &told["enough_data"]),
        (&json!(30), &json!(false))
    );
}

#[test]
fn a_mean_is_over_the_time_that_the_hub_was_there() {
    let alarms = [
        alarm(90, "d1", Severity::Minor),
        alarm(95, "d2", Severity::Major),
    ];
    let delays = load::Delays::from([(Severity::Major, vec![40_000, 10_000, 20_000])]);
    // Thirty days are asked for; the hub began half an hour before their end.
    let told = load::measure(
        alarms.iter(),
        ((hour(-718), hour(2)), hour(1).plus_s(1_800)),
        delays,
    );
    assert_eq!(told["figures"]["per_10min"], json!(0.667));
    assert_eq!(told["since"], json!(hour(1).plus_s(1_800)));
    let third = json!({ "count": 3, "p50_ms": 20_000, "p90_ms": 40_000 });
    assert_eq!(told["ack"], json!({ "major": third }));

    let before = load::measure(
        [].iter(),
        ((hour(0), hour(1)), hour(2)),
        load::Delays::new(),
    );
    assert_eq!(
        (&before["figures"]["per_hour"], &before["days"]),
        (&Value::Null, &json!(0.0))
    );
}

#[test]
fn a_device_is_online_for_the_time_between_its_events() {
    let course = |kind: &str, changes: &[(i64, bool)]| Course {
        kind: kind.to_owned(),
        changes: changes
            .iter()
            .map(|(at, online)| (hour(*at), *online))
            .collect(),
    };
    let courses = [
        // Online since before the period, off from 4 to 6: 8 of 10 hours.
        course("gas", &[(-5, true), (4, false), (6, true)]),
        // Not there before hour 6, and offline since: 0 of 4 hours.
        course("gas", &[(6, false)]),
        course("smoke", &[(-9, true), (12, false)]),
    ];
    let sums = add_up(courses.iter(), (hour(0), hour(10)));
    assert_eq!(sums["gas"], (8 * HOUR_MS, 14 * HOUR_MS));
    assert_eq!(sums["smoke"], (10 * HOUR_MS, 10 * HOUR_MS));
}

#[test]
fn a_month_begins_and_ends_at_midnight_in_the_city() {
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let span = (at("2026-11-30T16:00:00Z"), at("2026-12-31T16:00:00Z"));
    assert_eq!(month::span_of("2026-12", "Asia/Shanghai"), Some(span));
    for wrong in ["2026-13", "2026-1", "2026", "", "2026-11-01"] {
        assert_eq!(month::span_of(wrong, "Asia/Shanghai"), None, "{wrong}");
    }
}

fn evaluation() -> Evaluation {
    let period = (hour(0), hour(100));
    let mut total = Sums::default();
    total.add_case(
        &case(10, 40, &[("close", 30, "verified", "closed")]),
        None,
        period,
    );
    let course = Course {
        kind: "noise".to_owned(),
        changes: vec![(hour(0), true)],
    };
    Evaluation {
        period,
        by: GroupBy::Unit,
        groups: [("城管, \"一\"队<b>".to_owned(), total.clone())].into(),
        total,
        load: load::measure([].iter(), (period, hour(-9)), load::Delays::new()),
        online: add_up([course].iter(), period),
    }
}

#[test]
fn every_figure_has_its_formula_source_and_certainty() {
    let told = evaluation().to_json();
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let mut figures = names(&told["total"]);
    figures.extend(names(&told["alarm_load"]["figures"]));
    figures.insert("online_rate".to_owned());
    let all = indicators();
    let named: BTreeSet<String> = all.iter().map(|indicator| indicator.name.clone()).collect();
    assert_eq!(figures, named);
    for indicator in all {
        let marks = ["[V]", "[M]", "[D]"];
        assert!(
            marks.contains(&indicator.certainty.as_str()),
            "{indicator:?}"
        );
        assert!(
            !indicator.formula.is_empty() && !indicator.source.is_empty(),
            "{indicator:?}"
        );
    }
}

#[test]
fn the_sheet_opens_in_a_spreadsheet_program_and_the_page_has_no_script() {
    let csv = sheet::csv(&evaluation(), "示范市");
    assert!(csv.starts_with("\u{feff}示范市\r\n"), "{csv}");
    assert!(
        csv.contains("\"城管, \"\"一\"\"队<b>\",1,0,1,1,100.00%,100.00%,0.00%,"),
        "{csv}"
    );
    let html = sheet::html(&evaluation(), "示范市");
    assert!(
        html.contains("<td>城管, &quot;一&quot;队&lt;b&gt;</td><td>1</td>"),
        "{html}"
    );
    assert!(
        html.contains("<th>办结率 (结案率)</th>") && html.contains("<td>结案数 / 应结案数</td>")
    );
    assert!(
        !html.contains("<script") && !html.contains("http"),
        "{html}"
    );
}
