//! History of one series, and the last reading of every series.

use crate::devices;
use crate::long_term::{LongRange, MissingRange};
use crate::problem::Problem;
use crate::query::{RawParams, bad_cursor};
use crate::state::{Inner, Shared, store_problem, work};
use crate::status::value_json;
use crate::written::Written;
use axum::extract::{Path, State};
use model::{Catalogue, DeviceId, Reading, Series, Timestamp};
use sdk::DeviceEntry;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use store::{Agg, Page, SeriesQuery};

const POINTS_MAX: usize = 10_000;
const POINTS_DEFAULT: usize = 1_000;

/// History that is given when the request names no beginning.
const SPAN_DEFAULT_S: i64 = 86_400;

/// Series of one answer of `latest`.
const LATEST_MAX: usize = 200_000;

const AGGREGATES: [(&str, Option<Agg>); 6] = [
    ("raw", None),
    ("mean", Some(Agg::Mean)),
    ("min", Some(Agg::Min)),
    ("max", Some(Agg::Max)),
    ("last", Some(Agg::Last)),
    ("minmax", Some(Agg::MinMax)),
];

/// `GET /api/v1/devices/{id}/readings`
pub(crate) async fn history(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Written, Problem> {
    let params = raw.only(&["metric", "from", "to", "step", "agg", "cursor", "limit"])?;
    let entry = devices::find(&shared, &id)?;
    let name = params.required("metric")?;
    let Some(metric) = shared.catalogue.find(name) else {
        let detail = format!("unknown metric `{name}`; see /api/v1/catalogue");
        return Err(Problem::bad_request(detail));
    };
    let to = params.time("to")?.unwrap_or(Timestamp::MAX);
    let mut from = params
        .time("from")?
        .unwrap_or_else(|| shared.clock.now().plus_s(-SPAN_DEFAULT_S));
    if from > to {
        return Err(Problem::bad_request(format!(
            "`from` ({from}) is after `to` ({to})"
        )));
    }
    if let Some(cursor) = params.text("cursor") {
        let at = cursor.parse().map_err(|_| bad_cursor(cursor))?;
        from = from.max(Timestamp::from_millis(at));
    }
    let step_ms = params.text("step").map(parse_step).transpose()?;
    let agg = match (params.word("agg", &AGGREGATES)?, step_ms) {
        (None, None) | (Some(None), None) => None,
        (None, Some(step)) => Some((Agg::Mean, step)),
        (Some(Some(agg)), Some(step)) => Some((agg, step)),
        (Some(Some(_)), None) => {
            return Err(Problem::bad_request(
                "`agg` needs `step`, such as `step=5m`",
            ));
        }
        (Some(None), Some(_)) => {
            return Err(Problem::bad_request("`step` makes no sense with `agg=raw`"));
        }
    };
    let query = SeriesQuery {
        series: Series {
            device: entry.key,
            metric,
        },
        from,
        to,
        limit: params.limit(POINTS_DEFAULT, 1..=POINTS_MAX)?,
    };
    let Some(long_term) = &shared.long_term else {
        return work(&shared, "read history", move |hub| local(hub, &query, agg)).await;
    };
    let Some(def) = shared.catalogue.def(metric) else {
        return Err(Problem::internal("read history", &"a metric without a row"));
    };
    let range = LongRange {
        device: entry.device.id.clone(),
        metric: name.to_owned(),
        shape: def.shape,
        query,
        agg,
        now: shared.clock.now(),
    };
    let answer = long_term.page(range).await?;
    work(&shared, "write history", move |hub| {
        series(hub, &query, &answer.page, answer.missing.as_ref())
    })
    .await
}

/// Answers from the journal alone.
fn local(hub: &Inner, query: &SeriesQuery, agg: Option<(Agg, i64)>) -> Result<Written, Problem> {
    let page = match agg {
        None => hub.reader.readings(query),
        Some((agg, step_ms)) => hub.reader.buckets(query, step_ms, agg),
    };
    let page = page.map_err(|error| store_problem("read history", &error))?;
    series(hub, query, &page, None)
}

fn series(
    hub: &Inner,
    query: &SeriesQuery,
    page: &Page,
    missing: Option<&MissingRange>,
) -> Result<Written, Problem> {
    let points: Vec<Value> = page
        .points
        .iter()
        .map(|point| {
            json!([
                point.at.millis(),
                value_json(&point.value),
                point.quality.to_string()
            ])
        })
        .collect();
    let def = hub.catalogue.def(query.series.metric);
    let mut body = json!({
        "metric": def.map(|def| def.name.as_str()),
        "unit": def.map(|def| def.unit.as_str()),
        "points": points,
        "next": page.next.map(|at| at.millis().to_string()),
    });
    if let (Some(missing), Some(body)) = (missing, body.as_object_mut()) {
        body.insert("partial".to_owned(), json!(missing));
    }
    Written::json(&body)
}

/// Reads `500ms`, `60s`, `5m`, `1h`, `1d`, or a plain count of milliseconds.
fn parse_step(text: &str) -> Result<i64, Problem> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match text.strip_prefix(digits) {
        Some("" | "ms") => Some(1),
        Some("s") => Some(1_000),
        Some("m") => Some(60_000),
        Some("h") => Some(3_600_000),
        Some("d") => Some(86_400_000),
        _ => None,
    };
    let count: Option<i64> = digits.parse().ok().filter(|count| *count > 0);
    count
        .zip(unit_ms)
        .and_then(|(count, unit_ms): (i64, i64)| count.checked_mul(unit_ms))
        .ok_or_else(|| {
            let detail = format!(
                "query parameter `step`: `{text}` is no duration such as `60s`, `5m`, `1h`, `1d`, \
                 `500ms` or a count of milliseconds"
            );
            Problem::bad_request(detail)
        })
}

/// `GET /api/v1/latest`
pub(crate) async fn latest(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Written, Problem> {
    let params = raw.only(&["kind"])?;
    let kind = params.text("kind").map(str::to_owned);
    if let Some(kind) = &kind
        && !shared.catalogue.has_kind(kind)
    {
        return Err(Problem::bad_request(format!("unknown kind `{kind}`")));
    }
    work(&shared, "read the latest values", move |hub| {
        let entries = hub.devices.all();
        let wanted =
            |entry: &&Arc<DeviceEntry>| kind.as_ref().is_none_or(|kind| *kind == entry.device.kind);
        let rows = entries.iter().filter(wanted).flat_map(|entry| {
            let latest = hub.reader.latest(entry.key).into_iter();
            latest.filter_map(|reading| Last::of(&hub.catalogue, entry, &reading))
        });
        let limited = rows.enumerate().map(|(index, row)| {
            if index < LATEST_MAX {
                return Ok(row);
            }
            let detail = format!("more than {LATEST_MAX} series; ask kind by kind");
            Err(Problem::invalid(detail))
        });
        Written::items(limited)
    })
    .await
}

/// The last reading of one series.
#[derive(Debug, Serialize)]
struct Last<'a> {
    device: &'a DeviceId,
    kind: &'a str,
    metric: &'a str,
    unit: &'a str,
    value: Value,
    quality: String,
    observed_at: Timestamp,
    received_at: Timestamp,
}

impl<'a> Last<'a> {
    fn of(catalogue: &'a Catalogue, entry: &'a DeviceEntry, reading: &Reading) -> Option<Self> {
        let def = catalogue.def(reading.series.metric)?;
        Some(Self {
            device: &entry.device.id,
            kind: &entry.device.kind,
            metric: &def.name,
            unit: &def.unit,
            value: value_json(&reading.value),
            quality: reading.quality.to_string(),
            observed_at: reading.observed_at,
            received_at: reading.received_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::parse_step;

    #[test]
    fn a_step_is_a_duration_or_milliseconds() {
        let cases = [
            ("60s", 60_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("250ms", 250),
            ("1000", 1_000),
        ];
        for (text, ms) in cases {
            assert_eq!(parse_step(text).unwrap(), ms, "{text}");
        }
        for text in [
            "",
            "0",
            "-5s",
            "5x",
            "m",
            "1.5h",
            "999999999999999999d",
            "5 m",
        ] {
            assert!(parse_step(text).is_err(), "{text}");
        }
    }
}
