//! `any` and `all`: alarms of other rules that come together in one place.
//!
//! The inputs are the instants at which alarms of the member rules are raised and cleared on the
//! devices of one scope (a device, a site, a unit grid). With `within_s` the alarms must have been
//! raised within that time of each other, whether or not they last; without it they must be active
//! at once. The composite lasts for as long as enough of them are active, and for `within_s` at
//! least.

use super::{Look, Params, Step};
use crate::Figures;
use model::{DeviceKey, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Whether one of the member rules is enough.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    Any,
    All,
}

/// Where alarms must come together.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    Device,
    Site,
    Grid,
}

/// What an `any` or `all` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub mode: Mode,
    /// The ids of the member rules, none of them twice; never empty.
    pub of: Vec<String>,
    pub within_s: Option<u32>,
    pub scope: Reach,
    /// How many devices must be in alarm.
    pub devices_min: u32,
    pub severity: Severity,
    /// The members' alarms are suppressed while this one is active.
    pub suppress: bool,
    /// For so long the members' alarms wait unannounced for this one.
    pub hold_s: u32,
}

/// An alarm of a member rule began or ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct News {
    /// Its place in `of`.
    pub(crate) rule: u16,
    pub(crate) device: DeviceKey,
    pub(crate) is_raise: bool,
}

/// Nothing to remember while no member has an alarm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State(Option<Box<Gathering>>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Gathering {
    /// In the order of rule and device.
    members: Vec<Member>,
    alarm: Option<Alarm>,
}

/// One member rule on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Member {
    rule: u16,
    device: DeviceKey,
    /// How many of its alarms are active: two for an instant, if one begins as the other ends.
    active: u16,
    raised_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Alarm {
    raised_ms: i64,
    /// The device whose alarm completed it.
    device: DeviceKey,
    value: u32,
    peak: u32,
    count: u64,
}

impl Spec {
    fn within_ms(&self) -> Option<i64> {
        self.within_s.map(|s| i64::from(s) * 1000)
    }

    fn rules_min(&self) -> usize {
        match self.mode {
            Mode::Any => 1,
            Mode::All => self.of.len(),
        }
    }

    fn limit(&self) -> f64 {
        let rules = u32::try_from(self.rules_min()).unwrap_or(u32::MAX);
        f64::from(rules.max(self.devices_min))
    }

    /// Counts these members, if they are enough for an alarm.
    fn enough<'a>(&self, members: impl Iterator<Item = &'a Member>) -> Option<u32> {
        let mut rules: Vec<u16> = Vec::new();
        let mut devices: Vec<DeviceKey> = Vec::new();
        let mut count = 0;
        for member in members {
            // Members come in the order of their rules.
            if rules.last() != Some(&member.rule) {
                rules.push(member.rule);
            }
            devices.push(member.device);
            count += 1;
        }
        devices.sort_unstable();
        devices.dedup();
        let is_enough = rules.len() >= self.rules_min()
            && devices.len() >= usize::try_from(self.devices_min).unwrap_or(usize::MAX);
        is_enough.then_some(count)
    }
}

impl Gathering {
    fn take(&mut self, at_ms: i64, news: &News) {
        let key = |member: &Member| (member.rule, member.device);
        let place = self
            .members
            .binary_search_by_key(&(news.rule, news.device), key);
        match place {
            Ok(place) => {
                if let Some(member) = self.members.get_mut(place) {
                    if news.is_raise {
                        member.active = member.active.saturating_add(1);
                        member.raised_ms = member.raised_ms.max(at_ms);
                    } else {
                        member.active = member.active.saturating_sub(1);
                    }
                }
            }
            Err(place) if news.is_raise => self.members.insert(
                place,
                Member {
                    rule: news.rule,
                    device: news.device,
                    active: 1,
                    raised_ms: at_ms,
                },
            ),
            // The alarm began before this rule did.
            Err(_) => {}
        }
    }

    /// Forgets members that neither are active nor could still join others.
    fn forget(&mut self, spec: &Spec, at_ms: i64) {
        let within_ms = spec.within_ms();
        self.members.retain(|member| {
            member.active > 0
                || within_ms.is_some_and(|ms| member.raised_ms.saturating_add(ms) >= at_ms)
        });
    }

    /// Counts the members that make an alarm at this instant, if they do.
    fn raises(&self, spec: &Spec, at_ms: i64) -> Option<u32> {
        match spec.within_ms() {
            Some(ms) => {
                let from_ms = at_ms.saturating_sub(ms);
                spec.enough(self.members.iter().filter(|m| m.raised_ms >= from_ms))
            }
            None => self.lasts(spec),
        }
    }

    fn lasts(&self, spec: &Spec) -> Option<u32> {
        spec.enough(self.members.iter().filter(|m| m.active > 0))
    }

    fn present(&self) -> u32 {
        let active = self.members.iter().filter(|m| m.active > 0).count();
        u32::try_from(active).unwrap_or(u32::MAX)
    }

    /// Gives the instant up to which an alarm lasts in any case.
    fn lasts_until_ms(spec: &Spec, alarm: &Alarm) -> i64 {
        alarm
            .raised_ms
            .saturating_add(spec.within_ms().unwrap_or(0))
    }
}

impl State {
    pub(super) fn is_plain(&self) -> bool {
        self.0.is_none()
    }

    /// Gives the device that completed the active alarm.
    pub(crate) fn device(&self) -> Option<DeviceKey> {
        let alarm = self.0.as_ref()?.alarm.as_ref()?;
        Some(alarm.device)
    }
}

fn figures_of(spec: &Spec, alarm: &Alarm) -> Figures {
    Figures {
        severity: spec.severity,
        value: Some(f64::from(alarm.value)),
        limit: Some(spec.limit()),
        peak: Some(f64::from(alarm.peak)),
        count: alarm.count,
    }
}

pub(crate) fn start(_: &Spec, _: &Params) -> State {
    State::default()
}

pub(crate) fn step(spec: &Spec, state: &mut State, at_ms: i64, news: &News) -> Step {
    let gathering = state.0.get_or_insert_default();
    gathering.take(at_ms, news);
    gathering.forget(spec, at_ms);
    let present = gathering.present();
    let Some(alarm) = &mut gathering.alarm else {
        let enough = gathering.raises(spec, at_ms).filter(|_| news.is_raise);
        return conclude(spec, state, at_ms, enough.map(|count| (news.device, count)));
    };
    alarm.value = present;
    alarm.peak = alarm.peak.max(present);
    alarm.count += u64::from(news.is_raise);
    let figures = figures_of(spec, alarm);
    match conclude(spec, state, at_ms, None) {
        Step::Quiet => Step::Updated(figures),
        step => step,
    }
}

/// Begins or ends the alarm, and forgets what means nothing any more.
fn conclude(spec: &Spec, state: &mut State, at_ms: i64, enough: Option<(DeviceKey, u32)>) -> Step {
    let Some(gathering) = &mut state.0 else {
        return Step::Quiet;
    };
    let mut step = Step::Quiet;
    if let Some((device, count)) = enough {
        let alarm = Alarm {
            raised_ms: at_ms,
            device,
            value: count,
            peak: count,
            count: u64::from(count),
        };
        step = Step::Raised(figures_of(spec, &alarm));
        gathering.alarm = Some(alarm);
    } else if let Some(alarm) = &gathering.alarm
        && Gathering::lasts_until_ms(spec, alarm) <= at_ms
        && gathering.lasts(spec).is_none()
    {
        step = Step::Cleared(figures_of(spec, alarm));
        gathering.alarm = None;
    }
    if gathering.members.is_empty() && gathering.alarm.is_none() {
        state.0 = None;
    }
    step
}

pub(crate) fn deadline(spec: &Spec, state: &State) -> Option<i64> {
    let gathering = state.0.as_ref()?;
    if let Some(alarm) = &gathering.alarm {
        let is_over = gathering.lasts(spec).is_none();
        return is_over.then(|| Gathering::lasts_until_ms(spec, alarm));
    }
    // When the next member is forgotten.
    let within_ms = spec.within_ms()?;
    let passive = gathering.members.iter().filter(|m| m.active == 0);
    let ends_ms = passive.map(|m| m.raised_ms.saturating_add(within_ms).saturating_add(1));
    ends_ms.min()
}

pub(crate) fn fire(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    if let Some(gathering) = &mut state.0 {
        gathering.forget(spec, at_ms);
    }
    conclude(spec, state, at_ms, None)
}

pub(crate) fn hold(spec: &Spec, state: &mut State, at_ms: i64, news: &News) {
    let gathering = state.0.get_or_insert_default();
    gathering.take(at_ms, news);
    gathering.forget(spec, at_ms);
    if gathering.members.is_empty() {
        state.0 = None;
    }
}

/// Alarms that are there when the schedule opens count; the one that began last completes them.
pub(crate) fn open(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    let Some(gathering) = &mut state.0 else {
        return Step::Quiet;
    };
    gathering.forget(spec, at_ms);
    let last = gathering.members.iter().max_by_key(|m| m.raised_ms);
    let enough = last.and_then(|last| Some((last.device, gathering.raises(spec, at_ms)?)));
    conclude(spec, state, at_ms, enough)
}

pub(crate) fn close(spec: &Spec, state: &mut State, _: i64) -> Step {
    let alarm = state.0.as_mut().and_then(|g| g.alarm.take());
    if state.0.as_ref().is_some_and(|g| g.members.is_empty()) {
        state.0 = None;
    }
    alarm.map_or(Step::Quiet, |alarm| Step::Cleared(figures_of(spec, &alarm)))
}

pub(crate) fn figures(spec: &Spec, state: &State) -> Option<Figures> {
    let alarm = state.0.as_ref()?.alarm.as_ref()?;
    Some(figures_of(spec, alarm))
}

pub(crate) fn look(spec: &Spec, state: &State) -> Look {
    let figures = figures(spec, state);
    let gathering = state.0.as_deref();
    let members = gathering.map_or(&[][..], |gathering| gathering.members.as_slice());
    let facts = members.iter().map(|member| {
        json!({
            "rule": spec.of.get(usize::from(member.rule)),
            "device": member.device,
            "active": member.active > 0,
            "raised_at": Timestamp::from_millis(member.raised_ms),
        })
    });
    let alarm = gathering.and_then(|gathering| gathering.alarm.as_ref());
    Look {
        active: alarm.is_some(),
        severity: figures.map(|figures| figures.severity),
        value: gathering.map(|gathering| f64::from(gathering.present())),
        limit: Some(spec.limit()),
        peak: figures.and_then(|figures| figures.peak),
        count: figures.map_or(0, |figures| figures.count),
        since: alarm.map(|alarm| Timestamp::from_millis(alarm.raised_ms)),
        due_at: deadline(spec, state)
            .filter(|_| alarm.is_some())
            .map(Timestamp::from_millis),
        facts: [("members", facts.collect())].into(),
    }
}
