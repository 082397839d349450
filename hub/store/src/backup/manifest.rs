//! What a backup says of itself: versions, the cut, and every file with its size and SHA-256.

use crate::db::FORMAT;
use crate::error::{Result, StoreError};
use crate::segment::io_error;
use model::{Counts, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Version of the manifest and of where things lie in a backup.
pub(crate) const BACKUP_FORMAT: u32 = 1;

pub(crate) const FILE: &str = "manifest.json";

/// The folder in a backup that becomes the data directory.
pub(crate) const DATA: &str = "data";

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
}

/// Up to where a backup goes: everything up to this commit is in it, and nothing after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    pub commit: u64,
    /// The number of the last event.
    pub event: u64,
    /// The hash of the last audit record, in hex.
    pub audit_head: String,
    /// The stamp of the last commit.
    pub at: Timestamp,
    /// Everything that ever came in, up to there.
    pub ledger: Counts,
}

/// `manifest.json`, written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub backup_format: u32,
    /// Format of the data directory in it.
    pub data_format: u32,
    /// Version of the program that made it.
    pub hub_version: String,
    pub made_at: Timestamp,
    pub cut: Cut,
    /// What was damaged already in the data directory, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// By the path within the backup, with `/` between its parts.
    pub files: BTreeMap<String, FileSum>,
}

/// The part that every version can read.
#[derive(Deserialize)]
struct Versions {
    backup_format: u32,
    data_format: u32,
}

impl Manifest {
    /// Reads the manifest of a backup; one of a newer format is refused by its number.
    pub(crate) fn read(backup: &Path) -> Result<Self> {
        let path = backup.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let reason = format!("{} is no backup: it has no {FILE}", backup.display());
                return Err(StoreError::Refused(reason));
            }
            Err(error) => return Err(io_error("reading", &path)(error)),
        };
        let damaged = |error: serde_json::Error| StoreError::Damaged(format!("{FILE}: {error}"));
        let versions: Versions = serde_json::from_slice(&bytes).map_err(damaged)?;
        for (found, known) in [
            (versions.backup_format, BACKUP_FORMAT),
            (versions.data_format, FORMAT),
        ] {
            if found > known {
                return Err(StoreError::Refused(format!(
                    "the backup has format {found}, this program knows up to {known}"
                )));
            }
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(damaged)?;
        for name in manifest.files.keys() {
            place(backup, name)?;
        }
        Ok(manifest)
    }

    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}

/// Gives the path of a file by its name in the manifest, which must not lead out of the folder.
pub(crate) fn place(folder: &Path, name: &str) -> Result<PathBuf> {
    let mut parts = Path::new(name).components();
    if name.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
        let reason = format!("{FILE}: `{name}` is no file of a backup");
        return Err(StoreError::Damaged(reason));
    }
    Ok(folder.join(name))
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
