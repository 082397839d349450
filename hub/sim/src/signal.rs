//! Plausible signals: what each kind of sensor measures on an ordinary day, and in an episode.
//!
//! Levels follow the duty figures of the trade (limits of GB 12523, GB 3095, GB 50028, GB 4715);
//! the curves are invented and claim no more than to look alive.

mod air;
mod bikes;
mod episode;
mod gas;
mod noise;
mod rider;
mod sewage;
mod smoke;
mod truck;

use crate::demo::Cast;
use crate::fleet::{Device, GasClass};
use crate::kind::Kind;
use crate::observation::Observation;
use crate::random::Random;
use episode::{Episodes, Pace};
pub(crate) use episode::{Phase, Shape};
use std::f64::consts::TAU;

const HOUR_MS: i64 = 3_600_000;
/// The invented city keeps Beijing time, eight hours ahead of UTC.
const ZONE_HOURS: i64 = 8;

/// One moment in the life of a device.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Moment {
    /// Device time in milliseconds since the epoch.
    pub(crate) now_ms: i64,
    /// Seconds since the start of the simulation.
    pub(crate) elapsed_s: f64,
    /// Seconds since the device's last sample.
    pub(crate) step_s: f64,
}

impl Moment {
    /// Hour of the local day, with its fraction.
    fn hour(self) -> f64 {
        let day_ms = 24 * HOUR_MS;
        let local_ms = (self.now_ms + ZONE_HOURS * HOUR_MS).rem_euclid(day_ms);
        local_ms as f64 / HOUR_MS as f64
    }

    /// A wave with a period of one day that peaks at `peak_hour`, from -1 to 1.
    fn wave(self, peak_hour: f64) -> f64 {
        ((self.hour() - peak_hour) * TAU / 24.0).cos()
    }

    /// A hump of one hour and a half around an hour of the day, from 0 to 1.
    fn hump(self, peak_hour: f64) -> f64 {
        let distance = self.hour() - peak_hour;
        (-(distance / 1.5) * (distance / 1.5)).exp()
    }
}

/// A slow random deviation that returns to zero.
#[derive(Copy, Clone, Debug)]
struct Drift {
    value: f64,
    deviation: f64,
    memory_s: f64,
}

impl Drift {
    fn new(deviation: f64, memory_s: f64) -> Self {
        Self {
            value: 0.0,
            deviation,
            memory_s,
        }
    }

    fn step(&mut self, step_s: f64, random: &mut Random) -> f64 {
        let kept = (-step_s / self.memory_s).exp();
        let fresh = self.deviation * (1.0 - kept * kept).sqrt() * random.normal();
        self.value = self.value * kept + fresh;
        self.value
    }
}

/// A battery that lasts years.
#[derive(Copy, Clone, Debug)]
struct Battery {
    pct: f64,
    days: f64,
}

impl Battery {
    fn new(device: &Device, cast: Option<&Cast>, random: &mut Random) -> Self {
        let fresh_pct = random.between(35.0, 100.0);
        let days = random.between(700.0, 1800.0);
        // Every thirteenth device has a battery that somebody should change; in the demo one of a
        // kind will do.
        let due = match cast {
            Some(_) => device.ordinal == 12,
            None => device.ordinal % 13 == 12,
        };
        let pct = if due { fresh_pct / 10.0 } else { fresh_pct };
        Self { pct, days }
    }

    fn observe(&mut self, step_s: f64) -> Observation {
        self.pct = (self.pct - 100.0 * step_s / (self.days * 86_400.0)).max(0.0);
        Observation::number("battery_pct", self.pct, 1)
    }
}

/// The outdoor temperature, which all kinds share in form but not in place.
#[derive(Copy, Clone, Debug)]
struct Weather {
    drift: Drift,
    offset_c: f64,
}

impl Weather {
    fn new(random: &mut Random) -> Self {
        Self {
            drift: Drift::new(0.8, 7200.0),
            offset_c: random.between(-1.5, 1.5),
        }
    }

    fn temperature_c(&mut self, moment: Moment, random: &mut Random) -> f64 {
        let daily = 22.0 + 5.0 * moment.wave(14.5);
        (daily + self.offset_c + self.drift.step(moment.step_s, random)).clamp(-20.0, 45.0)
    }
}

/// The signal of one device.
#[derive(Debug)]
pub(crate) enum Signal {
    Gas(gas::Gas),
    Smoke(smoke::Smoke),
    Noise(noise::Noise),
    Dust(air::Dust),
    Fence(bikes::Fence),
    Bike(bikes::Bike),
    Rider(rider::Rider),
    Gateway(Gateway),
    /// It measures nothing; it is there.
    Camera,
    Sewage(sewage::Sewage),
    Truck(truck::Truck),
}

impl Signal {
    /// Prepares the signal of a device; in the demo it plays what `cast` says.
    pub(crate) fn new(device: &Device, cast: Option<&Cast>, random: &mut Random) -> Self {
        match device.kind {
            Kind::Bike if cast.is_some() => Self::Rider(rider::Rider::new(device, cast, random)),
            Kind::GasPressure => Self::Gas(gas::Gas::new(device, cast, random)),
            Kind::Smoke => Self::Smoke(smoke::Smoke::new(device, cast, random)),
            Kind::Noise => Self::Noise(noise::Noise::new(device, cast, random)),
            Kind::Dust => Self::Dust(air::Dust::new(cast, random)),
            Kind::BikeFence => Self::Fence(bikes::Fence::new(device, cast, random)),
            Kind::Bike => Self::Bike(bikes::Bike::new(device, cast, random)),
            Kind::Gateway => Self::Gateway(Gateway::new(random)),
            Kind::Camera => Self::Camera,
            Kind::Sewage => Self::Sewage(sewage::Sewage::new()),
            Kind::Truck => Self::Truck(truck::Truck::new(device, random)),
        }
    }

    /// Measures.
    pub(crate) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        match self {
            Self::Gas(gas) => gas.sample(moment, random),
            Self::Smoke(smoke) => smoke.sample(moment, random),
            Self::Noise(noise) => noise.sample(moment, random),
            Self::Dust(dust) => dust.sample(moment, random),
            Self::Fence(fence) => fence.sample(moment, random),
            Self::Bike(bike) => bike.sample(moment, random),
            Self::Rider(rider) => rider.sample(moment, random),
            Self::Gateway(gateway) => gateway.sample(moment, random),
            Self::Camera => vec![Observation::number("online", 1.0, 0)],
            Self::Sewage(sewage) => sewage.sample(moment, random),
            Self::Truck(truck) => truck.sample(moment, random),
        }
    }
}

/// A gateway reports its radio and the inside of its box.
#[derive(Debug)]
pub(crate) struct Gateway {
    weather: Weather,
    signal: Drift,
    signal_dbm: f64,
}

impl Gateway {
    fn new(random: &mut Random) -> Self {
        Self {
            weather: Weather::new(random),
            signal: Drift::new(4.0, 600.0),
            signal_dbm: random.between(-95.0, -60.0),
        }
    }

    fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        let box_c = self.weather.temperature_c(moment, random) + 6.0;
        let signal_dbm = self.signal_dbm + self.signal.step(moment.step_s, random);
        vec![
            Observation::number("temperature_c", box_c, 1),
            Observation::number("signal_dbm", signal_dbm.clamp(-120.0, -40.0), 0),
        ]
    }
}

#[cfg(test)]
mod tests;
