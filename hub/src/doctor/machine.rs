//! The machine as files and commands that only tell, so that tests can make one of their own.

use model::Timestamp;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a command that only tells; nothing where it is not there or fails.
type Run = dyn Fn(&str, &[&str]) -> Option<String>;

/// Where this runs.
pub struct Machine {
    root: PathBuf,
    run: Box<Run>,
    pub(crate) now: Timestamp,
    /// The program that asks.
    pub(crate) program: PathBuf,
    /// How often a write is forced down to measure the disk.
    pub(crate) forced: usize,
}

const FORCED: usize = 100;

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// The one that this runs on.
    pub fn this(now: Timestamp) -> Self {
        Self {
            root: PathBuf::from("/"),
            run: Box::new(tell),
            now,
            program: std::env::current_exe().unwrap_or_default(),
            forced: FORCED,
        }
    }

    #[cfg(test)]
    pub(crate) fn made(root: &Path, now: Timestamp, run: Box<Run>) -> Self {
        Self {
            root: root.to_owned(),
            run,
            now,
            program: PathBuf::from("/usr/bin/cityhub"),
            forced: 1,
        }
    }

    /// A path of the machine, such as `/proc/locks`.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file of the machine, such as `/proc/locks`.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }

    pub(crate) fn link(&self, path: &str) -> Option<String> {
        let target = std::fs::read_link(self.path(path)).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    pub(crate) fn ask(&self, program: &str, args: &[&str]) -> Option<String> {
        (self.run)(program, args)
    }

    /// The number of a user by its name.
    pub(crate) fn user_id(&self, name: &str) -> Option<u32> {
        self.numbered("/etc/passwd", name)
    }

    pub(crate) fn user_name(&self, id: u32) -> String {
        let text = self.text("/etc/passwd").unwrap_or_default();
        let found = text.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        });
        found.unwrap_or_else(|| id.to_string())
    }

    /// The numbers of the groups that a user is in, its own first.
    pub(crate) fn groups_of(&self, user: &str) -> Vec<u32> {
        let passwd = self.text("/etc/passwd").unwrap_or_default();
        let own = passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.first() == Some(&user)).then(|| fields.get(3)?.parse().ok())?
        });
        let text = self.text("/etc/group").unwrap_or_default();
        let others = text.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let is_member = fields.get(3)?.split(',').any(|member| member == user);
            is_member.then(|| fields.get(2)?.parse().ok())?
        });
        own.into_iter().chain(others).collect()
    }

    pub(crate) fn group_id(&self, name: &str) -> Option<u32> {
        self.numbered("/etc/group", name)
    }

    fn numbered(&self, file: &str, name: &str) -> Option<u32> {
        let text = self.text(file)?;
        text.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
        })
    }

    /// Finds the process that has something open: a file by its path, a socket by `socket:[inode]`.
    pub(crate) fn who_has_open(&self, wanted: &str) -> Option<u32> {
        let processes = std::fs::read_dir(self.path("/proc")).ok()?;
        processes.flatten().find_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let mut files = std::fs::read_dir(entry.path().join("fd")).ok()?.flatten();
            let is_it = files.any(|file| {
                std::fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy() == wanted)
            });
            is_it.then_some(pid)
        })
    }

    /// The mount on which a path lies: its folder, type and options.
    pub(crate) fn mount_of(&self, path: &Path) -> Option<Mount> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let text = self.text("/proc/self/mountinfo")?;
        let mounts = text.lines().filter_map(Mount::read);
        mounts
            .filter(|mount| path.starts_with(&mount.folder))
            // A later mount on the same folder hides the one before.
            .max_by_key(|mount| mount.folder.as_os_str().len())
    }
}

/// A line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) folder: PathBuf,
    pub(crate) kind: String,
    pub(crate) is_read_only: bool,
}

impl Mount {
    fn read(line: &str) -> Option<Self> {
        let (head, tail) = line.split_once(" - ")?;
        let mut head = head.split(' ').skip(4);
        let folder = head.next()?.replace("\\040", " ");
        let options = head.next()?;
        Some(Self {
            folder: PathBuf::from(folder),
            kind: tail.split(' ').next()?.to_owned(),
            is_read_only: options.split(',').any(|option| option == "ro"),
        })
    }
}

fn tell(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .env("SYSTEMD_PAGER", "")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
