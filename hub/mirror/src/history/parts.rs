//! Fields of the server become points, and two lists of points become one.

use crate::shape::{Part, value_of};
use model::{MetricShape, Timestamp};
use store::Point;

/// One field of one instant.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) at_ms: i64,
    pub(super) part: Part,
    pub(super) number: f64,
}

/// Names the parts that readings of this shape may have.
pub(super) fn parts(shape: MetricShape) -> &'static [Part] {
    match shape {
        MetricShape::Number => &[Part::Number, Part::Quality],
        MetricShape::Position => &[
            Part::Lon,
            Part::Lat,
            Part::Accuracy,
            Part::Locked,
            Part::Quality,
        ],
    }
}

/// Puts together what belongs to one instant, each once. Samples may come in any order, and twice: a line that
/// was sent again is there twice on a server that does not look.
pub(super) fn points_of(mut samples: Vec<Sample>) -> Vec<Point> {
    samples.sort_by_key(|sample| sample.at_ms);
    let of_one_instant = samples.chunk_by(|one, next| one.at_ms == next.at_ms);
    let points = of_one_instant.filter_map(|of_instant| {
        let at = Timestamp::from_millis(of_instant.first()?.at_ms);
        let fields = of_instant.iter().map(|sample| (sample.part, sample.number));
        let (value, quality) = value_of(fields)?;
        Some(Point { at, value, quality })
    });
    points.collect()
}

/// Lays the journal's points over those of the server. Both are in the order of their times, and of two of one
/// time the journal's is kept: it was there first.
pub(super) fn laid_over(remote: &[Point], local: &[Point]) -> Vec<Point> {
    let mut points = Vec::with_capacity(remote.len() + local.len());
    let (mut remote, mut local) = (remote.iter().peekable(), local.iter().peekable());
    loop {
        let next = match (remote.peek(), local.peek()) {
            (Some(there), Some(here)) if there.at < here.at => remote.next(),
            (Some(there), Some(here)) => {
                if there.at == here.at {
                    remote.next();
                }
                local.next()
            }
            (Some(_), None) => remote.next(),
            (None, _) => local.next(),
        };
        match next {
            Some(point) => points.push(*point),
            None => return points,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sample, laid_over, points_of};
    use crate::shape::Part;
    use model::{Cause, Quality, Timestamp, Value};
    use store::Point;

    fn sample(at_ms: i64, part: Part, number: f64) -> Sample {
        Sample {
            at_ms,
            part,
            number,
        }
    }

    fn point(at_ms: i64, number: f64) -> Point {
        Point {
            at: Timestamp::from_millis(at_ms),
            value: Value::Number(number),
            quality: Quality::GOOD,
        }
    }

    #[test]
    fn a_sample_that_is_there_twice_is_one_point_with_its_quality() {
        let samples = vec![
            sample(20, Part::Number, 2.0),
            sample(10, Part::Number, 1.0),
            sample(20, Part::Number, 2.0),
            sample(20, Part::Quality, 129.0),
        ];
        let doubtful = Point {
            quality: Quality::bad(Cause::Range),
            ..point(20, 2.0)
        };
        assert_eq!(points_of(samples), [point(10, 1.0), doubtful]);
    }

    #[test]
    fn a_quality_without_a_value_is_no_point() {
        assert_eq!(points_of(vec![sample(10, Part::Quality, 129.0)]), []);
    }

    #[test]
    fn a_value_that_both_have_is_one_and_the_order_stays() {
        let remote = [point(10, 1.0), point(20, 2.0), point(40, 4.0)];
        let local = [point(20, 2.5), point(30, 3.0)];
        let expected = [
            point(10, 1.0),
            point(20, 2.5),
            point(30, 3.0),
            point(40, 4.0),
        ];
        assert_eq!(laid_over(&remote, &local), expected);
        assert_eq!(laid_over(&[], &local), local);
        assert_eq!(laid_over(&remote, &[]), remote);
    }
}
