//! A part of the city, by the beginning of the codes of what lies in it.

/// Digits of the codes of GB/T 2260, GB/T 10114 and GB/T 30428.1: a province, a city, a district, a
/// street, a community; what is longer is a unit grid.
const DIGITS: [usize; 5] = [2, 4, 6, 9, 12];

/// Longest code of a unit grid, its community's 12 digits included.
const GRID_DIGITS: std::ops::RangeInclusive<usize> = 13..=20;

/// A city, district, street, community or unit grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// What the codes of all that lies in it begin with.
    prefix: String,
}

/// Text that is no code of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionError(String);

impl std::error::Error for RegionError {}

impl std::fmt::Display for RegionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(text) = self;
        write!(
            f,
            "`{text}` is no code of a city, district, street or unit grid, which has 2, 4, 6, 9, 12 \
             or more digits"
        )
    }
}

impl Region {
    pub fn parse(text: &str) -> Result<Self, RegionError> {
        let is_code = DIGITS.contains(&text.len()) || GRID_DIGITS.contains(&text.len());
        if !is_code || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RegionError(text.to_owned()));
        }
        // A city's code is that of its province and two digits more, filled up with zeros.
        let prefix = match text.len() {
            6 => text.trim_end_matches("00"),
            _ => text,
        };
        if prefix.is_empty() {
            return Err(RegionError(text.to_owned()));
        }
        Ok(Self {
            prefix: prefix.to_owned(),
        })
    }

    /// What the codes of all that lies in it begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Tells whether a place of this code lies in it.
    pub fn holds(&self, place: &str) -> bool {
        place.starts_with(&self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::Region;

    #[test]
    fn a_region_holds_what_lies_in_it() {
        let grid = "350203001007001";
        for (code, holds) in [
            ("35", true),
            ("3502", true),
            ("350200", true),
            ("350000", true),
            ("350203", true),
            ("350203001", true),
            (grid, true),
            ("350205", false),
            ("360000", false),
            ("350203001008", false),
        ] {
            assert_eq!(Region::parse(code).unwrap().holds(grid), holds, "{code}");
        }
        assert!(Region::parse("350200").unwrap().holds("350200"));
        assert!(!Region::parse("350203").unwrap().holds("350200"));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in [
            "", "abc", "3", "35020", "350203 ", "3502031", "350203*", "３５", "000000",
        ] {
            assert!(Region::parse(text).is_err(), "{text}");
        }
    }
}
