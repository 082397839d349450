//! The protocols by which devices reach the hub: their names, where each is heard, and what each can say.

use crate::fleet::Device;
use crate::kind::Kind;
use crate::mqtt::Version;
use crate::observation::{Measure, Observation};
use crate::payload::Format;
use crate::payload::push::Platform;
use std::borrow::Cow;

/// A protocol by which a device, or a gateway for its children, reaches the hub.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Mqtt(Version),
    /// MQTT 3.1.1 with other payloads than the hub's own.
    Dialect(Dialect),
    Http,
    Push(Platform),
    Hj212,
    Gb26875,
    Gb26875Udp,
    Jt808,
    BikeLock,
    Pressure,
    PressureUdp,
    Coap(Format),
    /// A DTU that dials in and is asked.
    ModbusDtu,
    /// A server that the hub dials and asks.
    ModbusTcp,
    Gb28181,
    Gb28181Tcp,
    /// A port of cameras that the hub asks.
    Rtsp,
    /// The feeds of a bike operator, which the hub fetches.
    Gbfs,
}

/// What is written on an MQTT connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dialect {
    Own,
    Senml(Format),
    ChirpStack,
    Tts,
    ThingsBoard,
    Sparkplug,
}

impl Dialect {
    /// Tells whether it is that of somebody who speaks for others.
    pub(crate) fn is_of_gateways(self) -> bool {
        !matches!(self, Self::Own | Self::Senml(_))
    }

    /// Leaves what it can say: numbers, where positions have no form.
    pub(crate) fn says(self, observations: &[Observation]) -> Vec<Observation> {
        match self {
            Self::Own | Self::ThingsBoard => observations.to_vec(),
            Self::Senml(_) | Self::ChirpStack | Self::Tts | Self::Sparkplug => {
                numbers(observations)
            }
        }
    }
}

fn numbers(observations: &[Observation]) -> Vec<Observation> {
    let all = observations.iter();
    all.filter(|o| matches!(o.measure, Measure::Number { .. }))
        .cloned()
        .collect()
}

/// Its name in a device file, and the name of the address that it needs.
const WAYS: [(Way, &str, &str); 29] = [
    (Way::Mqtt(Version::V311), "mqtt", "mqtt"),
    (Way::Mqtt(Version::V5), "mqtt5", "mqtt"),
    (
        Way::Dialect(Dialect::Senml(Format::SenmlJson)),
        "senml",
        "mqtt",
    ),
    (
        Way::Dialect(Dialect::Senml(Format::SenmlCbor)),
        "senml-cbor",
        "mqtt",
    ),
    (Way::Dialect(Dialect::ChirpStack), "chirpstack", "mqtt"),
    (Way::Dialect(Dialect::Tts), "tts", "mqtt"),
    (Way::Dialect(Dialect::ThingsBoard), "thingsboard", "mqtt"),
    (Way::Dialect(Dialect::Sparkplug), "sparkplug", "mqtt"),
    (Way::Http, "http", "http"),
    (Way::Push(Platform::Ctwing), "ctwing", "ctwing"),
    (Way::Push(Platform::OneNet), "onenet", "onenet"),
    (
        Way::Push(Platform::OceanConnect),
        "oceanconnect",
        "oceanconnect",
    ),
    (Way::Hj212, "hj212", "hj212"),
    (Way::Gb26875, "gb26875", "gb26875"),
    (Way::Gb26875Udp, "gb26875-udp", "gb26875"),
    (Way::Jt808, "jt808", "jt808"),
    (Way::BikeLock, "bikelock", "bikelock"),
    (Way::Pressure, "pressure", "pressure"),
    (Way::PressureUdp, "pressure-udp", "pressure"),
    (Way::Coap(Format::Json), "coap", "coap"),
    (Way::Coap(Format::Cbor), "coap-cbor", "coap"),
    (Way::Coap(Format::SenmlJson), "coap-senml", "coap"),
    (Way::Coap(Format::SenmlCbor), "coap-senml-cbor", "coap"),
    (Way::ModbusDtu, "modbus-dtu", "dtu"),
    (Way::ModbusTcp, "modbus-tcp", "modbus"),
    (Way::Gb28181, "gb28181", "gb28181"),
    (Way::Gb28181Tcp, "gb28181-tcp", "gb28181"),
    (Way::Rtsp, "rtsp", "rtsp"),
    (Way::Gbfs, "gbfs", "gbfs"),
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
        match self {
            Self::Dialect(dialect) => dialect.is_of_gateways(),
            way => matches!(way, Self::Mqtt(_) | Self::Gb26875 | Self::ModbusDtu),
        }
    }

    /// Tells whether it says times in whole seconds, so that a device may not measure every second.
    pub(crate) fn has_whole_seconds(self) -> bool {
        matches!(
            self,
            Self::Hj212
                | Self::Gb26875
                | Self::Gb26875Udp
                | Self::Jt808
                | Self::BikeLock
                | Self::Pressure
                | Self::PressureUdp
                | Self::Push(Platform::OceanConnect)
        )
    }

    /// Tells whether its frames are datagrams.
    pub(crate) fn is_udp(self) -> bool {
        matches!(
            self,
            Self::Gb26875Udp | Self::PressureUdp | Self::Coap(_) | Self::Gb28181
        )
    }

    /// Tells whether all devices share one link.
    pub(crate) fn is_shared(self) -> bool {
        matches!(self, Self::ModbusTcp | Self::Rtsp | Self::Gbfs)
    }

    /// Tells what of a device's observations it can say. What comes without a value of its own, such
    /// as the state of a transmission device, is said as the hub will read it.
    pub(crate) fn says<'a>(
        self,
        device: &Device,
        observations: &'a [Observation],
    ) -> Cow<'a, [Observation]> {
        let spoken: &[&str] = match self {
            Self::Mqtt(_) | Self::Http | Self::Coap(Format::Json | Format::Cbor) => {
                return Cow::Borrowed(observations);
            }
            // A node has births and deaths, and nothing that it measures itself.
            Self::Dialect(Dialect::Sparkplug) if device.kind == Kind::Gateway => {
                return Cow::Owned(vec![Observation::number("link_fault", 0.0, 0)]);
            }
            Self::Dialect(dialect) if dialect.is_of_gateways() && device.kind == Kind::Gateway => {
                return Cow::Borrowed(observations);
            }
            Self::Dialect(dialect) => return Cow::Owned(dialect.says(observations)),
            Self::Push(_) | Self::Coap(Format::SenmlJson | Format::SenmlCbor) => {
                return Cow::Owned(numbers(observations));
            }
            Self::Gb26875 | Self::Gb26875Udp if device.kind == Kind::Gateway => {
                return Cow::Owned(vec![Observation::number("fault", 0.0, 0)]);
            }
            Self::Gb26875 | Self::Gb26875Udp => &["smoke_alarm", "fault"],
            Self::Hj212 => &HJ212,
            Self::Jt808 => &["position", "speed_kmh", "direction_deg", "mileage_km"],
            Self::BikeLock => &["position", "battery_pct"],
            Self::Pressure | Self::PressureUdp => &["pressure_kpa", "battery_pct"],
            Self::ModbusDtu | Self::ModbusTcp => &MODBUS,
            Self::Gbfs => &["parked_count"],
            Self::Gb28181 | Self::Gb28181Tcp | Self::Rtsp => &["online"],
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
        // A push has a path behind its port, and a token before its host.
        let host = addr.split_once('/').map_or(addr, |(host, _)| host);
        let parts = host.rsplit_once(':');
        if parts.is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
            return Err(format!("`{addr}` is no host:port"));
        }
        self.0.push((name.to_owned(), addr.to_owned()));
        Ok(())
    }

    /// Finds the address of a way.
    pub(crate) fn of(&self, way: Way) -> Option<&str> {
        self.named(way.address())
    }

    /// Finds an address by its name; the last one counts.
    pub(crate) fn named(&self, name: &str) -> Option<&str> {
        let mut known = self.0.iter().rev();
        let found = known.find(|(known, _)| known == name);
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

#[cfg(test)]
mod tests;
