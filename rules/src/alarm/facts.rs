//! What the book is told of the rule, the device and what is around it.

use model::{DeviceId, Timestamp};

/// The kind of rule whose alarms a silent gateway explains.
pub(super) const SILENCE: &str = "silence";

/// What a row says beyond the change itself.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub device: &'a DeviceId,
    pub kind: &'a str,
    pub site: Option<&'a str>,
    pub grid: Option<&'a str>,
    pub title: &'a str,
    pub category: Option<&'a str>,
    pub metric: Option<&'a str>,
    pub unit: Option<&'a str>,
    pub rule_kind: &'a str,
    pub latching: bool,
    /// The device's parent, if that is a gateway.
    pub gateway: Option<&'a DeviceId>,
    /// How far an alarm reaches, if the rule is a composite of others.
    pub scope: Option<Scope>,
}

/// A composite as one of its members sees it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Cover<'a> {
    pub rule: &'a str,
    pub scope: Scope,
    /// How long a member waits unannounced for the composite.
    pub hold_s: u32,
}

/// How far one cause reaches.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Device,
    Site,
    Grid,
}

impl Scope {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Site => "site",
            Self::Grid => "grid",
        }
    }
}

/// What the book asks about devices and rules when it looks for a cause.
pub trait Around {
    /// Gives the instant up to which everything has happened. What a device with a fast clock says
    /// of later moves no timer of other alarms.
    fn now(&self) -> Timestamp;

    /// Gives the last sign of life, for a gateway that of its children, too.
    fn heard(&self, device: &DeviceId) -> Option<Timestamp>;

    /// Gives the composites that suppress the alarms of this rule while they are active.
    fn covers(&self, rule: &str) -> Vec<Cover<'_>>;

    /// Gives the interval at which the device promised to report.
    fn cadence_ms(&self, device: &DeviceId) -> Option<i64>;
}
