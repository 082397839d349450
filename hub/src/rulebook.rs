//! Rules of the configuration: built-in packs, and the TOML files of one folder.

use crate::codes::Codes;
use crate::config::Loaded;
use model::Catalogue;
use rules::{RuleError, RuleSpec};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A GeoJSON file of fences; a city's parking plan has a few megabytes.
const FENCE_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The rules that a configuration names.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    pub rules: BTreeMap<String, RuleSpec>,
    /// The packs with the number of their rules.
    pub packs: BTreeMap<String, usize>,
    /// Rules of packs that the folder replaces.
    pub replaced: Vec<String>,
    folder: Option<PathBuf>,
}

impl Rulebook {
    /// Says in which file and line of the folder a wrong rule stands.
    pub fn locate(&self, error: RuleError) -> RuleError {
        let (Some(folder), Some(id)) = (&self.folder, &error.rule) else {
            return error;
        };
        for file in files(folder).unwrap_or_default() {
            let text = text_of(&file).unwrap_or_default();
            // The line of the table itself: a key of it alone would be found in any file.
            let is_there = rules::parse_toml("", &text)
                .is_ok_and(|rules| rules.iter().any(|(known, _)| known == id));
            let key = error.key.as_deref().and_then(|key| key.split('[').next());
            if is_there {
                return RuleError {
                    file: Some(file.display().to_string()),
                    line: line_of(&text, id, key),
                    ..error
                };
            }
        }
        error
    }

    /// Finds the rules whose category no table of the city knows: their cases would wait for ever as
    /// unroutable.
    pub fn unknown_categories(&self, codes: &Codes) -> Vec<RuleError> {
        let rules = self.rules.iter().filter_map(|(id, spec)| {
            let category = spec.category.as_deref()?;
            (!codes.knows(category)).then(|| self.locate(unknown_category(id, category)))
        });
        rules.collect()
    }

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

/// Says that a rule's category is in no table.
pub(crate) fn unknown_category(id: &str, category: &str) -> RuleError {
    RuleError {
        rule: Some(id.to_owned()),
        key: Some("category".to_owned()),
        reason: format!("`{category}` is in no table of event categories"),
        ..RuleError::default()
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
    book.folder = Some(folder.clone());
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

/// Reads a file that a rule names by a path from the folder of the rule's own file.
fn text_beside(file: &Path, path: &str) -> Result<String, String> {
    let path = file.parent().unwrap_or(Path::new("")).join(path);
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(&path).map_err(unreadable)?;
    let mut text = String::new();
    // One byte more than allowed tells a file that is too large.
    file.take(FENCE_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > FENCE_FILE_BYTES_MAX {
        return Err(format!("is larger than {FENCE_FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

fn parse(
    file: &Path,
    text: &str,
    catalogue: &Catalogue,
) -> Result<Vec<(String, RuleSpec)>, RuleError> {
    let name = file.display().to_string();
    let rules = rules::parse_toml_beside(&name, text, &|path| text_beside(file, path))?;
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
    fn fences_are_read_from_a_file_beside_the_rules() {
        let folder = tempfile::tempdir().unwrap();
        let rule = "[rules.a]\nkind='geofence'\nselect={kind='bike'}\nfences='fences.geojson'\n";
        std::fs::write(folder.path().join("1.toml"), rule).unwrap();
        let error = read(folder.path(), &Catalogue::built_in()).unwrap_err();
        let told = error.to_string();
        for part in [
            "1.toml:4",
            "`a`",
            "`fences`",
            "`fences.geojson`",
            "cannot be read",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        let square = r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}"#;
        let path = folder.path().join("fences.geojson");
        std::fs::write(&path, square).unwrap();
        let rules = read(folder.path(), &Catalogue::built_in()).unwrap();
        // In force is what stood in the file, so that the rule is whole without it.
        let json = rules["a"].to_json();
        let corner = json.pointer("/fences/features/0/geometry/coordinates/0/2");
        assert_eq!(corner, Some(&serde_json::json!([1.0, 1.0])));
        std::fs::write(&path, square.replace("[0,0]]", "[0,2]]")).unwrap();
        let error = read(folder.path(), &Catalogue::built_in()).unwrap_err();
        let told = error.to_string();
        for part in ["1.toml:4", "`fences`", "feature 0", "ring 0", "not closed"] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }

    #[test]
    fn a_fence_file_that_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let rule = "[rules.a]\nkind='geofence'\nselect={}\nfences='fences.geojson'\n";
        std::fs::write(folder.path().join("1.toml"), rule).unwrap();
        let file = std::fs::File::create(folder.path().join("fences.geojson")).unwrap();
        file.set_len(super::FENCE_FILE_BYTES_MAX + 1).unwrap();
        let error = read(folder.path(), &Catalogue::built_in()).unwrap_err();
        assert!(error.reason.contains("larger than 16777216"), "{error}");
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
