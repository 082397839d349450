//! Holds the book in `docs` together: chapters in both languages, links, anchors, examples, generated pages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::hub::{Place, program, root, words};

const LANGUAGES: [&str; 2] = ["en", "zh-CN"];

/// The pages of one language by their path, such as `connect/mqtt.md`.
fn pages(language: &str) -> BTreeMap<String, String> {
    let top = root().join("docs").join(language);
    let mut folders = vec![top.clone()];
    let mut found = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(&top).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// The text outside of fenced blocks, line by line.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// What `[…](…)` names, outside of code spans.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for (at, _) in plain.match_indices("](") {
            let rest = plain.get(at + 2..).unwrap_or_default();
            found.extend(rest.split(')').next().map(str::to_owned));
        }
    }
    found
}

/// The anchor that the book makes of a heading.
fn anchor(heading: &str) -> String {
    if let Some((_, id)) = heading.split_once("{#") {
        return id.trim_end_matches('}').to_owned();
    }
    let words = heading.trim().chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        letter if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ => None,
    });
    words.collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in prose(text).filter(|line| line.starts_with('#')) {
        let first = anchor(line.trim_start_matches('#'));
        let again = (1..).map(|count| format!("{first}-{count}"));
        let mut names = std::iter::once(first.clone()).chain(again);
        let free = names.find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

/// The page that a link of another page names, without `.` and `..`.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[test]
fn every_link_of_the_book_leads_to_a_page_and_heading_that_are_there() {
    let mut wrong = Vec::new();
    for language in LANGUAGES {
        let pages = pages(language);
        for (page, text) in &pages {
            for link in links(text) {
                if link.starts_with("https://") {
                    continue;
                }
                let (target, place) = link.split_once('#').unwrap_or((&link, ""));
                let named = if target.is_empty() {
                    Some(page.clone())
                } else {
                    resolve(page, target)
                };
                let found = named.and_then(|named| pages.get(&named));
                let good =
                    found.is_some_and(|text| place.is_empty() || anchors(text).contains(place));
                if !good {
                    wrong.push(format!("docs/{language}/{page}: {link}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "links to nowhere (name a file of the sources as `path`, without a link): {wrong:#?}"
    );
}

#[test]
fn every_page_is_a_chapter_and_both_languages_have_the_same_ones() {
    let mut chapters = Vec::new();
    for language in LANGUAGES {
        let mut pages = pages(language);
        let summary = pages.remove("SUMMARY.md").expect("a SUMMARY.md");
        let named = links(&summary);
        let unique: BTreeSet<String> = named.iter().cloned().collect();
        assert_eq!(
            unique.len(),
            named.len(),
            "{language}: a chapter stands twice"
        );
        let written: BTreeSet<String> = pages.into_keys().collect();
        let orphans: Vec<_> = written.difference(&unique).collect();
        assert!(
            orphans.is_empty(),
            "docs/{language}/SUMMARY.md does not name {orphans:?}"
        );
        let missing: Vec<_> = unique.difference(&written).collect();
        assert!(missing.is_empty(), "docs/{language} has no {missing:?}");
        chapters.push(named);
    }
    assert_eq!(chapters[0], chapters[1], "docs/en and docs/zh-CN differ");
}

/// What a page is made of, whatever its language: levels of headings, rows of tables, blocks.
fn shape(text: &str) -> (Vec<usize>, usize, usize) {
    let levels = prose(text).filter(|line| line.starts_with('#'));
    let levels = levels.map(|line| line.chars().take_while(|letter| *letter == '#').count());
    let rows = prose(text).filter(|line| line.starts_with('|')).count();
    let fences = text
        .lines()
        .filter(|line| line.trim_start().starts_with("```"));
    (levels.collect(), rows, fences.count() / 2)
}

#[test]
fn both_languages_have_the_same_sections_tables_and_examples_on_each_page() {
    let chinese = pages("zh-CN");
    let mut wrong = Vec::new();
    for (page, text) in pages("en") {
        // That of the API tells in Chinese less of each route.
        let Some(other) = chinese.get(&page).filter(|_| page != "reference/api.md") else {
            continue;
        };
        let (here, there) = (shape(&text), shape(other));
        if here != there {
            wrong.push(format!("{page}: en {here:?}, zh-CN {there:?}"));
        }
    }
    assert!(wrong.is_empty(), "pages that went apart: {wrong:#?}");
}

/// Folders of the sources whose files pages name.
const FOLDERS: [&str; 7] = [
    "deploy/",
    "docs/",
    "drivers/",
    "hub/",
    "rules/",
    "tests/",
    "dashboards/",
];

#[test]
fn every_file_of_the_sources_that_a_page_names_is_there() {
    let mut wrong = Vec::new();
    for language in LANGUAGES {
        for (page, text) in pages(language) {
            for line in prose(&text) {
                for span in line.split('`').skip(1).step_by(2) {
                    let is_path = FOLDERS.iter().any(|folder| span.starts_with(folder))
                        && !span.contains([' ', '*', '{', '<', '…', '$']);
                    if is_path && !root().join(span).exists() {
                        wrong.push(format!("docs/{language}/{page}: {span}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "files that are not there: {wrong:#?}");
}

fn blocks<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (head, body) = after.split_once('\n').unwrap_or((after, ""));
        let (body, after) = body.split_once("\n```").unwrap_or((body, ""));
        if head == kind {
            found.push(body);
        }
        rest = after;
    }
    found
}

/// What tables of a configuration begin with; other examples are rules, maps or parts of them.
const TABLES: [&str; 14] = [
    "[drivers.",
    "[profiles.",
    "[sinks.",
    "[store",
    "[city]",
    "[http",
    "[packs]",
    "[auth.",
    "[session]",
    "[approval]",
    "[canary]",
    "[shifts.",
    "[handover",
    "[map",
];

/// The example as a configuration that can be checked away from its place: what it leaves out with `…` is a
/// word, files that it names are files of this folder.
fn complete(example: &str) -> Option<toml::Table> {
    let table: toml::Table = toml::from_str(example).ok()?;
    let first = example
        .lines()
        .find(|line| !line.is_empty() && !line.starts_with('#'))?;
    TABLES
        .iter()
        .any(|start| first.starts_with(start))
        .then_some(table)
}

#[test]
fn every_example_of_a_block_with_a_language_can_be_read() {
    let mut wrong = Vec::new();
    for language in LANGUAGES {
        for (page, text) in pages(language) {
            for block in blocks(&text, "toml") {
                // `key = "…"` alone is a part of a rule; all of it is TOML.
                if let Err(error) = toml::from_str::<toml::Table>(block) {
                    wrong.push(format!("docs/{language}/{page}: {error}"));
                }
            }
            for block in blocks(&text, "json") {
                // Two examples may stand below one another, and `…` stands for more.
                let values = serde_json::Deserializer::from_str(block);
                for value in values.into_iter::<serde_json::Value>() {
                    if let Err(error) = value {
                        wrong.push(format!("docs/{language}/{page}: {error}: {block}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_example_of_a_configuration_has_keys_that_the_program_knows() {
    let output = Place::default().run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = schema["properties"].as_object().unwrap();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for language in LANGUAGES {
        for (page, text) in pages(language) {
            for block in blocks(&text, "toml") {
                let Some(table) = complete(block) else {
                    continue;
                };
                checked += 1;
                for (section, value) in &table {
                    let Some(shape) = keys.get(section) else {
                        wrong.push(format!("docs/{language}/{page}: [{section}]"));
                        continue;
                    };
                    let place = format!("docs/{language}/{page}: {section}");
                    unknown_keys(&schema, shape, value, &place, &mut wrong);
                }
            }
        }
    }
    assert!(checked > 20, "only {checked} examples");
    assert!(wrong.is_empty(), "keys that nothing knows: {wrong:#?}");
}

fn follow<'a>(
    schema: &'a serde_json::Value,
    mut shape: &'a serde_json::Value,
) -> &'a serde_json::Value {
    while let Some(name) = shape["$ref"].as_str() {
        shape = &schema["$defs"][name.trim_start_matches("#/$defs/")];
    }
    shape
}

/// Follows an example through the schema, and notes each key that stands nowhere in it.
fn unknown_keys(
    schema: &serde_json::Value,
    shape: &serde_json::Value,
    value: &toml::Value,
    place: &str,
    wrong: &mut Vec<String>,
) {
    let shape = follow(schema, shape);
    let Some(table) = value.as_table() else {
        return;
    };
    let choices = ["oneOf", "anyOf"]
        .iter()
        .find_map(|key| shape[*key].as_array());
    if let Some(choices) = choices {
        let kind = table.get("kind").or_else(|| table.get("codec"));
        // A part of a table that stands elsewhere on the page fits if one of the choices takes it.
        let faults = choices
            .iter()
            .map(|choice| follow(schema, choice))
            .filter(|choice| {
                let said = &choice["properties"]["kind"]["const"];
                kind.is_none()
                    || said.is_null()
                    || said.as_str() == kind.and_then(toml::Value::as_str)
            });
        let faults = faults.map(|choice| {
            let mut found = Vec::new();
            unknown_keys(schema, choice, value, place, &mut found);
            found
        });
        wrong.extend(faults.min_by_key(Vec::len).unwrap_or_default());
        return;
    }
    for (key, inner) in table {
        let place = format!("{place}.{key}");
        let known = shape["properties"].get(key);
        match known.or_else(|| {
            shape
                .get("additionalProperties")
                .filter(|more| !more.is_boolean())
        }) {
            Some(inner_shape) => unknown_keys(schema, inner_shape, inner, &place, wrong),
            None if shape["additionalProperties"] == serde_json::Value::Bool(true) => {}
            None => wrong.push(place),
        }
    }
}

#[test]
fn the_generated_pages_are_what_their_script_writes() {
    let update = std::env::var_os("UPDATE").is_some();
    let place = tempfile::tempdir().unwrap();
    let docs = root().join("docs");
    let target: &Path = if update { &docs } else { place.path() };
    let written = Command::new("python3")
        .arg(docs.join("reference.py"))
        .arg(program())
        .arg(target)
        .output()
        .expect("python3 is installed");
    assert!(written.status.success(), "{}", words(&written));
    for language in LANGUAGES {
        for page in ["api", "cli", "codes", "config"] {
            let page: PathBuf = [language, "reference", &format!("{page}.md")]
                .iter()
                .collect();
            let kept = std::fs::read(docs.join(&page)).unwrap_or_default();
            let made = std::fs::read(target.join(&page)).unwrap();
            assert!(
                kept == made,
                "docs/{} is not up to date: run `make reference`",
                page.display()
            );
        }
    }
}
