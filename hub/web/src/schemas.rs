//! How events look: a JSON Schema for each type, made of the schemas of the API's own document.

use crate::problem::Problem;
use crate::query::RawParams;
use axum::Json;
use axum::extract::Path;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The channels and messages; the schemas that they point to are added from the API's document.
const ASYNCAPI: &str = include_str!("../asyncapi.json");

const COMPONENTS: &str = "#/components/schemas/";

/// Where a schema that stands alone keeps what it points to.
const DEFINITIONS: &str = "#/$defs/";

static MESSAGES: LazyLock<Value> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(ASYNCAPI).expect("a test reads the document");
    part(&document, "/components/messages")
});

static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(crate::OPENAPI).expect("a test reads the document");
    part(&document, "/components/schemas")
});

/// What `GET /api/v1/asyncapi.json` gives: with every schema in it, so that any tool can read it
/// without a token.
static WHOLE: LazyLock<Value> =
    LazyLock::new(|| whole().expect("a test looks at every schema of the document"));

fn part(document: &Value, pointer: &str) -> Value {
    document.pointer(pointer).cloned().unwrap_or_default()
}

/// Tells whether there are events of a type that begins so.
pub fn knows_event_type(prefix: &str) -> bool {
    let mut types = MESSAGES.as_object().into_iter().flatten();
    types.any(|(kind, _)| kind.starts_with(prefix))
}

/// `GET /api/v1/asyncapi.json`
pub(crate) async fn asyncapi(raw: RawParams) -> Result<Json<&'static Value>, Problem> {
    raw.only(&[])?;
    Ok(Json(&*WHOLE))
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

/// Puts the schema of every message, and all that these point to, into the document.
fn whole() -> Option<Value> {
    let mut document: Value = serde_json::from_str(ASYNCAPI).ok()?;
    let mut schemas = Map::new();
    let mut rows = BTreeSet::new();
    for kind in MESSAGES.as_object()?.keys() {
        let (row, event) = event(kind, COMPONENTS)?;
        schemas.insert(kind.clone(), event.into());
        rows.insert(row);
    }
    schemas.extend(definitions(rows, COMPONENTS)?);
    let components = document.get_mut("components")?.as_object_mut()?;
    components.insert("schemas".to_owned(), schemas.into());
    Some(document)
}

/// Gives the schema of an event with its row, whole: nothing in it points elsewhere.
fn of_type(kind: &str) -> Option<Value> {
    let (row, mut event) = event(kind, DEFINITIONS)?;
    let about = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:cityhub:schema:{kind}"),
        "title": kind,
        "$defs": definitions(BTreeSet::from([row]), DEFINITIONS)?,
    });
    event.extend(about.as_object()?.clone());
    Some(event.into())
}

/// Gives the name of an event's row, and the event's schema that points to it.
fn event(kind: &str, place: &str) -> Option<(String, Map<String, Value>)> {
    let row = MESSAGES.get(kind)?.get("x-row")?.as_str()?;
    let mut event = SCHEMAS.get("Event")?.as_object()?.clone();
    let attributes = event.get_mut("properties")?.as_object_mut()?;
    attributes.insert("type".to_owned(), json!({ "const": kind }));
    let data = json!({ "$ref": format!("{place}{row}") });
    attributes.insert("data".to_owned(), data);
    Some((row.to_owned(), event))
}

/// Gives these schemas of the API's document and all that they point to, as they are in `place`.
fn definitions(mut needed: BTreeSet<String>, place: &str) -> Option<Map<String, Value>> {
    let mut definitions = Map::new();
    while let Some(name) = needed.pop_first() {
        let mut schema = SCHEMAS.get(&name)?.clone();
        point_to(place, &mut schema, &mut needed);
        definitions.insert(name, schema);
        needed.retain(|name| !definitions.contains_key(name));
    }
    Some(definitions)
}

/// Lets every reference point to `place`, and notes what it points to.
fn point_to(place: &str, node: &mut Value, needed: &mut BTreeSet<String>) {
    match node {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get_mut("$ref")
                && let Some(name) = target.strip_prefix(COMPONENTS).map(str::to_owned)
            {
                *target = format!("{place}{name}");
                needed.insert(name);
            }
            fields
                .values_mut()
                .for_each(|node| point_to(place, node, needed));
        }
        Value::Array(list) => list
            .iter_mut()
            .for_each(|node| point_to(place, node, needed)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{MESSAGES, WHOLE, of_type};

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
            let payload = format!("#/components/schemas/{kind}");
            assert_eq!(message["payload"]["$ref"], payload.as_str(), "{kind}");
            assert_eq!(message["name"], kind.as_str());
        }
        assert!(of_type("cityhub.alarm").is_none());
    }

    #[test]
    fn the_document_needs_no_other() {
        let text = WHOLE.to_string();
        let references: Vec<&str> = text.split("\"$ref\":\"").skip(1).collect();
        for reference in &references {
            let target = reference.split('"').next().unwrap();
            let pointer = target.strip_prefix('#').expect(target);
            assert!(WHOLE.pointer(pointer).is_some(), "{target}");
        }
        let raised = "cityhub.alarm.raised";
        let schema = &WHOLE["components"]["schemas"][raised]["properties"];
        assert_eq!(schema["type"]["const"], raised);
        assert_eq!(schema["data"]["$ref"], "#/components/schemas/AlarmEvent");
    }

    #[test]
    fn every_channel_of_the_document_carries_every_message() {
        let document = &*WHOLE;
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
