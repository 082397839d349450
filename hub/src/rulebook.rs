//! Rules of the configuration: built-in packs, and the TOML files of one folder.

use crate::config::Loaded;
use model::Catalogue;
use rules::{RuleError, RuleSpec};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rules that a configuration names.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    pub rules: BTreeMap<String, RuleSpec>,
    /// The packs with the number of their rules.
    pub packs: BTreeMap<String, usize>,
    /// Rules of packs that the folder replaces.
    pub replaced: Vec<String>,
}

impl Rulebook {
    /// Says which packs are on and what replaces their rules, to stand behind the number of rules.
    pub fn summary(&self) -> String {
        if self.packs.is_empty() {
            return String::new();
        }
        let packs: Vec<String> = self
            .packs
            .iter()
            .map(|(name, rules)| format!("{name} {rules}"))
            .collect();
        let mut text = format!("; packs: {}", packs.join(", "));
        if !self.replaced.is_empty() {
            text.push_str(&format!(
                "; replaced by the folder: {}",
                self.replaced.join(", ")
            ));
        }
        text
    }
}

/// Reads the packs and the folder; a rule of the folder replaces one of a pack. Nothing is taken
/// where one rule is wrong.
pub fn of(loaded: &Loaded, catalogue: &Catalogue) -> anyhow::Result<Rulebook> {
    let mut book = Rulebook::default();
    let packs = loaded.config.packs.iter();
    for (name, _) in packs.filter(|(_, is_on)| **is_on) {
        let Some(rules) = rules::read_pack(name) else {
            continue;
        };
        let rules = rules?;
        book.packs.insert(name.clone(), rules.len());
        for (id, spec) in rules {
            spec.validate(catalogue).map_err(|error| RuleError {
                file: Some(format!("packs/{name}.toml")),
                rule: Some(id.clone()),
                ..error
            })?;
            book.rules.insert(id, spec);
        }
    }
    let Some(folder) = &loaded.config.rules else {
        return Ok(book);
    };
    if !folder.is_dir() {
        let reason = format!("{} is no folder that can be read", folder.display());
        return Err(loaded.error("rules", reason).into());
    }
    for (id, spec) in read(folder, catalogue)? {
        if book.rules.insert(id.clone(), spec).is_some() {
            book.replaced.push(id);
        }
    }
    Ok(book)
}

/// Reads every `*.toml` of the folder, in the order of the names. Nothing is taken from a folder
/// in which one rule is wrong; the error names file, line and key.
pub fn read(folder: &Path, catalogue: &Catalogue) -> Result<BTreeMap<String, RuleSpec>, RuleError> {
    let mut rules = BTreeMap::new();
    for file in files(folder).map_err(|error| unreadable(folder, &error))? {
        let text = text_of(&file)?;
        for (id, spec) in parse(&file, &text, catalogue)? {
            if rules.contains_key(&id) {
                return Err(RuleError {
                    file: Some(file.display().to_string()),
                    line: line_of(&text, &id, None),
                    rule: Some(id),
                    key: None,
                    reason: "is defined twice; the first is in this folder too".to_owned(),
                });
            }
            rules.insert(id, spec);
        }
    }
    Ok(rules)
}

/// Reads the rules of one file.
pub fn read_file(
    file: &Path,
    catalogue: &Catalogue,
) -> Result<BTreeMap<String, RuleSpec>, RuleError> {
    let rules = parse(file, &text_of(file)?, catalogue)?;
    Ok(rules.into_iter().collect())
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    Ok(files)
}

fn text_of(file: &Path) -> Result<String, RuleError> {
    std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> RuleError {
    RuleError {
        file: Some(path.display().to_string()),
        reason: format!("cannot be read: {error}"),
        ..RuleError::default()
    }
}

fn parse(
    file: &Path,
    text: &str,
    catalogue: &Catalogue,
) -> Result<Vec<(String, RuleSpec)>, RuleError> {
    let name = file.display().to_string();
    let folder = file.parent().unwrap_or(Path::new(""));
    let rules = rules::parse_toml_beside(&name, text, &|path| {
        let file = folder.join(path);
        std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
    })?;
    for (id, spec) in &rules {
        spec.validate(catalogue).map_err(|mut error| {
            error.file = Some(name.clone());
            error.line = error
                .line
                .or_else(|| line_of(text, id, error.key.as_deref()));
            error.rule = Some(id.clone());
            error
        })?;
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

    #[test]
    fn a_rule_that_is_defined_twice_is_named_with_its_second_place() {
        let folder = tempfile::tempdir().unwrap();
        let rule = "[rules.a]\ntitle='A'\nkind='threshold'\nselect={}\nmetric='pressure_kpa'\nabove=400.0\nseverity='major'\n";
        std::fs::write(folder.path().join("1.toml"), rule).unwrap();
        std::fs::write(folder.path().join("2.toml"), format!("# again\n\n{rule}")).unwrap();
        let error = read(folder.path(), &Catalogue::built_in()).unwrap_err();
        assert_eq!((error.line, error.rule.as_deref()), (Some(3), Some("a")));
        assert!(error.file.unwrap().ends_with("2.toml"));
    }

    #[test]
    fn fences_may_stand_in_a_file_beside_the_rule() {
        let folder = tempfile::tempdir().unwrap();
        let rule =
            "[rules.a]\nkind = 'geofence'\nselect = { kind = 'bike' }\nfences = 'fences.geojson'\n";
        std::fs::write(folder.path().join("a.toml"), rule).unwrap();
        let error = read(folder.path(), &Catalogue::built_in()).unwrap_err();
        assert_eq!(
            (error.line, error.key.as_deref()),
            (Some(4), Some("fences")),
            "{error}"
        );
        let fences = r#"{"type":"Polygon","coordinates":[[[118,24],[119,24],[119,25],[118,24]]]}"#;
        std::fs::write(folder.path().join("fences.geojson"), fences).unwrap();
        let rules = read(folder.path(), &Catalogue::built_in()).unwrap();
        assert!(
            rules["a"].to_json()["fences"]
                .to_string()
                .contains("[119.0,25.0]")
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(&folder.path().join("nope"), &Catalogue::built_in()).unwrap_err();
        assert!(
            error.to_string().contains("nope: cannot be read"),
            "{error}"
        );
    }
}
