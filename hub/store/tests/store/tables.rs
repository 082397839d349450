//! Everything relational: events, alarms, audit, cursors, register and rules.

use crate::kit::{DAY, Rig, START, at};
use model::{
    AlarmRow, AlarmState, DeviceId, DeviceKey, MinSeverity, Reason, Region, Severity, Timestamp,
};
use serde_json::json;
use store::{
    AlarmQuery, AuditFault, AuditVerdict, EventFilter, NewEvent, Options, StateFilter, StoreError,
    StoredDevice,
};

fn raised(subject: &str, severity: Severity) -> NewEvent<'_> {
    NewEvent {
        kind: "cityhub.alarm.raised",
        subject,
        severity: Some(severity),
        grid: Some("350203001"),
        time: at(START),
        data: r#"{"id":"a1"}"#,
    }
}

fn online(subject: &str) -> NewEvent<'_> {
    NewEvent {
        kind: "cityhub.device.online",
        subject,
        severity: None,
        grid: None,
        time: at(START),
        data: "{}",
    }
}

#[test]
fn events_are_numbered_without_a_hole_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3u64 {
        let mut rig = Rig::open(dir.path());
        assert_eq!(rig.recovered.last_event, round * 2);
        let mut group = rig.begin(START);
        assert_eq!(group.event(&raised("a1", Severity::Major)), round * 2 + 1);
        assert_eq!(group.event(&online("gas-1")), round * 2 + 2);
        rig.journal.commit(group).unwrap();
    }
    let rig = Rig::open(dir.path());
    let all = EventFilter::default();
    let seqs = |after, limit| -> Vec<u64> {
        let events = rig.reader.events(after, limit, &all).unwrap();
        events.iter().map(|event| event.seq).collect()
    };
    assert_eq!(seqs(0, 100), [1, 2, 3, 4, 5, 6]);
    assert_eq!(seqs(2, 2), [3, 4]);
    assert_eq!(seqs(6, 2), Vec::<u64>::new());
    assert_eq!(seqs(u64::MAX, 2), Vec::<u64>::new());
    assert_eq!(rig.reader.event_range().unwrap(), Some((1, 6)));
}

#[test]
fn an_event_is_a_cloud_event() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        source: "cityhub/350200".to_owned(),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options);
    let mut group = rig.begin(START);
    group.event(&raised("a1", Severity::Major));
    rig.journal.commit(group).unwrap();
    let events = rig.reader.events(0, 1, &EventFilter::default()).unwrap();
    let event: serde_json::Value = serde_json::from_str(&events[0].json).unwrap();
    let expected = json!({
        "specversion": "1.0", "id": "1", "source": "cityhub/350200",
        "type": "cityhub.alarm.raised", "subject": "a1", "time": "2026-03-01T00:00:00.000Z",
        "datacontenttype": "application/json", "sequence": "00000000000000000001",
        "data": {"id": "a1"},
    });
    assert_eq!(event, expected);
}

#[test]
fn a_filter_leaves_events_out_and_the_page_tells_how_far_it_looked() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let mut group = rig.begin(START);
    group.event(&raised("a1", Severity::Minor));
    group.event(&online("gas-1"));
    group.event(&raised("a2", Severity::Critical));
    group.event(&online("gas-2"));
    rig.journal.commit(group).unwrap();
    let ask = |filter: EventFilter| {
        let (events, next) = rig.reader.events_page(0, 10, &filter).unwrap();
        (
            events.iter().map(|event| event.seq).collect::<Vec<_>>(),
            next,
        )
    };
    let of_alarms = EventFilter {
        kinds: vec!["cityhub.alarm.".to_owned()],
        ..EventFilter::default()
    };
    assert_eq!(ask(of_alarms), (vec![1, 3], 4));
    let severe = EventFilter {
        min_severity: MinSeverity(Some(Severity::Major)),
        ..EventFilter::default()
    };
    assert_eq!(ask(severe), (vec![2, 3, 4], 4));
    let of_regions = |codes: &[&str]| EventFilter {
        regions: codes
            .iter()
            .map(|code| Region::parse(code).unwrap())
            .collect(),
        city_code: "350200".to_owned(),
        ..EventFilter::default()
    };
    assert_eq!(ask(of_regions(&["350203001"])), (vec![1, 3], 4));
    assert_eq!(ask(of_regions(&["350205", "350203"])), (vec![1, 3], 4));
    assert_eq!(ask(of_regions(&["350205"])), (vec![], 4));
    // What has no place is the city's.
    assert_eq!(ask(of_regions(&["350200"])), (vec![1, 2, 3, 4], 4));
}

#[test]
fn events_past_retention_are_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        events_retention_days: Some(1),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options());
    for day in 0..3 {
        let mut group = rig.begin(START + day * DAY);
        group.event(&NewEvent {
            time: at(START + day * DAY),
            ..online("gas-1")
        });
        rig.journal.commit(group).unwrap();
    }
    rig.tick(START + 2 * DAY + 1);
    let all = EventFilter::default();
    let refused = rig.reader.events(0, 10, &all);
    assert!(
        matches!(refused, Err(StoreError::Expired { oldest: 3 })),
        "{refused:?}"
    );
    assert_eq!(rig.reader.events(2, 10, &all).unwrap().len(), 1);
    rig.tick(START + 9 * DAY);
    assert!(matches!(
        rig.reader.events(0, 10, &all),
        Err(StoreError::Expired { oldest: 4 })
    ));
    drop(rig);
    // Numbers go on although none is left.
    let mut rig = Rig::open_with(dir.path(), options());
    let mut group = rig.begin(START + 9 * DAY);
    assert_eq!(group.event(&online("gas-1")), 4);
    rig.journal.commit(group).unwrap();
    rig.assert_sound();
}

fn alarm(id: &str, raised_at: i64, severity: Severity, state: AlarmState) -> AlarmRow {
    AlarmRow {
        id: id.to_owned(),
        rule: "gas_overpressure".to_owned(),
        rule_revision: 1,
        title: "中压燃气管道超压".to_owned(),
        device: DeviceId::new("gas-0001").unwrap(),
        kind: "gas_pressure".to_owned(),
        site: Some("花园路调压站".to_owned()),
        grid: None,
        severity,
        state,
        active: state != AlarmState::Normal,
        acked: false,
        raised_at: at(raised_at),
        cleared_at: None,
        metric: Some("pressure_kpa".to_owned()),
        value: Some(401.5),
        limit: Some(400.0),
        unit: Some("kPa".to_owned()),
        peak: Some(410.0),
        count: 2,
        owner: None,
        shelved_until: None,
        suppressed_by: None,
        case: None,
        note: None,
        category: None,
        shadow: false,
        rule_kind: None,
        latching: false,
        parent: None,
        scope: None,
        announced_at: None,
        suppression: None,
        returns_at: None,
        shelved_by: None,
        shelve_reason: None,
        shelved_severity: None,
        verdict: None,
        cause: None,
        chattering: false,
        stale: false,
        version: 1,
    }
}

fn some_alarms() -> [AlarmRow; 4] {
    [
        alarm("a1", START, Severity::Minor, AlarmState::Normal),
        alarm("a2", START + 1, Severity::Major, AlarmState::ActiveUnacked),
        alarm("a3", START + 1, Severity::Critical, AlarmState::ActiveAcked),
        AlarmRow {
            title: "Noise".to_owned(),
            kind: "noise".to_owned(),
            ..alarm("a4", START + 2, Severity::Major, AlarmState::ClearedUnacked)
        },
    ]
}

fn put_alarms(rig: &mut Rig, rows: &[AlarmRow]) {
    let mut group = rig.begin(START);
    for row in rows {
        group.alarm(row);
    }
    rig.journal.commit(group).unwrap();
}

#[test]
fn alarms_are_found_by_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    put_alarms(&mut rig, &some_alarms());
    let ask = |query: AlarmQuery| -> Vec<String> {
        let page = rig
            .reader
            .alarms(&AlarmQuery { limit: 10, ..query })
            .unwrap();
        page.rows.into_iter().map(|row| row.id).collect()
    };
    let all = || AlarmQuery {
        states: StateFilter::All,
        ..AlarmQuery::default()
    };
    assert_eq!(ask(AlarmQuery::default()), ["a4", "a3", "a2"]);
    assert_eq!(ask(all()), ["a4", "a3", "a2", "a1"]);
    let states = StateFilter::Only(vec![AlarmState::Normal, AlarmState::ActiveAcked]);
    assert_eq!(ask(AlarmQuery { states, ..all() }), ["a3", "a1"]);
    assert_eq!(
        ask(AlarmQuery {
            severities: vec![Severity::Major],
            ..all()
        }),
        ["a4", "a2"]
    );
    let kind = Some("noise".to_owned());
    assert_eq!(ask(AlarmQuery { kind, ..all() }), ["a4"]);
    let from = Some(Timestamp::from_millis(START + 1));
    let to = Some(Timestamp::from_millis(START + 2));
    assert_eq!(ask(AlarmQuery { from, to, ..all() }), ["a3", "a2"]);
    let q = Some("NOISE".to_owned());
    assert_eq!(ask(AlarmQuery { q, ..all() }), ["a4"]);
    assert_eq!(
        ask(AlarmQuery {
            q: Some("超压".to_owned()),
            ..AlarmQuery::default()
        }),
        ["a3", "a2"]
    );
    assert_eq!(
        ask(AlarmQuery {
            q: Some("' OR 1".to_owned()),
            ..all()
        }),
        Vec::<String>::new()
    );
}

#[test]
fn a_withdrawn_alarm_is_shown_only_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let mut withdrawn = alarm("a1", START, Severity::Minor, AlarmState::Normal);
    withdrawn.note = Some("withdrawn".to_owned());
    let mut said = alarm("a2", START, Severity::Minor, AlarmState::Normal);
    said.note = Some("li: withdrawn".to_owned());
    put_alarms(&mut rig, &[withdrawn.clone(), said]);
    let ask = |withdrawn| -> Vec<String> {
        let query = AlarmQuery {
            states: StateFilter::All,
            withdrawn,
            limit: 10,
            ..AlarmQuery::default()
        };
        let page = rig.reader.alarms(&query).unwrap();
        page.rows.into_iter().map(|row| row.id).collect()
    };
    assert_eq!(ask(false), ["a2"]);
    assert_eq!(ask(true), ["a2", "a1"]);
    assert_eq!(rig.reader.alarm("a1").unwrap(), Some(withdrawn));
}

#[test]
fn alarms_are_found_by_id_and_by_when_they_were_raised() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let rows = some_alarms();
    put_alarms(&mut rig, &rows);
    assert_eq!(rig.reader.alarm("a2").unwrap().as_ref(), Some(&rows[1]));
    assert_eq!(rig.reader.alarm("a9").unwrap(), None);
    let between = rig.reader.alarms_between(at(START), at(START + 2)).unwrap();
    assert_eq!(between, rows[..3]);
    drop(rig);
    let rig = Rig::open(dir.path());
    assert_eq!(rig.recovered.alarms, rows[1..]);
}

#[test]
fn pages_of_alarms_follow_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let mut group = rig.begin(START);
    for n in 0..12 {
        group.alarm(&alarm(
            &format!("a{n}"),
            START + n / 4,
            Severity::Minor,
            AlarmState::Normal,
        ));
    }
    rig.journal.commit(group).unwrap();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let query = AlarmQuery {
            states: StateFilter::All,
            limit: 3,
            after,
            ..AlarmQuery::default()
        };
        let page = rig.reader.alarms(&query).unwrap();
        found.extend(page.rows.into_iter().map(|row| row.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(
        found,
        [
            "a11", "a10", "a9", "a8", "a7", "a6", "a5", "a4", "a3", "a2", "a1", "a0"
        ]
    );
    let bad = AlarmQuery {
        after: Some("x".to_owned()),
        ..AlarmQuery::default()
    };
    assert!(matches!(
        rig.reader.alarms(&bad),
        Err(StoreError::Invalid(_))
    ));
}

#[test]
fn a_changed_audit_row_breaks_the_chain_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    for n in 0..4 {
        let mut group = rig.begin(START + n);
        group.audit("wang", "officer", "ack", &format!("a{n}"), "{}");
        rig.journal.commit(group).unwrap();
    }
    let (links, head) = rig.reader.audit_head().unwrap();
    let noted = None;
    let whole = AuditVerdict::Whole { links, head, noted };
    assert_eq!((rig.reader.verify_audit().unwrap(), links), (whole, 4));
    assert_eq!(rig.reader.audit(1, 2).unwrap()[0].subject, "a1");
    drop(rig);
    let change = |sql: &str| {
        let conn = rusqlite::Connection::open(dir.path().join("main.db")).unwrap();
        assert_eq!(conn.execute(sql, []).unwrap(), 1);
    };
    let broken = || match Rig::open(dir.path()).reader.verify_audit().unwrap() {
        AuditVerdict::Broken(broken) => (broken.number, broken.fault),
        AuditVerdict::Whole { .. } => panic!("it is not whole"),
    };
    change("DELETE FROM audit WHERE seq = 4");
    assert_eq!(broken(), (4, AuditFault::CutOff { counted: 4 }));
    change("UPDATE audit SET actor = 'li' WHERE seq = 2");
    assert_eq!(broken(), (2, AuditFault::Hash));
}

#[test]
fn devices_and_rules_come_back_and_keys_are_never_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let device = |key, id: &str| StoredDevice {
        key,
        device: serde_json::from_value(json!({"id": id, "kind": "smoke"})).unwrap(),
        secret_hash: Some([7; 32]),
        grid: Some("350203001".to_owned()),
    };
    let (first, second) = (rig.journal.next_device_key(), rig.journal.next_device_key());
    let mut group = rig.begin(START);
    group.put_device(&device(first, "s1"));
    group.put_device(&device(second, "s2"));
    group.put_rule("smoke", 3, &json!({"kind": "threshold"}));
    group.put_rule("gone", 1, &json!({}));
    group.change(r#"{"put":"s1"}"#);
    rig.journal.commit(group).unwrap();
    let mut group = rig.begin(START + 5);
    group.delete_device(second);
    group.delete_rule("gone");
    group.change(r#"{"delete":"s2"}"#);
    rig.journal.commit(group).unwrap();
    drop(rig);
    let mut rig = Rig::open(dir.path());
    assert_eq!(rig.recovered.devices, [device(first, "s1")]);
    assert_eq!(rig.recovered.rules.len(), 1);
    assert_eq!(
        (
            rig.recovered.rules[0].id.as_str(),
            rig.recovered.rules[0].revision
        ),
        ("smoke", 3)
    );
    let third = rig.journal.next_device_key();
    assert!(third > second);
    let names = rig.reader.device_names().unwrap();
    assert_eq!(names.get(&second).map(DeviceId::as_str), Some("s2"));
    let changes = rig.reader.changes().unwrap();
    let found: Vec<_> = changes
        .iter()
        .map(|c| (c.commit, c.stamp.millis() - START, c.json.as_str()))
        .collect();
    assert_eq!(
        found,
        [(1, 0, r#"{"put":"s1"}"#), (2, 5, r#"{"delete":"s2"}"#)]
    );
}

#[test]
fn names_keep_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _, _) = store::open(dir.path(), Options::default()).unwrap();
    assert_eq!(journal.number_metrics(&["b", "a"]).unwrap(), ["b", "a"]);
    assert_eq!(journal.number_driver("mqtt").unwrap(), 0);
    drop(journal);
    let (mut journal, _, recovered) = store::open(dir.path(), Options::default()).unwrap();
    assert_eq!(recovered.metrics, ["b", "a"]);
    assert_eq!(
        journal.number_metrics(&["c", "a"]).unwrap(),
        ["b", "a", "c"]
    );
    assert_eq!(journal.number_driver("http").unwrap(), 1);
    assert_eq!(journal.number_driver("mqtt").unwrap(), 0);
    assert_ne!(recovered.salt, [0; 16]);
}

#[test]
fn cursors_answers_and_quarantine_are_kept_as_long_as_they_should() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let mut group = rig.begin(START);
    group.cursor("platform", 7);
    group.cursor("platform", 9);
    group.idempotency("key-1", r#"{"ok":true}"#);
    for n in 0..10_005u32 {
        let reason = Reason::from("broken_json");
        group.quarantine(rig.driver, Some(DeviceKey(n)), &reason, "at byte 3", b"{x");
    }
    rig.journal.commit(group).unwrap();
    assert_eq!(rig.reader.cursor("platform").unwrap(), Some(9));
    assert_eq!(rig.reader.cursor("other").unwrap(), None);
    assert_eq!(
        rig.reader.idempotency("key-1").unwrap().as_deref(),
        Some(r#"{"ok":true}"#)
    );
    let frames = rig.reader.quarantine(None, usize::MAX >> 1).unwrap();
    assert_eq!(frames.len(), 10_000);
    assert_eq!(frames[0].device, Some(DeviceKey(10_004)));
    assert_eq!(
        (frames[0].reason.as_str(), frames[0].bytes.as_slice()),
        ("broken_json", &b"{x"[..])
    );
    rig.tick(START + DAY + 1);
    assert_eq!(rig.reader.idempotency("key-1").unwrap(), None);
}
