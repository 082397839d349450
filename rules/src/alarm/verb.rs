//! What people can do to an alarm: the state × action table, and what each action must say.

use model::{AlarmState, Severity};

/// Longest shelf, in minutes: a day, so that every shift sees at least once what the one before it
/// has set aside. Whoever needs longer takes the alarm out of service, or corrects the rule.
pub const SHELVE_MINUTES_MAX: u32 = 1440;

/// What can be done.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Ack,
    Shelve,
    Unshelve,
    Assign,
    Comment,
    FalseAlarm,
    OutOfService,
    InService,
    Reset,
}

impl Verb {
    pub const ALL: [Self; 9] = [
        Self::Ack,
        Self::Shelve,
        Self::Unshelve,
        Self::Assign,
        Self::Comment,
        Self::FalseAlarm,
        Self::OutOfService,
        Self::InService,
        Self::Reset,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Shelve => "shelve",
            Self::Unshelve => "unshelve",
            Self::Assign => "assign",
            Self::Comment => "comment",
            Self::FalseAlarm => "false_alarm",
            Self::OutOfService => "out_of_service",
            Self::InService => "in_service",
            Self::Reset => "reset",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }

    /// Gives the last part of the event type.
    pub(super) fn event(self) -> &'static str {
        match self {
            Self::Ack => "acked",
            Self::Shelve => "shelved",
            Self::Unshelve => "unshelved",
            Self::Assign => "assigned",
            Self::Comment => "commented",
            Self::FalseAlarm | Self::OutOfService | Self::InService | Self::Reset => self.name(),
        }
    }

    fn needs_comment(self) -> bool {
        matches!(self, Self::Comment | Self::FalseAlarm | Self::OutOfService)
    }
}

/// Why an action was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    #[error("there is no such alarm, or it is over")]
    NotFound,
    #[error("the alarm has moved on to version {current}")]
    Stale { current: u64 },
    #[error("an alarm in the state `{}` cannot be handled with `{}`", .state.name(), .verb.name())]
    Impossible { state: AlarmState, verb: Verb },
    #[error("`{}` needs `{field}`", .verb.name())]
    Missing { verb: Verb, field: &'static str },
    #[error("`minutes` must be 1 to {SHELVE_MINUTES_MAX}, not {minutes}")]
    TooLong { minutes: u32 },
    #[error("to shelve a critical alarm takes a supervisor")]
    NeedsSupervisor,
}

/// A person's action on one alarm.
#[derive(Copy, Clone, Debug)]
pub struct Action<'a> {
    pub verb: Verb,
    pub actor: &'a str,
    /// The actor may shelve critical alarms.
    pub is_supervisor: bool,
    /// The version that the actor saw; a newer one refuses the action.
    pub version: Option<u64>,
    pub comment: Option<&'a str>,
    /// For how long to shelve.
    pub minutes: Option<u32>,
    /// Why it is shelved.
    pub reason: Option<&'a str>,
    /// Whom to assign it to; the actor unless said.
    pub owner: Option<&'a str>,
}

impl<'a> Action<'a> {
    pub fn new(verb: Verb, actor: &'a str) -> Self {
        Self {
            verb,
            actor,
            is_supervisor: false,
            version: None,
            comment: None,
            minutes: None,
            reason: None,
            owner: None,
        }
    }

    /// Checks that the action says what it must, whatever the alarm.
    pub fn check(&self) -> Result<(), ActError> {
        let verb = self.verb;
        let says = |text: Option<&str>| text.is_some_and(|text| !text.trim().is_empty());
        let missing = |field| Err(ActError::Missing { verb, field });
        if verb.needs_comment() && !says(self.comment) {
            return missing("comment");
        }
        if verb != Verb::Shelve {
            return Ok(());
        }
        let Some(minutes) = self.minutes else {
            return missing("minutes");
        };
        if !(1..=SHELVE_MINUTES_MAX).contains(&minutes) {
            return Err(ActError::TooLong { minutes });
        }
        if says(self.reason) {
            Ok(())
        } else {
            missing("reason")
        }
    }

    pub(super) fn check_right(&self, severity: Severity) -> Result<(), ActError> {
        if self.verb == Verb::Shelve && severity == Severity::Critical && !self.is_supervisor {
            return Err(ActError::NeedsSupervisor);
        }
        Ok(())
    }
}

/// What an action makes of a state.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Refused,
    Stays,
    Becomes(AlarmState),
    /// What it is by itself: an active alarm sounds again, a latched one waits for its reset, any
    /// other is over.
    Returns,
}

/// The whole table: a line for each state, a column for each action in the order of [`Verb::ALL`].
///
/// A normal alarm is history, about which something can still be said: what it was, too. Suppressed ones have a cause to
/// act on; they can only be talked about, handed over or taken out of service. What was shelved can
/// be shelved anew, with a new end and reason. A reset acknowledges, too: whoever resets has seen.
#[rustfmt::skip]
pub(super) const TABLE: [(AlarmState, [Then; 9]); 9] = {
    use AlarmState as S;
    use Then::{Becomes, Returns as back, Stays as same, Refused as no};
    const SHELVED: Then = Becomes(S::Shelved);
    const OUT: Then = Becomes(S::OutOfService);
    const LATCHED: Then = Becomes(S::LatchedAcked);
    const NORMAL: Then = Becomes(S::Normal);
    const ACKED: Then = Becomes(S::ActiveAcked);
    [
        //                    ack      shelve   unshelve assign comment false_alarm out   in    reset
        (S::ActiveUnacked,  [ACKED,   SHELVED, no,      same,  same,   ACKED,      OUT,  no,   no]),
        (S::ActiveAcked,    [no,      SHELVED, no,      same,  same,   same,       OUT,  no,   no]),
        (S::ClearedUnacked, [NORMAL,  SHELVED, no,      same,  same,   NORMAL,     OUT,  no,   no]),
        (S::LatchedUnacked, [LATCHED, SHELVED, no,      same,  same,   LATCHED,    OUT,  no,   NORMAL]),
        (S::LatchedAcked,   [no,      SHELVED, no,      same,  same,   same,       OUT,  no,   NORMAL]),
        (S::Normal,         [no,      no,      no,      no,    same,   same,       no,   no,   no]),
        (S::Shelved,        [no,      same,    back,    same,  same,   same,       OUT,  no,   no]),
        (S::Suppressed,     [no,      no,      no,      same,  same,   no,         OUT,  no,   no]),
        (S::OutOfService,   [no,      no,      no,      same,  same,   same,       no,   back, no]),
    ]
};

/// Looks an action up in the table.
pub(super) fn then(state: AlarmState, verb: Verb) -> Then {
    let line = TABLE.iter().find(|(of, _)| *of == state);
    let column = Verb::ALL.iter().position(|of| *of == verb);
    line.zip(column)
        .and_then(|((_, cells), column)| cells.get(column))
        .copied()
        .unwrap_or(Then::Refused)
}
