//! Which process a PID means: the boot, the PID and the start time together never name two processes.
//!
//! Owns: reading `/proc/PID/stat`.

use std::fmt;
use std::fs;
use std::io;

/// A process of this host, told apart from every other that has had or will get its PID.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    boot_id: String,
    pid: u32,
    start_ticks: u64,
}

impl ProcessIdentity {
    /// An identity that was recorded earlier.
    pub fn new(boot_id: impl Into<String>, pid: u32, start_ticks: u64) -> Self {
        Self {
            boot_id: boot_id.into(),
            pid,
            start_ticks,
        }
    }

    /// The identity of the process that has this PID now.
    ///
    /// # Errors
    /// [`IdentityError`] when there is none, or `/proc` cannot be read.
    pub fn of(pid: u32) -> Result<Self, IdentityError> {
        let boot_id =
            fs::read_to_string(BOOT_ID).map_err(|source| IdentityError::NoBootId { source })?;
        let stat = Stat::read(pid).map_err(|source| IdentityError::NoStat { pid, source })?;
        Ok(Self {
            boot_id: boot_id.trim().to_owned(),
            pid,
            start_ticks: stat.start_ticks,
        })
    }

    /// The boot it belongs to.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Its PID.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it started, in clock ticks since the boot.
    pub fn start_ticks(&self) -> u64 {
        self.start_ticks
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "process {} started at tick {}",
            self.pid, self.start_ticks
        )
    }
}

/// Why a process could not be identified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The boot has no id: `/proc` is not mounted.
    #[error("cannot read {BOOT_ID}")]
    NoBootId {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no such process, or it is hidden from us.
    #[error("cannot read /proc/{pid}/stat")]
    NoStat {
        /// The PID asked for.
        pid: u32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Whether the process exists and is not merely waiting to be reaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    Stat::read(pid).is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// Whether the process is alive and belongs to this process group.
pub(crate) fn lives_in_group(pid: u32, group: u32) -> bool {
    Stat::read(pid).is_ok_and(|stat| stat.group == group && !matches!(stat.state, 'Z' | 'X'))
}

/// What this crate reads of `/proc/PID/stat`.
struct Stat {
    state: char,
    group: u32,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat"))?;
        Self::parse(&stat).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// The name, the second field, may itself hold spaces and parentheses: only the last one closes it.
    fn parse(stat: &[u8]) -> Option<Self> {
        let name_end = stat.iter().rposition(|byte| *byte == b')')?;
        let mut fields = std::str::from_utf8(&stat[name_end + 1..])
            .ok()?
            .split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        // The state is field 3, the group field 5, the start time field 22.
        let group = fields.nth(1)?.parse().ok()?;
        let start_ticks = fields.nth(16)?.parse().ok()?;
        Some(Self {
            state,
            group,
            start_ticks,
        })
    }
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = b"42 (a) b (c) S 1 41 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9876 123 4\n";
        let parsed = Stat::parse(stat).expect("a well-formed line");
        assert_eq!(
            (parsed.state, parsed.group, parsed.start_ticks),
            ('S', 41, 9876)
        );
    }
}
