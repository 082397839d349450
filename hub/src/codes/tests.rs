//! The tables of codes: what the built-in ones say, and what is wrong with a city's own.

use super::{Codes, OwnTables};
use model::{AlarmRow, Severity};
use rules::{Repeat, TimeUnit, Zone};
use serde_json::json;

const USUAL: Repeat = Repeat {
    distance_m: 50.0,
    within_s: 86_400,
};

fn codes(own: &OwnTables) -> Result<Codes, (&'static str, String)> {
    Codes::new(own, Zone::utc(), USUAL)
}

fn own(text: &str) -> Option<(String, String)> {
    Some(("own.csv".to_owned(), text.to_owned()))
}

fn alarm(kind: &str, rule_kind: &str, category: Option<&str>, severity: Severity) -> AlarmRow {
    serde_json::from_value(json!({
        "id": "a1", "rule": "r", "rule_revision": 1, "title": "t", "device": "d", "kind": kind,
        "site": null, "grid": "350203001002003", "severity": severity, "state": "active_unacked",
        "active": true, "acked": false, "raised_at": 0, "cleared_at": null, "metric": "m",
        "value": null, "limit": null, "unit": null, "peak": null, "count": 1, "owner": null,
        "shelved_until": null, "suppressed_by": null, "case": null, "note": null,
        "category": category, "rule_kind": rule_kind, "version": 1,
    }))
    .unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn a_mistake_in_a_table_is_named_with_file_line_and_column() {
    for (tables, expected) in [
        (
            OwnTables {
                categories: own("code,name\n\n# a comment\n0403,\n"),
                ..OwnTables::default()
            },
            ("city.categories", "own.csv:4: column `name`: is empty"),
        ),
        (
            OwnTables {
                components: own("code,title\n"),
                ..OwnTables::default()
            },
            (
                "city.components",
                "own.csv:1: column `title`: is not known here",
            ),
        ),
        (
            OwnTables {
                categories: own("name\nx\n"),
                ..OwnTables::default()
            },
            ("city.categories", "own.csv:1: column `code`: is missing"),
        ),
        (
            OwnTables {
                categories: own("code,name\n01,a\n01,b\n"),
                ..OwnTables::default()
            },
            (
                "city.categories",
                "own.csv:3: column `code`: `01` is there twice",
            ),
        ),
        (
            OwnTables {
                time_limits: own("category,amount,unit\n04,two,work_hour\n"),
                ..OwnTables::default()
            },
            (
                "city.time_limits",
                "own.csv:2: column `amount`: `two` is no number",
            ),
        ),
        (
            OwnTables {
                time_limits: own("category,amount,unit\n04,2,hour\n"),
                ..OwnTables::default()
            },
            (
                "city.time_limits",
                "own.csv:2: column `unit`: `hour` is none of urgent_hour",
            ),
        ),
        (
            OwnTables {
                working_times: own("what,text\nhours,08:00-12:00\nholiday,2026-13-01\n"),
                ..OwnTables::default()
            },
            ("city.working_times", "own.csv:3: column `text`: "),
        ),
        (
            OwnTables {
                mapping: own("rule,case\nx,maybe\n"),
                ..OwnTables::default()
            },
            (
                "cases.mapping",
                "own.csv:2: column `case`: `maybe` is neither `yes` nor `no`",
            ),
        ),
        (
            OwnTables {
                mapping: own("case,distance_m\nyes,501\n"),
                ..OwnTables::default()
            },
            (
                "cases.mapping",
                "own.csv:2: column `distance_m`: `501` is no distance",
            ),
        ),
        (
            OwnTables {
                mapping: own("case,unit\nyes,a,b\n"),
                ..OwnTables::default()
            },
            (
                "cases.mapping",
                "own.csv:2: 3 cells, but the header has 2 columns",
            ),
        ),
        (
            OwnTables {
                mapping: own("case,unit\nyes,\"a\n"),
                ..OwnTables::default()
            },
            ("cases.mapping", "own.csv:2: a quote is not closed"),
        ),
        (
            OwnTables {
                mapping: own(""),
                ..OwnTables::default()
            },
            ("cases.mapping", "own.csv:1: the table is empty"),
        ),
    ] {
        let (key, reason) = codes(&tables).unwrap_err();
        assert_eq!(key, expected.0);
        assert!(reason.starts_with(expected.1), "{reason}");
    }
}

#[test]
fn the_built_in_tables_know_which_alarms_are_cases() {
    let codes = codes(&OwnTables::default()).unwrap();
    // Kind of the device, of the rule, category, severity: the category of the case, by reference 2.4.
    for (kind, rule_kind, category, severity, expected) in [
        (
            "gas_pressure",
            "threshold",
            Some("0403"),
            Severity::Critical,
            Some("0403"),
        ),
        (
            "gas_pressure",
            "threshold",
            Some("0403"),
            Severity::Warning,
            Some("0403"),
        ),
        (
            "gas_pressure",
            "silence",
            Some("0403"),
            Severity::Critical,
            None,
        ),
        ("smoke", "frozen", Some("0499"), Severity::Critical, None),
        ("dust", "clock", None, Severity::Critical, None),
        ("smoke", "threshold", None, Severity::Critical, Some("0499")),
        ("noise", "window", None, Severity::Minor, Some("0301")),
        ("noise", "window", None, Severity::Warning, None),
        ("dust", "window", None, Severity::Minor, Some("0302")),
        ("bike", "geofence", None, Severity::Minor, Some("0506")),
        (
            "bike_fence",
            "occupancy",
            Some("0506"),
            Severity::Warning,
            Some("0506"),
        ),
        ("gateway", "threshold", None, Severity::Critical, None),
    ] {
        let class = codes.classify(&alarm(kind, rule_kind, category, severity));
        let code = class.map(|class| class.category.unwrap().code);
        assert_eq!(
            code.as_deref(),
            expected,
            "{kind} {rule_kind} {category:?} {severity}"
        );
    }
    let unknown = codes.classify(&alarm("truck", "threshold", Some("7777"), Severity::Minor));
    assert_eq!(unknown.unwrap().category, None);
    let none = codes.classify(&alarm("truck", "threshold", None, Severity::Minor));
    assert_eq!(none.unwrap().category, None);
}

#[test]
fn the_first_time_limit_that_fits_decides() {
    let codes = codes(&OwnTables::default()).unwrap();
    let limit = |category, severity| {
        let limit = codes.limit(category, severity).unwrap();
        (limit.amount, limit.unit)
    };
    assert_eq!(limit("0403", Severity::Minor), (2, TimeUnit::UrgentHour));
    assert_eq!(limit("0301", Severity::Critical), (2, TimeUnit::WorkHour));
    assert_eq!(limit("0499", Severity::Critical), (2, TimeUnit::UrgentHour));
    assert_eq!(limit("0499", Severity::Major), (4, TimeUnit::UrgentHour));
    assert_eq!(limit("0110", Severity::Critical), (4, TimeUnit::UrgentHour));
    assert_eq!(limit("", Severity::Minor), (1, TimeUnit::WorkDay));
}

#[test]
fn two_sets_of_tables_that_differ_have_two_versions() {
    let version = |own: &OwnTables| codes(own).unwrap().version().to_owned();
    let plain = OwnTables::default();
    let one = OwnTables {
        categories: own("code,name\n0403,a\n"),
        ..OwnTables::default()
    };
    let two = OwnTables {
        categories: own("code,name\n0403,b\n"),
        ..OwnTables::default()
    };
    assert_eq!(version(&plain), "2026-11-21");
    assert_ne!(version(&one), version(&two));
    assert_ne!(version(&one), version(&plain));
}
