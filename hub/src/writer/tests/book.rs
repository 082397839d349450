//! What happens to alarms by time alone, on the writer's own clock.

use super::{EPOCH, Rig, at, of_alarms, start};
use model::{AlarmState, Device, Observation, Quality, Timestamp, Value};
use sdk::{Action, AlarmArgs, AlarmVerb, Clock, Part, SecretChange, Submission};
use serde_json::{Value as Json, json};
use std::sync::PoisonError;
use std::time::Duration;

/// One event of an alarm: its kind, the alarm or device, milliseconds since the start.
type Told = (String, String, i64);

fn told(kind: &str, whose: &str, ms: i64) -> Told {
    (kind.to_owned(), whose.to_owned(), ms)
}

impl Rig {
    /// Lets the time since the start of the hub become this.
    pub(super) async fn until(&self, ms: i64) {
        let wait_ms = at(ms).since_ms(self.clock.now());
        let wait_ms = u64::try_from(wait_ms).expect("time goes on");
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }

    async fn meters(&self, devices: &[Json]) {
        let devices = devices.iter().map(|device| {
            let device: Device = serde_json::from_value(device.clone()).unwrap();
            (device, SecretChange::Keep)
        });
        let action = Action::PutDevices(devices.collect());
        self.command(action).await.unwrap();
    }

    async fn rule(&self, id: &str, spec: Json) {
        let id = id.to_owned();
        self.command(Action::PutRule {
            id,
            spec,
            reason: None,
        })
        .await
        .unwrap();
    }

    /// Has a device report a pressure of now.
    async fn measure(&self, id: &str, kpa: f64) {
        let device = self.published.devices.find(id).unwrap().key;
        let observation = Observation {
            metric: self.pressure,
            value: Value::Number(kpa),
            quality: Quality::GOOD,
            observed_at: Some(self.clock.now()),
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
        drop(self.ingest.commit(submission).await.unwrap());
    }

    async fn shelve(&self, alarm: &str, minutes: u32) {
        let action = Action::Alarm {
            id: alarm.to_owned(),
            verb: AlarmVerb::Shelve,
            version: None,
            comment: None,
            args: AlarmArgs {
                minutes: Some(minutes),
                reason: Some("works on the line".to_owned()),
                owner: None,
            },
            key: None,
        };
        self.command(action).await.unwrap();
    }

    /// Gives the events of alarms, each with the `id` or the `device` of its alarm.
    fn alarm_events(&self, whose: &str) -> Vec<Told> {
        let events = self.reader.events(0, 100, &of_alarms()).unwrap();
        let line = |event: &model::Event| {
            let data: Json = serde_json::from_str(&event.json).unwrap();
            let time = Timestamp::parse(data["time"].as_str().unwrap()).unwrap();
            let kind = event.kind.strip_prefix("cityhub.alarm.").unwrap();
            told(
                kind,
                data["data"][whose].as_str().unwrap(),
                time.millis() - EPOCH,
            )
        };
        events.iter().map(line).collect()
    }

    /// Gives the state of the newest alarm of a device.
    fn state(&self, device: &str) -> AlarmState {
        let book = self.published.book.read();
        let book = book.unwrap_or_else(PoisonError::into_inner);
        let found = book.rows().filter(|row| row.device.as_str() == device);
        found.last().map_or(AlarmState::Normal, |row| row.state)
    }
}

fn meter(id: &str, cadence_s: u32) -> Json {
    json!({"id": id, "kind": "gas_pressure", "cadence_s": cadence_s})
}

fn over() -> Json {
    json!({"title":"超压","kind":"threshold","select":{},"metric":"pressure_kpa","above":400.0,
        "deadband":10.0,"severity":"major"})
}

#[tokio::test(start_paused = true)]
async fn a_shelf_ends_at_its_instant_though_the_hub_was_restarted_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.meters(&[meter("gas-1", 600)]).await;
    rig.rule("over", over()).await;
    rig.until(1_000).await;
    rig.measure("gas-1", 450.0).await;
    rig.until(2_000).await;
    rig.shelve("a1", 1).await;
    rig.until(30_300).await;
    let clock = rig.clock.clone();
    rig.stop().await;
    let rig = start(folder.path(), clock);
    // Housekeeping happens each second from here on, so that only a deadline can be on time.
    rig.until(30_600).await;
    rig.measure("gas-1", 451.0).await;
    rig.until(61_900).await;
    assert_eq!(rig.state("gas-1"), AlarmState::Shelved);
    rig.until(62_100).await;
    assert_eq!(rig.state("gas-1"), AlarmState::ActiveUnacked);
    assert_eq!(
        rig.alarm_events("id"),
        [
            told("raised", "a1", 1_000),
            told("shelved", "a1", 2_000),
            told("unshelved", "a1", 62_000)
        ]
    );
    rig.stop().await;
}

/// A gateway that reports every 16 s and a child that does every 10 s; three may be missed.
async fn behind_a_gateway(rig: &Rig) {
    let mut gateway = meter("gw", 16);
    gateway["kind"] = json!("gateway");
    let mut child = meter("gas-1", 10);
    child["parent"] = json!("gw");
    rig.meters(&[gateway, child]).await;
    let silent = json!({"title":"失联","kind":"silence","select":{},"factor":3,"severity":"minor"});
    rig.rule("silent", silent).await;
    rig.until(1_000).await;
    rig.measure("gw", 300.0).await;
    rig.measure("gas-1", 300.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_child_is_held_until_its_gateway_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    behind_a_gateway(&rig).await;
    rig.until(31_100).await;
    assert_eq!(rig.state("gas-1"), AlarmState::Suppressed);
    rig.until(40_000).await;
    rig.measure("gw", 301.0).await;
    // It is known with the next commit, which housekeeping makes within a second.
    rig.until(41_100).await;
    assert_eq!(rig.state("gas-1"), AlarmState::ActiveUnacked);
    let events = rig.alarm_events("device");
    assert_eq!(events[0], told("suppressed", "gas-1", 31_000));
    let (kind, _, returned_ms) = &events[1];
    assert_eq!(kind, "returned");
    assert!((40_000..=41_000).contains(returned_ms), "{returned_ms}");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_child_is_explained_by_its_gateway_and_rings_one_patience_after_that_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    behind_a_gateway(&rig).await;
    rig.until(60_000).await;
    rig.measure("gw", 301.0).await;
    rig.until(80_000).await;
    rig.measure("gw", 302.0).await;
    rig.until(89_900).await;
    assert_eq!(rig.state("gas-1"), AlarmState::Suppressed);
    rig.until(90_100).await;
    assert_eq!(
        rig.alarm_events("device"),
        [
            told("suppressed", "gas-1", 31_000),
            // Silent for 48 s, and with that the cause of the other.
            told("raised", "gw", 49_000),
            told("suppressed", "gas-1", 49_000),
            told("cleared", "gw", 60_000),
            // The child may be silent for 30 s.
            told("returned", "gas-1", 90_000)
        ]
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_chatter_settles_or_returns_within_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.meters(&[meter("gas-1", 600)]).await;
    rig.rule("over", over()).await;
    for (ms, kpa) in [450.0, 300.0, 450.0, 300.0, 450.0, 300.0, 450.0]
        .into_iter()
        .enumerate()
        .map(|(index, kpa)| (1_000 + 700 * i64::try_from(index).unwrap(), kpa))
    {
        rig.until(ms).await;
        rig.measure("gas-1", kpa).await;
    }
    rig.until(65_100).await;
    assert_eq!(rig.state("gas-1"), AlarmState::Suppressed);
    rig.until(65_250).await;
    assert_eq!(rig.state("gas-1"), AlarmState::ActiveUnacked);
    assert_eq!(
        rig.alarm_events("id"),
        [
            told("raised", "a1", 1_000),
            told("cleared", "a1", 1_700),
            told("raised", "a2", 2_400),
            told("cleared", "a2", 3_100),
            // The third within a minute.
            told("chattering", "a1", 3_800),
            told("suppressed", "a3", 3_800),
            told("settled", "a3", 4_500),
            told("suppressed", "a4", 5_200),
            told("returned", "a4", 65_200)
        ]
    );
    rig.stop().await;
}
