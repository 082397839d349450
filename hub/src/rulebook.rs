//! Rules of the configuration: TOML files of one folder.

use anyhow::{Context, Result, bail};
use model::Catalogue;
use rules::RuleSpec;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads every `*.toml` of the folder, in the order of the names. Nothing is taken from a folder
/// in which one rule is wrong; the error names file, line and key.
pub fn read(folder: &Path, catalogue: &Catalogue) -> Result<BTreeMap<String, RuleSpec>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read rules {}", folder.display()))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    let mut rules = BTreeMap::new();
    for file in files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {name}"))?;
        for (id, spec) in rules::parse_toml(&name, &text)? {
            spec.validate(catalogue).map_err(|mut error| {
                error.file = Some(name.clone());
                error.line = error
                    .line
                    .or_else(|| line_of(&text, &id, error.key.as_deref()));
                error.rule = Some(id.clone());
                error
            })?;
            if rules.insert(id.clone(), spec).is_some() {
                bail!("{name}: rule `{id}` is defined twice");
            }
        }
    }
    Ok(rules)
}

/// Finds the line of a rule's key, or of its table.
fn line_of(text: &str, id: &str, key: Option<&str>) -> Option<usize> {
    let table = format!("rules.{id}");
    match key {
        Some(key) => crate::config::line_of(text, &format!("{table}.{key}")),
        None => crate::config::line_of(text, &table),
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use model::Catalogue;

    #[test]
    fn one_wrong_rule_is_named_and_nothing_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let good = "[rules.a]\ntitle='A'\nkind='threshold'\nselect={}\nmetric='pressure_kpa'\nabove=400.0\nseverity='major'\n";
        std::fs::write(folder.path().join("1.toml"), good).unwrap();
        assert_eq!(
            read(folder.path(), &Catalogue::built_in()).unwrap().len(),
            1
        );
        let bad = good
            .replace("rules.a", "rules.b")
            .replace("pressure_kpa", "pressure_psi");
        std::fs::write(folder.path().join("2.toml"), bad).unwrap();
        let error = read(folder.path(), &Catalogue::built_in())
            .unwrap_err()
            .to_string();
        for part in ["2.toml:5", "`b`", "`metric`", "pressure_psi"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}
