//! The delivery of one batch: in requests of the right size, with the lines found out that a server refuses.

use crate::influx::Written;
use crate::line::Lines;
use std::collections::VecDeque;
use std::ops::Range;

/// Requests that one batch may cost because of refused lines; beyond, what is left of it is refused whole.
const SPLITS_MAX: u32 = 256;

/// Words with which servers say that it is a line that they do not want, not the request.
const ABOUT_LINES: [&str; 3] = ["partial write", "unable to parse", "beyond retention"];

/// Lines that the server does not want, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) lines: Range<usize>,
    pub(crate) reason: String,
}

/// What to do after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send what [`Parcel::next`] gives.
    GoOn,
    /// Wait, then send it again.
    Again(Again),
    /// The server may be another by now: what it has not confirmed is to be sent again.
    GoBack(String),
}

/// Why the same is to be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Busy(String),
    Failed(String),
    Denied(String),
}

/// How much goes into one request.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Size {
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

/// A batch on its way.
#[derive(Debug)]
pub(crate) struct Parcel<'a> {
    lines: &'a Lines,
    size: Size,
    waiting: VecDeque<Range<usize>>,
    splits_left: u32,
    taken: usize,
    refused: Vec<Refused>,
    /// Refused, and nothing says that it is because of the lines.
    doubtful: Vec<Refused>,
}

impl<'a> Parcel<'a> {
    /// `is_hopeless`: the last batch was refused line by line, so that this one is not taken apart again.
    pub(crate) fn new(lines: &'a Lines, size: Size, is_hopeless: bool) -> Self {
        let mut waiting = VecDeque::new();
        if !lines.is_empty() {
            waiting.push_back(0..lines.count());
        }
        Self {
            lines,
            size,
            waiting,
            splits_left: if is_hopeless { 0 } else { SPLITS_MAX },
            taken: 0,
            refused: Vec::new(),
            doubtful: Vec::new(),
        }
    }

    /// Gives what is to be sent next, if there is more.
    pub(crate) fn next(&mut self) -> Option<Range<usize>> {
        let mut range = self.waiting.front()?.clone();
        while !self.fits(&range) {
            let middle = range.start.midpoint(range.end);
            self.waiting.pop_front();
            self.waiting.push_front(middle..range.end);
            range = range.start..middle;
            self.waiting.push_front(range.clone());
        }
        Some(range)
    }

    fn fits(&self, range: &Range<usize>) -> bool {
        range.len() <= 1
            || range.len() <= self.size.lines
                && self.lines.part(range.clone()).len() <= self.size.bytes
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// Takes the answer to what [`Parcel::next`] gave.
    pub(crate) fn answer(&mut self, written: Written) -> Next {
        let Some(range) = self.waiting.front().cloned() else {
            return Next::GoOn;
        };
        match written {
            Written::Taken => {
                self.taken += range.len();
                self.waiting.pop_front();
            }
            Written::TooLarge if range.len() > 1 => {
                self.size.lines = (range.len() / 2).max(1);
            }
            Written::TooLarge => {
                self.waiting.pop_front();
                let reason = "413: too large, and it is one line".to_owned();
                self.refused.push(Refused {
                    lines: range,
                    reason,
                });
            }
            Written::Unwanted { status, reason } => {
                let is_sure =
                    status == 422 || ABOUT_LINES.iter().any(|words| reason.contains(words));
                self.refuse(range, reason, is_sure);
            }
            Written::Busy { reason } => return Next::Again(Again::Busy(reason)),
            Written::Failed { reason } => return Next::Again(Again::Failed(reason)),
            Written::Denied { reason, .. } => return Next::Again(Again::Denied(reason)),
            Written::Lost { reason } => return Next::GoBack(reason),
        }
        Next::GoOn
    }

    fn refuse(&mut self, range: Range<usize>, reason: String, is_sure: bool) {
        self.waiting.pop_front();
        if range.len() > 1 && self.splits_left > 0 {
            self.splits_left -= 1;
            let middle = range.start.midpoint(range.end);
            self.waiting.push_front(middle..range.end);
            self.waiting.push_front(range.start..middle);
            return;
        }
        let lines = range;
        let list = if is_sure {
            &mut self.refused
        } else {
            &mut self.doubtful
        };
        list.push(Refused { lines, reason });
    }

    /// Tells what was refused for good and how much was taken. An error: everything was refused, and nothing says
    /// that it is because of the lines; the server may only be set up wrongly.
    pub(crate) fn end(self) -> Result<Ended, String> {
        let Self {
            mut refused,
            doubtful,
            taken,
            splits_left,
            lines,
            ..
        } = self;
        if taken == 0
            && refused.is_empty()
            && let Some(first) = doubtful.first()
        {
            return Err(first.reason.clone());
        }
        refused.extend(doubtful);
        let count: usize = refused.iter().map(|refused| refused.lines.len()).sum();
        Ok(Ended {
            is_hopeless: splits_left == 0 && count == lines.count(),
            taken,
            refused,
        })
    }
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) taken: usize,
    pub(crate) refused: Vec<Refused>,
    pub(crate) is_hopeless: bool,
}

#[cfg(test)]
mod tests {
    use super::{Next, Parcel, Size};
    use crate::influx::Written;
    use crate::line::Lines;
    use model::Timestamp;

    const SIZE: Size = Size {
        lines: 100,
        bytes: 100_000,
    };

    fn lines(count: i64) -> Lines {
        let mut lines = Lines::default();
        for n in 0..count {
            let at = Timestamp::from_millis(n);
            lines.push("d", [("x", 1.0)], at).expect("a plain line");
        }
        lines
    }

    fn unwanted(reason: &str) -> Written {
        Written::Unwanted {
            status: 400,
            reason: reason.to_owned(),
        }
    }

    /// A server that does not want lines of these times; tells what it was sent.
    fn send(lines: &Lines, bad: &[i64], reason: &str, parcel: &mut Parcel<'_>) -> Vec<usize> {
        let mut sizes = Vec::new();
        while let Some(range) = parcel.next() {
            let text = lines.part(range);
            sizes.push(text.lines().count());
            let is_bad = |line: &str| bad.iter().any(|t| line.ends_with(&format!(" {t}")));
            let answer = match text.lines().any(is_bad) {
                true => unwanted(reason),
                false => Written::Taken,
            };
            assert_eq!(parcel.answer(answer), Next::GoOn);
        }
        sizes
    }

    #[test]
    fn exactly_the_bad_lines_are_found_out() {
        let lines = lines(64);
        let mut parcel = Parcel::new(&lines, SIZE, false);
        send(&lines, &[5, 40], "400: who knows", &mut parcel);
        let ended = parcel.end().expect("others were taken, so it is the lines");
        let mut refused: Vec<_> = ended.refused.into_iter().map(|r| r.lines).collect();
        refused.sort_by_key(|range| range.start);
        assert_eq!(refused, [5..6, 40..41]);
        assert_eq!(ended.taken, 62);
    }

    #[test]
    fn when_everything_is_refused_without_a_word_about_lines_nothing_is_given_up() {
        let lines = lines(8);
        let all: Vec<i64> = (0..8).collect();
        let mut parcel = Parcel::new(&lines, SIZE, false);
        send(&lines, &all, "400: org not found", &mut parcel);
        assert_eq!(parcel.end().expect_err("a doubt"), "400: org not found");
        let mut parcel = Parcel::new(&lines, SIZE, false);
        send(&lines, &all, "400: unable to parse 'x'", &mut parcel);
        assert_eq!(parcel.end().expect("it is the lines").refused.len(), 8);
    }

    #[test]
    fn a_flood_of_refusals_ends_and_the_next_batch_is_not_taken_apart() {
        let lines = lines(2_000);
        let all: Vec<i64> = (0..2_000).collect();
        let size = Size {
            lines: 5_000,
            ..SIZE
        };
        let mut parcel = Parcel::new(&lines, size, false);
        let requests = send(&lines, &all, "422: beyond retention", &mut parcel).len();
        assert!(requests <= 600, "{requests}");
        let ended = parcel.end().expect("it is the lines");
        assert!(ended.is_hopeless);
        let count: usize = ended.refused.iter().map(|r| r.lines.len()).sum();
        assert_eq!(count, 2_000);
        let mut parcel = Parcel::new(&lines, size, true);
        let requests = send(&lines, &all, "422: beyond retention", &mut parcel);
        assert_eq!(requests, [2_000]);
    }

    #[test]
    fn what_is_too_large_is_halved_until_it_is_taken() {
        let lines = lines(16);
        let mut parcel = Parcel::new(&lines, SIZE, false);
        let mut sizes = Vec::new();
        while let Some(range) = parcel.next() {
            sizes.push(range.len());
            let answer = match range.len() > 4 {
                true => Written::TooLarge,
                false => Written::Taken,
            };
            assert_eq!(parcel.answer(answer), Next::GoOn);
        }
        assert_eq!(sizes, [16, 8, 4, 4, 4, 4]);
        assert_eq!(parcel.size().lines, 4);
        assert_eq!(parcel.end().expect("all were taken").taken, 16);
    }

    #[test]
    fn a_request_has_no_more_bytes_than_allowed() {
        let lines = lines(10);
        let size = Size {
            lines: 100,
            bytes: lines.part(0..3).len(),
        };
        let mut parcel = Parcel::new(&lines, size, false);
        let mut count = 0;
        while let Some(range) = parcel.next() {
            assert!(lines.part(range.clone()).len() <= size.bytes);
            count += range.len();
            parcel.answer(Written::Taken);
        }
        assert_eq!(count, 10);
    }
}
