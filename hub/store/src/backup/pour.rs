//! Copies files with their sums, forcing them to disk as it goes.

use crate::backup::manifest::{FileSum, to_hex};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Bytes after which what was written is forced to disk: a copy that filled the system's cache
/// would make the journal's next fsync wait for all of it.
pub(crate) const SYNC_BYTES: u64 = 8 << 20;

const CHUNK_BYTES: usize = 1 << 20;

/// What passed through.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    pub(crate) file: FileSum,
    /// CRC-32, as the catalogue has it of each segment.
    pub(crate) crc: u32,
}

/// Reads to the end, writing to `to` if it is there.
pub(crate) fn pour(from: &mut impl Read, to: Option<&File>) -> Result<Sums> {
    let (mut sha256, mut crc) = (Sha256::new(), crc32fast::Hasher::new());
    let (mut bytes, mut unsynced) = (0, 0);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(count) => count as u64,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let chunk = usize::try_from(count)
            .ok()
            .and_then(|len| buffer.get(..len));
        let Some(chunk) = chunk.filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        sha256.update(chunk);
        crc.update(chunk);
        bytes += count;
        let Some(mut to) = to else { continue };
        to.write_all(chunk)?;
        unsynced += count;
        if unsynced >= SYNC_BYTES {
            to.sync_data()?;
            unsynced = 0;
        }
    }
    if let Some(to) = to {
        to.sync_all()?;
    }
    Ok(Sums {
        file: FileSum {
            bytes,
            sha256: to_hex(&sha256.finalize()),
        },
        crc: crc.finalize(),
    })
}

/// Sums a file up.
pub(crate) fn sums(path: &Path) -> Result<Sums> {
    pour(&mut File::open(path)?, None)
}

/// Copies an open file to a new one; shares its blocks where the file system can copy on write.
pub(crate) fn copy(from: &mut File, to: &Path) -> Result<Sums> {
    let target = create(to)?;
    if rustix::fs::ioctl_ficlone(&target, &*from).is_ok() {
        target.sync_all()?;
        return pour(from, None);
    }
    pour(from, Some(&target))
}

/// Makes a new file that only its owner may read.
pub(crate) fn create(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Makes a folder that only its owner may enter, and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Forces every folder under this one to disk, and itself.
pub(crate) fn sync_folders(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    File::open(folder)?.sync_all()
}

/// Gives a path to the owner of a folder, where root writes for somebody else.
pub(crate) fn give_to_owner_of(folder: &Path, path: &Path) -> Result<()> {
    let owner = std::fs::metadata(folder)?;
    if owner.uid() == 0 || std::fs::metadata(path)?.uid() != 0 {
        return Ok(());
    }
    std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
}
