//! Walks the sources: opening sentences, sizes, and what tests must not do.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tests::hub::root;

const LINES_MAX: usize = 500;

/// Folders that hold no source of ours.
const SKIPPED: [&str; 6] = ["target", "node_modules", "dist", ".git", "data", "corpus"];

struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Tells whether the whole file is test code.
    fn is_test(&self) -> bool {
        let path = Path::new(&self.path);
        let inside = |name: &str| path.components().any(|part| part.as_os_str() == name);
        path.ends_with("tests.rs") || inside("tests") || inside("benches")
    }

    /// Cuts the file where its own tests begin: at `#[cfg(test)]` before a module with a body.
    fn parts(&self) -> (&str, &str) {
        if self.is_test() {
            return ("", &self.text);
        }
        let start = self
            .text
            .match_indices("#[cfg(test)]\nmod ")
            .find(|(at, _)| {
                let (_, rest) = self.text.split_at(at + "#[cfg(test)]\n".len());
                rest.lines().next().is_some_and(|line| line.ends_with('{'))
            });
        start.map_or((&self.text, ""), |(at, _)| self.text.split_at(at))
    }
}

fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                walk(&path, extension, found);
            }
        } else if path.extension().is_some_and(|have| have == extension) {
            found.push(path);
        }
    }
}

fn sources(extension: &str) -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    walk(&root, extension, &mut paths);
    paths.sort();
    let read = |path: &PathBuf| Source {
        path: path
            .strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned(),
        text: std::fs::read_to_string(path).unwrap(),
    };
    paths.iter().map(read).collect()
}

/// Applies a check to every Rust file and reports all that it finds at once.
#[track_caller]
fn check(judge: impl Fn(&Source) -> Vec<String>) {
    let sources = sources("rs");
    assert!(sources.len() > 50, "the walk found the sources");
    let mut wrong = String::new();
    for source in &sources {
        for fault in judge(source) {
            writeln!(wrong, "{}: {fault}", source.path).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn lines_with(text: &str, is_wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered = text.lines().zip(1..);
    numbered
        .filter(|(line, _)| is_wrong(line))
        .map(|(line, number)| format!("line {number} of that part: {}", line.trim()))
        .collect()
}

#[test]
fn every_file_opens_with_a_sentence_that_says_what_it_is_for() {
    check(|source| {
        let first = source.text.lines().next().unwrap_or_default();
        let sentence = first
            .strip_prefix("//! ")
            .is_some_and(|text| text.len() > 10);
        if sentence {
            vec![]
        } else {
            vec![format!("opens with {first:?}")]
        }
    });
}

#[test]
fn no_file_is_longer_than_the_limit_without_its_tests() {
    check(|source| {
        if Path::new(&source.path).ends_with("tests.rs") {
            return vec![];
        }
        let counted = if source.is_test() {
            &source.text
        } else {
            source.parts().0
        };
        let lines = counted.lines().count();
        if lines > LINES_MAX {
            vec![format!("{lines} lines")]
        } else {
            vec![]
        }
    });
}

#[test]
fn an_unfinished_place_carries_the_number_of_an_issue() {
    // The words are put together here, so that this file does not find itself.
    let words = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
    ];
    check(|source| {
        lines_with(&source.text, |line| {
            let comment = line.split_once("//").map_or("", |(_, comment)| comment);
            words.iter().any(|word| comment.contains(word.as_str())) && !comment.contains('#')
        })
    });
}

#[test]
fn tests_neither_sleep_nor_are_ignored() {
    let ignored = ["#[ig", "nore"].concat();
    let blocking = ["thread::", "sleep("].concat();
    let timed = ["time::", "sleep("].concat();
    check(|source| {
        let (_, tests) = source.parts();
        // Under a paused clock a sleep takes no time; it only orders what happens.
        let paused = tests.contains("start_paused") || tests.contains("time::pause()");
        lines_with(tests, |line| {
            line.contains(&ignored)
                || line.contains(&blocking)
                || (line.contains(&timed) && !paused)
        })
    });
}

#[test]
fn failed_tests_are_not_tried_again() {
    let settings = std::fs::read_to_string(root().join(".config/nextest.toml")).unwrap();
    let retries: Vec<_> = settings
        .lines()
        .filter(|line| line.contains("retries"))
        .collect();
    assert_eq!(retries, ["retries = 0"]);
}

#[test]
fn modules_and_crates_are_named_after_things() {
    let vague = [
        "common", "core", "utils", "util", "helpers", "types", "manager", "misc",
    ];
    check(|source| {
        let parts = Path::new(&source.path).components();
        let stems = parts.filter_map(|part| Path::new(part.as_os_str()).file_stem());
        stems
            .filter(|stem| vague.iter().any(|name| *stem == *name))
            .map(|stem| format!("is named {stem:?}"))
            .collect()
    });
}

#[test]
fn no_source_names_a_folder_of_one_machine() {
    let homes = [
        ["\"/ro", "ot/"].concat(),
        ["\"/ho", "me/"].concat(),
        ["\"/wo", "rk/"].concat(),
    ];
    check(|source| {
        lines_with(&source.text, |line| {
            homes.iter().any(|home| line.contains(home.as_str()))
        })
    });
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for manifest in sources("toml") {
        if !manifest.path.ends_with("/Cargo.toml") || manifest.path.contains("fuzz/") {
            continue;
        }
        assert!(
            manifest.text.contains("[lints]\nworkspace = true"),
            "{} has lints of its own",
            manifest.path
        );
    }
}
