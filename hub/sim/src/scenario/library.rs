//! The scenarios that come with the program.

/// One scenario: its script and the rules of its own.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) rules: &'static str,
}

/// Every folder of `tests/scenarios`, in the order of the names.
pub(crate) const LIBRARY: &[Entry] = &[Entry {
    name: "chatter",
    scenario: include_str!("../../../../tests/scenarios/chatter/scenario.toml"),
    rules: include_str!("../../../../tests/scenarios/chatter/rules.toml"),
}];

/// The rule packs that come with the hub, by name.
pub(crate) const PACKS: &[(&str, &str)] = &[];
