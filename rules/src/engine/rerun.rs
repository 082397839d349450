//! Starts a lane again from its settled state, and tells how its alarms differ from what was told.

use super::Entry;
use super::gate::Gated;
use super::lane::{Episode, Lane, Scope};
use crate::kind::{Input, Step};
use crate::{ClearReason, Outcome, What};
use model::{DeviceKey, Timestamp};

/// Alarms as a run through inputs and deadlines makes them, before they have numbers.
pub(super) struct Run<'a> {
    entry: &'a Entry,
    device: DeviceKey,
    pub(super) state: Gated,
    pub(super) episodes: Vec<Episode>,
    pub(super) frontier_ms: i64,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        (entry, device): (&'a Entry, DeviceKey),
        state: Gated,
        open: Option<Episode>,
    ) -> Self {
        Self {
            entry,
            device,
            state,
            episodes: open.into_iter().collect(),
            frontier_ms: i64::MIN,
        }
    }

    pub(super) fn step(&mut self, input: &Input) {
        self.fire_until(input.at_ms);
        let step = self.state.step(self.entry, input.at_ms, &input.sample);
        self.frontier_ms = input.at_ms;
        self.note(input.at_ms, step);
    }

    pub(super) fn fire_until(&mut self, to_ms: i64) {
        while let Some(at_ms) = self.state.deadline(self.entry)
            && at_ms <= to_ms
        {
            let step = self.state.fire(self.entry, at_ms);
            self.frontier_ms = self.frontier_ms.max(at_ms);
            self.note(at_ms, step);
        }
    }

    fn note(&mut self, at_ms: i64, step: Step) {
        let Some(figures) = step.figures() else {
            return;
        };
        if matches!(step, Step::Raised(_)) {
            self.episodes.push(Episode {
                alarm: 0,
                device: self.state.state.device().unwrap_or(self.device),
                raised_ms: at_ms,
                cleared_ms: None,
                reason: ClearReason::Normal,
                figures,
            });
        } else if let Some(episode) = self.episodes.last_mut() {
            episode.figures = figures;
            if step.ends() {
                episode.cleared_ms = Some(at_ms);
                episode.reason = step.reason();
            }
        }
    }
}

impl Lane {
    /// Runs the inputs since the settled state again, in their right order, and tells what that
    /// changes.
    pub(super) fn rerun<'a>(
        &mut self,
        scope: &mut Scope<'_>,
        inputs: impl Iterator<Item = &'a Input>,
    ) {
        // An alarm that was active when the state settled is the first of the unsettled ones.
        let settled_figures = scope.entry.condition().figures(&self.settled.state);
        let open = settled_figures.and_then(|figures| {
            self.episodes.first().map(|first| Episode {
                cleared_ms: None,
                reason: ClearReason::Normal,
                figures,
                ..*first
            })
        });
        let mut run = Run::new((scope.entry, self.device), self.settled.clone(), open);
        for input in inputs {
            run.step(input);
        }
        run.fire_until(scope.pulse.now_ms);
        let told = std::mem::take(&mut self.episodes);
        tell_difference(scope, &told, &mut run.episodes);
        self.state = run.state;
        self.frontier_ms = run.frontier_ms;
        self.episodes = run.episodes;
    }
}

/// Numbers the new episodes like the old ones that they are, and tells what is different.
fn tell_difference(scope: &mut Scope<'_>, told: &[Episode], episodes: &mut [Episode]) {
    let now_ms = scope.pulse.now_ms;
    let mut matched: Vec<Option<Episode>> = vec![None; episodes.len()];
    let mut left: Vec<Episode> = Vec::new();
    // An alarm is the same if it began at the same instant (two may, when clocks run ahead) …
    for old in told {
        let mut places = episodes.iter().zip(&mut matched);
        let same = places.find(|(new, place)| place.is_none() && new.raised_ms == old.raised_ms);
        match same {
            Some((_, place)) => *place = Some(*old),
            None => left.push(*old),
        }
    }
    // … and otherwise the next one that has no partner: its beginning has moved.
    let mut left = left.into_iter();
    for place in matched.iter_mut().filter(|place| place.is_none()) {
        *place = left.next();
    }
    for old in left {
        scope.say(old.device, old.alarm, now_ms, What::Withdrawn);
        note(scope, &old, true);
    }
    for (episode, old) in episodes.iter_mut().zip(matched) {
        match old {
            Some(old) => {
                episode.alarm = old.alarm;
                tell_move(scope, &old, episode);
            }
            None => {
                episode.alarm = scope.next_alarm();
                tell_new(scope, episode);
            }
        }
    }
}

/// Notes both ends of an alarm for the composites.
fn note(scope: &mut Scope<'_>, episode: &Episode, is_gone: bool) {
    scope.note(episode.device, episode.raised_ms, true, is_gone);
    if let Some(cleared_ms) = episode.cleared_ms {
        scope.note(episode.device, cleared_ms, false, is_gone);
    }
}

fn tell_new(scope: &mut Scope<'_>, new: &Episode) {
    note(scope, new, false);
    scope.say(
        new.device,
        new.alarm,
        new.raised_ms,
        What::Raised(new.figures),
    );
    if let Some(cleared_ms) = new.cleared_ms {
        let what = What::Cleared {
            reason: new.reason,
            figures: new.figures,
        };
        scope.say(new.device, new.alarm, cleared_ms, what);
    }
}

fn tell_move(scope: &mut Scope<'_>, old: &Episode, new: &Episode) {
    if old == new {
        return;
    }
    // What has not moved may be settled already, and must not be told again.
    if old.raised_ms != new.raised_ms {
        scope.note(old.device, old.raised_ms, true, true);
        scope.note(new.device, new.raised_ms, true, false);
    }
    if old.cleared_ms != new.cleared_ms {
        for (cleared_ms, is_gone) in [(old.cleared_ms, true), (new.cleared_ms, false)] {
            if let Some(cleared_ms) = cleared_ms {
                scope.note(new.device, cleared_ms, false, is_gone);
            }
        }
    }
    let now_ms = scope.pulse.now_ms;
    let began_alike = (old.raised_ms, old.device) == (new.raised_ms, new.device);
    let (at_ms, what) = match (old.cleared_ms, new.cleared_ms) {
        (None, None) if began_alike => {
            let what = match new.figures.severity.cmp(&old.figures.severity) {
                std::cmp::Ordering::Greater => What::Escalated(new.figures),
                std::cmp::Ordering::Less => What::Deescalated(new.figures),
                std::cmp::Ordering::Equal => What::Updated(new.figures),
            };
            (now_ms, what)
        }
        (None, Some(cleared_ms)) if began_alike => {
            let what = What::Cleared {
                reason: new.reason,
                figures: new.figures,
            };
            (cleared_ms, what)
        }
        _ => (now_ms, What::Amended(new.outcome())),
    };
    scope.say(new.device, new.alarm, at_ms, what);
}

impl Episode {
    pub(super) fn outcome(&self) -> Outcome {
        Outcome {
            raised_at: Timestamp::from_millis(self.raised_ms),
            cleared_at: self.cleared_ms.map(Timestamp::from_millis),
            figures: self.figures,
        }
    }
}
