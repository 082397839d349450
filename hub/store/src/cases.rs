//! Reading cases: the open ones and all that ever were.

use crate::conditions::Conditions;
use crate::db::sqlite_error;
use crate::error::{Result, StoreError};
use crate::reader::Reader;
use model::{CaseRow, CaseState, DeviceId, Severity, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

/// Cases that a query counts at most: who finds more than that must ask for less.
const MATCHED_MAX: u64 = 100_000;

/// Which states of cases to give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CaseFilter {
    /// Everything that somebody still has to do something about.
    #[default]
    Open,
    All,
    Only(Vec<CaseState>),
}

/// Which cases to give, newest first.
#[derive(Clone, Debug, Default)]
pub struct CaseQuery {
    pub states: CaseFilter,
    /// Empty lets every severity pass.
    pub severities: Vec<Severity>,
    /// The beginning of a category code.
    pub category: Option<String>,
    /// The beginning of a grid code: a street or a community is one.
    pub grid: Option<String>,
    pub district: Option<String>,
    pub street: Option<String>,
    /// The unit that answers for it.
    pub unit: Option<String>,
    /// Kind of the device.
    pub kind: Option<String>,
    pub device: Option<DeviceId>,
    pub overdue: bool,
    /// Only those that no table could give to anybody.
    pub unroutable: bool,
    /// A part of the id, title, category, device, site, rule, alarm or unit.
    pub q: Option<String>,
    pub opened_from: Option<Timestamp>,
    pub opened_to: Option<Timestamp>,
    /// The `next` of the page before.
    pub after: Option<u64>,
    pub limit: usize,
}

/// Some cases, newest first, each as the JSON text of its row.
#[derive(Clone, Debug, Default)]
pub struct CasePage {
    pub rows: Vec<String>,
    /// The numbers of the cases in `rows`.
    pub numbers: Vec<u64>,
    /// How many cases the query finds on all its pages, 100,000 at most.
    pub matched: u64,
    pub next: Option<u64>,
}

/// Reads the number in a case's id.
pub(crate) fn number_of(id: &str) -> Option<u64> {
    id.strip_prefix('c')?.parse().ok()
}

fn conditions_of(query: &CaseQuery) -> Conditions {
    let mut conditions = Conditions::default();
    match &query.states {
        CaseFilter::Open => conditions.add("open = 1", []),
        CaseFilter::All => conditions.add("1", []),
        CaseFilter::Only(states) => {
            // What is open has an index of its own.
            if states.iter().all(|state| state.is_open()) {
                conditions.add("open = 1", []);
            }
            conditions.any_of("state", states.iter().map(|state| state.name()));
        }
    }
    if !query.severities.is_empty() {
        let names = query.severities.iter().map(|severity| severity.name());
        conditions.any_of("severity", names);
    }
    conditions.begins_with("category", query.category.as_deref());
    conditions.begins_with("grid", query.grid.as_deref());
    conditions.equal("district", query.district.as_deref());
    conditions.equal("street", query.street.as_deref());
    conditions.equal("unit", query.unit.as_deref());
    conditions.equal("kind", query.kind.as_deref());
    conditions.equal("device", query.device.as_ref().map(DeviceId::as_str));
    if query.overdue {
        conditions.add("overdue = 1", []);
    }
    if query.unroutable {
        conditions.add("unroutable = 1", []);
    }
    if let Some(q) = query.q.as_deref().filter(|q| !q.is_empty()) {
        conditions.add("instr(words, ?) > 0", [Value::from(q.to_lowercase())]);
    }
    if let Some(from) = query.opened_from {
        conditions.add("opened_at >= ?", [Value::from(from.millis())]);
    }
    if let Some(to) = query.opened_to {
        conditions.add("opened_at < ?", [Value::from(to.millis())]);
    }
    conditions
}

/// Names the table, with the index that answers alone where there is one: the planner would take
/// another and read every row.
fn source(query: &CaseQuery) -> &'static str {
    let is_open = match &query.states {
        CaseFilter::Open => true,
        CaseFilter::All => false,
        CaseFilter::Only(states) => states.iter().all(|state| state.is_open()),
    };
    let has_other = query.grid.is_some()
        || query.device.is_some()
        || query.overdue
        || query.unroutable
        || query.q.is_some()
        || query.opened_from.is_some();
    if is_open && !has_other {
        "case_row INDEXED BY case_open"
    } else {
        "case_row"
    }
}

fn count(conn: &Connection, source: &str, conditions: &Conditions) -> Result<u64> {
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {} LIMIT {MATCHED_MAX})",
        conditions.sql.join(" AND ")
    );
    conn.prepare_cached(&sql)
        .and_then(|mut query| {
            let params = params_from_iter(conditions.params.iter());
            query.query_row(params, |row| row.get(0))
        })
        .map_err(sqlite_error("counting cases"))
}

fn parse(json: &str) -> Result<CaseRow> {
    serde_json::from_str(json)
        .map_err(|error| StoreError::Damaged(format!("the row of a case: {error}")))
}

fn read_json(conn: &Connection, sql: &str, params: Vec<Value>) -> Result<Vec<(u64, String)>> {
    let failed = sqlite_error("reading cases");
    let mut query = conn.prepare_cached(sql).map_err(failed)?;
    let rows = query
        .query_map(params_from_iter(params), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed)
}

impl Reader {
    /// Gives cases, newest first.
    pub fn cases(&self, query: &CaseQuery) -> Result<CasePage> {
        let mut conditions = conditions_of(query);
        let conn = self.shared.pool.take()?;
        let source = source(query);
        let matched = count(&conn, source, &conditions)?;
        if matched == 0 {
            return Ok(CasePage::default());
        }
        if let Some(after) = query.after {
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            conditions.add("number < ?", [Value::from(after)]);
        }
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        // One more than asked for tells whether there is a next page.
        conditions.params.push(limit.saturating_add(1).into());
        let sql = format!(
            "SELECT number, json FROM case_json WHERE number IN
               (SELECT number FROM {source} WHERE {} ORDER BY number DESC LIMIT ?)
             ORDER BY number DESC",
            conditions.sql.join(" AND ")
        );
        let mut rows = read_json(&conn, &sql, conditions.params)?;
        let has_more = rows.len() > query.limit;
        rows.truncate(query.limit);
        let next = rows.last().filter(|_| has_more).map(|(number, _)| *number);
        Ok(CasePage {
            matched,
            numbers: rows.iter().map(|(number, _)| *number).collect(),
            rows: rows.into_iter().map(|(_, json)| json).collect(),
            next,
        })
    }

    pub fn case(&self, id: &str) -> Result<Option<CaseRow>> {
        let Some(number) = number_of(id).and_then(|number| i64::try_from(number).ok()) else {
            return Ok(None);
        };
        let conn = self.shared.pool.take()?;
        let json: Option<String> = conn
            .prepare_cached("SELECT json FROM case_json WHERE number = ?1")
            .and_then(|mut query| query.query_row([number], |row| row.get(0)).optional())
            .map_err(sqlite_error("reading a case"))?;
        let row = json.as_deref().map(parse).transpose()?;
        // `c01` is not the id of a case, though its number is that of one.
        Ok(row.filter(|row| row.id == id))
    }

    /// Gives the versions that a case had, oldest first, with the stamps of their commits: the first
    /// and the newest, `limit` at most. Those of a database of an earlier version are not known.
    pub fn case_versions(&self, id: &str, limit: usize) -> Result<Vec<(u64, Timestamp)>> {
        let failed = sqlite_error("reading the versions of a case");
        let Some(number) = number_of(id).and_then(|number| i64::try_from(number).ok()) else {
            return Ok(Vec::new());
        };
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached(
                "SELECT version, at FROM (SELECT version, at FROM case_version WHERE number = ?1
                   ORDER BY version = 1 DESC, version DESC LIMIT ?2) ORDER BY version",
            )
            .map_err(failed)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query
            .query_map([number, limit], |row| {
                Ok((row.get(0)?, Timestamp::from_millis(row.get(1)?)))
            })
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Gives the open cases and those closed since then, oldest first, and the number of the last
    /// case that ever was.
    pub fn cases_at_hand(&self, closed_since: Timestamp) -> Result<(Vec<CaseRow>, u64)> {
        let conn = self.shared.pool.take()?;
        let rows = read_json(
            &conn,
            "SELECT number, json FROM case_json WHERE number IN
               (SELECT number FROM case_row WHERE open = 1
                UNION ALL SELECT number FROM case_row WHERE open = 0 AND closed_at >= ?)
             ORDER BY number",
            vec![closed_since.millis().into()],
        )?;
        let last: Option<u64> = conn
            .query_row("SELECT max(number) FROM case_row", [], |row| row.get(0))
            .map_err(sqlite_error("reading the last case"))?;
        let rows = rows.iter().map(|(_, json)| parse(json));
        Ok((rows.collect::<Result<_>>()?, last.unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::{CaseFilter, CaseQuery, conditions_of, source};
    use crate::db::CASES;
    use model::{CaseState, Severity};
    use rusqlite::{Connection, params_from_iter};

    #[test]
    fn a_filter_on_open_cases_reads_an_index_alone() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(CASES).unwrap();
        let text = || Some("x".to_owned());
        let all = CaseQuery::default;
        for (index, query) in [
            ("case_text", CaseQuery { q: text(), ..all() }),
            (
                "case_open",
                CaseQuery {
                    severities: vec![Severity::Major],
                    ..all()
                },
            ),
            (
                "case_open",
                CaseQuery {
                    category: text(),
                    ..all()
                },
            ),
            (
                "case_open",
                CaseQuery {
                    district: text(),
                    ..all()
                },
            ),
            (
                "case_open",
                CaseQuery {
                    street: text(),
                    ..all()
                },
            ),
            (
                "case_open",
                CaseQuery {
                    unit: text(),
                    ..all()
                },
            ),
            (
                "case_open",
                CaseQuery {
                    kind: text(),
                    ..all()
                },
            ),
            (
                "case_open",
                CaseQuery {
                    states: CaseFilter::Only(vec![CaseState::Reported]),
                    ..all()
                },
            ),
        ] {
            let conditions = conditions_of(&query);
            let sql = format!(
                "EXPLAIN QUERY PLAN SELECT number FROM {} WHERE {} ORDER BY number DESC",
                source(&query),
                conditions.sql.join(" AND ")
            );
            let params = params_from_iter(conditions.params.iter());
            let plan: String = conn.query_row(&sql, params, |row| row.get(3)).unwrap();
            let expected = format!("SCAN case_row USING COVERING INDEX {index}");
            assert_eq!(plan, expected, "{}", conditions.sql.join(" AND "));
        }
    }
}
