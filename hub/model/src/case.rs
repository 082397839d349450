//! What becomes an urban-management event (城市管理事件): a case (案件), and the steps of its disposal.

use crate::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a case stands in the seven steps of digital urban management (信息收集 … 核实结案).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseState {
    /// 上报: the hub has reported it, and nobody has taken it up.
    Reported,
    /// 立案.
    Accepted,
    /// 派遣.
    Dispatched,
    /// 处理.
    Handling,
    /// 反馈.
    FedBack,
    /// 核实.
    Verified,
    /// 缓办 (挂账): put off until a date; the clock stands still.
    Deferred,
    /// 结案.
    Closed,
    /// 作废.
    Voided,
}

impl CaseState {
    pub const ALL: [Self; 9] = [
        Self::Reported,
        Self::Accepted,
        Self::Dispatched,
        Self::Handling,
        Self::FedBack,
        Self::Verified,
        Self::Deferred,
        Self::Closed,
        Self::Voided,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Accepted => "accepted",
            Self::Dispatched => "dispatched",
            Self::Handling => "handling",
            Self::FedBack => "fed_back",
            Self::Verified => "verified",
            Self::Deferred => "deferred",
            Self::Closed => "closed",
            Self::Voided => "voided",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Tells whether somebody still has to do something.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Closed | Self::Voided)
    }
}

impl fmt::Display for CaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the city's platform reports of a case.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseStep {
    /// 立案.
    Accept,
    /// 派遣.
    Dispatch,
    /// 处理.
    Handle,
    /// 反馈.
    Feedback,
    /// 核实.
    Verify,
    /// 结案.
    Close,
    /// 回退.
    Return,
    /// 作废.
    Void,
    /// 延期.
    Extend,
    /// 缓办.
    Defer,
    /// 督办.
    Supervise,
}

impl CaseStep {
    pub const ALL: [Self; 11] = [
        Self::Accept,
        Self::Dispatch,
        Self::Handle,
        Self::Feedback,
        Self::Verify,
        Self::Close,
        Self::Return,
        Self::Void,
        Self::Extend,
        Self::Defer,
        Self::Supervise,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Dispatch => "dispatch",
            Self::Handle => "handle",
            Self::Feedback => "feedback",
            Self::Verify => "verify",
            Self::Close => "close",
            Self::Return => "return",
            Self::Void => "void",
            Self::Extend => "extend",
            Self::Defer => "defer",
            Self::Supervise => "supervise",
        }
    }

    /// Gives the name of the trade.
    pub fn name_cn(self) -> &'static str {
        match self {
            Self::Accept => "立案",
            Self::Dispatch => "派遣",
            Self::Handle => "处理",
            Self::Feedback => "反馈",
            Self::Verify => "核实",
            Self::Close => "结案",
            Self::Return => "回退",
            Self::Void => "作废",
            Self::Extend => "延期",
            Self::Defer => "缓办",
            Self::Supervise => "督办",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

impl fmt::Display for CaseStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A class of events in the city's own table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseCategory {
    pub code: String,
    pub name: String,
}

/// Where the case is, in degrees of the named datum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CasePlace {
    pub lon: f64,
    pub lat: f64,
    pub datum: String,
}

/// How long a case may take, by the table that was in force when it was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseTimeLimit {
    pub amount: u32,
    /// `urgent_hour`, `work_hour`, `work_day` or `natural_day`.
    pub unit: String,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseEvidence {
    pub metric: Option<String>,
    pub unit: Option<String>,
    pub value: Option<f64>,
    pub limit: Option<f64>,
    pub window_s: Option<u32>,
    pub peak: Option<f64>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// How many readings were beyond the limit.
    pub readings: u64,
    /// The alarm whose figures these are; of a composite, the member that completed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// The severity that `limit` means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// How many of the readings were those of alarms before this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier_readings: u64,
    /// What was measured last, beyond the limit or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<CaseReading>,
}

/// One value, and when it was measured.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseReading {
    pub value: Option<f64>,
    pub at: Timestamp,
}

/// An alarm of a case that ended, though not by its own readings: its rule or device was changed or
/// removed. Until a reading tells, nobody knows whether the violation is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseDoubt {
    pub alarm: String,
    pub rule: String,
    pub device: String,
    pub metric: Option<String>,
    pub since: Timestamp,
    pub why: String,
    /// True if the last reading is beyond the limits as they are now.
    pub violation: Option<bool>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One step as it was reported; the ledger of a case only grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseStepRow {
    /// 1, 2, 3 … within the case.
    pub number: u32,
    pub step: CaseStep,
    pub actor: String,
    /// When it was done: as reported, but neither before the step before nor after `received_at`, so
    /// that the ledger has an order.
    pub at: Timestamp,
    /// The time that was reported, where it was another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
    /// When the hub learnt of it.
    pub received_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub from: CaseState,
    pub to: CaseState,
    /// It was closed although the sensor still measured the violation, or nobody could tell.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overridden: bool,
    /// The new due time of an extension, or the end of a deferment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// One case as every API, event and file shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRow {
    pub id: String,
    pub category: CaseCategory,
    pub severity: Severity,
    pub title: String,
    pub description: String,
    pub location: Option<CasePlace>,
    /// Unit grid code (单元网格).
    pub grid: Option<String>,
    /// District code (区县), the first six digits of the grid or the city's own code.
    pub district: Option<String>,
    /// Street or town code (街道), where the grid code has it.
    #[serde(default)]
    pub street: Option<String>,
    pub component_code: Option<String>,
    /// Class of the component (部件小类), by the mapping of alarms or by its code.
    #[serde(default)]
    pub component: Option<CaseCategory>,
    pub device: String,
    /// Kind of the device.
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub site: Option<String>,
    /// The rule of the alarm that opened it.
    #[serde(default)]
    pub rule: String,
    /// The alarm that opened it.
    pub alarm: String,
    /// Every alarm that belongs to it, the first one included.
    #[serde(default)]
    pub alarms: Vec<String>,
    pub evidence: CaseEvidence,
    pub state: CaseState,
    pub opened_at: Timestamp,
    pub due_at: Option<Timestamp>,
    #[serde(default)]
    pub time_limit: Option<CaseTimeLimit>,
    pub steps: Vec<CaseStepRow>,
    /// The unit that answers for it, where the city's table names one.
    #[serde(default)]
    pub unit: Option<String>,
    /// Ids of cameras nearby, nearest first.
    #[serde(default)]
    pub cameras: Vec<String>,
    /// Those of them whose condition still holds.
    #[serde(default)]
    pub active_alarms: Vec<String>,
    /// Does the sensor still measure the violation? None if nobody can tell.
    #[serde(default)]
    pub violation: Option<bool>,
    /// Alarms that ended though no reading said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<CaseDoubt>,
    /// How often the same thing was alarmed again while the case was open.
    #[serde(default)]
    pub repeats: u32,
    /// The closed case that this one takes up again.
    #[serde(default)]
    pub reopens: Option<String>,
    /// The later case that took this one up again.
    #[serde(default)]
    pub reopened_by: Option<String>,
    /// 督办.
    #[serde(default)]
    pub supervised: bool,
    /// 重大案件.
    #[serde(default)]
    pub major: bool,
    #[serde(default)]
    pub deferred_until: Option<Timestamp>,
    /// The state to which a deferred case comes back.
    #[serde(default)]
    pub deferred_from: Option<CaseState>,
    /// How often it was extended.
    #[serde(default)]
    pub extensions: u32,
    #[serde(default)]
    pub closed_at: Option<Timestamp>,
    /// Why nobody can be given it by table: `no category`, `no grid`; it waits in the catch-all queue.
    #[serde(default)]
    pub unroutable: Option<String>,
    #[serde(default)]
    pub overdue: bool,
    /// What the hub learnt last of the alarm, beyond its figures.
    #[serde(default)]
    pub note: Option<String>,
    /// What was found out about the alarm: `false_alarm` or `withdrawn`. The hub closes nothing on
    /// account of it.
    #[serde(default)]
    pub verdict: Option<String>,
    /// The code tables by which it was classified.
    #[serde(default)]
    pub codes_version: String,
    pub version: u64,
    /// When its figures or repeats moved last, if that was after its last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_at: Option<Timestamp>,
    /// Since when an event is owed; it comes within a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold_since: Option<Timestamp>,
}
