//! What is measured, with its unit and plausible range: one table that a city can extend.

use crate::{Quality, Value, reading::Cause};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// The hub's own number of a metric; stable across restarts.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetricKey(pub u16);

/// What form a metric's values have.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricShape {
    Number,
    Position,
}

/// One row of the metric table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricDef {
    pub name: String,
    pub unit: String,
    pub shape: MetricShape,
    /// Least plausible value, in `unit`.
    pub min: Option<f64>,
    /// Greatest plausible value, in `unit`.
    pub max: Option<f64>,
}

/// A metric table that cannot be used, with the line that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueError {
    pub line: usize,
    pub reason: String,
}

impl fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metric table, line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for CatalogueError {}

/// The metrics and device kinds that this hub knows.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    defs: Vec<MetricDef>,
    keys: HashMap<Arc<str>, MetricKey>,
    kinds: BTreeSet<String>,
}

const BUILT_IN_METRICS: &str = include_str!("../data/metrics.csv");
const BUILT_IN_KINDS: &str = include_str!("../data/kinds.csv");

impl Catalogue {
    /// Gives the table that comes with the hub.
    pub fn built_in() -> Self {
        let mut catalogue = Self::default();
        catalogue
            .extend(BUILT_IN_METRICS)
            .expect("the built-in metric table is tested");
        catalogue.kinds = data_lines(BUILT_IN_KINDS)
            .filter_map(|(_, line)| line.split(',').next().map(str::to_owned))
            .collect();
        catalogue
    }

    /// Adds the rows of a CSV table `name,unit,shape,min,max,source`; a known name is refused.
    pub fn extend(&mut self, csv: &str) -> Result<(), CatalogueError> {
        for (line, text) in data_lines(csv) {
            let def = parse_row(text).map_err(|reason| CatalogueError { line, reason })?;
            if self.keys.contains_key(def.name.as_str()) {
                let reason = format!("metric `{}` is already defined", def.name);
                return Err(CatalogueError { line, reason });
            }
            self.push(def)
                .map_err(|reason| CatalogueError { line, reason })?;
        }
        Ok(())
    }

    /// Adds one metric and tells its key.
    pub fn push(&mut self, def: MetricDef) -> Result<MetricKey, String> {
        let index = u16::try_from(self.defs.len()).map_err(|_| "too many metrics".to_owned())?;
        let key = MetricKey(index);
        self.keys.insert(def.name.as_str().into(), key);
        self.defs.push(def);
        Ok(key)
    }

    /// Arranges the metrics so that those the store has numbered keep their numbers.
    ///
    /// `known` are the names in the order of their keys; names it lacks get the next numbers.
    #[must_use]
    pub fn numbered_like(self, known: &[String]) -> Self {
        let mut ordered = Self {
            kinds: self.kinds.clone(),
            ..Self::default()
        };
        for name in known {
            let def = self
                .find(name)
                .and_then(|key| self.def(key))
                .cloned()
                .unwrap_or(MetricDef {
                    name: name.clone(),
                    unit: String::new(),
                    shape: MetricShape::Number,
                    min: None,
                    max: None,
                });
            ordered
                .push(def)
                .expect("the store numbered no more than fit");
        }
        for def in self.defs {
            if ordered.find(&def.name).is_none() {
                ordered.push(def).expect("the table had no more than fit");
            }
        }
        ordered
    }

    pub fn find(&self, name: &str) -> Option<MetricKey> {
        self.keys.get(name).copied()
    }

    pub fn def(&self, key: MetricKey) -> Option<&MetricDef> {
        self.defs.get(usize::from(key.0))
    }

    pub fn defs(&self) -> &[MetricDef] {
        &self.defs
    }

    /// Tells whether the table of kinds has this one.
    pub fn has_kind(&self, kind: &str) -> bool {
        self.kinds.contains(kind)
    }

    pub fn add_kind(&mut self, kind: &str) {
        self.kinds.insert(kind.to_owned());
    }

    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(String::as_str)
    }

    /// Judges a value by the plausible range: outside it the value is kept, as `bad:range`.
    pub fn judge(&self, key: MetricKey, value: &Value) -> Quality {
        let Some(def) = self.def(key) else {
            return Quality::GOOD;
        };
        let plausible = match value {
            Value::Number(number) => {
                def.min.is_none_or(|min| *number >= min) && def.max.is_none_or(|max| *number <= max)
            }
            Value::Position(position) => position.is_plausible(),
        };
        if plausible {
            Quality::GOOD
        } else {
            Quality::bad(Cause::Range)
        }
    }
}

/// Skips the header, blank lines and `#` comments; numbers lines from 1.
fn data_lines(csv: &str) -> impl Iterator<Item = (usize, &str)> {
    csv.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .skip(1)
}

fn parse_row(line: &str) -> Result<MetricDef, String> {
    let mut fields = line.split(',').map(str::trim);
    let mut field = || fields.next().unwrap_or_default();
    let (name, unit, shape, min, max) = (field(), field(), field(), field(), field());
    if name.is_empty()
        || !name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    {
        return Err(format!(
            "metric name `{name}` must be lower-case letters, digits and _"
        ));
    }
    let shape = match shape {
        "number" => MetricShape::Number,
        "position" => MetricShape::Position,
        other => {
            return Err(format!(
                "shape `{other}` is neither `number` nor `position`"
            ));
        }
    };
    let bound = |text: &str| match text {
        "" => Ok(None),
        text => text
            .parse::<f64>()
            .map(Some)
            .map_err(|_| format!("`{text}` is no number")),
    };
    Ok(MetricDef {
        name: name.to_owned(),
        unit: unit.to_owned(),
        shape,
        min: bound(min)?,
        max: bound(max)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Catalogue, MetricKey};
    use crate::{Quality, Value, reading::Cause};

    #[test]
    fn the_built_in_table_has_every_metric_and_kind_of_the_contract() {
        let catalogue = Catalogue::built_in();
        for name in [
            "pressure_kpa",
            "temperature_c",
            "humidity_pct",
            "battery_pct",
            "smoke_obscuration_dbm",
            "smoke_alarm",
            "fault",
            "laeq_dba",
            "lamax_dba",
            "pm10_ugm3",
            "pm25_ugm3",
            "tsp_ugm3",
            "wind_speed_ms",
            "wind_direction_deg",
            "air_pressure_kpa",
            "parked_count",
            "position",
        ] {
            assert!(catalogue.find(name).is_some(), "{name}");
        }
        for kind in [
            "gas_pressure",
            "smoke",
            "noise",
            "dust",
            "bike_fence",
            "bike",
            "gateway",
        ] {
            assert!(catalogue.has_kind(kind), "{kind}");
        }
    }

    #[test]
    fn a_value_outside_the_plausible_range_is_bad() {
        let catalogue = Catalogue::built_in();
        let humidity = catalogue.find("humidity_pct").unwrap();
        assert_eq!(
            catalogue.judge(humidity, &Value::Number(55.0)),
            Quality::GOOD
        );
        assert_eq!(
            catalogue.judge(humidity, &Value::Number(155.0)),
            Quality::bad(Cause::Range)
        );
    }

    #[test]
    fn numbers_given_by_the_store_are_kept() {
        let known = ["battery_pct".to_owned(), "gone_metric".to_owned()];
        let catalogue = Catalogue::built_in().numbered_like(&known);
        assert_eq!(catalogue.find("battery_pct"), Some(MetricKey(0)));
        assert_eq!(catalogue.find("gone_metric"), Some(MetricKey(1)));
        assert_eq!(catalogue.find("pressure_kpa"), Some(MetricKey(2)));
    }

    #[test]
    fn a_bad_row_is_named_with_its_line() {
        let error = Catalogue::built_in().extend("name,unit,shape,min,max\nco_ppm,ppm,number,x,\n");
        let error = error.unwrap_err();
        assert_eq!((error.line, error.reason.as_str()), (2, "`x` is no number"));
    }
}
