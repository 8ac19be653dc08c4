//! A cgroup of version 2 around one attempt, where one can be made.
//!
//! Owns: the group's directory. No controller is used: the group only says who belongs to the attempt and ends them
//! all at once. Most machines offer none to an ordinary user, and everything works without.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags};

use crate::procfs;

/// The cgroup of one attempt.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    dir: OwnedFd,
}

impl Cgroup {
    /// Where the group of an attempt will be: below the one we are in; none where that is not possible. The place is
    /// written down before the group is made, so that whoever comes after us finds it.
    pub(super) fn place(instance_id: &str) -> Option<PathBuf> {
        let own = procfs::own_cgroup()?;
        let own = own.trim_start_matches('/');
        let mut parents = MOUNTS.iter().map(|mount| Path::new(mount).join(own));
        let parent = parents.find(|parent| is_cgroup2(parent))?;
        rustix::fs::access(&parent, Access::WRITE_OK).ok()?;
        Some(parent.join(format!("harness-{instance_id}")))
    }

    /// Makes the group; none where that is not permitted.
    pub(super) fn create(place: &Path) -> Option<Cgroup> {
        match rustix::fs::mkdir(place, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Cgroup::open(place),
            Err(_) => None,
        }
    }

    /// Opens the group an attempt was started in; none when it is gone.
    pub(super) fn open(path: &Path) -> Option<Cgroup> {
        let dir = rustix::fs::open(
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        Some(Cgroup {
            path: path.to_owned(),
            dir,
        })
    }

    /// The processes in it and in the groups below it.
    pub(super) fn pids(&self) -> Vec<u32> {
        let mut found = Vec::new();
        collect(&self.path, &mut found);
        found
    }

    /// Kills every process in it at once, also those that are just being forked.
    pub(super) fn kill(&self) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, "cgroup.kill", flags, Mode::empty())?;
        rustix::io::write(&file, b"1")?;
        Ok(())
    }

    /// Removes it and the groups that were made below it. Works only once it is empty.
    pub(super) fn remove(&self) {
        let remove = || rustix::fs::unlinkat(rustix::fs::CWD, &self.path, AtFlags::REMOVEDIR);
        // Few services make groups of their own.
        if remove().is_err() {
            remove_below(&self.path);
            // A group that cannot be removed is empty and costs nothing; its name is never used again.
            let _ = remove();
        }
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

fn is_cgroup2(path: &Path) -> bool {
    rustix::fs::statfs(path)
        .is_ok_and(|stat| u64::try_from(stat.f_type).ok() == Some(CGROUP2_MAGIC))
}

fn collect(path: &Path, found: &mut Vec<u32>) {
    let text = std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    for below in subgroups(path) {
        collect(&below, found);
    }
}

fn remove_below(path: &Path) {
    for below in subgroups(path) {
        remove_below(&below);
        // As above.
        let _ = rustix::fs::unlinkat(rustix::fs::CWD, &below, AtFlags::REMOVEDIR);
    }
}

fn subgroups(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    let is_group = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries
        .flatten()
        .filter(is_group)
        .map(|entry| entry.path())
        .collect()
}

// Hybrid machines have version 2 beside version 1; the others have it alone.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
const CGROUP2_MAGIC: u64 = 0x6367_7270;
