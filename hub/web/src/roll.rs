//! The book of the open alarms as lists are read from it: counted, in the order of urgency, and
//! with the texts of all rows kept once.
//!
//! A page of a list that asks for severities and states alone costs its length. Any other filter
//! walks one small entry for each open alarm, never the rows: at 100,000 alarms a few milliseconds.

mod fit;
mod words;

use crate::alarms::Sort;
use fit::{Fit, is_plain, passes, passes_severity, passes_state};
use model::{AlarmRow, AlarmState, Severity, Timestamp};
use rules::{AlarmBook, alarm_id, alarm_number};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::{Bound, Deref};
use store::AlarmQuery;
use words::{Word, Words};

/// A row's place in the list: what asks first, how bad it is, when it was raised, its number.
pub(crate) type Place = (u8, Reverse<Severity>, Reverse<i64>, Reverse<u64>);

/// How many rows there are, by state and severity.
pub(crate) type Counts = BTreeMap<(AlarmState, Severity), u64>;

/// What filters compare of a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Entry {
    state: AlarmState,
    kind: Word,
    rule: Word,
    title: Word,
    device: Word,
    site: Option<Word>,
    grid: Option<Word>,
}

/// The entries of all open alarms.
#[derive(Clone, Debug, Default)]
struct List {
    entries: BTreeMap<Place, Entry>,
    counts: Counts,
    words: Words,
}

/// The book with its list.
#[derive(Clone, Debug, Default)]
pub struct Roll {
    book: AlarmBook,
    list: List,
}

/// Rows of one page, and how many rows fit all filters but those of severity and state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page {
    pub(crate) rows: Vec<AlarmRow>,
    pub(crate) has_more: bool,
    pub(crate) counts: Counts,
}

impl Deref for Roll {
    type Target = AlarmBook;
    fn deref(&self) -> &AlarmBook {
        &self.book
    }
}

impl From<AlarmBook> for Roll {
    fn from(book: AlarmBook) -> Self {
        let mut list = List::default();
        for row in book.rows() {
            list.add(row);
        }
        Self { book, list }
    }
}

impl Roll {
    /// Shows a row as it is in the writer's book.
    pub fn put(&mut self, row: AlarmRow) {
        let is_open = row.state != AlarmState::Normal;
        match self.book.get(&row.id) {
            // Figures move often, and no list is ordered or filtered by them.
            Some(old) if is_open && is_listed_alike(old, &row) => {}
            old => {
                if let Some(old) = old {
                    self.list.remove(old);
                }
                if is_open {
                    self.list.add(&row);
                }
            }
        }
        self.book.put(row);
    }

    /// Shows what rows do not tell.
    pub fn show_flood(&mut self, of: &AlarmBook, now: Timestamp) {
        self.book.show_flood(of, now);
    }

    /// Acts on an alarm as the writer would.
    #[cfg(test)]
    pub(crate) fn act(
        &mut self,
        now: (Timestamp, &dyn rules::Around),
        id: &str,
        action: rules::Action<'_>,
    ) -> Result<AlarmRow, rules::ActError> {
        let row = self.book.clone().act(now, id, action, &mut Vec::new())?;
        self.put(row.clone());
        Ok(row)
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.list.counts
    }

    /// Tells since when somebody waits for an acknowledgement of what is still so.
    pub(crate) fn oldest_unacked(&self) -> Option<Timestamp> {
        let group = AlarmState::ActiveUnacked.group();
        let lasts = Severity::ALL.into_iter().filter_map(|severity| {
            let (first, last) = ends(group, severity);
            let (place, _) = self.list.entries.range(first..=last).next_back()?;
            Some(place.2.0)
        });
        lasts.min().map(Timestamp::from_millis)
    }

    /// Picks the rows after a place. `q` is lower case and counts instead of the query's own;
    /// `named` are the devices whose names have it.
    pub(crate) fn page(
        &self,
        query: &AlarmQuery,
        search: (Option<&str>, &[String]),
        (sort, after): (Sort, Option<Place>),
    ) -> Page {
        let (mut places, counts) = if is_plain(query) {
            let places = self.list.plain(query, sort, after);
            (places, self.list.counts.clone())
        } else {
            self.list.filtered(query, search, (sort, after))
        };
        let has_more = places.len() > query.limit;
        places.truncate(query.limit);
        let row = |(.., Reverse(number)): &Place| self.book.get(&alarm_id(*number)).cloned();
        Page {
            rows: places.iter().filter_map(row).collect(),
            has_more,
            counts,
        }
    }
}

/// Tells how many of the counted rows a question is about, by severity and by state, each as if it
/// were not asked for itself, and in all.
pub(crate) fn facets(
    query: &AlarmQuery,
    counts: &Counts,
) -> (BTreeMap<Severity, u64>, BTreeMap<AlarmState, u64>, u64) {
    let mut severities = BTreeMap::new();
    let mut states = BTreeMap::new();
    let mut matched = 0;
    for ((state, severity), count) in counts {
        if passes_state(query, *state) {
            *severities.entry(*severity).or_default() += count;
        }
        if passes_severity(query, *severity) {
            *states.entry(*state).or_default() += count;
        }
        if passes(query, *state, *severity) {
            matched += count;
        }
    }
    (severities, states, matched)
}

pub(crate) fn place(row: &AlarmRow) -> Place {
    (
        row.state.group(),
        Reverse(row.severity),
        Reverse(row.raised_at.millis()),
        Reverse(alarm_number(&row.id).unwrap_or_default()),
    )
}

/// The order by age alone.
fn age(place: &Place) -> (Reverse<i64>, Reverse<u64>) {
    (place.2, place.3)
}

/// The first and the last place that a row of a class can have.
fn ends(group: u8, severity: Severity) -> (Place, Place) {
    let first = (Reverse(i64::MAX), Reverse(u64::MAX));
    let last = (Reverse(i64::MIN), Reverse(u64::MIN));
    (
        (group, Reverse(severity), first.0, first.1),
        (group, Reverse(severity), last.0, last.1),
    )
}

fn is_listed_alike(old: &AlarmRow, new: &AlarmRow) -> bool {
    place(old) == place(new)
        && old.state == new.state
        && old.kind == new.kind
        && old.rule == new.rule
        && old.title == new.title
        && old.device == new.device
        && old.site == new.site
        && old.grid == new.grid
}

impl List {
    fn add(&mut self, row: &AlarmRow) {
        let words = &mut self.words;
        let entry = Entry {
            state: row.state,
            kind: words.take(&row.kind),
            rule: words.take(&row.rule),
            title: words.take(&row.title),
            device: words.take(row.device.as_str()),
            site: row.site.as_deref().map(|site| words.take(site)),
            grid: row.grid.as_deref().map(|grid| words.take(grid)),
        };
        self.entries.insert(place(row), entry);
        *self.counts.entry((row.state, row.severity)).or_default() += 1;
    }

    fn remove(&mut self, row: &AlarmRow) {
        let Some(entry) = self.entries.remove(&place(row)) else {
            return;
        };
        let own = [entry.kind, entry.rule, entry.title, entry.device];
        let words = own.into_iter().chain(entry.site).chain(entry.grid);
        words.for_each(|word| self.words.give_back(word));
        let class = (row.state, row.severity);
        if let Some(count) = self.counts.get_mut(&class) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&class);
            }
        }
    }

    /// Gives the places of one page and one more, where only severities and states are asked for.
    fn plain(&self, query: &AlarmQuery, sort: Sort, after: Option<Place>) -> Vec<Place> {
        let most = query.limit.saturating_add(1);
        let classes = self.classes(query, sort, after);
        let is_meant =
            |(place, entry): (&Place, &Entry)| passes_state(query, entry.state).then_some(*place);
        let classes = classes.map(|class| class.filter_map(is_meant));
        match sort {
            Sort::Priority => classes.flatten().take(most).collect(),
            Sort::Newest => newest(classes.map(Iterator::peekable).collect(), most),
        }
    }

    /// Gives the entries after a place, class by class in the order of urgency.
    fn classes<'a>(
        &'a self,
        query: &'a AlarmQuery,
        sort: Sort,
        after: Option<Place>,
    ) -> impl Iterator<Item = std::collections::btree_map::Range<'a, Place, Entry>> {
        let mut groups: Vec<u8> = self.counts.keys().map(|(state, _)| state.group()).collect();
        groups.sort_unstable();
        groups.dedup();
        let severities = || Severity::ALL.into_iter().rev();
        let classes = groups
            .into_iter()
            .flat_map(move |group| severities().map(move |severity| (group, severity)));
        let wanted = classes.filter(|(_, severity)| passes_severity(query, *severity));
        wanted.filter_map(move |(group, severity)| {
            let (first, last) = ends(group, severity);
            let after = after.map(|after| match sort {
                Sort::Priority => after,
                Sort::Newest => (group, Reverse(severity), after.2, after.3),
            });
            let from = match after {
                Some(after) if after >= last => return None,
                Some(after) if after >= first => Bound::Excluded(after),
                _ => Bound::Included(first),
            };
            Some(self.entries.range((from, Bound::Included(last))))
        })
    }

    /// Looks at every entry: gives the places of one page and one more, and counts what fits.
    fn filtered(
        &self,
        query: &AlarmQuery,
        search: (Option<&str>, &[String]),
        (sort, after): (Sort, Option<Place>),
    ) -> (Vec<Place>, Counts) {
        let most = query.limit.saturating_add(1);
        let mut fit = Fit::new(&self.words, query, search);
        let mut counts = Counts::new();
        let mut places = Vec::new();
        let is_after = |place: &Place| match sort {
            Sort::Priority => after.is_none_or(|after| *place > after),
            Sort::Newest => after.is_none_or(|after| age(place) > age(&after)),
        };
        for (place, entry) in &self.entries {
            if !fit.fits(place, entry) {
                continue;
            }
            let severity = place.1.0;
            *counts.entry((entry.state, severity)).or_default() += 1;
            // In the order of urgency they come already.
            let is_room = sort == Sort::Newest || places.len() < most;
            if is_room && fit.passes(entry.state, severity) && is_after(place) {
                places.push(*place);
            }
        }
        if sort == Sort::Newest {
            if places.len() > most {
                // What comes later need not be in order.
                places.select_nth_unstable_by_key(most, age);
                places.truncate(most);
            }
            places.sort_unstable_by_key(age);
        }
        (places, counts)
    }
}

/// Merges classes, each in the order of age, into one.
fn newest<I: Iterator<Item = Place>>(mut classes: Vec<Peekable<I>>, most: usize) -> Vec<Place> {
    let mut places = Vec::new();
    while places.len() < most {
        let first = classes
            .iter_mut()
            .filter_map(|class| class.peek().map(age).map(|age| (age, class)))
            .min_by_key(|(age, _)| *age);
        let Some(place) = first.and_then(|(_, class)| class.next()) else {
            break;
        };
        places.push(place);
    }
    places
}

#[cfg(test)]
mod tests;
