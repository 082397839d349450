//! The document and the router say the same.

use super::kit::Hub;
use crate::OPENAPI;
use crate::routes::table;
use serde_json::Value;
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().clone();
        let path = path.clone();
        methods
            .into_iter()
            .map(move |(method, operation)| (method, path.clone(), operation))
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let written: BTreeSet<(String, String)> = operations(&document())
        .into_iter()
        .map(|(method, path, _)| (method, path))
        .collect();
    let served: BTreeSet<(String, String)> = table()
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(written, served);
}

#[tokio::test]
async fn the_document_has_every_query_parameter_and_no_other() {
    let hub = Hub::start();
    hub.register(r#"{"id":"gas-1","kind":"gas_pressure"}"#);
    for (method, path, operation) in operations(&document()) {
        if path == "/healthz" || path == "/readyz" || path == "/api/v1/openapi.json" {
            continue;
        }
        let concrete = path
            .replace("{id}", "gas-1")
            .replace("{action}", "ack")
            .replace("{name}", "platform")
            .replace("{seq}", "7")
            .replace("{type}", "cityhub.flood.began");
        let answer = hub
            .ask("admin", &method, &format!("{concrete}?nonsense=1"), "")
            .await;
        assert!(answer.problem(400).contains("nonsense"), "{method} {path}");
        let body = answer.json();
        let names = |list: &Value| -> BTreeSet<String> {
            let list = list.as_array().cloned().unwrap_or_default();
            list.iter()
                .map(|name| name.as_str().unwrap().to_owned())
                .collect()
        };
        let written: BTreeSet<String> = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default()
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(written, names(&body["known"]), "{method} {path}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_path_parameter_is_described() {
    fn walk(node: &Value, document: &Value) {
        if let Some(target) = node.get("$ref").and_then(Value::as_str) {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
        match node {
            Value::Object(map) => map.values().for_each(|child| walk(child, document)),
            Value::Array(list) => list.iter().for_each(|child| walk(child, document)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    walk(&document, &document);
    for (method, path, operation) in operations(&document) {
        for name in ["id", "action", "name", "seq", "type"] {
            let described = operation["parameters"]
                .as_array()
                .is_some_and(|list| list.iter().any(|p| p["in"] == "path" && p["name"] == name));
            let used = path.contains(&format!("{{{name}}}"));
            assert_eq!(used, described, "{method} {path} {name}");
        }
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let hub = Hub::start();
    let answer = hub.ask("platform", "get", "/api/v1/openapi.json", "").await;
    assert_eq!(answer.json()["openapi"], "3.1.0");
    assert_eq!(answer.header("content-type"), "application/json");
}
