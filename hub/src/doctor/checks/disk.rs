//! The disk under the data directory: its file system, its room, how fast it forces writes down.

use crate::doctor::finding::Findings;
use crate::doctor::scene::Scene;
use rustix::fs::{CWD, Mode, OFlags};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// File systems of other machines: SQLite's locks and fsync are as good as the network and its server.
const NETWORK: [&str; 12] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "afs",
];
/// File systems that are gone with the power.
const VOLATILE: [&str; 2] = ["tmpfs", "ramfs"];

/// Below this the next seal or checkpoint may fail.
const FREE_BYTES_MIN: u64 = 256 << 20;
const FREE_PERCENT_MIN: u64 = 10;
const DAYS_LEFT_MIN: u64 = 14;
/// Full days before today whose growth is looked at.
const GROWTH_DAYS: i64 = 7;
const DAY_MS: i64 = 86_400_000;
const GIB: f64 = 1_073_741_824.0;

/// For how long at most writes are forced down.
const FORCED_TIME: Duration = Duration::from_secs(3);
/// What a small commit adds to the write-ahead log: a page of 4 KiB.
const PAGE: [u8; 4096] = [0x5a; 4096];
/// The p99 that etcd asks of a disk for the same kind of log ("Hardware recommendations", etcd 3.5
/// FAQ: wal_fsync_duration_seconds p99 under 10 ms). The hub commits in groups and lives with more, but
/// its acknowledgements are as slow as this.
const SLOW: Duration = Duration::from_millis(10);
/// No disk and no cache with a battery answers so fast: nothing is forced down.
const TOO_FAST: Duration = Duration::from_micros(5);

/// The nearest folder that is there: the data directory may not be made yet.
fn existing(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|folder| folder.is_dir());
    there.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

pub(super) fn file_system(scene: &Scene<'_>, findings: &mut Findings) {
    let folder = existing(&scene.data_dir);
    let Some(mount) = scene.machine.mount_of(&folder) else {
        findings.say("untold", None, &[]);
        return;
    };
    let kind = mount.kind.as_str();
    let outcome = match () {
        () if mount.is_read_only => "read-only",
        () if NETWORK.contains(&kind) => "network",
        () if VOLATILE.contains(&kind) => "volatile",
        () => "ok",
    };
    let mount = mount.folder.display();
    let place = scene.place_of("data_dir").filter(|_| outcome != "ok");
    findings.say(outcome, place, &[("kind", &kind), ("mount", &mount)]);
}

pub(super) fn space(scene: &Scene<'_>, findings: &mut Findings) {
    let folder = existing(&scene.data_dir);
    let Ok(disk) = rustix::fs::statvfs(&folder) else {
        findings.say("untold", None, &[]);
        return;
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let total = disk.f_blocks.saturating_mul(disk.f_frsize).max(1);
    let growth = growth_of(scene);
    let days = growth.map(|bytes| free / bytes.max(1));
    let room = Room {
        free,
        percent: free.saturating_mul(100) / total,
        days,
        inodes: (disk.f_files > 0).then_some((disk.f_favail, disk.f_files)),
    };
    let place = Some(folder.display().to_string());
    let gib = format!("{:.1}", as_f64(free) / GIB);
    let left = days.map_or_else(|| "?".to_owned(), |days| days.to_string());
    let words: [(&str, &dyn std::fmt::Display); 4] = [
        ("free", &gib),
        ("percent", &room.percent),
        ("days", &left),
        ("dir", &scene.data_dir.display()),
    ];
    let outcome = room.judge();
    findings.say(outcome, place.filter(|_| outcome != "ok"), &words);
}

fn as_f64(bytes: u64) -> f64 {
    u32::try_from(bytes >> 20).map_or(f64::INFINITY, f64::from) * 1_048_576.0
}

/// Room on a disk.
#[derive(Copy, Clone, Debug)]
struct Room {
    free: u64,
    percent: u64,
    /// At the growth of the last days.
    days: Option<u64>,
    /// Those that are free, and all.
    inodes: Option<(u64, u64)>,
}

impl Room {
    fn judge(self) -> &'static str {
        let few_inodes = |(free, all): (u64, u64)| free.saturating_mul(100) / all < 5;
        match () {
            () if self.free < FREE_BYTES_MIN => "full",
            () if self.inodes.is_some_and(few_inodes) => "inodes",
            () if self.days.is_some_and(|days| days < DAYS_LEFT_MIN) => "filling",
            () if self.percent < FREE_PERCENT_MIN && self.days.is_none() => "low",
            () => "ok",
        }
    }
}

/// Bytes of segments a day, over the full days before today that have any.
fn growth_of(scene: &Scene<'_>) -> Option<u64> {
    let today = scene.machine.now.millis().div_euclid(DAY_MS);
    let days = &scene.surveyed()?.bytes_by_day;
    let recent: Vec<u64> = days
        .range(today - GROWTH_DAYS..today)
        .map(|(_, bytes)| *bytes)
        .collect();
    let count = u64::try_from(recent.len())
        .ok()
        .filter(|count| *count > 0)?;
    Some(recent.iter().sum::<u64>() / count).filter(|bytes| *bytes > 0)
}

pub(super) fn fsync(scene: &Scene<'_>, findings: &mut Findings) {
    let place = Some(scene.data_dir.display().to_string());
    let Some(mut times) = force(&scene.data_dir, scene.machine.forced) else {
        findings.say("untold", None, &[]);
        return;
    };
    times.sort();
    let at = |percent: usize| {
        let index = times.len().saturating_sub(1) * percent / 100;
        times.get(index).copied().unwrap_or_default()
    };
    let (p50, p99) = (at(50), at(99));
    let outcome = verdict_of(p50, p99);
    let ms = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1000.0);
    let (p50, p99) = (ms(p50), ms(p99));
    findings.say(
        outcome,
        place.filter(|_| outcome != "ok"),
        &[("p50", &p50), ("p99", &p99)],
    );
}

fn verdict_of(p50: Duration, p99: Duration) -> &'static str {
    match () {
        () if p99 > SLOW => "slow",
        () if p50 < TOO_FAST => "not-forced",
        () => "ok",
    }
}

/// Forces pages of a file without a name to disk: it is gone when it is closed, whatever happens.
fn force(dir: &Path, count: usize) -> Option<Vec<Duration>> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR).ok()?;
    let mut file = File::from(file);
    let begun = Instant::now();
    let mut times = Vec::with_capacity(count);
    while times.len() < count && begun.elapsed() < FORCED_TIME {
        file.write_all(&PAGE).ok()?;
        let start = Instant::now();
        file.sync_data().ok()?;
        times.push(start.elapsed());
    }
    Some(times)
}

#[cfg(test)]
mod tests {
    use super::{Room, verdict_of};
    use std::time::Duration;

    #[test]
    fn room_is_judged_by_what_is_left_and_by_how_fast_it_goes() {
        let room = Room {
            free: 500 << 30,
            percent: 50,
            days: None,
            inodes: Some((900, 1000)),
        };
        assert_eq!(room.judge(), "ok");
        assert_eq!(
            Room {
                free: 255 << 20,
                ..room
            }
            .judge(),
            "full"
        );
        assert_eq!(
            Room {
                inodes: Some((49, 1000)),
                ..room
            }
            .judge(),
            "inodes"
        );
        assert_eq!(
            Room {
                days: Some(13),
                ..room
            }
            .judge(),
            "filling"
        );
        assert_eq!(Room { percent: 9, ..room }.judge(), "low");
        // A tenth that lasts for years is enough.
        assert_eq!(
            Room {
                percent: 9,
                days: Some(900),
                ..room
            }
            .judge(),
            "ok"
        );
    }

    #[test]
    fn a_disk_is_slow_by_its_p99_and_unbelievable_by_its_p50() {
        let (us, ms) = (Duration::from_micros, Duration::from_millis);
        assert_eq!(verdict_of(us(900), ms(10)), "ok");
        assert_eq!(verdict_of(us(900), ms(11)), "slow");
        assert_eq!(verdict_of(us(1), us(40)), "not-forced");
    }
}
