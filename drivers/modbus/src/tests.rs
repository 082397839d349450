//! The driver as its configuration and its devices see it.

mod settings;
mod vectors;

use crate::{Config, Shared};
use sdk::testkit::Kit;
use std::sync::Arc;

/// Reads `[drivers.NAME]` as the hub does.
pub(crate) fn config(text: &str) -> Result<Config, String> {
    let text = format!("kind = 'modbus'\n{text}");
    let source = config::File::from_str(&text, config::FileFormat::Toml);
    let built = config::Config::builder().add_source(source).build();
    let built = built.map_err(|error| error.to_string())?;
    built.try_deserialize().map_err(|error| error.to_string())
}

pub(crate) fn shared(kit: &Kit, text: &str) -> Arc<Shared> {
    Arc::new(Shared::new(&config(text).unwrap(), kit.cx.clone()).unwrap())
}
