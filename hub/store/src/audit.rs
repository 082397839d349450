//! The audit trail: every link carries the hash of all before it.

use crate::backup::manifest::to_hex;
use crate::db::{check_format, get_meta, open_reader, put_meta, sqlite_error};
use crate::dedup::DAY_MS;
use crate::error::{Result, StoreError};
use crate::reader::Reader;
use crate::{AuditBreak, AuditFault, AuditRow, AuditVerdict};
use model::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

const COLUMNS: &str = "seq, at, actor, role, action, subject, detail, hash";

/// Links that are read at once.
const AT_ONCE: usize = 256;

/// The end of the chain.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: [u8; 32],
}

impl Head {
    /// Adds a link: SHA-256 over the hash before, the number, the time and each text with its
    /// length before it, so that no two records read the same.
    pub(crate) fn link(&mut self, at: Timestamp, texts: [&str; 5]) -> (u64, [u8; 32]) {
        self.seq += 1;
        let mut hash = Sha256::new();
        hash.update(self.hash);
        hash.update(self.seq.to_be_bytes());
        hash.update(at.millis().to_be_bytes());
        for text in texts {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        self.hash = hash.finalize().into();
        (self.seq, self.hash)
    }
}

/// What a record says with which the hub forgets those before it.
#[derive(Debug, Serialize, Deserialize)]
struct Forgotten {
    /// The number of the last one that is gone.
    up_to: u64,
    /// Its hash, in hex.
    hash: String,
}

const FORGET: &str = "forget_audit";

/// Forgets the records before an instant, once a day at most, and never the last one. The chain goes
/// on from the hash of the last that is gone; a new record in it says so.
pub(crate) fn forget(
    conn: &Connection,
    head: &mut Head,
    (before, stamp): (i64, Timestamp),
) -> Result<()> {
    let failed = sqlite_error("forgetting audit records");
    let oldest: Option<i64> = conn
        .query_row("SELECT at FROM audit ORDER BY seq LIMIT 1", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(failed)?;
    if oldest.is_none_or(|oldest| oldest >= before.saturating_sub(DAY_MS)) {
        return Ok(());
    }
    let last: Option<(u64, [u8; 32])> = conn
        .query_row(
            "SELECT seq, hash FROM audit WHERE at < ?1 AND seq < ?2 ORDER BY seq DESC LIMIT 1",
            (before, head.seq),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(failed)?;
    let Some((up_to, hash)) = last else {
        return Ok(());
    };
    let forgotten = Forgotten {
        up_to,
        hash: to_hex(&hash),
    };
    let detail = serde_json::to_string(&forgotten).expect("plain data is JSON");
    let texts = ["cityhub", "admin", FORGET, "audit", &detail];
    let (seq, hash_of_new) = head.link(stamp, texts);
    let write = || {
        conn.execute("DELETE FROM audit WHERE seq <= ?1", [up_to])?;
        put_meta(conn, "audit_base_seq", up_to)?;
        put_meta(conn, "audit_base_hash", hash)?;
        let [actor, role, action, subject, detail] = texts;
        conn.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(rusqlite::params![
                seq,
                stamp.millis(),
                actor,
                role,
                action,
                subject,
                detail,
                hash_of_new
            ])?;
        put_meta(conn, "audit_links", seq)
    };
    write().map_err(failed)
}

/// The last record that the hub forgot; what a chain begins with that is whole.
fn read_base(conn: &Connection) -> Result<Head> {
    Ok(Head {
        seq: get_meta(conn, "audit_base_seq")?.unwrap_or_default(),
        hash: get_meta(conn, "audit_base_hash")?.unwrap_or_default(),
    })
}

/// Tells whether the trail says that the hub forgot everything up to there.
fn is_told(base: &Head, told: Option<&Forgotten>) -> bool {
    match told {
        Some(told) => (told.up_to, &told.hash) == (base.seq, &to_hex(&base.hash)),
        None => base.seq == 0,
    }
}

pub(crate) fn read_head(conn: &Connection) -> Result<Head> {
    let sql = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
    let head = conn
        .prepare_cached(sql)
        .and_then(|mut query| {
            let head = |row: &Row<'_>| {
                Ok(Head {
                    seq: row.get(0)?,
                    hash: row.get(1)?,
                })
            };
            query.query_row([], head).optional()
        })
        .map_err(sqlite_error("reading the head of the audit trail"))?;
    Ok(head.unwrap_or_default())
}

/// Reads one link as it was written; gives what it is called and when it was where it cannot be.
fn read_link(row: &Row<'_>) -> rusqlite::Result<std::result::Result<AuditRow, AuditBreak>> {
    let number = match row.get_ref(0)? {
        ValueRef::Integer(number) => number,
        // The number is the key of the table, which holds whole numbers only.
        _ => 0,
    };
    let at = match row.get_ref(1)? {
        ValueRef::Integer(ms) => Some(Timestamp::from_millis(ms)),
        _ => None,
    };
    let broken = |column: &'static str| AuditBreak {
        number,
        at,
        fault: AuditFault::Unreadable { column },
    };
    let text = |index: usize, column: &'static str| {
        Ok::<_, rusqlite::Error>(match row.get_ref(index)? {
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.to_owned()),
                Err(_) => Err(broken(column)),
            },
            _ => Err(broken(column)),
        })
    };
    let (actor, role) = (text(2, "actor")?, text(3, "role")?);
    let (action, subject) = (text(4, "action")?, text(5, "subject")?);
    let detail = text(6, "detail")?;
    let hash = match row.get_ref(7)? {
        ValueRef::Blob(bytes) => <[u8; 32]>::try_from(bytes).map_err(|_| broken("hash")),
        _ => Err(broken("hash")),
    };
    let link = || {
        Ok(AuditRow {
            // A number below 0 is out of order, which whoever walks the chain sees by itself.
            seq: u64::try_from(number).map_err(|_| AuditBreak {
                number,
                at,
                fault: AuditFault::Order,
            })?,
            at: at.ok_or_else(|| broken("at"))?,
            actor: actor?,
            role: role?,
            action: action?,
            subject: subject?,
            detail: detail?,
            hash: hash?,
        })
    };
    Ok(link())
}

/// Computes every link again, from the first one on. With the hash of a record that somebody noted
/// elsewhere, it demands that this record is still in the chain.
pub(crate) fn walk(conn: &Connection, noted: Option<&[u8; 32]>) -> Result<AuditVerdict> {
    let failed = sqlite_error("walking the audit trail");
    let mut query = conn
        .prepare(&format!("SELECT {COLUMNS} FROM audit ORDER BY seq"))
        .map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    let base = read_base(conn)?;
    let (mut head, mut last, mut found, mut told) = (base, Timestamp::MIN, None, None);
    if base.seq > 0 && noted == Some(&base.hash) {
        found = Some(base.seq);
    }
    while let Some(row) = rows.next().map_err(failed)? {
        let link = match read_link(row).map_err(failed)? {
            Ok(link) => link,
            Err(broken) => return Ok(AuditVerdict::Broken(first_of(&head, broken))),
        };
        if let Some(broken) = judge(&mut head, last, &link) {
            return Ok(AuditVerdict::Broken(broken));
        }
        last = link.at;
        if (link.actor.as_str(), link.action.as_str()) == ("cityhub", FORGET) {
            told = serde_json::from_str::<Forgotten>(&link.detail).ok();
        }
        if noted == Some(&head.hash) {
            found = Some(head.seq);
        }
    }
    if !is_told(&base, told.as_ref()) {
        return Ok(AuditVerdict::Broken(AuditBreak {
            number: signed(base.seq + 1),
            at: None,
            fault: AuditFault::NotForgotten,
        }));
    }
    // The last links could have been cut off whole; their number is kept elsewhere.
    let counted = get_meta::<u64>(conn, "audit_links")?.unwrap_or(0);
    let missing = |fault| {
        Ok(AuditVerdict::Broken(AuditBreak {
            number: signed(head.seq.min(counted) + 1),
            at: None,
            fault,
        }))
    };
    if head.seq < counted {
        return missing(AuditFault::CutOff { counted });
    }
    if head.seq > counted {
        return missing(AuditFault::Uncounted { counted });
    }
    if noted.is_some() && found.is_none() {
        return missing(AuditFault::HeadMissing);
    }
    Ok(AuditVerdict::Whole {
        links: head.seq,
        head: head.hash,
        noted: found,
    })
}

/// Adds a link to what was walked, or tells what is wrong with it.
fn judge(head: &mut Head, last: Timestamp, link: &AuditRow) -> Option<AuditBreak> {
    let due = head.seq + 1;
    let broken = |number: u64, at, fault| {
        Some(AuditBreak {
            number: signed(number),
            at,
            fault,
        })
    };
    if link.seq < due {
        return broken(link.seq, Some(link.at), AuditFault::Order);
    }
    if link.seq > due {
        return broken(due, None, AuditFault::Gap { next: link.seq });
    }
    let texts = [
        &link.actor,
        &link.role,
        &link.action,
        &link.subject,
        &link.detail,
    ];
    let (_, expected) = head.link(link.at, texts.map(String::as_str));
    if expected != link.hash {
        return broken(due, Some(link.at), AuditFault::Hash);
    }
    // No commit has a stamp before that of the last one.
    if link.at < last {
        return broken(due, Some(link.at), AuditFault::Order);
    }
    None
}

/// A link that cannot be read may also stand behind others that are missing.
fn first_of(head: &Head, broken: AuditBreak) -> AuditBreak {
    let due = signed(head.seq + 1);
    match u64::try_from(broken.number) {
        Ok(next) if broken.number > due => AuditBreak {
            number: due,
            at: None,
            fault: AuditFault::Gap { next },
        },
        _ => broken,
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Walks the audit chain of a data directory and looks at nothing else in it, so that it can be
/// judged whatever became of the rest.
pub fn verify_audit(dir: &Path, noted: Option<&[u8; 32]>) -> Result<AuditVerdict> {
    if !crate::db::database_path(dir).is_file() {
        let reason = format!("{} has no journal", dir.display());
        return Err(StoreError::Invalid(reason));
    }
    let conn = open_reader(dir)?;
    check_format(&conn)?;
    let failed = sqlite_error("walking the audit trail");
    // The links and their count are of one commit, also beside a running hub.
    let tx = conn.unchecked_transaction().map_err(failed)?;
    walk(&tx, noted)
}

impl Reader {
    /// Gives links of the audit chain after `after`, in order.
    pub fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>> {
        let failed = sqlite_error("reading the audit trail");
        // No number is beyond what SQLite can hold.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2"
            ))
            .map_err(failed)?;
        let rows = query.query_map((after, limit), read_link).map_err(failed)?;
        let mut links = Vec::new();
        for link in rows {
            let link = link.map_err(failed)?;
            links.push(link.map_err(|broken| StoreError::Damaged(broken.to_string()))?);
        }
        Ok(links)
    }

    /// Gives the number of the last link before an instant; 0 where there is none.
    pub fn audit_before(&self, at: Timestamp) -> Result<u64> {
        let failed = sqlite_error("finding a place in the audit trail");
        let head = self.audit_head()?.0;
        // The last number whose time is before the instant is in `low..high`; no number is 0.
        let (mut low, mut high) = (0, head.saturating_add(1));
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached("SELECT seq, at FROM audit WHERE seq >= ?1 ORDER BY seq LIMIT 1")
            .map_err(failed)?;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let number = i64::try_from(middle).unwrap_or(i64::MAX);
            let found = query
                .query_row([number], |row| row.get::<_, i64>(1))
                .optional()
                .map_err(failed)?;
            match found {
                Some(ms) if ms < at.millis() => low = middle,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Gives the links of one instant. Times never go back along the chain, so it is found by halving.
    pub fn audit_at(&self, at: Timestamp) -> Result<Vec<AuditRow>> {
        let mut low = self.audit_before(at)?;
        let mut links = Vec::new();
        loop {
            let page = self.audit(low, AT_ONCE)?;
            let count = page.len();
            low = page.last().map_or(low, |link| link.seq);
            links.extend(page.into_iter().take_while(|link| link.at == at));
            if count < AT_ONCE || links.last().is_none_or(|link| link.seq < low) {
                return Ok(links);
            }
        }
    }

    /// Gives the number and the hash of the last link; 0 and zeros where there is none.
    pub fn audit_head(&self) -> Result<(u64, [u8; 32])> {
        let conn = self.shared.pool.take()?;
        read_head(&conn).map(|head| (head.seq, head.hash))
    }

    /// Computes every link of the audit chain again.
    pub fn verify_audit(&self) -> Result<AuditVerdict> {
        let conn = self.shared.pool.take()?;
        let failed = sqlite_error("walking the audit trail");
        let tx = conn.unchecked_transaction().map_err(failed)?;
        walk(&tx, None)
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
