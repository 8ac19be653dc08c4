//! Where `harness` keeps its files while it is measured.
//!
//! Owns: the variables that say so, and the directory in memory, where one is asked for. With `BENCH_RUN=memory` the XDG
//! variables are set as a login session sets them, and run directories lie in memory; without it everything lies under
//! `HARNESS_HOME` on the file system of the stage, as for the peers.

use std::path::{Path, PathBuf};

use harness_core::Dirs;
use tempfile::TempDir;

use crate::failure::Failure;

const IN_MEMORY: &str = "/dev/shm";

/// The directories of one daemon.
#[derive(Debug)]
pub(crate) struct Layout {
    variables: Vec<(&'static str, PathBuf)>,
    dirs: Dirs,
    // Goes with this value.
    _memory: Option<TempDir>,
}

impl Layout {
    /// Directories below `stage`, but for what `BENCH_RUN` moves.
    ///
    /// # Errors
    /// When a directory cannot be made in memory, or `BENCH_RUN` has another value than `memory`.
    pub(crate) fn below(stage: &Path) -> Result<Self, Failure> {
        let home = stage.join("home");
        let memory = match std::env::var("BENCH_RUN").as_deref() {
            Err(_) | Ok("") => None,
            Ok("memory") => Some(
                TempDir::with_prefix_in("hb", IN_MEMORY)
                    .map_err(Failure::io("make a directory in memory"))?,
            ),
            Ok(other) => {
                return Err(Failure::Wrong(format!(
                    "BENCH_RUN is `memory` or absent, not `{other}`"
                )));
            }
        };
        let variables = match &memory {
            None => vec![("HARNESS_HOME", home)],
            Some(run) => vec![
                ("HARNESS_HOME", PathBuf::new()),
                ("XDG_CONFIG_HOME", home.join("config")),
                ("XDG_STATE_HOME", home.join("state")),
                ("XDG_RUNTIME_DIR", run.path().to_owned()),
            ],
        };
        let asked = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(found.1.clone().into_os_string())
        };
        let dirs = Dirs::resolve(asked, std::env::current_dir)
            .map_err(|error| Failure::Wrong(format!("no directories: {error}")))?;
        Ok(Self {
            variables,
            dirs,
            _memory: memory,
        })
    }

    /// What to set for each command; an empty variable counts as absent.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.variables
            .iter()
            .map(|(name, path)| (*name, path.as_path()))
    }

    pub(crate) fn dirs(&self) -> &Dirs {
        &self.dirs
    }
}
