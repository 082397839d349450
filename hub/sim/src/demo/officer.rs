//! A duty officer who acknowledges what was left to the visitor for some minutes, and resets what was
//! acknowledged, so that a demo of days does not drown in alarms that nobody handles.

use super::platform::{LOOK_EVERY, ask, say};
use crate::api::Base;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The most urgent ones; what does not fit has its turn at a later look.
const ALARMS: &str = "/api/v1/alarms?limit=200";
/// One alarm in so many is left lying, for the visitor, five times as long.
const LEFT_EVERY: u64 = 4;
const LEFT_TIMES: u32 = 5;

/// What is done with an alarm in a state, after how many seconds, and what is noted.
const COURSE: [(&str, &str, u64, &str); 4] = [
    ("active_unacked", "ack", 420, "已电话通知，人员在途"),
    ("cleared_unacked", "ack", 180, "已恢复，现场核对无误"),
    ("latched_unacked", "ack", 240, "现场已处置"),
    ("latched_acked", "reset", 60, "核对无误，复位"),
];

#[derive(Debug, Deserialize)]
struct Alarm {
    id: String,
    state: String,
    version: u64,
}

#[derive(Debug, Deserialize)]
struct Listed {
    items: Vec<Alarm>,
}

/// The officer.
#[derive(Debug)]
pub(crate) struct Officer {
    base: Base,
    token: String,
    /// Per open alarm, which state it is in, and since when.
    seen: HashMap<String, (String, Instant)>,
}

impl Officer {
    pub(crate) fn new(base: Base, token: String) -> Self {
        Self {
            base,
            token,
            seen: HashMap::new(),
        }
    }

    /// Looks at the alarms and handles them until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let work = async {
            loop {
                // A hub that does not answer is asked again.
                if let Err(reason) = self.look().await {
                    say(&format!("officer: {reason}"));
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
        let listed: Listed = ask(&self.base, &self.token, ("GET", ALARMS), &[]).await?;
        let now = Instant::now();
        let mut seen = HashMap::new();
        for alarm in listed.items {
            let since = match self.seen.get(&alarm.id) {
                Some((before, since)) if *before == alarm.state => *since,
                _ => now,
            };
            if let Some((action, after, comment)) = next_act(&alarm)
                && now.duration_since(since) >= after
            {
                self.act(&alarm, (action, comment)).await?;
            }
            seen.insert(alarm.id, (alarm.state, since));
        }
        self.seen = seen;
        Ok(())
    }

    async fn act(&self, alarm: &Alarm, (action, comment): (&str, &str)) -> Result<(), String> {
        let path = format!("/api/v1/alarms/{}/{action}", alarm.id);
        let body = json!({ "version": alarm.version, "comment": comment }).to_string();
        let target = ("POST", path.as_str());
        match ask::<Value>(&self.base, &self.token, target, body.as_bytes()).await {
            // Somebody else was faster, or it changed meanwhile: look again.
            Err(reason) if reason.starts_with("409") => Ok(()),
            done => done.map(|_| ()),
        }
    }
}

/// Decides what the officer does next, and after how long.
fn next_act(alarm: &Alarm) -> Option<(&'static str, Duration, &'static str)> {
    let number: u64 = alarm.id.trim_start_matches('a').parse().ok()?;
    let (_, action, after_s, comment) = *COURSE.iter().find(|(state, ..)| *state == alarm.state)?;
    let after = Duration::from_secs(after_s);
    let is_left = number.is_multiple_of(LEFT_EVERY);
    Some((
        action,
        if is_left { after * LEFT_TIMES } else { after },
        comment,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(id: &str, state: &str) -> Option<(&'static str, u64)> {
        let (id, state) = (id.to_owned(), state.to_owned());
        let act = next_act(&Alarm {
            id,
            state,
            version: 1,
        });
        act.map(|(action, after, _)| (action, after.as_secs()))
    }

    #[test]
    fn what_is_over_is_acknowledged_before_what_holds_and_a_latch_is_reset_after_that() {
        assert_eq!(next("a1", "cleared_unacked"), Some(("ack", 180)));
        assert_eq!(next("a1", "active_unacked"), Some(("ack", 420)));
        assert_eq!(next("a1", "latched_acked"), Some(("reset", 60)));
        for state in ["active_acked", "shelved", "suppressed", "normal"] {
            assert_eq!(next("a1", state), None, "{state}");
        }
    }

    #[test]
    fn every_fourth_alarm_is_left_to_the_visitor_for_a_quarter_of_an_hour() {
        assert_eq!(next("a8", "cleared_unacked"), Some(("ack", 900)));
    }
}
