//! Which rules a backtest runs on which side: those tested, those in force, and whatever decides
//! with them what people are told.

use crate::rerun::texts;
use rules::Rule;
use std::collections::{BTreeMap, BTreeSet};

/// The rules of both sides.
pub(super) struct Sides {
    pub(super) tested: Vec<Rule>,
    pub(super) in_force: Vec<Rule>,
    /// What the tested side raises for these is what the rules in force would.
    pub(super) unchanged: BTreeSet<String>,
    /// Whose alarms are shown; the others are only members or causes of theirs.
    pub(super) shown: BTreeSet<String>,
}

impl Sides {
    /// Sorts out which rules run. What is the same on both sides runs once.
    pub(super) fn of(given: &[Rule], in_force: &[Rule], whole: bool) -> Self {
        let standing = Side::of(in_force);
        let mut tested = Side::of(given);
        let mut shown: BTreeSet<String> = tested.rules.keys().map(|id| (*id).to_owned()).collect();
        if whole {
            shown.extend(standing.rules.keys().map(|id| (*id).to_owned()));
        } else {
            // What is not given stays as it is in force.
            for (id, rule) in &standing.rules {
                tested.rules.entry(id).or_insert(rule);
            }
        }
        let tested_of = tested.groups();
        let standing_of = standing.groups();
        let is_same = |id: &str| {
            let groups = tested_of.get(id).zip(standing_of.get(id));
            groups.is_some_and(|(a, b)| {
                let spec = |side: &Side<'_>, id| side.rules.get(id).map(|rule| rule.spec.clone());
                a == b
                    && a.iter()
                        .all(|id| spec(&tested, *id) == spec(&standing, *id))
            })
        };
        let unchanged: BTreeSet<String> = shown.iter().filter(|id| is_same(id)).cloned().collect();
        let differing = shown.iter().filter(|id| !unchanged.contains(*id));
        Self {
            in_force: standing.with_groups(differing, &standing_of),
            tested: tested.with_groups(shown.iter(), &tested_of),
            unchanged,
            shown,
        }
    }
}

/// The rules of one side by their ids.
struct Side<'a> {
    rules: BTreeMap<&'a str, &'a Rule>,
}

/// Rules that decide together what people are told.
type Group<'a> = std::rc::Rc<BTreeSet<&'a str>>;

impl<'a> Side<'a> {
    fn of(rules: &'a [Rule]) -> Self {
        Self {
            rules: rules.iter().map(|rule| (rule.id.as_str(), rule)).collect(),
        }
    }

    /// Gives each rule its group: a composite and its members are one, and so are all `silence`
    /// rules, for a silent gateway explains the silence of what is behind it.
    fn groups(&self) -> BTreeMap<&'a str, Group<'a>> {
        let mut near: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut silence = None;
        for (id, rule) in &self.rules {
            let condition = &rule.spec.condition;
            let others: Vec<&str> = match condition.kind() {
                "silence" => silence.replace(*id).into_iter().collect(),
                "any" | "all" => {
                    let members = members(rule);
                    let known = members
                        .iter()
                        .filter_map(|of| self.rules.get_key_value(&**of));
                    known.map(|(of, _)| *of).collect()
                }
                _ => Vec::new(),
            };
            for other in others {
                near.entry(id).or_default().insert(other);
                near.entry(other).or_default().insert(id);
            }
        }
        let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
        for id in self.rules.keys() {
            if groups.contains_key(id) {
                continue;
            }
            let mut group = BTreeSet::new();
            let mut open = vec![*id];
            while let Some(id) = open.pop() {
                if group.insert(id) {
                    open.extend(near.get(id).into_iter().flatten());
                }
            }
            let group = Group::new(group);
            groups.extend(group.iter().map(|id| (*id, Group::clone(&group))));
        }
        groups
    }

    /// Gives the rules of these ids with all of their groups.
    fn with_groups<'b>(
        &self,
        ids: impl Iterator<Item = &'b String>,
        groups: &BTreeMap<&str, Group<'_>>,
    ) -> Vec<Rule> {
        let groups = ids.filter_map(|id| groups.get(id.as_str()));
        let run: BTreeSet<&str> = groups.flat_map(|group| group.iter().copied()).collect();
        let run = run.iter().filter_map(|id| self.rules.get(id));
        run.map(|rule| Rule::clone(rule)).collect()
    }
}

fn members(rule: &Rule) -> Vec<String> {
    texts(&rule.spec.to_json(), "of")
        .map(str::to_owned)
        .collect()
}
