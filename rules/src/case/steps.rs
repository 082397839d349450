//! The seven steps and the side steps (回退, 作废, 延期, 缓办, 督办) as a state machine.

use super::book::StepFacts;
use model::{CaseRow, CaseState, CaseStep, CaseStepRow, Timestamp};

/// 延期: how often a case can be extended at most (practice of a running city platform:
/// at most two approvals; not confirmed in a national standard).
const EXTENSIONS_MAX: u32 = 2;

/// 缓办: how long a case can be put off at most (same source: one year).
const DEFERMENT_MAX_DAYS: i64 = 366;

const DAY_S: i64 = 86_400;

/// How far the clock of whoever reports may differ from the hub's. Platforms write whole seconds,
/// and a case that is taken up at once must not be refused for its fraction.
const SKEW_MAX_S: i64 = 300;

/// Steps of a case after which it is not extended, put off or marked any more, and then not sent
/// back: the ledger goes out with every event. The way to its end is always free.
const STEPS_MAX: usize = 200;
const RETURNS_MAX: usize = 240;

/// A step as somebody reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report<'a> {
    pub step: CaseStep,
    pub actor: &'a str,
    /// When it was done.
    pub at: Timestamp,
    pub note: Option<&'a str>,
    /// `close` although the sensor still measures the violation.
    pub overrides: bool,
    /// `return` to this state instead of the one before.
    pub to: Option<CaseState>,
    /// The new due time of `extend`, or the end of `defer`.
    pub until: Option<Timestamp>,
    /// The version of the case that the reporter saw.
    pub version: Option<u64>,
}

/// Why a step was refused; the case is as it was.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StepError {
    #[error("there is no such case")]
    NotFound,
    #[error("the case has moved on to version {current}")]
    Stale { current: u64 },
    #[error(
        "`{step}` ({}) is impossible in the state `{state}`; possible now: {}",
        .step.name_cn(), names(*.state)
    )]
    Impossible { state: CaseState, step: CaseStep },
    #[error("`{step}` needs `{field}`: {why}")]
    Missing {
        step: CaseStep,
        field: &'static str,
        why: &'static str,
    },
    #[error("`{field}`: {reason}")]
    Wrong { field: &'static str, reason: String },
    #[error(
        "the sensor still measures the violation: {reading}; close it with `override` and a note"
    )]
    StillViolated { reading: String },
    #[error(
        "nobody can tell whether the violation is over: {why}; close it with `override` and a note, \
         or wait for a reading"
    )]
    Unmeasured { why: String },
}

/// Tells which steps are possible in a state.
pub fn possible(state: CaseState) -> Vec<CaseStep> {
    CaseStep::ALL
        .into_iter()
        .filter(|step| target(state, *step).is_some())
        .collect()
}

fn names(state: CaseState) -> String {
    let steps: Vec<&str> = possible(state).into_iter().map(CaseStep::name).collect();
    if steps.is_empty() {
        "nothing".to_owned()
    } else {
        steps.join(", ")
    }
}

/// The table: where a step leads from a state, and `None` where it is impossible.
///
/// A deferred case is taken up again by any step that goes on with it; where it goes on from is
/// the state in which it was put off.
pub(super) fn target(state: CaseState, step: CaseStep) -> Option<CaseState> {
    use CaseState as S;
    use CaseStep as T;
    match (step, state) {
        (T::Accept, S::Reported) => Some(S::Accepted),
        (T::Dispatch, S::Accepted) => Some(S::Dispatched),
        (T::Handle, S::Dispatched) => Some(S::Handling),
        (T::Feedback, S::Handling) => Some(S::FedBack),
        (T::Verify, S::FedBack) => Some(S::Verified),
        (T::Close, S::Verified) => Some(S::Closed),
        (T::Return, S::Accepted) => Some(S::Reported),
        (T::Return, S::Dispatched) => Some(S::Accepted),
        (T::Return, S::Handling) => Some(S::Dispatched),
        (T::Return, S::FedBack) => Some(S::Handling),
        (T::Return, S::Verified) => Some(S::FedBack),
        (T::Void, S::Reported | S::Accepted | S::Dispatched) => Some(S::Voided),
        (T::Extend, S::Accepted | S::Dispatched | S::Handling) => Some(state),
        (T::Defer, S::Accepted | S::Dispatched | S::Handling) => Some(S::Deferred),
        (T::Supervise, state) if state.is_open() => Some(state),
        _ => None,
    }
}

/// Judges a report, and says what it would make of the case; the case itself is not touched.
pub(super) fn judge(
    case: &CaseRow,
    report: &Report<'_>,
    now: Timestamp,
    facts: StepFacts<'_>,
) -> Result<CaseStepRow, StepError> {
    if report
        .version
        .is_some_and(|version| version != case.version)
    {
        return Err(StepError::Stale {
            current: case.version,
        });
    }
    // A deferred case that goes on does so from where it was put off.
    let from = match (case.state, case.deferred_from) {
        (CaseState::Deferred, Some(from)) if report.step != CaseStep::Supervise => from,
        (state, _) => state,
    };
    let impossible = StepError::Impossible {
        state: case.state,
        step: report.step,
    };
    let is_second_deferment = case.state == CaseState::Deferred && report.step == CaseStep::Defer;
    if is_second_deferment {
        return Err(impossible);
    }
    let mut to = target(from, report.step).ok_or(impossible)?;
    check_room(case, report.step)?;
    check_time(case, report.at, now)?;
    check_note(report)?;
    if let Some(wanted) = report.to {
        to = check_return(from, report.step, wanted)?;
    }
    check_until(case, report, facts)?;
    let is_premature = check_closing(case, report, facts)?;
    // The ledger has an order, though clocks differ.
    let before = case.steps.last().map_or(case.opened_at, |last| last.at);
    let at = report.at.min(now).max(before);
    Ok(CaseStepRow {
        number: u32::try_from(case.steps.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1),
        step: report.step,
        actor: report.actor.to_owned(),
        at,
        reported_at: Some(report.at).filter(|reported| *reported != at),
        received_at: now,
        note: report.note.map(str::to_owned),
        from: case.state,
        to,
        overridden: is_premature,
        until: report.until,
    })
}

fn check_room(case: &CaseRow, step: CaseStep) -> Result<(), StepError> {
    let most = match step {
        CaseStep::Extend | CaseStep::Defer | CaseStep::Supervise => STEPS_MAX,
        CaseStep::Return => RETURNS_MAX,
        _ => return Ok(()),
    };
    if case.steps.len() < most {
        return Ok(());
    }
    Err(StepError::Wrong {
        field: "step",
        reason: format!("the case has {most} steps or more; it only goes on to its end"),
    })
}

/// Tells whether a closing goes against what is measured, or what nobody can tell; that needs an
/// override and a note.
fn check_closing(
    case: &CaseRow,
    report: &Report<'_>,
    facts: StepFacts<'_>,
) -> Result<bool, StepError> {
    if report.step != CaseStep::Close || case.violation == Some(false) {
        return Ok(false);
    }
    if !report.overrides {
        let reading = facts.reading.unwrap_or("the alarm is still active");
        let why = case.doubts.iter().map(|doubt| doubt.why.as_str());
        return Err(match case.violation {
            Some(_) => StepError::StillViolated {
                reading: reading.to_owned(),
            },
            None => StepError::Unmeasured {
                why: why.collect::<Vec<_>>().join("; "),
            },
        });
    }
    if is_blank(report.note) {
        return Err(StepError::Missing {
            step: report.step,
            field: "note",
            why: "no sensor says that the violation is over, so say why it is closed",
        });
    }
    Ok(true)
}

fn is_blank(note: Option<&str>) -> bool {
    note.is_none_or(|note| note.trim().is_empty())
}

fn check_time(case: &CaseRow, at: Timestamp, now: Timestamp) -> Result<(), StepError> {
    let wrong = |reason: String| {
        Err(StepError::Wrong {
            field: "at",
            reason,
        })
    };
    let before = case.steps.last().map_or(case.opened_at, |last| last.at);
    if at < before.plus_s(-SKEW_MAX_S) {
        return wrong(format!(
            "{at} lies more than {SKEW_MAX_S} s before the last step, which was at {before}"
        ));
    }
    if at > now.plus_s(SKEW_MAX_S) {
        return wrong(format!("{at} lies more than {SKEW_MAX_S} s ahead of {now}"));
    }
    Ok(())
}

/// Those steps that take a case off its way must say why.
fn check_note(report: &Report<'_>) -> Result<(), StepError> {
    let needs_note = matches!(
        report.step,
        CaseStep::Return | CaseStep::Void | CaseStep::Extend | CaseStep::Defer
    );
    if needs_note && is_blank(report.note) {
        return Err(StepError::Missing {
            step: report.step,
            field: "note",
            why: "a case that leaves its way must say why",
        });
    }
    Ok(())
}

fn check_return(
    from: CaseState,
    step: CaseStep,
    wanted: CaseState,
) -> Result<CaseState, StepError> {
    let wrong = |reason: String| {
        Err(StepError::Wrong {
            field: "to",
            reason,
        })
    };
    if step != CaseStep::Return {
        return wrong(format!("`{step}` takes no `to`; only `return` does"));
    }
    // The order of the seven steps is that of the enum.
    if wanted >= from
        || !matches!(target(from, CaseStep::Return), Some(nearest) if wanted <= nearest)
    {
        return wrong(format!("`{wanted}` does not come before `{from}`"));
    }
    Ok(wanted)
}

fn check_until(case: &CaseRow, report: &Report<'_>, facts: StepFacts<'_>) -> Result<(), StepError> {
    // The clock of a deferred case stood still.
    let due_at = match case.state {
        CaseState::Deferred => facts.resumed.or(case.due_at),
        _ => case.due_at,
    };
    let wrong = |reason: String| {
        Err(StepError::Wrong {
            field: "until",
            reason,
        })
    };
    match report.step {
        CaseStep::Extend => {
            if case.extensions >= EXTENSIONS_MAX {
                return wrong(format!(
                    "the case was extended {EXTENSIONS_MAX} times, which is the most"
                ));
            }
            if due_at.is_some_and(|due_at| report.at > due_at) {
                return wrong("the case is overdue; it can only be extended before".to_owned());
            }
            match (due_at, report.until) {
                (Some(due_at), Some(until)) if until <= due_at => wrong(format!(
                    "{until} is not after the present due time {due_at}"
                )),
                (None, None) => Err(StepError::Missing {
                    step: report.step,
                    field: "until",
                    why: "the case has no due time that could be moved by its own length",
                }),
                _ => Ok(()),
            }
        }
        CaseStep::Defer => {
            let Some(until) = report.until else {
                return Err(StepError::Missing {
                    step: report.step,
                    field: "until",
                    why: "a case is put off until a date",
                });
            };
            let latest = report.at.plus_s(DEFERMENT_MAX_DAYS * DAY_S);
            if until <= report.at || until > latest {
                return wrong(format!("{until} is not between {} and {latest}", report.at));
            }
            Ok(())
        }
        _ if report.until.is_some() => wrong(format!(
            "`{}` takes no `until`; `extend` and `defer` do",
            report.step
        )),
        _ => Ok(()),
    }
}
