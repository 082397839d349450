//! The audit trail: every link carries the hash of all before it.

use crate::db::{get_meta, sqlite_error};
use crate::error::Result;
use crate::reader::Reader;
use crate::{AuditRow, AuditVerdict};
use model::Timestamp;
use rusqlite::Connection;
use sha2::{Digest, Sha256};

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

pub(crate) fn read_head(conn: &Connection) -> Result<Head> {
    let rows = read_links(conn, "ORDER BY seq DESC LIMIT 1", [])?;
    Ok(rows.first().map_or_else(Head::default, |row| Head {
        seq: row.seq,
        hash: row.hash,
    }))
}

fn read_links(
    conn: &Connection,
    rest: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<AuditRow>> {
    let failed = sqlite_error("reading the audit trail");
    let sql =
        format!("SELECT seq, at, actor, role, action, subject, detail, hash FROM audit {rest}");
    let mut query = conn.prepare_cached(&sql).map_err(failed)?;
    let rows = query
        .query_map(params, |row| {
            Ok(AuditRow {
                seq: row.get(0)?,
                at: Timestamp::from_millis(row.get(1)?),
                actor: row.get(2)?,
                role: row.get(3)?,
                action: row.get(4)?,
                subject: row.get(5)?,
                detail: row.get(6)?,
                hash: row.get(7)?,
            })
        })
        .map_err(failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed)
}

impl Reader {
    /// Gives links of the audit chain after `after`, in order.
    pub fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>> {
        let conn = self.shared.pool.take()?;
        read_links(
            &conn,
            "WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            (after, limit),
        )
    }

    /// Computes every link of the audit chain again.
    pub fn verify_audit(&self) -> Result<AuditVerdict> {
        const LINKS_AT_ONCE: usize = 1_000;
        let mut head = Head::default();
        loop {
            let links = self.audit(head.seq, LINKS_AT_ONCE)?;
            for row in &links {
                let texts = [
                    &row.actor,
                    &row.role,
                    &row.action,
                    &row.subject,
                    &row.detail,
                ];
                let expected = head.link(row.at, texts.map(String::as_str));
                if expected != (row.seq, row.hash) {
                    return Ok(AuditVerdict::Broken { at: expected.0 });
                }
            }
            if links.len() < LINKS_AT_ONCE {
                break;
            }
        }
        // The last links could have been cut off whole; their number is kept elsewhere.
        let conn = self.shared.pool.take()?;
        let links = get_meta::<u64>(&conn, "audit_links")?.unwrap_or(0);
        Ok(if links == head.seq {
            AuditVerdict::Whole { links }
        } else {
            AuditVerdict::Broken { at: head.seq + 1 }
        })
    }
}
