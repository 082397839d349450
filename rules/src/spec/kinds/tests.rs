//! Tests of what each kind says about a rule that is wrong, and of its keys.

use crate::spec::{RuleSpec, parse_json, parse_toml};
use model::{Catalogue, Severity};
use serde_json::{Value, json};

const WINDOW: &str = "kind = \"window\"\nmetric = \"laeq_dba\"\n";
const RATE: &str = "kind = \"rate\"\nmetric = \"pressure_kpa\"\n";
const FROZEN: &str = "kind = \"frozen\"\nmetric = \"pm10_ugm3\"\n";
const OCCUPANCY: &str = "kind = \"occupancy\"\ncapacity = 40\n";
const CLOCK: &str = "kind = \"clock\"\nskew_s = 60\n";

/// Reads a rule whose own keys begin on line 5.
fn check(kind: &str, cases: &[(&str, usize, &str, &str)]) {
    for (added, line, key, reason) in cases {
        let text = format!("[rules.r]\nselect = {{}}\n{kind}{added}\n");
        let error = parse_toml("x.toml", &text).expect_err(added);
        assert_eq!(
            (error.file.as_deref(), error.line, error.rule.as_deref()),
            (Some("x.toml"), Some(*line), Some("r")),
            "{added}: {error}"
        );
        assert_eq!(error.key.as_deref(), Some(*key), "{added}: {error}");
        assert!(error.reason.contains(reason), "{added}: {error}");
    }
}

fn read(mut spec: Value) -> RuleSpec {
    spec["select"] = json!({});
    parse_json("r", &spec).unwrap_or_else(|error| panic!("{spec}: {error}"))
}

#[test]
fn a_window_is_told_what_is_wrong_with_it() {
    check(
        WINDOW,
        &[
            ("above = 4", 1, "window_s", "is missing"),
            ("window_s = 0", 5, "window_s", "at least 1"),
            (
                "window_s = 604801",
                5,
                "window_s",
                "at most 604800 (a week)",
            ),
            ("window_s = 60", 1, "aggregate", "is missing"),
            (
                "window_s = 60\naggregate = \"median\"",
                6,
                "aggregate",
                "`mean`, `leq`, `max`, `min`, `sum` or `count_above`, not `median`",
            ),
            (
                "window_s = 60\naggregate = \"mean\"",
                1,
                "above",
                "give `above`, `below` or `levels`",
            ),
            (
                "window_s = 60\naggregate = \"count_above\"\ncount = 3",
                1,
                "above",
                "counts the readings above it",
            ),
            (
                "window_s = 60\naggregate = \"mean\"\nabove = 3\ncount_above_value = 3",
                8,
                "count_above_value",
                "only to `count_above`",
            ),
            (
                "window_s = 60\naggregate = \"mean\"\nabove = 3\nmin_coverage_pct = 101",
                8,
                "min_coverage_pct",
                "from 0 to 100, not 101",
            ),
            (
                "window_s = 60\naggregate = \"mean\"\nabove = 3\nalign = \"hour\"",
                8,
                "align",
                "`clock` or left out",
            ),
            (
                "window_s = 60\naggregate = \"mean\"\nabove = 3\nfall = 3",
                8,
                "fall",
                "rules of kind `window` have no such key",
            ),
        ],
    );
    check(
        "kind = \"window\"\nwindow_s = 60\n",
        &[("above = 3", 1, "metric", "is missing")],
    );
}

#[test]
fn windows_aligned_to_the_clock_divide_the_day() {
    check(
        WINDOW,
        &[
            (
                "window_s = 7000\naggregate = \"mean\"\nabove = 3\nalign = \"clock\"",
                8,
                "align",
                "must divide 86400",
            ),
            (
                "window_s = 172800\naggregate = \"mean\"\nabove = 3\nalign = \"clock\"",
                8,
                "align",
                "must divide 86400",
            ),
        ],
    );
}

#[test]
fn a_rate_is_told_what_is_wrong_with_it() {
    check(
        RATE,
        &[
            ("fall = 20", 1, "window_s", "is missing"),
            ("window_s = 60", 1, "fall", "is missing"),
            ("window_s = 60\nfall = 0", 6, "fall", "must be above 0"),
            ("window_s = 60\nrise = -5", 6, "rise", "must be above 0"),
            (
                "window_s = 60\nfall = 2\nrise = 2",
                7,
                "rise",
                "give one of",
            ),
            (
                "window_s = 60\nfall = 2\nfall_pct = 2",
                7,
                "fall_pct",
                "give one of",
            ),
            (
                "window_s = 60\nfall_pct = 2\npct = false",
                7,
                "pct",
                "in percent already",
            ),
            (
                "window_s = 60\nfall_pct = 101",
                6,
                "fall_pct",
                "nothing falls by 101 %",
            ),
            (
                "window_s = 60\nfall = 2\npct = 2",
                7,
                "pct",
                "true or false",
            ),
            (
                "window_s = 60\nabove = 2",
                1,
                "fall",
                "is missing, and so are `rise`",
            ),
            (
                "window_s = 60\nlevels = [{ fall = 2 }]",
                6,
                "levels[0].severity",
                "is missing",
            ),
            (
                "window_s = 60\nlevels = [\n{ fall = 2, severity = \"minor\" },\n{ severity = \"major\" },\n]",
                8,
                "levels[1].fall",
                "is missing",
            ),
            (
                "window_s = 60\nlevels = [{ fall = 2, severity = \"major\" }, { fall = 3, severity = \"minor\" }]",
                6,
                "levels",
                "farther out",
            ),
            (
                "window_s = 60\nlevels = [{ fall = 2, below = 1, severity = \"major\" }]",
                6,
                "levels[0].below",
                "a level has `severity` and `fall`",
            ),
        ],
    );
}

#[test]
fn frozen_occupancy_and_clock_are_told_what_is_wrong_with_them() {
    check(
        FROZEN,
        &[
            ("epsilon = 1", 1, "after_s", "is missing"),
            ("after_s = 0", 5, "after_s", "at least 1"),
            ("after_s = 60\nepsilon = -1", 6, "epsilon", "negative"),
            (
                "after_s = 60\nabove = 1",
                6,
                "above",
                "rules of kind `frozen`",
            ),
        ],
    );
    check(
        OCCUPANCY,
        &[
            ("capacity_ratio = 0", 5, "capacity_ratio", "must be above 0"),
            ("above = 40", 5, "above", "rules of kind `occupancy`"),
            (
                "levels = [{ above = 2, severity = \"minor\" }]",
                5,
                "levels[0].above",
                "a level has `severity` and `capacity_ratio`",
            ),
        ],
    );
    check(
        "kind = \"occupancy\"\n",
        &[("capacity = -1", 4, "capacity", "negative")],
    );
    check(
        CLOCK,
        &[
            ("confirm = 0", 5, "confirm", "from 1 to 1000"),
            ("confirm = 1.5", 5, "confirm", "a whole number"),
            (
                "metric = \"pressure_kpa\"",
                5,
                "metric",
                "rules of kind `clock`",
            ),
        ],
    );
    check(
        "kind = \"clock\"\n",
        &[("skew_s = 0", 4, "skew_s", "at least 1")],
    );
}

#[test]
fn what_each_kind_writes_reads_back() {
    let common = json!({"title": "t", "select": {}, "enabled": true, "shadow": false});
    let limits = json!({"deadband": 0.0, "on_delay_s": 0, "off_delay_s": 0});
    let delayed = json!({"deadband": 2.0, "on_delay_s": 60, "off_delay_s": 300});
    let cases = [
        (
            json!({"kind": "window", "metric": "laeq_dba", "window_s": 1200, "aggregate": "leq",
                "align": "clock", "min_coverage_pct": 75.0, "above": 70.0, "severity": "major"}),
            &delayed,
        ),
        (
            json!({"kind": "window", "metric": "pm10_ugm3", "window_s": 86400,
                "aggregate": "count_above", "count_above_value": 80.0, "min_coverage_pct": 0.0,
                "levels": [{"above": 2.0, "severity": "minor"}, {"above": 5.0, "severity": "major"}]}),
            &limits,
        ),
        (
            json!({"kind": "window", "metric": "pm10_ugm3", "window_s": 3600,
                "aggregate": "count_above", "above": 80.0, "count": 3.0, "min_coverage_pct": 0.0,
                "severity": "minor"}),
            &limits,
        ),
        (
            json!({"kind": "rate", "metric": "pressure_kpa", "window_s": 300, "fall": 20.0,
                "severity": "major"}),
            &delayed,
        ),
        (
            json!({"kind": "rate", "metric": "water_level_m", "window_s": 300,
                "levels": [{"rise_pct": 20.0, "severity": "minor"},
                    {"rise_pct": 150.0, "severity": "critical"}]}),
            &limits,
        ),
        (
            json!({"kind": "frozen", "metric": "pm10_ugm3", "after_s": 3600, "epsilon": 0.5,
                "severity": "warning"}),
            &json!({}),
        ),
        (
            json!({"kind": "occupancy", "metric": "parked_count", "capacity": 40.0,
                "capacity_ratio": 1.2, "severity": "minor"}),
            &delayed,
        ),
        (
            json!({"kind": "clock", "skew_s": 120, "confirm": 3, "severity": "warning"}),
            &json!({}),
        ),
    ];
    for (mut spec, more) in cases {
        for part in [&common, more] {
            for (key, value) in part.as_object().expect("an object") {
                spec[key] = value.clone();
            }
        }
        let read = parse_json("r", &spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
        assert_eq!(read.to_json(), spec);
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let window = |aggregate: &str| {
        let mut spec = json!({"kind": "window", "metric": "laeq_dba", "window_s": 60, "above": 1});
        spec["aggregate"] = json!(aggregate);
        read(spec).to_json()["min_coverage_pct"].clone()
    };
    for aggregate in ["mean", "leq", "min"] {
        assert_eq!(window(aggregate), json!(50.0), "{aggregate}");
    }
    for aggregate in ["max", "sum"] {
        assert_eq!(window(aggregate), json!(0.0), "{aggregate}");
    }
    let full = read(json!({"kind": "occupancy"})).to_json();
    assert_eq!(full["metric"], json!("parked_count"));
    assert_eq!(full["capacity_ratio"], json!(1.0));
    let clock = read(json!({"kind": "clock"})).to_json();
    assert_eq!(
        (&clock["skew_s"], &clock["confirm"]),
        (&json!(120), &json!(3))
    );
    let frozen = read(json!({"kind": "frozen", "metric": "pm10_ugm3", "after_s": 60}));
    assert_eq!(frozen.to_json()["epsilon"], json!(0.0));
    assert_eq!(frozen.severity(), Severity::Warning);
}

#[test]
fn percent_may_be_said_in_two_ways() {
    let one = json!({"kind": "rate", "metric": "water_level_m", "window_s": 60, "rise": 50,
        "pct": true});
    let other = json!({"kind": "rate", "metric": "water_level_m", "window_s": 60, "rise_pct": 50,
        "pct": true});
    assert_eq!(read(one), read(other));
}

#[test]
fn values_have_the_unit_of_what_they_are() {
    let catalogue = Catalogue::built_in();
    let window = |aggregate: &str| {
        json!({"kind": "window", "metric": "laeq_dba", "window_s": 60, "above": 1,
            "aggregate": aggregate, "count_above_value": 1})
    };
    let mut mean = window("mean");
    mean.as_object_mut()
        .map(|spec| spec.remove("count_above_value"));
    let rate = |key: &str| {
        let mut spec = json!({"kind": "rate", "metric": "pressure_kpa", "window_s": 60});
        spec[key] = json!(5);
        spec
    };
    let cases = [
        (mean, Some("dB(A)")),
        (window("count_above"), None),
        (rate("fall"), Some("kPa")),
        (rate("fall_pct"), Some("%")),
        (
            json!({"kind": "frozen", "metric": "pm10_ugm3", "after_s": 60}),
            Some("s"),
        ),
        (json!({"kind": "clock"}), Some("s")),
        (json!({"kind": "occupancy"}), Some("")),
    ];
    for (spec, unit) in cases {
        assert_eq!(read(spec.clone()).unit(&catalogue), unit, "{spec}");
    }
}

#[test]
fn the_catalogue_refuses_what_cannot_be_measured_so() {
    let catalogue = Catalogue::built_in();
    let check = |spec: Value| {
        let error = read(spec.clone())
            .validate(&catalogue)
            .expect_err("a mistake");
        assert!(error.key.is_some(), "{spec}: {error}");
        error.to_string()
    };
    let place = "key `metric`: `position` is a place, not a number";
    let window = |metric: &str, aggregate: &str| {
        json!({"kind": "window", "metric": metric, "window_s": 60, "aggregate": aggregate,
            "above": 1})
    };
    assert_eq!(check(window("position", "mean")), place);
    assert_eq!(
        check(json!({"kind": "rate", "metric": "position", "window_s": 60, "fall": 1})),
        place
    );
    assert_eq!(
        check(json!({"kind": "frozen", "metric": "position", "after_s": 60})),
        place
    );
    assert_eq!(
        check(json!({"kind": "occupancy", "metric": "bikes"})),
        "key `metric`: there is no metric `bikes`"
    );
    assert_eq!(
        check(window("pressure_kpa", "leq")),
        "key `aggregate`: `leq` is the energy mean of levels in dB, but `pressure_kpa` is in kPa"
    );
    assert_eq!(read(window("laeq_dba", "leq")).validate(&catalogue), Ok(()));
}

#[test]
fn a_percentage_alone_is_a_fall() {
    let rate = |key: &str| {
        let json = json!({"kind": "rate", "select": {}, "metric": "pressure_kpa", "window_s": 60,
            key: 20.0});
        parse_json("r", &json)
    };
    assert_eq!(rate("pct"), rate("fall_pct"));
    assert!(rate("pct").is_ok());
}

#[test]
fn one_reading_above_the_value_suffices_unless_the_rule_says_more() {
    let rule = |count: Option<u32>| {
        let mut json = json!({"kind": "window", "select": {}, "metric": "pressure_kpa",
            "window_s": 60, "aggregate": "count_above", "above": 400.0});
        if let Some(count) = count {
            json["count"] = json!(count);
        }
        parse_json("r", &json)
    };
    assert_eq!(rule(None), rule(Some(1)));
    assert_ne!(rule(None), rule(Some(2)));
    assert!(rule(Some(0)).is_err());
}
