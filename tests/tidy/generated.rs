//! Compares generated files with what the program generates; `UPDATE=1` rewrites them.

use tests::hub::{Place, root, words};

/// Demands that a file is what the program prints.
#[track_caller]
fn check(file: &str, args: &[&str]) {
    let output = Place::default().run(args);
    assert!(output.status.success(), "{}", words(&output));
    let path = root().join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &output.stdout).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_default();
    assert!(
        kept == output.stdout,
        "{file} is not up to date: run this test with UPDATE=1"
    );
}

#[test]
fn the_schema_file_is_what_the_program_prints() {
    check("deploy/hub.schema.json", &["schema"]);
}

#[test]
fn the_lists_of_figures_are_what_the_program_prints() {
    check("docs/en/metrics.md", &["metrics", "--language", "en"]);
    check("docs/zh-CN/metrics.md", &["metrics", "--language", "zh"]);
}

#[test]
fn the_files_of_the_demo_city_are_what_its_script_writes() {
    let demo = root().join("deploy/demo");
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("map")).unwrap();
    let written = std::process::Command::new("python3")
        .arg(demo.join("make_city.py"))
        .current_dir(place.path())
        .output()
        .expect("python3 is installed");
    assert!(written.status.success(), "{}", words(&written));
    for file in [
        "devices.csv",
        "grid.geojson",
        "map/fences.geojson",
        "map/roads.geojson",
        "map/sites.geojson",
        "map/streets.geojson",
        "map/water.geojson",
    ] {
        let (kept, made) = (demo.join(file), place.path().join(file));
        assert!(
            std::fs::read(kept).unwrap() == std::fs::read(made).unwrap(),
            "{file} is not what make_city.py writes"
        );
    }
}

#[test]
fn the_schema_names_every_section_of_the_contract() {
    let output = Place::default().run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = schema["properties"].as_object().unwrap();
    for key in [
        "data_dir", "devices", "rules", "city", "http", "auth", "drivers", "store",
    ] {
        assert!(keys.contains_key(key), "no `{key}` in the schema");
    }
}
