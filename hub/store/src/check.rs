//! Looks at everything on disk and compares whatever is known twice.

mod relational;

use crate::AuditVerdict;
use crate::db::{get_meta, sqlite_error};
use crate::error::{Result, StoreError};
use crate::ledger::{Tally, minutes_of};
use crate::log::{count, each_row};
use crate::reader::{CheckReport, Reader};
use crate::record::Record;
use crate::segment::{Kind, Rows, Segment, read_ledger};
use crate::state_file::{self, state_path};
use crate::view::View;
use rusqlite::Connection;
use std::sync::Arc;

impl Reader {
    /// Computes every check sum again and compares whatever is known twice. What is wrong is in
    /// the report; an error means that the check itself could not be made.
    pub fn check(&self) -> Result<CheckReport> {
        let mut report = CheckReport::default();
        let conn = self.shared.pool.take()?;
        self.check_database(&conn, &mut report)?;
        self.check_log(&conn, &mut report)?;
        self.check_state(&conn, &mut report)?;
        drop(conn);
        match self.verify_audit()? {
            AuditVerdict::Whole { links, .. } => report.audit_links = links,
            AuditVerdict::Broken(broken) => report.problems.push(broken.to_string()),
        }
        self.check_segments(&mut report)?;
        Ok(report)
    }

    fn check_database(&self, conn: &Connection, report: &mut CheckReport) -> Result<()> {
        let failed = sqlite_error("checking the database");
        let verdict: String = conn
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(failed)?;
        if verdict != "ok" {
            report.problems.push(format!("the database: {verdict}"));
        }
        // All that follows in the database is of one commit, also beside a running hub.
        let tx = conn.unchecked_transaction().map_err(failed)?;
        report.events = relational::check_events(&tx, &mut report.problems)?;
        relational::check_rules(&tx, &mut report.problems)?;
        Ok(())
    }

    fn check_log(&self, conn: &Connection, report: &mut CheckReport) -> Result<()> {
        let mut last: Option<u64> = None;
        let mut damaged = Vec::new();
        each_row(conn, 0, &mut |seq, body| {
            report.log_rows += 1;
            if let Err(error) = Record::open(body).and_then(|record| count(&record)) {
                damaged.push(format!("commit {seq}: {error}"));
            }
            if last.is_some_and(|last| seq != last + 1) {
                damaged.push(format!("commits before {seq} are missing in the log"));
            }
            last = Some(seq);
            Ok(true)
        })?;
        report.problems.append(&mut damaged);
        Ok(())
    }

    fn check_state(&self, conn: &Connection, report: &mut CheckReport) -> Result<()> {
        // Beside a running hub the file may have been replaced since its number was read.
        for _ in 0..3 {
            let Some(id) = get_meta::<u64>(conn, "state_id")? else {
                return Ok(());
            };
            match std::fs::read(state_path(&self.shared.dir, id)) {
                Ok(bytes) => {
                    if let Err(error) = state_file::decode(&bytes) {
                        report.problems.push(error.to_string());
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    report.problems.push(format!("state file {id}: {error}"));
                    return Ok(());
                }
            }
        }
        report.problems.push("the state file is missing".to_owned());
        Ok(())
    }

    fn check_segments(&self, report: &mut CheckReport) -> Result<()> {
        let sums = {
            let view = self.shared.view();
            Sums::of(&view)
        };
        let mut sealed = Tally::default();
        for segment in sums.segments.all() {
            report.segments += 1;
            match check_segment(segment) {
                Ok(None) => {}
                Ok(Some(problem)) => {
                    report.problems.push(problem);
                    continue;
                }
                Err(StoreError::Io { what, source }) => {
                    report.problems.push(format!("{what}: {source}"));
                    continue;
                }
                Err(other) => return Err(other),
            }
            if segment.row.kind == Kind::Ledger {
                read_ledger(segment, &mut |_, tally| sealed.add(&tally))?;
            } else {
                let found = self.count_readings(segment)?;
                report.readings += found;
                if found != segment.row.readings {
                    report.problems.push(format!(
                        "segment {} has {found} readings instead of {}",
                        segment.row.id, segment.row.readings
                    ));
                }
            }
        }
        report.readings += sums.in_memory.stored;
        report.ledger = sums.total.counts();
        sums.compare(sealed, report);
        Ok(())
    }

    fn count_readings(&self, segment: &Segment) -> Result<u64> {
        let reader = self
            .shared
            .metas
            .open(segment, &self.shared.metric_names())?;
        let mut readings = 0;
        for group in 0..reader.meta.slices.len() {
            let mut rows = Rows::default();
            reader.read_slice(group, &mut rows)?;
            readings += rows.readings(&rows.sorted(|_| true));
        }
        Ok(readings)
    }
}

fn check_segment(segment: &Segment) -> Result<Option<String>> {
    let row = &segment.row;
    let (bytes, crc) = segment.check()?;
    Ok(if bytes != row.bytes {
        Some(format!(
            "segment {} has {bytes} bytes instead of {}",
            row.id, row.bytes
        ))
    } else if crc != row.crc {
        Some(format!("segment {} has a wrong check sum", row.id))
    } else {
        None
    })
}

/// The same counts from several sources, as of one moment.
struct Sums {
    segments: Arc<crate::view::Segments>,
    total: Tally,
    in_memory: Tally,
    expired_readings: u64,
    ledger_expired: bool,
}

impl Sums {
    fn of(view: &View) -> Self {
        let mut total = Tally::default();
        for tally in view.totals.values() {
            total.add(tally);
        }
        let mut in_memory = Tally::default();
        let frozen = view
            .frozen
            .as_ref()
            .map(|f| minutes_of(&f.cells, &f.beside));
        let active = minutes_of(&view.cells, &view.beside);
        for (_, tally) in frozen.into_iter().flatten().chain(active) {
            in_memory.add(&tally);
        }
        Self {
            segments: Arc::clone(&view.segments),
            total,
            in_memory,
            expired_readings: view.expired_readings,
            ledger_expired: view.ledger_expired,
        }
    }

    fn compare(mut self, sealed: Tally, report: &mut CheckReport) {
        if !report.ledger.balances() {
            report
                .problems
                .push(format!("the ledger does not balance: {:?}", report.ledger));
        }
        let stored = report.readings + self.expired_readings;
        if stored != self.total.stored {
            report.problems.push(format!(
                "the ledger counts {} stored values, there are {stored}",
                self.total.stored
            ));
        }
        if self.ledger_expired {
            return;
        }
        self.in_memory.add(&sealed);
        // Reasons come in any order.
        let (by_minute, total) = (self.in_memory.counts(), self.total.counts());
        if by_minute != total {
            report.problems.push(format!(
                "the ledger by minute sums up to {by_minute:?} instead of {total:?}"
            ));
        }
    }
}
