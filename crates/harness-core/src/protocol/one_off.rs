//! Calls about one-off runs: a command by a unit's definition, at the terminal of whoever asks.
//!
//! Owns: the parameters and results. What is to be run is never in an answer: it holds secrets, and lies in a file that only
//! the owner of the daemon can read, or in a container that only the engine can begin.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service_orchestration::executors::OneOffPlace;
use service_orchestration::spec::{SecretValues, StackName, UnitName, exposed};
use service_orchestration::supervisor::{OneOffReady, OneOffWish};
use service_orchestration::{Identity, ProcessRef};

/// Parameters of `one-off.begin`. The stack must be defined; what the unit needs is not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOffParams {
    /// The stack.
    pub stack: StackName,
    /// By the definition of this unit.
    pub unit: UnitName,
    /// The command and its arguments; empty: the unit's own.
    #[serde(default)]
    pub command: Vec<String>,
    /// What a container begins with, instead of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Further variables, each by the name `UNIT/VARIABLE`.
    #[serde(
        default,
        with = "exposed",
        skip_serializing_if = "SecretValues::is_empty"
    )]
    pub env: SecretValues,
    /// Whose identity it has inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Whether it gets a terminal.
    #[serde(default)]
    pub tty: bool,
    /// The process that asks, on the daemon's machine: the run ends when it does.
    pub holder: Holder,
}

/// A process of the daemon's machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Which boot of the machine.
    pub boot_id: String,
    /// Its number.
    pub pid: u32,
    /// When it was started, in clock ticks since boot.
    pub start_ticks: u64,
    /// The inode of its pidfd, where the kernel has such.
    #[serde(default)]
    pub pidfd_inode: Option<u64>,
}

impl Holder {
    /// The process that asks this.
    ///
    /// # Errors
    /// When the system does not tell who that is.
    pub fn this() -> std::io::Result<Self> {
        let own = ProcessRef::capture(std::process::id())?;
        let own = own.ok_or_else(|| std::io::Error::other("this process is not listed"))?;
        let Identity {
            boot_id,
            pid,
            start_ticks,
            pidfd_inode,
        } = own.identity().clone();
        Ok(Self {
            boot_id,
            pid,
            start_ticks,
            pidfd_inode,
        })
    }
}

/// Result of `one-off.begin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneOffResult {
    /// The run's identity.
    pub id: String,
    /// What whoever asked has to begin.
    #[serde(flatten)]
    pub begin: OneOffBegin,
}

/// What is to be begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OneOffBegin {
    /// This container of the daemon's engine, which is made and not started.
    Container(String),
    /// The program that this file names, in the daemon's machine; to be removed by whoever reads it.
    Program(PathBuf),
}

/// Parameters of `one-off.end`. It answers once nothing of them is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOffEndParams {
    /// The stack.
    pub stack: StackName,
    /// Which; absent: all of the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl From<OneOffParams> for OneOffWish {
    fn from(params: OneOffParams) -> Self {
        let Holder {
            boot_id,
            pid,
            start_ticks,
            pidfd_inode,
        } = params.holder;
        Self {
            command: params.command,
            entrypoint: params.entrypoint,
            env: params.env,
            user: params.user,
            working_dir: params.working_dir,
            tty: params.tty,
            holder: Identity {
                boot_id,
                pid,
                start_ticks,
                pidfd_inode,
            },
        }
    }
}

impl From<OneOffReady> for OneOffResult {
    fn from(ready: OneOffReady) -> Self {
        Self {
            id: ready.id,
            begin: match ready.place {
                OneOffPlace::Container(id) => OneOffBegin::Container(id),
                OneOffPlace::Program(file) => OneOffBegin::Program(file),
            },
        }
    }
}
