//! A disk that gets full: a warning once, no acknowledgement without room, and the way back.

use super::{EPOCH, Rig, at, of_alarms, start_on};
use crate::codes::OwnTables;
use crate::config::ApprovalConfig;
use crate::grid::Grids;
use crate::judge::{Archive, verify};
use model::{Catalogue, Observation, Quality, Timestamp, Value};
use sdk::{Action, AlarmVerb, Clock, IngestError, Part, Submission};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Disk, EventFilter, Meter, Options};

const GIB: u64 = 1 << 30;

/// What the hub keeps for itself in these tests; it stops at a quarter of it beside it.
const RESERVE: u64 = 8 << 20;

/// A disk of 100 GiB with as much free as the test says.
#[derive(Clone)]
struct Measured {
    free: Arc<AtomicU64>,
    free_inodes: Arc<AtomicU64>,
}

impl Measured {
    fn new(free: u64) -> Self {
        Self {
            free: Arc::new(AtomicU64::new(free)),
            free_inodes: Arc::new(AtomicU64::new(1_000_000)),
        }
    }

    fn set(&self, free: u64) {
        self.free.store(free, Ordering::SeqCst);
    }

    fn options(&self) -> Options {
        let this = self.clone();
        let meter = Meter::of(move |_| {
            Ok(Disk {
                free_bytes: this.free.load(Ordering::SeqCst),
                total_bytes: 100 * GIB,
                free_inodes: this.free_inodes.load(Ordering::SeqCst),
                total_inodes: 1_000_000,
            })
        });
        Options {
            meter,
            reserve_bytes: RESERVE,
            ..Options::default()
        }
    }

    fn start(&self, folder: &Path, clock: Clock) -> Rig {
        let own = OwnTables::default();
        let approval = ApprovalConfig::default();
        start_on(
            folder,
            clock,
            (&own, Grids::default()),
            (approval, self.options()),
        )
    }
}

impl Rig {
    /// What was said of the disk: the state, and seconds since the start.
    fn said_of_the_disk(&self) -> Vec<(String, i64)> {
        let filter = EventFilter {
            kinds: vec!["cityhub.storage".to_owned()],
            ..EventFilter::default()
        };
        let events = self.reader.events(0, 1_000, &filter).unwrap();
        let said = events.iter().map(|event| {
            let json: serde_json::Value = serde_json::from_str(&event.json).unwrap();
            let time = Timestamp::parse(json["time"].as_str().unwrap()).unwrap();
            let state = event.kind.strip_prefix("cityhub.storage.").unwrap();
            (state.to_owned(), (time.millis() - EPOCH) / 1_000)
        });
        said.collect()
    }

    async fn try_send(&self, value: f64) -> Result<u64, IngestError> {
        let observation = Observation {
            metric: self.pressure,
            value: Value::Number(value),
            quality: Quality::GOOD,
            observed_at: Some(self.clock.now()),
        };
        let part = Part {
            device: self.published.devices.find("gas-1").unwrap().key,
            received: 1,
            observations: vec![observation],
            rejected: vec![],
        };
        let submission = Submission {
            parts: vec![part],
            quarantined: vec![],
        };
        let committed = self.ingest.commit(submission).await?;
        Ok(committed.receipt().stored)
    }
}

fn states(said: &[(&str, i64)]) -> Vec<(String, i64)> {
    let owned = |(state, at): &(&str, i64)| ((*state).to_owned(), *at);
    said.iter().map(owned).collect()
}

fn verified(folder: &Path) {
    let archive =
        Archive::open(folder, &Catalogue::built_in(), rules::Settings::default()).unwrap();
    assert_eq!(verify(&archive).unwrap().problems, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn little_room_is_said_once_and_so_is_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Measured::new(11 * GIB);
    let rig = disk.start(folder.path(), Clock::starting_at(at(0)));
    for (s, free) in [
        (10, 10 * GIB),
        (20, 10 * GIB - 1), // under ten percent
        (30, 9 * GIB),
        (40, 11 * GIB), // not yet at twelve
        (50, 12 * GIB),
        (60, 11 * GIB),
    ] {
        rig.until(s * 1_000).await;
        disk.set(free);
        rig.until(s * 1_000 + 5_000).await;
    }
    assert_eq!(
        rig.said_of_the_disk(),
        states(&[("low", 20), ("ample", 50)])
    );
    disk.free_inodes.store(99_999, Ordering::SeqCst);
    rig.until(70_000).await;
    assert_eq!(
        rig.said_of_the_disk().last().unwrap(),
        &("low".to_owned(), 65)
    );
    let clock = rig.clock.clone();
    rig.stop().await;
    // A restart does not say it again.
    let rig = disk.start(folder.path(), clock);
    rig.until(80_000).await;
    assert_eq!(rig.said_of_the_disk().len(), 3);
    rig.stop().await;
    verified(folder.path());
}

#[tokio::test(start_paused = true)]
async fn what_is_free_is_said_to_be_little_when_it_does_not_last_thirty_days() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Measured::new(60 * GIB);
    let rig = disk.start(folder.path(), Clock::starting_at(at(0)));
    // A GiB and a half an hour: what is left after six hours lasts less than two days.
    for hour in 1..=7u64 {
        rig.until(i64::try_from(hour).unwrap() * 3_600_000).await;
        disk.set(60 * GIB - hour * 3 * GIB / 2);
        if hour == 6 {
            assert_eq!(rig.said_of_the_disk(), []);
        }
    }
    rig.until(7 * 3_600_000 + 120_000).await;
    let said = rig.said_of_the_disk();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, "low");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_room_nothing_is_acknowledged_people_can_act_and_nobody_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Measured::new(50 * GIB);
    let rig = disk.start(folder.path(), Clock::starting_at(at(0)));
    rig.register().await;
    rig.until(1_000).await;
    assert_eq!(rig.try_send(450.0).await, Ok(1));
    rig.until(20_000).await;
    assert_eq!(rig.open_alarms().len(), 1);

    disk.set(0);
    rig.until(22_000).await;
    // An hour without room: thrice a minute a reading comes, and an officer acts once.
    for minute in 1..60 {
        rig.until(minute * 60_000).await;
        assert_eq!(rig.try_send(300.0).await, Err(IngestError::NoRoom));
        if minute == 30 {
            let alarm = rig.open_alarms()[0].0.clone();
            rig.command(Action::Alarm {
                id: alarm,
                version: None,
                verb: AlarmVerb::Ack,
                comment: None,
                args: sdk::AlarmArgs::default(),
                key: None,
            })
            .await
            .unwrap();
        }
    }
    assert_eq!(rig.said_of_the_disk(), states(&[("full", 20)]));
    let offline = EventFilter {
        kinds: vec!["cityhub.device.offline".to_owned()],
        ..EventFilter::default()
    };
    assert_eq!(rig.reader.events(0, 10, &offline).unwrap(), []);
    let ledger = rig.reader.ledger(None, None).unwrap().total;
    assert_eq!((ledger.received, ledger.stored), (1, 1));

    disk.set(50 * GIB);
    rig.until(3_602_000).await;
    assert_eq!(rig.said_of_the_disk().last().unwrap().0, "ample");
    assert_eq!(rig.try_send(300.0).await, Ok(1));
    rig.until(3_610_000).await;
    assert_eq!(rig.reader.events(0, 10, &offline).unwrap(), []);
    // Who is silent from now on is missed three cadences later.
    rig.until(3_900_000).await;
    assert_eq!(rig.reader.events(0, 10, &offline).unwrap().len(), 1);
    let raised = rig.reader.events(0, 100, &of_alarms()).unwrap();
    let kinds: Vec<&str> = raised.iter().map(|event| event.kind.as_str()).collect();
    let expected = [
        "cityhub.alarm.raised",
        "cityhub.alarm.acked",
        "cityhub.alarm.cleared",
    ];
    assert_eq!(kinds, expected);
    rig.stop().await;
    verified(folder.path());
}

#[tokio::test(start_paused = true)]
async fn a_start_without_room_takes_commands_and_goes_on_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Measured::new(50 * GIB);
    let rig = disk.start(folder.path(), Clock::starting_at(at(0)));
    rig.register().await;
    let mut clock = rig.clock.clone();
    rig.stop().await;
    // Enough to open the database, and no more.
    disk.set(1 << 20);
    for start in 1..=2 {
        let rig = disk.start(folder.path(), clock);
        rig.until(start * 600_000).await;
        assert_eq!(rig.try_send(300.0).await, Err(IngestError::NoRoom));
        assert_eq!(rig.delete_rule("over").await.is_ok(), start == 1);
        clock = rig.clock.clone();
        rig.stop().await;
        verified(folder.path());
    }
    let rig = disk.start(folder.path(), clock);
    disk.set(50 * GIB);
    rig.until(1_800_000).await;
    assert_eq!(rig.try_send(300.0).await, Ok(1));
    let said: Vec<String> = rig
        .said_of_the_disk()
        .into_iter()
        .map(|said| said.0)
        .collect();
    assert_eq!(said, ["full", "ample"]);
    rig.stop().await;
    verified(folder.path());
}
