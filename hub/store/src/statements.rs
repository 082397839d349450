//! The rows that a group writes beside its log row.

use crate::audit;
use crate::db::put_meta;
use crate::db::sqlite_error;
use crate::{
    CanaryEvent, ParkedEvent, StoredDevice, StoredHandover, StoredSession, StoredStatus,
    StoredSubscription, error::Result,
};
use model::{AlarmRow, CaseRow, DeviceKey, Event, Reason, SilenceCause, Timestamp};
use rusqlite::{Connection, params};

/// Frames kept in quarantine.
const QUARANTINE_MAX: i64 = 10_000;

/// Something to write in the transaction of a group.
#[derive(Debug)]
pub(crate) enum Op {
    Event {
        at: Timestamp,
        event: Event,
    },
    Alarm(Box<AlarmRow>),
    Case {
        number: u64,
        row: Box<CaseRow>,
    },
    PutDevice(Box<StoredDevice>),
    DeleteDevice(DeviceKey),
    PutStatus(StoredStatus),
    DeleteStatus(DeviceKey),
    PutRule {
        id: String,
        revision: u64,
        spec: String,
    },
    DeleteRule(String),
    PutProposal {
        id: String,
        json: String,
    },
    DeleteProposal(String),
    Canary(CanaryEvent),
    Change(String),
    Audit {
        actor: String,
        role: String,
        action: String,
        subject: String,
        detail: String,
    },
    Cursor {
        name: String,
        seq: u64,
    },
    PutSubscription(StoredSubscription),
    DeleteSubscription {
        name: String,
        /// Forgotten too, with what was parked, if it is named.
        cursor: Option<String>,
    },
    Park {
        name: String,
        parked: Box<ParkedEvent>,
    },
    SendAgain {
        name: String,
        seq: Option<u64>,
    },
    Unpark {
        name: String,
        seq: Option<u64>,
    },
    ShiftLog {
        actor: String,
        kind: String,
        text: String,
    },
    Handover(Box<StoredHandover>),
    KeepSession(StoredSession),
    /// Forgets what is kept of a session, and its cursor.
    EndSession(String),
    /// The sessions that were open were left at this instant.
    LeaveSessions(Timestamp),
    Quarantine {
        driver: u16,
        device: Option<DeviceKey>,
        reason: Reason,
        detail: String,
        bytes: Vec<u8>,
    },
    Idempotency {
        key: String,
        response: String,
    },
}

/// What every row of a group may need to know.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) commit: u64,
    pub(crate) stamp: Timestamp,
    pub(crate) audit: audit::Head,
}

fn json_of(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

impl Op {
    pub(crate) fn execute(&self, conn: &Connection, cx: &mut Context) -> Result<()> {
        match self {
            Self::Audit { .. } => self.audit(conn, cx),
            other => other.write(conn, cx),
        }
        .map_err(sqlite_error("writing a group"))
    }

    fn write(&self, conn: &Connection, cx: &Context) -> rusqlite::Result<()> {
        match self {
            Self::Event { at, event } => put_event(conn, *at, event),
            Self::Alarm(row) => put_alarm(conn, row),
            Self::Case { number, row } => put_case(conn, cx.stamp, (*number, row)),
            Self::PutDevice(device) => put_device(conn, device),
            Self::DeleteDevice(key) => conn
                .prepare_cached("UPDATE device SET gone = 1 WHERE key = ?1")?
                .execute([key.0])
                .map(drop),
            Self::PutStatus(status) => put_status(conn, status),
            Self::DeleteStatus(key) => conn
                .prepare_cached("DELETE FROM device_status WHERE key = ?1")?
                .execute([key.0])
                .map(drop),
            Self::PutRule { id, revision, spec } => conn
                .prepare_cached("INSERT OR REPLACE INTO rule VALUES (?1, ?2, ?3)")?
                .execute(params![id, revision, spec])
                .map(drop),
            Self::DeleteRule(id) => conn
                .prepare_cached("DELETE FROM rule WHERE id = ?1")?
                .execute([id])
                .map(drop),
            Self::PutProposal { .. } | Self::DeleteProposal(_) => {
                crate::proposals::write(conn, self)
            }
            Self::Canary(event) => conn
                .prepare_cached("INSERT OR REPLACE INTO canary VALUES (1, ?1, ?2, ?3)")?
                .execute(params![event.number, event.after, event.json])
                .map(drop),
            Self::Change(json) => conn
                .prepare_cached("INSERT INTO change (seq, stamp, json) VALUES (?1, ?2, ?3)")?
                .execute(params![cx.commit, cx.stamp.millis(), json])
                .map(drop),
            Self::Cursor { name, seq } => conn
                .prepare_cached("INSERT OR REPLACE INTO cursor VALUES (?1, ?2)")?
                .execute(params![name, seq])
                .map(drop),
            Self::PutSubscription(_)
            | Self::DeleteSubscription { .. }
            | Self::Park { .. }
            | Self::SendAgain { .. }
            | Self::Unpark { .. } => crate::subscriptions::write(conn, self),
            Self::ShiftLog { .. } | Self::Handover(_) => crate::desk::write(conn, self, cx),
            Self::KeepSession(_) | Self::EndSession(_) | Self::LeaveSessions(_) => {
                crate::kept_sessions::write(conn, cx.stamp, self)
            }
            Self::Quarantine { .. } => self.quarantine(conn, cx),
            Self::Idempotency { key, response } => conn
                .prepare_cached("INSERT OR REPLACE INTO idempotency VALUES (?1, ?2, ?3)")?
                .execute(params![key, cx.stamp.millis(), response])
                .map(drop),
            Self::Audit { .. } => Ok(()),
        }
    }

    fn quarantine(&self, conn: &Connection, cx: &Context) -> rusqlite::Result<()> {
        let Self::Quarantine {
            driver,
            device,
            reason,
            detail,
            bytes,
        } = self
        else {
            return Ok(());
        };
        conn.prepare_cached(
            "INSERT INTO quarantine (at, driver, device, reason, detail, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            cx.stamp.millis(),
            driver,
            device.map(|key| key.0),
            reason.as_ref(),
            detail,
            bytes
        ])?;
        let oldest = conn.last_insert_rowid() - QUARANTINE_MAX;
        conn.prepare_cached("DELETE FROM quarantine WHERE id <= ?1")?
            .execute([oldest])
            .map(drop)
    }

    fn audit(&self, conn: &Connection, cx: &mut Context) -> rusqlite::Result<()> {
        let Self::Audit {
            actor,
            role,
            action,
            subject,
            detail,
        } = self
        else {
            return Ok(());
        };
        let (seq, hash) = cx
            .audit
            .link(cx.stamp, [actor, role, action, subject, detail]);
        conn.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                seq,
                cx.stamp.millis(),
                actor,
                role,
                action,
                subject,
                detail,
                hash
            ])?;
        put_meta(conn, "audit_links", seq)
    }
}

/// The check sum of an event: over its number, eight bytes with the lowest first, and its JSON.
pub(crate) fn event_sum(seq: u64, json: &str) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seq.to_le_bytes());
    crc.update(json.as_bytes());
    crc.finalize()
}

fn put_event(conn: &Connection, at: Timestamp, event: &Event) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            event.seq,
            at.millis(),
            event.kind,
            event.subject,
            event.severity.map(model::Severity::name),
            event.grid,
            event.json,
            event_sum(event.seq, &event.json)
        ])
        .map(drop)
}

fn put_alarm(conn: &Connection, row: &AlarmRow) -> rusqlite::Result<()> {
    // What a person may type into the search field, in one place.
    let words = [
        row.title.as_str(),
        row.device.as_str(),
        row.site.as_deref().unwrap_or_default(),
        &row.rule,
        &row.id,
    ]
    .join("\n")
    .to_lowercase();
    conn.prepare_cached(
        "INSERT OR REPLACE INTO alarm VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        row.id,
        row.raised_at.millis(),
        row.state.name(),
        row.severity.name(),
        row.kind,
        row.device.as_str(),
        row.grid,
        row.rule,
        words,
        json_of(row)?
    ])
    .map(drop)
}

fn put_case(
    conn: &Connection,
    at: Timestamp,
    (number, row): (u64, &CaseRow),
) -> rusqlite::Result<()> {
    let words = [
        row.id.as_str(),
        &row.title,
        &row.category.name,
        &row.device,
        row.site.as_deref().unwrap_or_default(),
        &row.rule,
        &row.alarm,
        row.unit.as_deref().unwrap_or_default(),
    ];
    conn.prepare_cached(
        "INSERT OR REPLACE INTO case_row VALUES
           (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        number,
        row.state.is_open(),
        row.state.name(),
        row.severity.name(),
        row.category.code,
        row.grid,
        row.district,
        row.street,
        row.unit,
        row.kind,
        row.device,
        row.unroutable.is_some(),
        row.overdue,
        row.opened_at.millis(),
        row.due_at.map(Timestamp::millis),
        row.closed_at.map(Timestamp::millis),
        words.join("\n").to_lowercase(),
    ])?;
    // A version is as old as its event, though the figures of the row may move after it.
    conn.prepare_cached("INSERT OR IGNORE INTO case_version VALUES (?1, ?2, ?3)")?
        .execute(params![number, row.version, at.millis()])?;
    conn.prepare_cached("INSERT OR REPLACE INTO case_json VALUES (?1, ?2)")?
        .execute(params![number, json_of(row)?])
        .map(drop)
}

fn put_status(conn: &Connection, status: &StoredStatus) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO device_status VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            status.key.0,
            status.health.status.name(),
            status.health.since.millis(),
            status.health.cause.map(SilenceCause::name),
            status.memory
        ])
        .map(drop)
}

fn put_device(conn: &Connection, device: &StoredDevice) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO device VALUES (?1, ?2, ?3, ?4, ?5, 0)")?
        .execute(params![
            device.key.0,
            device.device.id.as_str(),
            json_of(&device.device)?,
            device.secret_hash.as_ref().map(<[u8; 32]>::as_slice),
            device.grid
        ])
        .map(drop)
}
