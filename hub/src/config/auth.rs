//! `[auth]`: the tokens that the configuration gives, and texts that are never printed.

use schemars::JsonSchema;
use sdk::{Role, TokenHash};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Static tokens for automation; `cityhub admin token add` makes others.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    pub tokens: BTreeMap<String, Token>,
}

/// One static token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub token: Secret,
    pub role: Role,
}

impl Auth {
    /// Gives name, hash and role of each token.
    pub fn hashes(&self) -> BTreeMap<String, (TokenHash, Role)> {
        let hashed = |token: &Token| (TokenHash::of(token.token.reveal()), token.role);
        let tokens = self.tokens.iter();
        tokens
            .map(|(name, token)| (name.clone(), hashed(token)))
            .collect()
    }
}

/// A text that is never printed.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
