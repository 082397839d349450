//! Which changes of rules a second person approves.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

/// Changes of which rules wait for a second person: by the worst severity of the rule, as it is or
/// as it would be. What the files of the configuration say needs nobody else.
#[derive(Copy, Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "one switch a severity")]
pub struct ApprovalConfig {
    pub critical: bool,
    pub major: bool,
    pub minor: bool,
    pub warning: bool,
}

impl ApprovalConfig {
    pub(crate) fn asks(self, severity: Severity) -> bool {
        match severity {
            Severity::Critical => self.critical,
            Severity::Major => self.major,
            Severity::Minor => self.minor,
            Severity::Warning => self.warning,
        }
    }
}
