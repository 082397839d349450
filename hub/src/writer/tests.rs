//! The writer on a real journal in a scratch folder, with time in the test's hand.

mod backtest;
mod book;
mod cases;
mod handover;
mod health;
mod proposed;
mod resume;
mod storage;
mod tempo;
mod versions;

use super::{CaseSetup, Published, Setup, Times, open};
use crate::codes::{Codes, CodesInForce, OwnTables};
use crate::config::ApprovalConfig;
use crate::grid::Grids;
use crate::judge::{Archive, Backtest};
use model::{
    AlarmState, Catalogue, Device, MetricKey, Observation, Quality, Series, Timestamp, Value,
};
use sdk::{
    Action, Actor, AlarmVerb, Clock, Command, CommandError, Ingest, Intake, Operator, Part,
    Receipt, Refusal, Role, SecretChange, Submission,
};
use serde_json::json;
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;
use store::{EventFilter, Reader, SeriesQuery, StoreError};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// 2026-03-01T00:00:00Z
const EPOCH: i64 = 1_772_323_200_000;

struct Rig {
    ingest: Ingest,
    operator: Operator,
    reader: Reader,
    published: Published,
    clock: Clock,
    writer: JoinHandle<Result<(), StoreError>>,
    pressure: MetricKey,
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(EPOCH + ms)
}

fn start(folder: &Path, clock: Clock) -> Rig {
    start_with(folder, clock, &OwnTables::default(), Grids::default())
}

fn start_with(folder: &Path, clock: Clock, own: &OwnTables, grids: Grids) -> Rig {
    start_approving(folder, clock, (own, grids), ApprovalConfig::default())
}

/// A disk that has room for everything, wherever the tests run.
fn ample() -> store::Options {
    let disk = store::Disk {
        free_bytes: 1 << 40,
        total_bytes: 1 << 40,
        ..store::Disk::default()
    };
    store::Options {
        meter: store::Meter::of(move |_| Ok(disk)),
        ..store::Options::default()
    }
}

fn start_approving(
    folder: &Path,
    clock: Clock,
    (own, grids): (&OwnTables, Grids),
    approval: ApprovalConfig,
) -> Rig {
    start_on(folder, clock, (own, grids), (approval, ample()))
}

fn start_on(
    folder: &Path,
    clock: Clock,
    (own, grids): (&OwnTables, Grids),
    (approval, options): (ApprovalConfig, store::Options),
) -> Rig {
    let repeat = rules::Repeat {
        distance_m: 50.0,
        within_s: 86_400,
    };
    let (requests, intake) = Intake::open();
    let setup = Setup {
        options,
        catalogue: Catalogue::built_in(),
        grids,
        clock: clock.clone(),
        times: Times {
            lateness_s: 120,
            oldest: Timestamp::parse("2020-01-01T00:00:00Z").unwrap(),
            ahead_max_s: 86_400,
        },
        zone: rules::Zone::utc(),
        cases: CaseSetup {
            codes: CodesInForce::new(Codes::new(own, rules::Zone::utc(), repeat).unwrap()),
            city_code: "350200".to_owned(),
            camera_distance_m: 200.0,
        },
        shifts: crate::shifts::Shifts::read(&crate::config::Config::default()).unwrap(),
        approval,
        missed_max: 3,
        disk_warning: super::Thresholds {
            days: 30,
            free_pct: 10,
        },
        refusals: intake.refusals.clone(),
        limits: crate::config::LimitsConfig::default(),
        health: web::Health::new("test", clock.now()),
        canary: true,
        mirrors: Vec::new(),
        tracer: sdk::Tracer::default(),
        drivers: vec!["mqtt".to_owned()],
    };
    let opened = open(folder, setup).unwrap();
    let pressure = opened.catalogue.find("pressure_kpa").unwrap();
    let refusals = intake.refusals.clone();
    let writer = TaskTracker::new().spawn(opened.writer.run(intake));
    Rig {
        ingest: Ingest::new(opened.drivers["mqtt"], requests.clone(), refusals)
            .with_quotas(opened.published.quotas.clone()),
        operator: Operator::new(requests),
        reader: opened.reader,
        published: opened.published,
        clock,
        writer,
        pressure,
    }
}

fn of_alarms() -> EventFilter {
    EventFilter {
        kinds: vec!["cityhub.alarm".to_owned()],
        ..EventFilter::default()
    }
}

impl Rig {
    async fn stop(self) {
        drop((self.ingest, self.operator, self.reader));
        self.writer.await.unwrap().unwrap();
    }

    async fn command(&self, action: Action) -> Result<serde_json::Value, CommandError> {
        self.command_of("li", action).await
    }

    async fn command_of(
        &self,
        name: &str,
        action: Action,
    ) -> Result<serde_json::Value, CommandError> {
        let actor = Actor {
            name: name.to_owned(),
            role: Role::Admin,
        };
        self.operator
            .commit(Command { actor, action })
            .await
            .map(|done| done.body)
    }

    async fn put_rule(
        &self,
        id: &str,
        spec: serde_json::Value,
    ) -> Result<serde_json::Value, CommandError> {
        let (id, reason) = (id.to_owned(), None);
        self.command(Action::PutRule { id, spec, reason }).await
    }

    async fn delete_rule(&self, id: &str) -> Result<serde_json::Value, CommandError> {
        let (id, reason) = (id.to_owned(), None);
        self.command(Action::DeleteRule { id, reason }).await
    }

    async fn register(&self) {
        let device: Device =
            serde_json::from_value(json!({"id":"gas-1","kind":"gas_pressure","cadence_s":60}))
                .unwrap();
        self.command(Action::PutDevices(vec![(device, SecretChange::Keep)]))
            .await
            .unwrap();
        let spec = json!({"title":"超压","kind":"threshold","select":{},"metric":"pressure_kpa",
            "above":400.0,"deadband":10.0,"on_delay_s":10,"severity":"critical"});
        self.put_rule("over", spec).await.unwrap();
    }

    async fn send(&self, value: f64, observed_at: Option<Timestamp>) -> Receipt {
        let device = self.published.devices.find("gas-1").unwrap().key;
        let observation = Observation {
            metric: self.pressure,
            value: Value::Number(value),
            quality: Quality::GOOD,
            observed_at,
        };
        let part = Part {
            device,
            received: 1,
            observations: vec![observation],
            rejected: vec![],
        };
        let submission = Submission {
            parts: vec![part],
            quarantined: vec![],
        };
        self.ingest
            .commit(submission)
            .await
            .unwrap()
            .receipt()
            .clone()
    }

    fn points(&self) -> Vec<(i64, f64, String)> {
        let device = self.published.devices.find("gas-1").unwrap().key;
        let series = Series {
            device,
            metric: self.pressure,
        };
        let query = SeriesQuery {
            series,
            from: Timestamp::MIN,
            to: Timestamp::MAX,
            limit: 100,
        };
        let page = self.reader.readings(&query).unwrap();
        page.points
            .iter()
            .map(|p| {
                (
                    p.at.millis() - EPOCH,
                    p.value.as_number().unwrap(),
                    p.quality.to_string(),
                )
            })
            .collect()
    }

    fn open_alarms(&self) -> Vec<(String, AlarmState, i64, Option<f64>, u64)> {
        let book = self
            .published
            .book
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        book.rows()
            .map(|row| {
                (
                    row.id.clone(),
                    row.state,
                    row.raised_at.millis() - EPOCH,
                    row.peak,
                    row.count,
                )
            })
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn readings_are_stored_once_and_untimed_ones_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.register().await;
    assert_eq!(rig.send(1.0, Some(at(-5_000))).await.stored, 1);
    let again = rig.send(2.0, Some(at(-5_000))).await;
    assert_eq!((again.stored, again.duplicate), (0, 1));
    rig.send(3.0, None).await;
    rig.send(4.0, None).await;
    let values: Vec<f64> = rig.points().iter().map(|point| point.1).collect();
    assert_eq!(values, [1.0, 3.0, 4.0]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn impossible_times_are_refused_with_a_reason_and_odd_ones_are_kept_as_uncertain() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.register().await;
    for (ts, hint) in [
        (Timestamp::from_millis(0), false),
        (Timestamp::from_millis(EPOCH / 1000), true),
        (at(365 * 86_400_000), false),
    ] {
        let receipt = rig.send(1.0, Some(ts)).await;
        assert_eq!((receipt.stored, receipt.rejected.len()), (0, 1), "{ts}");
        assert_eq!(receipt.rejected[0].reason, "clock_implausible");
        let detail = receipt.rejected[0].detail.clone().unwrap();
        assert_eq!(detail.contains("looks like seconds"), hint, "{detail}");
    }
    rig.send(2.0, Some(at(7_200_000))).await;
    assert_eq!(
        rig.points(),
        [(7_200_000, 2.0, "uncertain:clock".to_owned())]
    );
    let ledger = rig.reader.ledger(None, None).unwrap();
    assert_eq!((ledger.total.received, ledger.total.stored), (4, 1));
    assert_eq!(ledger.total.rejected["clock_implausible"], 3);
    assert!(ledger.total.balances());
    rig.stop().await;
}

/// Plays one story, restarting the hub before the steps that are named.
async fn alarm_story(restart_before: &[usize]) -> Vec<(String, AlarmState, i64, Option<f64>, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.register().await;
    // Beyond at 1 s, worse at 6 s: raised at 11 s by a deadline, worse still at 15 s.
    for (step, (wait_ms, value)) in [(1_000, 410.0), (5_000, 450.0), (9_000, 430.0)]
        .iter()
        .enumerate()
    {
        if restart_before.contains(&step) {
            let clock = rig.clock.clone();
            rig.stop().await;
            rig = start(folder.path(), clock);
        }
        tokio::time::sleep(Duration::from_millis(*wait_ms)).await;
        let now = rig.clock.now();
        rig.send(*value, Some(now)).await;
    }
    let alarms = rig.open_alarms();
    rig.stop().await;
    alarms
}

#[tokio::test(start_paused = true)]
async fn a_restart_anywhere_gives_the_same_alarm() {
    let unbroken = alarm_story(&[]).await;
    let expected = (
        "a1".to_owned(),
        AlarmState::ActiveUnacked,
        11_000,
        Some(450.0),
        3,
    );
    assert_eq!(unbroken, [expected]);
    for restart in [&[1][..], &[2], &[1, 2]] {
        assert_eq!(
            alarm_story(restart).await,
            unbroken,
            "restarted before {restart:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_is_versioned_idempotent_and_in_the_feed() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.register().await;
    rig.send(450.0, Some(at(0))).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    rig.send(450.0, Some(at(12_000))).await;
    let ack = |version, key: Option<&str>| Action::Alarm {
        id: "a1".to_owned(),
        verb: AlarmVerb::Ack,
        version,
        comment: None,
        args: sdk::AlarmArgs::default(),
        key: key.map(str::to_owned),
    };
    let stale = rig.command(ack(Some(99), None)).await.unwrap_err();
    assert!(matches!(stale, CommandError::Conflict(_)), "{stale}");
    let first = rig.command(ack(Some(1), Some("k"))).await.unwrap();
    assert_eq!(first["state"], "active_acked");
    let again = rig.command(ack(Some(1), Some("k"))).await.unwrap();
    assert_eq!(again, first);
    let events = rig.reader.events(0, 10, &of_alarms()).unwrap();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| (event.seq, event.kind.as_str()))
        .collect();
    assert_eq!(
        kinds,
        // The first was that the device came online, and the third opened the case.
        [(2, "cityhub.alarm.raised"), (4, "cityhub.alarm.acked")]
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted_audited_within_a_budget_and_shown_as_unclaimed() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    for number in 0..200 {
        rig.ingest.refuse(Refusal {
            reason: "unknown_device".into(),
            claimed: Some(format!("x{number}")),
            peer: "127.0.0.1:5".to_owned(),
            message: true,
        });
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    rig.register().await;
    let ledger = rig.reader.ledger(None, None).unwrap();
    assert_eq!(ledger.total.rejected["unknown_device"], 200);
    assert!(ledger.total.balances());
    let audit = rig.reader.audit(0, 1000).unwrap();
    assert_eq!(
        audit.iter().filter(|row| row.action == "refused").count(),
        60
    );
    assert_eq!(rig.published.knocks.list().len(), 200);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn delayed_readings_of_one_commit_amend_an_alarm_once() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.register().await;
    for (ms, value) in [(-60_000, 450.0), (-40_000, 450.0), (-20_000, 300.0)] {
        rig.send(value, Some(at(ms))).await;
    }
    // Five readings from the middle of the alarm, in one message.
    let device = rig.published.devices.find("gas-1").unwrap().key;
    let middle = |ms| Observation {
        metric: rig.pressure,
        value: Value::Number(460.0),
        quality: Quality::GOOD,
        observed_at: Some(at(ms)),
    };
    let observations = (0..5).map(|n| middle(-39_000 + n * 1_000)).collect();
    let part = Part {
        device,
        received: 5,
        observations,
        rejected: vec![],
    };
    let submission = Submission {
        parts: vec![part],
        quarantined: vec![],
    };
    assert_eq!(
        rig.ingest
            .commit(submission)
            .await
            .unwrap()
            .receipt()
            .stored,
        5
    );
    let events = rig.reader.events(0, 100, &of_alarms()).unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "cityhub.alarm.raised",
            "cityhub.alarm.cleared",
            "cityhub.alarm.amended"
        ]
    );
    let last: serde_json::Value = serde_json::from_str(&events[2].json).unwrap();
    assert_eq!(
        (&last["data"]["count"], &last["data"]["peak"]),
        (&json!(7), &json!(460.0))
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_announced_alarm_is_seen_to_end_when_its_rule_goes_on_trial_and_is_raised_again_after() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.register().await;
    let put = |shadow: bool| Action::PutRule {
        id: "over".to_owned(),
        spec: json!({"title":"超压","kind":"threshold","select":{},"metric":"pressure_kpa",
            "above":400.0,"severity":"critical","shadow":shadow}),
        reason: None,
    };
    rig.command(put(false)).await.unwrap();
    rig.send(450.0, Some(at(0))).await;
    rig.command(put(true)).await.unwrap();
    rig.send(451.0, Some(at(1_000))).await;
    rig.command(put(false)).await.unwrap();
    rig.send(452.0, Some(at(2_000))).await;
    let events = rig.reader.events(0, 100, &of_alarms()).unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|e| (e.kind.as_str(), e.subject.as_str()))
        .collect();
    // a2 was on trial: it is nobody's business but the engineer's.
    let expected = [
        ("cityhub.alarm.raised", "a1"),
        ("cityhub.alarm.cleared", "a1"),
        ("cityhub.alarm.raised", "a3"),
    ];
    assert_eq!(told, expected);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_backtest_knows_when_devices_came_and_went() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    let spec = json!({"title":"失联","kind":"silence","select":{},"after_s":60,"severity":"minor"});
    rig.put_rule("quiet", spec).await.unwrap();
    let put = |id: &str| {
        let device = json!({"id":id,"kind":"gas_pressure","cadence_s":60});
        let device: Device = serde_json::from_value(device).unwrap();
        Action::PutDevices(vec![(device, SecretChange::Keep)])
    };
    // Never heard: silent from 100 s + 60 s on, until it is deleted at 200 s.
    tokio::time::sleep(Duration::from_secs(100)).await;
    rig.command(put("gone")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    let gone = Action::DeleteDevice(model::DeviceId::new("gone").unwrap());
    rig.command(gone).await.unwrap();
    // Never heard: silent from 300 s + 60 s on.
    tokio::time::sleep(Duration::from_secs(100)).await;
    rig.command(put("stays")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    rig.command(put("last")).await.unwrap();
    let live = rig.reader.alarms_between(Timestamp::MIN, Timestamp::MAX);
    let mut live: Vec<_> = live
        .unwrap()
        .into_iter()
        .map(|row| (row.device.to_string(), row.raised_at, row.cleared_at))
        .collect();
    live.sort();
    rig.stop().await;

    let archive = Archive::open(
        folder.path(),
        &Catalogue::built_in(),
        rules::Settings::default(),
    )
    .unwrap();
    let backtest = |from: Timestamp| {
        let trial = Backtest {
            rules: archive.rules_in_force().unwrap(),
            span: (from, at(400_000)),
            compared: false,
            whole: false,
        };
        let outcome = archive.backtest(trial, &mut |_| true).unwrap();
        outcome.alarms.into_iter().map(|alarm| alarm.row)
    };
    let mut again: Vec<_> = backtest(at(0))
        .map(|row| (row.device.to_string(), row.raised_at, row.cleared_at))
        .collect();
    again.sort();
    assert_eq!(
        again,
        [
            ("gone".to_owned(), at(160_000), Some(at(200_000))),
            ("stays".to_owned(), at(360_000), None),
        ]
    );
    assert_eq!(again, live);
    // From the middle on, what was there then is silent, and what went before is not.
    let raised: Vec<_> = backtest(at(310_000)).map(|row| row.raised_at).collect();
    assert_eq!(raised, [at(370_000)]);
}
