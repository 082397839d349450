//! What the hub says of devices that fall silent and come back.

use super::{EPOCH, Rig, at, start};
use model::{
    Device, DeviceHealth, DeviceId, DeviceStatus, Observation, Quality, Series, SilenceCause,
    Timestamp, Value,
};
use sdk::{Action, Clock, Part, SecretChange, Submission};
use serde_json::{Value as Json, json};
use std::time::Duration;
use store::{EventFilter, SeriesQuery};

/// One event of a device: its number, its kind, the device, seconds since the start.
type Told = (u64, String, String, f64);

impl Rig {
    pub(super) async fn put(&self, devices: &[Json]) {
        let devices = devices.iter().map(|device| {
            let device: Device = serde_json::from_value(device.clone()).unwrap();
            (device, SecretChange::Keep)
        });
        let action = Action::PutDevices(devices.collect());
        self.command(action).await.unwrap();
    }

    pub(super) async fn report(&self, id: &str, value: f64, observed_at: Timestamp) {
        let device = self.published.devices.find(id).unwrap().key;
        let observation = Observation {
            metric: self.pressure,
            value: Value::Number(value),
            quality: Quality::GOOD,
            observed_at: Some(observed_at),
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

    /// Lets the devices report every second for some seconds, each its own number.
    async fn play(&self, ids: &[&str], seconds: i64) {
        for _ in 0..seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.clock.now();
            for id in ids {
                self.report(id, now.millis() as f64 % 7_000.0, now).await;
            }
        }
    }

    fn health(&self, id: &str) -> DeviceHealth {
        let device = self.published.devices.find(id).unwrap().key;
        self.published.statuses.of(device)
    }

    /// Counts the readings of a device that are good, and those of a clock that is doubted.
    fn doubted(&self, id: &str) -> (usize, usize) {
        let query = SeriesQuery {
            series: Series {
                device: self.published.devices.find(id).unwrap().key,
                metric: self.pressure,
            },
            from: at(-86_400_000),
            to: at(86_400_000),
            limit: 1_000,
        };
        let readings = self.reader.arrivals(&query).unwrap();
        let count = |quality| readings.iter().filter(|r| r.quality == quality).count();
        (
            count(Quality::GOOD),
            count(Quality::uncertain(model::Cause::Clock)),
        )
    }

    fn facts(&self) -> Vec<Json> {
        let of_devices = EventFilter {
            kinds: vec!["cityhub.device".to_owned()],
            ..EventFilter::default()
        };
        let events = self.reader.events(0, 1_000, &of_devices).unwrap();
        let parse = |event: &model::Event| serde_json::from_str(&event.json).unwrap();
        events.iter().map(parse).collect()
    }

    fn told(&self) -> Vec<Told> {
        let facts = self.facts();
        let told = facts.iter().map(|fact| {
            let kind = fact["type"].as_str().unwrap();
            let time = Timestamp::parse(fact["time"].as_str().unwrap()).unwrap();
            (
                fact["id"].as_str().unwrap().parse().unwrap(),
                kind.strip_prefix("cityhub.device.").unwrap().to_owned(),
                fact["subject"].as_str().unwrap().to_owned(),
                (time.millis() - EPOCH) as f64 / 1000.0,
            )
        });
        told.collect()
    }
}

fn fact(number: u64, kind: &str, device: &str, s: f64) -> Told {
    (number, kind.to_owned(), device.to_owned(), s)
}

fn meter(id: &str, cadence_s: u32) -> Json {
    json!({"id": id, "kind": "gas_pressure", "cadence_s": cadence_s})
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_device_shows_what_it_has_just_said() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[meter("gas-1", 10)]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.report("gas-1", 7.5, at(500)).await;
    let latest = &rig.facts()[0]["data"]["latest"];
    let latest = latest.as_object().unwrap().values().next().unwrap();
    assert_eq!(latest["value"], 7.5);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_is_offline_at_the_instant_of_its_third_missed_report() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[meter("gas-1", 10)]).await;
    assert_eq!(rig.health("gas-1").status, DeviceStatus::NeverSeen);
    assert_eq!(rig.health("gas-1").since, at(1));
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.report("gas-1", 1.0, at(500)).await;
    tokio::time::sleep(Duration::from_millis(29_500)).await;
    assert_eq!(rig.health("gas-1").status, DeviceStatus::Online);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let expected = DeviceHealth {
        status: DeviceStatus::Offline,
        since: at(30_500),
        cause: Some(SilenceCause::Link),
    };
    assert_eq!(rig.health("gas-1"), expected);
    let now = rig.clock.now();
    rig.report("gas-1", 2.0, now).await;
    let back_s = (now.millis() - EPOCH) as f64 / 1000.0;
    assert_eq!(
        rig.told(),
        [
            fact(1, "online", "gas-1", 0.5),
            fact(2, "offline", "gas-1", 30.5),
            fact(3, "online", "gas-1", back_s)
        ]
    );
    let data = &rig.facts()[1]["data"];
    assert_eq!(data["id"], "gas-1");
    assert_eq!(data["status"], "offline");
    assert_eq!(data["cause"], "link");
    assert_eq!(data["previous"], "online");
    assert_eq!(data["since"], at(30_500).to_string());
    assert_eq!(data["latest"]["pressure_kpa"]["value"], 1.0);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reports_that_come_at_odd_times_within_the_tolerance_say_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[meter("gas-1", 10)]).await;
    for wait_ms in [1_000, 29_000, 3_000, 28_500, 29_900, 100, 29_999] {
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        rig.report("gas-1", 1.0, rig.clock.now()).await;
    }
    assert_eq!(rig.told(), [fact(1, "online", "gas-1", 1.0)]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_never_heard_is_missed_by_nobody_and_one_without_cadence_has_three_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[
        meter("new", 10),
        json!({"id": "plain", "kind": "gas_pressure"}),
    ])
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.report("plain", 1.0, at(1_000)).await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(rig.health("new").status, DeviceStatus::NeverSeen);
    assert_eq!(
        rig.told(),
        [
            fact(1, "online", "plain", 1.0),
            fact(2, "offline", "plain", 181.0)
        ]
    );
    rig.report("new", 1.0, at(200_000)).await;
    assert_eq!(rig.told().last(), Some(&fact(3, "online", "new", 200.0)));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_gateway_is_told_from_a_silent_sensor() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    let child = |id: &str| json!({"id": id, "kind": "smoke", "parent": "gw", "cadence_s": 5});
    rig.put(&[
        json!({"id": "gw", "kind": "gateway", "cadence_s": 5}),
        child("a"),
        child("b"),
    ])
    .await;
    rig.play(&["gw", "a", "b"], 10).await;
    rig.play(&["gw", "b"], 20).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let cause = |id: &str| (rig.health(id).status, rig.health(id).cause);
    let offline = DeviceStatus::Offline;
    assert_eq!(cause("a"), (offline, Some(SilenceCause::Sensor)));
    assert_eq!(cause("b"), (offline, Some(SilenceCause::Gateway)));
    assert_eq!(cause("gw"), (offline, Some(SilenceCause::Link)));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_heard_through_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    let child = |id: &str| json!({"id": id, "kind": "smoke", "parent": "gw", "cadence_s": 5});
    rig.put(&[
        json!({"id": "gw", "kind": "gateway", "cadence_s": 5}),
        child("a"),
        child("b"),
    ])
    .await;
    rig.play(&["a", "b"], 10).await;
    rig.play(&["b"], 20).await;
    let cause = |id: &str| (rig.health(id).status, rig.health(id).cause);
    assert_eq!(
        cause("a"),
        (DeviceStatus::Offline, Some(SilenceCause::Sensor))
    );
    // It never reported itself, and is missed all the same when its children are silent.
    assert_eq!(rig.health("gw").status, DeviceStatus::Online);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(
        cause("gw"),
        (DeviceStatus::Offline, Some(SilenceCause::Link))
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_two_hours_off_is_told_from_a_late_delivery_and_from_silence() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[
        meter("ahead", 10),
        meter("behind", 10),
        meter("backlog", 10),
        meter("right", 10),
    ])
    .await;
    for round in 0..14 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let now = rig.clock.now();
        rig.report("ahead", 1.0, now.plus_s(7_200)).await;
        rig.report("behind", 1.0, now.plus_s(-7_200)).await;
        // It catches up: more than eight minutes of the past every ten seconds.
        rig.report("backlog", 1.0, now.plus_s(-7_200 + round * 500))
            .await;
        rig.report("right", 1.0, now).await;
    }
    let status = |id: &str| rig.health(id).status;
    assert_eq!(status("ahead"), DeviceStatus::ClockWrong);
    assert_eq!(status("behind"), DeviceStatus::ClockWrong);
    assert_eq!(status("backlog"), DeviceStatus::Online);
    assert_eq!(status("right"), DeviceStatus::Online);
    // The third message, 20 s after the first, told that the clock is behind: two cadences. What
    // is late from then on is doubted; a backlog is not.
    assert_eq!(rig.doubted("behind"), (3, 11));
    assert_eq!(rig.doubted("backlog"), (14, 0));
    // Set right, then silent: the worst is told.
    rig.play(&["ahead", "behind"], 5).await;
    assert_eq!(status("ahead"), DeviceStatus::Online);
    assert_eq!(status("behind"), DeviceStatus::Online);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(status("behind"), DeviceStatus::Offline);
    let kinds: Vec<String> = rig
        .told()
        .into_iter()
        .filter(|told| told.2 == "behind")
        .map(|told| told.1)
        .collect();
    assert_eq!(kinds, ["online", "clock_wrong", "online", "offline"]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_frozen_device_reports_but_does_not_move_until_it_does_or_its_rule_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[meter("gas-1", 10)]).await;
    let spec = json!({"title": "不动", "kind": "frozen", "select": {}, "metric": "pressure_kpa",
        "after_s": 30, "severity": "minor"});
    rig.put_rule("still", spec).await.unwrap();
    for (round, value) in [5.0; 6].into_iter().chain([6.0; 6]).enumerate() {
        if round == 5 {
            assert_eq!(rig.health("gas-1").status, DeviceStatus::Frozen);
            let clock = rig.clock.clone();
            rig.stop().await;
            rig = start(folder.path(), clock);
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        rig.report("gas-1", value, rig.clock.now()).await;
    }
    assert_eq!(rig.health("gas-1").status, DeviceStatus::Frozen);
    rig.delete_rule("still").await.unwrap();
    assert_eq!(rig.health("gas-1").status, DeviceStatus::Online);
    let kinds: Vec<String> = rig.told().into_iter().map(|told| told.1).collect();
    assert_eq!(kinds, ["online", "frozen", "online", "frozen", "online"]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_tells_nothing_twice_and_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[meter("gone", 5), meter("back", 5), meter("new", 5)])
        .await;
    rig.play(&["gone", "back"], 3).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (told, health) = (rig.told(), rig.health("gone"));
    assert_eq!(told.len(), 4);
    for _ in 0..2 {
        let clock = rig.clock.clone();
        rig.stop().await;
        rig = start(folder.path(), clock);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(rig.told(), told);
        assert_eq!(rig.health("gone"), health);
        assert_eq!(rig.health("new").status, DeviceStatus::NeverSeen);
    }
    rig.play(&["back", "new"], 1).await;
    let news: Vec<_> = rig.told().split_off(4);
    let now_s = (rig.clock.now().millis() - EPOCH) as f64 / 1000.0;
    assert_eq!(
        news,
        [
            fact(5, "online", "back", now_s),
            fact(6, "online", "new", now_s)
        ]
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_cadence_does_not_bring_a_silent_device_back_but_its_next_report_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[meter("gas-1", 5)]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.report("gas-1", 1.0, at(1_000)).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    rig.put(&[meter("gas-1", 600)]).await;
    let since = |rig: &Rig| (rig.health("gas-1").status, rig.health("gas-1").since);
    assert_eq!(since(&rig), (DeviceStatus::Offline, at(16_000)));
    let clock = rig.clock.clone();
    rig.stop().await;
    rig = start(folder.path(), clock);
    assert_eq!(since(&rig), (DeviceStatus::Offline, at(16_000)));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let now = rig.clock.now();
    rig.report("gas-1", 1.0, now).await;
    assert_eq!(since(&rig), (DeviceStatus::Online, now));
    assert_eq!(rig.told().len(), 3);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_taken_out_of_use_or_deleted_is_not_online_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[meter("out", 5), meter("gone", 5)]).await;
    rig.play(&["out", "gone"], 2).await;
    rig.put(&[json!({"id": "out", "kind": "gas_pressure", "cadence_s": 5, "enabled": false})])
        .await;
    assert_eq!(rig.health("out").status, DeviceStatus::Offline);
    assert_eq!(rig.health("out").cause, None);
    let key = rig.published.devices.find("gone").unwrap().key;
    let delete = Action::DeleteDevice(DeviceId::new("gone").unwrap());
    rig.command(delete).await.unwrap();
    assert_eq!(rig.published.statuses.of(key), DeviceHealth::default());
    rig.put(&[meter("out", 5)]).await;
    rig.play(&["out"], 1).await;
    assert_eq!(rig.health("out").status, DeviceStatus::Online);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn values_that_move_too_fast_or_never_are_stored_as_uncertain_and_a_restart_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // What was measured long ago is judged by its own times.
    let mut rig = start(folder.path(), Clock::starting_at(at(86_500_000)));
    rig.put(&[meter("gas-1", 86_400)]).await;
    // Pressure may move by 1000 kPa a second and rest for a day.
    rig.report("gas-1", 300.0, at(0)).await;
    rig.report("gas-1", 9_000.0, at(1_000)).await;
    rig.report("gas-1", 300.0, at(2_000)).await;
    rig.report("gas-1", 300.0, at(86_401_000)).await;
    for ms in [86_411_000, 86_421_000] {
        let clock = rig.clock.clone();
        rig.stop().await;
        rig = start(folder.path(), clock);
        rig.report("gas-1", 300.0, at(ms)).await;
    }
    rig.report("gas-1", 301.0, at(86_431_000)).await;
    let qualities: Vec<String> = rig.points().into_iter().map(|point| point.2).collect();
    let stuck = "uncertain:stuck";
    assert_eq!(
        qualities,
        [
            "good",
            "uncertain:rate",
            "good",
            stuck,
            stuck,
            stuck,
            "good"
        ]
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_value_of_the_wrong_form_is_counted_kept_aside_and_told_of_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[meter("gas-1", 60)]).await;
    let device = rig.published.devices.find("gas-1").unwrap().key;
    let rejected = model::Rejected {
        metric: Some("pressure_kpa".to_owned()),
        reason: "not_a_number".into(),
        detail: Some("a text".to_owned()),
    };
    let part = Part {
        device,
        received: 20,
        observations: vec![],
        rejected: vec![rejected; 20],
    };
    let submission = Submission {
        parts: vec![part],
        quarantined: vec![],
    };
    drop(rig.ingest.commit(submission).await.unwrap());
    assert_eq!(
        rig.reader.device_totals(device).rejected["not_a_number"],
        20
    );
    let kept = rig.reader.quarantine(None, 100).unwrap();
    assert_eq!(kept.len(), 16);
    assert_eq!(kept[0].detail, "pressure_kpa: a text");
    assert_eq!(kept[0].device, Some(device));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_the_hub_are_nobody_elses_and_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[meter("gas-1", 5)]).await;
    let spec = json!({"title": "x", "kind": "silence", "select": {}, "after_s": 1});
    assert!(rig.put_rule("~offline", spec).await.is_err());
    assert!(rig.delete_rule("~offline").await.is_err());
    assert!(rig.published.rules.all().is_empty());
    rig.report("gas-1", 1.0, at(1_000)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(rig.open_alarms().is_empty());
    rig.stop().await;
    // The replay of all that was recorded knows the rules and finds no alarm.
    let (catalogue, settings) = (model::Catalogue::built_in(), rules::Settings::default());
    let archive = crate::judge::Archive::open(folder.path(), &catalogue, settings).unwrap();
    assert!(archive.rules_in_force().unwrap().is_empty());
    let verdict = crate::judge::verify(&archive).unwrap();
    assert_eq!(verdict.problems, Vec::<String>::new());
}
