//! What this process is told by its surroundings: environment, clock, temporary directory, chance.
//!
//! Owns: the only readings of them in this crate. Decides nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// Variables that every local process gets from whoever starts the stack; everything else it must be told.
const ALLOWED: &[&str] = &[
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM",
];

/// The part of an environment that local processes get: a short list, and the `LC_*` variables.
pub fn allowed_environment(
    all: impl Iterator<Item = (String, String)>,
) -> BTreeMap<String, String> {
    all.filter(|(name, _)| ALLOWED.contains(&name.as_str()) || name.starts_with("LC_"))
        .collect()
}

/// [`allowed_environment`] of this process.
pub(crate) fn own_environment() -> BTreeMap<String, String> {
    allowed_environment(
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    )
}

/// The working directory of this process; the root where it has none.
pub(crate) fn own_directory() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
}

/// A new private directory of this process, not yet made.
pub(crate) fn private_directory() -> PathBuf {
    std::env::temp_dir().join(format!("harness-{}", instance_id()))
}

/// An identity that no other attempt has: 12 hexadecimal digits.
pub(crate) fn instance_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id[..12].to_owned()
}

/// Chance for the jitter of restarts.
pub(crate) fn seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

/// The clock that decisions are made by: it never goes back, whatever happens to the wall's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    /// What it showed then.
    start: Duration,
}

/// Which boot of this machine it is; none where the kernel does not say.
pub(crate) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            start: Duration::ZERO,
        }
    }

    /// A clock that every process of this machine reads alike until the machine is started anew, and that nobody can
    /// set. It stands still while the machine sleeps.
    pub(crate) fn of_this_boot() -> Self {
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Self {
            epoch: Instant::now(),
            start: Duration::try_from(up).unwrap_or_default(),
        }
    }

    /// The time since this clock was made, or since the machine was started.
    pub(crate) fn now(&self) -> Duration {
        self.start + self.epoch.elapsed()
    }

    /// Now, for those who count in instants.
    pub(crate) fn moment(&self) -> Instant {
        Instant::now()
    }

    /// The instant at which [`Clock::now`] will be `at`; none when it is too far away to have a name.
    pub(crate) fn instant(&self, at: Duration) -> Option<Instant> {
        self.epoch.checked_add(at.saturating_sub(self.start))
    }

    /// The wall's time, for people to read.
    pub(crate) fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
