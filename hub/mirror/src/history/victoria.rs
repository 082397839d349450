//! Asks `VictoriaMetrics`: values by `/api/v1/export`, buckets of good values by `/api/v1/query_range`.
//!
//! The way values are stored there makes some answers its own: about 15 digits are kept, and a point that was sent
//! twice is two samples unless the server runs with `-dedup.minScrapeInterval=1ms`. So a mean is never asked for,
//! but made here of the values, each once; the least, the greatest and the last are the same either way.

mod metricsql;

use super::parts::{parts, points_of};
use super::server::{Made, Raw, Wanted};
use crate::settings::MirrorConfig;
use crate::shape::Part;
use bytes::Bytes;
use dial::{Answer, Client, Question, Target};
use hyper::{HeaderMap, Method, header, header::HeaderValue};
use metricsql::{Form, Window};
use model::{Quality, Timestamp, Value};
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use store::{Agg, Point};
use tokio_util::task::TaskTracker;

/// One exchange on a connection; the deadline of the whole question is shorter.
const EXCHANGE: Duration = Duration::from_secs(15);

/// The longest answer: about 400,000 values.
const ANSWER_BYTES_MAX: usize = 12 << 20;

/// Time that is asked for at once, to begin with: by and by it becomes as long as brings about what is wanted.
const WINDOW_MS_FIRST: i64 = 6 * 3_600_000;
const WINDOW_MS_MAX: i64 = 400 * 86_400_000;

/// Marked values in a span beyond which all values are read instead.
const MARKED_MAX: usize = 20_000;

/// Where `VictoriaMetrics` is.
#[derive(Clone)]
pub struct Setup {
    /// The name of the mirror.
    name: String,
    /// Where its API begins, such as `http://127.0.0.1:8428`.
    url: String,
    /// Sent as a bearer token; empty sends none.
    token: String,
    tls: Option<Arc<ClientConfig>>,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct Victoria {
    setup: Setup,
}

/// Connections for the questions of one answer.
pub(super) struct Link<'a> {
    setup: &'a Setup,
    export: Option<Client>,
    query: Option<Client>,
    window_ms: i64,
}

impl Setup {
    pub(super) fn new(
        name: &str,
        config: &MirrorConfig,
        tasks: &TaskTracker,
    ) -> Result<Self, String> {
        let target = Target::parse(&config.url)?;
        if config.url.contains(['?', '#']) {
            return Err("must end with its path".to_owned());
        }
        let trust = || dial::trust(config.ca_file.as_deref());
        Ok(Self {
            name: name.to_owned(),
            url: config.url.clone(),
            token: config.token.reveal().to_owned(),
            tls: target.is_tls.then(trust).transpose()?,
            tasks: tasks.clone(),
        })
    }

    fn client(&self, path: &str) -> Result<Client, String> {
        let target = Target::parse(&format!("{}{path}", self.url.trim_end_matches('/')))?;
        let tls = self.tls.clone().filter(|_| target.is_tls);
        let limits = (EXCHANGE, ANSWER_BYTES_MAX);
        Ok(Client::new(target, tls, self.tasks.clone(), limits))
    }

    fn question(&self, form: Form) -> Question {
        let mut fields = HeaderMap::new();
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        fields.insert(header::CONTENT_TYPE, form_type);
        if !self.token.is_empty()
            && let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {}", self.token))
        {
            bearer.set_sensitive(true);
            fields.insert(header::AUTHORIZATION, bearer);
        }
        Question {
            method: Method::POST,
            fields,
            body: Bytes::from(form.into_text()),
        }
    }
}

impl Victoria {
    pub(super) fn new(setup: Setup) -> Self {
        Self { setup }
    }

    pub(super) fn name(&self) -> &str {
        &self.setup.name
    }

    pub(super) fn link(&self) -> Link<'_> {
        Link {
            setup: &self.setup,
            export: None,
            query: None,
            window_ms: WINDOW_MS_FIRST,
        }
    }
}

/// Tells whether its buckets are ours. Where the step is no whole number of seconds its windows may be a
/// millisecond off, because it reads times as fractions of a second.
pub(super) fn makes(agg: Agg, step_ms: i64) -> bool {
    function(agg).is_some() && step_ms % 1000 == 0
}

impl Link<'_> {
    pub(super) async fn raw(
        &mut self,
        series: Wanted<'_>,
        span: Range<i64>,
        wanted: usize,
    ) -> Result<Raw, String> {
        loop {
            let until_ms = span.end.min(span.start.saturating_add(self.window_ms));
            let window = span.start..until_ms;
            let answer = self.export(series, parts(series.shape), &window).await?;
            let body = match answer.body {
                Ok(body) => body,
                // More than is taken at once, or a connection that broke: less may go through.
                Err(error) if self.window_ms == 1 => return Err(error),
                Err(_) => {
                    self.window_ms = (self.window_ms / 8).max(1);
                    continue;
                }
            };
            let samples = metricsql::samples(&body, series, &window)?;
            let count = samples.len();
            if count < wanted / 2 {
                self.window_ms = (self.window_ms * 4).min(WINDOW_MS_MAX);
            } else if count > wanted * 4 {
                self.window_ms = (self.window_ms / 2).max(1);
            }
            return Ok(Raw {
                points: points_of(samples),
                until_ms,
            });
        }
    }

    pub(super) async fn marked(
        &mut self,
        series: Wanted<'_>,
        span: Range<i64>,
    ) -> Result<Option<Vec<i64>>, String> {
        let answer = self.export(series, &[Part::Quality], &span).await?;
        let Ok(body) = answer.body else {
            return Ok(None);
        };
        let samples = metricsql::samples(&body, series, &span)?;
        let times = samples.iter().map(|sample| sample.at_ms);
        Ok((samples.len() <= MARKED_MAX).then(|| times.collect()))
    }

    async fn export(
        &mut self,
        series: Wanted<'_>,
        parts: &[Part],
        span: &Range<i64>,
    ) -> Result<Answer, String> {
        let form = metricsql::export(series, parts, span);
        let mut client = match self.export.take() {
            Some(client) => client,
            None => self.setup.client("/api/v1/export")?,
        };
        let answer = checked(client.send(&self.setup.question(form)).await?)?;
        self.export = Some(client);
        Ok(answer)
    }

    pub(super) async fn made(
        &mut self,
        series: Wanted<'_>,
        span: Range<i64>,
        agg: Agg,
        step_ms: i64,
    ) -> Result<Made, String> {
        let function = function(agg).ok_or("buckets of this kind are made here")?;
        let window = Window { span, step_ms };
        let point = |(start, number)| {
            let at = Timestamp::from_millis(start);
            let point = Point {
                at,
                value: Value::number(number).ok_or("a number that is none")?,
                quality: Quality::GOOD,
            };
            Ok((at, vec![point]))
        };
        let made = self.rollup(series, function, &window).await?;
        made.into_iter().map(point).collect()
    }

    /// Asks for one number for each bucket, by the bucket's start.
    async fn rollup(
        &mut self,
        series: Wanted<'_>,
        function: &str,
        window: &Window,
    ) -> Result<BTreeMap<i64, f64>, String> {
        let form = metricsql::rollup(series, function, window);
        let mut client = match self.query.take() {
            Some(client) => client,
            None => self.setup.client("/api/v1/query_range")?,
        };
        let answer = checked(client.send(&self.setup.question(form)).await?)?;
        self.query = Some(client);
        metricsql::buckets(&answer.body?, window)
    }
}

/// Names what gives the value of a bucket, where that is the same as ours: of two samples that are one, a mean
/// counts both; of two of the same value, `tmin_over_time` and `tmax_over_time` name the later.
fn function(agg: Agg) -> Option<&'static str> {
    match agg {
        Agg::Min => Some("min_over_time"),
        Agg::Max => Some("max_over_time"),
        Agg::Last => Some("last_over_time"),
        Agg::Mean | Agg::MinMax => None,
    }
}

/// Refuses what is no answer to the question.
fn checked(answer: Answer) -> Result<Answer, String> {
    let status = answer.status;
    if status.is_success() {
        return Ok(answer);
    }
    let said = answer.body.unwrap_or_default();
    let said = String::from_utf8_lossy(said.get(..said.len().min(200)).unwrap_or_default());
    Err(format!("HTTP {}: {}", status.as_u16(), said.trim()))
}
