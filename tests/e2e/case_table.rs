//! Every step in every state of a case: what is possible leads where the table says, all else is
//! refused and changes nothing.

use serde_json::{Value, json};
use tests::fleet::overpressure;
use tests::http::Api;
use tests::hub::{Hub, Place, token};
use tests::mqtt::{Client, Identity, Outcome, Version};
use tests::time::now_ms;

const STEPS: [&str; 11] = [
    "accept",
    "dispatch",
    "handle",
    "feedback",
    "verify",
    "close",
    "return",
    "void",
    "extend",
    "defer",
    "supervise",
];

/// A state and the steps that lead there; then for each of [`STEPS`] the state after it, or nothing
/// where it is impossible. A case is deferred from `accepted`, and goes on from there.
type Line = (&'static str, &'static [&'static str], [&'static str; 11]);

#[rustfmt::skip]
const TABLE: [Line; 9] = [
    //                accept      dispatch      handle      feedback    verify      close     return        void      extend        defer       supervise
    ("reported", &[],
                    ["accepted",  "",           "",         "",         "",         "",       "",           "voided", "",           "",         "reported"]),
    ("accepted", &["accept"],
                    ["",          "dispatched", "",         "",         "",         "",       "reported",   "voided", "accepted",   "deferred", "accepted"]),
    ("dispatched", &["accept", "dispatch"],
                    ["",          "",           "handling", "",         "",         "",       "accepted",   "voided", "dispatched", "deferred", "dispatched"]),
    ("handling", &["accept", "dispatch", "handle"],
                    ["",          "",           "",         "fed_back", "",         "",       "dispatched", "",       "handling",   "deferred", "handling"]),
    ("fed_back", &["accept", "dispatch", "handle", "feedback"],
                    ["",          "",           "",         "",         "verified", "",       "handling",   "",       "",           "",         "fed_back"]),
    ("verified", &["accept", "dispatch", "handle", "feedback", "verify"],
                    ["",          "",           "",         "",         "",         "closed", "fed_back",   "",       "",           "",         "verified"]),
    ("deferred", &["accept", "defer"],
                    ["",          "dispatched", "",         "",         "",         "",       "reported",   "voided", "accepted",   "",         "deferred"]),
    ("closed", &["accept", "dispatch", "handle", "feedback", "verify", "close"],
                    ["",          "",           "",         "",         "",         "",       "",           "",       "",           "",         ""]),
    ("voided", &["void"],
                    ["",          "",           "",         "",         "",         "",       "",           "",       "",           "",         ""]),
];

/// A report that lacks nothing, so that only the state can be against it.
fn full(step: &str) -> Value {
    let mut report = json!({"step": step, "actor": "平台", "note": "依据巡查"});
    if step == "defer" {
        report["until"] = json!(now_ms() + 86_400_000);
    }
    report
}

fn post(api: &Api, case: &str, step: &str) -> tests::http::Reply {
    api.post(&format!("/api/v1/cases/{case}/steps"), &full(step))
}

/// Opens a case for each device, over at once, so that nothing stands against closing.
fn open(hub: &Hub, cases: usize) {
    let ids: Vec<String> = (1..=cases).map(|number| format!("gas-{number}")).collect();
    let devices = ids
        .iter()
        .map(|id| json!({"id": id, "kind": "gas_pressure"}));
    hub.register(&devices.collect());
    let mut rule = overpressure();
    rule["category"] = json!("0403");
    hub.rule("over", &rule);
    for id in &ids {
        for kpa in [450.0, 300.0] {
            let reading = json!({"ts": now_ms(), "values": {"pressure_kpa": kpa}});
            hub.store(id, &reading);
        }
    }
}

fn last_event(api: &Api) -> Value {
    api.get("/api/v1/cases?limit=1")["as_of_seq"].clone()
}

#[test]
fn every_step_in_every_state_leads_where_the_table_says_or_is_refused_unchanged() {
    let place = Place::default();
    let hub = place.start();
    let possible = |line: &Line| line.2.iter().filter(|to| !to.is_empty()).count();
    // A case for each possible step, and one for all that are refused.
    open(&hub, TABLE.iter().map(|line| possible(line) + 1).sum());
    let api = hub.api_as("platform");
    let mut numbers = 1..;
    let mut case_in = |(state, way, _): &Line| {
        let case = format!("c{}", numbers.next().unwrap());
        for step in *way {
            post(&api, &case, step).expect(200);
        }
        assert_eq!(api.get(&format!("/api/v1/cases/{case}"))["state"], *state);
        case
    };
    let (mut taken, mut refused) = (0, 0);
    for line in &TABLE {
        let still = case_in(line);
        let path = format!("/api/v1/cases/{still}");
        let (row, seq) = (api.get(&path), last_event(&api));
        for (step, to) in STEPS.into_iter().zip(line.2) {
            if to.is_empty() {
                let problem = post(&api, &still, step).problem(409);
                assert_eq!(problem["state"], line.0, "{step}: {problem}");
                assert_eq!(api.get(&path), row, "{step} in {}", line.0);
                assert_eq!(last_event(&api), seq, "{step} in {}", line.0);
                refused += 1;
            }
        }
        let pairs = STEPS.into_iter().zip(line.2);
        for (step, to) in pairs.filter(|(_, to)| !to.is_empty()) {
            let case = case_in(line);
            let seq = last_event(&api).as_u64().unwrap();
            let row = post(&api, &case, step).expect(200);
            assert_eq!(row["state"], to, "{step} in {}", line.0);
            // An end is told as such, too.
            let told = 1 + u64::from(matches!(to, "closed" | "voided"));
            assert_eq!(last_event(&api), seq + told, "{step} in {}", line.0);
            taken += 1;
        }
    }
    assert_eq!((taken, refused), (31, 68), "all 99 pairs");
}

#[test]
fn over_mqtt_the_same_steps_are_taken_and_the_same_refused_unchanged() {
    let place = Place::default();
    let hub = place.start();
    open(&hub, 1);
    let api = hub.api_as("platform");
    let identity = Identity::named("city", &token("platform"));
    let mut client = Client::connect(hub.mqtt(), Version::V5, &identity);
    let mut numbers = 1..;
    let mut send = |step: &str| {
        let mut report = full(step);
        // Without an id, the last step once more would count as sent again.
        report["id"] = json!(format!("r-{}", numbers.next().unwrap()));
        client.publish("cases/c1/steps", report.to_string().as_bytes())
    };
    for line in TABLE.iter().take(6) {
        let (row, seq) = (api.get("/api/v1/cases/c1"), last_event(&api));
        assert_eq!(row["state"], line.0);
        for (step, to) in STEPS.into_iter().zip(line.2) {
            if to.is_empty() {
                assert_eq!(send(step), Outcome::Acked(0x83), "{step} in {}", line.0);
            }
        }
        assert_eq!(api.get("/api/v1/cases/c1"), row, "{}", line.0);
        assert_eq!(last_event(&api), seq, "{}", line.0);
        let next = [
            "accept", "dispatch", "handle", "feedback", "verify", "close",
        ];
        let next = next.into_iter().nth(line.1.len()).unwrap();
        assert_eq!(send(next), Outcome::Acked(0), "{next}");
    }
    assert_eq!(api.get("/api/v1/cases/c1")["state"], "closed");
    for step in STEPS {
        assert_eq!(send(step), Outcome::Acked(0x83), "{step} when closed");
    }
}
