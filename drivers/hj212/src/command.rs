//! What commands (CN) and data flags mean.

use crate::segment::Segment;
use crate::table;
use model::{Cause, Quality};
use std::collections::HashMap;
use std::sync::LazyLock;

static COMMANDS: LazyLock<HashMap<&str, Command>> =
    LazyLock::new(|| read_commands(include_str!("../data/commands.csv")));
static FLAGS: LazyLock<HashMap<&str, DataFlag>> =
    LazyLock::new(|| read_flags(include_str!("../data/flags.csv")));

/// How long the period is that a statistic is of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Period {
    Minute,
    Hour,
    Day,
}

impl Period {
    pub(crate) const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];
}

/// What a frame carries.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Content {
    RealTime,
    Statistics(Period),
    /// Kept as it came.
    Raw,
    /// Answers a request of ours with data.
    Reply,
    /// 9011 and 9012.
    Result,
    Notice,
    Heartbeat,
    Login,
    Nothing,
}

/// What a device is answered with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    Data,
    Notice,
    Login,
}

/// One command of the table.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub name: &'static str,
    pub content: Content,
    pub answer: Option<AnswerKind>,
}

impl Command {
    /// What is not in the table is kept, and answered so that the device does not send it for ever.
    const UNKNOWN: Self = Self {
        name: "a command that is not in the table",
        content: Content::Raw,
        answer: Some(AnswerKind::Data),
    };

    pub fn of(segment: &Segment<'_>) -> Self {
        let known = segment.cn.and_then(|cn| COMMANDS.get(cn));
        known.copied().unwrap_or(Self::UNKNOWN)
    }
}

fn read_commands(csv: &'static str) -> HashMap<&'static str, Command> {
    let row = |[cn, name, content, answer]: [&'static str; 4]| {
        let content = match content {
            "rtd" => Content::RealTime,
            "minute" => Content::Statistics(Period::Minute),
            "hour" => Content::Statistics(Period::Hour),
            "day" => Content::Statistics(Period::Day),
            "reply" => Content::Reply,
            "result" => Content::Result,
            "notice" => Content::Notice,
            "heartbeat" => Content::Heartbeat,
            "login" => Content::Login,
            "none" => Content::Nothing,
            _ => Content::Raw,
        };
        let answer = match answer {
            "9014" => Some(AnswerKind::Data),
            "9013" => Some(AnswerKind::Notice),
            "9022" => Some(AnswerKind::Login),
            _ => None,
        };
        let command = Command {
            name,
            content,
            answer,
        };
        (cn, command)
    };
    table::rows(csv).map(row).collect()
}

/// What the device says of a value.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataFlag {
    pub(crate) quality: Quality,
    /// The value is beyond what the instrument can measure.
    pub(crate) is_over: bool,
    /// The device says that it is broken.
    pub(crate) is_fault: bool,
}

impl DataFlag {
    /// Reads a data flag; one that no table has leaves the value in doubt.
    pub(crate) fn of(letter: &str) -> Self {
        FLAGS.get(letter).copied().unwrap_or(Self {
            quality: Quality::uncertain(Cause::Flag),
            is_over: false,
            is_fault: false,
        })
    }
}

fn read_flags(csv: &'static str) -> HashMap<&'static str, DataFlag> {
    let row = |[flag, _, quality, fault]: [&'static str; 4]| {
        let is_over = quality == "over";
        let quality = match quality {
            "good" => Quality::GOOD,
            "over" => Quality::uncertain(Cause::Flag),
            _ => Quality::bad(Cause::Flag),
        };
        let meaning = DataFlag {
            quality,
            is_over,
            is_fault: fault == "yes",
        };
        (flag, meaning)
    };
    table::rows(csv).map(row).collect()
}
