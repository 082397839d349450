//! What is measured, with its unit and plausible range: one table that a city can extend.

mod table;

use crate::{Names, Quality, Value, reading::Cause};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
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
    /// What people call it.
    #[serde(default)]
    pub name_zh: Option<String>,
    #[serde(default)]
    pub name_en: Option<String>,
    pub unit: String,
    pub shape: MetricShape,
    /// Least plausible value, in `unit`.
    pub min: Option<f64>,
    /// Greatest plausible value, in `unit`.
    pub max: Option<f64>,
    /// The fastest that it can plausibly change, in `unit` per second.
    pub rate_max_per_s: Option<f64>,
    /// The longest that it can plausibly stay exactly the same while reports keep coming.
    pub stuck_after_s: Option<u32>,
    /// What some devices compute of other metrics, such as an hour's mean: of no use to anybody
    /// before one reports it.
    #[serde(default)]
    pub derived: bool,
}

/// How values of one metric can plausibly follow one another.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Pace {
    pub rate_max_per_s: Option<f64>,
    pub stuck_after_s: Option<u32>,
}

impl Pace {
    pub fn is_free(&self) -> bool {
        self.rate_max_per_s.is_none() && self.stuck_after_s.is_none()
    }
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

impl MetricDef {
    pub fn pace(&self) -> Pace {
        Pace {
            rate_max_per_s: self.rate_max_per_s,
            stuck_after_s: self.stuck_after_s,
        }
    }
}

/// The metrics and device kinds that this hub knows.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    defs: Vec<MetricDef>,
    keys: HashMap<Arc<str>, MetricKey>,
    kinds: BTreeMap<String, Names>,
    /// Where devices of one kind have a pace of their own.
    paces: HashMap<Arc<str>, HashMap<Arc<str>, Pace>>,
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
        catalogue.kinds = table::lines(BUILT_IN_KINDS)
            .skip(1)
            .filter_map(|(_, line)| {
                let mut cells = line.split(',').map(str::to_owned);
                let kind = cells.next()?;
                let (zh, en) = (cells.next()?, cells.next()?);
                Some((kind, Names { zh, en }))
            })
            .collect();
        catalogue
    }

    /// Takes the rows of a CSV table in. The columns are named by its header: `name`, `name_zh`,
    /// `name_en`, `unit`, `shape`, `min`, `max`, `rate_max_per_s`, `stuck_after_s`, `kind`, `derived`
    /// (`yes` or nothing), and `source` at the end.
    ///
    /// A row of a known name sets limits of that metric, all of them or, with a `kind`, those in
    /// time for devices of that kind; an empty cell leaves what was set, `none` takes it away.
    pub fn extend(&mut self, csv: &str) -> Result<(), CatalogueError> {
        let mut columns = table::Columns::default();
        for (line, text) in table::lines(csv) {
            let failed = |reason| CatalogueError { line, reason };
            if columns.is_empty() {
                columns = table::Columns::read(text).map_err(failed)?;
                continue;
            }
            let row = columns.row(text).map_err(failed)?;
            self.take(row).map_err(failed)?;
        }
        Ok(())
    }

    fn take(&mut self, row: table::Row) -> Result<(), String> {
        let known = self.find(&row.name).and_then(|key| self.def(key));
        let Some(known) = known else {
            if row.kind.is_some() {
                return Err(format!("metric `{}` is not known yet", row.name));
            }
            return self.push(row.define()?).map(drop);
        };
        row.agrees_with(known)?;
        let mut def = known.clone();
        let Some(kind) = &row.kind else {
            row.narrow(&mut def)?;
            let key = self.find(&row.name).ok_or("a known metric has a key")?;
            if let Some(place) = self.defs.get_mut(usize::from(key.0)) {
                *place = def;
            }
            return Ok(());
        };
        if row.min.is_some() || row.max.is_some() {
            return Err("`min` and `max` hold for every kind".to_owned());
        }
        if !self.has_kind(kind) {
            return Err(format!("unknown kind `{kind}`"));
        }
        let paces = self.paces.entry(kind.as_str().into()).or_default();
        if let Some(pace) = paces.get(row.name.as_str()) {
            (def.rate_max_per_s, def.stuck_after_s) = (pace.rate_max_per_s, pace.stuck_after_s);
        }
        row.narrow(&mut def)?;
        paces.insert(row.name.as_str().into(), def.pace());
        Ok(())
    }

    /// Tells how values of this metric can follow one another at a device of this kind.
    #[inline]
    pub fn pace(&self, kind: &str, key: MetricKey) -> Pace {
        let Some(def) = self.def(key) else {
            return Pace::default();
        };
        let own = self.paces.get(kind);
        let own = own.and_then(|paces| paces.get(def.name.as_str()));
        own.copied().unwrap_or_else(|| def.pace())
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
            paces: self.paces.clone(),
            ..Self::default()
        };
        for name in known {
            let def = self
                .find(name)
                .and_then(|key| self.def(key))
                .cloned()
                .unwrap_or(MetricDef {
                    name: name.clone(),
                    name_zh: None,
                    name_en: None,
                    unit: String::new(),
                    shape: MetricShape::Number,
                    min: None,
                    max: None,
                    rate_max_per_s: None,
                    stuck_after_s: None,
                    derived: false,
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
        self.kinds.contains_key(kind)
    }

    pub fn add_kind(&mut self, kind: &str) {
        let names = Names {
            zh: kind.to_owned(),
            en: kind.to_owned(),
        };
        self.kinds.entry(kind.to_owned()).or_insert(names);
    }

    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// Tells what each kind is called.
    pub fn kind_names(&self) -> &BTreeMap<String, Names> {
        &self.kinds
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

#[cfg(test)]
mod tests;
