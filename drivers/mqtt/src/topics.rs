//! What a topic means, and which filters a subscriber may use.

use crate::sparkplug::{self, Said};
use crate::thingsboard::{self, Word};
use sdk::Role;

/// Levels of the topics `events/{place}/{type}`.
const EVENTS: &str = "events";

/// Before the id of a terminal or of its gateway.
const PRESSURE_FRAMES: &str = "GIOT-GW/UL/";

/// Longest filter: it is kept with its session, and no topic of this hub is longer.
const FILTER_BYTES_MAX: usize = 256;

/// What a client means by publishing to a topic.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// `devices/{device}/telemetry`.
    Telemetry { device: &'a str },
    /// `v1/devices/me/telemetry`: the client itself, as ThingsBoard's device API has it.
    ThingsboardDevice,
    /// `v1/gateway/telemetry`: devices are named in the payload.
    ThingsboardGateway,
    /// The rest of ThingsBoard's API.
    Thingsboard(Word<'a>),
    /// `application/{application}/device/{dev_eui}/event/up` (ChirpStack v4).
    ChirpstackUp { dev_eui: &'a str },
    /// `v3/{application}@{tenant}/devices/{device}/up` (The Things Stack v3).
    TtsUp {
        application: &'a str,
        device: &'a str,
    },
    /// `spBv1.0/{group}/{message}/{node}[/{device}]` (Sparkplug B).
    Sparkplug(Said<'a>),
    /// Another event of a network server, such as a join, of which nothing is kept.
    NetworkEvent,
    /// `GIOT-GW/UL/{id}`: the raw frame of a pressure terminal, which names itself.
    PressureFrame,
    /// `devices/{device}/commands`.
    Commands { device: &'a str },
    /// `cases/{case}/steps`.
    CaseSteps { case: &'a str },
    /// Nothing that this hub takes.
    Unknown,
}

pub(crate) fn target(topic: &str) -> Target<'_> {
    match topic {
        "v1/devices/me/telemetry" | "v2/t" => return Target::ThingsboardDevice,
        "v1/gateway/telemetry" => return Target::ThingsboardGateway,
        _ => {}
    }
    let case = topic
        .strip_prefix("cases/")
        .and_then(|rest| rest.strip_suffix("/steps"));
    if let Some(case) = case.filter(|case| !case.is_empty() && !case.contains('/')) {
        return Target::CaseSteps { case };
    }
    if let Some(event) = network_event(topic) {
        return event;
    }
    if let Some(said) = Said::read(topic) {
        return Target::Sparkplug(said);
    }
    if let Some(word) = Word::read(topic) {
        return Target::Thingsboard(word);
    }
    let terminal = topic.strip_prefix(PRESSURE_FRAMES);
    if terminal.is_some_and(|id| !id.is_empty() && !id.contains('/')) {
        return Target::PressureFrame;
    }
    let named = topic
        .strip_prefix("devices/")
        .and_then(|rest| rest.split_once('/'));
    match named {
        Some((device, "telemetry")) => Target::Telemetry { device },
        Some((device, "commands")) => Target::Commands { device },
        _ => Target::Unknown,
    }
}

/// Reads the topics that network servers of LoRaWAN publish to.
fn network_event(topic: &str) -> Option<Target<'_>> {
    let mut levels = topic.split('/');
    let mut next = || levels.next().filter(|level| !level.is_empty());
    let (root, owner, devices, device) = (next()?, next()?, next()?, next()?);
    let (kind, event, end) = (next()?, levels.next(), levels.next());
    match (root, devices, kind, event, end) {
        ("application", "device", "event", Some("up"), None) => {
            Some(Target::ChirpstackUp { dev_eui: device })
        }
        ("application", "device", "event", Some(_), None) => Some(Target::NetworkEvent),
        ("v3", "devices", "up", None, None) => {
            let (application, _) = owner.split_once('@')?;
            Some(Target::TtsUp {
                application,
                device,
            })
        }
        ("v3", "devices", "join" | "service" | "location", _, _) => Some(Target::NetworkEvent),
        _ => None,
    }
}

pub(crate) fn telemetry_topic(device: &str) -> String {
    format!("devices/{device}/telemetry")
}

pub(crate) fn commands_topic(device: &str) -> String {
    format!("devices/{device}/commands")
}

/// Where the outcome of a step goes.
pub(crate) fn result_topic(case: &str) -> String {
    format!("cases/{case}/steps/result")
}

/// Tells whether a filter asks for outcomes of steps, of one case or of all.
fn asks_for_results(filter: &str) -> bool {
    let case = filter
        .strip_prefix("cases/")
        .and_then(|rest| rest.strip_suffix("/steps/result"));
    case.is_some_and(|case| !case.is_empty() && !case.contains('/'))
}

/// The topic of an event: its unit grid cell, or the city as a whole, and its type.
pub(crate) fn event_topic(place: &str, kind: &str) -> String {
    format!("{EVENTS}/{place}/{kind}")
}

/// What a subscription is to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The bus: live, at most once.
    Bus,
    /// The journal: by cursor, at least once.
    Events,
    /// The session itself: what is said to this one client, at most once.
    Own,
}

/// Who asks for a subscription.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Reader<'a> {
    Device(&'a str),
    Role(Role),
}

/// Why a filter is not granted, as a version 5 reason code.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum FilterRefusal {
    NotAuthorized = 0x87,
    Invalid = 0x8f,
    SharedNotSupported = 0x9e,
}

/// Decides whether a reader may use a filter, and where its messages come from.
///
/// Filters are granted in the few forms below and no other, so that no wildcard reaches further
/// than its reader may.
pub(crate) fn grant(reader: Reader<'_>, filter: &str) -> Result<Source, FilterRefusal> {
    if filter.starts_with("$share/") {
        return Err(FilterRefusal::SharedNotSupported);
    }
    if filter.len() > FILTER_BYTES_MAX || !is_filter(filter) {
        return Err(FilterRefusal::Invalid);
    }
    let granted = match reader {
        Reader::Device(id) => match target(filter) {
            Target::Commands { device } if device == id => Some(Source::Bus),
            _ if sparkplug::is_filter(filter) || thingsboard::is_filter(filter) => {
                Some(Source::Own)
            }
            _ => None,
        },
        Reader::Role(role) => match target(filter) {
            Target::Telemetry { .. } if role.reads() => Some(Source::Bus),
            _ if role.reports_steps() && asks_for_results(filter) => Some(Source::Bus),
            _ if role.subscribes_events() && filter.split('/').next() == Some(EVENTS) => {
                Some(Source::Events)
            }
            _ => None,
        },
    };
    granted.ok_or(FilterRefusal::NotAuthorized)
}

/// Tells whether wildcards stand alone in their level, and `#` at the end.
fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.contains('\0') {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let fits = match level {
            "#" => levels.peek().is_none(),
            "+" => true,
            other => !other.contains(['+', '#']),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// Tells whether a topic matches a filter; both are known to be valid.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        // `a/#` matches `a` too, so this comes before the topic is asked for another level.
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::{FilterRefusal, Reader, Source, Target, grant, matches, target};
    use sdk::Role;

    /// Roles that neither stand for another system nor may do everything.
    const PEOPLE: [Role; 5] = [
        Role::Viewer,
        Role::Officer,
        Role::Supervisor,
        Role::Engineer,
        Role::Auditor,
    ];

    #[test]
    fn a_topic_tells_what_is_meant() {
        assert_eq!(
            target("devices/花园路-03/telemetry"),
            Target::Telemetry {
                device: "花园路-03"
            }
        );
        assert_eq!(
            target("devices/a/commands"),
            Target::Commands { device: "a" }
        );
        assert_eq!(target("cases/c7/steps"), Target::CaseSteps { case: "c7" });
        assert_eq!(target("v1/devices/me/telemetry"), Target::ThingsboardDevice);
        assert_eq!(target("v1/gateway/telemetry"), Target::ThingsboardGateway);
        assert_eq!(
            target("application/8/device/a840/event/up"),
            Target::ChirpstackUp { dev_eui: "a840" }
        );
        assert_eq!(
            target("v3/app1@tenant1/devices/dev1/up"),
            Target::TtsUp {
                application: "app1",
                device: "dev1"
            }
        );
        for event in [
            "application/8/device/a840/event/join",
            "v3/app1@tenant1/devices/dev1/join",
        ] {
            assert_eq!(target(event), Target::NetworkEvent, "{event}");
        }
        assert_eq!(target("GIOT-GW/UL/SHGS26030001"), Target::PressureFrame);
        for other in [
            "application/8/device/a840/event/up/x",
            "application//device/a840/event/up",
            "v3/app1/devices/dev1/up",
            "v3/app1@tenant1/devices/dev1/up/x",
            "GIOT-GW/UL/",
            "GIOT-GW/UL/a/b",
            "devices/a/b/telemetry",
            "devices/telemetry",
            "/devices/a/telemetry",
            "devices/a/telemetry/",
            "events/350200/cityhub.alarm.raised",
            "$SYS/broker",
            "cases//steps",
            "cases/a/b/steps",
            "cases/c7/steps/result",
            "v1/devices/other/attributes",
        ] {
            assert_eq!(target(other), Target::Unknown, "{other}");
        }
    }

    #[test]
    fn a_device_may_hear_its_own_commands_and_nothing_else() {
        let reader = Reader::Device("a");
        assert_eq!(grant(reader, "devices/a/commands"), Ok(Source::Bus));
        for filter in [
            "devices/b/commands",
            "devices/+/commands",
            "devices/a/telemetry",
            "devices/#",
            "#",
            "events/#",
            "v1/devices/+/rpc/request/+",
            "v1/#",
        ] {
            let refused = Err(FilterRefusal::NotAuthorized);
            assert_eq!(grant(reader, filter), refused, "{filter}");
        }
    }

    #[test]
    fn events_are_for_the_platform_and_telemetry_for_people_and_an_admin_gets_both() {
        let refused = Err(FilterRefusal::NotAuthorized);
        for filter in [
            "events/#",
            "events/350200/+",
            "events/+/cityhub.alarm.raised",
        ] {
            for role in [Role::Platform, Role::Admin] {
                assert_eq!(grant(Reader::Role(role), filter), Ok(Source::Events));
            }
            for role in PEOPLE {
                assert_eq!(grant(Reader::Role(role), filter), refused, "{role:?}");
            }
        }
        for filter in ["devices/+/telemetry", "devices/a/telemetry"] {
            for role in PEOPLE.into_iter().chain([Role::Admin]) {
                assert_eq!(grant(Reader::Role(role), filter), Ok(Source::Bus));
            }
            assert_eq!(grant(Reader::Role(Role::Platform), filter), refused);
        }
        for filter in ["#", "+/#", "devices/#", "devices/a/commands", "eventsx/#"] {
            assert_eq!(
                grant(Reader::Role(Role::Admin), filter),
                refused,
                "{filter}"
            );
        }
    }

    #[test]
    fn outcomes_of_steps_are_for_those_who_report_them() {
        for filter in ["cases/c7/steps/result", "cases/+/steps/result"] {
            for role in Role::ALL {
                let granted = grant(Reader::Role(role), filter) == Ok(Source::Bus);
                let reports = [Role::Platform, Role::Supervisor, Role::Admin].contains(&role);
                assert_eq!(granted, reports, "{role:?} {filter}");
            }
            assert!(grant(Reader::Device("a"), filter).is_err());
        }
        for filter in [
            "cases/#",
            "cases/c7/steps",
            "cases/c7/#",
            "cases/+/+/steps/result",
        ] {
            assert!(
                grant(Reader::Role(Role::Platform), filter).is_err(),
                "{filter}"
            );
        }
    }

    #[test]
    fn a_filter_with_a_misplaced_wildcard_is_invalid() {
        for filter in ["", "events/#/x", "events/a+", "events/a#", "ev\0ents/#"] {
            let refused = Err(FilterRefusal::Invalid);
            assert_eq!(
                grant(Reader::Role(Role::Admin), filter),
                refused,
                "{filter:?}"
            );
        }
        let shared = Err(FilterRefusal::SharedNotSupported);
        assert_eq!(
            grant(Reader::Role(Role::Admin), "$share/g/events/#"),
            shared
        );
    }

    #[test]
    fn wildcards_match_as_the_standard_says() {
        // MQTT 5.0, 4.7.1.2 and 4.7.1.3.
        assert!(matches("sport/tennis/player1/#", "sport/tennis/player1"));
        assert!(matches(
            "sport/tennis/player1/#",
            "sport/tennis/player1/score/wimbledon"
        ));
        assert!(matches("sport/tennis/+", "sport/tennis/player1"));
        assert!(!matches("sport/tennis/+", "sport/tennis/player1/ranking"));
        assert!(!matches("sport/+", "sport"));
        assert!(matches("sport/+", "sport/"));
        assert!(matches("+/+", "/finance"));
        assert!(!matches("+", "/finance"));
        assert!(matches("场/+", "场/地"));
    }
}
