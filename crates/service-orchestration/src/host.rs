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
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
        }
    }

    /// The time since this clock was made.
    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// The instant at which [`Clock::now`] will be `at`; none when it is too far away to have a name.
    pub(crate) fn instant(&self, at: Duration) -> Option<Instant> {
        self.epoch.checked_add(at)
    }

    /// The wall's time, for people to read.
    pub(crate) fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
