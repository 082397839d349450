//! The list of what is in a release, made by `deploy/sbom.mjs`.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use tests::hub::root;

#[test]
fn the_list_of_a_release_has_what_is_linked_and_nothing_of_what_tests_use() {
    let script = root().join("deploy/sbom.mjs");
    let made = Command::new("node").arg(&script).arg(&script).output();
    let made = made.expect("node runs");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let list: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(list["bomFormat"], "CycloneDX");
    let components = list["components"].as_array().unwrap();
    let of_scope = |scope: &str| -> BTreeSet<&str> {
        let found = components.iter().filter(|part| part["scope"] == scope);
        found.filter_map(|part| part["name"].as_str()).collect()
    };
    let (linked, helping) = (of_scope("required"), of_scope("excluded"));
    for name in [
        "tokio",
        "rusqlite",
        "libsqlite3-sys",
        "sqlite",
        "zstd",
        "rumqttd",
        "influxdb2",
        "store",
    ] {
        assert!(linked.contains(name), "{name}");
    }
    for name in ["serde_derive", "cc"] {
        assert!(helping.contains(name) && !linked.contains(name), "{name}");
    }
    for name in ["proptest", "criterion", "tests"] {
        assert!(!linked.contains(name) && !helping.contains(name), "{name}");
    }
    let bundled = components.iter().find(|part| part["name"] == "sqlite");
    let version = bundled.unwrap()["version"].as_str().unwrap();
    assert!(version.starts_with("3."), "{version}");
    let known: BTreeSet<&str> = components
        .iter()
        .filter_map(|part| part["bom-ref"].as_str())
        .collect();
    assert_eq!(known.len(), components.len(), "each has a name of its own");
    for dependency in list["dependencies"].as_array().unwrap() {
        for on in dependency["dependsOn"].as_array().unwrap() {
            assert!(known.contains(on.as_str().unwrap()), "{on}");
        }
    }
}
