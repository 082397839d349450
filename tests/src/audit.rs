//! What must be true of a hub after anything: the ledger balances, events have no hole.

use crate::http::Api;
use crate::schema;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One row of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub received: u64,
    pub stored: u64,
    pub duplicate: u64,
    pub late: u64,
    pub rejected: BTreeMap<String, u64>,
}

impl Counts {
    fn read(row: &Value) -> Self {
        let number = |name: &str| {
            row[name]
                .as_u64()
                .unwrap_or_else(|| panic!("no count {name} in {row}"))
        };
        let rejected = row["rejected"].as_object();
        Self {
            received: number("received"),
            stored: number("stored"),
            duplicate: number("duplicate"),
            late: number("late"),
            rejected: rejected
                .unwrap_or_else(|| panic!("no reasons in {row}"))
                .iter()
                .map(|(reason, count)| (reason.clone(), count.as_u64().expect("a count")))
                .collect(),
        }
    }

    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Gives what was counted since `before`, without reasons that did not move.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let old = |reason: &str| before.rejected.get(reason).copied().unwrap_or(0);
        Self {
            received: self.received - before.received,
            stored: self.stored - before.stored,
            duplicate: self.duplicate - before.duplicate,
            late: self.late - before.late,
            rejected: self
                .rejected
                .iter()
                .map(|(reason, count)| (reason.clone(), count - old(reason)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }
}

/// The ledger, every row of which has been seen to balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub total: Counts,
    pub drivers: BTreeMap<String, Counts>,
    pub devices: BTreeMap<String, Counts>,
}

impl Ledger {
    pub fn device(&self, id: &str) -> Counts {
        self.devices.get(id).cloned().unwrap_or_default()
    }

    pub fn driver(&self, name: &str) -> Counts {
        self.drivers.get(name).cloned().unwrap_or_default()
    }
}

/// Reads the ledger and demands received = stored + duplicate + rejected in every row, and that
/// the drivers add up to the total.
#[track_caller]
pub fn ledger(api: &Api) -> Ledger {
    let json = api.get("/api/v1/ledger");
    let rows = |name: &str| -> BTreeMap<String, Counts> {
        let rows = json[name]
            .as_object()
            .unwrap_or_else(|| panic!("no {name}: {json}"));
        rows.iter()
            .map(|(key, row)| (key.clone(), Counts::read(row)))
            .collect()
    };
    let ledger = Ledger {
        total: Counts::read(&json["total"]),
        drivers: rows("drivers"),
        devices: rows("devices"),
    };
    let all = ledger.drivers.iter().chain(&ledger.devices);
    let all = all.map(|(name, row)| (name.as_str(), row));
    for (name, row) in all.chain([("total", &ledger.total)]) {
        let accounted = row.stored + row.duplicate + row.rejected_total();
        assert_eq!(row.received, accounted, "{name} does not balance: {row:?}");
        assert!(
            row.late <= row.stored,
            "{name}: late is part of stored: {row:?}"
        );
    }
    let sum = |field: fn(&Counts) -> u64| ledger.drivers.values().map(field).sum::<u64>();
    assert_eq!(
        sum(|row| row.received),
        ledger.total.received,
        "drivers add up"
    );
    assert_eq!(sum(|row| row.stored), ledger.total.stored, "drivers add up");
    assert_eq!(
        sum(|row| row.duplicate),
        ledger.total.duplicate,
        "drivers add up"
    );
    ledger
}

/// Reads all events by cursor and demands the numbers 1, 2, 3 … without a hole, each event once.
#[track_caller]
pub fn events(api: &Api) -> Vec<Value> {
    let mut events = Vec::new();
    let mut after = 0;
    loop {
        let page = api.get(&format!("/api/v1/events?after={after}&limit=1000"));
        let items = page["items"].as_array().expect("items");
        if items.is_empty() {
            break;
        }
        events.extend(items.iter().cloned());
        after = sequence(items.last().expect("not empty"));
        let next = page["next"]
            .as_u64()
            .or_else(|| page["next"].as_str()?.parse().ok());
        assert_eq!(next, Some(after), "the cursor goes on after the last item");
    }
    check_schemas(api, &events);
    let mut seen = BTreeSet::new();
    for (event, expected) in events.iter().zip(1u64..) {
        assert_eq!(
            sequence(event),
            expected,
            "events are numbered without a hole"
        );
        let version = event["data"]["version"].as_u64();
        if event["type"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("cityhub.alarm."))
        {
            let subject = event["subject"].as_str().expect("a subject").to_owned();
            assert!(seen.insert((subject, version)), "doubled: {event}");
        }
    }
    events
}

/// Demands that every event is as the hub's own JSON Schema of its type says.
#[track_caller]
fn check_schemas(api: &Api, events: &[Value]) {
    let mut schemas = BTreeMap::new();
    for event in events {
        let kind = event["type"].as_str().expect("a type");
        let schema = schemas
            .entry(kind)
            .or_insert_with(|| api.get(&format!("/api/v1/schemas/{kind}")));
        schema::check(event, schema, kind);
    }
}

/// Reads the number of an event: 20 digits.
#[track_caller]
pub fn sequence(event: &Value) -> u64 {
    let text = event["sequence"].as_str().expect("a sequence");
    assert_eq!(text.len(), 20, "{event}");
    text.parse().expect("digits")
}

/// Demands that the events of every alarm make a life that can be (ADR 0009), and gives how many
/// alarms were announced as they were raised.
///
/// An alarm begins once. Its condition ends with `cleared` if people had been told of it and with
/// `settled` if not; only late readings open it again or take it back, and nothing else moves it.
#[track_caller]
pub fn alarms_take_turns(events: &[Value]) -> usize {
    let mut active: BTreeMap<&str, bool> = BTreeMap::new();
    let mut raised = 0;
    for event in events {
        let kind = event["type"].as_str().expect("a type");
        let Some(kind) = kind.strip_prefix("cityhub.alarm.") else {
            continue;
        };
        let row = &event["data"];
        let is_active = row["active"].as_bool().expect("the whole row");
        let is_told = row["announced_at"].is_string();
        let subject = event["subject"].as_str().expect("a subject");
        let was = active.insert(subject, is_active);
        let can_be = match kind {
            "raised" => was.is_none() && is_active && is_told,
            "recorded" => was.is_none() && !is_active && !is_told,
            "suppressed" | "shelved" | "out_of_service" if was.is_none() => is_active && !is_told,
            "cleared" => was == Some(true) && !is_active && is_told,
            "settled" => was.is_some() && !is_active,
            "amended" => was.is_some(),
            "withdrawn" => was.is_some() && !is_active,
            "returned" => was == Some(is_active) && is_told,
            _ => was == Some(is_active),
        };
        assert!(can_be, "after active = {was:?}: {event}");
        raised += usize::from(kind == "raised");
    }
    raised
}
