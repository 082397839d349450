//! The code tables of a city: rules whose category none of them knows, and new tables in a hub that
//! runs.

use serde_json::{Value, json};
use tests::fleet::overpressure;
use tests::hub::{Hub, Place, plain_config, words};
use tests::time::now_ms;

const RULE: &str = "# 燃气\n[rules.over]\nkind = \"threshold\"\nselect = { kind = \"gas_pressure\" }\n\
    metric = \"pressure_kpa\"\nabove = 400.0\nseverity = \"major\"\ncategory = \"0777\"\n";

const CATEGORIES: &str = "code,name\n0777,调压箱异响\n";

fn place() -> Place {
    let tables = "categories = \"categories.csv\"\ntime_limits = \"limits.csv\"\n[http]\n";
    let config = plain_config().replace("[http]\n", tables);
    let place = Place::with_config(&format!("rules = \"rules.d\"\n{config}"));
    std::fs::create_dir(place.path().join("rules.d")).unwrap();
    write(&place, "rules.d/gas.toml", RULE);
    write(&place, "categories.csv", "code,name\n0776,别的\n");
    write(&place, "limits.csv", "amount,unit\n2,urgent_hour\n");
    place
}

fn write(place: &Place, file: &str, text: &str) {
    std::fs::write(place.path().join(file), text).unwrap();
}

/// Lets a device of its own rise over the limit, and gives its case.
fn case(hub: &Hub, device: &str) -> Value {
    hub.register(&json!([{"id": device, "kind": "gas_pressure"}]));
    let reading = json!({"ts": now_ms(), "values": {"pressure_kpa": 450.0}});
    hub.store(device, &reading);
    let page = hub.api().get(&format!("/api/v1/cases?device={device}"));
    page["items"][0].clone()
}

#[test]
fn a_category_that_no_table_knows_is_refused_where_that_costs_nothing() {
    let place = place();
    let output = place.run(&["check", "--config", "hub.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    let said = words(&output);
    for part in ["gas.toml:8", "rule `over`", "key `category`", "`0777`"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    // A hub that does not start guards nobody: the alarm counts, and its case waits in the queue.
    let hub = place.start();
    assert!(hub.log().contains("0777"), "{}", hub.log());
    let row = case(&hub, "gas-1");
    assert_eq!(row["unroutable"], "no category");
    assert_eq!(
        row["category"],
        json!({"code": "0777", "name": "未分类"}),
        "{row}"
    );
    let problem = hub.api().post("/api/v1/rules/reload", &json!({}));
    let problem = problem.problem(422);
    assert_eq!(
        (&problem["line"], &problem["rule"], &problem["key"]),
        (&json!(8), &json!("over"), &json!("category"))
    );
    let mut rule = overpressure();
    rule["category"] = json!("0777");
    let put = hub.api().put("/api/v1/rules/mine", &rule).expect(200);
    let warning = put["warnings"][0].as_str().unwrap();
    assert!(warning.contains("`category`"), "{warning}");
    rule["category"] = json!("0403");
    let put = hub.api().put("/api/v1/rules/mine", &rule).expect(200);
    assert_eq!(put.get("warnings"), None);
}

#[test]
fn new_tables_are_in_force_after_a_reload_and_a_wrong_one_changes_nothing() {
    let place = place();
    let hub = place.start();
    let api = hub.api();
    let first = case(&hub, "gas-1");
    assert_eq!(
        first["time_limit"],
        json!({"amount": 2, "unit": "urgent_hour"})
    );
    write(&place, "categories.csv", CATEGORIES);
    write(&place, "limits.csv", "amount,unit\n3,light_year\n");
    let problem = api.post("/api/v1/rules/reload", &json!({})).problem(422);
    let detail = problem["detail"].as_str().unwrap();
    for part in ["limits.csv:2", "`unit`", "light_year"] {
        assert!(detail.contains(part), "{part} in {detail}");
    }
    assert_eq!(case(&hub, "gas-2")["unroutable"], "no category");

    write(&place, "limits.csv", "amount,unit\n3,natural_day\n");
    let reloaded = api.post("/api/v1/rules/reload", &json!({})).expect(200);
    assert_eq!(
        reloaded,
        json!({"put": 0, "removed": 0, "unchanged": 1, "sinks": crate::reload::no_sinks(), "certificates": crate::reload::no_certificates()}),
        "the rules are as they were"
    );
    let row = case(&hub, "gas-3");
    assert_eq!(
        row["category"],
        json!({"code": "0777", "name": "调压箱异响"})
    );
    assert_eq!(
        row["time_limit"],
        json!({"amount": 3, "unit": "natural_day"})
    );
    assert_eq!(row["unroutable"], Value::Null);
    assert_ne!(row["codes_version"], first["codes_version"]);
    // What is open keeps the class and the time that it was opened with.
    let kept = api.get(&format!("/api/v1/cases/{}", first["id"].as_str().unwrap()));
    assert_eq!(kept, first);
    let audit = hub.api_as("auditor").get("/api/v1/audit");
    let rows = audit["items"].as_array().unwrap();
    let row_of = |row: &&Value| row["action"] == "reload_codes";
    let told = rows.iter().find(row_of).expect("it is in the trail");
    assert_eq!(told["detail"]["after"], row["codes_version"]);
    assert_eq!(told["detail"]["before"], first["codes_version"]);
}
