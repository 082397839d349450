//! How events look: a JSON Schema for each type, made of the schemas of the API's own document.

use crate::problem::Problem;
use crate::query::RawParams;
use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The channels and messages, as `GET /api/v1/asyncapi.json` gives them.
const ASYNCAPI: &str = include_str!("../asyncapi.json");

const COMPONENTS: &str = "#/components/schemas/";

static MESSAGES: LazyLock<Value> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(ASYNCAPI).expect("a test reads the document");
    part(&document, "/components/messages")
});

static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(crate::OPENAPI).expect("a test reads the document");
    part(&document, "/components/schemas")
});

fn part(document: &Value, pointer: &str) -> Value {
    document.pointer(pointer).cloned().unwrap_or_default()
}

/// `GET /api/v1/asyncapi.json`
pub(crate) async fn asyncapi(raw: RawParams) -> Result<Response, Problem> {
    raw.only(&[])?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], ASYNCAPI).into_response())
}

/// `GET /api/v1/schemas`
pub(crate) async fn list(raw: RawParams) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let types = MESSAGES.as_object().into_iter().flatten();
    let items: Vec<Value> = types
        .map(|(kind, message)| json!({"type": kind, "summary": message.get("summary")}))
        .collect();
    Ok(Json(json!({ "items": items })))
}

/// `GET /api/v1/schemas/{type}`
pub(crate) async fn show(Path(kind): Path<String>, raw: RawParams) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let schema = of_type(&kind);
    schema
        .map(Json)
        .ok_or_else(|| Problem::not_found(format!("there is no event type `{kind}`")))
}

/// Gives the schema of an event with its row, whole: nothing in it points elsewhere.
fn of_type(kind: &str) -> Option<Value> {
    let row = MESSAGES.get(kind)?.get("x-row")?.as_str()?;
    let mut needed = BTreeSet::from([row.to_owned()]);
    let mut definitions = Map::new();
    while let Some(name) = needed.pop_first() {
        let mut schema = SCHEMAS.get(&name)?.clone();
        point_here(&mut schema, &mut needed);
        definitions.insert(name, schema);
        needed.retain(|name| !definitions.contains_key(name));
    }
    let mut event = SCHEMAS.get("Event")?.as_object()?.clone();
    let attributes = event.get_mut("properties")?.as_object_mut()?;
    attributes.insert("type".to_owned(), json!({ "const": kind }));
    let row = json!({ "$ref": format!("#/$defs/{row}") });
    attributes.insert("data".to_owned(), row);
    let about = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:cityhub:schema:{kind}"),
        "title": kind,
        "$defs": definitions,
    });
    event.extend(about.as_object()?.clone());
    Some(event.into())
}

/// Lets every reference point into the schema itself, and notes what it points to.
fn point_here(node: &mut Value, needed: &mut BTreeSet<String>) {
    match node {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get_mut("$ref")
                && let Some(name) = target.strip_prefix(COMPONENTS).map(str::to_owned)
            {
                *target = format!("#/$defs/{name}");
                needed.insert(name);
            }
            fields
                .values_mut()
                .for_each(|node| point_here(node, needed));
        }
        Value::Array(list) => list.iter_mut().for_each(|node| point_here(node, needed)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{ASYNCAPI, MESSAGES, of_type};
    use serde_json::Value;

    #[test]
    fn every_message_has_a_schema_that_needs_no_other_document() {
        for (kind, message) in MESSAGES.as_object().unwrap() {
            let schema = of_type(kind).unwrap();
            let text = schema.to_string();
            assert!(!text.contains("#/components"), "{kind}");
            for reference in text.split("\"$ref\":\"#").skip(1) {
                let pointer = reference.split('"').next().unwrap();
                assert!(schema.pointer(pointer).is_some(), "{kind}: {pointer}");
            }
            let payload = format!("schemas/{kind}");
            assert_eq!(message["payload"]["$ref"], payload.as_str(), "{kind}");
            assert_eq!(message["name"], kind.as_str());
        }
        assert!(of_type("cityhub.alarm").is_none());
    }

    #[test]
    fn every_channel_of_the_document_carries_every_message() {
        let document: Value = serde_json::from_str(ASYNCAPI).unwrap();
        assert_eq!(document["asyncapi"], "3.0.0");
        let messages = MESSAGES.as_object().unwrap();
        for (name, channel) in document["channels"].as_object().unwrap() {
            for kind in messages.keys() {
                let target = format!("#/components/messages/{kind}");
                assert_eq!(channel["messages"][kind]["$ref"], target.as_str(), "{name}");
            }
        }
        for operation in document["operations"].as_object().unwrap().values() {
            let target = operation["channel"]["$ref"].as_str().unwrap();
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }
}
