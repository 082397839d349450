//! A page of figures that is being collected, and the text form of it.

use super::histogram::Histogram;
use super::table::{FigureKind, FigureRow, place_of, rows};
use std::fmt::Write as _;

/// The value of a sample.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Number {
    Whole(i64),
    Real(f64),
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Whole(value)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self::Whole(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

/// What a histogram had counted when it was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// Upper ends of the classes, in the unit of the figure.
    pub bounds: &'static [f64],
    /// One a class, and one more for what is beyond the last.
    pub counts: Vec<u64>,
    pub sum: f64,
}

/// The figure of one sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    Number(Number),
    Counted(Counted),
}

/// One sample of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Vec<(&'static str, String)>,
    pub measured: Measured,
}

/// The samples of all figures, by the place of the figure in the table.
#[derive(Debug, Default)]
pub struct Page {
    samples: Vec<Vec<Sample>>,
}

impl Page {
    /// Puts a sample of a figure that is in the table.
    pub fn put(
        &mut self,
        name: &'static str,
        labels: &[(&'static str, &str)],
        value: impl Into<Number>,
    ) {
        self.add(name, labels, Measured::Number(value.into()));
    }

    /// Puts what a histogram counted until now.
    pub fn put_histogram(
        &mut self,
        name: &'static str,
        labels: &[(&'static str, &str)],
        histogram: &Histogram,
    ) {
        self.add(name, labels, Measured::Counted(histogram.counted()));
    }

    fn add(&mut self, name: &str, labels: &[(&'static str, &str)], measured: Measured) {
        let Some(place) = place_of(name) else {
            debug_assert!(false, "{name} is not in hub/web/data/figures.csv");
            return;
        };
        if self.samples.len() <= place {
            self.samples.resize_with(rows().len(), Vec::new);
        }
        let labels = labels
            .iter()
            .map(|(label, text)| (*label, (*text).to_owned()));
        if let Some(samples) = self.samples.get_mut(place) {
            samples.push(Sample {
                labels: labels.collect(),
                measured,
            });
        }
    }

    /// Gives every figure that has a sample, with its samples.
    pub fn figures(&self) -> impl Iterator<Item = (&'static FigureRow, &[Sample])> {
        let samples = self.samples.iter().map(Vec::as_slice);
        rows()
            .iter()
            .zip(samples)
            .filter(|(_, samples)| !samples.is_empty())
    }

    /// Writes the text form of Prometheus, version 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (row, samples) in self.figures() {
            write_figure(&mut text, row, samples);
        }
        text
    }
}

fn write_figure(text: &mut String, row: &FigureRow, samples: &[Sample]) {
    let (name, kind) = (&row.name, row.kind.word());
    writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", row.en)
        .expect("a string takes any text");
    for Sample { labels, measured } in samples {
        match measured {
            Measured::Number(number) => write_sample(text, (name, ""), (labels, None), *number),
            Measured::Counted(counted) => {
                debug_assert_eq!(row.kind, FigureKind::Histogram, "{name}");
                write_counted(text, name, labels, counted);
            }
        }
    }
}

fn write_counted(
    text: &mut String,
    name: &str,
    labels: &[(&'static str, String)],
    counted: &Counted,
) {
    let mut sum = 0_u64;
    let ends = counted.bounds.iter().map(f64::to_string);
    for (end, count) in ends.chain(["+Inf".to_owned()]).zip(&counted.counts) {
        sum = sum.saturating_add(*count);
        write_sample(text, (name, "_bucket"), (labels, Some(&end)), sum.into());
    }
    write_sample(text, (name, "_sum"), (labels, None), counted.sum.into());
    write_sample(text, (name, "_count"), (labels, None), sum.into());
}

fn write_sample(
    text: &mut String,
    (name, ending): (&str, &str),
    (labels, end): (&[(&'static str, String)], Option<&str>),
    number: Number,
) {
    text.push_str(name);
    text.push_str(ending);
    let labels = labels.iter().map(|(label, value)| (*label, value.as_str()));
    let mut open = '{';
    for (label, value) in labels.chain(end.map(|end| ("le", end))) {
        write!(text, "{open}{label}=\"{}\"", escape(value)).expect("a string takes any text");
        open = ',';
    }
    if open == ',' {
        text.push('}');
    }
    match number {
        Number::Whole(value) => writeln!(text, " {value}"),
        Number::Real(value) if value.is_infinite() => {
            writeln!(text, " {}Inf", if value > 0.0 { '+' } else { '-' })
        }
        Number::Real(value) => writeln!(text, " {value}"),
    }
    .expect("a string takes any text");
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::Page;
    use crate::metrics::Histogram;
    use std::time::Duration;

    #[test]
    fn samples_of_one_figure_stand_together_whoever_put_them() {
        let mut page = Page::default();
        page.put(
            "cityhub_driver_up",
            &[("driver", "a"), ("kind", "mqtt")],
            true,
        );
        page.put("cityhub_ready", &[], false);
        page.put(
            "cityhub_driver_up",
            &[("driver", "b\"\\\n"), ("kind", "http")],
            0_u64,
        );
        let expected = "# HELP cityhub_ready 1 while telemetry is taken.\n\
            # TYPE cityhub_ready gauge\n\
            cityhub_ready 0\n\
            # HELP cityhub_driver_up 1 while the driver works.\n\
            # TYPE cityhub_driver_up gauge\n\
            cityhub_driver_up{driver=\"a\",kind=\"mqtt\"} 1\n\
            cityhub_driver_up{driver=\"b\\\"\\\\\\n\",kind=\"http\"} 0\n";
        assert_eq!(page.text(), expected);
    }

    #[test]
    fn the_classes_of_a_histogram_add_up() {
        let histogram = Histogram::new(&[0.001, 0.5]);
        for ms in [1, 2, 2, 501] {
            histogram.observe(Duration::from_millis(ms));
        }
        let mut page = Page::default();
        page.put_histogram("cityhub_commit_seconds", &[], &histogram);
        let text = page.text();
        let samples: Vec<&str> = text.lines().skip(2).collect();
        let expected = [
            "cityhub_commit_seconds_bucket{le=\"0.001\"} 1",
            "cityhub_commit_seconds_bucket{le=\"0.5\"} 3",
            "cityhub_commit_seconds_bucket{le=\"+Inf\"} 4",
            "cityhub_commit_seconds_sum 0.506",
            "cityhub_commit_seconds_count 4",
        ];
        assert_eq!(samples, expected);
    }
}
