//! Texts that are never shown: they are kept, since they must be used, and masked wherever they
//! would be read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// What stands where a secret would.
pub const MASK: &str = "***";

/// The keys of a subscription that hold one.
const KEYS: [&str; 4] = ["secret", "next_secret", "token", "password"];

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Gives the form of a subscription that may be shown.
pub fn mask(spec: &Value) -> Value {
    let mut shown = spec.clone();
    for key in KEYS {
        if let Some(secret) = shown.get_mut(key).filter(|value| !value.is_null()) {
            *secret = MASK.into();
        }
    }
    shown
}

/// Puts the secrets that are known in the place of masks, so that what was shown can be put back.
pub fn keep_masked(spec: &mut Map<String, Value>, known: Option<&Value>) {
    for key in KEYS {
        if let Some(value) = spec.get_mut(key)
            && value == MASK
            && let Some(known) = known.and_then(|known| known.get(key))
        {
            *value = known.clone();
        }
    }
}
