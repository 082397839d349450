//! What passes a filter.

use super::{Filter, Known};
use model::{Event, Severity};
use serde_json::{Value, json};

fn event(kind: &str, grid: Option<&str>, data: &Value) -> Event {
    Event {
        seq: 7,
        kind: kind.to_owned(),
        subject: "a-1".to_owned(),
        severity: data["severity"].as_str().and_then(Severity::parse),
        grid: grid.map(str::to_owned),
        json: json!({ "type": kind, "data": data }).to_string(),
    }
}

fn filter(value: Value) -> Filter {
    serde_json::from_value(value).unwrap()
}

struct Town;

impl Known for Town {
    fn knows_type(&self, prefix: &str) -> bool {
        "cityhub.case.opened".starts_with(prefix)
    }

    fn knows_kind(&self, kind: &str) -> bool {
        kind == "smoke"
    }
}

#[test]
fn a_condition_that_nothing_can_fulfil_is_refused_by_name() {
    let good = json!({"types": ["cityhub.case.*", "cityhub."], "kinds": ["smoke"],
        "categories": ["0204"], "regions": ["350200", "350203001007001"]});
    assert_eq!(filter(good).check(&Town), Ok(()));
    for (condition, word) in [
        ("types", "zz"),
        ("types", "cityhub.cases"),
        ("kinds", "nokind"),
        ("categories", "0403; drop"),
        ("categories", ""),
        ("regions", "abc"),
        ("regions", "35020"),
    ] {
        let error = filter(json!({ condition: [word] })).check(&Town);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains(condition) && error.contains(&format!("`{word}`")),
            "{error}"
        );
    }
}

#[test]
fn the_code_of_the_city_stands_for_all_that_lies_in_it() {
    let grid = Some("350203001007");
    let gas = event("cityhub.alarm.raised", grid, &json!({}));
    assert!(filter(json!({"regions": ["350200"]})).lets_pass(&gas, "350200"));
    assert!(!filter(json!({"regions": ["350300"]})).lets_pass(&gas, "350200"));
}

#[test]
fn every_condition_must_hold_and_an_empty_one_always_does() {
    let gas = event(
        "cityhub.alarm.raised",
        Some("350203001007"),
        &json!({"severity": "major", "kind": "gas_pressure", "category": "0204"}),
    );
    let passes = [
        json!({}),
        json!({"types": ["cityhub.alarm."]}),
        json!({"types": ["cityhub.case.", "cityhub.alarm.*"]}),
        json!({"types": "cityhub.case., cityhub.alarm."}),
        json!({"min_severity": "major"}),
        json!({"kinds": ["smoke", "gas_pressure"]}),
        json!({"categories": ["02"]}),
        json!({"regions": ["350203"]}),
        json!({"regions": ["350203001"]}),
        json!({"regions": ["350203001007"], "kinds": ["gas_pressure"], "categories": ["0204"]}),
    ];
    for given in passes {
        assert!(filter(given.clone()).lets_pass(&gas, "350200"), "{given}");
    }
    let stops = [
        json!({"types": ["cityhub.case."]}),
        json!({"min_severity": "critical"}),
        json!({"kinds": ["gas"]}),
        json!({"categories": ["03"]}),
        json!({"regions": ["350205"]}),
        json!({"regions": ["350203001007"], "kinds": ["smoke"]}),
    ];
    for given in stops {
        assert!(!filter(given.clone()).lets_pass(&gas, "350200"), "{given}");
    }
}

#[test]
fn a_case_says_its_category_by_code_and_name_and_its_district_when_it_has_no_grid() {
    let case = event(
        "cityhub.case.opened",
        None,
        &json!({"category": {"code": "0204", "name": "燃气"}, "district": "350203"}),
    );
    assert!(
        filter(json!({"categories": ["0204"], "regions": ["350203"]})).lets_pass(&case, "350200")
    );
    assert!(!filter(json!({"categories": ["0205"]})).lets_pass(&case, "350200"));
    assert!(!filter(json!({"regions": ["350206"]})).lets_pass(&case, "350200"));
}

#[test]
fn an_event_without_a_place_is_the_citys() {
    let flood = event("cityhub.flood.began", None, &json!({"announced": 12}));
    assert!(filter(json!({"regions": ["3502"]})).lets_pass(&flood, "350200"));
    assert!(!filter(json!({"regions": ["350203"]})).lets_pass(&flood, "350200"));
    // It has no severity, so that no least severity can hold it back.
    assert!(filter(json!({"min_severity": "critical"})).lets_pass(&flood, "350200"));
}

#[test]
fn a_misspelt_condition_is_refused() {
    for given in [
        json!({"type": ["x"]}),
        json!({"min_severity": "bad"}),
        json!({"kinds": 3}),
    ] {
        assert!(
            serde_json::from_value::<Filter>(given.clone()).is_err(),
            "{given}"
        );
    }
}
