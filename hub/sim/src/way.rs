//! The protocols by which devices reach the hub: their names, where each is heard, and what each can say.

use crate::fleet::Device;
use crate::kind::Kind;
use crate::mqtt::Version;
use crate::observation::{Measure, Observation};
use std::borrow::Cow;

/// A protocol by which a device, or a gateway for its children, reaches the hub.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Mqtt(Version),
    Http,
    Hj212,
    Gb26875,
    Gb26875Udp,
    Jt808,
    BikeLock,
    Pressure,
    PressureUdp,
    /// A DTU that dials in and is asked.
    ModbusDtu,
    /// A server that the hub dials and asks.
    ModbusTcp,
}

/// Its name in a device file, and the name of the address that it needs.
const WAYS: [(Way, &str, &str); 12] = [
    (Way::Mqtt(Version::V311), "mqtt", "mqtt"),
    (Way::Mqtt(Version::V5), "mqtt5", "mqtt"),
    (Way::Http, "http", "http"),
    (Way::Hj212, "hj212", "hj212"),
    (Way::Gb26875, "gb26875", "gb26875"),
    (Way::Gb26875Udp, "gb26875-udp", "gb26875"),
    (Way::Jt808, "jt808", "jt808"),
    (Way::BikeLock, "bikelock", "bikelock"),
    (Way::Pressure, "pressure", "pressure"),
    (Way::PressureUdp, "pressure-udp", "pressure"),
    (Way::ModbusDtu, "modbus-dtu", "dtu"),
    (Way::ModbusTcp, "modbus-tcp", "modbus"),
];

impl Way {
    /// Finds a way by its name in a device file.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = WAYS.iter().find(|(_, known, _)| *known == name);
        found.map(|(way, _, _)| *way)
    }

    /// Lists all of them.
    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        WAYS.iter().map(|(way, _, _)| *way)
    }

    /// The name of the address that it needs.
    pub(crate) fn address(self) -> &'static str {
        let found = WAYS.iter().find(|(way, _, _)| *way == self);
        found.map_or("", |(_, _, address)| address)
    }

    /// Tells whether a gateway speaks by it for its children.
    pub(crate) fn carries_children(self) -> bool {
        matches!(self, Self::Mqtt(_) | Self::Gb26875 | Self::ModbusDtu)
    }

    /// Tells whether all devices share one link.
    pub(crate) fn is_shared(self) -> bool {
        self == Self::ModbusTcp
    }

    /// Tells what of a device's observations it can say. What comes without a value of its own, such
    /// as the state of a transmission device, is said as the hub will read it.
    pub(crate) fn says<'a>(
        self,
        device: &Device,
        observations: &'a [Observation],
    ) -> Cow<'a, [Observation]> {
        let spoken: &[&str] = match self {
            Self::Mqtt(_) | Self::Http => return Cow::Borrowed(observations),
            Self::Gb26875 | Self::Gb26875Udp if device.kind == Kind::Gateway => {
                return Cow::Owned(vec![Observation::number("fault", 0.0, 0)]);
            }
            Self::Gb26875 | Self::Gb26875Udp => &["smoke_alarm", "fault"],
            Self::Hj212 => &HJ212,
            Self::Jt808 => &["position", "speed_kmh", "direction_deg", "mileage_km"],
            Self::BikeLock => &["position", "battery_pct"],
            Self::Pressure | Self::PressureUdp => &["pressure_kpa", "battery_pct"],
            Self::ModbusDtu | Self::ModbusTcp => &MODBUS,
        };
        let said = |o: &&Observation| spoken.contains(&o.metric.as_ref());
        Cow::Owned(observations.iter().filter(said).cloned().collect())
    }
}

const HJ212: [&str; 14] = [
    "tsp_ugm3",
    "pm10_ugm3",
    "pm25_ugm3",
    "temperature_c",
    "humidity_pct",
    "air_pressure_kpa",
    "wind_speed_ms",
    "wind_direction_deg",
    "laeq_dba",
    "flow_ls",
    "ph",
    "cod_mgl",
    "ammonia_nitrogen_mgl",
    "total_phosphorus_mgl",
];
const MODBUS: [&str; 9] = [
    "wind_speed_ms",
    "wind_direction_deg",
    "humidity_pct",
    "temperature_c",
    "laeq_dba",
    "pm25_ugm3",
    "pm10_ugm3",
    "air_pressure_kpa",
    "pressure_kpa",
];

/// Where the hub is heard, and where the simulator is: by the names of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses(Vec<(String, String)>);

impl Addresses {
    /// Reads `NAME=HOST:PORT` texts; the name `ingest`, that of the demo's driver, means `http`.
    pub(crate) fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut addresses = Self::default();
        for text in texts {
            let (name, addr) = text
                .split_once('=')
                .ok_or_else(|| format!("`{text}` is no NAME=HOST:PORT"))?;
            let name = if name == "ingest" { "http" } else { name };
            if !WAYS.iter().any(|(_, _, known)| *known == name) {
                let mut known: Vec<&str> = WAYS.iter().map(|(_, _, known)| *known).collect();
                known.dedup();
                return Err(format!(
                    "no protocol has the address `{name}`; known: {}",
                    known.join(", ")
                ));
            }
            addresses.put(name, addr)?;
        }
        Ok(addresses)
    }

    /// Adds an address.
    pub(crate) fn put(&mut self, name: &str, addr: &str) -> Result<(), String> {
        let parts = addr.rsplit_once(':');
        if parts.is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
            return Err(format!("`{addr}` is no host:port"));
        }
        self.0.push((name.to_owned(), addr.to_owned()));
        Ok(())
    }

    /// Finds the address of a way.
    pub(crate) fn of(&self, way: Way) -> Option<&str> {
        let mut known = self.0.iter().rev();
        let found = known.find(|(name, _)| name == way.address());
        found.map(|(_, addr)| addr.as_str())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Finds a number among observations.
pub(crate) fn number(observations: &[Observation], metric: &str) -> Option<f64> {
    let found = observations.iter().find(|o| o.metric == metric)?;
    match found.measure {
        Measure::Number { value, .. } => Some(value),
        Measure::Position { .. } => None,
    }
}
