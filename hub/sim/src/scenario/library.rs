//! The scenarios that come with the program.

/// One scenario: its script and the rules of its own.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) rules: &'static str,
}

/// Every folder of `tests/scenarios`, in the order of the names.
pub(crate) const LIBRARY: &[Entry] = &[
    Entry {
        name: "bike-pile",
        scenario: include_str!("../../../../tests/scenarios/bike-pile/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/bike-pile/rules.toml"),
    },
    Entry {
        name: "bikes-outside",
        scenario: include_str!("../../../../tests/scenarios/bikes-outside/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/bikes-outside/rules.toml"),
    },
    Entry {
        name: "burst-pipe",
        scenario: include_str!("../../../../tests/scenarios/burst-pipe/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/burst-pipe/rules.toml"),
    },
    Entry {
        name: "chatter",
        scenario: include_str!("../../../../tests/scenarios/chatter/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/chatter/rules.toml"),
    },
    Entry {
        name: "chatter-delayed",
        scenario: include_str!("../../../../tests/scenarios/chatter-delayed/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/chatter-delayed/rules.toml"),
    },
    Entry {
        name: "cooking-smoke",
        scenario: include_str!("../../../../tests/scenarios/cooking-smoke/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/cooking-smoke/rules.toml"),
    },
    Entry {
        name: "dust-plume",
        scenario: include_str!("../../../../tests/scenarios/dust-plume/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/dust-plume/rules.toml"),
    },
    Entry {
        name: "fire-half-out",
        scenario: include_str!("../../../../tests/scenarios/fire-half-out/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/fire-half-out/rules.toml"),
    },
    Entry {
        name: "flood",
        scenario: include_str!("../../../../tests/scenarios/flood/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/flood/rules.toml"),
    },
    Entry {
        name: "frozen-sensor",
        scenario: include_str!("../../../../tests/scenarios/frozen-sensor/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/frozen-sensor/rules.toml"),
    },
    Entry {
        name: "gas-leak",
        scenario: include_str!("../../../../tests/scenarios/gas-leak/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/gas-leak/rules.toml"),
    },
    Entry {
        name: "gateway-loss",
        scenario: include_str!("../../../../tests/scenarios/gateway-loss/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/gateway-loss/rules.toml"),
    },
    Entry {
        name: "gateway-loss-dead",
        scenario: include_str!("../../../../tests/scenarios/gateway-loss-dead/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/gateway-loss-dead/rules.toml"),
    },
    Entry {
        name: "gps-drift",
        scenario: include_str!("../../../../tests/scenarios/gps-drift/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/gps-drift/rules.toml"),
    },
    Entry {
        name: "night-works",
        scenario: include_str!("../../../../tests/scenarios/night-works/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/night-works/rules.toml"),
    },
    Entry {
        name: "normal-day",
        scenario: include_str!("../../../../tests/scenarios/normal-day/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/normal-day/rules.toml"),
    },
    Entry {
        name: "overpressure",
        scenario: include_str!("../../../../tests/scenarios/overpressure/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/overpressure/rules.toml"),
    },
    Entry {
        name: "overpressure-ends",
        scenario: include_str!("../../../../tests/scenarios/overpressure-ends/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/overpressure-ends/rules.toml"),
    },
    Entry {
        name: "real-fire",
        scenario: include_str!("../../../../tests/scenarios/real-fire/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/real-fire/rules.toml"),
    },
    Entry {
        name: "wrong-clock",
        scenario: include_str!("../../../../tests/scenarios/wrong-clock/scenario.toml"),
        rules: include_str!("../../../../tests/scenarios/wrong-clock/rules.toml"),
    },
];

/// The rule packs that come with the hub, by name.
pub(crate) const PACKS: &[(&str, &str)] = &[
    ("bikes", include_str!("../../../../rules/packs/bikes.toml")),
    ("dust", include_str!("../../../../rules/packs/dust.toml")),
    ("fire", include_str!("../../../../rules/packs/fire.toml")),
    ("gas", include_str!("../../../../rules/packs/gas.toml")),
    (
        "health",
        include_str!("../../../../rules/packs/health.toml"),
    ),
    ("noise", include_str!("../../../../rules/packs/noise.toml")),
];
