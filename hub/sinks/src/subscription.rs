//! Who gets which events, from where on and how: one table of the configuration, or one body of
//! the API.

use crate::{ALL, Filter, Outlet, Registration, SinkContext, SinkError};
use config::{Value as ConfigValue, ValueKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Where a new subscription begins.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With what happens from now on.
    #[default]
    Now,
    /// With the oldest event that is kept.
    Beginning,
    /// After the event of this number.
    After(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StartForm {
    Number(u64),
    Text(String),
}

impl Start {
    pub fn parse(value: &Value) -> Result<Self, SinkError> {
        match serde_json::from_value(value.clone()) {
            Ok(StartForm::Number(seq)) => return Ok(Self::After(seq)),
            Ok(StartForm::Text(text)) if text == "now" => return Ok(Self::Now),
            Ok(StartForm::Text(text)) if text == "beginning" => return Ok(Self::Beginning),
            Ok(StartForm::Text(text)) => {
                if let Ok(seq) = text.parse() {
                    return Ok(Self::After(seq));
                }
            }
            Err(_) => {}
        }
        Err(SinkError::key(
            "from",
            format!("{value} is neither `now` nor `beginning` nor the number of an event"),
        ))
    }

    fn to_json(self) -> Value {
        match self {
            Self::Now => "now".into(),
            Self::Beginning => "beginning".into(),
            Self::After(seq) => seq.into(),
        }
    }
}

/// A subscription that was read and checked.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub from: Start,
    pub filter: Filter,
    registration: &'static Registration,
    own: Value,
}

impl Subscription {
    /// Reads the form that is kept and shown.
    pub fn parse(spec: &Value) -> Result<Self, SinkError> {
        let Value::Object(fields) = spec else {
            return Err(SinkError("a subscription is a table".to_owned()));
        };
        let mut own = fields.clone();
        let kind = own.remove("kind");
        let registration = find(kind.as_ref().and_then(Value::as_str))?;
        let from = match own.remove("from") {
            Some(from) => Start::parse(&from)?,
            None => Start::default(),
        };
        let filter = match own.remove("filter") {
            Some(filter) => {
                serde_json::from_value(filter).map_err(|error| SinkError::key("filter", error))?
            }
            None => Filter::default(),
        };
        let own = Value::Object(own);
        (registration.check)(own.clone())?;
        Ok(Self {
            from,
            filter,
            registration,
            own,
        })
    }

    /// Reads a `[sinks.NAME]` table.
    pub fn read(value: ConfigValue) -> Result<Self, SinkError> {
        let wrong = |error: config::ConfigError| SinkError(error.to_string());
        let mut table = value.into_table().map_err(wrong)?;
        let kind = table.remove("kind").map(ConfigValue::into_string);
        let registration = find(kind.transpose().map_err(wrong)?.as_deref())?;
        let from = match table.remove("from") {
            Some(from) => Start::parse(&from.try_deserialize().map_err(wrong)?)?,
            None => Start::default(),
        };
        let filter = match table.remove("filter") {
            Some(filter) => filter
                .try_deserialize()
                .map_err(|error| SinkError::key("filter", error))?,
            None => Filter::default(),
        };
        let own = (registration.read)(ConfigValue::new(None, ValueKind::Table(table)))?;
        Ok(Self {
            from,
            filter,
            registration,
            own,
        })
    }

    /// Writes what [`Subscription::parse`] reads.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("kind".to_owned(), self.kind().into());
        if let Value::Object(own) = &self.own {
            let given = own.iter().filter(|(_, value)| !value.is_null());
            fields.extend(given.map(|(key, value)| (key.clone(), value.clone())));
        }
        fields.insert("from".to_owned(), self.from.to_json());
        fields.insert("filter".to_owned(), json!(self.filter));
        Value::Object(fields)
    }

    pub fn kind(&self) -> &'static str {
        self.registration.kind
    }

    pub fn open(&self, cx: SinkContext) -> Result<Box<dyn Outlet>, SinkError> {
        (self.registration.open)(self.own.clone(), cx)
    }
}

fn find(kind: Option<&str>) -> Result<&'static Registration, SinkError> {
    let Some(kind) = kind else {
        return Err(SinkError(
            "missing `kind`, which says which sink this is".to_owned(),
        ));
    };
    ALL.iter().find(|known| known.kind == kind).ok_or_else(|| {
        let known: Vec<&str> = ALL.iter().map(|known| known.kind).collect();
        SinkError::key(
            "kind",
            format!("no sink of kind `{kind}`; known: {}", known.join(", ")),
        )
    })
}
