//! Reads the CSV table of metrics, by the names of its columns.

use super::{MetricDef, MetricShape};

const NAMES: [&str; 12] = [
    "name",
    "name_zh",
    "name_en",
    "unit",
    "shape",
    "min",
    "max",
    "rate_max_per_s",
    "stuck_after_s",
    "kind",
    "derived",
    "source",
];

/// Skips blank lines and `#` comments; numbers lines from 1. The first one left is the header.
pub(super) fn lines(csv: &str) -> impl Iterator<Item = (usize, &str)> {
    csv.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// What a cell with a limit says.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Limit(f64),
    /// There is no limit.
    NoLimit,
}

/// One row, read but not compared with what is known.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) name_zh: String,
    pub(super) name_en: String,
    pub(super) kind: Option<String>,
    unit: String,
    shape: String,
    pub(super) min: Option<Cell>,
    pub(super) max: Option<Cell>,
    rate_max_per_s: Option<Cell>,
    stuck_after_s: Option<Cell>,
    derived: bool,
}

/// The header's columns, in their order.
#[derive(Debug, Default)]
pub(super) struct Columns(Vec<&'static str>);

impl Columns {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn read(header: &str) -> Result<Self, String> {
        let mut columns = Vec::new();
        for given in header.split(',').map(str::trim) {
            let known = NAMES.into_iter().find(|name| *name == given);
            columns.push(known.ok_or_else(|| format!("unknown column `{given}`"))?);
        }
        if !columns.contains(&"name") {
            return Err("there is no column `name`".to_owned());
        }
        Ok(Self(columns))
    }

    pub(super) fn row(&self, line: &str) -> Result<Row, String> {
        let mut row = Row::default();
        for (column, text) in self.0.iter().zip(line.split(',').map(str::trim)) {
            match *column {
                "name" => text.clone_into(&mut row.name),
                "name_zh" => text.clone_into(&mut row.name_zh),
                "name_en" => text.clone_into(&mut row.name_en),
                "unit" => text.clone_into(&mut row.unit),
                "shape" => text.clone_into(&mut row.shape),
                "kind" => row.kind = (!text.is_empty()).then(|| text.to_owned()),
                "min" => row.min = limit(text)?,
                "max" => row.max = limit(text)?,
                "rate_max_per_s" => row.rate_max_per_s = limit(text)?,
                "derived" => row.derived = yes(text)?,
                "stuck_after_s" => row.stuck_after_s = limit(text)?,
                // The source stands last, and may have commas.
                _ => break,
            }
        }
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if row.name.is_empty() || !row.name.bytes().all(is_plain) {
            return Err(format!(
                "metric name `{}` must be lower-case letters, digits and _",
                row.name
            ));
        }
        Ok(row)
    }
}

fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "" => Ok(false),
        other => Err(format!("`{other}` is not `yes`")),
    }
}

fn limit(text: &str) -> Result<Option<Cell>, String> {
    match text {
        "" => Ok(None),
        "none" => Ok(Some(Cell::NoLimit)),
        text => text
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(|number| Some(Cell::Limit(number)))
            .ok_or_else(|| format!("`{text}` is no number")),
    }
}

fn set(place: &mut Option<f64>, cell: Option<Cell>) {
    match cell {
        Some(Cell::Limit(number)) => *place = Some(number),
        Some(Cell::NoLimit) => *place = None,
        None => {}
    }
}

impl Row {
    /// Makes a metric that is not known yet.
    pub(super) fn define(&self) -> Result<MetricDef, String> {
        let shape = match self.shape.as_str() {
            "number" => MetricShape::Number,
            "position" => MetricShape::Position,
            other => {
                return Err(format!(
                    "shape `{other}` is neither `number` nor `position`"
                ));
            }
        };
        let mut def = MetricDef {
            name: self.name.clone(),
            name_zh: None,
            name_en: None,
            unit: self.unit.clone(),
            shape,
            min: None,
            max: None,
            rate_max_per_s: None,
            stuck_after_s: None,
            derived: self.derived,
        };
        self.narrow(&mut def)?;
        Ok(def)
    }

    pub(super) fn agrees_with(&self, def: &MetricDef) -> Result<(), String> {
        if !self.unit.is_empty() && self.unit != def.unit {
            return Err(format!(
                "metric `{}` is in `{}`, not in `{}`",
                def.name, def.unit, self.unit
            ));
        }
        let shape = match def.shape {
            MetricShape::Number => "number",
            MetricShape::Position => "position",
        };
        if !self.shape.is_empty() && self.shape != shape {
            return Err(format!("metric `{}` is a {shape}", def.name));
        }
        Ok(())
    }

    /// Sets the names and limits that the row has.
    pub(super) fn narrow(&self, def: &mut MetricDef) -> Result<(), String> {
        for (name, given) in [
            (&mut def.name_zh, &self.name_zh),
            (&mut def.name_en, &self.name_en),
        ] {
            if !given.is_empty() {
                *name = Some(given.clone());
            }
        }
        set(&mut def.min, self.min);
        set(&mut def.max, self.max);
        set(&mut def.rate_max_per_s, self.rate_max_per_s);
        if def.rate_max_per_s.is_some_and(|rate| rate <= 0.0) {
            return Err("`rate_max_per_s` must be above 0".to_owned());
        }
        match self.stuck_after_s {
            Some(Cell::NoLimit) => def.stuck_after_s = None,
            Some(Cell::Limit(after_s)) => {
                if after_s < 1.0 || after_s > f64::from(u32::MAX) || after_s.fract() != 0.0 {
                    return Err("`stuck_after_s` must be a whole number of seconds".to_owned());
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it is whole and within the range"
                )]
                let after_s = after_s as u32;
                def.stuck_after_s = Some(after_s);
            }
            None => {}
        }
        Ok(())
    }
}
