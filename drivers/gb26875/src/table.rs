//! The code tables of `data/`, with the metrics of this hub's catalogue.

use crate::profile::Profile;
use model::{Catalogue, MetricKey};

const STATE_BITS: &str = include_str!("../data/state_bits.csv");
const ANALOG: &str = include_str!("../data/analog.csv");

/// The flag whose loss would cost most: it takes the quality of a test, but never leaves it out.
pub(crate) const FIRE: &str = "smoke_alarm";

/// Whose state word it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    System,
    Component,
    Device,
}

/// A flag, and the bits that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    pub(crate) metric: MetricKey,
    pub(crate) is_fire: bool,
    /// Set by one of these being 1, or by one of those being 0.
    ones: u16,
    zeros: u16,
}

impl Flag {
    pub(crate) fn of(&self, bits: u16) -> bool {
        bits & self.ones != 0 || !bits & self.zeros != 0
    }
}

/// How a value is sent: raw × times ÷ over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) metric: String,
    pub(crate) times: f64,
    pub(crate) over: f64,
}

/// Metrics of what is done at a device.
#[derive(Clone, Debug)]
pub(crate) struct Operations {
    pub(crate) bits: Option<MetricKey>,
    pub(crate) operator: Option<MetricKey>,
    pub(crate) manual_alarm: Option<MetricKey>,
    pub(crate) guard_reply: Option<MetricKey>,
}

#[derive(Clone, Debug)]
pub(crate) struct Tables {
    system: Vec<Flag>,
    component: Vec<Flag>,
    device: Vec<Flag>,
    analog: Vec<(u8, Scale)>,
    pub(crate) operations: Operations,
}

impl Tables {
    /// Reads the tables; a metric that the catalogue lacks is an error of this program.
    pub(crate) fn read(catalogue: &Catalogue) -> Result<Self, String> {
        let mut tables = Self {
            system: Vec::new(),
            component: Vec::new(),
            device: Vec::new(),
            analog: Vec::new(),
            operations: Operations {
                bits: catalogue.find("operation_bits"),
                operator: catalogue.find("operator"),
                manual_alarm: catalogue.find("manual_alarm"),
                guard_reply: catalogue.find("guard_reply"),
            },
        };
        for line in rows(STATE_BITS) {
            tables
                .take_bit(catalogue, line)
                .ok_or_else(|| wrong("state_bits", line))?;
        }
        for line in rows(ANALOG) {
            let row = analog(line).ok_or_else(|| wrong("analog", line))?;
            tables.analog.push(row);
        }
        Ok(tables)
    }

    fn take_bit(&mut self, catalogue: &Catalogue, line: &str) -> Option<()> {
        let mut cells = line.split(',');
        let flags = match cells.next()? {
            "system" => &mut self.system,
            "component" => &mut self.component,
            "device" => &mut self.device,
            _ => return None,
        };
        let bit = 1u16.checked_shl(cells.next()?.parse().ok()?)?;
        let (ones, zeros) = match cells.next()? {
            "1" => (bit, 0),
            "0" => (0, bit),
            _ => return None,
        };
        let name = cells.next()?;
        let metric = catalogue.find(name)?;
        if let Some(flag) = flags.iter_mut().find(|flag| flag.metric == metric) {
            flag.ones |= ones;
            flag.zeros |= zeros;
            return Some(());
        }
        flags.push(Flag {
            metric,
            is_fire: name == FIRE,
            ones,
            zeros,
        });
        Some(())
    }

    pub(crate) fn flags(&self, scope: Scope) -> &[Flag] {
        match scope {
            Scope::System => &self.system,
            Scope::Component => &self.component,
            Scope::Device => &self.device,
        }
    }

    /// Tells whether a metric is that of a fire.
    pub(crate) fn is_fire(&self, metric: MetricKey) -> bool {
        let flags = [&self.system, &self.component, &self.device];
        let mut flags = flags.into_iter().flatten();
        flags.any(|flag| flag.is_fire && flag.metric == metric)
    }

    /// Tells how an analog value is sent: what the profile of the device says, else the standard.
    pub(crate) fn scale<'a>(&'a self, kind: u8, profile: &'a Profile) -> Option<&'a Scale> {
        let standard = self.analog.iter().find(|(known, _)| *known == kind);
        profile.scale(kind).or(standard.map(|(_, scale)| scale))
    }
}

fn rows(csv: &'static str) -> impl Iterator<Item = &'static str> {
    let lines = csv.lines().skip(1);
    lines.filter(|line| !line.starts_with('#') && !line.is_empty())
}

fn analog(line: &str) -> Option<(u8, Scale)> {
    let mut cells = line.split(',');
    let kind = cells.next()?.parse().ok()?;
    let metric = cells.next()?.to_owned();
    let (times, over) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
    Some((
        kind,
        Scale {
            metric,
            times,
            over,
        },
    ))
}

fn wrong(table: &str, line: &str) -> String {
    format!("data/{table}.csv: `{line}` cannot be used with this catalogue of metrics")
}

#[cfg(test)]
mod tests {
    use super::{Scope, Tables};
    use crate::profile::Profile;
    use model::Catalogue;

    #[test]
    fn the_tables_fit_the_built_in_catalogue() {
        let catalogue = Catalogue::built_in();
        let tables = Tables::read(&catalogue).unwrap();
        let set = |scope, bits: u16| -> Vec<&str> {
            let flags = tables.flags(scope).iter();
            let set = flags.filter(|flag| flag.of(bits));
            set.map(|flag| catalogue.def(flag.metric).unwrap().name.as_str())
                .collect()
        };
        assert_eq!(set(Scope::Component, 0x0002), ["test_state", "smoke_alarm"]);
        assert_eq!(set(Scope::Component, 0x0101), ["fault", "main_power_fault"]);
        assert_eq!(set(Scope::Device, 0x0011), ["fault", "backup_power_fault"]);
        assert_eq!(set(Scope::System, 0x0801), ["manual_mode"]);
        let standard = Profile::default();
        for kind in 1..=12 {
            let scale = tables.scale(kind, &standard).unwrap();
            assert!(catalogue.find(&scale.metric).is_some(), "{kind}");
        }
        assert!(tables.scale(128, &standard).is_none());
        assert!(tables.operations.manual_alarm.is_some());
    }
}
