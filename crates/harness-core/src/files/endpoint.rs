//! The file that says where the daemon answers.
//!
//! Owns: its shape and its replacement in one step. It is a hint: whether a daemon lives, only the lock tells.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a daemon answers, and who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The version of this shape: 1.
    pub schema_version: u32,
    /// The daemon's process.
    pub pid: u32,
    /// Where it listens: `host:port`.
    pub listen: String,
    /// The program that it is.
    pub program: String,
    /// That program's version.
    pub version: String,
    /// Since when it answers.
    pub started_at: DateTime<Utc>,
    /// Whether it runs in the background. Daemons that do not say so do.
    #[serde(default = "in_the_background")]
    pub detached: bool,
}

fn in_the_background() -> bool {
    true
}

/// Why the endpoint file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is damaged: remove it and start the daemon anew", path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

impl Endpoint {
    /// What the file says; `None` when there is none.
    pub(crate) fn read(state: &Path) -> Result<Option<Self>, EndpointError> {
        let path = state.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(EndpointError::Io {
                    action: "read",
                    path,
                    source,
                });
            }
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| EndpointError::Damaged { path, source })
    }

    /// Replaces the file. Only the holder of the state lock may.
    pub(crate) fn write(&self, state: &Path) -> Result<(), EndpointError> {
        let text = serde_json::to_vec(self).expect("text and numbers always serialise");
        let path = state.join(FILE);
        replace(&path, &text).map_err(|source| EndpointError::Io {
            action: "write",
            path,
            source,
        })
    }

    /// Removes the file, if there is one. Only the holder of the state lock may.
    pub(crate) fn remove(state: &Path) -> Result<(), EndpointError> {
        let path = state.join(FILE);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(EndpointError::Io {
                action: "remove",
                path,
                source,
            }),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Replaces a file in one step, readable by its owner alone. Not forced to disk: after a power cut no daemon lives
/// that these files could tell of.
pub(super) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)?;
    file.write_all(text)?;
    std::fs::rename(&aside, path)
}

pub(super) const FILE: &str = "daemon.json";
