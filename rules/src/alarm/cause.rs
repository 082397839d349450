//! One cause, one alarm: what a silent gateway, a composite or a chatter explains is suppressed,
//! and comes back when it is not explained any more.

use super::facts::SILENCE;
use super::index::source;
use super::row::{alarm_number, is_cause, is_on_trial, is_silence, leave_cause, leave_shelf};
use super::{AlarmBook, Scene, Scope, chatter};
use model::{AlarmRow, AlarmState, DeviceId, SilenceCause, Suppression, Timestamp};

/// The kind of device that speaks for others.
const GATEWAY: &str = "gateway";

/// The part of a device's cadence by which its message may be late without having been missed.
const CADENCE_SLACK: i64 = 2;

/// How a cause stopped to explain others.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its condition is gone; whoever is still silent gets the time of its own patience.
    Cleared,
    /// People said that it explains nothing.
    Dismissed,
    /// It has left the list: what came after it must not wait behind something that nobody sees.
    Left,
}

/// What explains an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cause {
    by: String,
    suppression: Suppression,
    returns_at: Option<Timestamp>,
}

impl AlarmBook {
    /// Finds the place of an alarm that has just been raised: set aside like the ones before it,
    /// explained by another, or shown to people.
    pub(super) fn place(
        &mut self,
        number: u64,
        row: &mut AlarmRow,
        scene: &mut Scene<'_>,
    ) -> &'static str {
        name_cause(row, scene);
        let run = self.chatter.count(source(row), row.raised_at, number);
        if let Some(kind) = self.set_aside(row, scene) {
            return kind;
        }
        let returns_at = scene.at.plus_ms(chatter::WINDOW_MS);
        let by_chatter = |first| Cause {
            by: crate::alarm_id(first),
            suppression: Suppression::Chatter,
            returns_at: Some(returns_at),
        };
        if let Some(first) = run {
            self.mark_chattering(first, scene);
        }
        let cause = self
            .present_cause(row, scene)
            .or_else(|| {
                run.filter(|first| !self.is_worse_than(row, *first))
                    .map(by_chatter)
            })
            .or_else(|| hold(row, scene));
        let Some(cause) = cause else {
            self.sound(row, scene);
            return "raised";
        };
        suppress(row, cause);
        "suppressed"
    }

    /// Sets a new alarm aside as the one before it of the same rule and device is, and closes that
    /// one if it is over: one row carries the shelf. Something worse than what was shelved is not.
    fn set_aside(&mut self, row: &mut AlarmRow, scene: &mut Scene<'_>) -> Option<&'static str> {
        let mut kind = None;
        for number in self.index.of_source(&source(row)) {
            let Some(before) = self.rows.get(&number).filter(|row| !is_on_trial(row)) else {
                continue;
            };
            match before.state {
                AlarmState::OutOfService => {
                    row.state = AlarmState::OutOfService;
                    row.note.clone_from(&before.note);
                    leave_shelf(row);
                    kind = Some("out_of_service");
                }
                AlarmState::Shelved if Some(row.severity) <= before.shelved_severity => {
                    if kind.is_none() {
                        row.state = AlarmState::Shelved;
                        row.shelved_until = before.shelved_until;
                        row.shelved_by.clone_from(&before.shelved_by);
                        row.shelve_reason.clone_from(&before.shelve_reason);
                        row.shelved_severity = before.shelved_severity;
                        kind = Some("shelved");
                    }
                }
                AlarmState::Shelved => {}
                _ => continue,
            }
            if before.active {
                continue;
            }
            if let Some(mut before) = self.take(number) {
                Self::close(&mut before);
                scene.tell("settled", &mut before);
                self.keep(number, before);
            }
        }
        kind
    }

    /// Tells people once that an alarm is the first of a chatter.
    fn mark_chattering(&mut self, first: u64, scene: &mut Scene<'_>) {
        let Some(mut row) = self.take(first) else {
            return;
        };
        if !row.chattering {
            row.chattering = true;
            scene.tell("chattering", &mut row);
        }
        self.keep(first, row);
    }

    /// Suppresses a row if something that is active now explains it.
    pub(super) fn suppress_by_present_cause(&self, row: &mut AlarmRow, scene: &Scene<'_>) -> bool {
        let cause = self.present_cause(row, scene);
        let is_explained = cause.is_some();
        if let Some(cause) = cause {
            suppress(row, cause);
        }
        is_explained
    }

    /// Finds an active alarm that explains this one.
    fn present_cause(&self, row: &AlarmRow, scene: &Scene<'_>) -> Option<Cause> {
        let gateway = row.parent.as_ref().filter(|_| is_silence(row));
        if let Some(alarm) = gateway.and_then(|gateway| self.silence_of(gateway)) {
            return Some(Cause {
                by: alarm.id.clone(),
                suppression: Suppression::Gateway,
                returns_at: None,
            });
        }
        let covers = scene.around.covers(&row.rule);
        let composite = self
            .index
            .composites()
            .filter_map(|number| self.rows.get(&number))
            .filter(|composite| is_cause(composite) && composite.severity >= row.severity)
            .find(|composite| {
                covers
                    .iter()
                    .any(|cover| is_under(row, composite, (cover.rule, cover.scope)))
            })?;
        Some(Cause {
            by: composite.id.clone(),
            suppression: Suppression::Composite,
            returns_at: None,
        })
    }

    /// Finds the alarm that says that the gateway is silent.
    fn silence_of(&self, gateway: &DeviceId) -> Option<&AlarmRow> {
        self.index
            .silent(gateway)
            .into_iter()
            .filter_map(|number| self.rows.get(&number))
            .find(|row| is_cause(row))
    }

    /// Suppresses the open alarms that an alarm which has just become active explains.
    pub(super) fn explain_others(&mut self, number: u64, scene: &mut Scene<'_>) {
        let Some(cause) = self.rows.get(&number).filter(|row| is_cause(row)).cloned() else {
            return;
        };
        if is_silence(&cause) {
            let last_heard = last_heard(&cause);
            for other in self.index.silent_behind(&cause.device) {
                let is_meant = |row: &AlarmRow| missed_at(row, scene) > last_heard;
                let is_meant = self.rows.get(&other).is_some_and(is_meant);
                if other != number && is_meant {
                    self.explain(other, &cause, Suppression::Gateway, scene);
                }
            }
        }
        if cause.scope.is_some() {
            let members: Vec<u64> = self
                .rows
                .iter()
                .filter(|(_, row)| row.active && row.severity <= cause.severity)
                .filter(|(_, row)| {
                    let covers = scene.around.covers(&row.rule);
                    covers
                        .iter()
                        .any(|cover| is_under(row, &cause, (cover.rule, cover.scope)))
                })
                .map(|(member, _)| *member)
                .collect();
            for member in members {
                self.explain(member, &cause, Suppression::Composite, scene);
            }
        }
    }

    fn explain(
        &mut self,
        number: u64,
        cause: &AlarmRow,
        suppression: Suppression,
        scene: &mut Scene<'_>,
    ) {
        let is_meant = |row: &&AlarmRow| match row.state {
            AlarmState::ActiveUnacked | AlarmState::ActiveAcked => !is_on_trial(row),
            // One that its cause explains for good need not be explained again.
            AlarmState::Suppressed => row.returns_at.is_some(),
            _ => false,
        };
        if self.rows.get(&number).filter(is_meant).is_none() {
            return;
        }
        let Some(mut row) = self.take(number) else {
            return;
        };
        suppress(
            &mut row,
            Cause {
                by: cause.id.clone(),
                suppression,
                returns_at: None,
            },
        );
        scene.tell("suppressed", &mut row);
        self.keep(number, row);
    }

    /// Lets the alarms come back that an alarm explained, one by one.
    pub(super) fn end_cause(&mut self, id: &str, end: End, scene: &mut Scene<'_>) {
        for number in self.index.of_cause(id) {
            let Some(row) = self.rows.get(&number) else {
                continue;
            };
            match (row.suppression, end) {
                (Some(Suppression::Chatter), End::Left) => self.release(number, scene),
                // It returns by itself within a minute.
                (Some(Suppression::Chatter), _) | (_, End::Left) => {}
                (Some(Suppression::Gateway), End::Cleared) if row.active => {
                    let patience_ms = patience_ms(row);
                    if let Some(mut row) = self.take(number) {
                        row.returns_at = Some(scene.at.plus_ms(patience_ms));
                        scene.note("waiting", &mut row, false);
                        self.keep(number, row);
                    }
                }
                (Some(Suppression::Gateway | Suppression::Composite) | None, _) => {
                    self.release(number, scene);
                }
            }
        }
    }

    /// Takes an alarm from under its cause. It is what it is by then: explained by another cause,
    /// shown to people, waiting for its reset, or over.
    pub(super) fn release(&mut self, number: u64, scene: &mut Scene<'_>) {
        let Some(mut row) = self.take(number) else {
            return;
        };
        let was_acked = row.acked;
        leave_cause(&mut row);
        name_cause(&mut row, scene);
        let kind = self.come_back(&mut row, "returned", scene);
        // What people had acknowledged before it was suppressed need not be acknowledged again.
        if was_acked && row.state == AlarmState::ActiveUnacked {
            row.acked = true;
            row.state = AlarmState::ActiveAcked;
        }
        scene.tell(kind, &mut row);
        self.keep(number, row);
    }

    /// Gives a row that is not set aside any more the state that it has by itself.
    pub(super) fn come_back(
        &mut self,
        row: &mut AlarmRow,
        kind: &'static str,
        scene: &mut Scene<'_>,
    ) -> &'static str {
        if row.active {
            if !is_on_trial(row) && self.suppress_by_present_cause(row, scene) {
                return "suppressed";
            }
            self.sound(row, scene);
            return kind;
        }
        if row.latching && !is_on_trial(row) {
            row.acked = false;
            row.state = AlarmState::LatchedUnacked;
            self.count_announced(row, scene);
            return kind;
        }
        row.state = AlarmState::Normal;
        if kind == "returned" { "settled" } else { kind }
    }

    /// Tells whether a row has become worse than what suppresses it. A silent gateway explains its
    /// children however bad their silence is; a chatter or composite hides nothing worse than itself.
    pub(super) fn is_worse_than_its_cause(&self, row: &AlarmRow) -> bool {
        if row.suppression == Some(Suppression::Gateway) {
            return false;
        }
        let cause = row.suppressed_by.as_deref().and_then(alarm_number);
        cause.is_some_and(|cause| self.is_worse_than(row, cause))
    }

    fn is_worse_than(&self, row: &AlarmRow, cause: u64) -> bool {
        let left = || self.left.iter().find(|(number, _)| *number == cause);
        let cause = self.rows.get(&cause).or_else(|| left().map(|(_, row)| row));
        cause.is_none_or(|cause| row.severity > cause.severity)
    }
}

/// Says whose silence an alarm tells of.
fn name_cause(row: &mut AlarmRow, scene: &Scene<'_>) {
    if !row.active || row.rule_kind.as_deref() != Some(SILENCE) {
        return;
    }
    row.cause = Some(match &row.parent {
        _ if row.kind == GATEWAY => SilenceCause::Gateway,
        None => SilenceCause::Link,
        Some(gateway) if is_heard_since(row, gateway, scene) => SilenceCause::Sensor,
        Some(_) => SilenceCause::Gateway,
    });
}

fn suppress(row: &mut AlarmRow, cause: Cause) {
    row.state = AlarmState::Suppressed;
    row.suppressed_by = Some(cause.by);
    row.suppression = Some(cause.suppression);
    row.returns_at = cause.returns_at;
}

/// Tells what a new alarm waits for unannounced: whether its gateway is silent, too, for at most
/// one more patience; or whether a composite that contains it is raised.
fn hold(row: &AlarmRow, scene: &Scene<'_>) -> Option<Cause> {
    if let Some(gateway) = row.parent.as_ref().filter(|_| is_silence(row)) {
        let is_heard = is_heard_since(row, gateway, scene);
        return (!is_heard).then(|| Cause {
            by: gateway.as_str().to_owned(),
            suppression: Suppression::Gateway,
            returns_at: Some(row.raised_at.plus_ms(patience_ms(row))),
        });
    }
    let covers = scene.around.covers(&row.rule);
    let cover = covers.iter().max_by_key(|cover| cover.hold_s)?;
    (cover.hold_s > 0).then(|| Cause {
        by: cover.rule.to_owned(),
        suppression: Suppression::Composite,
        returns_at: Some(row.raised_at.plus_s(i64::from(cover.hold_s))),
    })
}

/// Tells whether a gateway has spoken since its child missed its slot.
pub(super) fn is_heard_since(row: &AlarmRow, gateway: &DeviceId, scene: &Scene<'_>) -> bool {
    let heard = scene.around.heard(gateway);
    heard.is_some_and(|heard| heard >= missed_at(row, scene))
}

/// Tells when a silent device missed its first message for good: after its cadence and half as
/// much again, so that jitter is not taken for a sign.
fn missed_at(row: &AlarmRow, scene: &Scene<'_>) -> Timestamp {
    let patience_ms = patience_ms(row);
    let cadence_ms = scene.around.cadence_ms(&row.device);
    let slot_ms = cadence_ms.map_or(patience_ms / CADENCE_SLACK, |cadence_ms| {
        cadence_ms.saturating_add(cadence_ms / CADENCE_SLACK)
    });
    last_heard(row).plus_ms(slot_ms.min(patience_ms))
}

/// Tells when a silent device was last heard.
fn last_heard(row: &AlarmRow) -> Timestamp {
    row.raised_at.plus_ms(-patience_ms(row))
}

/// Tells how long a silent device may be silent, which is the limit of its alarm.
pub(super) fn patience_ms(row: &AlarmRow) -> i64 {
    let limit_s = row.limit.unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast stops at the ends of the range"
    )]
    let patience_ms = (limit_s * 1000.0).round() as i64;
    patience_ms.max(0)
}

/// Tells whether a member's alarm lies within the reach of a composite's.
pub(super) fn is_under(
    member: &AlarmRow,
    composite: &AlarmRow,
    (rule, scope): (&str, Scope),
) -> bool {
    let is_same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    rule == composite.rule
        && match scope {
            Scope::Device => member.device == composite.device,
            Scope::Site => is_same(&member.site, &composite.site),
            Scope::Grid => is_same(&member.grid, &composite.grid),
        }
}
