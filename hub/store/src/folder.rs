//! The data directory: secrets of receivers and hashes of others are in it, so it is for its owner alone.

use crate::db::database_path;
use crate::error::Result;
use crate::segment::io_error;
use std::path::Path;

/// Makes the folder and an empty database if they are not there, and takes every right to them from
/// whoever is not their owner. What SQLite makes beside the database has the rights of the database.
#[cfg(unix)]
pub(crate) fn open(dir: &Path) -> Result<()> {
    use std::fs::{DirBuilder, OpenOptions};
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(io_error("making folder", dir))?;
    let database = database_path(dir);
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&database)
        .map_err(io_error("opening", &database))?;
    for path in [dir, &database] {
        if let Err(error) = close(path) {
            let path = path.display();
            tracing::warn!(%path, %error, "others may read what the hub keeps");
        }
    }
    Ok(())
}

/// Takes the rights of group and others away.
#[cfg(unix)]
fn close(path: &Path) -> std::io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    const OF_THE_OWNER: u32 = 0o7700;
    const OF_OTHERS: u32 = 0o077;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & OF_OTHERS == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode & OF_THE_OWNER))
}

#[cfg(not(unix))]
pub(crate) fn open(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(io_error("making folder", dir))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use crate::Options;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn nobody_but_the_owner_may_read_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        let opened = crate::open(&dir, Options::default()).unwrap();
        let files = || ["main.db", "main.db-wal", "main.db-shm"].map(|name| mode(&dir.join(name)));
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(files(), [0o600; 3]);
        drop(opened);
        // One that an earlier version or somebody by hand left open is closed.
        set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        set_permissions(dir.join("main.db"), Permissions::from_mode(0o644)).unwrap();
        let _opened = crate::open(&dir, Options::default()).unwrap();
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(files(), [0o600; 3]);
    }
}
