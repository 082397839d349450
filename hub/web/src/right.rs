//! What a role may do (contract, section 10).

use sdk::Role;

/// What a route asks of the role of its caller.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Ask who one is, and how the API looks.
    BeKnown,
    /// Devices, readings, rules, health.
    Read,
    /// Events and, with them, alarms.
    ReadEvents,
    Act,
    /// Put alarms of severity Ⅰ aside; asked where an alarm is known, not by a route.
    ShelveCritical,
    SignHandover,
    /// Report steps of the disposal of cases.
    ReportSteps,
    /// Look what rules would have done: engineers who write them, supervisors who approve them.
    Backtest,
    Approve,
    Edit,
    /// Users and tokens.
    Manage,
    ReadAudit,
}

impl Right {
    pub(crate) const ALL: [Self; 12] = [
        Self::BeKnown,
        Self::Read,
        Self::ReadEvents,
        Self::Act,
        Self::ShelveCritical,
        Self::SignHandover,
        Self::ReportSteps,
        Self::Backtest,
        Self::Approve,
        Self::Edit,
        Self::Manage,
        Self::ReadAudit,
    ];

    /// Names the right as `GET /api/v1/session` does.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BeKnown => "be_known",
            Self::Read => "read",
            Self::ReadEvents => "read_events",
            Self::Act => "act",
            Self::ShelveCritical => "shelve_critical",
            Self::SignHandover => "sign_handover",
            Self::ReportSteps => "report_steps",
            Self::Backtest => "backtest",
            Self::Approve => "approve",
            Self::Edit => "edit",
            Self::Manage => "admin",
            Self::ReadAudit => "audit",
        }
    }

    pub(crate) fn is_held_by(self, role: Role) -> bool {
        match self {
            Self::BeKnown => true,
            Self::Read => role.reads(),
            Self::ReadEvents => role.reads_events(),
            Self::Act => role.acts_on_alarms(),
            Self::ShelveCritical => role.shelves_critical_alarms(),
            Self::SignHandover => role.signs_handover(),
            Self::ReportSteps => role.reports_steps(),
            Self::Backtest => role.edits_devices_and_rules() || role == Role::Supervisor,
            Self::Approve => role.approves_rules(),
            Self::Edit => role.edits_devices_and_rules(),
            Self::Manage => role.manages_users(),
            Self::ReadAudit => role.reads_audit(),
        }
    }

    /// Names what a role may do, but for what everybody may.
    pub(crate) fn names_of(role: Role) -> Vec<&'static str> {
        Self::ALL
            .into_iter()
            .filter(|right| *right != Self::BeKnown && right.is_held_by(role))
            .map(Self::name)
            .collect()
    }

    pub(crate) fn holders(self) -> Vec<&'static str> {
        Role::ALL
            .into_iter()
            .filter(|role| self.is_held_by(*role))
            .map(Role::name)
            .collect()
    }
}
