//! Events and rules: what the tables hold against what was noted beside them.

use crate::db::{get_meta, has_event_sums, sqlite_error};
use crate::error::Result;
use crate::statements::event_sum;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Problems of one table that are named one by one.
const NAMED_MAX: usize = 20;

/// Problems of one table, of which only the first are named.
#[derive(Default)]
struct Named {
    problems: Vec<String>,
    unnamed: usize,
}

impl Named {
    fn add(&mut self, problem: String) {
        if self.problems.len() < NAMED_MAX {
            self.problems.push(problem);
        } else {
            self.unnamed += 1;
        }
    }

    fn into(self, what: &str, problems: &mut Vec<String>) {
        problems.extend(self.problems);
        if self.unnamed > 0 {
            problems.push(format!("{} more problems with {what}", self.unnamed));
        }
    }
}

/// Looks for events that are missing or other than they were written; gives how many there are.
pub(super) fn check_events(conn: &Connection, problems: &mut Vec<String>) -> Result<u64> {
    let failed = sqlite_error("checking events");
    let has_sums = has_event_sums(conn).map_err(failed)?;
    let sum = if has_sums { "crc" } else { "NULL" };
    let mut query = conn
        .prepare(&format!("SELECT seq, json, {sum} FROM event ORDER BY seq"))
        .map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    let mut named = Named::default();
    let mut count = 0;
    // A database of an earlier version does not say where its events begin.
    let mut expected = get_meta::<u64>(conn, "events_from")?;
    while let Some(row) = rows.next().map_err(failed)? {
        count += 1;
        let seq: u64 = row.get(0).map_err(failed)?;
        let sum: Option<u32> = row.get(2).map_err(failed)?;
        let json = row.get_ref(1).map_err(failed)?.as_bytes().ok();
        let json = json.and_then(|bytes| std::str::from_utf8(bytes).ok());
        if sum.is_some() && sum != json.map(|json| event_sum(seq, json)) {
            named.add(format!("event {seq} is not as it was written"));
        }
        if let Some(expected) = expected.filter(|expected| *expected < seq) {
            named.add(missing(expected, seq - 1));
        }
        expected = Some(seq + 1);
    }
    let last = get_meta::<u64>(conn, "last_event")?.filter(|_| has_sums);
    if let (Some(expected), Some(last)) = (expected, last)
        && expected <= last
    {
        named.add(missing(expected, last));
    }
    named.into("events", problems);
    Ok(count)
}

fn missing(first: u64, last: u64) -> String {
    if first == last {
        format!("event {first} is missing")
    } else {
        format!("events {first} to {last} are missing")
    }
}

/// The changes of rules among those that are recorded.
#[derive(Deserialize)]
struct Change {
    put_rule: Option<Put>,
    delete_rule: Option<Delete>,
}

#[derive(Deserialize)]
struct Put {
    id: String,
    revision: u64,
    spec: Value,
}

#[derive(Deserialize)]
struct Delete {
    id: String,
}

/// Compares each rule with the last change of it that is recorded.
pub(super) fn check_rules(conn: &Connection, problems: &mut Vec<String>) -> Result<()> {
    let failed = sqlite_error("checking rules");
    let mut recorded = BTreeMap::new();
    // Most changes are of devices, which need not be read.
    let mut query = conn
        .prepare("SELECT json FROM change WHERE instr(json, '_rule\"') > 0 ORDER BY id")
        .map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let json: String = row.get(0).map_err(failed)?;
        let Ok(change) = serde_json::from_str::<Change>(&json) else {
            continue;
        };
        if let Some(put) = change.put_rule {
            recorded.insert(put.id, (put.revision, put.spec));
        }
        if let Some(delete) = change.delete_rule {
            recorded.remove(&delete.id);
        }
    }
    let mut query = conn
        .prepare("SELECT id, revision, spec FROM rule ORDER BY id")
        .map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    let mut named = Named::default();
    while let Some(row) = rows.next().map_err(failed)? {
        let id: String = row.get(0).map_err(failed)?;
        let revision: u64 = row.get(1).map_err(failed)?;
        let spec: String = row.get(2).map_err(failed)?;
        match recorded.remove(&id) {
            None => named.add(format!("rule `{id}` is in force without a recorded change")),
            Some(recorded) => {
                let spec = serde_json::from_str::<Value>(&spec).ok();
                if (Some(recorded.1), recorded.0) != (spec, revision) {
                    named.add(format!("rule `{id}` is not as it was last put"));
                }
            }
        }
    }
    for id in recorded.into_keys() {
        named.add(format!("rule `{id}` is missing"));
    }
    named.into("rules", problems);
    Ok(())
}
