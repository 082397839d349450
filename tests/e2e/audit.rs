//! What people did: every change is in the chain once, and the chain can be judged alone.

use serde_json::{Value, json};
use std::process::Output;
use tests::http::Api;
use tests::hub::{Place, token, words};
use tests::time::until;

/// Gives who, what and on what, in the order of the chain.
fn told(api: &Api) -> Vec<(String, String, String)> {
    let page = api.get("/api/v1/audit?limit=1000");
    let items = page["items"].as_array().expect("items").iter();
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    items
        .map(|row| {
            (
                text(row, "actor"),
                text(row, "action"),
                text(row, "subject"),
            )
        })
        .collect()
}

fn walk(place: &Place, args: &[&str]) -> Output {
    let mut all = vec!["verify", "--audit", "--config", "hub.toml"];
    all.extend(args);
    place.run(&all)
}

#[test]
fn what_people_and_the_command_line_did_is_in_the_chain_once_and_verify_walks_it_alone() {
    let place = Place::default();
    let output = place.run(&[
        "admin", "token", "add", "night", "--role", "officer", "--config", "hub.toml",
    ]);
    assert!(output.status.success(), "{}", words(&output));
    let hub = place.start();
    let api = hub.api_as("auditor");
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    hub.api()
        .post("/api/v1/rules/reload", &json!({}))
        .expect(200);
    // Beside the running hub, which takes it over by itself.
    let output = place.run(&["admin", "token", "remove", "night", "--config", "hub.toml"]);
    assert!(output.status.success(), "{}", words(&output));
    until("the removal in the trail", || {
        told(&api)
            .iter()
            .any(|(_, action, _)| action == "remove_token")
    });
    let actions: Vec<(String, String)> = told(&api)
        .into_iter()
        .map(|(_, action, subject)| (action, subject))
        .collect();
    let pair = |action: &str, subject: &str| (action.to_owned(), subject.to_owned());
    assert_eq!(
        actions,
        [
            pair("configure_tokens", "auth.tokens"),
            pair("add_token", "night"),
            pair("put_device", "gas-1"),
            pair("reload_rules", "rules"),
            pair("remove_token", "night"),
        ]
    );
    let trail = api.get("/api/v1/audit").to_string();
    assert!(!trail.contains(&token("admin")), "no token is in the trail");
    let page = api.get("/api/v1/audit?after=3&limit=1");
    let (head, fourth) = (&page["head"], &page["items"][0]["hash"]);
    assert_eq!(head["seq"], 5);

    let output = walk(&place, &[]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let whole = format!(
        "verified: 5 audit records, head {}",
        head["hash"].as_str().expect("a hash")
    );
    assert!(said.contains(&whole), "{said}");
    let output = walk(&place, &["--head", fourth.as_str().expect("a hash")]);
    assert!(
        words(&output).contains("that of record 4"),
        "{}",
        words(&output)
    );
    let output = walk(&place, &["--head", &"ab".repeat(32)]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(
        words(&output).contains("audit record 6"),
        "{}",
        words(&output)
    );
    assert_eq!(walk(&place, &["--head", "abc"]).status.code(), Some(2));

    hub.stop();
    let hub = place.start();
    // Nothing is told twice.
    assert_eq!(told(&hub.api_as("auditor")).len(), 5);
}
