//! Tests of the alarm book: every state with every action and change, by a table written by hand.

mod causes;
mod law;
mod life;

use super::{
    ActError, Action, AlarmBook, AlarmEvent, Around, BookEvent, Cover, Facts, LEFT_ROWS_MAX, Scope,
    Verb,
};
use crate::{Change, ClearReason, Figures, Outcome, What, alarm_id};
use model::AlarmState::{
    ActiveAcked, ActiveUnacked, ClearedUnacked, LatchedAcked, LatchedUnacked, Normal, OutOfService,
    Shelved, Suppressed,
};
use model::{AlarmRow, AlarmState, Device, DeviceId, DeviceKey, MetricKey, Severity, Timestamp};
use std::collections::BTreeMap;

fn at(s: i64) -> Timestamp {
    Timestamp::from_millis(s * 1000)
}

fn device() -> Device {
    let json = r#"{"id": "gas-1", "kind": "gas_pressure", "site": "north"}"#;
    serde_json::from_str(json).expect("a device")
}

fn figures(severity: Severity, value: f64) -> Figures {
    Figures {
        severity,
        value: Some(value),
        limit: Some(400.0),
        peak: Some(value),
        count: 2,
    }
}

fn change(alarm: u64, at_s: i64, what: What) -> Change {
    Change {
        alarm,
        rule: "over".into(),
        rule_revision: 7,
        device: DeviceKey(1),
        metric: Some(MetricKey(0)),
        scope: None,
        shadow: false,
        at: at(at_s),
        what,
    }
}

fn outcome(raised_s: i64, cleared_s: Option<i64>) -> Outcome {
    Outcome {
        raised_at: at(raised_s),
        cleared_at: cleared_s.map(at),
        figures: figures(Severity::Minor, 402.0),
    }
}

fn raised(value: f64) -> What {
    What::Raised(figures(Severity::Major, value))
}

fn cleared() -> What {
    What::Cleared {
        reason: ClearReason::Normal,
        figures: figures(Severity::Major, 390.0),
    }
}

/// Devices and rules that are told by the test.
#[derive(Default)]
struct Told {
    /// The changes' own instants, unless said.
    now: Option<Timestamp>,
    heard: BTreeMap<DeviceId, Timestamp>,
    /// Composite, its scope, its hold and its members.
    covers: Vec<(&'static str, Scope, u32, &'static [&'static str])>,
}

impl Around for Told {
    fn now(&self) -> Timestamp {
        self.now.unwrap_or(Timestamp::MAX)
    }

    fn heard(&self, device: &DeviceId) -> Option<Timestamp> {
        self.heard.get(device).copied()
    }

    fn covers(&self, rule: &str) -> Vec<Cover<'_>> {
        let covers = self.covers.iter().filter(|cover| cover.3.contains(&rule));
        covers
            .map(|(rule, scope, hold_s, _)| Cover {
                rule,
                scope: *scope,
                hold_s: *hold_s,
            })
            .collect()
    }

    fn cadence_ms(&self, _: &DeviceId) -> Option<i64> {
        Some(60_000)
    }
}

fn facts(device: &Device) -> Facts<'_> {
    Facts {
        device: &device.id,
        kind: &device.kind,
        site: device.site.as_deref(),
        grid: Some("3502030101"),
        title: "Over the limit",
        category: Some("0403"),
        metric: Some("pressure_kpa"),
        unit: Some("kPa"),
        rule_kind: "threshold",
        latching: false,
        gateway: None,
        scope: None,
    }
}

fn alarms(events: Vec<BookEvent>) -> Vec<AlarmEvent> {
    let alarms = events.into_iter().filter_map(|event| match event {
        BookEvent::Alarm(event) => Some(*event),
        BookEvent::Flood(_) => None,
    });
    alarms.collect()
}

/// Applies a change; gives the event of the alarm itself.
fn apply(book: &mut AlarmBook, change: &Change) -> Option<(&'static str, AlarmRow)> {
    let device = device();
    let mut out = Vec::new();
    book.apply(change, Some(&facts(&device)), &Told::default(), &mut out);
    let id = alarm_id(change.alarm);
    let own = alarms(out).into_iter().find(|event| event.row.id == id);
    own.map(|event| (event.kind, event.row))
}

/// An action that says all it must.
fn complete(verb: Verb) -> Action<'static> {
    Action {
        is_supervisor: true,
        comment: Some("seen"),
        minutes: Some(30),
        reason: Some("works on the line"),
        ..Action::new(verb, "li.na")
    }
}

fn take(book: &mut AlarmBook, id: &str, action: Action<'_>) -> Result<AlarmRow, ActError> {
    book.act((at(100), &Told::default()), id, action, &mut Vec::new())
}

fn act(book: &mut AlarmBook, id: &str, verb: Verb) -> Result<AlarmState, ActError> {
    take(book, id, complete(verb)).map(|row| row.state)
}

/// A book with alarm 1 in this state, with or without its condition.
fn book_in(state: AlarmState, active: bool) -> AlarmBook {
    let mut book = AlarmBook::default();
    let (_, mut row) = apply(&mut book, &change(1, 10, raised(401.0))).expect("an event");
    row.state = state;
    row.active = active;
    row.acked = matches!(state, ActiveAcked | LatchedAcked | Normal);
    row.cleared_at = (!row.active).then(|| at(20));
    if state == Suppressed {
        row.suppressed_by = Some("a9".to_owned());
    }
    if state == Shelved {
        row.shelved_until = Some(at(1_000_000));
        row.shelved_severity = Some(Severity::Major);
    }
    let mut book = AlarmBook::default();
    book.recall(row);
    book
}

fn is_active(state: AlarmState) -> bool {
    matches!(
        state,
        ActiveUnacked | ActiveAcked | Shelved | Suppressed | OutOfService
    )
}

fn state_of(book: &AlarmBook) -> AlarmState {
    book.get("a1").map_or(Normal, |row| row.state)
}

#[test]
fn every_change_in_every_state_does_what_the_table_says() {
    let reopened = || What::Amended(outcome(5, None));
    let ended = || What::Amended(outcome(5, Some(20)));
    let escalated = || What::Escalated(figures(Severity::Critical, 500.0));
    // State, after: cleared, amended to active, amended to ended, escalated.
    let table = [
        (
            ActiveUnacked,
            [ClearedUnacked, ActiveUnacked, ClearedUnacked, ActiveUnacked],
        ),
        (ActiveAcked, [Normal, ActiveAcked, Normal, ActiveAcked]),
        (
            ClearedUnacked,
            [
                ClearedUnacked,
                ActiveUnacked,
                ClearedUnacked,
                ClearedUnacked,
            ],
        ),
        (
            LatchedUnacked,
            [
                LatchedUnacked,
                ActiveUnacked,
                LatchedUnacked,
                LatchedUnacked,
            ],
        ),
        (
            LatchedAcked,
            [LatchedAcked, ActiveAcked, LatchedAcked, LatchedAcked],
        ),
        (Normal, [Normal, ActiveAcked, Normal, Normal]),
        (Shelved, [Shelved, Shelved, Shelved, ActiveUnacked]),
        // It has become worse than anything that is known to explain it.
        (Suppressed, [Normal, Suppressed, Normal, ActiveUnacked]),
        (OutOfService, [OutOfService; 4]),
    ];
    assert_eq!(table.map(|(state, _)| state), AlarmState::ALL);
    for (state, after) in table {
        let changes = [cleared(), reopened(), ended(), escalated()];
        for (what, after) in changes.into_iter().zip(after) {
            let mut book = book_in(state, is_active(state));
            apply(&mut book, &change(1, 30, what));
            assert_eq!(state_of(&book), after, "{state:?} {what:?}");
        }
        // Whatever anyone did about an alarm that never was: it is gone.
        let mut book = book_in(state, is_active(state));
        let (kind, row) = apply(&mut book, &change(1, 30, What::Withdrawn)).expect("an event");
        assert_eq!((kind, row.state), ("withdrawn", Normal));
        assert_eq!(book.rows().count(), 0);
    }
}

#[test]
fn a_raised_alarm_has_every_field_of_the_contract() {
    let mut book = AlarmBook::default();
    let (kind, row) = apply(&mut book, &change(12, 10, raised(401.0))).expect("an event");
    assert_eq!(kind, "raised");
    let expected = serde_json::json!({
        "id": "a12", "rule": "over", "rule_revision": 7, "title": "Over the limit",
        "device": "gas-1", "kind": "gas_pressure", "site": "north", "grid": "3502030101",
        "severity": "major", "state": "active_unacked", "active": true, "acked": false,
        "raised_at": "1970-01-01T00:00:10.000Z", "cleared_at": null, "metric": "pressure_kpa",
        "value": 401.0, "limit": 400.0, "unit": "kPa", "peak": 401.0, "count": 2,
        "owner": null, "shelved_until": null, "suppressed_by": null, "case": null, "note": null,
        "category": "0403", "shadow": false, "rule_kind": "threshold", "latching": false, "parent": null,
        "scope": null, "announced_at": "1970-01-01T00:00:10.000Z", "suppression": null,
        "returns_at": null, "shelved_by": null, "shelve_reason": null, "shelved_severity": null,
        "verdict": null, "chattering": false, "stale": false, "version": 1,
    });
    assert_eq!(serde_json::to_value(&row).expect("json"), expected);
    assert_eq!(book.get("a12"), Some(&row));
    assert_eq!(book.get("a012"), None);
    assert_eq!(book.get("12"), None);
}

#[test]
fn each_event_raises_the_version_and_moved_figures_do_not() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    let moved = What::Updated(figures(Severity::Major, 444.0));
    assert_eq!(apply(&mut book, &change(1, 11, moved)), None);
    let row = book.get("a1").expect("an alarm");
    assert_eq!((row.version, row.value), (1, Some(444.0)));
    assert_eq!(act(&mut book, "a1", Verb::Comment), Ok(ActiveUnacked));
    assert_eq!(act(&mut book, "a1", Verb::Ack), Ok(ActiveAcked));
    let (kind, row) = apply(&mut book, &change(1, 20, cleared())).expect("an event");
    assert_eq!((kind, row.version, row.state), ("cleared", 4, Normal));
    assert_eq!((row.active, row.cleared_at), (false, Some(at(20))));
    assert_eq!(row.owner.as_deref(), Some("li.na"));
}

#[test]
fn an_action_on_a_version_that_has_moved_on_is_stale() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    apply(
        &mut book,
        &change(1, 11, What::Escalated(figures(Severity::Critical, 500.0))),
    );
    let action = |version| Action {
        version: Some(version),
        ..complete(Verb::Ack)
    };
    assert_eq!(
        take(&mut book, "a1", action(1)),
        Err(ActError::Stale { current: 2 })
    );
    let row = take(&mut book, "a1", action(2)).expect("taken");
    assert_eq!((row.state, row.version), (ActiveAcked, 3));
    assert_eq!(row.note.as_deref(), Some("li.na: seen"));
    for id in ["a2", "1", "a-1", "a", "a+1", "a01", "a99999999999999999999"] {
        assert_eq!(
            act(&mut book, id, Verb::Ack),
            Err(ActError::NotFound),
            "{id}"
        );
    }
}

#[test]
fn an_alarm_amended_after_it_left_keeps_its_acknowledgement() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    act(&mut book, "a1", Verb::Ack).expect("acked");
    apply(&mut book, &change(1, 20, cleared()));
    let amended = change(1, 30, What::Amended(outcome(5, None)));
    assert!(!book.lacks(&amended));
    let (kind, row) = apply(&mut book, &amended).expect("an event");
    assert_eq!((kind, row.state, row.version), ("amended", ActiveAcked, 4));
    assert_eq!((row.raised_at, row.cleared_at), (at(5), None));
    assert_eq!(row.note.as_deref(), Some("amended"));
}

#[test]
fn a_row_that_left_long_ago_is_asked_for() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    act(&mut book, "a1", Verb::Ack).expect("acked");
    let (_, row) = apply(&mut book, &change(1, 20, cleared())).expect("an event");
    for alarm in (2..).take(LEFT_ROWS_MAX) {
        apply(
            &mut book,
            &change(alarm, 20, What::Recorded(outcome(1, Some(2)))),
        );
    }
    let amended = change(1, 30, What::Amended(outcome(5, Some(15))));
    assert!(book.lacks(&amended));
    assert!(!book.lacks(&change(9_999, 30, raised(401.0))));
    book.recall(row);
    assert!(!book.lacks(&amended));
    let (_, row) = apply(&mut book, &amended).expect("an event");
    assert_eq!((row.version, row.acked), (4, true));
    assert_eq!(book.rows().count(), 0);
}

#[test]
fn late_data_and_rules_on_trial_ask_nobody_for_anything() {
    let mut book = AlarmBook::default();
    let late = change(1, 99, What::Recorded(outcome(5, Some(15))));
    let (kind, row) = apply(&mut book, &late).expect("an event");
    assert_eq!((kind, row.state, row.active), ("recorded", Normal, false));
    assert_eq!((row.raised_at, row.cleared_at), (at(5), Some(at(15))));
    assert_eq!(row.note.as_deref(), Some("recorded from late data"));
    assert_eq!(book.rows().count(), 0);

    let on_trial = |what| Change {
        shadow: true,
        ..change(2, 10, what)
    };
    let device = device();
    let mut told = |change: &Change| {
        let mut out = Vec::new();
        book.apply(change, Some(&facts(&device)), &Told::default(), &mut out);
        alarms(out).pop().expect("an event")
    };
    let event = told(&on_trial(raised(401.0)));
    assert!(!event.announced && !event.sounds());
    assert_eq!(event.row.state, ActiveAcked);
    assert_eq!(event.row.note.as_deref(), Some("shadow"));
    assert_eq!(event.row.announced_at, None);
    let event = told(&on_trial(cleared()));
    assert_eq!(event.row.state, Normal);
}

#[test]
fn an_alarm_that_ends_with_its_rule_says_so() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    let what = What::Cleared {
        reason: ClearReason::RuleChanged,
        figures: figures(Severity::Major, 401.0),
    };
    let (_, row) = apply(&mut book, &change(1, 20, what)).expect("an event");
    assert_eq!(
        (row.state, row.note.as_deref()),
        (ClearedUnacked, Some("rule changed"))
    );
}

#[test]
fn a_restored_book_and_a_copy_show_the_same_rows() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    apply(&mut book, &change(2, 10, raised(402.0)));
    act(&mut book, "a2", Verb::Ack).expect("acked");
    let rows: Vec<AlarmRow> = book.rows().cloned().collect();
    let restored = AlarmBook::restore(rows.clone(), at(10));
    assert!(restored.rows().eq(&rows));
    let mut copy = AlarmBook::default();
    for row in rows.clone() {
        copy.put(row);
    }
    assert!(copy.rows().eq(&rows));
    let (_, ended) = apply(&mut book, &change(2, 20, cleared())).expect("an event");
    copy.put(ended);
    assert!(copy.rows().eq(&rows[..1]));
}
