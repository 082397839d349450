//! Tests of reading and writing rules.

use super::{RuleSpec, Select, Targets, Uncertain, parse_json, parse_toml};
use crate::kind::latch::{Level, Limits};
use crate::kind::{silence, threshold};
use crate::{Condition, Schedule};
use model::{Catalogue, DeviceId, Severity};
use serde_json::json;

const CONTRACT: &str = r#"
[rules.gas_overpressure]
title = "中压燃气管道超压"
kind = "threshold"
select = { kind = "gas_pressure", tags = { class = "medium" } }
metric = "pressure_kpa"
above = 400.0
deadband = 10.0
on_delay_s = 10
off_delay_s = 30
severity = "critical"
category = "0403"
"#;

fn overpressure() -> RuleSpec {
    RuleSpec {
        title: "中压燃气管道超压".to_owned(),
        targets: Targets::Select(Select {
            kind: Some("gas_pressure".to_owned()),
            site: None,
            tags: [("class".to_owned(), "medium".to_owned())].into(),
        }),
        condition: Condition::Threshold(threshold::Spec {
            metric: "pressure_kpa".to_owned(),
            limits: Limits {
                levels: vec![Level {
                    severity: Severity::Critical,
                    above: Some(400.0),
                    below: None,
                }],
                deadband: 10.0,
                on_delay_s: 10,
                off_delay_s: 30,
            },
        }),
        category: Some("0403".to_owned()),
        enabled: true,
        shadow: false,
        latch: false,
        uncertain: Uncertain::Use,
        schedule: Schedule::default(),
        source: None,
        advice: None,
        certainty: None,
    }
}

#[test]
fn a_category_is_a_code() {
    for category in ["", "0403; drop", "04 03"] {
        let spec = RuleSpec {
            category: Some(category.to_owned()),
            ..overpressure()
        };
        let error = spec.validate(&Catalogue::built_in()).unwrap_err();
        assert_eq!(error.key.as_deref(), Some("category"));
    }
}

#[test]
fn the_rule_of_the_contract_is_read() {
    let rules = parse_toml("gas.toml", CONTRACT).expect("a good rule");
    assert_eq!(rules, [("gas_overpressure".to_owned(), overpressure())]);
    assert_eq!(overpressure().validate(&Catalogue::built_in()), Ok(()));
}

#[test]
fn levels_are_sorted_and_the_main_limit_is_one_of_them() {
    let spec = json!({
        "kind": "threshold", "devices": ["gas-1"], "metric": "pressure_kpa",
        "above": 400, "severity": "minor",
        "levels": [{"above": 500, "severity": "critical"}, {"above": 450, "severity": "major"}],
    });
    let spec = parse_json("r", &spec).expect("a good rule");
    assert_eq!(spec.title, "r");
    let ids = vec![DeviceId::new("gas-1").expect("an id")];
    assert_eq!(spec.targets, Targets::Devices(ids));
    let Condition::Threshold(threshold) = &spec.condition else {
        panic!("{spec:?}");
    };
    let limits: Vec<_> = threshold
        .limits
        .levels
        .iter()
        .map(|l| (l.severity, l.above))
        .collect();
    assert_eq!(
        limits,
        [
            (Severity::Minor, Some(400.0)),
            (Severity::Major, Some(450.0)),
            (Severity::Critical, Some(500.0)),
        ]
    );
    assert_eq!(spec.severity(), Severity::Critical);
}

#[test]
fn a_silence_rule_has_a_factor_or_a_time() {
    let read = |key: &str, value| {
        let mut spec = json!({"kind": "silence", "select": {}, "severity": "major"});
        spec[key] = value;
        parse_json("r", &spec).map(|spec| spec.condition)
    };
    let silence = |patience| {
        Ok(Condition::Silence(silence::Spec {
            severity: Severity::Major,
            patience,
        }))
    };
    assert_eq!(
        read("factor", json!(2.5)),
        silence(silence::Patience::Factor(2.5))
    );
    assert_eq!(
        read("after_s", json!(600)),
        silence(silence::Patience::AfterS(600))
    );
}

#[test]
fn what_is_written_as_json_reads_back() {
    let silence = json!({
        "title": "quiet", "kind": "silence", "select": {"site": "north"}, "factor": 3.0,
        "severity": "minor", "enabled": false, "shadow": true,
    });
    let levels = json!({
        "title": "levels", "kind": "threshold", "devices": ["a", "b"], "metric": "laeq_dba",
        "deadband": 2.0, "on_delay_s": 0, "off_delay_s": 60, "enabled": true, "shadow": false,
        "levels": [{"above": 55.0, "severity": "warning"}, {"above": 70.0, "severity": "major"}],
        "schedule": {"times": ["22:00-06:00"]}, "source": "GB 12523-2011", "certainty": "V2",
    });
    for json in [silence, levels] {
        let spec = parse_json("r", &json).expect("a good rule");
        assert_eq!(spec.to_json(), json);
    }
    let read_back = parse_json("r", &overpressure().to_json());
    assert_eq!(read_back, Ok(overpressure()));
}

#[test]
fn a_mistake_in_a_file_is_named_with_file_line_rule_and_key() {
    let base = "[rules.r]\nkind = \"threshold\"\nselect = {}\nmetric = \"pressure_kpa\"\n";
    // What is added to these four lines, the line and key to name, and a word of the reason.
    let cases = [
        ("above = 4\ndeadband = -1", 6, "deadband", "negative"),
        ("above = nan", 5, "above", "finite"),
        ("above = 4\nbellow = 3", 6, "bellow", "unknown key"),
        ("above = \"4\"", 5, "above", "must be a number, not a text"),
        (
            "above = 4\non_delay_s = 1.5",
            6,
            "on_delay_s",
            "whole number",
        ),
        (
            "above = 4\noff_delay_s = -1",
            6,
            "off_delay_s",
            "whole number",
        ),
        ("above = 4\nseverity = \"high\"", 6, "severity", "`high`"),
        ("above = 4\nenabled = 1", 6, "enabled", "true or false"),
        ("above = 4\ntitle = 1979-05-27", 6, "title", "a date"),
        ("above = 4\ndevices = [\"a\"]", 6, "devices", "not both"),
        ("severity = \"major\"", 1, "above", "is missing"),
        ("above = 4\nbelow = 4", 5, "above", "nothing is normal"),
        ("levels = []", 5, "levels", "empty"),
        (
            "levels = [\n{ above = 1 },\n]",
            6,
            "levels[0].severity",
            "is missing",
        ),
        (
            "levels = [\n{ above = 1, severity = \"minor\" },\n{ severity = \"major\" },\n]",
            7,
            "levels[1].above",
            "is missing",
        ),
        (
            "levels = [{ above = 2, severity = \"minor\" }, { above = 1, severity = \"major\" }]",
            5,
            "levels",
            "farther out",
        ),
        (
            "above = 1\nseverity = \"major\"\nlevels = [{ above = 2, severity = \"major\" }]",
            7,
            "levels",
            "one level",
        ),
        ("above = 4\nfactor = 2", 6, "factor", "no such key"),
    ];
    for (added, line, key, reason) in cases {
        let error = parse_toml("x.toml", &format!("{base}{added}\n")).expect_err(added);
        assert_eq!(
            (error.file.as_deref(), error.line, error.rule.as_deref()),
            (Some("x.toml"), Some(line), Some("r")),
            "{added}: {error}"
        );
        assert_eq!(error.key.as_deref(), Some(key), "{added}: {error}");
        assert!(error.reason.contains(reason), "{added}: {error}");
    }
}

#[test]
fn a_file_that_is_no_rule_file_is_refused() {
    let cases = [
        ("rules = 3", 1, "must be a table of rules"),
        ("[rules]\nr = 3", 2, "must be a table, not a number"),
        ("\n[rule.r]\n", 2, "`[rules.NAME]` tables only"),
        ("[rules.r]\nkind = \"threshold\n", 2, "invalid basic string"),
        ("[rules.r]\n[rules.r]\n", 2, "duplicate key"),
        (
            "[rules.r]\nkind = \"all\"\nof = [\"a\",\n\"a\"]",
            4,
            "names `a` again",
        ),
        (
            "[rules.r]\nkind = \"wibble\"\nselect = {}",
            2,
            "`wibble` is no kind",
        ),
        ("[rules.r]\nselect = {}", 1, "is missing"),
        (
            "[rules.r]\nkind = \"silence\"",
            1,
            "`select = {}` means every device",
        ),
        (
            "[rules.r]\nkind = \"silence\"\nselect = { kin = \"x\" }",
            3,
            "unknown key",
        ),
        (
            "[rules.r]\nkind = \"silence\"\ndevices = [\n\"a b\"]",
            4,
            "device id",
        ),
        (
            "[rules.r]\nkind = \"silence\"\nselect = {}\nfactor = 0",
            4,
            "above 0",
        ),
        (
            "[rules.r]\nkind = \"silence\"\nselect = {}\nafter_s = 0",
            4,
            "at least 1",
        ),
        ("[rules.\"a/b\"]\nkind = \"silence\"", 1, "rule's name"),
    ];
    for (text, line, reason) in cases {
        let error = parse_toml("x.toml", text).expect_err(text);
        assert_eq!(error.line, Some(line), "{text}: {error}");
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
    assert_eq!(parse_toml("x.toml", ""), Ok(Vec::new()));
}

#[test]
fn an_error_reads_as_one_line() {
    let text = "[rules.r]\nkind = \"silence\"\nselect = {}\nafter_s = true";
    let error = parse_toml("rules.d/quiet.toml", text).expect_err("no number");
    assert_eq!(
        error.to_string(),
        "rules.d/quiet.toml:4: rule `r`: key `after_s`: must be a number, not true or false"
    );
    let error = parse_json("r", &json!({"kind": "silence", "select": [] })).expect_err("no table");
    assert_eq!(
        error.to_string(),
        "rule `r`: key `select`: must be a table, not a list"
    );
}

#[test]
fn the_catalogue_knows_which_metrics_and_kinds_there_are() {
    let check = |kind: &str, metric: &str| {
        let spec = json!({
            "kind": "threshold", "select": {"kind": kind}, "metric": metric, "above": 1,
        });
        let spec = parse_json("r", &spec).expect("a rule");
        spec.validate(&Catalogue::built_in())
            .map_err(|error| error.key.unwrap_or_default())
    };
    assert_eq!(check("gas_pressure", "pressure_kpa"), Ok(()));
    assert_eq!(
        check("gas_pressure", "presure_kpa"),
        Err("metric".to_owned())
    );
    assert_eq!(check("bike", "position"), Err("metric".to_owned()));
    assert_eq!(
        check("gaz_pressure", "pressure_kpa"),
        Err("select.kind".to_owned())
    );
    assert_eq!(overpressure().unit(&Catalogue::built_in()), Some("kPa"));
}

#[test]
fn a_composite_is_read_and_written_with_what_it_leaves_out() {
    let toml = "[rules.fire]\nkind = \"all\"\nof = [\"smoke\"]\nwithin_s = 60\nscope = \"site\"\n\
                severity = \"critical\"\nsuppress = true\nhold_s = 10\n";
    let rules = parse_toml("r.toml", toml).expect("a composite");
    let (id, spec) = &rules[0];
    let Condition::Composite(composite) = &spec.condition else {
        panic!("{spec:?}");
    };
    assert_eq!(spec.targets, Targets::Select(Select::default()));
    // Two of one kind in one place, because one would be no composite.
    assert_eq!(composite.devices_min, 2);
    assert_eq!(parse_json(id, &spec.to_json()).as_ref(), Ok(spec));
    let wrong = |text: &str| parse_toml("r.toml", text).expect_err(text).key;
    let of = "[rules.r]\nkind = \"any\"\nof = [\"a\"]\n";
    assert_eq!(wrong("[rules.r]\nkind = \"any\"").as_deref(), Some("of"));
    assert_eq!(
        wrong("[rules.r]\nkind = \"any\"\nof = []").as_deref(),
        Some("of")
    );
    assert_eq!(
        wrong(&format!("{of}scope = \"city\"")).as_deref(),
        Some("scope")
    );
    assert_eq!(
        wrong(&format!("{of}devices_min = 2")).as_deref(),
        Some("devices_min")
    );
}

#[test]
fn a_composite_has_rules_as_members_that_are_none_themselves() {
    let toml = "[rules.a]\nkind = \"silence\"\nselect = {}\nafter_s = 5\n\
                [rules.b]\nkind = \"any\"\nof = [\"a\"]\n\
                [rules.c]\nkind = \"any\"\nof = [\"a\", \"b\"]\n\
                [rules.d]\nkind = \"any\"\nof = [\"x\"]\n";
    let rules = parse_toml("r.toml", toml).expect("rules");
    let find = |id: &str| {
        let found = rules.iter().find(|(own, _)| own == id);
        found.map(|(_, spec)| spec)
    };
    let check = |id: &str| {
        let spec = find(id).expect("a rule");
        spec.validate_members(find).map_err(|error| error.key)
    };
    assert_eq!(check("a"), Ok(()));
    assert_eq!(check("b"), Ok(()));
    assert_eq!(check("c"), Err(Some("of[1]".to_owned())));
    assert_eq!(check("d"), Err(Some("of[0]".to_owned())));
}
