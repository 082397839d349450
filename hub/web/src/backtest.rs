//! Backtests over the API: what rules would have done, beside what the rules in force would have.

mod compare;
mod coverage;
mod rate;
mod replay;
mod review;
mod sides;

pub use self::compare::{Diff, Tally};
pub use self::coverage::Coverage;
pub use self::rate::Rate;
pub use self::review::{Progress, Review, ReviewError, Reviewed, TestedAlarm};

use crate::guard::BACKTEST_DEADLINE;
use crate::problem::Problem;
use crate::query::{RawParams, json_body};
use crate::rulebook::{check_id, rule_problem};
use crate::state::{Inner, Shared, store_problem, work};
use crate::written::Written;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::Timestamp;
use rules::Rule;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::convert::Infallible;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Rules of one backtest.
const RULES_MAX: usize = 1_000;

/// Alarm rows of one answer; all of them are counted.
const ALARMS_SHOWN_MAX: usize = 10_000;

/// Lines on their way to a listener; a slow one misses progress, never the result.
const LINES_MAX: usize = 16;

const NDJSON: &str = "application/x-ndjson";

/// A request whose rules could not all be read has nobody to answer to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    rules: Vec<Map<String, Value>>,
    from: Timestamp,
    to: Timestamp,
    /// These rules would be all there are: what others raise is lost.
    #[serde(default)]
    whole: bool,
}

/// What a backtest found; what it rests on comes first.
#[derive(Serialize)]
struct Found<'a> {
    coverage: &'a Coverage,
    alarms: &'a [TestedAlarm],
    alarms_total: usize,
    rate_per_10_min: Value,
    diff: Value,
}

/// `POST /api/v1/rules/backtest`
pub(crate) async fn run(
    State(shared): State<Shared>,
    headers: HeaderMap,
    raw: RawParams,
    body: Bytes,
) -> Result<Response, Problem> {
    let params = raw.only(&["stream"])?;
    let accepts = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains(NDJSON));
    let is_streamed = params.flag("stream")? || headers.get(header::ACCEPT).is_some_and(accepts);
    let request: Request = json_body(&body)?;
    if request.from >= request.to {
        return Err(Problem::invalid(format!(
            "`from` ({}) is not before `to` ({})",
            request.from, request.to
        )));
    }
    let rules = read_rules(&shared, request.rules)?;
    let task = Task {
        rules,
        span: (request.from, request.to),
        whole: request.whole,
        give_up_at: Instant::now() + BACKTEST_DEADLINE,
        cancel: shared.stop.child_token(),
    };
    // One at a time: a backtest takes a whole core.
    let Ok(turn) = std::sync::Arc::clone(&shared.backtests).try_acquire_owned() else {
        return Err(Problem::busy("another backtest is under way"));
    };
    if is_streamed {
        return Ok(stream(shared, task, turn));
    }
    let _cancelled_with_the_request = task.cancel.clone().drop_guard();
    let written = work(&shared, "run the backtest", move |hub| {
        let _turn = turn;
        task.run(hub, &mut |_| {})
    })
    .await?;
    Ok(written.into_response())
}

/// Answers line by line: progress while it runs, then the result.
fn stream(shared: Shared, task: Task, turn: OwnedSemaphorePermit) -> Response {
    let (lines, receiver) = mpsc::channel::<Bytes>(LINES_MAX);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let written = task.run(&shared, &mut |progress| {
            if lines.is_closed() {
                task.cancel.cancel();
            }
            let line = json!({"progress": progress}).to_string() + "\n";
            // A line that finds no room is no loss: the next one says more.
            drop(lines.try_send(line.into()));
        });
        let line = match written {
            Ok(written) => written.into_text(),
            Err(problem) => problem.line(),
        };
        drop(lines.blocking_send((line + "\n").into()));
    });
    let lines = futures_util::stream::unfold(receiver, async |mut receiver| {
        let line = receiver.recv().await?;
        Some((Ok::<_, Infallible>(line), receiver))
    });
    let ndjson = HeaderValue::from_static(NDJSON);
    ([(header::CONTENT_TYPE, ndjson)], Body::from_stream(lines)).into_response()
}

/// One backtest.
struct Task {
    rules: Vec<Rule>,
    span: (Timestamp, Timestamp),
    whole: bool,
    give_up_at: Instant,
    cancel: CancellationToken,
}

impl Task {
    fn run(&self, hub: &Inner, tell: &mut dyn FnMut(Progress)) -> Result<Written, Problem> {
        let (from, to) = self.span;
        let review = Review {
            reader: &hub.reader,
            catalogue: &hub.catalogue,
            settings: &hub.rule_settings,
            devices: hub.devices.all(),
            rules: self.rules.clone(),
            in_force: Some(in_force(hub)?),
            whole: self.whole,
            span: (from, to),
            now: hub.clock.now(),
        };
        let reviewed = review.run(&mut |progress| {
            tell(progress);
            !self.cancel.is_cancelled() && Instant::now() < self.give_up_at
        });
        let reviewed = reviewed.map_err(|error| match error {
            ReviewError::Cancelled => Problem::busy(format!(
                "the backtest was given up after {} s",
                BACKTEST_DEADLINE.as_secs()
            )),
            ReviewError::Store(error) => store_problem("run the backtest", &error),
        })?;
        Written::json(&Found {
            coverage: &reviewed.coverage,
            alarms: reviewed.shown(ALARMS_SHOWN_MAX),
            alarms_total: reviewed.alarms.len(),
            rate_per_10_min: reviewed.rates(),
            diff: reviewed
                .diff
                .as_ref()
                .map_or(Value::Null, |diff| diff.to_json(ALARMS_SHOWN_MAX)),
        })
    }
}

/// Gives the rules that the hub runs with, without its own.
fn in_force(hub: &Inner) -> Result<Vec<Rule>, Problem> {
    let entries = hub.rules.all().into_iter();
    entries
        .filter(|entry| !entry.id.starts_with('~'))
        .map(|entry| {
            let spec = rules::parse_json(&entry.id, &entry.spec)
                .map_err(|error| Problem::internal("read the rules in force", &error))?;
            Ok(Rule {
                id: entry.id,
                revision: entry.revision,
                spec,
            })
        })
        .collect()
}

fn read_rules(shared: &Shared, specs: Vec<Map<String, Value>>) -> Result<Vec<Rule>, Problem> {
    if specs.is_empty() || specs.len() > RULES_MAX {
        let detail = format!("`rules` must hold 1 to {RULES_MAX} rules");
        return Err(Problem::invalid(detail));
    }
    let mut ids = HashSet::new();
    let mut rules = Vec::with_capacity(specs.len());
    for (index, mut spec) in specs.into_iter().enumerate() {
        let Some(Value::String(id)) = spec.remove("id") else {
            return Err(Problem::invalid(format!(
                "rule {}: `id` is missing",
                index + 1
            )));
        };
        check_id(&id)?;
        spec.remove("revision");
        let parsed =
            rules::parse_json(&id, &Value::Object(spec)).map_err(|error| rule_problem(&error))?;
        parsed
            .validate(&shared.catalogue)
            .map_err(|error| rule_problem(&error))?;
        if !ids.insert(id.clone()) {
            return Err(Problem::invalid(format!("rule `{id}` is given twice")));
        }
        rules.push(Rule {
            id,
            revision: 0,
            spec: parsed,
        });
    }
    Ok(rules)
}
