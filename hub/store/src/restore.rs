//! The way back: a backup becomes a data directory, after every file of it has been checked.

use crate::backup::look;
use crate::backup::manifest::{DATA, Manifest, place};
use crate::backup::pour::{Sums, copy, create, give_to_owner_of, make_folder, sums, sync_folders};
use crate::error::{Result, StoreError};
use crate::segment::{io_error, sync_folder};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Stands in a data directory that is being restored; nothing opens one that has it.
const MARKER: &str = "restore.unfinished";

/// Refuses a directory in which a restore was cut off.
pub(crate) fn refuse_unfinished(dir: &Path) -> Result<()> {
    if !dir.join(MARKER).exists() {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "a restore into {} was cut off: empty it and restore again",
        dir.display()
    )))
}

/// Reads a backup and computes every sum again; a file that is not as it was written is named.
pub fn check_backup(source: &Path) -> Result<Manifest> {
    let manifest = Manifest::read(source)?;
    for (name, expected) in &manifest.files {
        let path = place(source, name)?;
        let found = match sums(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::Damaged(format!("{name} is missing")));
            }
            Err(error) => return Err(io_error("reading", &path)(error)),
        };
        if found.file != *expected {
            return Err(damaged(name, &found, expected.bytes));
        }
    }
    if !manifest.files.contains_key(&format!("{DATA}/main.db")) {
        return Err(StoreError::Damaged(
            "the manifest names no journal".to_owned(),
        ));
    }
    Ok(manifest)
}

fn damaged(name: &str, found: &Sums, bytes: u64) -> StoreError {
    StoreError::Damaged(match found.file.bytes == bytes {
        true => format!("{name} is not as it was written: its SHA-256 is another"),
        false => format!("{name} has {} bytes instead of {bytes}", found.file.bytes),
    })
}

/// Makes a data directory of a backup. It must be empty or not be there.
pub fn restore(source: &Path, dir: &Path) -> Result<Manifest> {
    refuse_occupied(dir)?;
    let manifest = check_backup(source)?;
    make_folder(dir).map_err(io_error("making folder", dir))?;
    // From here on until it is taken away, nothing takes this folder for a data directory.
    let marker = dir.join(MARKER);
    let marked = create(&marker).and_then(|file| file.sync_all());
    marked.map_err(io_error("making", &marker))?;
    sync_folder(dir)?;
    for (name, expected) in &manifest.files {
        let Some(inner) = name.strip_prefix(&format!("{DATA}/")) else {
            continue;
        };
        let found = put(dir, &place(source, name)?, &place(dir, inner)?)?;
        if found.file != *expected {
            return Err(damaged(name, &found, expected.bytes));
        }
    }
    sync_folders(dir).map_err(io_error("forcing to disk", dir))?;
    let found = look(dir)?;
    if found != manifest.cut {
        return Err(StoreError::Damaged(format!(
            "what was restored goes up to {found:?}, the manifest says {:?}",
            manifest.cut
        )));
    }
    std::fs::remove_file(&marker).map_err(io_error("deleting", &marker))?;
    sync_folder(dir)?;
    Ok(manifest)
}

/// Copies one file and gives it, and the folders made for it, to the owner of the data directory.
fn put(dir: &Path, from: &Path, to: &Path) -> Result<Sums> {
    let folder = to.parent().unwrap_or(dir);
    make_folder(folder).map_err(io_error("making folder", folder))?;
    let mut file = File::open(from).map_err(io_error("opening", from))?;
    let sums = copy(&mut file, to).map_err(io_error("copying to", to))?;
    let mut path: PathBuf = to.to_owned();
    while path != dir {
        give_to_owner_of(dir, &path).map_err(io_error("giving away", &path))?;
        if !path.pop() {
            break;
        }
    }
    Ok(sums)
}

fn refuse_occupied(dir: &Path) -> Result<()> {
    let mut entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("listing", dir)(error)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    refuse_unfinished(dir)?;
    Err(StoreError::Refused(format!(
        "{} is not empty: a restore takes the place of nothing",
        dir.display()
    )))
}
