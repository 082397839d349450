//! What a device last said, message by message: values of one moment that arrived together.

use crate::devices;
use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{Inner, Shared, store_problem, work};
use crate::status::value_json;
use crate::written::Written;
use axum::extract::{Path, State};
use model::{Quality, Timestamp};
use sdk::DeviceEntry;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use store::SeriesQuery;

const MESSAGES_MAX: usize = 200;
/// Values of one metric that are looked through.
const VALUES_MAX: usize = 20_000;
/// Of a device that promises no cadence.
const CADENCE_S: u32 = 60;

#[derive(Default)]
struct Message {
    values: Map<String, Value>,
    /// Of those that are not good.
    quality: Map<String, Value>,
}

/// `GET /api/v1/devices/{id}/raw`
pub(crate) async fn last(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Written, Problem> {
    let limit = raw
        .only(&["limit"])?
        .limit(MESSAGES_MAX, 1..=MESSAGES_MAX)?;
    let entry = devices::find(&shared, &id)?;
    work(&shared, "read messages", move |hub| {
        messages(hub, &entry, limit)
    })
    .await
}

fn messages(hub: &Inner, entry: &DeviceEntry, limit: usize) -> Result<Written, Problem> {
    let cadence_s = i64::from(entry.device.cadence_s.unwrap_or(CADENCE_S));
    let span_s = cadence_s.saturating_mul(i64::try_from(limit).unwrap_or(i64::MAX));
    // By when it arrived and when it was measured.
    let mut found: BTreeMap<(Timestamp, Timestamp), Message> = BTreeMap::new();
    for newest in hub.reader.latest(entry.key) {
        let query = SeriesQuery {
            series: newest.series,
            from: newest.observed_at.plus_s(-span_s),
            to: Timestamp::MAX,
            limit: VALUES_MAX,
        };
        let readings = hub
            .reader
            .arrivals(&query)
            .map_err(|error| store_problem("read messages", &error))?;
        let Some(def) = hub.catalogue.def(newest.series.metric) else {
            continue;
        };
        for reading in readings.iter().rev().take(limit) {
            let key = (reading.received_at, reading.observed_at);
            let message = found.entry(key).or_default();
            message
                .values
                .insert(def.name.clone(), value_json(&reading.value));
            if reading.quality != Quality::GOOD {
                message
                    .quality
                    .insert(def.name.clone(), reading.quality.to_string().into());
            }
        }
    }
    let items: Vec<Value> = found
        .into_iter()
        .rev()
        .take(limit)
        .map(|((received_at, observed_at), message)| {
            json!({"received_at": received_at, "observed_at": observed_at, "values": message.values, "quality": message.quality})
        })
        .collect();
    Written::json(&json!({"items": items}))
}
