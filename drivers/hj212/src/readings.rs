//! Data segments to observations.
//!
//! Real-time values feed the metric of their code. Statistics of minutes, hours and days have metrics
//! of their own (`hour_avg_tsp_ugm3`), so that no rule takes an average for a reading.

use crate::codes::{self, Code};
use crate::command::{Content, DataFlag, Period};
use crate::profile::{OverRange, PeriodLabel, Profile};
use crate::segment::{Field, Segment};
use crate::time;
use model::{Catalogue, Cause, MetricKey, Observation, Quality, Rejected, Timestamp, Value};
use std::collections::HashMap;

/// Rejections of one frame that are described in words; more are counted only.
const DETAILED_MAX: usize = 64;

/// A value's flag stands within so many fields of it; the standard has five of one code.
const FLAG_DISTANCE_MAX: usize = 16;

/// Sub-fields that say something of a value and are none themselves.
const ATTRIBUTES: [&str; 5] = ["Flag", "EFlag", "SampleTime", "ValidNum", "TotalNum"];

/// Fields without a sub-field that are no values.
const PARAMS: [&str; 6] = ["DataTime", "PolId", "Flag", "BeginTime", "EndTime", "QN"];

/// What a value is worth that is too small for its unit to have been set.
const DOUBTFUL: Quality = Quality::uncertain(Cause::Range);

/// A profile with its codes resolved.
#[derive(Debug)]
pub struct Dialect {
    pub profile: Profile,
    codes: HashMap<String, Code>,
    fault: Option<MetricKey>,
}

/// What was found in one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Values seen, good and bad.
    pub received: u32,
    pub observations: Vec<Observation>,
    pub rejected: Vec<Rejected>,
    /// The device's own time.
    pub at: Option<Timestamp>,
    /// Whether the device says that it is broken; none where it says nothing of itself.
    pub is_faulty: Option<bool>,
    /// A value looked as if its unit had never been set: which code.
    pub doubtful_code: Option<String>,
}

impl Dialect {
    /// Resolves codes and units; the error names what cannot be.
    pub fn new(profile: Profile, catalogue: &Catalogue) -> Result<Self, String> {
        let codes = codes::resolve(&profile, catalogue)?;
        Ok(Self {
            codes,
            fault: catalogue.find("fault"),
            profile,
        })
    }

    /// Reads the values of a frame that carries some.
    pub fn decode(
        &self,
        catalogue: &Catalogue,
        segment: &Segment<'_>,
        content: Content,
    ) -> Decoded {
        let fields: Vec<_> = segment.fields().collect();
        let written = find_param(&fields, "DataTime");
        let at = written.and_then(time::parse);
        let (begins, ends) = self.span(at, content);
        let mut reader = Reader {
            dialect: self,
            catalogue,
            content,
            begins,
            ends,
            all_flag: find_param(&fields, "Flag"),
            time_is_bad: written.is_some() && at.is_none(),
            decoded: Decoded {
                at: begins,
                ..Decoded::default()
            },
        };
        for (index, field) in fields.iter().enumerate() {
            let flag = flag_of(&fields, index).or(reader.all_flag);
            reader.take(field, flag);
        }
        reader.decoded
    }

    /// Makes the observation that the device is broken, or is so no more.
    pub fn fault(&self, is_faulty: bool, at: Option<Timestamp>) -> Option<Observation> {
        Some(Observation {
            metric: self.fault?,
            value: Value::number(f64::from(u8::from(is_faulty)))?,
            quality: Quality::GOOD,
            observed_at: at,
        })
    }

    /// Tells when a frame's period begins and when it ends; a sample begins and ends at once.
    fn span(
        &self,
        at: Option<Timestamp>,
        content: Content,
    ) -> (Option<Timestamp>, Option<Timestamp>) {
        let (Some(at), Content::Statistics(period)) = (at, content) else {
            return (at, at);
        };
        let length_s = match period {
            Period::Minute => 60 * i64::from(self.profile.minute_interval_min),
            Period::Hour => 3_600,
            Period::Day => 86_400,
        };
        let begins = match self.profile.period_label {
            PeriodLabel::Start => at,
            PeriodLabel::End => at.plus_s(-length_s),
        };
        (Some(begins), Some(begins.plus_s(length_s)))
    }
}

struct Reader<'a> {
    dialect: &'a Dialect,
    catalogue: &'a Catalogue,
    content: Content,
    begins: Option<Timestamp>,
    ends: Option<Timestamp>,
    /// The flag of all values that have none of their own.
    all_flag: Option<&'a str>,
    /// There is a time, and it cannot be read: arrival time is taken, and the value is in doubt.
    time_is_bad: bool,
    decoded: Decoded,
}

/// What becomes of one value.
struct Place {
    metric: MetricKey,
    is_total: bool,
    at: Option<Timestamp>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, field: &Field<'a>, flag: Option<&'a str>) {
        let sub = match field.sub {
            Some(sub) if ATTRIBUTES.contains(&sub) => return,
            Some(sub) => sub,
            None if PARAMS.contains(&field.name) => return,
            // Some devices leave the sub-field of real-time values out.
            None => "Rtd",
        };
        let Some(code) = self.dialect.codes.get(field.name) else {
            let detail = || format!("no code `{}` in the table or the profile", field.name);
            return self.reject(field, "unknown_code", detail);
        };
        let Some(place) = self.place(code, sub) else {
            let detail = || format!("nothing keeps `{}-{sub}`", field.name);
            return self.reject(field, "unknown_field", detail);
        };
        let flag = flag.map(DataFlag::of);
        if let Some(flag) = flag {
            // It counts even where the value is missing, as that of a broken instrument is.
            let faulty = self.decoded.is_faulty.unwrap_or(false) || flag.is_fault;
            self.decoded.is_faulty = Some(faulty);
        }
        let taken = self.value(code, &place, field, flag);
        match taken {
            Ok(observation) => {
                self.decoded.received += 1;
                self.decoded.observations.push(observation);
            }
            Err(reason) => {
                let detail = || format!("`{}`", field.value.chars().take(32).collect::<String>());
                self.reject(field, reason, detail);
            }
        }
    }

    /// Finds the metric of a value.
    fn place(&self, code: &Code, sub: &str) -> Option<Place> {
        // An average that stands for a reading is known at the end of its period.
        let reading = |metric: MetricKey| Place {
            metric,
            is_total: false,
            at: self.ends,
        };
        match self.content {
            Content::Statistics(period) => {
                let is_average = matches!(sub, "Avg" | "Data");
                if self.dialect.profile.averages_as_readings
                    && period == Period::Minute
                    && is_average
                {
                    return code.reading.map(reading);
                }
                let metric = code.statistic(period, sub)?;
                Some(Place {
                    metric,
                    is_total: sub == "Cou",
                    at: self.begins,
                })
            }
            _ if sub == "Rtd" => code.reading.map(reading),
            _ => None,
        }
    }

    fn value(
        &mut self,
        code: &Code,
        place: &Place,
        field: &Field<'_>,
        flag: Option<DataFlag>,
    ) -> Result<Observation, &'static str> {
        let raw = number(field.value).ok_or("not_a_number")?;
        let profile = &self.dialect.profile;
        if profile.sentinels.contains(&raw) {
            return Err("sentinel");
        }
        let mut repeated = self.decoded.observations.iter();
        if repeated.any(|known| known.metric == place.metric) {
            return Err("duplicate_key");
        }
        let scale = match (place.is_total, code.total_scale) {
            (true, Some(scale)) => scale,
            _ => code.scale,
        };
        let number = scale.apply(raw);
        let value = Value::number(number).ok_or("not_a_number")?;
        let mut quality = self.catalogue.judge(place.metric, &value);
        let is_doubtful = |below: f64| number > 0.0 && number < below && !place.is_total;
        if code.doubt_below.is_some_and(is_doubtful) {
            quality = quality.worst(DOUBTFUL);
            self.decoded.doubtful_code = Some(field.name.to_owned());
        }
        if self.time_is_bad {
            quality = quality.worst(Quality::uncertain(Cause::Clock));
        }
        if let Some(flag) = flag {
            quality = quality.worst(match (flag.is_over, profile.over_range) {
                (true, OverRange::Bad) => Quality::bad(Cause::Flag),
                _ => flag.quality,
            });
        }
        Ok(Observation {
            metric: place.metric,
            value,
            quality,
            observed_at: place.at,
        })
    }

    fn reject(&mut self, field: &Field<'_>, reason: &'static str, detail: impl Fn() -> String) {
        let described = self.decoded.rejected.len() < DETAILED_MAX;
        self.decoded.received = self.decoded.received.saturating_add(1);
        self.decoded.rejected.push(Rejected {
            metric: described.then(|| field.name.chars().take(64).collect()),
            reason: reason.into(),
            detail: described.then(detail),
        });
    }
}

/// Reads a decimal number; `inf`, `nan`, `-` and the like are none.
fn number(text: &str) -> Option<f64> {
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    let number = has_digit.then(|| text.parse::<f64>().ok()).flatten()?;
    number.is_finite().then_some(number)
}

/// Finds the data flag of a value: it stands beside it, under the same code.
fn flag_of<'a>(fields: &[Field<'a>], index: usize) -> Option<&'a str> {
    let name = fields.get(index)?.name;
    let after = fields.iter().skip(index).take(FLAG_DISTANCE_MAX);
    let before = fields.iter().take(index).rev().take(FLAG_DISTANCE_MAX);
    let flag = |field: &&Field<'a>| field.sub == Some("Flag");
    after
        .take_while(|field| field.name == name)
        .find(flag)
        .or_else(|| before.take_while(|field| field.name == name).find(flag))
        .map(|field| field.value)
}

fn find_param<'a>(fields: &[Field<'a>], name: &str) -> Option<&'a str> {
    let mut fields = fields.iter();
    let found = fields.find(|field| field.sub.is_none() && field.name == name);
    found.map(|field| field.value)
}
