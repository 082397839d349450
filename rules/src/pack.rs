//! The rule packs that the program carries: rule files for each kind of sensor, by name.

use crate::{RuleError, RuleSpec, parse_toml};

const PACKS: [(&str, &str); 7] = [
    ("bikes", include_str!("../packs/bikes.toml")),
    ("dust", include_str!("../packs/dust.toml")),
    ("fire", include_str!("../packs/fire.toml")),
    ("gas", include_str!("../packs/gas.toml")),
    ("health", include_str!("../packs/health.toml")),
    ("noise", include_str!("../packs/noise.toml")),
    ("sewage", include_str!("../packs/sewage.toml")),
];

/// Lists the packs in the order of their names.
pub fn pack_names() -> impl Iterator<Item = &'static str> {
    PACKS.iter().map(|(name, _)| *name)
}

/// Reads the rules of a pack; none if there is no pack of this name.
pub fn read_pack(name: &str) -> Option<Result<Vec<(String, RuleSpec)>, RuleError>> {
    let (_, text) = PACKS.iter().find(|(known, _)| *known == name)?;
    Some(parse_toml(&format!("packs/{name}.toml"), text))
}

#[cfg(test)]
mod tests;
