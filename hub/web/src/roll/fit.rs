//! Which rows of the roll a question is about, decided by their words.

use super::words::{Marks, Word, Words};
use super::{Entry, Place};
use model::{AlarmState, Severity, Timestamp};
use std::cmp::Reverse;
use std::fmt::Write as _;
use store::{AlarmQuery, StateFilter};

/// A text that is asked for exactly.
#[derive(Copy, Clone)]
enum Exact {
    Any,
    Only(Word),
    /// No row has it.
    Nothing,
}

impl Exact {
    fn of(words: &Words, text: Option<&str>) -> Self {
        match text.map(|text| words.find(text)) {
            None => Self::Any,
            Some(Some(word)) => Self::Only(word),
            Some(None) => Self::Nothing,
        }
    }

    fn fits(self, word: Word) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only == word,
            Self::Nothing => false,
        }
    }
}

/// The places that are asked for.
struct Places {
    words: Marks,
    /// Whether a row without a place is meant.
    city: bool,
}

/// The text that is asked for.
struct Search<'a> {
    q: &'a str,
    words: Marks,
    /// Devices whose names have it.
    named: Marks,
    /// Whether the id of an alarm can have it.
    id: bool,
}

/// A question, made ready for many rows.
pub(super) struct Fit<'a> {
    query: &'a AlarmQuery,
    kind: Exact,
    device: Exact,
    rule: Exact,
    places: Option<Places>,
    search: Option<Search<'a>>,
    id: String,
}

/// Lets severity and state pass, as a question asks for them.
pub(super) fn passes(query: &AlarmQuery, state: AlarmState, severity: Severity) -> bool {
    passes_state(query, state) && passes_severity(query, severity)
}

pub(super) fn passes_severity(query: &AlarmQuery, severity: Severity) -> bool {
    query.severities.is_empty() || query.severities.contains(&severity)
}

pub(super) fn passes_state(query: &AlarmQuery, state: AlarmState) -> bool {
    match &query.states {
        StateFilter::Only(states) => states.contains(&state),
        StateFilter::Open | StateFilter::All => true,
    }
}

/// Tells whether a question asks for nothing but severities and states.
pub(super) fn is_plain(query: &AlarmQuery) -> bool {
    query.kind.is_none()
        && query.device.is_none()
        && query.rule.is_none()
        && query.q.is_none()
        && query.from.is_none()
        && query.to.is_none()
        && query.regions.is_empty()
}

impl<'a> Fit<'a> {
    /// `q` is lower case, `named` the devices whose names have it.
    pub(super) fn new(
        words: &Words,
        query: &'a AlarmQuery,
        (q, named): (Option<&'a str>, &[String]),
    ) -> Self {
        let holds = |place: &str| query.regions.iter().any(|region| region.holds(place));
        let search = q.map(|q| {
            let mut marks = Marks::default();
            named
                .iter()
                .filter_map(|device| words.find(device))
                .for_each(|word| marks.set(word));
            let digits = q.strip_prefix('a').unwrap_or(q);
            Search {
                q,
                words: words.mark_with(q),
                named: marks,
                id: digits.bytes().all(|byte| byte.is_ascii_digit()),
            }
        });
        Self {
            query,
            kind: Exact::of(words, query.kind.as_deref()),
            device: Exact::of(words, query.device.as_ref().map(|id| id.as_str())),
            rule: Exact::of(words, query.rule.as_deref()),
            places: (!query.regions.is_empty()).then(|| Places {
                words: words.mark(holds),
                city: holds(&query.city_code),
            }),
            search,
            id: String::new(),
        }
    }

    /// All but severity and state.
    pub(super) fn fits(&mut self, place: &Place, entry: &Entry) -> bool {
        let raised_at = Timestamp::from_millis(place.2.0);
        self.query.from.is_none_or(|from| raised_at >= from)
            && self.query.to.is_none_or(|to| raised_at < to)
            && self.kind.fits(entry.kind)
            && self.device.fits(entry.device)
            && self.rule.fits(entry.rule)
            && self.places.as_ref().is_none_or(|places| {
                entry
                    .grid
                    .map_or(places.city, |grid| places.words.has(grid))
            })
            && self.has_text(place, entry)
    }

    fn has_text(&mut self, place: &Place, entry: &Entry) -> bool {
        let Some(search) = &self.search else {
            return true;
        };
        let words = [
            Some(entry.title),
            Some(entry.device),
            entry.site,
            Some(entry.rule),
        ];
        if words
            .into_iter()
            .flatten()
            .any(|word| search.words.has(word))
            || search.named.has(entry.device)
        {
            return true;
        }
        let (.., Reverse(number)) = place;
        self.id.clear();
        search.id && write!(self.id, "a{number}").is_ok() && self.id.contains(search.q)
    }

    pub(super) fn passes(&self, state: AlarmState, severity: Severity) -> bool {
        passes(self.query, state, severity)
    }
}
