//! A city's platform: takes each case of the hub through its steps, as dispatchers and crews would.

use crate::api::Base;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::HashMap;
use std::io::Write as _;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const CASES: &str = "/api/v1/cases?limit=200";
/// One case in so many is left lying, for the visitor to take its steps.
const LEFT_EVERY: u64 = 4;
/// One in so many comes back from verification once, and one in so many asks for more time.
const RETURNED_EVERY: u64 = 5;
const EXTENDED_EVERY: u64 = 6;

/// What is done next with a case in a state, by whom, after how many seconds, and what is noted.
const COURSE: [(&str, &str, &str, u64, &str); 6] = [
    ("reported", "accept", "受理员", 8, "核对无误，立案"),
    ("accepted", "dispatch", "派遣员", 12, "派至责任单位"),
    ("dispatched", "handle", "处置单位", 15, "人员到场，开始处理"),
    ("handling", "feedback", "处置单位", 25, "处理完毕，申请核查"),
    ("fed_back", "verify", "核查员", 15, "现场核查"),
    ("verified", "close", "值班长", 12, "核查通过，结案"),
];

/// A report to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    step: &'static str,
    actor: &'static str,
    note: &'static str,
    after: Duration,
}

/// What the platform reads of a case.
#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    state: String,
    version: u64,
    /// None if nobody can tell.
    violation: Option<bool>,
    overdue: bool,
    steps: Vec<Taken>,
}

#[derive(Debug, Deserialize)]
struct Taken {
    step: String,
}

#[derive(Debug, Deserialize)]
struct Listed {
    items: Vec<Case>,
}

/// The platform.
#[derive(Debug)]
pub(crate) struct Platform {
    base: Base,
    token: String,
    /// Per open case, how many steps it has had, and since when.
    seen: HashMap<String, (usize, Instant)>,
}

impl Platform {
    pub(crate) fn new(base: Base, token: String) -> Self {
        Self {
            base,
            token,
            seen: HashMap::new(),
        }
    }

    /// Looks for cases and reports their steps until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let work = async {
            loop {
                // A hub that does not answer is asked again.
                if let Err(reason) = self.look().await {
                    say(&format!("platform: {reason}"));
                }
                sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    async fn look(&mut self) -> Result<(), String> {
        let listed: Listed = ask(&self.base, &self.token, ("GET", CASES), &[]).await?;
        let now = Instant::now();
        let mut seen = HashMap::new();
        for case in &listed.items {
            // What changes while nobody takes a step, such as its evidence, holds nothing up.
            let steps = case.steps.len();
            let since = match self.seen.get(&case.id) {
                Some((before, since)) if *before == steps => *since,
                _ => now,
            };
            seen.insert(case.id.clone(), (steps, since));
            let Some(report) = next_step(case) else {
                continue;
            };
            if now.duration_since(since) >= report.after {
                self.report(case, report).await?;
            }
        }
        self.seen = seen;
        Ok(())
    }

    async fn report(&self, case: &Case, report: Report) -> Result<(), String> {
        let body = json!({
            "step": report.step,
            "actor": report.actor,
            "note": report.note,
            "version": case.version,
        });
        let path = format!("/api/v1/cases/{}/steps", case.id);
        let body = body.to_string();
        let target = ("POST", path.as_str());
        let answer: Result<Case, String> =
            ask(&self.base, &self.token, target, body.as_bytes()).await;
        match answer {
            Ok(after) => {
                let (id, state) = (&after.id, &after.state);
                say(&format!("platform: {id} {} → {state}", report.step));
                Ok(())
            }
            // Somebody else was faster, or the sensor objects: look again.
            Err(reason) if reason.starts_with("409") => Ok(()),
            Err(reason) => Err(reason),
        }
    }
}

/// Asks the hub once, and reads its answer.
pub(super) async fn ask<T: DeserializeOwned>(
    base: &Base,
    token: &str,
    target: (&str, &str),
    body: &[u8],
) -> Result<T, String> {
    let asked = base.exchange(token, target, body);
    let response = timeout(REQUEST_TIMEOUT, asked)
        .await
        .map_err(|_| "no answer in time".to_owned())??;
    let text = String::from_utf8_lossy(&response.body);
    if !(200..300).contains(&response.status) {
        return Err(format!("{} {text}", response.status));
    }
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Decides what the platform does next; none while the sensor still measures what shall be closed.
fn next_step(case: &Case) -> Option<Report> {
    let number: u64 = case.id.trim_start_matches('c').parse().ok()?;
    let taken = |step: &str| case.steps.iter().any(|taken| taken.step == step);
    let (_, step, actor, after_s, note) = *COURSE.iter().find(|(from, ..)| *from == case.state)?;
    let report = |step, actor, note| Report {
        step,
        actor,
        note,
        after: Duration::from_secs(after_s),
    };
    if number.is_multiple_of(LEFT_EVERY) && step != "accept" {
        return None;
    }
    if step == "verify" && number.is_multiple_of(RETURNED_EVERY) && !taken("return") {
        return Some(report("return", "核查员", "现场仍有遗留，退回重办"));
    }
    let in_time = !case.overdue && !taken("extend");
    if step == "handle" && number.is_multiple_of(EXTENDED_EVERY) && in_time {
        return Some(report("extend", "处置单位", "需调配备件，申请延期"));
    }
    if step == "close" && case.violation != Some(false) {
        return None;
    }
    Some(report(step, actor, note))
}

pub(super) fn say(text: &str) {
    // Talk that nobody can read is no reason to stop.
    drop(
        std::io::stderr()
            .lock()
            .write_all(format!("{text}\n").as_bytes()),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(id: &str, state: &str) -> Case {
        Case {
            id: id.to_owned(),
            state: state.to_owned(),
            version: 1,
            violation: Some(false),
            overdue: false,
            steps: Vec::new(),
        }
    }

    fn after(step: &str, case: Case) -> Case {
        let steps = vec![Taken {
            step: step.to_owned(),
        }];
        Case { steps, ..case }
    }

    fn step(case: &Case) -> Option<&'static str> {
        next_step(case).map(|report| report.step)
    }

    #[test]
    fn a_case_goes_from_acceptance_to_its_end() {
        let states = [
            "reported",
            "accepted",
            "dispatched",
            "handling",
            "fed_back",
            "verified",
        ];
        let steps = states.map(|state| step(&case("c1", state)).unwrap());
        assert_eq!(
            steps,
            [
                "accept", "dispatch", "handle", "feedback", "verify", "close"
            ]
        );
        for state in ["closed", "voided", "deferred"] {
            assert_eq!(step(&case("c1", state)), None);
        }
    }

    #[test]
    fn nothing_is_closed_while_the_sensor_measures_it() {
        let measured = |state| Case {
            violation: Some(true),
            ..case("c1", state)
        };
        assert_eq!(step(&measured("verified")), None);
        assert_eq!(step(&measured("fed_back")), Some("verify"));
    }

    #[test]
    fn one_case_comes_back_once_one_asks_for_time_and_one_is_left_to_the_visitor() {
        assert_eq!(step(&case("c5", "fed_back")), Some("return"));
        let returned = after("return", case("c5", "fed_back"));
        assert_eq!(step(&returned), Some("verify"));
        assert_eq!(step(&case("c6", "dispatched")), Some("extend"));
        let extended = after("extend", case("c6", "dispatched"));
        assert_eq!(step(&extended), Some("handle"));
        let late = Case {
            overdue: true,
            ..case("c6", "dispatched")
        };
        assert_eq!(step(&late), Some("handle"));
        assert_eq!(step(&case("c8", "reported")), Some("accept"));
        assert_eq!(step(&case("c8", "accepted")), None);
    }

    #[test]
    fn the_rows_of_the_hub_are_read() {
        let text = r#"{"items":[{"id":"c1","state":"reported","version":3,"violation":true,
            "overdue":false,"steps":[{"step":"accept","actor":"a"}],"title":"t"}],"next":null}"#;
        let listed: Listed = serde_json::from_str(text).unwrap();
        assert_eq!(listed.items[0].steps[0].step, "accept");
    }
}
