//! Runs by a unit's definition that are nobody's attempt: somebody has asked for one at his terminal, and it ends with him.
//!
//! Owns: the data of such a run, and the file by which a program of this machine is handed to whoever asked. What runs is begun
//! by the asker himself; see the ADR on one-off runs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service_shim::Identity;

use super::LaunchOrder;
use crate::spec::UnitId;

/// A one-off run to be made ready, everything in it resolved.
#[derive(Clone, Debug)]
pub struct OneOffOrder {
    /// As of an attempt; its `instance_id` names the run.
    pub launch: LaunchOrder,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whose it is: it ends when this process does.
    pub holder: Identity,
}

/// What whoever asked has to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OneOffPlace {
    /// This container: made and not started.
    Container(String),
    /// The program that this file names, a [`ProgramFile`] that only its owner can read.
    Program(PathBuf),
}

/// A one-off run that is kept track of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownOneOff {
    /// Its identity: 12 hexadecimal digits.
    pub id: String,
    /// By whose definition it runs.
    pub unit: UnitId,
    /// Whose it is.
    pub holder: Identity,
    /// How long it may take to end, in milliseconds.
    pub grace_ms: u64,
}

/// A program as whoever asked becomes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramFile {
    /// Its path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment, with secrets.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub working_dir: PathBuf,
}

impl fmt::Debug for ProgramFile {
    /// Names the program; arguments and environment may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgramFile")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}
