//! What the roll answers is what a walk over all rows would.

use super::{Counts, Page, Place, Roll, age, facets, place};
use crate::alarms::Sort;
use model::{AlarmRow, AlarmState, DeviceId, Region, Severity, Timestamp};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use rules::AlarmBook;
use std::collections::BTreeMap;
use store::{AlarmQuery, StateFilter};

const KINDS: [&str; 2] = ["gas_pressure", "Noise"];
const DEVICES: [&str; 4] = ["gas-1", "GAS-2", "noise-1", "a1"];
const TITLES: [&str; 3] = ["中压燃气管道超压", "Überdruck", "gas-1"];
const PLACES: [Option<&str>; 3] = [None, Some("350203010203"), Some("350205001")];
const CITY: &str = "350200";

/// So many seconds after the test began.
fn after(seconds: i64) -> Timestamp {
    Timestamp::from_millis(crate::tests::START_MS).plus_s(seconds)
}

prop_compose! {
    fn a_row()(
        number in 1..30u64,
        state in select(AlarmState::ALL.to_vec()),
        severity in select(Severity::ALL.to_vec()),
        raised_s in 0..4i64,
        texts in (select(KINDS.to_vec()), select(DEVICES.to_vec()), select(TITLES.to_vec())),
        place in select(PLACES.to_vec()),
        site in select(vec![None, Some("花园路"), Some("North Gate")]),
        stale in any::<bool>(),
    ) -> AlarmRow {
        let (kind, device, title) = texts;
        let mut row = crate::tests::alarm(number, severity, raised_s);
        (row.state, row.stale) = (state, stale);
        (row.kind, row.title) = (kind.to_owned(), title.to_owned());
        row.device = DeviceId::new(device).unwrap();
        row.rule = format!("rule_of_{kind}");
        (row.grid, row.site) = (place.map(str::to_owned), site.map(str::to_owned));
        row
    }
}

prop_compose! {
    fn a_query()(
        states in prop_oneof![
            Just(StateFilter::Open),
            subsequence(AlarmState::ALL.to_vec(), 1..4).prop_map(StateFilter::Only),
        ],
        severities in subsequence(Severity::ALL.to_vec(), 0..3),
        kind in select(vec![None, None, Some("Noise"), Some("heat")]),
        device in select(vec![None, None, None, Some("gas-1")]),
        regions in select(vec![vec![], vec![], vec!["350203"], vec!["350205", "350203010203"], vec!["35"]]),
        rule in select(vec![None, None, Some("rule_of_Noise")]),
        from in select(vec![None, None, Some(1)]),
        to in select(vec![None, None, Some(3)]),
        q in select(vec![None, None, Some("燃气"), Some("über"), Some("gas"), Some("a1"), Some("2"), Some("north"), Some("")]),
        limit in 1..12usize,
    ) -> AlarmQuery {
        AlarmQuery {
            states,
            severities,
            kind: kind.map(str::to_owned),
            device: device.map(|id| DeviceId::new(id).unwrap()),
            regions: regions.into_iter().map(|code| Region::parse(code).unwrap()).collect(),
            city_code: CITY.to_owned(),
            rule: rule.map(str::to_owned),
            from: from.map(after),
            to: to.map(after),
            q: q.map(str::to_owned),
            limit,
            ..AlarmQuery::default()
        }
    }
}

/// All filters but those of severity and state.
fn fits(row: &AlarmRow, query: &AlarmQuery, named: &[String]) -> bool {
    let place = row.grid.as_deref().unwrap_or(CITY);
    let site = row.site.as_deref().unwrap_or_default();
    let texts = [&row.title, row.device.as_str(), site, &row.rule, &row.id];
    let has = |q: &String| texts.iter().any(|text| text.to_lowercase().contains(q));
    query.kind.as_ref().is_none_or(|kind| *kind == row.kind)
        && query.device.as_ref().is_none_or(|id| *id == row.device)
        && query.rule.as_ref().is_none_or(|rule| *rule == row.rule)
        && query.from.is_none_or(|from| row.raised_at >= from)
        && query.to.is_none_or(|to| row.raised_at < to)
        && (query.regions.is_empty() || query.regions.iter().any(|region| region.holds(place)))
        && query
            .q
            .as_ref()
            .is_none_or(|q| has(q) || named.iter().any(|id| id == row.device.as_str()))
}

fn walk(
    rows: &BTreeMap<u64, AlarmRow>,
    query: &AlarmQuery,
    named: &[String],
    (sort, after): (Sort, Option<Place>),
) -> (Page, usize) {
    let mut counts = Counts::new();
    let mut matching = Vec::new();
    for row in rows.values().filter(|row| fits(row, query, named)) {
        *counts.entry((row.state, row.severity)).or_default() += 1;
        let is_severity = query.severities.is_empty() || query.severities.contains(&row.severity);
        let is_state = match &query.states {
            StateFilter::Only(states) => states.contains(&row.state),
            _ => true,
        };
        if is_severity && is_state {
            matching.push(row.clone());
        }
    }
    let matched = matching.len();
    match sort {
        Sort::Priority => matching.sort_by_key(place),
        Sort::Newest => matching.sort_by_key(|row| age(&place(row))),
    }
    if let Some(after) = after {
        matching.retain(|row| match sort {
            Sort::Priority => place(row) > after,
            Sort::Newest => age(&place(row)) > age(&after),
        });
    }
    let has_more = matching.len() > query.limit;
    matching.truncate(query.limit);
    let page = Page {
        rows: matching,
        has_more,
        counts,
    };
    (page, matched)
}

proptest! {
    #[test]
    fn every_page_and_count_is_what_a_walk_over_all_rows_gives(
        puts in prop::collection::vec(a_row(), 0..80),
        query in a_query(),
        sort in select(vec![Sort::Newest, Sort::Priority]),
        named in subsequence(DEVICES.map(str::to_owned).to_vec(), 0..2),
    ) {
        let mut roll = Roll::default();
        let mut rows = BTreeMap::new();
        for row in puts {
            let number = rules::alarm_number(&row.id).unwrap();
            if row.state == AlarmState::Normal {
                rows.remove(&number);
            } else {
                rows.insert(number, row.clone());
            }
            roll.put(row);
        }
        let named = if query.q.is_some() { named } else { Vec::new() };
        let mut after = None;
        loop {
            let page = roll.page(&query, (query.q.as_deref(), &named), (sort, after));
            let (expected, matched) = walk(&rows, &query, &named, (sort, after));
            prop_assert_eq!(&page, &expected);
            prop_assert_eq!(facets(&query, &page.counts).2, matched as u64);
            after = page.rows.last().map(place);
            if !page.has_more {
                break;
            }
        }
        let waiting = rows.values().filter(|row| row.state == AlarmState::ActiveUnacked);
        prop_assert_eq!(roll.oldest_unacked(), waiting.map(|row| row.raised_at).min());
        let at = Timestamp::from_millis(0);
        let stale = rows.values().filter(|row| row.stale).count();
        prop_assert_eq!(roll.load(at).stale, stale);
        // A roll that is made of the rows answers alike.
        let book = AlarmBook::restore(rows.values().cloned().collect(), at);
        let anew = Roll::from(book).page(&query, (query.q.as_deref(), &named), (sort, None));
        prop_assert_eq!(anew, walk(&rows, &query, &named, (sort, None)).0);
        // Nothing is left of rows that are gone.
        for row in rows.into_values() {
            roll.put(AlarmRow { state: AlarmState::Normal, ..row });
        }
        prop_assert_eq!(roll.list.words.len(), 0);
        prop_assert!(roll.list.entries.is_empty() && roll.counts().is_empty());
    }
}
