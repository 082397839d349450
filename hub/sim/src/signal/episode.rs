//! Episodes: when something out of the ordinary begins at a device, and for how long.

use crate::fleet::Device;
use crate::random::Random;

/// What can happen at a device.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A regulator lets too much pressure through.
    Overpressure,
    /// Pressure falls slowly.
    Leak,
    /// A pipe bursts; pressure falls at once.
    Rupture,
    /// Kitchen fumes below the alarm threshold.
    Cooking,
    Fire,
    /// The sensor itself is out of order.
    SensorFault,
    /// Loud works, by night too.
    Works,
    /// A cloud of dust.
    Plume,
    /// More bikes than a fence holds.
    PileUp,
    Ride,
}

impl Shape {
    /// Shortest and longest duration in seconds, on an ordinary day and in a demo.
    fn range_s(self, demo: bool) -> (f64, f64) {
        match (self, demo) {
            (Self::Overpressure, true) => (50.0, 80.0),
            (Self::Overpressure, false) => (300.0, 1200.0),
            (Self::Leak, true) => (90.0, 150.0),
            (Self::Leak, false) => (3600.0, 10_800.0),
            (Self::Rupture, true) => (60.0, 90.0),
            (Self::Rupture, false) => (1800.0, 3600.0),
            (Self::Cooking, true) => (60.0, 120.0),
            (Self::Cooking, false) => (600.0, 2400.0),
            (Self::Fire, true) => (80.0, 140.0),
            (Self::Fire, false) => (600.0, 1800.0),
            (Self::SensorFault, true) => (40.0, 60.0),
            (Self::SensorFault, false) => (1200.0, 3600.0),
            (Self::Works, true) => (80.0, 150.0),
            (Self::Works, false) => (1800.0, 10_800.0),
            (Self::Plume, true) => (80.0, 150.0),
            (Self::Plume, false) => (900.0, 5400.0),
            (Self::PileUp, true) => (120.0, 200.0),
            (Self::PileUp, false) => (3600.0, 10_800.0),
            (Self::Ride, true) => (120.0, 300.0),
            (Self::Ride, false) => (600.0, 1800.0),
        }
    }
}

/// How soon the first episode comes and how far apart the later ones are, in seconds.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) first_s: f64,
    pub(crate) mean_gap_s: f64,
}

/// In a demo every device but the first of its kind has one episode in so many seconds, so that
/// alarms come about once a minute and an officer can follow.
const DEMO_GAP_S: f64 = 3600.0;
/// The first device of a kind repeats its episode after so many seconds of quiet.
const DEMO_FIRST_GAP_S: f64 = 240.0;

impl Pace {
    /// `ordinary_gap_s` is the mean quiet time on an ordinary day; in a demo the first device of
    /// its kind starts at `demo_first_s`.
    pub(crate) fn new(
        device: &Device,
        demo: bool,
        ordinary_gap_s: f64,
        demo_first_s: f64,
        random: &mut Random,
    ) -> Self {
        let wait = random.unit();
        match (demo, device.ordinal) {
            (true, 0) => Self {
                first_s: demo_first_s,
                mean_gap_s: DEMO_FIRST_GAP_S,
            },
            (true, _) => Self {
                first_s: 60.0 + wait * DEMO_GAP_S,
                mean_gap_s: DEMO_GAP_S,
            },
            // The middle of a running process: nothing is special about its start.
            (false, _) => Self {
                first_s: -ordinary_gap_s * (1.0 - wait).ln(),
                mean_gap_s: ordinary_gap_s,
            },
        }
    }
}

/// Where an episode stands.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) shape: Shape,
    pub(crate) since_s: f64,
    /// From 0 at its start to 1 at its end.
    pub(crate) fraction: f64,
    /// From 0 (mild) to 1 (violent).
    pub(crate) strength: f64,
}

impl Phase {
    /// Rises over the first tenth, holds, falls over the last fifth: from 0 to 1 and back.
    pub(crate) fn plateau(self) -> f64 {
        (self.fraction / 0.1)
            .min((1.0 - self.fraction) / 0.2)
            .clamp(0.0, 1.0)
    }
}

#[derive(Copy, Clone, Debug)]
struct Running {
    shape: Shape,
    started_s: f64,
    lasts_s: f64,
    strength: f64,
}

/// The episodes of one device, one at a time.
#[derive(Debug)]
pub(crate) struct Episodes {
    /// The first one is the first of these; later ones are drawn.
    shapes: &'static [Shape],
    pace: Pace,
    demo: bool,
    running: Option<Running>,
    next_s: f64,
    begun: u32,
}

impl Episodes {
    pub(crate) fn new(shapes: &'static [Shape], pace: Pace, demo: bool) -> Self {
        Self {
            shapes,
            pace,
            demo,
            running: None,
            next_s: pace.first_s,
            begun: 0,
        }
    }

    /// Tells what is going on now, beginning and ending episodes as time passes.
    pub(crate) fn at(&mut self, elapsed_s: f64, random: &mut Random) -> Option<Phase> {
        if let Some(running) = self.running {
            let since_s = elapsed_s - running.started_s;
            if since_s < running.lasts_s {
                return Some(Phase {
                    shape: running.shape,
                    since_s,
                    fraction: since_s / running.lasts_s,
                    strength: running.strength,
                });
            }
            self.running = None;
            // At least a third of the mean, so that one alarm clears before the next.
            let gap_s = self.pace.mean_gap_s;
            self.next_s = elapsed_s + gap_s / 3.0 + random.exponential(gap_s * 2.0 / 3.0);
        }
        if elapsed_s < self.next_s {
            return None;
        }
        let choice = match self.begun {
            0 => 0,
            _ => usize::try_from(random.below(self.shapes.len() as u64)).unwrap_or(0),
        };
        let shape = *self.shapes.get(choice)?;
        self.begun += 1;
        let (shortest_s, longest_s) = shape.range_s(self.demo);
        let running = Running {
            shape,
            started_s: elapsed_s,
            lasts_s: random.between(shortest_s, longest_s),
            strength: random.unit(),
        };
        self.running = Some(running);
        Some(Phase {
            shape,
            since_s: 0.0,
            fraction: 0.0,
            strength: running.strength,
        })
    }
}
