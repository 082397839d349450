//! A consistent copy of a data directory, beside a running hub or alone (`docs/adr/0020-backup.md`).
//!
//! The cut is one read transaction: all of the database, and with it the catalogue that names the
//! segments, is of one commit. Segments never change, so most of them are copied before the cut;
//! those that came since are held open at it, as a running hub may merge them away.

pub(crate) mod manifest;
mod partial;
pub(crate) mod pour;

use crate::db::{self, check_format, get_meta, open_reader, read_catalogue, sqlite_error};
use crate::error::{Result, StoreError};
use crate::segment::{SegmentRow, io_error, segment_path};
use crate::state_file::state_path;
use manifest::{BACKUP_FORMAT, Cut, DATA, FILE, FileSum, Manifest, to_hex};
use model::Timestamp;
use partial::Partial;
use pour::{SYNC_BYTES, Sums, copy, create, make_folder, sums, sync_folders};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the cut is tried again when a running hub took a file away between two looks.
const ATTEMPTS: usize = 20;

/// Pages of the database that are copied at once: 2 MiB.
const STEP_PAGES: i32 = 256;

/// How to make a backup.
#[derive(Clone, Debug)]
pub struct BackupPlan {
    pub hub_version: String,
    pub now: Timestamp,
    /// Segments become second names of the same files where both folders are on one file system.
    pub link: bool,
    /// Other files, by their names in the backup; one that is not there is left out. They are read
    /// after the cut.
    pub beside: Vec<(String, PathBuf)>,
}

/// Copies a data directory into a folder that is not there yet. Nothing is in the way of a hub that
/// runs: it commits, seals and merges meanwhile. What is not whole is never seen under that name.
pub fn backup(dir: &Path, target: &Path, plan: &BackupPlan) -> Result<Manifest> {
    if !db::database_path(dir).is_file() {
        let reason = format!("{} has no journal", dir.display());
        return Err(StoreError::Refused(reason));
    }
    let partial = Partial::begin(dir, target)?;
    let mut copying = Copying {
        dir,
        to: partial.path().to_owned(),
        link: plan.link,
        segments: HashMap::new(),
        files: BTreeMap::new(),
        format: db::FORMAT,
        problems: Vec::new(),
    };
    make_folder(&copying.to.join(DATA)).map_err(io_error("making folder", &copying.to))?;
    copying.copy_most_segments()?;
    copying.cut()?;
    for (name, path) in &plan.beside {
        copying.copy_beside(name, path)?;
    }
    let manifest = copying.describe(plan)?;
    let path = partial.path().join(FILE);
    let failed = io_error("writing", &path);
    let json = serde_json::to_vec_pretty(&manifest).expect("plain data with text keys is JSON");
    let mut file = create(&path).map_err(&failed)?;
    file.write_all(&json).map_err(&failed)?;
    file.sync_all().map_err(&failed)?;
    sync_folders(partial.path()).map_err(io_error("forcing to disk", partial.path()))?;
    partial.finish()?;
    Ok(manifest)
}

/// A backup on its way.
struct Copying<'a> {
    dir: &'a Path,
    to: PathBuf,
    link: bool,
    /// What was copied so far, by number.
    segments: HashMap<u64, SegmentRow>,
    files: BTreeMap<String, FileSum>,
    /// Of the data directory, which an older program may have made.
    format: u32,
    problems: Vec<String>,
}

/// A file that was there at the cut.
enum Held {
    Segment(SegmentRow, File),
    State(u64, File),
}

impl Copying<'_> {
    /// Copies what the catalogue names now; what is merged away meanwhile is left out.
    fn copy_most_segments(&mut self) -> Result<()> {
        let conn = open_reader(self.dir)?;
        check_format(&conn)?;
        let catalogue = read_catalogue(&conn)?;
        drop(conn);
        for row in catalogue {
            let path = segment_path(self.dir, row.day, row.id);
            match File::open(&path) {
                Ok(file) => self.copy_segment(row, file)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("opening", &path)(error)),
            }
        }
        Ok(())
    }

    /// Copies the database as of one commit, and the segments that it names.
    fn cut(&mut self) -> Result<()> {
        let conn = open_reader(self.dir)?;
        let mut attempt = 1;
        loop {
            let failed = sqlite_error("beginning the cut");
            // A read transaction: whatever is read in it is of the same commit.
            let tx = conn.unchecked_transaction().map_err(failed)?;
            check_format(&tx)?;
            self.format = get_meta(&tx, "format")?.unwrap_or(db::FORMAT);
            let catalogue = read_catalogue(&tx)?;
            let held = match self.hold(&tx, &catalogue) {
                Err(StoreError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                    continue;
                }
                held => held?,
            };
            let path = self.to.join(DATA).join("main.db");
            copy_database(&tx, &path)?;
            drop(tx);
            let sums = sums(&path).map_err(io_error("reading", &path))?;
            self.files.insert(format!("{DATA}/main.db"), sums.file);
            return self.copy_held(held, &catalogue);
        }
    }

    /// Opens what the catalogue names and is not copied yet, and the state file.
    fn hold(&self, tx: &Connection, catalogue: &[SegmentRow]) -> Result<Vec<Held>> {
        let mut held = Vec::new();
        for row in catalogue {
            if !self.segments.contains_key(&row.id) {
                let path = segment_path(self.dir, row.day, row.id);
                let file = File::open(&path).map_err(io_error("opening", &path))?;
                held.push(Held::Segment(*row, file));
            }
        }
        if let Some(id) = get_meta::<u64>(tx, "state_id")? {
            let path = state_path(self.dir, id);
            let file = File::open(&path).map_err(io_error("opening", &path))?;
            held.push(Held::State(id, file));
        }
        Ok(held)
    }

    fn copy_held(&mut self, held: Vec<Held>, catalogue: &[SegmentRow]) -> Result<()> {
        for held in held {
            match held {
                Held::Segment(row, file) => self.copy_segment(row, file)?,
                Held::State(id, mut file) => {
                    let to = state_path(&self.to.join(DATA), id);
                    let sums = self.copy_file(&mut file, &to)?;
                    self.files.insert(self.name_of(&to), sums.file);
                }
            }
        }
        let known: HashSet<u64> = catalogue.iter().map(|row| row.id).collect();
        let copied = std::mem::take(&mut self.segments).into_values();
        let (kept, gone): (Vec<_>, Vec<_>) = copied.partition(|row| known.contains(&row.id));
        self.segments = kept.into_iter().map(|row| (row.id, row)).collect();
        for row in gone {
            let path = segment_path(&self.to.join(DATA), row.day, row.id);
            std::fs::remove_file(&path).map_err(io_error("deleting", &path))?;
            self.files.remove(&self.name_of(&path));
            if let Some(day) = path.parent() {
                // Fails while the day has other segments, which is as it should be.
                drop(std::fs::remove_dir(day));
            }
        }
        Ok(())
    }

    fn copy_segment(&mut self, row: SegmentRow, mut file: File) -> Result<()> {
        let to = segment_path(&self.to.join(DATA), row.day, row.id);
        let sums = match self.link(&row, &to)? {
            true => sums(&to).map_err(io_error("reading", &to))?,
            false => self.copy_file(&mut file, &to)?,
        };
        if (sums.file.bytes, sums.crc) != (row.bytes, row.crc) {
            let problem = format!("segment {} is not as it was written", row.id);
            self.problems.push(problem);
        }
        self.files.insert(self.name_of(&to), sums.file);
        self.segments.insert(row.id, row);
        Ok(())
    }

    /// Gives a segment a second name; what cannot have one is to be copied.
    fn link(&self, row: &SegmentRow, to: &Path) -> Result<bool> {
        if !self.link {
            return Ok(false);
        }
        self.make_folder_of(to)?;
        Ok(std::fs::hard_link(segment_path(self.dir, row.day, row.id), to).is_ok())
    }

    fn copy_file(&self, from: &mut File, to: &Path) -> Result<Sums> {
        self.make_folder_of(to)?;
        copy(from, to).map_err(io_error("copying to", to))
    }

    fn make_folder_of(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(&self.to);
        make_folder(folder).map_err(io_error("making folder", folder))
    }

    fn copy_beside(&mut self, name: &str, path: &Path) -> Result<()> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error("opening", path)(error)),
        };
        let to = manifest::place(&self.to, name)?;
        let sums = self.copy_file(&mut file, &to)?;
        self.files.insert(name.to_owned(), sums.file);
        Ok(())
    }

    fn name_of(&self, path: &Path) -> String {
        let name = path.strip_prefix(&self.to).unwrap_or(path);
        name.to_string_lossy().into_owned()
    }

    /// Opens the copy as a hub would, and says what is in it.
    fn describe(self, plan: &BackupPlan) -> Result<Manifest> {
        Ok(Manifest {
            backup_format: BACKUP_FORMAT,
            data_format: self.format,
            hub_version: plan.hub_version.clone(),
            made_at: plan.now,
            cut: look(&self.to.join(DATA))?,
            problems: self.problems,
            files: self.files,
        })
    }
}

/// Tells up to where a data directory goes.
pub(crate) fn look(dir: &Path) -> Result<Cut> {
    let (reader, recovered) = crate::recover::open_as_it_is(dir)?;
    Ok(Cut {
        commit: recovered.last_commit,
        event: recovered.last_event,
        audit_head: to_hex(&recovered.audit_head),
        at: recovered.last_stamp,
        ledger: reader.ledger(None, None)?.total,
    })
}

/// Copies what a read transaction sees into a database of one file, without a log beside it.
fn copy_database(tx: &Connection, path: &Path) -> Result<()> {
    let failed = sqlite_error("copying the database");
    let file = create(path).map_err(io_error("making", path))?;
    let mut to = Connection::open(path).map_err(failed)?;
    for (pragma, value) in [("synchronous", "OFF"), ("journal_mode", "OFF")] {
        to.pragma_update(None, pragma, value).map_err(failed)?;
    }
    let backup = Backup::new(tx, &mut to).map_err(failed)?;
    let mut synced = 0;
    loop {
        match backup.step(STEP_PAGES).map_err(failed)? {
            StepResult::Done => break,
            StepResult::More => {}
            // Nobody else has the copy open, and the writer locks no reader out for long.
            _ => wait(),
        }
        let bytes = file.metadata().map_or(0, |data| data.len());
        if bytes >= synced + SYNC_BYTES {
            synced = bytes;
            file.sync_data()
                .map_err(io_error("forcing to disk", path))?;
        }
    }
    drop(backup);
    to.close().map_err(|(_, error)| failed(error))?;
    // The copy has the mode of the original, which keeps a log beside the database.
    let to = Connection::open(path).map_err(failed)?;
    to.pragma_update(None, "journal_mode", "DELETE")
        .map_err(failed)?;
    to.close().map_err(|(_, error)| failed(error))?;
    file.sync_all().map_err(io_error("forcing to disk", path))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a backup is synchronous work in a process or thread of its own"
)]
fn wait() {
    std::thread::sleep(Duration::from_millis(5));
}
