//! The monthly report (运行情况通报表): one month of the city's own calendar, as a sheet or a page.

use super::sheet;
use super::{Evaluation, GROUPS, GroupBy};
use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{Shared, work};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::Timestamp;

/// The page is one file that can be kept: its style is in it, and there is no script.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
);

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Html,
}

/// Gives the first instant of a month such as `2026-11` in the city, and of the month after.
pub(super) fn span_of(month: &str, zone: &str) -> Option<(Timestamp, Timestamp)> {
    let (year, number) = month.split_once('-').filter(|_| month.len() == 7)?;
    let first = Date::new(year.parse().ok()?, number.parse().ok()?, 1).ok()?;
    let zone = TimeZone::get(zone).ok()?;
    let start = |date: Date| {
        let at = date.to_zoned(zone.clone()).ok()?.timestamp();
        Some(Timestamp::from_millis(at.as_millisecond()))
    };
    let next = first.checked_add(jiff::Span::new().months(1)).ok()?;
    Some((start(first)?, start(next)?))
}

/// `GET /api/v1/reports/monthly`
pub(crate) async fn monthly(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Response, Problem> {
    let params = raw.only(&["month", "format", "by"])?;
    let month = params.required("month")?.to_owned();
    let span = span_of(&month, &shared.city.time_zone);
    let (from, end) = span.ok_or_else(|| {
        let detail = format!("query parameter `month`: `{month}` is no month such as 2026-11");
        Problem::bad_request(detail)
    })?;
    let now = shared.clock.now();
    if from >= now {
        let detail = format!("query parameter `month`: {month} has not begun");
        return Err(Problem::bad_request(detail));
    }
    let formats = [("csv", Format::Csv), ("html", Format::Html)];
    let format = params.word("format", &formats)?.unwrap_or(Format::Html);
    let by = params.word("by", &GROUPS)?.unwrap_or(GroupBy::District);
    let _turn = super::turn().await;
    work(&shared, "write the monthly report", move |hub| {
        let evaluation = Evaluation::of(hub, (from, end.min(now)), by)?;
        let title = format!("{} {month} 运行情况通报表", hub.city.name);
        let name = |end: &str| format!("attachment; filename=\"cityhub-{month}.{end}\"");
        let mut fields = HeaderMap::new();
        let (media, body) = match format {
            Format::Csv => {
                let value = HeaderValue::from_str(&name("csv"));
                let value = value.map_err(|error| Problem::internal("name a file", &error))?;
                fields.insert(header::CONTENT_DISPOSITION, value);
                ("text/csv; charset=utf-8", sheet::csv(&evaluation, &title))
            }
            Format::Html => {
                fields.insert(header::CONTENT_SECURITY_POLICY, POLICY);
                ("text/html; charset=utf-8", sheet::html(&evaluation, &title))
            }
        };
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        Ok((fields, body).into_response())
    })
    .await
}
