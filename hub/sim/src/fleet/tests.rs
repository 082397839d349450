//! The invented city has the size and the order that it promises.

use super::*;

fn fleet(devices: usize) -> Fleet {
    Fleet::new(&FleetPlan {
        devices,
        prefix: "sim",
        secret_seed: "demo",
        cadence_s: None,
    })
}

#[test]
fn a_round_of_sites_has_every_kind_and_gateways_come_before_their_children() {
    let fleet = fleet(11);
    let ids: Vec<&str> = fleet
        .devices
        .iter()
        .map(|device| device.id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "sim-noise-0001",
            "sim-dust-0001",
            "sim-gw-0001",
            "sim-gas-0001",
            "sim-gas-0002",
            "sim-gw-0002",
            "sim-smoke-0001",
            "sim-smoke-0002",
            "sim-fence-0001",
            "sim-bike-0001",
            "sim-bike-0002",
        ]
    );
    let parents: Vec<Option<usize>> = fleet.devices.iter().map(|device| device.parent).collect();
    let (a, b) = (Some(2), Some(5));
    assert_eq!(
        parents,
        [None, None, None, a, a, None, b, b, None, None, None]
    );
    assert_eq!(fleet.devices[3].gas_class, GasClass::Medium);
    assert_eq!(fleet.devices[4].gas_class, GasClass::Low);
}

#[test]
fn a_fleet_has_the_size_asked_for_and_unique_names() {
    for size in [0, 1, 7, 1000] {
        let fleet = fleet(size);
        assert_eq!(fleet.devices.len(), size);
        let mut ids: Vec<&str> = fleet
            .devices
            .iter()
            .map(|device| device.id.as_str())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), size);
    }
    assert!(
        fleet(1000)
            .devices
            .iter()
            .any(|device| device.gas_class == GasClass::High)
    );
}

#[test]
fn a_smaller_fleet_is_the_beginning_of_a_larger_one() {
    let (small, large) = (fleet(9).csv(), fleet(30).csv());
    assert!(large.starts_with(&small), "{small}");
}

#[test]
fn the_json_row_has_the_columns_of_the_contract() {
    let fleet = fleet(5);
    let row = serde_json::to_value(&fleet.rows()[3]).unwrap();
    assert_eq!(row["id"], "sim-gas-0001");
    assert_eq!(row["kind"], "gas_pressure");
    assert_eq!(row["parent"], "sim-gw-0001");
    assert_eq!(row["cadence_s"], 60);
    assert_eq!(row["component_code"], "3502030135000001");
    assert_eq!(row["tags"]["class"], "medium");
    assert_eq!(row["location"]["datum"], "WGS84");
    let lon = row["location"]["lon"].as_f64().unwrap();
    assert!((118.05..118.13).contains(&lon), "{lon}");
    assert_eq!(row["secret"].as_str().unwrap().len(), 32);
}

#[test]
fn every_csv_line_has_the_columns_of_the_header() {
    let csv = fleet(60).csv();
    let commas = |line: &str| line.matches(',').count();
    assert_eq!(csv.lines().count(), 61);
    assert!(csv.lines().all(|line| commas(line) == 12), "{csv}");
    assert!(csv.contains(",,medium\n") && csv.contains(",20,\n"));
}

#[test]
fn another_secret_seed_gives_other_secrets_to_the_same_devices() {
    let other = Fleet::new(&FleetPlan {
        devices: 3,
        prefix: "sim",
        secret_seed: "other",
        cadence_s: Some(7),
    });
    for (left, right) in fleet(3).devices.iter().zip(&other.devices) {
        assert_eq!(
            (&left.id, left.lon, right.cadence_s),
            (&right.id, right.lon, 7)
        );
        assert_ne!(left.secret, right.secret);
    }
}
