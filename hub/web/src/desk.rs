//! What the duty console must know before it shows anything.

use crate::build::build;
use crate::map::{self, MapSetup};
use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{Inner, Shared, work};
use axum::Json;
use axum::extract::State;
use model::{MetricDef, QuickPhrase, severity_names};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};

/// What the configuration says of the console.
#[derive(Clone, Debug, Default)]
pub struct DeskSetup {
    pub map: MapSetup,
    pub quick_phrases: Vec<QuickPhrase>,
    /// Items of the city's own on every handover, by their names.
    pub checklist: BTreeMap<String, String>,
    /// What is shown is a demonstration.
    pub demo: bool,
}

/// Gives the metrics that people may choose from: what is derived only where a device reports it or
/// a rule asks for it.
fn offered(hub: &Inner) -> impl Iterator<Item = &MetricDef> {
    let measured = hub.reader.measured();
    let mut asked = HashSet::new();
    for rule in hub.rules.all() {
        gather_texts(&rule.spec, &mut asked);
    }
    let defs = hub.catalogue.defs().iter();
    defs.filter(move |def| {
        let key = hub.catalogue.find(&def.name);
        let is_used =
            || key.is_some_and(|key| measured.contains(&key)) || asked.contains(&def.name);
        def.name != crate::CANARY_METRIC && (!def.derived || is_used())
    })
}

fn gather_texts(value: &Value, texts: &mut HashSet<String>) {
    match value {
        Value::String(text) => {
            texts.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| gather_texts(item, texts)),
        Value::Object(fields) => fields.values().for_each(|item| gather_texts(item, texts)),
        _ => {}
    }
}

/// `GET /api/v1/config/public`
pub(crate) async fn public(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    work(&shared, "show the configuration", |hub| {
        let severities: Map<String, Value> = severity_names()
            .into_iter()
            .map(|row| (row.severity.name().to_owned(), json!(row)))
            .collect();
        let metrics: Map<String, Value> = offered(hub)
            .map(|def| {
                let zh = def.name_zh.as_ref().unwrap_or(&def.name);
                let en = def.name_en.as_ref().unwrap_or(&def.name);
                let names = json!({"zh": zh, "en": en, "unit": def.unit});
                (def.name.clone(), names)
            })
            .collect();
        Ok(Json(json!({
            "city": hub.city,
            "build": build(hub.health.version),
            "severities": severities,
            "kinds": hub.catalogue.kind_names(),
            "metrics": metrics,
            "map": map::shown(hub),
            "quick_phrases": hub.desk.quick_phrases,
            "demo": hub.desk.demo,
        })))
    })
    .await
}
