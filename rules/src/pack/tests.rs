//! Tests of the packs: that each is a good rule file, and that no figure stands without its source.

use super::{PACKS, pack_names, read_pack};
use crate::{RuleSpec, parse_toml};
use model::Catalogue;
use std::collections::BTreeSet;

/// The marks of certainty: read, seen in a secondary source, from memory, our own proposal.
const MARKS: [&str; 4] = ["V", "V2", "M", "D"];

/// Keys whose figures decide when an alarm is raised or cleared.
const LIMITS: [&str; 23] = [
    "above",
    "cadence_s",
    "confirm",
    "below",
    "deadband",
    "on_delay_s",
    "off_delay_s",
    "window_s",
    "normal_max",
    "min_coverage_pct",
    "fall",
    "fall_pct",
    "rise",
    "rise_pct",
    "after_s",
    "epsilon",
    "factor",
    "capacity_ratio",
    "within_s",
    "devices_min",
    "buffer_m",
    "dwell_s",
    "skew_s",
];

fn rules() -> Vec<(&'static str, String, RuleSpec)> {
    let mut all = Vec::new();
    for name in pack_names() {
        let rules = read_pack(name).expect("a known pack").expect("a good pack");
        assert!(!rules.is_empty(), "{name}");
        all.extend(rules.into_iter().map(|(id, spec)| (name, id, spec)));
    }
    all
}

#[test]
fn every_pack_is_a_good_rule_file_whose_ids_begin_with_its_name() {
    let mut ids = BTreeSet::new();
    for (name, id, spec) in rules() {
        assert!(id.starts_with(&format!("{name}.")), "{id} of pack {name}");
        assert_eq!(spec.validate(&Catalogue::built_in()), Ok(()), "{id}");
        assert!(spec.enabled && !spec.shadow, "{id}");
        assert!(ids.insert(id.clone()), "{id} is there twice");
    }
    let names: Vec<&str> = pack_names().collect();
    let expected = ["bikes", "dust", "fire", "gas", "health", "noise", "sewage"];
    assert_eq!(names, expected);
    assert!(read_pack("gaz").is_none());
}

#[test]
fn every_rule_of_a_pack_has_a_source_and_marks_of_certainty() {
    for (_, id, spec) in rules() {
        assert!(spec.source.is_some_and(|source| source.len() > 10), "{id}");
        let certainty = spec.certainty.expect(&id);
        let marks: Vec<&str> = certainty.split(", ").collect();
        assert!(
            marks.iter().all(|mark| MARKS.contains(mark)),
            "{id}: {certainty}"
        );
    }
}

#[test]
fn every_figure_of_a_pack_has_a_mark_beside_it() {
    for (name, text) in PACKS {
        for (line, number) in text.lines().zip(1..) {
            let (code, comment) = line.split_once('#').unwrap_or((line, ""));
            let has = |key: &&&str| {
                code.split([' ', '{', ','])
                    .collect::<Vec<_>>()
                    .windows(2)
                    .any(|w| w == [**key, "="])
            };
            let Some(key) = LIMITS.iter().find(has) else {
                continue;
            };
            let is_marked = MARKS
                .iter()
                .any(|mark| comment.contains(&format!("[{mark}]")));
            assert!(
                is_marked,
                "packs/{name}.toml:{number}: `{key}` has no mark of certainty"
            );
        }
    }
}

#[test]
fn the_whole_rules_of_the_documentation_are_good_ones() {
    let pages = [
        include_str!("../../../docs/en/rules.md"),
        include_str!("../../../docs/en/rules-try.md"),
        include_str!("../../../docs/zh-CN/rules.md"),
        include_str!("../../../docs/zh-CN/rules-try.md"),
    ];
    let mut count = 0;
    for text in pages {
        let blocks = text.split("```toml\n").skip(1);
        let blocks = blocks.filter_map(|block| block.split("```").next());
        for block in blocks.filter(|block| block.starts_with("[rules.")) {
            let rules = parse_toml("docs", block).expect("a good example");
            for (id, spec) in rules {
                assert_eq!(spec.validate(&Catalogue::built_in()), Ok(()), "{id}");
                count += 1;
            }
        }
    }
    assert!(count >= 6);
}
