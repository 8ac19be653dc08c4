//! The few facts about processes that only `/proc` tells.
//!
//! Owns: parsing. Never keeps anything but the boot id, which cannot change while we run.

use std::ffi::CStr;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// What `/proc/PID/stat` says, as far as anybody here asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) state: u8,
    pub(crate) parent: u32,
    pub(crate) session: u32,
    pub(crate) start_ticks: u64,
    /// The wait status of a process that has ended and was not reaped; zero while it runs.
    pub(crate) wait_status: i32,
}

impl Stat {
    /// Whether it has ended and only waits to be reaped.
    pub(crate) fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

/// Which boot this is.
pub(crate) fn boot_id() -> io::Result<String> {
    if let Some(known) = BOOT_ID.get() {
        return Ok(known.clone());
    }
    let mut buffer = [0u8; 64];
    let read = read_small(c"/proc/sys/kernel/random/boot_id", &mut buffer)?;
    let text = String::from_utf8_lossy(&buffer[..read]).trim().to_owned();
    Ok(BOOT_ID.get_or_init(|| text).clone())
}

/// Describes a process; none when there is no such process.
pub(crate) fn stat(pid: u32) -> io::Result<Option<Stat>> {
    let mut path = [0u8; 32];
    let mut buffer = [0u8; 1024];
    match read_small(proc_path(&mut path, pid, "stat"), &mut buffer) {
        Ok(read) => parse_stat(&buffer[..read])
            .map(Some)
            .ok_or_else(|| io::Error::other("unreadable /proc/PID/stat")),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the kernel tells us everything about a process: it is ours, or we are root.
pub(crate) fn may_trace(pid: u32) -> bool {
    let own = rustix::process::geteuid();
    let mut path = [0u8; 32];
    own.is_root()
        || rustix::fs::stat(proc_path(&mut path, pid, ""))
            .is_ok_and(|stat| stat.st_uid == own.as_raw())
}

/// Every process there is.
pub(crate) fn pids() -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Whether a process carries `NAME=value` in the environment it was started with. False when it may not be read.
pub(crate) fn has_in_environment(pid: u32, assignment: &[u8]) -> bool {
    std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
        environ
            .split(|byte| *byte == 0)
            .any(|entry| entry == assignment)
    })
}

/// The v2 cgroup of this process, as the path below the mount.
pub(crate) fn own_cgroup() -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("0::"))
        .map(str::to_owned)
}

/// Clock ticks since boot, as `start_ticks` counts them.
pub(crate) fn ticks_now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let per_second = rustix::param::clock_ticks_per_second();
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * per_second + nanos * per_second / 1_000_000_000
}

fn parse_stat(text: &[u8]) -> Option<Stat> {
    // The name is in parentheses and may itself hold spaces and parentheses: what counts is the last one.
    let open = text.iter().position(|byte| *byte == b'(')?;
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(text.get(close + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        name,
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
        wait_status: fields
            .get(49)
            .and_then(|field| field.parse().ok())
            .unwrap_or(0),
    })
}

fn read_small(path: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    let file: OwnedFd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::read(file.as_fd(), buffer)
}

fn proc_path<'a>(buffer: &'a mut [u8; 32], pid: u32, file: &str) -> &'a CStr {
    let mut rest = &mut buffer[..];
    write!(rest, "/proc/{pid}/{file}\0").expect("a PID has at most ten digits");
    CStr::from_bytes_until_nul(buffer).expect("just terminated")
}

static BOOT_ID: OnceLock<String> = OnceLock::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_does_not_confuse() {
        let mut line =
            b"42 (a) b (c)) S 1 42 41 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 0".to_vec();
        let stat = parse_stat(&line).expect("well formed");
        assert_eq!(
            (
                stat.name.as_str(),
                stat.parent,
                stat.session,
                stat.start_ticks
            ),
            ("a) b (c)", 1, 41, 777)
        );
        line.truncate(20);
        assert_eq!(parse_stat(&line), None);
    }

    #[test]
    fn this_process_is_described_and_started_in_the_past() {
        let stat = stat(std::process::id()).expect("procfs").expect("alive");
        assert!(!stat.is_zombie());
        assert!(stat.start_ticks <= ticks_now());
        assert!(boot_id().expect("boot id").len() >= 32);
        assert!(pids().expect("procfs").contains(&std::process::id()));
    }
}
