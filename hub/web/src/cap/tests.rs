//! Messages against the structure that OASIS CAP 1.2 prescribes in its section 3.2: which elements,
//! in which order, how often, and which words they may hold.

use super::to_xml;
use crate::City;
use model::{CaseRow, CaseState, Timestamp};
use serde_json::{Value, json};

/// An element: its name and what is in it.
#[derive(Clone, Debug, PartialEq)]
struct Element {
    name: String,
    text: String,
    children: Vec<Self>,
}

/// Reads what the hub writes: elements and text, without attributes but for the name space.
fn parse(xml: &str) -> Element {
    let body = xml
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
        .unwrap();
    let body = body.replacen(" xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"", "", 1);
    let (element, rest) = parse_element(&body);
    assert_eq!(rest.trim(), "");
    element
}

fn parse_element(text: &str) -> (Element, &str) {
    let (name, mut rest) = text
        .trim_start()
        .strip_prefix('<')
        .unwrap()
        .split_once('>')
        .unwrap();
    let end = format!("</{name}>");
    let mut element = Element {
        name: name.to_owned(),
        text: String::new(),
        children: Vec::new(),
    };
    loop {
        let (text, tags) = rest.split_at(rest.find('<').unwrap());
        element.text.push_str(text);
        rest = tags;
        if let Some(after) = rest.strip_prefix(&end) {
            element.text = element.text.trim().to_owned();
            return (element, after);
        }
        let (child, after) = parse_element(rest);
        element.children.push(child);
        rest = after;
    }
}

impl Element {
    fn all(&self, name: &str) -> Vec<&Self> {
        self.children.iter().filter(|c| c.name == name).collect()
    }

    #[track_caller]
    fn text(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {}", self.name);
        &all[0].text
    }

    fn values(&self, name: &str) -> Vec<(&str, &str)> {
        let pairs = self.all(name);
        pairs
            .iter()
            .map(|pair| (pair.text("valueName"), pair.text("value")))
            .collect()
    }
}

/// Elements of a sequence, each with whether there must be one (`1`), may be one (`?`) or may be
/// many (`*`), or must be one or more (`+`).
type Sequence = &'static [(&'static str, char)];

const ALERT: Sequence = &[
    ("identifier", '1'),
    ("sender", '1'),
    ("sent", '1'),
    ("status", '1'),
    ("msgType", '1'),
    ("source", '?'),
    ("scope", '1'),
    ("restriction", '?'),
    ("addresses", '?'),
    ("code", '*'),
    ("note", '?'),
    ("references", '?'),
    ("incidents", '?'),
    ("info", '*'),
];

const INFO: Sequence = &[
    ("language", '?'),
    ("category", '+'),
    ("event", '1'),
    ("responseType", '*'),
    ("urgency", '1'),
    ("severity", '1'),
    ("certainty", '1'),
    ("audience", '?'),
    ("eventCode", '*'),
    ("effective", '?'),
    ("onset", '?'),
    ("expires", '?'),
    ("senderName", '?'),
    ("headline", '?'),
    ("description", '?'),
    ("instruction", '?'),
    ("web", '?'),
    ("contact", '?'),
    ("parameter", '*'),
    ("resource", '*'),
    ("area", '*'),
];

const AREA: Sequence = &[
    ("areaDesc", '1'),
    ("polygon", '*'),
    ("circle", '*'),
    ("geocode", '*'),
    ("altitude", '?'),
    ("ceiling", '?'),
];

const PAIR: Sequence = &[("valueName", '1'), ("value", '1')];

/// The words of the standard's enumerations.
const WORDS: &[(&str, &str)] = &[
    ("status", "Actual Exercise System Test Draft"),
    ("msgType", "Alert Update Cancel Ack Error"),
    ("scope", "Public Restricted Private"),
    (
        "category",
        "Geo Met Safety Security Rescue Fire Health Env Transport Infra CBRNE Other",
    ),
    ("urgency", "Immediate Expected Future Past Unknown"),
    ("severity", "Extreme Severe Moderate Minor Unknown"),
    ("certainty", "Observed Likely Possible Unlikely Unknown"),
];

fn check_sequence(element: &Element, sequence: Sequence) {
    let places: Vec<usize> = element
        .children
        .iter()
        .map(|child| {
            let place = sequence.iter().position(|(name, _)| *name == child.name);
            place.unwrap_or_else(|| panic!("{} has no {}", element.name, child.name))
        })
        .collect();
    assert!(
        places.is_sorted(),
        "{}: {:?}",
        element.name,
        element.children
    );
    for (name, times) in sequence {
        let count = element.all(name).len();
        let fits = match times {
            '1' => count == 1,
            '?' => count <= 1,
            '+' => count >= 1,
            _ => true,
        };
        assert!(fits, "{count} times {name} in {}", element.name);
    }
}

/// `YYYY-MM-DDThh:mm:ss±hh:mm`, as the pattern of the schema has it.
fn check_time(text: &str) {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    let fits = ["9999-99-99T99:99:99-99:99", "9999-99-99T99:99:99+99:99"];
    assert!(fits.contains(&shape.as_str()), "{text}");
}

fn check(alert: &Element) {
    assert_eq!(alert.name, "alert");
    check_sequence(alert, ALERT);
    for name in ["identifier", "sender"] {
        let text = alert.text(name);
        assert!(
            !text.is_empty() && !text.contains([' ', ',', '<', '&']),
            "{text}"
        );
    }
    check_time(alert.text("sent"));
    if alert.text("scope") == "Restricted" {
        assert!(!alert.text("restriction").is_empty());
    }
    if alert.text("msgType") != "Alert" {
        for reference in alert.text("references").split(' ') {
            let parts: Vec<&str> = reference.split(',').collect();
            assert_eq!(parts.len(), 3, "sender, identifier, sent");
            check_time(parts[2]);
        }
    }
    for info in alert.all("info") {
        check_sequence(info, INFO);
        check_time(info.text("onset"));
        for pair in info
            .all("parameter")
            .into_iter()
            .chain(info.all("eventCode"))
        {
            check_sequence(pair, PAIR);
        }
        for area in info.all("area") {
            check_sequence(area, AREA);
            for geocode in area.all("geocode") {
                check_sequence(geocode, PAIR);
            }
        }
        for (name, words) in WORDS {
            for one in alert.all(name).into_iter().chain(info.all(name)) {
                assert!(words.split(' ').any(|word| word == one.text), "{one:?}");
            }
        }
    }
}

fn case(more: &Value) -> CaseRow {
    let mut row = json!({
        "id": "c1", "category": {"code": "0204", "name": "燃气管线"}, "severity": "critical",
        "title": "超压 <A&B>", "description": "压力 450 kPa", "kind": "gas_pressure",
        "location": {"lon": 118.1, "lat": 24.5, "datum": "WGS84"},
        "grid": "350203001007", "district": "350203", "component_code": "3502030204000001",
        "device": "gas-1", "alarm": "a1", "state": "reported",
        "evidence": {"metric": "pressure_kpa", "unit": "kPa", "value": 450.0, "limit": 400.0,
            "window_s": null, "peak": 460.5, "from": "2026-03-01T00:00:00.500Z", "to": null,
            "readings": 3},
        "opened_at": "2026-03-01T00:00:10.250Z", "due_at": null, "steps": [], "version": 1,
    });
    let fields = more.as_object().unwrap().clone();
    row.as_object_mut().unwrap().extend(fields);
    serde_json::from_value(row).unwrap()
}

fn message(row: &CaseRow) -> Element {
    message_after(row, &[])
}

fn message_after(row: &CaseRow, versions: &[(u64, Timestamp)]) -> Element {
    let city = City {
        name: "示范市".to_owned(),
        code: "350200".to_owned(),
        time_zone: "Asia/Shanghai".to_owned(),
    };
    let alert = parse(&to_xml(row, versions, &city));
    check(&alert);
    alert
}

#[test]
fn a_new_case_is_an_alert_with_what_was_measured_and_where() {
    let alert = message(&case(&json!({})));
    assert_eq!(alert.text("identifier"), "c1.1");
    assert_eq!(alert.text("sender"), "cityhub.350200");
    assert_eq!(alert.text("sent"), "2026-03-01T00:00:10-00:00");
    assert_eq!(alert.text("msgType"), "Alert");
    let info = alert.all("info")[0];
    assert_eq!(info.text("category"), "Infra");
    assert_eq!(info.text("event"), "燃气管线");
    assert_eq!(info.text("severity"), "Extreme");
    assert_eq!(info.text("urgency"), "Immediate");
    assert_eq!(info.text("headline"), "超压 &lt;A&amp;B&gt;");
    assert_eq!(info.text("onset"), "2026-03-01T00:00:00-00:00");
    let parameters = info.values("parameter");
    for pair in [
        ("value", "450"),
        ("limit", "400"),
        ("peak", "460.5"),
        ("unit", "kPa"),
    ] {
        assert!(parameters.contains(&pair), "{parameters:?}");
    }
    let area = info.all("area")[0];
    assert_eq!(area.text("circle"), "24.5,118.1 0");
    assert_eq!(
        area.values("geocode"),
        [("grid", "350203001007"), ("district", "350203")]
    );
}

#[test]
fn what_follows_is_an_update_of_it_and_the_end_cancels_it() {
    let step = json!([{"number": 1, "step": "accept", "actor": "li", "at": "2026-03-01T00:05:00Z",
        "received_at": "2026-03-01T00:05:01Z", "from": "reported", "to": "accepted"}]);
    let update = message(&case(
        &json!({"version": 2, "state": "accepted", "steps": step}),
    ));
    assert_eq!(update.text("msgType"), "Update");
    assert_eq!(update.text("identifier"), "c1.2");
    assert_eq!(update.text("sent"), "2026-03-01T00:05:01-00:00");
    let first = "cityhub.350200,c1.1,2026-03-01T00:00:10-00:00";
    assert_eq!(update.text("references"), first);
    for state in ["closed", "voided"] {
        let end = message(&case(&json!({"version": 7, "state": state})));
        assert_eq!(end.text("msgType"), "Cancel");
        assert_eq!(end.text("references"), first);
        assert_eq!(end.all("info")[0].text("urgency"), "Past");
    }
}

#[test]
fn a_message_names_every_one_before_it_and_is_sent_when_its_version_was_committed() {
    let at = |second| Timestamp::parse(&format!("2026-03-01T00:00:{second}.900Z")).unwrap();
    // The fourth came while the third was asked for.
    let versions = [(1, at(10)), (2, at(20)), (3, at(30)), (4, at(40))];
    let update = message_after(
        &case(&json!({"version": 3, "state": "accepted"})),
        &versions,
    );
    assert_eq!(update.text("sent"), "2026-03-01T00:00:30-00:00");
    assert_eq!(
        update.text("references"),
        "cityhub.350200,c1.1,2026-03-01T00:00:10-00:00 cityhub.350200,c1.2,2026-03-01T00:00:20-00:00"
    );
    let first = message_after(&case(&json!({})), &versions);
    assert_eq!(first.text("sent"), "2026-03-01T00:00:10-00:00");
    assert_eq!(first.all("references"), Vec::<&Element>::new());
}

#[test]
fn every_state_and_whatever_is_missing_makes_a_message_of_the_standard() {
    for state in CaseState::ALL {
        for severity in ["warning", "minor", "major", "critical"] {
            message(&case(
                &json!({"state": state, "severity": severity, "version": 3}),
            ));
        }
    }
    let bare = message(&case(&json!({
        "category": {"code": "", "name": ""}, "title": "a\u{1}b", "description": "", "kind": "?",
        "location": {"lon": 1.0, "lat": 2.0, "datum": "local"}, "grid": null, "district": null,
        "component_code": null,
        "evidence": {"metric": null, "unit": null, "value": null, "limit": null, "window_s": null,
            "peak": null, "from": null, "to": null, "readings": 0},
    })));
    let info = bare.all("info")[0];
    assert_eq!(info.text("category"), "Other");
    assert_eq!(info.text("event"), "ab");
    let area = info.all("area")[0];
    assert_eq!(area.text("areaDesc"), "示范市");
    assert_eq!(area.all("circle"), Vec::<&Element>::new());
}

#[test]
fn a_place_in_another_datum_is_told_in_wgs84() {
    let here = json!({"lon": 118.1, "lat": 24.5, "datum": "GCJ02"});
    let alert = message(&case(&json!({ "location": here })));
    let info = alert.all("info")[0];
    let circle = info.all("area")[0].text("circle");
    assert_ne!(circle, "24.5,118.1 0");
    assert!(
        circle.starts_with("24.5") && circle.contains(",118.0"),
        "{circle}"
    );
}
