//! Which metric a code is, in which unit, and the metrics that statistics have of their own.

use crate::command::Period;
use crate::profile::Profile;
use crate::table;
use model::{Catalogue, MetricDef, MetricKey};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

const CODES: &str = include_str!("../data/codes.csv");
const UNITS: &str = include_str!("../data/units.csv");

/// The unit of sound levels, whose statistics are `-Data` and not `-Avg`.
const SOUND: &str = "dB(A)";

/// Which value of a period it is: its sub-field, the word in its metric's name, and what people say.
const STATISTICS: [(&str, &str, &str, &str); 3] = [
    ("Avg", "avg", "平均", "average"),
    ("Min", "min", "最小", "minimum"),
    ("Max", "max", "最大", "maximum"),
];

/// A row of the table of codes.
struct Row {
    code: &'static str,
    metric: &'static str,
    unit: &'static str,
    doubt_below: Option<f64>,
    total_metric: &'static str,
    total_unit: &'static str,
    like: &'static str,
    names: [&'static str; 2],
}

fn table_rows() -> impl Iterator<Item = Row> {
    table::rows(CODES).map(
        |[
            code,
            metric,
            unit,
            doubt,
            total_metric,
            total_unit,
            like,
            zh,
            en,
        ]: [&str; 9]| Row {
            code,
            metric,
            unit,
            doubt_below: doubt.parse().ok(),
            total_metric,
            total_unit,
            like,
            names: [zh, en],
        },
    )
}

/// How values of one unit become values of another.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    /// Divides by a whole number where it can, so that 75600 ng is 75.6 µg and not nearly so.
    pub(crate) fn apply(self, value: f64) -> f64 {
        if self.from < self.to {
            value / (self.to / self.from)
        } else {
            value * (self.from / self.to)
        }
    }

    fn between(from: &str, to: &str) -> Result<Self, String> {
        let find = |unit: &str| {
            let plain = plain_unit(unit);
            let known = table::rows(UNITS).find(|[name, _, _]: &[&str; 3]| *name == plain);
            known.ok_or_else(|| format!("unknown unit `{unit}`"))
        };
        let ([_, quantity, from_size], [_, wanted, to_size]) = (find(from)?, find(to)?);
        if quantity != wanted {
            return Err(format!("`{from}` is no unit of {wanted}"));
        }
        let size = |text: &str| text.parse().map_err(|_| format!("size `{text}` of a unit"));
        Ok(Self {
            from: size(from_size)?,
            to: size(to_size)?,
        })
    }
}

/// Writes a unit as the table does: µ as u, ³ as 3.
fn plain_unit(unit: &str) -> String {
    let letters = unit.trim().chars().map(|letter| match letter {
        'µ' | 'μ' => 'u',
        '³' => '3',
        other => other,
    });
    letters.collect()
}

/// What one code of a profile is.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    /// Where its real-time values go; none for a statistic that has no reading.
    pub(crate) reading: Option<MetricKey>,
    pub(crate) scale: Scale,
    pub(crate) total_scale: Option<Scale>,
    /// A smaller value above 0 has a unit that was never set.
    pub(crate) doubt_below: Option<f64>,
    /// Where its statistics go, by period and sub-field.
    pub(crate) statistics: HashMap<(u8, &'static str), MetricKey>,
}

impl Code {
    pub(crate) fn statistic(&self, period: Period, sub: &str) -> Option<MetricKey> {
        let known = SUBS.into_iter().find(|known| *known == sub)?;
        self.statistics.get(&(period as u8, known)).copied()
    }
}

/// Sub-fields of statistics.
const SUBS: [&str; 7] = ["Avg", "Min", "Max", "Cou", "Data", "DayData", "NightData"];

/// Names the metric of a statistic; it need not exist.
fn statistic_name(period: Period, sub: &str, metric: &str, total_metric: &str) -> Option<String> {
    let word = word(period).0;
    let statistic = STATISTICS.iter().find(|(known, ..)| *known == sub);
    match (sub, statistic) {
        (_, Some((_, name, ..))) => Some(format!("{word}_{name}_{metric}")),
        ("Cou", _) if total_metric.is_empty() => None,
        ("Cou", _) => Some(format!("{word}_sum_{total_metric}")),
        ("Data", _) => Some(format!("{word}_{metric}")),
        ("DayData", _) => Some(format!("daytime_{metric}")),
        ("NightData", _) => Some(format!("night_{metric}")),
        _ => None,
    }
}

fn word(period: Period) -> (&'static str, &'static str) {
    match period {
        Period::Minute => ("minute", "分钟"),
        Period::Hour => ("hour", "小时"),
        Period::Day => ("day", "日"),
    }
}

/// Resolves the codes of a profile.
pub(crate) fn resolve(
    profile: &Profile,
    catalogue: &Catalogue,
) -> Result<HashMap<String, Code>, String> {
    let mut codes = HashMap::new();
    for row in table_rows() {
        if !profile.codes.contains_key(row.code) {
            let unit = profile.units.get(row.code).map_or(row.unit, String::as_str);
            let code = resolve_one(&row, unit, catalogue);
            let code = code.map_err(|error| format!("code `{}`: {error}", row.code))?;
            codes.insert(row.code.to_owned(), code);
        }
    }
    for (name, metric) in &profile.codes {
        let wrong = |error: &str| format!("code `{name}`: {error}");
        let key = catalogue.find(metric);
        let def = key.and_then(|key| catalogue.def(key));
        let def = def.ok_or_else(|| wrong(&format!("there is no metric `{metric}`")))?;
        // A row of the same metric says what its statistics are.
        let row = table_rows().find(|row| row.metric == metric);
        let unit = profile.units.get(name).unwrap_or(&def.unit);
        let code = match row {
            Some(row) => resolve_one(&row, unit, catalogue),
            None => plain(def, key, unit),
        };
        codes.insert(name.clone(), code.map_err(|error| wrong(&error))?);
    }
    for name in profile.units.keys() {
        if !codes.contains_key(name) {
            return Err(format!(
                "units: no code `{name}` is known; name its metric in `codes`"
            ));
        }
    }
    Ok(codes)
}

/// A metric of which the table knows no statistics.
fn plain(def: &MetricDef, key: Option<MetricKey>, unit: &str) -> Result<Code, String> {
    let same = Scale { from: 1.0, to: 1.0 };
    let scale = if unit == def.unit {
        same
    } else {
        Scale::between(unit, &def.unit)?
    };
    Ok(Code {
        reading: key,
        scale,
        total_scale: None,
        doubt_below: None,
        statistics: HashMap::new(),
    })
}

fn resolve_one(row: &Row, unit: &str, catalogue: &Catalogue) -> Result<Code, String> {
    let reading = catalogue.find(row.metric);
    let def = reading.and_then(|key| catalogue.def(key));
    // A statistic without a reading is in its table's unit.
    let target = def.map_or(row.unit, |def| &def.unit);
    let total = (!row.total_unit.is_empty()).then_some(row.total_unit);
    let mut statistics = HashMap::new();
    for period in Period::ALL {
        for sub in SUBS {
            let name = statistic_name(period, sub, row.metric, row.total_metric);
            if let Some(key) = name.and_then(|name| catalogue.find(&name)) {
                statistics.insert((period as u8, sub), key);
            }
        }
    }
    Ok(Code {
        reading: reading.filter(|_| row.like.is_empty()),
        scale: Scale::between(unit, target)?,
        total_scale: total.map(|unit| Scale::between(unit, unit)).transpose()?,
        doubt_below: row.doubt_below,
        statistics,
    })
}

/// Writes the rows of the metric table that statistics of this protocol need.
pub(crate) fn metrics() -> String {
    let known = Catalogue::built_in();
    let mut rows = BTreeMap::new();
    for row in table_rows() {
        let base = if row.like.is_empty() {
            row.metric
        } else {
            row.like
        };
        let Some(def) = known.find(base).and_then(|key| known.def(key)) else {
            continue;
        };
        for period in Period::ALL {
            for sub in SUBS {
                if is_kept(&row, &def.unit, sub)
                    && let Some(name) = statistic_name(period, sub, row.metric, row.total_metric)
                {
                    rows.insert(name, describe(&row, def, period, sub));
                }
            }
        }
    }
    let mut table = "name,name_zh,name_en,unit,shape,min,max,derived,source\n".to_owned();
    for (name, rest) in rows {
        // Writing to a text cannot fail.
        writeln!(table, "{name},{rest}").unwrap_or_default();
    }
    table
}

/// Tells whether the standard has this statistic of this code.
fn is_kept(row: &Row, unit: &str, sub: &str) -> bool {
    match sub {
        "Cou" => !row.total_metric.is_empty(),
        "Data" | "DayData" | "NightData" => unit == SOUND,
        // `LA-Avg` and the like are seen in the field, `L10-Avg` is not.
        _ => unit != SOUND || row.like.is_empty(),
    }
}

fn describe(row: &Row, def: &MetricDef, period: Period, sub: &str) -> String {
    let (word, word_zh) = word(period);
    let own = |names: [&str; 2], from: &MetricDef| {
        let or = |own: &str, other: &Option<String>| match (own.is_empty(), other) {
            (true, Some(other)) => other.clone(),
            _ => own.to_owned(),
        };
        let [zh, en] = names;
        (or(zh, &from.name_zh), or(en, &from.name_en))
    };
    let (zh, en) = own(row.names, def);
    let (zh, en) = match sub {
        "Cou" => (
            format!("{zh}{word_zh}累计"),
            format!("{en}: total of the {word}"),
        ),
        "Data" => (format!("{word_zh}{zh}"), format!("{en} of the {word}")),
        "DayData" => (format!("昼间{zh}"), format!("{en} by day")),
        "NightData" => (format!("夜间{zh}"), format!("{en} by night")),
        _ => {
            let found = STATISTICS.iter().find(|(known, ..)| *known == sub);
            let (_, _, zh_word, en_word) = found.copied().unwrap_or_default();
            let en = format!("{en}: {en_word} of the {word}");
            (format!("{zh}{word_zh}{zh_word}"), en)
        }
    };
    let limit = |limit: Option<f64>| limit.map(|limit| limit.to_string()).unwrap_or_default();
    let (unit, min, max) = if sub == "Cou" {
        (row.total_unit, "0".to_owned(), String::new())
    } else {
        (def.unit.as_str(), limit(def.min), limit(def.max))
    };
    format!("{zh},{en},{unit},number,{min},{max},yes,statistic of HJ 212-2017 table 9")
}

#[cfg(test)]
mod tests;
