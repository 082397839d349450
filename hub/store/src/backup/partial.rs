//! The folder in which a backup grows, until it is whole and gets its name.

use crate::backup::pour::make_folder;
use crate::error::{Result, StoreError};
use crate::segment::{io_error, sync_folder};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A folder beside the target. Dropping it deletes it; what a kill leaves is deleted by the next
/// backup to the same target.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    target: PathBuf,
    parent: PathBuf,
    /// Locked for as long as the backup is being made.
    _folder: File,
    is_done: bool,
}

impl Partial {
    pub(crate) fn begin(dir: &Path, target: &Path) -> Result<Self> {
        let refuse = |reason: String| Err(StoreError::Refused(reason));
        let name = target.file_name().and_then(|name| name.to_str());
        let Some(name) = name else {
            return refuse(format!("{} is no name for a folder", target.display()));
        };
        if std::fs::symlink_metadata(target).is_ok() {
            let shown = target.display();
            return refuse(format!(
                "{shown} is there already: a backup makes a new folder"
            ));
        }
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let real = parent.canonicalize().map_err(io_error("opening", parent))?;
        let data = dir.canonicalize().map_err(io_error("opening", dir))?;
        if real.starts_with(&data) {
            let shown = target.display();
            return refuse(format!("{shown} is in the data directory itself"));
        }
        let path = parent.join(format!("{name}.partial"));
        make_folder(&path).map_err(io_error("making folder", &path))?;
        let folder = File::open(&path).map_err(io_error("opening", &path))?;
        match folder.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return refuse(format!(
                    "another backup to {} is being made",
                    target.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(io_error("locking", &path)(error)),
        }
        let partial = Self {
            path,
            target: target.to_owned(),
            parent: parent.to_owned(),
            _folder: folder,
            is_done: false,
        };
        partial.empty()?;
        Ok(partial)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes away what an earlier backup left that was cut off.
    fn empty(&self) -> Result<()> {
        let failed = io_error("emptying", &self.path);
        for entry in std::fs::read_dir(&self.path).map_err(&failed)? {
            let path = entry.map_err(&failed)?.path();
            let removed = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
            removed.map_err(&failed)?;
        }
        Ok(())
    }

    /// Gives it its name. All that is in it must be on disk.
    pub(crate) fn finish(mut self) -> Result<()> {
        std::fs::rename(&self.path, &self.target).map_err(io_error("naming", &self.target))?;
        self.is_done = true;
        sync_folder(&self.parent)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_done
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "not deleted");
        }
    }
}
