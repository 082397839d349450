//! Every outcome of every check is made to happen on a machine that is made up.

mod broken;
mod place;

use super::finding::{Finding, Level};
use super::report::Report;
use super::texts::{self, Lang};
use place::Place;
use std::collections::BTreeSet;

/// What depends on the disk of the machine and is tested beside its code, by what it was judged from.
const ELSEWHERE: [(&str, &str); 9] = [
    ("space", "full"),
    ("space", "inodes"),
    ("space", "filling"),
    ("space", "low"),
    ("space", "untold"),
    ("fsync", "slow"),
    ("fsync", "not-forced"),
    ("fsync", "untold"),
    // Another user is needed for it: tests/foreign/debian_package.sh.
    ("data-folder", "unreadable"),
];

fn outcomes(findings: &[Finding]) -> BTreeSet<(&'static str, &'static str)> {
    let names = findings
        .iter()
        .map(|finding| (finding.check, finding.outcome));
    names.collect()
}

#[test]
fn an_installation_that_is_well_has_nothing_to_be_done() {
    let place = Place::default();
    let found = place.look();
    let not_well: Vec<&Finding> = found
        .iter()
        .filter(|finding| texts::level(finding) > Level::Unknown)
        // The disk and the cores of the machine that tests.
        .filter(|finding| !["space", "fsync"].contains(&finding.check))
        .collect();
    assert!(not_well.is_empty(), "{not_well:#?}");
    assert!(outcomes(&found).contains(&("lock", "ok")), "{found:#?}");
}

#[test]
fn whatever_is_broken_is_found_and_nothing_of_the_kind_before() {
    let well = outcomes(&Place::default().look());
    for (check, outcome, break_it) in broken::CASES {
        let wanted = (*check, *outcome);
        assert!(
            !well.contains(&wanted),
            "{wanted:?} is found though all is well"
        );
        let mut place = Place::default();
        break_it(&mut place);
        let found = outcomes(&place.look());
        assert!(
            found.contains(&wanted),
            "{wanted:?} is missing in {found:?}"
        );
    }
}

#[test]
fn no_outcome_of_the_table_is_without_a_case_that_makes_it_happen() {
    let mut tried: BTreeSet<(&str, &str)> = broken::CASES
        .iter()
        .map(|(check, outcome, _)| (*check, *outcome))
        .collect();
    tried.extend(ELSEWHERE);
    for (check, outcome, _) in texts::outcomes() {
        let is_tried = outcome == "ok" || tried.contains(&(check.as_str(), outcome.as_str()));
        assert!(is_tried, "nothing makes {check}.{outcome} happen");
    }
}

/// The names in braces of a text.
fn names(text: &str) -> BTreeSet<&str> {
    let parts = text
        .split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}'));
    let is_name = |name: &&str| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'0' || byte == b'5' || byte == b'9')
    };
    parts.map(|(name, _)| name).filter(is_name).collect()
}

#[test]
fn both_languages_say_the_same_and_whatever_is_to_be_done_is_said() {
    for (check, outcome, texts) in texts::outcomes() {
        let [en, zh, why_en, why_zh, do_en, do_zh] = texts.each_ref();
        let name = format!("{check}.{outcome}");
        for (one, other) in [(en, zh), (why_en, why_zh), (do_en, do_zh)] {
            assert_eq!(names(one), names(other), "{name}");
            assert_eq!(one.is_empty(), other.is_empty(), "{name}");
        }
        let level = texts::level(&Finding {
            check: Box::leak(check.into_boxed_str()),
            outcome: Box::leak(outcome.into_boxed_str()),
            place: None,
            words: Vec::new(),
        });
        assert!(
            level < Level::Warning || !why_en.is_empty() && !do_en.is_empty(),
            "{name}"
        );
    }
}

#[test]
fn nothing_in_braces_is_left_and_no_secret_is_told() {
    for (check, outcome, break_it) in broken::CASES {
        let mut place = Place::default();
        break_it(&mut place);
        let report = Report::new(place.look(), place.now);
        for lang in [Lang::En, Lang::Zh] {
            let text = report.text(lang);
            assert!(
                !text.contains(place::SECRET),
                "{check}.{outcome} tells a secret:\n{text}"
            );
            let left = names(&text);
            assert!(
                left.is_empty(),
                "{check}.{outcome} leaves {left:?} in\n{text}"
            );
        }
    }
}

#[test]
fn the_documentation_lists_every_check_with_its_words() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = std::fs::read_to_string(root.join("en/doctor.md")).unwrap();
    let list = texts::list(Lang::En);
    assert!(
        page.contains(&list),
        "put the output of `cityhub doctor --list --lang en` into docs/en/doctor.md"
    );
    if let Ok(page) = std::fs::read_to_string(root.join("zh-CN/doctor.md")) {
        let list = texts::list(Lang::Zh);
        assert!(
            page.contains(&list),
            "put the output of `cityhub doctor --list --lang zh-CN` into docs/zh-CN/doctor.md"
        );
    }
}

#[test]
fn the_exit_code_is_that_of_the_worst_finding() {
    let report = |outcomes: &[(&'static str, &'static str)]| {
        let finding = |(check, outcome): &(&'static str, &'static str)| Finding {
            check,
            outcome,
            place: None,
            words: Vec::new(),
        };
        Report::new(outcomes.iter().map(finding).collect(), Place::default().now).exit_code()
    };
    assert_eq!(report(&[("config", "ok"), ("hub", "stopped")]), 0);
    assert_eq!(report(&[("config", "ok"), ("cores", "one")]), 1);
    assert_eq!(report(&[("cores", "one"), ("config", "mistake")]), 2);
}
