//! The count of every value that came in.

use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{Shared, ask};
use axum::Json;
use axum::extract::State;
use model::Counts;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `GET /api/v1/ledger`
pub(crate) async fn show(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    let params = raw.only(&["from", "to"])?;
    let (from, to) = (params.time("from")?, params.time("to")?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Problem::bad_request(format!(
            "`from` ({from}) is after `to` ({to})"
        )));
    }
    let body = ask(&shared, "sum the ledger", move |hub| {
        let ledger = hub.reader.ledger(from, to)?;
        // Devices that were deleted since are counted under the name they had.
        let names = hub.reader.device_names()?;
        let mut devices: BTreeMap<String, Counts> = BTreeMap::new();
        for (key, counts) in ledger.devices {
            let name = names
                .get(&key)
                .map_or_else(|| format!("#{}", key.0), ToString::to_string);
            devices.entry(name).or_default().add(&counts);
        }
        Ok(json!({"total": ledger.total, "drivers": ledger.drivers, "devices": devices}))
    })
    .await?;
    Ok(Json(body))
}
