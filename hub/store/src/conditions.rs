//! The conditions of a query, with their parameters.

use model::Region;
use rusqlite::types::Value;

#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) sql: Vec<String>,
    pub(crate) params: Vec<Value>,
}

impl Conditions {
    /// Adds a condition; each `?` in it stands for one parameter.
    pub(crate) fn add(&mut self, sql: &str, params: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.to_owned());
        self.params.extend(params);
    }

    pub(crate) fn equal(&mut self, column: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(&format!("{column} = ?"), [Value::from(value.to_owned())]);
        }
    }

    /// What begins with a text lies before the text followed by the last character there is, so that
    /// an index can be used.
    pub(crate) fn begins_with(&mut self, column: &str, value: Option<&str>) {
        if let Some(value) = value {
            let end = format!("{value}\u{10ffff}");
            self.add(
                &format!("{column} >= ? AND {column} < ?"),
                [value.to_owned().into(), end.into()],
            );
        }
    }

    /// Lets pass what lies in one of the regions; a row without a place lies in the city as a whole.
    pub(crate) fn in_regions(&mut self, column: &str, regions: &[Region], city_code: &str) {
        if regions.is_empty() {
            return;
        }
        let mut places = Vec::new();
        let mut params = Vec::new();
        for region in regions {
            let prefix = region.prefix().to_owned();
            let end = format!("{prefix}\u{10ffff}");
            places.push(format!("({column} >= ? AND {column} < ?)"));
            params.extend([Value::from(prefix), end.into()]);
        }
        if regions.iter().any(|region| region.holds(city_code)) {
            places.push(format!("{column} IS NULL"));
        }
        self.add(&format!("({})", places.join(" OR ")), params);
    }

    pub(crate) fn any_of<'a>(&mut self, column: &str, values: impl Iterator<Item = &'a str>) {
        let values: Vec<Value> = values.map(|value| value.to_owned().into()).collect();
        let places = vec!["?"; values.len()].join(", ");
        self.add(&format!("{column} IN ({places})"), values);
    }
}
