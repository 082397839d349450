//! A case as the world warns: OASIS Common Alerting Protocol, version 1.2.

use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{City, Shared, ask};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::{CaseRow, CaseState, Location, Severity, Timestamp};
use std::fmt::{Display, Write as _};

/// RFC 7303; CAP has no registered type of its own.
const MEDIA: HeaderValue = HeaderValue::from_static("application/cap+xml; charset=utf-8");

const NAMESPACE: &str = "urn:oasis:names:tc:emergency:cap:1.2";

/// Earlier messages that one refers to: a case whose figures move for a week has about as many. Of
/// more, the first and the newest are named.
const REFERENCES_MAX: usize = 10_000;

/// Which category of CAP a kind of device belongs to.
const CATEGORIES: &str = include_str!("../data/cap_categories.csv");

/// `GET /api/v1/cases/{id}/cap`
pub(crate) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Response, Problem> {
    raw.only(&[])?;
    let wanted = id.clone();
    let found = ask(&shared, "look a case up", move |hub| {
        let row = hub.reader.case(&wanted)?;
        // Versions after that of the row may have come meanwhile; they are left out.
        let versions = hub.reader.case_versions(&wanted, REFERENCES_MAX)?;
        Ok(row.map(|row| (crate::cases::live(hub, row), versions)))
    })
    .await?;
    let (row, versions) =
        found.ok_or_else(|| Problem::not_found(format!("there is no case `{id}`")))?;
    let message = to_xml(&row, &versions, &shared.city);
    Ok(([(header::CONTENT_TYPE, MEDIA)], message).into_response())
}

/// Writes elements one after the other; their order is part of the standard.
struct Xml(String);

impl Xml {
    fn element(&mut self, name: &str, text: impl Display) {
        let text = escape(&text.to_string());
        writeln!(self.0, "<{name}>{text}</{name}>").expect("a string takes any text");
    }

    fn pair(&mut self, name: &str, value_name: &str, value: impl Display) {
        let value = value.to_string();
        if value.is_empty() {
            return;
        }
        self.line(&format!("<{name}>"));
        self.element("valueName", value_name);
        self.element("value", value);
        self.line(&format!("</{name}>"));
    }

    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }
}

/// Takes the characters that XML 1.0 does not have out, and hides those that it gives a meaning.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '\t' | '\n' | '\r' => safe.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => safe.push(c),
        }
    }
    safe
}

/// Writes a case as one message. Its first version is an `Alert`, later ones are an `Update` and
/// its end is a `Cancel` of all before; a message that is asked for again is the same, to the letter.
fn to_xml(case: &CaseRow, versions: &[(u64, Timestamp)], city: &City) -> String {
    let sender = format!("cityhub.{}", city.code);
    let is_first = case.version <= 1 && case.moved_at.is_none();
    let kind = match case.state {
        CaseState::Closed | CaseState::Voided => "Cancel",
        _ if is_first => "Alert",
        _ => "Update",
    };
    let mut xml = Xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned());
    xml.line(&format!("<alert xmlns=\"{NAMESPACE}\">"));
    xml.element("identifier", own_identifier(case));
    xml.element("sender", &sender);
    xml.element("sent", time(sent(case, versions)));
    xml.element("status", "Actual");
    xml.element("msgType", kind);
    xml.element("scope", "Restricted");
    xml.element("restriction", "城市运行管理服务平台");
    if !is_first {
        xml.element("references", references(case, versions, &sender));
    }
    write_info(&mut xml, case, city);
    xml.line("</alert>");
    xml.0
}

/// Each version of a case is a message of its own.
fn identifier(case: &CaseRow, version: u64) -> String {
    format!("{}.{version}", case.id)
}

/// Figures that moved since the last version make a message of their own.
fn own_identifier(case: &CaseRow) -> String {
    let own = identifier(case, case.version);
    match case.moved_at {
        Some(at) => format!("{own}.{}", at.millis()),
        None => own,
    }
}

/// Names every earlier message (CAP 1.2, section 3.2.1: sender, identifier and time of each, with
/// white space between them).
fn references(case: &CaseRow, versions: &[(u64, Timestamp)], sender: &str) -> String {
    let known = versions.iter().copied();
    let is_moved = case.moved_at.is_some();
    let mut earlier: Vec<_> = known
        .filter(|(version, _)| *version < case.version || (is_moved && *version == case.version))
        .collect();
    if !earlier.iter().any(|(version, _)| *version == 1) {
        earlier.insert(0, (1, case.opened_at));
    }
    let names = earlier.iter().map(|(version, at)| {
        let name = identifier(case, *version);
        format!("{sender},{name},{}", time(*at))
    });
    names.collect::<Vec<_>>().join(" ")
}

/// The stamp of the commit that made this version; where none was noted, the last thing that
/// happened to the case, as far as it says.
fn sent(case: &CaseRow, versions: &[(u64, Timestamp)]) -> Timestamp {
    if let Some(at) = case.moved_at {
        return at;
    }
    let mut noted = versions.iter();
    if let Some((_, at)) = noted.find(|(version, _)| *version == case.version) {
        return *at;
    }
    if case.version <= 1 {
        return case.opened_at;
    }
    let steps = case.steps.iter().map(|step| step.received_at);
    let rest = [case.evidence.to, case.closed_at].into_iter().flatten();
    steps.chain(rest).fold(case.opened_at, Timestamp::max)
}

/// CAP 1.2, section 3.3.2: no letter for the zone, and UTC is `-00:00`; whole seconds.
fn time(at: Timestamp) -> String {
    let text = at.to_string();
    let seconds = text.split(['.', 'Z']).next().unwrap_or_default();
    format!("{seconds}-00:00")
}

fn write_info(xml: &mut Xml, case: &CaseRow, city: &City) {
    let is_over = !case.state.is_open();
    xml.line("<info>");
    xml.element("language", "zh-CN");
    xml.element("category", category(&case.kind));
    let event = [&case.category.name, &case.title]
        .into_iter()
        .find(|text| !text.is_empty());
    xml.element("event", event.unwrap_or(&case.id));
    let urgency = match (is_over, case.severity) {
        (true, _) => "Past",
        (false, Severity::Critical) => "Immediate",
        (false, _) => "Expected",
    };
    xml.element("urgency", urgency);
    let severity = match case.severity {
        Severity::Critical => "Extreme",
        Severity::Major => "Severe",
        Severity::Minor => "Moderate",
        Severity::Warning => "Minor",
    };
    xml.element("severity", severity);
    xml.element("certainty", "Observed");
    xml.pair("eventCode", "category", &case.category.code);
    xml.element("onset", time(case.evidence.from.unwrap_or(case.opened_at)));
    xml.element("senderName", &city.name);
    xml.element("headline", &case.title);
    if !case.description.is_empty() {
        xml.element("description", &case.description);
    }
    write_parameters(xml, case);
    write_area(xml, case, city);
    xml.line("</info>");
}

fn write_parameters(xml: &mut Xml, case: &CaseRow) {
    let evidence = &case.evidence;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<f64>| number.map(|n| n.to_string()).unwrap_or_default();
    for (name, value) in [
        ("case", case.id.clone()),
        ("state", case.state.name().to_owned()),
        ("device", case.device.clone()),
        ("alarm", case.alarm.clone()),
        ("metric", text(&evidence.metric)),
        ("unit", text(&evidence.unit)),
        ("value", number(evidence.value)),
        ("limit", number(evidence.limit)),
        ("peak", number(evidence.peak)),
        ("component", text(&case.component_code)),
        ("due_at", case.due_at.map(time).unwrap_or_default()),
    ] {
        xml.pair("parameter", name, value);
    }
}

fn write_area(xml: &mut Xml, case: &CaseRow, city: &City) {
    let place = case.grid.as_deref().or(case.district.as_deref());
    xml.line("<area>");
    xml.element("areaDesc", place.unwrap_or(&city.name));
    let location = case.location.as_ref().map(|place| Location {
        lon: place.lon,
        lat: place.lat,
        datum: place.datum.clone(),
    });
    // WGS84, latitude first. A place whose datum is not known is not guessed.
    if let Some(point) = location.and_then(|location| location.point()) {
        xml.element("circle", format!("{},{} 0", point.lat(), point.lon()));
    }
    xml.pair("geocode", "grid", case.grid.as_deref().unwrap_or_default());
    let district = case.district.as_deref().unwrap_or_default();
    xml.pair("geocode", "district", district);
    xml.line("</area>");
}

fn category(kind: &str) -> &'static str {
    let rows = || CATEGORIES.lines().filter_map(|line| line.split_once(','));
    let find = |wanted: &str| rows().find(|(known, _)| *known == wanted);
    find(kind)
        .or_else(|| find("*"))
        .map_or("Other", |row| row.1)
}

#[cfg(test)]
mod tests;
