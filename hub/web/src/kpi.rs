//! Evaluation (综合评价): the indicators of a period, by region, unit, category or kind.

mod cases;
mod gather;
mod load;
mod month;
mod online;
mod sheet;
#[cfg(test)]
mod tests;

pub(crate) use month::monthly;

use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{Shared, work};
use axum::Json;
use axum::extract::State;
use cases::{Period, Sums, rate};
use model::{AlarmRow, CaseRow};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The period where none is given.
const DAYS_DEFAULT: i64 = 30;

/// Digits of a grid code that name the district, and the street (GB/T 30428.1).
const DISTRICT_DIGITS: usize = 6;
const STREET_DIGITS: usize = 9;

/// By what the cases and alarms of a period are put together.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum GroupBy {
    District,
    Street,
    Grid,
    Unit,
    Category,
    Kind,
}

const GROUPS: [(&str, GroupBy); 6] = [
    ("district", GroupBy::District),
    ("street", GroupBy::Street),
    ("grid", GroupBy::Grid),
    ("unit", GroupBy::Unit),
    ("category", GroupBy::Category),
    ("kind", GroupBy::Kind),
];

impl GroupBy {
    /// The empty text stands for what is not known.
    fn of_case(self, case: &CaseRow) -> String {
        let text = match self {
            Self::District => case.district.as_deref(),
            Self::Street => case.street.as_deref(),
            Self::Grid => case.grid.as_deref(),
            Self::Unit => case.unit.as_deref(),
            Self::Category => Some(case.category.code.as_str()),
            Self::Kind => Some(case.kind.as_str()),
        };
        text.unwrap_or_default().to_owned()
    }

    /// An alarm with a case is in the group of the case.
    fn of_alarm(self, alarm: &AlarmRow, case: Option<&Counted>, city: &str) -> String {
        if let Some(case) = case {
            return case.group.clone();
        }
        let grid = alarm.grid.as_deref();
        let text = match self {
            Self::District => grid.map_or(Some(city), |grid| grid.get(..DISTRICT_DIGITS)),
            Self::Street => grid.and_then(|grid| grid.get(..STREET_DIGITS)),
            Self::Grid => grid,
            Self::Unit => None,
            Self::Category => alarm.category.as_deref(),
            Self::Kind => Some(alarm.kind.as_str()),
        };
        text.unwrap_or_default().to_owned()
    }

    fn name_cn(self) -> &'static str {
        match self {
            Self::District => "区县",
            Self::Street => "街道",
            Self::Grid => "单元网格",
            Self::Unit => "责任单位",
            Self::Category => "类别",
            Self::Kind => "设备类型",
        }
    }
}

/// What is kept of a case once it is counted: a city has too many to keep them whole.
#[derive(Clone, Debug)]
struct Counted {
    group: String,
    is_registered: bool,
}

/// Waits until no other period is being evaluated: each takes memory for the alarms of its period.
async fn turn() -> Option<SemaphorePermit<'static>> {
    static EVALUATIONS: Semaphore = Semaphore::const_new(1);
    // It is never closed.
    EVALUATIONS.acquire().await.ok()
}

/// A period, evaluated.
#[derive(Clone, Debug)]
struct Evaluation {
    period: Period,
    by: GroupBy,
    total: Sums,
    groups: BTreeMap<String, Sums>,
    load: Value,
    online: online::ByKind,
}

/// A row of the table of indicators.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Indicator {
    name: String,
    name_cn: String,
    formula: String,
    source: String,
    certainty: String,
    /// What the standard asks for.
    target: Option<f64>,
}

/// Gives the table of indicators, with formula, source and certainty.
fn indicators() -> Vec<Indicator> {
    const TABLE: &str = include_str!("../data/indicators.csv");
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(TABLE.as_bytes());
    let rows = reader.deserialize().collect::<Result<_, _>>();
    rows.expect("a test reads the whole table")
}

impl Evaluation {
    fn online_rates(&self) -> Map<String, Value> {
        let share = |(online, used): (i64, i64)| rate(online.unsigned_abs(), used.unsigned_abs());
        let kinds = self.online.iter();
        kinds
            .map(|(kind, sums)| (kind.clone(), share(*sums)))
            .collect()
    }

    fn online_rate(&self) -> Value {
        let sums = self.online.values();
        let (online, used) = sums.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        rate(online.unsigned_abs(), used.unsigned_abs())
    }

    fn to_json(&self) -> Value {
        let groups = self.groups.iter();
        let groups =
            groups.map(|(key, sums)| json!({ "key": key, "indicators": sums.indicators() }));
        json!({
            "from": self.period.0,
            "to": self.period.1,
            "by": self.by,
            "total": self.total.indicators(),
            "groups": groups.collect::<Vec<_>>(),
            "devices": { "online_rate": self.online_rate(), "by_kind": self.online_rates() },
            "alarm_load": self.load,
            "indicators": indicators(),
        })
    }
}

/// `GET /api/v1/kpi`
pub(crate) async fn show(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    let params = raw.only(&["from", "to", "by"])?;
    let now = shared.clock.now();
    // What has not been yet is not evaluated.
    let to = params.time("to")?.unwrap_or(now).min(now);
    let from = params.time("from")?;
    let from = from.unwrap_or_else(|| to.plus_s(-DAYS_DEFAULT * 86_400));
    if from >= to {
        let detail = format!("`from` ({from}) is not before `to` ({to})");
        return Err(Problem::bad_request(detail));
    }
    let by = params.word("by", &GROUPS)?.unwrap_or(GroupBy::District);
    let _turn = turn().await;
    work(&shared, "evaluate a period", move |hub| {
        Evaluation::of(hub, (from, to), by).map(|evaluation| Json(evaluation.to_json()))
    })
    .await
}
