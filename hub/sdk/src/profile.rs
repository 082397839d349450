//! How the devices of one model write: the `[profiles.NAME]` tables of the configuration.
//!
//! The hub only keeps them; `codec` says who reads one: a protocol with dialects (units, checksums,
//! sentinels) or a payload format with a mapping.

use crate::DriverError;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Every profile of the configuration, by name.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    tables: Arc<BTreeMap<String, config::Value>>,
}

impl Profiles {
    pub fn new(tables: BTreeMap<String, config::Value>) -> Self {
        Self {
            tables: Arc::new(tables),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Reads those of one codec.
    pub fn of<P: DeserializeOwned>(
        &self,
        codec: &str,
    ) -> Result<HashMap<String, Arc<P>>, DriverError> {
        let mut read = HashMap::new();
        for (name, table) in self.tables.iter() {
            let wrong = |error: &dyn std::fmt::Display| {
                DriverError::Config(format!("profiles.{name}: {error}"))
            };
            if codec_of(table).map_err(|error| wrong(&error))? != codec {
                continue;
            }
            let profile = table.clone().try_deserialize::<P>();
            let profile = profile.map_err(|error| wrong(&error))?;
            read.insert(name.clone(), Arc::new(profile));
        }
        Ok(read)
    }
}

/// Tells which codec reads a profile.
pub fn codec_of(table: &config::Value) -> Result<String, String> {
    let mut fields = table
        .clone()
        .into_table()
        .map_err(|error| error.to_string())?;
    let codec = fields
        .remove("codec")
        .ok_or_else(|| "missing `codec`, which says what reads this profile".to_owned())?;
    codec.into_string().map_err(|error| error.to_string())
}

/// A codec that has profiles, erased once.
#[derive(Copy, Clone, Debug)]
pub struct ProfileKind {
    /// The value of `codec` in the configuration.
    pub codec: &'static str,
    pub check: fn(config::Value) -> Result<(), String>,
    pub schema: fn() -> schemars::Schema,
}

impl ProfileKind {
    /// `P` has a field `codec`, and its own conditions in its `Deserialize`.
    pub const fn of<P: DeserializeOwned + JsonSchema>(codec: &'static str) -> Self {
        Self {
            codec,
            check: check::<P>,
            schema: schema::<P>,
        }
    }
}

fn check<P: DeserializeOwned>(table: config::Value) -> Result<(), String> {
    let read = table.try_deserialize::<P>();
    read.map(drop).map_err(|error| error.to_string())
}

fn schema<P: JsonSchema>() -> schemars::Schema {
    schemars::schema_for!(P)
}
