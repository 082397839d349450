//! Killed at random moments under load: what was acknowledged is there, events have no hole.
//!
//! `CYCLES` makes the loop longer and `SEED` makes it another one.

use serde_json::Value;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use tests::audit;
use tests::fleet::{Fleet, Progress, overpressure};
use tests::hub::{Hub, Place, plain_config};

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")),
    )
}

/// splitmix64: the moments of a seed are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A city that is killed again and again.
struct City {
    place: Place,
    fleet: Fleet,
    dice: Dice,
    /// Events that the cursor or a stream has shown so far: no restart may change them.
    shown: Vec<Value>,
}

impl City {
    fn found(sensors: usize, window: usize) -> Self {
        // Seals come often, so that kills hit them too.
        let place = Place::with_config(&format!("{}[store]\nseal_cells = 5000\n", plain_config()));
        let fleet = Fleet::new(sensors, window);
        let hub = place.start();
        fleet.register(&hub);
        hub.rule("gas_overpressure", &overpressure());
        hub.kill();
        Self {
            place,
            fleet,
            dice: Dice(setting("SEED").unwrap_or(20_260_301)),
            shown: Vec::new(),
        }
    }

    /// Runs the hub under load, kills it at a random moment, and looks at what is left.
    fn cycle(&mut self, acked_max: u64) {
        let hub = self.start();
        let addr = hub.mqtt();
        let mut stream = hub.api().stream("?from=0", None);
        let progress = Arc::new(Progress::default());
        let enough = 1 + self.dice.below(acked_max);
        let jitter = Duration::from_micros(self.dice.below(20_000));
        let fleet = &mut self.fleet;
        let (ended, end) = sync_channel(1);
        let streamed = std::thread::scope(|scope| {
            let load = Arc::clone(&progress);
            scope.spawn(move || {
                fleet.report(addr, &load);
                ended.send(()).unwrap();
            });
            let follower = scope.spawn(move || {
                let mut seen = Vec::new();
                while let Some(sent) = stream.receive() {
                    if sent.event != "hb" {
                        seen.push(sent.json());
                    }
                }
                seen
            });
            progress.wait_for(enough);
            let early = end.recv_timeout(jitter);
            assert_eq!(
                early,
                Err(RecvTimeoutError::Timeout),
                "the load outlives the hub"
            );
            hub.kill();
            follower.join().unwrap()
        });
        if streamed.len() > self.shown.len() {
            self.shown = streamed;
        }
        self.place.verify();
    }

    /// Starts the hub and demands that nothing acknowledged or shown was lost or changed.
    fn start(&mut self) -> Hub {
        let hub = self.place.start();
        self.fleet.check(&hub);
        let events = audit::events(&hub.api());
        assert!(
            events.len() >= self.shown.len(),
            "events that were shown are there"
        );
        for (event, shown) in events.iter().zip(&self.shown) {
            assert_eq!(event, shown, "an event never changes");
        }
        audit::alarms_take_turns(&events);
        audit::ledger(&hub.api());
        self.shown = events;
        hub
    }

    /// Lets every sensor send what is still unanswered, and settles the account.
    fn settle(mut self) {
        let hub = self.start();
        let progress = Arc::new(Progress::default());
        progress.stop();
        self.fleet.report(hub.mqtt(), &progress);
        assert_eq!(
            self.fleet.unacked(),
            0,
            "everything is acknowledged at last"
        );
        self.fleet.check(&hub);
        let ledger = audit::ledger(&hub.api());
        let sent = u64::try_from(self.fleet.acked()).unwrap();
        assert_eq!(ledger.total.stored, sent, "each reading is stored once");
        assert_eq!(ledger.total.rejected_total(), 0);
        let raised = audit::alarms_take_turns(&audit::events(&hub.api()));
        assert!(raised > 0, "the load raises alarms");
        let (status, log) = hub.stop();
        assert!(status.success(), "{log}");
        self.place.verify();
    }
}

#[test]
fn killed_under_the_load_of_16_sensors_nothing_acknowledged_is_lost() {
    let cycles = setting("CYCLES").unwrap_or(5);
    let mut city = City::found(16, 32);
    for _ in 0..cycles {
        city.cycle(4_000);
    }
    city.settle();
}

#[test]
fn killed_under_the_load_of_500_sensors_nothing_acknowledged_is_lost() {
    let cycles = setting("CYCLES").unwrap_or(2);
    let mut city = City::found(500, 4);
    for _ in 0..cycles {
        city.cycle(8_000);
    }
    city.settle();
}
