//! The count of every value that came in.

use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{Shared, store_problem, work};
use crate::written::Written;
use axum::extract::State;
use model::Counts;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use store::StoreError;

const WHAT: &str = "sum the ledger";

/// `GET /api/v1/ledger`
pub(crate) async fn show(State(shared): State<Shared>, raw: RawParams) -> Result<Written, Problem> {
    let params = raw.only(&["from", "to"])?;
    let (from, to) = (params.time("from")?, params.time("to")?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Problem::bad_request(format!(
            "`from` ({from}) is after `to` ({to})"
        )));
    }
    work(&shared, WHAT, move |hub| {
        let ledger = hub.reader.ledger(from, to).map_err(wrong)?;
        // Devices that were deleted since are counted under the name they had.
        let names = hub.reader.device_names().map_err(wrong)?;
        let mut devices: BTreeMap<Cow<'_, str>, Counts> = BTreeMap::new();
        for (key, counts) in ledger.devices {
            let name = match names.get(&key) {
                Some(name) => name.as_str().into(),
                None => format!("#{}", key.0).into(),
            };
            devices.entry(name).or_default().add(&counts);
        }
        Written::json(&Sums {
            total: ledger.total,
            drivers: ledger.drivers,
            devices,
        })
    })
    .await
}

/// The answer: there may be a hundred thousand devices, so it is written without a copy.
#[derive(Debug, Serialize)]
struct Sums<'a> {
    total: Counts,
    drivers: BTreeMap<String, Counts>,
    devices: BTreeMap<Cow<'a, str>, Counts>,
}

fn wrong(error: StoreError) -> Problem {
    store_problem(WHAT, &error)
}
