//! Episodes: when something out of the ordinary begins at a device, and for how long.

use crate::demo::{Cast, Part};
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
    /// A bike is left outside of every fence.
    Stray,
    /// The device says nothing.
    Silent,
    /// The device's clock is wrong.
    WrongClock,
}

impl Shape {
    /// Shortest and longest duration in seconds.
    fn range_s(self) -> (f64, f64) {
        match self {
            Self::Overpressure => (300.0, 1200.0),
            Self::Leak => (3600.0, 10_800.0),
            Self::Cooking => (600.0, 2400.0),
            Self::Rupture | Self::SensorFault => (1200.0, 3600.0),
            Self::Works => (1800.0, 10_800.0),
            Self::Plume => (900.0, 5400.0),
            Self::PileUp => (3600.0, 10_800.0),
            Self::Fire | Self::Ride => (600.0, 1800.0),
            // Of the demo's programme only, which has its own times.
            Self::Stray | Self::Silent | Self::WrongClock => (0.0, 0.0),
        }
    }
}

/// How soon the first episode comes and how far apart the later ones are, in seconds.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Pace {
    first_s: f64,
    mean_gap_s: f64,
}

impl Pace {
    /// `gap_s` is the mean quiet time. The middle of a running process: nothing is special about
    /// its start.
    pub(crate) fn new(gap_s: f64, random: &mut Random) -> Self {
        let wait = random.unit();
        Self {
            first_s: -gap_s * (1.0 - wait).ln(),
            mean_gap_s: gap_s,
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
    /// Takes the place of chance.
    part: Option<Part>,
    running: Option<Running>,
    next_s: f64,
    begun: u32,
}

impl Episodes {
    pub(crate) fn new(shapes: &'static [Shape], pace: Pace, cast: Option<&Cast>) -> Self {
        Self {
            shapes,
            pace,
            part: cast.map(|cast| cast.part.clone()),
            running: None,
            next_s: pace.first_s,
            begun: 0,
        }
    }

    /// Tells what is going on now, beginning and ending episodes as time passes.
    pub(crate) fn at(&mut self, elapsed_s: f64, random: &mut Random) -> Option<Phase> {
        if let Some(part) = &self.part {
            // What its clock or its link plays does not change what it measures.
            let own = |phase: &Phase| self.shapes.contains(&phase.shape);
            return part.at(elapsed_s).filter(own);
        }
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
        let (shortest_s, longest_s) = shape.range_s();
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
